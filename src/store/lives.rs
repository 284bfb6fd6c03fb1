//! What each life of a container, from a start to its end, used of memory, from its start on: a few dozen points a run, however long it lasts.
//!
//! Starts are told late, twice, and by two clocks of the same engine (an event and an inspection). So a start divides the
//! run that it falls into, whenever it comes: which point belongs to which run does not depend on the order of events.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

/// The memory of one life: from a start to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Life {
    /// When it began; `None` if nobody told.
    pub began: Option<Timestamp>,
    /// What the points count from.
    base: Timestamp,
    /// Seconds after `base`, and bytes; the newest reading is always the last one.
    points: Vec<(f32, f32)>,
    /// Points are kept so far apart, seconds.
    spacing: f32,
}

/// How memory grew within a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Bytes at its first point.
    pub from_bytes: u64,
    /// Bytes a second; above 0.
    pub bytes_per_second: f64,
    /// The time that was looked at.
    pub over: Duration,
    /// It was looked at from the start of the run.
    pub since_start: bool,
}

/// The last runs of one container, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lives(VecDeque<Life>);

impl Life {
    /// Points that are kept of a run.
    pub const POINTS: usize = 64;
    /// A run whose first point comes so soon after its start was looked at from the start.
    const FROM_START: Duration = Duration::from_secs(10);
    /// Memory grows if it is so many times what it was: less is how programs breathe.
    const GROWN: f32 = 1.1;
    /// Over a shorter time nothing is said about growth.
    const GROWS_FOR: f32 = 3.0;

    fn new(began: Option<Timestamp>, base: Timestamp) -> Self {
        Self { began, base, points: Vec::new(), spacing: 0.0 }
    }

    fn add(&mut self, at: Timestamp, bytes: u64) {
        let seconds = at.duration_since(self.base).as_secs_f32();
        let newest = self.points.last().map_or(f32::MIN, |(at, _)| *at);
        if seconds < newest {
            return;
        }
        // The one before the newest is kept for good; the newest gives way until it is far enough away from that.
        if let [.., (before, _), newest] = self.points.as_mut_slice()
            && newest.0 - *before < self.spacing
        {
            *newest = (seconds, bytes as f32);
            return;
        }
        self.points.push((seconds, bytes as f32));
        if self.points.len() > Self::POINTS {
            self.thin_out(seconds);
        }
    }

    fn thin_out(&mut self, newest: f32) {
        let oldest = self.points.first().map_or(newest, |(at, _)| *at);
        self.spacing = (newest - oldest) / (Self::POINTS / 2) as f32;
        let mut number = 0;
        self.points.retain(|_| {
            number += 1;
            number % 2 == 1
        });
    }

    /// When its newest point was read, and the bytes.
    pub fn last(&self) -> Option<(Timestamp, u64)> {
        self.points.last().map(|(seconds, bytes)| (self.time(*seconds), *bytes as u64))
    }

    /// From its first point to its last.
    pub fn lasted(&self) -> Duration {
        let ends = self.points.first().zip(self.points.last());
        ends.map_or(Duration::ZERO, |((first, _), (last, _))| Duration::from_secs_f32((last - first).max(0.0)))
    }

    /// Its memory in `columns` equal parts of its time, bytes; empty without points.
    pub fn curve(&self, columns: usize) -> Vec<f32> {
        let (Some((first, _)), Some((last, _))) = (self.points.first(), self.points.last()) else { return Vec::new() };
        let at = |column: usize| first + (last - first) * (column + 1) as f32 / columns as f32;
        (0..columns)
            .map(|column| {
                let before = self.points.partition_point(|(seconds, _)| *seconds <= at(column));
                self.points[before.saturating_sub(1)].1
            })
            .collect()
    }

    /// How its memory grew; `None` if it did not, or not steadily, or if that was not seen for long enough.
    pub fn growth(&self) -> Option<Growth> {
        let ((first, from), (last, to)) = (*self.points.first()?, *self.points.last()?);
        let grew = last - first >= Self::GROWS_FOR && self.points.len() >= 3 && to >= from * Self::GROWN && to > from;
        // What rose at once and then stood still has no rate.
        let half_way = self.curve(2).first().map_or(from, |half| *half);
        let steady = (half_way - from.midpoint(to)).abs() <= (to - from) / 4.0;
        (grew && steady).then(|| Growth {
            from_bytes: from as u64,
            bytes_per_second: f64::from(to - from) / f64::from(last - first),
            over: Duration::from_secs_f32(last - first),
            since_start: self.began.is_some_and(|began| {
                let late = self.time(first).duration_since(began);
                late.is_negative() || late.unsigned_abs() <= Self::FROM_START
            }),
        })
    }

    fn time(&self, seconds: f32) -> Timestamp {
        self.base + Duration::from_secs_f32(seconds.max(0.0))
    }
}

impl Lives {
    /// Lives that are kept.
    pub const KEPT: usize = 6;
    /// Starts so near to each other are one start, told twice. A run as short as that has no curve anyway.
    const SAME_START: Duration = Duration::from_millis(500);

    /// Takes in that a run began.
    pub(super) fn begin(&mut self, at: Timestamp) {
        let told = |began: Timestamp| began.duration_since(at).unsigned_abs() < Self::SAME_START;
        if self.0.iter().any(|run| run.began.is_some_and(told)) {
            return;
        }
        let place = self.0.partition_point(|run| run.began.is_none_or(|began| began < at));
        let mut begun = Life::new(Some(at), at);
        if let Some(before) = place.checked_sub(1).and_then(|index| self.0.get_mut(index)) {
            let first = before.points.partition_point(|(seconds, _)| before.time(*seconds) < at);
            for (seconds, bytes) in before.points.split_off(first) {
                let seconds = before.time(seconds).duration_since(at).as_secs_f32();
                begun.points.push((seconds, bytes));
            }
            begun.spacing = before.spacing;
            before.points.shrink_to_fit();
        }
        self.0.insert(place, begun);
        let mut left = self.0.len();
        // Of a run without a point there is nothing to show, unless it is the one that is beginning.
        self.0.retain(|run| {
            left -= 1;
            left == 0 || !run.points.is_empty()
        });
        if self.0.len() > Self::KEPT {
            self.0.pop_front();
        }
    }

    /// Takes in what it used.
    pub(super) fn used(&mut self, at: Timestamp, bytes: u64) {
        if self.0.is_empty() {
            self.0.push_back(Life::new(None, at));
        }
        let running = self.0.iter_mut().rev().find(|run| run.began.is_none_or(|began| began <= at));
        if let Some(run) = running {
            run.add(at, bytes);
        }
    }

    /// The runs, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Life> {
        self.0.iter()
    }

    /// The run that ended at `at`, which began at `began` if that was told.
    pub fn ended(&self, began: Option<Timestamp>, at: Timestamp) -> Option<&Life> {
        let run = self.0.iter().rev().find(|run| run.began.is_none_or(|began| began < at))?;
        let apart =
            |other: Timestamp| began.is_none_or(|began| began.duration_since(other).unsigned_abs() < Self::SAME_START);
        let same = run.began.is_none_or(apart);
        (same && !run.points.is_empty()).then_some(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_531 + second).unwrap()
    }

    fn used(runs: &mut Lives, seconds: std::ops::Range<i64>, start: i64) {
        for second in seconds {
            runs.used(at(second), ((second - start) as u64 + 1) << 20);
        }
    }

    #[test]
    fn a_start_divides_the_points_whenever_it_is_told() {
        let mut in_time = Lives::default();
        in_time.begin(at(0));
        used(&mut in_time, 1..10, 0);
        in_time.begin(at(10));
        used(&mut in_time, 11..20, 10);
        let mut late = Lives::default();
        late.begin(at(0));
        used(&mut late, 1..10, 0);
        used(&mut late, 11..20, 10);
        late.begin(at(10));
        late.begin(at(0));
        assert_eq!(in_time, late);
        let lengths: Vec<_> = in_time.iter().map(|run| run.points.len()).collect();
        assert_eq!(lengths, [9, 9]);
        assert_eq!(in_time.ended(Some(at(0)), at(10)).and_then(Life::last), Some((at(9), 10 << 20)));
        assert_eq!(in_time.ended(None, at(21)).and_then(Life::last), Some((at(19), 10 << 20)));
    }

    #[test]
    fn a_long_run_keeps_its_shape_and_its_newest_point_in_few_points() {
        let mut runs = Lives::default();
        runs.begin(at(0));
        for second in 0..100_000 {
            runs.used(at(second), 1000 * second as u64 + 1_000_000);
            assert!(runs.0[0].points.len() <= Life::POINTS);
        }
        let run = runs.iter().next().unwrap();
        assert_eq!(run.last().map(|(when, _)| when), Some(at(99_999)));
        let growth = run.growth().unwrap();
        assert!((growth.bytes_per_second - 1000.0).abs() < 5.0, "{growth:?}");
        assert!(growth.since_start);
        let curve = run.curve(10);
        assert!(curve.is_sorted() && curve.len() == 10, "{curve:?}");
    }

    #[test]
    fn few_runs_are_kept_and_empty_ones_are_none() {
        let mut runs = Lives::default();
        for start in 0..100 {
            runs.begin(at(start * 10));
            if start % 2 == 0 {
                used(&mut runs, start * 10 + 1..start * 10 + 5, start * 10);
            }
        }
        assert_eq!(runs.iter().count(), Lives::KEPT);
        assert!(runs.iter().rev().skip(1).all(|run| run.points.len() == 4));
    }

    #[test]
    fn growth_is_told_only_where_it_was_seen() {
        let mut runs = Lives::default();
        used(&mut runs, 0..60, 0);
        let growth = runs.iter().next().unwrap().growth().unwrap();
        assert!(!growth.since_start, "nobody told its start");
        assert_eq!(growth.bytes_per_second.round() as u64, 1 << 20);
        let mut steady = Lives::default();
        (0..60).for_each(|second| steady.used(at(second), 100 << 20));
        assert_eq!(steady.iter().next().unwrap().growth(), None);
        let mut risen = Lives::default();
        (0..60).for_each(|second| risen.used(at(second), (100 + 10 * second.min(10).cast_unsigned()) << 20));
        assert_eq!(risen.iter().next().unwrap().growth(), None, "it rose at once");
    }
}
