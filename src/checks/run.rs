//! A run of an action whose worker died before its end: something may be half done.

use super::{Assessment, Rule, observation};
use crate::domain::{Run, Severity};

pub(super) const INTERRUPTED: Rule = Rule {
    id: "run.interrupted",
    title: "action was interrupted",
    why: "What its worker had begun is neither done nor taken back; both can be had from its view in the journal.",
    fix: &[],
    reads: None,
    assess: |state, _, assessment| {
        state.runs.iter().filter(|run| run.has_died()).for_each(|run| see(run, assessment));
    },
};

fn see(run: &Run, assessment: &mut Assessment) {
    let (at, of) = run.place();
    let mut seen = observation(INTERRUPTED.id, run.id.as_str(), Severity::Critical, "was interrupted half-way");
    let step = run.step_title().map_or_else(String::new, |title| format!(", {title}"));
    seen.evidence = vec![run.plan.title.clone(), format!("its worker died in step {at} of {of}{step}")];
    seen.since = Some(run.step_began.unwrap_or(run.began));
    assessment.see(seen);
}

#[cfg(test)]
mod tests {
    use crate::domain::{Event, Op, Plan, Risk, Run, RunEntry, RunRecord, Step};
    use crate::make::{Script, wall};

    fn begun() -> Run {
        let step = Step::new("pull", "pull n8n:2", Risk::Safe, Op::Pull { reference: "n8n:2".to_owned() });
        let plan = Plan {
            targets: vec!["n8n".to_owned()],
            title: "Update n8n".to_owned(),
            steps: vec![step],
            rolls_back: true,
            ..Plan::of("container.update")
        };
        let planned = RunEntry::Planned { schema: 1, run: "r1".to_owned(), by: "ada".to_owned(), plan: Box::new(plan) };
        let mut run = Run::begin(&RunRecord { at: wall(0), entry: planned }).unwrap();
        run.take(&RunRecord { at: wall(1), entry: RunEntry::Began { step: 0, back: false } });
        run
    }

    #[test]
    fn a_run_without_a_worker_and_an_end_needs_someone() {
        let mut script = Script::new();
        let mut run = begun();
        run.alive = true;
        script.at(2).apply(Event::Runs(vec![run.clone()])).assess();
        assert!(script.open().is_empty(), "a worker holds it");
        run.alive = false;
        script.at(3).apply(Event::Runs(vec![run])).assess();
        assert_eq!(script.open(), ["run.interrupted r1"]);
        let seen = script.finding("run.interrupted", "r1").seen;
        assert_eq!(seen.evidence, ["Update n8n", "its worker died in step 1 of 1, pull n8n:2"]);
    }
}
