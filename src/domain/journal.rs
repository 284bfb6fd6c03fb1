//! One-line records of what people said (accepted, snoozed, acknowledged, noted), and of what was served when. The file that holds them belongs to `history`.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::Served;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// The format, 1.
    pub schema: u32,
    /// When it was said.
    pub at: Timestamp,
    /// Who said it: the login name.
    pub by: String,
    /// What was said.
    #[serde(flatten)]
    pub entry: JournalEntry,
}

/// When somebody last looked through something, and who.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Review {
    /// When.
    pub at: Timestamp,
    /// The login name.
    pub by: String,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum JournalEntry {
    /// A finding may stay, for a reason, until a date.
    Accept {
        /// The finding's id.
        finding: String,
        /// Its subject.
        subject: String,
        /// The end.
        until: Timestamp,
        /// The reason.
        why: String,
    },
    /// A finding is put aside for a while.
    Snooze {
        /// The finding's id.
        finding: String,
        /// Its subject.
        subject: String,
        /// The end.
        until: Timestamp,
        /// The reason, if one was given.
        #[serde(default)]
        why: String,
    },
    /// Somebody knows of a finding and sees to it: it is silent until it clears.
    Acknowledge {
        /// The finding's id.
        finding: String,
        /// Its subject.
        subject: String,
        /// A remark, if one was made.
        #[serde(default)]
        why: String,
    },
    /// An acknowledged finding cleared, which ends that. hostler writes it by itself.
    Cleared {
        /// The finding's id.
        finding: String,
        /// Its subject.
        subject: String,
    },
    /// A remark that becomes a mark on every graph.
    Note {
        /// What it says.
        text: String,
    },
    /// Somebody opened the screen: what changed since is told from here.
    Visit,
    /// Somebody looked through what is new of the families that are watched.
    #[serde(rename = "models-reviewed")]
    ModelsReviewed,
    /// A line of the schedule is done at its times, as it stands now.
    #[serde(rename = "schedule-signed")]
    ScheduleSigned {
        /// The line's name.
        name: String,
        /// Everything that was signed.
        essence: String,
    },
    /// A model that an engine serves from now on. hostler writes it by itself.
    Served(Served),
}

/// Reads an end as people write it: a date (`2026-12-01`, its midnight in `zone`), a time (`2026-12-01T09:00`), or a duration
/// from `now` (`7d`, `12h`, `2 weeks`).
///
/// # Errors
/// When it is none of these, or lies before `now`; the text says what is allowed.
pub fn parse_until(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let end = parse_instant(text, zone).or_else(|| shifted(text.parse().ok()?, now, zone)).ok_or_else(|| {
        format!("`{text}` is no end; write a date (2026-12-01), a time (2026-12-01T09:00) or a duration (7d, 12h)")
    })?;
    if end <= now { Err(format!("`{text}` has passed already")) } else { Ok(end) }
}

/// Reads a beginning as people write it: a date or a time as [`parse_until`] takes them, or a duration back from `now`.
///
/// # Errors
/// When it is none of these, or lies after `now`; the text says what is allowed.
pub fn parse_since(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    let begin = parse_instant(text, zone).or_else(|| shifted(text.parse::<Span>().ok()?.negate(), now, zone));
    let begin = begin.ok_or_else(|| {
        format!(
            "`{text}` is no beginning; write a duration (7d, 12h), a date (2026-11-01) or a time (2026-11-01T09:00)"
        )
    })?;
    if begin > now { Err(format!("`{text}` has not come yet")) } else { Ok(begin) }
}

/// Reads a date (its midnight in `zone`), a time there, or one with its own zone; `None` for anything else.
pub fn parse_instant(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    text.parse().ok().or_else(|| zone.to_timestamp(text.parse::<DateTime>().ok()?).ok())
}

/// The time so long after `now`, by the calendar of `zone`.
fn shifted(by: Span, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    Some(now.to_zoned_datetime(zone.clone()).checked_add(by).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_date_a_time_or_a_duration_back() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        for (text, begin) in
            [("7d", "2026-11-16T09:00:00Z"), ("90m", "2026-11-23T07:30:00Z"), ("2026-11-01", "2026-11-01T00:00:00Z")]
        {
            assert_eq!(parse_since(text, now, &TimeZone::UTC).unwrap(), begin.parse().unwrap(), "{text}");
        }
        for text in ["", "once", "2026-12-01", "-1d"] {
            assert!(parse_since(text, now, &TimeZone::UTC).is_err(), "{text}");
        }
    }

    #[test]
    fn an_end_is_a_date_a_time_or_a_duration() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        for (text, end) in [
            ("7d", "2026-11-30T09:00:00Z"),
            ("2 weeks", "2026-12-07T09:00:00Z"),
            ("90m", "2026-11-23T10:30:00Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z"),
            ("2026-12-01T09:30", "2026-12-01T09:30:00Z"),
        ] {
            assert_eq!(parse_until(text, now, &TimeZone::UTC).unwrap(), end.parse().unwrap(), "{text}");
        }
        for text in ["", "soon", "2026-11-01", "-1d"] {
            assert!(parse_until(text, now, &TimeZone::UTC).is_err(), "{text}");
        }
    }
}
