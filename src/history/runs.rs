//! The files of runs: `runs/ID.jsonl`, one writer each, synced at every step; and the locks that keep two runs from one
//! target.
//!
//! A worker holds the lock of its file for as long as it works: a file whose lock is free and that has no outcome belongs
//! to a worker that died. Anybody who may read the folder follows a run, and asks for its end by a file beside it.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "history is where hostler's own store is opened, and what a run made is removed"
)]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{HistoryError, StateDir, files};
use crate::domain::{Run, RunEntry, RunRecord};
use crate::host::{foreign, login_name};

const RUNS: &str = "runs";
const LOCKS: &str = "locks";
const ENDING: &str = ".jsonl";

/// Runs that are listed: the newest ones.
const LISTED: usize = 200;
/// The most that is kept of one text, bytes.
const TEXT_BYTES: usize = 4096;

/// Why a run may not begin.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run works on the target.
    #[error("another run works on {0} now")]
    Taken(String),
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] HistoryError),
}

/// The file of one run, held by its worker.
#[derive(Debug)]
pub struct RunFile {
    file: File,
    path: PathBuf,
    /// The locks of its targets: given back when the worker ends, however it ends.
    locks: Vec<File>,
}

impl RunFile {
    /// Makes the file of a new run and takes its lock.
    ///
    /// # Errors
    /// When there is no state folder, or it cannot be written: then nothing may be begun.
    pub fn create(dir: &StateDir, id: &str) -> Result<Self, HistoryError> {
        let folder = folder(dir, RUNS)?;
        files::make(&folder)?;
        let path = folder.join(format!("{id}{ENDING}"));
        let made = || {
            let mode = files::mode_in(&folder)?;
            let file = OpenOptions::new().append(true).create_new(true).mode(mode).open(&path)?;
            files::restrict(&file, mode)?;
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            File::open(&folder)?.sync_all()?;
            Ok(file)
        };
        let file = made().map_err(HistoryError::file(&path))?;
        Ok(Self { file, path, locks: Vec::new() })
    }

    /// Takes up the file of a run whose worker died, and gives what it says so far.
    ///
    /// # Errors
    /// When there is no such run, its worker lives, or it has ended.
    pub fn take_up(dir: &StateDir, id: &str) -> Result<(Self, Run), LockError> {
        let path = path_of(dir, id)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(HistoryError::file(&path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Taken(format!("run {id}"))),
            Err(error) => return Err(HistoryError::file(&path)(error.into()).into()),
        }
        // A worker that was killed may have left half a line.
        (&file).write_all(b"\n").map_err(HistoryError::file(&path))?;
        let run = read(&path).ok_or_else(|| HistoryError::file(&path)(std::io::ErrorKind::InvalidData.into()))?;
        Ok((Self { file, path, locks: Vec::new() }, run))
    }

    /// Takes the locks of the plan's targets.
    ///
    /// # Errors
    /// When another run holds one of them.
    pub fn lock(&mut self, dir: &StateDir, names: &[String]) -> Result<(), LockError> {
        let folder = folder(dir, RUNS)?.join(LOCKS);
        files::make(&folder)?;
        for name in names {
            let path = folder.join(file_name(name));
            let opened = || {
                let mode = files::mode_in(&folder)?;
                OpenOptions::new().write(true).create(true).truncate(false).mode(mode).open(&path)
            };
            let file = opened().map_err(HistoryError::file(&path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => self.locks.push(file),
                Err(Errno::WOULDBLOCK) => return Err(LockError::Taken(name.clone())),
                Err(error) => return Err(HistoryError::file(&path)(error.into()).into()),
            }
        }
        Ok(())
    }

    /// Writes one line; `sync` waits until it is on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, record: &RunRecord, sync: bool) -> Result<(), HistoryError> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        written.map_err(HistoryError::file(&self.path))
    }

    /// Whether somebody asked for the end of the run.
    pub fn is_cancelled(&self) -> bool {
        self.cancel_wish().is_there()
    }

    /// Where somebody may ask for the end of the run.
    pub fn cancel_wish(&self) -> CancelWish {
        CancelWish(cancel_of(&self.path))
    }
}

/// The file by which somebody asks for the end of a run.
#[derive(Debug, Clone)]
pub struct CancelWish(PathBuf);

impl CancelWish {
    /// Whether somebody did.
    pub fn is_there(&self) -> bool {
        self.0.exists()
    }
}

/// A file that belongs to a run.
#[derive(Debug)]
pub struct Attachment {
    file: File,
    path: PathBuf,
}

impl Attachment {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), HistoryError> {
        self.file.write_all(bytes).map_err(HistoryError::file(&self.path))
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// When it is not.
    pub fn sync(&self) -> Result<(), HistoryError> {
        self.file.sync_all().map_err(HistoryError::file(&self.path))
    }

    /// Gives it another name when everything is on the disk: whoever finds that name finds all of it.
    ///
    /// # Errors
    /// When it is not, or the name cannot be given.
    pub fn settle(self, name: &str) -> Result<PathBuf, HistoryError> {
        self.sync()?;
        let place = self.path.with_file_name(file_name(name));
        std::fs::rename(&self.path, &place).map_err(HistoryError::file(&self.path))?;
        Ok(place)
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(self) -> Result<(), HistoryError> {
        std::fs::remove_file(&self.path).map_err(HistoryError::file(&self.path))
    }
}

impl StateDir {
    /// Begins a file that belongs to a run, such as a copy or an archived log: `runs/ID/NAME`. One that is there is begun
    /// anew.
    ///
    /// # Errors
    /// When there is no state folder, or it cannot be written.
    pub fn attach(&self, id: &str, name: &str) -> Result<Attachment, HistoryError> {
        let folder = self.beside(id)?;
        files::make(&folder)?;
        let path = folder.join(file_name(name));
        let made = || {
            let mode = files::mode_in(&folder)?;
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&path)?;
            files::restrict(&file, mode)?;
            Ok(file)
        };
        let file = made().map_err(HistoryError::file(&path))?;
        Ok(Attachment { file, path })
    }

    /// A file that belongs to a run, and where it lies; `None` where there is none of this name.
    ///
    /// # Errors
    /// When there is no state folder, or the file cannot be read.
    pub fn attached(&self, id: &str, name: &str) -> Result<Option<(File, PathBuf)>, HistoryError> {
        let path = self.beside(id)?.join(file_name(name));
        match File::open(&path) {
            Ok(file) => Ok(Some((file, path))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(HistoryError::file(&path)(error)),
        }
    }

    /// Removes all files that belong to a run; what the run did can still be read.
    ///
    /// # Errors
    /// When there is no state folder, or they cannot be removed.
    pub fn detach(&self, id: &str) -> Result<(), HistoryError> {
        let path = self.beside(id)?;
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(HistoryError::file(&path)(error)),
            _ => Ok(()),
        }
    }

    /// The folder of the files that belong to a run.
    fn beside(&self, id: &str) -> Result<PathBuf, HistoryError> {
        Ok(folder(self, RUNS)?.join(file_name(id)))
    }

    /// The newest runs, oldest first, as far as they can be understood.
    pub fn runs(&self) -> Vec<Run> {
        let Ok(folder) = folder(self, RUNS) else { return Vec::new() };
        ids(&folder).into_iter().filter_map(|id| self.run(&id)).collect()
    }

    /// One run; `None` if there is none of this id that can be understood.
    pub fn run(&self, id: &str) -> Option<Run> {
        let path = path_of(self, id).ok()?;
        let mut run = read(&path)?;
        run.alive = is_held(&path);
        // It may have ended between the two looks.
        if !run.alive && run.ended.is_none() {
            run = read(&path)?;
        }
        Some(run)
    }

    /// Asks the worker of a run to end it.
    ///
    /// # Errors
    /// When there is no such run, or the folder cannot be written.
    pub fn cancel_run(&self, id: &str) -> Result<(), HistoryError> {
        let path = path_of(self, id)?;
        let beside = cancel_of(&path);
        File::create(&beside).map(drop).map_err(HistoryError::file(&beside))
    }

    /// A record of a run, by the one who is logged in.
    pub fn planned(id: &str, plan: crate::domain::Plan) -> RunEntry {
        RunEntry::Planned { schema: 1, run: id.to_owned(), by: login_name(), plan: Box::new(plan) }
    }
}

/// Follows one run.
#[derive(Debug)]
pub struct RunReader {
    path: PathBuf,
    offset: u64,
    run: Option<Run>,
}

impl RunReader {
    /// A reader at the beginning of a run's file.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn new(dir: &StateDir, id: &str) -> Result<Self, HistoryError> {
        Ok(Self { path: path_of(dir, id)?, offset: 0, run: None })
    }

    /// What was written since the last call, and whether a worker still holds the file (in [`Self::run`]).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&mut self) -> Result<Vec<RunRecord>, HistoryError> {
        // Looked at first: what is written between the two looks is then read, or the next look comes.
        let alive = is_held(&self.path);
        let Some((start, bytes)) = files::read_from(&self.path, self.offset)? else { return Ok(Vec::new()) };
        let complete = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        self.offset = start + complete as u64;
        let records: Vec<RunRecord> = bytes[..complete].split(|byte| *byte == b'\n').filter_map(record).collect();
        for record in &records {
            match &mut self.run {
                Some(run) => run.take(record),
                None => self.run = Run::begin(record),
            }
        }
        if let Some(run) = &mut self.run {
            run.alive = alive;
        }
        Ok(records)
    }

    /// The run as far as it was read.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }
}

/// A folder of the store.
fn folder(dir: &StateDir, name: &str) -> Result<PathBuf, HistoryError> {
    Ok(dir.path().ok_or(HistoryError::NoFolder)?.join(name))
}

/// The file of a run that is there.
fn path_of(dir: &StateDir, id: &str) -> Result<PathBuf, HistoryError> {
    let path = folder(dir, RUNS)?.join(format!("{}{ENDING}", file_name(id)));
    if path.exists() { Ok(path) } else { Err(HistoryError::file(&path)(std::io::ErrorKind::NotFound.into())) }
}

fn cancel_of(path: &Path) -> PathBuf {
    path.with_extension("cancel")
}

/// A name that is one part of a path, whatever it was before.
fn file_name(text: &str) -> String {
    let plain =
        |character: char| if character.is_ascii_alphanumeric() || "-_".contains(character) { character } else { '.' };
    let name: String = text.chars().take(200).map(plain).collect();
    // A lone dot, or two, would lead elsewhere.
    if name.trim_matches('.').is_empty() { "unnamed".to_owned() } else { name }
}

/// Ids of the newest runs, oldest first: they begin with the time.
fn ids(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(ENDING).map(str::to_owned))
        .filter(|id| foreign::name(id) == *id)
        .collect();
    ids.sort_unstable();
    ids.split_off(ids.len().saturating_sub(LISTED))
}

/// Whether a worker holds the file.
fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    matches!(flock(&file, FlockOperation::NonBlockingLockShared), Err(Errno::WOULDBLOCK))
}

/// What a run's file says; lines that cannot be understood are passed over.
fn read(path: &Path) -> Option<Run> {
    let (_, bytes) = files::read_from(path, 0).ok()??;
    let mut records = bytes.split(|byte| *byte == b'\n').filter_map(record);
    let mut run = Run::begin(&records.next()?)?;
    records.for_each(|record| run.take(&record));
    Some(run)
}

fn record(line: &[u8]) -> Option<RunRecord> {
    let mut value = serde_json::from_slice(line).ok()?;
    files::strip(&mut value, TEXT_BYTES);
    serde_json::from_value(value).ok()
}

/// A new run's id: the time, so that ids sort by it, and what tells two of one second apart.
pub fn new_run_id(at: Timestamp) -> String {
    let time = at.strftime("%Y%m%d-%H%M%S");
    format!("{time}-{:04x}", (at.subsec_nanosecond() as u32 >> 8) as u16 ^ std::process::id() as u16)
}

/// Follows the newest runs, whoever began them.
#[derive(Debug)]
pub struct RunsReader {
    dir: StateDir,
    readers: BTreeMap<String, RunReader>,
}

impl RunsReader {
    /// Runs that are followed: the newest ones.
    pub const FOLLOWED: usize = 50;

    /// A reader that has seen nothing yet.
    pub fn new(dir: &StateDir) -> Self {
        Self { dir: dir.clone(), readers: BTreeMap::new() }
    }

    /// The runs, oldest first, if anything about them has changed since the last call.
    pub fn read(&mut self) -> Option<Vec<Run>> {
        let folder = folder(&self.dir, RUNS).ok()?;
        let ids = ids(&folder);
        let ids = &ids[ids.len().saturating_sub(Self::FOLLOWED)..];
        let mut changed = self.readers.len() != ids.len();
        self.readers.retain(|id, _| ids.contains(id));
        for id in ids {
            if !self.readers.contains_key(id) {
                let Ok(reader) = RunReader::new(&self.dir, id) else { continue };
                self.readers.insert(id.clone(), reader);
                changed = true;
            }
        }
        for reader in self.readers.values_mut() {
            let before = reader.run().is_some_and(|run| run.alive);
            let news = reader.read().is_ok_and(|records| !records.is_empty());
            changed |= news || before != reader.run().is_some_and(|run| run.alive);
        }
        changed.then(|| self.readers.values().filter_map(RunReader::run).cloned().collect())
    }
}
