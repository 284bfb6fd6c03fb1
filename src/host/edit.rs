//! Files of the machine that are written anew: whole or not at all, with the rights and the owner that they had.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the one place that writes the machine's files"
)]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

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
    let beside = beside(&place);
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

/// Where what takes the place of a file is written first.
fn beside(place: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(format!(".{}.hostler", std::process::id()));
    place.with_file_name(name)
}

/// Writes a file that is not there yet, at once, readable by all; its folders too.
///
/// # Errors
/// When there is such a file, or its folder cannot be made or written; then there is none.
pub fn create(fs: &RootedFs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let place = fs.path(path);
    let folder = place.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder)?;
    let beside = beside(&place);
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        // Unlike a renaming, a link takes nobody's place.
        std::fs::hard_link(&beside, &place)?;
        File::open(folder)?.sync_all()
    };
    let result = written();
    drop(std::fs::remove_file(&beside));
    result
}

/// Makes a folder that a group shares: what is made in it belongs to the group (`2770`). One that is there gets these rights.
///
/// # Errors
/// When there is no such group, or the folder cannot be made or given away.
pub fn share(fs: &RootedFs, path: &Path, group: &str) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let groups = fs.read("/etc/group")?;
    let line = groups.lines().find_map(|line| line.strip_prefix(group)?.strip_prefix(':'));
    let id = line.and_then(|line| line.split(':').nth(1)?.parse().ok());
    let id: u32 = id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("there is no group `{group}`")))?;
    let place = fs.path(path);
    std::fs::create_dir_all(&place)?;
    std::os::unix::fs::chown(&place, None, Some(id))?;
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o2770))
}

/// Removes a file, or a symbolic link.
///
/// # Errors
/// When it is not there, is a folder, or its folder cannot be written.
pub fn remove(fs: &RootedFs, path: &Path) -> io::Result<()> {
    std::fs::remove_file(fs.path(path))
}

/// Where a symbolic link points after it was to be switched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointed {
    /// Where it shall, and did before.
    Already,
    /// Where it shall, since now.
    Now,
    /// Neither there nor where it was to point before, so that it was left alone.
    Elsewhere(String),
}

/// Lets the symbolic link at `path` point to `target`, at once: a reader sees the old or the new; for `None` it goes. Before,
/// it must point to `over`, or not be there; what is no symbolic link is never replaced.
///
/// # Errors
/// When `target` is not there, `path` is something else than a link, or its folder cannot be written; then nothing has
/// changed.
pub fn point(fs: &RootedFs, path: &Path, target: Option<&str>, over: Option<&str>) -> io::Result<Pointed> {
    let place = fs.path(path);
    let folder = place.parent().unwrap_or(Path::new("/"));
    let now = match place.read_link() {
        Ok(now) => Some(now.to_string_lossy().into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(io::Error::new(error.kind(), "it is no symbolic link"));
        }
        Err(error) => return Err(error),
    };
    match now {
        now if now.as_deref() == target => return Ok(Pointed::Already),
        Some(now) if over != Some(&*now) => return Ok(Pointed::Elsewhere(now)),
        _ => {}
    }
    let settled = || File::open(folder)?.sync_all();
    let Some(target) = target else {
        std::fs::remove_file(&place)?;
        return settled().map(|()| Pointed::Now);
    };
    // What an absolute target means depends on the root.
    let aim = if target.starts_with('/') { fs.path(target) } else { folder.join(target) };
    aim.metadata().map_err(|error| io::Error::new(error.kind(), format!("{target}: {error}")))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(".hostler");
    let beside = folder.join(name);
    // A worker that died may have left it.
    drop(std::fs::remove_file(&beside));
    let switched = || {
        std::os::unix::fs::symlink(target, &beside)?;
        std::fs::rename(&beside, &place)?;
        settled()
    };
    switched().inspect_err(|_| drop(std::fs::remove_file(&beside)))?;
    Ok(Pointed::Now)
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

    #[test]
    fn a_link_is_switched_only_from_where_it_was() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let (fs, link) = (RootedFs::new(folder.path()), Path::new("/chat"));
        let read = || std::fs::read_to_string(folder.path().join("chat")).unwrap();
        assert_eq!(point(&fs, link, Some("one"), None).unwrap(), Pointed::Now);
        assert_eq!(point(&fs, link, Some("/two"), Some("one")).unwrap(), Pointed::Now);
        assert_eq!(point(&fs, link, Some("/two"), Some("one")).unwrap(), Pointed::Already);
        assert_eq!(point(&fs, link, Some("one"), Some("three")).unwrap(), Pointed::Elsewhere("/two".to_owned()));
        assert_eq!(point(&fs, link, Some("one"), Some("/two")).unwrap(), Pointed::Now);
        assert_eq!(read(), "one");
        assert!(point(&fs, link, Some("gone"), Some("one")).unwrap_err().to_string().contains("gone"));
        assert!(point(&fs, Path::new("/two"), Some("one"), None).unwrap_err().to_string().contains("no symbolic link"));
        assert_eq!(read(), "one");
        assert_eq!(point(&fs, link, None, Some("one")).unwrap(), Pointed::Now);
        assert_eq!(point(&fs, link, None, Some("one")).unwrap(), Pointed::Already);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
