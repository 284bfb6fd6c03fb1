//! llama.cpp's server, with one model or as a router of several.
//!
//! It calls itself `llama.cpp` in every answer. While it loads, every path is a 503 *Loading model*. With `--api-key`
//! only `/health` and `/v1/models` stay open; without `--metrics` the metrics are a 501. As a router it loads the model
//! that a request names, so no request here names one, and each says `autoload=false` all the same. `/slots` is left
//! alone: it wakes a server that sleeps, and older ones show prompts there (`tools/server/README.md`).

pub(super) mod log;
pub(super) mod router;

use serde::Deserialize;

use super::metrics::{self, Wanted};
use super::{Description, EngineSpec, Load, MODELS, ModelList, Probe, owner_of_models, prometheus, why};
use crate::domain::{Counter, EngineKind, ModelRef, Reading, Residency, Why, units};
use crate::host::{Answer, HttpError, foreign, with_parameters};

pub(super) const SPEC: EngineSpec = EngineSpec {
    kind: EngineKind::LlamaCpp,
    fingerprint: |probe| Box::pin(fingerprint(probe)),
    describe: |probe| Box::pin(describe(probe)),
    load: |probe, models| Box::pin(load(probe, models)),
};

const PROPS: &str = "/props?autoload=false";
const METRICS: &str = "/metrics?autoload=false";

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
        return Err(Why::LOADING);
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
        parameters: meta.and_then(|meta| meta.n_params).map(units::parameters),
        quantization: meta.and_then(|meta| meta.ftype.as_deref()).map(foreign::name),
        size_bytes: meta.and_then(|meta| meta.size),
        memory_bytes: None,
        context_tokens: of_props.or(meta.and_then(|meta| meta.n_ctx)),
        residency,
    }
}

async fn load(probe: &mut Probe, models: &[ModelRef]) -> Result<Load, Why> {
    if probe.remembered(MODELS).is_some_and(is_loading) {
        return Err(Why::LOADING);
    }
    let answer = probe.get(METRICS).await.map_err(|error| why(METRICS, &error))?;
    if is_loading(&answer) {
        return Err(Why::LOADING);
    }
    // It answers, so its models stand; only these readings are missing.
    Ok(match answer.status {
        200..=299 => counts(&[&answer.text()]),
        501 => Load::unavailable(&"started without --metrics".into()),
        400 => of_router(probe, models).await,
        status => Load::unavailable(&why(METRICS, &HttpError::Status(status))),
    })
}

/// The most models of a router that are asked each turn.
const MODELS_ASKED: usize = 8;

/// A router says nothing of itself: each model that it has loaded is asked, and not made to load.
async fn of_router(probe: &mut Probe, models: &[ModelRef]) -> Load {
    let mut pages = Vec::new();
    let loaded = models.iter().filter(|it| matches!(it.residency, Residency::Loaded { .. }));
    for model in loaded.take(MODELS_ASKED) {
        match probe.get(with_parameters(METRICS, &[("model", &model.name)])).await {
            Ok(answer) if answer.status == 200 => pages.push(answer.text().into_owned()),
            Ok(answer) if answer.status == 501 => return Load::unavailable(&"started without --metrics".into()),
            Ok(answer) => return Load::unavailable(&why(METRICS, &HttpError::Status(answer.status))),
            Err(error) => return Load::unavailable(&why(METRICS, &error)),
        }
    }
    if pages.is_empty() {
        return Load::unavailable(&"a router says what its models do, and none is loaded".into());
    }
    counts(&pages.iter().map(String::as_str).collect::<Vec<_>>())
}

const WANTED: Wanted = Wanted {
    counters: &[
        ("llamacpp:prompt_tokens_total", Counter::PromptTokens),
        ("llamacpp:prompt_seconds_total", Counter::PromptSeconds),
        ("llamacpp:tokens_predicted_total", Counter::GeneratedTokens),
        ("llamacpp:tokens_predicted_seconds_total", Counter::GenerationSeconds),
    ],
    // It keeps none; its log tells each request.
    spreads: &[],
};

/// What these pages say together.
fn counts(pages: &[&str]) -> Load {
    let (mut running, mut waiting) = (None, None);
    let sum = |gauge: &mut Option<f64>, value: f64| *gauge.get_or_insert(0.0) += value;
    // Pages are alike, so one text of all has sums of all.
    let tally = metrics::read(&pages.join("\n"), &WANTED, |sample| match sample.name.as_ref() {
        "llamacpp:requests_processing" => sum(&mut running, sample.value),
        "llamacpp:requests_deferred" => sum(&mut waiting, sample.value),
        _ => {}
    });
    let silent = "it does not say";
    let reading = |count: Option<f64>| count.map_or(Reading::Unavailable(silent.into()), prometheus::counted);
    match tally {
        Ok(tally) => Load {
            running: reading(running),
            waiting: reading(waiting),
            kv_cache_used_ratio: Reading::Unavailable("llama.cpp does not say it any more".into()),
            kv_cache_tokens: Reading::Unavailable(silent.into()),
            tally: Reading::Known(tally.into()),
        },
        Err(why) => Load::unavailable(&why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
