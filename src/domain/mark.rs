//! What changed at a time, and is marked on graphs: where a trend begins, it is asked what changed then.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{JournalEntry, JournalRecord, Outcome, Run};

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What kind of change.
    pub kind: MarkKind,
    /// What it is about, as findings name it; `None` for the whole box.
    pub subject: Option<String>,
    /// What changed, in a clause.
    pub text: String,
}

impl Mark {
    /// What a record of the journal marks; `None` for one that says nothing of the box.
    pub fn of_journal(record: &JournalRecord) -> Option<Self> {
        let (kind, subject, text) = match &record.entry {
            JournalEntry::Note { text } => (MarkKind::Note, None, text.clone()),
            JournalEntry::Served(served) => (MarkKind::Model, Some(served.engine.clone()), served.to_string()),
            _ => return None,
        };
        Some(Self { at: record.at, kind, subject, text })
    }
}

impl Mark {
    /// What a run of an action marks; `None` for one that did not change anything, or not yet.
    pub fn of_run(run: &Run) -> Option<Self> {
        let (outcome, _, at) = run.ended.as_ref()?;
        let changed = matches!(outcome, Outcome::Succeeded | Outcome::RolledBack);
        changed.then(|| Self { at: *at, kind: MarkKind::Action, subject: None, text: run.plan.title.clone() })
    }
}

/// A kind of change.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum MarkKind {
    /// A container has another image.
    Image,
    /// An engine serves another model, or is of another version.
    Model,
    /// Another GPU driver is loaded.
    Driver,
    /// Another kernel runs.
    Kernel,
    /// hostler's config changed.
    Config,
    /// A container was started anew.
    Restart,
    /// The machine was started anew.
    Reboot,
    /// Somebody wrote a note.
    Note,
    /// A finding opened or cleared.
    Finding,
    /// An action changed something.
    Action,
}

impl MarkKind {
    /// The word by which it is kept and told.
    pub fn word(self) -> &'static str {
        self.into()
    }
}
