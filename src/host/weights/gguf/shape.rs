//! The shape of a model from the keys of its architecture.

use super::{Value, Values};
use crate::domain::{ModelShape, PerLayer};

/// The shape; `None` where the header does not tell layers and heads.
pub(super) fn shape(values: &Values) -> Option<ModelShape> {
    let architecture = values.text("general.architecture")?;
    let number = |key: &str| values.number(&format!("{architecture}.{key}"));
    let small = |key: &str| number(key).and_then(|number| u32::try_from(number).ok());
    let by_layer = |key: &str| per_layer(values.0.get(&format!("{architecture}.{key}"))?);

    let block_count = small("block_count").filter(|count| *count <= ModelShape::MOST_LAYERS)?;
    let heads = by_layer("attention.head_count")?;
    let embedding_length = number("embedding_length");
    let most_heads = (0..block_count as usize).map(|layer| heads.of(layer)).max().filter(|heads| *heads > 0);
    // Where the lengths are not told they are what is left of the embedding for each head.
    let of_embedding = || u32::try_from(embedding_length? / u64::from(most_heads?)).ok();
    let key_length = small("attention.key_length").or_else(of_embedding)?;
    let sliding_window = number("attention.sliding_window").filter(|window| *window > 0);
    Some(ModelShape {
        context_length: number("context_length"),
        embedding_length,
        block_count,
        head_count_kv: by_layer("attention.head_count_kv").unwrap_or(heads),
        key_length,
        value_length: small("attention.value_length").or_else(of_embedding).unwrap_or(key_length),
        sliding_window,
        windowed: match sliding_window {
            Some(_) => windowed(architecture, values, block_count),
            None => PerLayer::Same(false),
        },
        // The heads are then written as one, of which keys and values are views.
        latent_length: small("attention.key_length_mla").map(|_| key_length),
        expert_count: small("expert_count").filter(|count| *count > 0),
        expert_used_count: small("expert_used_count").filter(|count| *count > 0),
    })
}

fn per_layer(value: &Value) -> Option<PerLayer<u32>> {
    let small = |number: &u64| u32::try_from(*number).ok();
    match value {
        Value::Number(number) => small(number).map(PerLayer::Same),
        Value::Numbers(numbers) => numbers.iter().map(small).collect::<Option<_>>().map(PerLayer::Each),
        Value::Text(_) => None,
    }
}

/// Which layers have a sliding window: as the header says, else as llama.cpp knows of the architecture. Of every `n` layers
/// the last one looks back on everything.
fn windowed(architecture: &str, values: &Values, layers: u32) -> PerLayer<bool> {
    let told = values.0.get(&format!("{architecture}.attention.sliding_window_pattern"));
    let period = match told {
        Some(Value::Numbers(pattern)) => {
            return PerLayer::Each(pattern.iter().map(|windowed| *windowed != 0).collect());
        }
        Some(Value::Number(period)) => *period,
        _ => match architecture {
            "gemma2" | "gpt-oss" => 2,
            "cohere2" | "exaone4" => 4,
            "gemma3" => 6,
            _ => 0,
        },
    };
    match period {
        0 | 1 => PerLayer::Same(false),
        period => PerLayer::Each((0..u64::from(layers)).map(|layer| layer % period < period - 1).collect()),
    }
}
