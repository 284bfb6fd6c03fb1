//! `hostler snapshot`: everything that is known of the box.
//!
//! A part whose source cannot be read now is `{"unavailable":"why"}`, with the age of what was read last in the reason;
//! an old value never stands in the place of a new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::check::{DutyReport, FindingReport, SourceReport, findings};
use super::look::Look;
use super::{SCHEMA, host_name, second};
use crate::domain::{
    Container, ContainerUsage, Endpoint, Engine, EngineInfo, EngineKind, Gpu, GpuDriver, GpuProcess, GpuProcessKind, HostSample,
    JournalRecord, ModelRef, Reading, SourceId, Unassessed, Verdict, Volume, Why, XidEvent, units,
};
use crate::store::{GpuRow, Slot, State, verdict};

/// Everything. Its JSON is the contract of `hostler snapshot --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// The format, 1.
    pub schema: u32,
    /// The box is made up.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub demo: bool,
    /// When it was looked at.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
    /// The box in one word.
    pub verdict: Verdict,
    /// The machine.
    pub host: HostReport,
    /// Its file systems.
    pub volumes: Reading<Vec<VolumeReport>>,
    /// The NVIDIA driver.
    pub gpu_driver: Reading<GpuDriver>,
    /// NVIDIA cards.
    pub gpus: Reading<Vec<GpuReport>>,
    /// Faults that cards reported while they were watched.
    pub xids: Vec<XidEvent>,
    /// The container engine.
    pub container_engine: Reading<EngineInfo>,
    /// Its containers.
    pub containers: Reading<Vec<ContainerReport>>,
    /// Inference servers.
    pub engines: Reading<Vec<EngineReport>>,
    /// The models that they serve or hold.
    pub models: Reading<Vec<ModelReport>>,
    /// What needs someone, worst first.
    pub findings: Vec<FindingReport>,
    /// What cannot be told yet.
    pub unassessed: Vec<Unassessed>,
    /// How each source stands.
    pub sources: Vec<SourceReport>,
    /// The duties that were looked at.
    pub routine: Vec<DutyReport>,
    /// What people said: accepted, snoozed, noted; oldest first.
    pub journal: Vec<JournalRecord>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostReport {
    /// Its name.
    pub name: String,
    /// Its readings, among the fields of this object; `readings` where they cannot be read.
    #[serde(flatten)]
    pub readings: HostReadings,
}

/// The readings of the machine, or why there are none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum HostReadings {
    /// What was read.
    Known(Box<HostSample>),
    /// Why nothing was.
    Unavailable {
        /// Why.
        unavailable: String,
    },
}

/// One file system.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VolumeReport {
    /// As it was read.
    #[serde(flatten)]
    pub volume: Volume,
    /// The free part, 0 to 1.
    pub disk_free_ratio: f64,
    /// The free part of its inodes, 0 to 1; null where it makes them as needed.
    pub inodes_free_ratio: Option<f64>,
}

/// One card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuReport {
    /// As it was read.
    #[serde(flatten)]
    pub gpu: Gpu,
    /// Its processes, joined to container, engine and model.
    pub processes: Reading<Vec<ProcessReport>>,
}

/// One process on a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProcessReport {
    /// Process id, in the host's namespace.
    pub pid: u32,
    /// The program's name.
    pub name: Reading<String>,
    /// Compute or graphics.
    pub kind: GpuProcessKind,
    /// Video memory that it holds.
    pub memory_used_bytes: Reading<u64>,
    /// Its share of the multiprocessors, 0 to 1.
    pub sm_ratio: Reading<f64>,
    /// The name of its container, its short id where the engine does not list it; null for a process of the host.
    pub container: Option<Arc<str>>,
    /// The inference server that it belongs to.
    pub engine: Option<EngineKind>,
    /// The model that this server holds there, where it is the only one.
    pub model: Option<String>,
}

/// One container.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerReport {
    /// As the engine describes it.
    #[serde(flatten)]
    pub container: Container,
    /// What it uses.
    pub usage: Reading<ContainerUsage>,
    /// Video memory that its processes hold, bytes; null where none does or it cannot be told.
    pub gpu_memory_used_bytes: Option<u64>,
}

/// One inference server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineReport {
    /// What it is.
    pub kind: EngineKind,
    /// Its version.
    pub version: Reading<String>,
    /// Where it listens.
    pub endpoint: Endpoint,
    /// The process that listens, where it may be read.
    pub pid: Option<u32>,
    /// The name of its container; null for a process of the host.
    pub container: Option<Arc<str>>,
    /// Requests being answered now.
    pub inference_requests_running: Reading<u64>,
    /// Requests that wait.
    pub inference_requests_waiting: Reading<u64>,
    /// The names of its models.
    pub models: Reading<Vec<String>>,
}

/// One model of one server.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// As the server describes it.
    #[serde(flatten)]
    pub model: ModelRef,
    /// The server.
    pub engine: EngineKind,
    /// Where the server listens.
    pub endpoint: Endpoint,
}

impl Snapshot {
    /// What `state` knows now. `demo` marks a made-up box.
    pub fn of(state: &State, demo: bool) -> Self {
        Self {
            schema: SCHEMA,
            demo,
            at: state.now.wall,
            verdict: verdict(state, state.now),
            host: host(state),
            volumes: part(state, SourceId::Volumes, &state.volumes, |volumes| volumes.iter().map(volume).collect()),
            gpu_driver: part(state, SourceId::Gpu, &state.gpus, |sample| sample.driver.clone()),
            gpus: part(state, SourceId::Gpu, &state.gpus, |sample| gpus(state, &sample.gpus)),
            xids: state.xids.clone(),
            container_engine: part(state, SourceId::Docker, &state.docker, |sample| sample.engine.clone()),
            containers: part(state, SourceId::Docker, &state.docker, |sample| {
                sample.containers.iter().map(|container| container_report(state, container)).collect()
            }),
            engines: part(state, SourceId::Engines, &state.engines, |sample| {
                sample.engines.iter().map(|engine| engine_report(state, engine)).collect()
            }),
            models: part(state, SourceId::Engines, &state.engines, |sample| sample.engines.iter().flat_map(models).collect()),
            findings: findings(state),
            unassessed: state.findings.unassessed().to_vec(),
            sources: SourceReport::all(state),
            routine: state.routine.iter().map(DutyReport::from).collect(),
            journal: state.journal.clone(),
        }
    }

    /// The same for people.
    pub fn text(&self, look: &Look) -> String {
        text::text(self, look)
    }
}

/// What one source said, or why it cannot be had now.
fn part<T, U>(state: &State, source: SourceId, slot: &Slot<T>, report: impl FnOnce(&T) -> U) -> Reading<U> {
    let why = match (state.sources.get(source), slot.get()) {
        (None, _) => "it is not read".to_owned(),
        (Some(source), value) => match (source.trouble(state.now), value) {
            (None, Some(value)) => return Reading::Known(report(value)),
            (None, None) => Why::WAITING.to_string(),
            (Some(why), _) => match source.age(state.now) {
                Some(age) => format!("{why} (last read {} ago)", units::span(age)),
                None => why,
            },
        },
    };
    Reading::Unavailable(Why::new(why))
}

fn host(state: &State) -> HostReport {
    let readings = match part(state, SourceId::Host, &state.host, |host| Box::new(host.clone())) {
        Reading::Known(sample) => HostReadings::Known(sample),
        Reading::Unavailable(why) => HostReadings::Unavailable { unavailable: why.to_string() },
    };
    HostReport { name: host_name(state).to_owned(), readings }
}

fn volume(volume: &Volume) -> VolumeReport {
    VolumeReport { volume: volume.clone(), disk_free_ratio: volume.free_ratio(), inodes_free_ratio: volume.inodes_free_ratio() }
}

fn gpus(state: &State, gpus: &[Gpu]) -> Vec<GpuReport> {
    let mut joined: BTreeMap<(u32, u32, Arc<str>), ProcessReport> = BTreeMap::new();
    for row in state.gpu_rows() {
        joined.insert((row.gpu.index, row.process.pid, kind_key(row.process)), process(&row));
    }
    let report = |gpu: &Gpu| {
        let processes = gpu.processes.clone().map(|processes| {
            processes.iter().filter_map(|process| joined.get(&(gpu.index, process.pid, kind_key(process))).cloned()).collect()
        });
        GpuReport { gpu: gpu.clone(), processes }
    };
    gpus.iter().map(report).collect()
}
