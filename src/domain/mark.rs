//! What changed at a time, and is marked on graphs: where a trend begins, it is asked what changed then.

use jiff::Timestamp;
use serde::Serialize;

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// A kind of change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr, strum::EnumString, strum::EnumIter,
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
