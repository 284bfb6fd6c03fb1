//! What stores of models hold and no model needs: made-up stores below a made-up root, and a real Ollama.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::actions::steps;
use crate::bed::{self, Ended, Home};

/// The name of a blob of 64 such letters.
fn blob(letter: char) -> String {
    format!("sha256-{}", letter.to_string().repeat(64))
}

/// Writes a file of 5000 bytes, last written so many hours ago.
fn write(path: &Path, hours: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, [1; 5000]).unwrap();
    let at = SystemTime::now() - Duration::from_hours(hours);
    File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

/// A root with a store of each kind. What may go is `x` and `y`, of which the blobs of Ollama are older than a day.
struct Stores {
    home: Home,
}

impl Stores {
    fn new() -> Self {
        let stores = Self { home: Home::with("[models]\nfolders = [\"/ollama\", \"/hub\"]\n") };
        let (ollama, hub) = (stores.path("ollama"), stores.path("hub/models--ada--mine"));
        let layer = |letter| json!({ "digest": blob(letter).replacen('-', ":", 1), "size": 5000 });
        let manifest = json!({ "config": layer('a'), "layers": [layer('b')] }).to_string();
        fs::create_dir_all(ollama.join("manifests/registry.ollama.ai/library/chat")).unwrap();
        fs::write(ollama.join("manifests/registry.ollama.ai/library/chat/latest"), manifest).unwrap();
        for (name, hours) in [('a', 48), ('b', 48), ('c', 48), ('d', 2), ('e', 48)] {
            write(&ollama.join("blobs").join(blob(name)), hours);
        }
        write(&ollama.join(format!("blobs/{}-partial-0", blob('f'))), 48);
        write(&ollama.join(format!("blobs/{}-partial", blob('1'))), 2);
        write(&hub.join("blobs/used"), 48);
        write(&hub.join("blobs/unused"), 48);
        write(&hub.join("blobs/given-up.incomplete"), 48);
        fs::create_dir_all(hub.join("snapshots/c0ffee")).unwrap();
        symlink("../../blobs/used", hub.join("snapshots/c0ffee/model.safetensors")).unwrap();
        // A process reads one of them.
        fs::create_dir_all(stores.path("proc/4242/fd")).unwrap();
        symlink(format!("../../../ollama/blobs/{}", blob('e')), stores.path("proc/4242/fd/3")).unwrap();
        stores
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path().join("root").join(path)
    }

    fn args<'a>(root: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["run", "model.prune", "--json", "--rootfs", root], more].concat()
    }

    #[track_caller]
    fn run(&self, more: &[&str]) -> Value {
        let root = self.path("");
        self.home.json(&Self::args(root.to_str().unwrap(), more)).1
    }

    /// The blobs that are there.
    fn blobs(&self) -> Vec<String> {
        let folders = ["ollama/blobs", "hub/models--ada--mine/blobs"].map(|folder| self.path(folder));
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_no_model_needs_goes_and_nothing_else() {
    let stores = Stores::new();
    let before = stores.blobs();
    let plan = stores.run(&["--dry-run"]);
    let titles = [
        "blobs that no model names in /hub",
        "downloads that were not finished in /hub",
        "blobs that no model names in /ollama",
        "downloads that were not finished in /ollama",
    ];
    assert_eq!(steps(&plan), titles);
    let step = &plan["plan"]["steps"][2];
    let orphan = format!("/ollama/blobs/{}", blob('c'));
    assert_eq!((&step["items"][0]["name"], &step["bytes"]), (&json!(orphan), &json!(5000)));
    assert_eq!(step["command"], json!(format!("rm -- {orphan}")));
    let kept = plan["plan"]["kept"].to_string();
    assert!(
        kept.contains("2 blobs that no model names in /ollama") && kept.contains("within a day, or open"),
        "{kept}"
    );
    assert!(kept.contains("1 unfinished downloads in /ollama"), "{kept}");
    assert_eq!(stores.blobs(), before, "a plan changes nothing");

    let done = stores.run(&["--yes", "--without", "partial /hub"]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    assert!(done["text"].as_str().unwrap().contains("freed 14.6 KiB, as planned"), "{done}");
    let gone = [blob('c'), format!("{}-partial-0", blob('f')), "unused".to_owned()];
    let left: Vec<String> = before.into_iter().filter(|name| !gone.contains(name)).collect();
    assert_eq!(stores.blobs(), left);
    assert_eq!(stores.run(&["--yes"])["outcome"], "succeeded");
    assert!(!stores.blobs().contains(&"given-up.incomplete".to_owned()));
    assert_eq!(stores.run(&["--yes"])["outcome"], "nothing-to-do");
}

#[test]
fn pieces_that_spare_a_second_download_go_only_when_they_are_asked_for() {
    let stores = Stores::new();
    let piece = |path: &str| stores.path("xet/https___cas_serv-tGqkUaZf").join(path);
    let (chunk, staged) = (piece("chunk_cache/A1/A1b2"), piece("staging/session"));
    write(&chunk, 48);
    write(&staged, 48);
    let done = stores.run(&["--yes"]);
    assert_eq!((done["outcome"].as_str(), chunk.exists()), (Some("succeeded"), true), "{done}");
    let done = stores.run(&["--yes", "--with", "pieces"]);
    assert_eq!((done["outcome"].as_str(), chunk.exists(), staged.exists()), (Some("succeeded"), false, true), "{done}");
}

#[test]
fn a_manifest_that_cannot_be_read_may_name_any_blob() {
    let stores = Stores::new();
    fs::write(stores.path("ollama/manifests/registry.ollama.ai/library/chat/7b"), "{").unwrap();
    let plan = stores.run(&["--dry-run"]);
    assert!(!steps(&plan).contains(&"blobs that no model names in /ollama".to_owned()), "{plan}");
    assert!(plan["plan"]["kept"].to_string().contains("not every manifest can be read"), "{plan}");
}

#[test]
fn who_may_not_remove_them_is_told_how_root_does() {
    if !rustix::process::geteuid().is_root() {
        return bed::left_out("only root can run it as somebody else");
    }
    let stores = Stores::new();
    let home = &stores.home;
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir_all(home.state()).unwrap();
    fs::set_permissions(home.state(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::copy(bed::hostler(), home.path().join("hostler")).unwrap();
    let (root, state) = (stores.path(""), home.state());
    let mut args = Stores::args(root.to_str().unwrap(), &["--dry-run", "--state-dir"]);
    args.push(state.to_str().unwrap());
    let of_home = home.command(&[]);
    let mut command = Command::new(home.path().join("hostler"));
    command.args(args).env_clear();
    command.envs(of_home.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Ended::of(command.uid(65_534).gid(65_534));
    let plan: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    assert_eq!(steps(&plan), [""; 0], "{plan}");
    assert!(plan["plan"]["kept"].to_string().contains("this user may not remove them"), "{plan}");
    let commands = plan["plan"]["commands"].as_array().unwrap();
    assert!(commands.contains(&json!(format!("sudo rm -- /ollama/blobs/{}", blob('c')))), "{plan}");
}

#[test]
fn an_orphan_of_a_real_ollama_goes_and_its_models_stay() {
    let Some(server) = bed::ollama() else { return };
    server.create("chat", &super::weights(), "One.");
    let models = server.models();
    let orphan = models.join("blobs").join(blob('c'));
    write(&orphan, 48);
    let before = server.bytes();
    let home = Home::with(&format!("[models]\nfolders = [\"{}\"]\n", models.display()));
    let (_, done) = home.json(&["run", "model.prune", "--yes", "--json"]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    assert_eq!((orphan.exists(), server.bytes()), (false, before - 5000));
    assert_eq!(server.names(), ["chat:latest"]);
}
