//! What was recorded over a stretch of time, ready to be drawn.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{Mark, SeriesKey};

/// Recorded series, and what changed meanwhile.
#[derive(Debug, Clone)]
pub struct Past {
    /// The length of the time that was asked for, seconds.
    pub span: u64,
    /// Its end.
    pub until: Timestamp,
    /// Seconds of one point.
    pub step: i64,
    /// The points of what was asked for, oldest first: the sum of all series that it names. Times without a value are left
    /// out.
    pub series: HashMap<SeriesKey, Vec<PastPoint>>,
    /// What changed in this time, oldest first.
    pub marks: Vec<Mark>,
    /// What changed since the last visit, oldest first.
    pub news: Vec<Mark>,
    /// Why there are no points, where that is so.
    pub why_none: Option<String>,
}

/// What a series was within one stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PastPoint {
    /// Its beginning.
    pub at: Timestamp,
    /// The mean.
    pub mean: f32,
    /// The greatest value.
    pub max: f32,
}

impl Past {
    /// Nothing, because …
    pub fn none(span: u64, until: Timestamp, why: String) -> Self {
        Self { span, until, step: 1, series: HashMap::new(), marks: Vec::new(), news: Vec::new(), why_none: Some(why) }
    }

    /// A series in so many equal columns that end at `now`, oldest first: the mean and the greatest value of each, `None` where
    /// there is none. `None` altogether where nothing was recorded of it.
    pub fn columns(&self, key: &SeriesKey, now: Timestamp, columns: usize) -> Option<Vec<Option<(f32, f32)>>> {
        let points = self.series.get(key).filter(|points| !points.is_empty())?;
        let mut sums = vec![(0.0_f64, 0_u32, f32::NEG_INFINITY); columns];
        for point in points {
            // A point may be wider than a column: it stands in all that it covers.
            let first = self.column(point.at.as_second(), now, columns);
            let last = self.column(point.at.as_second() + self.step - 1, now, columns);
            for column in first.max(0)..=last {
                let Some(sum) = usize::try_from(column).ok().and_then(|column| sums.get_mut(column)) else { break };
                *sum = (sum.0 + f64::from(point.mean), sum.1 + 1, sum.2.max(point.max));
            }
        }
        let drawn = |(sum, count, max): (f64, u32, f32)| (count > 0).then(|| ((sum / f64::from(count)) as f32, max));
        Some(sums.into_iter().map(drawn).collect())
    }

    /// The column that a time belongs to; negative or too great where it lies outside.
    pub fn column(&self, second: i64, now: Timestamp, columns: usize) -> i64 {
        // Columns stand at fixed times, so that a graph moves by whole ones.
        let width = self.span as f64 / columns.max(1) as f64;
        let number = |second: i64| (second as f64 / width).floor() as i64;
        number(second) - number(now.as_second()) + i64::try_from(columns).unwrap_or(i64::MAX) - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn key() -> SeriesKey {
        SeriesKey::new(&crate::domain::metric::CPU_USED, [])
    }

    fn past(span: u64, step: i64, points: &[(i64, f32)]) -> Past {
        let points = points.iter().map(|(second, mean)| PastPoint { at: at(*second), mean: *mean, max: mean + 1.0 });
        Past {
            span,
            until: at(1_000),
            step,
            series: HashMap::from([(key(), points.collect())]),
            marks: Vec::new(),
            news: Vec::new(),
            why_none: None,
        }
    }

    #[test]
    fn a_column_is_the_mean_and_the_most_of_what_is_in_it() {
        let past = past(100, 10, &[(910, 9.0), (920, 1.0), (930, 3.0), (1_000, 5.0)]);
        let columns = past.columns(&key(), at(1_019), 5).unwrap();
        assert_eq!(columns, [Some((2.0, 4.0)), None, None, None, Some((5.0, 6.0))]);
        assert_eq!(past.columns(&key().with("a", "b"), at(1_019), 5), None);
    }

    #[test]
    fn a_point_wider_than_a_column_fills_all_that_it_covers() {
        let past = past(100, 50, &[(950, 2.0), (1_000, 4.0)]);
        let columns = past.columns(&key(), at(1_049), 10).unwrap();
        assert_eq!(columns, [[Some((2.0, 3.0)); 5], [Some((4.0, 5.0)); 5]].concat());
    }
}
