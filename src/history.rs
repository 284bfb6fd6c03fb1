//! hostler's own store: what people said, which sources were once read, when images were in use, and how the box stood last.
//!
//! [`StateDir`] is the folder. `journal.jsonl` holds one record a line; `sources.json`, `last.json`, `updates.json`,
//! `images.json`, `images-seen.json` and `alerts.json` are replaced as a whole. The folder may be shared (`/var/lib/hostler`), so what is read from it is bounded,
//! stripped as foreign text is, and taken as far as it can be understood: a broken line is skipped and counted. Everything
//! works without a folder, only without memory.

mod files;
mod images;
mod journal;
mod prometheus;
mod runs;
mod samples;
mod seen;
pub mod trends;
mod updates;

pub use files::Held;
pub use journal::{JournalRead, JournalReader};
pub use prometheus::{Prometheus, PrometheusError};
pub use runs::{Attachment, CancelWish, LockError, RunFile, RunReader, RunsReader, new_run_id};
pub use samples::{Bucket, MOST_SERIES, MinuteBatch, Point, SampleReader, SampleWriter};

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::{
    ImagesSeen, JournalEntry, JournalRecord, Outbox, Remembered, ScheduleMemory, Served, ServedLedger, SourceId,
    TrendSample,
};
use crate::host::{foreign, login_name};

const JOURNAL: &str = "journal.jsonl";
/// Held by the recorder while it runs.
const RECORDER_LOCK: &str = "recorder.lock";
/// Held while it is found out what of the served models is to be written.
const SERVED_LOCK: &str = "served.lock";
const INVENTORY: &str = "inventory.json";
const LAST: &str = "last.json";
const ALERTS: &str = "alerts.json";
const SCHEDULE: &str = "schedule.json";
const TRENDS: &str = "trends.json";

/// Why something could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// There is no folder to keep anything in.
    #[error("there is no home folder to keep it in; name a state folder with --state-dir")]
    NoFolder,
    /// The file system refuses.
    #[error("{}: {error}; a state folder that can be written is named with --state-dir", path.display())]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Another process held the lock for too long.
    #[error("{}: another process has held its lock for {seconds} s", path.display())]
    Locked {
        /// Which file.
        path: PathBuf,
        /// Seconds waited.
        seconds: u64,
    },
    /// The database refuses.
    #[error("{}: {why}", path.display())]
    Database {
        /// Which file.
        path: PathBuf,
        /// What it says.
        why: String,
    },
    /// What is there was not written by this hostler, or is spoilt.
    #[error("{}: it cannot be understood ({why}); remove it to begin anew", path.display())]
    Spoilt {
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The database has another format.
    #[error("{}: it is of version {version}, and this hostler knows {known}; it is left alone. Use the hostler that wrote it, or name another state folder with --state-dir", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        version: u32,
        /// The version that is known.
        known: u32,
    },
    /// It cannot be written as JSON.
    #[error("it cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl HistoryError {
    /// What is wrong with what `path` holds.
    fn spoilt(path: &Path) -> impl FnOnce(serde_json::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Spoilt { path, why: foreign::name(&error.to_string()) }
    }

    /// What the file system said of `path`.
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::File { path, error }
    }
}

/// The folder of hostler's own store. A moved root (`--rootfs`) never moves it. It is made when first written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Folder {
        path: PathBuf,
        because: &'static str,
    },
    /// A made-up box leaves nothing behind.
    Demo,
    /// There is no home folder.
    Nowhere,
}

impl StateDir {
    /// The folder that serves the whole machine, where somebody made it.
    pub const SHARED: &str = "/var/lib/hostler";

    /// The named folder, else `/var/lib/hostler` where it exists and can be written, else `hostler` in
    /// `$XDG_STATE_HOME`.
    pub fn choose(named: Option<&Path>) -> Self {
        let folder = |path: PathBuf, because| Self { place: Place::Folder { path, because } };
        if let Some(path) = named {
            return folder(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()), "--state-dir names it");
        }
        if files::is_writable(Path::new(Self::SHARED)) {
            return folder(Self::SHARED.into(), "it serves the whole machine");
        }
        match ProjectDirs::from("", "", "hostler").and_then(|dirs| dirs.state_dir().map(Path::to_owned)) {
            Some(path) => folder(path, "it is the user's own"),
            None => Self { place: Place::Nowhere },
        }
    }

    /// No folder: what is recorded is taken as recorded and forgotten with the process.
    pub fn demo() -> Self {
        Self { place: Place::Demo }
    }

    /// Where it is; `None` where nothing is kept.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder { path, .. } => Some(path),
            Place::Demo | Place::Nowhere => None,
        }
    }

    /// Why this folder was taken, as a clause; or why there is none.
    pub fn because(&self) -> &'static str {
        match self.place {
            Place::Folder { because, .. } => because,
            Place::Demo => "a demo keeps nothing",
            Place::Nowhere => "there is no home folder",
        }
    }

    /// Whether something can be kept, as far as can be told without trying.
    ///
    /// # Errors
    /// What stands against it.
    pub fn writable(&self) -> Result<(), HistoryError> {
        let Some(path) = self.path() else {
            return Err(HistoryError::NoFolder);
        };
        files::can_be_made(path)
    }

    /// The folder of hostler's own diagnostics, made if it is not there.
    ///
    /// # Errors
    /// When there is no state folder, or it cannot be written.
    pub fn log_folder(&self) -> Result<PathBuf, HistoryError> {
        let folder = self.path().ok_or(HistoryError::NoFolder)?.join("log");
        files::make(&folder)?;
        Ok(folder)
    }

    /// Records of the journal, oldest first, as far as they can be read.
    pub fn journal(&self) -> Vec<JournalRecord> {
        self.read_journal().map(|read| read.records).unwrap_or_default()
    }

    /// Records of the journal, oldest first, and how many lines could not be understood.
    ///
    /// # Errors
    /// When there is a journal and it cannot be read.
    pub fn read_journal(&self) -> Result<JournalRead, HistoryError> {
        JournalReader::new(self).read()
    }

    /// Writes what somebody said, synced to disk, and gives the record back.
    ///
    /// # Errors
    /// When it could not be written: then it was not said.
    pub fn record(&self, entry: JournalEntry, at: Timestamp) -> Result<JournalRecord, HistoryError> {
        let record = journal::cleaned(JournalRecord { schema: 1, at, by: login_name(), entry });
        match &self.place {
            Place::Folder { path, .. } => {
                let mut line = serde_json::to_string(&record)?;
                line.push('\n');
                files::append(&path.join(JOURNAL), line)?;
                Ok(record)
            }
            Place::Demo => Ok(record),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// Writes what engines serve, as far as the journal does not say so yet, and gives those records back. Of several
    /// hostlers that see the same, one writes it.
    ///
    /// # Errors
    /// When it could not be written, or the journal cannot be read: then nothing more was written.
    pub fn record_served(&self, served: &[Served], at: Timestamp) -> Result<Vec<JournalRecord>, HistoryError> {
        let Some(path) = self.path() else { return Ok(Vec::new()) };
        let _alone = files::hold(&path.join(SERVED_LOCK))?;
        let records = self.read_journal()?.records;
        let before = records.iter().filter_map(|record| match &record.entry {
            JournalEntry::Served(served) => Some(served),
            _ => None,
        });
        let ledger: ServedLedger = before.collect();
        let news = served.iter().filter(|served| ledger.is_news(served));
        news.map(|served| self.record(JournalEntry::Served(served.clone()), at)).collect()
    }

    /// Sources that were read on this box within the last 30 days: one that is missing now has failed.
    pub fn remembered_sources(&self) -> BTreeSet<SourceId> {
        self.path().map(seen::read).unwrap_or_default()
    }

    /// Keeps in mind that these sources were read at `at`.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn remember_sources(
        &self,
        sources: impl IntoIterator<Item = SourceId>,
        at: Timestamp,
    ) -> Result<(), HistoryError> {
        match &self.place {
            Place::Folder { path, .. } => seen::remember(path, sources, at),
            Place::Demo => Ok(()),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// When each image was first seen, and last in use, as far as is remembered.
    pub fn images_seen(&self) -> ImagesSeen {
        self.path().map(images::read).unwrap_or_default()
    }

    /// Adds to what is remembered of images, at `at`.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn remember_images(&self, seen: &ImagesSeen, at: Timestamp) -> Result<(), HistoryError> {
        match &self.place {
            Place::Folder { path, .. } => images::remember(path, seen, at),
            Place::Demo => Ok(()),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// What the box consisted of when it was looked at last.
    pub fn inventory(&self) -> Remembered {
        self.path().and_then(|path| files::read_json(&path.join(INVENTORY))).unwrap_or_default()
    }

    /// Replaces what the box consists of.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn remember_inventory(&self, remembered: &Remembered) -> Result<(), HistoryError> {
        self.replace(INVENTORY, remembered)
    }

    /// What receivers of alerts were told, its texts stripped; nothing where nobody was told anything yet.
    ///
    /// # Errors
    /// When the file cannot be read, is spoilt, or was written by a newer hostler.
    pub fn outbox(&self) -> Result<Outbox, HistoryError> {
        let Some(path) = self.path().map(|path| path.join(ALERTS)) else { return Ok(Outbox::default()) };
        let Some((_, bytes)) = files::read_from(&path, 0)? else { return Ok(Outbox::default()) };
        let mut value = serde_json::from_slice(&bytes).map_err(HistoryError::spoilt(&path))?;
        files::strip(&mut value, files::TEXT_BYTES);
        let outbox: Outbox = serde_json::from_value(value).map_err(HistoryError::spoilt(&path))?;
        if outbox.schema > Outbox::SCHEMA {
            return Err(HistoryError::Spoilt { path, why: "a newer hostler wrote it".to_owned() });
        }
        Ok(outbox)
    }

    /// Replaces what receivers of alerts were told.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn set_outbox(&self, outbox: &Outbox) -> Result<(), HistoryError> {
        self.replace(ALERTS, outbox)
    }

    /// Bytes of the file that holds what was measured; 0 where there is none.
    pub fn history_bytes(&self) -> u64 {
        self.path().map_or(0, |path| files::bytes(&path.join(samples::FILE)))
    }

    /// What was found last about weeks of history; `None` where nobody looked yet.
    pub fn trends(&self) -> Option<TrendSample> {
        files::read_json(&self.path()?.join(TRENDS))
    }

    /// Replaces what was found about weeks of history.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn remember_trends(&self, sample: &TrendSample) -> Result<(), HistoryError> {
        self.replace(TRENDS, sample)
    }

    /// What is remembered of the schedule.
    pub fn schedule(&self) -> ScheduleMemory {
        self.path().and_then(|path| files::read_json(&path.join(SCHEDULE))).unwrap_or_default()
    }

    /// Replaces what is remembered of the schedule.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn remember_schedule(&self, memory: &ScheduleMemory) -> Result<(), HistoryError> {
        self.replace(SCHEDULE, memory)
    }

    /// Whether a recorder runs on this folder.
    pub fn has_recorder(&self) -> bool {
        let Some(path) = self.path() else { return false };
        let lock = path.join(RECORDER_LOCK);
        files::is_there(&lock) && matches!(files::try_hold(&lock), Ok(None))
    }

    /// Becomes the one recorder of this folder, as long as what is given back is held.
    ///
    /// # Errors
    /// When there is one already, or the folder cannot be written.
    pub fn be_recorder(&self) -> Result<Held, HistoryError> {
        let path = self.path().ok_or(HistoryError::NoFolder)?;
        files::hold(&path.join(RECORDER_LOCK))
    }

    /// Replaces a whole file of the store; a demo keeps nothing.
    fn replace(&self, file: &str, value: &impl Serialize) -> Result<(), HistoryError> {
        match &self.place {
            Place::Folder { path, .. } => files::replace(&path.join(file), &serde_json::to_vec(value)?),
            Place::Demo => Ok(()),
            Place::Nowhere => Err(HistoryError::NoFolder),
        }
    }

    /// The last known state of the box, if there is one that can be understood; its texts are stripped.
    pub fn last<T: DeserializeOwned>(&self) -> Option<T> {
        files::read_json(&self.path()?.join(LAST))
    }

    /// Replaces the last known state of the box.
    ///
    /// # Errors
    /// When it could not be written.
    pub fn set_last(&self, last: &impl Serialize) -> Result<(), HistoryError> {
        self.replace(LAST, last)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at and spoil a store of their own")]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_the_remedy() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        let dir = StateDir::choose(Some(&file.join("below")));
        let error = dir.record(JournalEntry::Visit, Timestamp::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains("--state-dir"), "{error}");
        assert!(dir.writable().is_err());
        assert!(dir.journal().is_empty());
        assert!(dir.last::<u32>().is_none());
    }

    #[test]
    fn a_demo_takes_everything_and_keeps_nothing() {
        let dir = StateDir::demo();
        assert!(dir.record(JournalEntry::Visit, Timestamp::UNIX_EPOCH).is_ok());
        assert!(dir.set_last(&1).is_ok());
        assert_eq!((dir.path(), dir.journal(), dir.last::<u32>()), (None, Vec::new(), None));
    }

    fn served(digest: &str) -> Served {
        Served {
            engine: "vllm:8000".to_owned(),
            model: "a\u{1b}[31mb".to_owned(),
            digest: Some(digest.to_owned()),
            engine_version: None,
            driver: None,
            only: true,
        }
    }

    #[test]
    fn what_is_served_is_written_once_whoever_sees_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(root.path()));
        let clean = |digest| Served { model: "ab".to_owned(), ..served(digest) };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| dir.record_served(&[clean("1")], Timestamp::UNIX_EPOCH).unwrap());
            }
        });
        dir.record_served(&[served("2")], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(dir.record_served(&[clean("2")], Timestamp::UNIX_EPOCH).unwrap(), []);
        let entries: Vec<JournalEntry> = dir.journal().into_iter().map(|record| record.entry).collect();
        assert_eq!(entries, [JournalEntry::Served(clean("1")), JournalEntry::Served(clean("2"))]);
        assert!(StateDir::demo().record_served(&[served("1")], Timestamp::UNIX_EPOCH).unwrap().is_empty());
    }

    #[test]
    fn the_last_state_is_read_back_harmless() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(&root.path().join("new/folder")));
        assert!(dir.writable().is_ok());
        dir.set_last(&["plain", "a\u{1b}[2Jb\u{202e}c"]).unwrap();
        assert_eq!(dir.last::<Vec<String>>().unwrap(), ["plain", "abc"]);
        std::fs::write(dir.path().unwrap().join(LAST), "[\"cut").unwrap();
        assert_eq!(dir.last::<Vec<String>>(), None);
    }
}
