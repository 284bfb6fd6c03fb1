//! Models on disk joined to the servers that serve them.
//!
//! A server names its models as it likes: Ollama as its store does, others by repository, by the path that they were started
//! with (inside their container as a rule), or by any alias. So names are compared, then what the server was started with, then
//! the last part of paths.

use super::State;
use crate::domain::{Engine, EngineKind, ModelRef, ModelStore, Residency, StoredModel};

/// Options that say which model a server serves.
const OPTIONS: &[&str] =
    &["--model", "-m", "--model-path", "--model-id", "MODEL_ID", "LLAMA_ARG_MODEL", "--hf-repo", "-hf"];

/// A server's model and the server.
pub type Served<'a> = (&'a Engine, &'a ModelRef);

impl State {
    /// The model on disk behind a model of a server, where it is known.
    pub fn stored_of(&self, engine: &Engine, model: &ModelRef) -> Option<&StoredModel> {
        let library = self.library.get()?;
        library.models.iter().find(|stored| is_same(engine, model, stored))
    }

    /// Who serves a model on disk, those that hold it in memory first.
    pub fn servers_of(&self, stored: &StoredModel) -> Vec<Served<'_>> {
        let engines = self.engines.get().map_or(&[][..], |sample| &sample.engines);
        let all = engines.iter().flat_map(|engine| {
            let models = engine.models.known().map_or(&[][..], Vec::as_slice);
            models.iter().map(move |model| (engine, model))
        });
        let mut servers: Vec<_> = all.filter(|(engine, model)| is_same(engine, model, stored)).collect();
        servers.sort_by_key(|(_, model)| !matches!(model.residency, Residency::Loaded { .. }));
        servers
    }
}

fn is_same(engine: &Engine, model: &ModelRef, stored: &StoredModel) -> bool {
    let ollama = (engine.kind == EngineKind::Ollama, stored.store == ModelStore::Ollama);
    if ollama.0 || ollama.1 {
        return ollama == (true, true) && tagged(&model.name) == tagged(&stored.name);
    }
    let options = engine.options.known().into_iter().flat_map(|options| options.iter());
    let of_start = options
        .filter(|option| OPTIONS.contains(&&*option.name))
        // A server of several models was started with none, or with one that it does not call so.
        .filter(|_| engine.models.known().is_some_and(|models| models.len() == 1))
        .filter_map(|option| option.value.as_deref());
    [model.name.as_str()].into_iter().chain(of_start).any(|word| is_called(stored, word))
}

/// Whether a word of a server means this model.
fn is_called(stored: &StoredModel, word: &str) -> bool {
    let same = |name: &str| name == word || (stored.store == ModelStore::Folder && last(name) == last(word));
    same(&stored.name) || stored.path == word || stored.also_named.iter().any(|name| same(name))
}

/// Ollama's `latest` need not be written.
fn tagged(name: &str) -> (&str, &str) {
    // A port of a registry is followed by a path.
    match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (name, "latest"),
    }
}

/// The last part of a path, without the ending of a single file of weights.
fn last(path: &str) -> &str {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".gguf").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EngineOption, Reading};
    use crate::make::{engine, stored_model};

    fn server(kind: EngineKind, names: &[&str], started: &[(&str, &str)]) -> Engine {
        let model = |name: &&str| ModelRef { name: (*name).to_owned(), ..ModelRef::default() };
        let option = |(name, value): &(&str, &str)| EngineOption { name: (*name).into(), value: Some((*value).into()) };
        Engine {
            models: Reading::Known(names.iter().map(model).collect()),
            options: Reading::Known(started.iter().map(option).collect()),
            ..engine(kind, 8000)
        }
    }

    fn stored(store: ModelStore, name: &str) -> StoredModel {
        StoredModel { store, path: format!("/models/{name}"), ..stored_model(name) }
    }

    #[track_caller]
    fn joined(engine: &Engine, stored: &StoredModel) -> bool {
        is_same(engine, &engine.models.known().unwrap()[0], stored)
    }

    #[test]
    fn ollama_is_joined_by_name_and_its_latest_need_not_be_written() {
        let ollama = |name: &str| server(EngineKind::Ollama, &[name], &[]);
        assert!(joined(&ollama("qwen3:latest"), &stored(ModelStore::Ollama, "qwen3")));
        assert!(joined(&ollama("qwen3:8b"), &stored(ModelStore::Ollama, "qwen3:8b")));
        assert!(!joined(&ollama("qwen3:8b"), &stored(ModelStore::Ollama, "qwen3")));
        assert!(!joined(&ollama("a"), &stored(ModelStore::Folder, "a")));
        assert!(joined(&ollama("host:5000/a/b"), &stored(ModelStore::Ollama, "host:5000/a/b:latest")));
    }

    #[test]
    fn others_are_joined_by_repository_path_or_what_they_were_started_with() {
        let repository = stored(ModelStore::HuggingFace, "Qwen/Qwen3-8B");
        assert!(joined(&server(EngineKind::Vllm, &["Qwen/Qwen3-8B"], &[]), &repository));
        assert!(joined(&server(EngineKind::Vllm, &["chat"], &[("--model", "Qwen/Qwen3-8B")]), &repository));
        assert!(!joined(&server(EngineKind::Vllm, &["chat", "code"], &[("--model", "Qwen/Qwen3-8B")]), &repository));
        let file = stored(ModelStore::Folder, "llama/llama-3.1-8b-q4.gguf");
        assert!(joined(&server(EngineKind::LlamaCpp, &["/srv/llama-3.1-8b-q4.gguf"], &[]), &file), "mounted elsewhere");
        assert!(joined(&server(EngineKind::LlamaCpp, &["chat"], &[("-m", "/m/llama-3.1-8b-q4.gguf")]), &file));
        assert!(!joined(&server(EngineKind::LlamaCpp, &["/srv/llama-3.1-8b-q8.gguf"], &[]), &file));
        let current = StoredModel { also_named: vec!["current.gguf".to_owned()], ..file };
        assert!(joined(&server(EngineKind::LlamaCpp, &["/models/current.gguf"], &[]), &current));
    }
}
