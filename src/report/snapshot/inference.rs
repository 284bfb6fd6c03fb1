//! Inference servers in a snapshot, with what they did in the last minutes.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::{ContainerId, Counter, Endpoint, Engine, EngineKind, EngineOption, ModelRef, Reading, Spread, Why};
use crate::store::{Advice, Bottleneck, MemorySplit, Performance, State, Window};

/// One inference server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineReport {
    /// What it is.
    pub kind: EngineKind,
    /// Its version.
    pub version: Reading<String>,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The process that listens, where it may be read.
    pub pid: Option<u32>,
    /// The name of its container; null for a process of the host.
    pub container: Option<Arc<str>>,
    /// Requests being answered now.
    pub inference_requests_running: Reading<u64>,
    /// Requests that wait.
    pub inference_requests_waiting: Reading<u64>,
    /// The part of the KV cache in use, 0 to 1.
    pub inference_kv_cache_used_ratio: Reading<f64>,
    /// Tokens that the KV cache holds in all.
    pub inference_kv_cache_tokens: Reading<u64>,
    /// What it did in the last five minutes.
    pub performance: Reading<PerformanceReport>,
    /// What holds it back.
    pub bottleneck: Bottleneck,
    /// What could be set otherwise, with its arithmetic.
    pub advice: Vec<Advice>,
    /// Where its video memory goes; null where that is not known.
    pub memory: Option<MemorySplit>,
    /// The names of its models.
    pub models: Reading<Vec<String>>,
    /// How it was started, secrets masked.
    pub options: Reading<Arc<[EngineOption]>>,
}

/// What a server did within a window that ends now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerformanceReport {
    /// The time that was seen of it, seconds.
    pub seconds: f64,
    /// Requests.
    pub inference_requests: Reading<f64>,
    /// Requests that it failed.
    pub inference_faults: Reading<f64>,
    /// Requests that it turned away.
    pub inference_overloads: Reading<f64>,
    /// The share of requests that it failed, 0 to 1.
    pub inference_error_ratio: Reading<f64>,
    /// Seconds to the first token.
    pub inference_ttft_seconds: Reading<Quantiles>,
    /// Seconds between two tokens.
    pub inference_inter_token_seconds: Reading<Quantiles>,
    /// Seconds to the end of an answer.
    pub inference_e2e_seconds: Reading<Quantiles>,
    /// Seconds of waiting.
    pub inference_queue_seconds: Reading<Quantiles>,
    /// Tokens of a prompt.
    pub inference_prompt_length_tokens: Reading<Quantiles>,
    /// Tokens of prompts a second.
    pub inference_prompt_tokens_per_second: Reading<f64>,
    /// Tokens generated a second.
    pub inference_generated_tokens_per_second: Reading<f64>,
    /// The same for each watt of the cards that it alone uses: tokens a joule.
    pub inference_generated_tokens_per_joule: Reading<f64>,
    /// The share of prompt tokens that were in the prefix cache, 0 to 1.
    pub inference_prefix_cache_hit_ratio: Reading<f64>,
    /// Requests that lost their place in the KV cache.
    pub inference_preemptions: Reading<f64>,
}

/// Values that 50, 95 and 99 of 100 do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// Of 95 in 100.
    pub p95: f64,
    /// Of 99 in 100.
    pub p99: f64,
    /// How many values there were.
    pub count: u64,
}

/// One model of one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// As the server describes it.
    #[serde(flatten)]
    pub model: ModelRef,
    /// The server.
    pub engine: EngineKind,
    /// Where the server listens.
    pub endpoint: Endpoint,
}

pub(super) fn engine(state: &State, engine: &Engine) -> EngineReport {
    let name =
        |id: &ContainerId| state.container(id).map_or_else(|| id.short().into(), |container| container.name.clone());
    let seen = state.measures.of(&engine.endpoint, Window::Recent);
    EngineReport {
        kind: engine.kind,
        version: engine.version.clone(),
        endpoint: engine.endpoint.clone(),
        pid: engine.pid,
        container: state.container_of(engine).map(name),
        inference_requests_running: engine.requests_running.clone(),
        inference_requests_waiting: engine.requests_waiting.clone(),
        inference_kv_cache_used_ratio: engine.kv_cache_used_ratio.clone(),
        inference_kv_cache_tokens: engine.kv_cache_tokens.clone(),
        performance: match (seen, engine.tally.why()) {
            (Some(seen), _) => Reading::Known(performance(seen, state.on_cards(engine).power_watts())),
            (None, Some(why)) => Reading::Unavailable(why.clone()),
            (None, None) => Reading::Unavailable("its counters were looked at only once".into()),
        },
        bottleneck: state.bottleneck(engine),
        advice: state.tuning(engine),
        memory: state.memory_split(engine),
        models: engine.models.clone().map(|models| models.into_iter().map(|model| model.name).collect()),
        options: engine.options.clone(),
    }
}

fn performance(seen: &Performance, watts: Option<f64>) -> PerformanceReport {
    let told = |value: Option<f64>| value.map_or(Reading::Unavailable(UNTOLD), Reading::Known);
    let count = |counter| told(seen.count(counter));
    let quantiles = |spread| quantiles(seen, spread).map_or(Reading::Unavailable(NONE_ENDED), Reading::Known);
    let generated = seen.rate(Counter::GeneratedTokens);
    let per_joule = match (generated, watts) {
        (Some(rate), Some(watts)) if watts > 0.0 => Reading::Known(rate / watts),
        (_, Some(_)) => Reading::Unavailable(UNTOLD),
        (_, None) => Reading::Unavailable("it uses no card alone whose power can be read".into()),
    };
    PerformanceReport {
        seconds: seen.seconds,
        inference_requests: told(seen.requests()),
        inference_faults: count(Counter::Faults),
        inference_overloads: count(Counter::Overloads),
        inference_error_ratio: seen.error_ratio().map_or(Reading::Unavailable(NONE_ENDED), Reading::Known),
        inference_ttft_seconds: quantiles(Spread::FirstToken),
        inference_inter_token_seconds: quantiles(Spread::InterToken),
        inference_e2e_seconds: quantiles(Spread::EndToEnd),
        inference_queue_seconds: quantiles(Spread::Queue),
        inference_prompt_length_tokens: quantiles(Spread::PromptLength),
        inference_prompt_tokens_per_second: told(seen.rate(Counter::PromptTokens)),
        inference_generated_tokens_per_second: told(generated),
        inference_generated_tokens_per_joule: per_joule,
        inference_prefix_cache_hit_ratio: told(seen.prefix_hit_ratio()),
        inference_preemptions: count(Counter::Preemptions),
    }
}

const UNTOLD: Why = Why(std::borrow::Cow::Borrowed("it does not tell"));
const NONE_ENDED: Why = Why(std::borrow::Cow::Borrowed("it does not tell, or no request ended in this time"));

fn quantiles(seen: &Performance, spread: Spread) -> Option<Quantiles> {
    let of = |share| seen.quantile(spread, share);
    Some(Quantiles { p50: of(0.5)?, p95: of(0.95)?, p99: of(0.99)?, count: seen.values(spread) })
}

pub(super) fn models(engine: &Engine) -> impl Iterator<Item = ModelReport> {
    let report =
        |model: &ModelRef| ModelReport { model: model.clone(), engine: engine.kind, endpoint: engine.endpoint.clone() };
    engine.models.known().into_iter().flatten().map(report)
}
