//! Where programs keep models, as the environment of this process says.

use std::path::{Path, PathBuf};

/// The folders that the environment names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelHomes {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `OLLAMA_MODELS`.
    pub ollama_models: Option<PathBuf>,
    /// `HF_HUB_CACHE`.
    pub hub_cache: Option<PathBuf>,
    /// `HF_HOME`, else `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface`.
    pub hugging_face: Option<PathBuf>,
}

impl ModelHomes {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // A folder that is meant from somewhere cannot be told from here.
        let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let cache = absolute("XDG_CACHE_HOME").or_else(|| home.as_deref().map(|home| home.join(".cache")));
        Self {
            ollama_models: absolute("OLLAMA_MODELS"),
            hub_cache: absolute("HF_HUB_CACHE"),
            hugging_face: absolute("HF_HOME").or_else(|| cache.as_deref().map(|cache| cache.join("huggingface"))),
            home,
        }
    }

    /// A path below the home.
    pub fn below_home(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        Some(self.home.as_deref()?.join(path))
    }
}
