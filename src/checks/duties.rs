//! The routine: the recurring duties, and the checks that can answer some of them from the state.
//!
//! A check never passes on what it did not see: what could not be read, or was watched for too short a time, is
//! *unknown* with the reason. Its result is worked out from the findings and from the same readings as everything else,
//! so a rule and a check never disagree.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};
use serde::Deserialize;

use super::counted;
use crate::domain::{
    Cadence, CheckResult, DutyOutcome, DutySpec, DutyStanding, Finding, Moment, Severity, SourceId, SourceStatus, units,
};
use crate::store::State;

/// A probe of one duty.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The duty's id, as in `assets/routine.toml`.
    pub id: &'static str,
    /// Looks at the state.
    pub assess: fn(&State, Moment) -> DutyOutcome,
}

/// The registered checks.
pub const CHECKS: &[Check] = &[ALERTS, CONTAINERS_RUNNING, LOGS, DISK_SPACE];

const ALERTS: Check = Check { id: "daily.alerts", assess: |state, at| alerts(state, at).of(ALERTS.id) };
const CONTAINERS_RUNNING: Check = Check {
    id: "daily.containers-running",
    assess: |state, at| containers_running(state, at).of(CONTAINERS_RUNNING.id),
};
const LOGS: Check = Check { id: "daily.logs", assess: |state, at| logs(state, at).of(LOGS.id) };
const DISK_SPACE: Check =
    Check { id: "weekly.disk-space", assess: |state, at| disk_space(state, at).of(DISK_SPACE.id) };

/// Logs must have been followed for so long before their silence says anything: the time of the daily round.
const LOGS_WATCHED: Duration = Duration::from_mins(5);

/// Containers that are named in the evidence; the rest is counted.
const NAMED: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Routine {
    duty: Vec<DutySpec>,
}

/// Every duty, by cadence and then in the order of a round.
pub fn routine() -> &'static [DutySpec] {
    static ROUTINE: OnceLock<Vec<DutySpec>> = OnceLock::new();
    // The text is part of the program, and a test holds that it can be read.
    ROUTINE.get_or_init(|| {
        toml::from_str(include_str!("../../assets/routine.toml"))
            .map_or_else(|_| Vec::new(), |routine: Routine| routine.duty)
    })
}

/// How every duty of the routine stands. `today` is the civil date where the operator is.
pub fn standings(state: &State, at: Moment, today: Date) -> Vec<DutyStanding> {
    let stand = |duty: &'static DutySpec| {
        let outcome = CHECKS.iter().find(|check| check.id == duty.id).map_or_else(
            || unknown("this version has no check for it: a person has to look").of(&duty.id),
            |check| (check.assess)(state, at),
        );
        DutyStanding { spec: duty, outcome, due: due(duty.cadence, today) }
    };
    routine().iter().map(stand).collect()
}

/// The last day of the period that `today` lies in: today, Sunday, the month's or the quarter's last day.
pub fn due(cadence: Cadence, today: Date) -> Date {
    match cadence {
        Cadence::Daily => today,
        Cadence::Weekly => today.saturating_add(i64::from(today.weekday().until(Weekday::Sunday)).days()),
        Cadence::Monthly => today.last_of_month(),
        Cadence::Quarterly => {
            let months: Span = i64::from((3 - today.month() % 3) % 3).months();
            today.first_of_month().saturating_add(months).last_of_month()
        }
    }
}

/// An outcome that does not know its duty yet.
struct Told {
    result: CheckResult,
    evidence: Vec<String>,
}

impl Told {
    fn of(self, id: &'static str) -> DutyOutcome {
        DutyOutcome { id, result: self.result, evidence: self.evidence }
    }
}

fn told(result: CheckResult, evidence: impl Into<String>) -> Told {
    Told { result, evidence: vec![evidence.into()] }
}

fn unknown(evidence: impl Into<String>) -> Told {
    told(CheckResult::Unknown, evidence)
}

/// Why a check that reads `source` cannot run now; `None` while it can.
fn unreadable(state: &State, source: SourceId, at: Moment) -> Option<Told> {
    let trouble =
        || state.sources.get(source).and_then(|source| source.trouble(at)).unwrap_or_else(|| "not read".to_owned());
    match state.sources.status(source, at) {
        SourceStatus::Fresh => None,
        SourceStatus::Unsupported => Some(told(CheckResult::NotApplicable, trouble())),
        _ => Some(unknown(format!("{source}: {}", trouble()))),
    }
}

fn alerts(state: &State, at: Moment) -> Told {
    let open: Vec<Finding> =
        state.findings.all(at).into_iter().filter(|finding| finding.seen.severity > Severity::Info).collect();
    let unanswered: Vec<&Finding> = open.iter().filter(|finding| finding.silence.is_none()).collect();
    if let Some(worst) = unanswered.first() {
        let count = format!("{} of {} open without an answer", unanswered.len(), open.len());
        return Told {
            result: CheckResult::Fail,
            evidence: vec![count, format!("{} {}", worst.seen.subject, worst.seen.title)],
        };
    }
    // Nothing open says little while a part of the box cannot be seen.
    let unseen = state.sources.iter().find_map(|(id, source)| match source.status(at) {
        SourceStatus::Waiting | SourceStatus::Stale | SourceStatus::Failed => {
            Some(format!("{id}: {}", source.trouble(at)?))
        }
        SourceStatus::Fresh | SourceStatus::Denied | SourceStatus::Unsupported => None,
    });
    match (unseen, open.len()) {
        (Some(unseen), _) => unknown(unseen),
        (None, 0) => told(CheckResult::Pass, "nothing is open"),
        (None, count) => told(CheckResult::Pass, format!("{count} open, each silenced")),
    }
}

fn containers_running(state: &State, at: Moment) -> Told {
    if let Some(told) = unreadable(state, SourceId::Docker, at) {
        return told;
    }
    // The container rules have judged already who loops and who should run; findings are few.
    let wrong: Vec<Finding> = state.findings.all(at).into_iter().filter(|finding| word(finding).is_some()).collect();
    let (running, all) = state.containers_running(at);
    if all == 0 {
        return told(CheckResult::NotApplicable, "no container is meant to run");
    }
    let mut named: Vec<String> = wrong.iter().take(NAMED).filter_map(named).collect();
    if wrong.len() > NAMED {
        named.push(format!("{} more", wrong.len() - NAMED));
    }
    let result =
        if wrong.iter().all(|finding| finding.silence.is_some()) { CheckResult::Pass } else { CheckResult::Fail };
    let count = format!("{running} of {all} running");
    told(result, if named.is_empty() { count } else { format!("{count}: {}", named.join(", ")) })
}

/// What a container does instead of running, if this finding says that it does not run.
fn word(finding: &Finding) -> Option<&'static str> {
    match finding.seen.id {
        "container.restart-loop" => Some("restarting"),
        "container.exited" => Some("not running"),
        "container.start-failed" => Some("could not start"),
        _ => None,
    }
}

fn named(finding: &Finding) -> Option<String> {
    let answered = if finding.silence.is_some() { " (answered)" } else { "" };
    Some(format!("{} {}{answered}", finding.seen.subject, word(finding)?))
}

fn logs(state: &State, at: Moment) -> Told {
    if state.sources.status(SourceId::Docker, at) == SourceStatus::Unsupported {
        return told(CheckResult::NotApplicable, "no container engine, so no logs of containers");
    }
    // On a box with containers there are logs; where nobody reads them they are unknown.
    if let Some(told) = unreadable(state, SourceId::Logs, at) {
        return Told { result: CheckResult::Unknown, ..told };
    }
    let followed = state.logs.followed;
    if followed == 0 {
        return unknown("no log is followed");
    }
    let (mut lines, mut errors, mut most) = (0, 0, None);
    for (origin, stats) in state.logs.stats() {
        lines += stats.lines;
        errors += stats.errors;
        most = most.max((stats.errors > 0).then_some((stats.errors, &origin.name)));
    }
    let watched = at.since(state.started);
    let seen =
        format!("{} of {} in {}", counted(lines, "line"), counted(followed as u64, "container"), units::span(watched));
    let mut outcome = match most {
        Some((_, name)) => Told {
            result: CheckResult::Fail,
            evidence: vec![format!("{}, most in {name}", counted(errors, "error")), seen],
        },
        None if watched < LOGS_WATCHED => {
            Told { result: CheckResult::Unknown, evidence: vec!["no error so far".to_owned(), seen] }
        }
        None => Told { result: CheckResult::Pass, evidence: vec!["no error".to_owned(), seen] },
    };
    if state.logs.dropped > 0 {
        outcome.evidence.push(format!("{} came too fast to be read", counted(state.logs.dropped, "line")));
    }
    outcome
}

fn disk_space(state: &State, at: Moment) -> Told {
    if let Some(told) = unreadable(state, SourceId::Volumes, at) {
        return told;
    }
    let short: Vec<Finding> =
        state.findings.all(at).into_iter().filter(|finding| finding.seen.id.starts_with("disk.")).collect();
    if !short.is_empty() {
        let result =
            if short.iter().all(|finding| finding.silence.is_some()) { CheckResult::Pass } else { CheckResult::Fail };
        return Told {
            result,
            evidence: short.iter().map(|finding| format!("{} {}", finding.seen.subject, finding.seen.title)).collect(),
        };
    }
    let volumes = state.volumes.get().into_iter().flatten().filter(|volume| volume.size_bytes > 0);
    match volumes.min_by(|a, b| a.free_ratio().total_cmp(&b.free_ratio())) {
        Some(tightest) => told(
            CheckResult::Pass,
            format!("{} {} free, the least", tightest.mount, units::percent(tightest.free_ratio())),
        ),
        None => told(CheckResult::NotApplicable, "no volume was found"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::civil::date;

    use super::*;
    use crate::domain::{DockerDisk, Failure, LogLevel, Sample};
    use crate::make::{Script, container};

    const TODAY: Date = date(2026, 11, 23);

    fn standing(script: &Script, id: &str) -> (CheckResult, Vec<String>) {
        let standings = standings(&script.state, script.state.now, TODAY);
        let standing = standings.into_iter().find(|standing| standing.spec.id == id).unwrap_or_else(|| panic!("{id}"));
        (standing.outcome.result, standing.outcome.evidence)
    }

    /// A box of which every source was read once and nothing is wrong.
    fn well() -> Script {
        let mut script = Script::new();
        script.at(0).memory(0.5).volumes([("/", 0.5), ("/models", 0.4)]).gpus([]).engines([]).platforms([]);
        script
            .sample(Sample::Usage(std::sync::Arc::default()))
            .sample(Sample::Logs { followed: 0 })
            .sample(Sample::Updates(std::sync::Arc::default()))
            .sample(Sample::Library(std::sync::Arc::default()))
            .sample(Sample::ModelUpdates(std::sync::Arc::default()));
        script.disk(DockerDisk::default());
        script.docker([container("web").always(), container("job").exited(0, -60)]).assess();
        script
    }

    #[test]
    fn the_routine_is_the_guides() {
        let mut ids = HashSet::new();
        for duty in routine() {
            assert!(ids.insert(&duty.id), "{} is there twice", duty.id);
            assert!(duty.id.starts_with(&format!("{}.", <&str>::from(duty.cadence))), "{}", duty.id);
            assert!(duty.title.chars().count() <= 32, "{}", duty.title);
            assert!(duty.why.ends_with('.'), "{}", duty.why);
        }
        let of = |cadence| routine().iter().filter(move |duty| duty.cadence == cadence);
        let sums = [Cadence::Daily, Cadence::Weekly, Cadence::Monthly, Cadence::Quarterly]
            .map(|cadence| (of(cadence).count(), of(cadence).map(|duty| duty.minutes).sum::<u32>()));
        assert_eq!(sums, [(3, 5), (4, 30), (6, 180), (5, 240)]);
        assert!(routine().is_sorted_by_key(|duty| duty.cadence));
    }

    #[test]
    fn every_check_belongs_to_a_duty() {
        let mut ids = HashSet::new();
        for check in CHECKS {
            assert!(ids.insert(check.id), "{} is there twice", check.id);
            assert!(routine().iter().any(|duty| duty.id == check.id), "{}", check.id);
            let script = Script::new();
            assert_eq!((check.assess)(&script.state, script.state.now).id, check.id);
        }
    }

    #[test]
    fn a_duty_is_due_on_the_last_day_of_its_period() {
        let cases = [
            (Cadence::Daily, TODAY, TODAY),
            (Cadence::Weekly, TODAY, date(2026, 11, 29)),
            (Cadence::Weekly, date(2026, 11, 29), date(2026, 11, 29)),
            (Cadence::Weekly, date(2026, 12, 31), date(2027, 1, 3)),
            (Cadence::Monthly, TODAY, date(2026, 11, 30)),
            (Cadence::Monthly, date(2028, 2, 29), date(2028, 2, 29)),
            (Cadence::Quarterly, TODAY, date(2026, 12, 31)),
            (Cadence::Quarterly, date(2026, 1, 31), date(2026, 3, 31)),
            (Cadence::Quarterly, date(2026, 9, 30), date(2026, 9, 30)),
        ];
        for (cadence, today, day) in cases {
            assert_eq!(due(cadence, today), day, "{cadence:?} on {today}");
        }
    }

    #[test]
    fn nothing_passes_before_anything_was_read() {
        let script = Script::new();
        for standing in standings(&script.state, script.state.now, TODAY) {
            assert_eq!(standing.outcome.result, CheckResult::Unknown, "{}", standing.spec.id);
            assert!(!standing.outcome.evidence.is_empty(), "{}", standing.spec.id);
        }
    }

    #[test]
    fn what_is_absent_is_not_applicable() {
        let mut script = Script::new();
        script.at(0).failure(SourceId::Docker, Failure::unsupported("no container engine was found")).assess();
        assert_eq!(standing(&script, "daily.containers-running").0, CheckResult::NotApplicable);
        assert_eq!(standing(&script, "daily.logs").0, CheckResult::NotApplicable);
    }

    #[test]
    fn logs_that_nobody_reads_are_unknown() {
        let mut script = Script::new();
        script.at(0).docker([container("web")]);
        script.failure(SourceId::Logs, Failure::unsupported("not followed by a single look")).assess();
        let why = vec!["not followed by a single look".to_owned()];
        assert_eq!(standing(&script, "daily.logs"), (CheckResult::Unknown, why));
    }

    #[test]
    fn a_healthy_box_passes_with_evidence() {
        let mut script = well();
        assert_eq!(standing(&script, "daily.alerts"), (CheckResult::Pass, vec!["nothing is open".to_owned()]));
        assert_eq!(
            standing(&script, "daily.containers-running"),
            (CheckResult::Pass, vec!["1 of 1 running".to_owned()])
        );
        assert_eq!(
            standing(&script, "weekly.disk-space"),
            (CheckResult::Pass, vec!["/models 40% free, the least".to_owned()])
        );
        assert_eq!(standing(&script, "monthly.models").0, CheckResult::Unknown);
        script.failed(SourceId::Docker, "no answer").assess();
        assert_eq!(standing(&script, "daily.alerts"), (CheckResult::Unknown, vec!["docker: no answer".to_owned()]));
        assert_eq!(standing(&script, "daily.containers-running").0, CheckResult::Unknown);
    }

    #[test]
    fn an_alert_wants_an_answer_not_an_end() {
        let mut script = well();
        script.at(1).docker([container("web").unhealthy(3, "", 0), container("db").unhealthy(3, "", 0)]).assess();
        script.accept("container.unhealthy", "web", 100);
        let unanswered = vec!["1 of 2 open without an answer".to_owned(), "db health check fails".to_owned()];
        assert_eq!(standing(&script, "daily.alerts"), (CheckResult::Fail, unanswered));
        script.snooze("container.unhealthy", "db", 100);
        assert_eq!(standing(&script, "daily.alerts"), (CheckResult::Pass, vec!["2 open, each silenced".to_owned()]));
        script.at(101);
        assert_eq!(standing(&script, "daily.alerts").0, CheckResult::Fail);
    }

    #[test]
    fn a_container_that_loops_or_lies_there_does_not_run() {
        let mut script = well();
        let loops = container("worker").always().created(-40).restarted(5).running(0);
        script.at(1).docker([
            container("web"),
            loops,
            container("db").on_failure(1).restarted(1).exited(1, -9),
            container("job").exited(0, -60),
        ]);
        script.assess();
        let evidence = vec!["1 of 3 running: worker restarting, db not running".to_owned()];
        assert_eq!(standing(&script, "daily.containers-running"), (CheckResult::Fail, evidence));
        script.accept("container.restart-loop", "worker", 100).accept("container.exited", "db", 100);
        let evidence = vec!["1 of 3 running: worker restarting (answered), db not running (answered)".to_owned()];
        assert_eq!(standing(&script, "daily.containers-running"), (CheckResult::Pass, evidence));
    }

    #[test]
    fn silence_in_the_logs_is_a_pass_only_after_a_while() {
        let mut script = well();
        assert_eq!(standing(&script, "daily.logs"), (CheckResult::Unknown, vec!["no log is followed".to_owned()]));
        script.sample(Sample::Logs { followed: 2 }).log("web", LogLevel::Info, "GET /");
        script.at(299);
        assert_eq!(standing(&script, "daily.logs").0, CheckResult::Unknown);
        script.at(300);
        let seen = "1 line of 2 containers in 5 min".to_owned();
        assert_eq!(standing(&script, "daily.logs"), (CheckResult::Pass, vec!["no error".to_owned(), seen]));
        script.log("db", LogLevel::Error, "FATAL: out of space");
        let evidence = vec!["1 error, most in db".to_owned(), "2 lines of 2 containers in 5 min".to_owned()];
        assert_eq!(standing(&script, "daily.logs"), (CheckResult::Fail, evidence));
    }

    #[test]
    fn a_full_disk_fails_until_somebody_answers() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.17)]).assess();
        assert_eq!(standing(&script, "weekly.disk-space"), (CheckResult::Fail, vec!["/ 17% free".to_owned()]));
        script.accept("disk.free", "/", 100);
        assert_eq!(standing(&script, "weekly.disk-space").0, CheckResult::Pass);
    }
}
