//! `LiteLLM`'s proxy: `/health/liveliness`, `/health/readiness`, `/v1/models`
//! (`litellm/proxy/health_endpoints`, `litellm/integrations/prometheus.py`, 1.109).
//!
//! Its `/health` calls every model behind it, for money, and is never asked for. It names `openai` as the owner of all
//! models, or wants a key for their list; then `/health/liveliness` tells whether it is this proxy.

use serde::Deserialize;

use super::metrics::{self, Wanted};
use super::{
    Description, EngineSpec, Judged, Load, METRICS, MODELS, ModelList, Probe, is_closed, judged, named,
    owner_of_models, prometheus,
};
use crate::domain::{Counter, EngineKind, ModelRef, Reading, Spread, Why};
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
    let (mut running, mut faults, mut overloads) = (None, 0.0, 0.0);
    let mut tally = metrics::read(&text, &WANTED, |sample| match sample.name.as_ref() {
        "litellm_in_flight_requests" => *running.get_or_insert(0.0) += sample.value,
        // Which labels there are is the operator's choice: a failure without a status is the proxy's.
        "litellm_proxy_failed_requests_metric_total" | "litellm_proxy_failed_requests_metric" => {
            let status = sample.label("exception_status").and_then(|status| status.parse().ok());
            match status.map_or(Judged::Fault, judged) {
                Judged::Overload => overloads += sample.value,
                Judged::Fault => faults += sample.value,
                Judged::Answered | Judged::CallersMistake => {}
            }
        }
        _ => {}
    })?;
    if tally.counter(Counter::Requests).is_some() {
        tally.add(Counter::Faults, faults);
        tally.add(Counter::Overloads, overloads);
    }
    let nowhere = "its models are elsewhere";
    Ok(Load {
        running: running.map_or(Reading::Unavailable("it does not say".into()), prometheus::counted),
        waiting: Reading::Unavailable("it has no queue of its own".into()),
        kv_cache_used_ratio: Reading::Unavailable(nowhere.into()),
        kv_cache_tokens: Reading::Unavailable(nowhere.into()),
        tally: Reading::Known(tally.into()),
    })
}

const WANTED: Wanted = Wanted {
    counters: &[
        ("litellm_proxy_total_requests_metric_total", Counter::Requests),
        ("litellm_input_tokens_metric_total", Counter::PromptTokens),
        ("litellm_output_tokens_metric_total", Counter::GeneratedTokens),
    ],
    spreads: &[
        ("litellm_llm_api_time_to_first_token_metric", Spread::FirstToken),
        ("litellm_request_total_latency_metric", Spread::EndToEnd),
        ("litellm_request_queue_time_seconds", Spread::Queue),
    ],
};
