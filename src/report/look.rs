//! How text for people looks: signs, colours, the zone of times, and columns that line up.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use crate::domain::{Severity, SourceStatus, Verdict};

/// The signs beside words, each one cell wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signs {
    /// Wants somebody now; failed.
    pub critical: &'static str,
    /// Wants somebody soon.
    pub warning: &'static str,
    /// Worth knowing.
    pub info: &'static str,
    /// As it should be.
    pub well: &'static str,
    /// Could not be told.
    pub unknown: &'static str,
    /// Not there.
    pub absent: &'static str,
    /// Between facts on one line.
    pub dot: &'static str,
}

/// How a text is made for the one who reads it.
#[derive(Debug, Clone)]
pub struct Look {
    /// The signs.
    pub signs: Signs,
    /// Colours may be used.
    pub colour: bool,
    /// The zone of times.
    pub zone: TimeZone,
}

/// What a piece of text means; its colour follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Beside the point.
    Muted,
    /// As it should be.
    Well,
    /// Wants somebody soon.
    Warning,
    /// Wants somebody now.
    Critical,
}

impl From<Severity> for Tone {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Critical,
            Severity::Warning => Self::Warning,
            Severity::Info => Self::Muted,
        }
    }
}

impl From<Verdict> for Tone {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Critical => Self::Critical,
            Verdict::Warning | Verdict::Unknown => Self::Warning,
            Verdict::Well => Self::Well,
        }
    }
}

impl From<SourceStatus> for Tone {
    fn from(status: SourceStatus) -> Self {
        match status {
            SourceStatus::Fresh => Self::Well,
            SourceStatus::Failed => Self::Critical,
            SourceStatus::Stale | SourceStatus::Denied => Self::Warning,
            SourceStatus::Waiting | SourceStatus::Unsupported => Self::Muted,
        }
    }
}

impl Look {
    /// `text` in the colour of its meaning.
    pub fn tone(&self, tone: impl Into<Tone>, text: &str) -> String {
        let code = match tone.into() {
            _ if !self.colour => None,
            Tone::Plain => None,
            Tone::Strong => Some("1"),
            Tone::Muted => Some("2"),
            Tone::Well => Some("32"),
            Tone::Warning => Some("33"),
            Tone::Critical => Some("1;31"),
        };
        code.map_or_else(|| text.to_owned(), |code| format!("\x1b[{code}m{text}\x1b[0m"))
    }

    /// The sign of a severity.
    pub fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Critical => self.signs.critical,
            Severity::Warning => self.signs.warning,
            Severity::Info => self.signs.info,
        }
    }

    /// The sign of a verdict.
    pub fn verdict(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Critical => self.signs.critical,
            Verdict::Warning => self.signs.warning,
            Verdict::Unknown => self.signs.unknown,
            Verdict::Well => self.signs.well,
        }
    }

    /// The sign of a source's status.
    pub fn status(&self, status: SourceStatus) -> &'static str {
        match status {
            SourceStatus::Fresh => self.signs.well,
            SourceStatus::Failed => self.signs.critical,
            SourceStatus::Stale | SourceStatus::Denied => self.signs.warning,
            SourceStatus::Waiting => self.signs.unknown,
            SourceStatus::Unsupported => self.signs.absent,
        }
    }

    /// A day and a time: `2026-11-23 10:02`.
    pub fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// How long ago, in words: `5 min ago`.
    pub fn ago(&self, at: Timestamp, now: Timestamp) -> String {
        let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
        format!("{} ago", crate::domain::units::span(age))
    }
}

/// Rows with their columns lined up, two spaces between them, `indent` before them. The last column is not padded.
#[derive(Debug, Default)]
pub(super) struct Columns {
    rows: Vec<Vec<(Tone, String)>>,
}

impl Columns {
    /// Adds a row; an empty first cell continues the row before.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (Tone, String)>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The rows as lines.
    pub(super) fn lines(&self, look: &Look, indent: usize) -> String {
        let count = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let wide = |column: usize| {
            self.rows.iter().filter(|row| column + 1 < row.len()).map(|row| row[column].1.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..count).map(wide).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (column, (tone, cell)) in row.iter().enumerate() {
                line.push_str(&look.tone(*tone, cell));
                if column + 1 < row.len() {
                    line.push_str(&" ".repeat(widths[column].saturating_sub(cell.width()) + 2));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A look without colours, in coordinated universal time.
    pub(in crate::report) fn plain() -> Look {
        let signs = Signs { critical: "X", warning: "!", info: "i", well: "+", unknown: "?", absent: "o", dot: "|" };
        Look { signs, colour: false, zone: TimeZone::UTC }
    }

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let mut columns = Columns::default();
        columns.row([(Tone::Plain, "a".to_owned()), (Tone::Plain, "long".to_owned()), (Tone::Plain, "end".to_owned())]);
        columns.row([
            (Tone::Plain, "你好".to_owned()),
            (Tone::Plain, "b".to_owned()),
            (Tone::Plain, "a much longer end".to_owned()),
        ]);
        columns.row([(Tone::Plain, "alone and wide".to_owned())]);
        assert_eq!(columns.lines(&plain(), 1), " a     long  end\n 你好  b     a much longer end\n alone and wide\n");
    }

    #[test]
    fn there_is_no_colour_without_leave() {
        let coloured = Look { colour: true, ..plain() };
        assert_eq!(plain().tone(Tone::Critical, "x"), "x");
        assert_eq!(coloured.tone(Tone::Critical, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(coloured.tone(Tone::Plain, "x"), "x");
    }
}
