//! What processes cost: time on a CPU in nanoseconds, memory, threads and descriptors, read from `/proc`.
//!
//! CPU time comes from the scheduler's own account of each thread (`schedstat`), because clock ticks of 10 ms are too
//! coarse for a program that uses a thousandth of a core.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use serde::Serialize;

/// Linux tells user space about CPU time in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);

/// Measures the CPU time of a set of processes over a window.
pub(crate) struct CpuMeter {
    threads: HashMap<(u32, u32), u64>,
    used_ns: u64,
    ticks_at_start: u64,
}

impl CpuMeter {
    /// Starts the account of these processes at zero.
    pub(crate) fn start(pids: &[u32]) -> Self {
        Self { threads: thread_times(pids), used_ns: 0, ticks_at_start: pids.iter().map(|&pid| ticks(pid)).sum() }
    }

    /// Adds what was used since the last call. A thread that ends takes the time since then with it, so this is to be
    /// called every second or so.
    pub(crate) fn sample(&mut self, pids: &[u32]) {
        let now = thread_times(pids);
        for (thread, used) in &now {
            let before = self.threads.get(thread).copied().unwrap_or(0);
            self.used_ns += used.saturating_sub(before);
        }
        self.threads = now;
    }

    /// The CPU time used since the start.
    ///
    /// The kernel's tick account is coarser, but it has threads that came and went and children that were waited for;
    /// where it is clearly larger, it is the true one.
    pub(crate) fn used(mut self, pids: &[u32]) -> Duration {
        self.sample(pids);
        let ticks: u64 = pids.iter().map(|&pid| ticks(pid)).sum();
        let by_ticks = TICK * ticks.saturating_sub(self.ticks_at_start) as u32;
        let by_threads = Duration::from_nanos(self.used_ns);
        if by_ticks > by_threads + 3 * TICK { by_ticks } else { by_threads }
    }
}

fn thread_times(pids: &[u32]) -> HashMap<(u32, u32), u64> {
    let threads = |pid: u32| {
        numbers_in(&format!("/proc/{pid}/task")).filter_map(move |tid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
            Some(((pid, tid), stat.split_whitespace().next()?.parse().ok()?))
        })
    };
    pids.iter().flat_map(|&pid| threads(pid)).collect()
}

/// User and system ticks of a process and of its children that were waited for.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = after_name.split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Memory, threads and descriptors of a set of processes, summed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Holdings {
    /// Processes that were read.
    pub(crate) processes: u64,
    /// Resident memory now, in MiB.
    pub(crate) rss_mib: f64,
    /// The most that was ever resident, in MiB.
    pub(crate) peak_rss_mib: f64,
    /// Threads.
    pub(crate) threads: u64,
    /// Open descriptors.
    pub(crate) fds: usize,
}

/// Reads what a set of processes holds at this moment.
pub(crate) fn holdings(pids: &[u32]) -> Holdings {
    let mut all = Holdings::default();
    for pid in pids {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
            continue;
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok())
        };
        let mib = |name| f64::from(field(name).unwrap_or(0)) / 1024.0;
        all.processes += 1;
        all.rss_mib += mib("VmRSS:");
        all.peak_rss_mib += mib("VmHWM:");
        all.threads += u64::from(field("Threads:").unwrap_or(0));
        all.fds += numbers_in(&format!("/proc/{pid}/fd")).count();
    }
    all
}

/// How busy the machine has been since it started, in ticks of all cores.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    busy: u64,
    total: u64,
}

impl Machine {
    /// Reads the account.
    pub(crate) fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let fields = line.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = fields.filter_map(|field| field.parse().ok()).collect();
        let total: u64 = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Self { busy: total - idle, total }
    }

    /// The share of all cores in use since an earlier reading, 0 to 100.
    pub(crate) fn busy_percent_since(self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total).max(1);
        100.0 * self.busy.saturating_sub(earlier.busy) as f64 / total as f64
    }
}

/// Every process whose command line satisfies the predicate, given as its arguments.
pub(crate) fn find(wanted: impl Fn(u32, &[&str]) -> bool) -> Vec<u32> {
    numbers_in("/proc")
        .filter(|&pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line);
            let arguments: Vec<&str> = line.split_terminator('\0').collect();
            !arguments.is_empty() && wanted(pid, &arguments)
        })
        .collect()
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// The entries of a folder whose names are numbers.
fn numbers_in(folder: &str) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}
