//! What is measured over time: the name, unit and meaning of every series, in Prometheus' spelling and base units
//! (Prometheus documentation, *Metric and label naming*). Recorder, exporter, alerts and graphs speak of series by these.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use strum::EnumCount as _;

use super::Spread;

/// One metric: what all series of a name have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name, such as `gpu_temperature_celsius`.
    pub name: &'static str,
    /// What it says, in a clause.
    pub help: &'static str,
    /// Which way a lasting change of it is worse for those who use the box.
    pub worse: Worse,
}

/// Which way a lasting change of a metric is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worse {
    /// More is worse: latency, errors, heat.
    Up,
    /// Less is worse: tokens a second, free space.
    Down,
    /// Neither: it follows what is asked of the box.
    Neither,
}

const fn metric(name: &'static str, worse: Worse, help: &'static str) -> Metric {
    Metric { name, help, worse }
}

macro_rules! metrics {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $worse:ident, $help:literal;)*) => {
        $(#[doc = $help] pub const $id: Metric = metric($name, Worse::$worse, $help);)*
        /// Every metric.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    CPU_USED = "cpu_used_ratio", Neither, "Processor time in use, 0 to 1";
    LOAD = "load_average", Neither, "Runnable and uninterruptible tasks, averaged over a minute";
    MEMORY_USED = "memory_used_ratio", Neither, "Memory in use, 0 to 1";
    MEMORY_USED_BYTES = "memory_used_bytes", Neither, "Memory in use";
    SWAP_USED_BYTES = "swap_used_bytes", Up, "Swap space in use";
    PRESSURE_CPU = "pressure_cpu_ratio", Up, "Part of the time in which a task waited for a processor, 0 to 1";
    PRESSURE_MEMORY = "pressure_memory_ratio", Up, "Part of the time in which a task waited for memory, 0 to 1";
    PRESSURE_IO = "pressure_io_ratio", Up, "Part of the time in which a task waited for a disk, 0 to 1";
    DISK_READ = "disk_read_bytes_per_second", Neither, "Bytes read from a disk";
    DISK_WRITTEN = "disk_written_bytes_per_second", Neither, "Bytes written to a disk";
    NETWORK_RECEIVED = "network_received_bytes_per_second", Neither, "Bytes received by an interface";
    NETWORK_TRANSMITTED = "network_transmitted_bytes_per_second", Neither, "Bytes sent by an interface";
    SENSOR_TEMPERATURE = "sensor_temperature_celsius", Up, "A sensor's temperature";
    UPTIME = "uptime_seconds", Neither, "Time since the machine started";
    DISK_FREE = "disk_free_ratio", Neither, "Free part of a volume, 0 to 1";
    DISK_FREE_BYTES = "disk_free_bytes", Neither, "Free space of a volume";
    INODES_FREE = "inodes_free_ratio", Neither, "Free part of a volume's inodes, 0 to 1";
    GPU_UTILIZATION = "gpu_utilization_ratio", Neither, "Part of the time in which a card computed, 0 to 1";
    GPU_BANDWIDTH = "gpu_memory_bandwidth_ratio", Neither, "Part of the time in which a card's memory was used, 0 to 1";
    GPU_MEMORY_USED = "gpu_memory_used_bytes", Neither, "Video memory in use";
    GPU_MEMORY_TOTAL = "gpu_memory_total_bytes", Neither, "Video memory of a card";
    GPU_TEMPERATURE = "gpu_temperature_celsius", Up, "A card's temperature";
    GPU_POWER = "gpu_power_watts", Neither, "Power that a card draws";
    GPU_POWER_LIMIT = "gpu_power_limit_watts", Down, "The power limit in force";
    GPU_SM_CLOCK = "gpu_sm_clock_hertz", Neither, "Clock of a card's multiprocessors";
    GPU_MEMORY_CLOCK = "gpu_memory_clock_hertz", Neither, "Clock of a card's memory";
    GPU_FAN = "gpu_fan_ratio", Neither, "Speed of a card's first fan, 0 to 1";
    GPU_THROTTLED = "gpu_throttled", Up, "1 while a card is slowed down by heat or hardware, else 0";
    GPU_PCIE_WIDTH = "gpu_pcie_lanes", Down, "Lanes of a card's bus in use";
    GPU_ECC_CORRECTED = "gpu_ecc_corrected_errors", Up, "Memory errors that a card corrected since the driver was loaded";
    GPU_ECC_UNCORRECTED = "gpu_ecc_uncorrected_errors", Up, "Memory errors that lost data since the driver was loaded";
    CONTAINER_RUNNING = "container_running", Neither, "1 while a container runs, else 0";
    CONTAINER_HEALTHY = "container_healthy", Neither, "1 while a container's health check passes, else 0";
    CONTAINER_RESTARTS = "container_restarts", Up, "Automatic restarts of a container that the engine has counted";
    CONTAINER_CPU = "container_cpu_cores", Neither, "Processors that a container keeps busy";
    CONTAINER_MEMORY = "container_memory_bytes", Neither, "Memory of a container, without the inactive file cache";
    CONTAINER_PIDS = "container_pids", Neither, "Processes and threads of a container";
    CONTAINER_GPU_MEMORY = "container_gpu_memory_bytes", Neither, "Video memory that a container holds on all cards";
    INFERENCE_RUNNING = "inference_requests_running", Neither, "Requests that a server works on";
    INFERENCE_WAITING = "inference_requests_waiting", Up, "Requests that wait in a server";
    INFERENCE_KV_CACHE = "inference_kv_cache_used_ratio", Neither, "Part of a server's KV cache in use, 0 to 1";
    INFERENCE_REQUESTS = "inference_requests_per_second", Neither, "Requests that a server answered, within a minute";
    INFERENCE_FAULTS = "inference_faults_per_second", Up, "Requests that a server failed, within a minute";
    INFERENCE_OVERLOADS = "inference_overloads_per_second", Up, "Requests that a server turned away, within a minute";
    INFERENCE_ERRORS = "inference_error_ratio", Up, "Part of the requests that a server failed within a minute, 0 to 1";
    INFERENCE_TTFT = "inference_ttft_seconds", Up, "Time to the first token, by quantile, within a minute";
    INFERENCE_INTER_TOKEN = "inference_inter_token_seconds", Up, "Time between two tokens, by quantile, within a minute";
    INFERENCE_E2E = "inference_e2e_seconds", Up, "Time to the end of an answer, by quantile, within a minute";
    INFERENCE_QUEUE = "inference_queue_seconds", Up, "Time that requests waited in a server, by quantile, within a minute";
    INFERENCE_PROMPT_LENGTH = "inference_prompt_length_tokens", Neither, "Tokens of a prompt, by quantile, within a minute";
    INFERENCE_PROMPT_TOKENS = "inference_prompt_tokens_per_second", Neither, "Prompt tokens that a server read, within a minute";
    INFERENCE_GENERATED = "inference_generated_tokens_per_second", Neither, "Tokens that a server generated, within a minute";
    INFERENCE_PER_JOULE = "inference_generated_tokens_per_joule", Down, "Tokens that a server generated for the energy its cards drew";
    INFERENCE_SPEED = "inference_generation_speed_tokens_per_second", Down, "Tokens a second of one answer while it is generated, within a minute";
    INFERENCE_PREFIX_HITS = "inference_prefix_cache_hit_ratio", Down, "Part of the prompt tokens found in the prefix cache, 0 to 1";
    INFERENCE_PREEMPTIONS = "inference_preemptions_per_second", Up, "Requests that lost their place in the KV cache, within a minute";
    PLATFORM_HEALTHY = "platform_healthy", Neither, "1 while a platform says that it can serve, else 0";
    PLATFORM_REQUESTS = "platform_requests_total", Neither, "Work that a platform has ended since it started";
    PLATFORM_FAILED = "platform_requests_failed_total", Neither, "Work that a platform failed since it started";
    FINDINGS = "findings", Neither, "Findings that need someone, by severity";
}

/// Metrics that are told by quantile: of each request or token there is one value.
pub const SPREADS: [(Spread, Metric); Spread::COUNT] = [
    (Spread::FirstToken, INFERENCE_TTFT),
    (Spread::InterToken, INFERENCE_INTER_TOKEN),
    (Spread::EndToEnd, INFERENCE_E2E),
    (Spread::Queue, INFERENCE_QUEUE),
    (Spread::PromptLength, INFERENCE_PROMPT_LENGTH),
];

/// The quantiles that are told of each: the label, and the share of values that are not above it.
pub const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)];

impl Metric {
    /// Whether it is told by quantile.
    pub fn is_spread(&self) -> bool {
        SPREADS.iter().any(|(_, metric)| metric == self)
    }

    /// The metric of this name; `None` for a name that hostler does not know.
    pub fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }
}

/// One series: a metric and what it is of, such as `disk_free_ratio{mount="/"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The metric's name.
    pub name: Arc<str>,
    /// Label names and values, in the order of the names.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

impl SeriesKey {
    /// A series of `metric` with these labels.
    pub fn new<'a>(metric: &Metric, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut labels: Vec<_> = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        labels.sort();
        Self { name: metric.name.into(), labels }
    }

    /// The metric, if it is one that hostler knows.
    pub fn metric(&self) -> Option<&'static Metric> {
        Metric::named(&self.name)
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| **label == *name).map(|(_, value)| &**value)
    }

    /// The same series with one more label.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.into(), value.into()));
        self.labels.sort();
        self
    }

    /// What a finding about it names: the engine, card, volume or container; `host` for what is of the whole box.
    pub fn subject(&self) -> &str {
        ["engine", "gpu", "mount", "container"].iter().find_map(|name| self.label(name)).unwrap_or("host")
    }

    /// Whether it belongs to what `selector` names: the same metric, and all of its labels.
    pub fn matches(&self, selector: &Self) -> bool {
        self.name == selector.name && selector.labels.iter().all(|label| self.labels.contains(label))
    }
}

/// As Prometheus writes it: the name, and the labels in braces if there are any (Prometheus documentation, *Exposition
/// formats*).
impl fmt::Display for SeriesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (index, (name, value)) in self.labels.iter().enumerate() {
            f.write_str(if index == 0 { "{" } else { "," })?;
            write!(f, "{name}=\"")?;
            for sign in value.chars() {
                match sign {
                    '\\' => f.write_str("\\\\")?,
                    '"' => f.write_str("\\\"")?,
                    '\n' => f.write_str("\\n")?,
                    sign => write!(f, "{sign}")?,
                }
            }
            f.write_str("\"")?;
        }
        f.write_str(if self.labels.is_empty() { "" } else { "}" })
    }
}

impl Serialize for SeriesKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SeriesKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What is no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no series; write it as `disk_free_ratio` or `disk_free_ratio{{mount=\"/\"}}`")]
pub struct NoSeries(String);

impl FromStr for SeriesKey {
    type Err = NoSeries;

    fn from_str(text: &str) -> Result<Self, NoSeries> {
        let unreadable = || NoSeries(text.to_owned());
        let text = text.trim();
        let is_name = |name: &str| {
            let sign = |sign: char| sign.is_ascii_alphanumeric() || sign == '_' || sign == ':';
            !name.is_empty() && name.chars().all(sign) && !name.starts_with(|sign: char| sign.is_ascii_digit())
        };
        let (name, rest) = text.split_once('{').map_or((text, None), |(name, rest)| (name.trim_end(), Some(rest)));
        if !is_name(name) {
            return Err(unreadable());
        }
        let mut labels = Vec::new();
        let mut rest = rest.map(str::trim_start);
        while let Some(text) = rest {
            if text.trim() == "}" {
                break;
            }
            let (label, text) = text.split_once('=').ok_or_else(unreadable)?;
            let (value, text) = quoted(text.trim_start()).ok_or_else(unreadable)?;
            if !is_name(label.trim()) {
                return Err(unreadable());
            }
            labels.push((label.trim().into(), value.into()));
            let text = text.trim_start();
            rest = Some(match text.strip_prefix(',') {
                Some(text) => text.trim_start(),
                None if text == "}" => text,
                None => return Err(unreadable()),
            });
        }
        labels.sort();
        Ok(Self { name: name.into(), labels })
    }
}

/// The text in quotes at the beginning, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut signs = text.char_indices();
    while let Some((at, sign)) = signs.next() {
        match sign {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match signs.next()?.1 {
                'n' => '\n',
                sign => sign,
            }),
            sign => value.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let names: HashSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.parse::<SeriesKey>().is_ok(), "{}", metric.name);
        }
    }

    #[test]
    fn a_series_is_read_as_it_is_written() {
        let hostile = "a\"b\\c\nd,}={";
        for key in [
            SeriesKey::new(&CPU_USED, []),
            SeriesKey::new(&DISK_FREE, [("mount", "/")]),
            SeriesKey::new(&INFERENCE_TTFT, [("quantile", "0.95"), ("engine", hostile)]),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        let key: SeriesKey = " disk_free_ratio { mount = \"/\" , } ".parse().unwrap();
        assert_eq!(key, SeriesKey::new(&DISK_FREE, [("mount", "/")]));
        for text in ["", "{}", "1a", "a b", "a{", "a{b}", "a{b=c}", "a{b=\"c}", "a{b=\"c\" d=\"e\"}", "a}"] {
            assert!(text.parse::<SeriesKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_selector_names_what_has_all_of_its_labels() {
        let key = SeriesKey::new(&INFERENCE_TTFT, [("engine", "vllm:8000"), ("quantile", "0.95")]);
        assert!(key.matches(&"inference_ttft_seconds".parse().unwrap()));
        assert!(key.matches(&"inference_ttft_seconds{quantile=\"0.95\"}".parse().unwrap()));
        assert!(!key.matches(&"inference_ttft_seconds{quantile=\"0.5\"}".parse().unwrap()));
        assert!(!key.matches(&"inference_e2e_seconds".parse().unwrap()));
        assert_eq!(key.subject(), "vllm:8000");
        assert_eq!(SeriesKey::new(&CPU_USED, []).subject(), "host");
    }
}
