//! Tells receivers of what is open, as long as somebody owns the state: a recorder.
//!
//! A task for each receiver carries one message at a time; what each of them was told is kept in the state folder on a thread of its own.
//! Nothing is started where nobody is to be told.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::Setup;
use crate::alerts::{AlertSettings, Board, Heartbeat, Message, Receiver, Sender};
use crate::checks;
use crate::domain::{Moment, Outbox, backoff};
use crate::history::StateDir;
use crate::host::{Lane, time_zone};
use crate::report::host_name;
use crate::store::State;

/// How long what is on its way, and what is to be kept, may take when all is over.
const LAST: Duration = Duration::from_secs(3);
/// The waits after what is to be kept could not be written.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Who is told, and what they know.
pub struct Alerting {
    dir: StateDir,
    zone: TimeZone,
    board: Board,
    /// In the order of the receivers.
    carriers: Vec<mpsc::Sender<Message>>,
    heartbeat: Option<Beat>,
    outcomes: mpsc::Receiver<Outcome>,
    /// Messages that are on their way.
    under_way: usize,
    /// Ends when this is dropped.
    tasks: JoinSet<()>,
    keeper: Option<Keeper>,
}

/// The heartbeat.
struct Beat {
    beats: mpsc::Sender<()>,
    every: Duration,
    /// When it was sent last.
    last: Option<Moment>,
}

/// What keeps the outbox, always the newest.
struct Keeper {
    newest: watch::Sender<Outbox>,
    task: JoinHandle<()>,
}

/// How something went.
enum Outcome {
    /// A message to this receiver.
    Told(usize, Message, Result<(), String>),
    /// A heartbeat.
    Beat(Result<(), String>),
}

impl Alerting {
    /// Begins to tell, with what an earlier process left to be told. Must be called within a
    /// [`LocalSet`](tokio::task::LocalSet).
    pub fn start(setup: &Setup, now: Moment) -> Self {
        let settings = if setup.demo { AlertSettings::default() } else { setup.config.alerts.clone() };
        let outbox = setup.state_dir.outbox().unwrap_or_else(|error| {
            tracing::warn!(%error, "It is not known what receivers were told: they may hear it twice.");
            Outbox::default()
        });
        Self::begin(settings, setup.state_dir.clone(), outbox, now)
    }

    fn begin(settings: AlertSettings, dir: StateDir, outbox: Outbox, now: Moment) -> Self {
        let (told, outcomes) = mpsc::channel(settings.to.len() + 1);
        let mut tasks = JoinSet::new();
        let lane = (!settings.to.is_empty() || settings.heartbeat.is_some()).then(|| Lane::new("alerts"));
        let mut carriers = Vec::new();
        let mut heartbeat = None;
        if let Some(lane) = &lane {
            for (index, receiver) in settings.to.iter().enumerate() {
                let (carrier, messages) = mpsc::channel(1);
                tasks.spawn_local(carry(index, receiver.clone(), Sender::new(lane), messages, told.clone()));
                carriers.push(carrier);
            }
            heartbeat = settings.heartbeat.clone().map(|to| {
                let (beats, asked) = mpsc::channel(1);
                let every = to.every;
                tasks.spawn_local(beat(to, Sender::new(lane), asked, told));
                Beat { beats, every, last: None }
            });
        }
        let keeper = lane.map(|_| {
            let (newest, kept) = watch::channel(Outbox::default());
            Keeper { newest, task: tokio::task::spawn_local(keep(dir.clone(), kept)) }
        });
        let board = Board::new(settings, outbox, now);
        Self { dir, zone: time_zone(), board, carriers, heartbeat, outcomes, under_way: 0, tasks, keeper }
    }

    /// Takes another config: what was told stays told. A message that is on its way may be told once more.
    pub fn renew(&mut self, setup: &Setup, now: Moment) {
        if setup.demo || setup.config.alerts == *self.board.settings() {
            return;
        }
        let outbox = self.board.outbox(now);
        let renewed = Self::begin(setup.config.alerts.clone(), self.dir.clone(), outbox, now);
        *self = renewed;
    }

    /// Looks at what is open, and has told what is to be told now. To be called about once a second.
    pub fn look(&mut self, state: &State) {
        let now = state.now;
        if self.keeper.is_none() {
            return;
        }
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.went(outcome, now);
        }
        if state.host.get().is_some() || state.sources.all_tried() {
            self.board.set_host(host_name(state));
        }
        self.board.look(state.findings.open(now), |key| checks::is_judged(state, &key.id, &key.subject, now), now);
        for (index, carrier) in self.carriers.iter().enumerate() {
            let Some(message) = self.board.due(index, now, &self.zone) else { continue };
            // A carrier that has nothing on its way has room.
            if carrier.try_send(message).is_ok() {
                self.under_way += 1;
            }
        }
        if let Some(heartbeat) = &mut self.heartbeat
            && heartbeat.last.is_none_or(|last| now.since(last) >= heartbeat.every)
        {
            heartbeat.last = Some(now);
            // One that is still on its way is followed by another.
            self.under_way += usize::from(heartbeat.beats.try_send(()).is_ok());
        }
        self.keep(now);
    }

    fn went(&mut self, outcome: Outcome, now: Moment) {
        self.under_way = self.under_way.saturating_sub(1);
        match outcome {
            Outcome::Told(receiver, message, Ok(())) => self.board.arrived(receiver, &message, now),
            Outcome::Told(receiver, _, Err(why)) => {
                let name = self.board.settings().to.get(receiver).map_or("", |receiver| &receiver.name).to_owned();
                if self.board.failed(receiver, why.clone(), now) {
                    tracing::warn!(receiver = name, why, "Could not tell a receiver; it is tried again.");
                }
            }
            Outcome::Beat(went) => {
                let why = went.as_ref().err().cloned();
                match (self.board.heartbeat(went, now), why) {
                    (true, Some(why)) => tracing::warn!(why, "Nobody heard the heartbeat."),
                    (true, None) => tracing::info!("The heartbeat is heard."),
                    (false, _) => {}
                }
            }
        }
    }

    fn keep(&mut self, now: Moment) {
        if let (Some(outbox), Some(keeper)) = (self.board.take_changes(now), &self.keeper) {
            keeper.newest.send_replace(outbox);
        }
    }

    /// Waits for what is on its way, and keeps what is still to be told. False when something did not come to its end.
    pub async fn finish(mut self, now: Moment) -> bool {
        let arrive = async {
            while self.under_way > 0 {
                let Some(outcome) = self.outcomes.recv().await else { return };
                self.went(outcome, now);
            }
        };
        let arrived = timeout(LAST, arrive).await.is_ok();
        self.tasks.abort_all();
        self.keep(now);
        let Some(Keeper { newest, task }) = self.keeper.take() else { return arrived };
        drop(newest);
        timeout(LAST, task).await.is_ok() && arrived
    }
}

/// Carries messages to one receiver, one at a time.
async fn carry(
    index: usize,
    receiver: Receiver,
    mut sender: Sender,
    mut messages: mpsc::Receiver<Message>,
    told: mpsc::Sender<Outcome>,
) {
    while let Some(message) = messages.recv().await {
        let went = sender.send(&receiver, &message).await.map_err(|error| error.to_string());
        let _nobody = told.send(Outcome::Told(index, message, went)).await;
    }
}

async fn beat(to: Heartbeat, mut sender: Sender, mut asked: mpsc::Receiver<()>, told: mpsc::Sender<Outcome>) {
    while asked.recv().await.is_some() {
        let went = sender.beat(&to).await.map_err(|error| error.to_string());
        let _nobody = told.send(Outcome::Beat(went)).await;
    }
}

/// Writes the newest outbox, again and again until that succeeds or there is a newer one; once more at the end.
async fn keep(dir: StateDir, mut newest: watch::Receiver<Outbox>) {
    let mut writer = Lane::new("outbox").reader(|| ());
    while newest.changed().await.is_ok() {
        let mut failures = 0;
        loop {
            let outbox = newest.borrow_and_update().clone();
            let Err(why) = write(&mut writer, &dir, outbox).await else { break };
            if failures == 0 {
                tracing::warn!(why, "Could not keep what receivers were told; after a restart they may hear it twice.");
            }
            failures += 1;
            tokio::select! {
                () = sleep(backoff(RETRY_FIRST, RETRY_MAX, failures)) => {}
                changed = newest.changed() => if changed.is_err() { return },
            }
        }
    }
}

async fn write(writer: &mut crate::host::Reader<()>, dir: &StateDir, outbox: Outbox) -> Result<(), String> {
    let dir = dir.clone();
    let written = writer.read(move |()| dir.set_outbox(&outbox)).await;
    written.map_err(|why| why.to_string())?.map_err(|error| error.to_string())
}
