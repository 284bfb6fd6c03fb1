//! What is decided about updates is written down; a decision that stands already is no fault.

use super::{Bench, Done, Trouble, unkept};

/// Offers no update for `subject` any more, or offers them again.
pub(super) fn pin(bench: &Bench<'_>, subject: &str, pinned: bool) -> Result<Done, Trouble> {
    bench.desk.state_dir.pin_image(subject, pinned).map_err(|error| unkept(&error))?;
    Ok(Done::default())
}

/// Passes versions over for `subject`, or offers them again.
pub(super) fn skip(bench: &Bench<'_>, subject: &str, versions: &[String], skipped: bool) -> Result<Done, Trouble> {
    bench.desk.state_dir.skip_versions(subject, versions, skipped).map_err(|error| unkept(&error))?;
    Ok(Done::default())
}
