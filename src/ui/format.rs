//! How readings become pieces: one way for every tab.

use std::borrow::Cow;

use crate::domain::{Reading, Thresholds, units};

use super::canvas::{Piece, Pieces, piece};
use super::theme::Role;

/// A reading written by `write`, or the sign of an absent value.
pub fn reading<'a, T: Copy>(
    value: &Reading<T>,
    none: &'static str,
    role: Role,
    write: impl FnOnce(T) -> String,
) -> Piece<'a> {
    match value.get() {
        Some(value) => piece(role, write(value)),
        None => piece(Role::Faint, none),
    }
}

/// A label and its value, as on the vitals line.
pub fn labelled<'a>(label: &'a str, value: impl Into<Cow<'a, str>>, role: Role) -> Pieces<'a> {
    vec![piece(Role::Muted, label), piece(role, format!(" {}", value.into()))]
}

/// The role of a free ratio: below the limits it warns.
pub fn free_role(free: f64, thresholds: &Thresholds) -> Role {
    if free < thresholds.disk_free_critical {
        Role::Critical
    } else if free < thresholds.disk_free_warning {
        Role::Warning
    } else {
        Role::Ok
    }
}

/// The role of a temperature: above the limits it warns.
pub fn temperature_role(celsius: f64, thresholds: &Thresholds) -> Role {
    if celsius > thresholds.gpu_temperature_critical {
        Role::Critical
    } else if celsius > thresholds.gpu_temperature_warning {
        Role::Warning
    } else {
        Role::Ok
    }
}

/// The role of memory use: above the limits it warns.
pub fn memory_role(used: f64, thresholds: &Thresholds) -> Role {
    if used > thresholds.memory_used_critical {
        Role::Critical
    } else if used > thresholds.memory_used_warning {
        Role::Warning
    } else {
        Role::Text
    }
}

/// Cores as a percentage of one core: `11.9%`, `231%`.
pub fn cores(cores: f64) -> String {
    let percent = cores * 100.0;
    if percent >= 99.95 { format!("{percent:.0}%") } else { format!("{percent:.1}%") }
}

/// Bytes for a narrow column.
pub fn narrow_bytes(bytes: u64) -> String {
    units::bytes_short(bytes)
}
