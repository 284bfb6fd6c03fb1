//! Actions on models against a real Ollama with real weights. Generating is real in one test, really fails in others, and is
//! played by a relay elsewhere, because it takes seconds.

use std::path::PathBuf;

use serde_json::Value;

use super::interrupted::{journal, worker};
use super::{planned, run, steps};
use crate::bed::{self, Home, OllamaServer, Relay, broken_off, whole};

mod killed;
mod link;
mod prune;
mod pull;
mod relocate;
mod service;

const KEPT: &str = "chat:latest-hostler-previous-1";

/// An Ollama that holds two versions, `v1` and `v2`, of which `v1` is `chat`; a relay before it, and a home.
struct Rig {
    server: OllamaServer,
    relay: Relay,
    home: Home,
}

impl Rig {
    /// Where it generates.
    fn new() -> Option<Self> {
        Self::with("[models]\naliases = [\"chat\"]\n")
    }

    fn with(config: &str) -> Option<Self> {
        let server = bed::ollama()?;
        let weights = weights();
        server.create("v1", &weights, "One.");
        server.create("v2", &weights, "Two.");
        server.copy("v1", "chat");
        let relay = Relay::generating(&server);
        Some(Self { server, relay, home: Home::with(config) })
    }

    /// A model as a target.
    fn target(&self, name: &str) -> String {
        format!("ollama:{}/{name}", self.relay.port())
    }

    /// Which of both versions this name means.
    fn version(&self, name: &str) -> &'static str {
        let digests = self.server.digests();
        match digests.get(name) {
            Some(digest) if *digest == digests["v1:latest"] => "v1",
            Some(digest) if *digest == digests["v2:latest"] => "v2",
            Some(_) => "another",
            None => "none",
        }
    }

    #[track_caller]
    fn run(&self, action: &str, name: &str, more: &[&str]) -> Value {
        let target = self.target(name);
        let args: Vec<&str> = [action, &target].into_iter().chain(more.iter().copied()).collect();
        run(&self.home, &args).1
    }

    #[track_caller]
    fn succeeds(&self, action: &str, name: &str, more: &[&str]) -> Value {
        let done = self.run(action, name, more);
        assert_eq!(done["outcome"], "succeeded", "{done}");
        done
    }

    #[track_caller]
    fn planned(&self, action: &str, name: &str, more: &[&str]) -> Value {
        let target = self.target(name);
        let args: Vec<&str> = [action, &target].into_iter().chain(more.iter().copied()).collect();
        planned(&self.home, &args)
    }

    #[track_caller]
    fn undone(&self, run: &Value) {
        let (code, back) = self.home.json(&["undo", run["run"].as_str().unwrap(), "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    }
}

fn weights() -> PathBuf {
    std::env::var_os("HOSTLER_TEST_MODEL").unwrap().into()
}

#[test]
fn a_real_model_takes_the_place_of_another_and_gives_it_back() {
    let Some(other) = bed::other_weights() else { return };
    let Some(server) = bed::ollama_with_llama() else { return };
    server.create("smollm", &weights(), "One.");
    server.create("gemma", &other, "Two.");
    server.copy("smollm", "chat");
    let home = Home::new();
    let target = |name: &str| format!("ollama:{}/{name}", server.address().port());
    let served = || {
        server.generate("chat");
        // The one before stays in memory under this name for a while; the latest stands first.
        server.loaded().into_iter().find(|(name, _)| name == "chat:latest").unwrap().1
    };
    assert_eq!(served(), server.digest("smollm:latest"));
    let (_, done) = run(&home, &["model.promote", &target("gemma"), "--to", "chat"]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    assert_eq!(served(), server.digest("gemma:latest"));
    let (_, done) = run(&home, &["model.rollback", &target("chat")]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    assert_eq!(served(), server.digest("smollm:latest"));

    let (_, done) = run(&home, &["model.unload", &target("chat")]);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    let first = ("chat:latest".to_owned(), server.digest("smollm:latest"));
    bed::wait_until(bed::DEADLINE, "it is unloaded", || (!server.loaded().contains(&first)).then_some(()));
    // It is in memory under the other name still.
    let gemma = server.digest("gemma:latest");
    let is_loaded = || server.loaded().iter().any(|(_, digest)| *digest == gemma);
    assert_eq!(run(&home, &["model.load", &target("gemma")]).1["outcome"], "nothing-to-do");
    assert_eq!(run(&home, &["model.unload", &target("gemma")]).1["outcome"], "succeeded");
    bed::wait_until(bed::DEADLINE, "it is unloaded", || (!is_loaded()).then_some(()));
    assert_eq!(run(&home, &["model.load", &target("gemma")]).1["outcome"], "succeeded");
    assert!(is_loaded());
}

#[test]
fn a_version_is_promoted_and_rolled_back() {
    let Some(it) = Rig::new() else { return };
    let before = it.server.bytes();
    let plan = it.planned("model.promote", "v2", &[]);
    let expected = [
        format!("keep the present chat:latest as {KEPT}, which costs no bytes"),
        "chat:latest is v2:latest".to_owned(),
        "have chat:latest generate a few tokens".to_owned(),
    ];
    assert_eq!(steps(&plan), expected, "{plan}");
    let promoted = it.succeeds("model.promote", "v2", &[]);
    assert_eq!((it.version("chat:latest"), it.version(KEPT)), ("v2", "v1"), "{promoted}");
    assert!(it.relay.asked().iter().any(|asked| asked.contains("/api/generate") && asked.contains("chat:latest")));
    assert_eq!(it.server.bytes(), before);

    let back = it.succeeds("model.rollback", "chat", &[]);
    assert_eq!((it.version("chat:latest"), it.version(KEPT)), ("v1", "none"), "{back}");
    it.undone(&back);
    assert_eq!((it.version("chat:latest"), it.version(KEPT)), ("v2", "v1"));
    it.undone(&promoted);
    assert_eq!(it.version("chat:latest"), "v1");
    assert_eq!(it.server.names(), ["chat:latest", "v1:latest", "v2:latest"]);
    assert_eq!(it.server.bytes(), before);
    let none = it.home.run(&["run", "model.rollback", &it.target("chat"), "--yes"]);
    none.refused(4, KEPT);
}

#[test]
fn a_version_that_generates_nothing_is_taken_back() {
    let Some(it) = Rig::new() else { return };
    // Without the relay's part Ollama fails really: the libraries that generate are not there.
    let target = format!("ollama:{}/v2", it.server.address().port());
    let (code, failed) = run(&it.home, &["model.promote", &target]);
    assert_eq!((code, failed["outcome"].as_str()), (1, Some("rolled-back")), "{failed}");
    assert!(failed["text"].as_str().unwrap().contains("generated nothing: status 500: "), "{failed}");
    assert!(failed["text"].as_str().unwrap().contains("llama-server"), "Ollama's own words: {failed}");
    assert_eq!(it.server.names(), ["chat:latest", "v1:latest", "v2:latest"]);
    assert_eq!(it.version("chat:latest"), "v1");
}

#[test]
fn a_new_name_goes_when_it_is_taken_back() {
    let Some(it) = Rig::new() else { return };
    let promoted = it.succeeds("model.promote", "v2", &["--to", "fast:1"]);
    assert!(promoted["plan"]["warnings"].as_array().is_none_or(Vec::is_empty) || it.version("fast:1") == "v2");
    it.undone(&promoted);
    assert_eq!(it.version("fast:1"), "none");
}

#[test]
fn earlier_versions_are_a_stack_and_the_left_one_stays() {
    let Some(it) = Rig::new() else { return };
    it.succeeds("model.promote", "v2", &[]);
    it.server.create("v3", &weights(), "Three.");
    it.succeeds("model.promote", "v3", &[]);
    // Nobody else holds the version that the roll back leaves.
    let third = it.server.digest("v3:latest");
    it.server.delete("v3");
    it.succeeds("model.rollback", "chat", &[]);
    assert_eq!(it.version("chat:latest"), "v2");
    assert_eq!(it.server.digest("chat:latest-hostler-aside-1"), third);
    it.succeeds("model.rollback", "chat", &[]);
    assert_eq!(it.version("chat:latest"), "v1");
    it.home.run(&["run", "model.rollback", &it.target("chat"), "--yes"]).refused(4, "no earlier version");
    it.succeeds("model.promote", "chat:latest-hostler-aside-1", &[]);
    assert_eq!(it.server.digest("chat:latest"), third);
}

#[test]
fn old_names_go_when_another_one_holds_their_bytes() {
    let Some(it) = Rig::with("[models]\naliases = [\"chat\"]\n[actions]\nkeep = 2\n") else { return };
    for version in ["v2", "v1", "v2", "v1"] {
        it.succeeds("model.promote", version, &[]);
    }
    let kept: Vec<String> = it.server.names().into_iter().filter(|name| name.contains("previous")).collect();
    assert_eq!(kept, ["chat:latest-hostler-previous-3", "chat:latest-hostler-previous-4"]);
}

#[test]
fn two_aliases_on_one_digest_go_their_own_ways() {
    let Some(it) = Rig::new() else { return };
    it.server.copy("v1", "code");
    it.succeeds("model.promote", "v2", &["--to", "chat"]);
    it.succeeds("model.promote", "v2", &["--to", "code"]);
    it.succeeds("model.rollback", "chat", &[]);
    assert_eq!((it.version("chat:latest"), it.version("code:latest")), ("v1", "v2"));
    let plan = it.planned("model.delete", "v2", &[]);
    assert_eq!(plan["plan"]["steps"][0]["bytes"], 0, "{plan}");
    let names: Vec<String> = it.server.names();
    assert!(names.contains(&"code:latest-hostler-previous-1".to_owned()), "{names:?}");
}

#[test]
fn what_changed_since_it_was_planned_is_left_alone() {
    let Some(it) = Rig::new() else { return };
    let plan = it.planned("model.promote", "v2", &[])["plan"].clone();
    // Promoted to a digest that is gone.
    it.server.delete("v2");
    assert_eq!(worker(&it.home, &plan).0.wait().unwrap().code(), Some(1));
    let failed = journal(&it.home);
    assert_eq!(failed["outcome"], "rolled-back", "{failed}");
    assert!(failed["text"].as_str().unwrap().contains("v2:latest is gone"), "{failed}");
    assert_eq!(it.server.names(), ["chat:latest", "v1:latest"]);

    // A kept version whose manifest somebody deleted.
    it.server.create("v2", &weights(), "Two.");
    it.succeeds("model.promote", "v2", &[]);
    let plan = it.planned("model.rollback", "chat", &[])["plan"].clone();
    it.server.delete(KEPT);
    assert_eq!(worker(&it.home, &plan).0.wait().unwrap().code(), Some(1));
    assert!(journal(&it.home)["text"].as_str().unwrap().contains("is gone"));
    assert_eq!(it.version("chat:latest"), "v2");
    it.home.run(&["run", "model.rollback", &it.target("chat"), "--yes"]).refused(4, "no earlier version");

    // An alias that somebody moved meanwhile.
    it.server.create("v3", &weights(), "Three.");
    let plan = it.planned("model.promote", "v1", &[])["plan"].clone();
    it.server.copy("v3", "chat");
    assert_eq!(worker(&it.home, &plan).0.wait().unwrap().code(), Some(1));
    assert_eq!(it.server.digest("chat:latest"), it.server.digest("v3:latest"));
}

#[test]
fn an_undo_does_not_take_away_what_came_later() {
    let Some(it) = Rig::new() else { return };
    let promoted = it.succeeds("model.promote", "v2", &[]);
    it.server.create("v3", &weights(), "Three.");
    it.succeeds("model.promote", "v3", &[]);
    let ended = it.home.run(&["undo", promoted["run"].as_str().unwrap()]);
    assert_eq!(ended.code, 1, "{} {}", ended.out, ended.err);
    assert_eq!(it.server.digest("chat:latest"), it.server.digest("v3:latest"));
    assert_eq!(it.version(KEPT), "v1");
}

#[test]
fn names_that_are_none_are_refused_before_anybody_is_asked() {
    let Some(it) = Rig::new() else { return };
    for name in ["../../etc/passwd", "a/../b", "a\u{1b}[2Jb", "a b", "a:b:c", "-rf", "", "v2\n"] {
        for action in ["model.promote", "model.rollback", "model.pull", "model.delete", "model.load"] {
            let ended = it.home.run(&["run", action, "--yes", &it.target(name)]);
            assert_eq!(ended.code, 4, "{action} {name:?}: {} {}", ended.out, ended.err);
            assert!(!ended.err.contains('\u{1b}'), "{action} {name:?}");
        }
    }
    for to in ["../chat", "a\u{1b}b", "chat:a/b", "chat:latest-hostler-previous-7"] {
        let ended = it.home.run(&["run", "model.promote", &it.target("v2"), "--to", to, "--yes"]);
        assert_eq!(ended.code, 4, "{to:?}: {} {}", ended.out, ended.err);
    }
    assert!(it.relay.asked().iter().all(|asked| asked.starts_with("GET ")), "{:?}", it.relay.asked());
    it.home.run(&["run", "model.promote", &it.target("v9"), "--yes"]).refused(4, "did you mean `v");
    it.home.run(&["run", "model.load", "--yes"]).refused(4, "ENGINE:PORT/NAME");
    it.home.run(&["run", "model.load", "ollama:1/v1", "--yes"]).refused(4, "no inference server answers");
}

#[test]
fn an_alias_is_asked_for_where_there_are_several() {
    let Some(it) = Rig::with("[models]\naliases = [\"chat\", \"code:1\", \"/models/chat.gguf\"]\n") else { return };
    it.home.run(&["run", "model.promote", &it.target("v2"), "--yes"]).refused(4, "chat:latest, code:1");
    let plan = it.planned("model.promote", "v2", &["--to", "cht"]);
    assert!(plan["plan"]["warnings"][0].as_str().unwrap().contains("cht:latest is none of the names"), "{plan}");
    assert_eq!(it.planned("model.promote", "v1", &["--to", "chat"])["plan"]["steps"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_needed_goes_only_if_that_is_said_twice() {
    let Some(it) = Rig::new() else { return };
    let plan = it.planned("model.delete", "chat", &[]);
    assert_eq!(steps(&plan), [""; 0], "{plan}");
    assert!(plan["plan"]["warnings"][0].as_str().unwrap().contains("clients use"), "{plan}");
    it.succeeds("model.promote", "v2", &[]);
    let kept = it.planned("model.delete", KEPT, &[]);
    assert!(kept["plan"]["warnings"][0].as_str().unwrap().contains("can be rolled back to"), "{kept}");
    assert_eq!(it.run("model.delete", KEPT, &[])["outcome"], "nothing-to-do");
    it.home.run(&["run", "model.delete", &it.target(KEPT), "--with", "delete", "--yes"]).refused(4, "--confirm");
    it.succeeds("model.delete", KEPT, &["--with", "delete", "--confirm", KEPT]);
    assert_eq!(it.version(KEPT), "none");
}

#[test]
fn a_model_that_serves_is_unloaded_before_it_is_deleted() {
    let Some(it) = Rig::new() else { return };
    let digest = it.server.digest("v2:latest");
    let ps = format!(
        r#"{{"models":[{{"name":"v2:latest","model":"v2:latest","size":9,"digest":"{digest}","size_vram":9,"expires_at":"2318-01-01T00:00:00Z"}}]}}"#
    );
    it.relay.plays("GET /api/ps", whole("200 OK", &ps));
    assert_eq!(it.run("model.delete", "v2", &[])["outcome"], "nothing-to-do");
    it.succeeds("model.delete", "v2", &["--with", "delete", "--confirm", "v2:latest"]);
    let asked = it.relay.asked();
    let place = |part: &str| asked.iter().position(|asked| asked.contains(part)).unwrap_or_else(|| panic!("{asked:?}"));
    assert!(place("\"keep_alive\":0") < place("DELETE /api/delete"));
    assert_eq!(it.server.names(), ["chat:latest", "v1:latest"]);
}

#[test]
fn bytes_are_those_that_no_other_model_holds() {
    let Some(it) = Rig::new() else { return };
    // Both versions share the weights; what is freed is a few hundred bytes.
    let plan = it.planned("model.delete", "v2", &[]);
    let bytes = plan["plan"]["steps"][0]["bytes"].as_u64().unwrap();
    let before = it.server.whole_bytes();
    it.succeeds("model.delete", "v2", &["--confirm", "v2:latest"]);
    assert_eq!(before - it.server.whole_bytes(), bytes, "{plan}");
    assert!(bytes < 10_000, "{bytes}");
    // The last name of the weights, in two steps.
    it.server.delete("chat");
    let plan = it.planned("model.delete", "v1", &[]);
    let bytes = plan["plan"]["steps"][0]["bytes"].as_u64().unwrap();
    it.succeeds("model.delete", "v1", &["--confirm", "v1:latest"]);
    assert_eq!((it.server.bytes(), bytes > 50 << 20), (0, true), "{plan}");
}

#[test]
fn a_model_is_loaded_and_unloaded() {
    let Some(it) = Rig::new() else { return };
    let asked = |part: &str| it.relay.asked().iter().filter(|asked| asked.ends_with(part)).count();
    let loaded = it.succeeds("model.load", "v1", &[]);
    assert_eq!(asked(r#"POST /api/generate {"model":"v1:latest"}"#), 1);
    it.undone(&loaded);
    assert_eq!(asked(r#"{"keep_alive":0,"model":"v1:latest"}"#), 1);
    let plan = it.planned("model.unload", "v1", &[]);
    assert_eq!(steps(&plan), [""; 0], "{plan}");
    // Really, without the libraries, it fails, and says so.
    let target = format!("ollama:{}/v1", it.server.address().port());
    let (code, failed) = run(&it.home, &["model.load", &target]);
    assert_eq!((code, failed["outcome"].as_str()), (1, Some("failed")), "{failed}");
}

#[test]
fn an_engine_that_breaks_off_is_told() {
    let Some(it) = Rig::new() else { return };
    it.relay.plays("POST /api/copy", broken_off(""));
    let failed = it.run("model.promote", "v2", &[]);
    assert_eq!(failed["outcome"], "rolled-back", "{failed}");
    assert_eq!(it.server.names(), ["chat:latest", "v1:latest", "v2:latest"]);
}
