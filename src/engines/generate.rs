//! One short generation: the only proof that a server which answers also works. A server that hangs in its GPU answers every
//! other question.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{NEEDS_KEY, Probe, identify, is_same};
use crate::domain::{EngineKind, ModelRef, Reading, Residency};
use crate::host::{Answer, Http, HttpError, Origin, foreign};

/// So many tokens are asked for.
const TOKENS: u32 = 8;
const PROMPT: &str = "Say hello.";

/// The most that is kept of what it says instead of generating, bytes.
const SAID_BYTES: usize = 200;

/// What came of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The model.
    pub model: String,
    /// What it said, stripped and bounded.
    pub text: String,
}

/// Why nothing was generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untried {
    /// Nobody answers there as an engine does; it may still be starting.
    #[error("no engine answers yet: {0}")]
    NotThere(String),
    /// It holds no model that generates.
    #[error("it holds no model to try")]
    NoModel,
    /// The model that was named only embeds.
    #[error("{0} only embeds")]
    Embeds(String),
    /// The model that was named is not there.
    #[error("it has no model {0}")]
    NoSuchModel(String),
    /// It wants a key.
    #[error("it asks for an API key")]
    NeedsKey,
    /// It was asked, and failed.
    #[error("{model} generated nothing: {why}")]
    Failed {
        /// The model.
        model: String,
        /// Why.
        why: String,
    },
}

/// Has the server at `origin` generate a few tokens, with the `named` model, else with the one that costs least: one that is
/// loaded, else the smallest. It may take so long, because a model may have to be loaded first.
///
/// # Errors
/// Why that cannot be done, or failed.
pub async fn generate(
    http: &Http,
    origin: Origin,
    named: Option<&str>,
    patience: Duration,
) -> Result<Generated, Untried> {
    let mut probe = Probe::new(http, origin);
    let spec = match identify(&mut probe).await {
        Ok(Some(spec)) => spec,
        Ok(None) => return Err(Untried::NotThere("it is no engine that is known here".to_owned())),
        Err(error) => return Err(Untried::NotThere(error.to_string())),
    };
    let models = match spec.read(&mut probe).await.models {
        Reading::Known(models) => models,
        Reading::Unavailable(why) if why == NEEDS_KEY => return Err(Untried::NeedsKey),
        Reading::Unavailable(why) => return Err(Untried::NotThere(why.to_string())),
    };
    let model = match named {
        None => cheapest(&models).ok_or(Untried::NoModel)?,
        Some(name) => {
            let known = models.iter().find(|model| is_same(&model.name, name));
            known.ok_or_else(|| Untried::NoSuchModel(name.to_owned()))?
        }
    };
    if embeds(model) {
        return Err(Untried::Embeds(model.name.clone()));
    }
    let model = model.name.clone();
    let ask = Ask { http, origin, model: &model, patience };
    let said = if spec.kind == EngineKind::Ollama { ask.ollama().await } else { ask.openai().await };
    match said {
        Ok(text) if !text.trim().is_empty() => {
            Ok(Generated { text: foreign::clean(text.trim(), 80).into_owned(), model })
        }
        Ok(_) => Err(Untried::Failed { why: "an empty answer".to_owned(), model }),
        Err(Unsaid::Http(HttpError::Status(401 | 403)) | Unsaid::Refused(HttpError::Status(401 | 403), _)) => {
            Err(Untried::NeedsKey)
        }
        Err(error) => Err(Untried::Failed { why: error.to_string(), model }),
    }
}

/// Whether a model only embeds, as its family or its name says.
fn embeds(model: &ModelRef) -> bool {
    let family = model.family.as_deref().unwrap_or_default();
    family.contains("bert") || model.name.contains("embed")
}

/// The model to try: models that only embed are left alone.
fn cheapest(models: &[ModelRef]) -> Option<&ModelRef> {
    let dearness = |model: &&ModelRef| {
        (!matches!(model.residency, Residency::Loaded { .. }), model.size_bytes.unwrap_or(u64::MAX))
    };
    models.iter().filter(|model| !embeds(model)).min_by_key(dearness)
}

/// Why a server said nothing.
#[derive(Debug, thiserror::Error)]
enum Unsaid {
    /// There was no answer, or none that is understood.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// It refused, and said so in these words.
    #[error("{0}: {1}")]
    Refused(HttpError, String),
}

/// A successful answer; else what it says instead: `error` as Ollama writes it, or `error.message` as `OpenAI` does.
fn success(answer: &Answer) -> Result<&Answer, Unsaid> {
    let error = match answer.success() {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let said = answer.json::<serde_json::Value>().unwrap_or_default();
    let said = said.get("error").and_then(|it| it.as_str().or_else(|| it.get("message")?.as_str()));
    Err(match said {
        Some(said) => Unsaid::Refused(error, foreign::clean(said, SAID_BYTES).into_owned()),
        None => Unsaid::Http(error),
    })
}

struct Ask<'a> {
    http: &'a Http,
    origin: Origin,
    model: &'a str,
    patience: Duration,
}

impl Ask<'_> {
    /// Ollama's own interface (`docs/api.md`, "Generate a completion").
    async fn ollama(&self) -> Result<String, Unsaid> {
        #[derive(Deserialize)]
        struct Said {
            response: String,
        }
        let body =
            json!({ "model": self.model, "prompt": PROMPT, "stream": false, "options": { "num_predict": TOKENS } });
        let answer = self.post("/api/generate", &body).await?;
        Ok(success(&answer)?.json::<Said>()?.response)
    }

    /// `OpenAI`'s: the chat, or, for a model without a template for one, the plain completion.
    async fn openai(&self) -> Result<String, Unsaid> {
        #[derive(Deserialize)]
        struct Said {
            choices: Vec<Choice>,
        }
        #[derive(Deserialize)]
        struct Choice {
            message: Option<Message>,
            text: Option<String>,
        }
        #[derive(Deserialize)]
        struct Message {
            content: Option<String>,
            /// What a model that reasons says first; with few tokens it says nothing else.
            reasoning_content: Option<String>,
        }
        let messages = json!([{ "role": "user", "content": PROMPT }]);
        let chat = json!({ "model": self.model, "messages": messages, "max_tokens": TOKENS });
        let mut answer = self.post("/v1/chat/completions", &chat).await?;
        if matches!(answer.status, 400 | 404 | 405) {
            let plain = json!({ "model": self.model, "prompt": PROMPT, "max_tokens": TOKENS });
            answer = self.post("/v1/completions", &plain).await?;
        }
        let said: Said = success(&answer)?.json()?;
        let of = |choice: Choice| match choice.message {
            Some(message) => message.content.filter(|text| !text.is_empty()).or(message.reasoning_content),
            None => choice.text,
        };
        Ok(said.choices.into_iter().next().and_then(of).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: &serde_json::Value) -> Result<Answer, HttpError> {
        self.http.post(self.origin, path, body, self.patience).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, size_bytes: u64, residency: Residency) -> ModelRef {
        ModelRef { name: name.to_owned(), size_bytes: Some(size_bytes), residency, ..ModelRef::default() }
    }

    #[test]
    fn a_loaded_model_is_tried_before_a_small_one_and_an_embedding_never() {
        let embedding = model("nomic-embed-text:latest", 1, Residency::OnDisk);
        let small = model("qwen3:0.6b", 10, Residency::OnDisk);
        let large = model("llama3:70b", 1000, Residency::OnDisk);
        let loaded = model("qwen3:32b", 500, Residency::Loaded { vram_bytes: None, until: None });
        let name = |models: &[ModelRef]| cheapest(models).map(|model| model.name.clone());
        let all = [embedding.clone(), large.clone(), small.clone(), loaded];
        assert_eq!(name(&all).as_deref(), Some("qwen3:32b"));
        assert_eq!(name(&[embedding.clone(), large, small]).as_deref(), Some("qwen3:0.6b"));
        assert_eq!(name(&[embedding]), None);
    }
}
