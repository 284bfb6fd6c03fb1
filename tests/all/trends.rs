//! What is told of recorded series, held against a corpus with known truth, as the program would look at it: day by day, while
//! the points arrive.

mod corpus;

use std::collections::{BTreeMap, HashMap};

use corpus::{DAYS, Planted, Truth, corpus, timestamp};
use hostler::domain::{Mark, Trend, TrendKind, TrendSample};
use hostler::history::trends::{HourPoint, Related, look};

/// A step must be told within so many days.
const STEP_DELAY: i64 = 7;
/// An end is told this many days before it, as the rule does.
const HORIZON: f64 = 14.0;
/// The first look, in days.
const FIRST: i64 = 7;

/// Something that was told, look after look.
#[derive(Debug, Clone)]
struct Told {
    from: i64,
    to: i64,
    first: Trend,
    last: Trend,
}

/// All that is told of each series while the days go by.
fn told(corpus: &[Planted], hour: i64) -> Vec<Vec<Told>> {
    let marks: Vec<_> = corpus.iter().flat_map(|planted| planted.marks.clone()).collect();
    let mut told: Vec<Vec<Told>> = vec![Vec::new(); corpus.len()];
    let numbers: HashMap<_, _> =
        corpus.iter().enumerate().map(|(number, planted)| (planted.series.clone(), number)).collect();
    for day in FIRST..=DAYS {
        let now = day * 24 + hour;
        for trend in at(corpus, &marks, now).trends {
            if trend.forecast().is_some_and(|forecast| forecast.days_left > HORIZON) {
                continue;
            }
            let told = &mut told[numbers[&trend.series]];
            let same = |told: &&mut Told| {
                told.to == now - 24 && std::mem::discriminant(&told.last.kind) == std::mem::discriminant(&trend.kind)
            };
            match told.iter_mut().find(same) {
                Some(told) => (told.to, told.last) = (now, trend),
                None => told.push(Told { from: now, to: now, first: trend.clone(), last: trend }),
            }
        }
    }
    told
}

/// A look at hour `now` at what is recorded by then.
fn at(corpus: &[Planted], marks: &[Mark], now: i64) -> TrendSample {
    let at = timestamp(now);
    let by_then = |points: &[HourPoint]| points[..points.partition_point(|point| point.at < at)].to_vec();
    let series = corpus.iter().flat_map(|planted| {
        let limit = planted.limit.iter().map(|(key, points)| (key.clone(), by_then(points)));
        std::iter::once((planted.series.clone(), by_then(&planted.points))).chain(limit)
    });
    let known: Vec<Mark> = marks.iter().filter(|mark| mark.at <= at).cloned().collect();
    look(series, &known, &Related::default(), at)
}

/// Hours since the beginning of the corpus.
fn hours(trend: &Trend) -> i64 {
    trend.since.as_second() / 3_600 - corpus::BEGIN
}

/// Whether what was told is what was planted, and told in time.
fn is_found(truth: Truth, told: &Told) -> bool {
    match (truth, told.first.kind) {
        (Truth::Step { at, .. }, TrendKind::Sudden) => told.from <= at + STEP_DELAY * 24,
        (Truth::Drift { to, .. }, TrendKind::Gradual) => told.from <= to + 3 * 24,
        (Truth::Full { from, at }, TrendKind::FullIn(_)) => {
            let TrendKind::FullIn(forecast) = told.last.kind else { return false };
            let left = (at - told.to) as f64 / 24.0;
            let in_time = told.from <= (from + 10 * 24).max(at - 14 * 24 + 4 * 24);
            in_time && told.to >= DAYS * 24 && (forecast.days_left - left).abs() <= (0.35 * left).max(2.0)
        }
        _ => false,
    }
}

/// Whether something that is planted explains what was told.
fn is_explained(truth: Truth, told: &Told) -> bool {
    match (truth, told.first.kind) {
        (Truth::Step { at, .. }, TrendKind::Sudden) => (hours(&told.first) - at).abs() <= 48,
        (Truth::Drift { from, to }, TrendKind::Gradual) => {
            told.from > from && (from - 14 * 24..to).contains(&hours(&told.first))
        }
        (Truth::Full { from, at }, TrendKind::FullIn(_)) => told.from > from && at - told.from <= 21 * 24,
        _ => false,
    }
}

#[derive(Debug, Default)]
struct Score {
    planted: u32,
    found: u32,
    delays: Vec<i64>,
}

#[derive(Debug, Default)]
struct Report {
    scores: BTreeMap<&'static str, Score>,
    false_ones: Vec<String>,
    missed: Vec<String>,
    causes: (u32, u32),
    series: u32,
}

fn judge(report: &mut Report, seed: u64) {
    let corpus = corpus(seed);
    // Looks are at another hour of the day for each seed.
    for (planted, told) in corpus.iter().zip(told(&corpus, (seed % 24).cast_signed())) {
        report.series += 1;
        let score = report.scores.entry(planted.what).or_default();
        let found = told.iter().find(|told| is_found(planted.truth, told));
        if planted.truth != Truth::Nothing {
            score.planted += 1;
            score.found += u32::from(found.is_some());
        }
        if let (Truth::Step { at, mark }, Some(found)) = (planted.truth, found) {
            score.delays.push((found.from - at) / 24);
            if let Some(kind) = mark {
                report.causes.1 += 1;
                report.causes.0 += u32::from(found.last.cause.as_ref().is_some_and(|cause| cause.kind == kind));
            }
        }
        let line = |told: &Told| {
            format!(
                "{:?} days {}..{} since day {:.1}, {:.4} -> {:.4}",
                told.first.kind,
                told.from / 24,
                told.to / 24,
                hours(&told.first) as f64 / 24.0,
                told.first.before,
                told.first.after
            )
        };
        let about = format!("seed {seed}, {} ({}), {:?}", planted.series, planted.what, planted.truth);
        if planted.truth != Truth::Nothing && found.is_none() {
            report.missed.push(format!("{about}: {:?}", told.iter().map(line).collect::<Vec<_>>()));
        }
        let wrong = told.iter().filter(|told| !is_explained(planted.truth, told));
        report.false_ones.extend(wrong.map(|told| format!("{about}: {}", line(told))));
    }
}

/// The reports of all seeds in one; each processor judges its part.
fn judged(seeds: std::ops::RangeInclusive<u64>) -> Report {
    let hands = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let part = |hand: usize| {
        let mut report = Report::default();
        seeds.clone().skip(hand).step_by(hands).for_each(|seed| judge(&mut report, seed));
        report
    };
    let part = &part;
    std::thread::scope(|scope| {
        let hands: Vec<_> = (0..hands).map(|hand| scope.spawn(move || part(hand))).collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).fold(Report::default(), Report::with)
    })
}

impl Report {
    fn with(mut self, other: Self) -> Self {
        for (what, score) in other.scores {
            let own = self.scores.entry(what).or_default();
            own.planted += score.planted;
            own.found += score.found;
            own.delays.extend(score.delays);
        }
        self.false_ones.extend(other.false_ones);
        self.missed.extend(other.missed);
        self.causes = (self.causes.0 + other.causes.0, self.causes.1 + other.causes.1);
        self.series += other.series;
        self
    }
}

#[test]
fn planted_changes_are_told_and_nothing_else() {
    let report = judged(1..=10);
    for line in report.missed.iter().map(|line| format!("missed: {line}")) {
        println!("{line}");
    }
    for line in report.false_ones.iter().map(|line| format!("false: {line}")) {
        println!("{line}");
    }
    let (mut planted, mut found) = (0, 0);
    for (what, score) in &report.scores {
        let mut delays = score.delays.clone();
        delays.sort_unstable();
        let delay = delays.get(delays.len() / 2).map(|days| format!(", half within {days} d")).unwrap_or_default();
        println!("{what}: {} of {}{delay}", score.found, score.planted);
        planted += score.planted;
        found += score.found;
    }
    let years = f64::from(report.series) * DAYS as f64 / 365.25;
    let rate = report.false_ones.len() as f64 / years;
    let recall = f64::from(found) / f64::from(planted);
    let (right, marked) = report.causes;
    println!("recall {recall:.3}; {rate:.3} false findings a series-year; {right} of {marked} causes named");
    assert_eq!((report.series, planted), (400, 280));
    assert!(recall >= 0.95, "{recall}");
    assert!(rate <= 1.0, "{rate}");
    assert!(f64::from(right) >= 0.9 * f64::from(marked), "{right} of {marked}");
}
