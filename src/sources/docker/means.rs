//! What the docker source uses of the machine, and where it puts what it learns.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::finder::Finder;
use crate::domain::{ContainerId, DockerSample, Event, Failure, Moment, Sample, SourceId};
use crate::host::{Clock, DockerClient, cgroup};
use crate::sources::SourceContext;
use crate::sources::roster::{Known, Roster};

/// The ports and channels of the docker source. Clones share them.
#[derive(Clone)]
pub(super) struct Means {
    clock: Clock,
    finder: Finder,
    events: mpsc::Sender<Event>,
    roster: watch::Sender<Roster>,
}

impl Means {
    pub(super) fn new(context: &SourceContext) -> Self {
        Self {
            clock: context.ports.clock,
            finder: Finder::new(
                context.ports.fs.clone(),
                context.ports.sampler.clone(),
                context.settings.docker_endpoint.clone(),
            ),
            events: context.events.clone(),
            roster: context.roster.clone(),
        }
    }

    /// This moment.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Finds the engine.
    pub(super) fn finder(&self) -> &Finder {
        &self.finder
    }

    /// The control groups of containers, each found through its first process; empty if they cannot be read in time.
    pub(super) async fn cgroups(&self, wanted: Vec<(ContainerId, u32)>) -> Vec<(ContainerId, String)> {
        if wanted.is_empty() {
            return Vec::new();
        }
        let fs = self.finder.fs().clone();
        let found = self
            .finder
            .read(move || {
                let paths = wanted.into_iter().filter_map(|(id, pid)| {
                    let path = cgroup::path_of(&fs, &id, pid)?;
                    Some((id, path))
                });
                paths.collect()
            })
            .await;
        found.unwrap_or_default()
    }

    /// Sends an event to the store; nobody may be there any more.
    pub(super) async fn tell(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("The store is gone.");
        }
    }

    /// Tells the store what the containers are now.
    pub(super) async fn tell_sample(&self, sample: Arc<DockerSample>) {
        self.tell(Event::Sampled {
            detail: super::detail(&sample.engine),
            sample: Sample::Docker(sample),
            at: self.now(),
        })
        .await;
    }

    /// Tells the store and the other sources that the engine is lost.
    pub(super) async fn tell_lost(&self, failure: &Failure) {
        tracing::warn!(%failure, "The container engine is lost.");
        self.lost(failure);
        self.tell(Event::SourceFailed { source: SourceId::Docker, failure: failure.clone(), at: self.now() }).await;
    }

    /// Tells the other sources what the containers are now.
    pub(super) fn known(&self, client: &DockerClient, sample: &Arc<DockerSample>) {
        self.roster.send_replace(Roster {
            known: Some(Known { client: client.clone(), sample: sample.clone() }),
            failure: None,
        });
    }

    /// Tells the other sources that the engine cannot be asked.
    pub(super) fn lost(&self, failure: &Failure) {
        self.roster.send_if_modified(|roster| {
            let news = roster.failure.as_ref() != Some(failure);
            roster.failure = Some(failure.clone());
            news
        });
    }
}
