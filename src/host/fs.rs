//! The machine's files, below a root that can be moved.
//!
//! `--rootfs DIR` makes `/proc/1/cgroup` mean `DIR/proc/1/cgroup`: for hostler in a container and for tests on a made-up
//! tree. Reads are bounded, because some of these files are written by others.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that reads the machine's files"
)]

mod facts;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use facts::{FileFacts, FileKind};

/// Reads files below one root.
#[derive(Debug, Clone)]
pub struct RootedFs {
    root: Arc<Path>,
}

impl RootedFs {
    /// The most that is read of one file, bytes.
    pub const MAX_BYTES: u64 = 4 << 20;

    /// Files below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into().into() }
    }

    /// Whether this is the live machine rather than a moved root.
    pub fn is_live(&self) -> bool {
        &*self.root == Path::new("/")
    }

    /// Where `path` (absolute, as on the machine) really lies.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A text file, at most [`Self::MAX_BYTES`] of it; invalid UTF-8 is replaced.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.open(path)?.take(Self::MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// An open file, to be read again and again with `pread`.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        File::open(self.path(path))
    }

    /// The names in a folder, sorted; names that are no UTF-8 are left out.
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(path))?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        Ok(names)
    }

    /// Where a symbolic link points.
    pub fn read_link(&self, path: impl AsRef<Path>) -> io::Result<PathBuf> {
        std::fs::read_link(self.path(path))
    }

    /// Size and kind of a file.
    pub fn metadata(&self, path: impl AsRef<Path>) -> io::Result<std::fs::Metadata> {
        std::fs::metadata(self.path(path))
    }

    /// Whether there is something at `path`.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }
}
