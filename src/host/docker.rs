//! The container engine, through its HTTP API on a socket.
//!
//! [`candidates`] and [`choose`] find the engine, [`DockerClient::connect`] opens it and agrees on an API version. Every
//! request has an end: an engine that accepts and never answers costs [`DockerClient::PATIENCE`] and one connection, which
//! is closed as soon as the request is given up. Start with [`DockerClient`].

mod address;
mod change;
mod convert;
mod disk;
mod endpoint;
mod exec;
mod fault;
mod happening;
mod images;
mod inspection;
mod layers;
mod logs;
mod raw;
mod stats;

pub use address::address_in;
pub use change::PullStep;
pub use convert::Inspected;
pub use disk::{Extent, Measured};
pub use endpoint::{Candidate, Standing, Surroundings, candidates, choose};
pub use exec::Executed;
pub use happening::Happening;
pub(in crate::host) use images::kept_labels;
pub use layers::LayerBook;
pub use logs::{LogStream, LogsFrom};
pub use raw::{EngineError, encoded};
pub use stats::Stats;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::{ListContainersOptionsBuilder, StatsOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use futures_util::future::try_join;
use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::domain::{Container, ContainerId, EngineInfo, Failure};
use crate::host::{Lane, RootedFs, foreign};
use endpoint::Address;

/// A way to one container engine. Clones share it; each request has a connection of its own.
#[derive(Debug, Clone)]
pub struct DockerClient {
    docker: Docker,
    place: Arc<Candidate>,
    info: Arc<EngineInfo>,
    raw: raw::Raw,
}

impl DockerClient {
    /// How long one request may take: an engine that answers at all answers a list of hundreds of containers in a fraction
    /// of this.
    pub const PATIENCE: Duration = Duration::from_secs(4);

    /// Finds the engine's endpoint: the one that the config names, else where [`candidates`] lead. Looks at files on a lane
    /// of their own.
    ///
    /// # Errors
    /// When there is none, or the files do not answer in time.
    pub async fn find(fs: &RootedFs, files: &Lane, configured: Option<String>) -> Result<Candidate, Failure> {
        let fs = fs.clone();
        let mut reader = files.reader(|| ());
        let reading = reader.read(move |()| {
            let around = Surroundings::of_this_process(configured.as_deref());
            choose(&candidates(&around, &fs)).cloned()
        });
        let unread = |why: &dyn fmt::Display| {
            Failure::failed(format!("the settings of the docker command cannot be read: {why}"))
        };
        let read = timeout(Self::PATIENCE, reading).await.map_err(|_| unread(&"the files do not answer"))?;
        read.map_err(|why| unread(&why))?
    }

    /// Opens the engine at `place` and agrees on an API version that both speak.
    ///
    /// # Errors
    /// When the endpoint is of a kind that hostler does not speak, or nobody answers there, or this user may not.
    pub async fn connect(place: &Candidate) -> Result<Self, Failure> {
        let seconds = Self::PATIENCE.as_secs();
        let docker = match place.address()? {
            Address::Unix(path) => Docker::connect_with_unix(&path.to_string_lossy(), seconds, API_DEFAULT_VERSION),
            Address::Tcp(host) => Docker::connect_with_http(&host, seconds, API_DEFAULT_VERSION),
        }
        .map_err(|error| fault::failure(place, &error))?;
        // Clones share the version that is agreed on; both questions are asked at once.
        let (docker, version) =
            answer(place, async { try_join(docker.clone().negotiate_version(), docker.version()).await }).await?;
        let agreed = docker.client_version();
        Ok(Self {
            raw: raw::Raw::new(place, &agreed.to_string())?,
            docker: pinned(docker, format!("/v{agreed}")),
            place: Arc::new(place.clone()),
            info: Arc::new(EngineInfo {
                version: foreign::name(version.version.as_deref().unwrap_or("unknown")),
                api_version: agreed.to_string(),
                endpoint: place.shown(),
                chosen_because: place.because.clone(),
            }),
        })
    }

    /// The engine, its version and why it was taken.
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), Failure> {
        self.answer(self.docker.ping()).await.map(drop)
    }

    /// Every container, running or not, as far as a list describes it: no restart count, no exit, no limits.
    pub async fn list(&self) -> Result<Vec<Container>, Failure> {
        self.listed(ListContainersOptionsBuilder::default()).await
    }

    /// The containers, running or not, that have something: use a `volume` or a `network`, carry a `label` (`KEY=VALUE`).
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn having(&self, kind: &str, thing: &str) -> Result<Vec<Container>, Failure> {
        let filters = HashMap::from([(kind, vec![thing])]);
        self.listed(ListContainersOptionsBuilder::default().filters(&filters)).await
    }

    async fn listed(&self, options: ListContainersOptionsBuilder) -> Result<Vec<Container>, Failure> {
        let options = options.all(true).build();
        let list = self.answer(self.docker.list_containers(Some(options))).await?;
        Ok(list.into_iter().filter_map(convert::listed).collect())
    }

    /// Whether the engine works on this machine, as far as its address tells.
    pub fn is_local(&self) -> bool {
        matches!(self.place.address(), Ok(Address::Unix(_)))
    }

    /// One container in full; `None` if there is no such container (any more).
    pub async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, Failure> {
        let asked = self.docker.inspect_container(&id.0, None);
        let response = timeout(Self::PATIENCE, asked).await.unwrap_or(Err(Error::RequestTimeoutError));
        match response {
            Ok(inspected) => Ok(convert::inspected(inspected)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(fault::failure(&self.place, &error)),
        }
    }

    /// What happened to containers, and to what else the engine holds, from `since` on; up to `until`, or without end. The engine remembers its last 256
    /// events. The stream ends when the engine closes it, after an error if there was one.
    pub fn events(&self, since: Timestamp, until: Option<Timestamp>) -> BoxStream<'static, Result<Happening, Failure>> {
        let place = Arc::clone(&self.place);
        self.docker
            .events(Some(happening::request(since, until)))
            .filter_map(move |message| {
                let event = match message {
                    Ok(message) => happening::happening(&message).map(Ok),
                    Err(error) => Some(Err(fault::failure(&place, &error))),
                };
                std::future::ready(event)
            })
            .boxed()
    }

    /// One reading of what a container uses, by the engine's own account. Engines before 23 take a second for it. `None`
    /// if the container does not run.
    pub async fn stats(&self, id: &ContainerId) -> Result<Option<Stats>, Failure> {
        let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let mut readings = self.docker.stats(&id.0, Some(options));
        let reading = timeout(Self::PATIENCE, readings.next()).await.unwrap_or(Some(Err(Error::RequestTimeoutError)));
        match reading {
            Some(Ok(reading)) => Ok(Stats::from(&reading)),
            None | Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => Ok(None),
            Some(Err(error)) => Err(fault::failure(&self.place, &error)),
        }
    }

    async fn answer<T>(&self, request: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        answer(&self.place, request).await
    }
}

/// The answer to a request, within [`DockerClient::PATIENCE`]: the client's own time-out ends with the answer's head.
async fn answer<T>(place: &Candidate, request: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(DockerClient::PATIENCE, request).await {
        Ok(answer) => answer.map_err(|error| fault::failure(place, &error)),
        Err(_) => Err(fault::silent(&place.shown())),
    }
}

/// The same client with the agreed version in every path. Without it requests go to the unversioned paths, and the engine
/// answers in the shapes of its newest version, whatever was agreed on.
fn pinned(docker: Docker, version: String) -> Docker {
    docker.with_request_modifier(move |mut request: BollardRequest| {
        let uri = request.uri();
        let pinned = match (uri.scheme_str(), uri.authority(), uri.path_and_query()) {
            (Some(scheme), Some(authority), Some(path)) if !path.as_str().starts_with("/v1.") => {
                format!("{scheme}://{authority}{version}{path}").parse()
            }
            _ => return request,
        };
        if let Ok(uri) = pinned {
            *request.uri_mut() = uri;
        }
        request
    })
}
