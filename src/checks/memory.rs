//! The rule about the machine's memory.

use super::level::{Level, Side, percent_beside};
use super::{Rule, observation};
use crate::domain::{Observation, SourceId, Unit, units};
use crate::store::State;

/// An open finding clears two points below its limit.
const CLEAR: f64 = 0.02;

/// Used memory of the machine.
pub(super) const USED: Rule = Rule {
    id: "memory.used",
    title: "Used memory",
    why: "A leak or an undersized configuration ends with the kernel killing whatever is largest.",
    fix: &[],
    reads: Some(SourceId::Host),
    assess: |state, _, assessment| assessment.observations.extend(judge(state)),
};

fn judge(state: &State) -> Option<Observation> {
    let memory = state.host.get()?.memory.get().filter(|memory| memory.total_bytes > 0)?;
    let limits = &state.thresholds;
    let level = Level {
        side: Side::Above,
        warning: limits.memory_used_warning,
        critical: limits.memory_used_critical,
        clear: CLEAR,
    };
    let used = memory.used_ratio();
    let (severity, limit) = level.judge(used, state.findings.open_severity(USED.id, "host"))?;
    Some(Observation {
        evidence: vec![
            format!("limit {}", units::percent(limit)),
            units::bytes_of(memory.used_bytes(), memory.total_bytes),
        ],
        value: Some(used),
        limit: Some(limit),
        unit: Some(Unit::Ratio),
        hold_for: limits.memory_hold_for,
        level: state.findings.is_first_look(SourceId::Host),
        ..observation(USED.id, "host", severity, format!("{} of memory used", percent_beside(used, limit)))
    })
}

#[cfg(test)]
mod tests {
    use crate::domain::Severity;
    use crate::make::Script;

    #[test]
    fn full_memory_is_named_at_the_first_look() {
        let mut script = Script::new();
        script.at(0).memory(0.95).assess();
        let seen = script.finding("memory.used", "host").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "95% of memory used"));
        assert_eq!(seen.evidence, ["limit 90%", "95.0/100 GiB"]);
    }

    #[test]
    fn a_minute_must_pass_later_on_and_a_dip_begins_it_anew() {
        let mut script = Script::new();
        script.at(0).memory(0.5).assess();
        script.at(10).memory(0.95).assess();
        script.at(60).memory(0.89).assess();
        script.at(61).memory(0.95).assess();
        script.at(120).memory(0.95).assess();
        assert!(script.open().is_empty());
        script.at(121).memory(0.98).assess();
        assert_eq!(script.finding("memory.used", "host").seen.severity, Severity::Critical);
    }

    #[test]
    fn it_clears_two_points_below() {
        let mut script = Script::new();
        script.at(0).memory(0.95).assess();
        script.at(1).memory(0.885).assess();
        assert_eq!(script.open(), ["memory.used host"]);
        script.at(2).memory(0.875).assess();
        assert!(script.open().is_empty());
    }
}
