//! Fifteen minutes of each platform's counters.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::domain::{ContainerId, Moment, PlatformSample, Reading, RequestCounts};

/// What the counters of each platform have risen by, as far back as [`PlatformCounters::WINDOW`].
#[derive(Debug, Clone, Default)]
pub struct PlatformCounters(HashMap<ContainerId, Track>);

#[derive(Debug, Clone)]
struct Track {
    /// As they were read last.
    last: RequestCounts,
    /// What they had risen by since they were first read, oldest first. Only the first may be older than the window.
    risen: VecDeque<(Duration, RequestCounts)>,
}

impl PlatformCounters {
    /// How far back a rate is judged.
    pub const WINDOW: Duration = Duration::from_mins(15);

    /// What a platform's counters rose by within the window that ends with their last reading. `None` until all of it has
    /// been seen.
    pub fn within_window(&self, platform: &ContainerId) -> Option<RequestCounts> {
        let risen = &self.0.get(platform)?.risen;
        let ((began, first), (ended, last)) = (risen.front()?, risen.back()?);
        let seen = ended.saturating_sub(*began) >= Self::WINDOW;
        seen.then(|| RequestCounts { total: last.total - first.total, failed: last.failed - first.failed })
    }

    /// Takes in what platforms say. One that says nothing for a whole window is forgotten.
    pub(super) fn sampled(&mut self, sample: &PlatformSample, at: Moment) {
        for platform in &sample.platforms {
            if let Reading::Known(counts) = &platform.requests {
                let new = || Track { last: *counts, risen: VecDeque::new() };
                self.0.entry(platform.container.clone()).or_insert_with(new).read(*counts, at.mono);
            }
        }
        self.0.retain(|_, track| {
            track.risen.back().is_some_and(|(last, _)| at.mono.saturating_sub(*last) < Self::WINDOW)
        });
    }
}

impl Track {
    fn read(&mut self, counts: RequestCounts, at: Duration) {
        let before = self.risen.back().map(|(_, risen)| *risen).unwrap_or_default();
        // A counter that has fallen began anew at 0, and the other with it.
        let restarted = counts.total < self.last.total || counts.failed < self.last.failed;
        let from = if restarted { RequestCounts::default() } else { self.last };
        let risen = RequestCounts {
            total: before.total.saturating_add(counts.total - from.total),
            failed: before.failed.saturating_add(counts.failed - from.failed),
        };
        self.last = counts;
        self.risen.push_back((at, risen));
        while self.risen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= PlatformCounters::WINDOW) {
            self.risen.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::PlatformKind;
    use crate::make::{container_id, moment, platform};

    struct Counted(PlatformCounters);

    impl Counted {
        fn at(&mut self, second: u64, total: u64, failed: u64) -> Option<(u64, u64)> {
            self.0.sampled(
                &PlatformSample { platforms: vec![platform(PlatformKind::N8n, "n8n", total, failed)] },
                moment(second),
            );
            self.0.within_window(&container_id("n8n")).map(|counts| (counts.total, counts.failed))
        }
    }

    #[test]
    fn only_a_whole_window_is_told_and_it_moves_on() {
        let mut counted = Counted(PlatformCounters::default());
        assert_eq!(counted.at(0, 1000, 90), None, "what was before is not of this window");
        assert_eq!(counted.at(450, 1010, 91), None);
        assert_eq!(counted.at(899, 1020, 92), None);
        assert_eq!(counted.at(900, 1030, 93), Some((30, 3)));
        assert_eq!(counted.at(1350, 1030, 93), Some((20, 2)));
        assert_eq!(counted.at(1400, 1030, 93), Some((20, 2)), "no reading lies just 15 minutes back");
        assert_eq!(counted.at(1800, 1030, 93), Some((0, 0)));
    }

    #[test]
    fn counters_that_fall_began_anew() {
        let mut counted = Counted(PlatformCounters::default());
        counted.at(0, 1000, 90);
        counted.at(300, 1010, 95);
        counted.at(600, 4, 1);
        assert_eq!(counted.at(900, 6, 1), Some((16, 6)));
        // Of the two only one need show it.
        assert_eq!(counted.at(1200, 10, 0), Some((6 + 10, 1)));
    }

    #[test]
    fn only_what_is_in_the_window_is_kept() {
        let mut counted = Counted(PlatformCounters::default());
        for second in 0..10_000 {
            counted.at(second, second, 0);
        }
        assert_eq!(counted.0.0[&container_id("n8n")].risen.len(), 901);
        counted.0.sampled(&PlatformSample::default(), moment(10_500));
        assert!(counted.0.within_window(&container_id("n8n")).is_some(), "it may come back");
        counted.0.sampled(&PlatformSample::default(), moment(11_000));
        assert!(counted.0.0.is_empty());
    }
}
