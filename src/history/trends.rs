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
//! Why the statistics are here and not in a crate: `augurs` 0.10 is the kept one. Its `augurs-mstl` takes out cycles in 4.0 ms a
//! series of 90 days, six seconds for a full box of which all steps here take 0.3, and knows no gaps; `augurs-outlier` compares
//! series with their peers, and nothing here has any; `augurs-changepoint` brings 100 crates, and finds changes of a level alone, to
//! which a drift is many steps.

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
    /// The full hour at which it begins; an hour without a sample has no point.
    pub at: Timestamp,
    /// The mean of its samples, in the base unit of the metric.
    pub mean: f64,
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

/// Whether a series of this metric is looked at.
pub fn is_judged(name: &str) -> bool {
    way(name) != Way::Not || name == metric::GPU_MEMORY_TOTAL.name
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::MarkKind;

    const NOISE: [f64; 7] = [0.4, -0.9, 1.1, -0.3, 0.8, -1.2, 0.1];

    /// Hourly points of a value by day, with noise by day and hour.
    fn series(value: impl Fn(f64) -> f64, days: i64) -> Vec<HourPoint> {
        let noise = |hour: i64| NOISE[(hour / 24 % 7) as usize] + NOISE[(hour % 7) as usize];
        let point = |hour: i64| HourPoint { at: timestamp(hour), mean: value(hour as f64 / 24.0) + noise(hour) };
        (0..days * 24).map(point).collect()
    }

    fn key(text: &str) -> SeriesKey {
        text.parse().unwrap()
    }

    fn mark(day: i64, kind: MarkKind, subject: Option<&str>) -> Mark {
        Mark { at: timestamp(day * 24), kind, subject: subject.map(str::to_owned), text: String::new() }
    }

    const SPEED: &str = "inference_generation_speed_tokens_per_second{engine=\"vllm:8000\"}";
    const HEAT: &str = "gpu_temperature_celsius{gpu=\"GPU-1\"}";

    fn look_at(series: &[(&str, Vec<HourPoint>)], marks: &[Mark], related: &Related, day: i64) -> TrendSample {
        look(series.iter().map(|(name, points)| (key(name), points.clone())), marks, related, timestamp(day * 24))
    }

    #[test]
    fn a_change_at_a_mark_is_told_with_it_and_begins_a_baseline_of_its_own() {
        let speed = series(|day| if day < 40.0 { 60.0 } else { 48.0 }, 90);
        let marks = [mark(40, MarkKind::Image, Some("vllm")), mark(41, MarkKind::Model, Some("other"))];
        let related = Related::new([("vllm:8000".into(), "vllm".into())]);
        let at = |day| look_at(&[(SPEED, speed.clone())], &marks, &related, day).trends;
        assert_eq!((at(40), at(42), at(60)), (vec![], vec![], vec![]), "too early, and how things are");
        let [trend] = &at(44)[..] else { panic!("{:?}", at(44)) };
        assert_eq!((trend.kind, trend.since), (TrendKind::Sudden, timestamp(40 * 24)));
        assert!((trend.before - 60.0).abs() < 1.0 && (trend.after - 48.0).abs() < 1.0, "{trend:?}");
        assert_eq!(trend.cause.as_ref().map(|mark| mark.kind), Some(MarkKind::Image));
    }

    #[test]
    fn a_drift_is_told_of_its_own_part_alone() {
        // Each part falls by a sixth; what happened at the mark brought it back.
        let speed = series(|day| if day < 45.0 { 60.0 - day / 9.0 * 2.0 } else { 60.0 - (day - 45.0) / 4.5 }, 90);
        let marks = [mark(45, MarkKind::Driver, None)];
        let trends = look_at(&[(SPEED, speed)], &marks, &Related::default(), 90).trends;
        let [trend] = &trends[..] else { panic!("{trends:?}") };
        assert_eq!(trend.kind, TrendKind::Gradual);
        assert!((trend.before - 60.0).abs() < 2.0 && (trend.after - 50.0).abs() < 2.0, "{trend:?}");
        assert!(trend.since >= timestamp(44 * 24), "{trend:?}");
    }

    #[test]
    fn what_changed_at_the_same_time_is_named_if_it_belongs_to_it() {
        let both = [
            (SPEED, series(|day| if day < 40.0 { 60.0 } else { 48.0 }, 50)),
            (HEAT, series(|day| if day < 40.3 { 62.0 } else { 71.0 }, 50)),
        ];
        let marks = [mark(40, MarkKind::Finding, Some("GPU-1")), mark(40, MarkKind::Config, None)];
        let related = Related::new([("vllm:8000".into(), "GPU-1".into())]);
        let together = look_at(&both, &marks, &related, 45).trends;
        assert_eq!((&together[0].beside, &together[1].beside), (&vec![key(HEAT)], &vec![key(SPEED)]));
        assert!(together.iter().all(|trend| trend.cause.as_ref().is_some_and(|it| it.kind == MarkKind::Config)));
        let apart = look_at(&both, &[], &Related::default(), 45).trends;
        assert!(apart.len() == 2 && apart.iter().all(|trend| trend.beside.is_empty() && trend.cause.is_none()));
    }

    #[test]
    fn what_only_counts_up_is_not_judged_and_memory_is_held_against_its_limit_wherever_that_stands() {
        let up = || series(|day| day * 10.0, 30);
        let used = ("gpu_memory_used_bytes{gpu=\"GPU-1\"}", up());
        let limit = ("gpu_memory_total_bytes{gpu=\"GPU-1\"}", series(|_| 400.0, 30));
        let counts = ("uptime_seconds", up());
        for both in [[used.clone(), limit.clone(), counts.clone()], [limit, counts.clone(), used.clone()]] {
            let trends = look_at(&both, &[], &Related::default(), 30).trends;
            let [Trend { kind: TrendKind::FullIn(forecast), .. }] = &trends[..] else { panic!("{trends:?}") };
            assert!((forecast.days_left - 10.0).abs() < 0.5, "{forecast:?}");
        }
        let without = look_at(&[used, counts], &[], &Related::default(), 30);
        assert!(without.trends.is_empty() && without.too_young.is_empty(), "without a limit there is no end");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Hours with any gaps and values, judged at any time as each kind of series, tell finite figures or nothing.
        #[test]
        fn whatever_was_recorded_can_be_looked_at(
            steps in proptest::collection::vec((1_i64..40, prop_oneof![Just(0.0), -1e3..1e3, Just(f64::NAN), Just(1e300)]), 0..900),
            marks in proptest::collection::vec((0_i64..4_000, 0_usize..3), 0..6),
            day in 0_i64..200,
        ) {
            let mut hour = 0;
            let points: Vec<HourPoint> = steps
                .iter()
                .map(|(step, mean)| {
                    hour += step / 20 + 1;
                    HourPoint { at: timestamp(hour), mean: *mean }
                })
                .collect();
            let kinds = [MarkKind::Image, MarkKind::Driver, MarkKind::Note];
            let marks: Vec<Mark> = marks
                .into_iter()
                .map(|(hour, kind)| Mark { at: timestamp(hour), ..mark(0, kinds[kind], None) })
                .collect();
            let series = [SPEED, HEAT, "disk_free_bytes{mount=\"/\"}"].map(|name| (name, points.clone()));
            for trend in look_at(&series, &marks, &Related::default(), day).trends {
                prop_assert!(trend.before.is_finite() && trend.after.is_finite(), "{trend:?}");
                prop_assert!(trend.forecast().is_none_or(|it| it.days_left.is_finite() && it.used_per_day > 0.0));
                prop_assert!(trend.since <= timestamp(day * 24));
            }
        }
    }
}
