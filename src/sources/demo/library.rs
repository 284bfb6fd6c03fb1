//! The models on the disk of the made-up box.

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    Leftovers, LibraryPlace, LibrarySample, ModelShape, ModelStore, PerLayer, Reading, StoredModel, Weights,
    WeightsFormat, Why,
};

/// How the source tells it.
pub(super) const DETAIL: &str = "5 models, 49.6 GiB in 2 places";

const MIB: u64 = 1 << 20;
/// Bytes of a download that was not finished.
const LEFT_OVER: u64 = 512 * MIB;
const OLLAMA: &str = "/usr/share/ollama/.ollama/models";
const FOLDER: &str = "/models";

/// A made-up model: its name, its place, architecture, millions of parameters, quantization, MiB, layers, days since its use.
type Made = (&'static str, &'static str, &'static str, u64, &'static str, u64, u32, i64);

const MODELS: &[Made] = &[
    ("deepseek-r1:32b", OLLAMA, "qwen2", 32_764, "Q4_K_M", 18_926, 64, 41),
    ("llama3.1:8b", OLLAMA, "llama", 8030, "Q4_K_M", 4693, 32, 12),
    ("qwen3-32b:q4_K_M", OLLAMA, "qwen3", 32_762, "Q4_K_M", 18_841, 64, 0),
    ("bge-m3-f16.gguf", FOLDER, "bert", 567, "F16", 1104, 24, 0),
    ("llama-3.3-8b-v4-awq", FOLDER, "llama", 8030, "awq 4-bit", 5464, 32, 0),
];

/// The library at `now`.
pub(super) fn sample(now: Timestamp) -> LibrarySample {
    let models: Vec<StoredModel> = MODELS.iter().map(|made| model(made, now)).collect();
    let place = |path: &str, because: &str, orphans| {
        let of_place = models.iter().filter(|model| model.place == path);
        LibraryPlace {
            path: path.to_owned(),
            store: if path == OLLAMA { ModelStore::Ollama } else { ModelStore::Folder },
            because: because.to_owned(),
            volume: Reading::Known("/models".to_owned()),
            total_bytes: of_place.map(|model| model.size_bytes).sum::<u64>() + LEFT_OVER,
            orphans,
            pieces: Leftovers::default(),
            partial: Leftovers { bytes: LEFT_OVER, count: 1, ..Leftovers::default() },
            secrets: Vec::new(),
            problems: Vec::new(),
        }
    };
    let untold = Reading::Unavailable(Why::from("in a folder nothing tells what is needed"));
    let places = vec![
        place(FOLDER, "the config names it", untold),
        place(OLLAMA, "Ollama's service keeps them there", Reading::Known(Leftovers::default())),
    ];
    LibrarySample { models, places, files_read: 0, reads_on: false }
}

fn model(made: &Made, now: Timestamp) -> StoredModel {
    let &(name, place, architecture, millions, quantization, mib, layers, days) = made;
    let ago = |days: i64| now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(now);
    let (parameters, tensor_bytes) = (millions * 1_000_000, mib * MIB);
    let gguf = !quantization.starts_with("awq");
    let weights = Weights {
        format: if gguf { WeightsFormat::Gguf } else { WeightsFormat::Safetensors },
        architecture: Some(architecture.to_owned()),
        name: None,
        version: None,
        parameters: Reading::Known(parameters),
        quantization: Some(quantization.to_owned()),
        bits_per_weight: Reading::Known(tensor_bytes as f64 * 8.0 / parameters as f64),
        tensor_bytes,
        shape: Some(shape(layers)),
    };
    let path = match name.split_once(':').filter(|_| place == OLLAMA) {
        Some((name, tag)) => format!("{place}/manifests/registry.ollama.ai/library/{name}/{tag}"),
        None => format!("{place}/{name}"),
    };
    StoredModel {
        name: name.to_owned(),
        store: if place == OLLAMA { ModelStore::Ollama } else { ModelStore::Folder },
        place: place.to_owned(),
        path,
        weights: Reading::Known(weights),
        family: Some(architecture.to_owned()),
        version: None,
        size_bytes: tensor_bytes,
        own_bytes: tensor_bytes,
        digest: (place == OLLAMA).then(|| digest(name)),
        blobs: Vec::new(),
        modified: Some(ago(60)),
        last_used: Reading::Known(ago(days)),
        alias_of: None,
        also_named: Vec::new(),
        naming: None,
        tuned: None,
        damage: None,
    }
}

/// A digest that belongs to this text.
pub(super) fn digest(of: &str) -> String {
    super::containers::id(of).0.to_string()
}

fn shape(layers: u32) -> ModelShape {
    ModelShape {
        context_length: Some(40_960),
        embedding_length: Some(5120),
        block_count: layers,
        head_count_kv: PerLayer::Same(8),
        key_length: 128,
        value_length: 128,
        sliding_window: None,
        windowed: PerLayer::Same(false),
        latent_length: None,
        expert_count: None,
        expert_used_count: None,
    }
}
