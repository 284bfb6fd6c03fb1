//! The processes on a GPU: who has a compute, graphics or MPS context and how much memory, and
//! what share of the time each took.

use std::ffi::{c_uint, c_ulonglong};
use std::time::{SystemTime, UNIX_EPOCH};

use nvml_wrapper_sys::bindings::{self as nvml, nvmlDevice_t, nvmlReturn_t};

use crate::abi::{answer, put_list};
use crate::library::gpu;
use crate::script::{Gpu, Process};
use crate::status::{Answer, Status};

/// What stands for a number that the driver does not know: all bits set.
const NO_MEMORY: c_ulonglong = c_ulonglong::MAX;
const NO_INSTANCE: c_uint = c_uint::MAX;

/// Exports functions that list processes; both versions take the same structure.
macro_rules! lists {
    ($($symbol:ident = $reading:literal, $pick:expr;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $symbol(
            device: nvmlDevice_t,
            count: Option<&mut c_uint>,
            out: *mut nvml::nvmlProcessInfo_t,
        ) -> nvmlReturn_t {
            answer(|| {
                let list = processes(device, $reading, $pick)?;
                // SAFETY: by the library's contract the array has room for `count` processes.
                unsafe { put_list(out, count, &list) }
            })
        }
    )*};
}

lists! {
    nvmlDeviceGetComputeRunningProcesses_v3 = "compute", |gpu| gpu.compute.as_deref();
    nvmlDeviceGetComputeRunningProcesses_v2 = "compute", |gpu| gpu.compute.as_deref();
    nvmlDeviceGetGraphicsRunningProcesses_v3 = "graphics", |gpu| gpu.graphics.as_deref();
    nvmlDeviceGetMPSComputeRunningProcesses_v3 = "mps", |gpu| gpu.mps.as_deref();
}

fn processes(
    device: nvmlDevice_t,
    reading: &str,
    pick: fn(&Gpu) -> Option<&[Process]>,
) -> Answer<Vec<nvml::nvmlProcessInfo_t>> {
    gpu(device, reading, |gpu| {
        let list = pick(gpu)?.iter().map(|process| nvml::nvmlProcessInfo_t {
            pid: process.pid,
            usedGpuMemory: process.memory.unwrap_or(NO_MEMORY),
            gpuInstanceId: NO_INSTANCE,
            computeInstanceId: NO_INSTANCE,
        });
        Some(list.collect())
    })
}

/// Samples are as old as the call; where no process took any time there are none, and the answer
/// is "not found".
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetProcessUtilization(
    device: nvmlDevice_t,
    out: *mut nvml::nvmlProcessUtilizationSample_t,
    count: Option<&mut c_uint>,
    last_seen_us: c_ulonglong,
) -> nvmlReturn_t {
    answer(|| {
        let now_us = now_us();
        let samples = gpu(device, "process_utilization", |gpu| gpu.process_utilization.clone())?;
        if samples.is_empty() || now_us <= last_seen_us {
            return Err(Status::NOT_FOUND);
        }
        let list: Vec<_> = samples
            .iter()
            .map(|sample| nvml::nvmlProcessUtilizationSample_t {
                pid: sample.pid,
                timeStamp: now_us,
                smUtil: sample.sm,
                memUtil: sample.mem,
                encUtil: sample.enc,
                decUtil: sample.dec,
            })
            .collect();
        // SAFETY: by the library's contract the array has room for `count` samples.
        unsafe { put_list(out, count, &list) }
    })
}

/// Microseconds since 1970, which is how the library tells time.
pub(crate) fn now_us() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}
