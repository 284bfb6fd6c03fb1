//! The NVIDIA source against the double of NVIDIA's library: what a card says arrives with its right unit, and what goes
//! wrong on real machines (no driver, another version of it, a lost card, a call that hangs) is said as it is.
//!
//! Each test loads a copy of the double of its own with its script beside it, so they run side by side.

mod driver;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler::domain::{
    ContainerId, Ecc, Event, Failure, FailureKind, Gpu, GpuMemory, GpuProcessKind, GpuSample, PcieLink, Reading,
    Sample, SourceId, ThrottleReason, Why, XidEvent,
};
use hostler::host::Ports;
use hostler::sources::{SOURCES, Source, SourceContext, SourceSettings, SourceSpec, poller};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TryRecvError};

use crate::bed::{self, DEADLINE, wait_until};

const FIRST: &str = "GPU-6f0d1c52-8a3b-4c7e-9d41-2b5e7a90c318";
const SECOND: &str = "GPU-b24e9a07-51cf-4f86-a3d8-90c6e1f7245b";

/// A copy of the double and the machine's files, both in a folder that goes with it.
pub(crate) struct Double {
    folder: TempDir,
}

impl Double {
    #[track_caller]
    pub(crate) fn new(script: &Value) -> Option<Self> {
        let library = bed::nvml_library()?;
        let double = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(library, double.library()).unwrap();
        double.rewrite(script);
        Some(double)
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    /// Replaces the script in one step.
    pub(crate) fn rewrite(&self, script: &Value) {
        let next = self.folder.path().join("next.json");
        fs::write(&next, serde_json::to_vec(script).unwrap()).unwrap();
        fs::rename(next, self.folder.path().join("libnvidia-ml.so.1.json")).unwrap();
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Writes one of the machine's files.
    fn file(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn source(&self) -> Reader {
        Reader::new(Some(&self.library()), &self.root())
    }
}

/// The source, and what reads it.
struct Reader {
    spec: &'static SourceSpec,
    source: Box<dyn Source>,
    ports: Ports,
    events: mpsc::Receiver<Event>,
    runtime: Runtime,
}

impl Reader {
    fn new(library: Option<&Path>, root: &Path) -> Self {
        let (sender, events) = mpsc::channel(16);
        let ports = Ports::new(root);
        let library = library.map(|path| path.to_str().unwrap().to_owned());
        let settings = SourceSettings { nvml_library: library, ..SourceSettings::default() };
        let context = SourceContext::new(ports.clone(), Rc::new(settings), sender);
        let spec = SOURCES.iter().find(|spec| spec.id == SourceId::Gpu).unwrap();
        Self {
            spec,
            source: (spec.build)(&context),
            ports,
            events,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
        }
    }

    fn read(&mut self) -> Result<(Arc<GpuSample>, String), Failure> {
        let read = poller::read_once(self.spec, self.source.as_mut(), self.ports.clock);
        match self.runtime.block_on(read) {
            Event::Sampled { sample: Sample::Gpu(sample), detail, .. } => Ok((sample, detail)),
            Event::SourceFailed { source: SourceId::Gpu, failure, .. } => Err(failure),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn sample(&mut self) -> Arc<GpuSample> {
        self.read().unwrap().0
    }

    #[track_caller]
    fn failure(&mut self) -> Failure {
        self.read().unwrap_err()
    }

    /// The next Xid that the source pushes.
    #[track_caller]
    fn xid(&mut self) -> XidEvent {
        wait_until(DEADLINE, "an Xid is told", || match self.events.try_recv() {
            Ok(Event::Xid(xid)) => Some(xid),
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        })
    }
}

/// A script of the double's own collection.
pub(crate) fn ready(name: &str) -> Value {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvml-double/scripts");
    serde_json::from_slice(&fs::read(scripts.join(name)).unwrap()).unwrap()
}

fn not_supported<T>() -> Reading<T> {
    Reading::Unavailable(Why::NOT_SUPPORTED)
}

/// Every reading of a card as JSON, by name.
fn readings(gpu: &Gpu) -> serde_json::Map<String, Value> {
    let Value::Object(mut readings) = serde_json::to_value(gpu).unwrap() else {
        panic!("a card is an object");
    };
    for not_read in ["index", "uuid", "name", "pci", "lost"] {
        readings.remove(not_read).unwrap();
    }
    readings
}

#[track_caller]
fn assert_lost(gpu: &Gpu) {
    assert!(gpu.lost);
    for (name, reading) in readings(gpu) {
        let why = json!({ "unavailable": "it has fallen off the bus" });
        assert_eq!(reading, why, "{name}");
    }
}

#[test]
fn readings_have_the_right_unit() {
    let Some(double) = Double::new(&ready("two-busy.json")) else {
        return;
    };
    let mut source = double.source();
    let (sample, detail) = source.read().unwrap();
    assert_eq!(detail, "driver 580.95.05, CUDA 13.0, 2 cards");
    assert_eq!(sample.driver.loaded, Reading::Known("580.95.05".to_owned()));
    assert_eq!(sample.driver.cuda, Reading::Known("13.0".to_owned()));
    assert!(sample.driver.on_disk.why().is_some(), "the tree has no library");

    let [first, second] = sample.gpus.as_slice() else {
        panic!("{sample:?}");
    };
    let process = &first.processes.known().unwrap()[0];
    assert_eq!(
        *first,
        Gpu {
            index: 0,
            uuid: FIRST.into(),
            name: "RTX 4090".to_owned(),
            pci: "00000000:01:00.0".to_owned(),
            lost: false,
            compute_ratio: Reading::Known(0.97),
            bandwidth_ratio: Reading::Known(0.61),
            memory: Reading::Known(GpuMemory {
                total_bytes: 25_757_220_864,
                used_bytes: 24_034_410_496,
                reserved_bytes: 507_510_784,
            }),
            temperature_celsius: Reading::Known(74),
            slowdown_celsius: Reading::Known(97),
            shutdown_celsius: Reading::Known(100),
            power_watts: Reading::Known(446.21),
            power_limit_watts: Reading::Known(450.0),
            sm_clock_mhz: Reading::Known(2610),
            sm_clock_max_mhz: Reading::Known(3120),
            memory_clock_mhz: Reading::Known(10_251),
            fan_ratio: Reading::Known(0.64),
            throttle: Reading::Known(vec![ThrottleReason::PowerCap]),
            pcie: Reading::Known(PcieLink { generation: 4, width: 16, width_max: Some(16) }),
            ecc: not_supported(),
            processes: Reading::Known(vec![process.clone()]),
        }
    );
    assert_eq!(process.pid, 4242);
    assert_eq!(process.kind, GpuProcessKind::Compute);
    assert_eq!(process.memory_used_bytes, Reading::Known(24_001_904_640));
    assert_eq!(process.sm_ratio, Reading::Known(0.96));

    assert_eq!(&*second.uuid, SECOND);
    assert_eq!(second.compute_ratio, Reading::Known(0.0));
    assert_eq!(second.power_watts, Reading::Known(24.31));
    assert_eq!(second.throttle, Reading::Known(vec![]), "idleness is none");
    let idle = &second.processes.known().unwrap()[0];
    assert_eq!(idle.sm_ratio, Reading::Known(0.0), "no sample: it did nothing");
}

#[test]
fn eight_cards_are_read_in_their_order() {
    let script = ready("eight.json");
    let Some(double) = Double::new(&script) else {
        return;
    };
    let sample = double.source().sample();
    assert_eq!(sample.gpus.len(), 8);
    for ((index, gpu), scripted) in (0..).zip(&sample.gpus).zip(script["gpus"].as_array().unwrap()) {
        assert_eq!(gpu.index, index);
        assert_eq!(*gpu.uuid, *scripted["uuid"].as_str().unwrap());
        let temperature = u64::from(gpu.temperature_celsius.get().unwrap());
        assert_eq!(temperature, scripted["temperature"].as_u64().unwrap());
        assert!(gpu.name.starts_with("H100"), "{}", gpu.name);
        assert!(gpu.ecc.known().unwrap().enabled);
    }
}

#[test]
fn a_lost_card_keeps_its_name_and_comes_back() {
    let Some(double) = Double::new(&ready("two-busy.json")) else {
        return;
    };
    let mut source = double.source();
    let before = source.sample();

    double.rewrite(&ready("lost.json"));
    let lost = source.sample();
    assert!(!lost.gpus[0].lost);
    assert_eq!(lost.gpus[0].temperature_celsius, Reading::Known(74));
    let gone = &lost.gpus[1];
    assert_lost(gone);
    assert_eq!(gone.index, 1);
    assert_eq!((&gone.uuid, &gone.name, &gone.pci), (&before.gpus[1].uuid, &before.gpus[1].name, &before.gpus[1].pci));

    double.rewrite(&ready("two-busy.json"));
    assert_eq!(source.sample().gpus, before.gpus);
}

#[test]
fn a_card_lost_in_the_middle_of_a_reading_is_lost() {
    let mut script = ready("two-busy.json");
    script["gpus"][0]["errors"] = json!({ "power_mw": "gpu-lost" });
    let Some(double) = Double::new(&script) else {
        return;
    };
    let sample = double.source().sample();
    assert_lost(&sample.gpus[0]);
    assert_eq!(&*sample.gpus[0].uuid, FIRST);
    assert!(!sample.gpus[1].lost);
}

#[test]
fn a_card_lost_from_the_start_is_named_by_the_kernel() {
    let Some(double) = Double::new(&ready("lost.json")) else {
        return;
    };
    let nameless = double.source().sample();
    assert_lost(&nameless.gpus[1]);
    assert_eq!(&*nameless.gpus[1].uuid, "gpu1");

    for address in ["0000:01:00.0", "0000:41:00.0"] {
        let uuid = if address.contains("41") { SECOND } else { FIRST };
        double.file(
            &format!("proc/driver/nvidia/gpus/{address}/information"),
            &format!("Model: \t\t NVIDIA GeForce RTX 4090\nGPU UUID: \t {uuid}\n"),
        );
    }
    let mut source = double.source();
    let named = source.sample();
    assert_lost(&named.gpus[1]);
    assert_eq!(&*named.gpus[1].uuid, SECOND);
    assert_eq!(named.gpus[1].pci, "00000000:41:00.0");
}

#[test]
fn a_card_that_is_counted_no_more_is_lost() {
    let both = ready("two-busy.json");
    let Some(double) = Double::new(&both) else {
        return;
    };
    let mut source = double.source();
    source.sample();

    let mut second_only = both.clone();
    second_only["gpus"].as_array_mut().unwrap().remove(0);
    double.rewrite(&second_only);
    let sample = source.sample();
    assert_eq!(sample.gpus.len(), 2);
    assert_eq!(&*sample.gpus[0].uuid, SECOND);
    assert!(!sample.gpus[0].lost);
    assert_lost(&sample.gpus[1]);
    assert_eq!(&*sample.gpus[1].uuid, FIRST);

    double.rewrite(&both);
    let sample = source.sample();
    assert!(sample.gpus.iter().all(|gpu| !gpu.lost));
    assert_eq!(sample.gpus.len(), 2);
}

#[test]
fn readings_that_are_not_supported_say_so() {
    let Some(double) = Double::new(&ready("not-supported.json")) else {
        return;
    };
    let sample = double.source().sample();
    let gpu = &sample.gpus[0];
    assert_eq!(gpu.name, "GT 710");
    assert!(!gpu.lost);
    assert_eq!(gpu.temperature_celsius, Reading::Known(38));
    assert_eq!(gpu.fan_ratio, Reading::Known(0.4));
    assert_eq!(gpu.memory.known().unwrap().total_bytes, 2_097_152_000);
    let known = ["gpu_temperature_celsius", "fan_ratio", "memory", "slowdown_celsius", "shutdown_celsius"];
    for (name, reading) in readings(gpu) {
        if !known.contains(&&*name) {
            let why = json!({ "unavailable": "not supported" });
            assert_eq!(reading, why, "{name}");
        }
    }
}

#[test]
fn a_reading_fails_alone_and_in_plain_words() {
    let mut script = ready("two-busy.json");
    script["gpus"][0]["errors"] = json!({
        "power_mw": "no-permission",
        "fans": "function-not-found",
        "temperature": "unknown",
        "pcie": "reset-required",
        "compute": "unknown",
        "utilization": "argument-version-mismatch",
    });
    script["gpus"][1]["fans"] = json!([]);
    script["errors"] = json!({ "cuda": "library-not-found", "driver": "unknown" });
    let Some(double) = Double::new(&script) else {
        return;
    };
    double.file("sys/module/nvidia/version", "580.95.05\n");
    let sample = double.source().sample();
    let gpu = &sample.gpus[0];
    let why = |why: Option<&Why>| why.unwrap().to_string();
    assert_eq!(why(gpu.power_watts.why()), "not permitted");
    assert_eq!(why(gpu.fan_ratio.why()), "this driver does not offer it");
    assert_eq!(why(gpu.temperature_celsius.why()), "the driver reports an unknown error");
    assert_eq!(why(gpu.pcie.why()), "the card needs a reset");
    assert_eq!(why(gpu.processes.why()), "the driver reports an unknown error");
    assert_eq!(why(gpu.compute_ratio.why()), "this driver does not offer it");
    assert_eq!(gpu.memory_clock_mhz, Reading::Known(10_251));
    assert!(!gpu.lost);
    assert_eq!(why(sample.gpus[1].fan_ratio.why()), "it has no fan");
    assert!(sample.driver.cuda.why().is_some());
    assert_eq!(sample.driver.loaded, Reading::Known("580.95.05".to_owned()));
}

#[test]
fn a_card_that_refuses_its_handle_is_there_and_silent() {
    let mut script = ready("two-busy.json");
    script["gpus"][0]["errors"] = json!({ "handle": "insufficient-power" });
    let Some(double) = Double::new(&script) else {
        return;
    };
    let sample = double.source().sample();
    assert!(!sample.gpus[0].lost);
    let why = json!({ "unavailable": "the card's power cables are not properly attached" });
    assert!(readings(&sample.gpus[0]).values().all(|reading| *reading == why));
    assert_eq!(sample.gpus[1].temperature_celsius, Reading::Known(41));
}

#[test]
fn ecc_and_throttling_are_told() {
    let mut script = ready("throttled.json");
    script["gpus"][0]["ecc"] = json!({ "enabled": true, "corrected": 7, "uncorrected": 1 });
    script["gpus"][1]["ecc"] = json!({ "enabled": false });
    script["gpus"][1]["throttle"] = json!(0x200 | 0x400 | 0x2 | 0x8000);
    script["gpus"][1]["pcie"] = json!({ "gen": 1, "width": 8 });
    let Some(double) = Double::new(&script) else {
        return;
    };
    let sample = double.source().sample();
    let [first, second] = sample.gpus.as_slice() else {
        panic!("{sample:?}");
    };
    let reasons = first.throttle.known().unwrap();
    assert!(reasons.iter().any(|reason| reason.is_alarm()), "{reasons:?}");
    assert_eq!(first.ecc, Reading::Known(Ecc { enabled: true, corrected: 7, uncorrected: 1 }));
    assert_eq!(second.throttle, Reading::Known(vec![ThrottleReason::BoardLimit, ThrottleReason::Reliability]));
    assert_eq!(second.ecc, Reading::Known(Ecc::default()));
    assert_eq!(second.pcie, Reading::Known(PcieLink { generation: 1, width: 8, width_max: None }));
}

#[test]
fn a_change_is_seen_at_the_next_reading() {
    let mut script = ready("two-busy.json");
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    source.sample();
    for temperature in [80, 91] {
        script["gpus"][0]["temperature"] = json!(temperature);
        double.rewrite(&script);
        let sample = source.sample();
        assert_eq!(sample.gpus[0].temperature_celsius, Reading::Known(temperature));
    }
    // What changes slowly is seen within a few readings.
    script["gpus"][0]["limit_mw"] = json!(300_000);
    script["gpus"][0]["pcie"]["width"] = json!(4);
    double.rewrite(&script);
    let reads = (1..10).find(|_| {
        let gpu = &source.sample().gpus[0];
        let width = gpu.pcie.known().unwrap().width;
        gpu.power_limit_watts == Reading::Known(300.0) && width == 4
    });
    assert!(reads.is_some_and(|reads| reads <= 5), "{reads:?}");
}

#[test]
fn a_process_is_joined_to_its_container() {
    let id = "4f".repeat(32);
    let mut script = ready("two-busy.json");
    script["gpus"][0]["compute"] = json!([
        { "pid": 4242, "memory": 20_000_000_000_u64 },
        { "pid": 4300 },
    ]);
    script["gpus"][0]["graphics"] = json!([
        { "pid": 4242, "memory": 1 },
        { "pid": 900, "memory": 50_000_000 },
    ]);
    script["gpus"][0]["mps"] = json!([{ "pid": 4400, "memory": 60_000_000 }]);
    script["gpus"][0]["process_utilization"] = json!([{ "pid": 4242, "sm": 81 }, { "pid": 4300, "sm": 255 }]);
    let Some(double) = Double::new(&script) else {
        return;
    };
    let process = |pid: u32, name: &str, line: &str, cgroup: &str| {
        double.file(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        double.file(&format!("proc/{pid}/cmdline"), line);
        double.file(&format!("proc/{pid}/cgroup"), cgroup);
    };
    process(4242, "VLLM::EngineCor", "VLLM::EngineCore\0\0", &format!("0::/system.slice/docker-{id}.scope\n"));
    for (pid, parent) in [(4242, 4200), (4200, 4100), (4100, 1)] {
        double.file(&format!("proc/{pid}/stat"), &format!("{pid} (a b) S {parent}{}\n", " 0".repeat(48)));
    }
    process(900, "X\u{1b}[2Jorg", "/usr/lib/xorg/Xorg\0", "0::/user.slice/user-1000.slice/session-3.scope\n");
    let sample = double.source().sample();
    let rows = sample.gpus[0].processes.known().unwrap();
    let pids: Vec<u32> = rows.iter().map(|row| row.pid).collect();
    assert_eq!(pids, [4242, 4400, 900, 4300], "most memory first, each once");

    let [vllm, mps, xorg, gone] = rows.as_slice() else {
        panic!("{rows:?}");
    };
    assert_eq!(vllm.name, Reading::Known("VLLM::EngineCore".to_owned()));
    assert_eq!(vllm.kind, GpuProcessKind::Compute);
    assert_eq!(vllm.memory_used_bytes, Reading::Known(20_000_000_000));
    assert_eq!(vllm.sm_ratio, Reading::Known(0.81));
    assert_eq!(vllm.container, Some(ContainerId::from(id.as_str())));
    assert_eq!(vllm.parents, [4200, 4100]);
    assert_eq!(mps.kind, GpuProcessKind::Compute);
    assert_eq!(xorg.kind, GpuProcessKind::Graphics);
    assert_eq!(xorg.name, Reading::Known("Xorg".to_owned()));
    assert_eq!(xorg.container, None);
    assert_eq!(xorg.sm_ratio, Reading::Known(0.0));
    assert!(gone.name.why().is_some());
    assert!(gone.memory_used_bytes.why().is_some());
    assert!(gone.sm_ratio.why().is_some(), "255 % is no share");
}

#[test]
fn a_call_that_hangs_costs_only_its_own_source() {
    let script = ready("two-busy.json");
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    source.sample();
    let mut hanging = script.clone();
    hanging["gpus"][1]["hang"] = json!(["temperature"]);
    double.rewrite(&hanging);

    let began = Instant::now();
    assert_eq!(source.failure(), Failure::failed("no answer within 3 s"));
    assert!(began.elapsed() < Duration::from_secs(30));
    let began = Instant::now();
    assert_eq!(source.failure(), Failure::failed("NVIDIA driver: the previous call has not come back"));
    assert!(began.elapsed() < Duration::from_secs(1), "it waits for nothing");

    // The machine itself is still read.
    let host = SOURCES.iter().find(|spec| spec.id == SourceId::Host).unwrap();
    let (events, _) = mpsc::channel(1);
    let mut machine = (host.build)(&SourceContext::new(source.ports.clone(), Rc::default(), events));
    let read = poller::read_once(host, machine.as_mut(), source.ports.clock);
    let read = source.runtime.block_on(read);
    assert!(matches!(read, Event::Sampled { .. }), "{read:?}");

    double.rewrite(&script);
    let sample = wait_until(DEADLINE, "the call has come back", || source.read().ok());
    assert_eq!(sample.0.gpus[1].temperature_celsius, Reading::Known(41));
}

#[test]
fn the_source_goes_while_a_call_hangs() {
    let mut script = ready("two-busy.json");
    script["hang"] = json!(["count"]);
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    assert_eq!(source.failure(), Failure::failed("no answer within 3 s"));
    let began = Instant::now();
    drop(source);
    assert!(began.elapsed() < Duration::from_secs(1));
    double.rewrite(&ready("two-busy.json"));
}

#[test]
fn xids_are_told_once_and_by_card() {
    let mut script = ready("two-busy.json");
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    source.sample();
    script["xids"] = json!([{ "gpu": 0, "code": 31, "seq": 1 }]);
    double.rewrite(&script);
    let first = source.xid();
    assert_eq!((&*first.gpu, first.code), (FIRST, 31));
    let age = source.ports.clock.now().since_wall(first.at);
    assert!(age < DEADLINE, "{first:?}");

    // A card that falls off the bus tells of it at the same moment, and can then not be asked who it is.
    let mut lost = ready("lost.json");
    lost["xids"] = json!([{ "gpu": 1, "code": 79, "seq": 2 }]);
    double.rewrite(&lost);
    let second = source.xid();
    assert_eq!((&*second.gpu, second.code), (SECOND, 79));
    assert!(source.sample().gpus[1].lost);

    // The card that is left is watched on.
    lost["xids"] = json!([{ "gpu": 0, "code": 48, "seq": 3 }]);
    double.rewrite(&lost);
    let third = source.xid();
    assert_eq!((&*third.gpu, third.code), (FIRST, 48));

    // And so is the one that comes back.
    script["xids"] = json!([]);
    double.rewrite(&script);
    assert!(!source.sample().gpus[1].lost);
    script["xids"] = json!([{ "gpu": 1, "code": 999, "seq": 4 }]);
    double.rewrite(&script);
    let fourth = source.xid();
    assert_eq!((&*fourth.gpu, fourth.code), (SECOND, 999));
}

#[test]
fn xids_outlive_cards_without_them_and_waits_that_fail() {
    let mut script = ready("two-busy.json");
    script["gpus"][0]["events"] = json!([]);
    script["errors"] = json!({ "event_wait": "unknown" });
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    source.sample();
    script["xids"] = json!([{ "gpu": 1, "code": 62, "seq": 1 }]);
    script["errors"] = json!({});
    double.rewrite(&script);
    let xid = source.xid();
    assert_eq!((&*xid.gpu, xid.code), (SECOND, 62));
}

#[test]
fn the_watcher_ends_with_its_source() {
    let Some(double) = Double::new(&ready("two-busy.json")) else {
        return;
    };
    let mut reader = double.source();
    reader.sample();
    let Reader { source, mut events, .. } = reader;
    drop(source);
    wait_until(DEADLINE, "nobody can send an event any more", || {
        matches!(events.try_recv(), Err(TryRecvError::Disconnected)).then_some(())
    });
}
