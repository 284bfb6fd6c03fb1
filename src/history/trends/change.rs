//! The newest lasting change of a series: whether there is one, and whether it was sudden or gradual.
//!
//! Like is compared with like: a mark after which the engine, the model, its version or the driver is another one begins a part
//! of its own. What changed at the mark itself is told with it as the cause; what comes later is compared with its own part
//! alone.

use super::HourPoint;
use super::causes::begins_anew;
use super::days::{Day, days, without_cycles};
use super::explain::{BASELINE, Shape, explain};
use super::pieces::{Cut, LEVEL_DAYS, Point, cut, cut_at};
use super::robust::{median, noise};
use crate::domain::{Mark, SeriesKey, TrendKind};

/// Days that must be known before anything is told.
const LEARN: i64 = 21;
/// Days that are looked back; what lies further back is how things were once.
const BACK: i64 = 120;
/// A change is told for so many days; then it is how things are.
const TOLD: f64 = 14.0;
/// A change is told when it is this part of the level before, and so many times a day's noise.
const RELATIVE: f64 = 0.1;
const DEVIATIONS: f64 = 2.0;
/// At a mark the time of the change is known, so that fewer deviations are enough than where it is searched for.
const AT_A_MARK: f64 = 4.0;
/// The price of the first cut, which tells the noise: a change that is not cut out would pass for noise that neighbours share.
const LIBERAL: f64 = 0.6;
/// Nothing counts as steadier than this part of its level.
const STEADIEST: f64 = 0.002;

/// A lasting change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) kind: TrendKind,
    /// The hour since which it is so, since 1970.
    pub(super) since: i64,
    pub(super) before: f64,
    pub(super) after: f64,
    /// The mark at which it happened, where its part begins there.
    pub(super) cause: Option<Mark>,
}

/// The newest change within the newest part of `points`, and the one at its beginning; points before hour `now` count.
pub(super) fn changes(key: &SeriesKey, points: &[HourPoint], marks: &[&Mark], now: i64) -> Vec<Change> {
    // Whole days back, so that a look an hour later sees the same days.
    let first = points.first().map_or(now, |point| point.hour().max((now.div_euclid(24) - BACK) * 24));
    if now - first < LEARN * 24 {
        return Vec::new();
    }
    let hours = without_cycles(&points[points.partition_point(|point| point.hour() < first)..]);
    let parts = parts(&hours, marks, first, now);
    let least = Least::of(&key.name);
    let mut found = Vec::new();
    if let [.., before, after] = &parts[..] {
        found.extend(after.change_since(before, least));
    }
    found.extend(parts.last().and_then(|newest| newest.change(least, &hours)));
    found
}

/// The least change that matters, whatever the noise.
#[derive(Debug, Clone, Copy)]
struct Least {
    /// In the base unit of the metric.
    absolute: f64,
    /// Of the level before.
    relative: f64,
}

impl Least {
    fn of(name: &str) -> Self {
        match name.rsplit('_').next() {
            // A tenth of a small part of the time is little, and a tenth of a temperature means nothing.
            Some("ratio" | "throttled" | "healthy") => Self { absolute: 0.01, relative: RELATIVE },
            Some("celsius") => Self { absolute: 3.0, relative: 0.0 },
            _ => Self { absolute: 0.0, relative: RELATIVE },
        }
    }

    fn is_exceeded(self, before: f64, after: f64) -> bool {
        (after - before).abs() >= self.absolute.max(self.relative * before.abs())
    }
}

/// Days between two marks after which things are other things.
struct Part<'a> {
    days: Vec<Day>,
    /// The mark at which it begins, if it does.
    mark: Option<&'a Mark>,
    /// One day's noise, in the base unit of the metric.
    noise: f64,
    /// The days' middle, in the base unit of the metric.
    middle: f64,
    /// What 1 of `points` is in the base unit of the metric: the noise, and more where neighbours have much in common.
    unit: f64,
    points: Vec<Point>,
    cut: Cut,
}

/// The parts of `hours`. Of several marks within a few days the last one begins what can be compared.
fn parts<'a>(hours: &[(i64, f64)], marks: &[&'a Mark], first: i64, now: i64) -> Vec<Part<'a>> {
    let mut anew: Vec<&Mark> = marks.iter().copied().filter(|mark| begins_anew(mark.kind)).collect();
    anew.sort_by_key(|mark| mark.at);
    // The hour of a mark has something of both sides.
    let hour = |mark: &Mark| mark.at.as_second().div_euclid(3_600) + 1;
    let inside = anew.into_iter().filter(|mark| (first + 1..now).contains(&hour(mark)));
    let begins: Vec<(i64, Option<&Mark>)> =
        std::iter::once((first, None)).chain(inside.map(|mark| (hour(mark), Some(mark)))).collect();
    let ends = begins.iter().skip(1).map(|(begin, _)| begin - 1).chain([now]);
    begins
        .iter()
        .zip(ends)
        .map(|((begin, mark), end)| (days(hours, *begin, end), *mark))
        .filter(|(days, _)| days.len() >= LEVEL_DAYS)
        .map(|(days, mark)| Part::new(days, mark))
        .collect()
}

impl<'a> Part<'a> {
    fn new(days: Vec<Day>, mark: Option<&'a Mark>) -> Self {
        let values: Vec<f64> = days.iter().map(|day| day.value).collect();
        let middle = median(&mut values.clone()).unwrap_or(0.0);
        let noise = noise(&values).max(middle.abs() * STEADIEST).max(f64::MIN_POSITIVE);
        let scaled =
            |unit: f64| -> Vec<Point> { days.iter().map(|day| (day.number, (day.value - middle) / unit)).collect() };
        let unit = noise * apart(&scaled(noise));
        let points = scaled(unit);
        let cut = cut(&points);
        Self { days, mark, noise, middle, unit, points, cut }
    }

    fn level(&self, from: usize, to: usize) -> f64 {
        let mut values: Vec<f64> = self.days[from..to].iter().map(|day| day.value).collect();
        median(&mut values).unwrap_or(self.middle)
    }

    fn matters(&self, before: f64, after: f64, least: Least) -> bool {
        least.is_exceeded(before, after) && (after - before).abs() >= DEVIATIONS * self.noise
    }

    /// Days between a day and the last one.
    fn ago(&self, day: usize) -> f64 {
        self.days.last().map_or(0.0, |last| last.number - self.days[day].number)
    }

    /// The newest change within the part.
    fn change(&self, least: Least, hours: &[(i64, f64)]) -> Option<Change> {
        // The longest look back in which one change explains as much as all cuts do.
        let (from, explained) = self.cut.begins.iter().find_map(|from| {
            let explained = explain(&self.points[*from..])?;
            (explained.cost() <= self.cut.cost_since(*from) + 1e-6).then_some((*from, explained))
        })?;
        match explained.change()? {
            Shape::Step { at } => self.step(from, from + at, least, hours),
            Shape::Ramp { from: begin, to, level, rise } => {
                let (begin, end) = (from + begin, from + to);
                let before = self.middle + level * self.unit;
                let after = before + rise * self.unit;
                (self.ago(end) < TOLD && self.matters(before, after, least)).then(|| Change {
                    kind: TrendKind::Gradual,
                    since: self.days[begin].hour,
                    before,
                    after,
                    cause: None,
                })
            }
        }
    }

    /// A step at day `at` from the level since day `from`.
    fn step(&self, from: usize, at: usize, least: Least, hours: &[(i64, f64)]) -> Option<Change> {
        let (before, after) = (self.level(from, at), self.level(at, self.days.len()));
        if self.ago(at) >= TOLD || !self.matters(before, after, least) || self.is_return(from, at, after, least) {
            return None;
        }
        let since = exact_hour(hours, self.days[at].hour, before, after);
        Some(Change { kind: TrendKind::Sudden, since, before, after, cause: None })
    }

    /// Whether the level of day `at` only went back to where it was before the short time since day `from`.
    fn is_return(&self, from: usize, at: usize, after: f64, least: Least) -> bool {
        let Some(earlier) = self.cut.begins.iter().copied().take_while(|begin| *begin < from).last() else {
            return false;
        };
        self.days[at].number - self.days[from].number < 2.0 * TOLD
            && !self.matters(self.level(earlier, from), after, least)
    }

    /// What changed at the mark where the part begins, against the end of the part before.
    fn change_since(&self, before: &Self, least: Least) -> Option<Change> {
        let mark = self.mark?;
        let end = before.days.len();
        if self.ago(0) >= TOLD || end < BASELINE {
            return None;
        }
        let from = before.cut.begins.last().copied().unwrap_or(0).max(end.saturating_sub(14)).min(end - LEVEL_DAYS);
        let to = self.cut.begins.get(1).copied().unwrap_or(self.days.len());
        let (old, new) = (before.level(from, end), self.level(0, to));
        let deviation = before.unit * (1.0 / (end - from) as f64 + 1.0 / to as f64).sqrt();
        let is_clear = (new - old).abs() >= AT_A_MARK * deviation;
        (is_clear && before.matters(old, new, least)).then(|| Change {
            kind: TrendKind::Sudden,
            since: mark.at.as_second().div_euclid(3_600),
            before: old,
            after: new,
            cause: Some(mark.clone()),
        })
    }
}

/// How much further apart than the noise the values of `points` are for what neighbours have in common: so many fewer days
/// count than there are (Bayley and Hammersley, *The "effective" number of independent observations in an autocorrelated time
/// series*, 1946). It is told by what the best cut leaves over.
fn apart(points: &[Point]) -> f64 {
    let rest = cut_at(points, LIBERAL).left_over(points);
    let squares: f64 = rest.iter().map(|value| value * value).sum();
    let products: f64 = rest.windows(2).map(|pair| pair[0] * pair[1]).sum();
    let count = rest.len() as f64;
    // Of few days it comes out too low by about 1/n.
    let common = if squares > 0.0 { (products / squares + 1.0 / count).clamp(0.0, 0.7) } else { 0.0 };
    ((squares / count).max(1.0) * (1.0 + common) / (1.0 - common)).sqrt()
}

/// The hour at which the level changed from `before` to `after`, near hour `about`: the one that leaves the least deviations
/// from the two.
fn exact_hour(hours: &[(i64, f64)], about: i64, before: f64, after: f64) -> i64 {
    let near = |around: i64| hours.partition_point(|(hour, _)| *hour < around);
    let window = &hours[near(about - 30)..near(about + 30)];
    // What is won by counting one more hour to the level before.
    let mut won = 0.0;
    let mut best = (0.0, window.first().map_or(about, |(hour, _)| *hour));
    for (hour, value) in window {
        won += (value - before).abs() - (value - after).abs();
        if won < best.0 {
            best = (won, hour + 1);
        }
    }
    best.1
}
