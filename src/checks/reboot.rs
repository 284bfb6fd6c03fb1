//! A rule about what a reboot took away.

use std::time::Duration;

use super::{Rule, observation};
use crate::domain::{Moment, Severity};
use crate::store::State;

/// What a machine starts takes its time: servers that load for minutes.
const SETTLED_AFTER: u64 = 10 * 60;
/// What has not come back for so long is not expected any more.
const FORGOTTEN_AFTER: u64 = 7 * 24 * 3_600;

/// What ran, was mounted or was set before the machine was started anew, and is not any more.
pub(super) const NOT_BACK: Rule = Rule {
    id: "reboot.not-back",
    title: "Not back after the reboot",
    why: "What was started by hand, or set by hand, does not come back with the machine.",
    fix: &[],
    reads: None,
    assess: |state, now, assessment| {
        let uptime = state.host.get().and_then(|host| host.uptime_seconds.get());
        if !uptime.is_some_and(|seconds| (SETTLED_AFTER..FORGOTTEN_AFTER).contains(&seconds)) {
            return;
        }
        for missing in state.not_back(now) {
            // That it does not run is told already.
            if is_told(state, now, &missing.subject) {
                continue;
            }
            let mut seen = observation(NOT_BACK.id, missing.subject.as_str(), Severity::Warning, &missing.what);
            seen.evidence.push("it was so before the machine was started anew".to_owned());
            seen.hold_for = Duration::from_mins(1);
            assessment.see(seen);
        }
    },
};

fn is_told(state: &State, now: Moment, subject: &str) -> bool {
    state.findings.all(now).iter().any(|finding| *finding.seen.subject == *subject && finding.seen.id != NOT_BACK.id)
}
