//! The words of a script that stand for numbers of the library: brands, architectures, throttle
//! reasons, event types, versions, PCI addresses.

use std::fmt;

use nvml_wrapper_sys::bindings as nvml;
use serde::Deserialize;

/// The product line.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub(crate) enum Brand {
    Unknown = nvml::nvmlBrandType_enum_NVML_BRAND_UNKNOWN,
    Quadro = nvml::nvmlBrandType_enum_NVML_BRAND_QUADRO,
    Tesla = nvml::nvmlBrandType_enum_NVML_BRAND_TESLA,
    Geforce = nvml::nvmlBrandType_enum_NVML_BRAND_GEFORCE,
    Titan = nvml::nvmlBrandType_enum_NVML_BRAND_TITAN,
    QuadroRtx = nvml::nvmlBrandType_enum_NVML_BRAND_QUADRO_RTX,
    NvidiaRtx = nvml::nvmlBrandType_enum_NVML_BRAND_NVIDIA_RTX,
    Nvidia = nvml::nvmlBrandType_enum_NVML_BRAND_NVIDIA,
    GeforceRtx = nvml::nvmlBrandType_enum_NVML_BRAND_GEFORCE_RTX,
}

/// The generation of the chip.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub(crate) enum Architecture {
    Kepler = nvml::NVML_DEVICE_ARCH_KEPLER,
    Maxwell = nvml::NVML_DEVICE_ARCH_MAXWELL,
    Pascal = nvml::NVML_DEVICE_ARCH_PASCAL,
    Volta = nvml::NVML_DEVICE_ARCH_VOLTA,
    Turing = nvml::NVML_DEVICE_ARCH_TURING,
    Ampere = nvml::NVML_DEVICE_ARCH_AMPERE,
    Ada = nvml::NVML_DEVICE_ARCH_ADA,
    Hopper = nvml::NVML_DEVICE_ARCH_HOPPER,
    Blackwell = nvml::NVML_DEVICE_ARCH_BLACKWELL,
    Unknown = nvml::NVML_DEVICE_ARCH_UNKNOWN,
}

/// Who may open a compute context.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub(crate) enum ComputeMode {
    Default = nvml::nvmlComputeMode_enum_NVML_COMPUTEMODE_DEFAULT,
    Prohibited = nvml::nvmlComputeMode_enum_NVML_COMPUTEMODE_PROHIBITED,
    ExclusiveProcess = nvml::nvmlComputeMode_enum_NVML_COMPUTEMODE_EXCLUSIVE_PROCESS,
}

/// Why the clocks were held down, for the time that it cost.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
pub(crate) enum Policy {
    Power = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_POWER,
    Thermal = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_THERMAL,
    SyncBoost = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_SYNC_BOOST,
    BoardLimit = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_BOARD_LIMIT,
    LowUtilization = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_LOW_UTILIZATION,
    Reliability = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_RELIABILITY,
    TotalAppClocks = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_TOTAL_APP_CLOCKS,
    TotalBaseClocks = nvml::nvmlPerfPolicyType_enum_NVML_PERF_POLICY_TOTAL_BASE_CLOCKS,
}

/// The reasons for which the clocks are held down now, as the library's bit mask.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "MaskOrNames<Reason>")]
pub(crate) struct Throttle(pub(crate) u64);

/// The kinds of events that a card can report, as the library's bit mask; Xids unless scripted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(from = "MaskOrNames<EventType>")]
pub(crate) struct Events(pub(crate) u64);

impl Events {
    /// The bit of an Xid.
    pub(crate) const XID: u64 = nvml::nvmlEventTypeXidCriticalError as u64;
}

impl Default for Events {
    fn default() -> Self {
        Self(Self::XID)
    }
}

/// A set of bits as a script may write it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "neither a bit mask nor a list of known names")]
enum MaskOrNames<T> {
    Mask(u64),
    Names(Vec<T>),
}

impl<T> MaskOrNames<T> {
    fn mask(self, bit: fn(T) -> u64) -> u64 {
        match self {
            Self::Mask(mask) => mask,
            Self::Names(names) => names.into_iter().map(bit).fold(0, |mask, bit| mask | bit),
        }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
enum Reason {
    GpuIdle = nvml::nvmlClocksThrottleReasonGpuIdle,
    ApplicationsClocks = nvml::nvmlClocksThrottleReasonApplicationsClocksSetting,
    SwPowerCap = nvml::nvmlClocksThrottleReasonSwPowerCap,
    HwSlowdown = nvml::nvmlClocksThrottleReasonHwSlowdown,
    SyncBoost = nvml::nvmlClocksThrottleReasonSyncBoost,
    SwThermalSlowdown = nvml::nvmlClocksThrottleReasonSwThermalSlowdown,
    HwThermalSlowdown = nvml::nvmlClocksThrottleReasonHwThermalSlowdown,
    HwPowerBrake = nvml::nvmlClocksThrottleReasonHwPowerBrakeSlowdown,
    DisplayClocks = nvml::nvmlClocksThrottleReasonDisplayClockSetting,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u32)]
enum EventType {
    SingleBitEcc = nvml::nvmlEventTypeSingleBitEccError,
    DoubleBitEcc = nvml::nvmlEventTypeDoubleBitEccError,
    Pstate = nvml::nvmlEventTypePState,
    Xid = nvml::nvmlEventTypeXidCriticalError,
    Clock = nvml::nvmlEventTypeClock,
}

impl From<MaskOrNames<Reason>> for Throttle {
    fn from(scripted: MaskOrNames<Reason>) -> Self {
        Self(scripted.mask(|reason| reason as u64))
    }
}

impl From<MaskOrNames<EventType>> for Events {
    fn from(scripted: MaskOrNames<EventType>) -> Self {
        Self(scripted.mask(|event| event as u64))
    }
}

/// Two numbers with a dot between them, as in CUDA 13.0 or compute capability 8.9.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Version {
    pub(crate) major: i32,
    pub(crate) minor: i32,
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('.');
        let numbers = parts.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        let (major, minor) = numbers.ok_or_else(|| format!("`{text}` is not a version such as \"13.0\""))?;
        Ok(Self { major, minor })
    }
}

/// Where on the PCI bus the card is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct PciAddress {
    pub(crate) domain: u32,
    pub(crate) bus: u32,
    pub(crate) device: u32,
    function: u32,
}

impl PciAddress {
    /// Reads `domain:bus:device.function` in hexadecimal; the domain may have four digits or
    /// eight, or be left out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let (rest, function) = text.rsplit_once('.')?;
        let (rest, device) = rest.rsplit_once(':')?;
        let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0", rest));
        Some(Self { domain: hex(domain)?, bus: hex(bus)?, device: hex(device)?, function: hex(function)? })
    }

    /// The older spelling, whose domain has four digits.
    pub(crate) fn legacy(&self) -> String {
        format!("{:04X}:{:02X}:{:02X}.{:X}", self.domain, self.bus, self.device, self.function)
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}:{:02X}:{:02X}.{:X}", self.domain, self.bus, self.device, self.function)
    }
}

impl TryFrom<String> for PciAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a PCI address such as \"00000000:01:00.0\""))
    }
}
