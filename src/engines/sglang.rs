//! `SGLang`: `/v1/models`, `/server_info` and, with `--enable-metrics`, Prometheus metrics.
//!
//! Its `/health` generates a token and is never asked for; `/get_server_info` writes a warning into its log each time
//! (`sglang/srt/entrypoints/http_server.py`, `sglang/srt/observability`, 0.5.23). With `--api-key` only health and metrics
//! stay open.

use serde::Deserialize;

use super::metrics::{self, Wanted};
use super::prometheus::{self, Sample};
use super::{
    Description, EngineSpec, Judged, Load, METRICS, NEEDS_KEY, Probe, is_closed, owner_of_models, served_with_context,
};
use crate::domain::{Counter, EngineKind, Reading, Spread, Tally, Why};
use crate::host::foreign;

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::Sglang,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, _| Box::pin(load(probe)),
};

const INFO: &str = "/server_info";

/// What its series are called, all of them.
const PREFIX: &str = "sglang:";

#[derive(Deserialize)]
struct Info {
    version: String,
}

async fn fingerprint(probe: &mut Probe) -> bool {
    if owner_of_models(probe).await.as_deref() == Some("sglang") {
        return true;
    }
    is_closed(probe).await
        && matches!(probe.get(METRICS).await, Ok(answer) if answer.status == 200 && answer.text().contains(PREFIX))
}

async fn describe(probe: &mut Probe) -> Description {
    if is_closed(probe).await {
        return Description { version: Reading::Unavailable(NEEDS_KEY), models: Reading::Unavailable(NEEDS_KEY) };
    }
    let version = probe.json(INFO).await.map(|Info { version }| foreign::name(&version));
    Description { version: version.into(), models: served_with_context(probe).await.into() }
}

async fn load(probe: &mut Probe) -> Result<Load, Why> {
    if matches!(probe.get(METRICS).await, Ok(answer) if answer.status == 404) {
        return Err(Why::from("started without --enable-metrics"));
    }
    let text = probe.text(METRICS).await?;
    let mut gauges = Gauges::default();
    let mut tally = metrics::read(&text, &WANTED, |sample| gauges.look(sample))?;
    gauges.count(&mut tally);
    let Gauges { running, waiting, used, capacity, .. } = gauges;
    let or = |value: Option<f64>, name: &str| {
        value.map_or(Reading::Unavailable(Why::new(format!("it does not tell {PREFIX}{name}"))), prometheus::counted)
    };
    Ok(Load {
        running: or(running, "num_running_reqs"),
        waiting: or(waiting, "num_queue_reqs"),
        kv_cache_used_ratio: used.map_or(Reading::Unavailable("it does not say".into()), prometheus::ratio),
        kv_cache_tokens: or(capacity, "max_total_num_tokens"),
        tally: Reading::Known(tally.into()),
    })
}

const WANTED: Wanted = Wanted {
    counters: &[
        ("sglang:prompt_tokens_total", Counter::PromptTokens),
        ("sglang:generation_tokens_total", Counter::GeneratedTokens),
        // The cache is looked into for every token of a prompt.
        ("sglang:cached_tokens_total", Counter::PrefixHits),
        ("sglang:num_retracted_requests_total", Counter::Preemptions),
    ],
    spreads: &[
        ("sglang:time_to_first_token_seconds", Spread::FirstToken),
        ("sglang:inter_token_latency_seconds", Spread::InterToken),
        ("sglang:e2e_request_latency_seconds", Spread::EndToEnd),
        ("sglang:queue_time_seconds", Spread::Queue),
    ],
};

#[derive(Default)]
struct Gauges {
    running: Option<f64>,
    waiting: Option<f64>,
    used: Option<f64>,
    capacity: Option<f64>,
    /// Of the paths that generate: good answers, failures, and what was turned away.
    answers: Option<f64>,
    faults: f64,
    overloads: f64,
}

impl Gauges {
    fn look(&mut self, sample: &Sample<'_>) {
        let sum = |gauge: &mut Option<f64>| *gauge.get_or_insert(0.0) += sample.value;
        match sample.name.strip_prefix(PREFIX) {
            Some("num_running_reqs") => sum(&mut self.running),
            Some("num_queue_reqs") => sum(&mut self.waiting),
            Some("max_total_num_tokens") => sum(&mut self.capacity),
            // Of data-parallel ranks, the fullest: the one that is in the way.
            Some("token_usage") => self.used = Some(self.used.map_or(sample.value, |used| used.max(sample.value))),
            Some("http_responses_total") => self.answered(sample),
            _ => {}
        }
    }

    fn answered(&mut self, sample: &Sample<'_>) {
        let Some(status) = sample.label("status_code").and_then(|status| status.parse::<u16>().ok()) else { return };
        let generates = sample.label("endpoint").is_none_or(|path| path.starts_with("/v1/") || path == "/generate");
        if generates && sample.label("method").is_none_or(|method| method == "POST") {
            match super::judged(status) {
                Judged::Answered => *self.answers.get_or_insert(0.0) += sample.value,
                Judged::Fault => self.faults += sample.value,
                Judged::Overload => self.overloads += sample.value,
                Judged::CallersMistake => {}
            }
        }
    }

    fn count(&self, tally: &mut Tally) {
        if let Some(answers) = self.answers {
            tally.add(Counter::Requests, answers);
            tally.add(Counter::Faults, self.faults);
            tally.add(Counter::Overloads, self.overloads);
        }
        if let Some(prompts) = tally.counter(Counter::PromptTokens) {
            tally.add(Counter::PrefixQueries, prompts);
        }
    }
}
