//! Rules and checks: what is held against the state, and what it says.
//!
//! A [`Rule`] turns the state at one moment into [`Observation`]s; a [`Check`] turns it into the outcome of one duty.
//! Both are plain constants in a file per subject and one line in a registry ([`RULES`], [`CHECKS`]), pure, and cheap
//! enough to run every second. Hold-for, silence and what has cleared belong to the store
//! ([`Findings`](crate::store::Findings)); the rules only ask it what is open, to apply a clear level.

mod container;
mod disk;
mod duties;
mod error_rate;
mod fault;
mod forecast;
mod gpu;
mod inference;
mod level;
mod memory;
mod model;
mod own;
mod platform;
mod reboot;
mod restart_loop;
mod run;
mod schedule;
mod source;
mod trend;

pub use duties::{CHECKS, Check, due, routine, standings};

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ActionId, FindingId, Moment, Observation, Severity, SourceId, SourceStatus, Unassessed, units};
use crate::store::State;

/// One rule: a threshold over the state.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The id of the rule and of its findings, such as `disk.free`.
    pub id: FindingId,
    /// What it is about, in two or three words.
    pub title: &'static str,
    /// Why it matters, a sentence or two.
    pub why: &'static str,
    /// The source whose readings it judges. While that cannot be read the rule is not asked: what it saw last stands,
    /// with its age. `None` for a rule that judges the sources themselves, or what the history tells.
    pub reads: Option<SourceId>,
    /// Actions that may mend it.
    pub fix: &'static [ActionId],
    /// Looks at the state and says what is so.
    pub assess: fn(&State, Moment, &mut Assessment),
}

/// The registered rules, in the order in which equally grave findings of one moment are shown.
pub const RULES: &[Rule] = &[
    fault::LOST,
    fault::DRIVER_MISMATCH,
    fault::XID,
    fault::ECC,
    gpu::TEMPERATURE,
    gpu::THROTTLE,
    gpu::MEMORY_FULL_IN,
    restart_loop::RESTART_LOOP,
    container::OOM,
    container::START_FAILED,
    container::EXITED,
    container::UNHEALTHY,
    disk::FREE,
    disk::INODES,
    disk::FULL_IN,
    memory::USED,
    inference::ERROR_RATE,
    platform::UNHEALTHY,
    platform::ERROR_RATE,
    trend::SUDDEN,
    trend::GRADUAL,
    model::BROKEN,
    model::SECRET_READABLE,
    model::ORPHANS,
    model::NAMING,
    model::RETRAIN_DUE,
    reboot::NOT_BACK,
    schedule::NOT_DONE,
    schedule::UNSIGNED,
    run::INTERRUPTED,
    source::FAILED,
];

/// What the rules see at one moment.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    observations: Vec<Observation>,
    unassessed: Vec<Unassessed>,
}

impl Assessment {
    /// Says that something is so.
    pub fn see(&mut self, observation: Observation) {
        self.observations.push(observation);
    }

    /// Says that something cannot be told yet, because …
    pub fn cannot_tell(&mut self, id: FindingId, subject: impl Into<Arc<str>>, why: impl Into<String>) {
        self.unassessed.push(Unassessed { id, subject: subject.into(), why: why.into() });
    }

    /// Lets stand what was open when its source was last read: an outage of the source mends nothing, and an old reading
    /// is no ground for anything new.
    fn keep(&mut self, id: FindingId, source: SourceId, state: &State, at: Moment) {
        let age = state.sources.get(source).and_then(|source| source.age(at));
        for last in state.findings.open_of(id) {
            let mut kept = last.clone();
            kept.evidence.retain(|clause| !clause.starts_with(LAST_READ));
            kept.evidence.extend(age.map(|age| format!("{LAST_READ} {} ago", units::span(age))));
            self.see(kept);
        }
    }
}

/// How the evidence that has an age begins.
const LAST_READ: &str = "last read";

/// Lets every rule look at `state`, the operator's own last: what they see, and what cannot be told yet.
pub fn assess(state: &State, at: Moment) -> (Vec<Observation>, Vec<Unassessed>) {
    let mut assessment = Assessment::default();
    for rule in RULES {
        match rule.reads.map(|source| (source, state.sources.status(source, at))) {
            None | Some((_, SourceStatus::Fresh)) => {
                let before = assessment.observations.len();
                (rule.assess)(state, at, &mut assessment);
                assessment.observations[before..].iter_mut().for_each(|observation| {
                    observation.why = rule.why;
                    observation.fix = rule.fix;
                });
            }
            Some((source, _)) => assessment.keep(rule.id, source, state, at),
        }
    }
    own::assess(state, at, &mut assessment);
    (assessment.observations, assessment.unassessed)
}

/// Whether the rule of this id could look at this subject at the last look: what it did not see then is not so. A source that is not
/// there hides nothing.
pub fn is_judged(state: &State, id: &str, subject: &str, at: Moment) -> bool {
    let of_rule = RULES.iter().find(|rule| rule.id == id).map(|rule| rule.reads);
    let source = of_rule.unwrap_or_else(|| own::reads(state, id));
    let could_look =
        |source| matches!(state.sources.status(source, at), SourceStatus::Fresh | SourceStatus::Unsupported);
    let waits = || state.findings.unassessed().iter().any(|waiting| waiting.id == id && *waiting.subject == *subject);
    state.sources.all_tried() && source.is_none_or(could_look) && !waits()
}

/// An observation that is one at once, about something that is no container, without numbers.
fn observation(
    id: FindingId,
    subject: impl Into<Arc<str>>,
    severity: Severity,
    title: impl Into<String>,
) -> Observation {
    Observation {
        id,
        subject: subject.into(),
        container: None,
        project: None,
        service: None,
        severity,
        title: title.into(),
        why: "",
        evidence: Vec::new(),
        value: None,
        limit: None,
        unit: None,
        since: None,
        fix: &[],
        look: &[],
        hold_for: Duration::ZERO,
        level: false,
    }
}

/// `1 exit`, `4 exits`.
fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::make::Script;

    #[test]
    fn rules_have_ids_of_their_own_and_say_why() {
        let mut ids = HashSet::new();
        for rule in RULES {
            assert!(ids.insert(rule.id), "{} is there twice", rule.id);
            assert!(rule.id.split('.').count() == 2, "{} is `subject.what`", rule.id);
            assert!(rule.title.chars().count() <= 32 && !rule.title.is_empty(), "{}", rule.title);
            assert!(rule.why.ends_with('.'), "{}: {}", rule.id, rule.why);
        }
    }

    #[test]
    fn an_outage_of_a_source_neither_clears_nor_opens() {
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.15), ("/models", 0.5)]).assess();
        assert_eq!(script.open(), ["disk.free /"]);

        script.at(30).failed(SourceId::Volumes, "statvfs hangs").assess();
        assert_eq!(script.open(), ["disk.free /", "source.failed volumes"]);
        let kept = script.finding("disk.free", "/");
        assert_eq!(kept.seen.evidence.last().map(String::as_str), Some("last read 30 s ago"));

        script.at(60).assess();
        let evidence = script.finding("disk.free", "/").seen.evidence;
        assert_eq!(evidence.iter().filter(|clause| clause.starts_with(LAST_READ)).count(), 1, "{evidence:?}");

        script.at(70).volumes([("/", 0.5), ("/models", 0.5)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn what_could_not_be_looked_at_is_not_judged() {
        let mut script = Script::new();
        let sources: Vec<SourceId> = script.state.sources.iter().map(|(id, _)| id).collect();
        script.at(0).volumes([("/", 0.5)]).memory(0.5).assess();
        let judged = |script: &Script, id| is_judged(&script.state, id, "/", script.state.now);
        assert!(!judged(&script, "disk.free"), "not everything was tried");
        for source in sources.into_iter().filter(|source| !matches!(source, SourceId::Volumes | SourceId::Host)) {
            script.failed(source, "not now");
        }
        let no_driver = crate::domain::Failure::unsupported("no NVIDIA driver");
        script.failure(SourceId::Gpu, no_driver).assess();
        for (id, is) in [
            ("disk.free", true),
            ("container.oom", false),
            ("gpu.xid", true),
            ("source.failed", true),
            ("my.rule", true),
        ] {
            assert_eq!(judged(&script, id), is, "{id}");
        }
    }

    #[test]
    fn a_reading_that_got_old_while_it_was_held_back_opens_nothing() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        script.at(1).memory(0.95).assess();
        script.at(2).failed(SourceId::Host, "no answer").assess();
        script.at(120).assess();
        assert_eq!(script.open(), ["source.failed host"]);
    }
}
