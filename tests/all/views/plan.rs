//! The popup of a plan: everything that is to be known before it is confirmed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hostler::domain::{Choice, Op, Plan, Risk, Step};
use hostler::ui::Intent;
use hostler::ui::popups::Popup;
use hostler::ui::tabs::TabId;

use super::{SIZES, drawn, healthy, named, role_theme, text_of, ui};

/// An update with a choice of versions, and with what the makers say.
fn update() -> Plan {
    let pull = Op::Pull { reference: "n8nio/n8n:1.118.2".to_owned() };
    let choice = |tag: &str, about: &str| Choice { tag: tag.to_owned(), about: about.to_owned(), chosen: false };
    Plan {
        action: "container.update".to_owned(),
        targets: vec!["agents/n8n".to_owned()],
        title: "Update agents/n8n".to_owned(),
        summary: String::new(),
        steps: vec![Step::new("pull agents/n8n", "pull n8nio/n8n:1.118.2", Risk::Disruptive, pull)],
        warnings: vec!["whether n8nio/n8n:1.118.2 has changed is unknown, because docker.io did not answer".to_owned()],
        kept: vec!["agents/n8n and its image, for roll back".to_owned()],
        undo: "by itself if it does not come up well".to_owned(),
        commands: Vec::new(),
        verdict: None,
        downtime: None,
        notes: [
            "n8n@1.119.0, 2026-11-20, breaks or migrates:",
            "  - BREAKING: the task runner listens on another port, so that whoever published the old one has to change that",
            "n8n@1.119.0, 2026-11-20, notes:",
            "  - a new node",
            "in full: https://github.com/n8n-io/n8n/releases/tag/n8n@1.119.0",
        ]
        .map(str::to_owned)
        .to_vec(),
        choices: vec![
            Choice { chosen: true, ..choice("1.118.2", "the same tag") },
            choice("2.0.1", "major, 2 d old"),
            choice("1.119.0", "minor, 8 d old"),
        ],
        rolls_back: true,
        locks: Vec::new(),
    }
}

fn press(ui: &mut hostler::ui::Ui, code: KeyCode) -> Vec<Intent> {
    let state = healthy();
    ui.key(KeyEvent::new(code, KeyModifiers::NONE), &state, state.now)
}

#[test]
fn a_plan_is_drawn_whole() {
    let state = healthy();
    for size in SIZES {
        let mut ui = ui(TabId::Containers, *size, role_theme());
        assert_eq!(ui.planned(Ok(Box::new(update())), state.now), []);
        named(&format!("plan-update-{}x{}", size.0, size.1), &drawn(&ui, &state));
    }
}

#[test]
fn a_digit_plans_the_update_to_another_version() {
    let state = healthy();
    for (digit, to) in [('1', None), ('2', Some("2.0.1")), ('3', Some("1.119.0")), ('4', None)] {
        let mut ui = ui(TabId::Containers, (160, 48), role_theme());
        ui.planned(Ok(Box::new(update())), state.now);
        let wished = press(&mut ui, KeyCode::Char(digit));
        let expected = to.map(|to| Intent::Plan {
            action: "container.update".to_owned(),
            targets: vec!["agents/n8n".to_owned()],
            to: Some(to.to_owned()),
        });
        assert_eq!(wished, expected.into_iter().collect::<Vec<_>>(), "{digit}");
        // The plan that is not wanted any more cannot be confirmed.
        assert_eq!(ui.popup.is_none(), to.is_some(), "{digit}");
    }
}

#[test]
fn a_plan_without_a_step_is_shown_for_its_choices_and_carries_nothing_out() {
    let state = healthy();
    let mut ui = ui(TabId::Containers, (160, 48), role_theme());
    let kept = vec!["n8nio/n8n:1.118.2 is the newest".to_owned()];
    let plan = Plan { steps: Vec::new(), warnings: Vec::new(), kept, ..update() };
    assert_eq!(ui.planned(Ok(Box::new(plan.clone())), state.now), []);
    assert!(matches!(ui.popup, Some(Popup::Confirm(_))));
    assert_eq!(press(&mut ui, KeyCode::Char('y')), []);
    let text = text_of(&drawn(&ui, &state));
    assert!(text.matches("n8nio/n8n:1.118.2 is the newest").count() == 2, "{text}");
    assert_eq!(press(&mut ui, KeyCode::Char('2')).len(), 1);

    ui.planned(Ok(Box::new(Plan { choices: Vec::new(), ..plan })), state.now);
    assert!(ui.popup.is_none(), "without a choice a word is enough");
    assert!(text_of(&drawn(&ui, &state)).contains("n8nio/n8n:1.118.2 is the newest"));
}
