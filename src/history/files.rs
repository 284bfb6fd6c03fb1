//! How files of the store are made, replaced and appended to: only for those who may, whole or not at all.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "history is where hostler's own store is opened; waiting for a lock needs the time"
)]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::HistoryError;
use crate::host::foreign;

/// The most that is read of a file at once, bytes: years of a journal, and far more than the other files hold.
pub(super) const MAX_BYTES: u64 = 4 << 20;

/// How long to wait for somebody else's lock. Whoever holds it writes one line.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(10);

/// The most that is kept of one text, bytes.
pub(super) const TEXT_BYTES: usize = 4096;

/// The rights of a file in `folder`: the group's too where the folder is the group's.
pub(super) fn mode_in(folder: &Path) -> io::Result<u32> {
    let shared = folder.metadata()?.mode() & 0o020 != 0;
    Ok(if shared { 0o660 } else { 0o600 })
}

/// Whether files can be made in this folder.
pub(super) fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Whether files can be made in this folder, which is made itself in the nearest one that is there.
pub(super) fn can_be_made(folder: &Path) -> Result<(), HistoryError> {
    let nearest = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
    if is_writable(nearest) {
        return Ok(());
    }
    let kind = if nearest.is_dir() { io::ErrorKind::PermissionDenied } else { io::ErrorKind::NotADirectory };
    Err(HistoryError::file(nearest)(kind.into()))
}

/// Makes the folder of `path`, for its owner alone; one that is there stays as it is.
fn make_folder(path: &Path) -> Result<&Path, HistoryError> {
    let folder = path.parent().ok_or(HistoryError::NoFolder)?;
    make(folder)?;
    Ok(folder)
}

/// Makes a folder of the store, for its owner alone; one that is there stays as it is.
pub(super) fn make(folder: &Path) -> Result<(), HistoryError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(HistoryError::file(folder))
}

/// Gives a file that was just made its rights, whatever the umask says.
pub(super) fn restrict(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(PermissionsExt::from_mode(mode))
}

/// Adds one line, ended by a newline, under a lock, and returns when it is on the disk.
pub(super) fn append(path: &Path, mut line: String) -> Result<(), HistoryError> {
    let folder = make_folder(path)?;
    let opened = || {
        let mode = mode_in(folder)?;
        let file = OpenOptions::new().read(true).append(true).create(true).mode(mode).open(path)?;
        Ok((file, mode))
    };
    let (mut file, mode) = opened().map_err(HistoryError::file(path))?;
    lock(&file, path)?;
    let mut written = || {
        let length = file.seek(SeekFrom::End(0))?;
        if length == 0 {
            // Somebody else's empty file keeps the rights that it has.
            drop(restrict(&file, mode));
        } else {
            // A line that was cut by a crash must not swallow this one.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()?;
        if length == 0 { File::open(folder)?.sync_all() } else { Ok(()) }
    };
    written().map_err(HistoryError::file(path))
}

/// Takes the lock of a file that is there for nothing else, and is made where it is not; closing it gives the lock back.
pub(super) fn hold(path: &Path) -> Result<Held, HistoryError> {
    let file = lock_file(path)?;
    lock(&file, path)?;
    Ok(Held(file))
}

/// A lock that is held; it is given back when this is dropped.
#[derive(Debug)]
#[must_use = "it is given back when it is dropped"]
pub struct Held(#[expect(dead_code, reason = "it is held, not looked at")] File);

fn lock_file(path: &Path) -> Result<File, HistoryError> {
    let folder = make_folder(path)?;
    let opened = || {
        let mode = mode_in(folder)?;
        OpenOptions::new().append(true).create(true).mode(mode).open(path)
    };
    opened().map_err(HistoryError::file(path))
}

/// The same without waiting; `None` while another process holds it.
pub(super) fn try_hold(path: &Path) -> Result<Option<Held>, HistoryError> {
    let file = lock_file(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Held(file))),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(HistoryError::file(path)(error.into())),
    }
}

/// Whether there is something at this path.
pub(super) fn is_there(path: &Path) -> bool {
    path.exists()
}

/// Bytes of a file; 0 where there is none.
pub(super) fn bytes(path: &Path) -> u64 {
    path.metadata().map_or(0, |file| file.len())
}

/// Makes an empty file with the rights of the folder's files where there is none.
pub(super) fn touch(path: &Path) -> Result<(), HistoryError> {
    let folder = make_folder(path)?;
    let made = || {
        let mode = mode_in(folder)?;
        match OpenOptions::new().write(true).create_new(true).mode(mode).open(path) {
            Ok(file) => restrict(&file, mode),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    };
    made().map_err(HistoryError::file(path))
}

/// Gives a file another name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), HistoryError> {
    std::fs::rename(from, to).map_err(HistoryError::file(from))
}

/// Takes the file's lock; closing the file gives it back.
fn lock(file: &File, path: &Path) -> Result<(), HistoryError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < end => std::thread::sleep(RETRY),
            Err(Errno::WOULDBLOCK) => {
                return Err(HistoryError::Locked { path: path.to_owned(), seconds: PATIENCE.as_secs() });
            }
            Err(error) => return Err(HistoryError::file(path)(error.into())),
        }
    }
}

/// Puts `bytes` in the place of the file at once: a reader sees the old or the new.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    let folder = make_folder(path)?;
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = folder.join(name);
    let written = || {
        let mode = mode_in(folder)?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
        restrict(&file, mode)?;
        file.write_all(bytes)?;
        drop(file);
        std::fs::rename(&beside, path)
    };
    written().map_err(|error| {
        drop(std::fs::remove_file(&beside));
        HistoryError::file(path)(error)
    })
}

/// At most [`MAX_BYTES`] of a file from `from` on, and the place where they begin: later than `from` where more than that
/// follows it, and zero where the file became shorter than `from`. `None` where there is no file.
pub(super) fn read_from(path: &Path, from: u64) -> Result<Option<(u64, Vec<u8>)>, HistoryError> {
    let opened = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened,
    };
    let read = |mut file: File| {
        let length = file.metadata()?.len();
        let from = if from > length { 0 } else { from };
        let start = file.seek(SeekFrom::Start(from.max(length.saturating_sub(MAX_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(Some((start, bytes)))
    };
    opened.and_then(read).map_err(HistoryError::file(path))
}

/// What a JSON file holds, its texts stripped; `None` where it cannot be read or understood.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let (_, bytes) = read_from(path, 0).ok()??;
    let mut value = serde_json::from_slice(&bytes).ok()?;
    strip(&mut value, TEXT_BYTES);
    serde_json::from_value(value).ok()
}

/// Strips every text in a JSON value, and bounds it to so many bytes.
pub(super) fn strip(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => *text = foreign::clean(text, most).into_owned(),
        Value::Array(values) => values.iter_mut().for_each(|value| strip(value, most)),
        Value::Object(fields) => fields.values_mut().for_each(|value| strip(value, most)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o7777
    }

    #[test]
    fn the_store_is_for_its_owner_alone_unless_the_folder_is_shared() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("own");
        append(&own.join("j"), "1\n".to_owned()).unwrap();
        replace(&own.join("l"), b"2").unwrap();
        assert_eq!((mode(&own), mode(&own.join("j")), mode(&own.join("l"))), (0o700, 0o600, 0o600));

        let shared = root.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o2770)).unwrap();
        append(&shared.join("j"), "1\n".to_owned()).unwrap();
        replace(&shared.join("l"), b"2").unwrap();
        assert_eq!((mode(&shared), mode(&shared.join("j")), mode(&shared.join("l"))), (0o2770, 0o660, 0o660));
    }

    #[test]
    fn a_cut_line_swallows_nothing() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("j");
        append(&path, "one\n".to_owned()).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"cu").unwrap();
        append(&path, "two\n".to_owned()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ncu\ntwo\n");
    }

    #[test]
    fn lines_of_many_writers_never_mix() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("j");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for number in 0..10 {
                        append(path, format!("{writer} {number} {}\n", "x".repeat(5000))).unwrap();
                    }
                });
            }
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 40);
        assert!(text.lines().all(|line| line.ends_with(&"x".repeat(5000))));
    }

    #[test]
    fn a_lock_that_is_never_given_back_is_told() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("j");
        let file = File::create(&path).unwrap();
        flock(&file, FlockOperation::LockExclusive).unwrap();
        assert!(matches!(append(&path, "x\n".to_owned()), Err(HistoryError::Locked { .. })));
    }

    #[test]
    fn replacing_leaves_nothing_beside() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("l");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
