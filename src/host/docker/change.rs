//! What changes something at the engine: containers, images, volumes, networks, build cache. Only actions call these.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerUpdateBody, RestartPolicy as EngineRestartPolicy, RestartPolicyNameEnum};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
    RemoveVolumeOptions, RenameContainerOptionsBuilder, RestartContainerOptionsBuilder, StopContainerOptionsBuilder,
    TagImageOptionsBuilder,
};
use futures_util::stream::{BoxStream, StreamExt};
use serde_json::Value;

use super::raw::{EngineError, encoded};
use super::{DockerClient, fault};
use crate::domain::{ContainerId, RestartPolicy, Verb};
use crate::host::{Login, foreign};

/// The most that is kept of one line of progress, bytes.
const LINE_BYTES: usize = 200;

/// One word of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullStep {
    /// The layer, or empty for the image as a whole.
    pub layer: String,
    /// What is done: `Downloading`, `Extracting`, `Pull complete`.
    pub text: String,
    /// Bytes of the layer that are done, of how many; 0 where it is not told.
    pub bytes: (u64, u64),
}

impl DockerClient {
    /// How long a change may take that is no stop: starting a container with large mounts takes seconds.
    pub const CHANGE_PATIENCE: Duration = Duration::from_mins(2);

    /// How long a prune may take: an engine removes the files of a large cache for minutes before it answers.
    const PRUNE_PATIENCE: Duration = Duration::from_mins(30);

    /// Everything that the engine says of a container; `None` if there is no such container. `name` may be an id.
    pub async fn inspect_raw(&self, name: &str) -> Result<Option<Value>, EngineError> {
        let path = format!("/containers/{}/json", encoded(name));
        found(self.raw.get(&path, Self::PATIENCE).await)
    }

    /// Everything that the engine says of an image; `None` if there is no such image. `name` may be an id.
    pub async fn image_raw(&self, name: &str) -> Result<Option<Value>, EngineError> {
        // A slash in a repository is part of the path.
        let name: Vec<String> = name.split('/').map(encoded).collect();
        found(self.raw.get(&format!("/images/{}/json", name.join("/")), Self::PATIENCE).await)
    }

    /// What the engine answers to a GET of `path` (encoded, beginning with `/`).
    pub async fn get_raw(&self, path: &str, patience: Duration) -> Result<Value, EngineError> {
        self.raw.get(path, patience).await
    }

    /// Makes a container of this name as `body` describes it, and gives its id.
    pub async fn create(&self, name: &str, body: &Value) -> Result<ContainerId, EngineError> {
        let path = format!("/containers/create?name={}", encoded(name));
        let answer = self.raw.post(&path, body, Self::CHANGE_PATIENCE).await?;
        let id = answer.get("Id").and_then(Value::as_str).and_then(super::convert::id);
        id.ok_or_else(|| EngineError::Refused { status: 201, message: "the engine gave no id".to_owned() })
    }

    /// Connects a container to a network, with the settings of the endpoint.
    pub async fn connect_network(&self, network: &str, id: &ContainerId, endpoint: &Value) -> Result<(), EngineError> {
        let body = serde_json::json!({ "Container": id.0, "EndpointConfig": endpoint });
        let path = format!("/networks/{}/connect", encoded(network));
        self.raw.post(&path, &body, Self::CHANGE_PATIENCE).await.map(drop)
    }

    /// Makes a network from which nothing outside is reached.
    pub async fn create_inner_network(&self, name: &str, labels: &Value) -> Result<(), EngineError> {
        let body = serde_json::json!({ "Name": name, "Internal": true, "CheckDuplicate": true, "Labels": labels });
        self.raw.post("/networks/create", &body, Self::CHANGE_PATIENCE).await.map(drop)
    }

    /// Makes an empty volume.
    pub async fn create_volume(&self, name: &str, labels: &Value) -> Result<(), EngineError> {
        let body = serde_json::json!({ "Name": name, "Labels": labels });
        self.raw.post("/volumes/create", &body, Self::CHANGE_PATIENCE).await.map(drop)
    }

    /// Names of the volumes with this label, `KEY=VALUE`.
    pub async fn volumes_labelled(&self, label: &str) -> Result<Vec<String>, EngineError> {
        let listed = self.raw.get(&labelled("/volumes", label), Self::PATIENCE).await?;
        Ok(texts(listed.get("Volumes"), "Name"))
    }

    /// Ids of the networks with this label, `KEY=VALUE`.
    pub async fn networks_labelled(&self, label: &str) -> Result<Vec<String>, EngineError> {
        Ok(texts(Some(&self.raw.get(&labelled("/networks", label), Self::PATIENCE).await?), "Id"))
    }

    /// Starts, stops, restarts, kills, pauses or resumes a container. A stop waits `stop_seconds`, else as long as the
    /// container asks for, before it kills. Doing what is so already is no error.
    pub async fn lifecycle(&self, verb: Verb, id: &ContainerId, stop_seconds: Option<u32>) -> Result<(), EngineError> {
        // A container may have asked for minutes to end in.
        let patience = Self::CHANGE_PATIENCE + Duration::from_secs(u64::from(stop_seconds.unwrap_or(600)));
        let docker = self.patient(patience);
        let seconds = stop_seconds.map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
        let done = match verb {
            Verb::Start => docker.start_container(&id.0, None).await,
            Verb::Stop => {
                let options = StopContainerOptionsBuilder::default();
                let options = seconds.into_iter().fold(options, StopContainerOptionsBuilder::t).build();
                docker.stop_container(&id.0, Some(options)).await
            }
            Verb::Restart => {
                let options = RestartContainerOptionsBuilder::default();
                let options = seconds.into_iter().fold(options, RestartContainerOptionsBuilder::t).build();
                docker.restart_container(&id.0, Some(options)).await
            }
            Verb::Kill => {
                let options = KillContainerOptionsBuilder::default().signal("KILL").build();
                docker.kill_container(&id.0, Some(options)).await
            }
            Verb::Pause => docker.pause_container(&id.0).await,
            Verb::Resume => docker.unpause_container(&id.0).await,
        };
        self.changed(done)
    }

    /// Removes a container that does not run (with `force`, one that runs too), with its anonymous volumes if asked for.
    pub async fn remove(&self, id: &ContainerId, volumes: bool, force: bool) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().v(volumes).force(force).build();
        self.changed(self.patient(Self::CHANGE_PATIENCE).remove_container(&id.0, Some(options)).await)
    }

    /// Gives a container another name.
    pub async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        self.changed(self.patient(Self::CHANGE_PATIENCE).rename_container(&id.0, options).await)
    }

    /// Gives a container another restart policy.
    pub async fn set_restart_policy(&self, id: &ContainerId, policy: RestartPolicy) -> Result<(), EngineError> {
        let (name, most) = match policy {
            RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
            RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
            RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
            RestartPolicy::OnFailure(most) => (RestartPolicyNameEnum::ON_FAILURE, Some(i64::from(most))),
        };
        let policy = EngineRestartPolicy { name: Some(name), maximum_retry_count: most };
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..ContainerUpdateBody::default() };
        self.changed(self.patient(Self::CHANGE_PATIENCE).update_container(&id.0, body).await)
    }

    /// Gives an image (by id or reference) one more name, moving that name if another image has it.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.changed(self.patient(Self::CHANGE_PATIENCE).tag_image(image, Some(options)).await)
    }

    /// Removes an image, or only this name of it where it has others. Never by force.
    pub async fn remove_image(&self, name: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        let removed = self.patient(Self::CHANGE_PATIENCE).remove_image(name, Some(options), None).await;
        self.changed(removed.map(drop))
    }

    /// Removes a volume that no container uses.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.changed(self.patient(Self::CHANGE_PATIENCE).remove_volume(name, None::<RemoveVolumeOptions>).await)
    }

    /// Removes a network that no container uses.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        self.changed(self.patient(Self::CHANGE_PATIENCE).remove_network(name).await)
    }

    /// Removes what builds left behind and nothing uses.
    pub async fn prune_build_cache(&self) -> Result<(), EngineError> {
        self.raw.post("/build/prune?all=true", &Value::Null, Self::PRUNE_PATIENCE).await.map(drop)
    }

    /// Pulls an image by its reference: what the engine says of it, until the stream ends or fails.
    pub fn pull(&self, reference: &str, login: Option<Login>) -> BoxStream<'static, Result<PullStep, EngineError>> {
        let place = self.place.clone();
        let options = CreateImageOptionsBuilder::default().from_image(reference).build();
        // A layer may take long; whoever pulls gives up by dropping the stream.
        let docker = self.patient(Duration::from_hours(24));
        docker
            .create_image(Some(options), None, login.map(Login::into_credentials))
            .map(move |step| match step {
                Ok(step) => {
                    let detail = step.progress_detail.unwrap_or_default();
                    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
                    Ok(PullStep {
                        layer: foreign::name(step.id.as_deref().unwrap_or_default()),
                        text: foreign::clean(step.status.as_deref().unwrap_or_default(), LINE_BYTES).into_owned(),
                        bytes: (bytes(detail.current), bytes(detail.total)),
                    })
                }
                Err(error) => Err(changed(&place, &error)),
            })
            .boxed()
    }

    /// The same client with more patience.
    pub(super) fn patient(&self, patience: Duration) -> Docker {
        self.docker.clone().with_timeout(patience)
    }

    pub(super) fn changed(&self, done: Result<(), Error>) -> Result<(), EngineError> {
        match done {
            // It is so already.
            Err(Error::DockerResponseServerError { status_code: 304, .. }) => Ok(()),
            done => done.map_err(|error| changed(&self.place, &error)),
        }
    }
}

/// What an error of the client means for a change.
pub(super) fn changed(place: &super::Candidate, error: &Error) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => EngineError::of_status(*status_code, message),
        Error::DockerStreamError { error } => EngineError::of_status(500, error),
        error => EngineError::Failed(fault::failure(place, error)),
    }
}

/// What is not there is no error.
fn found(answer: Result<Value, EngineError>) -> Result<Option<Value>, EngineError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::Gone(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of a list of what has this label.
fn labelled(path: &str, label: &str) -> String {
    format!("{path}?filters={}", encoded(&serde_json::json!({ "label": [label] }).to_string()))
}

/// One text of each entry of a list.
fn texts(list: Option<&Value>, key: &str) -> Vec<String> {
    let entries = list.and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(|entry| entry.get(key)?.as_str()).map(str::to_owned).collect()
}
