//! What registries answered, as it is kept between two runs, and what the engine knows of the images that it has.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ModelAnswer;

/// What one look at images and registries gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpdateSample {
    /// What registries answered, by reference.
    pub memory: Arc<UpdateMemory>,
    /// The images of the containers, by the engine's id (`sha256:…`).
    pub local: Arc<HashMap<String, LocalImage>>,
    /// Nobody is asked: the config says so.
    pub off: bool,
}

/// An image as the engine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalImage {
    /// What it was pulled as, such as `n8nio/n8n@sha256:…`; empty for one that was built here.
    pub digests: Vec<String>,
    /// Its labels that begin with `org.opencontainers.image.`, without that.
    pub labels: BTreeMap<String, String>,
}

impl LocalImage {
    /// Whether it is the image that a registry tells by this digest.
    pub fn has(&self, digest: &str) -> bool {
        self.digests.iter().any(|known| known.rsplit_once('@').is_some_and(|(_, known)| known == digest))
    }
}

/// What registries answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateMemory {
    /// About images, by the whole reference (`docker.io/n8nio/n8n:1.118.2`).
    #[serde(default)]
    pub images: BTreeMap<String, Asked>,
    /// About models, by the [`ModelOrigin`](crate::domain::ModelOrigin) as it is written.
    #[serde(default)]
    pub models: BTreeMap<String, Asked<ModelAnswer>>,
}

impl UpdateMemory {
    /// What has not been asked for so long is forgotten: nothing here uses it any more.
    const KEPT: SignedDuration = SignedDuration::from_hours(60 * 24);

    /// Forgets what nobody has needed for sixty days.
    pub fn forget_old(&mut self, now: Timestamp) {
        self.images.retain(|_, asked| now.duration_since(asked.at) < Self::KEPT);
        self.models.retain(|_, asked| now.duration_since(asked.at) < Self::KEPT);
    }
}

/// One subject: when its registry was asked, and what it said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de>"))]
pub struct Asked<A = Answer> {
    /// The last attempt.
    pub at: Timestamp,
    /// It is not asked again before this.
    pub next: Timestamp,
    /// The last answer, however old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<A>,
    /// Why the last attempt failed; `None` after one that did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<RegistryFault>,
}

/// A registry's answer about one reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// When it was given.
    pub at: Timestamp,
    /// What the tag means there now, `sha256:…`.
    pub digest: String,
    /// When hostler saw it first.
    pub since: Timestamp,
    /// When it was built, where that was asked for and can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// Newer tags of the same scheme, the newest first, at most [`Answer::TAGS`].
    #[serde(default)]
    pub newer: Vec<SeenTag>,
    /// The list's own mark, to be asked for only if it has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags_etag: Option<String>,
}

impl Answer {
    /// The most newer tags that are kept.
    pub const TAGS: usize = 40;
}

/// A tag, and since when it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenTag {
    /// The tag.
    pub tag: String,
    /// When hostler saw it first.
    pub since: Timestamp,
    /// When its image was built, where that was asked for and can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
}

/// Why a registry gave no answer that could be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryFault {
    /// Its kind.
    pub kind: FaultKind,
    /// What happened, in a clause; names the registry.
    pub what: String,
    /// It asked to be left alone until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl fmt::Display for RegistryFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// There is no such tag or repository (any more).
    NotFound,
    /// It refuses: no credentials, wrong ones, or no right.
    Denied,
    /// Too much was asked.
    Limited,
    /// It cannot be reached: no such host, refused, silence.
    Unreachable,
    /// It failed itself (5xx).
    Server,
    /// It answered with something that is no answer of a registry.
    NotUnderstood,
}
