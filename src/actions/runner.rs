//! The one runner: carries a plan out step by step, writes down each one before and after, and takes back what was done
//! where the plan says so.
//!
//! The run's file is the only state. A runner that takes up a run whose worker died reads there how far it came: a step that
//! had begun and not ended is begun again, which its operation bears.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Desk;
use super::ops::{self, Bench, Done, Trouble};
use crate::domain::{Outcome, Plan, Run, RunEntry, RunRecord, Step, StepState, units};
use crate::history::{HistoryError, LockError, RunFile, StateDir, new_run_id};
use crate::host::login_name;

/// The time between two looks whether somebody asked for the end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a run waits for an engine that is away before it takes back: one that is upgraded comes back within that.
const ENGINE_PATIENCE: Duration = Duration::from_mins(3);

/// How a runner begins.
#[derive(Debug)]
pub enum Start {
    /// A new run.
    Plan(Box<Plan>),
    /// To finish what a worker that died left undone.
    Finish(String),
    /// To take back what was done: by a worker that died, or by a run that ended.
    TakeBack(String),
}

/// Carries out one run.
pub struct Runner<'a> {
    desk: &'a Desk,
    file: RunFile,
    run: Run,
    /// To take back rather than to finish.
    back: bool,
    /// Somebody who knows how it ended asked to take it back.
    insisted: bool,
    /// What was to go and stayed, a clause each.
    stayed: Vec<String>,
    /// Of every step that was to free something it is known how much that was.
    told: bool,
}

/// Why a step did not end well.
enum Stop {
    Trouble(Trouble),
    Cancelled,
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl<'a> Runner<'a> {
    /// Writes the intent down and takes the locks. Nothing has been changed when this fails.
    ///
    /// # Errors
    /// When the state folder cannot be written, or another run works on a target.
    pub fn begin(desk: &'a Desk, start: Start) -> Result<Self, LockError> {
        let (file, run, back) = match start {
            Start::Plan(plan) => Self::new_run(desk, *plan)?,
            Start::Finish(id) => Self::take_up(desk, &id, false)?,
            Start::TakeBack(id) => Self::take_up(desk, &id, true)?,
        };
        let insisted = back && run.ended.is_some();
        Ok(Self { desk, file, run, back, insisted, stayed: Vec::new(), told: true })
    }

    fn new_run(desk: &'a Desk, plan: Plan) -> Result<(RunFile, Run, bool), LockError> {
        let at = desk.ports.clock.now().wall;
        let id = new_run_id(at);
        let record = RunRecord { at, entry: StateDir::planned(&id, plan) };
        let run = Run::begin(&record).ok_or(HistoryError::NoFolder)?;
        let mut file = RunFile::create(&desk.state_dir, &id)?;
        file.write(&record, true)?;
        let mut locked = Self { desk, file, run, back: false, insisted: false, stayed: Vec::new(), told: true };
        if let Err(error) = locked.file.lock(&desk.state_dir, &locked.run.plan.locks) {
            // The intent is written: it must not look like a run whose worker died.
            locked.end(Outcome::Failed, format!("not begun: {error}"));
            return Err(error);
        }
        Ok((locked.file, locked.run, false))
    }

    fn take_up(desk: &Desk, id: &str, back: bool) -> Result<(RunFile, Run, bool), LockError> {
        let (mut file, run) = RunFile::take_up(&desk.state_dir, id)?;
        file.lock(&desk.state_dir, &run.plan.locks)?;
        let record = RunRecord { at: desk.ports.clock.now().wall, entry: RunEntry::Resumed { back, by: login_name() } };
        file.write(&record, true)?;
        Ok((file, run, back))
    }

    /// The run's id.
    pub fn id(&self) -> &str {
        &self.run.id
    }

    /// Carries it out to its end, and says how that was.
    pub async fn work(mut self) -> Outcome {
        if self.back {
            return self.take_back(Outcome::RolledBack, "it was asked for".to_owned()).await;
        }
        if self.run.plan.is_empty() {
            let why = self.run.plan.why_nothing();
            return self.end(Outcome::NothingToDo, why);
        }
        self.tell_left_out();
        let steps: Vec<usize> = self.run.plan.chosen().map(|(index, _)| index).collect();
        for index in steps {
            if self.run.steps[index] == StepState::Done {
                continue;
            }
            match self.step(index).await {
                Ok(()) => {}
                Err(Stop::Cancelled) => {
                    return self.stopped(Outcome::Cancelled, "somebody cancelled it".to_owned()).await;
                }
                Err(Stop::Trouble(Trouble(why))) => {
                    // A guard that does not hold stops a step before it begins.
                    if self.run.steps[index] != StepState::Waiting {
                        self.tell(RunEntry::Failed { step: index, back: false, why: why.clone() }, true);
                    }
                    return self.stopped(Outcome::Failed, why).await;
                }
            }
        }
        let text = self.run.plan.summary_of_success((self.run.freed, self.told), &self.stayed);
        self.end(Outcome::Succeeded, text)
    }

    /// Says which optional steps are not carried out.
    fn tell_left_out(&mut self) {
        let left = self.run.plan.steps.iter().filter(|step| !step.chosen);
        let said: Vec<String> = left.map(|step| format!("left out: {}", step.title)).collect();
        for text in said {
            self.tell(RunEntry::Said { text }, false);
        }
    }

    /// One step: its guards, then its operation.
    async fn step(&mut self, index: usize) -> Result<(), Stop> {
        if self.file.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let step = self.run.plan.steps[index].clone();
        // What a worker that died had begun may have broken its own guards.
        let begun_before = self.run.steps[index] != StepState::Waiting;
        if !begun_before {
            self.guard(&step).await?;
        }
        self.tell(RunEntry::Began { step: index, back: false }, true);
        let done = self.perform(&step.op, ops::may_be_broken_off(&step.op)).await?;
        self.finished(index, false, done);
        Ok(())
    }

    async fn guard(&self, step: &Step) -> Result<(), Trouble> {
        for guard in &step.guards {
            ops::holds(guard, self.desk.docker().await?).await?;
        }
        Ok(())
    }

    async fn perform(&mut self, op: &crate::domain::Op, may_be_broken_off: bool) -> Result<Done, Stop> {
        // A second handle looks for the wish to cancel while the file is written to.
        let cancel = self.file.cancel_wish();
        tokio::select! {
            done = ops::perform(op, self.desk, &self.run, &mut self.file) => Ok(done?),
            () = wished(&cancel), if may_be_broken_off => Err(Stop::Cancelled),
        }
    }

    /// A step did not end well: what was done is taken back where the plan says so.
    async fn stopped(mut self, outcome: Outcome, why: String) -> Outcome {
        if self.run.plan.rolls_back && self.run.can_be_taken_back() {
            if !self.engine_is_back().await {
                let text = format!("{why}; nothing is taken back yet: when it runs, `hostler undo {}`", self.run.id);
                return self.end(Outcome::Failed, text);
            }
            let outcome = if outcome == Outcome::Failed { Outcome::RolledBack } else { outcome };
            return self.take_back(outcome, why).await;
        }
        let freed = self.run.freed.map(|freed| format!(", after {} were freed", units::bytes(freed)));
        self.end(outcome, format!("{why}{}", freed.unwrap_or_default()))
    }

    /// Waits until the engine answers, where the plan needs it; not for ever.
    async fn engine_is_back(&mut self) -> bool {
        if !self.needs_engine() {
            return true;
        }
        let began = Instant::now();
        loop {
            let answer = match self.desk.docker().await {
                Ok(docker) => docker.ping().await,
                Err(failure) => Err(failure),
            };
            let waited = began.elapsed();
            if answer.is_ok() || waited >= ENGINE_PATIENCE {
                return answer.is_ok();
            }
            let text = "the engine is away; waiting for it".to_owned();
            self.tell(RunEntry::Progress { text, done: waited.as_secs(), total: ENGINE_PATIENCE.as_secs() }, false);
            sleep(LOOK_EVERY * 5).await;
        }
    }

    /// Whether anything in the plan is done, or taken back, by the container engine.
    fn needs_engine(&self) -> bool {
        let ops = self.run.plan.steps.iter().flat_map(|step| step.undo.iter().chain([&step.op]));
        ops.into_iter().any(ops::needs_engine)
    }

    /// One operation that takes back. An engine that is about to restart still answers, and then fails at what it is asked: so
    /// it is asked once more, as every operation bears.
    async fn take_one_back(&mut self, op: &crate::domain::Op) -> Result<Done, Stop> {
        match self.perform(op, false).await {
            Err(Stop::Trouble(_)) if !self.back => {
                sleep(LOOK_EVERY * 5).await;
                self.engine_is_back().await;
                self.perform(op, false).await
            }
            done => done,
        }
    }

    /// Takes back every step that had begun, the last one first.
    async fn take_back(mut self, outcome: Outcome, why: String) -> Outcome {
        self.tell(RunEntry::RollingBack { why: why.clone() }, true);
        if let Err(Trouble(against)) = self.may_go_back().await {
            return self.end(Outcome::Failed, format!("{why}; {against}"));
        }
        let begun = |state: &StepState| !matches!(state, StepState::Waiting | StepState::TakenBack);
        let steps: Vec<usize> =
            (0..self.run.steps.len()).rev().filter(|index| begun(&self.run.steps[*index])).collect();
        let mut troubles = Vec::new();
        for index in steps {
            let undo = self.run.plan.steps[index].undo.clone();
            if undo.is_empty() {
                continue;
            }
            self.tell(RunEntry::Began { step: index, back: true }, true);
            let mut text = Vec::new();
            for op in &undo {
                match self.take_one_back(op).await {
                    Ok(done) => text.extend((!done.text.is_empty()).then_some(done.text)),
                    Err(Stop::Cancelled) => {}
                    Err(Stop::Trouble(Trouble(why))) => {
                        self.tell(RunEntry::Failed { step: index, back: true, why: why.clone() }, true);
                        troubles.push(why);
                    }
                }
            }
            if troubles.is_empty() {
                self.finished(index, true, Done::saying(text.join("; ")));
            }
        }
        if troubles.is_empty() {
            let how = if outcome == Outcome::Cancelled { "cancelled and taken back" } else { "taken back" };
            return self.end(outcome, format!("{how}: {why}"));
        }
        self.end(Outcome::Failed, format!("{why}; and it could not be taken back: {}", troubles.join("; ")))
    }

    /// Whether data allows to take it back.
    async fn may_go_back(&mut self) -> Result<(), Trouble> {
        // What is not taken back by itself has no data that must go back with it.
        if self.insisted || !self.run.plan.rolls_back || !self.needs_engine() {
            return Ok(());
        }
        let mut bench = Bench::open(self.desk, &self.run, &mut self.file).await?;
        ops::may_go_back(&mut bench, &self.run).await
    }

    fn finished(&mut self, step: usize, back: bool, done: Done) {
        let stayed = done.stayed.iter().map(|what| format!("stayed: {what}"));
        let text = (!done.text.is_empty()).then_some(done.text.clone()).into_iter().chain(stayed);
        let text = text.collect::<Vec<_>>().join("; ");
        self.told &= done.freed.is_some() || self.run.plan.steps[step].bytes.is_none_or(|bytes| bytes == 0);
        self.stayed.extend(done.stayed);
        self.tell(RunEntry::Finished { step, back, text, freed: done.freed }, true);
    }

    fn end(&mut self, outcome: Outcome, text: String) -> Outcome {
        let freed = self.run.freed;
        self.tell(RunEntry::Ended { outcome, text, freed }, true);
        outcome
    }

    /// Writes one record. A disk that takes nothing must not leave a service half replaced: the run goes on, and what it did
    /// can be read from the containers' names.
    fn tell(&mut self, entry: RunEntry, sync: bool) {
        let record = RunRecord { at: self.desk.ports.clock.now().wall, entry };
        if let Err(error) = self.file.write(&record, sync) {
            tracing::error!(%error, run = self.run.id, "A record of a run could not be written.");
        }
        self.run.take(&record);
    }
}

/// Comes back when somebody asked for the end.
async fn wished(cancel: &crate::history::CancelWish) {
    while !cancel.is_there() {
        sleep(LOOK_EVERY).await;
    }
}
