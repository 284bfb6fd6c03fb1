//! What recorded series tell: what changed at once, what drifts, and what will be full.
//!
//! [`look`] is the one way in. It is pure: hourly points and marks go in, [`Trend`]s come out, and nothing is remembered
//! between two looks. A series goes through some steps, a file each: `days` takes out the daily and weekly cycles, `pieces`
//! cuts the days at what changed, `explain` tells a step from a ramp, `change` tells the newest change that matters, `causes`
//! what else changed then. What runs towards a limit is judged by `forecast` alone.
//!
//! It is quiet by design: a change must last three days and stand out of the noise of its own series, and it is told for two
//! weeks; then it is how things are. Nothing is told of the first three weeks of a series, for a week cannot be told from a
//! change before it was seen three times.
//!
//! Why the statistics are here and not in a crate: `augurs` was tried. Its `augurs-mstl` takes out cycles in 4.0 ms a series of
//! 90 days, six seconds for a full box, and knows no gaps; `augurs-outlier` compares series with their peers, which nothing
//! here has; `augurs-changepoint` brings about 70 crates, and knows steps but no drifts, so that a drift becomes many steps.

mod causes;
mod change;
mod days;
mod explain;
mod forecast;
mod pieces;
mod robust;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{Mark, SeriesKey, Trend, TrendKind, TrendSample, metric};
pub use causes::Related;

/// One hour of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HourPoint {
    /// The full hour at which it begins.
    pub at: Timestamp,
    /// The mean of its samples, in the base unit of the metric.
    pub mean: f64,
    /// The least of them.
    pub min: f64,
    /// The greatest of them.
    pub max: f64,
    /// How many there were; an hour without one has no point.
    pub count: u32,
}

impl HourPoint {
    /// Hours since 1970.
    fn hour(&self) -> i64 {
        self.at.as_second().div_euclid(3_600)
    }
}

/// A time of so many hours since 1970.
fn timestamp(hour: i64) -> Timestamp {
    Timestamp::from_second(hour * 3_600).unwrap_or(Timestamp::MAX)
}

/// How a series is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By its level.
    Level,
    /// By when nothing is left of it.
    Left,
    /// By when it reaches the latest value of another metric with the same labels.
    UpTo(&'static str),
    /// Not at all: it only counts up, is a limit itself, or says the same as another one.
    Not,
}

fn way(name: &str) -> Way {
    const NOT: [&str; 9] = [
        metric::UPTIME.name,
        metric::DISK_FREE.name,
        metric::INODES_FREE.name,
        metric::GPU_MEMORY_TOTAL.name,
        metric::GPU_ECC_CORRECTED.name,
        metric::GPU_ECC_UNCORRECTED.name,
        metric::CONTAINER_RESTARTS.name,
        metric::CONTAINER_RUNNING.name,
        metric::FINDINGS.name,
    ];
    match name {
        _ if name == metric::DISK_FREE_BYTES.name => Way::Left,
        _ if name == metric::GPU_MEMORY_USED.name => Way::UpTo(metric::GPU_MEMORY_TOTAL.name),
        _ if NOT.contains(&name) || name.ends_with("_total") => Way::Not,
        _ => Way::Level,
    }
}

/// Looks at `series`, each with its hourly points in the order of time (up to 400 days of them, gaps allowed), at `at`; points
/// that are not older are left out, so that the same look can be had later. One series at a time is taken from the iterator and
/// let go again. `marks` say what else changed when, in any order; `related` which subjects belong together.
pub fn look(
    series: impl IntoIterator<Item = (SeriesKey, Vec<HourPoint>)>,
    marks: &[Mark],
    related: &Related,
    at: Timestamp,
) -> TrendSample {
    let mut sample = TrendSample { at, trends: Vec::new(), too_young: Vec::new() };
    let now = at.as_second().div_euclid(3_600);
    let mut limits: HashMap<SeriesKey, f64> = HashMap::new();
    // A limit may come after what nears it.
    let mut nearing = Vec::new();
    for (key, mut points) in series {
        points.retain(|point| point.hour() < now && point.mean.is_finite());
        match way(&key.name) {
            Way::Not => {
                limits.extend(points.last().map(|point| (key, point.mean)));
            }
            Way::Level => {
                let concerning: Vec<&Mark> = causes::concerning(marks, &key, related).collect();
                let changes = change::changes(&key, &points, &concerning, now);
                sample.trends.extend(changes.into_iter().map(|change| trend(key.clone(), change, &concerning)));
            }
            Way::Left => forecast_into(&mut sample, key, &points, None),
            Way::UpTo(limit) => {
                let limit = SeriesKey { name: Arc::from(limit), labels: key.labels.clone() };
                points.drain(..points.len().saturating_sub(forecast::HOURS));
                nearing.push((key, limit, points));
            }
        }
    }
    for (key, limit, points) in nearing {
        if let Some(limit) = limits.get(&limit) {
            forecast_into(&mut sample, key, &points, Some(*limit));
        }
    }
    causes::link(&mut sample.trends, related);
    sample
}

fn trend(series: SeriesKey, change: change::Change, marks: &[&Mark]) -> Trend {
    let since = timestamp(change.since);
    let cause = change.cause.or_else(|| causes::cause(marks, since, change.kind));
    Trend { series, kind: change.kind, since, before: change.before, after: change.after, cause, beside: Vec::new() }
}

fn forecast_into(sample: &mut TrendSample, series: SeriesKey, points: &[HourPoint], limit: Option<f64>) {
    match forecast::forecast(points, limit) {
        forecast::Outlook::TooYoung { days } => sample.too_young.push((series, days)),
        forecast::Outlook::Steady => {}
        forecast::Outlook::Full { since, before, after, forecast } => sample.trends.push(Trend {
            series,
            kind: TrendKind::FullIn(forecast),
            since: timestamp(since),
            before,
            after,
            cause: None,
            beside: Vec::new(),
        }),
    }
}
