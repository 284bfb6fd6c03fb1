//! Inference servers and the models that they serve.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ContainerId, Reading, Tally};

/// A kind of inference server, told by what it answers, never by its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
pub enum EngineKind {
    /// Ollama.
    #[serde(rename = "ollama")]
    #[strum(serialize = "Ollama")]
    Ollama,
    /// vLLM.
    #[serde(rename = "vllm")]
    #[strum(serialize = "vLLM")]
    Vllm,
    /// llama.cpp's server.
    #[serde(rename = "llama.cpp")]
    #[strum(serialize = "llama.cpp")]
    LlamaCpp,
    /// `SGLang`.
    #[serde(rename = "sglang")]
    #[strum(serialize = "SGLang")]
    Sglang,
    /// Text Generation Inference.
    #[serde(rename = "tgi")]
    #[strum(serialize = "TGI")]
    Tgi,
    /// `LiteLLM`'s proxy.
    #[serde(rename = "litellm")]
    #[strum(serialize = "LiteLLM")]
    LiteLlm,
    /// Another server that speaks as `OpenAI`'s does.
    #[serde(rename = "openai")]
    #[strum(serialize = "OpenAI API")]
    OpenAi,
}

impl EngineKind {
    /// The word by which JSON and targets name it: `ollama`, `llama.cpp`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::LlamaCpp => "llama.cpp",
            Self::Sglang => "sglang",
            Self::Tgi => "tgi",
            Self::LiteLlm => "litellm",
            Self::OpenAi => "openai",
        }
    }

    /// The name as its makers write it.
    pub fn title(self) -> &'static str {
        self.into()
    }
}

/// Where an inference server listens: an address of this host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Endpoint(pub String);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The inference servers found listening.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct EngineSample {
    /// By endpoint.
    pub engines: Vec<Engine>,
    /// Listening ports that were asked and are no inference server.
    pub others: usize,
}

/// One inference server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Engine {
    /// What it is.
    pub kind: EngineKind,
    /// Its version as it says.
    pub version: Reading<String>,
    /// `http://127.0.0.1:8000` and the like.
    pub endpoint: Endpoint,
    /// Its port, as shown.
    pub port: u16,
    /// The process that listens, where it may be read.
    pub pid: Option<u32>,
    /// The container that it runs in.
    pub container: Option<ContainerId>,
    /// The models that it serves or holds.
    pub models: Reading<Vec<ModelRef>>,
    /// Requests being answered now.
    #[serde(rename = "inference_requests_running")]
    pub requests_running: Reading<u64>,
    /// Requests that wait.
    #[serde(rename = "inference_requests_waiting")]
    pub requests_waiting: Reading<u64>,
    /// The part of the KV cache that is in use, 0 to 1.
    #[serde(rename = "inference_kv_cache_used_ratio")]
    pub kv_cache_used_ratio: Reading<f64>,
    /// Tokens that the KV cache holds in all.
    #[serde(rename = "inference_kv_cache_tokens")]
    pub kv_cache_tokens: Reading<u64>,
    /// What it has counted since it started. Only differences say something: see [`Measures`](crate::store::Measures).
    #[serde(skip)]
    pub tally: Reading<Arc<Tally>>,
    /// How it was started: each option with its value, secrets masked.
    pub options: Reading<Arc<[EngineOption]>>,
}

impl Engine {
    /// `vllm:8000`: what it is called in findings, and before the names of its models.
    pub fn subject(&self) -> String {
        format!("{}:{}", self.kind.word(), self.port)
    }
}

/// An option that an engine was started with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineOption {
    /// As it was written: `--max-model-len`, `-c`, or a variable such as `OLLAMA_NUM_PARALLEL`.
    pub name: Arc<str>,
    /// Its value, masked where the name speaks of a secret; `None` for a switch.
    pub value: Option<Arc<str>>,
}

/// A model as an engine names it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ModelRef {
    /// Its name, such as `qwen3-32b:q4_K_M`.
    pub name: String,
    /// Its family, such as `qwen3`.
    pub family: Option<String>,
    /// Parameters as the engine words them, such as `32.8B`.
    pub parameters: Option<String>,
    /// Quantization, such as `Q4_K_M`.
    pub quantization: Option<String>,
    /// Bytes of its weights.
    pub size_bytes: Option<u64>,
    /// Bytes that it takes in memory of any kind while it is loaded, as the engine counts them.
    pub memory_bytes: Option<u64>,
    /// The context that it is served with, tokens.
    pub context_tokens: Option<u64>,
    /// Whether it sits in memory now.
    pub residency: Residency,
}

/// Whether a model sits in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// The engine does not say.
    #[default]
    Unknown,
    /// On disk only.
    OnDisk,
    /// Loaded.
    Loaded {
        /// Bytes of video memory, as the engine counts them.
        vram_bytes: Option<u64>,
        /// When the engine will unload it by itself.
        until: Option<Timestamp>,
    },
}
