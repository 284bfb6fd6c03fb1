//! The rule about what cannot be read.

use super::{Rule, observation};
use crate::domain::{Moment, Observation, Severity, SourceId, SourceStatus, units};
use crate::store::SourceState;

/// A source that is there and cannot be read. It changes no verdict by itself: the verdict becomes *unknown* from the
/// sources' own record, and what is absent or forbidden is a normal state with its own words.
pub(super) const FAILED: Rule = Rule {
    id: "source.failed",
    title: "What cannot be read",
    why: "A part of the box that cannot be seen may be in any state, and the verdict says so.",
    fix: &[],
    reads: None,
    assess: |state, at, assessment| {
        assessment.observations.extend(state.sources.iter().filter_map(|(id, source)| judge(id, source, at)));
    },
};

fn judge(id: SourceId, source: &SourceState, at: Moment) -> Option<Observation> {
    let (title, since, mut evidence) = match (source.status(at), &source.failure) {
        (SourceStatus::Failed, Some((failure, since))) => {
            let evidence = std::iter::once(failure.what.clone()).chain(failure.remedy.clone()).collect();
            ("cannot be read", Some(since.wall), evidence)
        }
        (SourceStatus::Stale, _) => ("gives no answer", source.last_ok.map(|last| last.wall), Vec::new()),
        _ => return None,
    };
    evidence.extend(source.age(at).map(|age| format!("last read {} ago", units::span(age))));
    Some(Observation { evidence, since, ..observation(FAILED.id, id.as_str(), Severity::Info, title) })
}

#[cfg(test)]
mod tests {
    use crate::domain::{Failure, Severity, SourceId, Verdict};
    use crate::make::{Script, wall};

    #[test]
    fn what_is_there_and_fails_is_told_with_its_remedy() {
        let mut script = Script::new();
        let failure = Failure::failed("/run/docker.sock: no answer within 5 s").remedy("is dockerd alive?");
        script.at(3).failure(SourceId::Docker, failure).assess();
        let finding = script.finding("source.failed", "docker");
        assert_eq!(finding.seen.severity, Severity::Info);
        assert_eq!(finding.seen.evidence, ["/run/docker.sock: no answer within 5 s", "is dockerd alive?"]);
        assert_eq!(finding.since, wall(3));
        assert_eq!(script.verdict(), Verdict::Unknown);
    }

    #[test]
    fn what_is_absent_or_forbidden_is_no_finding() {
        let mut script = Script::new();
        script.at(0).failure(SourceId::Gpu, Failure::unsupported("libnvidia-ml.so.1 not found"));
        script.failure(SourceId::Docker, Failure::denied("/run/docker.sock", "join the group docker")).assess();
        assert!(script.open().is_empty());
        assert_eq!(script.verdict(), Verdict::Well);
    }

    #[test]
    fn a_source_that_falls_silent_is_stale() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        script.at(3 * Script::INTERVAL + 1).assess();
        let finding = script.finding("source.failed", "host");
        assert_eq!(finding.seen.title, "gives no answer");
        assert_eq!(finding.since, wall(0));
        assert_eq!(script.verdict(), Verdict::Unknown);
    }
}
