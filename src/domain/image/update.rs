//! How the image of one container stands: what its registry said, seen through what people decided.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Answer, ImageRef, ImageRule, ImageRules, LocalImage, SeenTag, TagVersion, UpdateSample, VersionStep};
use crate::domain::{Container, units};

/// What decides which updates are offered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpdatePolicy {
    /// Days that a release must have been out, where no rule says otherwise.
    pub wait_days: u32,
    /// What people decided.
    pub rules: ImageRules,
}

/// How the image of one container stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum ImageUpdate {
    /// The registry was asked, and has nothing newer.
    UpToDate {
        /// When it was asked.
        asked: Timestamp,
    },
    /// There is something newer.
    Newer(NewerImage),
    /// There is something newer, which has not been out for long enough.
    Waiting {
        /// What.
        newer: NewerImage,
        /// It is offered from then on.
        until: Timestamp,
    },
    /// There is something newer, and somebody said that it is passed over.
    Skipped {
        /// The version.
        version: String,
    },
    /// It stays as it is: somebody said so, or the reference names a digest.
    Pinned,
    /// The image was not pulled from a registry: it was built or loaded here.
    Local,
    /// Nobody was asked: the config says so.
    Unchecked,
    /// It cannot be told.
    Unknown {
        /// Why: a clause behind "unknown, because".
        why: String,
    },
}

/// What is newer than the image of a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewerImage {
    /// The tag that is used means another image at the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<NewDigest>,
    /// Newer tags of the same scheme: of each step the newest, the longest step first.
    pub tags: Vec<NewTag>,
    /// When the registry was asked.
    pub asked: Timestamp,
}

/// Another image behind the same tag.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewDigest {
    /// Its digest.
    pub digest: String,
    /// When it was built, else when hostler saw it first.
    pub at: Timestamp,
    /// `at` is when it was built.
    pub built: bool,
}

/// A newer tag.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewTag {
    /// The tag.
    pub tag: String,
    /// How far it is.
    pub step: VersionStep,
    /// When it was built, else when hostler saw it first.
    pub at: Timestamp,
    /// `at` is when it was built.
    pub built: bool,
}

impl NewTag {
    /// How far it is, and how old, in a clause.
    pub fn about(&self, now: Timestamp) -> String {
        format!("{}, {}", self.step.word(), age(self.at, self.built, now))
    }
}

impl NewerImage {
    /// The newest tag.
    pub fn newest(&self) -> Option<&NewTag> {
        self.tags.first()
    }

    /// The word for the longest step: `major`, `minor`, `patch`, or `digest` for the same tag.
    pub fn word(&self) -> &'static str {
        self.newest().map_or("digest", |newest| newest.step.word())
    }

    /// What else there is beside the newest, a clause each.
    fn others(&self, now: Timestamp) -> Vec<String> {
        let tags = self.tags.iter().skip(1);
        let tags = tags.map(|tag| format!("also {} ({})", tag.tag, tag.about(now)));
        // Where there is no newer tag, the sentence tells of the digest.
        let digest = self.digest.iter().filter(|_| !self.tags.is_empty());
        let digest = digest.map(|it| format!("the same tag is another image now ({})", age(it.at, it.built, now)));
        tags.chain(digest).collect()
    }

    fn sentence(&self, now: Timestamp) -> String {
        let (name, at, built) = match (self.newest(), &self.digest) {
            (Some(tag), _) => (tag.tag.as_str(), tag.at, tag.built),
            (None, Some(digest)) => ("same tag", digest.at, digest.built),
            (None, None) => return String::new(),
        };
        format!("{name} ({}, {})", self.word(), age(at, built, now))
    }
}

impl ImageUpdate {
    /// How the image of `container` stands at `now`; `None` as long as the engine has not described it.
    pub fn of(container: &Container, sample: &UpdateSample, policy: &UpdatePolicy, now: Timestamp) -> Option<Self> {
        let local = sample.local.get(&container.image_id);
        match container.image.parse::<ImageRef>() {
            Ok(image) => Self::of_image(&image, container, (sample, local), policy, now),
            Err(why) => Some(Self::unknown(format!("its reference says nothing: {why}"))),
        }
    }

    fn of_image(
        image: &ImageRef,
        container: &Container,
        (sample, local): (&UpdateSample, Option<&LocalImage>),
        policy: &UpdatePolicy,
        now: Timestamp,
    ) -> Option<Self> {
        let rule = policy.rules.of(&container.name, image);
        if rule.pinned || image.digest.is_some() {
            return Some(Self::Pinned);
        }
        if sample.off {
            return Some(Self::Unchecked);
        }
        let local = local?;
        if local.digests.is_empty() {
            return Some(Self::Local);
        }
        let Some(asked) = sample.memory.images.get(&image.to_string()) else {
            return Some(Self::unknown(format!("{} has not been asked yet", image.registry)));
        };
        // A failure is told even where an older answer is there: that may have changed since.
        Some(match (&asked.fault, &asked.answer) {
            (Some(fault), _) => Self::unknown(fault.to_string()),
            (None, None) => Self::unknown(format!("{} gave no answer", image.registry)),
            (None, Some(answer)) => {
                let wait = rule.wait_days.unwrap_or(policy.wait_days);
                answered(image, local, answer, &rule, Wait { days: wait, now })
            }
        })
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }

    /// What is offered now.
    pub fn offered(&self) -> Option<&NewerImage> {
        match self {
            Self::Newer(newer) => Some(newer),
            _ => None,
        }
    }

    /// What else is offered beside what [`Self::sentence`] tells, a clause each.
    pub fn others(&self, now: Timestamp) -> Vec<String> {
        match self {
            Self::Newer(newer) | Self::Waiting { newer, .. } => newer.others(now),
            _ => Vec::new(),
        }
    }

    /// One word, for filters and narrow places: how far the newest step goes, else how it stands.
    pub fn word(&self) -> &'static str {
        match self {
            Self::UpToDate { .. } => "up-to-date",
            Self::Newer(newer) => newer.word(),
            Self::Waiting { .. } => "waiting",
            Self::Skipped { .. } => "skipped",
            Self::Pinned => "pinned",
            Self::Local => "local",
            Self::Unchecked => "unchecked",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The same in a few words.
    pub fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::UpToDate { asked } => format!("up to date (asked {} ago)", since(*asked, now)),
            Self::Newer(newer) => newer.sentence(now),
            Self::Waiting { newer, until } => {
                let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                format!("{}; waits {}", newer.sentence(now), units::span(left))
            }
            Self::Skipped { version } => format!("{} is passed over", short(version)),
            Self::Pinned => "pinned".to_owned(),
            Self::Local => "built here, at no registry".to_owned(),
            Self::Unchecked => "not checked: the config says so".to_owned(),
            Self::Unknown { why } => format!("unknown, because {why}"),
        }
    }
}

/// How long a release must have been out.
#[derive(Clone, Copy)]
struct Wait {
    days: u32,
    now: Timestamp,
}

impl Wait {
    /// When something that appeared at `at` may be offered.
    fn over(self, at: Timestamp) -> Timestamp {
        at.checked_add(SignedDuration::from_hours(i64::from(self.days) * 24)).unwrap_or(Timestamp::MAX)
    }

    fn is_over(self, at: Timestamp) -> bool {
        self.days == 0 || self.over(at) <= self.now
    }
}

/// How it stands by a registry's answer.
fn answered(image: &ImageRef, local: &LocalImage, answer: &Answer, rule: &ImageRule, wait: Wait) -> ImageUpdate {
    let digest = match theirs(image, local, answer) {
        Theirs::Ours => None,
        Theirs::Other(digest) => Some(digest),
        Theirs::Unrelated => return ImageUpdate::Local,
    };
    let tags = newer_tags(image, answer);
    if digest.is_none() && tags.is_empty() {
        return ImageUpdate::UpToDate { asked: answer.at };
    }
    let wanted = |version: &str| !rule.skipped.iter().any(|skipped| skipped == version);
    let (wanted_digest, wanted_tags): (Option<NewDigest>, Vec<NewTag>) = (
        digest.clone().filter(|digest| wanted(&digest.digest)),
        tags.iter().filter(|tag| wanted(&tag.tag)).cloned().collect(),
    );
    if wanted_digest.is_none() && wanted_tags.is_empty() {
        let version = tags.first().map(|tag| tag.tag.clone()).or_else(|| digest.map(|digest| digest.digest));
        return ImageUpdate::Skipped { version: version.unwrap_or_default() };
    }
    let newer = |digest, tags| NewerImage { digest, tags: best_of_each_step(tags), asked: answer.at };
    let ripe_digest = wanted_digest.clone().filter(|digest| wait.is_over(digest.at));
    let ripe_tags: Vec<NewTag> = wanted_tags.iter().filter(|tag| wait.is_over(tag.at)).cloned().collect();
    if ripe_digest.is_none() && ripe_tags.is_empty() {
        let first = wanted_tags.iter().map(|tag| tag.at).chain(wanted_digest.iter().map(|digest| digest.at)).min();
        let until = first.map_or(Timestamp::MAX, |at| wait.over(at));
        return ImageUpdate::Waiting { newer: newer(wanted_digest, wanted_tags), until };
    }
    ImageUpdate::Newer(newer(ripe_digest, ripe_tags))
}

/// What the registry has behind the tag.
enum Theirs {
    /// Our image.
    Ours,
    /// Another one.
    Other(NewDigest),
    /// Something that ours does not come from.
    Unrelated,
}

fn theirs(image: &ImageRef, local: &LocalImage, answer: &Answer) -> Theirs {
    if local.has(&answer.digest) {
        return Theirs::Ours;
    }
    let mut parsed = local.digests.iter().filter_map(|digest| digest.parse::<ImageRef>().ok());
    if !parsed.any(|known| known.name() == image.name()) {
        return Theirs::Unrelated;
    }
    let (at, built) = answer.published.map_or((answer.since, false), |at| (at, true));
    Theirs::Other(NewDigest { digest: answer.digest.clone(), at, built })
}

/// The newer tags with their steps, the newest first.
fn newer_tags(image: &ImageRef, answer: &Answer) -> Vec<NewTag> {
    let Some(current) = image.tag.as_deref().and_then(TagVersion::parse) else { return Vec::new() };
    let newer = |seen: &SeenTag| {
        let step = current.step_to(&TagVersion::parse(&seen.tag)?)?;
        let (at, built) = seen.published.map_or((seen.since, false), |at| (at, true));
        Some(NewTag { tag: seen.tag.clone(), step, at, built })
    };
    answer.newer.iter().filter_map(newer).collect()
}

/// Of tags in order the first of each step, the longest step first.
fn best_of_each_step(tags: Vec<NewTag>) -> Vec<NewTag> {
    let mut best: Vec<NewTag> = Vec::new();
    for tag in tags {
        if !best.iter().any(|known| known.step == tag.step) {
            best.push(tag);
        }
    }
    best.sort_by_key(|tag| std::cmp::Reverse(tag.step));
    best
}

/// How old something is, or how long it has been known.
fn age(at: Timestamp, built: bool, now: Timestamp) -> String {
    let age = since(at, now);
    if built { format!("{age} old") } else { format!("seen {age} ago") }
}

fn since(at: Timestamp, now: Timestamp) -> String {
    units::span(Duration::try_from(now.duration_since(at)).unwrap_or_default())
}

/// A digest shortened; a tag as it is.
fn short(version: &str) -> &str {
    if version.starts_with("sha256:") { version.get(..19).unwrap_or(version) } else { version }
}

#[cfg(test)]
mod tests;
