//! What a reading's role is against its limits, and how use is written: one way for every tab.

use crate::domain::Thresholds;

use super::theme::Role;

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
