//! The made-up machine: host, cards, volumes.

use std::sync::Arc;

use super::{Faults, containers, wave};
use crate::domain::{
    Cpu, DiskIo, Ecc, Gpu, GpuDriver, GpuMemory, GpuProcess, GpuProcessKind, GpuSample, HostFacts, HostSample, Memory,
    NetIo, PcieLink, Pressure, Reading, Swap, Temperature, ThrottleReason, Volume,
};

const GIB: u64 = 1 << 30;

pub(super) fn host(second: u64) -> HostSample {
    let busy = 0.06 + 0.16 * wave(second, 37.0, 0.4);
    let cores = (0..16)
        .map(|core| (busy * (0.3 + 1.6 * wave(second, 11.0 + f64::from(core), f64::from(core)))).min(1.0))
        .collect();
    let used = (36.0 + 4.0 * wave(second, 90.0, 1.0)) * GIB as f64;
    HostSample {
        facts: HostFacts {
            name: "gpubox-01".to_owned(),
            os: "Ubuntu 24.04".to_owned(),
            boot_id: "3a1e7c52-0f6b-4d1e-9a55-6d0b2c9e7f10".to_owned(),
            kernel: "6.8.0-87-generic".to_owned(),
            cores: 16,
        },
        cpu: Reading::Known(Cpu { used_ratio: busy, per_core_ratio: cores }),
        load: Reading::Known([1.4 + wave(second, 60.0, 0.0), 2.1, 2.0]),
        memory: Reading::Known(Memory { total_bytes: 64 * GIB, available_bytes: 64 * GIB - used as u64 }),
        swap: Reading::Known(Swap { total_bytes: 8 * GIB, used_bytes: GIB / 5 }),
        pressure: Reading::Known(Pressure {
            cpu_ratio: 0.004,
            memory_ratio: 0.0,
            io_ratio: 0.01 + 0.02 * wave(second, 23.0, 2.0),
        }),
        disks: vec![DiskIo {
            name: "nvme0n1".to_owned(),
            read_bytes_per_second: 2.1e6,
            written_bytes_per_second: 8.4e5,
        }],
        networks: vec![NetIo {
            name: "enp5s0".to_owned(),
            received_bytes_per_second: 2.2e6 * wave(second, 31.0, 0.2),
            transmitted_bytes_per_second: 6.0e5 * wave(second, 31.0, 0.9),
        }],
        temperatures: vec![Temperature {
            label: "k10temp Tctl".to_owned(),
            celsius: 58.0 + 6.0 * busy,
            critical_celsius: Some(95.0),
        }],
        uptime_seconds: Reading::Known(41 * 86_400 + 5 * 3_600 + second),
    }
}

pub(super) fn volumes(second: u64) -> Vec<Volume> {
    let volume = |mount: &str, device: &str, filesystem: &str, size: u64, free: f64| Volume {
        mount: mount.to_owned(),
        device: device.to_owned(),
        filesystem: filesystem.to_owned(),
        size_bytes: size * GIB,
        free_bytes: (size as f64 * free * GIB as f64) as u64,
        inodes: size * 65_536,
        inodes_free: size * 60_000,
    };
    let eaten = (second % 3_600) as f64 * 1.0e-6;
    vec![
        volume("/", "/dev/nvme0n1p2", "ext4", 468, 0.174 - eaten),
        volume("/backup", "nas:/backup", "nfs4", 3_726, 0.56),
        volume("/models", "/dev/nvme1n1", "xfs", 1_863, 0.48),
        volume("/var/lib/docker", "/dev/nvme0n1p3", "ext4", 938, 0.29),
    ]
}

pub(super) fn gpus(second: u64, faults: &Faults) -> GpuSample {
    let busy = (0.35 + 0.6 * wave(second, 47.0, 0.0)).min(1.0);
    let hot = if faults.card_hot { 16 } else { 0 };
    let throttle = if faults.card_hot { vec![ThrottleReason::SoftwareThermal] } else { Vec::new() };
    let known = |text: &str| Reading::Known(text.to_owned());
    let driver = GpuDriver { loaded: known("580.95.05"), on_disk: known("580.95.05"), cuda: known("13.0") };
    let vllm = process(21_044, "VLLM::EngineCore", containers::id("vllm"), 21_300_000_000, busy * 0.97);
    let embedder = process(21_733, "llama-server", containers::id("embedder"), 540_000_000, 0.02);
    let ollama = process(18_210, "ollama", containers::id("ollama"), 18_100_000_000, 0.0);
    let first =
        Card { busy, memory: 22_900_000_000, celsius: 63 + (9.0 * busy) as u32 + hot, watts: 60.0 + 300.0 * busy };
    let second_card = Card { busy: 0.0, memory: 18_200_000_000, celsius: 44, watts: 31.0 };
    GpuSample {
        driver,
        gpus: vec![
            first.gpu(0, "GPU-4a7c1f60-0b5e-4f0e-9d1c-5b0b6a3c9e01", throttle, vec![vllm, embedder]),
            second_card.gpu(1, "GPU-9be2d7a4-71c3-4c57-8f6e-2f1d0c7b8a02", Vec::new(), vec![ollama]),
        ],
    }
}

/// What differs between the two cards.
struct Card {
    busy: f64,
    memory: u64,
    celsius: u32,
    watts: f64,
}

impl Card {
    fn gpu(self, index: u32, uuid: &str, throttle: Vec<ThrottleReason>, processes: Vec<GpuProcess>) -> Gpu {
        Gpu {
            index,
            uuid: Arc::from(uuid),
            name: "RTX 4090".to_owned(),
            pci: format!("00000000:0{}:00.0", index + 1),
            lost: false,
            compute_ratio: Reading::Known(self.busy),
            bandwidth_ratio: Reading::Known((self.busy * 1.25).min(0.98)),
            memory: Reading::Known(GpuMemory {
                total_bytes: 24 * GIB,
                used_bytes: self.memory,
                reserved_bytes: GIB / 2,
            }),
            temperature_celsius: Reading::Known(self.celsius),
            slowdown_celsius: Reading::Known(95),
            shutdown_celsius: Reading::Known(98),
            power_watts: Reading::Known(self.watts),
            power_limit_watts: Reading::Known(450.0),
            sm_clock_mhz: Reading::Known(if throttle.is_empty() { 2_520 } else { 1_710 }),
            sm_clock_max_mhz: Reading::Known(3_105),
            memory_clock_mhz: Reading::Known(10_501),
            fan_ratio: Reading::Known(0.3 + f64::from(self.celsius) / 300.0),
            throttle: Reading::Known(throttle),
            pcie: Reading::Known(PcieLink { generation: 4, width: 16, width_max: Some(16) }),
            ecc: Reading::<Ecc>::Unavailable(crate::domain::Why::NOT_SUPPORTED),
            processes: Reading::Known(processes),
        }
    }
}

fn process(pid: u32, name: &str, container: crate::domain::ContainerId, memory: u64, sm: f64) -> GpuProcess {
    GpuProcess {
        pid,
        name: Reading::Known(name.to_owned()),
        kind: GpuProcessKind::Compute,
        memory_used_bytes: Reading::Known(memory),
        sm_ratio: Reading::Known(sm),
        container: Some(container),
        parents: Vec::new(),
    }
}
