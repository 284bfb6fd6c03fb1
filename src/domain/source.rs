//! What can be read, and how the reading of it went.

use std::fmt;

use serde::{Serialize, Serializer};

/// Something that is read repeatedly. The order is the order on screen.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr, strum::EnumIter, strum::EnumString,
)]
pub enum SourceId {
    /// CPU, memory, pressure, rates, temperatures.
    #[strum(serialize = "host")]
    Host,
    /// Mounted file systems.
    #[strum(serialize = "volumes")]
    Volumes,
    /// NVIDIA cards, through NVML.
    #[strum(serialize = "gpu.nvidia")]
    Gpu,
    /// The container engine: containers and their events.
    #[strum(serialize = "docker")]
    Docker,
    /// CPU and memory of each container.
    #[strum(serialize = "containers.usage")]
    Usage,
    /// What the container engine holds on disk: images, volumes, networks, build cache.
    #[strum(serialize = "docker.disk")]
    DockerDisk,
    /// Inference servers that listen on this host.
    #[strum(serialize = "inference")]
    Engines,
    /// Orchestration platforms in containers.
    #[strum(serialize = "platforms")]
    Platforms,
    /// The log lines of running containers.
    #[strum(serialize = "logs")]
    Logs,
    /// What registries have for the images in use.
    #[strum(serialize = "images.updates")]
    Updates,
    /// The models on disk.
    #[strum(serialize = "models.library")]
    Library,
    /// What is published of the models on disk, and of the families that are watched.
    #[strum(serialize = "models.updates")]
    ModelUpdates,
}

impl SourceId {
    /// The id as written in JSON, on screen and on the command line.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for SourceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How a source stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceStatus {
    /// Not read yet.
    Waiting,
    /// Read within three intervals.
    Fresh,
    /// The last good reading is older than three intervals.
    Stale,
    /// It is there and cannot be read.
    Failed,
    /// It is there and this user may not read it.
    Denied,
    /// It is not there: a normal state with its own words.
    Unsupported,
}

impl SourceStatus {
    /// The word used on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::Unsupported => "absent",
        }
    }
}

/// Which kind of failure a source met: it decides the status and whether the verdict becomes unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// There, but it did not answer, or answered with nonsense.
    Failed,
    /// There, but this user may not read it.
    Denied,
    /// Not there.
    Unsupported,
}

/// Why a source could not be read, in words for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    /// Absent, forbidden or broken.
    pub kind: FailureKind,
    /// What happened: names the place (path, endpoint).
    pub what: String,
    /// What the operator can do about it, if anything.
    pub remedy: Option<String>,
}

impl Failure {
    /// How the source of NVIDIA cards begins its words when the driver's library and its kernel module differ:
    /// `gpu.driver-mismatch` is told by it when the library refuses to start.
    pub const DRIVER_MISMATCH: &str = "driver/library version mismatch";

    /// Something that is there does not work.
    pub fn failed(what: impl Into<String>) -> Self {
        Self { kind: FailureKind::Failed, what: what.into(), remedy: None }
    }

    /// Something that is there may not be read by this user.
    pub fn denied(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { kind: FailureKind::Denied, what: what.into(), remedy: Some(remedy.into()) }
    }

    /// Something is not there.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self { kind: FailureKind::Unsupported, what: what.into(), remedy: None }
    }

    /// The same failure with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The status that this failure gives its source.
    pub fn status(&self) -> SourceStatus {
        match self.kind {
            FailureKind::Failed => SourceStatus::Failed,
            FailureKind::Denied => SourceStatus::Denied,
            FailureKind::Unsupported => SourceStatus::Unsupported,
        }
    }
}
