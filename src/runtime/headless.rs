//! A look without a screen: one round of every source, then watching for as long as was asked.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::core::{ASSESS_EVERY, Queue};
use super::keeper::Keeper;
use super::{Core, Setup, async_runtime, scheduling};
use crate::domain::{Event, SourceId};
use crate::store::State;

/// The longest that the first round may take: the longest time-out of a source and a little.
const FIRST_ROUND: Duration = Duration::from_secs(7);
/// Rates need two readings: the first round lasts at least so long.
const SETTLE: Duration = Duration::from_millis(1_200);

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What the verdict needs: a source that costs much and that no rule reads is left out.
    Verdict,
    /// Every source.
    Sources,
    /// Every source, and a while for what takes one to measure.
    Everything,
}

/// Looks at the box: one round of every source, then `watch` longer, with every rule applied as time goes by.
///
/// # Errors
/// When the async runtime cannot be started.
pub fn observe(setup: &Setup, scope: Scope, watch: Duration) -> std::io::Result<State> {
    let runtime = async_runtime()?;
    let state = LocalSet::new().block_on(&runtime, async {
        // A single look waits for no registry: it has what they said to others.
        let (mut core, mut queue) = Core::start(setup, scope, None);
        core.take(Event::Journal(setup.state_dir.journal()));
        core.take(Event::Runs(setup.state_dir.runs()));
        core.take(Event::Updates(Arc::new(setup.update_policy(setup.state_dir.image_rules()))));
        core.take(Event::ImagesSeen(setup.state_dir.images_seen()));
        let memory = setup.state_dir.schedule();
        let schedule =
            scheduling::standings(setup, &memory, &core.state.signatures, (core.clock.now().wall, &core.zone, None));
        core.take(Event::Schedule(schedule));
        core.take(Event::Remembered(setup.state_dir.inventory().into()));
        if let Some(trends) = setup.state_dir.trends() {
            core.take(Event::Trends(trends.into()));
        }
        let began = Instant::now();
        first_round(&mut core, &mut queue, scope, began).await;
        follow(&mut core, &mut queue, began + SETTLE.max(watch)).await;
        core.assess(core.clock.now());
        // What could be seen is told, whether or not it can be kept.
        let (mut keeper, _) = Keeper::start(&setup.state_dir);
        if !setup.read_only {
            keeper.keep_seen(&core.state);
        }
        keeper.finish(&core.state).await;
        core.state
    });
    // A reader that hangs must not hold the answer back.
    runtime.shutdown_background();
    Ok(state)
}

/// Waits until every source was tried once, and all that was asked for is there.
async fn first_round(core: &mut Core, queue: &mut Queue, scope: Scope, began: Instant) {
    let mut batch = Vec::new();
    while !core.state.sources.all_tried() || (scope == Scope::Everything && is_measuring(&core.state)) {
        match timeout_at(began + FIRST_ROUND, queue.take(&mut batch)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => batch.drain(..).for_each(|event| core.take(event)),
        }
    }
    core.assess(core.clock.now());
}

/// Whether the engine has listed what it holds and still measures it, or headers of models are still being read.
fn is_measuring(state: &State) -> bool {
    state.disk.get().is_some_and(|disk| disk.measured.is_none())
        || state.library.get().is_some_and(|library| library.reads_on)
            && state.sources.get(SourceId::DockerDisk).is_some_and(|source| source.failure.is_none())
}

/// Takes events in until `end`, with the rules looking each second.
async fn follow(core: &mut Core, queue: &mut Queue, end: Instant) {
    let mut turns = tokio::time::interval(Duration::from_secs(1));
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = queue.take(&mut batch) => match taken {
                0 => return,
                _ => batch.drain(..).for_each(|event| core.take(event)),
            },
            _ = turns.tick() => {
                let at = core.clock.now();
                core.take(Event::Tick { at });
                core.assess_if_due(ASSESS_EVERY);
            }
            () = sleep_until(end) => return,
        }
    }
}
