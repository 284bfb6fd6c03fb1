//! `LiteLLM`'s proxy: `/health/liveliness`, `/health/readiness`, `/v1/models`
//! (`litellm/proxy/health_endpoints`, `litellm/integrations/prometheus.py`, 1.109).
//!
//! Its `/health` calls every model behind it, for money, and is never asked for. It names `openai` as the owner of all
//! models, or wants a key for their list; then `/health/liveliness` tells whether it is this proxy.

use serde::Deserialize;

use super::{
    Description, EngineSpec, Load, METRICS, MODELS, ModelList, Probe, is_closed, named, owner_of_models, prometheus,
};
use crate::domain::{EngineKind, ModelRef, Reading, Why};
use crate::host::foreign;

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::LiteLlm,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, _| Box::pin(load(probe)),
};

const ALIVE: &str = "/health/liveliness";
const READY: &str = "/health/readiness";

#[derive(Deserialize)]
struct Ready {
    litellm_version: String,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    let may_be = is_closed(probe).await || owner_of_models(probe).await.as_deref() == Some("openai");
    may_be
        && matches!(probe.get(ALIVE).await, Ok(answer) if answer.status == 200 && answer.text().contains("I'm alive!"))
}

async fn describe(probe: &mut Probe) -> Description {
    let version = probe.json(READY).await.map(|Ready { litellm_version }| foreign::name(&litellm_version));
    Description { version: version.into(), models: models(probe).await.into() }
}

async fn models(probe: &mut Probe) -> Result<Vec<ModelRef>, Why> {
    let list: ModelList<Model> = probe.json(MODELS).await?;
    Ok(list.data.unwrap_or_default().iter().map(|model| named(&model.id)).collect())
}

async fn load(probe: &mut Probe) -> Result<Load, Why> {
    let text = probe.text(METRICS).await?;
    let running = prometheus::sum(&text, "litellm_in_flight_requests");
    Ok(Load { running, waiting: Reading::Unavailable("it has no queue of its own".into()) })
}
