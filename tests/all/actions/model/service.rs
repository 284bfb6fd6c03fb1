//! The model of a llama.cpp server in a container of a compose project: a word of its command, or a variable, in its files
//! and in what takes its place.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use super::killed::killed;
use crate::actions::compose::Plugin;
use crate::actions::gate::with_llama;
use crate::actions::interrupted::{journal, worker};
use crate::actions::service::Service;
use crate::actions::{planned, run, steps};
use crate::bed::{self, Container, DEADLINE, Engine, Home, Spec, exchange, free_port, part, wait_until};

/// The command in a block of lines. `PORT` and `SERVER` stand for what they say.
const COMMAND: &str =
    "    command: >-\n      SERVER --port PORT\n      --model /weights/one.gguf\n      --ctx-size 512\n";

/// The same as words.
const WORDS: [&str; 7] = ["SERVER", "--port", "PORT", "--model", "/weights/one.gguf", "--ctx-size", "512"];

/// A server with two models in its folder, and the files of its project.
struct Rig {
    engine: Engine,
    llama: PathBuf,
    container: Container,
    home: Home,
    port: u16,
    before: String,
}

impl Rig {
    /// One whose compose file says this of the service, made with this command line and these variables.
    fn new(lines: &str, env: &str, words: &[&str], variables: &[&str]) -> Option<Self> {
        Self::described(lines, env, (words, variables), |spec| spec)
    }

    fn described(
        lines: &str,
        env: &str,
        (words, variables): (&[&str], &[&str]),
        describe: impl FnOnce(Spec) -> Spec,
    ) -> Option<Self> {
        let (engine, llama) = (bed::engine()?, part("HOSTLER_TEST_LLAMA", "llama-server")?);
        let (one, two) = (bed::weights()?, bed::other_weights()?);
        let home = Home::with("[actions]\ngate = \"60s\"\nsteady = \"0s\"\n").docker(engine.endpoint());
        let (weights, stack) = (home.path().join("weights"), home.path().join("stack"));
        fs::create_dir(&weights).unwrap();
        for (name, model) in [("one.gguf", &one), ("two.gguf", &two)] {
            fs::hard_link(model, weights.join(name))
                .or_else(|_| fs::copy(model, weights.join(name)).map(drop))
                .unwrap();
        }
        fs::write(weights.join("broken.gguf"), "no weights").unwrap();
        let port = free_port();
        let said = |text: &str| text.replace("PORT", &port.to_string()).replace("SERVER", llama.to_str().unwrap());
        fs::create_dir(&stack).unwrap();
        let before = format!("# The lab.\nservices:\n  llm:\n    image: bed\n{}    restart: always\n", said(lines));
        fs::write(stack.join("compose.yaml"), &before).unwrap();
        fs::write(stack.join(".env"), env).unwrap();
        let container = engine.run("llm", |spec| {
            let label = |key: &str| format!("com.docker.compose.project.{key}");
            let spec = with_llama(spec, port, &llama)
                .compose(&Service::project(), "llm")
                .label(&label("working_dir"), stack.to_str().unwrap())
                .label(&label("config_files"), stack.join("compose.yaml").to_str().unwrap())
                .with(|body| {
                    let bind = format!("{}:/weights:ro", weights.display());
                    body.host_config.get_or_insert_default().binds.get_or_insert_default().push(bind);
                    body.cmd = Some(words.iter().map(|word| said(word)).collect());
                    body.env = Some(variables.iter().map(|variable| said(variable)).collect());
                });
            describe(spec)
        });
        let it = Self { engine, llama, container, home, port, before };
        it.parameters();
        Some(it)
    }

    /// One whose compose file gives the words in a block of lines.
    fn in_lines() -> Option<Self> {
        Self::new(COMMAND, "", &WORDS, &[])
    }

    fn parameters(&self) -> u64 {
        parameters(self.port)
    }

    fn target(&self) -> String {
        format!("llama.cpp:{}", self.port)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join("stack").join(name)
    }

    fn compose(&self) -> String {
        fs::read_to_string(self.file("compose.yaml")).unwrap()
    }

    fn id(&self) -> String {
        self.engine.block_on(self.engine.docker().inspect_container(self.container.name(), None)).unwrap().id.unwrap()
    }

    #[track_caller]
    fn promote(&self, to: &str) -> Value {
        run(&self.home, &["model.promote", &self.target(), "--to", to]).1
    }

    #[track_caller]
    fn refused(&self, to: &[&str], part: &str) {
        let target = self.target();
        let args: Vec<&str> =
            ["run", "model.promote", &target, "--yes"].into_iter().chain(to.iter().copied()).collect();
        self.home.run(&args).refused(4, part);
    }

    #[track_caller]
    fn undone(&self, run: &str) {
        let (code, back) = self.home.json(&["undo", run, "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    }
}

/// The parameters of what is served at a port, which tell the models apart.
fn parameters(port: u16) -> u64 {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_until(DEADLINE, "the server has loaded its model", || {
        let (_, models) = exchange(address, "GET", "/v1/models", b"").ok()?;
        serde_json::from_str::<Value>(&models).ok()?["data"][0]["meta"]["n_params"].as_u64()
    })
}

impl Drop for Rig {
    fn drop(&mut self) {
        // Those that the runs made are not the bed's.
        let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
        let all = self.engine.block_on(self.engine.docker().list_containers(Some(options))).unwrap_or_default();
        let names = all.into_iter().flat_map(|one| one.names.unwrap_or_default());
        for name in names.filter(|name| name.trim_start_matches('/').starts_with(self.container.name())) {
            let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            let gone = self.engine.docker().remove_container(name.trim_start_matches('/'), Some(options));
            drop(self.engine.block_on(gone));
        }
    }
}

#[test]
fn a_server_in_a_container_is_given_another_model_and_gets_its_own_back() {
    let Some(it) = Rig::in_lines() else { return };
    let (first, id) = (it.parameters(), it.id());
    let target = it.target();
    let plan = planned(&it.home, &["model.promote", &target, "--to", "two.gguf"]);
    let edit = &plan["plan"]["steps"][1];
    assert_eq!(edit["items"][0]["name"], "-       --model /weights/one.gguf", "{plan}");
    assert_eq!(edit["items"][1]["name"], "+       --model /weights/two.gguf", "{plan}");
    assert!(steps(&plan).iter().any(|step| step.contains("generate a few tokens")), "{plan}");
    assert_eq!(it.compose(), it.before, "a dry run does nothing");

    let promoted = it.promote("two.gguf");
    assert_eq!(promoted["outcome"], "succeeded", "{promoted}");
    assert!(promoted["lines"].to_string().contains("generated in"), "{promoted}");
    let second = it.parameters();
    assert_ne!(second, first);
    assert_eq!(it.compose(), it.before.replace("one.gguf", "two.gguf"));
    assert_eq!(it.promote("/weights/two.gguf")["outcome"], "nothing-to-do");

    // Weights that are none: file and container go back by themselves.
    let now = it.id();
    let failed = it.promote("broken.gguf");
    assert_eq!(failed["outcome"], "rolled-back", "{failed}");
    assert_eq!((it.parameters(), it.id()), (second, now));
    assert_eq!(it.compose(), it.before.replace("one.gguf", "two.gguf"));

    let (_, back) = run(&it.home, &["model.rollback", &target]);
    assert_eq!(back["outcome"], "succeeded", "{back}");
    assert_eq!((it.parameters(), it.compose()), (first, it.before.clone()));
    it.undone(back["run"].as_str().unwrap());
    assert_eq!(it.parameters(), second);
    it.undone(promoted["run"].as_str().unwrap());
    assert_eq!((it.parameters(), it.id(), it.compose()), (first, id, it.before.clone()));
    it.home.run(&["run", "model.rollback", &target, "--yes"]).refused(4, "no promotion that hostler knows");
}

#[test]
fn a_model_given_by_a_variable_is_changed_in_the_file_of_variables() {
    let lines = "    command: SERVER --port PORT --ctx-size 512\n    environment:\n      - LLAMA_ARG_MODEL=${MODEL}\n";
    let env = "# the model\nMODEL=/weights/one.gguf\n";
    let words = ["SERVER", "--port", "PORT", "--ctx-size", "512"];
    let Some(it) = Rig::new(lines, env, &words, &["LLAMA_ARG_MODEL=/weights/one.gguf"]) else { return };
    let first = it.parameters();
    let promoted = it.promote("two.gguf");
    assert_eq!(promoted["outcome"], "succeeded", "{promoted}");
    assert_ne!(it.parameters(), first);
    let variables = || fs::read_to_string(it.file(".env")).unwrap();
    assert_eq!((it.compose(), variables()), (it.before.clone(), env.replace("one", "two")));
    it.undone(promoted["run"].as_str().unwrap());
    assert_eq!((it.parameters(), variables().as_str()), (first, env));
}

#[test]
fn a_model_that_a_script_names_is_left_to_a_person() {
    let script = ["sh", "-c", "exec SERVER --port PORT --ctx-size 512 --model /weights/one.gguf"];
    let Some(it) = Rig::new("", "", &script, &[]) else { return };
    it.refused(&["--to", "two.gguf"], "stands in a script");
    assert_eq!(it.compose(), it.before);
}

#[test]
fn what_cannot_be_done_is_refused_before_anything() {
    let Some(it) = Rig::in_lines() else { return };
    it.refused(&[], "it sees /weights/one.gguf, /weights/two.gguf");
    it.refused(&["--to", "three.gguf"], "there are /weights/one.gguf");
    it.refused(&["--to", "/etc/passwd"], "does not see /etc/passwd: it sees");
    for to in ["-rf", "a b.gguf", "a\u{1b}[2J", "../one.gguf", "$HOME.gguf", "a;b"] {
        it.refused(&[&format!("--to={to}")], "is no model that can be written there");
    }
    // A path of this host is one that the container knows by another name.
    let here = it.home.path().join("weights/two.gguf");
    let plan = planned(&it.home, &["model.promote", &it.target(), "--to", here.to_str().unwrap()]);
    assert_eq!(plan["plan"]["title"].as_str().unwrap().split(' ').nth(1), Some("/weights/two.gguf"), "{plan}");
    // The service by its container's name.
    let by_name = planned(&it.home, &["model.promote", it.container.name(), "--to", "two.gguf"]);
    assert_eq!(by_name["plan"]["steps"][1], plan["plan"]["steps"][1]);
    fs::write(it.file("compose.yaml"), it.before.replace("one.gguf", "other.gguf")).unwrap();
    it.refused(&["--to", "two.gguf"], "edit ");
    it.refused(&["--to", "two.gguf"], "does not say so plainly");
    fs::write(it.file("compose.yaml"), "services:\n  llm:\n    image: bed\n").unwrap();
    it.refused(&["--to", "two.gguf"], "comes from the image, an entry script or an env_file");
    let nobody = format!("vllm:{}", free_port());
    it.home.run(&["run", "model.promote", &nobody, "--to", "a/b", "--yes"]).refused(4, "does not answer");
}

#[test]
fn a_model_that_does_not_fit_is_told() {
    let rig = Rig::described(COMMAND, "", (&WORDS, &[]), |spec| spec.memory_limit(240 << 20));
    let Some(it) = rig else { return };
    let plan = planned(&it.home, &["model.promote", &it.target(), "--to", "two.gguf"]);
    let warnings = plan["plan"]["warnings"].to_string();
    assert!(warnings.contains("/weights/two.gguf does not fit: it needs about"), "{plan}");
    assert!(warnings.contains("its container may use 240 MiB"), "{plan}");
}

#[test]
fn what_was_changed_since_it_was_planned_is_left_alone() {
    let Some(it) = Rig::in_lines() else { return };
    let (first, id) = (it.parameters(), it.id());
    let plan = planned(&it.home, &["model.promote", &it.target(), "--to", "two.gguf"])["plan"].clone();
    let other = it.before.replace("--model /weights/one.gguf", "--model /weights/other.gguf");
    fs::write(it.file("compose.yaml"), &other).unwrap();
    assert_eq!(worker(&it.home, &plan).0.wait().unwrap().code(), Some(1));
    let failed = journal(&it.home);
    assert!(failed["text"].as_str().unwrap().contains("compose.yaml was changed"), "{failed}");
    assert_eq!((it.compose(), it.id(), it.parameters()), (other, id, first));
}

#[test]
fn a_worker_killed_at_any_step_is_taken_back_or_finished() {
    let Some(it) = Rig::in_lines() else { return };
    let (first, id) = (it.parameters(), it.id());
    let planned = || planned(&it.home, &["model.promote", &it.target(), "--to", "two.gguf"])["plan"].clone();
    for (kind, step) in
        [("began", 1), ("finished", 1), ("began", 2), ("finished", 2), ("began", 3), ("finished", 3), ("began", 5)]
    {
        let run = killed(&it.home, &planned(), kind, step);
        assert_eq!(journal(&it.home)["outcome"], "died", "{kind} {step}");
        it.undone(&run);
        assert_eq!((it.parameters(), it.id(), it.compose()), (first, id.clone(), it.before.clone()), "{kind} {step}");
    }
    let run = killed(&it.home, &planned(), "began", 3);
    let (code, done) = it.home.json(&["run", "--finish", &run, "--json"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_ne!(it.parameters(), first);
    assert_eq!(it.compose(), it.before.replace("one.gguf", "two.gguf"));
}

/// A project that is compose's own stays so: what compose would make is what was made.
#[test]
fn compose_finds_the_container_with_another_model_up_to_date() {
    let Some(it) = Rig::in_lines() else { return };
    let home = Home::with("[actions]\ngate = \"60s\"\nsteady = \"0s\"\n").docker(it.engine.endpoint());
    let Some(plugin) = Plugin::install(&it.engine, &home) else { return };
    let (project, port, stack) = (Service::project(), free_port(), home.path().join("stack"));
    let made = it.engine.block_on(it.engine.docker().inspect_container(it.container.name(), None)).unwrap();
    let (image, binds) = (made.config.unwrap().image.unwrap(), made.host_config.unwrap().binds.unwrap());
    let binds: Vec<String> = binds.iter().map(|bind| format!("      - {bind}\n")).collect();
    let binds = binds.concat();
    let command = COMMAND.replace("PORT", &port.to_string()).replace("SERVER", it.llama.to_str().unwrap());
    let text = format!(
        "name: {project}\nservices:\n  llm:\n    image: {image}\n    network_mode: host\n    expose: [\"{port}\"]\n    \
         volumes:\n{binds}{command}"
    );
    fs::create_dir(&stack).unwrap();
    fs::write(stack.join("compose.yaml"), &text).unwrap();
    plugin.compose(&home, &["up", "--detach"]);
    let id = || plugin.compose(&home, &["ps", "--quiet", "llm"]).trim().to_owned();
    let first = id();
    parameters(port);
    let target = format!("llama.cpp:{port}");
    let plan = planned(&home, &["model.promote", &target, "--to", "two.gguf"]);
    assert_eq!(plan["plan"]["warnings"], serde_json::json!([]), "{plan}");
    for (action, more) in [("model.promote", &["--to", "two.gguf"][..]), ("model.rollback", &[])] {
        let (code, done) = run(&home, &[&[action, &target], more].concat());
        assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
        let before = id();
        assert_ne!(before, first);
        plugin.compose(&home, &["up", "--detach"]);
        assert_eq!(id(), before, "{action}: compose made it again");
    }
    assert_eq!(fs::read_to_string(stack.join("compose.yaml")).unwrap(), text);
    plugin.compose(&home, &["down"]);
}
