//! The plan of a prune as it is shown before anything is done, and what keys choose there.

use crossterm::event::{KeyCode, KeyEvent};
use hostler::domain::{Item, Op, Outcome, Plan, Risk, Run, RunEntry, RunRecord, Step};
use hostler::store::State;
use hostler::ui::tabs::TabId;
use hostler::ui::{Intent, Ui};

use crate::make::Script;
use crate::views::{drawn, named, role_theme, text_of, ui};

const GIB: u64 = 1 << 30;

fn item(name: &str, detail: &str, bytes: u64) -> Item {
    Item { name: name.to_owned(), detail: detail.to_owned(), bytes: Some(bytes), data: false }
}

fn step(id: &str, title: &str, chosen: bool, bytes: Option<u64>, items: Vec<Item>) -> Step {
    let step = Step::new(id, title, Risk::Disruptive, Op::RemoveBuildCache).optional(chosen);
    Step { bytes, items, ..step }
}

/// A prune of a box that was long not cleaned up.
fn prune() -> Plan {
    let logs = Step {
        risk: Risk::Safe,
        follows: Some("containers".to_owned()),
        ..step("container-logs", "keep the logs of 2 containers down for more than 7 days", true, None, Vec::new())
    };
    let containers = vec![
        item("migrate-2025", "exit code 0, down for 61 d", 210 << 20),
        item("old-jupyter", "exit code 137 (killed, SIGKILL), down for 19 d", GIB),
    ];
    let dangling = (1..=9).map(|number| item("n8nio/n8n", &format!("{number:012x}, built {number}0 d ago"), GIB / 2));
    let unused = Step {
        beside: Some(("dangling-images".to_owned(), 2 * GIB)),
        command: Some("docker rmi vllm/vllm-openai:v0.31.0".to_owned()),
        ..step(
            "unused-images",
            "remove 1 named image that nothing uses",
            false,
            Some(9 * GIB),
            vec![item("vllm/vllm-openai:v0.31.0", "built 121 d ago, last used 44 d ago", 9 * GIB)],
        )
    };
    let anonymous = "3f9a".repeat(16);
    let volume = Item { data: true, ..item(&anonymous, "made 33 d ago", 3 * GIB) };
    let volumes = Step {
        risk: Risk::Destructive,
        ..step("anonymous-volumes", "remove 1 unnamed volume that nothing mounts", false, Some(3 * GIB), vec![volume])
    };
    Plan {
        title: "Prune".to_owned(),
        steps: vec![
            logs,
            step(
                "containers",
                "remove 2 containers down for more than 7 days",
                true,
                Some(GIB + (210 << 20)),
                containers,
            ),
            step("build-cache", "remove the build cache that no build uses", true, Some(4 * GIB), Vec::new()),
            step("dangling-images", "remove 9 images without a name", true, Some(5 * GIB), dangling.collect()),
            unused,
            volumes,
        ],
        kept: vec!["2 images and 1 old container, for roll back".to_owned()],
        undo: "nothing comes back by itself: images can be pulled or built again, logs stay with the run".to_owned(),
        ..Plan::of("docker.prune")
    }
}

fn open(size: (u16, u16)) -> (Ui, State) {
    let mut script = Script::new();
    script.at(1).memory(0.4).volumes([("/", 0.5)]);
    let mut ui = ui(TabId::Containers, size, role_theme());
    assert_eq!(ui.planned(Ok(Box::new(prune())), script.state.now), []);
    (ui, script.state)
}

fn press(ui: &mut Ui, state: &State, keys: &[KeyCode]) -> Vec<Intent> {
    keys.iter().flat_map(|key| ui.key(KeyEvent::from(*key), state, state.now)).collect()
}

#[test]
fn a_prune_is_shown_whole() {
    for size in [(160, 48), (80, 24)] {
        let (ui, state) = open(size);
        named(&format!("prune-{}x{}", size.0, size.1), &drawn(&ui, &state));
    }
}

#[test]
fn the_sum_follows_what_is_chosen() {
    let (mut ui, state) = open((160, 48));
    let sum = |ui: &Ui| {
        let text = text_of(&drawn(ui, &state));
        let at = text.find("frees ").unwrap_or_else(|| panic!("{text}")) + "frees ".len();
        text[at..].split("   ").next().unwrap().to_owned()
    };
    let (space, down) = (KeyCode::Char(' '), KeyCode::Down);
    assert_eq!(sum(&ui), "10.2 GiB");
    press(&mut ui, &state, &[down, space]);
    assert_eq!(sum(&ui), "9.0 GiB", "without the containers and their logs");
    press(&mut ui, &state, &[down, down, down, space]);
    assert_eq!(sum(&ui), "20.0 GiB", "with what both kinds of images hold");
    press(&mut ui, &state, &[KeyCode::Up, space]);
    assert_eq!(sum(&ui), "13.0 GiB", "without what the others hold, too");
    let [Intent::Carry(plan)] = &press(&mut ui, &state, &[KeyCode::Char('y')])[..] else { panic!("not carried out") };
    let chosen: Vec<&str> = plan.chosen().map(|(_, step)| step.id.as_str()).collect();
    assert_eq!(chosen, ["build-cache", "unused-images"]);
}

#[test]
fn every_object_can_be_seen() {
    let (mut ui, state) = open((160, 60));
    let shown = |ui: &Ui, text: &str| text_of(&drawn(ui, &state)).contains(text);
    assert!(shown(&ui, "and 3 more") && !shown(&ui, "000000000009"));
    press(&mut ui, &state, &[KeyCode::Char('a')]);
    assert!(!shown(&ui, "and 3 more") && shown(&ui, "000000000009") && shown(&ui, "lists fewer"));
}

#[test]
fn data_goes_only_when_its_name_is_typed() {
    let (mut ui, state) = open((160, 48));
    press(&mut ui, &state, &[KeyCode::Down; 5]);
    press(&mut ui, &state, &[KeyCode::Char(' ')]);
    let typed = "3f9a3f9a3f9a";
    assert!(text_of(&drawn(&ui, &state)).contains(&format!("type {typed} to let it go")));
    assert_eq!(press(&mut ui, &state, &[KeyCode::Tab, KeyCode::Enter]), [], "not typed yet");
    let keys: Vec<KeyCode> = typed.chars().map(KeyCode::Char).chain([KeyCode::Enter]).collect();
    assert!(matches!(press(&mut ui, &state, &keys)[..], [Intent::Carry(_)]));
}

/// A run of the prune that has ended well and freed so much.
fn run(freed: u64, at: jiff::Timestamp) -> Run {
    let planned = RunEntry::Planned { schema: 1, run: "r".to_owned(), by: "ada".to_owned(), plan: Box::new(prune()) };
    let mut run = Run::begin(&RunRecord { at, entry: planned }).unwrap();
    let ended = RunEntry::Ended { outcome: Outcome::Succeeded, text: "Prune: done".to_owned(), freed: Some(freed) };
    run.take(&RunRecord { at, entry: ended });
    run
}

#[test]
fn a_run_stays_open_when_less_was_freed_than_planned() {
    for (freed, stays) in [(prune().bytes(), false), (GIB, true)] {
        let (mut ui, state) = open((160, 48));
        ui.begun("r", true);
        ui.ended(&run(freed, state.now.wall), state.now);
        assert_eq!(ui.popup.is_some(), stays, "{freed}");
        assert!(ui.toast.as_ref().is_some_and(|(text, _)| text == "succeeded: Prune: done"), "{:?}", ui.toast);
    }
}
