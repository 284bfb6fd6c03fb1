//! The time: the only place that asks for it.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::domain::Moment;

/// A clock that counts from its own start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins at zero now.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the time")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// A clock whose monotonic time is `ago` already, for a made-up box with a past.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the time")]
    pub fn started_before(ago: Duration) -> Self {
        let now = Instant::now();
        Self { started: now.checked_sub(ago).unwrap_or(now) }
    }

    /// This moment, on both clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the time")]
    pub fn now(self) -> Moment {
        Moment { mono: self.started.elapsed(), wall: Timestamp::now() }
    }
}
