//! The orchestration platforms in this host's containers, and how they are.
//!
//! Candidates are the running containers whose image is one of a platform. Each is asked at its published port, or where none
//! is published at the container's own address. One in which nothing listens, and never did since it was started, is no
//! platform but a worker of one, or is still coming up: it is counted and not listed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::roster::{self, Known, Roster};
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{
    Container, ContainerId, ContainerState, Endpoint, Event, Failure, Platform, PlatformSample, PortReach, Reading,
    Sample, SourceId, Why, is_trial,
};
use crate::engines::Probe;
use crate::host::{Clock, DockerClient, Http, HttpError, Origin};
use crate::platforms::{PlatformSpec, Readings, by_image};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Platforms,
    interval: Some(Duration::from_secs(15)),
    heavy: false,
    timeout: Duration::from_secs(6),
    build: |context| Box::new(Platforms::new(context)),
};

/// Platforms asked at the same time: more than any box has, so that none waits for a hung one.
const AT_ONCE: usize = 32;

/// How long the engine may take to tell a container's address.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(1);

/// After this time the answers that are there are told, and the slow ones follow; but the first turn waits for all of
/// them, because a single look takes the first that it is told for the whole.
const PATIENCE: Duration = Duration::from_millis(250);

struct Platforms {
    http: Http,
    clock: Clock,
    events: mpsc::Sender<Event>,
    roster: watch::Receiver<Roster>,
    /// By container, in the engine's order of names.
    entries: BTreeMap<(Arc<str>, ContainerId), Entry>,
    /// A whole turn is over.
    begun: bool,
}

/// A container with a platform's image, since it was last started.
struct Entry {
    spec: &'static PlatformSpec,
    started: Option<Timestamp>,
    place: Place,
    /// What it said last; `None` while nothing has listened there.
    readings: Option<Readings>,
}

/// Where a platform is asked.
#[derive(Clone)]
enum Place {
    /// At this host.
    Published(Origin),
    /// At the container's own address, once that is known; why at no published port.
    Inside(Option<Origin>, Why),
}

/// What came of asking one.
struct Answer {
    key: (Arc<str>, ContainerId),
    place: Place,
    readings: Result<Readings, Unread>,
}

/// Why nothing was read.
enum Unread {
    /// It cannot be reached.
    Nowhere(Why),
    /// Nothing listens there.
    Silent(HttpError),
}

impl Platforms {
    fn new(context: &SourceContext) -> Self {
        Self {
            http: context.ports.http.clone(),
            clock: context.ports.clock,
            events: context.events.clone(),
            roster: context.roster.subscribe(),
            entries: BTreeMap::new(),
            begun: false,
        }
    }

    async fn read(&mut self) -> Result<Read, Failure> {
        let Known { client, sample } = roster::known(&mut self.roster).await?;
        if !client.is_local() {
            return Err(Failure::unsupported("the container engine works elsewhere"));
        }
        self.reconcile(&sample.containers);
        self.ask(&client).await;
        self.begun = true;
        Ok(self.told(0))
    }

    /// Takes the containers that run now: forgets what does not any more, and begins anew with what was started again.
    fn reconcile(&mut self, containers: &[Arc<Container>]) {
        let mut before = std::mem::take(&mut self.entries);
        for container in containers.iter().filter(|container| is_candidate(container)) {
            let Some(spec) = by_image(&container.image) else { continue };
            let key = (container.name.clone(), container.id.clone());
            let known = before.remove(&key).filter(|entry| entry.started == container.started);
            let entry = known.unwrap_or_else(|| Entry {
                spec,
                started: container.started,
                place: Place::of(container, spec),
                readings: None,
            });
            self.entries.insert(key, entry);
        }
    }

    /// Asks every platform. Dropped on the way, it has settled what was answered so far.
    async fn ask(&mut self, client: &DockerClient) {
        let questions: Vec<_> =
            self.entries.iter().map(|(key, entry)| (key.clone(), entry.spec, entry.place.clone())).collect();
        let mut pending = questions.len();
        let http = self.http.clone();
        let mut answers = stream::iter(questions)
            .map(|(key, spec, place)| put(&http, client, key, spec, place))
            .buffer_unordered(AT_ONCE);
        let mut patience = pin!(sleep(PATIENCE));
        let mut waits = self.begun;
        loop {
            tokio::select! {
                biased;
                answer = answers.next() => match answer {
                    Some(answer) => self.settle(answer),
                    None => return,
                },
                () = &mut patience, if waits => {
                    waits = false;
                    let Read { sample, detail } = self.told(pending);
                    // Where the store is busy the whole answer, which follows, is soon enough.
                    drop(self.events.try_send(Event::Sampled { sample, detail, at: self.clock.now() }));
                    continue;
                }
            }
            pending -= 1;
        }
    }

    fn settle(&mut self, Answer { key, place, readings }: Answer) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.place = place;
        let before = entry.readings.take();
        let mut now = match (readings, &before) {
            (Ok(readings), _) => readings,
            (Err(Unread::Nowhere(why)), _) => Readings::unavailable(&why),
            (Err(Unread::Silent(error)), Some(_)) => Readings::unavailable(&Why::new(error.to_string())),
            (Err(Unread::Silent(_)), None) => return,
        };
        // It cannot have changed since it was started.
        if let (Reading::Unavailable(_), Some(Readings { version: Reading::Known(version), .. })) =
            (&now.version, before)
        {
            now.version = Reading::Known(version);
        }
        entry.readings = Some(now);
    }

    /// What is known now, while `pending` platforms have not answered.
    fn told(&self, pending: usize) -> Read {
        let platforms: Vec<Platform> = self.entries.iter().filter_map(|(key, entry)| entry.platform(&key.1)).collect();
        let some = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
        let mut clauses = vec![match platforms.len() {
            0 => "no platform in a container".to_owned(),
            count => some(count, "platform"),
        }];
        let silent = self.entries.values().filter(|entry| entry.readings.is_none()).count().saturating_sub(pending);
        if silent > 0 {
            clauses.push(format!("{} of their images, in which nothing listens", some(silent, "more container")));
        }
        if pending > 0 {
            clauses.push(format!("{pending} not answered yet"));
        }
        Read { sample: Sample::Platforms(Arc::new(PlatformSample { platforms })), detail: clauses.join("; ") }
    }
}

impl Source for Platforms {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(self.read())
    }
}

impl Entry {
    fn platform(&self, container: &ContainerId) -> Option<Platform> {
        let Readings { version, health, requests } = self.readings.clone()?;
        let endpoint = self.place.endpoint();
        Some(Platform { kind: self.spec.kind, version, container: container.clone(), endpoint, health, requests })
    }
}

impl Place {
    /// The published port by which a platform is asked: that of its usual port, or the only one that there is.
    fn of(container: &Container, spec: &PlatformSpec) -> Self {
        let published: Vec<_> = container.ports.iter().filter(|port| port.protocol == "tcp").collect();
        let port = match published.iter().find(|port| port.container_port == spec.port) {
            Some(usual) => Some(usual),
            None if published.len() == 1 => published.first(),
            None => None,
        };
        match port {
            None => Self::Inside(None, "no port of it is published".into()),
            Some(port) if port.reach == PortReach::Lan => Self::Inside(None, "not published on loopback".into()),
            Some(port) => match Origin::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port.host_port))) {
                Ok(origin) => Self::Published(origin),
                Err(why) => Self::Inside(None, Why::new(why.to_string())),
            },
        }
    }

    fn endpoint(&self) -> Reading<Endpoint> {
        match self {
            Self::Published(origin) => Reading::Known(Endpoint(origin.to_string())),
            // It shares this host's network.
            Self::Inside(Some(origin), _) if origin.address().ip().is_loopback() => {
                Reading::Known(Endpoint(origin.to_string()))
            }
            Self::Inside(_, why) => Reading::Unavailable(why.clone()),
        }
    }

    /// Where to ask; finds out the container's own address where that is needed.
    async fn origin(&mut self, client: &DockerClient, id: &ContainerId, port: u16) -> Result<Origin, Why> {
        match self {
            Self::Published(origin) | Self::Inside(Some(origin), _) => Ok(*origin),
            Self::Inside(origin, _) => {
                let silent = |_| Why::from("the engine does not tell the container's address");
                let address = timeout(ADDRESS_PATIENCE, client.address(id)).await.map_err(silent)?;
                let address = address.map_err(|error| Why::new(error.to_string()))?;
                let found = at(address.ok_or("the container has no address of its own")?, port)?;
                Ok(*origin.insert(found))
            }
        }
    }
}

/// A port of a container, or of this host where it shares that.
fn at(ip: IpAddr, port: u16) -> Result<Origin, Why> {
    let origin = if ip.is_loopback() { Origin::new((ip, port).into()) } else { Origin::of_container(ip, port) };
    origin.map_err(|error| Why::new(error.to_string()))
}

/// Whether a container may be a platform in use: it runs, and is no trial of an update.
fn is_candidate(container: &Container) -> bool {
    container.state == ContainerState::Running && container.kept_of().is_none() && !is_trial(&container.name)
}

/// Puts all questions to one platform, within [`Probe::TIME`] once it is known where it is.
async fn put(
    http: &Http,
    client: &DockerClient,
    key: (Arc<str>, ContainerId),
    spec: &'static PlatformSpec,
    mut place: Place,
) -> Answer {
    let readings = match place.origin(client, &key.1, spec.port).await {
        Ok(origin) => spec.read(&mut Probe::new(http, origin)).await.map_err(Unread::Silent),
        Err(why) => Err(Unread::Nowhere(why)),
    };
    Answer { key, place, readings }
}
