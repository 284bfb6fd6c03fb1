//! When a file was read last, as far as its file system keeps that.

use jiff::Timestamp;
use procfs_core::process::MountInfo;

use crate::domain::{Reading, Why};
use crate::host::FileFacts;

/// When the latest of `files` was read. Each comes with whether hostler's own look at it went unnoticed.
pub(super) fn last_use(mount: Option<&MountInfo>, files: &[(FileFacts, bool)]) -> Reading<Timestamp> {
    let why = |text: &'static str| Reading::Unavailable(Why::from(text));
    let Some(mount) = mount else {
        return why("the mount that it lies on is not known");
    };
    let is = |option: &str| mount.mount_options.contains_key(option) || mount.super_options.contains_key(option);
    if is("noatime") {
        return why("its file system keeps no time of reading (noatime)");
    }
    if is("ro") {
        return why("its file system is mounted read-only, and keeps no time of reading");
    }
    if files.iter().any(|(_, unnoticed)| !unnoticed) {
        return why("hostler's own look counts as a use, because the files belong to another user");
    }
    // A file is read by whoever writes it, to verify it, at most some moments later.
    let read = files.iter().filter(|(facts, _)| facts.accessed > facts.modified);
    read.filter_map(|(facts, _)| facts.accessed)
        .max()
        .map_or_else(|| why("it was not read since it was written"), Reading::Known)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use procfs_core::FromBufRead as _;
    use procfs_core::process::MountInfos;

    use super::*;
    use crate::host::FileKind;
    use crate::make::wall;

    fn mount(options: &str) -> MountInfo {
        let line = format!("22 1 254:1 / / {options} shared:1 - ext4 /dev/vda1 rw\n");
        MountInfos::from_buf_read(Cursor::new(line)).unwrap().0.remove(0)
    }

    fn file(modified: i64, accessed: i64) -> FileFacts {
        FileFacts {
            kind: FileKind::File,
            id: (1, 1),
            links: 1,
            size_bytes: 1,
            disk_bytes: 1,
            mode: 0o644,
            modified: Some(wall(modified)),
            accessed: Some(wall(accessed)),
        }
    }

    #[test]
    fn a_time_is_told_only_where_it_means_something() {
        let relatime = mount("rw,relatime");
        let files = [(file(0, 50), true), (file(0, 70), true)];
        assert_eq!(last_use(Some(&relatime), &files), Reading::Known(wall(70)));
        for (mount, files, part) in [
            (None, &files[..], "not known"),
            (Some(mount("rw,noatime")), &files, "noatime"),
            (Some(mount("ro,relatime")), &files, "read-only"),
            (Some(relatime.clone()), &[(file(0, 50), false)], "own look"),
            (Some(relatime), &[(file(50, 50), true)], "not read since"),
        ] {
            let told = last_use(mount.as_ref(), files);
            assert!(told.why().is_some_and(|why| why.to_string().contains(part)), "{told:?}");
        }
    }
}
