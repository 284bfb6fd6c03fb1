//! What the file system knows of a file without opening it, links not followed; and how files of others are opened.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that looks at the machine's files"
)]

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Access, OFlags};

use super::RootedFs;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A pipe, a socket, a device.
    Other,
}

impl From<std::fs::FileType> for FileKind {
    fn from(kind: std::fs::FileType) -> Self {
        match kind {
            _ if kind.is_file() => Self::File,
            _ if kind.is_dir() => Self::Folder,
            _ if kind.is_symlink() => Self::Link,
            _ => Self::Other,
        }
    }
}

/// What `lstat(2)` says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// What it is.
    pub kind: FileKind,
    /// The device and the inode: the same for every hard link.
    pub id: (u64, u64),
    /// Hard links.
    pub links: u64,
    /// Bytes in it.
    pub size_bytes: u64,
    /// Bytes of it that take room on disk: fewer where it has holes.
    pub disk_bytes: u64,
    /// Permission bits, such as `0o644`.
    pub mode: u32,
    /// When its content was written last.
    pub modified: Option<Timestamp>,
    /// When its content was read last, as far as the file system keeps it.
    pub accessed: Option<Timestamp>,
}

impl FileFacts {
    /// The device as the mount table writes it: `259:4`.
    pub fn device(&self) -> String {
        format!("{}:{}", rustix::fs::major(self.id.0), rustix::fs::minor(self.id.0))
    }
}

impl From<&Metadata> for FileFacts {
    fn from(known: &Metadata) -> Self {
        let time = |seconds: i64, nanos: i64| Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok();
        Self {
            kind: known.file_type().into(),
            id: (known.dev(), known.ino()),
            links: known.nlink(),
            size_bytes: known.size(),
            disk_bytes: known.blocks().saturating_mul(512).min(known.size()),
            mode: known.mode() & 0o7777,
            modified: time(known.mtime(), known.mtime_nsec()),
            accessed: time(known.atime(), known.atime_nsec()),
        }
    }
}

impl RootedFs {
    /// What is known of the file itself: a link is not followed.
    ///
    /// # Errors
    /// When it is not there, or a folder before it may not be entered.
    pub fn facts(&self, path: impl AsRef<Path>) -> io::Result<FileFacts> {
        std::fs::symlink_metadata(self.path(path)).map(|known| FileFacts::from(&known))
    }

    /// What is known of the file that a path leads to: links are followed.
    ///
    /// # Errors
    /// When it is not there, or a folder before it may not be entered.
    pub fn facts_behind(&self, path: impl AsRef<Path>) -> io::Result<FileFacts> {
        std::fs::metadata(self.path(path)).map(|known| FileFacts::from(&known))
    }

    /// The names in a folder with what they are, sorted, at most so many; names that are no UTF-8 are left out.
    ///
    /// # Errors
    /// When the folder may not be read.
    pub fn entries(&self, path: impl AsRef<Path>, most: usize) -> io::Result<Vec<(String, FileKind)>> {
        let known = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, entry.file_type().ok()?.into()))
        };
        let mut entries: Vec<_> = std::fs::read_dir(self.path(path))?.filter_map(known).take(most).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }

    /// Whether this user may make and remove files in a folder.
    pub fn may_change(&self, folder: impl AsRef<Path>) -> bool {
        rustix::fs::access(self.path(folder), Access::WRITE_OK | Access::EXEC_OK).is_ok()
    }

    /// Opens a file that others keep: no link and no pipe, and without counting as a reader of it where that is allowed
    /// (`O_NOATIME` wants its owner, or root). The second value is whether it was.
    ///
    /// # Errors
    /// When it is not there, is a link, or may not be read.
    pub fn open_unnoticed(&self, path: impl AsRef<Path>) -> io::Result<(File, bool)> {
        let path = self.path(path);
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let open = |flags: OFlags| OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&path);
        match open(flags | OFlags::NOATIME) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()) => {
                Ok((open(flags)?, false))
            }
            opened => Ok((opened?, true)),
        }
    }
}
