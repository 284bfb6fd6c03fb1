//! Plain types and units: what everything else speaks about.
//!
//! Nothing here does IO, reads the clock or awaits. Times arrive as [`Moment`]s; a value that could not be read is
//! [`Reading::Unavailable`] with its reason, never a zero. Metric names in JSON follow Prometheus spelling (base units).

mod action;
mod alert;
mod backoff;
mod container;
mod cuda;
mod data;
mod docker_disk;
mod duty;
mod engine;
mod event;
mod exit;
mod finding;
mod fit;
mod gpu;
mod host;
mod image;
mod images_seen;
mod inspection;
mod inventory;
mod journal;
mod keeping;
mod kept;
mod library;
mod log;
mod mark;
pub mod metric;
mod model_name;
mod model_op;
mod model_origin;
mod model_role;
mod model_update;
mod moment;
mod op;
mod past;
mod plan;
mod platform;
mod protected;
mod reading;
mod request;
mod run;
mod schedule;
pub mod secret;
mod series_rule;
mod served;
mod sketch;
mod source;
mod tally;
mod thresholds;
mod trend;
pub mod units;
mod vram;
mod xid;

pub use action::{ACTIONS, ActionId, ActionSpec, Risk, Subject};
pub use alert::{Alert, AlertKey, AlertStatus, Delivery, DeliveryFailure, KeptAlert, Outbox, Told, ToldAlert};
pub use backoff::backoff;
pub use container::{
    Container, ContainerId, ContainerMount, ContainerState, ContainerUsage, ContainerUsages, DockerEvent,
    DockerEventKind, DockerSample, EngineInfo, Health, HealthState, PortReach, PublishedPort, RestartPolicy,
};
pub use cuda::{CudaMatch, CudaNeed};
pub use data::{DataPlace, DatabaseKind};
pub use docker_disk::{
    BuildCache, ContainerSpace, DiskTotals, DockerDisk, DockerNetwork, DockerVolume, Held, Image, KEEP_LABEL,
    KeptImage, is_made_up, short_image_id, short_name,
};
pub use duty::{Cadence, CheckResult, DutyOutcome, DutySpec, DutyStanding};
pub use engine::{Endpoint, Engine, EngineKind, EngineOption, EngineSample, ModelRef, Residency};
pub use event::{Effect, Event, Sample};
pub use exit::Exit;
pub use finding::{Finding, FindingId, Observation, Severity, Silence, Unassessed, Unit, Verdict};
pub use fit::{OVERHEAD_BYTES, bits_by_name, fits, largest_memory, parameters_by_name, weights_bytes};
pub use gpu::{
    Ecc, Gpu, GpuDriver, GpuMemory, GpuProcess, GpuProcessKind, GpuSample, PcieLink, ThrottleReason, XidEvent,
};
pub use host::{Cpu, DiskIo, HostFacts, HostSample, Memory, NetIo, Pressure, Swap, Temperature, Volume};
pub use image::{
    Answer, Asked, FaultKind, ImageRef, ImageRefError, ImageRule, ImageRules, ImageUpdate, LocalImage, NewDigest,
    NewTag, NewerImage, RegistryFault, SeenTag, TagVersion, UpdateMemory, UpdatePolicy, UpdateSample, VersionStep,
};
pub use images_seen::{ImageSeen, ImagesSeen};
pub use inspection::{Inspection, InspectionLine};
pub use inventory::{Inventory, Missing, Remembered, RunningContainer};
pub use journal::{JournalEntry, JournalRecord, Review, parse_instant, parse_since, parse_until};
pub use keeping::Keeping;
pub use kept::{is_trial, kept_name, kept_of, kept_reference, kept_repository, trial_name};
pub use library::{
    Leftover, Leftovers, LibraryPlace, LibraryProblem, LibraryProblemKind, LibrarySample, ModelShape, ModelStore,
    Naming, PerLayer, SecretFile, StoredModel, Tuned, Weights, WeightsFormat,
};
pub use log::{LogBatch, LogLevel, LogLine, LogOrigin};
pub use mark::{Mark, MarkKind};
pub use metric::{METRICS, Metric, NoSeries, SeriesKey, Worse};
pub use model_name::{ModelName, NoModelName, TagTooLong};
pub use model_op::{FilePlace, ModelOp, Over, ServedModel};
pub use model_origin::{ModelOrigin, NoOrigin};
pub use model_role::ModelRole;
pub use model_update::{
    ModelAnswer, ModelRelease, ModelUpdate, ModelUpdateSample, Standing, WatchedFamily, WatchedRelease,
};
pub use moment::Moment;
pub use op::{
    ComposeProgram, ComposeService, ContainerRef, Guard, Op, OwnCommand, Probe, Verb, WordChange, WordList,
    command_line,
};
pub use past::{Past, PastPoint};
pub use plan::{Choice, Item, Plan, Step};
pub use platform::{Platform, PlatformHealth, PlatformKind, PlatformSample, RequestCounts};
pub use protected::{NamePattern, NoPattern, Protected};
pub use reading::{Reading, Why};
pub use request::{LogSubject, LoggedRequest, RequestOutcome};
pub use run::{Outcome, Run, RunEntry, RunRecord, StepState};
pub use schedule::{Due, LineMemory, ScheduleMemory, ScheduleStanding, Scheduled, Signatures, quietest_hour};
pub use series_rule::{SeriesRule, Side};
pub use served::{Served, ServedLedger};
pub use sketch::Sketch;
pub use source::{Failure, FailureKind, SourceId, SourceStatus};
pub use tally::{Bucket, Counter, Histogram, Spread, Tally};
pub use thresholds::Thresholds;
pub use trend::{Course, Forecast, Trend, TrendKind, TrendSample};
pub use vram::{KV_TYPES, KvBits, MemoryNeed, kv_bits};
pub use xid::{XidClass, xid_class, xid_name};
