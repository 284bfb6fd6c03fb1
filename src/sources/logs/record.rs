//! One container's log as its lines: records of the json-file driver or of the engine's stream, joined where the engine
//! split a line, stripped, bounded and given their level.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use super::level::level;
use crate::domain::{LogLine, LogOrigin};
use crate::host::foreign;

/// A line longer than this comes in several records, all but the last without a line end (moby, `daemon/logger/copier.go`).
const RECORD_BYTES: usize = 16 << 10;

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// What the engine wrote down of one write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) stream: Stream,
    pub(super) at: Timestamp,
    /// The text, with its line end where it has one.
    pub(super) text: Cow<'a, str>,
}

impl<'a> Record<'a> {
    /// A line of a json-file; `None` for what is no record.
    pub(super) fn from_json(line: &'a [u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Json<'a> {
            #[serde(borrow, default)]
            log: Cow<'a, str>,
            #[serde(borrow, default)]
            stream: Cow<'a, str>,
            time: Timestamp,
        }
        let parsed = serde_json::from_slice::<Json<'_>>(line).ok()?;
        Some(Self {
            stream: if parsed.stream == "stderr" { Stream::Err } else { Stream::Out },
            at: parsed.time,
            text: parsed.log,
        })
    }

    /// A message of the engine's stream: a time, a space, the text. `None` where there is no time.
    pub(super) fn from_message(stream: Stream, message: &'a [u8]) -> Option<Self> {
        let space = message.iter().take(64).position(|byte| *byte == b' ')?;
        let (time, text) = message.split_at(space);
        Some(Self { stream, at: str::from_utf8(time).ok()?.parse().ok()?, text: String::from_utf8_lossy(&text[1..]) })
    }
}

/// Puts the records of one container together to lines.
#[derive(Debug)]
pub(super) struct Lines {
    origin: Arc<LogOrigin>,
    /// The beginning of a line whose end has not come, by output. More of it than can be shown is not kept.
    begun: [Option<(Timestamp, String)>; 2],
}

impl Lines {
    /// What of a line is kept until its end comes, bytes: more than is left of it in the end, because sequences go.
    const KEPT_BYTES: usize = RECORD_BYTES;

    pub(super) fn new(origin: Arc<LogOrigin>) -> Self {
        Self { origin, begun: [None, None] }
    }

    /// The container whose lines these are.
    pub(super) fn origin(&self) -> &LogOrigin {
        &self.origin
    }

    /// The container under the name that it has now.
    pub(super) fn rename(&mut self, origin: Arc<LogOrigin>) {
        self.origin = origin;
    }

    /// Takes a line of a json-file; gives the line that it completes. `Err` for what is no record.
    pub(super) fn push_json(&mut self, line: &[u8]) -> Result<Option<LogLine>, ()> {
        if let Some(record) = Record::from_json(line) {
            return Ok(self.push(&record));
        }
        // The engine writes no invalid UTF-8 itself.
        let repaired = String::from_utf8_lossy(line);
        let record = Record::from_json(repaired.as_bytes()).ok_or(())?;
        Ok(self.push(&record))
    }

    /// Takes a record; gives the line that it completes.
    pub(super) fn push(&mut self, record: &Record<'_>) -> Option<LogLine> {
        let begun = &mut self.begun[record.stream as usize];
        let text = record.text.strip_suffix('\n');
        // A short record without line end is the last one of a process.
        let is_complete = text.is_some() || record.text.len() < RECORD_BYTES;
        let text = text.unwrap_or(&record.text);
        match (begun.take(), is_complete) {
            (None, true) => Some(self.line(record.at, text)),
            (None, false) => {
                *begun = Some((record.at, kept(text, Self::KEPT_BYTES).to_owned()));
                None
            }
            (Some((at, mut whole)), is_complete) => {
                whole.push_str(kept(text, Self::KEPT_BYTES.saturating_sub(whole.len())));
                if is_complete {
                    Some(self.line(at, &whole))
                } else {
                    *begun = Some((at, whole));
                    None
                }
            }
        }
    }

    /// The lines whose end never came, when nothing has been written for a while.
    pub(super) fn flush(&mut self) -> impl Iterator<Item = LogLine> {
        let begun = std::mem::take(&mut self.begun);
        begun.into_iter().flatten().map(|(at, text)| self.line(at, &text))
    }

    /// Whether a line has begun and not ended.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.iter().any(Option::is_some)
    }

    fn line(&self, at: Timestamp, text: &str) -> LogLine {
        let text = text.strip_suffix('\r').unwrap_or(text);
        let text: Box<str> = match foreign::clean(text, LogLine::MAX_BYTES) {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        };
        LogLine { origin: self.origin.clone(), at, level: level(&text), text }
    }
}

/// The longest start of `text` of at most `bytes`, not cutting a character.
fn kept(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ContainerId, LogLevel};

    fn lines() -> Lines {
        Lines::new(Arc::new(LogOrigin { container: ContainerId::from("a"), name: "web".into() }))
    }

    fn record(text: &str) -> Record<'_> {
        Record { stream: Stream::Out, at: Timestamp::UNIX_EPOCH, text: text.into() }
    }

    #[test]
    fn a_json_record_is_read() {
        let line = br#"{"log":"\u001b[31mERROR\u001b[0m: caf\u00e9\n","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-23T09:01:44.013123456Z"}"#;
        let record = Record::from_json(line).unwrap();
        assert_eq!(record.stream, Stream::Err);
        assert_eq!(record.at.to_string(), "2026-11-23T09:01:44.013123456Z");
        let line = lines().push(&record).unwrap();
        assert_eq!(&*line.text, "ERROR: café");
        assert_eq!(line.level, LogLevel::Error);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in [
            "",
            "{}",
            "\0\0\0\0",
            "2026-11-23T09:01:44.013123456Z stdout F text",
            r#"{"log":"x\n","stream":"stdout","time":"yesterday"}"#,
            r#"{"log":"cut"#,
        ] {
            assert_eq!(Record::from_json(line.as_bytes()), None, "{line:?}");
        }
        for message in ["", "no-time text", "2026-11-23T09:01:44Z"] {
            assert_eq!(Record::from_message(Stream::Out, message.as_bytes()), None, "{message:?}");
        }
    }

    #[test]
    fn invalid_utf8_in_a_record_is_replaced() {
        let line = b"{\"log\":\"caf\xe9\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-23T09:01:44Z\"}";
        let line = lines().push_json(line).unwrap().unwrap();
        assert_eq!(&*line.text, "caf\u{fffd}");
        assert_eq!(lines().push_json(b"not json"), Err(()));
    }

    #[test]
    fn a_message_of_the_stream_is_read() {
        let message = b"2026-11-23T09:01:44.013123456Z two words \xff\n";
        let record = Record::from_message(Stream::Err, message).unwrap();
        assert_eq!(record.at.to_string(), "2026-11-23T09:01:44.013123456Z");
        assert_eq!(record.text, "two words \u{fffd}\n");
    }

    #[test]
    fn a_split_line_is_joined_and_bounded() {
        let mut lines = lines();
        let part = "x".repeat(RECORD_BYTES);
        for _ in 0..64 {
            assert_eq!(lines.push(&record(&part)), None);
        }
        assert!(lines.has_begun());
        let line = lines.push(&record("end\n")).unwrap();
        assert_eq!(line.text.len(), LogLine::MAX_BYTES);
        assert!(!lines.has_begun());
        assert_eq!(&*lines.push(&record("next\n")).unwrap().text, "next");
    }

    #[test]
    fn parts_of_the_two_outputs_are_kept_apart() {
        let mut lines = lines();
        // Invisible, so that the joined line is short enough to show its end.
        let part = "\u{200b}".repeat(RECORD_BYTES / 3 + 1);
        assert_eq!(lines.push(&record(&part)), None);
        let other = Record { stream: Stream::Err, ..record("between\n") };
        assert_eq!(&*lines.push(&other).unwrap().text, "between");
        assert!(lines.has_begun());
        lines.push(&record("end\n")).unwrap();
        assert!(!lines.has_begun());
    }

    #[test]
    fn a_line_without_end_comes_when_it_is_the_last() {
        let mut lines = lines();
        assert_eq!(&*lines.push(&record("last words")).unwrap().text, "last words");
        lines.push(&record(&"x".repeat(RECORD_BYTES)));
        assert_eq!(lines.flush().count(), 1);
        assert_eq!(lines.flush().count(), 0);
    }

    #[test]
    fn a_terminals_line_end_and_every_sequence_goes() {
        let line = lines().push(&record("a\x1b]52;c;ZXZpbA==\x07b\u{202e}c\r\n")).unwrap();
        assert_eq!(&*line.text, "abc");
        assert_eq!(&*lines().push(&record("\n")).unwrap().text, "");
    }
}
