//! The engine's lists turned into ours: images, volumes, networks, and which containers use them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::convert;
use super::NOT_MEASURED;
use crate::domain::{
    ContainerSpace, DockerNetwork, DockerVolume, Image, KEEP_LABEL, KeptImage, Reading, is_made_up, kept_of,
    kept_reference,
};
use crate::host::foreign;

/// Things of one kind that are taken in; more are left out, and the diagnostics tell it.
const MOST: usize = 20_000;

/// The elements of a list that can be understood; null is an empty one.
pub(super) fn list<T: DeserializeOwned>(value: Value) -> Vec<T> {
    let Value::Array(items) = value else { return Vec::new() };
    let all = items.len();
    let known: Vec<T> = items.into_iter().take(MOST).filter_map(|item| serde_json::from_value(item).ok()).collect();
    if known.len() < all {
        tracing::warn!(all, known = known.len(), "Not all that the engine listed could be taken in.");
    }
    known
}

type Labels = Option<HashMap<String, Option<String>>>;

/// An image of `/images/json`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedImage {
    id: String,
    repo_tags: Option<Vec<String>>,
    repo_digests: Option<Vec<String>>,
    created: i64,
    size: i64,
    labels: Labels,
}

/// A container of `/containers/json`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Listed {
    id: String,
    names: Option<Vec<String>>,
    #[serde(rename = "ImageID")]
    image_id: String,
    state: String,
    labels: Labels,
    mounts: Option<Vec<ListedMount>>,
    network_settings: Option<ListedNetworks>,
}

/// One of its mounts.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedMount {
    #[serde(rename = "Type")]
    kind: String,
    name: String,
}

/// What it is connected to.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedNetworks {
    networks: Option<HashMap<String, Option<ListedEndpoint>>>,
}

/// One of its networks.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedEndpoint {
    #[serde(rename = "NetworkID")]
    network_id: String,
}

/// A volume of `/volumes`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedVolume {
    name: String,
    driver: String,
    created_at: Option<String>,
    labels: Labels,
}

/// A network of `/networks`.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ListedNetwork {
    id: String,
    name: String,
    driver: String,
    created: Option<String>,
    labels: Labels,
    ingress: bool,
}

impl Listed {
    fn name(&self) -> Arc<str> {
        let name = self.names.iter().flatten().next().map_or("", String::as_str);
        foreign::name(name.trim_start_matches('/')).into()
    }
}

fn label(labels: &Labels, key: &str) -> Option<String> {
    Some(foreign::name(labels.as_ref()?.get(key)?.as_deref().unwrap_or_default()))
}

/// Whether somebody labelled it to be kept.
fn is_kept(labels: &Labels) -> bool {
    label(labels, KEEP_LABEL).is_some_and(|word| !word.eq_ignore_ascii_case("false"))
}

fn project(labels: &Labels) -> Option<Arc<str>> {
    label(labels, "com.docker.compose.project").filter(|project| !project.is_empty()).map(Into::into)
}

/// Who uses what: the names of containers, in order.
type Users<'a> = HashMap<&'a str, Vec<Arc<str>>>;

/// The users of each thing that a container names.
fn users<'a, I: Iterator<Item = &'a str>>(containers: &'a [Listed], uses: impl Fn(&'a Listed) -> I) -> Users<'a> {
    let mut users = Users::new();
    for container in containers {
        for thing in uses(container) {
            users.entry(thing).or_default().push(container.name());
        }
    }
    for names in users.values_mut() {
        names.sort();
        names.dedup();
    }
    users
}

pub(super) fn images_of(listed: Vec<ListedImage>, containers: &[Listed]) -> Vec<Image> {
    let users = users(containers, |container| std::iter::once(container.image_id.as_str()));
    let mut by_id: BTreeMap<String, Image> = BTreeMap::new();
    for it in listed.into_iter().filter(|it| !it.id.is_empty()) {
        let id = foreign::name(&it.id);
        let users = users.get(id.as_str()).cloned().unwrap_or_default();
        // Some engines list an image once for each of its names.
        let image = by_id.entry(id.clone()).or_insert_with(|| Image {
            id: id.into(),
            references: Vec::new(),
            repository: None,
            kept: Vec::new(),
            size_bytes: u64::try_from(it.size).unwrap_or_default(),
            shared_before_bytes: 0,
            created: Timestamp::from_second(it.created).ok().filter(|at| at.as_second() > 0),
            users,
            keep: false,
        });
        image.keep |= is_kept(&it.labels);
        for tag in it.repo_tags.iter().flatten().filter(|tag| !tag.starts_with("<none>")) {
            let tag = foreign::name(tag);
            match kept_reference(&tag) {
                Some((container, run)) => {
                    image.kept.push(KeptImage { container: container.to_owned(), run: run.to_owned() });
                }
                None => image.references.push(tag),
            }
        }
        let digests = it.repo_digests.iter().flatten().filter_map(|digest| digest.split_once('@'));
        let mut repositories = digests.map(|(repository, _)| repository).filter(|name| *name != "<none>");
        image.repository = image.repository.take().or_else(|| repositories.next().map(foreign::name));
    }
    by_id
        .into_values()
        .map(|mut image| {
            image.references.sort();
            image.kept.sort();
            image
        })
        .collect()
}

pub(super) fn volumes_of(listed: Vec<ListedVolume>, containers: &[Listed]) -> Vec<DockerVolume> {
    let users = users(containers, |container| {
        let mounts = container.mounts.iter().flatten().filter(|mount| mount.kind == "volume");
        mounts.map(|mount| mount.name.as_str())
    });
    let volume = |it: ListedVolume| DockerVolume {
        // Engines before 23 do not mark those that nobody named.
        anonymous: label(&it.labels, "com.docker.volume.anonymous").is_some() || is_made_up(&it.name),
        driver: foreign::name(&it.driver),
        size_bytes: Reading::Unavailable(NOT_MEASURED.into()),
        users: users.get(it.name.as_str()).cloned().unwrap_or_default(),
        project: project(&it.labels),
        keep: is_kept(&it.labels),
        created: it.created_at.as_deref().and_then(convert::time),
        name: foreign::name(&it.name).into(),
    };
    let mut volumes: Vec<DockerVolume> = listed.into_iter().map(volume).collect();
    volumes.sort_by(|a, b| a.name.cmp(&b.name));
    volumes
}

pub(super) fn networks_of(listed: Vec<ListedNetwork>, containers: &[Listed]) -> Vec<DockerNetwork> {
    let users = users(containers, |container| {
        let networks = container.network_settings.iter().filter_map(|settings| settings.networks.as_ref()).flatten();
        networks.map(|(name, endpoint)| match endpoint {
            Some(endpoint) if !endpoint.network_id.is_empty() => endpoint.network_id.as_str(),
            // A container that is down may know the name only.
            _ => name.as_str(),
        })
    });
    let network = |it: ListedNetwork| {
        let by = |key: &str| users.get(key).into_iter().flatten().cloned();
        let mut users: Vec<Arc<str>> = by(&it.id).chain(by(&it.name)).collect();
        users.sort();
        users.dedup();
        DockerNetwork {
            builtin: matches!(it.name.as_str(), "bridge" | "host" | "none" | "podman") || it.ingress,
            driver: foreign::name(&it.driver),
            users,
            project: project(&it.labels),
            keep: is_kept(&it.labels),
            created: it.created.as_deref().and_then(convert::time),
            name: foreign::name(&it.name).into(),
            id: foreign::name(&it.id).into(),
        }
    };
    let mut networks: Vec<DockerNetwork> = listed.into_iter().map(network).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
    networks
}

pub(super) fn space_of(it: &Listed) -> Option<ContainerSpace> {
    let name = it.name();
    Some(ContainerSpace {
        id: convert::id(&it.id)?,
        project: project(&it.labels),
        up: matches!(it.state.as_str(), "running" | "paused" | "restarting"),
        written_bytes: Reading::Unavailable(NOT_MEASURED.into()),
        keep: is_kept(&it.labels) || kept_of(&name).is_some(),
        name,
    })
}
