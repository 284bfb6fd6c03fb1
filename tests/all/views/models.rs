//! Keys on the Models tab: which action they plan, and how the model is written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hostler::domain::{Engine, EngineKind, LibrarySample, ModelRef, Reading, Residency, Sample, StoredModel};
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
