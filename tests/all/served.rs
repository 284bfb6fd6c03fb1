//! What was active when, in the journal: written once by whoever sees it first, and by nobody who may only read.

use std::fs;

use hostler::host::sha256;
use serde_json::{Value, json};

use crate::bed::Home;
use crate::engines::double::{Double, answer};

/// The manifest of the model that the engine has loaded.
const MANIFEST: &str = "{\"layers\":[]}";

/// Records of what the engine at `port` serves.
fn served(home: &Home, port: u16) -> Vec<Value> {
    let Ok(text) = fs::read_to_string(home.state().join("journal.jsonl")) else { return Vec::new() };
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["kind"] == "served" && record["engine"] == json!(format!("ollama:{port}"))).collect()
}

#[test]
fn what_is_served_is_recorded_once_and_again_when_it_changes() {
    let server = Double::ollama_0_33_0();
    let port = server.address().port();
    let home = Home::with(&format!("[sources]\nengines = [\"http://{}\"]\n", server.address()));
    // A machine on which nothing listens but what the config names: nobody else is asked.
    let root = home.path().join("root");
    let models = root.join(home.path().strip_prefix("/").unwrap()).join(".ollama/models");
    let model = models.join("manifests/registry.ollama.ai/library/qwen3");
    for folder in [&model, &models.join("blobs"), &root.join("proc/net")] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(root.join("proc/net/tcp"), "  sl  local_address rem_address   st\n").unwrap();
    fs::write(model.join("8b"), MANIFEST).unwrap();
    let look = |more: &[&str]| {
        home.run(&[&["snapshot", "--json", "--rootfs", root.to_str().unwrap()], more].concat());
    };

    look(&["--read-only"]);
    assert!(served(&home, port).is_empty(), "who may only read writes nothing");
    look(&[]);
    let first = served(&home, port);
    assert_eq!(first.len(), 1, "{first:?}");
    let digest = sha256(MANIFEST.as_bytes()).trim_start_matches("sha256:").to_owned();
    assert_eq!((&first[0]["model"], &first[0]["digest"]), (&json!("qwen3:8b"), &json!(digest)));
    assert_eq!((&first[0]["engine_version"], &first[0]["driver"]), (&json!("0.33.0"), &Value::Null));
    look(&[]);
    assert_eq!(served(&home, port), first, "another process writes nothing twice");

    server.reply("/api/version", answer("200 OK", "{\"version\":\"0.34.0\"}"));
    look(&[]);
    let both = served(&home, port);
    assert_eq!((both.len(), &both[1]["engine_version"]), (2, &json!("0.34.0")));
    let journal = home.run(&["journal"]).out;
    let lines: Vec<&str> = journal.lines().filter(|line| line.contains(&format!("ollama:{port}"))).collect();
    assert!(lines.len() == 2 && lines[1].contains("serves") && lines[1].contains("version 0.34.0"), "{journal}");
}
