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
    let model = home.path().join(".ollama/models/manifests/registry.ollama.ai/library/qwen3");
    fs::create_dir_all(&model).unwrap();
    fs::create_dir_all(home.path().join(".ollama/models/blobs")).unwrap();
    fs::write(model.join("8b"), MANIFEST).unwrap();

    home.run(&["snapshot", "--json", "--read-only"]);
    assert!(served(&home, port).is_empty(), "who may only read writes nothing");
    home.run(&["snapshot", "--json"]);
    let first = served(&home, port);
    assert_eq!(first.len(), 1, "{first:?}");
    let digest = sha256(MANIFEST.as_bytes()).trim_start_matches("sha256:").to_owned();
    assert_eq!((&first[0]["model"], &first[0]["digest"]), (&json!("qwen3:8b"), &json!(digest)));
    assert_eq!((&first[0]["engine_version"], &first[0]["driver"]), (&json!("0.33.0"), &Value::Null));
    home.run(&["snapshot", "--json"]);
    assert_eq!(served(&home, port), first, "another process writes nothing twice");

    server.reply("/api/version", answer("200 OK", "{\"version\":\"0.34.0\"}"));
    home.run(&["snapshot", "--json"]);
    let both = served(&home, port);
    assert_eq!((both.len(), &both[1]["engine_version"]), (2, &json!("0.34.0")));
    let journal = home.run(&["journal"]).out;
    let lines: Vec<&str> = journal.lines().filter(|line| line.contains(&format!("ollama:{port}"))).collect();
    assert!(lines.len() == 2 && lines[1].contains("serves") && lines[1].contains("version 0.34.0"), "{journal}");
}
