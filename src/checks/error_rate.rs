//! Failed requests among those of a quarter of an hour: what the rules about inference servers and platforms share.

use std::time::Duration;

use super::level::{Level, Side, percent_beside};
use crate::domain::{Observation, Severity, Thresholds, Unit, units};

/// Of fewer requests, or fewer failures, no rate is told.
const REQUESTS: f64 = 20.0;
const FAULTS: f64 = 3.0;

/// An open finding clears a fifth below its limit.
const CLEAR: f64 = 0.2;

/// What was counted within a window.
pub(super) struct Counts {
    /// What it counts, in words: `requests`.
    pub(super) work: &'static str,
    /// The window.
    pub(super) window: Duration,
    pub(super) requests: f64,
    pub(super) faults: f64,
    /// Turned away because there was too much to do.
    pub(super) overloads: f64,
}

impl Counts {
    /// What is so, on top of an observation that names the subject.
    pub(super) fn judge(
        &self,
        limits: &Thresholds,
        open: Option<Severity>,
        observation: impl FnOnce(Severity, String) -> Observation,
    ) -> Option<Observation> {
        if self.requests < REQUESTS || self.faults < FAULTS {
            return None;
        }
        let level = Level {
            side: Side::Above,
            warning: limits.error_rate_warning,
            critical: limits.error_rate_critical,
            clear: limits.error_rate_warning * CLEAR,
        };
        let rate = self.faults / self.requests;
        let (severity, limit) = level.judge(rate, open)?;
        let mut evidence = vec![
            format!("{:.0} of {:.0} {} in {}", self.faults, self.requests, self.work, units::span(self.window)),
            format!("limit {}", units::percent(limit)),
        ];
        if self.overloads > 0.0 {
            evidence.push(format!("{:.0} more turned away because there was too much to do", self.overloads));
        }
        Some(Observation {
            evidence,
            value: Some(rate),
            limit: Some(limit),
            unit: Some(Unit::Ratio),
            ..observation(severity, format!("{} of {} fail", percent_beside(rate, limit), self.work))
        })
    }
}
