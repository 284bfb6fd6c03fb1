//! Writing: a minute at a time.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use super::super::{HistoryError, StateDir, files};
use super::{FILE, LOCK, MOST_SERIES, SIXTH, SIXTHS, compact, recent, schema};
use crate::domain::{Mark, SeriesKey, Sketch};

/// What every series was within one minute.
#[derive(Debug, Clone, Default)]
pub struct MinuteBatch {
    /// The minute, counted from the Unix epoch.
    pub minute: i64,
    values: HashMap<SeriesKey, recent::Minute>,
    sketches: Vec<(SeriesKey, Sketch)>,
    marks: Vec<Mark>,
}

impl MinuteBatch {
    /// The minute of this time, with nothing in it.
    pub fn at(at: Timestamp) -> Self {
        Self { minute: at.as_second().div_euclid(60), ..Self::default() }
    }

    /// Whether this time belongs to it.
    pub fn holds(&self, at: Timestamp) -> bool {
        at.as_second().div_euclid(60) == self.minute
    }

    /// Takes what series are at this time, which belongs to this minute; the last of several within ten seconds stands.
    pub fn put(&mut self, at: Timestamp, values: impl IntoIterator<Item = (SeriesKey, f64)>) {
        let sixth = (at.as_second().rem_euclid(60) / SIXTH) as usize;
        for (key, value) in values {
            self.values.entry(key).or_insert([f32::NAN; SIXTHS])[sixth] = value as f32;
        }
    }

    /// Takes how the values of a series were spread in this minute; its name has no quantile.
    pub fn spread(&mut self, key: SeriesKey, sketch: Sketch) {
        self.sketches.push((key, sketch));
    }

    /// Takes what changed in this minute.
    pub fn mark(&mut self, mark: Mark) {
        self.marks.push(mark);
    }
}

/// The one that writes.
#[derive(Debug)]
pub struct SampleWriter {
    connection: Connection,
    path: PathBuf,
    ids: HashMap<SeriesKey, u32>,
    /// Series that are not kept, because there are too many.
    refused: usize,
    /// A database that could not be read, in its new place.
    spoilt: Option<PathBuf>,
    /// Nobody else writes while this is open.
    _lock: files::Held,
}

impl SampleWriter {
    /// Opens the history of this folder, and makes it where there is none; `None` while another process writes it. One that is
    /// spoilt is put aside and a new one begun.
    ///
    /// # Errors
    /// When there is no folder, it cannot be written, or the database is one of a newer hostler.
    pub fn open(dir: &StateDir, now: Timestamp) -> Result<Option<Self>, HistoryError> {
        let folder = dir.path().ok_or(HistoryError::NoFolder)?;
        let Some(lock) = files::try_hold(&folder.join(LOCK))? else { return Ok(None) };
        let path = folder.join(FILE);
        let (connection, spoilt) = match schema::open(&path) {
            Err(HistoryError::Spoilt { .. }) => {
                let aside = put_aside(&path, now)?;
                (schema::open(&path)?, Some(aside))
            }
            opened => (opened?, None),
        };
        let ids = ids(&connection).map_err(schema::of(&path))?;
        Ok(Some(Self { connection, path, ids, refused: 0, spoilt, _lock: lock }))
    }

    /// Where a spoilt database was put when this one was opened.
    pub fn spoilt(&self) -> Option<&Path> {
        self.spoilt.as_deref()
    }

    /// Series that came on top of [`MOST_SERIES`] and are not kept.
    pub fn refused(&self) -> usize {
        self.refused
    }

    /// Writes a minute, whole or not at all; then, when two hours are full, makes blocks of them.
    ///
    /// # Errors
    /// When it could not be written: the disk is full, say. It may be tried again.
    pub fn commit(&mut self, batch: &MinuteBatch) -> Result<(), HistoryError> {
        let mut added = Vec::new();
        let result = self.write(batch, &mut added).map_err(schema::of(&self.path));
        if result.is_err() {
            // The numbers that were given within it were never written.
            self.ids.retain(|key, _| !added.contains(key));
        }
        result
    }

    fn write(&mut self, batch: &MinuteBatch, added: &mut Vec<SeriesKey>) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let mut bytes = Vec::with_capacity(batch.values.len() * 16);
        let mut numbered: Vec<(u32, &recent::Minute)> = Vec::with_capacity(batch.values.len());
        self.refused = 0;
        for (key, minute) in &batch.values {
            match number(&transaction, &mut self.ids, key, added)? {
                Some(series) => numbered.push((series, minute)),
                None => self.refused += 1,
            }
        }
        numbered.sort_unstable_by_key(|(series, _)| *series);
        for (series, minute) in numbered {
            recent::push(&mut bytes, series, minute);
        }
        transaction
            .prepare_cached("INSERT INTO recent (minute, data) VALUES (?1, ?2)")?
            .execute(params![batch.minute, bytes])?;
        for (key, sketch) in &batch.sketches {
            if let Some(series) = number(&transaction, &mut self.ids, key, added)? {
                compact::take_sketch(&transaction, series, batch.minute * 60, sketch)?;
            }
        }
        for mark in &batch.marks {
            let subject = mark.subject.as_deref().unwrap_or_default();
            transaction
                .prepare_cached("INSERT INTO mark (at, kind, subject, text) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![mark.at.as_second(), mark.kind.word(), subject, mark.text])?;
        }
        transaction.commit()
    }

    /// Makes blocks of the rows of full two hours, and lets go what is too old, if that is due at `now`.
    ///
    /// # Errors
    /// When it could not be written. It may be tried again.
    pub fn compact(&mut self, now: Timestamp) -> Result<(), HistoryError> {
        compact::compact(&mut self.connection, now.as_second()).map_err(schema::of(&self.path))
    }

    /// How many bytes the database takes, its log left out.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn bytes(&self) -> Result<u64, HistoryError> {
        let pages = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes: i64 = self.connection.query_row(pages, [], |row| row.get(0)).map_err(schema::of(&self.path))?;
        Ok(bytes.unsigned_abs())
    }
}

/// The number of a series; a new one gets the next. `None` where there are too many.
fn number(
    transaction: &Transaction<'_>,
    ids: &mut HashMap<SeriesKey, u32>,
    key: &SeriesKey,
    added: &mut Vec<SeriesKey>,
) -> rusqlite::Result<Option<u32>> {
    if let Some(id) = ids.get(key) {
        return Ok(Some(*id));
    }
    if ids.len() >= MOST_SERIES {
        return Ok(None);
    }
    transaction.prepare_cached("INSERT INTO series (key) VALUES (?1)")?.execute([key.to_string()])?;
    let id = u32::try_from(transaction.last_insert_rowid()).unwrap_or(u32::MAX);
    ids.insert(key.clone(), id);
    added.push(key.clone());
    Ok(Some(id))
}

/// Every series and its number.
pub(super) fn ids(connection: &Connection) -> rusqlite::Result<HashMap<SeriesKey, u32>> {
    let mut statement = connection.prepare_cached("SELECT key, id FROM series")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
    rows.filter_map(|row| row.map(|(key, id)| key.parse().ok().map(|key| (key, id))).transpose()).collect()
}

/// Puts a database that cannot be read aside, with its log, and gives its new place.
fn put_aside(path: &Path, now: Timestamp) -> Result<PathBuf, HistoryError> {
    let aside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".spoilt-{}{suffix}", now.as_second()));
        PathBuf::from(name)
    };
    for suffix in ["-wal", "-shm", ""] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let beside = PathBuf::from(beside);
        if files::is_there(&beside) {
            files::rename(&beside, &aside(suffix))?;
        }
    }
    Ok(aside(""))
}
