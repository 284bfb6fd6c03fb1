//! The made-up containers: two compose projects, two single ones, and an old one that is kept for roll back.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{CYCLE, Faults, wave};
use crate::domain::{
    Container, ContainerId, ContainerState, ContainerUsage, ContainerUsages, DockerEvent, DockerEventKind,
    DockerSample, EngineInfo, Exit, Health, HealthState, Platform, PlatformHealth, PlatformKind, PlatformSample,
    PortReach, PublishedPort, Reading, RequestCounts, RestartPolicy,
};

const MIB: u64 = 1 << 20;

/// One made-up container.
struct Made {
    project: Option<&'static str>,
    service: &'static str,
    image: &'static str,
    healthcheck: bool,
    port: Option<(u16, PortReach)>,
    /// Processors and MiB that it usually takes.
    usual: (f64, u64),
    gpu: bool,
    limit_mib: Option<u64>,
}

const fn made(
    project: &'static str,
    service: &'static str,
    image: &'static str,
    healthcheck: bool,
    usual: (f64, u64),
) -> Made {
    Made { project: Some(project), service, image, healthcheck, port: None, usual, gpu: false, limit_mib: None }
}

const BOX: &[Made] = &[
    Made { port: Some((5678, PortReach::Lan)), ..made("agents", "n8n-main", "n8nio/n8n:1.118.2", true, (0.021, 611)) },
    Made { limit_mib: Some(512), ..made("agents", "n8n-worker", "n8nio/n8n:1.118.2", false, (0.12, 380)) },
    made("agents", "postgres", "postgres:16.4", true, (0.006, 402)),
    Made {
        port: Some((8000, PortReach::Local)),
        gpu: true,
        ..made("agents", "vllm", "vllm/vllm-openai:v0.33.0", true, (0.119, 6_340))
    },
    Made { gpu: true, ..made("agents", "embedder", "ghcr.io/ggml-org/llama.cpp:server-b10488", true, (0.012, 1_920)) },
    Made {
        port: Some((6333, PortReach::Any)),
        ..made("agents", "qdrant", "qdrant/qdrant:v1.19.0", true, (0.004, 1_130))
    },
    made("dify", "api", "langgenius/dify-api:1.13.3", true, (0.030, 1_230)),
    made("dify", "worker", "langgenius/dify-api:1.13.3", false, (0.011, 920)),
    made("dify", "web", "langgenius/dify-web:1.13.3", true, (0.002, 181)),
    made("dify", "db", "postgres:15.8-alpine", true, (0.008, 517)),
    made("dify", "weaviate", "semitechnologies/weaviate:1.34.2", false, (0.003, 733)),
    made("dify", "sandbox", "langgenius/dify-sandbox:0.2.14", true, (0.001, 96)),
    Made { port: Some((443, PortReach::Any)), ..made("dify", "nginx", "nginx:1.29.2", false, (0.001, 12)) },
    Made {
        project: None,
        port: Some((11_434, PortReach::Local)),
        gpu: true,
        ..made("", "ollama", "ollama/ollama:0.33.0", true, (0.002, 2_870))
    },
];

/// Every platform: n8n, and Dify, whose API is reached by its own containers alone.
pub(super) fn platforms(second: u64) -> PlatformSample {
    let known = |text: &str| Reading::Known(text.to_owned());
    let runs = 41_207 + second / 7;
    let n8n = Platform {
        kind: PlatformKind::N8n,
        version: known("1.118.2"),
        container: id("n8n-main"),
        endpoint: Reading::Unavailable("not published on loopback".into()),
        health: Reading::Known(PlatformHealth::Ready),
        requests: Reading::Known(RequestCounts { total: runs, failed: runs / 400 }),
    };
    let dify = Platform {
        kind: PlatformKind::Dify,
        version: known("1.13.3"),
        container: id("api"),
        endpoint: Reading::Unavailable("no port of it is published".into()),
        health: Reading::Known(PlatformHealth::Answering),
        requests: Reading::Unavailable("it has no metrics that can be asked for".into()),
    };
    PlatformSample { platforms: vec![n8n, dify] }
}

/// Every image, and its id.
pub(super) fn images() -> impl Iterator<Item = (&'static str, String)> {
    BOX.iter().map(|made| (made.image, image_id(made.image)))
}

/// A single container that somebody forgot.
pub(super) const SCRATCH: &str = "migrate-scratch";
/// The run that updated n8n, and the container that it keeps since.
pub(super) const KEPT_RUN: &str = "20261111-061530-7c2e";
pub(super) const KEPT_NAME: &str = "agents-n8n-main-1.hostler-20261111-061530-7c2e";

/// The container that dies.
const WORKER: &str = "n8n-worker";
/// Seconds between two deaths of the worker.
const DIES_EVERY: u64 = 20;

/// The id of a made-up container.
pub(super) fn id(service: &str) -> ContainerId {
    let seed = service
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let [a, b, c, d] = [0, 1, 2, 3_u32].map(|part| seed.rotate_left(part * 13).wrapping_mul(u64::from(part) * 2 + 3));
    ContainerId::from(format!("{a:016x}{b:016x}{c:016x}{d:016x}").as_str())
}

fn ago(now: Timestamp, seconds: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(now)
}

/// What the engine remembers at the start: the worker died four times in the last minutes.
pub(super) fn past(now: Timestamp) -> Vec<DockerEvent> {
    let mut events = Vec::new();
    for seconds in [250, 190, 120, 45] {
        events.extend(death(ago(now, seconds)));
    }
    events
}

fn death(at: Timestamp) -> [DockerEvent; 3] {
    let event = |kind| DockerEvent { id: id(WORKER), kind, at };
    [event(DockerEventKind::Oom), event(DockerEventKind::Die { code: 137 }), event(DockerEventKind::Start)]
}

/// Deaths of this second.
pub(super) fn happened(second: u64, faults: &Faults, now: Timestamp) -> Vec<DockerEvent> {
    if faults.worker_dies && second > 0 && (second % CYCLE).is_multiple_of(DIES_EVERY) {
        death(now).into()
    } else {
        Vec::new()
    }
}

/// Deaths of the worker until this second.
fn deaths(second: u64) -> u32 {
    let each = (140 / DIES_EVERY) as u32;
    let (cycles, within) = (second / CYCLE, (second % CYCLE).min(139));
    4 + cycles as u32 * each + (within / DIES_EVERY) as u32
}

pub(super) fn sample(second: u64, faults: &Faults, now: Timestamp) -> DockerSample {
    DockerSample {
        engine: EngineInfo {
            version: "29.1.2".to_owned(),
            api_version: "1.51".to_owned(),
            endpoint: "unix:///run/docker.sock".to_owned(),
            chosen_because: "it is the default socket".to_owned(),
        },
        containers: BOX
            .iter()
            .map(|made| container(made, second, faults, now))
            .chain([forgotten(now), kept(now)])
            .map(Arc::new)
            .collect(),
    }
}

/// Id, name and project of every container.
pub(super) fn all() -> impl Iterator<Item = (ContainerId, Arc<str>, Option<Arc<str>>)> {
    let made = BOX.iter().map(|made| (id(made.service), name(made).into(), made.project.map(Into::into)));
    made.chain([(id(SCRATCH), SCRATCH.into(), None), (id(KEPT_NAME), KEPT_NAME.into(), Some("agents".into()))])
}

/// The id of the image of a reference.
pub(super) fn image_id(reference: &str) -> String {
    format!("sha256:{}", id(reference).0)
}

fn name(made: &Made) -> String {
    made.project.map_or_else(|| made.service.to_owned(), |project| format!("{project}-{}-1", made.service))
}

/// A container that did its work a month ago.
fn forgotten(now: Timestamp) -> Container {
    let made = Made { project: None, ..made("", SCRATCH, "migrate/migrate:v4.19.0", false, (0.0, 0)) };
    down(&made, now, 31)
}

/// The n8n before the last update.
fn kept(now: Timestamp) -> Container {
    let made = made("agents", "n8n-main", "n8nio/n8n:1.117.1", true, (0.0, 0));
    Container { id: id(KEPT_NAME), name: KEPT_NAME.into(), ..down(&made, now, 12) }
}

/// A container that ended so many days ago.
fn down(made: &Made, now: Timestamp, days: i64) -> Container {
    let ended = ago(now, days * 86_400);
    Container {
        state: ContainerState::Exited,
        restart_policy: RestartPolicy::No,
        pid: None,
        health: None,
        created: Some(ago(now, (days + 19) * 86_400)),
        started: Some(ago(now, (days + 19) * 86_400)),
        last_exit: Some(Exit { code: 0, oom_killed: false, at: Some(ended) }),
        ..container(made, 0, &Faults::at(CYCLE - 1), now)
    }
}

fn container(made: &Made, second: u64, faults: &Faults, now: Timestamp) -> Container {
    let worker = made.service == WORKER;
    let dying = worker && faults.worker_dies;
    let since_death = (second % CYCLE) % DIES_EVERY;
    let died =
        ago(now, if faults.worker_dies { since_death.cast_signed() } else { (second % CYCLE).cast_signed() - 120 });
    let sick = made.service == "sandbox" && faults.sandbox_sick;
    let state = if dying && since_death < 3 { ContainerState::Restarting } else { ContainerState::Running };
    Container {
        id: id(made.service),
        name: name(made).into(),
        project: made.project.map(Into::into),
        service: made.project.map(|_| made.service.into()),
        image: made.image.to_owned(),
        image_id: image_id(made.image),
        state,
        health: made.healthcheck.then(|| health(sick, second, now)),
        restart_count: if worker { deaths(second) } else { 0 },
        restart_policy: RestartPolicy::UnlessStopped,
        pid: Some(20_000 + made.service.len() as u32 * 97),
        created: Some(ago(now, 31 * 86_400)),
        started: Some(if worker { died } else { ago(now, if made.service == "vllm" { 64_800 } else { 12 * 86_400 }) }),
        last_exit: worker.then_some(Exit { code: 137, oom_killed: true, at: Some(died) }),
        start_error: None,
        memory_limit_bytes: made.limit_mib.map(|mib| mib * MIB),
        cpu_limit: worker.then_some(2.0),
        mounts: Vec::new(),
        ports: made
            .port
            .into_iter()
            .map(|(port, reach)| PublishedPort {
                host_port: port,
                container_port: port,
                protocol: "tcp".to_owned(),
                reach,
            })
            .collect(),
        log_driver: "json-file".to_owned(),
        log_path: None,
        tty: false,
        cgroup: None,
        wants_gpu: made.gpu,
    }
}

fn health(sick: bool, second: u64, now: Timestamp) -> Health {
    let failing = if sick { (second % CYCLE).saturating_sub(60) } else { 0 };
    Health {
        state: if sick { HealthState::Unhealthy } else { HealthState::Healthy },
        failing_streak: if sick { 3 + (failing / 30) as u32 } else { 0 },
        last_output: sick.then(|| "curl: (7) Failed to connect to localhost port 8194".to_owned()),
        failing_since: sick.then(|| ago(now, failing.cast_signed())),
    }
}

pub(super) fn usages(second: u64, faults: &Faults) -> ContainerUsages {
    let by_id = BOX.iter().map(|made| {
        let phase = made.service.len() as f64;
        let (cpu, memory) = made.usual;
        let since_death = (second % CYCLE) % DIES_EVERY;
        let memory = match made.service {
            WORKER if faults.worker_dies => 130 + since_death * 19,
            _ => (memory as f64 * (0.97 + 0.05 * wave(second, 70.0, phase))) as u64,
        };
        let usage = ContainerUsage {
            cpu_cores: Reading::Known(cpu * (0.4 + 1.2 * wave(second, 29.0, phase))),
            memory_bytes: Reading::Known(memory * MIB),
            pids: Reading::Known(4 + made.service.len() as u64),
        };
        (id(made.service), usage)
    });
    ContainerUsages { by_id: by_id.collect(), origin: "cgroup v2" }
}
