//! A level with two limits and a distance at which it clears: what keeps a value that sways around its limit from
//! opening and clearing a finding again and again.

pub(super) use crate::domain::Side;
use crate::domain::{Severity, units};

/// Two limits and the distance beyond which an open finding clears.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    /// The bad side.
    pub(super) side: Side,
    /// Where a warning begins.
    pub(super) warning: f64,
    /// Where it becomes critical.
    pub(super) critical: f64,
    /// How far on the good side of a limit the value must be to leave it again.
    pub(super) clear: f64,
}

impl Level {
    /// How grave `value` is and which limit says so, where the finding about it is `open` so gravely now.
    pub(super) fn judge(&self, value: f64, open: Option<Severity>) -> Option<(Severity, f64)> {
        let beyond = |limit: f64, stays: bool| {
            let clear = if stays { self.clear } else { 0.0 };
            match self.side {
                Side::Above => value > limit - clear,
                Side::Below => value < limit + clear,
            }
        };
        if beyond(self.critical, open == Some(Severity::Critical)) {
            Some((Severity::Critical, self.critical))
        } else if beyond(self.warning, open.is_some()) {
            Some((Severity::Warning, self.warning))
        } else {
            None
        }
    }
}

/// A ratio as a percentage, with a decimal where it would otherwise read like the limit that it has crossed.
pub(super) fn percent_beside(ratio: f64, limit: f64) -> String {
    let text = units::percent(ratio);
    if text == units::percent(limit) { units::percent_fine(ratio) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Level = Level { side: Side::Below, warning: 0.20, critical: 0.10, clear: 0.02 };
    const USED: Level = Level { side: Side::Above, warning: 90.0, critical: 97.0, clear: 2.0 };

    #[test]
    fn a_limit_itself_is_not_beyond_it() {
        assert_eq!(FREE.judge(0.20, None), None);
        assert_eq!(FREE.judge(0.1999, None), Some((Severity::Warning, 0.20)));
        assert_eq!(FREE.judge(0.10, None), Some((Severity::Warning, 0.20)));
        assert_eq!(FREE.judge(0.0999, None), Some((Severity::Critical, 0.10)));
        assert_eq!(USED.judge(90.0, None), None);
        assert_eq!(USED.judge(90.1, None), Some((Severity::Warning, 90.0)));
    }

    #[test]
    fn an_open_one_clears_only_beyond_its_clear_level() {
        let warning = Some(Severity::Warning);
        assert_eq!(FREE.judge(0.2199, warning), Some((Severity::Warning, 0.20)));
        assert_eq!(FREE.judge(0.2201, warning), None);
        assert_eq!(USED.judge(88.1, warning), Some((Severity::Warning, 90.0)));
        assert_eq!(USED.judge(88.0, warning), None);
    }

    #[test]
    fn a_critical_one_steps_down_to_a_warning_first() {
        let critical = Some(Severity::Critical);
        assert_eq!(FREE.judge(0.1199, critical), Some((Severity::Critical, 0.10)));
        assert_eq!(FREE.judge(0.13, critical), Some((Severity::Warning, 0.20)));
        assert_eq!(FREE.judge(0.13, Some(Severity::Warning)), Some((Severity::Warning, 0.20)));
        assert_eq!(FREE.judge(0.11, Some(Severity::Warning)), Some((Severity::Warning, 0.20)));
    }

    #[test]
    fn a_percentage_never_reads_like_the_limit_that_it_crossed() {
        assert_eq!(percent_beside(0.17, 0.20), "17%");
        assert_eq!(percent_beside(0.198, 0.20), "19.8%");
    }
}
