//! Errors among requests: where a rate of faults becomes a finding.

use super::level::{Level, Side};
use crate::domain::Severity;

/// Faults among requests: a warning above one in a hundred, critical above one in ten. An open finding clears a quarter below.
const RATE: Level = Level { side: Side::Above, warning: 0.01, critical: 0.10, clear: 0.0025 };
/// Among fewer requests a rate says nothing.
const REQUESTS: u64 = 20;
/// Fewer faults are chance.
const FAULTS: u64 = 3;

/// The rate of `failed` among `total` requests, how grave it is and which limit says so, where the finding about it is
/// `open` so gravely now.
pub(super) fn judge(total: u64, failed: u64, open: Option<Severity>) -> Option<(f64, Severity, f64)> {
    if total < REQUESTS || failed < FAULTS {
        return None;
    }
    let rate = failed as f64 / total as f64;
    let (severity, limit) = RATE.judge(rate, open)?;
    Some((rate, severity, limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn severity(total: u64, failed: u64, open: Option<Severity>) -> Option<Severity> {
        judge(total, failed, open).map(|(_, severity, _)| severity)
    }

    #[test]
    fn few_requests_and_few_faults_say_nothing() {
        assert_eq!(severity(19, 19, None), None);
        assert_eq!(severity(20, 2, None), None);
        assert_eq!(severity(20, 3, None), Some(Severity::Critical));
        assert_eq!(severity(0, 0, None), None);
    }

    #[test]
    fn the_limits_are_one_and_ten_in_a_hundred() {
        assert_eq!(severity(300, 3, None), None);
        assert_eq!(severity(299, 3, None), Some(Severity::Warning));
        assert_eq!(severity(100, 10, None), Some(Severity::Warning));
        assert_eq!(severity(100, 11, None), Some(Severity::Critical));
    }

    #[test]
    fn an_open_one_clears_below_its_limit() {
        assert_eq!(severity(390, 3, Some(Severity::Warning)), Some(Severity::Warning));
        assert_eq!(severity(410, 3, Some(Severity::Warning)), None);
    }
}
