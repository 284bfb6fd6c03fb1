//! Keys on the Models tab: which action they plan, and how the model is written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hostler::domain::{
    Asked, ContainerMount, Engine, EngineKind, JournalEntry, Leftovers, LibraryPlace, LibrarySample, ModelAnswer,
    ModelOrigin, ModelRef, ModelRelease, ModelStore, ModelUpdateSample, Reading, Residency, Sample, StoredModel,
    UpdateMemory, Weights, WeightsFormat,
};
use hostler::store::State;
use hostler::ui::tabs::TabId;
use hostler::ui::{Intent, Ui};

use super::{drawn, role_theme, text_of, ui};
use crate::make::{self, Script};

fn model(name: &str, residency: Residency) -> ModelRef {
    ModelRef { name: name.to_owned(), residency, ..ModelRef::default() }
}

#[test]
fn keys_on_a_model_plan_what_is_done_to_it() {
    let mut script = Script::new();
    let mut engine = make::engine(EngineKind::Ollama, 11434);
    let loaded = Residency::Loaded { vram_bytes: None, until: None };
    engine.models = Reading::Known(vec![model("gemma3:4b", Residency::OnDisk), model("qwen3:32b", loaded)]);
    script.engines([engine]);
    let state = &script.state;
    let mut ui = ui(TabId::Models, (160, 48), role_theme());
    let mut press = |code| ui.key(KeyEvent::new(code, KeyModifiers::NONE), state, state.now);
    let plan = |action: &str, name: &str| {
        vec![Intent::Plan { action: action.to_owned(), targets: vec![format!("ollama:11434/{name}")], to: None }]
    };
    press(KeyCode::Tab);
    assert_eq!(press(KeyCode::Char('p')), [], "the server's own line is no model");
    press(KeyCode::Down);
    assert_eq!(press(KeyCode::Char('o')), plan("model.load", "gemma3:4b"));
    press(KeyCode::Down);
    for (key, action) in [('o', "model.unload"), ('p', "model.promote"), ('b', "model.rollback"), ('D', "model.delete")]
    {
        assert_eq!(press(KeyCode::Char(key)), plan(action, "qwen3:32b"), "{key}");
    }
    assert!(text_of(&drawn(&ui, state)).contains("delete: looking at what it would do"));
}

/// A screen whose config names these aliases, at the servers of the Models tab, and an Ollama with a model.
fn promoting(aliases: &[&str]) -> (Script, Ui) {
    let mut script = Script::new();
    let mut engine = make::engine(EngineKind::Ollama, 11434);
    engine.models = Reading::Known(vec![model("qwen3:32b", Residency::OnDisk)]);
    script.engines([engine]);
    let mut ui = ui(TabId::Models, (160, 48), role_theme());
    ui.setup.aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    (script, ui)
}

fn press(ui: &mut Ui, state: &State, code: KeyCode) -> Vec<Intent> {
    ui.key(KeyEvent::new(code, KeyModifiers::NONE), state, state.now)
}

/// Goes from the servers to the model: the first line of the library is the server's own.
fn at_its_model(ui: &mut Ui, state: &State) {
    press(ui, state, KeyCode::Tab);
    press(ui, state, KeyCode::Down);
}

#[test]
fn of_several_aliases_one_is_chosen() {
    let (script, mut ui) = promoting(&["chat:latest", "/models/chat.gguf", "summary:latest"]);
    let state = &script.state;
    at_its_model(&mut ui, state);
    assert_eq!(press(&mut ui, state, KeyCode::Char('p')), []);
    let text = text_of(&drawn(&ui, state));
    assert!(text.contains("Promote ollama:11434/qwen3:32b to") && text.contains("chat:latest"), "{text}");
    assert!(!text.contains("/models/chat.gguf"), "a link is no name of Ollama's: {text}");
    for letter in "su".chars() {
        press(&mut ui, state, KeyCode::Char(letter));
    }
    let planned = Intent::Plan {
        action: "model.promote".to_owned(),
        targets: vec!["ollama:11434/qwen3:32b".to_owned()],
        to: Some("summary:latest".to_owned()),
    };
    assert_eq!(press(&mut ui, state, KeyCode::Enter), [planned]);
    assert!(ui.popup.is_none());
}

#[test]
fn of_one_alias_nobody_is_asked() {
    let (script, mut ui) = promoting(&["chat:latest", "/models/chat.gguf"]);
    at_its_model(&mut ui, &script.state);
    let planned = press(&mut ui, &script.state, KeyCode::Char('p'));
    assert!(matches!(planned.as_slice(), [Intent::Plan { to: None, .. }]), "{planned:?}");
}

#[test]
fn what_is_pulled_is_written_first() {
    let (script, mut ui) = promoting(&[]);
    let state = &script.state;
    assert_eq!(press(&mut ui, state, KeyCode::Char('+')), []);
    assert!(text_of(&drawn(&ui, state)).contains("ollama:11434/_"), "the server that is selected");
    assert_eq!(press(&mut ui, state, KeyCode::Enter), []);
    assert!(text_of(&drawn(&ui, state)).contains("say which model, such as qwen3:32b"));
    press(&mut ui, state, KeyCode::Esc);
    at_its_model(&mut ui, state);
    press(&mut ui, state, KeyCode::Char('+'));
    for _ in "32b".chars() {
        press(&mut ui, state, KeyCode::Backspace);
    }
    for letter in "8b".chars() {
        press(&mut ui, state, KeyCode::Char(letter));
    }
    let targets = vec!["ollama:11434/qwen3:8b".to_owned()];
    let planned = Intent::Plan { action: "model.pull".to_owned(), targets, to: None };
    assert_eq!(press(&mut ui, state, KeyCode::Enter), [planned]);
    assert!(ui.popup.is_none());
    ui.setup.read_only = true;
    press(&mut ui, state, KeyCode::Char('+'));
    assert!(ui.popup.is_none(), "nothing is filled in that would be refused");
}

#[test]
fn the_library_tells_what_a_name_is_for_and_who_has_it_in_memory() {
    let named = |name: &str| make::stored_model(name);
    let chat = StoredModel { also_named: vec!["qwen3:32b".to_owned()], ..named("chat:latest") };
    let lost = StoredModel { damage: Some("its weights are missing".to_owned()), ..named("phi4:14b") };
    let models = vec![chat, named("chat:latest-hostler-previous-1"), lost, named("qwen3:32b")];
    let sample = LibrarySample { models, places: vec![make::library_place("/m")], ..LibrarySample::default() };
    let mut script = Script::new();
    script.sample(Sample::Library(sample.into()));
    let loaded = Residency::Loaded { vram_bytes: Some(make::GIB), until: None };
    let models = Reading::Known(vec![model("qwen3:32b", loaded), model("elsewhere:7b", Residency::OnDisk)]);
    script.engines([Engine { models, ..make::engine(EngineKind::Ollama, 11434) }]);
    let mut ui = ui(TabId::Models, (160, 48), role_theme());
    ui.setup.aliases = vec!["chat:latest".to_owned()];
    let text = text_of(&drawn(&ui, &script.state));
    let line = |name: &str| {
        let begins = format!("    {name}");
        text.lines().find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("{text}"))
    };
    for (name, state) in [
        ("chat:latest ", "is qwen3:32b"),
        ("chat:latest-hostler-pr", "kept for roll back"),
        ("phi4:14b", "broken"),
        ("elsewhere:7b", "on disk"),
    ] {
        assert!(line(name).contains(state), "{name}: {}", line(name));
    }
    assert!(text.contains("Ollama :11434  not found on disk"), "{text}");
    let on_disk = text.lines().filter(|line| line.contains("  qwen3:32b ")).collect::<Vec<_>>();
    assert!(on_disk.iter().any(|line| line.contains("1.0G") && line.contains("loaded")), "{on_disk:?}");
}

/// A llama.cpp server in a container that has a folder of this host, beside which models lie that it does not see.
fn in_a_container() -> (Script, Ui) {
    let mut script = Script::new();
    let folder = ContainerMount { source: "/srv/models".to_owned(), destination: "/models".to_owned() };
    let container = make::container("llm").with(|container| container.mounts = vec![folder]);
    let mut engine = make::engine(EngineKind::LlamaCpp, 8080);
    engine.container = Some(container.0.id.clone());
    engine.models = Reading::Known(vec![model("/models/one.gguf", Residency::OnDisk)]);
    script.docker([container]).engines([engine]);
    let weights = Weights {
        format: WeightsFormat::Gguf,
        architecture: None,
        name: None,
        version: None,
        parameters: Reading::Known(1),
        quantization: None,
        bits_per_weight: Reading::Known(8.0),
        tensor_bytes: 1,
        shape: None,
    };
    let stored = |path: &str| StoredModel {
        weights: Reading::Known(weights.clone()),
        name: path.to_owned(),
        store: ModelStore::Folder,
        path: path.to_owned(),
        ..make::stored_model(path)
    };
    let models = vec![stored("/srv/models/one.gguf"), stored("/srv/models/two.gguf"), stored("/home/x/three.gguf")];
    script.sample(Sample::Library(LibrarySample { models, ..LibrarySample::default() }.into()));
    (script, ui(TabId::Models, (160, 48), role_theme()))
}

#[test]
fn a_server_in_a_container_is_given_a_model_that_it_sees() {
    let (script, mut ui) = in_a_container();
    let state = &script.state;
    assert_eq!(press(&mut ui, state, KeyCode::Char('p')), []);
    let text = text_of(&drawn(&ui, state));
    assert!(text.contains("Promote at llama.cpp:8080") && text.contains("/srv/models/two.gguf"), "{text}");
    assert!(!text.contains("/home/x/three.gguf"), "it does not see it: {text}");
    for letter in "two".chars() {
        press(&mut ui, state, KeyCode::Char(letter));
    }
    let planned = |action: &str, to: Option<&str>| Intent::Plan {
        action: action.to_owned(),
        targets: vec!["llama.cpp:8080".to_owned()],
        to: to.map(str::to_owned),
    };
    assert_eq!(press(&mut ui, state, KeyCode::Enter), [planned("model.promote", Some("/srv/models/two.gguf"))]);
    assert_eq!(press(&mut ui, state, KeyCode::Char('b')), [planned("model.rollback", None)]);
    // Any other model is written.
    press(&mut ui, state, KeyCode::Char('p'));
    for letter in "another".chars() {
        press(&mut ui, state, KeyCode::Char(letter));
    }
    press(&mut ui, state, KeyCode::Enter);
    assert!(text_of(&drawn(&ui, state)).contains("the path of a file or folder, or ORG/NAME"));
    assert_eq!(press(&mut ui, state, KeyCode::Enter), [], "an empty one is none");
    for letter in "a/b".chars() {
        press(&mut ui, state, KeyCode::Char(letter));
    }
    assert_eq!(press(&mut ui, state, KeyCode::Enter), [planned("model.promote", Some("a/b"))]);
}

#[test]
fn what_is_new_of_watched_families_is_signed() {
    let (mut script, mut ui) = in_a_container();
    let signed = |ui: &mut Ui, state: &State| press(ui, state, KeyCode::Char('R'));
    assert_eq!(signed(&mut ui, &script.state), []);
    assert!(text_of(&drawn(&ui, &script.state)).contains("[models] watch"));
    let family: ModelOrigin = "hf-author:mistralai".parse().unwrap();
    let release = ModelRelease {
        name: "mistralai/Mistral-Small-24B-FP8".to_owned(),
        digest: None,
        published: None,
        since: script.state.now.wall,
        weights_bytes: None,
        parameters: None,
    };
    let at = script.state.now.wall;
    let answer = Some(ModelAnswer { at, releases: vec![release], before: Vec::new() });
    let asked = Asked { at, next: at, answer, fault: None };
    let memory = UpdateMemory { models: [(family.to_string(), asked)].into(), ..UpdateMemory::default() };
    let sample = ModelUpdateSample { memory: memory.into(), families: [family].into(), off: false };
    script.sample(Sample::ModelUpdates(sample.into()));
    let shown = text_of(&drawn(&ui, &script.state));
    assert!(shown.contains("never reviewed") && shown.contains("hf-author:mistralai: 1 new"), "{shown}");
    assert!(shown.contains("Mistral-Small-24B-FP8"), "{shown}");
    assert_eq!(signed(&mut ui, &script.state), [Intent::Record(JournalEntry::ModelsReviewed)]);
    script.at(3 * 24 * 3600).journal(JournalEntry::ModelsReviewed);
    let shown = text_of(&drawn(&ui, &script.state));
    assert!(shown.contains("reviewed 0s ago by") && shown.contains("hf-author:mistralai: nothing new"), "{shown}");
    ui.setup.read_only = true;
    assert_eq!(signed(&mut ui, &script.state), []);
    assert!(text_of(&drawn(&ui, &script.state)).contains("read-only: nothing is signed"));
}

#[test]
fn a_place_of_nothing_but_leftovers_has_a_heading() {
    let mut script = Script::new();
    script.engines([make::engine(EngineKind::Ollama, 11434)]);
    let place = LibraryPlace {
        total_bytes: 3 << 30,
        orphans: Reading::Known(Leftovers { bytes: 3 << 30, count: 2, ..Leftovers::default() }),
        store: ModelStore::Ollama,
        ..make::library_place("/var/lib/ollama/models")
    };
    script.sample(Sample::Library(LibrarySample { places: vec![place], ..LibrarySample::default() }.into()));
    let shown = text_of(&drawn(&ui(TabId::Models, (160, 48), role_theme()), &script.state));
    assert!(shown.contains("Ollama  /var/lib/ollama/models  3.0 GiB · 3.0 GiB left over"), "{shown}");
}
