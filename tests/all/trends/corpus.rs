//! A corpus with known truth: 40 series of 90 days, each with one planted change or none, among noise, daily and weekly cycles,
//! reboots, gaps, odd hours and odd days. What is planted is of moderate size:
//!
//! * steps of 15 to 40 % of the level (cards' temperatures: 10 to 20 %), and at least three deviations of a day;
//! * drifts of 20 to 60 % over 30 to 60 days (temperatures: 15 to 25 %);
//! * volumes and cards' memories that fill at a rate which varies by the day, and will be full 2 to 13 days after the end;
//! * and as many series of which nothing is to be told: plain and restless ones, with days that were odd, with marks at which
//!   nothing changed, volumes that are cleaned up again and again or take one large download.
//!
//! Samples are taken every five minutes and made hours, as the recorder does.

use hostler::domain::{Mark, MarkKind, Metric, SeriesKey, metric};
use hostler::history::trends::HourPoint;
use jiff::Timestamp;

/// Days of each series.
pub(crate) const DAYS: i64 = 90;
/// Its first hour since 1970: a Monday.
pub(crate) const BEGIN: i64 = 497_016;
const SAMPLES: i64 = 12;

/// What is planted, in hours since [`BEGIN`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Truth {
    /// Nothing is to be told.
    Nothing,
    /// The level changed at an hour; with a mark of this kind there, if any.
    Step { at: i64, mark: Option<MarkKind> },
    /// It changed evenly between two hours.
    Drift { from: i64, to: i64 },
    /// It fills since an hour, and will be full at another one.
    Full { from: i64, at: i64 },
}

/// One series with what is planted in it.
#[derive(Debug, Clone)]
pub(crate) struct Planted {
    /// What kind of series it is, for people.
    pub(crate) what: &'static str,
    pub(crate) series: SeriesKey,
    pub(crate) points: Vec<HourPoint>,
    /// The series of its limit, where it has one.
    pub(crate) limit: Option<(SeriesKey, Vec<HourPoint>)>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) truth: Truth,
}

/// `SplitMix64` (Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, 2014).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Evenly between two values.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// A whole number from `low` to below `high`.
    pub(crate) fn whole(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low).unsigned_abs()).cast_signed()
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.next().is_multiple_of(many)
    }

    /// A normal value of deviation 1 (Box and Muller, *A note on the generation of random normal deviates*, 1958).
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.between(f64::MIN_POSITIVE, 1.0).ln()).sqrt();
        radius * self.between(0.0, std::f64::consts::TAU).cos()
    }
}

pub(crate) fn timestamp(hour: i64) -> Timestamp {
    Timestamp::from_second((BEGIN + hour) * 3_600).unwrap()
}

fn mark(at: i64, kind: MarkKind, subject: &str) -> Mark {
    Mark { at: timestamp(at), kind, text: "planted".into(), subject: Some(subject.into()) }
}

/// How a level sways when nothing changes, in parts of it.
#[derive(Debug, Clone, Copy)]
struct Sway {
    /// Noise that a whole day shares, and how much of it the next day keeps.
    day: f64,
    keeps: f64,
    /// Noise of an hour, and of a sample.
    hour: f64,
    sample: f64,
    daily: f64,
    weekend: f64,
    /// Where the operator lives: hours before or after UTC.
    zone: i64,
    busiest: f64,
}

impl Sway {
    /// The share of the noise of hours that the next hour keeps.
    const HOUR_KEEPS: f64 = 0.4;

    fn drawn(random: &mut Random, calm: f64) -> Self {
        Self {
            day: random.between(0.01, 0.04) * calm,
            keeps: random.between(0.0, 0.5),
            hour: random.between(0.03, 0.10) * calm,
            sample: random.between(0.02, 0.15) * calm,
            daily: random.between(0.0, 0.4) * calm,
            weekend: random.between(-0.4, 0.1) * calm,
            zone: random.whole(-8, 10),
            busiest: random.between(0.0, 24.0),
        }
    }

    /// The deviation of a day's middle value: of the day itself, and of the median of its 24 hours.
    fn deviation(&self) -> f64 {
        let hours = self.hour.hypot(self.sample / (SAMPLES as f64).sqrt());
        let independent = 24.0 * (1.0 - Self::HOUR_KEEPS) / (1.0 + Self::HOUR_KEEPS);
        self.day.hypot(1.25 * hours / independent.sqrt())
    }
}

/// Takes samples of `value` (of an hour, as a fraction) that sways, with reboots, gaps, odd samples and `odd_days`.
fn record(random: &mut Random, sway: Sway, odd_days: i64, value: impl Fn(f64) -> f64) -> Vec<HourPoint> {
    let hours = DAYS * 24;
    let mut gaps: Vec<(i64, i64)> = Vec::new();
    for _ in 0..random.whole(0, 4) {
        let begin = random.whole(0, hours);
        gaps.push((begin, begin + random.whole(5, 80)));
    }
    let reboots: Vec<i64> = (0..random.whole(0, 4)).map(|_| random.whole(0, hours)).collect();
    let odd: Vec<(i64, i64, f64)> =
        (0..odd_days).map(|_| (random.whole(0, hours), random.whole(5, 22), random.between(1.4, 2.6))).collect();
    let (mut day_noise, mut hour_noise) = (sway.day * random.normal(), 0.0);
    let mut points = Vec::new();
    for hour in 0..hours {
        let local = hour + sway.zone;
        if local.rem_euclid(24) == 0 {
            let fresh = (1.0 - sway.keeps * sway.keeps).sqrt();
            day_noise = sway.keeps * day_noise + fresh * sway.day * random.normal();
        }
        let fresh = (1.0_f64 - Sway::HOUR_KEEPS * Sway::HOUR_KEEPS).sqrt();
        hour_noise = Sway::HOUR_KEEPS * hour_noise + fresh * sway.hour * random.normal();
        if gaps.iter().any(|(begin, end)| (*begin..*end).contains(&hour)) {
            continue;
        }
        let is_weekend = local.div_euclid(24).rem_euclid(7) >= 5;
        let clock = (local.rem_euclid(24) as f64 - sway.busiest) / 24.0 * std::f64::consts::TAU;
        let cycle = (1.0 + sway.daily * clock.cos()) * (1.0 + if is_weekend { sway.weekend } else { 0.0 });
        let is_reboot = reboots.contains(&hour);
        let oddness = odd.iter().find(|(at, takes, _)| (*at..at + takes).contains(&hour)).map_or(1.0, |(.., by)| *by);
        let mut samples = Vec::new();
        // After a reboot the box was away for half an hour, and then had to catch up.
        for sample in if is_reboot { 6..SAMPLES } else { 0..SAMPLES } {
            let at = hour as f64 + sample as f64 / SAMPLES as f64;
            let spike = if random.one_in(400) { random.between(2.0, 6.0) } else { 1.0 };
            let noise = (day_noise + hour_noise + sway.sample * random.normal()).exp();
            samples.push(value(at) * cycle * noise * spike * oddness * if is_reboot { 2.5 } else { 1.0 });
        }
        points.push(point(hour, &samples));
    }
    points
}

fn point(hour: i64, samples: &[f64]) -> HourPoint {
    HourPoint { at: timestamp(hour), mean: samples.iter().sum::<f64>() / samples.len() as f64 }
}

/// A metric that has a level: its range, and how calm it is.
const LEVELS: [(Metric, &str, f64, f64, f64); 8] = [
    (metric::INFERENCE_TTFT, "engine", 0.2, 2.0, 1.0),
    (metric::INFERENCE_E2E, "engine", 2.0, 20.0, 1.0),
    (metric::INFERENCE_INTER_TOKEN, "engine", 0.01, 0.05, 0.8),
    (metric::INFERENCE_SPEED, "engine", 20.0, 120.0, 0.8),
    (metric::INFERENCE_GENERATED, "engine", 200.0, 2_000.0, 1.0),
    (metric::GPU_TEMPERATURE, "gpu", 55.0, 75.0, 0.3),
    (metric::PRESSURE_IO, "container", 0.15, 0.3, 1.0),
    (metric::CONTAINER_MEMORY, "container", 1e9, 2e10, 0.6),
];

/// The 40 series of one seed.
pub(crate) fn corpus(seed: u64) -> Vec<Planted> {
    let mut random = Random::new(seed);
    let mut corpus = Vec::new();
    for number in 0..40 {
        let planted = match number % 20 {
            0..5 => step(&mut random, number),
            5..10 => drift(&mut random, number),
            10..13 => volume(&mut random, number),
            13 => video_memory(&mut random, number),
            _ => nothing(&mut random, number),
        };
        corpus.push(planted);
    }
    corpus
}

/// A level to plant something in: its series, the level, how it sways, and how large a change of it is where those of others
/// are of size 1.
fn level(random: &mut Random, number: usize) -> (SeriesKey, f64, Sway, f64) {
    let (metric, label, low, high, calm) = LEVELS[random.whole(0, LEVELS.len().cast_signed() as i64) as usize];
    let series = SeriesKey::new(&metric, [(label, format!("thing-{number}").as_str())]);
    let is_temperature = metric == metric::GPU_TEMPERATURE;
    (series, random.between(low, high), Sway::drawn(random, calm), if is_temperature { 0.5 } else { 1.0 })
}

fn planted(what: &'static str, series: SeriesKey, points: Vec<HourPoint>, truth: Truth) -> Planted {
    Planted { what, series, points, limit: None, marks: Vec::new(), truth }
}

fn step(random: &mut Random, number: usize) -> Planted {
    let (series, level, sway, size) = level(random, number);
    let at = random.whole(30 * 24, 80 * 24);
    let by = (random.between(0.15, 0.40) * size).max(0.10).max(3.0 * sway.deviation());
    let by = if random.one_in(2) { by } else { -by };
    let points = record(random, sway, random_odd(number), |hour| level * if hour < at as f64 { 1.0 } else { 1.0 + by });
    let kind = match number % 5 {
        0 => Some(MarkKind::Image),
        1 => Some(MarkKind::Model),
        2 => Some(MarkKind::Config),
        _ => None,
    };
    let mut planted = planted("a step", series, points, Truth::Step { at, mark: kind });
    let subject = planted.series.subject().to_owned();
    planted.marks.extend(kind.map(|kind| mark(at, kind, &subject)));
    planted
}

/// Odd days of a series: two in some.
fn random_odd(number: usize) -> i64 {
    i64::from(number.is_multiple_of(3)) * 2
}

fn drift(random: &mut Random, number: usize) -> Planted {
    let (series, level, sway, size) = level(random, number);
    let takes = random.whole(30, 61);
    let from = random.whole(10, 87 - takes + 1) * 24 + random.whole(0, 24);
    let to = from + takes * 24;
    let by = (random.between(0.20, 0.60) * size).max(0.15);
    let by = if random.one_in(2) { by } else { -by };
    let points = record(random, sway, random_odd(number), |hour| {
        level * (1.0 + by * ((hour - from as f64) / (to - from) as f64).clamp(0.0, 1.0))
    });
    planted("a drift", series, points, Truth::Drift { from, to })
}

/// Cumulated use: each day another amount, less on weekends, from an hour on.
fn uses(random: &mut Random, from: i64) -> Vec<f64> {
    let mut used = 0.0;
    let mut rate = 1.0;
    (0..DAYS * 24)
        .map(|hour| {
            if hour % 24 == 0 {
                rate = random.between(0.6, 1.4) * if (hour / 24) % 7 >= 5 { 0.7 } else { 1.0 };
            }
            used += if hour >= from { rate } else { 0.0 };
            used
        })
        .collect()
}

/// Noise of what is on a disk: files that come in the night and go again, and some that stay for an hour.
fn files(random: &mut Random, hour: i64) -> f64 {
    let nightly = if (2..5).contains(&(hour % 24)) { 1.0 } else { 0.0 };
    nightly + random.between(0.0, 0.3)
}

fn volume(random: &mut Random, number: usize) -> Planted {
    let size = random.between(5e11, 4e12);
    let from = random.whole(40, 76) * 24;
    let free = random.between(0.25, 0.7) * size;
    let at = DAYS * 24 + random.whole(48, 13 * 24);
    let used = uses(random, from);
    // Full at its hour at the mean rate of what was used.
    let rate = free / (used[used.len() - 1] * (at - from) as f64 / (DAYS * 24 - from) as f64);
    // One clean-up by hand, long before it fills.
    let cleaned = random.whole(10, 30) * 24;
    let points = (0..DAYS * 24)
        .map(|hour| {
            let before = if hour < cleaned { -0.1 * size } else { 0.0 };
            let free = free + before - rate * used[hour as usize] - 0.005 * size * files(random, hour);
            point(hour, &[free.max(0.0)])
        })
        .collect();
    let series = SeriesKey::new(&metric::DISK_FREE_BYTES, [("mount", format!("/volume-{number}").as_str())]);
    planted("a volume that fills", series, points, Truth::Full { from, at })
}

fn video_memory(random: &mut Random, number: usize) -> Planted {
    let total = 24.0 * (1_u64 << 30) as f64;
    let from = random.whole(50, 76) * 24;
    let base = random.between(0.3, 0.6) * total;
    let at = DAYS * 24 + random.whole(48, 13 * 24);
    let used = uses(random, from);
    let rate = (total - base) / (used[used.len() - 1] * (at - from) as f64 / (DAYS * 24 - from) as f64);
    let noise = |random: &mut Random| random.between(0.0, 0.01) * total;
    let points = (0..DAYS * 24).map(|hour| point(hour, &[base + rate * used[hour as usize] + noise(random)])).collect();
    let gpu = format!("GPU-{number}");
    let labels = [("gpu", gpu.as_str())];
    let series = SeriesKey::new(&metric::GPU_MEMORY_USED, labels);
    let limit =
        (SeriesKey::new(&metric::GPU_MEMORY_TOTAL, labels), (0..DAYS * 24).map(|it| point(it, &[total])).collect());
    Planted { limit: Some(limit), ..planted("memory that fills", series, points, Truth::Full { from, at }) }
}

fn nothing(random: &mut Random, number: usize) -> Planted {
    match number % 6 {
        0 => still(random, number),
        1 => saw(random, number),
        2 => download(random, number),
        3 => {
            let mut planted = quiet("marks alone", random, number, 0, |sway| sway);
            let subject = planted.series.subject().to_owned();
            for kind in [MarkKind::Image, MarkKind::Model, MarkKind::Config, MarkKind::Restart, MarkKind::Note] {
                planted.marks.push(mark(random.whole(0, DAYS * 24), kind, &subject));
            }
            planted
        }
        4 => quiet("a restless level", random, number, 1, |sway| Sway { day: sway.day * 1.6, keeps: 0.6, ..sway }),
        _ => quiet("odd days", random, number, 5, |sway| sway),
    }
}

fn quiet(what: &'static str, random: &mut Random, number: usize, odd: i64, change: impl Fn(Sway) -> Sway) -> Planted {
    let (series, level, sway, _) = level(random, number);
    let points = record(random, change(sway), odd, |_| level);
    planted(what, series, points, Truth::Nothing)
}

/// Errors that are mostly none.
fn still(random: &mut Random, number: usize) -> Planted {
    let often = random.whole(20, 60).unsigned_abs();
    let points = (0..DAYS * 24)
        .map(|hour| point(hour, &[if random.one_in(often) { random.between(0.01, 0.2) } else { 0.0 }]))
        .collect();
    let series = SeriesKey::new(&metric::INFERENCE_ERRORS, [("engine", format!("thing-{number}").as_str())]);
    planted("errors now and then", series, points, Truth::Nothing)
}

/// A volume that is cleaned up every so many days, before it is full.
fn saw(random: &mut Random, number: usize) -> Planted {
    let size = random.between(5e11, 4e12);
    let every = random.whole(6, 16);
    let tooth = random.between(0.3, 0.6) * size;
    let spare = random.between(0.03, 0.2) * size;
    let points = (0..DAYS * 24)
        .map(|hour| {
            let done = (hour % (every * 24)) as f64 / (every * 24) as f64;
            point(hour, &[spare + tooth * (1.0 - done) - 0.005 * size * files(random, hour)])
        })
        .collect();
    let series = SeriesKey::new(&metric::DISK_FREE_BYTES, [("mount", format!("/volume-{number}").as_str())]);
    planted("clean-ups", series, points, Truth::Nothing)
}

/// A volume that takes large downloads now and then.
fn download(random: &mut Random, number: usize) -> Planted {
    let size = random.between(5e11, 4e12);
    let downloads: Vec<(i64, f64)> =
        (0..4).map(|_| (random.whole(0, DAYS * 24), random.between(0.03, 0.15) * size)).collect();
    let points = (0..DAYS * 24)
        .map(|hour| {
            let taken: f64 = downloads.iter().filter(|(at, _)| *at <= hour).map(|(_, bytes)| bytes).sum();
            point(hour, &[0.8 * size - taken - 0.005 * size * files(random, hour)])
        })
        .collect();
    let series = SeriesKey::new(&metric::DISK_FREE_BYTES, [("mount", format!("/volume-{number}").as_str())]);
    planted("downloads", series, points, Truth::Nothing)
}
