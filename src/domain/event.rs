//! What reaches the store, and what the store asks for.

use std::sync::Arc;

use super::{
    ContainerUsages, DockerDisk, DockerEvent, DockerSample, DutyStanding, EngineSample, Failure, GpuSample, HostSample,
    ImagesSeen, JournalRecord, Keeping, LibrarySample, LogBatch, LoggedRequest, ModelUpdateSample, Moment, Observation,
    Past, PlatformSample, Remembered, Run, ScheduleStanding, SourceId, Thresholds, TrendSample, Unassessed,
    UpdatePolicy, UpdateSample, Volume, XidEvent,
};

/// One result of a source.
#[derive(Debug, Clone)]
pub enum Sample {
    /// From [`SourceId::Host`].
    Host(Arc<HostSample>),
    /// From [`SourceId::Volumes`].
    Volumes(Arc<Vec<Volume>>),
    /// From [`SourceId::Gpu`].
    Gpu(Arc<GpuSample>),
    /// From [`SourceId::Docker`].
    Docker(Arc<DockerSample>),
    /// From [`SourceId::Usage`].
    Usage(Arc<ContainerUsages>),
    /// From [`SourceId::DockerDisk`].
    DockerDisk(Arc<DockerDisk>),
    /// From [`SourceId::Engines`].
    Engines(Arc<EngineSample>),
    /// From [`SourceId::Platforms`].
    Platforms(Arc<PlatformSample>),
    /// From [`SourceId::Logs`]: how many containers are followed.
    Logs {
        /// Containers whose log is being read.
        followed: usize,
    },
    /// From [`SourceId::Updates`].
    Updates(Arc<UpdateSample>),
    /// From [`SourceId::Library`].
    Library(Arc<LibrarySample>),
    /// From [`SourceId::ModelUpdates`].
    ModelUpdates(Arc<ModelUpdateSample>),
}

impl Sample {
    /// The source that it comes from.
    pub fn source(&self) -> SourceId {
        match self {
            Self::Host(_) => SourceId::Host,
            Self::Volumes(_) => SourceId::Volumes,
            Self::Gpu(_) => SourceId::Gpu,
            Self::Docker(_) => SourceId::Docker,
            Self::Usage(_) => SourceId::Usage,
            Self::DockerDisk(_) => SourceId::DockerDisk,
            Self::Engines(_) => SourceId::Engines,
            Self::Platforms(_) => SourceId::Platforms,
            Self::Logs { .. } => SourceId::Logs,
            Self::Updates(_) => SourceId::Updates,
            Self::Library(_) => SourceId::Library,
            Self::ModelUpdates(_) => SourceId::ModelUpdates,
        }
    }
}

/// Something that changes the state. Time arrives inside.
#[derive(Debug, Clone)]
pub enum Event {
    /// A source was read.
    Sampled {
        /// What it said.
        sample: Sample,
        /// A clause about where it comes from, such as `engine 29.1, API 1.51`.
        detail: String,
        /// When.
        at: Moment,
    },
    /// A source could not be read.
    SourceFailed {
        /// Which.
        source: SourceId,
        /// Why.
        failure: Failure,
        /// When.
        at: Moment,
    },
    /// The engine told what happened to containers.
    Docker {
        /// In order.
        events: Vec<DockerEvent>,
        /// When they were received.
        at: Moment,
    },
    /// Images, volumes, networks or build cache of the engine changed, or containers came or went.
    DockerStock {
        /// When that was received.
        at: Moment,
    },
    /// What is remembered of images from earlier runs.
    ImagesSeen(ImagesSeen),
    /// A card reported a fault.
    Xid(XidEvent),
    /// Log lines came.
    Logs(LogBatch),
    /// Inference servers that count no requests themselves wrote of some.
    Requests {
        /// In order.
        requests: Vec<LoggedRequest>,
        /// When that was read.
        at: Moment,
    },
    /// Every rule looked at the state.
    Assessed {
        /// What they see now; a finding that is not among them is no longer seen.
        observations: Vec<Observation>,
        /// What cannot be told yet.
        unassessed: Vec<Unassessed>,
        /// When.
        at: Moment,
    },
    /// The checks of the routine looked at the state.
    Routine(Vec<DutyStanding>),
    /// The history was looked at.
    Trends(Arc<TrendSample>),
    /// Other limits are in force from now on.
    Limits(Arc<Thresholds>),
    /// Other decisions about updates are in force from now on.
    Updates(Arc<UpdatePolicy>),
    /// Records of the journal, at the start and whenever one is added.
    Journal(Vec<JournalRecord>),
    /// The newest runs of actions, oldest first, as their files stand now.
    Runs(Vec<Run>),
    /// What the box consisted of before, from hostler's own store.
    Remembered(Arc<Remembered>),
    /// Who keeps the history, and how that goes.
    Keeping(Keeping),
    /// What was recorded over the time that graphs show.
    Past(Arc<Past>),
    /// How what is done at set times stands.
    Schedule(Vec<ScheduleStanding>),
    /// A second has passed.
    Tick {
        /// When.
        at: Moment,
    },
}

/// What the store asks the runtime to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Read a source now instead of at its next turn.
    RefreshNow(SourceId),
}
