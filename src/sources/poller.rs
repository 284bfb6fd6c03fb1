//! The one poll loop: interval with missed turns skipped, first reading at once, time-out, exponential backoff,
//! refresh-now, pause.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{Source, SourceSpec};
use crate::domain::{Event, Failure, backoff};
use crate::host::Clock;

/// What the runtime wishes of a poller. The latest wish wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Raised by one for each refresh that is asked for.
    pub refresh: u64,
    /// Read nothing until this is false again.
    pub paused: bool,
}

/// The longest wait after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Repeats `source` until the store is gone. `period` is the time between two readings.
pub async fn run(
    spec: &'static SourceSpec,
    mut source: Box<dyn Source>,
    period: Duration,
    clock: Clock,
    events: mpsc::Sender<Event>,
    mut wishes: watch::Receiver<Wish>,
) {
    let mut turns = interval(period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut failures = 0_u32;
    // What was asked for before the first reading is answered by it.
    let mut seen = 0;
    loop {
        if failures == 0 {
            tokio::select! {
                _ = turns.tick() => {}
                asked = refresh_asked(&mut wishes, seen) => if !asked { return },
            }
        } else {
            tokio::select! {
                () = sleep(wait_after(period, failures)) => {}
                asked = refresh_asked(&mut wishes, seen) => if !asked { return },
            }
            turns.reset();
        }
        if wishes.wait_for(|wish| !wish.paused).await.is_err() {
            return;
        }
        // One that is asked for from here on comes after this reading: it may have missed what the wish is about.
        seen = wishes.borrow().refresh;
        let event = read_once(spec, source.as_mut(), clock).await;
        failures = if matches!(event, Event::Sampled { .. }) { 0 } else { failures.saturating_add(1) };
        if events.send(event).await.is_err() {
            return;
        }
    }
}

/// One reading within its time-out, as the event that it makes.
pub async fn read_once(spec: &SourceSpec, source: &mut dyn Source, clock: Clock) -> Event {
    let began = Instant::now();
    let read = timeout(spec.timeout, source.poll()).await;
    let at = clock.now();
    match read {
        Ok(Ok(read)) => Event::Sampled { sample: read.sample, detail: read.detail, at },
        Ok(Err(failure)) => {
            tracing::warn!(source = %spec.id, %failure, "A source failed.");
            Event::SourceFailed { source: spec.id, failure, at }
        }
        Err(_) => {
            let waited = crate::domain::units::span(began.elapsed());
            tracing::warn!(source = %spec.id, waited, "A source did not answer.");
            Event::SourceFailed { source: spec.id, failure: Failure::failed(format!("no answer within {waited}")), at }
        }
    }
}

/// Waits until a refresh is asked for beyond those that were `seen`; false when nobody can ask any more.
async fn refresh_asked(wishes: &mut watch::Receiver<Wish>, seen: u64) -> bool {
    wishes.wait_for(|wish| wish.refresh != seen).await.is_ok()
}

/// The wait after `failures` in a row: doubles from the interval, at least a second, at most [`BACKOFF_MAX`].
fn wait_after(period: Duration, failures: u32) -> Duration {
    backoff(period.max(Duration::from_secs(1)), BACKOFF_MAX.max(period), failures)
}
