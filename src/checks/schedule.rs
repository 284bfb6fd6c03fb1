//! Rules about what is done at a set time.

use super::{Rule, observation};
use crate::domain::{FindingId, Observation, ScheduleStanding, Severity, units};

/// A time at which nobody was there, or an action that could not be begun.
pub(super) const NOT_DONE: Rule = Rule {
    id: "schedule.not-done",
    title: "Not done at its time",
    why: "What was to be done while nobody looks was not done: the box was off, or something stood against it.",
    fix: &[],
    reads: None,
    assess: |state, now, assessment| {
        for line in &state.schedule {
            let title = match (&line.refused, line.missed) {
                (Some((_, why)), _) => format!("{} was not begun: {why}", line.scheduled.action),
                (None, Some(at)) => {
                    format!("nobody was there to do {} {} ago", line.scheduled.action, units::span(now.since_wall(at)))
                }
                (None, None) => continue,
            };
            assessment.see(about(NOT_DONE.id, line, Severity::Warning, &title));
        }
    },
};

/// A line that nobody signed as it is now.
pub(super) const UNSIGNED: Rule = Rule {
    id: "schedule.unsigned",
    title: "Not signed",
    why: "What runs while nobody looks is signed in advance; a line that was changed since is another one.",
    fix: &[],
    reads: None,
    assess: |state, _, assessment| {
        for line in state.schedule.iter().filter(|line| line.signed.is_none()) {
            let title =
                format!("{} is not done before `hostler schedule sign {}`", line.scheduled.action, line.scheduled.name);
            assessment.see(about(UNSIGNED.id, line, Severity::Info, &title));
        }
    },
};

fn about(id: FindingId, line: &ScheduleStanding, severity: Severity, title: &str) -> Observation {
    let mut seen = observation(id, line.scheduled.name.as_str(), severity, title);
    seen.evidence.push(line.scheduled.when());
    seen
}
