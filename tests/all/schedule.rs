//! What is done at a set time: only what was signed, at its time, and what was missed is said.

use std::fs;
use std::process::{Child, Stdio};
use std::time::Duration;

use hostler::history::StateDir;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::bed::{self, Home, wait_until};

/// A time is at most two minutes away, and looked for three times a minute.
const PATIENCE: Duration = Duration::from_mins(4);

struct Recorder(Child);

impl Recorder {
    fn start(home: &Home) -> Self {
        let state = home.state();
        let mut command = home.command(&["record", "--state-dir", state.to_str().unwrap()]);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        wait_until(bed::DEADLINE, "the recorder to hold its lock", || {
            StateDir::choose(Some(&state)).has_recorder().then_some(())
        });
        Self(child)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A time of the day, as the config writes it.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
}

fn config(lines: &[(&str, &str)], folder: &std::path::Path) -> String {
    let mut texts = Vec::new();
    for (name, at) in lines {
        texts.push(format!(
            "[[action]]\nid = \"mark.{name}\"\ntitle = \"mark {name}\"\nargv = [\"touch\", \"{0}/{name}\"]\nrisk = \"safe\"\n\
             [[schedule]]\nname = \"{name}\"\naction = \"mark.{name}\"\nat = \"{at}\"\n",
            folder.display()
        ));
    }
    texts.concat()
}

fn listed(home: &Home, name: &str) -> Value {
    let (code, lines) = home.json(&["schedule", "list", "--json"]);
    assert_eq!(code, 0);
    lines.as_array().unwrap().iter().find(|line| line["name"] == name).unwrap().clone()
}

#[test]
fn what_was_signed_is_done_at_its_time_and_nothing_else() {
    let home = Home::with("").alone();
    let soon = Timestamp::now() + 90.seconds();
    let lines = [("signed", &*clock(soon)), ("unsigned", &*clock(soon)), ("changed", &*clock(soon))];
    fs::write(home.config(), config(&lines, home.path())).unwrap();
    for name in ["signed", "changed"] {
        let signed = home.run(&["schedule", "sign", name]);
        assert_eq!(signed.code, 0, "{}", signed.err);
        assert!(signed.out.contains("touch") && signed.out.contains("every day at"), "{}", signed.out);
    }
    assert_eq!(listed(&home, "signed")["signed"][0], "ada");
    // What is signed is a line as it was then.
    let text = fs::read_to_string(home.config()).unwrap();
    let changed = text.replace("action = \"mark.changed\"", "action = \"mark.changed\"\ntargets = []\nday = 28");
    fs::write(home.config(), changed).unwrap();
    assert_eq!(listed(&home, "changed")["signed"], Value::Null);
    fs::write(
        home.config(),
        text.replace(
            "name = \"changed\"",
            "name = \"changed\"\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]",
        ),
    )
    .unwrap();

    let _recorder = Recorder::start(&home);
    let made = |name: &str| home.path().join(name).exists();
    wait_until(PATIENCE, "the signed line to be done", || made("signed").then_some(()));
    assert!(!made("unsigned") && !made("changed"));
    let journal = home.run(&["journal", "--json"]).out;
    assert!(
        journal.contains("\"action\":\"mark.signed\"") && journal.contains("\"kind\":\"schedule-signed\""),
        "{journal}"
    );
    let (_, check) = home.json(&["check", "--json"]);
    let findings = check["findings"].as_array().unwrap();
    let unsigned: Vec<&Value> =
        findings.iter().filter(|it| it["id"] == "schedule.unsigned").map(|it| &it["subject"]).collect();
    assert_eq!(unsigned, [&json!("unsigned"), &json!("changed")]);
}

#[test]
fn what_was_missed_while_the_box_was_off_is_said() {
    let home = Home::with("").alone();
    let earlier = Timestamp::now() - SignedDuration::from_hours(2);
    fs::write(home.config(), config(&[("nightly", &clock(earlier))], home.path())).unwrap();
    assert_eq!(home.run(&["schedule", "sign", "nightly"]).code, 0);
    fs::create_dir_all(home.state()).unwrap();
    let day_before = Timestamp::now() - SignedDuration::from_hours(27);
    let memory = json!({"lines": {"nightly": {"handled": day_before}}});
    fs::write(home.state().join("schedule.json"), memory.to_string()).unwrap();
    let _recorder = Recorder::start(&home);
    let missed = || Some(listed(&home, "nightly")["missed"].as_str()?.to_owned());
    let at: Timestamp = wait_until(PATIENCE, "it to be said", missed).parse().unwrap();
    assert_eq!(clock(at), clock(earlier));
    assert!(!home.path().join("nightly").exists(), "what is late by hours is not done by surprise");
    let (_, check) = home.json(&["check", "--json"]);
    let finding = check["findings"].as_array().unwrap().iter().find(|it| it["id"] == "schedule.not-done").unwrap();
    assert_eq!((&finding["subject"], &finding["severity"]), (&json!("nightly"), &json!("warning")));
    assert!(finding["title"].as_str().unwrap().contains("nobody was there"), "{finding}");
}

#[test]
fn what_destroys_or_is_not_there_is_not_signed() {
    let text = "[[action]]\nid = \"wipe.all\"\ntitle = \"wipe\"\nargv = [\"true\"]\nrisk = \"destructive\"\n\
                [[schedule]]\nname = \"wipe\"\naction = \"wipe.all\"\nat = \"04:00\"\n";
    let home = Home::with(text).alone();
    home.run(&["schedule", "sign", "wipe"]).refused(1, "what destroys is only done with somebody there");
    home.run(&["schedule", "sign", "other"]).refused(1, "`other` is not scheduled; the config has: wipe");
    home.run(&["schedule", "sign", "wipe", "--read-only"]).refused(4, "read-only");
    let none = Home::with("");
    assert!(none.run(&["schedule", "list"]).out.contains("[[schedule]]"));
}
