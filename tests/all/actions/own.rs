//! The operator's own actions: a program of theirs, planned, confirmed, run and journalled as hostler's own are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;

use hostler::history::StateDir;
use serde_json::Value;

use super::{planned, run, steps};
use crate::bed::{self, DEADLINE, Home, wait_until};

/// A home whose config has this action; `{script}` in it is the path of a script that does this.
fn home(action: &str, script: &str) -> Home {
    let home = Home::with("");
    let path = home.path().join("script");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(home.path().join("secret"), "hunter22\n").unwrap();
    let text = action.replace("{script}", path.to_str().unwrap());
    fs::write(home.config(), text.replace("{home}", home.path().to_str().unwrap())).unwrap();
    home
}

fn lines(run: &Value) -> Vec<&str> {
    run["lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect()
}

const TIDY: &str = "[[action]]\nid = \"box.tidy\"\ntitle = \"tidy\"\nargv = [\"{script}\", \"a b\", \"$HOME;\"]\n\
    confirm = \"It is loud.\"\nenv = { LEVEL = \"all\" }\nsecrets = { TOKEN = \"{home}/secret\" }\n";

#[test]
fn it_runs_as_it_is_written_and_its_secrets_stay_secret() {
    // There is no engine, and it needs none.
    let home = home(TIDY, "printf '<%s>' \"$@\"; echo; echo $LEVEL $PWD; echo \"it is $TOKEN\" >&2; cat");
    let (_, actions) = home.json(&["actions", "--json"]);
    let listed = actions.as_array().unwrap().last().unwrap();
    assert_eq!((&listed["id"], &listed["on"]), (&"box.tidy".into(), &"box".into()), "{listed}");
    assert!(home.run(&["actions"]).out.contains("box.tidy"));

    home.run(&["run", "box.tidy"]).refused(4, "--yes");
    home.run(&["run", "box.tidy", "x"]).refused(4, "it takes no target");
    home.run(&["--read-only", "run", "box.tidy", "--yes"]).refused(4, "--read-only");
    let text = home.run(&["run", "box.tidy", "--dry-run"]).out;
    assert!(text.contains("It is loud.") && text.contains("script 'a b' '$HOME;'"), "{text}");

    let (code, done) = run(&home, &["box.tidy"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(lines(&done), ["<a b><$HOME;>", "all /", "it is ***"]);
    let journal = home.run(&["journal"]).out;
    assert!(journal.contains("Tidy"), "{journal}");
    home.run(&["undo", done["run"].as_str().unwrap()]).refused(4, "an action of your own");
    let id = done["run"].as_str().unwrap();
    let written = fs::read_to_string(home.state().join("runs").join(format!("{id}.jsonl"))).unwrap();
    assert!(written.contains("/secret") && !written.contains("hunter22"), "{written}");
}

#[test]
fn what_fails_is_told_with_its_last_words() {
    let home = home(TIDY, "echo first; echo the disk is full; exit 3");
    let (code, done) = run(&home, &["box.tidy"]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("failed")), "{done}");
    assert!(done["text"].as_str().unwrap().ends_with("ended with 3: the disk is full"), "{done}");

    fs::remove_file(home.path().join("secret")).unwrap();
    let (code, done) = run(&home, &["box.tidy"]);
    assert_eq!(code, 1);
    assert!(done["text"].as_str().unwrap().starts_with("the secret TOKEN cannot be read from "), "{done}");

    fs::write(home.config(), TIDY.replace("{script}", "/no/such/program").replace("secrets", "# secrets")).unwrap();
    let (_, done) = run(&home, &["box.tidy"]);
    assert_eq!(done["text"], "/no/such/program: there is no such program");
}

#[test]
fn data_that_goes_is_named_first() {
    let home = home(&format!("{TIDY}risk = \"destructive\"\n"), "true");
    home.run(&["run", "box.tidy", "--yes"]).refused(4, "--confirm box.tidy");
    assert_eq!(run(&home, &["box.tidy", "--confirm", "box.tidy"]).0, 0);
}

/// Whether a process runs, by the file that its number was written to.
fn runs(pid_file: &PathBuf) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn it_ends_with_what_it_started_when_its_time_is_over() {
    let home = home(&format!("{TIDY}timeout = \"1s\"\n"), "sleep 1000 & echo $! >\"$(dirname \"$0\")/pid\"; wait");
    let (code, done) = run(&home, &["box.tidy"]);
    assert_eq!(code, 1, "{done}");
    assert!(done["text"].as_str().unwrap().ends_with("no answer within 1 s"), "{done}");
    wait_until(DEADLINE, "it has ended", || (!runs(&home.path().join("pid"))).then_some(()));
}

#[test]
fn it_ends_with_what_it_started_when_somebody_cancels_it() {
    let home = home(TIDY, "sleep 1000 & echo $! >\"$(dirname \"$0\")/pid\"; echo begun; wait");
    let state = home.state();
    let mut command = home.command(&["run", "box.tidy", "--yes", "--json", "--state-dir", state.to_str().unwrap()]);
    let asked = command.stdout(Stdio::piped()).spawn().unwrap();
    let pid = home.path().join("pid");
    let dir = StateDir::choose(Some(&state));
    let begun = || dir.runs().into_iter().find(|run| run.lines.iter().any(|line| line == "begun"));
    let id = wait_until(DEADLINE, "it has begun", || begun().map(|run| run.id));
    assert!(runs(&pid));
    dir.cancel_run(&id).unwrap();
    let output = asked.wait_with_output().unwrap();
    let done: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), done["outcome"].as_str()), (Some(1), Some("cancelled")), "{done}");
    wait_until(DEADLINE, "it has ended", || (!runs(&pid)).then_some(()));
}

#[test]
fn words_are_those_of_each_container() {
    let Some(engine) = bed::engine() else { return };
    let [a, b] = ["a", "b"].map(|name| engine.run(name, |spec| spec.compose("shop", name)));
    let action = "[[action]]\nid = \"own.tell\"\ntitle = \"tell\"\non = \"container\"\n\
        argv = [\"echo\", \"{name}\", \"--of={project}/{service}\", \"{id}\"]\n";
    let home = home(action, "").docker(engine.endpoint());
    home.run(&["run", "own.tell", "--yes"]).refused(4, "name a container");
    let plan = planned(&home, &["own.tell", a.name(), b.name()]);
    assert_eq!(steps(&plan).len(), 2, "{plan}");
    let (code, done) = run(&home, &["own.tell", a.name(), b.name()]);
    assert_eq!(code, 0, "{done}");
    let said = |of: &bed::Container, service: &str| format!("{} --of=shop/{service} {}", of.name(), of.id());
    assert_eq!(lines(&done), [said(&a, "a"), said(&b, "b")]);
    let single = engine.run("single", |spec| spec);
    home.run(&["run", "own.tell", single.name(), "--yes"])
        .refused(4, "has no project, which `--of={project}/{service}`");
}
