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

#[cfg(test)]
mod tests {
    use crate::domain::{Event, HostFacts, HostSample, Inventory, Reading, Remembered, RunningContainer, Sample};
    use crate::make::{Script, container};

    fn host(boot: &str, uptime: u64) -> Sample {
        let facts = HostFacts { boot_id: boot.to_owned(), ..HostFacts::default() };
        Sample::Host(HostSample { facts, uptime_seconds: Reading::Known(uptime), ..HostSample::default() }.into())
    }

    /// What ran on the machine at its start `a`.
    fn before() -> Remembered {
        let ran = RunningContainer { image: "i".to_owned(), reference: "i:1".to_owned(), started: None, restarts: 0 };
        let containers = ["db", "notebook"].map(|name| (name.to_owned(), ran.clone()));
        let last = Inventory {
            boot: Some("a".to_owned()),
            containers: Some(containers.into()),
            mounts: Some(["/".to_owned(), "/models".to_owned()].into()),
            ..Inventory::default()
        };
        Remembered { last, before_reboot: None }
    }

    fn script(boot: &str, uptime: u64) -> Script {
        let mut script = Script::new();
        script.at(0).apply(Event::Remembered(before().into()));
        for second in [0, 61] {
            script.at(second).sample(host(boot, uptime + second)).volumes([("/", 0.5)]);
            script.docker([container("db").running(0)]).assess();
        }
        script
    }

    #[test]
    fn what_a_reboot_took_away_is_told_once_the_machine_had_time() {
        assert_eq!(script("b", 3_600).open(), ["reboot.not-back notebook", "reboot.not-back /models"]);
        let seen = script("b", 3_600).finding("reboot.not-back", "notebook").seen;
        assert_eq!((seen.title.as_str(), seen.evidence.len()), ("does not run", 1));
        assert!(script("b", 60).open().is_empty(), "it may still come");
        assert!(script("b", 8 * 24 * 3_600).open().is_empty(), "it is not expected any more");
        assert!(script("a", 3_600).open().is_empty(), "the machine was not started anew");
    }
}
