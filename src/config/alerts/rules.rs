//! `[[alerts.rule]]`: the operator's own rules over any series, checked word by word.

use std::collections::HashSet;
use std::time::Duration;

use super::super::check::Checker;
use super::super::own::{is_id, kept_text};
use super::super::raw::{Limit, RawRule, Span, unknown};
use crate::checks::RULES;
use crate::domain::{METRICS, SeriesKey, SeriesRule, Severity, Side};

impl Checker<'_> {
    /// The rules, without those that are at fault.
    pub(in crate::config) fn rules(&mut self, raw: &[RawRule]) -> Vec<SeriesRule> {
        let mut names = HashSet::new();
        raw.iter().filter_map(|rule| self.rule(rule, &mut names)).collect()
    }

    fn rule<'a>(&mut self, raw: &'a RawRule, names: &mut HashSet<&'a str>) -> Option<SeriesRule> {
        let before = self.faults();
        let name = raw.name.get_ref();
        if !is_id(name) {
            let allowed = "allowed: two words of small letters and -, such as disk.root-tight";
            self.fault(&raw.name, format!("`{name}` is no name of a rule; {allowed}"));
        } else if RULES.iter().any(|rule| rule.id == name) {
            self.fault(&raw.name, format!("hostler has a rule `{name}` already; choose another name"));
        } else if !names.insert(name) {
            self.fault(&raw.name, format!("there are two rules `{name}`; choose another name"));
        }
        let series = self.series(raw);
        let limit = self.limit(raw);
        let clear = limit.map(|(side, limit)| self.clear(raw, side, limit));
        let text = raw.text.as_ref().and_then(|text| self.filled(text));
        let day = Duration::from_hours(24);
        let hold_for = self.span(raw.hold_for.as_ref(), Duration::ZERO..=day, Duration::ZERO);
        if self.faults() > before {
            return None;
        }
        let (series, (side, limit), clear) = (series?, limit?, clear?);
        let lasts = if hold_for.is_zero() { String::new() } else { format!(" for {}", Span::words(hold_for)) };
        let why = format!("A rule of the config: {series} {} {limit}{lasts}.", side.word());
        Some(SeriesRule {
            id: kept_text(name),
            series,
            side,
            limit,
            clear,
            hold_for,
            severity: raw.severity.unwrap_or(Severity::Warning),
            text: text.as_deref().map(kept_text),
            why: kept_text(&why),
        })
    }

    fn series(&mut self, raw: &RawRule) -> Option<SeriesKey> {
        match raw.series.get_ref().parse::<SeriesKey>() {
            Ok(series) if series.metric().is_some() => Some(series),
            Ok(series) => {
                // There are many: those about the same thing are near enough.
                let thing = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
                let all = || METRICS.iter().map(|metric| metric.name);
                let near: Vec<&str> = all().filter(|name| thing(name) == thing(&series.name)).collect();
                let allowed = if near.is_empty() { all().collect() } else { near };
                self.fault(&raw.series, unknown("series", &series.name, allowed.into_iter()));
                None
            }
            Err(error) => {
                self.fault(&raw.series, error.to_string());
                None
            }
        }
    }

    fn limit(&mut self, raw: &RawRule) -> Option<(Side, f64)> {
        match (&raw.above, &raw.below) {
            (Some(above), None) => Some((Side::Above, above.get_ref().0)),
            (None, Some(below)) => Some((Side::Below, below.get_ref().0)),
            (Some(_), Some(below)) => {
                self.fault(below, "a rule has `above` or `below`, not both; write two rules".to_owned());
                None
            }
            (None, None) => {
                self.fault(&raw.name, "a rule needs `above` or `below`: the limit, in base units".to_owned());
                None
            }
        }
    }

    /// Where it clears: never on the bad side of its limit.
    fn clear(&mut self, raw: &RawRule, side: Side, limit: f64) -> f64 {
        let Some(written) = &raw.clear else { return limit };
        let Limit(clear) = *written.get_ref();
        if side.is_beyond(clear, limit) {
            let what =
                format!("it would clear at {clear}, which is {} {limit}; allowed: on the good side", side.word());
            self.fault(written, what);
        }
        clear
    }
}
