//! What llama.cpp's server is told as a router of several models: to load one, and to let it go (`tools/server/README.md`,
//! "Using multiple models").

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::host::{Answer, Http, HttpError, Origin, foreign};

/// How long it may take to answer; what it is told it does afterwards.
const PATIENCE: Duration = Duration::from_secs(10);

/// The time between two looks whether it has done so.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A llama.cpp server that may be a router.
#[derive(Debug, Clone, Copy)]
pub struct Router<'a> {
    http: &'a Http,
    origin: Origin,
}

/// Why a model could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouterError {
    /// It serves the one model that it was started with.
    #[error("this llama.cpp server serves the one model that it was started with: restart it to change that")]
    NoRouter,
    /// It has no such model.
    #[error("there is no model {0}")]
    NoModel(String),
    /// It tried, and the model ended.
    #[error("{0} does not load")]
    Failed(String),
    /// It neither did it nor said why not within the time.
    #[error("{0} is still {1}")]
    Still(String, String),
    /// It refused: its own words.
    #[error("{0}")]
    Refused(String),
    /// There is no answer, or none that is understood.
    #[error(transparent)]
    Http(#[from] HttpError),
}

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    value: String,
    #[serde(default)]
    failed: bool,
}

impl<'a> Router<'a> {
    /// The one at `origin`.
    pub fn new(http: &'a Http, origin: Origin) -> Self {
        Self { http, origin }
    }

    /// Whether it is a router at all.
    ///
    /// # Errors
    /// When it does not answer, or not as it is known to.
    pub async fn is_router(&self) -> Result<bool, RouterError> {
        Ok(self.list().await?.iter().any(|model| model.status.is_some()))
    }

    /// Loads a model, and waits so long until it is there.
    ///
    /// # Errors
    /// When it is no router, has no such model, or does not load it.
    pub async fn load(&self, name: &str, patience: Duration) -> Result<(), RouterError> {
        self.tell("/models/load", name, "loaded", patience).await
    }

    /// Lets a model go from memory, and waits until it is gone.
    ///
    /// # Errors
    /// When it is no router, has no such model, or does not let go of it.
    pub async fn unload(&self, name: &str) -> Result<(), RouterError> {
        self.tell("/models/unload", name, "unloaded", PATIENCE).await
    }

    async fn tell(&self, path: &str, name: &str, wanted: &str, patience: Duration) -> Result<(), RouterError> {
        if self.status(name).await?.value == wanted {
            return Ok(());
        }
        let answer = self.http.post(self.origin, path, &json!({ "model": name }), PATIENCE).await?;
        understood(name, &answer)?;
        let began = Instant::now();
        loop {
            let status = self.status(name).await?;
            if status.value == wanted {
                return Ok(());
            }
            if status.failed {
                return Err(RouterError::Failed(name.to_owned()));
            }
            if began.elapsed() >= patience {
                return Err(RouterError::Still(name.to_owned(), foreign::name(&status.value)));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn status(&self, name: &str) -> Result<Status, RouterError> {
        let model = self.list().await?.into_iter().find(|model| foreign::name(&model.id) == name);
        model.ok_or_else(|| RouterError::NoModel(name.to_owned()))?.status.ok_or(RouterError::NoRouter)
    }

    async fn list(&self) -> Result<Vec<Model>, RouterError> {
        let answer = self.http.get(self.origin, "/models").await?;
        Ok(answer.success()?.json::<List>()?.data)
    }
}

fn understood(name: &str, answer: &Answer) -> Result<(), RouterError> {
    match answer.status {
        200..=299 => Ok(()),
        404 => Err(RouterError::NoModel(name.to_owned())),
        status => {
            let said = answer.json::<Value>().ok();
            let said = said.as_ref().and_then(|said| said.pointer("/error/message")?.as_str());
            Err(said.map_or(HttpError::Status(status).into(), |said| {
                RouterError::Refused(foreign::clean(said, 300).into_owned())
            }))
        }
    }
}
