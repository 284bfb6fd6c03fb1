//! How full a file system is.

use std::io;
use std::path::Path;

use super::RootedFs;

/// What `statvfs(3)` says of one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub size_bytes: u64,
    /// Bytes that an unprivileged program can still write.
    pub free_bytes: u64,
    /// Inodes in all; 0 where there is no fixed number.
    pub inodes: u64,
    /// Inodes left.
    pub inodes_free: u64,
}

/// Asks the file system mounted at `point` (as on the machine). Blocks for as long as a network mount does.
pub fn statvfs(fs: &RootedFs, point: &Path) -> io::Result<Space> {
    let stat = rustix::fs::statvfs(fs.path(point))?;
    Ok(Space {
        size_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes: stat.f_files,
        inodes_free: stat.f_favail,
    })
}
