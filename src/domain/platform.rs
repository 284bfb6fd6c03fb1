//! Orchestration platforms: the applications in which agents and workflows are built and run.

use serde::Serialize;

use super::{ContainerId, Endpoint, Reading};

/// A kind of orchestration platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr)]
pub enum PlatformKind {
    /// Dify.
    #[serde(rename = "dify")]
    #[strum(serialize = "Dify")]
    Dify,
    /// n8n.
    #[serde(rename = "n8n")]
    #[strum(serialize = "n8n")]
    N8n,
    /// Flowise.
    #[serde(rename = "flowise")]
    #[strum(serialize = "Flowise")]
    Flowise,
    /// Open `WebUI`.
    #[serde(rename = "open-webui")]
    #[strum(serialize = "Open WebUI")]
    OpenWebui,
    /// Langfuse.
    #[serde(rename = "langfuse")]
    #[strum(serialize = "Langfuse")]
    Langfuse,
}

impl PlatformKind {
    /// The name as its makers write it.
    pub fn title(self) -> &'static str {
        self.into()
    }

    /// What its [`RequestCounts`] count.
    pub fn work(self) -> &'static str {
        if self == Self::N8n { "workflow runs" } else { "requests" }
    }
}

/// The platforms in this host's containers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct PlatformSample {
    /// By container.
    pub platforms: Vec<Platform>,
}

/// One platform.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Platform {
    /// What it is.
    pub kind: PlatformKind,
    /// Its version as it says.
    pub version: Reading<String>,
    /// The container that answers for it.
    pub container: ContainerId,
    /// Where it is reached from this host.
    pub endpoint: Reading<Endpoint>,
    /// What it says of itself.
    pub health: Reading<PlatformHealth>,
    /// Its work since it was started.
    pub requests: Reading<RequestCounts>,
}

/// What a platform says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum PlatformHealth {
    /// It answers, and so does its database.
    Ready,
    /// It answers. Whether its database does, it does not say.
    Answering,
    /// It cannot serve.
    NotReady {
        /// What it says about that.
        says: String,
    },
}

impl PlatformHealth {
    /// In a few words.
    pub fn words(&self) -> String {
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Answering => "answering; it does not ask its database".to_owned(),
            Self::NotReady { says } => format!("not ready: {says}"),
        }
    }
}

/// Counters of work that has ended. They begin at 0 whenever the platform is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// All of it.
    #[serde(rename = "platform_requests_total")]
    pub total: u64,
    /// What failed by the platform's own fault: a caller's mistake is not among it.
    #[serde(rename = "platform_requests_failed_total")]
    pub failed: u64,
}
