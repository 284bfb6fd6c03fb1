//! What the made-up box did for weeks: days with their load, a slow drift, and what was changed.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use jiff::Timestamp;

use super::wave;
use crate::domain::metric as of;
use crate::domain::{Mark, MarkKind, Past, PastPoint, SeriesKey};

/// Points of a made-up series.
const POINTS: i64 = 600;
const DAY: i64 = 86_400;

/// What was recorded of these series until now.
pub fn recorded(span: u64, until: Timestamp, wanted: &[SeriesKey]) -> Past {
    let step = (span.cast_signed() / POINTS).max(10);
    let end = until.as_second().div_euclid(step) * step;
    let times: Vec<i64> = (0..POINTS).rev().map(|back| end - back * step).collect();
    let mut series = HashMap::new();
    for key in wanted {
        let points = times.iter().filter_map(|second| {
            let at = Timestamp::from_second(*second).ok()?;
            let (mean, max) = value(key, *second, end)?;
            Some(PastPoint { at, mean: mean as f32, max: max as f32 })
        });
        series.insert(key.clone(), points.collect());
    }
    let marks = marks(until).into_iter().filter(|mark| mark.at.as_second() >= end - span.cast_signed()).collect();
    Past { span, until, step, series, marks, news: Vec::new(), why_none: None }
}

/// Mean and most of a series at a time; `None` while the box was off.
fn value(key: &SeriesKey, second: i64, end: i64) -> Option<(f64, f64)> {
    let ago = (end - second) as f64 / DAY as f64;
    if (11.0..11.2).contains(&ago) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let phase = (hasher.finish() % 628) as f64 / 100.0;
    let by_day = 0.5 - 0.5 * ((second % DAY) as f64 / DAY as f64 * std::f64::consts::TAU).cos();
    let load = 0.15 + 0.5 * by_day + 0.25 * wave(second.unsigned_abs(), 7_919.0, phase);
    let (mean, most) = match key.metric()? {
        it if *it == of::GPU_MEMORY_USED => ((14.0 + 5.0 * load) * GIB, (15.0 + 6.0 * load) * GIB),
        it if *it == of::GPU_POWER => (90.0 + 220.0 * load, 130.0 + 240.0 * load),
        it if *it == of::GPU_TEMPERATURE => (38.0 + 34.0 * load, 42.0 + 38.0 * load),
        it if *it == of::NETWORK_RECEIVED || *it == of::NETWORK_TRANSMITTED => (4e6 * load, 2e7 * load),
        it if *it == of::INFERENCE_E2E => {
            // Another image, nine days ago, made answers slower.
            let slower = if ago < 9.0 { 1.35 } else { 1.0 };
            (slower * (1.1 + 1.4 * load), slower * (1.9 + 2.6 * load))
        }
        it if *it == of::INFERENCE_GENERATED => (220.0 * load, 480.0 * load),
        it if *it == of::MEMORY_USED => (0.48 + 0.12 * load, 0.52 + 0.14 * load),
        _ => (0.75 * load, (0.35 + 0.75 * load).min(1.0)),
    };
    Some((mean, most))
}

const GIB: f64 = (1_u64 << 30) as f64;

fn marks(now: Timestamp) -> Vec<Mark> {
    let mark = |days: f64, kind, subject: Option<&str>, text: &str| Mark {
        at: Timestamp::from_second(now.as_second() - (days * DAY as f64) as i64).unwrap_or(now),
        kind,
        subject: subject.map(str::to_owned),
        text: text.to_owned(),
    };
    vec![
        mark(63.0, MarkKind::Driver, None, "GPU driver 580.95.05, before 575.64.03"),
        mark(11.1, MarkKind::Reboot, None, "the machine was started anew"),
        mark(9.0, MarkKind::Image, Some("vllm"), "vllm: another image, vllm/vllm-openai:v0.32.0"),
        mark(1.9, MarkKind::Note, None, "moved /models to the new disk"),
        mark(0.37, MarkKind::Note, None, "raised n8n concurrency to 10"),
    ]
}
