//! One question to a registry: what the tag of an image means there now, and which newer tags there are.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::domain::{Answer, FaultKind, ImageRef, RegistryFault, TagVersion, VersionStep, units};
use crate::host::{OpenRegistries, Tags, Visit};

/// How long one question may take, with all that it leads to.
const PATIENCE: Duration = Duration::from_secs(45);

/// What a registry said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// What the tag means.
    pub(super) digest: String,
    /// Newer tags of the same scheme, the newest first.
    pub(super) newer: Vec<String>,
    /// The mark of the list of tags.
    pub(super) tags_etag: Option<String>,
    /// When images were built, by tag or digest, as far as that was asked for and can be told.
    pub(super) published: BTreeMap<String, Timestamp>,
}

/// Asks about `image`. `before` is the answer that is known, and `local` the digests that the engine has.
pub(super) async fn put(
    open: OpenRegistries,
    image: ImageRef,
    before: Option<Answer>,
    local: Vec<String>,
) -> Result<Found, RegistryFault> {
    let asking = ask(&open, &image, before.as_ref(), &local);
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
        let what = format!("{} was not done within {}", image.registry, units::span(PATIENCE));
        Err(RegistryFault { kind: FaultKind::Unreachable, what, until: None })
    })
}

async fn ask(
    open: &OpenRegistries,
    image: &ImageRef,
    before: Option<&Answer>,
    local: &[String],
) -> Result<Found, RegistryFault> {
    let mut visit = open.visit(image)?;
    let digest = visit.digest(before.map(|before| before.digest.as_str())).await?;
    let mut found = Found { digest, ..Found::default() };
    // Without a version in the tag there is nothing that another tag could be newer than.
    if let Some(current) = image.tag.as_deref().and_then(TagVersion::parse) {
        let is_newer = |tag: &str| TagVersion::parse(tag).is_some_and(|tag| current.step_to(&tag).is_some());
        let etag = before.and_then(|before| before.tags_etag.as_deref());
        match visit.tags(etag, is_newer).await? {
            Tags::Listed { tags, etag } => {
                found.newer = newest_first(tags);
                found.tags_etag = etag;
            }
            Tags::Unchanged => {
                let known = before.into_iter().flat_map(|before| &before.newer);
                found.newer = known.map(|seen| seen.tag.clone()).collect();
                found.tags_etag = etag.map(str::to_owned);
            }
        }
        for tag in best_of_each_step(&current, &found.newer) {
            publish(&mut visit, tag, before, &mut found.published).await;
        }
    }
    if !local.iter().any(|known| known.ends_with(&found.digest)) {
        publish(&mut visit, &found.digest.clone(), before, &mut found.published).await;
    }
    Ok(found)
}

/// Finds out when something was built, unless that is known. Where it cannot be told, the first sight of it must do.
async fn publish(
    visit: &mut Visit,
    reference: &str,
    before: Option<&Answer>,
    published: &mut BTreeMap<String, Timestamp>,
) {
    let known = before.is_some_and(|before| {
        let same_digest = before.digest == reference && before.published.is_some();
        same_digest || before.newer.iter().any(|seen| seen.tag == reference && seen.published.is_some())
    });
    if known {
        return;
    }
    match visit.published(reference).await {
        Ok(at) => published.extend(at.map(|at| (reference.to_owned(), at))),
        Err(fault) => tracing::debug!(%fault, "Could not tell when an image was built."),
    }
}

/// Tags of one scheme in order, as many as are kept.
fn newest_first(tags: Vec<String>) -> Vec<String> {
    let mut tags = tags;
    tags.sort_by(|a, b| match (TagVersion::parse(a), TagVersion::parse(b)) {
        (Some(a), Some(b)) => b.order(&a),
        _ => Ordering::Equal,
    });
    tags.dedup();
    tags.truncate(Answer::TAGS);
    tags
}

/// Of tags in order the first of each step: those that are shown.
fn best_of_each_step<'a>(current: &TagVersion<'_>, newer: &'a [String]) -> Vec<&'a str> {
    let mut steps: Vec<VersionStep> = Vec::new();
    let mut best = Vec::new();
    for tag in newer {
        let step = TagVersion::parse(tag).and_then(|version| current.step_to(&version));
        if let Some(step) = step.filter(|step| !steps.contains(step)) {
            steps.push(step);
            best.push(tag.as_str());
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(tags: &[&str]) -> Vec<String> {
        tags.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_newest_tags_are_kept_in_order() {
        let sorted = newest_first(owned(&["1.2.0", "1.10.0", "2.0.0", "1.9.9", "1.2.0"]));
        assert_eq!(sorted, ["2.0.0", "1.10.0", "1.9.9", "1.2.0"]);
        let many = (0..500).map(|number| format!("1.{number}.0")).collect();
        let kept = newest_first(many);
        assert_eq!((kept.len(), kept[0].as_str()), (Answer::TAGS, "1.499.0"));
    }

    #[test]
    fn of_each_step_the_newest_is_looked_at() {
        let newer = owned(&["3.0.0", "2.0.0", "1.10.0", "1.9.0", "1.2.9", "1.2.4"]);
        let current = TagVersion::parse("1.2.3").unwrap();
        assert_eq!(best_of_each_step(&current, &newer), ["3.0.0", "1.10.0", "1.2.9"]);
    }
}
