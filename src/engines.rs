//! Inference servers: one file each, told by what they answer and never by their port.
//!
//! Each file is one [`EngineSpec`]; [`ENGINES`] lists them. Only requests that change nothing and cost next to nothing
//! are made: a `GET` can load a model (llama.cpp's router), generate a token (the `/health` of `SGLang`) or call every upstream
//! for money (that of `LiteLLM`), so a path is asked for here only where its server is known to bear it, and an unknown
//! server is asked for one path alone, [`MODELS`]. What a server is told to do, because somebody asked for it, stands apart:
//! [`Ollama`], [`Router`].

mod generate;
mod listening;
mod litellm;
mod llamacpp;
mod metrics;
mod ollama;
mod openai;
pub mod prometheus;
mod sglang;
mod spared;
mod tgi;
mod vllm;

pub use generate::{Generated, Untried, generate};
pub use listening::{is_child, is_spared_with, reachable};
pub use llamacpp::log::{TimedRequest, TimingLog};
pub use llamacpp::router::{Router, RouterError};
pub use ollama::control::{ControlError, HeldModel, Ollama, Pulling, is_same};
pub use ollama::log::{EndedRequest, RequestLog};
pub use spared::is_spared;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use crate::domain::{EngineKind, ModelRef, Reading, Residency, Tally, Why};
use crate::host::{Answer, Http, HttpError, Origin, foreign};

/// The list of models in `OpenAI`'s form: every engine known here has it, and it is harmless wherever it exists.
pub const MODELS: &str = "/v1/models";

/// Prometheus metrics, where most engines have them.
const METRICS: &str = "/metrics";

/// Programs that start servers of their own, one a model, on ports of this host: those are no engines by themselves
/// (Ollama since 0.30 and llama.cpp's router start a `llama-server` for each loaded model).
pub const STARTERS: &[&str] = &["ollama", "llama-server"];

/// Every engine, the surest to tell first; what has nothing of its own to be told by last.
pub const ENGINES: &[EngineSpec] =
    &[llamacpp::SPEC, vllm::SPEC, sglang::SPEC, ollama::SPEC, tgi::SPEC, litellm::SPEC, openai::SPEC];

/// A question to a server.
type Ask<T> = for<'a> fn(&'a mut Probe) -> LocalBoxFuture<'a, T>;
/// A question to a server, about its models too, or why it has no answer.
type AskOf<T> = for<'a> fn(&'a mut Probe, &'a mut Vec<ModelRef>) -> LocalBoxFuture<'a, Result<T, Why>>;

/// How one kind of engine is told and read.
pub struct EngineSpec {
    /// The kind.
    pub kind: EngineKind,
    /// Whether the server is of this kind.
    fingerprint: Ask<bool>,
    /// What changes rarely: version and models.
    describe: Ask<Description>,
    /// What changes all the time: cheap requests, or why nothing can be said. It may correct the models, of which it is given
    /// none where they are kept for those with a key.
    load: AskOf<Load>,
}

/// Version and models of a server.
struct Description {
    version: Reading<String>,
    models: Reading<Vec<ModelRef>>,
}

/// What a server has to do, and what it has done since it started.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// Requests being answered now.
    pub running: Reading<u64>,
    /// Requests that wait.
    pub waiting: Reading<u64>,
    /// The part of the KV cache in use, 0 to 1.
    pub kv_cache_used_ratio: Reading<f64>,
    /// Tokens that the KV cache holds in all.
    pub kv_cache_tokens: Reading<u64>,
    /// All that it counted.
    pub tally: Reading<Arc<Tally>>,
}

impl Load {
    /// Nothing of it can be read, for the same reason.
    pub fn unavailable(why: &Why) -> Self {
        let count = || Reading::Unavailable(why.clone());
        Self {
            running: count(),
            waiting: count(),
            kv_cache_used_ratio: Reading::Unavailable(why.clone()),
            kv_cache_tokens: count(),
            tally: Reading::Unavailable(why.clone()),
        }
    }
}

/// Everything that is read of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    /// Its version, as it says.
    pub version: Reading<String>,
    /// The models that it serves or holds.
    pub models: Reading<Vec<ModelRef>>,
    /// Its requests.
    pub load: Load,
}

impl EngineSpec {
    /// Reads all of a server of this kind.
    pub async fn read(&self, probe: &mut Probe) -> Readings {
        let Description { version, mut models } = (self.describe)(probe).await;
        let mut unknown = Vec::new();
        let load = (self.load)(probe, known_or(&mut models, &mut unknown)).await;
        Readings { version, models, load: load.unwrap_or_else(|why| Load::unavailable(&why)) }
    }

    /// Reads again only what changes all the time. False if the server did not say it, so that all of it should be read
    /// anew at the next turn; its models stay until then.
    pub async fn refresh(&self, probe: &mut Probe, readings: &mut Readings) -> bool {
        let mut unknown = Vec::new();
        let load = (self.load)(probe, known_or(&mut readings.models, &mut unknown)).await;
        let said = load.is_ok();
        readings.load = load.unwrap_or_else(|why| Load::unavailable(&why));
        said
    }
}

fn known_or<'a>(models: &'a mut Reading<Vec<ModelRef>>, unknown: &'a mut Vec<ModelRef>) -> &'a mut Vec<ModelRef> {
    match models {
        Reading::Known(models) => models,
        Reading::Unavailable(_) => unknown,
    }
}

/// Tells what answers at the probe's origin; `None` if it speaks HTTP and is no engine known here.
///
/// # Errors
/// When it cannot be told because it does not answer, or not in HTTP.
pub async fn identify(probe: &mut Probe) -> Result<Option<&'static EngineSpec>, HttpError> {
    match probe.get(MODELS).await {
        Ok(_) | Err(HttpError::TooLarge(_)) => {}
        Err(error) => return Err(error),
    }
    for spec in ENGINES {
        if (spec.fingerprint)(probe).await {
            return Ok(Some(spec));
        }
    }
    probe.silence().map_or(Ok(None), Err)
}

/// Asks one server, each path once, all within one time.
pub struct Probe {
    http: Http,
    origin: Origin,
    deadline: Instant,
    answers: HashMap<Cow<'static, str>, Result<Answer, HttpError>>,
}

impl Probe {
    /// How long all questions to one server may take together.
    pub const TIME: Duration = Http::TOTAL;

    /// A probe of `origin`, whose time begins now.
    pub fn new(http: &Http, origin: Origin) -> Self {
        Self { http: http.clone(), origin, deadline: Instant::now() + Self::TIME, answers: HashMap::new() }
    }

    /// The server that is asked.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The answer to a path; asked once and remembered.
    ///
    /// # Errors
    /// Why there is none. An answer with any status is no error.
    pub async fn get(&mut self, path: impl Into<Cow<'static, str>>) -> Result<Answer, HttpError> {
        let path = path.into();
        if let Some(answer) = self.answers.get(&path) {
            return answer.clone();
        }
        let answer = timeout_at(self.deadline, self.http.get(self.origin, &path)).await;
        let answer = answer.unwrap_or(Err(HttpError::NoAnswer(Self::TIME)));
        self.answers.insert(path, answer.clone());
        answer
    }

    /// The answer to a path, if it was asked already.
    fn remembered(&self, path: &str) -> Option<&Answer> {
        self.answers.get(path)?.as_ref().ok()
    }

    /// A successful answer as JSON, or why there is none.
    ///
    /// # Errors
    /// Why there is none, in the operator's words.
    pub async fn json<T: DeserializeOwned>(&mut self, path: &'static str) -> Result<T, Why> {
        let answer = self.get(path).await;
        answer.and_then(|answer| answer.success()?.json()).map_err(|error| why(path, &error))
    }

    /// The text of a successful answer, or why there is none.
    ///
    /// # Errors
    /// Why there is none, in the operator's words.
    pub async fn text(&mut self, path: &'static str) -> Result<String, Why> {
        let answer = self.get(path).await.map_err(|error| why(path, &error))?;
        Ok(answer.success().map_err(|error| why(path, &error))?.text().into_owned())
    }

    /// The first question that was not answered, if there is one.
    fn silence(&self) -> Option<HttpError> {
        let mut errors = self.answers.values().filter_map(|answer| answer.as_ref().err());
        errors.find(|error| !matches!(error, HttpError::TooLarge(_))).cloned()
    }
}

/// Whose fault an answer's status says that a failed request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    /// Nobody's.
    Answered,
    /// The server's.
    Fault,
    /// There was too much to do: 429 and 503 (RFC 6585 §4, RFC 9110 §15.6.4).
    Overload,
    /// The caller's: a path that is not there, a prompt that is too long.
    CallersMistake,
}

fn judged(status: u16) -> Judged {
    match status {
        429 | 503 => Judged::Overload,
        500.. => Judged::Fault,
        400.. => Judged::CallersMistake,
        _ => Judged::Answered,
    }
}

/// Why a server with a key says nothing.
const NEEDS_KEY: Why = Why(Cow::Borrowed("it asks for an API key"));

/// A failed question in the operator's words.
fn why(path: &str, error: &HttpError) -> Why {
    match error {
        HttpError::Status(401 | 403) => NEEDS_KEY,
        HttpError::Status(_) | HttpError::TooLarge(_) | HttpError::NotUnderstood(_) => {
            Why::new(format!("{path}: {error}"))
        }
        _ => Why::new(error.to_string()),
    }
}

/// Whether the models are kept for those with the key.
async fn is_closed(probe: &mut Probe) -> bool {
    matches!(probe.get(MODELS).await, Ok(answer) if answer.status == 401)
}

/// A model of which only the name is known.
fn named(name: &str) -> ModelRef {
    ModelRef { name: foreign::name(name), ..ModelRef::default() }
}

/// A model of an engine that serves only what it has loaded.
fn served(name: &str) -> ModelRef {
    ModelRef { residency: Residency::Loaded { vram_bytes: None, until: None }, ..named(name) }
}

/// The models of an engine that serves only what it has loaded, and says with which context.
async fn served_with_context(probe: &mut Probe) -> Result<Vec<ModelRef>, Why> {
    #[derive(serde::Deserialize)]
    struct Model {
        id: String,
        max_model_len: Option<u64>,
    }
    let list: ModelList<Model> = probe.json(MODELS).await?;
    let models = list.data.unwrap_or_default().into_iter();
    Ok(models.map(|model| ModelRef { context_tokens: model.max_model_len, ..served(&model.id) }).collect())
}

/// A list of models in `OpenAI`'s form.
#[derive(serde::Deserialize)]
struct ModelList<T> {
    /// Ollama without models says `null`.
    data: Option<Vec<T>>,
}

/// Who made the models, as an engine's own list says (`owned_by`): engines write their name there.
async fn owner_of_models(probe: &mut Probe) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Owned {
        owned_by: Option<String>,
    }
    let list: ModelList<Owned> = probe.json(MODELS).await.ok()?;
    Some(list.data.unwrap_or_default().into_iter().find_map(|model| model.owned_by).unwrap_or_default())
}
