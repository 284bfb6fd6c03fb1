//! The inference servers that listen on this host, and what they serve.
//!
//! Candidates are the TCP sockets of this network namespace that loopback reaches, published container ports among them
//! (Docker's proxy listens for those), and the endpoints of the config. A port of a container that is not published, or
//! published without a proxy (`userland-proxy: false`), has no socket here and is not seen unless the config names it.
//! Who is asked when stands in [`ledger`]; here the questions are put, some at a time, so that none waits for a hung one.

mod journal;
mod ledger;
mod options;
mod probe;

pub use options::engine_options;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, ready};
use futures_util::stream::{self, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use self::journal::Follower;
use self::ledger::{Finding, Ledger, Question, Task};
use self::probe::Prober;
use super::roster::Roster;
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{EngineSample, Event, Failure, Reading, Sample, SourceId};
use crate::engines::{Probe, STARTERS, identify};
use crate::host::sockets::{self, Listener, Owners};
use crate::host::{Http, HttpError, Origin, Ports, Reader, foreign};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Engines,
    interval: Some(TURN),
    heavy: false,
    timeout: Duration::from_secs(4),
    build: |context| Box::new(Engines::new(context)),
};

/// The time between two turns.
const TURN: Duration = Duration::from_secs(5);

/// The time between two readings of the list of sockets, if nothing asks for one earlier.
const LISTEN_EVERY: Duration = Duration::from_secs(20);

/// Servers asked at the same time.
const AT_ONCE: usize = 8;

/// No question is begun later than this in a turn, so that each has its whole time before the turn ends.
const LAST_START: Duration = Duration::from_millis(1_200);

/// After this time the answers that are there are told, and the slow ones follow; but the first turn waits for all of
/// them, because a single look (`hostler snapshot`) takes the first that it is told for the whole.
const PATIENCE: Duration = Duration::from_millis(250);

struct Engines {
    reader: Reader<()>,
    ports: Ports,
    events: mpsc::Sender<Event>,
    roster: watch::Receiver<Roster>,
    ledger: Ledger,
    journal: Follower,
    prober: Prober,
    /// Endpoints of the config that cannot be asked, and why.
    refused: Vec<String>,
    /// A whole turn is over.
    begun: bool,
    /// When the turn before began.
    turn: Option<Duration>,
    /// When the list of sockets was read.
    listened: Option<Duration>,
}

impl Engines {
    fn new(context: &SourceContext) -> Self {
        let (mut ledger, mut refused) = (Ledger::default(), Vec::new());
        for endpoint in &context.settings.engine_endpoints {
            match endpoint.parse::<Origin>() {
                Ok(origin) => ledger.configure([origin]),
                Err(why) => refused.push(format!("{}: {why}", without_secret(endpoint))),
            }
        }
        Self {
            reader: context.ports.sampler.reader(|| ()),
            ports: context.ports.clone(),
            events: context.events.clone(),
            roster: context.roster.subscribe(),
            ledger,
            journal: Follower::default(),
            prober: Prober::new(context.settings.probe_every),
            refused,
            begun: false,
            turn: None,
            listened: None,
        }
    }

    async fn read(&mut self) -> Result<Read, Failure> {
        if self.must_listen() {
            let listeners = self.listeners().await?;
            self.ledger.reconcile(&listeners);
            self.listened = Some(self.ports.clock.now().mono);
        }
        let strangers = self.ledger.strangers();
        if !strangers.is_empty() {
            let owners = self.owners(&strangers).await?;
            self.ledger.introduce(&owners);
        }
        self.ask().await;
        self.look_how_started().await?;
        let engines = self.ledger.engines();
        self.journal.aim(&engines, &self.ports, &self.events);
        self.prober.turn(&engines, &self.ports, &self.events);
        self.begun = true;
        Ok(self.told(0))
    }

    /// Whether the list of sockets is to be read in this turn: the kernel walks its whole table of connections for it, so
    /// not in each; but at once when somebody asked for a reading before its time, or a known server did not answer.
    fn must_listen(&mut self) -> bool {
        let now = self.ports.clock.now().mono;
        let before = self.turn.replace(now);
        let asked_for = before.is_none_or(|before| now.saturating_sub(before) < TURN / 2);
        let is_due = self.listened.is_none_or(|listened| now.saturating_sub(listened) >= LISTEN_EVERY);
        asked_for || is_due || self.ledger.engines().iter().any(|engine| engine.models.known().is_none())
    }

    async fn listeners(&mut self) -> Result<Vec<Listener>, Failure> {
        let fs = self.ports.fs.clone();
        let read = self.reader.read(move |()| sockets::listeners(&fs)).await;
        read.map_err(|why| Failure::failed(format!("/proc/net/tcp: {why}")))?
            .map_err(|error| Failure::failed(error.to_string()))
    }

    async fn owners(&mut self, strangers: &[Listener]) -> Result<Owners, Failure> {
        let fs = self.ports.fs.clone();
        let inodes: Vec<u64> = strangers.iter().map(|listener| listener.inode).collect();
        let read = self.reader.read(move |()| sockets::owners(&fs, &inodes, STARTERS)).await;
        read.map_err(|why| Failure::failed(format!("/proc: {why}")))
    }

    /// Looks how engines were started that were found since the turn before.
    async fn look_how_started(&mut self) -> Result<(), Failure> {
        for (origin, own) in self.ledger.without_options() {
            let pid = own.or_else(|| self.first_process_behind(origin.port()));
            let options = match pid {
                Some(pid) => {
                    let fs = self.ports.fs.clone();
                    let read = self.reader.read(move |()| options::of_process(&fs, pid)).await;
                    read.map_err(|why| Failure::failed(format!("/proc: {why}")))?
                }
                // The engine of the containers may only be asked later.
                None if !self.roster.borrow().was_asked() => continue,
                None => Reading::Unavailable("who listens there may not be known to this user".into()),
            };
            self.ledger.started_with(origin, options);
        }
        Ok(())
    }

    /// The first process of the container that publishes this port.
    fn first_process_behind(&self, port: u16) -> Option<u32> {
        let roster = self.roster.borrow();
        let containers = &roster.known.as_ref()?.sample.containers;
        containers.iter().find(|container| container.publishes(port))?.pid
    }

    /// Puts every question that is due. Dropped on the way, it has settled what was answered so far.
    async fn ask(&mut self) {
        let (clock, http) = (self.ports.clock, self.ports.http.clone());
        let due = self.ledger.due(clock.now().mono);
        let (mut pending, began) = (due.len(), Instant::now());
        let mut answers = stream::iter(due)
            .take_while(|_| ready(began.elapsed() < LAST_START))
            .map(|question| put(http.clone(), question))
            .buffer_unordered(AT_ONCE);
        let mut patience = pin!(sleep(PATIENCE));
        let mut waits = self.begun;
        loop {
            tokio::select! {
                biased;
                answer = answers.next() => match answer {
                    Some((origin, finding)) => self.ledger.settle(origin, finding, clock.now().mono),
                    None => return,
                },
                () = &mut patience, if waits => {
                    waits = false;
                    let Read { sample, detail } = self.told(pending);
                    // Where the store is busy the whole answer, which follows, is soon enough.
                    drop(self.events.try_send(Event::Sampled { sample, detail, at: clock.now() }));
                    continue;
                }
            }
            pending -= 1;
        }
    }

    /// What is known now, while `pending` servers have not answered.
    fn told(&self, pending: usize) -> Read {
        let (engines, others) = (self.ledger.engines(), self.ledger.others());
        let some = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let mut clauses = vec![match engines.len() {
            0 => format!("none listening ({} asked)", some(others, "port")),
            count => format!("{}, {} asked", some(count, "engine"), some(others, "other port")),
        }];
        if pending > 0 {
            clauses.push(format!("{pending} not answered yet"));
        }
        clauses.extend(self.refused.iter().cloned().chain(self.ledger.disappointing()));
        let detail = clauses.join("; ");
        Read { sample: Sample::Engines(Arc::new(EngineSample { engines, others })), detail }
    }
}

impl Source for Engines {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(self.read())
    }
}

/// Puts one question within [`Probe::TIME`] for each origin.
async fn put(http: Http, question: Question) -> (Origin, Finding) {
    let finding = match question.task {
        Task::Refresh { origin, spec, mut readings } => {
            let mut probe = Probe::new(&http, origin);
            let doubtful = !spec.refresh(&mut probe, &mut readings).await;
            Finding::Engine { origin, spec, readings: *readings, whole: false, doubtful }
        }
        Task::Identify => match (find_out(&http, question.origin).await, question.fallback) {
            (Finding::Failed(HttpError::Refused), Some(fallback)) => find_out(&http, fallback).await,
            (finding, _) => finding,
        },
    };
    (question.origin, finding)
}

async fn find_out(http: &Http, origin: Origin) -> Finding {
    let mut probe = Probe::new(http, origin);
    match identify(&mut probe).await {
        Err(error) => Finding::Failed(error),
        Ok(None) => Finding::Other,
        Ok(Some(spec)) => {
            let readings = spec.read(&mut probe).await;
            let doubtful = readings.models.known().is_none();
            Finding::Engine { origin, spec, readings, whole: true, doubtful }
        }
    }
}

/// An endpoint of the config as it may be shown: a name and password in it do not belong there, and stay there.
fn without_secret(endpoint: &str) -> String {
    foreign::name(endpoint.rsplit('@').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_an_endpoint_is_not_told() {
        assert_eq!(without_secret("http://me:secret@10.0.0.7:8000"), "10.0.0.7:8000");
        assert_eq!(without_secret("http://10.0.0.7:8000"), "http://10.0.0.7:8000");
    }
}
