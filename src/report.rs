//! The state on paper: as JSON for scripts, as text for people, as Markdown for a bug report.
//!
//! Everything here is pure: what it says is what the store says, and where a value could not be read it says why. The
//! JSON of [`check`] and [`snapshot`] is a stable contract: fields may be added, never renamed. What is known beside the
//! state (the terminal, files, versions) comes in as [`doctor::Section`]s. Start with [`check::CheckReport`].

pub mod alerts;
pub mod bundle;
pub mod check;
pub mod doctor;
mod exposition;
mod last;
pub mod look;
pub mod mask;
pub mod plan;
pub mod run;
pub mod snapshot;

pub use exposition::{CONTENT_TYPE, exposition};
pub use last::{LastFinding, LastState};
pub use look::{Look, Signs};

use jiff::{Timestamp, Unit};
use serde::{Serialize, Serializer};

use crate::store::State;

/// The format of everything that is written as JSON.
const SCHEMA: u32 = 1;

/// The name of the box; `unknown` until its host could be read.
pub fn host_name(state: &State) -> &str {
    state.host.get().map(|host| host.facts.name.as_str()).filter(|name| !name.is_empty()).unwrap_or("unknown")
}

/// JSON with an end of line, indented where a person reads along.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn json(value: &impl Serialize, indented: bool) -> serde_json::Result<String> {
    let mut text = if indented { serde_json::to_string_pretty(value)? } else { serde_json::to_string(value)? };
    text.push('\n');
    Ok(text)
}

/// A time to the second.
fn to_second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

fn second<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    to_second(*at).serialize(serializer)
}

/// Seconds to a tenth.
fn tenths(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 10.0).round() / 10.0
}
