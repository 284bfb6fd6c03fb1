//! Who keeps the history.

use serde::Serialize;

/// Who writes what is measured to disk, as it was a minute ago.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Keeping {
    /// Not known yet.
    #[default]
    Waiting,
    /// A recorder, which runs whether or not somebody looks.
    ByRecorder,
    /// Another screen, as long as it is open.
    ByOther,
    /// This process.
    Here {
        /// Bytes on disk.
        bytes: u64,
        /// Series that are not kept because there are too many.
        refused: usize,
    },
    /// This process would, and cannot.
    Failed {
        /// Why.
        why: String,
        /// Minutes that wait in memory.
        waiting: usize,
        /// Minutes that waited for too long and are lost.
        lost: u64,
    },
}
