//! A series as days: its hours without their daily and weekly cycle, and the middle of each 24 of them.

use super::HourPoint;
use super::robust::{median, noise, sigma};

/// A day counts with so many hours of 24.
const HOURS: usize = 6;
/// A weekly cycle is known when each day of the week was seen so often.
const WEEKS: usize = 3;
/// Days from which on cycles are taken out.
const DAYS: usize = 7;

/// Hours without cycles: hours since 1970, and the value in the base unit of the metric.
pub(super) type Hours = Vec<(i64, f64)>;

/// One day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Day {
    /// Days since the beginning of its part.
    pub(super) number: f64,
    /// The hour at which it begins, since 1970.
    pub(super) hour: i64,
    /// The middle of its hours.
    pub(super) value: f64,
}

/// Takes out what repeats each day and, once three weeks are known, what repeats each week, if something does. Both cycles are
/// medians of deviations from the level around them, so that neither gaps nor odd hours nor a change of the level move them; this
/// is the seasonal step of Cleveland et al., *STL: a seasonal-trend decomposition procedure based on loess* (1990), with
/// medians in the place of loess. The typical level stays.
pub(super) fn without_cycles(points: &[HourPoint]) -> Hours {
    let mut hours: Hours = points.iter().map(|point| (point.hour(), point.mean)).collect();
    let cycle = daily_cycle(&hours);
    for (hour, value) in &mut hours {
        *value -= cycle[hour.rem_euclid(24) as usize];
    }
    if let Some(cycle) = weekly_cycle(&hours) {
        for (hour, value) in &mut hours {
            *value -= cycle[hour.div_euclid(24).rem_euclid(7) as usize];
        }
    }
    hours
}

/// The days (UTC) of `hours`, as slices.
fn utc_days(hours: &[(i64, f64)]) -> impl Iterator<Item = &[(i64, f64)]> {
    hours.chunk_by(|(a, _), (b, _)| a.div_euclid(24) == b.div_euclid(24))
}

fn middle(hours: &[(i64, f64)], scratch: &mut Vec<f64>) -> Option<f64> {
    scratch.clear();
    scratch.extend(hours.iter().map(|(_, value)| *value));
    median(scratch)
}

/// By how much each hour of the day (UTC) usually lies above the middle of its day.
fn daily_cycle(hours: &[(i64, f64)]) -> [f64; 24] {
    let mut above: [Vec<f64>; 24] = std::array::from_fn(|_| Vec::new());
    let mut scratch = Vec::new();
    let mut days = 0;
    for day in utc_days(hours).filter(|day| day.len() >= 18) {
        let Some(middle) = middle(day, &mut scratch) else { continue };
        days += 1;
        for (hour, value) in day {
            above[hour.rem_euclid(24) as usize].push(value - middle);
        }
    }
    if days < DAYS { [0.0; 24] } else { centered(above.map(|mut values| median(&mut values).unwrap_or(0.0))) }
}

/// By how much each day of the week (from 1 January 1970, UTC) usually lies above the week around it; `None` where that is not
/// known, or no more than noise.
fn weekly_cycle(hours: &[(i64, f64)]) -> Option<[f64; 7]> {
    let mut scratch = Vec::new();
    let days: Vec<(i64, f64)> = utc_days(hours)
        .filter(|day| day.len() >= HOURS)
        .filter_map(|day| Some((day[0].0.div_euclid(24), middle(day, &mut scratch)?)))
        .collect();
    let mut above: [Vec<f64>; 7] = std::array::from_fn(|_| Vec::new());
    for (index, (day, value)) in days.iter().enumerate() {
        // The week around it, or the nearest one at the ends.
        let first = index.saturating_sub(3).min(days.len().saturating_sub(7));
        let Some(week) = days.get(first..first + 7).filter(|week| week[6].0 - week[0].0 == 6) else { continue };
        above[day.rem_euclid(7) as usize].push(value - middle(week, &mut scratch)?);
    }
    let weeks = above.iter().map(Vec::len).min().filter(|weeks| *weeks >= WEEKS)?;
    let whole: Vec<f64> = above.iter().flatten().copied().collect();
    let cycle = above.each_ref().map(|values| median(&mut values.clone()).unwrap_or(0.0));
    let rest: Vec<f64> = above.iter().zip(cycle).flat_map(|(values, it)| values.iter().map(move |v| v - it)).collect();
    // Seven medians of noise would take some of it out of the very days that they are of.
    let honest = sigma(&rest, 0.0) * (weeks as f64 / (weeks as f64 - 1.0)).sqrt();
    (honest < 0.8 * sigma(&whole, 0.0)).then(|| centered(cycle))
}

/// A cycle whose middle is nought, so that taking it out leaves the level where it was.
fn centered<const N: usize>(mut cycle: [f64; N]) -> [f64; N] {
    let middle = median(&mut cycle.clone()).unwrap_or(0.0);
    for value in &mut cycle {
        *value -= middle;
    }
    cycle
}

/// The whole days from hour `from` to hour `to`, counted from `from`; without days of which too little is known, and with days
/// that stand alone moved to their neighbours.
pub(super) fn days(hours: &[(i64, f64)], from: i64, to: i64) -> Vec<Day> {
    let begin = hours.partition_point(|(hour, _)| *hour < from);
    let end = hours.partition_point(|(hour, _)| *hour < from + (to - from).div_euclid(24) * 24);
    let inside = hours.get(begin..end).unwrap_or_default();
    // A series that stands still most of the time would have no middle but that.
    let stands_still =
        inside.windows(2).filter(|pair| pair[0].1.total_cmp(&pair[1].1).is_eq()).count() * 2 > inside.len();
    let mut scratch = Vec::new();
    let number = |hour: i64| (hour - from).div_euclid(24);
    let mut days: Vec<Day> = inside
        .chunk_by(|(a, _), (b, _)| number(*a) == number(*b))
        .filter(|day| day.len() >= HOURS)
        .filter_map(|day| {
            let value = if stands_still {
                day.iter().map(|(_, value)| value).sum::<f64>() / day.len() as f64
            } else {
                middle(day, &mut scratch)?
            };
            Some(Day { number: number(day[0].0) as f64, hour: from + number(day[0].0) * 24, value })
        })
        .collect();
    move_lone_days(&mut days);
    days
}

/// How many deviations a day may lie away from those around it.
const LONE: f64 = 4.0;

/// Moves days that lie far from the middle of the five around them there (Hampel's filter; Pearson, *Outliers in process
/// modeling and identification*, 2002): one or two days that were odd are no change.
fn move_lone_days(days: &mut [Day]) {
    let values: Vec<f64> = days.iter().map(|day| day.value).collect();
    let allowed = LONE * noise(&values);
    let mut around = Vec::with_capacity(5);
    for (index, day) in days.iter_mut().enumerate() {
        let first = index.saturating_sub(2).min(values.len().saturating_sub(5));
        around.clear();
        around.extend_from_slice(&values[first..values.len().min(first + 5)]);
        let Some(middle) = median(&mut around) else { continue };
        if (day.value - middle).abs() > allowed {
            day.value = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::trends::timestamp;

    fn point(hour: i64, mean: f64) -> HourPoint {
        HourPoint { at: timestamp(hour), mean }
    }

    #[test]
    fn daily_and_weekly_cycles_are_taken_out_and_the_level_stays() {
        let value = |hour: i64| {
            let weekend = if hour.div_euclid(24).rem_euclid(7) < 2 { -30.0 } else { 0.0 };
            100.0 + weekend + (hour.rem_euclid(24) - 12) as f64
        };
        let points: Vec<HourPoint> = (0..24 * 35).map(|hour| point(hour, value(hour))).collect();
        let days = days(&without_cycles(&points), 0, 24 * 35);
        assert_eq!(days.len(), 35);
        assert!(days.iter().all(|day| (day.value - 99.5).abs() < 0.6), "{days:?}");
    }

    #[test]
    fn a_day_with_few_hours_is_a_gap_and_days_that_were_odd_move_nothing() {
        let odd = |day: i64| if day == 5 || day == 9 || day == 10 { 400.0 } else { 0.0 };
        let hours: Hours = (0..24 * 20)
            .filter(|hour| !(24 * 3 + 5..24 * 4).contains(hour))
            .map(|hour| (hour, 100.0 + odd(hour / 24) + (hour / 24 % 3) as f64))
            .collect();
        let days = days(&hours, 0, 24 * 20 + 7);
        assert_eq!(days.len(), 19, "day 3 has five hours");
        assert!(days.iter().all(|day| day.value < 110.0), "{days:?}");
        assert_eq!(days[3], Day { number: 4.0, hour: 96, value: 101.0 });
    }

    #[test]
    fn what_stands_still_mostly_is_told_by_its_mean() {
        let hours: Hours = (0..48).map(|hour| (hour, if hour % 24 < 6 { 1.0 } else { 0.0 })).collect();
        assert_eq!(days(&hours, 0, 48).iter().map(|day| day.value).collect::<Vec<_>>(), [0.25, 0.25]);
    }
}
