//! Models across sources: how those on disk stand against what was published, what there is of the families that are
//! watched, and what the engines serve.

use std::collections::HashMap;

use super::State;
use crate::domain::{
    Engine, EngineKind, Gpu, ModelRef, ModelStore, ModelUpdate, Reading, Residency, Served, SourceId, StoredModel,
    WatchedFamily, Why,
};

impl State {
    /// How a model on disk stands; `None` as long as nobody has looked.
    pub fn model_update(&self, model: &StoredModel) -> Option<&ModelUpdate> {
        // A snapshot may hold several.
        self.model_updates.get(&model.path)?.iter().find(|update| update.name == model.name)
    }

    /// Compares every model on disk with what is known of it.
    pub(super) fn compare_models(&mut self) {
        let (Some(library), Some(sample)) = (self.library.get(), self.published_models.get()) else { return };
        let mut updates: HashMap<String, Vec<ModelUpdate>> = HashMap::new();
        for model in &library.models {
            updates.entry(model.path.clone()).or_default().push(ModelUpdate::of(model, sample));
        }
        self.model_updates = updates;
    }

    /// The families that the config watches, in its order, and what there is of them.
    pub fn watched_families(&self) -> Vec<WatchedFamily> {
        let Some(sample) = self.published_models.get() else { return Vec::new() };
        let cards: Reading<&[Gpu]> = match (self.gpus.get(), self.sources.get(SourceId::Gpu)) {
            (Some(gpus), _) => Reading::Known(&gpus.gpus),
            (None, source) => {
                let why = source.and_then(|source| source.trouble(self.now));
                Reading::Unavailable(why.map_or(Why::WAITING, Why::new))
            }
        };
        let families = sample.families.iter();
        let reviewed = self.models_reviewed.as_ref().map(|review| review.at);
        families.map(|family| WatchedFamily::of(family, sample, reviewed, &cards)).collect()
    }

    /// What engines serve that is not in the journal yet; nothing as long as one of the sources that tell it was not read.
    pub fn newly_served(&self) -> Vec<Served> {
        let was_tried = |id| self.sources.get(id).is_some_and(|it| it.last_ok.is_some() || it.failure.is_some());
        if !was_tried(SourceId::Library) || !was_tried(SourceId::Gpu) {
            return Vec::new();
        }
        let engines = self.engines.get().into_iter().flat_map(|sample| &sample.engines);
        let served = engines.flat_map(|engine| self.served_by(engine));
        served.filter(|served| self.served.is_news(served)).collect()
    }

    fn served_by(&self, engine: &Engine) -> Vec<Served> {
        // A proxy serves what others have.
        let models = engine.models.known().filter(|_| engine.kind != EngineKind::LiteLlm);
        let models = models.map_or(&[][..], |models| models);
        // Ollama loads and unloads as it is asked; what others serve they were started with.
        let only = models.len() == 1 && engine.kind != EngineKind::Ollama;
        let driver = self.gpus.get().and_then(|sample| sample.driver.loaded.known().cloned());
        let record = |model: &ModelRef| Served {
            engine: engine.subject(),
            model: model.name.clone(),
            digest: self.digest_of(engine, &model.name),
            engine_version: engine.version.known().cloned(),
            driver: driver.clone(),
            only,
        };
        models.iter().filter(|model| is_served(engine, model)).map(record).collect()
    }

    /// What tells the content of a model, by the name that an engine has for it; `None` where nothing on disk is called so, or
    /// several things are.
    fn digest_of(&self, engine: &Engine, name: &str) -> Option<String> {
        let is_ollama = engine.kind == EngineKind::Ollama;
        let is_it = |model: &&StoredModel| {
            (model.store == ModelStore::Ollama) == is_ollama
                && (model.name == name || model.path == name || model.path.ends_with(&format!("/{name}")))
        };
        let mut ids = self.library.get()?.models.iter().filter(is_it).filter_map(content_id);
        let first = ids.next()?;
        ids.all(|other| other == first).then_some(first)
    }
}

/// Whether a model answers now: it is loaded, or its engine does not say and serves nothing else than what it has loaded.
fn is_served(engine: &Engine, model: &ModelRef) -> bool {
    match model.residency {
        Residency::Loaded { .. } => true,
        Residency::OnDisk => false,
        // Of Ollama it is one that runs elsewhere.
        Residency::Unknown => engine.kind != EngineKind::Ollama,
    }
}

/// What tells the content of a model on disk: its digest, else its size and the time at which it was written.
fn content_id(model: &StoredModel) -> Option<String> {
    let file = || Some(format!("{} bytes of {}", model.size_bytes, model.modified?.strftime("%Y-%m-%dT%H:%M:%SZ")));
    model.digest.clone().or_else(file)
}

#[cfg(test)]
mod tests;
