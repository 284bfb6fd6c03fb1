//! Containers as the engine describes them, and what happens to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Exit, Reading};

/// The engine's full id of a container (64 hexadecimal digits).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub Arc<str>);

impl ContainerId {
    /// The first twelve digits, as the docker command prints them.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl From<&str> for ContainerId {
    fn from(id: &str) -> Self {
        Self(id.into())
    }
}

/// One container: its list entry and inspection in one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Container {
    /// The full id.
    pub id: ContainerId,
    /// Its name without the leading slash: what `subject` is in findings.
    pub name: Arc<str>,
    /// Its compose project (`com.docker.compose.project`).
    pub project: Option<Arc<str>>,
    /// Its compose service (`com.docker.compose.service`).
    pub service: Option<Arc<str>>,
    /// The image as it was asked for.
    pub image: String,
    /// The image's own id, `sha256:…`.
    pub image_id: String,
    /// What it does now.
    pub state: ContainerState,
    /// What its health check says; `None` without one.
    pub health: Option<Health>,
    /// How often the engine restarted it by itself since it was created (manual restarts do not count).
    pub restart_count: u32,
    /// What the engine does when it exits.
    pub restart_policy: RestartPolicy,
    /// Its first process, in the host's namespace, while it runs.
    pub pid: Option<u32>,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// When its present or last run began.
    pub started: Option<Timestamp>,
    /// How its last run ended; `None` if it never ended one.
    pub last_exit: Option<Exit>,
    /// What the engine said when it could not start it.
    pub start_error: Option<String>,
    /// Its memory limit, bytes; `None` without one.
    pub memory_limit_bytes: Option<u64>,
    /// Its processor limit, in processors; `None` without one.
    pub cpu_limit: Option<f64>,
    /// Published ports.
    pub ports: Vec<PublishedPort>,
    /// Folders of the engine's host, volumes among them, that it has in its own file system.
    pub mounts: Vec<ContainerMount>,
    /// The log driver, such as `json-file`.
    pub log_driver: String,
    /// The log file on the host, where the driver writes one.
    pub log_path: Option<String>,
    /// It has a terminal, so its log is one raw stream.
    pub tty: bool,
    /// Its cgroup below the hierarchy's root, as inspected or found through its first process.
    pub cgroup: Option<String>,
    /// It asked for GPUs.
    pub wants_gpu: bool,
}

impl Container {
    /// `project/service` where it belongs to a project, else its name: what a person reads.
    pub fn display_name(&self) -> &str {
        self.service.as_deref().filter(|_| self.project.is_some()).unwrap_or(&self.name)
    }

    /// Whether a server in it is reached at this TCP port of the host.
    pub fn publishes(&self, port: u16) -> bool {
        self.state.is_up()
            && self.ports.iter().any(|published| published.host_port == port && published.protocol == "tcp")
    }
}

/// What a container does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum ContainerState {
    /// Its process runs.
    Running,
    /// The engine waits to start it again.
    Restarting,
    /// Frozen.
    Paused,
    /// Made and never started.
    Created,
    /// Its process ended.
    Exited,
    /// On its way out.
    Removing,
    /// Its removal failed half-way.
    Dead,
}

impl ContainerState {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether a process of it exists.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Running | Self::Paused)
    }
}

/// The engine's word for a health check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// Within its start period.
    Starting,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

/// A health check and its last probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Health {
    /// What the engine makes of it.
    pub state: HealthState,
    /// Failed probes in a row.
    pub failing_streak: u32,
    /// What the last failing probe printed, first line, bounded.
    pub last_output: Option<String>,
    /// When the present streak of failures was first seen in the engine's log of the last five probes.
    pub failing_since: Option<Timestamp>,
}

/// What the engine does when a container exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Start it again, also after the engine's own restart.
    Always,
    /// Start it again unless somebody stopped it.
    UnlessStopped,
    /// Start it again after a failure, at most so often (0: without end).
    OnFailure(u32),
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(most) => write!(f, "on-failure:{most}"),
        }
    }
}

/// A port that the engine publishes on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PublishedPort {
    /// The host's port.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// From where it can be reached, by its bind address alone (a firewall may say otherwise).
    pub reach: PortReach,
}

/// How far a bind address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortReach {
    /// Loopback only.
    Local,
    /// One private address.
    Lan,
    /// Every address of the host, or a public one.
    Any,
}

impl PortReach {
    /// The word used on screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Lan => "lan",
            Self::Any => "any",
        }
    }
}

/// A folder of the engine's host in the file system of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ContainerMount {
    /// Where it lies on the host; that of a volume is the engine's to choose.
    pub source: String,
    /// Where the container has it.
    pub destination: String,
}

/// The engine and all its containers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DockerSample {
    /// The engine.
    pub engine: EngineInfo,
    /// Every container, running or not, by project and name.
    pub containers: Vec<Arc<Container>>,
}

/// The container engine that answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EngineInfo {
    /// Its version.
    pub version: String,
    /// The negotiated API version.
    pub api_version: String,
    /// Where it was reached, such as `unix:///run/docker.sock`.
    pub endpoint: String,
    /// Why this endpoint was taken, such as `DOCKER_HOST is set`.
    pub chosen_because: String,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerEvent {
    /// The container.
    pub id: ContainerId,
    /// What.
    pub kind: DockerEventKind,
    /// When the engine saw it.
    pub at: Timestamp,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DockerEventKind {
    /// A run began.
    Start,
    /// A run ended with this exit code.
    Die {
        /// The exit code.
        code: i64,
    },
    /// Somebody sent it a signal (a stop begins with one).
    Kill,
    /// Somebody stopped it.
    Stop,
    /// A process in it was killed for memory.
    Oom,
    /// Its health check passes.
    Healthy,
    /// Its health check fails.
    Unhealthy,
    /// Anything else that changes what a list shows (created, renamed, removed, paused).
    Changed,
}

/// What each running container uses. Shared, because a reading is passed on once a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerUsages {
    /// By container.
    pub by_id: HashMap<ContainerId, ContainerUsage>,
    /// Where the numbers come from: `cgroup v1`, `cgroup v2` or `stats API`.
    pub origin: &'static str,
}

/// What one container uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContainerUsage {
    /// Processor time since the reading before, in processors (1.0 is one core).
    pub cpu_cores: Reading<f64>,
    /// Memory without the inactive file cache, bytes, as the docker command counts it.
    pub memory_bytes: Reading<u64>,
    /// Processes and threads.
    pub pids: Reading<u64>,
}
