//! The task that follows the logs of all running containers: up to four turns a second, whatever the poller does.
//!
//! It has its own pace and its own channel, so that neither a slow store nor a flood of lines holds up any other source:
//! what the channel cannot take is dropped and counted, and the next batch carries the number.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;
use tokio::time::sleep;

use super::files::{Files, Gathered, Target};
use super::requests::Requests;
use super::streams::{Streams, Wanted};
use super::{REST, Report, TURN};
use crate::domain::{
    Container, ContainerId, ContainerState, DockerSample, Event, Failure, LogBatch, LogLine, LogOrigin,
};
use crate::host::{Clock, Reader, Unread};
use crate::sources::SourceContext;
use crate::sources::roster::Roster;

/// Follows logs until the store is gone.
pub(super) struct Follower {
    roster: watch::Receiver<Roster>,
    reader: Reader<Files>,
    streams: Streams,
    /// What was written before this time is backlog.
    since: Timestamp,
    to: mpsc::Sender<LogBatch>,
    events: mpsc::Sender<Event>,
    clock: Clock,
    report: watch::Sender<Report>,
    /// The containers that the present aim was taken from.
    known: Option<Arc<DockerSample>>,
    origins: HashMap<ContainerId, Arc<LogOrigin>>,
    /// Containers whose file cannot be followed, so that the engine must be asked.
    refused: HashMap<ContainerId, String>,
    /// The files to be followed from the next turn on, if they change.
    targets: Option<Vec<Target>>,
    /// Why the files could not be read in the last turn.
    unread: Option<Failure>,
    /// How many files there are, and how many of them belong to containers that are up.
    files: usize,
    files_up: usize,
    /// How many containers are up and keep no log.
    without_log: usize,
    /// Turns since something was written, or the containers changed.
    quiet: u32,
    /// What servers wrote of their requests.
    requests: Requests,
    /// Lines that the channel could not take.
    dropped: u64,
}

/// How a container's log can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way<'a> {
    /// In this file.
    File(&'a str),
    /// Through the engine.
    Engine,
    /// Not at all: none is kept.
    Nothing,
}

impl Follower {
    /// Lines in one batch: the store takes one in well under a millisecond.
    const BATCH_LINES: usize = 1_000;

    /// Turns without a line after which there are fewer of them.
    const BUSY_TURNS: u32 = 8;

    /// How long a reading of files may take before it is said that it hangs.
    const PATIENCE: Duration = Duration::from_secs(3);

    pub(super) fn new(context: &SourceContext, report: watch::Sender<Report>) -> Self {
        let fs = context.ports.fs.clone();
        Self {
            roster: context.roster.subscribe(),
            reader: context.ports.sampler.reader(move || Files::new(fs.clone())),
            streams: Streams::new(),
            since: context.ports.clock.now().wall,
            to: context.log_lines.clone(),
            events: context.events.clone(),
            clock: context.ports.clock,
            report,
            known: None,
            origins: HashMap::new(),
            refused: HashMap::new(),
            targets: None,
            files: 0,
            unread: None,
            files_up: 0,
            without_log: 0,
            quiet: 0,
            requests: Requests::default(),
            dropped: 0,
        }
    }

    pub(super) async fn run(mut self) {
        if self.to.is_closed() {
            let nobody = Failure::unsupported("nobody asks for log lines");
            self.report.send_replace(Report::Failed(nobody));
            return self.report.closed().await;
        }
        // The first lines come with the first list of containers, not up to a turn later.
        while !self.roster.borrow().was_asked() {
            if self.roster.changed().await.is_err() {
                return;
            }
        }
        loop {
            self.aim();
            let mut gathered = self.read_files().await;
            self.aim_again(&mut gathered);
            self.read_streams(&mut gathered);
            if !self.pass_on(gathered) {
                return;
            }
            self.tell();
            self.pause().await;
        }
    }

    /// Waits for the next turn: longer where nothing is written, but not longer than until the containers change.
    async fn pause(&mut self) {
        let pause = if self.quiet < Self::BUSY_TURNS { TURN } else { REST };
        tokio::select! {
            () = sleep(pause) => {}
            Ok(()) = self.roster.changed() => {}
        }
    }

    /// Takes up the containers as they are now, if they changed.
    fn aim(&mut self) {
        let roster = self.roster.borrow_and_update();
        let Some(sample) = roster.known.as_ref().map(|known| known.sample.clone()) else {
            return;
        };
        drop(roster);
        if !self.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &sample)) {
            self.aim_at(&sample);
            self.known = Some(sample);
            self.quiet = 0;
        }
    }

    fn aim_at(&mut self, sample: &DockerSample) {
        let exists = |id: &ContainerId| sample.containers.iter().any(|container| container.id == *id);
        if self.origins.len() > sample.containers.len() {
            self.origins.retain(|id, _| exists(id));
            self.refused.retain(|id, _| exists(id));
            self.requests.retain(exists);
        }
        let (mut targets, mut wanted) = (Vec::new(), Vec::new());
        (self.files_up, self.without_log) = (0, 0);
        for container in &sample.containers {
            let is_up = container.state.is_up() || container.state == ContainerState::Restarting;
            let is_new = container.created.is_some_and(|created| created >= self.since);
            let origin = origin(&mut self.origins, container);
            match way(container, &self.refused) {
                Way::File(path) => {
                    self.files_up += usize::from(is_up);
                    targets.push(Target { origin, path: path.to_owned(), is_up, is_new });
                }
                Way::Engine => wanted.push(Wanted { origin, tty: container.tty, is_up, is_new }),
                Way::Nothing => self.without_log += usize::from(is_up),
            }
        }
        self.files = targets.len();
        self.targets = Some(targets);
        self.streams.aim(wanted);
    }

    /// One turn of the files, away from this thread.
    async fn read_files(&mut self) -> Gathered {
        let targets = self.targets.take();
        if self.files == 0 && targets.is_none() {
            return Gathered::default();
        }
        let mut reading = pin!(self.reader.read(|files| files.turn(targets)));
        loop {
            tokio::select! {
                gathered = &mut reading => return match gathered {
                    Ok(gathered) => {
                        self.unread = None;
                        gathered
                    }
                    Err(why) => {
                        self.unread = Some(unread(&why));
                        // The places in the files are lost: all of them are taken up again.
                        self.known = None;
                        Gathered::default()
                    }
                },
                () = sleep(Self::PATIENCE) => {
                    self.report.send_replace(Report::Failed(unread(&Unread::Busy)));
                }
            }
        }
    }

    /// Turns to the engine for those whose file cannot be followed.
    fn aim_again(&mut self, gathered: &mut Gathered) {
        if gathered.refused.is_empty() {
            return;
        }
        for (id, why) in gathered.refused.drain(..) {
            tracing::debug!(container = id.short(), why, "Following a log through the engine.");
            self.refused.insert(id, why);
        }
        if let Some(sample) = self.known.clone() {
            self.aim_at(&sample);
        }
    }

    fn read_streams(&mut self, gathered: &mut Gathered) {
        let roster = self.roster.borrow();
        if let Some(known) = &roster.known {
            self.streams.turn(&known.client, gathered);
        }
    }

    /// Sends what came to the store; false when that is gone.
    fn pass_on(&mut self, gathered: Gathered) -> bool {
        let Gathered { mut lines, dropped, .. } = gathered;
        self.dropped += dropped;
        self.quiet = if lines.is_empty() { self.quiet.saturating_add(1) } else { 0 };
        lines.sort_by_key(|line| line.at);
        let live = lines.split_off(lines.partition_point(|line| line.at < self.since));
        self.requests.read(&live);
        self.requests.send(&self.events, self.clock.now());
        self.send(lines, true) && self.send(live, false) && (self.dropped == 0 || self.offer(LogBatch::default()))
    }

    fn send(&mut self, lines: Vec<LogLine>, backlog: bool) -> bool {
        let mut lines = lines.into_iter().peekable();
        while lines.peek().is_some() {
            let batch = LogBatch { lines: lines.by_ref().take(Self::BATCH_LINES).collect(), backlog, dropped: 0 };
            if !self.offer(batch) {
                return false;
            }
        }
        true
    }

    /// Puts a batch into the channel, with the number of lines that were dropped before it; false when the store is gone.
    fn offer(&mut self, mut batch: LogBatch) -> bool {
        batch.dropped = self.dropped;
        match self.to.try_send(batch) {
            Ok(()) => {
                self.dropped = 0;
                true
            }
            Err(TrySendError::Full(batch)) => {
                self.dropped += batch.lines.len() as u64;
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Says what is followed, if that changed.
    fn tell(&self) {
        let report = self.describe();
        self.report.send_if_modified(|told| {
            let is_news = *told != report;
            *told = report;
            is_news
        });
    }

    fn describe(&self) -> Report {
        if let Some(failure) = &self.unread {
            return Report::Failed(failure.clone());
        }
        let roster = self.roster.borrow();
        if let (None, Some(failure)) = (&roster.known, &roster.failure) {
            return Report::Failed(failure.clone());
        }
        let streams = self.streams.followed();
        let followed = self.files_up + streams;
        let mut parts = Vec::new();
        if self.files_up > 0 {
            parts.push(format!("{} by their files", self.files_up));
        }
        if streams > 0 {
            parts.push(format!("{streams} through the engine"));
        }
        if self.without_log > 0 {
            parts.push(format!("{} keep no log", self.without_log));
        }
        let mut failures: Vec<_> = self.streams.failures().collect();
        failures.sort_by_key(|(origin, _)| &origin.name);
        if let Some((origin, failure)) = failures.first() {
            let why = self.refused.get(&origin.container);
            let file = why.map_or_else(String::new, |why| format!(" (its file: {why})"));
            let what = format!("the log of {} cannot be followed: {failure}{file}", origin.name);
            if followed == 0 {
                return Report::Failed(Failure { what, ..(*failure).clone() });
            }
            parts.push(format!("{} not: {what}", failures.len()));
        }
        if parts.is_empty() {
            parts.push("no container runs".to_owned());
        }
        Report::Following { followed, detail: parts.join(", ") }
    }
}

fn way<'a>(container: &'a Container, refused: &HashMap<ContainerId, String>) -> Way<'a> {
    match (&*container.log_driver, container.log_path.as_deref()) {
        ("none", _) => Way::Nothing,
        ("json-file", Some(path)) if !path.is_empty() && !refused.contains_key(&container.id) => Way::File(path),
        _ => Way::Engine,
    }
}

/// The container as the writer of lines: the same one for all of its lines, until it is renamed.
fn origin(known: &mut HashMap<ContainerId, Arc<LogOrigin>>, container: &Container) -> Arc<LogOrigin> {
    let name = container.display_name();
    match known.get(&container.id) {
        Some(origin) if &*origin.name == name => origin.clone(),
        _ => {
            let origin = Arc::new(LogOrigin { container: container.id.clone(), name: name.into() });
            known.insert(container.id.clone(), origin.clone());
            origin
        }
    }
}

fn unread(why: &Unread) -> Failure {
    Failure::failed(format!("the log files of containers cannot be read: {why}"))
}
