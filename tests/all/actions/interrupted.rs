//! Workers that are killed at any moment: what they left is told, and is finished or taken back. The service is never lost.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use serde_json::Value;

use super::service::{Service, Version};
use crate::bed::{self, Home, wait_until};

/// A worker that is at work on a plan, and its run's id.
pub(super) fn worker(home: &Home, plan: &Value) -> (Child, String) {
    let state = home.state();
    let mut command = home.command(&["work", "--state-dir", state.to_str().unwrap()]);
    let mut worker = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    worker.stdin.take().unwrap().write_all(plan.to_string().as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(worker.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (worker, line.trim().strip_prefix("run ").unwrap_or_else(|| panic!("{line:?}")).to_owned())
}

/// Begins an update and kills its worker as soon as the run's file has a record of this kind about this step. Gives the
/// run's id.
pub(super) fn killed_at(service: &Service, kind: &str, step: usize) -> String {
    let (mut worker, id) = worker(&service.home, &service.plan());
    written(service, &id, kind, step);
    worker.kill().unwrap();
    worker.wait().unwrap();
    id
}

/// Waits until a run's file has a record of this kind about this step.
pub(super) fn written(service: &Service, id: &str, kind: &str, step: usize) {
    wait_until(bed::DEADLINE, &format!("{kind} {step} is written"), || {
        let text = std::fs::read_to_string(service.run_file(id)).ok()?;
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut records = records.filter(|record| record["kind"] == kind);
        records.any(|record| record["step"] == step).then_some(())
    });
}

/// How the newest run stands.
pub(super) fn journal(home: &Home) -> Value {
    let out = home.run(&["journal", "--json"]).out;
    serde_json::from_str(out.lines().rfind(|line| line.contains("\"kind\":\"run\"")).unwrap()).unwrap()
}

#[test]
fn a_worker_killed_at_any_step_is_taken_back() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    for (kind, step) in (0..8).flat_map(|step| [("began", step), ("finished", step)]) {
        let id = killed_at(&service, kind, step);
        let died = journal(&service.home);
        if died["outcome"] == "succeeded" {
            // It was faster than the kill at its very end.
            assert_eq!((kind, step), ("finished", 7), "{died}");
        } else {
            assert_eq!(died["outcome"], "died", "{kind} {step}: {died}");
            let (_, check) = service.home.json(&["check", "--json"]);
            let told = check["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "run.interrupted");
            assert!(told, "{kind} {step}: {check}");
        }
        let (code, back) = service.home.json(&["undo", &id, "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{kind} {step}: {back}");
        assert_eq!(service.now().id.as_deref(), Some(service.container.id()), "{kind} {step}");
        assert!(service.runs(), "{kind} {step}");
        assert_eq!(service.containers(), [service.container.name()], "{kind} {step}");
    }
}

#[test]
fn a_worker_killed_at_any_step_is_finished_by_another() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    for (kind, step) in [("began", 2), ("began", 3), ("began", 5), ("began", 6), ("finished", 6), ("began", 7)] {
        let id = killed_at(&service, kind, step);
        let (code, done) = service.home.json(&["run", "--finish", &id, "--json"]);
        assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{kind} {step}: {done}");
        assert_eq!(service.version(), "2", "{kind} {step}");
        assert!(service.runs(), "{kind} {step}");
        let (code, back) = service.home.json(&["undo", &id, "--json"]);
        assert_eq!(code, 0, "{kind} {step}: {back}");
        assert_eq!(service.version(), "1", "{kind} {step}");
    }
}

#[test]
fn what_somebody_else_made_meanwhile_is_left_alone() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    let plan = service.plan();
    // Somebody makes the container again.
    let other = service.engine.run("other", |spec| spec);
    let rename = |from: &str, to: &str| {
        let options = bollard::query_parameters::RenameContainerOptionsBuilder::new().name(to).build();
        service.engine.block_on(service.engine.docker().rename_container(from, options)).unwrap();
    };
    let name = service.container.name();
    rename(name, &format!("{name}-before"));
    rename(other.name(), name);
    assert_eq!(worker(&service.home, &plan).0.wait().unwrap().code(), Some(1));
    let refused = journal(&service.home);
    assert_eq!(refused["outcome"], "failed", "{refused}");
    assert!(refused["text"].as_str().unwrap().contains("is another container now"), "{refused}");
    assert_eq!(service.now().id.as_deref(), Some(other.id()));
    assert!(service.runs());
}

#[test]
fn two_runs_never_work_on_one_container() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Late);
    let plan = service.plan();
    let (mut first, _) = worker(&service.home, &plan);
    let ended = service.home.run(&["run", "container.restart", service.container.name(), "--yes"]);
    assert_eq!(ended.code, 1, "{} {}", ended.out, ended.err);
    assert!(ended.err.contains("another run works on"), "{}", ended.err);
    first.wait().unwrap();
    assert!(service.runs());
}

#[test]
fn a_run_is_cancelled_and_taken_back() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    let plan = service.plan();
    let (mut worker, id) = worker(&service.home, &plan);
    std::fs::write(service.run_file(&id).with_extension("cancel"), "").unwrap();
    worker.wait().unwrap();
    let cancelled = journal(&service.home);
    assert_eq!(cancelled["outcome"], "cancelled", "{cancelled}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
}
