//! vLLM: `/version`, `/v1/models` and Prometheus metrics, one series for each of its data-parallel engines.
//!
//! With `--api-key` only `/v1` is closed; version and metrics stay open, and the metrics name the models as well
//! (`vllm/entrypoints/serve`, `vllm/v1/metrics/loggers.py`, 0.33).

use serde::Deserialize;

use super::{
    Description, EngineSpec, Load, METRICS, MODELS, Probe, is_closed, owner_of_models, prometheus, served,
    served_with_context, why,
};
use crate::domain::{EngineKind, ModelRef, Reading, Residency, Why};
use crate::host::{HttpError, foreign};

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::Vllm,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, models| Box::pin(load(probe, models)),
};

const VERSION: &str = "/version";

#[derive(Deserialize)]
struct Version {
    version: String,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    if owner_of_models(probe).await.as_deref() == Some("vllm") {
        return true;
    }
    is_closed(probe).await
        && probe.json::<Version>(VERSION).await.is_ok()
        && matches!(metrics(probe).await, Ok(metrics) if metrics.is_vllm)
}

async fn describe(probe: &mut Probe) -> Description {
    let version = probe.json(VERSION).await.map(|Version { version }| foreign::name(&version));
    let models = if is_closed(probe).await { models_of_metrics(probe).await } else { served_with_context(probe).await };
    Description { version: version.into(), models: models.into() }
}

/// The names of the models from the labels of the metrics.
async fn models_of_metrics(probe: &mut Probe) -> Result<Vec<ModelRef>, Why> {
    let names = metrics(probe).await?.models;
    if names.is_empty() {
        Err(why(MODELS, &HttpError::Status(401)))
    } else {
        Ok(names.iter().map(|name| served(name)).collect())
    }
}

async fn load(probe: &mut Probe, models: &mut [ModelRef]) -> Result<Load, Why> {
    let metrics = metrics(probe).await?;
    if metrics.weights_gone {
        for model in models {
            model.residency = Residency::OnDisk;
        }
    }
    Ok(Load { running: count(metrics.running), waiting: count(metrics.waiting) })
}

fn count(sum: Option<f64>) -> Reading<u64> {
    match sum {
        Some(sum) => prometheus::counted(sum),
        None => Reading::Unavailable("started with --disable-log-stats".into()),
    }
}

/// What is wanted of the metrics.
#[derive(Default)]
struct Metrics {
    is_vllm: bool,
    /// Summed over the engines; `None` where there is no such series.
    running: Option<f64>,
    waiting: Option<f64>,
    models: Vec<String>,
    /// It sleeps so deeply that the weights are dropped (sleep level 2).
    weights_gone: bool,
}

async fn metrics(probe: &mut Probe) -> Result<Metrics, Why> {
    let text = probe.text(METRICS).await?;
    let mut metrics = Metrics::default();
    for sample in prometheus::samples(&text) {
        let sample = sample.map_err(|malformed| Why::new(malformed.to_string()))?;
        metrics.is_vllm |= sample.name.starts_with("vllm:");
        let sum = match sample.name.as_ref() {
            "vllm:num_requests_running" => &mut metrics.running,
            "vllm:num_requests_waiting" => &mut metrics.waiting,
            "vllm:engine_sleep_state" => {
                metrics.weights_gone |= sample.label("sleep_state") == Some("discard_all") && sample.value > 0.0;
                continue;
            }
            _ => continue,
        };
        *sum = Some(sum.unwrap_or(0.0) + sample.value);
        let model = sample.label("model_name").unwrap_or_default();
        if !model.is_empty() && !metrics.models.iter().any(|known| known == model) {
            metrics.models.push(model.to_owned());
        }
    }
    Ok(metrics)
}
