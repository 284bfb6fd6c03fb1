//! What a unit of systemd writes to the journal, through the `journalctl` command: the journal's files are its own affair.

use std::time::Duration;

use serde::Deserialize;

use super::exec::{ExecError, ask};
use super::foreign;

/// The most that is kept of a line, bytes.
const LINE_BYTES: usize = 1_000;
/// The longest cursor that is believed, bytes; they take some 130.
const CURSOR_BYTES: usize = 500;

/// The journal of one unit, from now on.
#[derive(Debug)]
pub struct Journal {
    program: String,
    unit: &'static str,
    /// The place up to which it was read.
    cursor: Option<String>,
}

/// An entry as `--output=json` writes it: all values are strings, but for text that is none, which comes as bytes.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "MESSAGE")]
    message: Option<Message>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
    /// Of an entry that has several.
    Texts(Vec<String>),
}

impl Journal {
    /// The most lines that are taken at once, the newest ones: of more, the older ones are passed over.
    pub const LINES: usize = 100;
    /// How long the command may take.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// The journal of this unit, from the first [`Self::next`] on.
    pub fn of_unit(unit: &'static str) -> Self {
        Self::by("journalctl", unit)
    }

    /// The same by another command.
    pub(crate) fn by(program: impl Into<String>, unit: &'static str) -> Self {
        Self { program: program.into(), unit, cursor: None }
    }

    /// What was written since the last call, in order, stripped and bounded; nothing at the first one, which only finds the
    /// end. `None` while the unit has written nothing that this user may read.
    ///
    /// # Errors
    /// When the command is not there, fails, or does not come to an end; the next call begins at the end again.
    pub async fn next(&mut self) -> Result<Option<Vec<String>>, ExecError> {
        let before = self.cursor.take();
        let unit = format!("--unit={}", self.unit);
        let lines = format!("--lines={}", if before.is_some() { Self::LINES } else { 1 });
        let after = before.as_ref().map(|cursor| format!("--after-cursor={cursor}"));
        let mut arguments = vec!["--output=json", "--output-fields=MESSAGE", "--no-pager", "--quiet", &unit, &lines];
        arguments.extend(after.as_deref());
        let told = ask(&self.program, &arguments, b"", Self::PATIENCE).await?;
        if !told.success {
            return Err(ExecError::Failed(foreign::clean_bytes(&told.errors, LINE_BYTES).into_owned()));
        }
        let (cursor, messages) = entries(&told.output);
        let is_first = before.is_none();
        self.cursor = cursor.or(before);
        Ok(self.cursor.is_some().then(|| if is_first { Vec::new() } else { messages }))
    }
}

/// The last entry's cursor, and all messages. What is no entry is passed over.
fn entries(output: &[u8]) -> (Option<String>, Vec<String>) {
    let (mut cursor, mut messages) = (None, Vec::new());
    for line in output.split(|byte| *byte == b'\n') {
        let Ok(entry) = serde_json::from_slice::<Entry>(line) else { continue };
        if entry.cursor.len() <= CURSOR_BYTES {
            cursor = Some(entry.cursor);
        }
        let bytes = match entry.message {
            Some(Message::Text(text)) => text.into_bytes(),
            Some(Message::Bytes(bytes)) => bytes,
            Some(Message::Texts(texts)) => texts.join(" ").into_bytes(),
            None => continue,
        };
        messages.push(foreign::clean_bytes(&bytes, LINE_BYTES).into_owned());
    }
    (cursor, messages)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn entries_are_read_in_every_form() {
        let output = concat!(
            r#"{"__CURSOR":"s=1","__REALTIME_TIMESTAMP":"1795459967000000","MESSAGE":"one"}"#,
            "\n",
            r#"{"__CURSOR":"s=2","MESSAGE":[27,91,51,49,109,116,119,111]}"#,
            "\n",
            r#"{"__CURSOR":"s=3","MESSAGE":["a","b"]}"#,
            "\nno entry\n",
            r#"{"__CURSOR":"s=4","MESSAGE":null}"#,
            "\n",
        );
        assert_eq!(
            entries(output.as_bytes()),
            (Some("s=4".to_owned()), ["one", "two", "a b"].map(str::to_owned).into())
        );
        assert_eq!(entries(b""), (None, Vec::new()));
        let long = format!(r#"{{"__CURSOR":"{}","MESSAGE":"{}"}}"#, "c".repeat(501), "m".repeat(5_000));
        let (cursor, messages) = entries(long.as_bytes());
        assert_eq!((cursor, messages[0].len()), (None, LINE_BYTES));
    }

    /// A double of `journalctl`: its script sees the arguments.
    fn journal(script: &str) -> (tempfile::TempDir, Journal) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("journalctl");
        fs::write(&program, format!("#!/bin/sh\ncd {}\n{script}\n", folder.path().display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let journal = Journal::by(program.to_string_lossy(), "ollama.service");
        (folder, journal)
    }

    fn next(journal: &mut Journal) -> Result<Option<Vec<String>>, ExecError> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(journal.next())
    }

    #[test]
    fn a_double_is_asked_for_what_is_new() {
        let script = r#"echo "$@" >>asked
            case "$*" in
            *--after-cursor=s=2*) ;;
            *--after-cursor=s=1*) echo '{"__CURSOR":"s=2","MESSAGE":"new"}' ;;
            *) echo '{"__CURSOR":"s=1","MESSAGE":"old"}' ;;
            esac"#;
        let (folder, mut journal) = journal(script);
        assert_eq!(next(&mut journal), Ok(Some(Vec::new())), "what was there before is no news");
        assert_eq!(next(&mut journal), Ok(Some(vec!["new".to_owned()])));
        assert_eq!(next(&mut journal), Ok(Some(Vec::new())));
        let asked = fs::read_to_string(folder.path().join("asked")).unwrap();
        let asked: Vec<&str> = asked.lines().collect();
        let always = "--output=json --output-fields=MESSAGE --no-pager --quiet --unit=ollama.service";
        let expected = [
            format!("{always} --lines=1"),
            format!("{always} --lines=100 --after-cursor=s=1"),
            format!("{always} --lines=100 --after-cursor=s=2"),
        ];
        assert_eq!(asked, expected);
    }

    #[test]
    fn a_double_that_fails_is_begun_anew() {
        let script = r#"case "$*" in
            *--after-cursor*) echo 'Failed to seek to cursor' >&2; exit 1 ;;
            *) echo '{"__CURSOR":"s=1","MESSAGE":"old"}' ;;
            esac"#;
        let (_folder, mut journal) = journal(script);
        assert_eq!(next(&mut journal), Ok(Some(Vec::new())));
        assert_eq!(next(&mut journal), Err(ExecError::Failed("Failed to seek to cursor".to_owned())));
        assert_eq!(next(&mut journal), Ok(Some(Vec::new())));
    }

    #[test]
    fn a_double_with_nothing_of_the_unit_says_so() {
        let (_folder, mut journal) = journal("exit 0");
        assert_eq!(next(&mut journal), Ok(None));
        assert_eq!(next(&mut Journal::by("no-such-program-here", "x")), Err(ExecError::Missing));
    }
}
