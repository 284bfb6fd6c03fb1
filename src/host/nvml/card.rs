//! One card: what it is (asked once), how it is doing (asked every time), and what changes too slowly to be asked
//! every time.

use std::cell::Cell;
use std::sync::Arc;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor, TemperatureThreshold};
use nvml_wrapper::error::{Bits, NvmlError};

use super::words;
use crate::domain::{Ecc, Gpu, GpuMemory, GpuProcess, PcieLink, Reading, ThrottleReason, Why};
use crate::host::foreign;

/// Readings of a card between two looks at what changes slowly.
const SLOW_TURNS: u32 = 5;

/// Puts questions to a card, and notes when an answer says that it is gone.
pub(super) struct Asked<'nvml> {
    device: Device<'nvml>,
    lost: Cell<bool>,
}

impl<'nvml> Asked<'nvml> {
    pub(super) fn new(device: Device<'nvml>) -> Self {
        Self { device, lost: Cell::new(false) }
    }

    /// Whether any answer so far said that the card has fallen off the bus.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// One answer as it comes.
    pub(super) fn answer<T>(
        &self,
        question: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>,
    ) -> Result<T, NvmlError> {
        let answer = question(&self.device);
        if let Err(NvmlError::GpuLost) = answer {
            self.lost.set(true);
        }
        answer
    }

    /// One answer as a reading.
    pub(super) fn reading<T>(&self, question: impl FnOnce(&Device<'nvml>) -> Result<T, NvmlError>) -> Reading<T> {
        words::reading(self.answer(question))
    }
}

/// What tells one card from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uuid: Arc<str>,
    pub(super) name: String,
    pub(super) pci: String,
}

impl Identity {
    /// Stands in for a card that has not said who it is.
    pub(super) fn unknown(index: u32) -> Self {
        Self { uuid: format!("gpu{index}").into(), name: format!("GPU {index}"), pci: "unknown".to_owned() }
    }

    fn read(asked: &Asked<'_>, index: u32) -> Self {
        let unknown = Self::unknown(index);
        let text = |answer: Result<String, NvmlError>| answer.ok().filter(|text| !text.is_empty());
        Self {
            uuid: text(asked.answer(Device::uuid)).map_or(unknown.uuid, |uuid| foreign::name(&uuid).into()),
            name: text(asked.answer(Device::name)).map_or(unknown.name, |name| product(&name)),
            pci: text(asked.answer(Device::pci_info).map(|pci| pci.bus_id))
                .map_or(unknown.pci, |pci| foreign::name(&pci)),
        }
    }

    /// Whether the card has said who it is; until it has, it is asked again.
    fn is_told(&self) -> bool {
        self.uuid.starts_with("GPU-") || self.uuid.starts_with("MIG-")
    }
}

/// The product name without the maker.
pub(super) fn product(name: &str) -> String {
    let name = foreign::name(name);
    let short = name.strip_prefix("NVIDIA ").unwrap_or(&name);
    short.strip_prefix("GeForce ").unwrap_or(short).to_owned()
}

/// What does not change while the driver is loaded.
#[derive(Debug, Clone)]
struct Facts {
    slowdown_celsius: Reading<u32>,
    shutdown_celsius: Reading<u32>,
    sm_clock_max_mhz: Reading<u32>,
    pcie_width_max: Option<u32>,
    has_fan: bool,
}

impl Facts {
    fn read(asked: &Asked<'_>) -> Self {
        let threshold = |which| asked.reading(|device| device.temperature_threshold(which));
        Self {
            slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
            shutdown_celsius: threshold(TemperatureThreshold::Shutdown),
            sm_clock_max_mhz: asked.reading(|device| device.max_clock_info(Clock::SM)),
            pcie_width_max: asked.answer(Device::max_pcie_link_width).ok(),
            // An older driver does not tell the number; asking for the speed then decides.
            has_fan: asked.answer(Device::num_fans).ok() != Some(0),
        }
    }
}

/// What changes slowly, or matters little from one second to the next.
#[derive(Debug, Clone)]
struct Slow {
    power_limit_watts: Reading<f64>,
    pcie: Reading<PcieLink>,
    ecc: Reading<Ecc>,
}

impl Slow {
    fn read(asked: &Asked<'_>, facts: &Facts) -> Self {
        Self {
            power_limit_watts: asked.reading(Device::enforced_power_limit).map(watts),
            pcie: words::reading(asked.answer(|device| {
                Ok(PcieLink {
                    generation: device.current_pcie_link_gen()?,
                    width: device.current_pcie_link_width()?,
                    width_max: facts.pcie_width_max,
                })
            })),
            ecc: asked.reading(ecc),
        }
    }
}

/// A place in NVML's list, and what is remembered of the card in it.
pub(super) struct Card {
    pub(super) index: u32,
    pub(super) identity: Identity,
    /// It answered when it was last read.
    pub(super) answers: bool,
    known: Option<(Facts, Slow)>,
    turn: u32,
}

impl Card {
    pub(super) fn new(index: u32) -> Self {
        Self { index, identity: Identity::unknown(index), answers: false, known: None, turn: 0 }
    }

    /// Whether the card has said who it is.
    pub(super) fn is_told(&self) -> bool {
        self.identity.is_told()
    }

    /// Reads the card behind a handle; `processes` asks it for its processes.
    pub(super) fn read<'nvml>(
        &mut self,
        handle: Result<Device<'nvml>, NvmlError>,
        processes: impl FnOnce(&Asked<'nvml>) -> Reading<Vec<GpuProcess>>,
    ) -> Gpu {
        self.answers = false;
        let asked = match handle {
            Ok(device) => Asked::new(device),
            Err(NvmlError::GpuLost) => return self.fallen(),
            Err(error) => return silent(&self.identity, self.index, &words::why(&error)),
        };
        let (facts, slow) = self.known(&asked);
        let gpu = Gpu { processes: processes(&asked), ..now(&asked, &facts, slow) };
        if asked.is_lost() {
            return self.fallen();
        }
        self.answers = true;
        Gpu {
            index: self.index,
            uuid: Arc::clone(&self.identity.uuid),
            name: self.identity.name.clone(),
            pci: self.identity.pci.clone(),
            ..gpu
        }
    }

    /// What need not be asked now, asked where it is time to.
    fn known(&mut self, asked: &Asked<'_>) -> (Facts, Slow) {
        let (facts, slow) = match self.known.take() {
            Some((facts, slow)) if self.is_told() => (facts, Some(slow)),
            _ => {
                let identity = Identity::read(asked, self.index);
                if identity.is_told() || !self.is_told() {
                    self.identity = identity;
                }
                (Facts::read(asked), None)
            }
        };
        let slow = slow.filter(|_| !self.turn.is_multiple_of(SLOW_TURNS)).unwrap_or_else(|| Slow::read(asked, &facts));
        self.turn = self.turn.wrapping_add(1);
        self.known = Some((facts.clone(), slow.clone()));
        (facts, slow)
    }

    /// The card as it is shown once it is gone; when it comes back, everything is asked anew.
    fn fallen(&mut self) -> Gpu {
        self.known = None;
        lost(&self.identity, self.index)
    }
}

/// What is asked every time. Throughput over the bus is not: that question blocks for 20 ms a direction.
fn now(asked: &Asked<'_>, facts: &Facts, slow: Slow) -> Gpu {
    let utilization = asked.reading(Device::utilization_rates);
    let ratio = |percent: u32| f64::from(percent) / 100.0;
    Gpu {
        compute_ratio: utilization.clone().map(|rates| ratio(rates.gpu)),
        bandwidth_ratio: utilization.map(|rates| ratio(rates.memory)),
        memory: asked.reading(Device::memory_info).map(|memory| GpuMemory {
            total_bytes: memory.total,
            used_bytes: memory.used,
            reserved_bytes: memory.reserved,
        }),
        temperature_celsius: asked.reading(|device| device.temperature(TemperatureSensor::Gpu)),
        slowdown_celsius: facts.slowdown_celsius.clone(),
        shutdown_celsius: facts.shutdown_celsius.clone(),
        power_watts: asked.reading(Device::power_usage).map(watts),
        power_limit_watts: slow.power_limit_watts,
        sm_clock_mhz: asked.reading(|device| device.clock_info(Clock::SM)),
        sm_clock_max_mhz: facts.sm_clock_max_mhz.clone(),
        memory_clock_mhz: asked.reading(|device| device.clock_info(Clock::Memory)),
        fan_ratio: if facts.has_fan {
            asked.reading(|device| device.fan_speed(0)).map(ratio)
        } else {
            Reading::Unavailable("it has no fan".into())
        },
        throttle: asked.reading(throttle_bits).map(throttle_reasons),
        pcie: slow.pcie,
        ecc: slow.ecc,
        ..Gpu::default()
    }
}

/// A card that has fallen off the bus.
pub(super) fn lost(identity: &Identity, index: u32) -> Gpu {
    Gpu { lost: true, ..silent(identity, index, &words::FALLEN) }
}

/// A card of which nothing can be read.
fn silent(identity: &Identity, index: u32, why: &Why) -> Gpu {
    fn none<T>(why: &Why) -> Reading<T> {
        Reading::Unavailable(why.clone())
    }
    Gpu {
        index,
        uuid: Arc::clone(&identity.uuid),
        name: identity.name.clone(),
        pci: identity.pci.clone(),
        lost: false,
        compute_ratio: none(why),
        bandwidth_ratio: none(why),
        memory: none(why),
        temperature_celsius: none(why),
        slowdown_celsius: none(why),
        shutdown_celsius: none(why),
        power_watts: none(why),
        power_limit_watts: none(why),
        sm_clock_mhz: none(why),
        sm_clock_max_mhz: none(why),
        memory_clock_mhz: none(why),
        fan_ratio: none(why),
        throttle: none(why),
        pcie: none(why),
        ecc: none(why),
        processes: none(why),
    }
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1000.0
}

/// Error correction since the driver was loaded. A card with ECC switched off has no counters.
fn ecc(device: &Device<'_>) -> Result<Ecc, NvmlError> {
    if !device.is_ecc_enabled()?.currently_enabled {
        return Ok(Ecc::default());
    }
    let count = |kind| device.total_ecc_errors(kind, EccCounter::Volatile);
    Ok(Ecc { enabled: true, corrected: count(MemoryError::Corrected)?, uncorrected: count(MemoryError::Uncorrected)? })
}

/// The mask as the driver gives it, with the bits that the wrapper does not name.
fn throttle_bits(device: &Device<'_>) -> Result<u64, NvmlError> {
    match device.current_throttle_reasons_strict() {
        Ok(reasons) => Ok(reasons.bits()),
        Err(NvmlError::IncorrectBits(Bits::U64(bits))) => Ok(bits),
        Err(error) => Err(error),
    }
}

/// The bits of `nvmlClocksEventReason*` that hold clocks down against the operator's wish: not idleness (0x1),
/// application clocks (0x2) or display clocks (0x100).
fn throttle_reasons(bits: u64) -> Vec<ThrottleReason> {
    const REASONS: [(u64, ThrottleReason); 8] = [
        (0x40, ThrottleReason::HardwareThermal),
        (0x20, ThrottleReason::SoftwareThermal),
        (0x80, ThrottleReason::PowerBrake),
        (0x08, ThrottleReason::HardwareSlowdown),
        (0x04, ThrottleReason::PowerCap),
        (0x10, ThrottleReason::SyncBoost),
        (0x200, ThrottleReason::BoardLimit),
        (0x400, ThrottleReason::Reliability),
    ];
    let held = REASONS.iter().filter(|(bit, _)| bits & bit != 0);
    held.map(|(_, reason)| *reason).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_maker() {
        for (full, short) in [
            ("NVIDIA GeForce RTX 4090", "RTX 4090"),
            ("NVIDIA H100 80GB HBM3", "H100 80GB HBM3"),
            ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada Generation"),
            ("GeForce GTX 1080 Ti", "GTX 1080 Ti"),
            ("Tesla T4", "Tesla T4"),
        ] {
            assert_eq!(product(full), short);
        }
    }

    #[test]
    fn what_the_operator_set_is_no_throttling() {
        assert_eq!(throttle_reasons(0x1 | 0x2 | 0x100), []);
        assert_eq!(throttle_reasons(0x7ff).len(), 8, "each of the others is one reason");
        assert_eq!(throttle_reasons(0x1_0000_0000), [], "a bit of the future");
    }
}
