//! Does what the schedule says at its times: plans it, holds the plan against what was signed, and starts a worker.

use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use super::Setup;
use super::worker::{self, Order};
use crate::actions::{self, Wish};
use crate::domain::metric::{CPU_USED, GPU_UTILIZATION, INFERENCE_GENERATED};
use crate::domain::{
    Due, LineMemory, Moment, Plan, Risk, ScheduleMemory, ScheduleStanding, Scheduled, Signatures, quietest_hour,
};
use crate::history::{SampleReader, StateDir};
use crate::host::Lane;
use crate::store::State;

/// The time between two looks at the clock.
const EVERY: Duration = Duration::from_secs(20);
/// The time between two looks for the quietest hour.
const LEARN_EVERY: Duration = Duration::from_hours(6);
/// How far back that looks.
const LEARN_FROM: Duration = Duration::from_hours(14 * 24);
/// Answers that may wait.
const QUEUE: usize = 8;

/// What came of something that was begun.
enum Told {
    /// What is remembered from before.
    Memory(ScheduleMemory),
    /// What is to be remembered is kept, or not, because …
    Kept(Result<(), String>),
    /// The quietest hour.
    Quietest(Option<i8>),
    /// A line was begun at this time, or not, because …
    Begun(String, Timestamp, Result<String, String>),
}

/// Looks at the clock, and does what is due.
pub(super) struct Scheduling {
    setup: Rc<Setup>,
    /// The zone that times are set in.
    zone: TimeZone,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
    /// Begun when something is scheduled.
    lane: Option<Lane>,
    /// `None` until the store was read.
    memory: Option<ScheduleMemory>,
    quietest: Option<i8>,
    looked: Option<Moment>,
    learned: Option<Moment>,
}

impl Scheduling {
    /// Begins. What is to be done must be looked for within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(setup: &Setup, zone: TimeZone) -> Self {
        let (tell, told) = mpsc::channel(QUEUE);
        Self {
            setup: Rc::new(setup.clone()),
            zone,
            tell,
            told,
            lane: None,
            memory: None,
            quietest: None,
            looked: None,
            learned: None,
        }
    }

    /// Takes another config.
    pub(super) fn renew(&mut self, setup: &Setup) {
        self.setup = Rc::new(setup.clone());
    }

    /// Looks at the clock where that is due; gives how the schedule stands if it looked.
    pub(super) fn look(&mut self, state: &State, now: Moment) -> Option<Vec<ScheduleStanding>> {
        while let Ok(told) = self.told.try_recv() {
            self.take(told);
        }
        let setup = Rc::clone(&self.setup);
        let lines = &setup.config.schedule;
        if lines.is_empty() {
            // What was taken out of the config is told no more.
            return (!state.schedule.is_empty()).then(Vec::new);
        }
        if self.looked.is_some_and(|before| now.since(before) < EVERY) {
            return None;
        }
        if self.lane.is_none() {
            self.ask(StateDir::schedule, Told::Memory);
        }
        let mut memory = self.memory.take()?;
        self.looked = Some(now);
        self.learn_if_due(now);
        let before = memory.clone();
        // What was taken out of the config is forgotten.
        memory.lines.retain(|name, _| lines.iter().any(|line| line.name == *name));
        for line in lines {
            let known = memory.lines.entry(line.name.clone()).or_default();
            // Of the time before it was first seen nothing was missed.
            let handled = *known.handled.get_or_insert(now.wall);
            match line.due(handled, now.wall, &self.zone, self.quietest) {
                Due::No => {}
                Due::Missed(at) => *known = LineMemory { handled: Some(at), missed: Some(at), ..known.clone() },
                Due::Now(at) => {
                    known.handled = Some(at);
                    if state.signatures.of(line).is_some() {
                        self.begin(line, at);
                    }
                }
            }
        }
        if memory != before {
            self.keep(&memory);
        }
        let standings = standings(&setup, &memory, &state.signatures, (now.wall, &self.zone, self.quietest));
        self.memory = Some(memory);
        Some(standings)
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Memory(memory) => self.memory = Some(memory),
            Told::Kept(Ok(())) => {}
            Told::Kept(Err(why)) => tracing::error!(why, "Could not keep what was scheduled."),
            Told::Quietest(hour) => self.quietest = hour,
            Told::Begun(name, at, begun) => {
                let Some(memory) = &mut self.memory else { return };
                let known = memory.lines.entry(name.clone()).or_default();
                known.missed = None;
                known.refused = match begun {
                    Ok(run) => {
                        tracing::info!(name, run, "Began what was scheduled.");
                        None
                    }
                    Err(why) => {
                        tracing::error!(name, %why, "Could not begin what was scheduled.");
                        Some((at, why))
                    }
                };
                let memory = memory.clone();
                self.keep(&memory);
            }
        }
    }

    /// Plans a line and starts a worker for the plan.
    fn begin(&self, line: &Scheduled, at: Timestamp) {
        let (setup, line, tell) = (Rc::clone(&self.setup), line.clone(), self.tell.clone());
        spawn_local(async move {
            let begun = begin(&setup, &line).await;
            let _nobody = tell.send(Told::Begun(line.name, at, begun)).await;
        });
    }

    fn keep(&mut self, memory: &ScheduleMemory) {
        let memory = memory.clone();
        self.ask(move |dir| dir.remember_schedule(&memory), |kept| Told::Kept(kept.map_err(|error| error.to_string())));
    }

    /// Finds the quietest hour, where a line waits for it.
    fn learn_if_due(&mut self, now: Moment) {
        let is_due = self.learned.is_none_or(|before| now.since(before) >= LEARN_EVERY);
        if !is_due || self.setup.config.schedule.iter().all(|line| line.at.is_some()) {
            return;
        }
        self.learned = Some(now);
        let zone = self.zone.clone();
        self.ask(move |dir| quietest(dir, now.wall, &zone), Told::Quietest);
    }

    /// Does something with the store on a thread of its own; what comes of it is told.
    fn ask<T: Send + 'static>(
        &mut self,
        of: impl FnOnce(&StateDir) -> T + Send + 'static,
        told: impl FnOnce(T) -> Told + 'static,
    ) {
        let (dir, tell) = (self.setup.state_dir.clone(), self.tell.clone());
        let mut reader = self.lane.get_or_insert_with(|| Lane::new("schedule")).reader(|| ());
        spawn_local(async move {
            match reader.read(move |()| of(&dir)).await {
                Ok(answer) => drop(tell.send(told(answer)).await),
                Err(why) => tracing::error!(%why, "The thread of the schedule did not answer."),
            }
        });
    }
}

/// How each line stands at `now`, in this zone, if that is the hour in which the box is used least.
pub(super) fn standings(
    setup: &Setup,
    memory: &ScheduleMemory,
    signatures: &Signatures,
    (now, zone, quietest): (Timestamp, &TimeZone, Option<i8>),
) -> Vec<ScheduleStanding> {
    let standing = |scheduled: &Scheduled| {
        let known = memory.lines.get(&scheduled.name).cloned().unwrap_or_default();
        ScheduleStanding {
            next: scheduled.next(now, zone, quietest),
            signed: signatures.of(scheduled).cloned(),
            missed: known.missed,
            refused: known.refused,
            scheduled: scheduled.clone(),
        }
    };
    setup.config.schedule.iter().map(standing).collect()
}

/// What a line would do now.
///
/// # Errors
/// Why it cannot be done, or must not be done while nobody looks.
pub async fn plan(setup: &Setup, line: &Scheduled) -> Result<Box<Plan>, String> {
    let wish = Wish {
        action: line.action.clone(),
        targets: line.targets.clone(),
        with: line.with.clone(),
        without: line.without.clone(),
        to: None,
    };
    let plan = actions::plan(&setup.desk(), &wish).await.map_err(|refusal| refusal.to_string())?;
    if plan.risk() == Risk::Destructive {
        return Err("data would go; what destroys is only done with somebody there".to_owned());
    }
    Ok(Box::new(plan))
}

async fn begin(setup: &Setup, line: &Scheduled) -> Result<String, String> {
    let plan = plan(setup, line).await?;
    if plan.steps.iter().all(|step| !step.chosen) {
        return Ok("nothing to do".to_owned());
    }
    worker::start(setup, Order::Plan(plan)).await
}

/// The hour in which the box was used least.
fn quietest(dir: &StateDir, now: Timestamp, zone: &TimeZone) -> Option<i8> {
    let mut reader = SampleReader::open(dir).ok()??;
    let wanted = [CPU_USED.name, GPU_UTILIZATION.name, INFERENCE_GENERATED.name];
    let keys = reader.series().ok()?.into_iter().filter(|key| wanted.contains(&&*key.name));
    let mut series = Vec::new();
    for key in keys {
        let hours = reader.read(&key, (now - LEARN_FROM, now), 3_600).ok()?;
        series.push(hours.iter().map(|bucket| (bucket.at, bucket.mean)).collect());
    }
    quietest_hour(&series, zone)
}
