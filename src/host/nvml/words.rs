//! NVML's errors in plain words: why a single reading is not there, and why the library could not be opened.

use std::borrow::Cow;

use nvml_wrapper::error::NvmlError;

use super::{Library, driver};
use crate::domain::{Failure, Reading, Why};
use crate::host::{RootedFs, foreign};

/// The status of `nvmlReturn_t` for a structure of a version that the driver does not know
/// (`NVML_ERROR_ARGUMENT_VERSION_MISMATCH`).
const ARGUMENT_VERSION_MISMATCH: u32 = 25;

/// Why a card that is gone answers nothing.
pub(super) const FALLEN: Why = Why(Cow::Borrowed("it has fallen off the bus"));

/// An answer as a reading.
pub(super) fn reading<T>(answer: Result<T, NvmlError>) -> Reading<T> {
    match answer {
        Ok(value) => Reading::Known(value),
        Err(error) => Reading::Unavailable(why(&error)),
    }
}

/// An error as the reason for a missing reading.
pub(super) fn why(error: &NvmlError) -> Why {
    Why::from(match error {
        NvmlError::NotSupported => return Why::NOT_SUPPORTED,
        NvmlError::GpuLost => return FALLEN,
        NvmlError::UnexpectedVariant(ARGUMENT_VERSION_MISMATCH)
        | NvmlError::FailedToLoadSymbol(_)
        | NvmlError::FunctionNotFound => "this driver does not offer it",
        NvmlError::NoPermission => "not permitted",
        NvmlError::ResetRequired => "the card needs a reset",
        NvmlError::InsufficientPower => "the card's power cables are not properly attached",
        NvmlError::IrqIssue => "the card's interrupts do not arrive",
        NvmlError::CorruptedInfoROM => "the card's own memory for its settings is damaged",
        NvmlError::OperatingSystem => "the operating system blocks it",
        NvmlError::InsufficientSize(_) => "it changed while it was read",
        NvmlError::NoData | NvmlError::NotFound => "the driver has no data",
        NvmlError::InUse => "the card is in exclusive use",
        NvmlError::Timeout => "the driver did not answer in time",
        NvmlError::Unknown => "the driver reports an unknown error",
        NvmlError::UnexpectedVariant(code) => {
            return Why::new(format!("the driver answered with code {code}"));
        }
        other => return Why::new(foreign::name(&other.to_string())),
    })
}

/// Why the library could not be opened, and what the operator can do.
pub(super) fn opening(error: &NvmlError, library: &Library, fs: &RootedFs) -> Failure {
    match error {
        NvmlError::LibloadingError(cause) => loading(&cause.to_string(), library, fs),
        NvmlError::FailedToLoadSymbol(_) => {
            Failure::failed(format!("{} is not NVIDIA's management library", library.shown()))
        }
        NvmlError::DriverNotLoaded => not_loaded(library, fs),
        NvmlError::LibRmVersionMismatch => mismatch(fs),
        NvmlError::NoPermission => Failure::denied(
            "this user may not use the NVIDIA driver",
            "join the group that owns /dev/nvidiactl (`ls -l /dev/nvidiactl`), or run hostler as root",
        ),
        NvmlError::GpuLost => Failure::failed("NVML does not start: a card has fallen off the bus").remedy("reboot"),
        other => Failure::failed(format!("NVML does not start: {}", why(other))).remedy("see `sudo dmesg | grep NVRM`"),
    }
}

/// The dynamic loader's own words tell a library that is not there from one that cannot be used.
fn loading(cause: &str, library: &Library, fs: &RootedFs) -> Failure {
    let shown = library.shown();
    if !(cause.contains(&*shown) && cause.contains("No such file or directory")) {
        return Failure::failed(format!("{shown} cannot be loaded: {}", foreign::name(cause)));
    }
    if library.is_named() {
        return Failure::failed(format!("{shown} not found"))
            .remedy("correct HOSTLER_NVML_LIBRARY or the config, or remove the setting");
    }
    match driver::loaded(fs) {
        Reading::Known(version) => Failure::failed(format!(
            "{shown} not found, though the NVIDIA driver {version} is loaded"
        ))
        .remedy("install the driver's libraries of the same version; in a container, give it the GPUs (`--gpus all`)"),
        Reading::Unavailable(_) => Failure::unsupported(format!("{shown} not found: no NVIDIA driver is installed")),
    }
}

fn not_loaded(library: &Library, fs: &RootedFs) -> Failure {
    if let Reading::Known(version) = driver::loaded(fs) {
        return Failure::failed(format!(
            "the NVIDIA driver {version} is loaded, but its device files cannot be opened"
        ))
        .remedy("`sudo nvidia-smi` makes them; in a container, give it the GPUs (`--gpus all`)");
    }
    if driver::cards_on_bus(fs) == Some(0) && !library.is_named() {
        return Failure::unsupported("the NVIDIA driver is not loaded: there is no NVIDIA card in this machine");
    }
    Failure::failed("the NVIDIA driver is not loaded")
        .remedy("`sudo modprobe nvidia`; after an upgrade of the kernel or the driver, reboot")
}

/// The beginning of this sentence is what tells this failure from others.
fn mismatch(fs: &RootedFs) -> Failure {
    let what = match (driver::loaded(fs), driver::on_disk(fs)) {
        (Reading::Known(loaded), Reading::Known(on_disk)) => {
            format!("driver/library version mismatch: {loaded} is loaded, {on_disk} is on disk")
        }
        (Reading::Known(loaded), _) => {
            format!("driver/library version mismatch: {loaded} is loaded, another is on disk")
        }
        (_, Reading::Known(on_disk)) => {
            format!("driver/library version mismatch: {on_disk} is on disk, another is loaded")
        }
        _ => "driver/library version mismatch".to_owned(),
    };
    Failure::failed(what).remedy("reboot, or unload and reload the nvidia modules")
}
