//! One reading of the engine's stats API.

use bollard::models::ContainerStatsResponse;
use jiff::Timestamp;

use super::convert::time;

/// What the engine counted of one container. A cgroup driver that counts nothing (`none`, as in some rootless engines)
/// answers zeros; a running container never uses nothing, so zeros are `None` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// When the engine read it.
    pub at: Timestamp,
    /// Processor time since its start, nanoseconds.
    pub cpu_ns: Option<u64>,
    /// Memory without the inactive file cache, bytes.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl Stats {
    /// The reading; `None` for a container that does not run, which the engine reports with the zero time.
    pub(super) fn from(reading: &ContainerStatsResponse) -> Option<Self> {
        let at = time(reading.read.as_deref()?)?;
        let counted = |count: Option<u64>| count.filter(|count| *count > 0);
        let cpu = reading.cpu_stats.as_ref();
        let memory = reading.memory_stats.as_ref();
        let inactive = memory.and_then(|memory| {
            let stats = memory.stats.as_ref()?;
            // The first name is of cgroup v1, the second of v2.
            stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")).copied()
        });
        Some(Self {
            at,
            cpu_ns: counted(cpu.and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage)),
            memory_bytes: counted(memory.and_then(|memory| memory.usage))
                .map(|usage| super::super::cgroup::without_cache(usage, inactive.unwrap_or(0))),
            pids: counted(reading.pids_stats.as_ref().and_then(|pids| pids.current)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(json: &str) -> Option<Stats> {
        Stats::from(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn memory_is_counted_as_the_docker_command_does() {
        let v1 = stats(
            r#"{"read":"2026-11-23T18:56:40.764594147Z","pids_stats":{"current":2},
                "cpu_stats":{"cpu_usage":{"total_usage":135237761},"system_cpu_usage":6054100000000,"online_cpus":2},
                "memory_stats":{"usage":1224704,"stats":{"inactive_file":1,"total_inactive_file":4096}}}"#,
        )
        .unwrap();
        assert_eq!(v1.memory_bytes, Some(1_220_608));
        assert_eq!((v1.cpu_ns, v1.pids), (Some(135_237_761), Some(2)));
        let v2 =
            stats(r#"{"read":"2026-11-23T18:56:40Z","memory_stats":{"usage":5000,"stats":{"inactive_file":1000}}}"#);
        assert_eq!(v2.unwrap().memory_bytes, Some(4000));
    }

    #[test]
    fn what_is_not_counted_is_not_zero() {
        let uncounted = stats(
            r#"{"read":"2026-11-23T18:56:40Z","pids_stats":{},"cpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#,
        )
        .unwrap();
        assert_eq!((uncounted.cpu_ns, uncounted.memory_bytes, uncounted.pids), (None, None, None));
        assert_eq!(stats(r#"{"read":"0001-01-01T00:00:00Z","memory_stats":{"usage":1}}"#), None);
    }
}
