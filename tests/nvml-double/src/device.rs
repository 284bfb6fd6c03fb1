//! What a GPU is and how busy it is: identity, utilization, memory, clocks, PCIe, MIG.

use std::ffi::{c_char, c_int, c_uint};
use std::mem::size_of;

use nvml_wrapper_sys::bindings::{self as nvml, nvmlDevice_t, nvmlReturn_t};

use crate::abi::{Out, answer, fill_text, put, put_text};
use crate::library::{gpu, index_of};
use crate::script::Clocks;
use crate::status::{Answer, Status};

/// How long the encoder and decoder are watched for one percentage, as drivers say it.
const CODEC_SAMPLE_PERIOD_US: c_uint = 167_000;

/// Exports functions that give one value for one reading of a GPU.
macro_rules! readings {
    ($($symbol:ident: $out:ty = $reading:literal, $pick:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $symbol(
            device: nvml_wrapper_sys::bindings::nvmlDevice_t,
            out: $crate::abi::Out<'_, $out>,
        ) -> nvml_wrapper_sys::bindings::nvmlReturn_t {
            $crate::abi::answer(|| {
                $crate::abi::put(out, $crate::library::gpu(device, $reading, $pick)?)
            })
        }
    )*};
}

/// Exports functions that give a text of a GPU.
macro_rules! texts {
    ($($symbol:ident = $reading:literal, $pick:expr;)*) => {$(
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $symbol(
            device: nvmlDevice_t,
            out: *mut c_char,
            length: c_uint,
        ) -> nvmlReturn_t {
            answer(|| {
                let text = gpu(device, $reading, $pick)?;
                // SAFETY: by the library's contract the buffer has `length` characters.
                unsafe { put_text(out, length, &text) }
            })
        }
    )*};
}

pub(crate) use readings;

texts! {
    nvmlDeviceGetName = "name", |gpu| gpu.name.clone();
    nvmlDeviceGetUUID = "uuid", |gpu| gpu.uuid.clone();
    nvmlDeviceGetSerial = "serial", |gpu| gpu.serial.clone();
    nvmlDeviceGetVbiosVersion = "vbios", |gpu| gpu.vbios.clone();
}

readings! {
    nvmlDeviceGetBrand: nvml::nvmlBrandType_t = "brand", |gpu| gpu.brand.map(|it| it as _);
    nvmlDeviceGetArchitecture: nvml::nvmlDeviceArchitecture_t =
        "architecture", |gpu| gpu.architecture.map(|it| it as _);
    nvmlDeviceGetComputeMode: nvml::nvmlComputeMode_t =
        "compute_mode", |gpu| gpu.compute_mode.map(|it| it as _);
    nvmlDeviceGetNumGpuCores: c_uint = "cores", |gpu| gpu.cores;
    nvmlDeviceGetMinorNumber: c_uint = "minor", |gpu| gpu.minor;
    nvmlDeviceGetPersistenceMode: nvml::nvmlEnableState_t =
        "persistence", |gpu| gpu.persistence.map(c_uint::from);
    nvmlDeviceGetMaxMigDeviceCount: c_uint = "mig_max_devices", |gpu| gpu.mig_max_devices;
    nvmlDeviceGetPerformanceState: nvml::nvmlPstates_t = "pstate", |gpu| gpu.pstate;
    nvmlDeviceGetUtilizationRates: nvml::nvmlUtilization_t = "utilization", |gpu| {
        gpu.utilization.map(|it| nvml::nvmlUtilization_t {
            gpu: it.gpu,
            memory: it.memory,
        })
    };
    nvmlDeviceGetCurrPcieLinkGeneration: c_uint = "pcie.gen", |gpu| gpu.pcie.generation;
    nvmlDeviceGetCurrPcieLinkWidth: c_uint = "pcie.width", |gpu| gpu.pcie.width;
    nvmlDeviceGetMaxPcieLinkGeneration: c_uint = "pcie.max_gen", |gpu| gpu.pcie.max_generation;
    nvmlDeviceGetMaxPcieLinkWidth: c_uint = "pcie.max_width", |gpu| gpu.pcie.max_width;
    nvmlDeviceGetPcieReplayCounter: c_uint = "pcie.replay", |gpu| gpu.pcie.replay;
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetIndex(device: nvmlDevice_t, out: Out<'_, c_uint>) -> nvmlReturn_t {
    answer(|| {
        let index = c_uint::try_from(index_of(device)?).map_err(|_| Status::INVALID_ARGUMENT)?;
        put(out, gpu(device, "index", |_| Some(index))?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCudaComputeCapability(
    device: nvmlDevice_t,
    major: Out<'_, c_int>,
    minor: Out<'_, c_int>,
) -> nvmlReturn_t {
    answer(|| {
        let version = gpu(device, "compute_capability", |gpu| gpu.compute_capability)?;
        put(major, version.major)?;
        put(minor, version.minor)
    })
}

/// The numbers of vendor and product are not scripted: both read 0.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPciInfo_v3(device: nvmlDevice_t, out: Out<'_, nvml::nvmlPciInfo_t>) -> nvmlReturn_t {
    answer(|| {
        let address = gpu(device, "pci", |gpu| gpu.pci)?;
        let mut info = nvml::nvmlPciInfo_t {
            busIdLegacy: [0; 16],
            domain: address.domain,
            bus: address.bus,
            device: address.device,
            pciDeviceId: 0,
            pciSubSystemId: 0,
            busId: [0; 32],
        };
        fill_text(&mut info.busIdLegacy, &address.legacy());
        fill_text(&mut info.busId, &address.to_string());
        put(out, info)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEncoderUtilization(
    device: nvmlDevice_t,
    percent: Out<'_, c_uint>,
    period_us: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        put(percent, gpu(device, "encoder", |gpu| gpu.encoder)?)?;
        put(period_us, CODEC_SAMPLE_PERIOD_US)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetDecoderUtilization(
    device: nvmlDevice_t,
    percent: Out<'_, c_uint>,
    period_us: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        put(percent, gpu(device, "decoder", |gpu| gpu.decoder)?)?;
        put(period_us, CODEC_SAMPLE_PERIOD_US)
    })
}

/// The older form, in which `used` includes what is reserved.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo(device: nvmlDevice_t, out: Out<'_, nvml::nvmlMemory_t>) -> nvmlReturn_t {
    answer(|| {
        let memory = gpu(device, "memory", |gpu| gpu.memory)?;
        let used = memory.used.saturating_add(memory.reserved);
        put(out, nvml::nvmlMemory_t { total: memory.total, free: memory.total.saturating_sub(used), used })
    })
}

/// The caller fills in the version of the structure that it knows.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMemoryInfo_v2(
    device: nvmlDevice_t,
    out: Option<&mut nvml::nvmlMemory_v2_t>,
) -> nvmlReturn_t {
    answer(|| {
        let out = out.ok_or(Status::INVALID_ARGUMENT)?;
        if out.version as usize != size_of::<nvml::nvmlMemory_v2_t>() | 2 << 24 {
            return Err(Status::VERSION_MISMATCH);
        }
        let memory = gpu(device, "memory", |gpu| gpu.memory)?;
        out.total = memory.total;
        out.reserved = memory.reserved;
        out.used = memory.used;
        out.free = memory.total.saturating_sub(memory.used.saturating_add(memory.reserved));
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetClockInfo(
    device: nvmlDevice_t,
    domain: nvml::nvmlClockType_t,
    out: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let clocks = gpu(device, "clocks", |gpu| Some(gpu.clocks))?;
        put(out, clock_of(clocks, domain)?)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMaxClockInfo(
    device: nvmlDevice_t,
    domain: nvml::nvmlClockType_t,
    out: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let clocks = gpu(device, "max_clocks", |gpu| Some(gpu.max_clocks))?;
        put(out, clock_of(clocks, domain)?)
    })
}

fn clock_of(clocks: Clocks, domain: nvml::nvmlClockType_t) -> Answer<c_uint> {
    let clock = match domain {
        nvml::nvmlClockType_enum_NVML_CLOCK_GRAPHICS => clocks.graphics,
        nvml::nvmlClockType_enum_NVML_CLOCK_SM => clocks.sm,
        nvml::nvmlClockType_enum_NVML_CLOCK_MEM => clocks.memory,
        nvml::nvmlClockType_enum_NVML_CLOCK_VIDEO => clocks.video,
        _ => return Err(Status::INVALID_ARGUMENT),
    };
    clock.ok_or(Status::NOT_SUPPORTED)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetPcieThroughput(
    device: nvmlDevice_t,
    counter: nvml::nvmlPcieUtilCounter_t,
    out: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let kbs = match counter {
            nvml::nvmlPcieUtilCounter_enum_NVML_PCIE_UTIL_TX_BYTES => {
                gpu(device, "pcie.tx_kbs", |gpu| gpu.pcie.tx_kbs)?
            }
            nvml::nvmlPcieUtilCounter_enum_NVML_PCIE_UTIL_RX_BYTES => {
                gpu(device, "pcie.rx_kbs", |gpu| gpu.pcie.rx_kbs)?
            }
            _ => return Err(Status::INVALID_ARGUMENT),
        };
        put(out, kbs)
    })
}

/// No change of the mode is ever pending.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetMigMode(
    device: nvmlDevice_t,
    current: Out<'_, c_uint>,
    pending: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let mode = c_uint::from(gpu(device, "mig", |gpu| gpu.mig)?);
        put(current, mode)?;
        put(pending, mode)
    })
}
