//! What is read, one file each, and the one poll loop that repeats them.
//!
//! A [`Source`] reads once and knows nothing of time. The [`poller`] gives it its interval, time-out and backoff, and
//! turns what it says into [`Event`]s. A new source is one file here and one line in [`SOURCES`].

pub mod demo;
mod disk;
mod docker;
mod engines;
mod gpu;
mod host;
mod library;
mod logs;
mod model_updates;
mod platforms;
pub mod poller;
mod roster;
mod updates;
mod usage;
mod volumes;

pub use docker::Finder;
pub use engines::engine_options;
pub use library::{Day, LibrarySettings, NamingConvention, NoConvention, model_store, model_stores, stored_models};
pub use roster::{Known, Roster};

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, watch};

use crate::domain::{Event, Failure, LibrarySample, LogBatch, ModelOrigin, Protected, Sample, SourceId, UpdateMemory};
use crate::host::Ports;

/// Reads one thing, once.
pub trait Source {
    /// Reads it now. The poller drops the future when it takes too long, so it must bear being given up at any await.
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>>;
}

/// What one read gave.
#[derive(Debug)]
pub struct Read {
    /// The value.
    pub sample: Sample,
    /// A clause about where it comes from, for the list of sources.
    pub detail: String,
}

/// What a source may use besides the ports.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// The machine.
    pub ports: Ports,
    /// What the config says about sources.
    pub settings: std::rc::Rc<SourceSettings>,
    /// The way to the store, for sources that also push what happens.
    pub events: mpsc::Sender<Event>,
    /// The way of log lines to the store, apart from everything else: what finds no room in it is dropped and counted.
    pub log_lines: mpsc::Sender<LogBatch>,
    /// What the container engine said last: the docker source writes it, others follow it.
    pub roster: watch::Sender<Roster>,
    /// The models on disk: the library writes them, who asks registries about them follows.
    pub library: watch::Sender<Option<Arc<LibrarySample>>>,
    /// What registries answered before, and whether they may be asked again.
    pub remembered: Remembered,
}

/// What registries answered in an earlier run, and how this one goes on from there.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// The answers.
    pub updates: Arc<UpdateMemory>,
    /// So long after the start the first registry is asked; `None` where none may be: a single look waits for nobody.
    pub ask_after: Option<Duration>,
}

impl SourceContext {
    /// For sources of this machine that push to `events`. Sources that build upon the engine's containers must be made from
    /// the same context as the docker source.
    pub fn new(ports: Ports, settings: std::rc::Rc<SourceSettings>, events: mpsc::Sender<Event>) -> Self {
        let (log_lines, roster, library) = (mpsc::channel(1).0, watch::Sender::default(), watch::Sender::default());
        Self { ports, settings, events, log_lines, roster, library, remembered: Remembered::default() }
    }

    /// The same context with somebody who takes log lines. Without, none are read.
    #[must_use]
    pub fn with_log_lines(self, log_lines: mpsc::Sender<LogBatch>) -> Self {
        Self { log_lines, ..self }
    }

    /// The same context with what registries answered before. Without, none is asked.
    #[must_use]
    pub fn with_remembered(self, remembered: Remembered) -> Self {
        Self { remembered, ..self }
    }

    /// Batches of log lines that may wait for the store.
    pub const LOG_BATCHES: usize = 16;
}

/// What the config says about sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSettings {
    /// The refresh interval of fast sources.
    pub refresh: Duration,
    /// The container engine's endpoint, if the config names one.
    pub docker_endpoint: Option<String>,
    /// NVIDIA's library, if it is not to be found by its usual name.
    pub nvml_library: Option<String>,
    /// Endpoints of inference servers beside those found by themselves, such as `http://127.0.0.1:8000`.
    pub engine_endpoints: Vec<String>,
    /// So often a server of whose requests nothing tells is asked to generate a few tokens; `None` never.
    pub probe_every: Option<Duration>,
    /// Registries are asked for newer images and models.
    pub check_updates: bool,
    /// Families of models that are watched.
    pub watched_models: Vec<ModelOrigin>,
    /// The models on disk.
    pub library: LibrarySettings,
    /// What is never cleaned up, and so never counted as rubbish.
    pub protected: Protected,
}

impl Default for SourceSettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(1),
            docker_endpoint: None,
            nvml_library: None,
            engine_endpoints: Vec::new(),
            probe_every: None,
            check_updates: true,
            watched_models: Vec::new(),
            library: LibrarySettings::default(),
            protected: Protected::default(),
        }
    }
}

/// How a source is repeated, and how it is made.
pub struct SourceSpec {
    /// Its id.
    pub id: SourceId,
    /// The time between two readings; `None` for the refresh interval of the config.
    pub interval: Option<Duration>,
    /// It costs the engine or the disk so much that a single look leaves it out unless it asks for everything.
    pub heavy: bool,
    /// How long one reading may take.
    pub timeout: Duration,
    /// Makes it.
    pub build: fn(&SourceContext) -> Box<dyn Source>,
}

/// Every source.
pub const SOURCES: &[SourceSpec] = &[
    host::SPEC,
    volumes::SPEC,
    gpu::SPEC,
    docker::SPEC,
    usage::SPEC,
    disk::SPEC,
    engines::SPEC,
    platforms::SPEC,
    logs::SPEC,
    updates::SPEC,
    library::SPEC,
    model_updates::SPEC,
];
