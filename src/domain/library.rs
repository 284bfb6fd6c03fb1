//! The models on disk: what each store holds, what it would give back, and what is wrong there.
//!
//! A *store* is a program's way to keep models: Ollama's manifests and blobs, the cache of Hugging Face, a folder of files.
//! A *place* is one such store on this machine. Bytes are those that files take on disk, each file once.

mod leftovers;
mod shape;

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Reading;

pub use leftovers::{Leftover, Leftovers};
pub use shape::{ModelShape, PerLayer};

/// Every model on disk, and where they lie.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LibrarySample {
    /// By store and name.
    pub models: Vec<StoredModel>,
    /// By path.
    pub places: Vec<LibraryPlace>,
    /// Files of which more than their size had to be read this time; the rest was known from the time before.
    pub files_read: usize,
    /// Headers are still being read: names and sizes are known, and are not held back.
    pub reads_on: bool,
}

impl LibrarySample {
    /// Bytes that all places take on disk, bytes of models or not.
    pub fn total_bytes(&self) -> u64 {
        self.places.iter().map(|place| place.total_bytes).sum()
    }
}

/// How models are kept.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ModelStore {
    /// Manifests over blobs (Ollama: `manifest/manifest.go`).
    Ollama,
    /// The cache of the Hugging Face hub (`huggingface_hub`: `docs/source/en/guides/manage-cache.md`).
    HuggingFace,
    /// Files as somebody put them there.
    Folder,
}

impl ModelStore {
    /// Its name on screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::HuggingFace => "Hugging Face",
            Self::Folder => "folder",
        }
    }
}

/// One model on disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredModel {
    /// As its store calls it: `qwen3:32b`, `org/name`, or the path below the folder.
    pub name: String,
    /// How it is kept.
    pub store: ModelStore,
    /// The place that holds it: a path of [`LibrarySample::places`].
    pub place: String,
    /// Its manifest, snapshot, folder or first file.
    pub path: String,
    /// What its weights say of themselves; or why that is not known.
    pub weights: Reading<Weights>,
    /// Its family: what the header says (`llama`), else what its name says.
    pub family: Option<String>,
    /// Its version: what its name says by the naming convention, else what the header says.
    pub version: Option<String>,
    /// Bytes of all its files, as its store counts them; shared ones too.
    pub size_bytes: u64,
    /// Bytes that would be free if it alone went: what others need stays.
    pub own_bytes: u64,
    /// What tells its content: the SHA-256 of an Ollama manifest, the commit of a Hugging Face snapshot.
    pub digest: Option<String>,
    /// The blobs that it is made of, by the name that its store gives them; empty in a folder.
    pub blobs: Vec<String>,
    /// When its weights, or its manifest, were written last.
    pub modified: Option<Timestamp>,
    /// When its weights were read last, as the file system remembers it: up to a day late with `relatime`.
    pub last_used: Reading<Timestamp>,
    /// The model that it is another name of: where a symbolic link of a folder leads.
    pub alias_of: Option<String>,
    /// Other names of the same bytes: Ollama's on the same digest, links of a folder that lead here.
    pub also_named: Vec<String>,
    /// Whether its name follows the naming convention, and what it says by it; `None` where there is no convention.
    pub naming: Option<Naming>,
    /// Where it comes from, if it was fine-tuned here.
    pub tuned: Option<Tuned>,
    /// What is wrong with it, so that it cannot be served.
    pub damage: Option<String>,
}

/// What a name says by the naming convention of the config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Naming {
    /// It follows it: the named groups and what stands for them, such as `version` and `v2`.
    Follows(BTreeMap<String, String>),
    /// It does not.
    Breaks,
}

/// What is known of a model that was fine-tuned here: from the file beside its weights, or the config.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tuned {
    /// The model that it was made from.
    pub base: Option<String>,
    /// The day of its training.
    pub trained_at: Option<Date>,
    /// What it was trained on.
    pub corpus: Option<String>,
    /// Days after which it is to be trained anew.
    pub retrain_days: u32,
}

impl Tuned {
    /// The day on which it is to be trained anew; `None` if nobody wrote down when it was trained.
    pub fn retrain_due(&self) -> Option<Date> {
        self.trained_at?.checked_add(SignedDuration::from_hours(24 * i64::from(self.retrain_days))).ok()
    }
}

/// The format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum WeightsFormat {
    /// llama.cpp's (ggml: `docs/gguf.md`).
    Gguf,
    /// Hugging Face's (safetensors: `README.md`).
    Safetensors,
}

/// What the headers of weights say: of one file, or of all files of one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weights {
    /// Their format.
    pub format: WeightsFormat,
    /// The architecture, such as `llama`.
    pub architecture: Option<String>,
    /// The name that the makers gave.
    pub name: Option<String>,
    /// The version that the makers gave.
    pub version: Option<String>,
    /// Parameters, counted from the tensors.
    pub parameters: Reading<u64>,
    /// The quantization in a word, such as `Q4_K_M`, `BF16` or `awq 4-bit`.
    pub quantization: Option<String>,
    /// Bits that one parameter really takes, scales and all.
    pub bits_per_weight: Reading<f64>,
    /// Bytes of the tensors.
    pub tensor_bytes: u64,
    /// What memory arithmetic needs to know; `None` where the headers do not say it.
    pub shape: Option<ModelShape>,
}

/// One store on this machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LibraryPlace {
    /// Its folder.
    pub path: String,
    /// How models are kept there.
    pub store: ModelStore,
    /// Why it is looked at: `the config names it`.
    pub because: String,
    /// The mount point of the volume that it lies on, as the volumes are called.
    pub volume: Reading<String>,
    /// Bytes that all of its files take on disk.
    pub total_bytes: u64,
    /// Blobs that no manifest and no snapshot names; or why that cannot be told.
    pub orphans: Reading<Leftovers>,
    /// Downloads that were not finished.
    pub partial: Leftovers,
    /// What its programs keep to fetch faster, and fetch again where it is gone: Hugging Face's pieces of files (`xet`).
    pub pieces: Leftovers,
    /// Tokens in plain text that belong to this store.
    pub secrets: Vec<SecretFile>,
    /// What could not be read, or is not as it should be.
    pub problems: Vec<LibraryProblem>,
}

impl LibraryPlace {
    /// Whether this user may not look into it at all.
    pub fn is_closed(&self) -> bool {
        self.problems.iter().any(|it| it.kind == LibraryProblemKind::Denied && it.path == self.path)
    }
}

/// A file with a token in plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretFile {
    /// Where it lies.
    pub path: String,
    /// Its permission bits, such as `0o644`; in JSON `"0644"`.
    #[serde(serialize_with = "octal")]
    pub mode: u32,
    /// Whether users beside its owner can read it: by its own bits, and because they may enter its folders.
    pub others_can_read: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands on a reference")]
fn octal<S: serde::Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{mode:04o}"))
}

/// Something in a place that needs words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryProblem {
    /// What kind it is.
    pub kind: LibraryProblemKind,
    /// Which file or folder.
    pub path: String,
    /// What is so, as a clause.
    pub what: String,
    /// What can be done about it, if anything.
    pub remedy: Option<String>,
}

/// Kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LibraryProblemKind {
    /// This user may not read it.
    Denied,
    /// It is there and not as it should be.
    Broken,
    /// It is left out on purpose: a link that leads away, a name that is none.
    Skipped,
}

impl fmt::Display for LibraryProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}
