use std::sync::Arc;

use super::*;
use crate::domain::{
    Asked, JournalEntry, LibrarySample, ModelAnswer, ModelRelease, ModelUpdateSample, Sample, Standing, UpdateMemory,
};
use crate::make::{Script, engine, gpu, stored_model, wall};

/// A model of Ollama with this digest.
fn qwen(digest: &str) -> StoredModel {
    StoredModel {
        path: "/m/manifests/registry.ollama.ai/library/qwen3/8b".to_owned(),
        digest: Some(digest.to_owned()),
        ..stored_model("qwen3:8b")
    }
}

fn library(models: Vec<StoredModel>) -> Sample {
    Sample::Library(Arc::new(LibrarySample { models, ..LibrarySample::default() }))
}

/// The registry has this digest.
fn published(digest: &str) -> Sample {
    let release = ModelRelease {
        name: "qwen3:8b".to_owned(),
        digest: Some(digest.to_owned()),
        published: Some(wall(0)),
        since: wall(0),
        weights_bytes: Some(5 << 30),
        parameters: None,
    };
    let answer = ModelAnswer { at: wall(0), releases: vec![release], before: Vec::new() };
    let asked = Asked { at: wall(0), next: wall(0), answer: Some(answer), fault: None };
    let memory = UpdateMemory { models: [("qwen3:8b".to_owned(), asked)].into(), ..UpdateMemory::default() };
    let families = [["qwen3:8b".parse().unwrap()]].concat().into();
    Sample::ModelUpdates(Arc::new(ModelUpdateSample { memory: Arc::new(memory), families, off: false }))
}

fn model(name: &str, residency: Residency) -> ModelRef {
    ModelRef { name: name.to_owned(), residency, ..ModelRef::default() }
}

fn serving(kind: EngineKind, version: &str, models: Vec<ModelRef>) -> Engine {
    Engine { version: Reading::Known(version.to_owned()), models: Reading::Known(models), ..engine(kind, 11_434) }
}

fn loaded() -> Residency {
    Residency::Loaded { vram_bytes: None, until: None }
}

#[test]
fn a_model_is_compared_as_soon_as_both_sides_are_known_and_again_after_a_pull() {
    let mut script = Script::new();
    script.at(1).sample(library(vec![qwen("1")]));
    assert_eq!(script.state.model_update(&qwen("1")), None);
    script.at(2).sample(published("2"));
    let standing = |script: &Script| script.state.model_update(&qwen("1")).unwrap().standing.known().cloned();
    assert!(matches!(standing(&script), Some(Standing::Newer { digest, .. }) if digest == "2"));
    script.at(3).sample(library(vec![qwen("2")]));
    assert_eq!(standing(&script), Some(Standing::Current));
    assert_eq!(script.state.model_update(&stored_model("other:1")), None);
}

#[test]
fn a_family_is_new_until_it_was_reviewed_and_waits_for_the_cards() {
    let mut script = Script::new();
    script.at(1).sample(published("2"));
    let first = |script: &Script| script.state.watched_families()[0].releases.known().unwrap()[0].clone();
    assert!(first(&script).new && first(&script).fits.why().is_some());
    script.at(2).gpus([gpu(0)]).journal(JournalEntry::ModelsReviewed);
    assert_eq!((first(&script).new, first(&script).fits.get()), (false, Some(true)));
    assert_eq!(script.state.journal.len(), 1);
}

#[test]
fn what_is_served_is_recorded_when_a_part_of_it_changes() {
    let mut script = Script::new();
    let models = || vec![model("qwen3:8b", loaded()), model("llama3.1:8b", Residency::OnDisk)];
    script.at(1).gpus([gpu(0)]).engines([serving(EngineKind::Ollama, "0.33.0", models())]);
    assert_eq!(script.state.newly_served(), [], "the library was not read yet");
    script.at(2).sample(library(vec![qwen("1"), stored_model("llama3.1:8b")]));
    let news = script.state.newly_served();
    let [served] = &news[..] else { panic!("{news:?}") };
    assert_eq!(served.to_string(), "ollama:11434 qwen3:8b (1), version 0.33.0, driver 580.95.05");
    assert!(!served.only);

    script.journal(JournalEntry::Served(served.clone()));
    assert_eq!(script.state.newly_served(), []);
    script.at(3).engines([serving(EngineKind::Ollama, "0.33.0", vec![])]);
    script.at(4).engines([serving(EngineKind::Ollama, "0.33.0", models())]);
    assert_eq!(script.state.newly_served(), [], "it was unloaded and came back as it was");
    script.at(5).sample(library(vec![qwen("2")]));
    assert_eq!(script.state.newly_served()[0].digest.as_deref(), Some("2"));
    script.at(6).sample(library(vec![qwen("1")])).engines([serving(EngineKind::Ollama, "0.34.0", models())]);
    assert_eq!(script.state.newly_served()[0].engine_version.as_deref(), Some("0.34.0"));
}

#[test]
fn a_server_of_one_model_tells_when_it_is_exchanged_and_back() {
    let mut script = Script::new();
    let file = |name: &str| StoredModel {
        store: ModelStore::Folder,
        path: format!("/models/{name}"),
        digest: None,
        ..stored_model(name)
    };
    script.at(1).gpus([]).sample(library(vec![file("a.gguf"), file("b.gguf")]));
    for name in ["a.gguf", "b.gguf", "a.gguf"] {
        let models = vec![model(&format!("/models/{name}"), Residency::Unknown)];
        script.engines([serving(EngineKind::LlamaCpp, "b1", models)]);
        let news = script.state.newly_served();
        let [served] = &news[..] else { panic!("{name}: {news:?}") };
        assert_eq!(served.digest.as_deref(), Some("1073741824 bytes of 2026-10-24T09:02:11Z"));
        script.journal(JournalEntry::Served(served.clone()));
        assert_eq!(script.state.newly_served(), []);
    }
    let proxied = vec![model("gpt", Residency::Unknown)];
    script.engines([serving(EngineKind::LiteLlm, "1", proxied.clone()), serving(EngineKind::Ollama, "1", proxied)]);
    assert_eq!(script.state.newly_served(), [], "what runs elsewhere is not served here");
}
