//! What was measured, on disk: `history.sqlite` (`SQLite`, write-ahead log).
//!
//! Each minute one row (`recent`) takes what every series was in its six sixths, in one transaction with sketches of
//! latencies and marks: what is committed survives the end of the process at any moment. Every two hours these rows are put
//! into *blocks*, a stretch of one series each, in three [tiers](Tier): 10 s for 2 days, 1 min for 14 days, 10 min for 400
//! days. Blocks are [compressed columns](block). Sketches merge into those of ten minutes, an hour and a day.
//!
//! One process writes ([`SampleWriter`], held by a lock); any number read ([`SampleReader`]). Slots are counted from the Unix
//! epoch, so what is written twice for one time (a clock that was set back) is put together and nothing is lost.

mod block;
mod compact;
mod read;
mod recent;
mod schema;
mod write;

pub use block::Point;
pub use read::{Bucket, SampleReader};
pub use write::{MinuteBatch, SampleWriter};

use std::time::Duration;

use jiff::Timestamp;

/// The file in the state folder.
pub(super) const FILE: &str = "history.sqlite";
/// Held by the one process that writes it.
pub(super) const LOCK: &str = "history.lock";

/// How finely and how long samples are kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tier {
    /// Its number in the database.
    number: i64,
    /// Seconds of a slot.
    slot: i64,
    /// Slots of a block.
    slots: u16,
    /// How long they are kept.
    kept: Duration,
    /// Values are off by so small a part of their spread or usual size at most.
    fineness: f64,
}

/// The tiers, the finest first.
const TIERS: [Tier; 3] = [
    Tier { number: 0, slot: SIXTH, slots: 720, kept: Duration::from_hours(2 * 24), fineness: FINE },
    Tier { number: 1, slot: 60, slots: 1_440, kept: Duration::from_hours(14 * 24), fineness: FINE },
    Tier { number: 2, slot: 600, slots: 1_440, kept: KEPT, fineness: FINE / 4.0 },
];

/// The same of sketches, each a row of its own: what takes a few hundred bytes must be coarser.
const SKETCH_TIERS: [Tier; 4] = [
    Tier { number: 0, slot: 60, slots: 1, kept: Duration::from_hours(6), fineness: FINE },
    Tier { number: 1, slot: 600, slots: 1, kept: Duration::from_hours(4 * 24), fineness: FINE },
    Tier { number: 2, slot: 3_600, slots: 1, kept: Duration::from_hours(90 * 24), fineness: FINE },
    Tier { number: 3, slot: 86_400, slots: 1, kept: KEPT, fineness: FINE },
];

/// A 256th is less than a graph shows; of ten minutes within years a 64th is.
const FINE: f64 = 256.0;
/// How long anything is kept.
const KEPT: Duration = Duration::from_hours(400 * 24);
/// Seconds of the finest slot.
const SIXTH: i64 = 10;
/// Slots of a minute.
pub(super) const SIXTHS: usize = 6;
/// Seconds that rows of minutes wait before they become blocks.
const WINDOW: i64 = 7_200;
/// Series that are kept at most: a full box has about 1,500. What comes on top, such as containers by the thousand, is not kept.
pub const MOST_SERIES: usize = 5_000;

impl Tier {
    /// Seconds of a block.
    fn block(self) -> i64 {
        self.slot * i64::from(self.slots)
    }

    /// The coarsest tier that is as fine as `step`; a coarser one where it does not reach back to `from` any more, after what
    /// was too old at `let_go` has gone.
    fn for_graph(tiers: &[Self], from: i64, let_go: i64, step: i64) -> Self {
        let fits = |tier: &&Self| from >= let_go - tier.kept.as_secs().cast_signed();
        let coarse_enough = tiers.iter().rev().find(|tier| tier.slot <= step).unwrap_or(&tiers[0]);
        let reaching = tiers.iter().find(fits).unwrap_or(&tiers[tiers.len() - 1]);
        if reaching.slot > coarse_enough.slot { *reaching } else { *coarse_enough }
    }
}

/// Seconds since the epoch, rounded down to a multiple of `step`.
fn floor(at: i64, step: i64) -> i64 {
    at.div_euclid(step) * step
}

/// A time of the database; the epoch for one that no clock can show.
fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

#[cfg(test)]
mod tests;
