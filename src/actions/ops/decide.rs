//! What is decided about updates is written down; a decision that stands already is no fault.

use super::{Done, Trouble, unkept};
use crate::actions::Desk;

/// Offers no update for `subject` any more, or offers them again.
pub(super) fn pin(desk: &Desk, subject: &str, pinned: bool) -> Result<Done, Trouble> {
    desk.state_dir.pin_image(subject, pinned).map_err(|error| unkept(&error))?;
    Ok(Done::default())
}

/// Passes versions over for `subject`, or offers them again.
pub(super) fn skip(desk: &Desk, subject: &str, versions: &[String], skipped: bool) -> Result<Done, Trouble> {
    desk.state_dir.skip_versions(subject, versions, skipped).map_err(|error| unkept(&error))?;
    Ok(Done::default())
}
