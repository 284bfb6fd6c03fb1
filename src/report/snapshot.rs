//! `hostler snapshot`: everything that is known of the box.
//!
//! A part whose source cannot be read now is `{"unavailable":"why"}`, with the age of what was read last in the reason;
//! an old value never stands in the place of a new one.

mod disk;
mod inference;
mod library;
mod text;

pub use disk::{CacheReport, DiskReport, ImageReport};
pub use inference::{EngineReport, ModelReport, PerformanceReport, Quantiles};
pub use library::{LibraryReport, StoredReport};

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::check::{DutyReport, FindingReport, SourceReport, findings};
use super::look::Look;
use super::{SCHEMA, host_name, second};
use crate::domain::{
    Container, ContainerId, ContainerUsage, Endpoint, EngineInfo, EngineKind, Gpu, GpuDriver, GpuProcessKind,
    HostSample, ImageUpdate, JournalRecord, Platform, PlatformHealth, PlatformKind, Reading, RequestCounts,
    ScheduleStanding, SourceId, Trend, Unassessed, Verdict, Volume, WatchedFamily, Why, XidEvent, units,
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
    /// What the container engine holds on disk.
    pub docker_disk: Reading<DiskReport>,
    /// Inference servers.
    pub engines: Reading<Vec<EngineReport>>,
    /// The models that they serve or hold.
    pub models: Reading<Vec<ModelReport>>,
    /// Orchestration platforms.
    pub platforms: Reading<Vec<PlatformReport>>,
    /// The models on disk.
    pub library: Reading<LibraryReport>,
    /// The families of models that the config watches.
    pub watch: Vec<WatchedFamily>,
    /// What needs someone, worst first.
    pub findings: Vec<FindingReport>,
    /// What cannot be told yet.
    pub unassessed: Vec<Unassessed>,
    /// How each source stands.
    pub sources: Vec<SourceReport>,
    /// The duties that were looked at.
    pub routine: Vec<DutyReport>,
    /// What weeks of history told when they were looked at last.
    pub trends: Vec<Trend>,
    /// What is done at set times.
    pub schedule: Vec<ScheduleStanding>,
    /// What people said: accepted, snoozed, noted; oldest first.
    pub journal: Vec<JournalRecord>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostReport {
    /// Its name.
    pub name: String,
    /// Its readings; left out where they cannot be had.
    #[serde(flatten)]
    pub sample: Option<HostSample>,
    /// Why they cannot; left out where they can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
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
    /// How its image stands, by what its registry said last.
    pub update: Reading<ImageUpdate>,
}

/// One orchestration platform.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlatformReport {
    /// What it is.
    pub kind: PlatformKind,
    /// Its version.
    pub version: Reading<String>,
    /// The name of the container that answers for it.
    pub container: Arc<str>,
    /// Where it is reached from this host.
    pub endpoint: Reading<Endpoint>,
    /// What it says of itself.
    pub health: Reading<PlatformHealth>,
    /// Its work since it was started.
    pub requests: Reading<RequestCounts>,
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
                sample.containers.iter().map(|item| container(state, item)).collect()
            }),
            docker_disk: part(state, SourceId::DockerDisk, &state.disk, |held| disk::report(state, held)),
            engines: part(state, SourceId::Engines, &state.engines, |sample| {
                sample.engines.iter().map(|engine| inference::engine(state, engine)).collect()
            }),
            models: part(state, SourceId::Engines, &state.engines, |sample| {
                sample.engines.iter().flat_map(inference::models).collect()
            }),
            platforms: part(state, SourceId::Platforms, &state.platforms, |sample| {
                sample.platforms.iter().map(|item| platform(state, item)).collect()
            }),
            library: part(state, SourceId::Library, &state.library, |sample| LibraryReport::of(state, sample)),
            watch: state.watched_families(),
            findings: findings(state),
            unassessed: state.findings.unassessed().to_vec(),
            sources: SourceReport::all(state),
            routine: state.routine.iter().map(DutyReport::from).collect(),
            trends: state.trends.get().map(|sample| sample.trends.clone()).unwrap_or_default(),
            schedule: state.schedule.clone(),
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
    let (sample, unavailable) = match part(state, SourceId::Host, &state.host, HostSample::clone) {
        Reading::Known(sample) => (Some(sample), None),
        Reading::Unavailable(why) => (None, Some(why.to_string())),
    };
    HostReport { name: host_name(state).to_owned(), sample, unavailable }
}

fn volume(volume: &Volume) -> VolumeReport {
    VolumeReport {
        volume: volume.clone(),
        disk_free_ratio: volume.free_ratio(),
        inodes_free_ratio: volume.inodes_free_ratio(),
    }
}

fn gpus(state: &State, gpus: &[Gpu]) -> Vec<GpuReport> {
    let rows = state.gpu_rows();
    let processes = |gpu: &Gpu| rows.iter().filter(|row| row.gpu.index == gpu.index).map(process).collect();
    gpus.iter()
        .map(|gpu| GpuReport { gpu: gpu.clone(), processes: gpu.processes.clone().map(|_| processes(gpu)) })
        .collect()
}

fn process(row: &GpuRow<'_>) -> ProcessReport {
    let id = row.process.container.as_ref();
    ProcessReport {
        pid: row.process.pid,
        name: row.process.name.clone(),
        kind: row.process.kind,
        memory_used_bytes: row.process.memory_used_bytes.clone(),
        sm_ratio: row.process.sm_ratio.clone(),
        container: row.container.map(|container| container.name.clone()).or_else(|| id.map(|id| id.short().into())),
        engine: row.engine.map(|engine| engine.kind),
        model: row.model.map(str::to_owned),
    }
}

fn container(state: &State, container: &Container) -> ContainerReport {
    let none =
        || Reading::Unavailable(Why::new(if container.state.is_up() { "not read yet" } else { "it does not run" }));
    let usage = part(state, SourceId::Usage, &state.usage, |usages| usages.by_id.get(&container.id).cloned());
    let usage = match usage {
        Reading::Known(usage) => usage.map_or_else(none, Reading::Known),
        Reading::Unavailable(why) => Reading::Unavailable(why),
    };
    let update = part(state, SourceId::Updates, &state.updates, |_| state.image_update(&container.id).cloned());
    let update = match update {
        Reading::Known(update) => update.map_or_else(|| Reading::Unavailable(Why::WAITING), Reading::Known),
        Reading::Unavailable(why) => Reading::Unavailable(why),
    };
    ContainerReport {
        update,
        usage,
        gpu_memory_used_bytes: state.gpu_memory_of(&container.id),
        container: container.clone(),
    }
}

fn platform(state: &State, platform: &Platform) -> PlatformReport {
    PlatformReport {
        kind: platform.kind,
        version: platform.version.clone(),
        container: container_name(state, &platform.container),
        endpoint: platform.endpoint.clone(),
        health: platform.health.clone(),
        requests: platform.requests.clone(),
    }
}

/// A container's name; its short id where the engine does not list it.
pub(super) fn container_name(state: &State, id: &ContainerId) -> Arc<str> {
    state.container(id).map_or_else(|| id.short().into(), |container| container.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::look::tests::plain;
    use super::*;
    use crate::domain::{DockerDisk, Engine, GpuProcess, Image, ModelRef, Residency};
    use crate::make::{
        Script, container as make_container, container_id, docker_volume, engine as make_engine, gpu, image,
        platform as platform_of,
    };

    /// A server in a container, on a card.
    fn served() -> Script {
        let process = GpuProcess {
            pid: 4242,
            name: Reading::Known("ollama".to_owned()),
            kind: GpuProcessKind::Compute,
            memory_used_bytes: Reading::Known(5 << 30),
            sm_ratio: Reading::Unavailable(Why::NOT_SUPPORTED),
            container: Some(container_id("ollama")),
            parents: Vec::new(),
        };
        let card = Gpu {
            processes: Reading::Known(vec![process]),
            fan_ratio: Reading::Unavailable(Why::NOT_SUPPORTED),
            ..gpu(0)
        };
        let models = vec![ModelRef {
            name: "qwen3:8b".to_owned(),
            residency: Residency::Loaded { vram_bytes: None, until: None },
            ..ModelRef::default()
        }];
        let engine = Engine {
            version: Reading::Known("0.9".to_owned()),
            container: Some(container_id("ollama")),
            models: Reading::Known(models),
            requests_running: Reading::Unavailable(Why::NOT_SUPPORTED),
            requests_waiting: Reading::Unavailable(Why::NOT_SUPPORTED),
            ..make_engine(EngineKind::Ollama, 11_434)
        };
        let mut script = Script::new();
        script.at(0).memory(0.5).docker([make_container("ollama")]).gpus([card]).engines([engine]).assess();
        script
    }

    fn json_of(script: &Script) -> Value {
        serde_json::to_value(Snapshot::of(&script.state, false)).unwrap()
    }

    #[test]
    fn processes_are_joined_to_container_engine_and_model() {
        let json = json_of(&served());
        let process = &json["gpus"][0]["processes"][0];
        let expected = json!({
            "pid": 4242, "name": "ollama", "kind": "compute", "memory_used_bytes": 5_u64 << 30,
            "sm_ratio": {"unavailable": "not supported"}, "container": "ollama", "engine": "ollama", "model": "qwen3:8b",
        });
        assert_eq!(*process, expected);
        assert_eq!(json["containers"][0]["gpu_memory_used_bytes"], json!(5_u64 << 30));
        assert_eq!(
            (&json["engines"][0]["container"], &json["models"][0]["name"]),
            (&json!("ollama"), &json!("qwen3:8b"))
        );
    }

    #[test]
    fn what_cannot_be_read_says_why_and_never_zero() {
        let mut script = served();
        let json = json_of(&script);
        assert_eq!(json["gpus"][0]["fan_ratio"], json!({"unavailable": "not supported"}));
        assert_eq!(json["volumes"], json!({"unavailable": "waiting for the first reading"}));
        assert!(json["host"].get("unavailable").is_none());

        script.at(30).failed(SourceId::Docker, "no answer").failed(SourceId::Host, "gone");
        let json = json_of(&script);
        assert_eq!(json["containers"], json!({"unavailable": "no answer (last read 30 s ago)"}));
        assert_eq!(json["host"]["unavailable"], json!("gone (last read 30 s ago)"));
    }

    #[test]
    fn what_the_engine_holds_is_told_with_sums() {
        let mut script = served();
        let json = json_of(&script);
        assert_eq!(json["docker_disk"], json!({"unavailable": "waiting for the first reading"}));
        let images =
            vec![image("used:1"), Image { size_bytes: 3 << 30, shared_before_bytes: 1 << 30, ..image("big:1") }];
        let mut volume = docker_volume("data");
        volume.size_bytes = Reading::Unavailable(Why::new("not measured"));
        script.at(60).disk(DockerDisk { images, volumes: vec![volume], ..DockerDisk::default() });
        let disk = &json_of(&script)["docker_disk"];
        let big = &disk["images"][0];
        assert_eq!((&big["references"], &big["own_bytes"]), (&json!(["big:1"]), &json!(2_u64 << 30)));
        assert_eq!((&big["used_by"], &big["dangling"], &big["seen_in_use"]), (&json!([]), &json!(false), &Value::Null));
        assert_eq!(big["first_seen"], json!("2026-11-23T09:03:11Z"));
        assert_eq!(disk["images"][1]["own_bytes"], json!(0), "all of it is in the other one");
        assert_eq!(disk["totals"]["images"]["size_bytes"], json!(3_u64 << 30));
        assert_eq!(disk["totals"]["volumes"]["size_bytes"], json!({"unavailable": "not measured"}));
        assert_eq!(disk["build_cache"], json!({"unavailable": "not read yet"}));
        assert!(big.get("shared_before_bytes").is_none());
    }

    #[test]
    fn platforms_are_told_with_their_health_and_their_counters() {
        let mut script = served();
        let dify = Platform {
            health: Reading::Known(PlatformHealth::NotReady { says: "status 503".to_owned() }),
            requests: Reading::Unavailable("it has no metrics".into()),
            ..platform_of(PlatformKind::Dify, "gone", 0, 0)
        };
        script.platforms([platform_of(PlatformKind::N8n, "ollama", 100, 3), dify]);
        let json = json_of(&script);
        let expected = json!({
            "kind": "n8n", "version": "2.41.3", "container": "ollama", "health": {"state": "ready"},
            "endpoint": {"unavailable": "no port of it is published"},
            "requests": {"platform_requests_total": 100, "platform_requests_failed_total": 3},
        });
        assert_eq!(json["platforms"][0], expected);
        let dify = &json["platforms"][1];
        assert_eq!(dify["container"], json!(container_id("gone").short()), "the engine lists it no more");
        assert_eq!(dify["health"], json!({"state": "not-ready", "says": "status 503"}));
        assert_eq!(dify["requests"], json!({"unavailable": "it has no metrics"}));
        let text = Snapshot::of(&script.state, false).text(&plain());
        assert!(text.contains("3 of 100 workflow runs failed"), "{text}");
        assert!(text.contains("not ready: status 503"), "{text}");
    }

    #[test]
    fn the_text_has_every_part() {
        let text = Snapshot::of(&served().state, false).text(&plain());
        for part in [
            "Host",
            "Volumes",
            "GPUs",
            "Containers",
            "Disk held by Docker",
            "Inference servers",
            "qwen3:8b",
            "Platforms",
            "Sources",
            "ollama",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.contains("unavailable, because"), "{text}");
    }
}
