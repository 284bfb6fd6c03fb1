//! Which single change explains days best: none, a step, or a ramp that may have come to rest.

use super::pieces::{CUT, LEVEL_DAYS, Point, SLOPE, Sums};

/// Days of the level with which a step is compared.
pub(super) const BASELINE: usize = 7;
/// Days that a ramp takes at least.
const RAMP_DAYS: usize = 10;
/// A ramp that came to rest longer ago than this is no news.
const AT_REST: usize = 14;
/// By how much one explanation must fit better than the other: a likelihood ratio of 20, where strong evidence begins (Kass and
/// Raftery, *Bayes factors*, 1995).
const CLEARLY: f64 = 6.0;

/// One explanation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// The level changed before the day of this number.
    Step { at: usize },
    /// The level was `level`, and changed by `rise` between two days.
    Ramp { from: usize, to: usize, level: f64, rise: f64 },
}

/// How well each explanation fits, by the sum of squares in units of the noise.
#[derive(Debug)]
pub(super) struct Explained {
    level: f64,
    step: (f64, Shape),
    ramp: (f64, Shape),
}

/// Tries all explanations of `points`. `None` of too few of them.
pub(super) fn explain(points: &[Point]) -> Option<Explained> {
    if points.len() < BASELINE + LEVEL_DAYS {
        return None;
    }
    let sums = Sums::of(points);
    let best = |fits: &mut dyn Iterator<Item = (f64, Shape)>| fits.min_by(|(a, _), (b, _)| a.total_cmp(b));
    let end = points.len();
    let mut steps =
        (BASELINE..=end - LEVEL_DAYS).map(|at| (sums.level(0, at) + sums.level(at, end), Shape::Step { at }));
    let mut ramps = (0..end.saturating_sub(RAMP_DAYS)).flat_map(|from| {
        let first = (from + RAMP_DAYS).max(end.saturating_sub(AT_REST + 1));
        let sums = &sums;
        (first..end).filter_map(move |to| sums.ramp(points, from, to))
    });
    Some(Explained { level: sums.level(0, end), step: best(&mut steps)?, ramp: best(&mut ramps)? })
}

impl Explained {
    /// What the best explanation costs, by the measure of a [`Cut`](super::pieces::Cut).
    pub(super) fn cost(&self) -> f64 {
        // A ramp may have begun before the first day, and then is a single sloped piece.
        (self.level + CUT).min(self.step.0 + 2.0 * CUT).min(self.ramp.0 + CUT + SLOPE)
    }

    /// The change that explains the days far better than none, and clearly better than the other.
    pub(super) fn change(&self) -> Option<Shape> {
        let (better, other) = if self.step.0 <= self.ramp.0 { (self.step, self.ramp) } else { (self.ramp, self.step) };
        (self.level - better.0 >= CUT && other.0 - better.0 >= CLEARLY).then_some(better.1)
    }
}

impl Sums {
    /// The fit of a level that changes evenly from day `from` to day `to`, and rests then.
    fn ramp(&self, points: &[Point], from: usize, to: usize) -> Option<(f64, Shape)> {
        let (begin, takes) = (points[from].0, points[to].0 - points[from].0);
        let end = points.len();
        // The part of the change that is done: g = (x - begin) / takes on the way, 1 after it.
        let (way, rest, all) = (self.between(from, to), self.between(to, end), self.between(0, end));
        let g = (way.x - way.count * begin) / takes + rest.count;
        let gg = (way.xx - 2.0 * begin * way.x + way.count * begin * begin) / (takes * takes) + rest.count;
        let gy = (way.xy - begin * way.y) / takes + rest.y;
        let (spread, with) = (gg - g * g / all.count, gy - g * all.y / all.count);
        if spread <= 0.0 {
            return None;
        }
        let rise = with / spread;
        let level = (all.y - rise * g) / all.count;
        let fit = (all.yy - all.y * all.y / all.count - rise * with).max(0.0);
        Some((fit, Shape::Ramp { from, to, level, rise }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOISE: [f64; 7] = [0.4, -0.9, 1.1, -0.3, 0.8, -1.2, 0.1];

    fn change(value: impl Fn(f64) -> f64, days: usize) -> Option<Shape> {
        let points: Vec<Point> =
            (0..days).map(|day| (day as f64, value(day as f64) + NOISE[day % NOISE.len()])).collect();
        explain(&points)?.change()
    }

    #[test]
    fn a_step_is_no_ramp_and_a_ramp_is_no_step() {
        assert_eq!(change(|_| 3.0, 60), None);
        assert_eq!(change(|day| if day < 40.0 { 0.0 } else { 6.0 }, 46), Some(Shape::Step { at: 40 }));
        let ramp = |day: f64| ((day - 20.0) / 25.0).clamp(0.0, 1.0) * 9.0;
        for days in [42, 50] {
            let Some(Shape::Ramp { from, level, rise, .. }) = change(ramp, days) else { panic!("{days}") };
            let done = ramp(days as f64 - 1.0);
            assert!(
                (15..26).contains(&from) && level.abs() < 1.0 && (rise - done).abs() < 1.5,
                "{from} {level} {rise}"
            );
        }
    }

    #[test]
    fn what_may_be_either_is_not_told() {
        let told: Vec<Option<Shape>> =
            (1..16).map(|takes| change(|day| ((day - 34.0) / f64::from(takes)).clamp(0.0, 1.0) * 6.0, 50)).collect();
        assert!(matches!(told[..], [Some(Shape::Step { .. }), .., Some(Shape::Ramp { .. })]), "{told:?}");
        assert!(told.contains(&None), "{told:?}");
        assert_eq!(change(|day| if day < 6.0 { 0.0 } else { 9.0 }, 9), None, "too few days");
    }
}
