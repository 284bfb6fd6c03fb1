//! The command line as scripts meet it: the built program, its exit codes and its JSON, in folders of its own.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::bed::{Ended, Home};

/// Thresholds under which no level of a real machine is a finding.
const QUIET: &str =
    "[thresholds]\ndisk_free_warning = 0\ndisk_free_critical = 0\nmemory_used_warning = 1\nmemory_used_critical = 1\n";

/// Thresholds under which the memory of every machine is a finding, and nothing else.
const LOUD: &str =
    "[thresholds]\ndisk_free_warning = 0\ndisk_free_critical = 0\nmemory_used_warning = 0\nmemory_used_critical = 1\n";

/// The exit status that belongs to a verdict.
fn code_of(verdict: &Value) -> i32 {
    match verdict.as_str().unwrap() {
        "well" => 0,
        "warning" => 1,
        "critical" => 2,
        "unknown" => 3,
        other => panic!("{other} is no verdict"),
    }
}

fn finding<'a>(json: &'a Value, id: &str) -> Option<&'a Value> {
    json["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == id)
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn help_and_version_are_no_failure() {
    let home = Home::new();
    for args in [&["--help"][..], &["--version"], &["check", "--help"], &["finding", "accept", "--help"]] {
        let ended = Ended::of(&mut home.command(args));
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{args:?}");
        assert!(ended.out.contains("hostler"), "{args:?}: {}", ended.out);
    }
}

#[test]
fn arguments_that_mean_nothing_are_64() {
    let home = Home::new();
    for (args, part) in [
        (&["fly"][..], "unrecognized subcommand"),
        (&["check", "--fly"], "--fly"),
        (&["check", "--for", "soon"], "such as 45s"),
        (&["check", "--brief", "--for", "45s"], "cannot be used with"),
        (&["--tab", "nowhere"], "containers"),
        (&["check", "--rootfs", "/no/such/folder"], "there is no such folder"),
        (&["check", "--theme", "drak"], "high-contrast"),
        (&["finding"], "accept"),
        (&["finding", "accept", "disk.free", "/"], "--until"),
        (&["finding", "accept", "disk.fre", "/", "--until", "7d", "--why", "x"], "disk.inodes"),
        (&["finding", "accept", "disk.free", "/", "--until", "soon", "--why", "x"], "2026-12-01"),
        (&["finding", "accept", "disk.free", "/", "--until", "2020-01-01", "--why", "x"], "has passed"),
        (&["finding", "accept", "disk.free", "/", "--until", "7d", "--why", " "], "--why"),
        (&["note", " "], "empty"),
        (&["doctor", "--hide-host"], "--bundle"),
    ] {
        Ended::of(&mut home.command(args)).refused(64, part);
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn without_a_terminal_one_line_points_to_check() {
    let home = Home::new();
    let ended = Ended::of(&mut home.command(&[]));
    ended.refused(64, "`hostler check`");
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
}

#[test]
fn a_bad_config_is_78_and_told_with_its_place() {
    let home = Home::with("[ui]\nmuose = true\n");
    let place = format!("{}:2:1: unknown key `muose` (did you mean `mouse`?)", home.config().display());
    for args in [&["check"][..], &["check", "--brief"], &["snapshot"], &["doctor"], &["note", "x"]] {
        home.run(args).refused(78, &place);
    }
    for args in [&["config", "check"][..], &["config", "print"]] {
        home.run(args).refused(1, &place);
    }
    let marked = home.run(&["config", "check"]).err;
    assert!(marked.ends_with("2 | muose = true\n  | ^^^^^\n"), "{marked}");
    Ended::of(&mut home.command(&["check", "--config", "/no/such.toml"]))
        .refused(78, "/no/such.toml: there is no such file");
}

#[test]
fn a_theme_that_is_none_spoils_the_config_but_not_a_check() {
    let home = Home::with("[ui]\ntheme = \"drak\"\n");
    home.run(&["config", "check"]).refused(1, ":2:9: there is no theme `drak`");
    assert_ne!(home.run(&["check"]).code, 78);
}

#[test]
fn a_config_is_written_once_and_is_good() {
    let home = Home::new();
    let before = home.run(&["config", "path"]);
    assert_eq!(before.out.trim(), home.config().to_str().unwrap());
    assert!(before.err.contains("no config yet"), "{}", before.err);

    let ended = home.run(&["config", "init"]);
    assert_eq!((ended.code, ended.out), (0, format!("wrote {}\n", home.config().display())));
    home.run(&["config", "init"]).refused(1, "it is there already");
    let ended = home.run(&["config", "check"]);
    assert_eq!((ended.code, ended.out), (0, format!("{}: good\n", home.config().display())));
    assert_eq!(home.run(&["config", "path"]).err, "");

    let printed = home.run(&["config", "print", "--theme", "mono", "--read-only"]).out;
    assert!(printed.contains("theme = \"mono\"\n") && printed.contains("read_only = true\n"), "{printed}");
    fs::write(home.config(), printed).unwrap();
    assert_eq!(home.run(&["config", "check"]).code, 0);
}

#[test]
fn a_check_is_the_contract() {
    let home = Home::with(LOUD).alone();
    let (code, json) = home.json(&["check", "--json"]);
    assert_eq!((code, &json["verdict"]), (1, &json!("warning")), "{json:#}");
    assert_eq!(keys(&json), ["at", "findings", "host", "routine", "schema", "sources", "unassessed", "verdict"]);
    assert_eq!(json["schema"], 1);
    assert!(!json["host"].as_str().unwrap().is_empty());
    let at = json["at"].as_str().unwrap();
    assert!(at.ends_with('Z') && at.parse::<jiff::Timestamp>().is_ok(), "{at}");

    let memory = finding(&json, "memory.used").unwrap();
    assert_eq!(
        (&memory["severity"], &memory["subject"], &memory["unit"]),
        (&json!("warning"), &json!("host"), &json!("ratio"))
    );
    assert_eq!(memory["limit"], json!(0.0));
    assert!(memory["value"].as_f64().unwrap() > 0.0);
    for field in ["title", "evidence", "since", "fix", "look"] {
        assert!(!memory[field].is_null(), "{field}: {memory:#}");
    }
    for absent in ["project", "service", "silence"] {
        assert!(memory.get(absent).is_none(), "{absent}");
    }

    let sources = json["sources"].as_array().unwrap();
    let host = sources.iter().find(|source| source["id"] == "host").unwrap();
    assert_eq!(host["status"], "fresh", "{host:#}");
    assert!(host["age_seconds"].as_f64().is_some());
    for source in sources {
        assert!(!matches!(source["status"].as_str().unwrap(), "waiting"), "{source:#}");
        assert!(source["detail"].is_string());
    }
    for duty in json["routine"].as_array().unwrap() {
        assert!(matches!(duty["result"].as_str().unwrap(), "pass" | "fail" | "unknown" | "not-applicable"));
        assert!(duty["due"].as_str().unwrap().parse::<jiff::civil::Date>().is_ok());
        assert!(duty["id"].is_string() && duty["cadence"].is_string() && duty["evidence"].is_array());
    }
}

#[test]
fn a_check_for_people_says_the_same() {
    let home = Home::with(LOUD).alone();
    let ended = home.run(&["check"]);
    assert_eq!(ended.code, 1);
    for part in [" warning ", "memory.used, since ", "\nSources\n", "no-engine.sock"] {
        assert!(ended.out.contains(part), "{part:?} is not in {}", ended.out);
    }
    assert!(!ended.out.contains('\u{1b}'), "{:?}", ended.out);
}

#[test]
fn what_is_accepted_is_silent_until_its_end() {
    let home = Home::with(LOUD).alone();
    assert_eq!(home.run(&["check"]).code, 1);
    let (code, record) = home.json(&[
        "finding",
        "accept",
        "memory.used",
        "host",
        "--until",
        "2 weeks",
        "--why",
        "it is a \u{1b}[31mcache",
        "--json",
    ]);
    assert_eq!(
        (code, &record["kind"], &record["by"], &record["why"]),
        (0, &json!("accept"), &json!("ada"), &json!("it is a cache"))
    );

    let (code, json) = home.json(&["check", "--json"]);
    let memory = finding(&json, "memory.used").unwrap();
    assert_eq!((&memory["silence"]["accepted"], &memory["silence"]["why"]), (&json!(true), &json!("it is a cache")));
    assert_eq!(memory["silence"]["until"], record["until"]);
    assert_ne!(json["verdict"], "warning", "{json:#}");
    assert_eq!(code, code_of(&json["verdict"]));

    // A subject that nothing is said of is told, and taken all the same.
    let ended = home.run(&["finding", "snooze", "memory.used", "hots", "--until", "7d"]);
    assert_eq!(ended.code, 0);
    assert!(ended.err.contains("no such finding was open"), "{}", ended.err);
    assert!(ended.out.starts_with("snoozed: memory.used hots until "), "{}", ended.out);

    let journal = fs::read_to_string(home.state().join("journal.jsonl")).unwrap();
    assert_eq!(journal.lines().count(), 2, "{journal}");
}

#[test]
fn the_brief_line_is_the_last_known_state() {
    let home = Home::with(LOUD).alone();
    let nothing = home.run(&["check", "--brief"]);
    nothing.refused(3, "nothing is known of this box yet");

    home.run(&["check"]);
    let brief = home.run(&["check", "--brief"]);
    assert_eq!((brief.code, brief.out.lines().count(), brief.err.as_str()), (1, 1, ""), "{}", brief.out);
    assert!(brief.out.contains(" warning: 1 warning · host ") && brief.out.ends_with(" s ago\n"), "{}", brief.out);

    // Text in the file is foreign: anybody of the group may have written it.
    let last = home.state().join("last.json");
    let text = fs::read_to_string(&last)
        .unwrap()
        .replace("\"subject\":\"host\"", "\"subject\":\"ho\\u001b]52;c;eA==\\u0007st\"");
    fs::write(&last, text).unwrap();
    let brief = home.run(&["check", "--brief"]).out;
    assert!(brief.contains(" host ") && !brief.contains('\u{1b}'), "{brief:?}");

    fs::write(&last, "{\"schema\":").unwrap();
    home.run(&["check", "--brief"]).refused(3, "nothing is known");
}

#[test]
fn read_only_refuses_what_is_recorded() {
    let home = Home::with(QUIET).alone();
    let accept = ["finding", "accept", "disk.free", "/", "--until", "7d", "--why", "x"];
    home.run(&[&accept[..], &["--read-only"]].concat()).refused(4, "refused");
    home.run(&["--read-only", "note", "x"]).refused(4, "refused");
    for (value, code) in [("1", 4), ("true", 4), ("0", 0), ("", 0)] {
        let state = home.path().join("other");
        let mut command = home.command(&["note", "x", "--state-dir", state.to_str().unwrap()]);
        assert_eq!(Ended::of(command.env("HOSTLER_READ_ONLY", value)).code, code, "{value:?}");
    }
    fs::write(home.config(), "read_only = true\n").unwrap();
    home.run(&["note", "x"]).refused(4, "refused");
    home.run(&["finding", "snooze", "disk.free", "/", "--until", "7d", "--demo"]).refused(4, "refused");
    assert!(!home.state().exists(), "nothing is written");
}

#[test]
fn a_state_folder_that_cannot_be_written_spoils_no_check() {
    let home = Home::with(QUIET).alone();
    fs::write(home.path().join("file"), "").unwrap();
    let folder = home.path().join("file/below");
    let args = ["check", "--json", "--state-dir", folder.to_str().unwrap()];
    let ended = Ended::of(&mut home.command(&args));
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(ended.code, code_of(&json["verdict"]));
    assert!(ended.err.contains("not remembered"), "{}", ended.err);
    let args = ["note", "x", "--state-dir", folder.to_str().unwrap()];
    Ended::of(&mut home.command(&args)).refused(1, "not recorded");
}

#[test]
fn the_state_folder_is_the_users_own_and_no_root_moves_it() {
    let home = Home::with(QUIET).alone();
    let state = home.path().join("xdg-state/hostler");
    let ended = Ended::of(&mut home.command(&["note", "driver", "updated"]));
    assert_eq!((ended.code, ended.out.as_str()), (0, "noted: driver updated\n"));
    if !Path::new("/var/lib/hostler").exists() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&state), mode(&state.join("journal.jsonl"))), (0o700, 0o600));
        let root = home.path().join("root");
        fs::create_dir(&root).unwrap();
        Ended::of(&mut home.command(&["note", "again", "--rootfs", root.to_str().unwrap()]));
        assert_eq!(fs::read_to_string(state.join("journal.jsonl")).unwrap().lines().count(), 2);
    }
}

#[test]
fn a_snapshot_has_every_part_or_says_why_not() {
    let home = Home::with(QUIET).alone();
    let (code, json) = home.json(&["snapshot", "--json"]);
    assert_eq!(code, 0);
    for part in ["host", "volumes", "gpus", "containers", "engines", "models", "sources", "findings"] {
        assert!(json.get(part).is_some(), "{part} is missing");
    }
    assert!(json["host"]["memory"]["total_bytes"].as_u64().unwrap() > 0);
    assert!(json["host"]["facts"]["cores"].as_u64().unwrap() > 0);
    for part in ["gpus", "containers"] {
        assert!(json[part]["unavailable"].as_str().is_some_and(|why| !why.is_empty()), "{part}: {}", json[part]);
    }
    let text = home.run(&["snapshot"]).out;
    for part in ["\nHost\n", "\nVolumes\n", "\nGPUs\n  unavailable, because: ", "\nContainers\n", "\nSources\n"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn the_doctor_tells_what_was_tried_and_taken() {
    let home = Home::with(QUIET).alone();
    let (code, json) = home.json(&["doctor", "--json"]);
    let places = json["docker"].as_array().unwrap();
    assert_eq!(places[0]["because"], "DOCKER_HOST is set");
    assert_eq!((&places[0]["taken"], &places[0]["found"]), (&json!(true), &json!("no such socket")));
    assert!(places.len() > 3 && places[1..].iter().all(|place| place["taken"] == false), "{places:#?}");
    assert!(json["nvidia"]["library"].as_str().unwrap().contains("HOSTLER_NVML_LIBRARY names it"));
    assert_eq!(json["storage"]["config"], json!(home.config().to_str().unwrap()));
    assert!(json["history"]["recorder"].as_str().unwrap().starts_with("does not run"), "{}", json["history"]);
    assert_eq!(json["history"]["recorded"], json!({"unavailable": "nothing was recorded yet"}));
    assert_eq!(json["terminal"]["size"], json!({"unavailable": "this is no terminal"}));
    assert_eq!(json["clock"]["zone"], "UTC");
    let trouble = json["sources"]
        .as_array()
        .unwrap()
        .iter()
        .any(|source| matches!(source["status"].as_str(), Some("failed" | "denied")));
    assert_eq!(code, i32::from(trouble), "{json:#}");
    let text = home.run(&["doctor"]).out;
    for part in [
        "\nSources\n",
        "\nContainer engine: ",
        "DOCKER_HOST is set",
        "\nNVIDIA\n",
        "\nStorage\n",
        "\nHistory\n",
        "\nTerminal\n",
        "\nClock\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_bundle_keeps_secrets_and_names_to_itself() {
    let home = Home::with(&format!("{LOUD}\n[sources]\nengines = [\"http://127.0.0.1:9/?api_key=hunter2\"]\n"));
    home.run(&["note", "the token=hunter2 was changed"]);
    let mut command =
        home.command(&["doctor", "--bundle", "--hide-host", "--state-dir", home.state().to_str().unwrap()]);
    let ended = Ended::of(command.env("DOCKER_HOST", "tcp://ada:hunter2@127.0.0.1:9"));
    for part in [
        "# hostler ",
        "## Sources",
        "## Container engine",
        "## Findings",
        "memory.used",
        "## Config in force",
        "api_key=***",
        "~/",
    ] {
        assert!(ended.out.contains(part), "{part:?} is not in {}", ended.out);
    }
    let host = home.json(&["check", "--json"]).1["host"].as_str().unwrap().to_owned();
    for secret in ["hunter2", home.path().to_str().unwrap(), "ada (uid", &format!("host: {host}\n")] {
        assert!(!ended.out.contains(secret), "{secret:?} is in {}", ended.out);
    }
}

#[test]
fn a_demo_says_so_and_leaves_nothing_behind() {
    let home = Home::with(QUIET).alone();
    let (code, json) = home.json(&["check", "--json", "--demo"]);
    assert_eq!(json["demo"], true);
    assert_eq!(code, code_of(&json["verdict"]));
    assert!(home.run(&["snapshot", "--demo"]).out.starts_with("DEMO"));
    assert!(!home.state().exists() && !home.path().join("xdg-state").exists());
}

#[test]
fn a_reader_who_goes_away_is_no_failure() {
    let home = Home::with(QUIET).alone();
    for args in [&["--help"][..], &["config", "print"], &["snapshot", "--json"], &["doctor", "--bundle"]] {
        let mut child = home.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.code().is_some_and(|code| code <= 3), "{args:?}: {:?}", output.status);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    }
}
