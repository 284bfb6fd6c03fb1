//! What the arithmetic of memory needs to know of a model: layers, heads, lengths.

use serde::Serialize;

/// A value that is the same in every layer, or has one for each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PerLayer<T> {
    /// In every layer.
    Same(T),
    /// Layer by layer.
    Each(Vec<T>),
}

impl<T: Copy + Default> PerLayer<T> {
    /// The value of one layer; the default of the type beyond the last one.
    pub fn of(&self, layer: usize) -> T {
        match self {
            Self::Same(value) => *value,
            Self::Each(values) => values.get(layer).copied().unwrap_or_default(),
        }
    }
}

/// The shape of a transformer, as its header or `config.json` tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelShape {
    /// Tokens of context that it was trained for.
    pub context_length: Option<u64>,
    /// Values of one token's embedding.
    pub embedding_length: Option<u64>,
    /// Layers (GGUF: blocks), at most [`ModelShape::MOST_LAYERS`].
    pub block_count: u32,
    /// Heads whose keys and values are cached, by layer; 0 in layers without attention.
    pub head_count_kv: PerLayer<u32>,
    /// Values of one head's key.
    pub key_length: u32,
    /// Values of one head's value.
    pub value_length: u32,
    /// Tokens that layers with a sliding window look back on.
    pub sliding_window: Option<u64>,
    /// Which layers look back no further than the window. A layer of which that is not told counts as one that looks
    /// back on everything.
    pub windowed: PerLayer<bool>,
    /// Values that multi-head latent attention (DeepSeek) caches a layer and token, in place of keys and values.
    pub latent_length: Option<u32>,
    /// Experts in each layer; `None` in a dense model.
    pub expert_count: Option<u32>,
    /// Experts that work on one token.
    pub expert_used_count: Option<u32>,
}

impl ModelShape {
    /// The most layers that are believed; the largest models have some 130.
    pub const MOST_LAYERS: u32 = 4096;

    /// Bytes that the cache of keys and values grows by with each token, as long as every layer keeps it, where a value
    /// takes so many bits: 16 for f16, 8.5 for `q8_0`, 4.5 for `q4_0`.
    pub fn kv_bytes_per_token(&self, bits: f64) -> f64 {
        (0..self.block_count as usize).map(|layer| self.values_of(layer) as f64).sum::<f64>() * bits / 8.0
    }

    /// Bytes of the cache of keys and values for one sequence of so many tokens: layers with a sliding window keep no
    /// more than that.
    pub fn kv_bytes(&self, tokens: u64, bits: f64) -> f64 {
        let kept = |layer| match self.sliding_window.filter(|_| self.windowed.of(layer)) {
            Some(window) => tokens.min(window),
            None => tokens,
        };
        let values = (0..self.block_count as usize).map(|layer| self.values_of(layer) as f64 * kept(layer) as f64);
        values.sum::<f64>() * bits / 8.0
    }

    /// Values that one layer caches for one token.
    fn values_of(&self, layer: usize) -> u64 {
        let heads = u64::from(self.head_count_kv.of(layer));
        match self.latent_length {
            Some(latent) if heads > 0 => u64::from(latent),
            _ => heads * (u64::from(self.key_length) + u64::from(self.value_length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::llama_8b;

    #[track_caller]
    fn same(found: f64, expected: f64) {
        assert!((found - expected).abs() < 0.5, "{found} instead of {expected}");
    }

    #[test]
    fn llama_3_1_8b_takes_128_kib_a_token() {
        let shape = llama_8b();
        same(shape.kv_bytes_per_token(16.0), 131_072.0);
        same(shape.kv_bytes_per_token(8.5), 69_632.0);
        same(shape.kv_bytes(32_768, 16.0), f64::from(1 << 30) * 4.0);
    }

    #[test]
    fn layers_differ_in_heads_and_in_how_far_they_look_back() {
        let heads = PerLayer::Each((0..32).map(|layer| if layer % 4 == 3 { 8 } else { 0 }).collect());
        same(ModelShape { head_count_kv: heads, ..llama_8b() }.kv_bytes_per_token(16.0), 32_768.0);

        let windowed = PerLayer::Each((0..32).map(|layer| layer % 2 == 0).collect());
        let gpt = ModelShape { sliding_window: Some(128), windowed, ..llama_8b() };
        same(gpt.kv_bytes(128, 16.0), 131_072.0 * 128.0);
        same(gpt.kv_bytes(8192, 16.0), 65_536.0 * (8192.0 + 128.0));
    }

    #[test]
    fn latent_attention_caches_one_vector() {
        let deepseek = ModelShape {
            block_count: 61,
            head_count_kv: PerLayer::Same(128),
            key_length: 192,
            latent_length: Some(512 + 64),
            ..llama_8b()
        };
        same(deepseek.kv_bytes_per_token(16.0), 61.0 * 576.0 * 2.0);
    }

    #[test]
    fn layers_beyond_those_that_are_told_have_nothing() {
        assert_eq!(PerLayer::Each(vec![3_u32, 4]).of(2), 0);
        assert_eq!(PerLayer::Same(3_u32).of(900), 3);
    }
}
