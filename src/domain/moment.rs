//! A point in time as the store sees it: the wall clock for people, a monotonic clock for arithmetic.

use std::time::Duration;

use jiff::Timestamp;

/// When something was seen. `mono` never jumps, so ages and hold-for times are computed from it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Time since the process started.
    pub mono: Duration,
    /// Coordinated universal time, for display and records.
    pub wall: Timestamp,
}

impl Moment {
    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.mono.saturating_sub(earlier.mono)
    }

    /// The time from a wall-clock instant (a container's start, say) to `self`; zero if it lies in the future.
    #[must_use]
    pub fn since_wall(self, earlier: Timestamp) -> Duration {
        Duration::try_from(self.wall.duration_since(earlier)).unwrap_or_default()
    }

    /// The moment `by` later, on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self { mono: self.mono + by, wall: self.wall.checked_add(by).unwrap_or(self.wall) }
    }
}
