//! The limits that rules hold the box against. The config may change each of them.

use std::time::Duration;

use super::SeriesRule;

/// Every limit, with the defaults of the maintenance guide (design §4).
#[derive(Debug, Clone, PartialEq)]
pub struct Thresholds {
    /// `disk.free`, `disk.inodes`: warning below this free ratio.
    pub disk_free_warning: f64,
    /// `disk.free`, `disk.inodes`: critical below this free ratio.
    pub disk_free_critical: f64,
    /// `memory.used`: warning above this used ratio.
    pub memory_used_warning: f64,
    /// `memory.used`: critical above this used ratio.
    pub memory_used_critical: f64,
    /// `memory.used`: how long it must last.
    pub memory_hold_for: Duration,
    /// `gpu.temperature`: warning above, °C.
    pub gpu_temperature_warning: f64,
    /// `gpu.temperature`: critical above, °C (or at the card's own slowdown threshold).
    pub gpu_temperature_critical: f64,
    /// `gpu.temperature`, `gpu.throttle`: how long it must last.
    pub gpu_hold_for: Duration,
    /// `container.restart-loop`: automatic restarts within the window.
    pub restart_count: u32,
    /// `container.restart-loop`: the window.
    pub restart_window: Duration,
    /// `container.restart-loop`: stable for so long, it clears.
    pub restart_clear: Duration,
    /// `container.oom`: it stays for so long after the last kill.
    pub oom_window: Duration,
    /// `inference.error-rate`, `platform.error-rate`: warning above this ratio of failed requests.
    pub error_rate_warning: f64,
    /// The same, critical.
    pub error_rate_critical: f64,
    /// The operator's own rules, over any series.
    pub own: Vec<SeriesRule>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            disk_free_warning: 0.20,
            disk_free_critical: 0.10,
            memory_used_warning: 0.90,
            memory_used_critical: 0.97,
            memory_hold_for: Duration::from_mins(1),
            gpu_temperature_warning: 85.0,
            gpu_temperature_critical: 90.0,
            gpu_hold_for: Duration::from_secs(30),
            restart_count: 3,
            restart_window: Duration::from_mins(5),
            restart_clear: Duration::from_mins(10),
            oom_window: Duration::from_hours(1),
            error_rate_warning: 0.01,
            error_rate_critical: 0.10,
            own: Vec::new(),
        }
    }
}
