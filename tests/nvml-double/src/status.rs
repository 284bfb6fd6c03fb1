//! The return codes of the library, each with the name that a script uses for it and the sentence
//! that `nvmlErrorString` gives.

use std::ffi::CStr;

use nvml_wrapper_sys::bindings::{self as nvml, nvmlReturn_t};
use serde::Deserialize;

/// What a call answers: a value, or the code of a failure.
pub(crate) type Answer<T = ()> = Result<T, Status>;

/// The code of a failure; never the code of success.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub(crate) struct Status(nvmlReturn_t);

impl Status {
    pub(crate) const GPU_IS_LOST: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST);
    pub(crate) const INSUFFICIENT_SIZE: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE);
    pub(crate) const INVALID_ARGUMENT: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT);
    pub(crate) const NOT_FOUND: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND);
    pub(crate) const NOT_SUPPORTED: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED);
    pub(crate) const TIMEOUT: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_TIMEOUT);
    pub(crate) const UNINITIALIZED: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED);
    pub(crate) const UNKNOWN: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN);
    pub(crate) const VERSION_MISMATCH: Self = Self(nvml::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH);

    /// The number that goes over the border to C.
    pub(crate) const fn code(self) -> nvmlReturn_t {
        self.0
    }
}

impl TryFrom<String> for Status {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        STATUSES.iter().find(|(_, known, _)| *known == name).map(|(code, _, _)| Self(*code)).ok_or_else(|| {
            let names: Vec<_> = STATUSES.iter().map(|(_, name, _)| *name).collect();
            format!("unknown error `{name}`; known are: {}", names.join(", "))
        })
    }
}

/// The sentence for a return code.
pub(crate) fn sentence(code: nvmlReturn_t) -> &'static CStr {
    if code == nvml::nvmlReturn_enum_NVML_SUCCESS {
        return c"Success";
    }
    STATUSES.iter().find(|(known, _, _)| *known == code).map_or(c"Unknown return code", |(_, _, sentence)| *sentence)
}

#[rustfmt::skip]
const STATUSES: &[(nvmlReturn_t, &str, &CStr)] = &[
    (nvml::nvmlReturn_enum_NVML_ERROR_UNINITIALIZED, "uninitialized", c"Uninitialized"),
    (nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT, "invalid-argument", c"Invalid Argument"),
    (nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED, "not-supported", c"Not Supported"),
    (nvml::nvmlReturn_enum_NVML_ERROR_NO_PERMISSION, "no-permission", c"Insufficient Permissions"),
    (nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND, "not-found", c"Not Found"),
    (nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_SIZE, "insufficient-size", c"Insufficient Size"),
    (nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_POWER, "insufficient-power", c"Insufficient External Power"),
    (nvml::nvmlReturn_enum_NVML_ERROR_DRIVER_NOT_LOADED, "driver-not-loaded", c"Driver Not Loaded"),
    (nvml::nvmlReturn_enum_NVML_ERROR_TIMEOUT, "timeout", c"Timeout"),
    (nvml::nvmlReturn_enum_NVML_ERROR_IRQ_ISSUE, "irq-issue", c"Interrupt Request Issue"),
    (nvml::nvmlReturn_enum_NVML_ERROR_LIBRARY_NOT_FOUND, "library-not-found", c"NVML Shared Library Not Found"),
    (nvml::nvmlReturn_enum_NVML_ERROR_FUNCTION_NOT_FOUND, "function-not-found", c"Function Not Found"),
    (nvml::nvmlReturn_enum_NVML_ERROR_CORRUPTED_INFOROM, "corrupted-inforom", c"Corrupted infoROM"),
    (nvml::nvmlReturn_enum_NVML_ERROR_GPU_IS_LOST, "gpu-lost", c"GPU is lost"),
    (nvml::nvmlReturn_enum_NVML_ERROR_RESET_REQUIRED, "reset-required", c"GPU requires reset"),
    (nvml::nvmlReturn_enum_NVML_ERROR_OPERATING_SYSTEM, "operating-system", c"GPU access blocked by the operating system"),
    (nvml::nvmlReturn_enum_NVML_ERROR_LIB_RM_VERSION_MISMATCH, "lib-rm-version-mismatch", c"Driver/library version mismatch"),
    (nvml::nvmlReturn_enum_NVML_ERROR_IN_USE, "in-use", c"In use by another client"),
    (nvml::nvmlReturn_enum_NVML_ERROR_MEMORY, "memory", c"Insufficient Memory"),
    (nvml::nvmlReturn_enum_NVML_ERROR_NO_DATA, "no-data", c"No data"),
    (nvml::nvmlReturn_enum_NVML_ERROR_INSUFFICIENT_RESOURCES, "insufficient-resources", c"Insufficient Resources"),
    (nvml::nvmlReturn_enum_NVML_ERROR_ARGUMENT_VERSION_MISMATCH, "argument-version-mismatch", c"Argument Version Mismatch"),
    (nvml::nvmlReturn_enum_NVML_ERROR_DEPRECATED, "deprecated", c"Deprecated"),
    (nvml::nvmlReturn_enum_NVML_ERROR_NOT_READY, "not-ready", c"Not Ready"),
    (nvml::nvmlReturn_enum_NVML_ERROR_GPU_NOT_FOUND, "gpu-not-found", c"GPU Not Found"),
    (nvml::nvmlReturn_enum_NVML_ERROR_INVALID_STATE, "invalid-state", c"Invalid State"),
    (nvml::nvmlReturn_enum_NVML_ERROR_UNKNOWN, "unknown", c"Unknown Error"),
];
