//! Every file once, however many names, models and places it is in; and the way through folders.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{Leftover, LibraryPlace, LibraryProblem, LibraryProblemKind};
use crate::host::{FileFacts, FileKind, RootedFs, foreign};

/// A file: its device and inode.
pub(super) type FileId = (u64, u64);

/// The most files that are looked at in one look at everything.
const MOST_FILES: usize = 200_000;
/// The most folders within each other.
const MOST_DEPTH: usize = 16;

/// The files of all places.
#[derive(Default)]
pub(super) struct Files {
    seen: HashMap<FileId, Seen>,
    count: usize,
}

struct Seen {
    disk_bytes: u64,
    /// Hard links that the file has, and those that were met.
    links: u64,
    met: u64,
    users: u32,
}

impl Files {
    /// Meets a file; the bytes that it adds to what was met before.
    pub(super) fn meet(&mut self, facts: &FileFacts) -> u64 {
        self.count += 1;
        let mut added = 0;
        let seen = self.seen.entry(facts.id).or_insert_with(|| {
            added = facts.disk_bytes;
            Seen { disk_bytes: facts.disk_bytes, links: facts.links, met: 0, users: 0 }
        });
        seen.met += 1;
        added
    }

    /// A model is made of these.
    pub(super) fn used_by_one(&mut self, ids: &[FileId]) {
        for id in ids {
            if let Some(seen) = self.seen.get_mut(id) {
                seen.users += 1;
            }
        }
    }

    /// Bytes that would be free without the one model that is made of these: of files that no other model and no name
    /// elsewhere needs.
    pub(super) fn own_bytes(&self, ids: &[FileId]) -> u64 {
        let own =
            ids.iter().filter_map(|id| self.seen.get(id)).filter(|seen| seen.users == 1 && seen.met >= seen.links);
        own.map(|seen| seen.disk_bytes).sum()
    }

    fn is_full(&self) -> bool {
        self.count >= MOST_FILES
    }
}

/// What a walk through a folder meets.
pub(super) struct Met {
    /// The path below the folder, which can be shown.
    pub(super) name: String,
    /// The path, as on the machine.
    pub(super) path: PathBuf,
    /// What it is; never a folder.
    pub(super) facts: FileFacts,
}

impl Met {
    /// The same as what is left of it.
    pub(super) fn left(&self) -> Leftover {
        left(&self.path, &self.facts)
    }

    /// The last part of its name.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// The path of its folder below the place; empty for the place itself.
    pub(super) fn parent(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(parent, _)| parent)
    }
}

/// A file as what is left of something.
pub(super) fn left(path: &Path, facts: &FileFacts) -> Leftover {
    Leftover { path: shown(path), id: facts.id, bytes: facts.disk_bytes, modified: facts.modified }
}

/// Walks through a folder of a place and meets every file and link in it, counted once. `enter` tells whether a folder of
/// this path belongs to it. What cannot be read becomes a problem of the place.
pub(super) fn walk(
    fs: &RootedFs,
    files: &mut Files,
    place: &mut LibraryPlace,
    folder: &Path,
    enter: &dyn Fn(&Path) -> bool,
) -> Vec<Met> {
    let mut all = Vec::new();
    let mut waiting = vec![(folder.to_owned(), String::new(), 0)];
    while let Some((path, name, depth)) = waiting.pop() {
        let entries = match fs.entries(&path, MOST_FILES) {
            Ok(entries) => entries,
            Err(error) => {
                note(place, &path, &error);
                continue;
            }
        };
        for (entry, kind) in entries {
            if !is_plain(&entry) {
                skip(place, &path.join(foreign::name(&entry)), "its name has characters that a name should not have");
                continue;
            }
            let below = path.join(&entry);
            let name = if name.is_empty() { entry } else { format!("{name}/{entry}") };
            match kind {
                FileKind::Folder if !enter(&below) => {}
                FileKind::Folder if depth >= MOST_DEPTH => skip(place, &below, "it lies too deep"),
                FileKind::Folder => waiting.push((below, name, depth + 1)),
                FileKind::Other => skip(place, &below, "it is no file"),
                FileKind::File | FileKind::Link if files.is_full() => {
                    skip(place, &below, "there are more files than hostler looks at; the rest is left out");
                    return all;
                }
                FileKind::File | FileKind::Link => match fs.facts(&below) {
                    Ok(facts) => {
                        place.total_bytes += files.meet(&facts);
                        all.push(Met { name, path: below, facts });
                    }
                    Err(error) => note(place, &below, &error),
                },
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Whether a name can be shown, and used as a part of a path, as it stands.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/') && foreign::clean(name, 255) == name
}

/// Takes note of what the system said of a path; what went away meanwhile is no problem.
pub(super) fn note(place: &mut LibraryPlace, path: &Path, error: &io::Error) {
    let (kind, remedy) = match error.kind() {
        io::ErrorKind::NotFound => return,
        io::ErrorKind::PermissionDenied => {
            (LibraryProblemKind::Denied, Some("start hostler as root, or as a user who may read it"))
        }
        _ => (LibraryProblemKind::Broken, None),
    };
    let what = match kind {
        LibraryProblemKind::Denied => "this user may not read it".to_owned(),
        _ => format!("cannot be read: {error}"),
    };
    problem(place, kind, path, what, remedy);
}

/// Takes note that something is left out.
pub(super) fn skip(place: &mut LibraryPlace, path: &Path, why: &str) {
    problem(place, LibraryProblemKind::Skipped, path, why.to_owned(), None);
}

/// The most problems of one place that are told.
const MOST_PROBLEMS: usize = 100;

/// Takes note of a problem.
pub(super) fn problem(
    place: &mut LibraryPlace,
    kind: LibraryProblemKind,
    path: &Path,
    what: String,
    remedy: Option<&str>,
) {
    if place.problems.len() < MOST_PROBLEMS {
        let (path, remedy) = (shown(path), remedy.map(str::to_owned));
        place.problems.push(LibraryProblem { kind, path, what, remedy });
    }
}

/// A path as it can be shown.
pub(super) fn shown(path: &Path) -> String {
    foreign::clean(&path.to_string_lossy(), 1024).into_owned()
}

/// Where a link in `folder` leads, by its words alone, if that is still within `place`: no link on the way is followed.
pub(super) fn within(place: &Path, folder: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in folder.join(target).components() {
        match part {
            std::path::Component::ParentDir => drop(path.pop()),
            std::path::Component::CurDir => {}
            other => path.push(other),
        }
    }
    (path.starts_with(place) && path != place).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_by_its_words_within_its_place() {
        let of = |target: &str| within(Path::new("/m"), Path::new("/m/a/b"), Path::new(target));
        assert_eq!(of("../../blobs/x"), Some("/m/blobs/x".into()));
        assert_eq!(of("./x"), Some("/m/a/b/x".into()));
        assert_eq!(of("/m/x"), Some("/m/x".into()));
        for away in ["../../../etc/shadow", "/etc/shadow", "../..", "/mm/x", "../../../../../../m"] {
            assert_eq!(of(away), None, "{away}");
        }
    }

    #[test]
    fn names_that_cannot_be_shown_as_they_stand_are_none() {
        assert!(is_plain("qwen3-32b.gguf") && is_plain("größe"));
        for name in ["", ".", "..", "a/b", "a\u{1b}[31mb", "a\u{202e}b", "a\nb"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
