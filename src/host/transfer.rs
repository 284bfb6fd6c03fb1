//! Files and folders that move to another place: copied beside their new name, verified, and named only then. Whatever moment
//! a program dies in, all bytes are in one of both places, and what was begun can be begun again.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the machine's files are copied and removed here"
)]

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, Gid, RenameFlags, Uid, fadvise, fchown, renameat_with};
use sha2::{Digest as _, Sha256};

use super::{FileFacts, FileKind, RootedFs};

/// The most files and folders of one transfer.
const MOST_PIECES: usize = 100_000;

/// Bytes that are read at once, and those that one step works on.
const BUFFER: usize = 1 << 20;
const STRETCH: u64 = 64 << 20;

/// A file, a folder or a link, by its path below what it is a part of; empty for the whole.
pub struct Piece {
    /// That path.
    pub name: PathBuf,
    /// What is known of it.
    pub facts: FileFacts,
}

/// What a file or a folder is made of, folders before what is in them.
///
/// # Errors
/// When something cannot be read, is a pipe or the like, or there are more than 100 000 of them.
pub fn pieces(fs: &RootedFs, of: &Path) -> io::Result<Vec<Piece>> {
    let mut found = vec![Piece { name: PathBuf::new(), facts: fs.facts(of)? }];
    let mut next = 0;
    while let Some(piece) = found.get(next) {
        next += 1;
        let (name, kind) = (piece.name.clone(), piece.facts.kind);
        match kind {
            FileKind::Folder => {
                for entry in std::fs::read_dir(fs.path(of.join(&name)))? {
                    let name = name.join(entry?.file_name());
                    let facts = fs.facts(of.join(&name))?;
                    found.push(Piece { name, facts });
                }
            }
            FileKind::Other => return Err(io::Error::other(format!("{} is no file", of.join(name).display()))),
            FileKind::File | FileKind::Link => {}
        }
        if found.len() > MOST_PIECES {
            return Err(io::Error::other("it has more than 100000 files"));
        }
    }
    Ok(found)
}

/// Whether all that `one` is made of stands in `other`, too: by kind, size and time of every file.
///
/// # Errors
/// When `one` cannot be read.
pub fn is_held(fs: &RootedFs, one: &Path, other: &Path) -> io::Result<bool> {
    let same = |piece: &Piece| {
        let Ok(facts) = fs.facts(below(other, &piece.name)) else { return false };
        let (mine, its) = (&piece.facts, facts);
        mine.kind == its.kind
            && match mine.kind {
                FileKind::File => (mine.size_bytes, mine.modified) == (its.size_bytes, its.modified),
                _ => true,
            }
    };
    Ok(pieces(fs, one)?.iter().all(same))
}

/// A path below another one. Joining an empty path would add a slash, which follows links.
fn below(path: &Path, name: &Path) -> PathBuf {
    if name.as_os_str().is_empty() { path.to_owned() } else { path.join(name) }
}

/// The name beside a path that ends in this word.
fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".hostler-{word}"));
    path.with_file_name(name)
}

/// The name under which the bytes of a path wait until they are removed.
pub fn aside(path: &Path) -> PathBuf {
    beside(path, "moved")
}

fn settle(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// A copy that is being made.
pub struct Transfer {
    from: PathBuf,
    to: PathBuf,
    part: PathBuf,
    pieces: Vec<Piece>,
    next: usize,
    open: Option<Open>,
    /// Bytes that were copied, and that were verified, together.
    pub done: u64,
    /// What that becomes.
    pub total: u64,
}

enum Open {
    Copying { source: File, target: File, hash: Sha256 },
    Verifying { target: File, hash: Sha256, expected: Vec<u8> },
}

impl Transfer {
    /// Begins a copy; what an earlier one left half done is removed.
    ///
    /// # Errors
    /// When `from` cannot be read.
    pub fn begin(fs: &RootedFs, from: &Path, to: &Path) -> io::Result<Self> {
        let pieces = pieces(fs, from)?;
        let files = pieces.iter().filter(|piece| piece.facts.kind == FileKind::File);
        let total = 2 * files.map(|piece| piece.facts.size_bytes).sum::<u64>();
        let (from, to) = (fs.path(from), fs.path(to));
        let part = beside(&to, "part");
        discard(&part)?;
        Ok(Self { from, to, part, pieces, next: 0, open: None, done: 0, total })
    }

    /// Copies or verifies at most 64 MiB. Tells whether all of it is done, and the copy has its name.
    ///
    /// # Errors
    /// When something cannot be read or written, or the copy is another than what was read; then the copy is removed.
    pub fn advance(&mut self) -> io::Result<bool> {
        self.step().inspect_err(|_| drop(discard(&self.part)))
    }

    fn step(&mut self) -> io::Result<bool> {
        let Some(piece) = self.pieces.get(self.next) else { return self.named().map(|()| true) };
        let (from, to) = (below(&self.from, &piece.name), below(&self.part, &piece.name));
        match (self.open.take(), piece.facts.kind) {
            (Some(open), _) => self.stretch(open)?,
            (None, FileKind::Folder) => {
                std::fs::create_dir(&to)?;
                self.next += 1;
            }
            (None, FileKind::Link) => {
                std::os::unix::fs::symlink(from.read_link()?, &to)?;
                self.next += 1;
            }
            (None, _) => {
                let (source, _) = RootedFs::new("/").open_unnoticed(&from)?;
                let target = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&to)?;
                self.open = Some(Open::Copying { source, target, hash: Sha256::new() });
            }
        }
        Ok(false)
    }

    /// Works on the open file.
    fn stretch(&mut self, open: Open) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        let mut left = STRETCH;
        match open {
            Open::Copying { mut source, mut target, mut hash } => {
                while left > 0 {
                    let read = source.read(&mut buffer)?;
                    if read == 0 {
                        keep(&source, &target)?;
                        target.sync_all()?;
                        // What is read again shall come from the disk.
                        let _hint = fadvise(&target, 0, None, Advice::DontNeed);
                        io::Seek::rewind(&mut target)?;
                        let expected = hash.finalize().to_vec();
                        self.open = Some(Open::Verifying { target, hash: Sha256::new(), expected });
                        return Ok(());
                    }
                    target.write_all(&buffer[..read])?;
                    hash.update(&buffer[..read]);
                    (self.done, left) = (self.done + read as u64, left.saturating_sub(read as u64));
                }
                // What is told as done has reached the disk.
                target.sync_data()?;
                self.open = Some(Open::Copying { source, target, hash });
            }
            Open::Verifying { mut target, mut hash, expected } => {
                while left > 0 {
                    let read = target.read(&mut buffer)?;
                    if read == 0 {
                        if hash.finalize().as_slice() != expected {
                            return Err(io::Error::other("the copy is not what was read: its SHA-256 is another"));
                        }
                        self.next += 1;
                        return Ok(());
                    }
                    hash.update(&buffer[..read]);
                    (self.done, left) = (self.done + read as u64, left.saturating_sub(read as u64));
                }
                self.open = Some(Open::Verifying { target, hash, expected });
            }
        }
        Ok(())
    }

    /// Gives the copy its rights and its name.
    fn named(&self) -> io::Result<()> {
        for piece in self.pieces.iter().rev().filter(|piece| piece.facts.kind == FileKind::Folder) {
            let folder = File::open(below(&self.part, &piece.name))?;
            keep(&File::open(below(&self.from, &piece.name))?, &folder)?;
            folder.sync_all()?;
        }
        renameat_with(CWD, &self.part, CWD, &self.to, RenameFlags::NOREPLACE)?;
        settle(&self.to)
    }
}

/// Gives `new` the owner, the rights and the time of `old`.
fn keep(old: &File, new: &File) -> io::Result<()> {
    let (was, is) = (old.metadata()?, new.metadata()?);
    if (was.uid(), was.gid()) != (is.uid(), is.gid()) {
        fchown(new, Some(Uid::from_raw(was.uid())), Some(Gid::from_raw(was.gid())))?;
    }
    // After the owner: a change of owner may take rights away.
    new.set_permissions(Permissions::from_mode(was.mode() & 0o7777))?;
    new.set_modified(was.modified()?)
}

/// Removes what an unfinished copy left.
fn discard(path: &Path) -> io::Result<()> {
    let gone = match path.symlink_metadata() {
        Ok(known) if known.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match gone {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a copy, or what is left of it, where the same stands at `other`. Bytes that it had.
///
/// # Errors
/// When something of it does not stand there, or it cannot be removed.
pub fn remove(fs: &RootedFs, path: &Path, other: &Path) -> io::Result<u64> {
    discard(&beside(&fs.path(path), "part"))?;
    match fs.facts(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
        Ok(facts) if facts.kind == FileKind::Link => return Err(io::Error::other("it is a link now")),
        Ok(_) => {}
    }
    if !is_held(fs, path, other)? {
        return Err(io::Error::other(format!("{} is not the same any more", other.display())));
    }
    let bytes = pieces(fs, path)?.iter().map(|piece| piece.facts.disk_bytes).sum();
    let place = fs.path(path);
    discard(&place)?;
    settle(&place)?;
    Ok(bytes)
}

/// Puts a link to `to` into the place of `path` at once; the bytes wait [aside] until they are removed.
///
/// # Errors
/// When `to` does not hold the same, or the file system cannot exchange two names; then nothing has changed.
pub fn put_link(fs: &RootedFs, path: &Path, to: &Path) -> io::Result<()> {
    if fs.read_link(path).is_ok_and(|target| target == to) {
        return Ok(());
    }
    if !is_held(fs, path, to)? {
        return Err(io::Error::other("it was changed since it was copied"));
    }
    let (place, aside) = (fs.path(path), fs.path(aside(path)));
    if aside.is_symlink() {
        std::fs::remove_file(&aside)?;
    }
    std::os::unix::fs::symlink(to, &aside)?;
    renameat_with(CWD, &aside, CWD, &place, RenameFlags::EXCHANGE)
        .inspect_err(|_| drop(std::fs::remove_file(&aside)))?;
    settle(&place)
}

/// Puts the bytes that wait [aside] into the place of the link to `to` again.
///
/// # Errors
/// When they are not there, or something else took the place.
pub fn take_link(fs: &RootedFs, path: &Path, to: &Path) -> io::Result<()> {
    let (place, aside) = (fs.path(path), fs.path(aside(path)));
    match fs.read_link(path) {
        Ok(target) if target == to => {
            if aside.symlink_metadata()?.is_symlink() {
                return Err(io::Error::other("its bytes are not beside it"));
            }
            renameat_with(CWD, &aside, CWD, &place, RenameFlags::EXCHANGE)?;
        }
        Ok(target) => return Err(io::Error::other(format!("it leads to {} now", target.display()))),
        Err(_) => {}
    }
    if aside.is_symlink() {
        std::fs::remove_file(&aside)?;
    }
    settle(&place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(fs: &RootedFs, from: &Path, to: &Path) -> io::Result<()> {
        let mut transfer = Transfer::begin(fs, from, to)?;
        while !transfer.advance()? {}
        assert_eq!(transfer.done, transfer.total);
        Ok(())
    }

    #[test]
    fn a_folder_moves_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let fs = RootedFs::new(root.path());
        let (old, new) = (Path::new("/old/m"), Path::new("/new/m"));
        std::fs::create_dir_all(root.path().join("old/m/inner")).unwrap();
        std::fs::create_dir_all(root.path().join("new")).unwrap();
        std::fs::write(root.path().join("old/m/inner/w"), vec![7; 3 << 20]).unwrap();
        std::fs::set_permissions(root.path().join("old/m/inner/w"), Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("inner/w", root.path().join("old/m/l")).unwrap();
        copied(&fs, old, new).unwrap();
        assert!(is_held(&fs, old, new).unwrap() && is_held(&fs, new, old).unwrap());
        assert_eq!(fs.facts("/new/m/inner/w").unwrap().mode, 0o640);
        assert!(copied(&fs, old, new).is_err(), "what is there is not replaced");
        assert_eq!(std::fs::read_dir(root.path().join("new")).unwrap().count(), 1, "and nothing is left beside it");

        put_link(&fs, old, new).unwrap();
        assert_eq!(fs.read_link(old).unwrap(), new);
        assert!(remove(&fs, new, old).is_err(), "these are the only bytes that have a name");
        assert_eq!(remove(&fs, &aside(old), new).unwrap() >> 20, 3);
        copied(&fs, new, &aside(old)).unwrap();
        take_link(&fs, old, new).unwrap();
        remove(&fs, new, old).unwrap();
        assert!(!fs.exists(new) && fs.read_link(old).is_err());
        assert_eq!(std::fs::read_dir(root.path().join("old")).unwrap().count(), 1);
    }

    #[test]
    fn what_was_written_meanwhile_is_not_lost() {
        let root = tempfile::tempdir().unwrap();
        let fs = RootedFs::new(root.path());
        let (old, new) = (Path::new("/old"), Path::new("/new"));
        std::fs::write(root.path().join("old"), "one").unwrap();
        copied(&fs, old, new).unwrap();
        std::fs::write(root.path().join("old"), "another").unwrap();
        assert!(put_link(&fs, old, new).unwrap_err().to_string().contains("changed"));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
        assert!(remove(&fs, new, old).is_err());
        assert_eq!(fs.read(old).unwrap(), "another");
    }
}
