//! Log lines, as they are shown: already stripped and bounded.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::ContainerId;

/// How grave a line is, by its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Below interest, or not said.
    Info,
    /// A warning.
    Warning,
    /// An error.
    Error,
}

/// Who wrote a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct LogOrigin {
    /// The container.
    pub container: ContainerId,
    /// The name shown.
    pub name: Arc<str>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Who wrote it.
    pub origin: Arc<LogOrigin>,
    /// When, as the engine recorded it.
    pub at: Timestamp,
    /// How grave it is.
    pub level: LogLevel,
    /// What it says; at most [`LogLine::MAX_BYTES`] bytes, one line, no control characters.
    pub text: Box<str>,
}

impl LogLine {
    /// The most of a line that is kept, bytes.
    pub const MAX_BYTES: usize = 4096;
}

/// Lines on their way to the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// In the order in which they were read.
    pub lines: Vec<LogLine>,
    /// They were there before their container was followed: their place is by their time alone, and they count for nothing.
    pub backlog: bool,
    /// Lines that had to be dropped before these, because they came faster than they could be kept.
    pub dropped: u64,
}
