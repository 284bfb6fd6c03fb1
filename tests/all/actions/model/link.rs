//! Raw files: the alias is a symbolic link below a made-up root, on which only the sockets listen that a test says.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tempfile::TempDir;

use crate::actions::gate::with_llama;
use crate::bed::{self, DEADLINE, Home, Relay, exchange, free_port, part, wait_until, whole};

/// A root with a folder of models, of which `one.gguf` is `chat.gguf`.
struct Root {
    home: Home,
}

impl Root {
    fn new(listening: &[SocketAddr]) -> Self {
        Self::at(Home::with("[models]\naliases = [\"/models/chat.gguf\"]\n"), listening)
    }

    fn at(home: Home, listening: &[SocketAddr]) -> Self {
        let root = Self { home };
        let mut table = String::from("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n");
        for address in listening {
            let port = address.port();
            writeln!(
                table,
                "   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 {port} 1"
            ).unwrap();
        }
        fs::create_dir_all(root.path("proc/net")).unwrap();
        fs::create_dir_all(root.path("models")).unwrap();
        fs::write(root.path("proc/net/tcp"), table).unwrap();
        for name in ["one.gguf", "two.gguf"] {
            fs::write(root.path("models").join(name), name).unwrap();
        }
        symlink("one.gguf", root.path("models/chat.gguf")).unwrap();
        root
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.home.path().join("root").join(path)
    }

    /// Where the alias points.
    fn chat(&self) -> String {
        fs::read_link(self.path("models/chat.gguf")).unwrap().display().to_string()
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Value {
        let root = self.path("");
        let more = ["--yes", "--json", "--rootfs", root.to_str().unwrap()];
        self.home.json(&[&["run"], args, &more].concat()).1
    }

    #[track_caller]
    fn undone(&self, run: &Value) {
        let root = self.path("");
        let args = ["undo", run["run"].as_str().unwrap(), "--json", "--rootfs", root.to_str().unwrap()];
        let (code, back) = self.home.json(&args);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    }
}

#[test]
fn a_file_is_promoted_and_rolled_back_at_once() {
    let root = Root::new(&[]);
    let promoted = root.run(&["model.promote", "/models/two.gguf"]);
    assert_eq!((promoted["outcome"].as_str(), root.chat().as_str()), (Some("succeeded"), "two.gguf"), "{promoted}");
    let back = root.run(&["model.rollback", "/models/chat.gguf"]);
    assert_eq!((back["outcome"].as_str(), root.chat().as_str()), (Some("succeeded"), "one.gguf"), "{back}");
    root.undone(&back);
    assert_eq!(root.chat(), "two.gguf");
    root.undone(&promoted);
    assert_eq!(root.chat(), "one.gguf");
    let folder = fs::read_dir(root.path("models")).unwrap().count();
    assert_eq!(folder, 3);
}

#[test]
fn what_is_no_link_or_leads_elsewhere_is_left_alone() {
    let root = Root::new(&[]);
    let at = root.path("");
    let refused = |args: &[&str], part: &str| {
        let args: Vec<&str> = ["run"].into_iter().chain(args.iter().copied()).collect();
        let args: Vec<&str> = args.into_iter().chain(["--yes", "--rootfs", at.to_str().unwrap()]).collect();
        root.home.run(&args).refused(4, part);
    };
    refused(&["model.promote", "/models/two.gguf", "--to", "one.gguf"], "no symbolic link");
    refused(&["model.promote", "/models/chat.gguf"], "is a link itself");
    refused(&["model.promote", "/models/gone.gguf"], "gone.gguf");
    refused(&["model.promote", "/models/two.gguf", "--to", "/models/../etc/x"], "no whole path");
    refused(&["model.rollback", "/models/chat.gguf"], "no promotion that hostler knows");
    let promoted = root.run(&["model.promote", "/models/two.gguf"]);
    fs::remove_file(root.path("models/one.gguf")).unwrap();
    refused(&["model.rollback", "/models/chat.gguf"], "is gone");
    // Somebody else's link is not switched back.
    fs::remove_file(root.path("models/chat.gguf")).unwrap();
    fs::write(root.path("models/three.gguf"), "").unwrap();
    symlink("three.gguf", root.path("models/chat.gguf")).unwrap();
    let run = promoted["run"].as_str().unwrap();
    let ended = root.home.run(&["undo", run, "--rootfs", at.to_str().unwrap()]);
    assert_eq!((ended.code, root.chat().as_str()), (1, "three.gguf"), "{} {}", ended.out, ended.err);
}

/// What a router answers about its one model (`tools/server/README.md`, "Using multiple models").
fn models(status: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"object":"list","data":[{{"id":"chat","object":"model","owned_by":"llamacpp","status":{{"value":"{status}"}}}}]}}"#
    );
    whole("200 OK", &body)
}

#[test]
fn a_router_is_told_and_one_that_loads_nothing_takes_it_back() {
    // A double of llama.cpp's router, whose model never loads.
    let nobody = SocketAddr::from(([127, 0, 0, 1], bed::free_port()));
    let router = Relay::before(nobody);
    router.plays("GET /v1/models", models("unloaded"));
    router.plays("GET /props?autoload=false", whole("200 OK", "{}"));
    router.plays("GET /metrics?autoload=false", whole("400 Bad Request", "{}"));
    router.plays("GET /models", models("unloaded"));
    router.plays("POST /models/load", whole("400 Bad Request", r#"{"error":{"message":"it is too large"}}"#));
    let root = Root::new(&[SocketAddr::from(([127, 0, 0, 1], router.port()))]);
    let failed = root.run(&["model.promote", "/models/two.gguf"]);
    assert!(failed["text"].as_str().unwrap().contains("it is too large"), "{failed}");
    assert_eq!(root.chat(), "one.gguf", "{failed}");
}

/// A folder with two real models, of which `one.gguf` is `chat.gguf`.
fn folder() -> Option<TempDir> {
    let (one, two) = (bed::weights()?, bed::other_weights()?);
    let folder = tempfile::tempdir().unwrap();
    for (name, weights) in [("one.gguf", &one), ("two.gguf", &two)] {
        // A link of its own would be none to promote.
        fs::hard_link(weights, folder.path().join(name))
            .or_else(|_| fs::copy(weights, folder.path().join(name)).map(drop))
            .unwrap();
    }
    symlink("one.gguf", folder.path().join("chat.gguf")).unwrap();
    Some(folder)
}

#[test]
fn a_real_server_serves_what_the_link_means() {
    let Some(folder) = folder() else { return };
    let link = folder.path().join("chat.gguf");
    let parameters = || {
        let server = bed::llama_with(&link)?;
        let models: Value = serde_json::from_str(&server.get("/v1/models").unwrap().1).unwrap();
        models["data"][0]["meta"]["n_params"].as_u64()
    };
    let Some(first) = parameters() else { return };
    let root = Root::new(&[]);
    let away = root.path("");
    // The folder of models lies below the root, where the program sees it.
    fs::remove_dir_all(root.path("models")).unwrap();
    symlink(folder.path(), root.path("models")).unwrap();
    assert!(away.is_dir());
    assert_eq!(root.run(&["model.promote", "/models/two.gguf"])["outcome"], "succeeded");
    let second = parameters().unwrap();
    assert_ne!(first, second);
    assert_eq!(root.run(&["model.rollback", "/models/chat.gguf"])["outcome"], "succeeded");
    assert_eq!(parameters(), Some(first));
}

#[test]
fn a_container_that_serves_the_link_is_restarted_and_must_generate() {
    let (Some(engine), Some(llama)) = (bed::engine(), part("HOSTLER_TEST_LLAMA", "llama-server")) else { return };
    let Some(folder) = folder() else { return };
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let container = engine.run("weights", |spec| {
        with_llama(spec, address.port(), &llama).with(|body| {
            let bind = format!("{}:/weights:ro", folder.path().display());
            body.host_config.get_or_insert_default().binds.get_or_insert_default().push(bind);
            let port = address.port().to_string();
            let words =
                [llama.to_str().unwrap(), "--port", &port, "--model", "/weights/chat.gguf", "--ctx-size", "512"];
            body.cmd = Some(words.map(str::to_owned).to_vec());
        })
    });
    let parameters = || {
        wait_until(DEADLINE, "the server has loaded its model", || {
            let (_, models) = exchange(address, "GET", "/v1/models", b"").ok()?;
            serde_json::from_str::<Value>(&models).ok()?["data"][0]["meta"]["n_params"].as_u64()
        })
    };
    let first = parameters();
    // On the root only this server listens, and its process is the container's.
    let home = Home::with("[actions]\nsteady = \"0s\"\n").docker(engine.endpoint());
    let root = Root::at(home, &[address]);
    let process = |name: &str, text: &str| {
        fs::create_dir_all(root.path("proc/77/fd")).unwrap();
        fs::write(root.path("proc/77").join(name), text).unwrap();
    };
    process("comm", "llama-server\n");
    process("stat", &format!("77 (llama-server) S 1 {}\n", ["0"; 48].join(" ")));
    process("cgroup", &format!("0::/docker/{}\n", container.id()));
    symlink(format!("socket:[{}]", address.port()), root.path("proc/77/fd/3")).unwrap();
    // The same folder at the same place.
    let there = root.path(folder.path().strip_prefix("/").unwrap().to_str().unwrap());
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    symlink(folder.path(), there).unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();

    let promoted = root.run(&["model.promote", &at("two.gguf"), "--to", "chat.gguf"]);
    assert_eq!(promoted["outcome"], "succeeded", "{promoted}");
    assert!(promoted["lines"].to_string().contains("generated in"), "{promoted}");
    assert_ne!(parameters(), first);
    let back = root.run(&["model.rollback", &at("chat.gguf")]);
    assert_eq!(back["outcome"], "succeeded", "{back}");
    assert_eq!(parameters(), first);

    // Weights that are none: the server does not come up, and the link goes back.
    fs::write(folder.path().join("broken.gguf"), "no weights").unwrap();
    let failed = root.run(&["model.promote", &at("broken.gguf"), "--to", "chat.gguf"]);
    assert_eq!(failed["outcome"], "rolled-back", "{failed}");
    assert_eq!(parameters(), first);
}
