//! One connection's life with an engine: what is known of its containers, and how that is kept true.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::time::timeout;

use super::means::Means;
use super::table::Table;
use crate::domain::{Container, ContainerId, DockerEvent, DockerSample, Event, Failure, Moment};
use crate::host::{Candidate, DockerClient, Happening, Inspected};

/// How far back the engine is asked: the longest window of a rule about exits.
const PAST: Duration = Duration::from_mins(30);

/// How long it may take to tell the past. Its 256 events take milliseconds, but an engine whose clock is behind ours waits
/// until it has come to our present.
const PAST_PATIENCE: Duration = Duration::from_secs(1);

/// Inspections at the same time: more of them do not end earlier.
const AT_ONCE: usize = 16;

/// The safety net below the events: the list is compared so often.
const LIST_EVERY: Duration = Duration::from_mins(1);

/// An engine that answered, and what is known of its containers.
pub(super) struct Session {
    means: Means,
    place: Candidate,
    client: DockerClient,
    table: Table,
    live: BoxStream<'static, Result<Happening, Failure>>,
    listed: Moment,
    /// Events that have not been passed on.
    untold: Vec<DockerEvent>,
    /// What else the engine holds has changed, and that has not been passed on.
    stock_changed: bool,
    /// Containers that events named since.
    dirty: HashSet<ContainerId>,
}

/// One container's inspection, or why there is none.
type Answer = (ContainerId, Result<Option<Inspected>, Failure>);

impl Session {
    /// Connects, passes on what the engine remembers, and inspects every container.
    pub(super) async fn open(means: &Means, place: &Candidate) -> Result<Self, Failure> {
        let client = DockerClient::connect(place).await?;
        let now = means.now();
        // What happens from here on is told by the live stream, even if it is read a little later.
        let mut session = Self {
            means: means.clone(),
            place: place.clone(),
            live: client.events(now.wall, None),
            table: Table::new(client.info().clone()),
            client,
            listed: now,
            untold: Vec::new(),
            stock_changed: false,
            dirty: HashSet::new(),
        };
        let (past, listed_and_inspected) = join(past(&session.client, now.wall), async {
            let listed = session.client.list().await?;
            let answers = inspect(&session.client, ids(&listed)).await;
            Ok::<_, Failure>((listed, answers))
        })
        .await;
        let (listed, answers) = listed_and_inspected?;
        for event in &past {
            session.table.happened(event);
        }
        session.take_in(answers, &listed).await?;
        if !past.is_empty() {
            let at = means.now();
            means.tell(Event::Docker { events: past, at }).await;
        }
        Ok(session)
    }

    /// Where the engine is.
    pub(super) fn place(&self) -> &Candidate {
        &self.place
    }

    /// What it uses of the machine.
    pub(super) fn means(&self) -> &Means {
        &self.means
    }

    /// The next event, as soon as there is one. Notes what it names; an error means that the engine is lost.
    pub(super) async fn follow(&mut self) -> Result<(), Failure> {
        match self.live.next().await {
            Some(Ok(Happening { event, stock })) => {
                self.stock_changed |= stock;
                if let Some(event) = event {
                    self.table.happened(&event);
                    self.dirty.insert(event.id.clone());
                    self.untold.push(event);
                }
                Ok(())
            }
            Some(Err(failure)) => Err(failure),
            None => Err(Failure::failed(format!("{}: the engine closed the connection", self.place.shown()))),
        }
    }

    /// Whether events wait to be passed on.
    pub(super) fn is_behind(&self) -> bool {
        !self.untold.is_empty() || self.stock_changed
    }

    /// Passes events on, inspects what they name, and tells what has changed.
    pub(super) async fn catch_up(&mut self) -> Result<(), Failure> {
        let events = std::mem::take(&mut self.untold);
        if !events.is_empty() {
            let at = self.means.now();
            self.means.tell(Event::Docker { events, at }).await;
        }
        if std::mem::take(&mut self.stock_changed) {
            let at = self.means.now();
            self.means.tell(Event::DockerStock { at }).await;
        }
        let dirty: Vec<_> = self.dirty.drain().collect();
        self.look_at(dirty).await?;
        if self.table.is_changed() {
            let sample = self.publish_roster();
            self.means.tell_sample(sample).await;
        }
        Ok(())
    }

    /// A sign of life, and what changes without an event; the whole list from time to time.
    pub(super) async fn check(&mut self) -> Result<Arc<DockerSample>, Failure> {
        self.client.ping().await?;
        let mut again = self.table.unsettled();
        let now = self.means.now();
        if now.since(self.listed) >= LIST_EVERY {
            let listed = self.client.list().await?;
            again.extend(self.table.compare(&listed));
            self.listed = now;
        }
        self.look_at(again).await?;
        Ok(if self.table.is_changed() { self.publish_roster() } else { self.table.sample() })
    }

    /// Tells the other sources what the containers are now.
    pub(super) fn publish_roster(&mut self) -> Arc<DockerSample> {
        let sample = self.table.sample();
        self.means.known(&self.client, &sample);
        sample
    }

    async fn look_at(&mut self, containers: Vec<ContainerId>) -> Result<(), Failure> {
        if containers.is_empty() {
            return Ok(());
        }
        let answers = inspect(&self.client, containers).await;
        self.take_in(answers, &[]).await
    }

    /// Puts inspections into the table. A container that the engine cannot describe, while it is alive, stays as it was, or
    /// as the list has it.
    async fn take_in(&mut self, answers: Vec<Answer>, listed: &[Container]) -> Result<(), Failure> {
        let first_failure = answers.iter().find_map(|(_, answer)| answer.as_ref().err());
        if let Some(failure) = first_failure {
            tracing::warn!(%failure, "A container could not be inspected.");
            self.client.ping().await?;
        }
        let processes = answers.iter().filter_map(|(id, answer)| {
            let container = &answer.as_ref().ok()?.as_ref()?.container;
            Some((id.clone(), container.pid.filter(|_| container.state.is_up())?))
        });
        let mut cgroups: HashMap<_, _> = self.means.cgroups(processes.collect()).await.into_iter().collect();
        for (id, answer) in answers {
            match answer {
                Ok(Some(inspected)) => self.table.put(inspected, cgroups.remove(&id)),
                Ok(None) => self.table.remove(&id),
                Err(_) => {
                    if let Some(outline) = listed.iter().find(|container| container.id == id) {
                        let container = outline.clone();
                        let finished = None;
                        self.table.put(Inspected { container, finished }, None);
                    }
                }
            }
        }
        Ok(())
    }
}

/// What the engine remembers of the last half hour, as far as it tells it in time.
async fn past(client: &DockerClient, until: Timestamp) -> Vec<DockerEvent> {
    let since = until.checked_sub(PAST).unwrap_or(until);
    let mut told = Vec::new();
    let mut events = client.events(since, Some(until));
    let telling = async {
        while let Some(event) = events.next().await {
            match event {
                Ok(happening) => told.extend(happening.event),
                Err(failure) => {
                    tracing::warn!(%failure, "The engine does not tell what it remembers.");
                    return;
                }
            }
        }
    };
    if timeout(PAST_PATIENCE, telling).await.is_err() {
        tracing::warn!("The engine did not tell in time all that it remembers.");
    }
    told
}

async fn inspect(client: &DockerClient, containers: Vec<ContainerId>) -> Vec<Answer> {
    stream::iter(containers)
        .map(|id| async move {
            let answer = client.inspect(&id).await;
            (id, answer)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

fn ids(containers: &[Container]) -> Vec<ContainerId> {
    containers.iter().map(|container| container.id.clone()).collect()
}
