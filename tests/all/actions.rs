//! Actions against the private engine, as a script asks for them: plans, confirmation, workers, journal.

use serde_json::Value;

use crate::bed::{self, Engine, Home, Restart};

mod backup;
mod compose;
mod faults;
mod gate;
mod interrupted;
mod lifecycle;
mod model;
mod newer;
mod own;
mod preflight;
pub(crate) mod prune;
mod remove;
pub(crate) mod service;
mod trial;
mod update;

/// A home with this engine.
fn home(engine: &Engine) -> Home {
    Home::new().docker(engine.endpoint())
}

/// The dry run of an action, as JSON.
#[track_caller]
fn planned(home: &Home, args: &[&str]) -> Value {
    let args: Vec<&str> = ["run"].into_iter().chain(args.iter().copied()).chain(["--dry-run", "--json"]).collect();
    let (code, plan) = home.json(&args);
    assert_eq!(code, 0, "{plan}");
    plan
}

/// Carries an action out, and gives its exit status and the run.
#[track_caller]
fn run(home: &Home, args: &[&str]) -> (i32, Value) {
    let args: Vec<&str> = ["run"].into_iter().chain(args.iter().copied()).chain(["--yes", "--json"]).collect();
    home.json(&args)
}

/// The chosen steps of a plan, by their titles.
fn steps(plan: &Value) -> Vec<String> {
    let steps = plan["plan"]["steps"].as_array().unwrap().iter();
    steps.filter(|step| step["chosen"] == true).map(|step| step["title"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn actions_are_listed_with_what_they_risk() {
    let home = Home::new();
    let ended = home.run(&["actions"]);
    assert_eq!(ended.code, 0);
    assert!(ended.out.lines().any(|line| line.contains("container.restart") && line.contains("disruptive")));
    let (_, actions) = home.json(&["actions", "--json"]);
    assert!(
        actions.as_array().unwrap().iter().any(|action| action["id"] == "container.start" && action["risk"] == "safe")
    );
}

#[test]
fn what_cannot_be_done_is_refused_with_the_remedy() {
    let Some(engine) = bed::engine() else { return };
    let steady = bed::faults::steady(&engine);
    let home = home(&engine);
    home.run(&["run", "container.fly", steady.name()]).refused(4, "hostler actions");
    home.run(&["run", "container.restart"]).refused(4, "name a container");
    let typo = format!("{}x", steady.name());
    home.run(&["run", "container.restart", &typo]).refused(4, steady.name());
    home.run(&["run", "container.restart", "no-such-project/"]).refused(4, "no project or service");
    home.run(&["run", "container.restart", steady.name()]).refused(4, "--yes");
    home.run(&["run", "container.restart", steady.name(), "--plan", "0123"]).refused(4, "--dry-run");
    home.run(&["--read-only", "run", "container.restart", steady.name(), "--yes"]).refused(4, "--read-only");
    home.run(&["run", "container.restart", steady.name(), "--yes", "--without", "fly"]).refused(4, "no optional steps");
    assert_eq!(steady.inspect().restart_count, Some(0));
    let nowhere = Home::new();
    let ended = nowhere.run(&["run", "container.restart", "x", "--yes"]);
    assert_eq!(ended.code, 1, "{}", ended.err);
    assert!(ended.err.contains("no such socket"), "{}", ended.err);
}

#[test]
fn an_undo_needs_a_run_that_can_be_taken_back() {
    let Some(engine) = bed::engine() else { return };
    let home = home(&engine);
    home.run(&["undo", "20260101-000000-0000"]).refused(64, "hostler journal");
    let steady = engine.run("undo", |spec| spec.restart(Restart::Always));
    let (code, done) = run(&home, &["container.restart", steady.name()]);
    assert_eq!(code, 0, "{done}");
    home.run(&["undo", done["run"].as_str().unwrap()]).refused(4, "cannot be taken back");
    home.run(&["run", "--finish", done["run"].as_str().unwrap()]).refused(4, "has not died");
}
