//! The headers of files with weights: what a model is, without reading what it knows.
//!
//! Such files come from anywhere, so every length in them is taken as a claim: it is held against the size of the file, texts
//! are bounded and stripped, lists that are not needed are passed over, and no more than [`MOST_READ_BYTES`] of a file is
//! read. Nothing here needs more memory than some MiB, whatever the file says.

mod config;
mod gguf;
mod safetensors;

use std::io::{self, Read, Seek};
use std::path::Path;

use crate::domain::{ModelShape, Reading, Weights, WeightsFormat, Why, units};
use crate::host::{RootedFs, foreign};

pub use config::HubConfig;

/// The most that is read of one file, bytes: the words of the largest vocabularies take some 15 MiB.
pub const MOST_READ_BYTES: u64 = 32 << 20;

/// Why a header cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Nobody has read it yet.
    #[error("is not read yet")]
    Waiting,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Unread(io::ErrorKind),
    /// It does not begin as such files do.
    #[error("is no {} file", Into::<&str>::into(*.0))]
    Other(WeightsFormat),
    /// It is of a version that is not read here.
    #[error("{0}, which hostler does not read")]
    Version(String),
    /// It ends before what it says it has.
    #[error("is cut short: {} of at least {} are there", units::bytes(*.has), units::bytes(*.needs))]
    CutShort {
        /// Bytes that it would have to have.
        needs: u64,
        /// Bytes that it has.
        has: u64,
    },
    /// What it says of itself cannot be.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
}

impl From<io::Error> for WeightsError {
    fn from(error: io::Error) -> Self {
        Self::Unread(error.kind())
    }
}

/// What the header of one file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Its format.
    pub format: WeightsFormat,
    /// The architecture, such as `llama`.
    pub architecture: Option<String>,
    /// The name that the makers gave.
    pub name: Option<String>,
    /// The version that the makers gave.
    pub version: Option<String>,
    /// The quantization in a word.
    pub quantization: Option<String>,
    /// Parameters that have a place of their own in a tensor.
    pub parameters: u64,
    /// Bits of tensors in which several parameters share an integer: how many, only `config.json` tells.
    pub packed_bits: u64,
    /// Bytes of all tensors.
    pub tensor_bytes: u64,
    /// Where the last tensor ends: the least size of the whole file, bytes.
    pub ends_at: u64,
    /// How many files the model has, where this one is a part.
    pub parts: Option<u32>,
    /// The shape, where this file tells it.
    pub shape: Option<ModelShape>,
}

/// Reads the header of the file at `path`. The second value is whether the file system did not take it for a use.
///
/// # Errors
/// When it cannot be opened, is no such file, or says what cannot be.
pub fn read(fs: &RootedFs, path: &Path, format: WeightsFormat) -> Result<(Header, bool), WeightsError> {
    let (file, unnoticed) = fs.open_unnoticed(path)?;
    let size = file.metadata()?.len();
    Ok((header(file, size, format)?, unnoticed))
}

fn header(file: impl Read + Seek, size: u64, format: WeightsFormat) -> Result<Header, WeightsError> {
    match format {
        WeightsFormat::Gguf => gguf::header(file, size),
        WeightsFormat::Safetensors => safetensors::header(file, size),
    }
}

/// What the headers of all files of a model say together, with the `config.json` beside them. `None` without a header.
pub fn join(headers: &[&Header], config: Option<&HubConfig>) -> Option<Weights> {
    let first = headers.first()?;
    let sum = |of: fn(&Header) -> u64| headers.iter().fold(0_u64, |sum, header| sum.saturating_add(of(header)));
    let found = |of: fn(&Header) -> &Option<String>| headers.iter().find_map(|header| of(header).clone());
    let (tensor_bytes, packed_bits) = (sum(|header| header.tensor_bytes), sum(|header| header.packed_bits));
    let parameters = match (packed_bits, config.and_then(|config| config.quantized_bits)) {
        (0, _) => Reading::Known(sum(|header| header.parameters)),
        (packed, Some(bits)) => Reading::Known(sum(|header| header.parameters) + packed / u64::from(bits)),
        (_, None) => Reading::Unavailable(Why::from("several share an integer, and no config.json says how many")),
    };
    let bits_per_weight = match parameters {
        Reading::Known(0) => Reading::Unavailable(Why::from("it has no tensors")),
        ref count => count.clone().map(|count| tensor_bytes as f64 * 8.0 / count as f64),
    };
    Some(Weights {
        format: first.format,
        architecture: found(|header| &header.architecture).or_else(|| config?.architecture.clone()),
        name: found(|header| &header.name),
        version: found(|header| &header.version),
        quantization: config.and_then(|config| config.quantization.clone()).or_else(|| found(|it| &it.quantization)),
        parameters,
        bits_per_weight,
        tensor_bytes,
        shape: headers.iter().find_map(|header| header.shape.clone()).or_else(|| config?.shape.clone()),
    })
}

/// A word that a file says of itself, as one that can be shown.
fn foreign_word(text: &str) -> String {
    foreign::clean(text, 64).into_owned()
}
