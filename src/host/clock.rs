//! The time: the only place that asks for it.

use std::time::Instant;

use jiff::Timestamp;

use crate::domain::Moment;

/// A clock that counts from its own start.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic time begins at zero now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the time"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// This moment, on both clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the time"
    )]
    pub fn now(self) -> Moment {
        Moment {
            mono: self.started.elapsed(),
            wall: Timestamp::now(),
        }
    }
}
