//! What is remembered of images: when each was first seen, and last in use.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{HistoryError, files};
use crate::domain::{ImageSeen, ImagesSeen};

const FILE: &str = "images-seen.json";

/// `images-seen.json`.
#[derive(Serialize, Deserialize)]
struct Written {
    schema: u32,
    images: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    id: String,
    #[serde(flatten)]
    seen: ImageSeen,
}

/// What is remembered, as far as it can be understood.
pub(super) fn read(folder: &Path) -> ImagesSeen {
    let written: Option<Written> = files::read_json(&folder.join(FILE));
    let written = written.filter(|written| written.schema == 1);
    ImagesSeen::new(written.into_iter().flat_map(|written| written.images).map(|entry| (entry.id, entry.seen)))
}

/// Adds `seen` to what is remembered, and forgets what has been gone for too long at `at`. What others wrote meanwhile
/// stays; of two that write at the same moment, one comes back with its next writing.
pub(super) fn remember(folder: &Path, seen: &ImagesSeen, at: Timestamp) -> Result<(), HistoryError> {
    let before = read(folder);
    let mut now = before.clone();
    now.merge(seen);
    now.forget(at);
    if now.iter().eq(before.iter()) {
        return Ok(());
    }
    let images = now.iter().map(|(id, seen)| Entry { id: id.to_owned(), seen: *seen }).collect();
    files::replace(&folder.join(FILE), &serde_json::to_vec(&Written { schema: 1, images })?)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at and spoil a store of their own")]
mod tests {
    use super::*;

    fn day(days: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_531 + days * 86_400).unwrap()
    }

    fn seen(id: &str, used: bool, at: Timestamp) -> ImagesSeen {
        let mut seen = ImagesSeen::default();
        seen.saw(id, used, at);
        seen
    }

    #[test]
    fn what_several_saw_is_one_memory() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()), ImagesSeen::default());
        remember(root.path(), &seen("sha256:a", true, day(0)), day(0)).unwrap();
        remember(root.path(), &seen("sha256:b", false, day(3)), day(3)).unwrap();
        remember(root.path(), &seen("sha256:a", false, day(9)), day(9)).unwrap();
        let memory = read(root.path());
        assert_eq!(memory.get("sha256:a"), Some(ImageSeen { first: day(0), used: Some(day(0)), last: day(9) }));
        assert_eq!(memory.get("sha256:b"), Some(ImageSeen { first: day(3), used: None, last: day(3) }));
        remember(root.path(), &ImagesSeen::default(), day(404)).unwrap();
        assert_eq!(read(root.path()).iter().map(|(id, _)| id).collect::<Vec<_>>(), ["sha256:a"]);
    }

    #[test]
    fn a_file_that_says_nothing_new_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        remember(root.path(), &seen("sha256:a", true, day(0)), day(0)).unwrap();
        let inode = || std::os::unix::fs::MetadataExt::ino(&root.path().join(FILE).metadata().unwrap());
        let before = inode();
        remember(root.path(), &seen("sha256:a", true, day(0)), day(1)).unwrap();
        assert_eq!(inode(), before);
    }

    #[test]
    fn no_file_is_fatal() {
        let root = tempfile::tempdir().unwrap();
        for broken in
            ["", "[]", "{\"schema\":9,\"images\":[]}", "{\"schema\":1,\"images\":[{\"id\":\"a\"}]}", "\u{fffd}"]
        {
            std::fs::write(root.path().join(FILE), broken).unwrap();
            assert_eq!(read(root.path()).iter().count(), 0, "{broken}");
        }
    }
}
