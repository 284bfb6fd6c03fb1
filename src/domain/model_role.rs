//! What a model is for, as far as its name or its header tells.

use serde::Serialize;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ModelRole {
    /// It orders what was found by how well it answers.
    Rerank,
    /// It turns texts into vectors.
    Embed,
    /// It hears or speaks.
    Speech,
    /// It draws.
    Image,
    /// It sees, and writes about it.
    Vision,
    /// It writes programs.
    Code,
    /// It was trained to be spoken with.
    Chat,
    /// It writes; whether it was trained for more is not told.
    Text,
}

/// What in a name tells a role: whole words of it, or parts of words; the first line that fits holds.
const NAMES: &[(ModelRole, &[&str], &[&str])] = &[
    (ModelRole::Rerank, &[], &["rerank", "cross-encoder", "crossencoder"]),
    (ModelRole::Embed, &["bge", "e5", "gte", "sbert"], &["embed", "minilm", "sentence-"]),
    (ModelRole::Speech, &["tts", "asr", "speech"], &["whisper", "parakeet", "kokoro"]),
    (ModelRole::Image, &["sdxl", "flux"], &["stable-diffusion", "qwen-image"]),
    (ModelRole::Vision, &["vl", "vision", "vlm"], &["llava", "pixtral", "internvl", "minicpm-v", "moondream"]),
    (ModelRole::Code, &["code", "coder"], &["starcoder", "codestral", "codellama", "codegemma", "devstral", "coder"]),
    (ModelRole::Chat, &["chat", "instruct", "it", "assistant"], &[]),
];

/// What in an architecture, as headers name it, tells a role (llama.cpp: `gguf-py/gguf/constants.py`; `transformers`:
/// `model_type`).
const ARCHITECTURES: &[(ModelRole, &[&str])] = &[
    (ModelRole::Embed, &["bert", "t5encoder"]),
    (ModelRole::Speech, &["whisper", "wavtokenizer"]),
    (
        ModelRole::Vision,
        &["mllama", "qwen2vl", "qwen2_vl", "qwen3vl", "qwen3_vl", "llava", "clip", "idefics", "paligemma"],
    ),
    (
        ModelRole::Text,
        &[
            "llama",
            "qwen",
            "gemma",
            "mistral",
            "mixtral",
            "phi",
            "deepseek",
            "gpt",
            "granite",
            "command",
            "cohere",
            "falcon",
            "smollm",
            "olmo",
            "glm",
            "mamba",
            "starcoder",
            "minimax",
            "kimi",
            "nemotron",
            "exaone",
        ],
    ),
];

impl ModelRole {
    /// What a model of this name and architecture is for; `None` where neither tells.
    pub fn of(name: &str, architecture: Option<&str>) -> Option<Self> {
        let (name, architecture) = (name.to_lowercase(), architecture.unwrap_or_default().to_lowercase());
        let words = || name.split(|sign: char| !sign.is_ascii_alphanumeric());
        let by_name = NAMES.iter().find(|(_, whole, parts)| {
            words().any(|word| whole.contains(&word)) || parts.iter().any(|part| name.contains(part))
        });
        let by_name = by_name.map(|(role, ..)| *role);
        let by_header = ARCHITECTURES.iter().find(|(_, known)| known.iter().any(|known| architecture.contains(known)));
        match (by_name, by_header.map(|(role, _)| *role)) {
            // A name that only says that one speaks with it says less than a header that sees or embeds.
            (None | Some(Self::Chat), Some(header)) if header != Self::Text => Some(header),
            (Some(role), _) => Some(role),
            (None, header) => header,
        }
    }

    /// The word on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_headers_tell_what_a_model_is_for() {
        for (name, architecture, role) in [
            ("bge-m3-f16.gguf", Some("bert"), Some(ModelRole::Embed)),
            ("BAAI/bge-reranker-v2-m3", Some("bert"), Some(ModelRole::Rerank)),
            ("nomic-embed-text:latest", Some("nomic-bert"), Some(ModelRole::Embed)),
            ("Qwen/Qwen3-Embedding-8B", Some("qwen3"), Some(ModelRole::Embed)),
            ("Qwen/Qwen3-VL-8B-Instruct", Some("qwen3_vl"), Some(ModelRole::Vision)),
            ("some-instruct", Some("mllama"), Some(ModelRole::Vision)),
            ("qwen2.5-coder:7b", Some("qwen2"), Some(ModelRole::Code)),
            ("openai/whisper-large-v3", Some("whisper"), Some(ModelRole::Speech)),
            ("SmolLM2-135M-Instruct.Q4_1.gguf", Some("llama"), Some(ModelRole::Chat)),
            ("gemma-3-270m-it", None, Some(ModelRole::Chat)),
            ("qwen3:32b", Some("qwen3"), Some(ModelRole::Text)),
            ("support-v3.gguf", None, None),
            ("digit-sum", None, None),
        ] {
            assert_eq!(ModelRole::of(name, architecture), role, "{name}");
        }
    }
}
