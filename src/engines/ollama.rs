//! Ollama: every model that it holds, and which of them are in memory. It has no metrics and no authentication.
//!
//! `/api/tags` lists what is on disk, `/api/ps` what is loaded (`server/routes.go`, `api/types.go`). The `llama-server`
//! that it starts for each loaded model is its own affair and never listed. Its requests are told by its [`log`] alone.

pub(super) mod control;
pub(super) mod log;

use jiff::Timestamp;
use serde::Deserialize;

use super::{Description, EngineSpec, Load, Probe, owner_of_models};
use crate::domain::{EngineKind, ModelRef, Residency, Why};
use crate::host::foreign;

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::Ollama,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, models| Box::pin(load(probe, models)),
};

const HOME: &str = "/";
const VERSION: &str = "/api/version";
const TAGS: &str = "/api/tags";
const RUNNING: &str = "/api/ps";

/// Kept without end, a model is said to expire in some three hundred years.
const NEVER: Timestamp = Timestamp::constant(7_258_118_400, 0);

#[derive(Deserialize)]
struct Version {
    version: String,
}

#[derive(Deserialize)]
struct Models {
    models: Option<Vec<Model>>,
}

#[derive(Deserialize)]
struct Model {
    name: String,
    /// The host that really has it: such a model only has a name here.
    remote_host: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    details: Details,
    /// The rest is said of loaded models only.
    size_vram: Option<u64>,
    expires_at: Option<String>,
    context_length: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Details {
    family: Option<String>,
    parameter_size: Option<String>,
    quantization_level: Option<String>,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    // Others (KoboldCpp, proxies) copy its interface, but not this sentence.
    owner_of_models(probe).await.is_some()
        && matches!(probe.get(HOME).await, Ok(answer) if answer.text().trim() == "Ollama is running")
        && probe.json::<Version>(VERSION).await.is_ok()
}

async fn describe(probe: &mut Probe) -> Description {
    let version = probe.json(VERSION).await.map(|Version { version }| foreign::name(&version));
    let models = probe.json(TAGS).await.map(|Models { models }| models.unwrap_or_default().iter().map(held).collect());
    Description { version: version.into(), models: models.into() }
}

/// A model that it holds on disk, or knows of elsewhere.
fn held(model: &Model) -> ModelRef {
    let remote = model.remote_host.as_deref().is_some_and(|host| !host.is_empty());
    let said = |text: &Option<String>| text.as_deref().filter(|text| !text.is_empty()).map(foreign::name);
    ModelRef {
        name: foreign::name(&model.name),
        family: said(&model.details.family),
        parameters: said(&model.details.parameter_size),
        quantization: said(&model.details.quantization_level),
        size_bytes: model.size.filter(|_| !remote),
        memory_bytes: None,
        context_tokens: None,
        residency: if remote { Residency::Unknown } else { Residency::OnDisk },
    }
}

async fn load(probe: &mut Probe, models: &mut Vec<ModelRef>) -> Result<Load, Why> {
    let loaded = probe.json::<Models>(RUNNING).await?.models.unwrap_or_default();
    for running in &loaded {
        let name = foreign::name(&running.name);
        if !models.iter().any(|model| model.name == name) {
            // Pulled since the list was read. The size said here is what it takes in memory.
            models.push(ModelRef { size_bytes: None, ..held(running) });
        }
    }
    for model in models {
        let running = loaded.iter().find(|running| foreign::name(&running.name) == model.name);
        model.context_tokens = running.and_then(|running| running.context_length);
        model.memory_bytes = running.and_then(|running| running.size);
        model.residency = match (running, &model.residency) {
            (Some(running), _) => Residency::Loaded { vram_bytes: running.size_vram, until: until(running) },
            (None, Residency::Loaded { .. }) => Residency::OnDisk,
            (None, before) => before.clone(),
        };
    }
    Ok(Load::unavailable(&"Ollama does not say".into()))
}

/// When it will be unloaded; `None` if it is kept.
fn until(model: &Model) -> Option<Timestamp> {
    let at: Timestamp = model.expires_at.as_deref()?.parse().ok()?;
    Some(at).filter(|at| *at < NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(json: &str) -> Model {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_model_that_is_kept_has_no_end() {
        let with = |at: &str| until(&model(&format!(r#"{{"name":"a","expires_at":"{at}"}}"#)));
        assert_eq!(with("2026-11-23T18:17:21.5+01:00"), Some("2026-11-23T17:17:21.5Z".parse().unwrap()));
        assert_eq!(with("2318-03-04T12:00:00.123456789Z"), None);
        assert_eq!(with("soon"), None);
    }

    #[test]
    fn a_model_elsewhere_has_no_size_here() {
        let here = held(&model(r#"{"name":"a","size":7}"#));
        assert_eq!((here.size_bytes, here.residency), (Some(7), Residency::OnDisk));
        let remote = held(&model(r#"{"name":"a-cloud","size":7,"remote_host":"https://ollama.com"}"#));
        assert_eq!((remote.size_bytes, remote.residency), (None, Residency::Unknown));
    }
}
