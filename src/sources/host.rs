//! The machine itself: processors, memory and load through sysinfo; pressure, disks and interfaces from `/proc`.
//!
//! Interfaces come from `/proc/net/dev` in one read, because sysinfo opens a dozen files for each and a container host has
//! hundreds of veths. Temperatures change slowly and cost most, so they are read every fifth time.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use procfs_core::net::InterfaceDeviceStatus;
use procfs_core::{CpuPressure, DiskStats, FromBufRead, IoPressure, MemoryPressure};
use sysinfo::{Components, System};

use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{
    Cpu, DiskIo, Failure, HostFacts, HostSample, Memory, Moment, NetIo, Pressure, Reading, Sample, SourceId, Swap,
    Temperature, Why,
};
use crate::host::{Clock, Reader, RootedFs, foreign};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Host,
    interval: None,
    heavy: false,
    timeout: Duration::from_secs(3),
    build: |context| Box::new(Host::new(context)),
};

struct Host {
    reader: Reader<Sampler>,
    fs: RootedFs,
    clock: Clock,
}

impl Host {
    fn new(context: &SourceContext) -> Self {
        Self {
            reader: context.ports.sampler.reader(Sampler::default),
            fs: context.ports.fs.clone(),
            clock: context.ports.clock,
        }
    }
}

impl Source for Host {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        let (fs, clock) = (self.fs.clone(), self.clock);
        Box::pin(async move {
            let sample = self
                .reader
                .read(move |sampler| sampler.read(&fs, clock.now()))
                .await
                .map_err(|why| Failure::failed(format!("/proc: {why}")))?;
            let detail = format!("{}, {} cores", sample.facts.kernel, sample.facts.cores);
            Ok(Read { sample: Sample::Host(Arc::new(sample)), detail })
        })
    }
}

/// Cumulative counters of disks and interfaces, and when they were read.
struct Counters {
    at: Moment,
    disks: HashMap<String, [u64; 2]>,
    networks: HashMap<String, [u64; 2]>,
}

/// What is kept between two readings.
#[derive(Default)]
struct Sampler {
    system: Option<System>,
    components: Option<Components>,
    temperatures: Vec<Temperature>,
    facts: Option<HostFacts>,
    before: Option<Counters>,
    turn: u64,
}

impl Sampler {
    /// Readings between two looks at the temperature sensors.
    const TEMPERATURE_TURNS: u64 = 5;

    fn read(&mut self, fs: &RootedFs, at: Moment) -> HostSample {
        let first = self.system.is_none();
        let cpu_and_memory = self.system();
        let (cpu, memory, swap) = match cpu_and_memory {
            Ok(system) => {
                system.refresh_cpu_usage();
                system.refresh_memory();
                (
                    if first { Reading::Unavailable(Why::WAITING) } else { Reading::Known(cpu(system)) },
                    memory(system, fs),
                    swap(system),
                )
            }
            Err(why) => {
                (Reading::Unavailable(why.clone()), Reading::Unavailable(why.clone()), Reading::Unavailable(why))
            }
        };
        let counters = Counters { at, disks: disk_counters(fs), networks: network_counters(fs) };
        let (disks, networks) = self.before.as_ref().map_or_else(Default::default, |before| rates(before, &counters));
        self.before = Some(counters);
        if self.turn.is_multiple_of(Self::TEMPERATURE_TURNS) && !first {
            self.temperatures = self.temperatures();
        }
        self.turn += 1;
        HostSample {
            facts: self.facts.get_or_insert_with(|| facts(fs)).clone(),
            cpu,
            load: System::load_average().map(|load| [load.one, load.five, load.fifteen]).into(),
            memory,
            swap,
            pressure: pressure(fs),
            disks,
            networks,
            temperatures: self.temperatures.clone(),
            uptime_seconds: System::uptime().into(),
        }
    }

    fn system(&mut self) -> Result<&mut System, Why> {
        if self.system.is_none() {
            self.system = Some(System::new().map_err(|error| Why::new(error.to_string()))?);
        }
        self.system.as_mut().ok_or(Why::WAITING)
    }

    fn temperatures(&mut self) -> Vec<Temperature> {
        match &mut self.components {
            Some(components) => components.refresh(true),
            None => self.components = Components::new_with_refreshed_list().ok(),
        }
        let readings = self.components.iter().flat_map(|components| components.iter());
        readings
            .filter_map(|component| {
                Some(Temperature {
                    label: foreign::name(component.label()),
                    celsius: component.temperature().filter(|celsius| celsius.is_finite())?.into(),
                    critical_celsius: component.critical().map(f64::from),
                })
            })
            .collect()
    }
}

fn cpu(system: &System) -> Cpu {
    Cpu {
        used_ratio: f64::from(system.global_cpu_usage()) / 100.0,
        per_core_ratio: system.cpus().iter().map(|cpu| f64::from(cpu.usage()) / 100.0).collect(),
    }
}

fn memory(system: &System, fs: &RootedFs) -> Reading<Memory> {
    match system.total_memory() {
        0 => Reading::Unavailable("/proc/meminfo cannot be read".into()),
        total_bytes => {
            let available_bytes = system.available_memory().saturating_add(arc_reclaimable(fs)).min(total_bytes);
            Reading::Known(Memory { total_bytes, available_bytes })
        }
    }
}

/// Bytes that the ZFS cache gives back under pressure, which the kernel does not count as available: its size above its
/// own minimum (`OpenZFS`: `zfs(4)`, `zfs_arc_min`). 0 without ZFS.
fn arc_reclaimable(fs: &RootedFs) -> u64 {
    let Ok(stats) = fs.read("/proc/spl/kstat/zfs/arcstats") else {
        return 0;
    };
    let value = |name: &str| {
        let mut fields = stats.lines().map(str::split_whitespace).find(|fields| fields.clone().next() == Some(name))?;
        fields.nth(2)?.parse::<u64>().ok()
    };
    value("size").unwrap_or(0).saturating_sub(value("c_min").unwrap_or(0))
}

fn swap(system: &System) -> Reading<Swap> {
    match system.total_swap() {
        0 => Reading::Unavailable("none is configured".into()),
        total_bytes => Reading::Known(Swap { total_bytes, used_bytes: system.used_swap() }),
    }
}

fn facts(fs: &RootedFs) -> HostFacts {
    let os_release = fs.read("/etc/os-release").or_else(|_| fs.read("/usr/lib/os-release")).unwrap_or_default();
    let field = |key: &str| {
        let value = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(foreign::name(value.trim_matches(['"', '\''])))
    };
    let os = match (field("NAME"), field("VERSION_ID")) {
        (Some(name), Some(version)) => format!("{} {version}", name.strip_suffix(" GNU/Linux").unwrap_or(&name)),
        (Some(name), None) => name,
        _ => "Linux".to_owned(),
    };
    let name = System::host_name().unwrap_or_else(|_| "localhost".to_owned());
    HostFacts {
        name: foreign::name(name.split('.').next().unwrap_or("localhost")),
        os,
        kernel: foreign::name(&System::kernel_version().unwrap_or_default()),
        boot_id: fs.read("/proc/sys/kernel/random/boot_id").map(|id| foreign::name(id.trim())).unwrap_or_default(),
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}

fn pressure(fs: &RootedFs) -> Reading<Pressure> {
    fn some<T: FromBufRead>(fs: &RootedFs, path: &str, avg10: impl FnOnce(T) -> f32) -> Result<f64, String> {
        let text = fs.read(path).map_err(|error| format!("{path}: {error}"))?;
        let parsed = T::from_buf_read(Cursor::new(text)).map_err(|error| format!("{path}: {error}"))?;
        Ok(f64::from(avg10(parsed)) / 100.0)
    }
    let read = || {
        Ok::<_, String>(Pressure {
            cpu_ratio: some(fs, "/proc/pressure/cpu", |cpu: CpuPressure| cpu.some.avg10)?,
            memory_ratio: some(fs, "/proc/pressure/memory", |memory: MemoryPressure| memory.some.avg10)?,
            io_ratio: some(fs, "/proc/pressure/io", |io: IoPressure| io.some.avg10)?,
        })
    };
    read().into()
}

/// Bytes read and written of whole disks, by the kernel's name. A sector is 512 bytes here whatever the disk says
/// (kernel: `Documentation/admin-guide/iostats.rst`).
fn disk_counters(fs: &RootedFs) -> HashMap<String, [u64; 2]> {
    let Ok(text) = fs.read("/proc/diskstats") else {
        return HashMap::new();
    };
    let DiskStats(stats) = DiskStats::from_buf_read(Cursor::new(text)).unwrap_or(DiskStats(Vec::new()));
    stats
        .into_iter()
        .filter(|stat| is_whole_disk(&stat.name))
        .map(|stat| (stat.name, [stat.sectors_read.saturating_mul(512), stat.sectors_written.saturating_mul(512)]))
        .collect()
}

/// Partitions, loops, RAM disks and mapped devices would count the same bytes twice.
fn is_whole_disk(name: &str) -> bool {
    let numbered = name.ends_with(|last: char| last.is_ascii_digit());
    match name {
        _ if ["loop", "ram", "zram", "dm-", "md", "sr", "fd"].iter().any(|prefix| name.starts_with(prefix)) => false,
        _ if name.starts_with("nvme") || name.starts_with("mmcblk") => {
            !name.trim_end_matches(|last: char| last.is_ascii_digit()).ends_with('p')
        }
        _ => !numbered,
    }
}

/// Bytes received and sent by interface; loopback, bridges of containers and their veths left out.
fn network_counters(fs: &RootedFs) -> HashMap<String, [u64; 2]> {
    let Ok(text) = fs.read("/proc/net/dev") else {
        return HashMap::new();
    };
    let Ok(InterfaceDeviceStatus(devices)) = InterfaceDeviceStatus::from_buf_read(Cursor::new(text)) else {
        return HashMap::new();
    };
    devices
        .into_iter()
        .filter(|(name, _)| {
            name != "lo"
                && !["veth", "docker", "br-", "virbr", "cni", "podman"].iter().any(|prefix| name.starts_with(prefix))
        })
        .map(|(name, device)| (foreign::name(&name), [device.recv_bytes, device.sent_bytes]))
        .collect()
}

/// What changed a second between two counters; a counter that fell was reset and gives no rate.
fn rates(before: &Counters, now: &Counters) -> (Vec<DiskIo>, Vec<NetIo>) {
    let seconds = now.at.since(before.at).as_secs_f64().max(0.001);
    let rate = |old: &HashMap<String, [u64; 2]>, name: &str, new: [u64; 2]| {
        let old = old.get(name)?;
        Some([new[0].checked_sub(old[0])? as f64 / seconds, new[1].checked_sub(old[1])? as f64 / seconds])
    };
    let disks = now.disks.iter().filter_map(|(name, new)| {
        let [read_bytes_per_second, written_bytes_per_second] = rate(&before.disks, name, *new)?;
        Some(DiskIo { name: name.clone(), read_bytes_per_second, written_bytes_per_second })
    });
    let networks = now.networks.iter().filter_map(|(name, new)| {
        let [received_bytes_per_second, transmitted_bytes_per_second] = rate(&before.networks, name, *new)?;
        Some(NetIo { name: name.clone(), received_bytes_per_second, transmitted_bytes_per_second })
    });
    let (mut disks, mut networks): (Vec<DiskIo>, Vec<NetIo>) = (disks.collect(), networks.collect());
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    (disks, networks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_disks_are_told_from_partitions() {
        for disk in ["sda", "vda", "nvme0n1", "mmcblk0", "xvda"] {
            assert!(is_whole_disk(disk), "{disk}");
        }
        for part in ["sda1", "vda2", "nvme0n1p3", "mmcblk0p1", "loop0", "dm-0", "md127", "zram0", "sr0"] {
            assert!(!is_whole_disk(part), "{part}");
        }
    }

    #[test]
    fn a_counter_that_was_reset_gives_no_rate() {
        let clock = Clock::start();
        let at = clock.now();
        let counters = |at, bytes| Counters {
            at,
            disks: HashMap::from([("sda".to_owned(), [bytes, 0])]),
            networks: HashMap::new(),
        };
        let later = at.after(Duration::from_secs(2));
        let rate = rates(&counters(at, 100), &counters(later, 300)).0[0].read_bytes_per_second;
        assert!((rate - 100.0).abs() < 1e-9, "{rate}");
        assert!(rates(&counters(at, 300), &counters(later, 100)).0.is_empty());
    }
}
