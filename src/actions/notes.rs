//! What the makers of images say of the versions that an update leads to: read before it is confirmed, and never waited for
//! longer than the plan may take.

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::newer::{self, Known};
use super::target::Target;
use crate::domain::{ImageRef, LocalImage, TagVersion};
use crate::host::{OpenRegistries, ReleaseNotes};

/// The most images of a plan whose notes are read.
const IMAGES: usize = 4;
/// The most lines of all notes together.
const LINES: usize = 24;

/// The notes for the images of `targets`, which go to the tag `to` or to what their own tags mean now; what breaks or must be
/// migrated comes first. What cannot be read until `deadline` is a link.
pub(super) async fn of(
    open: &OpenRegistries,
    known: &Known,
    targets: &[Target],
    to: Option<&str>,
    deadline: Instant,
) -> Vec<String> {
    let mut images: Vec<(ImageRef, &LocalImage)> = Vec::new();
    for target in targets {
        let local = known.local(target).filter(|local| !local.digests.is_empty());
        if let (Some(image), Some(local)) = (newer::image(target), local)
            && !images.iter().any(|(known, _)| *known == image)
        {
            images.push((image, local));
        }
    }
    images.truncate(IMAGES);
    let each = LINES / images.len().max(1);
    let several = images.len() > 1;
    let read = images.iter().map(async |(image, local)| {
        let notes = timeout_at(deadline, read(open, image, local, to)).await;
        let notes = notes.unwrap_or_else(|_| ReleaseNotes::unread(&local.labels, "they were not read in time"));
        let mut lines = words(notes, each);
        if several && !lines.is_empty() {
            lines.insert(0, format!("{}:", image.familiar()));
        }
        lines
    });
    join_all(read).await.concat()
}

async fn read(open: &OpenRegistries, image: &ImageRef, local: &LocalImage, to: Option<&str>) -> ReleaseNotes {
    let tag = image.tag.as_deref().unwrap_or_default();
    let version = local.labels.get("version").map_or("", String::as_str);
    let from = if TagVersion::parse(tag).is_some() { tag } else { version };
    if let Some(to) = to {
        return open.release_notes(&local.labels, from, to).await;
    }
    // The tag stays: which version it means there, only the image itself tells.
    let theirs = async { open.visit(image)?.labels(tag).await }.await.unwrap_or_default();
    let to = theirs.get("version").map_or(tag, String::as_str);
    let from = if version.is_empty() { from } else { version };
    open.release_notes(if theirs.is_empty() { &local.labels } else { &theirs }, from, to).await
}

/// Notes as lines, at most so many and one for the link.
fn words(notes: ReleaseNotes, most: usize) -> Vec<String> {
    let ReleaseNotes { mut lines, link, why_none } = notes;
    if lines.is_empty() {
        let why = why_none.map_or_else(String::new, |why| format!(" ({why})"));
        return link.map(|link| format!("{link}{why}")).into_iter().collect();
    }
    lines.truncate(most.saturating_sub(1));
    lines.extend(link.map(|link| format!("in full: {link}")));
    lines
}
