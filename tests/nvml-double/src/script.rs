//! The script: the JSON of the README as types. A name that it does not know is an error, so that
//! a slip in a test's script is seen at once.
//!
//! What a reading means, and in which unit, stands in the README; here a missing value is `None`,
//! and `None` answers "not supported".

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::status::Status;

mod names;

pub(crate) use names::{Architecture, Brand, ComputeMode, Events, PciAddress, Policy, Throttle, Version};

/// The errors of calls, by the name of the call.
pub(crate) type Errors = BTreeMap<String, Status>;

/// The whole script.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Script {
    pub(crate) init: Init,
    pub(crate) driver: Option<String>,
    pub(crate) nvml: Option<String>,
    pub(crate) cuda: Option<Version>,
    pub(crate) processes: Option<BTreeMap<u32, String>>,
    pub(crate) gpus: Vec<Gpu>,
    pub(crate) xids: Vec<Xid>,
    pub(crate) errors: Errors,
    pub(crate) hang: Vec<String>,
}

/// What initialising answers.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Init {
    #[default]
    Succeeds,
    Fails(Status),
    Hangs,
}

/// One GPU.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gpu {
    pub(crate) name: Option<String>,
    pub(crate) uuid: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) vbios: Option<String>,
    pub(crate) brand: Option<Brand>,
    pub(crate) architecture: Option<Architecture>,
    pub(crate) compute_capability: Option<Version>,
    pub(crate) compute_mode: Option<ComputeMode>,
    pub(crate) cores: Option<u32>,
    pub(crate) minor: Option<u32>,
    pub(crate) pci: Option<PciAddress>,
    pub(crate) utilization: Option<Utilization>,
    pub(crate) encoder: Option<u32>,
    pub(crate) decoder: Option<u32>,
    pub(crate) memory: Option<Memory>,
    pub(crate) temperature: Option<u32>,
    pub(crate) memory_temperature: Option<u32>,
    pub(crate) thresholds: Thresholds,
    pub(crate) power_mw: Option<u32>,
    pub(crate) limit_mw: Option<u32>,
    pub(crate) default_limit_mw: Option<u32>,
    pub(crate) min_limit_mw: Option<u32>,
    pub(crate) max_limit_mw: Option<u32>,
    pub(crate) energy_mj: Option<u64>,
    pub(crate) clocks: Clocks,
    pub(crate) max_clocks: Clocks,
    pub(crate) pstate: Option<u32>,
    pub(crate) fans: Option<Vec<u32>>,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) violations: BTreeMap<Policy, u64>,
    pub(crate) pcie: Pcie,
    pub(crate) ecc: Ecc,
    pub(crate) retired_pages: Option<RetiredPages>,
    pub(crate) retired_pages_pending: Option<bool>,
    pub(crate) remapped_rows: Option<RemappedRows>,
    pub(crate) mig: Option<bool>,
    pub(crate) mig_max_devices: Option<u32>,
    pub(crate) persistence: Option<bool>,
    pub(crate) compute: Option<Vec<Process>>,
    pub(crate) graphics: Option<Vec<Process>>,
    pub(crate) mps: Option<Vec<Process>>,
    pub(crate) process_utilization: Option<Vec<ProcessUtilization>>,
    pub(crate) fields: BTreeMap<u32, u64>,
    pub(crate) events: Events,
    pub(crate) lost: bool,
    pub(crate) errors: Errors,
    pub(crate) hang: Vec<String>,
}

/// Percentages of the last sample period.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Utilization {
    pub(crate) gpu: u32,
    pub(crate) memory: u32,
}

/// Bytes; `used` is without `reserved`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    pub(crate) used: u64,
    #[serde(default)]
    pub(crate) reserved: u64,
}

/// Degrees Celsius.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Thresholds {
    pub(crate) shutdown: Option<u32>,
    pub(crate) slowdown: Option<u32>,
    pub(crate) memory_max: Option<u32>,
    pub(crate) gpu_max: Option<u32>,
    pub(crate) acoustic_min: Option<u32>,
    pub(crate) acoustic_current: Option<u32>,
    pub(crate) acoustic_max: Option<u32>,
}

/// Megahertz.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Clocks {
    pub(crate) graphics: Option<u32>,
    pub(crate) sm: Option<u32>,
    pub(crate) memory: Option<u32>,
    pub(crate) video: Option<u32>,
}

/// Generation and lanes of the link; KB/s over it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pcie {
    #[serde(rename = "gen")]
    pub(crate) generation: Option<u32>,
    pub(crate) width: Option<u32>,
    #[serde(rename = "max_gen")]
    pub(crate) max_generation: Option<u32>,
    pub(crate) max_width: Option<u32>,
    pub(crate) tx_kbs: Option<u32>,
    pub(crate) rx_kbs: Option<u32>,
    pub(crate) replay: Option<u32>,
}

/// Error correction; the counts without prefix are those since the driver was loaded.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ecc {
    pub(crate) enabled: Option<bool>,
    pub(crate) pending: Option<bool>,
    pub(crate) corrected: Option<u64>,
    pub(crate) uncorrected: Option<u64>,
    pub(crate) aggregate_corrected: Option<u64>,
    pub(crate) aggregate_uncorrected: Option<u64>,
}

/// Pages taken out of use, by cause.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetiredPages {
    pub(crate) single_bit: Vec<Page>,
    pub(crate) double_bit: Vec<Page>,
}

/// One retired page; the time is in seconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    pub(crate) address: u64,
    #[serde(default)]
    pub(crate) timestamp: u64,
}

/// Rows of memory replaced by spare ones.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RemappedRows {
    pub(crate) corrected: u32,
    pub(crate) uncorrected: u32,
    pub(crate) pending: bool,
    pub(crate) failed: bool,
}

/// A process with a context on the GPU; memory in bytes, `None` where the driver cannot tell.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) memory: Option<u64>,
}

/// Percentages that one process took in the last sample period.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessUtilization {
    pub(crate) pid: u32,
    #[serde(default)]
    pub(crate) sm: u32,
    #[serde(default)]
    pub(crate) mem: u32,
    #[serde(default)]
    pub(crate) enc: u32,
    #[serde(default)]
    pub(crate) dec: u32,
}

/// One Xid event, delivered once: `seq` tells it from the others.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Xid {
    pub(crate) gpu: usize,
    pub(crate) code: u64,
    pub(crate) seq: u64,
}

/// The calls that are not about one GPU, as `errors` and `hang` name them.
const LIBRARY_CALLS: &[&str] = &["driver", "nvml", "cuda", "processes", "count", "event_set", "event_wait"];

/// The readings of a GPU, as its `errors` and `hang` name them.
#[rustfmt::skip]
const READINGS: &[&str] = &[
    "handle", "index", "minor", "name", "uuid", "serial", "vbios", "brand", "architecture",
    "compute_capability", "compute_mode", "cores", "pci", "utilization", "encoder", "decoder",
    "memory", "temperature", "memory_temperature", "thresholds", "power_mw", "limit_mw",
    "default_limit_mw", "limit_range", "set_limit", "energy_mj", "clocks", "max_clocks", "pstate",
    "fans", "throttle", "violations", "pcie.gen", "pcie.width", "pcie.max_gen", "pcie.max_width",
    "pcie.tx_kbs", "pcie.rx_kbs", "pcie.replay", "ecc.enabled", "ecc.corrected", "ecc.uncorrected",
    "ecc.aggregate_corrected", "ecc.aggregate_uncorrected", "retired_pages",
    "retired_pages_pending", "remapped_rows", "mig", "mig_max_devices", "persistence", "compute",
    "graphics", "mps", "process_utilization", "fields", "events",
];

impl Script {
    /// Reads a script, or says what is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let script: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        check_names(&script.errors, &script.hang, LIBRARY_CALLS)?;
        for gpu in &script.gpus {
            check_names(&gpu.errors, &gpu.hang, READINGS)?;
        }
        let mut seqs = BTreeSet::new();
        for xid in &script.xids {
            if xid.gpu >= script.gpus.len() {
                return Err(format!("xid {}: there is no gpu {}", xid.seq, xid.gpu));
            }
            if !seqs.insert(xid.seq) {
                return Err(format!("xid {}: `seq` is used twice", xid.seq));
            }
        }
        Ok(script)
    }
}

impl TryFrom<String> for Init {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match name.as_str() {
            "ok" => Ok(Self::Succeeds),
            "hang" => Ok(Self::Hangs),
            _ => Status::try_from(name).map(Self::Fails),
        }
    }
}

/// The error scripted for a call, if any; the most exact name wins.
pub(crate) fn error_of(errors: &Errors, call: &str) -> Option<Status> {
    let group = call.split('.').next().unwrap_or(call);
    [call, group, "all"]
        .into_iter()
        .filter(|listed| covers(listed, call))
        .find_map(|listed| errors.get(listed).copied())
}

/// Whether a call is scripted to hang.
pub(crate) fn hangs(hang: &[String], call: &str) -> bool {
    hang.iter().any(|listed| covers(listed, call))
}

/// Whether a listed name means this call: itself, its group (`pcie` for `pcie.gen`), or `all`.
/// `all` leaves the handle alone: a program that cannot even get a handle sees no card at all.
fn covers(listed: &str, call: &str) -> bool {
    let in_group = || call.strip_prefix(listed).is_some_and(|rest| rest.starts_with('.'));
    listed == call || in_group() || (listed == "all" && call != "handle")
}

fn check_names(errors: &Errors, hang: &[String], known: &[&str]) -> Result<(), String> {
    let unknown = errors.keys().chain(hang).find(|listed| !known.iter().any(|call| covers(listed, call)));
    unknown.map_or(Ok(()), |name| Err(format!("unknown reading `{name}`; known are: all, {}", known.join(", "))))
}
