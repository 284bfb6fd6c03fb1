//! The operator's own rules: a limit over every series that they name.

use std::collections::HashMap;

use super::{Assessment, observation};
use crate::domain::{Moment, Observation, SeriesKey, SeriesRule, SourceId, SourceStatus, Unit};
use crate::store::State;

/// Lets each of the operator's own rules look. Of several series about one subject the worst speaks.
pub(super) fn assess(state: &State, at: Moment, assessment: &mut Assessment) {
    let rules = &state.thresholds.own;
    if rules.is_empty() {
        return;
    }
    let series = state.metrics(at);
    for rule in rules {
        let source = source_of(&rule.series.name);
        if let Some(source) = source
            && state.sources.status(source, at) != SourceStatus::Fresh
        {
            assessment.keep(rule.id, source, state, at);
            continue;
        }
        let mut worst: HashMap<&str, (&SeriesKey, f64)> = HashMap::new();
        for (key, value) in series.iter().filter(|(key, _)| key.matches(&rule.series)) {
            let known = worst.entry(key.subject()).or_insert((key, *value));
            if rule.side.is_beyond(*value, known.1) {
                *known = (key, *value);
            }
        }
        let is_first_look = source.is_some_and(|source| state.findings.is_first_look(source));
        let mut seen: Vec<Observation> =
            worst.into_iter().filter_map(|(subject, (key, value))| judge(rule, state, subject, key, value)).collect();
        seen.sort_by(|one, other| one.subject.cmp(&other.subject));
        for observation in seen {
            assessment.see(Observation { level: is_first_look, ..observation });
        }
    }
}

/// The source that one of these rules judges; `None` where there is no such rule (any more), or its series are of no one source.
pub(super) fn reads(state: &State, id: &str) -> Option<SourceId> {
    let rule = state.thresholds.own.iter().find(|rule| rule.id == id)?;
    source_of(&rule.series.name)
}

fn judge(rule: &SeriesRule, state: &State, subject: &str, key: &SeriesKey, value: f64) -> Option<Observation> {
    let is_open = state.findings.is_open(rule.id, subject);
    if !rule.side.is_beyond(value, if is_open { rule.clear } else { rule.limit }) {
        return None;
    }
    let is = format!("{} is {}, {} {}", rule.series.name, plain(value), rule.side.word(), plain(rule.limit));
    let mut seen = observation(rule.id, subject, rule.severity, rule.text.map_or(is, str::to_owned));
    seen.project = key.label("project").map(Into::into);
    seen.service = key.label("service").map(Into::into);
    seen.why = rule.why;
    seen.evidence = vec![format!("{key} is {}", plain(value))];
    seen.value = Some(value);
    seen.limit = Some(rule.limit);
    seen.unit = unit_of(&key.name);
    seen.hold_for = rule.hold_for;
    Some(seen)
}

/// The source that a metric is read from; `None` where it is none of one source.
fn source_of(metric: &str) -> Option<SourceId> {
    const BY_BEGIN: &[(&str, SourceId)] = &[
        ("disk_free_", SourceId::Volumes),
        ("inodes_", SourceId::Volumes),
        ("gpu_", SourceId::Gpu),
        ("container_cpu_", SourceId::Usage),
        ("container_memory_", SourceId::Usage),
        ("container_pids", SourceId::Usage),
        ("container_gpu_", SourceId::Gpu),
        ("container_", SourceId::Docker),
        ("inference_", SourceId::Engines),
        ("platform_", SourceId::Platforms),
    ];
    if metric == "findings" {
        return None;
    }
    let found = BY_BEGIN.iter().find(|(begin, _)| metric.starts_with(begin));
    Some(found.map_or(SourceId::Host, |(_, source)| *source))
}

/// What a metric counts, by the end of its name.
fn unit_of(metric: &str) -> Option<Unit> {
    [("_ratio", Unit::Ratio), ("_celsius", Unit::Celsius), ("_bytes", Unit::Bytes), ("_restarts", Unit::Restarts)]
        .into_iter()
        .find(|(end, _)| metric.ends_with(end))
        .map(|(_, unit)| unit)
}

/// A number as short as it says what it is: whole where it is large, else with four digits that count.
fn plain(value: f64) -> String {
    if value.abs() >= 10_000.0 || value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let decimals = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::domain::{Event, METRICS, Severity, Side, Thresholds};
    use crate::make::Script;

    fn rule(series: &str, side: Side, limit: f64, clear: f64, seconds: u64) -> SeriesRule {
        SeriesRule {
            id: "my.rule",
            series: series.parse().unwrap(),
            side,
            limit,
            clear,
            hold_for: Duration::from_secs(seconds),
            severity: Severity::Warning,
            text: None,
            why: "The config says so.",
        }
    }

    fn script(rule: SeriesRule) -> Script {
        let mut script = Script::new();
        let thresholds = Thresholds { own: vec![rule], ..Thresholds::default() };
        script.apply(Event::Limits(Arc::new(thresholds)));
        script
    }

    #[test]
    fn a_limit_holds_for_each_series_that_is_named() {
        let mut script = script(rule("disk_free_ratio", Side::Below, 0.5, 0.6, 0));
        script.at(0).volumes([("/", 0.45), ("/data", 0.55), ("/models", 0.4)]).assess();
        assert_eq!(script.open(), ["my.rule /", "my.rule /models"]);
        let seen = script.finding("my.rule", "/").seen;
        assert_eq!(seen.title, "disk_free_ratio is 0.45, below 0.5");
        assert_eq!(seen.evidence, ["disk_free_ratio{mount=\"/\"} is 0.45"]);
        assert_eq!((seen.value, seen.limit, seen.unit), (Some(0.45), Some(0.5), Some(Unit::Ratio)));
        // It clears where it is told to.
        script.at(1).volumes([("/", 0.55), ("/models", 0.61)]).assess();
        assert_eq!(script.open(), ["my.rule /"]);
    }

    #[test]
    fn labels_choose_and_time_holds_back() {
        let mut script = script(rule("disk_free_ratio{mount=\"/data\"}", Side::Below, 0.5, 0.5, 60));
        script.at(0).volumes([("/", 0.9), ("/data", 0.9)]).assess();
        script.at(1).volumes([("/", 0.3), ("/data", 0.3)]).assess();
        assert!(script.open().is_empty());
        script.at(62).assess();
        assert_eq!(script.open(), ["my.rule /data"]);
    }

    #[test]
    fn an_outage_mends_nothing_of_it() {
        let mut script = script(rule("memory_used_ratio", Side::Above, 0.4, 0.3, 0));
        script.at(0).memory(0.5).assess();
        assert_eq!(script.open(), ["my.rule host"]);
        script.at(1).failed(SourceId::Host, "no answer").assess();
        assert_eq!(script.open(), ["my.rule host", "source.failed host"]);
        script.at(2).memory(0.2).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn every_metric_but_the_findings_has_a_source() {
        for metric in METRICS {
            assert_eq!(source_of(metric.name).is_none(), metric.name == "findings", "{}", metric.name);
        }
        assert_eq!(source_of("disk_read_bytes_per_second"), Some(SourceId::Host));
        assert_eq!(source_of("container_running"), Some(SourceId::Docker));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (3.0, "3"), (0.081_234_5, "0.08123"), (85.5, "85.5"), (123_456.7, "123457"), (-0.5, "-0.5")]
        {
            assert_eq!(plain(value), text);
        }
    }
}
