//! The machine itself: processors, memory, pressure, volumes, rates.

use serde::Serialize;

use super::Reading;

/// What does not change while the machine is up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HostFacts {
    /// The host name, without a domain.
    pub name: String,
    /// The distribution and its version, such as `Ubuntu 24.04`.
    pub os: String,
    /// The kernel release, such as `6.8.0-87-generic`.
    pub kernel: String,
    /// The kernel's own id of this start of the machine (`random(4)`: `boot_id`); empty where it cannot be read.
    pub boot_id: String,
    /// Logical processors.
    pub cores: usize,
}

/// One reading of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HostSample {
    /// What does not change.
    pub facts: HostFacts,
    /// Processor time; needs two readings, so unavailable at the very first.
    pub cpu: Reading<Cpu>,
    /// Runnable and uninterruptible tasks averaged over 1, 5 and 15 minutes.
    pub load: Reading<[f64; 3]>,
    /// Random-access memory.
    pub memory: Reading<Memory>,
    /// Swap space; unavailable where none is configured.
    pub swap: Reading<Swap>,
    /// Pressure stall information (kernel: `Documentation/accounting/psi.rst`).
    pub pressure: Reading<Pressure>,
    /// Read and write rates of whole disks.
    pub disks: Vec<DiskIo>,
    /// Receive and transmit rates of network interfaces; loopback and container veths left out.
    pub networks: Vec<NetIo>,
    /// Sensors of the kernel's hwmon; empty in most virtual machines.
    pub temperatures: Vec<Temperature>,
    /// Seconds since the machine started.
    pub uptime_seconds: Reading<u64>,
}

/// Processor time spent since the reading before, each 0 to 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// The whole machine.
    pub used_ratio: f64,
    /// Each logical processor.
    pub per_core_ratio: Vec<f64>,
}

/// Random-access memory, bytes (`/proc/meminfo`; reclaimable ZFS ARC counts as available).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// `MemTotal`.
    pub total_bytes: u64,
    /// `MemAvailable`: what new programs can have without swapping.
    pub available_bytes: u64,
}

impl Memory {
    /// `MemTotal` − `MemAvailable`.
    pub fn used_bytes(self) -> u64 {
        self.total_bytes.saturating_sub(self.available_bytes)
    }

    /// The used part, 0 to 1.
    pub fn used_ratio(self) -> f64 {
        ratio(self.used_bytes(), self.total_bytes)
    }
}

/// Swap space, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// All of it.
    pub total_bytes: u64,
    /// The used part.
    pub used_bytes: u64,
}

/// Share of the last ten seconds in which tasks waited for a resource, each 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// At least one task waited for a processor.
    pub cpu_ratio: f64,
    /// At least one task waited for memory.
    pub memory_ratio: f64,
    /// At least one task waited for a disk.
    pub io_ratio: f64,
}

/// Rates of one whole disk.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskIo {
    /// The kernel's name, such as `nvme0n1`.
    pub name: String,
    /// Bytes read a second.
    pub read_bytes_per_second: f64,
    /// Bytes written a second.
    pub written_bytes_per_second: f64,
}

/// Rates of one network interface.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NetIo {
    /// The kernel's name, such as `enp5s0`.
    pub name: String,
    /// Bytes received a second.
    pub received_bytes_per_second: f64,
    /// Bytes sent a second.
    pub transmitted_bytes_per_second: f64,
}

/// One temperature sensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Temperature {
    /// The sensor's label.
    pub label: String,
    /// Degrees Celsius.
    pub celsius: f64,
    /// Where the hardware calls it critical, if it says so.
    pub critical_celsius: Option<f64>,
}

/// One mounted file system, named once however often it is mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// Where it is mounted: the shortest path if there are several.
    pub mount: String,
    /// The device or export behind it.
    pub device: String,
    /// The file system's type, such as `ext4`.
    pub filesystem: String,
    /// Bytes in all.
    pub size_bytes: u64,
    /// Bytes that an unprivileged program can still write.
    pub free_bytes: u64,
    /// Inodes in all; 0 where the file system makes them as needed (btrfs).
    pub inodes: u64,
    /// Inodes left.
    pub inodes_free: u64,
}

impl Volume {
    /// The free part, 0 to 1.
    pub fn free_ratio(&self) -> f64 {
        ratio(self.free_bytes, self.size_bytes)
    }

    /// The free part of the inodes, 0 to 1; `None` where the file system has no fixed number.
    pub fn inodes_free_ratio(&self) -> Option<f64> {
        (self.inodes > 0).then(|| ratio(self.inodes_free, self.inodes))
    }
}

/// `part` of `whole`, 0 to 1; 0 when there is no whole.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
