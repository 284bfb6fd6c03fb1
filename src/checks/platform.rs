//! Rules about orchestration platforms.

use std::time::Duration;

use super::container::about;
use super::error_rate::Counts;
use super::{Assessment, Rule};
use crate::domain::{Container, FindingId, Observation, Platform, PlatformHealth, Reading, Severity, SourceId, Why};
use crate::store::{PlatformCounters, State};

/// Faults among what a platform was asked to do.
pub(super) const ERROR_RATE: Rule = Rule {
    id: "platform.error-rate",
    title: "Errors of platforms",
    why: "More than one failed run in a hundred points to an agent, a credential or an upstream that does not work.",
    fix: &[],
    reads: Some(SourceId::Platforms),
    assess: |state, _, assessment| {
        each(state, |platform, container| judge_rate(state, platform, container, assessment));
    },
};

/// A platform that says that it cannot serve.
pub(super) const UNHEALTHY: Rule = Rule {
    id: "platform.unhealthy",
    title: "Platforms that are not ready",
    why: "Its process answers, but what it needs, its database as a rule, does not: nothing that it is asked for will work.",
    fix: &["container.restart"],
    reads: Some(SourceId::Platforms),
    assess: |state, _, assessment| {
        each(state, |platform, container| judge_health(state, platform, container, assessment));
    },
};

/// So long a platform must say so: while it comes up that is no fault.
const HOLD_FOR: Duration = Duration::from_secs(30);

/// Each platform with its container, unless the engine knows that no more.
fn each(state: &State, mut look: impl FnMut(&Platform, &Container)) {
    for platform in state.platforms.get().into_iter().flat_map(|sample| &sample.platforms) {
        if let Some(container) = state.container(&platform.container) {
            look(platform, container);
        }
    }
}

fn judge_rate(state: &State, platform: &Platform, container: &Container, assessment: &mut Assessment) {
    let open = state.findings.open_severity(ERROR_RATE.id, &container.name);
    // What is open stands by what was counted last.
    if let (Reading::Unavailable(why), None) = (&platform.requests, open) {
        assessment.cannot_tell(ERROR_RATE.id, container.name.clone(), why.to_string());
        return;
    }
    let work = platform.kind.work();
    let Some(counts) = state.platform_counters.within_window(&platform.container) else {
        assessment.cannot_tell(
            ERROR_RATE.id,
            container.name.clone(),
            format!("15 minutes of its {work} are not seen yet"),
        );
        return;
    };
    let counts = Counts {
        work,
        window: PlatformCounters::WINDOW,
        requests: counts.total as f64,
        faults: counts.failed as f64,
        overloads: 0.0,
    };
    let seen =
        counts.judge(&state.thresholds, open, |severity, title| about(ERROR_RATE.id, container, severity, &title));
    assessment.observations.extend(seen);
}

fn judge_health(state: &State, platform: &Platform, container: &Container, assessment: &mut Assessment) {
    match &platform.health {
        Reading::Known(PlatformHealth::NotReady { says }) => {
            let title = format!("{} is not ready", platform.kind.title());
            assessment.see(Observation {
                evidence: vec![format!("it says: {says}")],
                hold_for: HOLD_FOR,
                ..about(UNHEALTHY.id, container, Severity::Warning, &title)
            });
        }
        Reading::Known(PlatformHealth::Ready | PlatformHealth::Answering) => {}
        Reading::Unavailable(why) => assessment.observations.extend(still_open(state, UNHEALTHY.id, container, why)),
    }
}

/// What is open of a platform that has fallen silent since: silence mends nothing.
fn still_open(state: &State, id: FindingId, container: &Container, why: &Why) -> Option<Observation> {
    let last = state.findings.open_of(id).into_iter().find(|open| open.subject == container.name)?;
    let mut kept = last.clone();
    kept.evidence.truncate(1);
    kept.evidence.push(format!("since then: {why}"));
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PlatformKind;
    use crate::make::{Script, container, platform};

    fn n8n(total: u64, failed: u64) -> Platform {
        platform(PlatformKind::N8n, "n8n", total, failed)
    }

    fn with_health(health: Reading<PlatformHealth>) -> Platform {
        Platform { health, ..n8n(0, 0) }
    }

    fn not_ready() -> Platform {
        with_health(Reading::Known(PlatformHealth::NotReady { says: "status 503: error".to_owned() }))
    }

    fn silent() -> Platform {
        let why = || "no answer within 2 s".into();
        Platform { requests: Reading::Unavailable(why()), ..with_health(Reading::Unavailable(why())) }
    }

    fn watched() -> Script {
        let mut script = Script::new();
        script.at(0).docker([container("n8n").project("agents", "n8n")]);
        script
    }

    #[test]
    fn faults_are_told_once_fifteen_minutes_are_seen() {
        let mut script = watched();
        script.platforms([n8n(1000, 500)]).assess();
        assert_eq!(script.waiting("platform.error-rate"), ["15 minutes of its workflow runs are not seen yet"]);
        script.at(899).platforms([n8n(1100, 504)]).assess();
        assert!(script.open().is_empty(), "{:?}", script.open());
        script.at(900).platforms([n8n(1100, 504)]).assess();
        assert!(script.waiting("platform.error-rate").is_empty());
        let seen = script.finding("platform.error-rate", "n8n").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "4% of workflow runs fail"));
        assert_eq!(seen.evidence, ["4 of 100 workflow runs in 15 min", "limit 1%"]);
        assert_eq!((seen.project.as_deref(), seen.service.as_deref()), (Some("agents"), Some("n8n")));

        script.at(960).platforms([n8n(1120, 524)]).assess();
        assert_eq!(script.finding("platform.error-rate", "n8n").seen.severity, Severity::Critical);
        script.at(2000).platforms([n8n(1140, 524)]).assess();
        assert!(script.open().is_empty(), "those faults are over");
    }

    /// How grave so many faults among so many runs are.
    fn severity(total: u64, failed: u64) -> Option<Severity> {
        let mut script = watched();
        script.platforms([n8n(0, 0)]);
        script.at(900).platforms([n8n(total, failed)]).assess();
        script.state.findings.open_severity("platform.error-rate", "n8n")
    }

    #[test]
    fn few_runs_and_few_faults_say_nothing() {
        assert_eq!(severity(0, 0), None);
        assert_eq!(severity(19, 19), None);
        assert_eq!(severity(20, 2), None);
        assert_eq!(severity(20, 3), Some(Severity::Critical));
        assert_eq!(severity(300, 3), None, "a limit itself is not beyond it");
        assert_eq!(severity(299, 3), Some(Severity::Warning));
        assert_eq!(severity(100, 10), Some(Severity::Warning));
        assert_eq!(severity(100, 11), Some(Severity::Critical));
    }

    #[test]
    fn counters_that_cannot_be_read_neither_open_nor_clear() {
        let mut script = watched();
        script.platforms([silent()]).assess();
        assert_eq!(script.waiting("platform.error-rate"), ["no answer within 2 s"]);
        script.at(15).platforms([n8n(0, 0)]);
        script.at(915).platforms([n8n(100, 50)]).assess();
        assert_eq!(script.open(), ["platform.error-rate n8n"]);
        script.at(930).platforms([silent()]).assess();
        assert_eq!(script.open(), ["platform.error-rate n8n"]);
        // After a restart they begin at 0, and what was counted before still counts.
        script.at(960).platforms([n8n(30, 0)]).assess();
        let seen = script.finding("platform.error-rate", "n8n").seen;
        assert_eq!(seen.evidence[0], "50 of 130 workflow runs in 15 min");
    }

    #[test]
    fn a_platform_that_is_not_ready_for_half_a_minute_is_named() {
        let mut script = watched();
        script.platforms([not_ready()]).assess();
        script.at(29).assess();
        assert!(script.open().is_empty(), "it may be coming up");
        script.at(30).platforms([not_ready()]).assess();
        let seen = script.finding("platform.unhealthy", "n8n").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "n8n is not ready"));
        assert_eq!(seen.evidence, ["it says: status 503: error"]);

        for second in [45, 60] {
            script.at(second).platforms([silent()]).assess();
            let seen = script.finding("platform.unhealthy", "n8n").seen;
            assert_eq!(seen.evidence, ["it says: status 503: error", "since then: no answer within 2 s"]);
        }
        script.at(75).platforms([n8n(0, 0)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn silence_alone_is_no_finding_of_its_own() {
        let mut script = watched();
        script.platforms([silent()]).assess();
        script.at(60).platforms([silent()]).assess();
        assert!(script.open().is_empty());
    }
}
