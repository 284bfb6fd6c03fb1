//! What Ollama is asked to do: name, pull, load and delete models (`docs/api.md`, `server/routes.go`).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{RUNNING, TAGS};
use crate::host::{Answer, Http, HttpError, Origin, foreign};

/// How long it may take to move a name: small files are written.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may say nothing while it pulls: it tells its progress some times a second, but hashes a large blob in silence.
const SILENCE: Duration = Duration::from_mins(5);

/// The most that is kept of what it says, bytes.
const SAID_BYTES: usize = 300;

/// One Ollama, to be told what to do. Names are those of [`ModelName`](crate::domain::ModelName).
#[derive(Debug, Clone, Copy)]
pub struct Ollama<'a> {
    http: &'a Http,
    origin: Origin,
}

/// A model that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldModel {
    /// Its name with its tag, as Ollama writes it.
    pub name: String,
    /// The SHA-256 of its manifest, 64 hexadecimal digits: two names with one digest are one model.
    pub digest: String,
    /// Bytes of all its layers; some may belong to other models too.
    pub size_bytes: u64,
    /// It lies elsewhere and only has a name here.
    pub remote: bool,
}

/// How far a pull is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulling {
    /// What it does, in its own words.
    pub status: String,
    /// Bytes of the present layer that are here.
    pub done: u64,
    /// Bytes of the present layer; 0 where it does not say.
    pub total: u64,
}

/// Why a model could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no model of this name.
    #[error("there is no model {0}")]
    NoModel(String),
    /// It refused, or began and failed: its own words.
    #[error("{0}")]
    Refused(String),
    /// It stopped in the middle of its answer.
    #[error("it broke off while {0}")]
    BrokeOff(String),
    /// There is no answer, or none that is understood.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl<'a> Ollama<'a> {
    /// The one at `origin`.
    pub fn new(http: &'a Http, origin: Origin) -> Self {
        Self { http, origin }
    }

    /// Every model that it holds, in its order.
    ///
    /// # Errors
    /// When it does not answer, or not as it is known to.
    pub async fn models(&self) -> Result<Vec<HeldModel>, ControlError> {
        #[derive(Deserialize)]
        struct Tags {
            models: Option<Vec<Tag>>,
        }
        #[derive(Deserialize)]
        struct Tag {
            name: String,
            digest: String,
            #[serde(default)]
            size: u64,
            remote_host: Option<String>,
        }
        let tags: Tags = self.http.get(self.origin, TAGS).await?.success()?.json()?;
        let held = |tag: Tag| HeldModel {
            name: foreign::name(&tag.name),
            digest: foreign::name(&tag.digest),
            size_bytes: tag.size,
            remote: tag.remote_host.is_some_and(|host| !host.is_empty()),
        };
        Ok(tags.models.unwrap_or_default().into_iter().map(held).collect())
    }

    /// The digest of the model that has this name now; `None` where none has.
    ///
    /// # Errors
    /// Those of [`Self::models`].
    pub async fn digest(&self, name: &str) -> Result<Option<String>, ControlError> {
        Ok(self.models().await?.into_iter().find(|model| is_same(&model.name, name)).map(|model| model.digest))
    }

    /// Digests of the models in memory: each is listed under the name by which it was asked for first.
    ///
    /// # Errors
    /// When it does not answer, or not as it is known to.
    pub async fn loaded(&self) -> Result<Vec<String>, ControlError> {
        #[derive(Deserialize)]
        struct Running {
            models: Option<Vec<Loaded>>,
        }
        #[derive(Deserialize)]
        struct Loaded {
            digest: String,
        }
        let running: Running = self.http.get(self.origin, RUNNING).await?.success()?.json()?;
        Ok(running.models.unwrap_or_default().iter().map(|model| foreign::name(&model.digest)).collect())
    }

    /// What it says of a model: the text from which it could be made again, whose `FROM` names its largest blob.
    ///
    /// # Errors
    /// When there is no such model, or it does not answer.
    pub async fn modelfile(&self, name: &str) -> Result<String, ControlError> {
        #[derive(Deserialize)]
        struct Shown {
            modelfile: String,
        }
        let answer = self.http.post(self.origin, "/api/show", &json!({ "model": name }), PATIENCE).await?;
        Ok(understood(name, &answer)?.json::<Shown>()?.modelfile)
    }

    /// Gives the model `from` the name `to` too, whatever had that name. It costs no bytes.
    ///
    /// # Errors
    /// When there is no such model, or it refuses.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), ControlError> {
        let body = json!({ "source": from, "destination": to });
        let answer = self.http.post(self.origin, "/api/copy", &body, PATIENCE).await?;
        understood(from, &answer).map(drop)
    }

    /// Lets a name go, and with a model's last name its bytes.
    ///
    /// # Errors
    /// When there is no such model, or it refuses.
    pub async fn delete(&self, name: &str) -> Result<(), ControlError> {
        let answer = self.http.delete(self.origin, "/api/delete", &json!({ "model": name }), PATIENCE).await?;
        understood(name, &answer).map(drop)
    }

    /// Loads a model into memory, for as long as it was set up to keep it; that may take so long.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be loaded.
    pub async fn load(&self, name: &str, patience: Duration) -> Result<(), ControlError> {
        let only = json!({ "model": name });
        let answer = self.http.post(self.origin, "/api/generate", &only, patience).await?;
        match understood(name, &answer) {
            // A model that only embeds.
            Err(ControlError::Refused(why)) if why.contains("does not support generate") => {
                let answer = self.http.post(self.origin, "/api/embed", &only, patience).await?;
                understood(name, &answer).map(drop)
            }
            done => done.map(drop),
        }
    }

    /// Lets a model go from memory.
    ///
    /// # Errors
    /// When there is no such model, or it refuses.
    pub async fn unload(&self, name: &str) -> Result<(), ControlError> {
        let body = json!({ "model": name, "keep_alive": 0 });
        let answer = self.http.post(self.origin, "/api/generate", &body, PATIENCE).await?;
        understood(name, &answer).map(drop)
    }

    /// Pulls a model from the registry that its name says, and tells each step. What is here already is not fetched again,
    /// also of a pull that broke off. Dropping the future ends it.
    ///
    /// # Errors
    /// When it fails, also in the middle of an answer that began as a success, or says no more without an end.
    pub async fn pull(&self, name: &str, mut tell: impl FnMut(Pulling)) -> Result<(), ControlError> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(default)]
            status: String,
            #[serde(default)]
            completed: u64,
            #[serde(default)]
            total: u64,
            error: Option<String>,
        }
        let body = json!({ "model": name, "stream": true });
        let mut lines = self.http.post_for_lines(self.origin, "/api/pull", &body, SILENCE).await?;
        let mut status = "it looked for the model".to_owned();
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) | Err(HttpError::BrokeOff | HttpError::Closed) => return Err(ControlError::BrokeOff(status)),
                Err(error) => return Err(error.into()),
            };
            if line.trim_ascii().is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<Line>(&line) else {
                let said = foreign::clean_bytes(&line, SAID_BYTES);
                return Err(HttpError::NotUnderstood(said.into_owned()).into());
            };
            if let Some(error) = line.error {
                return Err(ControlError::Refused(foreign::clean(&error, SAID_BYTES).into_owned()));
            }
            if lines.status >= 300 {
                return Err(HttpError::Status(lines.status).into());
            }
            status = foreign::name(&line.status);
            if status == "success" {
                return Ok(());
            }
            tell(Pulling { status: status.clone(), done: line.completed, total: line.total });
        }
    }
}

/// Whether two names are one to Ollama.
pub fn is_same(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// A successful answer, or what it says instead.
fn understood<'a>(name: &str, answer: &'a Answer) -> Result<&'a Answer, ControlError> {
    match answer.status {
        200..=299 => Ok(answer),
        404 => Err(ControlError::NoModel(name.to_owned())),
        status => {
            let said = answer.json::<Value>().ok();
            let said = said.as_ref().and_then(|said| said.get("error")?.as_str());
            Err(match said {
                Some(said) => ControlError::Refused(foreign::clean(said, SAID_BYTES).into_owned()),
                None => HttpError::Status(status).into(),
            })
        }
    }
}
