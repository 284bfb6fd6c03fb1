//! What is wrong with a config, and where.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

use crate::host::foreign;

/// The most that is shown of a line, bytes.
const LINE_BYTES: usize = 160;

/// Why a config cannot be used. Its text begins with `path:line:column: ` wherever a place can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, in the order of the file; at least one.
    pub faults: Vec<Fault>,
    absent: bool,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where; `None` for a fault of the file as a whole.
    pub place: Option<Place>,
    /// What is wrong, and after a semicolon what is allowed.
    pub what: String,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Characters, counted from 1.
    pub column: usize,
    /// The line itself, bounded.
    pub text: String,
    /// Cells of the line before the place, and cells of the place.
    marked: (usize, usize),
}

impl Place {
    /// The place of a range of bytes in `text`.
    pub fn of(text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let before_in_line = &before[line_start..];
        let rest = after.lines().next().unwrap_or_default();
        let marked = &after[..after.floor_char_boundary(span.end.saturating_sub(start)).min(rest.len())];
        let clean = |part: &str| foreign::clean(part, LINE_BYTES).width();
        Self {
            line: before.matches('\n').count() + 1,
            column: before_in_line.chars().count() + 1,
            text: foreign::clean(&format!("{before_in_line}{rest}"), LINE_BYTES).into_owned(),
            marked: (clean(before_in_line), clean(marked).max(1)),
        }
    }
}

impl ConfigError {
    /// Faults of a file.
    pub(super) fn new(path: &Path, faults: Vec<Fault>) -> Self {
        Self { path: path.to_owned(), faults, absent: false }
    }

    /// A fault of a file as a whole.
    pub(super) fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self::new(path, vec![Fault { place: None, what: what.into() }])
    }

    /// A file that cannot be read.
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let absent = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        let what = if absent {
            "there is no such file; `hostler config init` writes one".to_owned()
        } else {
            format!("cannot be read: {}", words(error))
        };
        Self { absent, ..Self::of_file(path, what) }
    }

    /// Whether there is no such file.
    pub fn is_absent(&self) -> bool {
        self.absent
    }

    /// The first fault in one line, for a place with room for no more.
    pub fn brief(&self) -> String {
        let first = self.faults.first().map(|fault| one_line(&self.path, fault)).unwrap_or_default();
        match self.faults.len() {
            0 | 1 => first,
            more => format!("{first} (and {} more)", more - 1),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&one_line(&self.path, fault))?;
            if let Some(place) = &fault.place {
                let number = place.line.to_string();
                let (gutter, (before, marked)) = (number.len(), place.marked);
                write!(f, "\n{:gutter$} |\n{number} | {}\n{:gutter$} | ", "", place.text, "")?;
                if before < LINE_BYTES {
                    write!(f, "{:before$}{:^<marked$}", "", "")?;
                }
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

fn one_line(path: &Path, fault: &Fault) -> String {
    let path = path.display();
    match &fault.place {
        Some(place) => format!("{path}:{}:{}: {}", place.line, place.column, fault.what),
        None => format!("{path}: {}", fault.what),
    }
}

/// An error of the system without its number.
pub(super) fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not".to_owned(),
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_and_marked_in_cells() {
        let text = "a = 1\nname = \"你好\", x\n";
        let at = text.find(", x").unwrap();
        let place = Place::of(text, at..at + 1);
        assert_eq!((place.line, place.column, place.text.as_str()), (2, 12, "name = \"你好\", x"));
        assert_eq!(place.marked, (13, 1));
    }

    #[test]
    fn a_place_at_or_beyond_the_end_is_the_end() {
        for text in ["", "a", "a\n"] {
            let place = Place::of(text, text.len()..text.len() + 5);
            assert_eq!(place.marked.1, 1, "{text:?}");
        }
        assert_eq!(Place::of("a\n", 2..3).line, 2);
    }

    #[test]
    fn nothing_of_a_line_reaches_the_terminal_but_text() {
        let text = "x = \u{1b}[31m\u{202e}1\n";
        let error =
            ConfigError::new(Path::new("f"), vec![Fault { place: Some(Place::of(text, 4..5)), what: "bad".into() }]);
        assert_eq!(error.to_string(), "f:1:5: bad\n  |\n1 | x = 1\n  |     ^");
    }
}
