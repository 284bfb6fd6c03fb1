//! Text Generation Inference: `/info` and Prometheus metrics (`tgi:router/src/server.rs`, 3.3.7).
//!
//! Its list of models names one model, and the model's own name as its owner: only then `/info` is asked for, which says the
//! rest.

use serde::Deserialize;

use super::metrics::{self, Wanted};
use super::prometheus::{self, Sample};
use super::{Description, EngineSpec, Judged, Load, METRICS, MODELS, ModelList, Probe, served};
use crate::domain::{Counter, EngineKind, ModelRef, Reading, Spread, Why};
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
    let (mut running, mut waiting, mut held, mut most) = (None, None, None, None);
    let (mut faults, mut overloads) = (0.0, 0.0);
    let mut tally = metrics::read(&text, &WANTED, |sample| match sample.name.as_ref() {
        "tgi_batch_current_size" => running = Some(sample.value),
        "tgi_queue_size" => waiting = Some(sample.value),
        "tgi_batch_current_max_tokens" => held = Some(sample.value),
        "tgi_batch_max_total_tokens" => most = Some(sample.value),
        "tgi_request_failure" => match failed(sample) {
            Judged::Fault => faults += sample.value,
            Judged::Overload => overloads += sample.value,
            Judged::CallersMistake | Judged::Answered => {}
        },
        _ => {}
    })?;
    if tally.counter(Counter::Requests).is_some() {
        tally.add(Counter::Faults, faults);
        tally.add(Counter::Overloads, overloads);
    }
    // A series that was never set is not told at all: nothing was asked yet.
    let is_tgi = text.contains("tgi_") || text.trim().is_empty();
    let gauge = |value: Option<f64>, name: &str| match value {
        Some(value) => prometheus::counted(value),
        None if is_tgi => Reading::Known(0),
        None => Reading::Unavailable(Why::new(format!("it does not tell {name}"))),
    };
    Ok(Load {
        running: gauge(running, "tgi_batch_current_size"),
        waiting: gauge(waiting, "tgi_queue_size"),
        kv_cache_used_ratio: match (held, most) {
            (held, Some(most)) if most > 0.0 => prometheus::ratio(held.unwrap_or(0.0) / most),
            _ => Reading::Unavailable("it does not say".into()),
        },
        kv_cache_tokens: most.map_or(Reading::Unavailable("it does not say".into()), prometheus::counted),
        tally: Reading::Known(tally.into()),
    })
}

/// It tells no time to the first token.
const WANTED: Wanted = Wanted {
    counters: &[("tgi_request_count", Counter::Requests)],
    spreads: &[
        ("tgi_request_duration", Spread::EndToEnd),
        ("tgi_request_mean_time_per_token_duration", Spread::InterToken),
        ("tgi_request_queue_duration", Spread::Queue),
        ("tgi_request_input_length", Spread::PromptLength),
    ],
};

/// Whose fault a failed request is, by its own word for why.
fn failed(sample: &Sample<'_>) -> Judged {
    match sample.label("err") {
        Some("overloaded") => Judged::Overload,
        // What cannot be understood, a chat that its template refuses, and a caller who left.
        Some("validation" | "template" | "dropped") => Judged::CallersMistake,
        _ => Judged::Fault,
    }
}
