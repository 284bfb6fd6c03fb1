//! A rule of the operator's own: one limit over every series that a selector names.

use std::time::Duration;

use super::{FindingId, SeriesKey, Severity};

/// On which side of a limit a value is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Side {
    /// `above` or `below`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether `value` is beyond `limit` on the bad side; the limit itself is not.
    pub fn is_beyond(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::Below => value < limit,
        }
    }
}

/// One limit. It lives as long as the process, as hostler's own rules do.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRule {
    /// The id of the rule and of its findings, such as `disk.root-tight`.
    pub id: FindingId,
    /// Which series: those of this metric with all of these labels.
    pub series: SeriesKey,
    /// The bad side.
    pub side: Side,
    /// The limit, in base units.
    pub limit: f64,
    /// An open finding clears here, in base units: on the good side of the limit, or the limit itself.
    pub clear: f64,
    /// How long it must last.
    pub hold_for: Duration,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, in a clause without the subject; `None` to say the value.
    pub text: Option<&'static str>,
    /// Why it is a finding: what the config says, in a sentence.
    pub why: &'static str,
}
