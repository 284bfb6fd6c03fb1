//! Graphics cards as NVML describes them (NVML API reference; units converted to base units).

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{ContainerId, Reading};

/// One reading of all cards.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GpuSample {
    /// The driver that serves them.
    pub driver: GpuDriver,
    /// The cards, by index.
    pub gpus: Vec<Gpu>,
}

/// The NVIDIA driver, loaded and installed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GpuDriver {
    /// The version in the kernel now (`nvmlSystemGetDriverVersion`).
    pub loaded: Reading<String>,
    /// The version of NVIDIA's library on disk: what the next GPU program loads.
    pub on_disk: Reading<String>,
    /// The newest CUDA version that the driver serves, such as `13.0`.
    pub cuda: Reading<String>,
}

impl GpuDriver {
    /// Both versions, when both are known and differ: the next start of a GPU program fails until a reboot.
    pub fn mismatch(&self) -> Option<(&str, &str)> {
        let (loaded, on_disk) = (self.loaded.known()?, self.on_disk.known()?);
        (loaded != on_disk).then_some((loaded.as_str(), on_disk.as_str()))
    }
}

/// One card. Each reading alone may be unavailable.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Gpu {
    /// NVML's index: the order on screen. Not stable over reboots.
    pub index: u32,
    /// The stable name of the card, `GPU-…`.
    pub uuid: Arc<str>,
    /// The product name without the maker, such as `RTX 4090`.
    pub name: String,
    /// PCI address, such as `00000000:01:00.0`.
    pub pci: String,
    /// It has fallen off the bus.
    pub lost: bool,
    /// Share of the last period in which a kernel ran, 0 to 1.
    #[serde(rename = "gpu_utilization_ratio")]
    pub compute_ratio: Reading<f64>,
    /// Share of the last period in which memory was read or written, 0 to 1.
    #[serde(rename = "gpu_memory_bandwidth_ratio")]
    pub bandwidth_ratio: Reading<f64>,
    /// Video memory.
    pub memory: Reading<GpuMemory>,
    /// The core's temperature, °C.
    #[serde(rename = "gpu_temperature_celsius")]
    pub temperature_celsius: Reading<u32>,
    /// Where the card slows itself down, °C.
    pub slowdown_celsius: Reading<u32>,
    /// Where the card switches off, °C.
    pub shutdown_celsius: Reading<u32>,
    /// Power drawn, watts.
    #[serde(rename = "gpu_power_watts")]
    pub power_watts: Reading<f64>,
    /// The power limit in force, watts.
    pub power_limit_watts: Reading<f64>,
    /// Clock of the streaming multiprocessors, MHz.
    pub sm_clock_mhz: Reading<u32>,
    /// Its highest value, MHz.
    pub sm_clock_max_mhz: Reading<u32>,
    /// Memory clock, MHz.
    pub memory_clock_mhz: Reading<u32>,
    /// The first fan's speed, 0 to 1 (may exceed 1 on some cards).
    pub fan_ratio: Reading<f64>,
    /// Why the clocks are lower than they could be; idle and application settings left out.
    pub throttle: Reading<Vec<ThrottleReason>>,
    /// The bus.
    pub pcie: Reading<PcieLink>,
    /// Error correction.
    pub ecc: Reading<Ecc>,
    /// Processes that hold memory on this card; reports write them joined to container, engine and model.
    #[serde(skip)]
    pub processes: Reading<Vec<GpuProcess>>,
}

/// Video memory, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GpuMemory {
    /// All of it.
    #[serde(rename = "gpu_memory_total_bytes")]
    pub total_bytes: u64,
    /// Held by programs.
    #[serde(rename = "gpu_memory_used_bytes")]
    pub used_bytes: u64,
    /// Kept by the driver itself.
    pub reserved_bytes: u64,
}

impl GpuMemory {
    /// The used part, 0 to 1.
    pub fn used_ratio(self) -> f64 {
        if self.total_bytes == 0 { 0.0 } else { self.used_bytes as f64 / self.total_bytes as f64 }
    }
}

/// The PCI Express link. The generation drops while idle, which is no fault; a width below the maximum is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PcieLink {
    /// Current generation.
    pub generation: u32,
    /// Current lanes.
    pub width: u32,
    /// The most lanes that card and slot can do together; `None` where NVML does not say.
    pub width_max: Option<u32>,
}

/// Error correction, counted since the driver was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Ecc {
    /// It is switched on.
    pub enabled: bool,
    /// Errors that were corrected.
    pub corrected: u64,
    /// Errors that were not: data was lost.
    pub uncorrected: u64,
}

/// Why a card runs slower than it could (NVML clocks event reasons).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ThrottleReason {
    /// The power limit: normal under load.
    PowerCap,
    /// The hardware halves the clocks: heat, power brake or a fast trigger.
    HardwareSlowdown,
    /// The hardware slows down because of heat.
    HardwareThermal,
    /// The driver slows down because of heat.
    SoftwareThermal,
    /// The power supply asked for less.
    PowerBrake,
    /// Clocks are kept in step with another card.
    SyncBoost,
    /// The board's own limit.
    BoardLimit,
    /// A reliability limit on voltage.
    Reliability,
}

impl ThrottleReason {
    /// Whether it says that something is wrong, rather than that the card works as set.
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::HardwareSlowdown | Self::HardwareThermal | Self::SoftwareThermal | Self::PowerBrake)
    }
}

impl fmt::Display for ThrottleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerCap => "at its power limit",
            Self::HardwareSlowdown => "slowed down by the hardware",
            Self::HardwareThermal => "too hot (hardware)",
            Self::SoftwareThermal => "too hot (driver)",
            Self::PowerBrake => "power brake by the supply",
            Self::SyncBoost => "in step with another card",
            Self::BoardLimit => "at the board's limit",
            Self::Reliability => "held for reliability",
        })
    }
}

/// What a process uses a card for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GpuProcessKind {
    /// CUDA.
    Compute,
    /// Drawing.
    Graphics,
}

/// A process on a card, joined to its container through its cgroup.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GpuProcess {
    /// Process id, in the host's namespace.
    pub pid: u32,
    /// The program's name.
    pub name: Reading<String>,
    /// Compute or graphics.
    pub kind: GpuProcessKind,
    /// Video memory that it holds, bytes.
    pub memory_used_bytes: Reading<u64>,
    /// Its share of the multiprocessors, 0 to 1.
    pub sm_ratio: Reading<f64>,
    /// The container that it runs in; `None` for a process of the host.
    pub container: Option<ContainerId>,
    /// The processes that it descends from, the nearest first, at most [`GpuProcess::PARENTS`]; fewer where they cannot be
    /// read.
    pub parents: Vec<u32>,
}

impl GpuProcess {
    /// So many parents are looked at: an inference server's process on a card is its child or grandchild.
    pub const PARENTS: usize = 8;

    /// The process itself and those that it descends from, the nearest first.
    pub fn line(&self) -> impl Iterator<Item = u32> {
        std::iter::once(self.pid).chain(self.parents.iter().copied())
    }
}

/// A fault that the driver reported (NVIDIA: *Xid Errors*).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct XidEvent {
    /// The card's UUID.
    pub gpu: Arc<str>,
    /// The Xid number.
    pub code: u64,
    /// When it was seen.
    pub at: Timestamp,
}
