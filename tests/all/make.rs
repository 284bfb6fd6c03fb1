//! What tests are made of: moments, containers, cards, volumes, and a [`Script`] that plays events into a state.
//!
//! Times are whole seconds on one time line: [`moment`]`(0)` is the start of the process, negative seconds lie before it.
//! Builders begin with a healthy thing, so a test says only what is wrong with it. The file serves the integration tests
//! and, through a path, the unit tests of the library.

#![allow(dead_code, reason = "each of the test programs that include this file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::Duration;

use hostler::checks;
use hostler::domain::{
    Container, ContainerId, ContainerState, DockerDisk, DockerEvent, DockerEventKind, DockerNetwork, DockerSample,
    DockerVolume, Effect, Endpoint, Engine, EngineInfo, EngineKind, EngineSample, Event, Exit, Failure, Finding, Gpu,
    GpuDriver, GpuMemory, GpuSample, Health, HealthState, HostSample, Image, JournalEntry, JournalRecord, Leftovers,
    LibraryPlace, LogBatch, LogLevel, LogLine, LogOrigin, Memory, ModelShape, ModelStore, Moment, PerLayer, Platform,
    PlatformHealth, PlatformKind, PlatformSample, Reading, RequestCounts, RestartPolicy, Sample, SourceId, StoredModel,
    Thresholds, Verdict, Volume, Why, XidEvent,
};
use hostler::store::{SourceState, Sources, State, verdict};
use jiff::{SignedDuration, Timestamp};

/// One gibibyte.
pub(crate) const GIB: u64 = 1 << 30;

/// The instant so many seconds after the start: 23 November 2026, 09:02:11 UTC.
pub(crate) fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_424_531).unwrap() + SignedDuration::from_secs(seconds)
}

/// The moment so many seconds after the start.
pub(crate) fn moment(seconds: u64) -> Moment {
    Moment { mono: Duration::from_secs(seconds), wall: wall(seconds.cast_signed()) }
}

/// A state at [`moment`]`(0)` that waits for every source, with the default thresholds and an interval of
/// [`Script::INTERVAL`].
pub(crate) fn state() -> State {
    let mut sources = Sources::default();
    for source in [
        SourceId::Host,
        SourceId::Volumes,
        SourceId::Gpu,
        SourceId::Docker,
        SourceId::Usage,
        SourceId::DockerDisk,
        SourceId::Engines,
        SourceId::Platforms,
        SourceId::Logs,
        SourceId::Updates,
        SourceId::Library,
        SourceId::ModelUpdates,
    ] {
        sources.expect(source, SourceState::waiting(Duration::from_secs(Script::INTERVAL), false));
    }
    State::new(moment(0), Arc::new(Thresholds::default()), sources)
}

/// Plays events into a state, second by second, and lets the rules look. Most methods take the script on, so that a
/// second reads as one line: `script.at(3).memory(0.95).assess();`.
pub(crate) struct Script {
    /// The state; its `now` is the script's.
    pub(crate) state: State,
    /// What the latest events asked for.
    pub(crate) effects: Vec<Effect>,
}

impl Script {
    /// Seconds between two readings of a source: so long that only tests about freshness meet it.
    pub(crate) const INTERVAL: u64 = 100_000;

    /// A script at second 0.
    pub(crate) fn new() -> Self {
        Self { state: state(), effects: Vec::new() }
    }

    /// Moves on to this second.
    pub(crate) fn at(&mut self, second: u64) -> &mut Self {
        self.apply(Event::Tick { at: moment(second) })
    }

    /// Any event.
    pub(crate) fn apply(&mut self, event: Event) -> &mut Self {
        self.effects = self.state.apply(event);
        self
    }

    /// A source was read.
    pub(crate) fn sample(&mut self, sample: Sample) -> &mut Self {
        let at = self.state.now;
        self.apply(Event::Sampled { sample, detail: String::new(), at })
    }

    /// A source could not be read.
    pub(crate) fn failure(&mut self, source: SourceId, failure: Failure) -> &mut Self {
        let at = self.state.now;
        self.apply(Event::SourceFailed { source, failure, at })
    }

    /// A source that is there could not be read.
    pub(crate) fn failed(&mut self, source: SourceId, what: &str) -> &mut Self {
        self.failure(source, Failure::failed(what))
    }

    /// The engine lists these containers.
    pub(crate) fn docker(&mut self, containers: impl IntoIterator<Item = Maker>) -> &mut Self {
        self.sample(docker(containers))
    }

    /// The engine tells, now, of what happened to one container at the given seconds.
    pub(crate) fn events(&mut self, name: &str, events: impl IntoIterator<Item = (DockerEventKind, i64)>) -> &mut Self {
        let events = events.into_iter().map(|(kind, second)| event(name, kind, second)).collect();
        let at = self.state.now;
        self.apply(Event::Docker { events, at })
    }

    /// The machine has 100 GiB of memory, of which this part is used.
    pub(crate) fn memory(&mut self, used_ratio: f64) -> &mut Self {
        self.sample(Sample::Host(host(used_ratio).into()))
    }

    /// These are its volumes, of 100 GiB each: mount point and free part.
    pub(crate) fn volumes<'a>(&mut self, volumes: impl IntoIterator<Item = (&'a str, f64)>) -> &mut Self {
        let volumes: Vec<Volume> = volumes.into_iter().map(|(mount, free)| volume(mount, free)).collect();
        self.sample(Sample::Volumes(volumes.into()))
    }

    /// These are its cards.
    pub(crate) fn gpus(&mut self, gpus: impl IntoIterator<Item = Gpu>) -> &mut Self {
        let version = || Reading::Known("580.95.05".to_owned());
        let driver = GpuDriver { loaded: version(), on_disk: version(), cuda: Reading::Known("13.0".to_owned()) };
        self.sample(Sample::Gpu(GpuSample { driver, gpus: gpus.into_iter().collect() }.into()))
    }

    /// This is what its container engine holds.
    pub(crate) fn disk(&mut self, disk: DockerDisk) -> &mut Self {
        self.sample(Sample::DockerDisk(disk.into()))
    }

    /// These are its inference servers.
    pub(crate) fn engines(&mut self, engines: impl IntoIterator<Item = Engine>) -> &mut Self {
        self.sample(Sample::Engines(EngineSample { engines: engines.into_iter().collect(), others: 0 }.into()))
    }

    /// These are its orchestration platforms.
    pub(crate) fn platforms(&mut self, platforms: impl IntoIterator<Item = Platform>) -> &mut Self {
        self.sample(Sample::Platforms(PlatformSample { platforms: platforms.into_iter().collect() }.into()))
    }

    /// A card reports a fault.
    pub(crate) fn xid(&mut self, gpu: &str, code: u64) -> &mut Self {
        let at = self.state.now.wall;
        self.apply(Event::Xid(XidEvent { gpu: gpu.into(), code, at }))
    }

    /// A container writes a line.
    pub(crate) fn log(&mut self, name: &str, level: LogLevel, text: &str) -> &mut Self {
        let origin = Arc::new(LogOrigin { container: container_id(name), name: name.into() });
        let line = LogLine { origin, at: self.state.now.wall, level, text: text.into() };
        self.apply(Event::Logs(LogBatch { lines: vec![line], ..LogBatch::default() }))
    }

    /// Somebody accepts a finding until a second.
    pub(crate) fn accept(&mut self, finding: &str, subject: &str, until: i64) -> &mut Self {
        let entry = JournalEntry::Accept {
            finding: finding.to_owned(),
            subject: subject.to_owned(),
            until: wall(until),
            why: "known".to_owned(),
        };
        self.journal(entry)
    }

    /// Somebody snoozes a finding until a second.
    pub(crate) fn snooze(&mut self, finding: &str, subject: &str, until: i64) -> &mut Self {
        let entry = JournalEntry::Snooze {
            finding: finding.to_owned(),
            subject: subject.to_owned(),
            until: wall(until),
            why: String::new(),
        };
        self.journal(entry)
    }

    /// Somebody says something, now.
    pub(crate) fn journal(&mut self, entry: JournalEntry) -> &mut Self {
        let record = JournalRecord { schema: 1, at: self.state.now.wall, by: "jo".to_owned(), entry };
        self.apply(Event::Journal(vec![record]))
    }

    /// Lets every rule look now.
    pub(crate) fn assess(&mut self) -> &mut Self {
        let at = self.state.now;
        let (observations, unassessed) = checks::assess(&self.state, at);
        self.apply(Event::Assessed { observations, unassessed, at })
    }

    /// Open findings as `id subject`, worst first, silenced ones included.
    pub(crate) fn open(&self) -> Vec<String> {
        self.all().iter().map(|finding| format!("{} {}", finding.seen.id, finding.seen.subject)).collect()
    }

    /// Open findings, worst first, silenced ones included.
    pub(crate) fn all(&self) -> Vec<Finding> {
        self.state.findings.all(self.state.now)
    }

    /// One open finding.
    pub(crate) fn finding(&self, id: &str, subject: &str) -> Finding {
        let found = self.all().into_iter().find(|finding| finding.seen.id == id && *finding.seen.subject == *subject);
        found.unwrap_or_else(|| panic!("{id} {subject} is not among {:?}", self.open()))
    }

    /// Why a rule cannot speak yet.
    pub(crate) fn waiting(&self, id: &str) -> Vec<&str> {
        self.state
            .findings
            .unassessed()
            .iter()
            .filter(|waiting| waiting.id == id)
            .map(|waiting| waiting.why.as_str())
            .collect()
    }

    /// The verdict now.
    pub(crate) fn verdict(&self) -> Verdict {
        verdict(&self.state, self.state.now)
    }
}

/// The id of the container of this name in all tests: 64 digits that begin with the name's own bytes.
pub(crate) fn container_id(name: &str) -> ContainerId {
    let digits = name.bytes().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"));
    ContainerId::from(format!("{digits:0<64}").as_str())
}

/// Something that happened to the container of this name.
pub(crate) fn event(name: &str, kind: DockerEventKind, second: i64) -> DockerEvent {
    DockerEvent { id: container_id(name), kind, at: wall(second) }
}

/// What the engine says when it lists these containers.
pub(crate) fn docker(containers: impl IntoIterator<Item = Maker>) -> Sample {
    let engine = EngineInfo {
        version: "29.1".to_owned(),
        api_version: "1.51".to_owned(),
        endpoint: "unix:///run/docker.sock".to_owned(),
        chosen_because: "the default socket".to_owned(),
    };
    Sample::Docker(
        DockerSample { engine, containers: containers.into_iter().map(|maker| Arc::new(maker.0)).collect() }.into(),
    )
}

/// A container that runs since a day, healthy, without health check, limit or restart policy.
pub(crate) fn container(name: &str) -> Maker {
    let day_ago = Some(wall(-86_400));
    Maker(Container {
        id: container_id(name),
        name: name.into(),
        project: None,
        service: None,
        image: format!("{name}:1.0"),
        image_id: format!("sha256:{name}"),
        state: ContainerState::Running,
        health: None,
        restart_count: 0,
        restart_policy: RestartPolicy::No,
        pid: Some(4711),
        created: day_ago,
        started: day_ago,
        last_exit: None,
        start_error: None,
        memory_limit_bytes: None,
        cpu_limit: None,
        ports: Vec::new(),
        mounts: Vec::new(),
        log_driver: "json-file".to_owned(),
        log_path: None,
        tty: false,
        cgroup: None,
        wants_gpu: false,
    })
}

/// A container in the making.
#[derive(Clone)]
pub(crate) struct Maker(pub(crate) Container);

impl Maker {
    /// Any other change.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Container)) -> Self {
        change(&mut self.0);
        self
    }

    /// Restart policy `always`.
    pub(crate) fn always(self) -> Self {
        self.with(|container| container.restart_policy = RestartPolicy::Always)
    }

    /// Restart policy `on-failure`, at most so often.
    pub(crate) fn on_failure(self, most: u32) -> Self {
        self.with(|container| container.restart_policy = RestartPolicy::OnFailure(most))
    }

    /// It belongs to a compose project.
    pub(crate) fn project(self, project: &str, service: &str) -> Self {
        self.with(|container| {
            container.project = Some(project.into());
            container.service = Some(service.into());
        })
    }

    /// Made from this image.
    pub(crate) fn image(self, image: &str) -> Self {
        self.with(|container| image.clone_into(&mut container.image))
    }

    /// Created at this second.
    pub(crate) fn created(self, second: i64) -> Self {
        self.with(|container| container.created = Some(wall(second)))
    }

    /// The engine restarted it so often.
    pub(crate) fn restarted(self, count: u32) -> Self {
        self.with(|container| container.restart_count = count)
    }

    /// In this state; all but `running` and `paused` have no process.
    pub(crate) fn state(self, state: ContainerState) -> Self {
        self.with(|container| {
            container.state = state;
            container.pid = container.pid.filter(|_| state.is_up());
        })
    }

    /// Its last run ended so, and it lies there since.
    pub(crate) fn exited(self, code: i64, second: i64) -> Self {
        let exit = Exit { code, oom_killed: false, at: Some(wall(second)) };
        self.state(ContainerState::Exited).with(|container| container.last_exit = Some(exit))
    }

    /// Killed for memory, and it lies there since.
    pub(crate) fn oom_killed(self, second: i64) -> Self {
        let exit = Exit { code: 137, oom_killed: true, at: Some(wall(second)) };
        self.state(ContainerState::Exited).with(|container| container.last_exit = Some(exit))
    }

    /// It runs since this second; what ended before stays.
    pub(crate) fn running(self, second: i64) -> Self {
        self.state(ContainerState::Running).with(|container| {
            container.started = Some(wall(second));
            container.pid = Some(4711);
        })
    }

    /// The engine says why it could not start.
    pub(crate) fn error(self, why: &str) -> Self {
        self.with(|container| container.start_error = Some(why.to_owned()))
    }

    /// Its memory limit, bytes.
    pub(crate) fn limit(self, bytes: u64) -> Self {
        self.with(|container| container.memory_limit_bytes = Some(bytes))
    }

    /// Its health check passes.
    pub(crate) fn healthy(self) -> Self {
        self.health(HealthState::Healthy, 0, "", None)
    }

    /// Its health check has not passed yet.
    pub(crate) fn starting(self) -> Self {
        self.health(HealthState::Starting, 0, "", None)
    }

    /// Its health check failed so often, printing this, since this second.
    pub(crate) fn unhealthy(self, streak: u32, output: &str, since: i64) -> Self {
        self.health(HealthState::Unhealthy, streak, output, Some(wall(since)))
    }

    fn health(self, state: HealthState, failing_streak: u32, output: &str, failing_since: Option<Timestamp>) -> Self {
        let last_output = (!output.is_empty()).then(|| output.to_owned());
        self.with(|container| container.health = Some(Health { state, failing_streak, last_output, failing_since }))
    }
}

/// An image of 1 GiB with this reference, built a month ago, that nothing uses and that shares nothing.
pub(crate) fn image(reference: &str) -> Image {
    Image {
        id: format!("sha256:{}", container_id(reference).0).into(),
        references: vec![reference.to_owned()],
        repository: None,
        kept: Vec::new(),
        size_bytes: GIB,
        shared_before_bytes: 0,
        created: Some(wall(-30 * 86_400)),
        users: Vec::new(),
        keep: false,
    }
}

/// A volume of 1 GiB that somebody named and nothing uses.
pub(crate) fn docker_volume(name: &str) -> DockerVolume {
    DockerVolume {
        name: name.into(),
        anonymous: false,
        driver: "local".to_owned(),
        size_bytes: Reading::Known(GIB),
        users: Vec::new(),
        project: None,
        keep: false,
        created: Some(wall(-30 * 86_400)),
    }
}

/// A bridge that nothing uses.
pub(crate) fn docker_network(name: &str) -> DockerNetwork {
    DockerNetwork {
        id: container_id(name).0,
        name: name.into(),
        driver: "bridge".to_owned(),
        users: Vec::new(),
        builtin: false,
        project: None,
        keep: false,
        created: Some(wall(-30 * 86_400)),
    }
}

/// A machine with 100 GiB of memory, of which this part is used.
pub(crate) fn host(used_ratio: f64) -> HostSample {
    let total_bytes = 100 * GIB;
    let available_bytes = total_bytes - (total_bytes as f64 * used_ratio) as u64;
    HostSample { memory: Reading::Known(Memory { total_bytes, available_bytes }), ..HostSample::default() }
}

/// A volume of 100 GiB, of which this part is free, with inodes enough.
pub(crate) fn volume(mount: &str, free_ratio: f64) -> Volume {
    let size = GIB as f64 * 100.0;
    Volume {
        mount: mount.to_owned(),
        device: "/dev/nvme0n1p2".to_owned(),
        filesystem: "ext4".to_owned(),
        size_bytes: 100 * GIB,
        free_bytes: (size * free_ratio).round() as u64,
        inodes: 1_000_000,
        inodes_free: 900_000,
    }
}

/// A card at rest: `GPU-0`, `GPU-1`, … at 45 °C, which slows down at 95 °C.
pub(crate) fn gpu(index: u32) -> Gpu {
    Gpu {
        index,
        uuid: format!("GPU-{index}").into(),
        name: "RTX 4090".to_owned(),
        pci: format!("00000000:0{index}:00.0"),
        compute_ratio: Reading::Known(0.0),
        memory: Reading::Known(GpuMemory { total_bytes: 24 * GIB, used_bytes: 0, reserved_bytes: 0 }),
        temperature_celsius: Reading::Known(45),
        slowdown_celsius: Reading::Known(95),
        throttle: Reading::Known(Vec::new()),
        processes: Reading::Known(Vec::new()),
        ..Gpu::default()
    }
}

/// An inference server on this port that serves no model yet.
pub(crate) fn engine(kind: EngineKind, port: u16) -> Engine {
    Engine {
        kind,
        version: Reading::Known("1.0".to_owned()),
        endpoint: Endpoint(format!("http://127.0.0.1:{port}")),
        port,
        pid: None,
        container: None,
        models: Reading::Known(Vec::new()),
        requests_running: Reading::Known(0),
        requests_waiting: Reading::Known(0),
        kv_cache_used_ratio: Reading::Unavailable(Why::NOT_SUPPORTED),
        kv_cache_tokens: Reading::Unavailable(Why::NOT_SUPPORTED),
        tally: Reading::Unavailable(Why::NOT_SUPPORTED),
        options: Reading::Unavailable(Why::NOT_SUPPORTED),
    }
}

/// A platform in the container of this name that is well and has done so much.
pub(crate) fn platform(kind: PlatformKind, container: &str, total: u64, failed: u64) -> Platform {
    Platform {
        kind,
        version: Reading::Known("2.41.3".to_owned()),
        container: container_id(container),
        endpoint: Reading::Unavailable("no port of it is published".into()),
        health: Reading::Known(PlatformHealth::Ready),
        requests: Reading::Known(RequestCounts { total, failed }),
    }
}

/// A model of Ollama of 1 GiB, whose weights were not looked at.
pub(crate) fn stored_model(name: &str) -> StoredModel {
    StoredModel {
        name: name.to_owned(),
        store: ModelStore::Ollama,
        place: "/m".to_owned(),
        path: format!("/m/manifests/{name}"),
        weights: Reading::Unavailable(Why::NOT_SUPPORTED),
        family: None,
        version: None,
        size_bytes: GIB,
        own_bytes: GIB,
        digest: None,
        blobs: Vec::new(),
        modified: Some(wall(-30 * 86_400)),
        last_used: Reading::Unavailable(Why::NOT_SUPPORTED),
        alias_of: None,
        also_named: Vec::new(),
        naming: None,
        tuned: None,
        damage: None,
    }
}

/// The shape of Llama 3.1 8B.
pub(crate) fn llama_8b() -> ModelShape {
    ModelShape {
        context_length: Some(131_072),
        embedding_length: Some(4096),
        block_count: 32,
        head_count_kv: PerLayer::Same(8),
        key_length: 128,
        value_length: 128,
        sliding_window: None,
        windowed: PerLayer::Same(false),
        latent_length: None,
        expert_count: None,
        expert_used_count: None,
    }
}

/// A place of Ollama's models in which nothing is left over.
pub(crate) fn library_place(path: &str) -> LibraryPlace {
    LibraryPlace {
        path: path.to_owned(),
        store: ModelStore::Ollama,
        because: "the config names it".to_owned(),
        volume: Reading::Known("/".to_owned()),
        total_bytes: GIB,
        orphans: Reading::Known(Leftovers::default()),
        partial: Leftovers::default(),
        pieces: Leftovers::default(),
        secrets: Vec::new(),
        problems: Vec::new(),
    }
}
