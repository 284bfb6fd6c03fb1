//! Text that others wrote, everywhere it can come from at once: nothing of it but its letters reaches the terminal.

use std::collections::BTreeSet;
use std::fs;

use regex::Regex;
use serde_json::{Value, json};

use crate::bed::{self, Container, Engine, Share, faults, foreign};
use crate::engines::double::{Double as Server, answer};
use crate::gpu::{Double as Driver, ready};
use crate::screen::{Desk, Home, QUIET, TABS, looks_in, without_sequences};

/// A box on which everything that others may name is named badly.
struct BadlyNamed {
    home: Home,
    _containers: Vec<Container>,
    _share: Share,
    _server: Server,
    _driver: Driver,
}

impl BadlyNamed {
    fn new(engine: &Engine) -> Option<Self> {
        let driver = Driver::new(&cards())?;
        let server = server();
        let share = Share::of(engine);
        let port = server.address().port();
        let home = Home::new().configured(QUIET).among(&[port]);
        let home = home.engine(share.endpoint()).env("HOSTLER_NVML_LIBRARY", driver.library());
        write_machine(&home);
        write_journal(&home);
        let containers = containers(engine);
        Some(Self { home, _containers: containers, _share: share, _server: server, _driver: driver })
    }
}

/// Cards, and processes on them, with such names.
fn cards() -> Value {
    let mut script = ready("two-busy.json");
    // The driver has room for 96 bytes.
    script["gpus"][0]["name"] = json!("osc52\u{1b}]52;c;aG9z\u{7}\u{9b}2J\u{202e}card");
    let pid = std::process::id();
    script["gpus"][0]["compute"] = json!([{"pid": pid, "memory": 1 << 30}]);
    script["processes"] = json!({pid.to_string(): foreign::text()});
    script
}

/// An inference server whose models are named so.
fn server() -> Server {
    let quoted = serde_json::to_string(&foreign::text()).unwrap();
    let server = Server::ollama_0_33_0();
    let details = format!(r#"{{"family":{quoted},"parameter_size":{quoted},"quantization_level":{quoted}}}"#);
    server.reply("/api/tags", answer("200 OK", &format!(r#"{{"models":[{{"name":{quoted},"details":{details}}}]}}"#)));
    server.reply("/api/version", answer("200 OK", &format!(r#"{{"version":{quoted}}}"#)));
    server
}

/// Containers with such labels, logs, health checks, commands.
fn containers(engine: &Engine) -> Vec<Container> {
    let bytes = foreign::for_printf(&foreign::bytes());
    let sick = engine.run("sick", |spec| spec.healthcheck(&format!("printf '{bytes}'; exit 1")));
    let command = foreign::text();
    let unstartable = engine.run("unstartable", |spec| spec.command(&[&command]).does_not_start());
    vec![faults::foreign_text(engine), sick, unstartable]
}

/// The machine's own files: the system's name, a mounted stick.
fn write_machine(home: &Home) {
    let root = home.path().join("root");
    let stick = foreign::text().replace(['/', ' '], "");
    let stick: String = stick.chars().take(60).collect();
    for folder in ["etc", "proc/self", &format!("media/{stick}")] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("etc/os-release"), format!("PRETTY_NAME=\"{}\"\n", foreign::text().replace('"', ""))).unwrap();
    let table =
        format!("22 1 254:1 / / rw - ext4 /dev/vda1 rw\n23 22 254:9 / /media/{stick} rw - vfat /dev/{stick} rw\n");
    fs::write(root.join("proc/self/mountinfo"), table).unwrap();
}

/// The journal may lie in a folder that others write to.
fn write_journal(home: &Home) {
    fs::create_dir_all(home.state()).unwrap();
    let text = foreign::text();
    let at = "2026-11-23T09:00:00Z";
    let until = "2099-01-01T00:00:00Z";
    let note = json!({"schema": 1, "at": at, "by": text, "kind": "note", "text": text});
    let accept = json!({"schema": 1, "at": at, "by": text, "kind": "accept", "finding": text, "subject": text,
                        "until": until, "why": text});
    fs::write(home.state().join("journal.jsonl"), format!("{note}\n{accept}\n")).unwrap();
}

/// Opens every row of every tab, and every popup. Frozen, so that nothing but a key changes a cell.
#[track_caller]
fn look_at_everything(desk: &mut Desk) {
    desk.press_see("f", "FROZEN");
    for (key, heading) in TABS {
        desk.press_see(key, heading);
        for _row in 0..12 {
            desk.tap("Enter");
            if desk.screen().contains("╭──") {
                desk.tap("Esc");
            } else {
                // It was a group's heading, and is opened again.
                desk.tap("Enter");
            }
            desk.press("j");
            // Whether or not there was a next row: what is pressed after it comes after it.
            desk.press_see("?", " Keys ");
            desk.press("Esc");
            desk.miss(" Keys ");
        }
        for popup in ["J", "a"] {
            desk.tap(popup);
            desk.tap("Esc");
        }
        assert_nothing_is_left_behind(desk);
    }
    desk.tap("a");
    desk.tap("Enter");
    desk.tap("Esc");
}

/// What was drawn change by change is what is drawn when all is drawn anew: wide and joined characters move nothing.
#[track_caller]
fn assert_nothing_is_left_behind(desk: &mut Desk) {
    let by_changes = desk.screen().text();
    desk.resize(159, 47);
    desk.resize(160, 48);
    assert_eq!(by_changes, desk.screen().text());
}

/// The numbers of all looks but colours of 24 bits.
fn plain_looks(written: &str) -> BTreeSet<String> {
    let colour = Regex::new("[34]8;2;[0-9]+;[0-9]+;[0-9]+").unwrap();
    let looks = looks_in(written).into_iter().map(|look| colour.replace_all(&look, "").into_owned());
    let numbers: BTreeSet<String> =
        looks.flat_map(|look| look.split(';').map(str::to_owned).collect::<Vec<_>>()).collect();
    numbers
}

#[test]
fn nothing_of_it_reaches_the_terminal() {
    let Some(engine) = bed::engine() else { return };
    let Some(it) = BadlyNamed::new(&engine) else { return };
    let mut desk = it.home.open();
    // The letters themselves are kept, so everything was there to be shown.
    desk.press_see("4", "end of the foreign text");
    desk.press_see("2", "unhealthy");
    desk.see("osc52");
    desk.press_see("3", "osc52");
    desk.press_see("1", "osc52");
    look_at_everything(&mut desk);

    let written = desk.written();
    let shown = without_sequences(&written);
    if let Some(character) = foreign::first_harmful(&shown) {
        let at = shown.find(character).unwrap();
        let around: String = shown[..at].chars().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect();
        panic!("{character:?} reached the terminal after {around:?}");
    }
    assert!(!shown.contains('\n'));
    // A foreign sequence that looks like one of ours: it clears, blinks, or has a colour that no theme names.
    assert_eq!(written.matches("\x1b[2J").count(), 1 + 2 * TABS.len());
    let known: BTreeSet<String> = ["", "0", "1", "2", "4", "7", "39", "49"].map(str::to_owned).into();
    let looks = plain_looks(&written);
    assert!(looks.is_subset(&known), "{looks:?}");
    assert_eq!(desk.screen().titles(), [b""; 0]);
    assert_eq!(desk.screen().clipboard(), [b""; 0]);
}

/// Every text in a JSON value, names of fields too.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => {
            for (name, item) in fields {
                found.push(name.clone());
                texts(item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn nothing_of_it_is_printed() {
    let Some(engine) = bed::engine() else { return };
    let Some(it) = BadlyNamed::new(&engine) else { return };
    let commands: [&[&str]; 7] = [
        &["check"],
        &["check", "--json", "--for", "3s"],
        &["check", "--brief"],
        &["snapshot"],
        &["snapshot", "--json"],
        &["doctor"],
        &["doctor", "--bundle"],
    ];
    let mut all = String::new();
    for args in commands {
        let output = it.home.command(args).output().unwrap();
        let out = String::from_utf8(output.stdout).expect("only UTF-8 is printed");
        let err = String::from_utf8(output.stderr).expect("only UTF-8 is printed");
        assert_ne!(out, "", "{args:?}: {err}");
        let mut found = vec![out.clone(), err];
        if args.contains(&"--json") {
            texts(&serde_json::from_str(&out).unwrap(), &mut found);
        }
        for text in &found {
            assert_eq!(foreign::first_harmful(text), None, "{args:?}: {text:?}");
        }
        all += &out;
    }
    // The letters are there.
    assert!(all.contains("osc52") && all.contains("unstartable"), "{all}");
}
