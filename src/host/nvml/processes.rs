//! The processes on a card, each with its name, its container and its parents.
//!
//! NVML tells a process by its id in the namespace of whoever asks (the driver translates it), so `/proc/PID` below the
//! same root is the right one. Who a process is hardly ever changes, so it is looked up when the process is first seen
//! and now and then later.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::{ProcessInfo, ProcessUtilizationSample};

use super::card::Asked;
use super::words;
use crate::domain::{ContainerId, GpuProcess, GpuProcessKind, Moment, Reading, Why};
use crate::host::{RootedFs, cgroup, process};

/// How far back the driver's samples of a process are asked for, microseconds. It takes several samples a second of
/// processes that are busy, so a process without one in this time was idle.
const WINDOW_MICROS: i64 = 2_000_000;

/// Rounds for which the answer to who a process is holds.
const JOIN_ROUNDS: u32 = 10;

/// Who a process is.
struct Join {
    name: Reading<String>,
    container: Option<ContainerId>,
    parents: Vec<u32>,
    /// The round of the last look.
    looked: u32,
    /// The round in which it was last on a card.
    seen: u32,
}

/// Who the processes on the cards are.
#[derive(Default)]
pub(super) struct Joins {
    known: HashMap<u32, Join>,
    round: u32,
}

impl Joins {
    /// Begins a round; processes that were on no card in the last one are forgotten, so that a process with the id of
    /// an old one is looked up anew.
    pub(super) fn begin(&mut self) {
        let last = self.round;
        self.known.retain(|_, join| join.seen == last);
        self.round = last.wrapping_add(1);
    }

    fn of(&mut self, fs: &RootedFs, pid: u32) -> &Join {
        let round = self.round;
        let look = || Join {
            name: process::name_of(fs, pid),
            container: cgroup::container_of(fs, pid),
            parents: process::parents_of(fs, pid, GpuProcess::PARENTS),
            looked: round,
            seen: round,
        };
        match self.known.entry(pid) {
            Entry::Vacant(entry) => entry.insert(look()),
            Entry::Occupied(entry) => {
                let join = entry.into_mut();
                if round.wrapping_sub(join.looked) >= JOIN_ROUNDS {
                    *join = look();
                }
                join.seen = round;
                join
            }
        }
    }
}

/// The processes that hold memory on a card, those with most of it first.
pub(super) fn read(asked: &Asked<'_>, joins: &mut Joins, fs: &RootedFs, at: Moment) -> Reading<Vec<GpuProcess>> {
    let found = match found(asked) {
        Ok(found) => found,
        Err(why) => return Reading::Unavailable(why),
    };
    if found.is_empty() {
        return Reading::Known(Vec::new());
    }
    let shares = shares(asked, at);
    let mut rows: Vec<GpuProcess> = found
        .into_iter()
        .map(|(info, kind)| {
            let join = joins.of(fs, info.pid);
            GpuProcess {
                pid: info.pid,
                name: join.name.clone(),
                kind,
                memory_used_bytes: match info.used_gpu_memory {
                    UsedGpuMemory::Used(bytes) => Reading::Known(bytes),
                    UsedGpuMemory::Unavailable => Reading::Unavailable("the driver does not tell it".into()),
                },
                sm_ratio: share_of(&shares, info.pid),
                container: join.container.clone(),
                parents: join.parents.clone(),
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let memory = |row: &GpuProcess| row.memory_used_bytes.get();
        memory(b).cmp(&memory(a)).then(a.pid.cmp(&b.pid))
    });
    Reading::Known(rows)
}

/// Every process once: one that computes and draws counts as computing. A list that a card does not offer is empty, but
/// a list that fails makes the whole answer unknown: half of the processes would pass for all of them.
fn found(asked: &Asked<'_>) -> Result<Vec<(ProcessInfo, GpuProcessKind)>, Why> {
    let offered = |list: Result<Vec<ProcessInfo>, NvmlError>| match list {
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) | NvmlError::FunctionNotFound) => Ok(Vec::new()),
        other => other,
    };
    let lists = || {
        Ok::<_, NvmlError>([
            (asked.answer(Device::running_compute_processes)?, GpuProcessKind::Compute),
            (offered(asked.answer(Device::mps_running_compute_processes))?, GpuProcessKind::Compute),
            (offered(asked.answer(Device::running_graphics_processes))?, GpuProcessKind::Graphics),
        ])
    };
    let mut found: Vec<(ProcessInfo, GpuProcessKind)> = Vec::new();
    for (list, kind) in lists().map_err(|error| words::why(&error))? {
        for info in list {
            if !found.iter().any(|(known, _)| known.pid == info.pid) {
                found.push((info, kind));
            }
        }
    }
    Ok(found)
}

/// The driver's samples of the last moments; none where no process did anything.
fn shares(asked: &Asked<'_>, at: Moment) -> Reading<Vec<ProcessUtilizationSample>> {
    let since = at.wall.as_microsecond().saturating_sub(WINDOW_MICROS);
    let since = u64::try_from(since).unwrap_or_default();
    match asked.answer(|device| device.process_utilization_stats(since)) {
        Err(NvmlError::NotFound) => Reading::Known(Vec::new()),
        answer => words::reading(answer),
    }
}

/// The newest share of one process, 0 to 1.
fn share_of(shares: &Reading<Vec<ProcessUtilizationSample>>, pid: u32) -> Reading<f64> {
    let samples = match shares {
        Reading::Known(samples) => samples,
        Reading::Unavailable(why) => return Reading::Unavailable(why.clone()),
    };
    let own = samples.iter().filter(|sample| sample.pid == pid);
    match own.max_by_key(|sample| sample.timestamp) {
        None => Reading::Known(0.0),
        Some(sample) if sample.sm_util <= 100 => Reading::Known(f64::from(sample.sm_util) / 100.0),
        // Seen from drivers while a process starts.
        Some(_) => Reading::Unavailable("the driver gave no valid number".into()),
    }
}
