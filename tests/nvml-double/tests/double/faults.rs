//! What goes wrong on real machines: a driver that is not there, a lost card, readings that are
//! refused, calls that hang, and a script that cannot be read.

use std::sync::mpsc;
use std::thread;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{PcieUtilCounter, TemperatureSensor};
use nvml_wrapper::structs::device::FieldId;
use serde_json::json;

use crate::harness::{A_WHILE, Double, SOON};

#[test]
fn initialising_fails_as_scripted() {
    let with = |error: &str| Double::new(&json!({ "init": error })).try_init();
    assert_fails!(with("driver-not-loaded"), DriverNotLoaded);
    assert_fails!(with("lib-rm-version-mismatch"), LibRmVersionMismatch);
    assert_fails!(with("no-permission"), NoPermission);
    assert_fails!(with("unknown"), Unknown);
}

#[test]
fn initialising_succeeds_once_the_script_lets_it() {
    let double = Double::new(&json!({ "init": "driver-not-loaded" }));
    assert!(double.try_init().is_err());
    double.rewrite(&json!({ "gpus": [{}] }));
    assert_eq!(double.init().device_count().unwrap(), 1);
}

#[test]
fn after_shutdown_the_next_initialisation_starts_anew() {
    let double = Double::new(&json!({ "gpus": [{}] }));
    let first = double.init();
    let second = double.init();
    first.shutdown().unwrap();
    assert_eq!(second.device_count().unwrap(), 1);
    second.shutdown().unwrap();
    drop(double.init());
    assert_eq!(double.init().device_count().unwrap(), 1);
}

#[test]
fn dropping_is_quiet_whatever_the_script_says() {
    let double = Double::new(&json!({ "gpus": [{}] }));
    let nvml = double.init();
    let set = nvml.create_event_set().unwrap();
    double.rewrite(&json!({
        "init": "driver-not-loaded", "hang": ["all"], "gpus": [{ "lost": true, "hang": ["all"] }],
    }));
    drop(set);
    drop(nvml);
    assert_fails!(double.try_init(), DriverNotLoaded);
}

#[test]
fn a_lost_gpu_answers_nothing_and_has_no_handle() {
    let script = |lost: bool| {
        json!({ "gpus": [
            { "name": "first", "uuid": "GPU-1", "temperature": 60, "lost": lost },
            { "name": "second", "uuid": "GPU-2", "temperature": 40 },
        ]})
    };
    let double = Double::new(&script(false));
    let nvml = double.init();
    let first = nvml.device_by_index(0).unwrap();
    let second = nvml.device_by_index(1).unwrap();
    assert_eq!(first.temperature(TemperatureSensor::Gpu).unwrap(), 60);

    double.rewrite(&script(true));
    assert_fails!(first.temperature(TemperatureSensor::Gpu), GpuLost);
    assert_fails!(first.name(), GpuLost);
    assert_fails!(first.field_values_for(&[FieldId(82)]), GpuLost);
    assert_fails!(nvml.device_by_index(0), GpuLost);
    assert_fails!(nvml.device_by_uuid("GPU-1"), GpuLost);
    assert_eq!(nvml.device_count().unwrap(), 2);
    assert_eq!(second.temperature(TemperatureSensor::Gpu).unwrap(), 40);

    double.rewrite(&script(false));
    assert_eq!(first.temperature(TemperatureSensor::Gpu).unwrap(), 60);
}

#[test]
fn a_gpu_that_left_the_script_is_lost() {
    let double = Double::new(&json!({ "gpus": [{ "name": "a" }, { "name": "b" }] }));
    let nvml = double.init();
    let gpu = nvml.device_by_index(1).unwrap();
    double.rewrite(&json!({ "gpus": [{ "name": "a" }] }));
    assert_fails!(gpu.name(), GpuLost);
    assert_eq!(nvml.device_count().unwrap(), 1);
}

#[test]
fn one_reading_fails_and_the_others_answer() {
    let double = Double::new(&json!({
        "driver": "580.95.05", "nvml": "13.580.95.05",
        "errors": { "nvml": "unknown" },
        "gpus": [{
            "name": "card", "power_mw": 1000, "temperature": 50,
            "pcie": { "gen": 4, "width": 16, "tx_kbs": 5, "rx_kbs": 6 },
            "errors": {
                "power_mw": "no-permission",
                "pcie": "unknown",
                "pcie.width": "not-supported",
            },
        }],
    }));
    let nvml = double.init();
    assert_fails!(nvml.sys_nvml_version(), Unknown);
    assert_eq!(nvml.sys_driver_version().unwrap(), "580.95.05");
    let gpu = nvml.device_by_index(0).unwrap();
    assert_fails!(gpu.power_usage(), NoPermission);
    assert_fails!(gpu.current_pcie_link_gen(), Unknown);
    assert_fails!(gpu.pcie_throughput(PcieUtilCounter::Send), Unknown);
    assert_fails!(gpu.current_pcie_link_width(), NotSupported);
    assert_eq!(gpu.temperature(TemperatureSensor::Gpu).unwrap(), 50);
}

#[test]
fn all_readings_fail_but_the_handle() {
    let double = Double::new(&json!({
        "gpus": [{ "name": "card", "errors": { "all": "gpu-lost" } }],
    }));
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    assert_fails!(gpu.name(), GpuLost);
    assert_fails!(gpu.index(), GpuLost);
}

#[test]
fn a_reading_hangs_until_the_script_releases_it() {
    let script = |hang: &[&str]| {
        json!({ "gpus": [
            { "name": "a", "temperature": 61, "hang": hang },
            { "name": "b", "temperature": 41 },
        ]})
    };
    let double = Double::new(&script(&["temperature"]));
    let nvml = double.init();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        let nvml = &nvml;
        scope.spawn(move || {
            let gpu = nvml.device_by_index(0).unwrap();
            sender.send(gpu.temperature(TemperatureSensor::Gpu)).unwrap();
        });
        assert!(answers.recv_timeout(A_WHILE).is_err(), "the call did not hang");
        let other = nvml.device_by_index(1).unwrap();
        assert_eq!(other.temperature(TemperatureSensor::Gpu).unwrap(), 41);
        assert_eq!(nvml.device_by_index(0).unwrap().name().unwrap(), "a");
        double.rewrite(&script(&[]));
        assert_eq!(answers.recv_timeout(SOON).unwrap().unwrap(), 61);
    });
}

#[test]
fn a_whole_gpu_and_the_library_can_hang() {
    let hanging = json!({ "hang": ["count"], "gpus": [{ "name": "a", "hang": ["all"] }] });
    let double = Double::new(&hanging);
    let nvml = double.init();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        let (other_sender, nvml) = (sender.clone(), &nvml);
        scope.spawn(move || sender.send(nvml.device_count().map(|_| ())).unwrap());
        scope.spawn(move || {
            let gpu = nvml.device_by_index(0).unwrap();
            other_sender.send(gpu.name().map(|_| ())).unwrap();
        });
        assert!(answers.recv_timeout(A_WHILE).is_err(), "a call did not hang");
        double.rewrite(&json!({ "gpus": [{ "name": "a" }] }));
        for _ in 0..2 {
            answers.recv_timeout(SOON).unwrap().unwrap();
        }
    });
}

#[test]
fn initialising_hangs_until_the_script_releases_it() {
    let double = Double::new(&json!({ "init": "hang" }));
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        let double = &double;
        scope.spawn(move || {
            let count = double.try_init().and_then(|nvml: Nvml| nvml.device_count());
            sender.send(count).unwrap();
        });
        assert!(answers.recv_timeout(A_WHILE).is_err(), "initialising did not hang");
        double.rewrite(&json!({ "init": "ok", "gpus": [{}] }));
        assert_eq!(answers.recv_timeout(SOON).unwrap().unwrap(), 1);
    });
}

#[test]
fn a_script_with_a_slip_is_refused_with_the_reason() {
    for (script, reason) in [
        (json!({ "gpu": [] }), "unknown field `gpu`"),
        (json!({ "gpus": [{ "temprature": 5 }] }), "unknown field `temprature`"),
        (json!({ "gpus": [{ "errors": { "power": "unknown" } }] }), "unknown reading `power`"),
        (json!({ "gpus": [{ "errors": { "power_mw": "nope" } }] }), "unknown error `nope`"),
        (json!({ "gpus": [{ "hang": ["everything"] }] }), "unknown reading `everything`"),
        (json!({ "gpus": [{ "throttle": ["hot"] }] }), "neither a bit mask nor a list"),
        (json!({ "gpus": [{ "pci": "slot 1" }] }), "not a PCI address"),
        (json!({ "cuda": "13" }), "not a version"),
        (json!({ "xids": [{ "gpu": 0, "code": 79, "seq": 1 }] }), "there is no gpu 0"),
    ] {
        let double = Double::new(&script);
        assert_fails!(double.try_init(), Unknown);
        let complaint = double.complaint();
        assert!(complaint.contains(reason), "{complaint:?} lacks {reason:?}");
    }
}

#[test]
fn a_script_that_turns_bad_and_good_again() {
    let double = Double::new(&json!({ "gpus": [{}] }));
    let nvml = double.init();
    double.rewrite(&json!({ "gpus": 1 }));
    assert_fails!(nvml.device_count(), Unknown);
    double.rewrite(&json!({ "gpus": [{}, {}] }));
    assert_eq!(nvml.device_count().unwrap(), 2);
    std::fs::remove_file(double.script()).unwrap();
    assert_fails!(nvml.device_count(), Unknown);
}
