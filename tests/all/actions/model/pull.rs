//! Pulls, as a double of Ollama's stream (`server/images.go`, `PullModel`; `server/routes.go`, `streamResponse`) tells them:
//! nothing is fetched in a test. All else is a real Ollama.

use super::{Rig, broken_off, whole};

const LAYER: &str = "sha256:aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899";

/// The lines of a pull up to this many bytes of 1,000,000.
fn lines(done: u64) -> String {
    format!(
        "{{\"status\":\"pulling manifest\"}}\n{{\"status\":\"pulling aabbccddeeff\",\"digest\":\"{LAYER}\",\"total\":1000000,\"completed\":1000}}\n{{\"status\":\"pulling aabbccddeeff\",\"digest\":\"{LAYER}\",\"total\":1000000,\"completed\":{done}}}\n"
    )
}

fn stream(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n{lines}").into_bytes()
}

#[test]
fn a_pull_that_fails_leaves_the_present_version_and_says_what_is_here() {
    let Some(it) = Rig::new() else { return };
    let names = it.server.names();
    let full = format!("{}{{\"error\":\"write /models/blobs/x-partial: no space left on device\"}}\n", lines(500_000));
    for (answer, part) in [
        (broken_off(&lines(990_000)), "broke off while pulling aabbccddeeff; 967 KiB of 977 KiB are here"),
        // An end without a word of success is none.
        (stream(&lines(990_000)), "broke off while pulling aabbccddeeff; 967 KiB of 977 KiB are here"),
        (stream(&full), "no space left on device; 488 KiB of 977 KiB are here"),
        (
            stream("{\"status\":\"pulling manifest\"}\n{\"error\":\"pull model manifest: file does not exist\"}\n"),
            "does not exist",
        ),
        (whole("500 Internal Server Error", "{\"error\":\"no route\"}"), "no route"),
        (whole("502 Bad Gateway", "<html>"), "is not understood"),
        (stream("not JSON\n"), "is not understood"),
        (stream(&"x".repeat(100_000)), "is larger than"),
    ] {
        it.relay.plays("POST /api/pull", answer);
        let failed = it.run("model.pull", "chat", &[]);
        assert_eq!(failed["outcome"], "rolled-back", "{failed}");
        assert!(failed["text"].as_str().unwrap().contains(part), "{part}: {failed}");
        assert_eq!((it.version("chat:latest"), it.server.names()), ("v1", names.clone()), "{part}");
    }
}

#[test]
fn a_pull_of_what_is_the_newest_already_keeps_no_second_name() {
    let Some(it) = Rig::new() else { return };
    let names = it.server.names();
    it.relay.plays("POST /api/pull", stream(&format!("{}{{\"status\":\"success\"}}\n", lines(1_000_000))));
    let pulled = it.succeeds("model.pull", "chat", &[]);
    assert_eq!(it.server.names(), names, "{pulled}");
    it.undone(&pulled);
    assert_eq!((it.version("chat:latest"), it.server.names()), ("v1", names));
}

#[test]
fn a_pull_without_the_model_afterwards_is_none() {
    let Some(it) = Rig::new() else { return };
    it.relay.plays("POST /api/pull", stream("{\"status\":\"success\"}\n"));
    let failed = it.run("model.pull", "new:1", &[]);
    assert_eq!(failed["outcome"], "failed", "{failed}");
    assert!(failed["text"].as_str().unwrap().contains("does not have it"), "{failed}");
}
