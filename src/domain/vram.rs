//! How much memory a model takes while it is served: weights, cache of keys and values, and what else an engine needs.
//!
//! `2 × layers × heads of keys and values × their length × context × parallel × bytes`, with the deviations that
//! [`ModelShape`] knows; buffers are an estimate by measure (llama.cpp: one batch of 512 tokens of activations and logits, and
//! the driver's own context).

use serde::Serialize;

use super::ModelShape;

/// Bits of a cached value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KvBits {
    /// As engines call it: `f16`, `q8_0`, `q4_0`, `fp8`.
    pub name: &'static str,
    /// Bits, scales and all.
    pub bits: f64,
}

/// The types of a cache that engines have, the largest first.
pub const KV_TYPES: [KvBits; 4] = [
    KvBits { name: "f16", bits: 16.0 },
    KvBits { name: "q8_0", bits: 8.5 },
    KvBits { name: "fp8", bits: 8.0 },
    KvBits { name: "q4_0", bits: 4.5 },
];

/// The type of a cache by the word of an engine's option (`--cache-type-k`, `--kv-cache-dtype`, `OLLAMA_KV_CACHE_TYPE`);
/// without one, and for `auto`, it is 16 bits.
pub fn kv_bits(word: Option<&str>) -> KvBits {
    let word = word.unwrap_or_default();
    let known = KV_TYPES.into_iter().find(|kind| word.eq_ignore_ascii_case(kind.name) || word.starts_with(kind.name));
    known.unwrap_or(KV_TYPES[0])
}

/// Memory of one model that is served, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryNeed {
    /// The weights.
    pub weights_bytes: u64,
    /// The cache of keys and values.
    pub kv_bytes: u64,
    /// Buffers of the engine and the driver's context: an estimate.
    pub other_bytes: u64,
}

/// What a driver's context takes on a card, bytes.
const CONTEXT: u64 = 350 << 20;

/// Tokens of a batch of which activations are kept (llama.cpp's `--ubatch-size`).
const BATCH: f64 = 512.0;

impl MemoryNeed {
    /// What a model with these weights and this shape takes for so many sequences of so many tokens each.
    pub fn of(weights_bytes: u64, shape: &ModelShape, tokens: u64, parallel: u64, kv: KvBits) -> Self {
        let kv_bytes = shape.kv_bytes(tokens, kv.bits) * parallel.max(1) as f64;
        let embedding = shape.embedding_length.unwrap_or(4096) as f64;
        // Activations of one batch: some ten vectors a token, in 32 bits.
        let buffers = BATCH * embedding * 4.0 * 10.0;
        Self { weights_bytes, kv_bytes: kv_bytes as u64, other_bytes: CONTEXT + buffers as u64 }
    }

    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.weights_bytes.saturating_add(self.kv_bytes).saturating_add(self.other_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::llama_8b;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_cache_is_known_by_the_words_of_every_engine() {
        let names = [None, Some("auto"), Some("f16"), Some("q8_0"), Some("fp8_e5m2"), Some("FP8"), Some("q4_0")];
        assert_eq!(names.map(|word| kv_bits(word).name), ["f16", "f16", "f16", "q8_0", "fp8", "fp8", "q4_0"]);
    }

    #[test]
    fn parallel_sequences_each_have_a_cache() {
        let weights = 49 * GIB / 10;
        let one = MemoryNeed::of(weights, &llama_8b(), 32_768, 1, kv_bits(None));
        assert_eq!((one.kv_bytes, one.total_bytes() / GIB), (4 * GIB, 9));
        assert_eq!(MemoryNeed::of(weights, &llama_8b(), 32_768, 4, kv_bits(None)).kv_bytes, 16 * GIB);
        assert_eq!(MemoryNeed::of(weights, &llama_8b(), 32_768, 1, kv_bits(Some("q8_0"))).kv_bytes, 17 * GIB / 8);
    }
}
