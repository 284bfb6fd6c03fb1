//! Heat and power: temperatures and their thresholds, fans, power and its limit, the reasons for
//! which clocks are held down.

use std::ffi::{c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{self as nvml, nvmlDevice_t, nvmlReturn_t};

use crate::abi::{Out, answer, put};
use crate::device::readings;
use crate::library::{gpu, index_of, limit_set, set_limit};
use crate::script::Policy;
use crate::status::{Answer, Status};

readings! {
    nvmlDeviceGetPowerUsage: c_uint = "power_mw", |gpu| gpu.power_mw;
    nvmlDeviceGetPowerManagementDefaultLimit: c_uint =
        "default_limit_mw", |gpu| gpu.default_limit_mw;
    nvmlDeviceGetTotalEnergyConsumption: c_ulonglong = "energy_mj", |gpu| gpu.energy_mj;
    nvmlDeviceGetCurrentClocksThrottleReasons: c_ulonglong =
        "throttle", |gpu| gpu.throttle.map(|it| it.0);
    nvmlDeviceGetNumFans: c_uint =
        "fans", |gpu| c_uint::try_from(gpu.fans.as_ref()?.len()).ok();
    nvmlDeviceGetFanSpeed: c_uint = "fans", |gpu| gpu.fans.as_ref()?.first().copied();
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetFanSpeed_v2(device: nvmlDevice_t, fan: c_uint, out: Out<'_, c_uint>) -> nvmlReturn_t {
    answer(|| {
        let fans = gpu(device, "fans", |gpu| gpu.fans.clone())?;
        let percent = fans.get(fan as usize).ok_or(Status::INVALID_ARGUMENT)?;
        put(out, *percent)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperature(
    device: nvmlDevice_t,
    sensor: nvml::nvmlTemperatureSensors_t,
    out: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        if sensor != nvml::nvmlTemperatureSensors_enum_NVML_TEMPERATURE_GPU {
            return Err(Status::INVALID_ARGUMENT);
        }
        put(out, gpu(device, "temperature", |gpu| gpu.temperature)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTemperatureThreshold(
    device: nvmlDevice_t,
    threshold: nvml::nvmlTemperatureThresholds_t,
    out: Out<'_, c_uint>,
) -> nvmlReturn_t {
    use nvml::{
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_CURR as ACOUSTIC_CURRENT,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MAX as ACOUSTIC_MAX,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_ACOUSTIC_MIN as ACOUSTIC_MIN,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_GPU_MAX as GPU_MAX,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_MEM_MAX as MEMORY_MAX,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SHUTDOWN as SHUTDOWN,
        nvmlTemperatureThresholds_enum_NVML_TEMPERATURE_THRESHOLD_SLOWDOWN as SLOWDOWN,
    };
    answer(|| {
        let thresholds = gpu(device, "thresholds", |gpu| Some(gpu.thresholds))?;
        let celsius = match threshold {
            SHUTDOWN => thresholds.shutdown,
            SLOWDOWN => thresholds.slowdown,
            MEMORY_MAX => thresholds.memory_max,
            GPU_MAX => thresholds.gpu_max,
            ACOUSTIC_MIN => thresholds.acoustic_min,
            ACOUSTIC_CURRENT => thresholds.acoustic_current,
            ACOUSTIC_MAX => thresholds.acoustic_max,
            _ => None,
        };
        put(out, celsius.ok_or(Status::NOT_SUPPORTED)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimit(device: nvmlDevice_t, out: Out<'_, c_uint>) -> nvmlReturn_t {
    answer(|| put(out, limit_mw(device)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEnforcedPowerLimit(device: nvmlDevice_t, out: Out<'_, c_uint>) -> nvmlReturn_t {
    answer(|| put(out, limit_mw(device)?))
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPowerManagementLimitConstraints(
    device: nvmlDevice_t,
    min: Out<'_, c_uint>,
    max: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let (min_mw, max_mw) = limit_range_mw(device, "limit_range")?;
        put(min, min_mw)?;
        put(max, max_mw)
    })
}

/// The limit stays until another is set or the script changes.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceSetPowerManagementLimit(device: nvmlDevice_t, limit_mw: c_uint) -> nvmlReturn_t {
    answer(|| {
        let (min_mw, max_mw) = limit_range_mw(device, "set_limit")?;
        if !(min_mw..=max_mw).contains(&limit_mw) {
            return Err(Status::INVALID_ARGUMENT);
        }
        set_limit(index_of(device)?, limit_mw);
        Ok(())
    })
}

fn limit_mw(device: nvmlDevice_t) -> Answer<c_uint> {
    let scripted = gpu(device, "limit_mw", |gpu| gpu.limit_mw)?;
    Ok(limit_set(index_of(device)?).unwrap_or(scripted))
}

fn limit_range_mw(device: nvmlDevice_t, call: &str) -> Answer<(c_uint, c_uint)> {
    gpu(device, call, |gpu| Some((gpu.min_limit_mw?, gpu.max_limit_mw?)))
}

/// How long a policy has held the clocks down, in nanoseconds; the reference time is not scripted.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetViolationStatus(
    device: nvmlDevice_t,
    policy: nvml::nvmlPerfPolicyType_t,
    out: Out<'_, nvml::nvmlViolationTime_t>,
) -> nvmlReturn_t {
    answer(|| {
        let time_ns = gpu(device, "violations", |gpu| {
            let same = |scripted: &Policy| *scripted as c_uint == policy;
            gpu.violations.iter().find_map(|(scripted, time_ns)| same(scripted).then_some(*time_ns))
        })?;
        put(out, nvml::nvmlViolationTime_t { referenceTime: crate::process::now_us(), violationTime: time_ns })
    })
}
