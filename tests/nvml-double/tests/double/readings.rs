//! Every reading that a script can hold comes out of the wrapper as it went in.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{
    Brand, Clock, ComputeMode, EccCounter, MemoryError, PcieUtilCounter, PerformancePolicy, PerformanceState,
    RetirementCause, TemperatureSensor, TemperatureThreshold,
};
use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue, UsedGpuMemory};
use nvml_wrapper::structs::device::FieldId;
use serde_json::{Value, json};

use crate::harness::Double;

/// A GPU with every reading that there is.
fn script() -> Value {
    serde_json::from_str(include_str!("every-reading.json")).unwrap()
}

#[test]
fn library_wide() {
    let double = Double::new(&script());
    let nvml = double.init();
    assert_eq!(nvml.sys_driver_version().unwrap(), "580.95.05");
    assert_eq!(nvml.sys_nvml_version().unwrap(), "13.580.95.05");
    assert_eq!(nvml.sys_cuda_driver_version().unwrap(), 13_000);
    assert_eq!(nvml.device_count().unwrap(), 1);
    assert_eq!(nvml.sys_process_name(4242, 64).unwrap(), "/usr/bin/python3");
    assert_eq!(nvml.sys_process_name(4242, 9).unwrap(), "/usr/bin");
    assert_fails!(nvml.sys_process_name(1, 64), NotFound);
}

#[test]
fn identity() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    assert_eq!(gpu.index().unwrap(), 0);
    assert_eq!(gpu.minor_number().unwrap(), 3);
    assert_eq!(gpu.name().unwrap(), "NVIDIA H100 PCIe");
    assert_eq!(gpu.uuid().unwrap(), "GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(gpu.serial().unwrap(), "1650922004242");
    assert_eq!(gpu.vbios_version().unwrap(), "96.00.74.00.09");
    assert_eq!(gpu.brand().unwrap(), Brand::Nvidia);
    assert_eq!(gpu.architecture().unwrap(), DeviceArchitecture::Hopper);
    assert_eq!(gpu.compute_mode().unwrap(), ComputeMode::ExclusiveProcess);
    assert_eq!(gpu.num_cores().unwrap(), 14_592);
    let capability = gpu.cuda_compute_capability().unwrap();
    assert_eq!((capability.major, capability.minor), (9, 0));
    let pci = gpu.pci_info().unwrap();
    assert_eq!((pci.domain, pci.bus, pci.device), (0, 0xC1, 0));
    assert_eq!(pci.bus_id, "00000000:C1:00.0");
}

#[test]
fn found_by_uuid_and_by_pci_address() {
    let double = Double::new(&script());
    let nvml = double.init();
    let by_uuid = nvml.device_by_uuid("GPU-aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(by_uuid.unwrap().index().unwrap(), 0);
    for address in ["00000000:C1:00.0", "0000:c1:00.0", "C1:00.0"] {
        assert_eq!(nvml.device_by_pci_bus_id(address).unwrap().index().unwrap(), 0);
    }
    assert_fails!(nvml.device_by_uuid("GPU-0"), NotFound);
    assert_fails!(nvml.device_by_pci_bus_id("02:00.0"), NotFound);
    assert_fails!(nvml.device_by_index(1), InvalidArg);
}

#[test]
fn load_memory_and_clocks() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let load = gpu.utilization_rates().unwrap();
    assert_eq!((load.gpu, load.memory), (97, 61));
    assert_eq!(gpu.encoder_utilization().unwrap().utilization, 5);
    assert_eq!(gpu.decoder_utilization().unwrap().utilization, 6);
    let memory = gpu.memory_info().unwrap();
    assert_eq!((memory.total, memory.used), (1000, 700));
    assert_eq!((memory.reserved, memory.free), (50, 250));
    assert_eq!(gpu.clock_info(Clock::Graphics).unwrap(), 1755);
    assert_eq!(gpu.clock_info(Clock::SM).unwrap(), 1754);
    assert_eq!(gpu.clock_info(Clock::Memory).unwrap(), 1593);
    assert_eq!(gpu.clock_info(Clock::Video).unwrap(), 1400);
    assert_eq!(gpu.max_clock_info(Clock::SM).unwrap(), 1981);
    assert_fails!(gpu.max_clock_info(Clock::Video), NotSupported);
    assert_eq!(gpu.performance_state().unwrap(), PerformanceState::Two);
    assert_eq!(gpu.current_pcie_link_gen().unwrap(), 4);
    assert_eq!(gpu.current_pcie_link_width().unwrap(), 8);
    assert_eq!(gpu.max_pcie_link_gen().unwrap(), 5);
    assert_eq!(gpu.max_pcie_link_width().unwrap(), 16);
    assert_eq!(gpu.pcie_throughput(PcieUtilCounter::Send).unwrap(), 812_000);
    assert_eq!(gpu.pcie_throughput(PcieUtilCounter::Receive).unwrap(), 1_204_000);
    assert_eq!(gpu.pcie_replay_counter().unwrap(), 3);
    let mig = gpu.mig_mode().unwrap();
    assert_eq!((mig.current, mig.pending), (0, 0));
    assert_eq!(gpu.mig_device_count().unwrap(), 7);
    assert!(gpu.is_in_persistent_mode().unwrap());
}

#[test]
fn heat_and_power() {
    let double = Double::new(&script());
    let nvml = double.init();
    let mut gpu = nvml.device_by_index(0).unwrap();
    assert_eq!(gpu.temperature(TemperatureSensor::Gpu).unwrap(), 83);
    for (threshold, celsius) in [
        (TemperatureThreshold::Shutdown, 95),
        (TemperatureThreshold::Slowdown, 90),
        (TemperatureThreshold::GpuMax, 87),
        (TemperatureThreshold::MemoryMax, 105),
        (TemperatureThreshold::AcousticCurr, 80),
    ] {
        assert_eq!(gpu.temperature_threshold(threshold).unwrap(), celsius);
    }
    let acoustic_max = gpu.temperature_threshold(TemperatureThreshold::AcousticMax);
    assert_fails!(acoustic_max, NotSupported);
    assert_eq!(gpu.power_usage().unwrap(), 310_500);
    assert_eq!(gpu.enforced_power_limit().unwrap(), 350_000);
    assert_eq!(gpu.power_management_limit_default().unwrap(), 350_000);
    let range = gpu.power_management_limit_constraints().unwrap();
    assert_eq!((range.min_limit, range.max_limit), (200_000, 350_000));
    assert_eq!(gpu.total_energy_consumption().unwrap(), 123_456_789_012);
    assert_eq!(gpu.num_fans().unwrap(), 2);
    assert_eq!(gpu.fan_speed(1).unwrap(), 42);
    assert_fails!(gpu.fan_speed(2), InvalidArg);
    assert_eq!(
        gpu.current_throttle_reasons().unwrap(),
        ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN
    );
    let held = gpu.violation_status(PerformancePolicy::Thermal).unwrap();
    assert_eq!(held.violation_time, 7_000_000_000);
    let power = gpu.violation_status(PerformancePolicy::Power);
    assert_fails!(power, NotSupported);

    assert_fails!(gpu.set_power_management_limit(400_000), InvalidArg);
    gpu.set_power_management_limit(250_000).unwrap();
    assert_eq!(gpu.power_management_limit().unwrap(), 250_000);
    assert_eq!(gpu.enforced_power_limit().unwrap(), 250_000);
}

#[test]
fn health_of_the_memory() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let ecc = gpu.is_ecc_enabled().unwrap();
    assert!(ecc.currently_enabled && !ecc.pending_enabled);
    for (error, counter, count) in [
        (MemoryError::Corrected, EccCounter::Volatile, 12),
        (MemoryError::Uncorrected, EccCounter::Volatile, 1),
        (MemoryError::Corrected, EccCounter::Aggregate, 120),
        (MemoryError::Uncorrected, EccCounter::Aggregate, 2),
    ] {
        assert_eq!(gpu.total_ecc_errors(error, counter).unwrap(), count);
    }
    assert!(gpu.are_pages_pending_retired().unwrap());
    let pages = gpu.retired_pages(RetirementCause::DoubleBitEccError).unwrap();
    assert_eq!((pages.len(), pages[0].address, pages[0].timestamp), (1, 4096, 1_700_000_000));
    let none = gpu.retired_pages(RetirementCause::MultipleSingleBitEccErrors);
    assert!(none.unwrap().is_empty());
}

#[test]
fn fields_by_number() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let ids = [82, 142, 143, 144, 145, 199, 200].map(FieldId);
    let samples = gpu.field_values_for(&ids).unwrap();
    let mut values: Vec<_> = samples.into_iter().map(|sample| sample.unwrap().value).collect();
    assert_fails!(values.pop().unwrap(), NotSupported);
    let values: Vec<_> = values.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        values,
        [
            SampleValue::U32(91),
            SampleValue::U32(2),
            SampleValue::U32(1),
            SampleValue::U32(1),
            SampleValue::U32(0),
            SampleValue::U64(77),
        ]
    );
}

#[test]
fn processes() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let compute = gpu.running_compute_processes().unwrap();
    assert_eq!((compute.len(), compute[0].pid), (1, 4242));
    assert_eq!(compute[0].used_gpu_memory, UsedGpuMemory::Used(600));
    assert_eq!(compute[0].gpu_instance_id, None);
    let graphics = gpu.running_graphics_processes().unwrap();
    assert_eq!((graphics.len(), graphics[0].pid), (1, 900));
    assert_eq!(graphics[0].used_gpu_memory, UsedGpuMemory::Unavailable);
    assert!(gpu.mps_running_compute_processes().unwrap().is_empty());
    let shares = gpu.process_utilization_stats(None).unwrap();
    assert_eq!((shares.len(), shares[0].pid), (1, 4242));
    assert_eq!((shares[0].sm_util, shares[0].mem_util), (95, 60));
    let later = shares[0].timestamp + 3_600_000_000;
    assert_fails!(gpu.process_utilization_stats(later), NotFound);
}

#[test]
fn event_types() {
    let double = Double::new(&script());
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    let types = gpu.supported_event_types().unwrap();
    assert_eq!(types, EventTypes::CRITICAL_XID_ERROR);
}

#[test]
fn what_is_not_scripted_is_not_supported() {
    let double = Double::new(&json!({ "gpus": [{}] }));
    let nvml = double.init();
    assert_fails!(nvml.sys_driver_version(), NotSupported);
    assert_fails!(nvml.sys_process_name(1, 64), NotSupported);
    let gpu = nvml.device_by_index(0).unwrap();
    assert_fails!(gpu.name(), NotSupported);
    assert_fails!(gpu.uuid(), NotSupported);
    assert_fails!(gpu.utilization_rates(), NotSupported);
    assert_fails!(gpu.memory_info(), NotSupported);
    assert_fails!(gpu.temperature(TemperatureSensor::Gpu), NotSupported);
    assert_fails!(gpu.num_fans(), NotSupported);
    assert_fails!(gpu.is_ecc_enabled(), NotSupported);
    assert_fails!(gpu.running_compute_processes(), NotSupported);
    assert_fails!(gpu.process_utilization_stats(None), NotSupported);
}
