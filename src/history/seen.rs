//! Which sources were once read on this box: what was there and is missing has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{HistoryError, files};
use crate::domain::SourceId;

const FILE: &str = "sources.json";

/// What has not been read for so long is no longer missed: it was taken out on purpose.
const MISSED_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A time that is younger than this need not be written anew.
const WORTH_WRITING: SignedDuration = SignedDuration::from_hours(24);

/// `sources.json`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    schema: u32,
    /// By source: when it was read last, to a day.
    read: BTreeMap<String, Timestamp>,
}

fn load(folder: &Path) -> Seen {
    files::read_json(&folder.join(FILE)).unwrap_or_default()
}

/// The sources that were once read.
pub(super) fn read(folder: &Path) -> BTreeSet<SourceId> {
    load(folder).read.keys().filter_map(|id| SourceId::from_str(id).ok()).collect()
}

/// Notes that `sources` were read at `at`, and forgets what has not been read for too long.
pub(super) fn remember(
    folder: &Path,
    sources: impl IntoIterator<Item = SourceId>,
    at: Timestamp,
) -> Result<(), HistoryError> {
    let mut seen = load(folder);
    let before = seen.read.len();
    seen.read.retain(|_, last| at.duration_since(*last) < MISSED_FOR);
    let mut changed = seen.read.len() != before;
    for source in sources {
        let is_recent =
            seen.read.get(source.as_str()).is_some_and(|last| at.duration_since(*last).abs() < WORTH_WRITING);
        if !is_recent {
            seen.read.insert(source.as_str().to_owned(), at);
            changed = true;
        }
    }
    if !changed {
        return Ok(());
    }
    seen.schema = 1;
    files::replace(&folder.join(FILE), &serde_json::to_vec(&seen)?)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at a store of their own")]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_missed_for_thirty_days() {
        let root = tempfile::tempdir().unwrap();
        let day = |days: i64| Timestamp::from_second(1_795_424_531 + days * 86_400).unwrap();
        assert!(read(root.path()).is_empty());
        remember(root.path(), [SourceId::Docker, SourceId::Gpu], day(0)).unwrap();
        assert_eq!(read(root.path()), [SourceId::Docker, SourceId::Gpu].into());
        remember(root.path(), [SourceId::Docker], day(29)).unwrap();
        assert_eq!(read(root.path()), [SourceId::Docker, SourceId::Gpu].into());
        remember(root.path(), [SourceId::Docker], day(31)).unwrap();
        assert_eq!(read(root.path()), [SourceId::Docker].into());
    }

    #[test]
    fn a_file_that_says_nothing_new_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let at = Timestamp::from_second(1_795_424_531).unwrap();
        remember(root.path(), [SourceId::Docker], at).unwrap();
        let inode = || std::os::unix::fs::MetadataExt::ino(&root.path().join(FILE).metadata().unwrap());
        let before = inode();
        remember(root.path(), [SourceId::Docker], at + SignedDuration::from_hours(1)).unwrap();
        assert_eq!(inode(), before);
        remember(root.path(), [SourceId::Docker], at + SignedDuration::from_hours(30)).unwrap();
        assert_ne!(inode(), before);
    }
}
