//! What the container engine said last, for the sources that build upon it: usage of containers, logs, joins.
//!
//! The docker source alone writes it, through the watch channel in [`SourceContext`](super::SourceContext).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::{DockerSample, Failure, FailureKind};
use crate::host::DockerClient;

/// The containers, the way to their engine, and why that way is closed. Before the first attempt all of it is absent.
#[derive(Debug, Clone, Default)]
pub struct Roster {
    /// The last good answer. It stays while the engine is gone: its containers may run on.
    pub known: Option<Known>,
    /// Why the engine cannot be asked now; `None` while it can.
    pub failure: Option<Failure>,
}

/// An engine that answered.
#[derive(Debug, Clone)]
pub struct Known {
    /// For further questions.
    pub client: DockerClient,
    /// Its containers.
    pub sample: Arc<DockerSample>,
}

impl Roster {
    /// Whether the engine has been asked at least once.
    pub fn was_asked(&self) -> bool {
        self.known.is_some() || self.failure.is_some()
    }

    /// The engine and its containers as they were last known; or why there are none.
    pub fn engine(&self) -> Result<&Known, Failure> {
        match (&self.known, &self.failure) {
            (Some(known), _) => Ok(known),
            (None, Some(failure)) if failure.kind == FailureKind::Unsupported => {
                Err(Failure::unsupported("no container engine"))
            }
            (None, failure) => {
                Err(failure.clone().unwrap_or_else(|| Failure::failed("the container engine has not answered yet")))
            }
        }
    }

    /// The way to the engine; or why it cannot be asked now.
    pub fn client(&self) -> Result<&DockerClient, Failure> {
        let known = self.engine()?;
        self.failure.as_ref().map_or(Ok(&known.client), |failure| Err(failure.clone()))
    }
}

/// How long a first reading waits for the engine's first answer.
const ENGINE_PATIENCE: Duration = Duration::from_millis(5_500);

/// The containers, as soon as the engine has been asked. While it is gone they are what it said last.
///
/// # Errors
/// Why there are none.
pub(super) async fn known(roster: &mut watch::Receiver<Roster>) -> Result<Known, Failure> {
    let silent = || Failure::failed("the container engine has not answered yet");
    let waited = timeout(ENGINE_PATIENCE, roster.wait_for(Roster::was_asked)).await;
    let roster = match waited {
        Ok(Ok(roster)) => roster,
        Ok(Err(_)) => return Err(Failure::unsupported("no container engine is asked")),
        Err(_) => return Err(silent()),
    };
    roster.engine().cloned()
}
