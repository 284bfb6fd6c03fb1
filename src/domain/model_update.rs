//! What was published of models: how each model on disk stands, and what there is of the families that are watched.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{FaultKind, Gpu, ModelOrigin, ModelStore, Reading, StoredModel, UpdateMemory, Why, fit};

/// What one look at what registries said about models gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ModelUpdateSample {
    /// What they answered: its part about models.
    pub memory: Arc<UpdateMemory>,
    /// The families that the config names.
    pub families: Arc<[ModelOrigin]>,
    /// Nobody is asked: the config says so.
    pub off: bool,
}

/// A registry's answer about one [`ModelOrigin`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelAnswer {
    /// When it was given.
    pub at: Timestamp,
    /// What there is: one of a single model, of an author the newest, at most [`ModelAnswer::RELEASES`].
    pub releases: Vec<ModelRelease>,
    /// Digests that it had before, the latest last, at most [`ModelAnswer::BEFORE`].
    #[serde(default)]
    pub before: Vec<String>,
}

impl ModelAnswer {
    /// The most releases that are kept.
    pub const RELEASES: usize = 20;
    /// The most earlier digests that are kept.
    pub const BEFORE: usize = 20;

    /// Whether the registry has these bytes, or had them when it was asked before.
    fn knows(&self, digest: &str) -> bool {
        self.releases.iter().filter_map(|release| release.digest.as_deref()).any(|known| known == digest)
            || self.before.iter().any(|known| known == digest)
    }
}

/// Something that was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelRelease {
    /// What it is called: `qwen3:latest`, or `org/name` at Hugging Face.
    pub name: String,
    /// What tells its content, as [`StoredModel::digest`] does; `None` where a list does not say it.
    #[serde(default)]
    pub digest: Option<String>,
    /// When it was published, where that is told.
    #[serde(default)]
    pub published: Option<Timestamp>,
    /// When hostler saw it first.
    pub since: Timestamp,
    /// Bytes of its weights, where they are told.
    #[serde(default)]
    pub weights_bytes: Option<u64>,
    /// Its parameters, where they are told.
    #[serde(default)]
    pub parameters: Option<u64>,
}

impl ModelRelease {
    /// When it appeared: when it was published, else when hostler saw it first.
    pub fn appeared(&self) -> Timestamp {
        self.published.unwrap_or(self.since)
    }

    /// Bytes that its weights take: as told, else parameters by bits, as far as its name says them.
    pub fn weights(&self) -> Reading<u64> {
        let estimate = || {
            let parameters = self.parameters.or_else(|| fit::parameters_by_name(&self.name))?;
            Some(fit::weights_bytes(parameters, fit::bits_by_name(&self.name)?))
        };
        let bytes = self.weights_bytes.or_else(estimate);
        bytes.map_or_else(|| Reading::Unavailable(Why::from("its name does not say how large it is")), Reading::Known)
    }
}

/// How a model on disk stands against what its publisher has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelUpdate {
    /// Its name, as its store calls it.
    pub name: String,
    /// How it is kept.
    pub store: ModelStore,
    /// How it stands; or why that cannot be told.
    pub standing: Reading<Standing>,
}

/// How a model stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is what its publisher has.
    Current,
    /// Its publisher has something newer.
    Newer {
        /// What tells its content, as [`StoredModel::digest`] does.
        digest: String,
        /// When it was published, where that is told.
        published: Option<Timestamp>,
    },
    /// It was made on this box: its registry never had it.
    MadeHere,
}

impl ModelUpdate {
    /// How `model` stands by what is known.
    pub fn of(model: &StoredModel, sample: &ModelUpdateSample) -> Self {
        let standing = standing(model, sample).map_or_else(Reading::Unavailable, Reading::Known);
        Self { name: model.name.clone(), store: model.store, standing }
    }
}

fn standing(model: &StoredModel, sample: &ModelUpdateSample) -> Result<Standing, Why> {
    let origin = ModelOrigin::of(model)?;
    if sample.off {
        return Err(Why::from("the config says that registries are not asked"));
    }
    let digest = model.digest.as_deref().ok_or(Why::from("its own digest is not known"))?;
    let asked = sample.memory.models.get(&origin.to_string()).ok_or(Why::WAITING)?;
    let known = asked.answer.as_ref();
    match (&asked.fault, known) {
        (Some(fault), known) if fault.kind == FaultKind::NotFound => {
            // What is in a cache of Hugging Face was there; and so was what was seen there.
            let was_there = model.store == ModelStore::HuggingFace || known.is_some_and(|known| known.knows(digest));
            if was_there { Err(Why::new(fault.what.clone())) } else { Ok(Standing::MadeHere) }
        }
        (Some(fault), _) => Err(Why::new(fault.what.clone())),
        (None, None) => Err(Why::WAITING),
        (None, Some(known)) => {
            let release = known.releases.first().ok_or(Why::from("nothing is published"))?;
            let theirs = release.digest.as_deref().ok_or(Why::from("its publisher tells no digest"))?;
            Ok(compare(model, digest, known, (release, theirs)))
        }
    }
}

fn compare(
    model: &StoredModel,
    digest: &str,
    known: &ModelAnswer,
    (release, theirs): (&ModelRelease, &str),
) -> Standing {
    if theirs == digest {
        return Standing::Current;
    }
    // Pulling writes the manifest: what was written after the registry's and is another one was not pulled.
    let written_later = matches!((model.modified, release.published), (Some(ours), Some(theirs)) if ours > theirs);
    if model.store == ModelStore::Ollama && written_later && !known.knows(digest) {
        return Standing::MadeHere;
    }
    Standing::Newer { digest: theirs.to_owned(), published: release.published }
}

/// A family that is watched, and what there is of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WatchedFamily {
    /// As the config names it.
    pub family: ModelOrigin,
    /// The address of its page; null at a registry that has none.
    pub page: Option<String>,
    /// When its publisher was asked last; null if never.
    pub asked: Option<Timestamp>,
    /// What there is, as its publisher lists it; or why that cannot be told.
    pub releases: Reading<Vec<WatchedRelease>>,
}

/// Something of a family that is watched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WatchedRelease {
    /// As it was published.
    #[serde(flatten)]
    pub release: ModelRelease,
    /// It appeared since the models were last reviewed; everything did if they never were.
    pub new: bool,
    /// Bytes that its weights take, estimated where they are not told.
    pub needs_bytes: Reading<u64>,
    /// Whether they fit the largest card of this box, without room for a context.
    pub fits: Reading<bool>,
    /// The address of its page.
    pub page: Option<String>,
}

impl WatchedFamily {
    /// What is known of `family`, with the models last reviewed at `reviewed`, on a box with these cards.
    pub fn of(
        family: &ModelOrigin,
        sample: &ModelUpdateSample,
        reviewed: Option<Timestamp>,
        cards: &Reading<&[Gpu]>,
    ) -> Self {
        let asked = sample.memory.models.get(&family.to_string());
        let releases = match asked.map(|asked| (&asked.fault, &asked.answer)) {
            _ if sample.off => Reading::Unavailable(Why::from("the config says that registries are not asked")),
            Some((Some(fault), _)) => Reading::Unavailable(Why::new(fault.what.clone())),
            Some((None, Some(answer))) => {
                let releases = answer.releases.iter();
                Reading::Known(releases.map(|release| WatchedRelease::of(release, family, reviewed, cards)).collect())
            }
            None | Some((None, None)) => Reading::Unavailable(Why::WAITING),
        };
        Self { family: family.clone(), page: family.page(), asked: asked.map(|asked| asked.at), releases }
    }
}

impl WatchedRelease {
    fn of(release: &ModelRelease, family: &ModelOrigin, reviewed: Option<Timestamp>, cards: &Reading<&[Gpu]>) -> Self {
        let needs_bytes = release.weights();
        let fits = match (&needs_bytes, cards) {
            (Reading::Known(bytes), Reading::Known(cards)) => fit::fits(*bytes, cards),
            (Reading::Unavailable(why), _) | (_, Reading::Unavailable(why)) => Reading::Unavailable(why.clone()),
        };
        let page = match family {
            ModelOrigin::Author(_) => ModelOrigin::HuggingFace(release.name.clone()).page(),
            ModelOrigin::Ollama(_) | ModelOrigin::HuggingFace(_) => family.page(),
        };
        let new = reviewed.is_none_or(|reviewed| release.appeared() > reviewed);
        Self { release: release.clone(), new, needs_bytes, fits, page }
    }
}

#[cfg(test)]
mod tests;
