//! What fills up: the forecasts of the history, held against two weeks.

use std::time::Duration;

use super::{Assessment, observation};
use crate::domain::{FindingId, Forecast, Metric, Moment, Observation, Severity, TrendSample, Unit, units};
use crate::store::State;

/// An end is told so many days before.
const WITHIN: f64 = 14.0;
/// An open finding clears when the end is so many days further away.
const CLEAR: f64 = 2.0;
/// A look at the history counts for so long; it is taken once an hour.
const COUNTS: Duration = Duration::from_hours(24);

/// What the history tells now.
///
/// # Errors
/// Why it tells nothing.
pub(super) fn trends(state: &State, at: Moment) -> Result<&TrendSample, String> {
    let sample = state.trends.get().ok_or("no history yet: the recorder keeps one")?;
    let age = at.since_wall(sample.at);
    if age > COUNTS {
        return Err(format!(
            "the history was last looked at {} ago; the recorder does that each hour",
            units::span(age)
        ));
    }
    Ok(sample)
}

/// Holds the forecasts of `metric` against the limit, for each subject and what is left of it by its latest reading, in bytes.
pub(super) fn judge<'a>(
    id: FindingId,
    metric: &Metric,
    subjects: impl Iterator<Item = (&'a str, u64)>,
    (state, at): (&State, Moment),
    assessment: &mut Assessment,
) {
    let sample = match trends(state, at) {
        Ok(sample) => sample,
        Err(why) => return assessment.cannot_tell(id, "host", why),
    };
    for (subject, left) in subjects {
        let is_its = |name: &str, of: &str| name == metric.name && of == subject;
        let young = sample.too_young.iter().find(|(series, _)| is_its(&series.name, series.subject()));
        if let Some((_, days)) = young {
            assessment.cannot_tell(id, subject, format!("a week of its history is needed, and {days} d are there"));
        }
        let trend = sample.trends.iter().find(|trend| is_its(&trend.series.name, trend.subject()));
        let Some((trend, forecast)) = trend.and_then(|trend| Some((trend, trend.forecast()?))) else { continue };
        if let Some(mut seen) = full_in(id, subject, left, forecast, state.findings.is_open(id, subject)) {
            seen.since = Some(trend.since);
            seen.evidence.push(format!("so for {}", units::span(at.since_wall(trend.since))));
            assessment.see(seen);
        }
    }
}

fn full_in(id: FindingId, subject: &str, left: u64, forecast: &Forecast, is_open: bool) -> Option<Observation> {
    // What was cleaned up since the look counts at once.
    let days = forecast.days_left.max(left as f64 / forecast.used_per_day);
    if days > WITHIN + if is_open { CLEAR } else { 0.0 } {
        return None;
    }
    let span = |days: f64| units::span(Duration::from_secs_f64(days.max(0.0) * 86_400.0));
    let (earliest, latest) = forecast.between_days;
    Some(Observation {
        evidence: vec![
            format!("{} left", units::bytes(left)),
            format!("{} more a day", units::bytes(forecast.used_per_day as u64)),
            format!("between {} and {}", span(earliest), span(latest)),
        ],
        value: Some(days * 86_400.0),
        limit: Some(WITHIN * 86_400.0),
        unit: Some(Unit::Seconds),
        ..observation(id, subject, Severity::Warning, format!("full in {}", span(days)))
    })
}
