//! Files of the machine that are written anew: whole or not at all, with the rights and the owner that they had.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that writes the machine's files"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{Gid, Uid, fchown};

use super::RootedFs;

/// The largest file that is edited, bytes.
const MOST_BYTES: u64 = 4 << 20;

/// All bytes of a file that is to be edited.
///
/// # Errors
/// When it cannot be read, or is larger than 4 MiB.
pub fn whole(fs: &RootedFs, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs.open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 4 MiB"));
    }
    Ok(bytes)
}

/// Puts `bytes` in the place of a file that is there, at once: a reader sees the old or the new. A symbolic link stays one.
///
/// # Errors
/// When the file is gone, its folder cannot be written, or its owner cannot be kept; then nothing has changed.
pub fn replace(fs: &RootedFs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = fs.path(path).canonicalize()?;
    let folder = place.parent().unwrap_or(Path::new("/"));
    let mut name = std::ffi::OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".{}.hostler", std::process::id()));
    let beside = folder.join(name);
    let written = || {
        let old = place.metadata()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let new = file.metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            fchown(&file, Some(Uid::from_raw(old.uid())), Some(Gid::from_raw(old.gid())))?;
        }
        // After the owner: a change of owner may take rights away.
        file.set_permissions(old.permissions())?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &place)?;
        File::open(folder)?.sync_all()
    };
    written().inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_keeps_its_rights_its_owner_and_its_link() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("compose.yaml"), folder.path().join("link.yaml"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        symlink("compose.yaml", &link).unwrap();
        // Only root may give files away.
        let given = std::os::unix::fs::chown(&file, Some(1234), Some(4321)).is_ok();
        let fs = RootedFs::new("/");
        replace(&fs, &link, b"new").unwrap();
        assert_eq!(whole(&fs, &file).unwrap(), b"new");
        assert!(link.is_symlink());
        let kept = file.metadata().unwrap();
        assert_eq!(kept.mode() & 0o7777, 0o640);
        assert!(!given || (kept.uid(), kept.gid()) == (1234, 4321));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(replace(&fs, &folder.path().join("gone"), b"").is_err());
    }
}
