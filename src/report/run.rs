//! Runs and the journal as text and JSON lines.

use jiff::Timestamp;
use serde::Serialize;

use super::look::{Look, Tone};
use super::{SCHEMA, to_second};
use crate::domain::{JournalEntry, JournalRecord, Outcome, Run, RunEntry, RunRecord, units};

/// A run as one line of `hostler journal`, or as what `hostler run --json` prints.
#[derive(Debug, Serialize)]
pub struct RunReport<'a> {
    /// The format, 1.
    pub schema: u32,
    /// `run`.
    pub kind: &'static str,
    /// When it began.
    pub at: Timestamp,
    /// Who asked.
    pub by: &'a str,
    /// Its id.
    pub run: &'a str,
    /// The action.
    pub action: &'a str,
    /// The targets as on screen.
    pub targets: &'a [String],
    /// `succeeded`, `nothing-to-do`, `failed`, `cancelled`, `rolled-back`; `running` and `died` while there is none.
    pub outcome: &'static str,
    /// How it ended, in a sentence; empty while it runs.
    pub text: &'a str,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Bytes that the plan promised to free.
    pub planned_bytes: u64,
    /// Bytes freed, as the engine told.
    pub freed_bytes: Option<u64>,
    /// Lines worth reading.
    pub lines: &'a [String],
}

/// The outcome of a run in a word, also while there is none.
pub fn outcome_word(run: &Run) -> &'static str {
    match &run.ended {
        Some((outcome, ..)) => outcome.word(),
        None if run.alive => "running",
        None => "died",
    }
}

impl<'a> RunReport<'a> {
    /// The report of a run.
    pub fn of(run: &'a Run) -> Self {
        let ended = run.ended.as_ref();
        Self {
            schema: SCHEMA,
            kind: "run",
            at: to_second(run.began),
            by: &run.by,
            run: &run.id,
            action: &run.plan.action,
            targets: &run.plan.targets,
            outcome: outcome_word(run),
            text: ended.map_or("", |(_, text, _)| text),
            ended: ended.map(|(.., at)| to_second(*at)),
            planned_bytes: run.plan.bytes(),
            freed_bytes: run.freed,
            lines: &run.lines,
        }
    }
}

fn tone(run: &Run) -> Tone {
    match &run.ended {
        Some((outcome, ..)) if outcome.is_good() => Tone::Well,
        Some((Outcome::RolledBack | Outcome::Cancelled, ..)) => Tone::Warning,
        None if run.alive => Tone::Plain,
        Some(_) | None => Tone::Critical,
    }
}

/// One line about a run.
pub fn line(run: &Run, look: &Look) -> String {
    let what = run.ended.as_ref().map_or(run.plan.title.as_str(), |(_, text, _)| text.as_str());
    format!(
        "{}  {}  {} {}: {what}  {}\n",
        look.time(run.began),
        look.tone(tone(run), &format!("{:<13}", outcome_word(run))),
        run.plan.action,
        run.plan.targets.join(" "),
        look.tone(Tone::Muted, &format!("{} by {}", run.id, run.by)),
    )
}

/// One line about something that was said; `None` for a visit.
pub fn said(record: &JournalRecord, look: &Look) -> Option<String> {
    let (word, text) = match &record.entry {
        JournalEntry::Accept { finding, subject, until, why } => {
            ("accepted", format!("{finding} {subject} until {}: {why}", look.time(*until)))
        }
        JournalEntry::Snooze { finding, subject, until, .. } => {
            ("snoozed", format!("{finding} {subject} until {}", look.time(*until)))
        }
        JournalEntry::Acknowledge { finding, subject, why } => {
            let gap = if why.is_empty() { "" } else { ": " };
            ("acknowledged", format!("{finding} {subject}{gap}{why}"))
        }
        JournalEntry::Cleared { finding, subject } => ("cleared", format!("{finding} {subject}")),
        JournalEntry::Note { text } => ("note", text.clone()),
        JournalEntry::ScheduleSigned { name, .. } => ("signed", format!("what is scheduled as {name}")),
        JournalEntry::ModelsReviewed => ("reviewed", "the models that are watched".to_owned()),
        JournalEntry::Served(served) => ("serves", served.to_string()),
        JournalEntry::Visit => return None,
    };
    let by = look.tone(Tone::Muted, &format!("by {}", record.by));
    Some(format!("{}  {word:<13}  {text}  {by}\n", look.time(record.at)))
}

/// What a record of a run's file says to somebody who watches; `None` for what is only progress.
pub fn event(run: &Run, record: &RunRecord, look: &Look) -> Option<String> {
    let title = |step: usize| run.plan.steps.get(step).map_or("a step", |step| &*step.title);
    let said = match &record.entry {
        RunEntry::Began { step, back: false } => format!("{} {}", look.signs.dot, title(*step)),
        RunEntry::Began { step, back: true } => format!("{} taking back: {}", look.signs.dot, title(*step)),
        RunEntry::Said { text } => look.tone(Tone::Muted, &format!("  {text}")),
        RunEntry::Finished { text, freed, .. } => {
            let freed = freed.map_or_else(String::new, |freed| format!("freed {}", units::bytes(freed)));
            let parts: Vec<&str> = [text.as_str(), &freed].into_iter().filter(|part| !part.is_empty()).collect();
            if parts.is_empty() {
                return None;
            }
            format!("  {}", parts.join(", "))
        }
        RunEntry::Failed { why, .. } => look.tone(Tone::Critical, &format!("  {} {why}", look.signs.critical)),
        RunEntry::RollingBack { why } => {
            look.tone(Tone::Warning, &format!("{} taking back: {why}", look.signs.warning))
        }
        RunEntry::Planned { .. } | RunEntry::Resumed { .. } | RunEntry::Progress { .. } | RunEntry::Ended { .. } => {
            return None;
        }
    };
    Some(format!("{said}\n"))
}
