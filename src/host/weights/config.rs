//! The `config.json` that lies beside safetensors (transformers: `configuration_utils.py`, and the models' own keys).

use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use super::{WeightsError, foreign_word};
use crate::domain::{ModelShape, PerLayer};
use crate::host::RootedFs;

/// The largest such file that is read, bytes.
const MOST_BYTES: u64 = 1 << 20;

/// What it says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HubConfig {
    /// The model's type, such as `qwen3`.
    pub architecture: Option<String>,
    /// How it is quantized, such as `awq 4-bit`; `None` where it is not.
    pub quantization: Option<String>,
    /// Bits of one packed parameter.
    pub quantized_bits: Option<u32>,
    /// Its shape.
    pub shape: Option<ModelShape>,
}

impl HubConfig {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or is no JSON.
    pub fn read(fs: &RootedFs, path: &Path) -> Result<Self, WeightsError> {
        let mut text = Vec::new();
        let (file, _) = fs.open_unnoticed(path)?;
        file.take(MOST_BYTES).read_to_end(&mut text)?;
        let json = serde_json::from_slice(&text).map_err(|_| WeightsError::Damaged("it is no JSON"))?;
        Ok(Self::of(&json))
    }

    fn of(json: &Value) -> Self {
        let word = |value: &Value| value.as_str().map(foreign_word).filter(|word| !word.is_empty());
        let quantized = &json["quantization_config"];
        let method = word(&quantized["quant_method"]);
        let bits = bits(quantized, method.as_deref());
        // Of a model that also sees or hears, the part that speaks counts.
        let text = if json["text_config"].is_object() { &json["text_config"] } else { json };
        Self {
            architecture: word(&json["model_type"]),
            quantization: method.map(|method| match bits {
                Some(bits) => format!("{method} {bits}-bit"),
                None => method,
            }),
            quantized_bits: bits,
            shape: shape(text),
        }
    }
}

fn small(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// Bits of one parameter, as each method writes them.
fn bits(quantized: &Value, method: Option<&str>) -> Option<u32> {
    let flag = |key: &str| quantized[key].as_bool() == Some(true);
    let told = small(&quantized["bits"]).or_else(|| {
        let groups = quantized["config_groups"].as_object()?;
        groups.values().find_map(|group| small(&group["weights"]["num_bits"]))
    });
    let known = || match method? {
        "bitsandbytes" if flag("load_in_4bit") || flag("_load_in_4bit") => Some(4),
        "bitsandbytes" | "fp8" | "fbgemm_fp8" => Some(8),
        "mxfp4" => Some(4),
        _ => None,
    };
    told.or_else(known).filter(|bits| (1..=32).contains(bits))
}

fn shape(json: &Value) -> Option<ModelShape> {
    let block_count = small(&json["num_hidden_layers"]).filter(|count| *count <= ModelShape::MOST_LAYERS)?;
    let heads = small(&json["num_attention_heads"]).filter(|heads| *heads > 0)?;
    let embedding_length = json["hidden_size"].as_u64();
    let key_length = small(&json["head_dim"]).or_else(|| u32::try_from(embedding_length? / u64::from(heads)).ok())?;
    let latent = || small(&json["kv_lora_rank"])?.checked_add(small(&json["qk_rope_head_dim"])?);
    let types = json["layer_types"].as_array().filter(|types| types.len() == block_count as usize);
    let is = |kind: &Value, name: &str| kind.as_str() == Some(name);
    let kv = small(&json["num_key_value_heads"]).unwrap_or(heads);
    let window = json["sliding_window"].as_u64().filter(|window| {
        // Qwen writes a window that is not used.
        *window > 0 && json["use_sliding_window"].as_bool() != Some(false)
    });
    let experts = ["num_local_experts", "n_routed_experts", "num_experts"].iter().find_map(|key| small(&json[*key]));
    Some(ModelShape {
        context_length: json["max_position_embeddings"].as_u64(),
        embedding_length,
        block_count,
        head_count_kv: match types {
            // Layers with linear attention keep a state of constant size.
            Some(types) if types.iter().any(|kind| is(kind, "linear_attention")) => {
                PerLayer::Each(types.iter().map(|kind| if is(kind, "linear_attention") { 0 } else { kv }).collect())
            }
            _ => PerLayer::Same(kv),
        },
        key_length,
        value_length: small(&json["v_head_dim"]).unwrap_or(key_length),
        sliding_window: window,
        windowed: match types {
            Some(types) if window.is_some() => {
                PerLayer::Each(types.iter().map(|kind| is(kind, "sliding_attention")).collect())
            }
            _ => PerLayer::Same(false),
        },
        latent_length: latent(),
        expert_count: experts.filter(|count| *count > 0),
        expert_used_count: small(&json["num_experts_per_tok"]),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn llama() -> Value {
        json!({
            "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "max_position_embeddings": 131_072,
        })
    }

    #[test]
    fn llama_3_1_8b_is_told_by_its_config() {
        let config = HubConfig::of(&llama());
        let shape = config.shape.unwrap();
        assert!((shape.kv_bytes_per_token(16.0) - 131_072.0).abs() < 0.5);
        assert_eq!((config.architecture.as_deref(), config.quantization), (Some("llama"), None));
        assert_eq!((shape.key_length, shape.context_length), (128, Some(131_072)));
    }

    #[test]
    fn methods_tell_their_bits_in_ways_of_their_own() {
        let quantized = |config: Value| {
            let mut json = llama();
            json["quantization_config"] = config;
            let config = HubConfig::of(&json);
            (config.quantization, config.quantized_bits)
        };
        let named = |name: &str, bits| (Some(name.to_owned()), bits);
        assert_eq!(quantized(json!({"quant_method": "awq", "bits": 4})), named("awq 4-bit", Some(4)));
        let groups =
            json!({"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 8}}}});
        assert_eq!(quantized(groups), named("compressed-tensors 8-bit", Some(8)));
        let four = json!({"quant_method": "bitsandbytes", "load_in_4bit": true});
        assert_eq!(quantized(four), named("bitsandbytes 4-bit", Some(4)));
        assert_eq!(quantized(json!({"quant_method": "new"})), named("new", None));
        assert_eq!(quantized(json!({"quant_method": "gptq", "bits": 0})), named("gptq", None));
    }

    #[test]
    fn windows_count_where_they_are_used() {
        let mut json = llama();
        json["sliding_window"] = json!(4096);
        json["use_sliding_window"] = json!(false);
        assert_eq!(HubConfig::of(&json).shape.unwrap().sliding_window, None);
        json["use_sliding_window"] = json!(true);
        let kinds: Vec<&str> =
            (0..32).map(|layer| if layer % 2 == 0 { "sliding_attention" } else { "full_attention" }).collect();
        json["layer_types"] = json!(kinds);
        let shape = HubConfig::of(&json!({"model_type": "x", "text_config": json})).shape.unwrap();
        assert_eq!((shape.sliding_window, shape.windowed.of(0), shape.windowed.of(1)), (Some(4096), true, false));
    }

    #[test]
    fn nonsense_is_no_shape() {
        for json in [json!({}), json!([1]), json!({"num_hidden_layers": 1e300, "num_attention_heads": "8"})] {
            assert_eq!(HubConfig::of(&json).shape, None);
        }
        let mut json = llama();
        json["num_attention_heads"] = json!(0);
        assert_eq!(HubConfig::of(&json).shape, None);
    }
}
