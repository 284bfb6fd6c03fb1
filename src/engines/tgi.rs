//! Text Generation Inference: `/info` and Prometheus metrics (`tgi:router/src/server.rs`, 3.3.7).
//!
//! Its list of models names one model, and the model's own name as its owner: only then `/info` is asked for, which says the
//! rest.

use serde::Deserialize;

use super::{Description, EngineSpec, Load, METRICS, MODELS, ModelList, Probe, prometheus, served};
use crate::domain::{EngineKind, ModelRef, Reading, Why};
use crate::host::foreign;

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::Tgi,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, _| Box::pin(load(probe)),
};

const INFO: &str = "/info";

#[derive(Deserialize)]
struct Model {
    id: String,
    owned_by: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    router: String,
    version: String,
    model_id: String,
    /// Tokens of a prompt and its answer together.
    max_total_tokens: Option<u64>,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    let Ok(list) = probe.json::<ModelList<Model>>(MODELS).await else { return false };
    let models = list.data.unwrap_or_default();
    let [only] = models.as_slice() else { return false };
    only.owned_by.as_ref() == Some(&only.id)
        && probe.json::<Info>(INFO).await.is_ok_and(|info| info.router.starts_with("text-generation-router"))
}

async fn describe(probe: &mut Probe) -> Description {
    let info: Result<Info, Why> = probe.json(INFO).await;
    let version = info.as_ref().map(|info| foreign::name(&info.version)).map_err(Clone::clone);
    let models = info.map(|info| vec![ModelRef { context_tokens: info.max_total_tokens, ..served(&info.model_id) }]);
    Description { version: version.into(), models: models.into() }
}

async fn load(probe: &mut Probe) -> Result<Load, Why> {
    let text = probe.text(METRICS).await?;
    // A series that was never set is not told at all: nothing was asked yet.
    let sum = |name| match prometheus::sum(&text, name) {
        Reading::Unavailable(_) if text.contains("tgi_") || text.trim().is_empty() => Reading::Known(0),
        sum => sum,
    };
    Ok(Load { running: sum("tgi_batch_current_size"), waiting: sum("tgi_queue_size") })
}
