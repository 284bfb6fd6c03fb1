//! The ready scripts say what their names promise.

use std::fs;

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use serde_json::Value;

use crate::harness::Double;

fn ready(name: &str) -> Double {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts");
    let text = fs::read(format!("{folder}/{name}.json")).unwrap();
    Double::new(&serde_json::from_slice::<Value>(&text).unwrap())
}

#[test]
fn two_busy() {
    let double = ready("two-busy");
    let nvml = double.init();
    assert_eq!(nvml.device_count().unwrap(), 2);
    let [busy, idle] = [0, 1].map(|index| nvml.device_by_index(index).unwrap());
    assert!(busy.utilization_rates().unwrap().gpu > 90);
    assert_eq!(idle.utilization_rates().unwrap().gpu, 0);
    for gpu in [busy, idle] {
        assert_eq!(gpu.name().unwrap(), "NVIDIA GeForce RTX 4090");
        let memory = gpu.memory_info().unwrap();
        let holder = &gpu.running_compute_processes().unwrap()[0];
        assert!(memory.used > memory.total / 2 && memory.free > 0);
        assert!(!nvml.sys_process_name(holder.pid, 128).unwrap().is_empty());
        assert_fails!(gpu.is_ecc_enabled(), NotSupported);
    }
}

#[test]
fn eight() {
    let double = ready("eight");
    let nvml = double.init();
    assert_eq!(nvml.device_count().unwrap(), 8);
    let mut uuids = std::collections::BTreeSet::new();
    for index in 0..8 {
        let gpu = nvml.device_by_index(index).unwrap();
        assert_eq!(gpu.name().unwrap(), "NVIDIA H100 80GB HBM3");
        assert_eq!(gpu.index().unwrap(), index);
        assert!(gpu.is_ecc_enabled().unwrap().currently_enabled);
        assert!(gpu.power_usage().unwrap() <= gpu.enforced_power_limit().unwrap());
        assert_eq!(nvml.device_by_uuid(gpu.uuid().unwrap()).unwrap().index().unwrap(), index);
        assert_fails!(gpu.num_fans(), NotSupported);
        uuids.insert(gpu.uuid().unwrap());
    }
    assert_eq!(uuids.len(), 8);
}

#[test]
fn not_supported() {
    let double = ready("not-supported");
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    assert!(gpu.name().unwrap().contains("GeForce"));
    assert!(gpu.memory_info().is_ok());
    assert!(gpu.temperature(TemperatureSensor::Gpu).is_ok());
    assert_fails!(gpu.utilization_rates(), NotSupported);
    assert_fails!(gpu.power_usage(), NotSupported);
    assert_fails!(gpu.clock_info(Clock::SM), NotSupported);
    assert_fails!(gpu.running_compute_processes(), NotSupported);
}

#[test]
fn lost() {
    let double = ready("lost");
    let nvml = double.init();
    assert_eq!(nvml.device_count().unwrap(), 2);
    assert!(nvml.device_by_index(0).unwrap().name().is_ok());
    assert_fails!(nvml.device_by_index(1), GpuLost);
}

#[test]
fn mismatch() {
    let double = ready("mismatch");
    assert_fails!(double.try_init(), LibRmVersionMismatch);
}

#[test]
fn xid() {
    let double = ready("xid");
    let nvml = double.init();
    let mut set = nvml.create_event_set().unwrap();
    for index in 0..nvml.device_count().unwrap() {
        let gpu = nvml.device_by_index(index).unwrap();
        let types = EventTypes::CRITICAL_XID_ERROR;
        set = gpu.register_events(types, set).map_err(|error| error.error).unwrap();
    }
    let codes: Vec<_> = std::iter::from_fn(|| set.wait(0).ok()?.event_data).collect();
    assert_eq!(codes, [XidError::Value(31), XidError::Value(48)]);
}

#[test]
fn throttled() {
    let double = ready("throttled");
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let reasons = gpu.current_throttle_reasons().unwrap();
    assert!(reasons.contains(ThrottleReasons::HW_THERMAL_SLOWDOWN));
    let sm = |clocks: Result<u32, NvmlError>| clocks.unwrap();
    assert!(sm(gpu.clock_info(Clock::SM)) < sm(gpu.max_clock_info(Clock::SM)));
    assert!(gpu.temperature(TemperatureSensor::Gpu).unwrap() > 85);
}
