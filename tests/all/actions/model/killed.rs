//! Workers that are killed at any moment of a promotion or a roll back.

use serde_json::Value;

use super::{KEPT, Rig};
use crate::actions::interrupted::{journal, worker};
use crate::bed::{self, Home, wait_until};

/// Begins what is planned and kills its worker as soon as the run's file has a record of this kind about this step.
pub(super) fn killed(home: &Home, plan: &Value, kind: &str, step: usize) -> String {
    let (mut worker, id) = worker(home, plan);
    let file = home.state().join("runs").join(format!("{id}.jsonl"));
    wait_until(bed::DEADLINE, &format!("{kind} {step} is written"), || {
        let text = std::fs::read_to_string(&file).ok()?;
        let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut records = records.filter(|record| record["kind"] == kind);
        records.any(|record| record["step"] == step).then_some(())
    });
    worker.kill().unwrap();
    worker.wait().unwrap();
    id
}

#[test]
fn a_promotion_killed_at_any_step_is_taken_back() {
    let Some(it) = Rig::new() else { return };
    let names = it.server.names();
    for (kind, step) in (0..3).flat_map(|step| [("began", step), ("finished", step)]) {
        let plan = it.planned("model.promote", "v2", &[])["plan"].clone();
        let id = killed(&it.home, &plan, kind, step);
        let died = journal(&it.home);
        if died["outcome"] == "died" {
            let target = it.target("v2");
            it.home.run(&["run", "model.promote", &target, "--yes"]).refused(4, "was interrupted");
        }
        let (code, back) = it.home.json(&["undo", &id, "--json"]);
        assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{kind} {step}: {back}");
        assert_eq!((it.version("chat:latest"), it.server.names()), ("v1", names.clone()), "{kind} {step}");
    }
}

#[test]
fn a_promotion_and_a_roll_back_killed_at_any_step_are_finished_by_another() {
    let Some(it) = Rig::new() else { return };
    for (kind, step) in [("began", 0), ("finished", 0), ("began", 1), ("finished", 1), ("began", 2)] {
        let finish = |action: &str, name: &str| {
            let plan = it.planned(action, name, &[])["plan"].clone();
            let id = killed(&it.home, &plan, kind, step);
            if journal(&it.home)["outcome"] == "died" {
                let (code, done) = it.home.json(&["run", "--finish", &id, "--json"]);
                assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{action} {kind} {step}: {done}");
            }
        };
        finish("model.promote", "v2");
        assert_eq!((it.version("chat:latest"), it.version(KEPT)), ("v2", "v1"), "{kind} {step}");
        finish("model.rollback", "chat");
        assert_eq!((it.version("chat:latest"), it.version(KEPT)), ("v1", "none"), "{kind} {step}");
    }
}
