//! The journal: one record a line, appended by any hostler, read by all of them.

use std::path::PathBuf;

use super::{HistoryError, JOURNAL, StateDir, files};
use crate::domain::{JournalEntry, JournalRecord, Served};
use crate::host::foreign;

/// The most that is kept of a reason or a note, bytes.
const TEXT_BYTES: usize = 1000;

/// The format that is understood.
const SCHEMA: u32 = 1;

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalRead {
    /// The records, oldest first.
    pub records: Vec<JournalRecord>,
    /// Lines that could not be understood.
    pub skipped: usize,
}

/// Reads the journal, and later what was added since.
#[derive(Debug, Clone)]
pub struct JournalReader {
    path: Option<PathBuf>,
    /// Everything before this byte has been read.
    offset: u64,
}

impl JournalReader {
    /// A reader at the beginning of the journal.
    pub fn new(dir: &StateDir) -> Self {
        Self { path: dir.path().map(|path| path.join(JOURNAL)), offset: 0 }
    }

    /// The records that were added since the last call. Of a journal beyond 4 MiB the older part is left out.
    ///
    /// # Errors
    /// When there is a journal and it cannot be read.
    pub fn read(&mut self) -> Result<JournalRead, HistoryError> {
        let mut read = JournalRead::default();
        let Some(path) = &self.path else {
            return Ok(read);
        };
        let Some((start, bytes)) = files::read_from(path, self.offset)? else {
            return Ok(read);
        };
        // Where the beginning was left out, the first line may be the end of one.
        let skipped = if start > self.offset { line_end(&bytes).unwrap_or(bytes.len()) } else { 0 };
        // A line without its end is still being written, or was cut.
        let complete =
            bytes.iter().rposition(|byte| *byte == b'\n').map_or(skipped, |newline| newline + 1).max(skipped);
        self.offset = start + complete as u64;
        for line in bytes[skipped..complete].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<JournalRecord>(line) {
                Ok(record) if record.schema == SCHEMA => read.records.push(cleaned(record)),
                _ => read.skipped += 1,
            }
        }
        Ok(read)
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n').map(|newline| newline + 1)
}

/// The record with its texts stripped and bounded.
pub(super) fn cleaned(mut record: JournalRecord) -> JournalRecord {
    let name = |text: &mut String| *text = foreign::name(text);
    let words = |text: &mut String| *text = foreign::clean(text, TEXT_BYTES).trim().to_owned();
    name(&mut record.by);
    match &mut record.entry {
        JournalEntry::Accept { finding, subject, why, .. }
        | JournalEntry::Snooze { finding, subject, why, .. }
        | JournalEntry::Acknowledge { finding, subject, why } => {
            name(finding);
            name(subject);
            words(why);
        }
        JournalEntry::Cleared { finding, subject } => [finding, subject].into_iter().for_each(name),
        JournalEntry::Note { text } => words(text),
        // It is compared, and never shown.
        JournalEntry::ScheduleSigned { name: of, essence: _ } => name(of),
        JournalEntry::Served(served) => {
            let Served { engine, model, digest, engine_version, driver, only: _ } = served;
            [engine, model].into_iter().for_each(name);
            [digest, engine_version, driver].into_iter().flatten().for_each(name);
        }
        JournalEntry::Visit | JournalEntry::ModelsReviewed => {}
    }
    record
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests look at and spoil a store of their own")]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn note(text: &str) -> JournalEntry {
        JournalEntry::Note { text: text.to_owned() }
    }

    #[test]
    fn what_is_said_is_read_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(root.path()));
        assert_eq!(dir.read_journal().unwrap(), JournalRead::default());
        let at: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let accept = JournalEntry::Accept {
            finding: "disk.free".into(),
            subject: "/models".into(),
            until: "2026-12-01T00:00:00Z".parse().unwrap(),
            why: "the new disk\u{1b}[31m comes\n tomorrow ".into(),
        };
        let said = [dir.record(note("driver updated"), at).unwrap(), dir.record(accept, at).unwrap()];
        assert_eq!(dir.journal(), said);
        assert!(matches!(&said[1].entry, JournalEntry::Accept { why, .. } if why == "the new disk comes tomorrow"));
    }

    #[test]
    fn what_cannot_be_understood_is_counted() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(root.path()));
        dir.record(note("one"), Timestamp::UNIX_EPOCH).unwrap();
        let path = root.path().join(JOURNAL);
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"schema\":1}\n\xff\xfe\n\n{\"schema\":9,\"at\":\"2026-11-23T09:00:00Z\",\"by\":\"x\",\"kind\":\"visit\"}\n");
        std::fs::write(&path, text).unwrap();
        dir.record(note("two"), Timestamp::UNIX_EPOCH).unwrap();
        let read = dir.read_journal().unwrap();
        assert_eq!((read.records.len(), read.skipped), (2, 3));
    }

    #[test]
    fn a_reader_goes_on_where_it_was() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(root.path()));
        let mut reader = JournalReader::new(&dir);
        let mut texts =
            || -> Vec<JournalEntry> { reader.read().unwrap().records.into_iter().map(|record| record.entry).collect() };
        assert!(texts().is_empty());
        dir.record(note("one"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(texts(), [note("one")]);
        dir.record(note("two"), Timestamp::UNIX_EPOCH).unwrap();
        dir.record(note("three"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(texts(), [note("two"), note("three")]);
        assert!(texts().is_empty());
        // Somebody began a new one.
        std::fs::write(root.path().join(JOURNAL), "").unwrap();
        assert!(texts().is_empty());
        dir.record(note("four"), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(texts(), [note("four")]);
    }

    #[test]
    fn of_a_huge_journal_the_newest_part_is_read() {
        let root = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(root.path()));
        let line = |number: usize| {
            format!(
                "{{\"schema\":1,\"at\":\"2026-11-23T09:00:00Z\",\"by\":\"x\",\"kind\":\"note\",\"text\":\"{number}\"}}\n"
            )
        };
        let text: String = (0..100_000).map(line).collect();
        assert!(text.len() as u64 > files::MAX_BYTES);
        std::fs::write(root.path().join(JOURNAL), text).unwrap();
        let read = dir.read_journal().unwrap();
        assert_eq!(read.skipped, 0);
        assert_eq!(read.records.last().unwrap().entry, note("99999"));
    }

    proptest! {
        #[test]
        fn no_file_is_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let root = tempfile::tempdir().unwrap();
            std::fs::write(root.path().join(JOURNAL), &bytes).unwrap();
            let dir = StateDir::choose(Some(root.path()));
            prop_assert!(dir.read_journal().unwrap().records.is_empty());
        }
    }
}
