//! What changes the machine: one file an action, and the one runner that carries all of them out.
//!
//! An [`Action`] only makes a [`Plan`]: it looks at the engine, names every object that would change, and says how it can be
//! taken back. What a plan's steps do is plain data ([`Op`](crate::domain::Op)); `ops` carries one out, and [`Runner`]
//! all of a plan's, step by step, with guards before each and a record after. A new action is one file here, one line in
//! [`REGISTRY`], and its specification in [`ACTIONS`](crate::domain::ACTIONS).

mod backup;
mod compose;
mod cuda;
mod decide;
mod gate;
mod kept;
mod lifecycle;
mod model;
mod newer;
mod notes;
mod ops;
mod own;
mod preflight;
mod prune;
mod recorder;
mod remove;
mod rollback;
mod runner;
mod stock;
mod target;
mod trial;
mod update;

pub use gate::{NoProbePath, ProbePath};
pub use own::{OwnAction, PLACEHOLDERS};
pub use runner::{Runner, Start};

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::OnceCell;

use crate::domain::{ActionSpec, Failure, Plan, Protected};
use crate::history::StateDir;
use crate::host::{DockerClient, EngineError, Origin, Ports};

/// One maintenance operation.
pub trait Action: Sync {
    /// What it is called and what it risks.
    fn spec(&self) -> &'static ActionSpec;

    /// What it would do to the targets of `wish`. Changes nothing.
    ///
    /// # Errors
    /// Why it cannot be done, in a sentence that names the remedy.
    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>>;
}

/// Every action, in the order of [`ACTIONS`](crate::domain::ACTIONS).
pub const REGISTRY: &[&dyn Action] = &[
    &lifecycle::START,
    &lifecycle::STOP,
    &lifecycle::RESTART,
    &lifecycle::PAUSE,
    &lifecycle::RESUME,
    &lifecycle::KILL,
    &lifecycle::Remove,
    &update::Update,
    &trial::Trial,
    &rollback::Rollback,
    &prune::Prune,
    &remove::Images,
    &remove::Volume,
    &decide::Pin,
    &decide::Skip,
    &model::LOAD,
    &model::UNLOAD,
    &model::Promote,
    &model::Rollback,
    &model::Pull,
    &model::Delete,
    &model::Move,
    &model::Prune,
    &recorder::Install,
];

/// What somebody wants done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The action's id.
    pub action: String,
    /// The targets as on screen.
    pub targets: Vec<String>,
    /// Optional steps that are to be carried out beside those that are by themselves.
    pub with: Vec<String>,
    /// Optional steps that are left out.
    pub without: Vec<String>,
    /// The tag to which an image goes, or which is passed over; `None` for the one that it has, and for all that are newer.
    /// Of a model: the alias to which it is promoted; of a server, the model that it shall have.
    pub to: Option<String>,
}

/// Why nothing is planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It must not, or cannot, be done as it was asked for.
    #[error("{0}")]
    Refused(String),
    /// What would have to be asked does not answer.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl Refusal {
    fn new(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Failed(failure) => Self::Failed(failure),
            other => Self::Refused(other.to_string()),
        }
    }
}

/// What planning and running may use.
pub struct Desk {
    /// The machine.
    pub ports: Ports,
    /// hostler's own store.
    pub state_dir: StateDir,
    /// What the config says about actions.
    pub settings: ActionSettings,
    /// What the config keeps by name.
    pub protected: Protected,
    /// The endpoint that the config names, if it does.
    endpoint: Option<String>,
    /// NVIDIA's library that the config names, if it does.
    nvml_library: Option<String>,
    /// Where the config says that inference servers listen.
    engine_endpoints: Vec<Origin>,
    /// Folders of models that the config names.
    model_folders: Vec<String>,
    docker: OnceCell<DockerClient>,
}

/// What the config says about actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionSettings {
    /// How long a container has to come up well after an update, unless its own history says otherwise.
    pub gate: Duration,
    /// How long it must then stay well before the update has succeeded.
    pub steady: Duration,
    /// Old versions of a container that are kept for roll back, 1 to 20.
    pub keep: u32,
    /// The largest volume that an update archives unless it is asked to, bytes.
    pub archive_bytes: u64,
    /// What is asked to tell whether a container has come up well, by its name or `project/service`.
    pub probes: BTreeMap<String, ProbePath>,
    /// Days that a release must have been out before it is offered, where nobody decided otherwise; 0 to 365.
    pub wait_days: u32,
    /// The makers of an image are asked what they say of a version before it is updated.
    pub notes: bool,
    /// The stable names of models that clients use: names of Ollama, or symbolic links (absolute paths).
    pub aliases: Vec<String>,
    /// The operator's own actions, no two with one id, and none with the id of one of hostler's.
    pub own: Vec<OwnAction>,
}

impl Default for ActionSettings {
    fn default() -> Self {
        Self {
            gate: Duration::from_mins(2),
            steady: Duration::from_secs(20),
            keep: 3,
            archive_bytes: 2 << 30,
            probes: BTreeMap::new(),
            wait_days: 0,
            notes: true,
            aliases: Vec::new(),
            own: Vec::new(),
        }
    }
}

impl Desk {
    /// A desk at this machine.
    pub fn new(ports: Ports, state_dir: StateDir, settings: ActionSettings, endpoint: Option<String>) -> Self {
        Self {
            ports,
            state_dir,
            settings,
            protected: Protected::default(),
            endpoint,
            nvml_library: None,
            engine_endpoints: Vec::new(),
            model_folders: Vec::new(),
            docker: OnceCell::new(),
        }
    }

    /// The same desk where these names are kept.
    #[must_use]
    pub fn protecting(self, protected: Protected) -> Self {
        Self { protected, ..self }
    }

    /// The same desk where NVIDIA's library is the one that the config names.
    #[must_use]
    pub fn nvml_library(self, library: Option<String>) -> Self {
        Self { nvml_library: library, ..self }
    }

    /// The same desk where the config names these inference servers; what is no address on this host is left out.
    #[must_use]
    pub fn engines(self, endpoints: &[String]) -> Self {
        let engine_endpoints = endpoints.iter().filter_map(|endpoint| endpoint.parse().ok()).collect();
        Self { engine_endpoints, ..self }
    }

    /// The same desk where the config names these folders of models.
    #[must_use]
    pub fn model_folders(self, model_folders: Vec<String>) -> Self {
        Self { model_folders, ..self }
    }

    /// The container engine, connected to at the first use.
    ///
    /// # Errors
    /// When there is none, it does not answer, or this user may not ask it.
    pub async fn docker(&self) -> Result<&DockerClient, Failure> {
        let connect = || async {
            let place = DockerClient::find(&self.ports.fs, &self.ports.sampler, self.endpoint.clone()).await?;
            DockerClient::connect(&place).await
        };
        self.docker.get_or_try_init(connect).await
    }

    /// Does something with files of the machine on a thread of its own: a file system can hang.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let mut reader = self.ports.volumes.reader(|| ());
        let done = tokio::time::timeout(Self::FILE_PATIENCE, reader.read(move |()| work())).await;
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err(Failure::failed(error.to_string())),
            Err(_) => Err(Failure::failed("the file system does not answer")),
        }
    }

    /// How long the file system may take for one small file.
    const FILE_PATIENCE: Duration = Duration::from_secs(20);
}

/// Actions that may be about a tag, an alias, or a folder.
const WITH_TAG: [&str; 6] =
    ["container.update", "container.trial", "container.rollback", "container.skip", "model.promote", "model.move"];

/// What an action would do.
///
/// # Errors
/// When there is no such action, or why it cannot be done.
pub async fn plan(desk: &Desk, wish: &Wish) -> Result<Plan, Refusal> {
    let own = desk.settings.own.iter().map(|own| own as &dyn Action);
    let Some(action) = REGISTRY.iter().copied().chain(own).find(|action| action.spec().id == wish.action) else {
        return Err(Refusal::new(format!("there is no action `{}`; `hostler actions` lists them", wish.action)));
    };
    if wish.to.is_some() && !WITH_TAG.contains(&wish.action.as_str()) {
        let why = format!("{} is about no tag: --to belongs to {}", wish.action, WITH_TAG.join(", "));
        return Err(Refusal::new(why));
    }
    let mut plan = action.plan(desk, wish).await?;
    for (steps, chosen) in [(&wish.with, true), (&wish.without, false)] {
        for step in steps {
            plan.choose(step, chosen).map_err(Refusal::Refused)?;
        }
    }
    Ok(plan)
}

/// The specification of a registered action.
fn spec(id: &'static str) -> &'static ActionSpec {
    // A test holds the registry to the table, so that the first one is never taken for another.
    ActionSpec::named(id).unwrap_or(&crate::domain::ACTIONS[0])
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The hash that two equal plans share: 16 hexadecimal digits over action, targets, chosen steps and the ids in them.
pub fn hash(plan: &Plan) -> String {
    use sha2::{Digest as _, Sha256};
    let essence = serde_json::to_vec(&plan.essence()).unwrap_or_default();
    hex(&Sha256::digest(&essence)[..8])
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ACTIONS;

    #[test]
    fn every_specification_has_its_action() {
        let known: Vec<&str> = REGISTRY.iter().map(|action| action.spec().id).collect();
        assert_eq!(known, ACTIONS.iter().map(|spec| spec.id).collect::<Vec<_>>());
    }
}
