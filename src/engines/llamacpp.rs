//! llama.cpp's server, with one model or as a router of several.
//!
//! It calls itself `llama.cpp` in every answer. While it loads, every path is a 503 *Loading model*. With `--api-key`
//! only `/health` and `/v1/models` stay open; without `--metrics` the metrics are a 501. As a router it loads the model
//! that a request names, so no request here names one, and each says `autoload=false` all the same. `/slots` is left
//! alone: it wakes a server that sleeps, and older ones show prompts there (`tools/server/README.md`).

pub(super) mod router;

use serde::Deserialize;

use super::{Description, EngineSpec, Load, MODELS, ModelList, Probe, owner_of_models, prometheus, why};
use crate::domain::{EngineKind, ModelRef, Reading, Residency, Why};
use crate::host::{Answer, HttpError, foreign};

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::LlamaCpp,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, _| Box::pin(load(probe)),
};

const PROPS: &str = "/props?autoload=false";
const METRICS: &str = "/metrics?autoload=false";
const LOADING: Why = Why(std::borrow::Cow::Borrowed("it loads its model"));

async fn fingerprint(probe: &mut Probe) -> bool {
    let named = matches!(probe.get(MODELS).await, Ok(answer) if answer.server == "llama.cpp" || is_loading(&answer));
    named || owner_of_models(probe).await.as_deref() == Some("llamacpp")
}

fn is_loading(answer: &Answer) -> bool {
    #[derive(Deserialize)]
    struct Refusal {
        error: Reason,
    }
    #[derive(Deserialize)]
    struct Reason {
        message: String,
    }
    answer.status == 503 && matches!(answer.json::<Refusal>(), Ok(refusal) if refusal.error.message == "Loading model")
}

/// A successful answer, or why there is none.
async fn ask(probe: &mut Probe, path: &'static str) -> Result<Answer, Why> {
    let answer = probe.get(path).await.map_err(|error| why(path, &error))?;
    if is_loading(&answer) {
        return Err(LOADING);
    }
    match answer.success() {
        Ok(_) => Ok(answer),
        Err(error) => Err(why(path, &error)),
    }
}

/// What `/props` says of the whole server.
#[derive(Deserialize)]
struct Props {
    build_info: Option<String>,
    default_generation_settings: Option<Settings>,
    #[serde(default)]
    is_sleeping: bool,
}

#[derive(Deserialize)]
struct Settings {
    n_ctx: Option<u64>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    meta: Option<Meta>,
    /// Said by a router only.
    status: Option<Status>,
}

#[derive(Default, Deserialize)]
struct Meta {
    /// The context of one slot.
    n_ctx: Option<u64>,
    n_params: Option<u64>,
    size: Option<u64>,
    ftype: Option<String>,
}

#[derive(Deserialize)]
struct Status {
    value: String,
}

async fn describe(probe: &mut Probe) -> Description {
    // Its models first: while it loads, they say so, and nothing else is asked.
    let list = ask(probe, MODELS).await.and_then(|answer| answer.json().map_err(|error| why(MODELS, &error)));
    let list: ModelList<Model> = match list {
        Ok(list) => list,
        Err(why) => {
            return Description { version: Reading::Unavailable(why.clone()), models: Reading::Unavailable(why) };
        }
    };
    let props: Result<Props, Why> =
        ask(probe, PROPS).await.and_then(|answer| answer.json().map_err(|error| why(PROPS, &error)));
    let models = list.data.unwrap_or_default().iter().map(|model| described(model, props.as_ref().ok())).collect();
    let version = props.and_then(|props| props.build_info.ok_or(Why::from("it does not say")));
    Description { version: version.map(|version| foreign::name(&version)).into(), models: Reading::Known(models) }
}

fn described(model: &Model, props: Option<&Props>) -> ModelRef {
    let meta = model.meta.as_ref();
    let of_props = props.and_then(|props| props.default_generation_settings.as_ref()?.n_ctx);
    // A router says 0, and its models have contexts of their own.
    let of_props = of_props.filter(|tokens| *tokens > 0 && model.status.is_none());
    let residency = match model.status.as_ref().map(|status| status.value.as_str()) {
        None if props.is_some_and(|props| props.is_sleeping) => Residency::OnDisk,
        None | Some("loaded") => Residency::Loaded { vram_bytes: None, until: None },
        Some("unloaded" | "sleeping") => Residency::OnDisk,
        Some(_) => Residency::Unknown,
    };
    ModelRef {
        name: foreign::name(&model.id),
        family: None,
        parameters: meta.and_then(|meta| meta.n_params).map(parameters),
        quantization: meta.and_then(|meta| meta.ftype.as_deref()).map(foreign::name),
        size_bytes: meta.and_then(|meta| meta.size),
        context_tokens: of_props.or(meta.and_then(|meta| meta.n_ctx)),
        residency,
    }
}

/// A number of parameters as models are named: `134.5M`, `8.0B`.
fn parameters(count: u64) -> String {
    let count = count as f64;
    let (scaled, unit) = if count >= 999.95e6 { (count / 1e9, 'B') } else { (count / 1e6, 'M') };
    format!("{scaled:.1}{unit}")
}

async fn load(probe: &mut Probe) -> Result<Load, Why> {
    let answer = probe.get(METRICS).await.map_err(|error| why(METRICS, &error))?;
    if is_loading(&answer) {
        return Err(LOADING);
    }
    // It answers, so its models stand; only these two readings are missing.
    Ok(match answer.status {
        200..=299 => counts(&answer.text()),
        501 => Load::unavailable(&"started without --metrics".into()),
        400 => Load::unavailable(&"a router does not say, only its models do".into()),
        status => Load::unavailable(&why(METRICS, &HttpError::Status(status))),
    })
}

fn counts(text: &str) -> Load {
    let (mut running, mut waiting) = (None, None);
    for sample in prometheus::samples(text) {
        match sample {
            Ok(sample) if sample.name == "llamacpp:requests_processing" => running = prometheus::count(sample.value),
            Ok(sample) if sample.name == "llamacpp:requests_deferred" => waiting = prometheus::count(sample.value),
            Ok(_) => {}
            Err(malformed) => return Load::unavailable(&Why::new(malformed.to_string())),
        }
    }
    let reading = |count: Option<u64>| count.map_or(Reading::Unavailable("it does not say".into()), Reading::Known);
    Load { running: reading(running), waiting: reading(waiting) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_models_are_named() {
        assert_eq!(parameters(134_515_008), "134.5M");
        assert_eq!(parameters(8_030_261_248), "8.0B");
        assert_eq!(parameters(999_990_000), "1.0B");
    }

    #[test]
    fn a_router_tells_which_models_are_loaded() {
        let residency = |status: &str| {
            let model = format!(r#"{{"id":"a","status":{{"value":"{status}","args":[]}}}}"#);
            described(&serde_json::from_str(&model).unwrap(), None).residency
        };
        assert!(matches!(residency("loaded"), Residency::Loaded { .. }));
        assert_eq!(residency("unloaded"), Residency::OnDisk);
        assert_eq!(residency("sleeping"), Residency::OnDisk);
        assert_eq!(residency("loading"), Residency::Unknown);
    }
}
