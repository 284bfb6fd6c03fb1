//! Reading: one series over a time, in buckets as wide as asked for.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::super::{HistoryError, StateDir};
use super::block::{self, Point};
use super::{FILE, SIXTH, SKETCH_TIERS, TIERS, Tier, compact, floor, recent, schema, timestamp, write};
use crate::domain::metric::QUANTILES;
use crate::domain::{Mark, Metric, SeriesKey, Sketch};

/// What a series was within one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bucket {
    /// Its beginning.
    pub at: Timestamp,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The mean of all values. For a quantile it is the quantile of all values within the bucket.
    pub mean: f64,
    /// How many values there were.
    pub count: u64,
}

/// One that reads while another process writes.
#[derive(Debug)]
pub struct SampleReader {
    connection: Connection,
    path: PathBuf,
    ids: HashMap<SeriesKey, u32>,
}

impl SampleReader {
    /// Opens the history of this folder; `None` where there is none yet.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version.
    pub fn open(dir: &StateDir) -> Result<Option<Self>, HistoryError> {
        let Some(folder) = dir.path() else { return Ok(None) };
        let path = folder.join(FILE);
        let Some(connection) = schema::open_to_read(&path)? else { return Ok(None) };
        Ok(Some(Self { connection, path, ids: HashMap::new() }))
    }

    /// Every series that was ever recorded, by name and labels; of what is told by quantile, one for each quantile.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn series(&mut self) -> Result<Vec<SeriesKey>, HistoryError> {
        self.ids = write::ids(&self.connection).map_err(schema::of(&self.path))?;
        let mut keys = Vec::new();
        for key in self.ids.keys() {
            if key.metric().is_some_and(Metric::is_spread) {
                keys.extend(QUANTILES.iter().map(|(quantile, _)| key.clone().with("quantile", quantile)));
            } else {
                keys.push(key.clone());
            }
        }
        keys.sort();
        Ok(keys)
    }

    /// When the oldest of what is kept was measured; `None` where nothing is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn beginning(&self) -> Result<Option<Timestamp>, HistoryError> {
        // Blocks of one time begin together, but not every series had a value then.
        const SOME: u32 = 32;
        let read = || {
            let tier = TIERS[TIERS.len() - 1];
            let mut statement = self
                .connection
                .prepare_cached("SELECT start, data FROM block WHERE tier = ?1 ORDER BY start LIMIT ?2")?;
            let mut rows = statement.query(params![tier.number, SOME])?;
            let mut oldest: Option<i64> = None;
            while let Some(row) = rows.next()? {
                let slots = block::decode(row.get_ref(1)?.as_blob()?, tier.slots.into()).unwrap_or_default();
                let first = (0..).zip(&slots).find(|(_, point)| point.is_some()).map(|(slot, _)| slot * tier.slot);
                let at = first.map(|first| row.get::<_, i64>(0).map(|start| start + first)).transpose()?;
                oldest = oldest.into_iter().chain(at).min();
            }
            let recent = "SELECT min(minute) * 60 FROM recent";
            let recent: Option<i64> = self.connection.query_row(recent, [], |row| row.get(0))?;
            Ok(oldest.into_iter().chain(recent).min().map(timestamp))
        };
        read().map_err(schema::of(&self.path))
    }

    /// A series from `from` until `until` in buckets of `step` seconds, oldest first; times without a value are left out.
    /// Buckets begin at multiples of `step` since the epoch. A series with a `quantile` label is worked out of all values of
    /// each bucket, where they were kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(
        &mut self,
        key: &SeriesKey,
        (from, until): (Timestamp, Timestamp),
        step: i64,
    ) -> Result<Vec<Bucket>, HistoryError> {
        let step = step.max(SIXTH);
        let (from, until) = (floor(from.as_second(), step), until.as_second());
        let spread = spread_of(key);
        let wanted = spread.as_ref().map_or(key, |(key, _)| key);
        let mut read = || {
            let Some(series) = self.number(wanted)? else { return Ok(Vec::new()) };
            match spread {
                Some((_, share)) => self.quantiles(series, share, (from, until), step),
                None => self.points(series, (from, until), step),
            }
        };
        let buckets = read();
        buckets.map_err(schema::of(&self.path))
    }

    /// What changed from `from` until `until`, oldest first, at most `most`: the newest ones.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn marks(&self, (from, until): (Timestamp, Timestamp), most: usize) -> Result<Vec<Mark>, HistoryError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(
                "SELECT at, kind, subject, text FROM mark WHERE at >= ?1 AND at <= ?2 ORDER BY at DESC, id DESC LIMIT ?3",
            )?;
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![from.as_second(), until.as_second(), most], |row| {
                let (kind, subject): (String, String) = (row.get(1)?, row.get(2)?);
                let subject = Some(subject).filter(|subject| !subject.is_empty());
                // A kind that a newer hostler knows is no mark of this one.
                let kind = kind.parse().ok();
                let (at, text) = (timestamp(row.get(0)?), row.get(3)?);
                Ok(kind.map(|kind| Mark { at, kind, subject, text }))
            })?;
            let mut marks: Vec<Mark> = rows.filter_map(Result::transpose).collect::<rusqlite::Result<_>>()?;
            marks.reverse();
            Ok(marks)
        };
        read().map_err(schema::of(&self.path))
    }

    fn number(&mut self, key: &SeriesKey) -> rusqlite::Result<Option<u32>> {
        if !self.ids.contains_key(key) {
            self.ids = write::ids(&self.connection)?;
        }
        Ok(self.ids.get(key).copied())
    }

    /// What was too old then has gone.
    fn let_go(&self, from: i64) -> rusqlite::Result<i64> {
        Ok(compact::let_go_at(&self.connection)?.unwrap_or(from))
    }

    fn points(&self, series: u32, (from, until): (i64, i64), step: i64) -> rusqlite::Result<Vec<Bucket>> {
        let tier = Tier::for_graph(&TIERS, from, self.let_go(from)?, step);
        let mut buckets: BTreeMap<i64, Point> = BTreeMap::new();
        let mut take = |second: i64, point: Point| {
            if (from..=until).contains(&second) {
                buckets.entry(floor(second, step)).and_modify(|before| *before = before.and(point)).or_insert(point);
            }
        };
        let mut statement = self.connection.prepare_cached(
            "SELECT start, data FROM block WHERE series = ?1 AND tier = ?2 AND start > ?3 AND start <= ?4 ORDER BY start",
        )?;
        let mut rows = statement.query(params![series, tier.number, from - tier.block(), until])?;
        while let Some(row) = rows.next()? {
            let start: i64 = row.get(0)?;
            let slots = block::decode(row.get_ref(1)?.as_blob()?, tier.slots.into()).unwrap_or_default();
            for (slot, point) in (0..).zip(slots) {
                if let Some(point) = point {
                    take(start + slot * tier.slot, point);
                }
            }
        }
        let mut statement =
            self.connection.prepare_cached("SELECT minute, data FROM recent WHERE minute >= ?1 AND minute <= ?2")?;
        let mut rows = statement.query(params![from.div_euclid(60), until.div_euclid(60)])?;
        while let Some(row) = rows.next()? {
            let begin = row.get::<_, i64>(0)? * 60;
            let found = recent::iter(row.get_ref(1)?.as_blob()?).find(|(number, _)| *number >= series);
            let Some((_, minute)) = found.filter(|(number, _)| *number == series) else { continue };
            for (sixth, value) in (0..).zip(minute).filter(|(_, value)| !value.is_nan()) {
                take(begin + sixth * SIXTH, Point::of(f64::from(value)));
            }
        }
        Ok(buckets.into_iter().map(|(second, point)| bucket(second, point)).collect())
    }

    fn quantiles(
        &self,
        series: u32,
        share: f64,
        (from, until): (i64, i64),
        step: i64,
    ) -> rusqlite::Result<Vec<Bucket>> {
        let tier = Tier::for_graph(&SKETCH_TIERS, from, self.let_go(from)?, step);
        let mut buckets: BTreeMap<i64, Sketch> = BTreeMap::new();
        let mut statement = self.connection.prepare_cached(
            "SELECT start, data FROM sketch WHERE series = ?1 AND tier = ?2 AND start >= ?3 AND start <= ?4",
        )?;
        // What the coarser tiers do not have yet is still in minutes.
        let finest = SKETCH_TIERS[0].number;
        let mut merged = None;
        for number in [tier.number, finest] {
            let from = merged.map_or(from, |merged: i64| merged.max(from));
            let mut rows = statement.query(params![series, number, from, until])?;
            while let Some(row) = rows.next()? {
                let start: i64 = row.get(0)?;
                // What is no sketch adds nothing.
                let _is_sketch = buckets.entry(floor(start, step)).or_default().merge_bytes(row.get_ref(1)?.as_blob()?);
            }
            if number == finest {
                break;
            }
            merged = Some(compact::compacted(&self.connection)?.unwrap_or(i64::MIN));
        }
        let bucket = |(second, sketch): (i64, Sketch)| {
            let (min, max) = sketch.extremes()?;
            Some(Bucket { at: timestamp(second), min, max, mean: sketch.quantile(share)?, count: sketch.count() })
        };
        Ok(buckets.into_iter().filter_map(bucket).collect())
    }
}

fn bucket(second: i64, point: Point) -> Bucket {
    let Point { min, max, mean, count } = point;
    Bucket { at: timestamp(second), min, max, mean, count: count.into() }
}

/// The series without its quantile, and the quantile, 0 to 1.
fn spread_of(key: &SeriesKey) -> Option<(SeriesKey, f64)> {
    let share = key.label("quantile")?.parse().ok().filter(|share| (0.0..=1.0).contains(share))?;
    let labels = key.labels.iter().filter(|(name, _)| **name != *"quantile").cloned().collect();
    Some((SeriesKey { name: key.name.clone(), labels }, share))
}
