//! When nothing is left of a volume, or of a card's memory.
//!
//! A clean-up begins anew. What is cleaned up again and again before it is full is no news, nor is what fills by fits and
//! starts: an end is told only where the days since the last clean-up agree on a rate.

use super::HourPoint;
use super::robust::{Slope, median, slope};
use crate::domain::Forecast;

/// Hours of a series that a forecast looks at.
pub(super) const HOURS: usize = 90 * 24;
/// Days since the last clean-up from which on a rate is known.
const LEARN: usize = 7;
/// Days from which the rate is taken: of these the ones that agree best, for it may have begun to fill just now.
const RATE_DAYS: [usize; 4] = [LEARN, 10, 14, 21];
/// The latest end that is told, in days.
const HORIZON: f64 = 60.0;
/// The latest end may lie this much further away than the likely one; else the rate is not known.
const SURE: f64 = 2.0;

/// What the days tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outlook {
    /// There are too few of them.
    TooYoung { days: u32 },
    /// No end is in sight.
    Steady,
    /// It will be full.
    Full {
        /// The hour since which it fills at this rate, since 1970.
        since: i64,
        before: f64,
        after: f64,
        forecast: Forecast,
    },
}

/// Looks at a series of what is left; or, where there is a `limit`, of what is used.
pub(super) fn forecast(points: &[HourPoint], limit: Option<f64>) -> Outlook {
    let days = left_by_day(points, limit);
    let (Some(last), true) = (points.last(), days.len() >= LEARN) else {
        return Outlook::TooYoung { days: days.len() as u32 };
    };
    full(&days, last, limit).unwrap_or(Outlook::Steady)
}

/// One day, counted back from the newest hour.
#[derive(Debug, Clone, Copy)]
struct Day {
    /// Days before the newest hour, at its middle: -0.5 is the last day.
    at: f64,
    /// The hour at which it begins, since 1970.
    hour: i64,
    /// What is left in the middle of its hours.
    left: f64,
}

fn left_by_day(points: &[HourPoint], limit: Option<f64>) -> Vec<Day> {
    let Some(end) = points.last().map(|point| point.hour() + 1) else { return Vec::new() };
    let recent = &points[points.len().saturating_sub(HOURS)..];
    let back = |point: &HourPoint| (end - 1 - point.hour()).div_euclid(24);
    recent
        .chunk_by(|a, b| back(a) == back(b))
        .filter(|day| day.len() >= 6)
        .filter_map(|day| {
            let mut left: Vec<f64> = day.iter().map(|point| limit.map_or(point.mean, |all| all - point.mean)).collect();
            let number = back(&day[0]);
            Some(Day { at: -(number as f64) - 0.5, hour: end - (number + 1) * 24, left: median(&mut left)? })
        })
        .collect()
}

fn full(days: &[Day], last: &HourPoint, limit: Option<f64>) -> Option<Outlook> {
    let cleanups = cleanups(days);
    let (run, rate) = rate(&days[cleanups.last().copied().unwrap_or(0)..])?;
    let newest = run.last()?;
    // The middle of the last day is half a day old.
    let left = (newest.left + rate.middle * -newest.at).max(0.0);
    let days_left = left / -rate.middle;
    let between_days = (left / -rate.low, left / -rate.high);
    let is_told = days_left <= HORIZON && between_days.1 <= (days_left * SURE).max(days_left + 2.0);
    if !is_told || has_stopped(run, rate.middle) || is_cleaned_before(days, &cleanups, days_left) {
        return None;
    }
    let value = |left: f64| limit.map_or(left, |all| all - left);
    let forecast = Forecast { left, used_per_day: -rate.middle, days_left, between_days };
    Some(Outlook::Full { since: run[0].hour, before: value(run[0].left), after: last.mean, forecast })
}

/// The last days that agree best on a rate, and the rate: negative, what is left falls by it each day.
fn rate(run: &[Day]) -> Option<(&[Day], Slope)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let rates = RATE_DAYS.iter().filter(|days| **days <= run.len()).filter_map(|days| {
        let last = &run[run.len() - days..];
        points.clear();
        points.extend(last.iter().map(|day| (day.at, day.left)));
        Some((last, slope(&points).filter(|rate| rate.high < 0.0)?))
    });
    // Fewer days agree less, so the most of those without a bend are taken.
    rates.min_by(|(_, a), (_, b)| (a.low / a.high).total_cmp(&(b.low / b.high)))
}

/// The days at which there was clearly more left than on the day before.
fn cleanups(days: &[Day]) -> Vec<usize> {
    let mut moves: Vec<f64> = days.windows(2).map(|pair| (pair[1].left - pair[0].left).abs()).collect();
    let usual = median(&mut moves).unwrap_or(0.0);
    let most = days.iter().map(|day| day.left).fold(0.0, f64::max);
    let is_cleanup = |pair: &[Day]| pair[1].left - pair[0].left > (3.0 * usual).max(0.01 * most);
    days.windows(2).enumerate().filter(|(_, pair)| is_cleanup(pair)).map(|(index, _)| index + 1).collect()
}

/// Whether the last days used far less than the rate says.
fn has_stopped(run: &[Day], rate: f64) -> bool {
    let recent = &run[run.len().saturating_sub(4)..];
    let (Some(first), Some(last)) = (recent.first(), recent.last()) else { return false };
    (last.left - first.left) / (last.at - first.at) > rate * 0.4
}

/// Whether it was cleaned up at least twice, and will be again before it is full if that goes on.
fn is_cleaned_before(days: &[Day], cleanups: &[usize], days_left: f64) -> bool {
    let (Some(last), true) = (cleanups.last(), cleanups.len() >= 2) else { return false };
    let longest = cleanups.windows(2).map(|pair| days[pair[1]].at - days[pair[0]].at).fold(0.0, f64::max);
    let next = longest + days[*last].at;
    // Days are told by their middle, so that a day more or less is no difference; a clean-up that is later than that is not
    // coming.
    next > -1.0 && days_left > next - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::trends::timestamp;

    fn hours(left: impl Fn(f64) -> f64, days: i64) -> Vec<HourPoint> {
        let point = |hour: i64| {
            let mean = left(hour as f64 / 24.0) + (hour % 5) as f64 * 0.1;
            HourPoint { at: timestamp(hour), mean }
        };
        (0..days * 24).map(point).collect()
    }

    fn days_left(points: &[HourPoint], limit: Option<f64>) -> Option<f64> {
        match forecast(points, limit) {
            Outlook::Full { forecast, .. } => Some(forecast.days_left),
            Outlook::TooYoung { .. } | Outlook::Steady => None,
        }
    }

    #[test]
    fn a_steady_fill_is_told_with_its_end() {
        let left = days_left(&hours(|day| 1_000.0 - 40.0 * day, 18), None).unwrap();
        assert!((left - 7.0).abs() < 0.1, "{left}");
        let left = days_left(&hours(|day| 300.0 + 10.0 * day, 20), Some(800.0)).unwrap();
        assert!((left - 30.0).abs() < 0.5, "{left}");
        assert_eq!(days_left(&hours(|day| 100_000.0 - 40.0 * day, 18), None), None, "years away");
        assert_eq!(days_left(&hours(|day| 300.0 + 10.0 * day, 18), None), None, "it empties");
        assert_eq!(forecast(&hours(|day| 1_000.0 - 90.0 * day, 6), None), Outlook::TooYoung { days: 6 });
        assert_eq!(forecast(&[], None), Outlook::TooYoung { days: 0 });
    }

    #[test]
    fn a_cleanup_begins_anew_and_one_that_recurs_is_awaited() {
        let once = |day: f64| 1_000.0 - 40.0 * day + if day >= 12.0 { 400.0 } else { 0.0 };
        assert_eq!(days_left(&hours(once, 16), None), None, "four days since");
        let left = days_left(&hours(once, 22), None).unwrap();
        assert!((left - 13.0).abs() < 0.5, "{left}");
        let saw = |day: f64| 500.0 - 40.0 * (day % 10.0);
        for days in 30..40 {
            assert_eq!(days_left(&hours(saw, days), None), None, "day {days}");
        }
    }

    #[test]
    fn a_single_large_download_and_a_fill_that_has_stopped_are_no_rate() {
        let download = |day: f64| if day < 10.0 { 1_000.0 } else { 400.0 };
        let stopped = |day: f64| 1_000.0 - 40.0 * day.min(14.0);
        for days in 17..25 {
            assert_eq!(days_left(&hours(download, days), None), None, "day {days}");
        }
        assert_eq!(days_left(&hours(stopped, 18), None), None);
    }
}
