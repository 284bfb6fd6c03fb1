//! Keys on the Models tab: which action they plan, and how the model is written.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hostler::domain::{EngineKind, ModelRef, Reading, Residency};
use hostler::ui::Intent;
use hostler::ui::tabs::TabId;

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
    for (key, action) in [
        ('o', "model.unload"),
        ('p', "model.promote"),
        ('b', "model.rollback"),
        ('+', "model.pull"),
        ('D', "model.delete"),
    ] {
        assert_eq!(press(KeyCode::Char(key)), plan(action, "qwen3:32b"), "{key}");
    }
    assert!(text_of(&drawn(&ui, state)).contains("delete: looking at what it would do"));
}
