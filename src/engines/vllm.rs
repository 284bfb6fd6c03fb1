//! vLLM: `/version`, `/v1/models` and Prometheus metrics, one series for each of its data-parallel engines.
//!
//! With `--api-key` only `/v1` is closed; version and metrics stay open, and the metrics name the models as well
//! (`vllm/entrypoints/serve`, `vllm/v1/metrics/loggers.py`, 0.33).

use serde::Deserialize;

use super::metrics::{self, Wanted};
use super::prometheus::{self, Sample};
use super::{
    Description, EngineSpec, Load, METRICS, MODELS, Probe, is_closed, owner_of_models, served, served_with_context, why,
};
use crate::domain::{Counter, EngineKind, ModelRef, Reading, Residency, Spread, Tally, Why};
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
    let Metrics { is_vllm: _, running, waiting, kv_used, kv_ranks, kv_tokens, weights_gone, models: _, tally } =
        metrics(probe).await?;
    if weights_gone {
        for model in models {
            model.residency = Residency::OnDisk;
        }
    }
    let silent = || Reading::Unavailable(NO_STATISTICS.into());
    Ok(Load {
        running: running.map_or_else(silent, prometheus::counted),
        waiting: waiting.map_or_else(silent, prometheus::counted),
        kv_cache_used_ratio: kv_used.map_or(Reading::Unavailable(NO_STATISTICS.into()), |sum| {
            prometheus::ratio(sum / f64::from(kv_ranks.max(1)))
        }),
        kv_cache_tokens: kv_tokens.map_or(Reading::Unavailable("it does not say".into()), Reading::Known),
        tally: if running.is_some() {
            Reading::Known(tally.into())
        } else {
            Reading::Unavailable(NO_STATISTICS.into())
        },
    })
}

const NO_STATISTICS: &str = "started with --disable-log-stats";

/// What is wanted of the metrics.
#[derive(Default)]
struct Metrics {
    is_vllm: bool,
    /// Summed over the engines; `None` where there is no such series.
    running: Option<f64>,
    waiting: Option<f64>,
    /// Each engine has a cache of its own.
    kv_used: Option<f64>,
    kv_ranks: u32,
    kv_tokens: Option<u64>,
    models: Vec<String>,
    /// It sleeps so deeply that the weights are dropped (sleep level 2).
    weights_gone: bool,
    tally: Tally,
}

/// Names of 0.33, then those before (`kv_cache_usage_perc` and `prefix_cache_*` had `gpu_` before them until 0.9).
const WANTED: Wanted = Wanted {
    counters: &[
        ("vllm:prompt_tokens_total", Counter::PromptTokens),
        ("vllm:generation_tokens_total", Counter::GeneratedTokens),
        ("vllm:num_preemptions_total", Counter::Preemptions),
        ("vllm:prefix_cache_queries_total", Counter::PrefixQueries),
        ("vllm:prefix_cache_hits_total", Counter::PrefixHits),
        ("vllm:gpu_prefix_cache_queries_total", Counter::PrefixQueries),
        ("vllm:gpu_prefix_cache_hits_total", Counter::PrefixHits),
        ("vllm:admission_rejections_total", Counter::Overloads),
    ],
    spreads: &[
        ("vllm:time_to_first_token_seconds", Spread::FirstToken),
        ("vllm:inter_token_latency_seconds", Spread::InterToken),
        ("vllm:time_per_output_token_seconds", Spread::InterToken),
        ("vllm:e2e_request_latency_seconds", Spread::EndToEnd),
        ("vllm:request_queue_time_seconds", Spread::Queue),
        ("vllm:request_prompt_tokens", Spread::PromptLength),
    ],
};

async fn metrics(probe: &mut Probe) -> Result<Metrics, Why> {
    let text = probe.text(METRICS).await?;
    let (mut metrics, mut requests) = (Metrics::default(), Requests::default());
    let tally = metrics::read(&text, &WANTED, |sample| {
        metrics.look(sample);
        requests.look(sample);
    })?;
    metrics.is_vllm |= !tally.is_empty();
    metrics.tally = tally;
    requests.count(&mut metrics.tally);
    Ok(metrics)
}

impl Metrics {
    fn look(&mut self, sample: &Sample<'_>) {
        self.is_vllm |= sample.name.starts_with("vllm:");
        let sum = match sample.name.as_ref() {
            "vllm:num_requests_running" => &mut self.running,
            "vllm:num_requests_waiting" => &mut self.waiting,
            "vllm:kv_cache_usage_perc" => {
                self.kv_ranks += 1;
                &mut self.kv_used
            }
            "vllm:cache_config_info" => {
                let number = |label| sample.label(label).and_then(|value| value.parse::<u64>().ok());
                let of_blocks = || number("num_gpu_blocks")?.checked_mul(number("block_size")?);
                let tokens = number("kv_cache_size_tokens").or_else(of_blocks);
                self.kv_tokens = tokens.map(|more| self.kv_tokens.unwrap_or(0).saturating_add(more)).or(self.kv_tokens);
                return;
            }
            "vllm:engine_sleep_state" => {
                self.weights_gone |= sample.label("sleep_state") == Some("discard_all") && sample.value > 0.0;
                return;
            }
            _ => return,
        };
        *sum = Some(sum.unwrap_or(0.0) + sample.value);
        let model = sample.label("model_name").unwrap_or_default();
        if !model.is_empty() && !self.models.iter().any(|known| known == model) {
            self.models.push(model.to_owned());
        }
    }
}

/// Requests and what became of them. `request_success` counts those that failed as well, and one that failed after its answer
/// had begun is a 200 among the answers of HTTP; one that failed before is in both. So the greater of the two counts: no fault
/// is counted twice.
#[derive(Default)]
struct Requests {
    ended: Option<f64>,
    failed: f64,
    answers_5xx: f64,
}

impl Requests {
    fn look(&mut self, sample: &Sample<'_>) {
        match sample.name.as_ref() {
            "vllm:request_success_total" => {
                *self.ended.get_or_insert(0.0) += sample.value;
                if sample.label("finished_reason") == Some("error") {
                    self.failed += sample.value;
                }
            }
            // Of every path; only those that generate fail with a 5xx.
            "http_requests_total" if sample.label("status") == Some("5xx") => self.answers_5xx += sample.value,
            _ => {}
        }
    }

    fn count(self, tally: &mut Tally) {
        let Some(ended) = self.ended else { return };
        // Turned away with a 503.
        let unanswered = self.answers_5xx - tally.counter(Counter::Overloads).unwrap_or(0.0);
        tally.add(Counter::Faults, self.failed.max(unanswered).max(0.0));
        tally.add(Counter::Requests, ended);
    }
}
