//! What is left in a store of models and belongs to none of them.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// Files that are listed one by one at most; the others are counted.
const MOST_LISTED: usize = 4_096;

/// How long nobody must have written to a file before it is taken for left behind: what is being fetched now has no model yet
/// either.
const SETTLED: SignedDuration = SignedDuration::from_hours(24);

/// Files that nothing needs, or that are not whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Leftovers {
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// How many there are.
    pub count: usize,
    /// The first of them, 4096 at most.
    #[serde(skip)]
    pub files: Vec<Leftover>,
}

impl Leftovers {
    /// One more.
    pub fn add(&mut self, file: Leftover) {
        self.bytes += file.bytes;
        self.count += 1;
        if self.files.len() < MOST_LISTED {
            self.files.push(file);
        }
    }
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it lies.
    pub path: String,
    /// Its device and inode.
    pub id: (u64, u64),
    /// Bytes that it takes on disk.
    pub bytes: u64,
    /// When it was written last, if the file system keeps that.
    pub modified: Option<Timestamp>,
}

impl Leftover {
    /// Whether nobody has written to it for a day.
    pub fn is_settled(&self, now: Timestamp) -> bool {
        self.modified.is_some_and(|at| now.duration_since(at) > SETTLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_first_are_listed() {
        let mut leftovers = Leftovers::default();
        for number in 0..5_000 {
            leftovers.add(Leftover { path: number.to_string(), id: (0, number), bytes: 2, modified: None });
        }
        assert_eq!((leftovers.bytes, leftovers.count, leftovers.files.len()), (10_000, 5_000, 4_096));
    }

    #[test]
    fn what_was_written_today_may_belong_to_a_download() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let written = |at: Option<&str>| {
            let modified = at.map(|at| at.parse().unwrap());
            Leftover { path: String::new(), id: (0, 0), bytes: 0, modified }.is_settled(now)
        };
        assert!(written(Some("2026-11-23T11:59:59Z")));
        assert!(!written(Some("2026-11-23T12:00:00Z")));
        assert!(!written(Some("2026-11-25T12:00:00Z")), "a clock that was set back");
        assert!(!written(None));
    }
}
