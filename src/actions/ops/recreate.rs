//! A container made again from another image: made beside the old one, put into its place, and taken back.
//!
//! The old container keeps running until the new one is made; it is then stopped, renamed and kept. The service is away only
//! between its stop and the start of the new one. Names tell what is what at any time, also to a worker that takes over:
//! `NAME.hostler-RUN` is the old one, `NAME.hostler_new-RUN` the new one before it takes the name, and the label
//! `hostler.run` says which run made it.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::{Bench, Done, Trouble, changed, gone_is_fine, last_lines};
use crate::domain::{ComposeService, ContainerId, ContainerRef, RestartPolicy, Verb, WordChange, is_trial, kept_name};
use crate::host::{DockerClient, EngineError, compose_hash};

/// The label that names the run which made a container.
pub(in crate::actions) const RUN_LABEL: &str = "hostler.run";

/// Compose's label of the image that a container was made from, and the one of its configuration's hash: by them it tells
/// whether a container is up to date.
const IMAGE_LABEL: &str = "com.docker.compose.image";
const HASH_LABEL: &str = "com.docker.compose.config-hash";

/// The name of a new container before it takes its own.
fn new_name(name: &str, run: &str) -> String {
    format!("{name}.hostler_new-{run}")
}

/// Whether a container has the name of an old one that is kept, of a new one that has not taken its place, or of a trial's.
pub(in crate::actions) fn is_kept(name: &str) -> bool {
    name.contains(".hostler-") || name.contains(".hostler_new-") || is_trial(name)
}

/// A container that is there.
struct Found {
    id: ContainerId,
    name: String,
    runs: bool,
}

async fn find(docker: &DockerClient, name: &str) -> Result<Option<(Found, Value)>, EngineError> {
    let Some(it) = docker.inspect_raw(name).await? else { return Ok(None) };
    let text = |key: &str| it.get(key).and_then(Value::as_str).unwrap_or_default();
    let found = Found {
        id: ContainerId::from(text("Id")),
        name: text("Name").trim_start_matches('/').to_owned(),
        runs: it.pointer("/State/Running").and_then(Value::as_bool).unwrap_or(false),
    };
    Ok(Some((found, it)))
}

/// What this run made, wherever it stands on its way: under its first name, or under the final one.
async fn made(bench: &Bench<'_>, name: &str) -> Result<Option<Found>, EngineError> {
    let ours =
        |it: &Value| it.pointer("/Config/Labels").and_then(|labels| labels.get(RUN_LABEL)?.as_str()) == Some(bench.run);
    for name in [&new_name(name, bench.run), name] {
        if let Some((found, _)) = find(bench.docker, name).await?.filter(|(_, it)| ours(it)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Makes a container like another one, from another image or with another word. It does not run yet.
pub(super) async fn create(
    bench: &mut Bench<'_>,
    like: &ContainerRef,
    image: &str,
    (service, word): (Option<&ComposeService>, Option<&WordChange>),
) -> Result<Done, Trouble> {
    let made_before = made(bench, &like.name).await?;
    if made_before.as_ref().is_some_and(|it| it.name == like.name) {
        return Ok(Done::default());
    }
    let mut old = bench.inspected(like).await?;
    if let Some(word) = word {
        reworded(&mut old, word).map_err(|what| changed(&format!("{what} of {}", like.name)))?;
    }
    let old_image = old.get("Image").and_then(Value::as_str).unwrap_or_default();
    let inherited = bench.docker.image_raw(old_image).await?;
    let mut recipe = Recipe::of(&old, inherited.as_ref(), image, bench.run);
    let new_image = bench.docker.image_raw(image).await?;
    recipe.relabel(IMAGE_LABEL, new_image.as_ref().and_then(|image| image.get("Id")?.as_str()));
    if let Some(service) = service {
        match compose_hash(service, &bench.docker.info().endpoint).await {
            Ok(hash) => recipe.relabel(HASH_LABEL, Some(&hash)),
            Err(why) => bench.say(format!("the next `docker compose up` will make {} again: {why}", like.name)),
        }
    }
    let id = match made_before {
        Some(made) => made.id,
        None => match bench.docker.create(&new_name(&like.name, bench.run), &recipe.body).await {
            Err(EngineError::Conflict(why)) => made_meanwhile(bench, &like.name, why).await?,
            created => created?,
        },
    };
    // Whoever made it may have died before it was in all of them.
    let it = bench.docker.inspect_raw(&id.0).await?;
    let joined = it.as_ref().and_then(|it| it.pointer("/NetworkSettings/Networks"));
    for (network, endpoint) in &recipe.networks {
        if joined.is_none_or(|joined| joined.get(network).is_none()) {
            bench.docker.connect_network(network, &id, endpoint).await?;
        }
    }
    Ok(Done::saying(format!("made {} from {image}", id.short())))
}

/// Puts another word into what the engine says of a container.
///
/// # Errors
/// What stands there instead, as the beginning of a clause.
fn reworded(it: &mut Value, word: &WordChange) -> Result<(), String> {
    let list: &str = word.list.into();
    let place = it.pointer_mut(&format!("/Config/{list}/{}", word.index));
    match place {
        Some(place) if place.as_str() == Some(&word.from) => {
            *place = word.to.as_str().into();
            Ok(())
        }
        _ => Err(format!("`{}` is no word {} of the {list}", word.from, word.index)),
    }
}

/// What the engine made after this worker had looked: another one that died had asked for it. Its name is taken a moment before it
/// can be seen.
async fn made_meanwhile(bench: &Bench<'_>, name: &str, why: String) -> Result<ContainerId, Trouble> {
    for _ in 0..20 {
        if let Some(made) = made(bench, name).await? {
            return Ok(made.id);
        }
        sleep(Duration::from_millis(250)).await;
    }
    Err(EngineError::Conflict(why).into())
}

/// Removes what [`create`] made; its last lines are kept in the run's file.
pub(super) async fn remove_created(bench: &mut Bench<'_>, like: &ContainerRef) -> Result<Done, Trouble> {
    if let Some(new) = made(bench, &like.name).await? {
        gone_is_fine(bench.docker.remove(&new.id, false, true).await)?;
    }
    Ok(Done::default())
}

/// Stops a container whose place another one takes soon. Until that one runs, an engine that restarts shall bring this one back,
/// which it does not do with what was stopped under the policy `unless-stopped`. [`swap_back`] gives it its own again.
pub(super) async fn stop_for_now(bench: &mut Bench<'_>, container: &ContainerRef) -> Result<(), Trouble> {
    bench.progress(format!("stopping {}", container.name), 0, 0);
    let it = bench.inspected(container).await?;
    let policy = it.pointer("/HostConfig/RestartPolicy/Name").and_then(Value::as_str);
    if policy == Some("unless-stopped") {
        bench.docker.set_restart_policy(&container.id, RestartPolicy::Always).await?;
    }
    Ok(bench.docker.lifecycle(Verb::Stop, &container.id, None).await?)
}

/// Stops the old container and lets the new one take its name and place.
pub(super) async fn swap(
    bench: &mut Bench<'_>,
    old: &ContainerRef,
    policy: RestartPolicy,
    runs: bool,
) -> Result<Done, Trouble> {
    let Some(new) = made(bench, &old.name).await? else {
        return Err(Trouble(format!("what was made to replace {} is gone", old.name)));
    };
    if let Some((it, _)) = find(bench.docker, &old.id.0).await? {
        if it.runs {
            stop_for_now(bench, old).await?;
        }
        if it.name == old.name {
            bench.docker.rename(&old.id, &kept_name(&old.name, bench.run)).await?;
        }
    }
    if new.name != old.name {
        bench.docker.rename(&new.id, &old.name).await?;
    }
    if runs {
        bench.progress(format!("starting {}", old.name), 0, 0);
        bench.docker.lifecycle(Verb::Start, &new.id, None).await?;
    }
    // Only now: until the new one runs, an engine that restarts shall bring the old one back.
    if policy != RestartPolicy::No {
        bench.docker.set_restart_policy(&old.id, RestartPolicy::No).await?;
    }
    Ok(Done::saying(format!("the old container is kept as {}", kept_name(&old.name, bench.run))))
}

/// Lets the old container take its name and place again.
pub(super) async fn swap_back(
    bench: &mut Bench<'_>,
    old: &ContainerRef,
    policy: RestartPolicy,
) -> Result<Done, Trouble> {
    if let Some(new) = made(bench, &old.name).await? {
        if new.runs {
            // What it said last is what somebody will want to know.
            for line in last_lines(bench.docker, &new.id.0, 15).await {
                bench.say(format!("{}: {line}", old.name));
            }
            bench.docker.lifecycle(Verb::Stop, &new.id, Some(5)).await?;
        }
        if new.name == old.name {
            bench.docker.rename(&new.id, &new_name(&old.name, bench.run)).await?;
        }
    }
    let Some((it, _)) = find(bench.docker, &old.id.0).await? else {
        return Err(Trouble(format!("the old container of {} is gone", old.name)));
    };
    if it.name != old.name {
        bench.docker.rename(&old.id, &old.name).await?;
    }
    bench.docker.set_restart_policy(&old.id, policy).await?;
    Ok(Done::saying(format!("{} is the old container again", old.name)))
}

/// Removes what was kept of old versions.
pub(super) async fn let_go(
    bench: &mut Bench<'_>,
    containers: &[ContainerRef],
    references: &[String],
    runs: &[String],
) -> Result<Done, Trouble> {
    for container in containers {
        if let Err(error) = gone_is_fine(bench.docker.remove(&container.id, false, false).await) {
            bench.say(format!("{} stays: {error}", container.name));
        }
    }
    for reference in references {
        if let Err(error) = gone_is_fine(bench.docker.remove_image(reference).await) {
            bench.say(format!("{reference} stays: {error}"));
        }
    }
    for run in runs {
        if let Err(error) = bench.desk.state_dir.detach(run) {
            bench.say(format!("the backups of run {run} stay: {error}"));
        }
    }
    Ok(Done::default())
}

/// What a new container is made from.
pub(super) struct Recipe {
    /// The body of the engine's create.
    pub(super) body: Value,
    /// Networks to connect to beside the first one, with their endpoint's settings: engines before API 1.44 take one only.
    networks: Vec<(String, Value)>,
}

impl Recipe {
    /// The recipe of a container as it is, for another image. What it has from its old image is left to the new one.
    pub(super) fn of(old: &Value, old_image: Option<&Value>, image: &str, run: &str) -> Self {
        let mut config = object(old.get("Config"));
        let mut host = object(old.get("HostConfig"));
        let inherited = object(old_image.and_then(|image| image.get("Config")));
        subtract(&mut config, &inherited);
        config.insert("Image".to_owned(), image.into());
        let labels = config.entry("Labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(RUN_LABEL.to_owned(), run.into());
        }
        // The engine's own choice, the id's beginning, is no name that somebody gave.
        let id = old.get("Id").and_then(Value::as_str).unwrap_or_default();
        let hostname = config.get("Hostname").and_then(Value::as_str).unwrap_or_default();
        let mode = host.get("NetworkMode").and_then(Value::as_str).unwrap_or("default").to_owned();
        if id.starts_with(hostname) || mode.starts_with("container:") || mode == "host" {
            config.remove("Hostname");
        }
        host.remove("ContainerIDFile");
        links(&mut host);
        devices(&mut host);
        anonymous_volumes(&mut host, old);
        let (first, networks) = networks(old, &mode);
        config.insert("HostConfig".to_owned(), host.into());
        config.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": first }));
        Self { body: config.into(), networks }
    }

    /// Gives a label that is there another value.
    fn relabel(&mut self, label: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        if let Some(known) = self.body.pointer_mut("/Labels").and_then(|labels| labels.get_mut(label)) {
            *known = value.into();
        }
    }
}

fn object(value: Option<&Value>) -> Map<String, Value> {
    value.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Takes away what a container's config has from its image: the engine shows both as one, and what is given again would
/// hold on to the old image's values.
fn subtract(config: &mut Map<String, Value>, image: &Map<String, Value>) {
    for list in ["Env", "OnBuild"] {
        let Some(from_image) = image.get(list).and_then(Value::as_array) else { continue };
        if let Some(own) = config.get_mut(list).and_then(Value::as_array_mut) {
            own.retain(|entry| !from_image.contains(entry));
        }
    }
    for map in ["Labels", "ExposedPorts", "Volumes"] {
        let Some(from_image) = image.get(map).and_then(Value::as_object) else { continue };
        if let Some(own) = config.get_mut(map).and_then(Value::as_object_mut) {
            own.retain(|key, value| from_image.get(key) != Some(value));
        }
    }
    let same = |key: &str| config.get(key) == image.get(key);
    // An entry point of the container's own goes with a command of its own.
    let same_entry = same("Entrypoint");
    let single = ["WorkingDir", "User", "Healthcheck", "StopSignal", "Shell", "ArgsEscaped"];
    let mut inherited: Vec<&str> = single.into_iter().filter(|key| same(key)).collect();
    if same_entry {
        inherited.push("Entrypoint");
        inherited.extend(same("Cmd").then_some("Cmd"));
    }
    for key in inherited {
        config.remove(key);
    }
}

/// `/a:/b` is how the engine shows the link `a:b`.
fn links(host: &mut Map<String, Value>) {
    let Some(links) = host.get_mut("Links").and_then(Value::as_array_mut) else { return };
    for link in links {
        let Some((from, to)) = link.as_str().and_then(|link| link.split_once(':')) else { continue };
        let alias = to.rsplit('/').next().unwrap_or(to);
        *link = format!("{}:{alias}", from.trim_start_matches('/')).into();
    }
}

/// A device without rights may be read, written and made, as the docker command has it.
fn devices(host: &mut Map<String, Value>) {
    let Some(devices) = host.get_mut("Devices").and_then(Value::as_array_mut) else { return };
    for rights in devices.iter_mut().filter_map(|device| device.get_mut("CgroupPermissions")) {
        if rights.as_str().is_none_or(str::is_empty) {
            *rights = "rwm".into();
        }
    }
}

/// Volumes that nobody named are carried over by the name that the engine gave them: they would stay behind otherwise.
fn anonymous_volumes(host: &mut Map<String, Value>, old: &Value) {
    let named: Vec<String> = ["Binds", "Mounts"]
        .iter()
        .filter_map(|key| host.get(*key)?.as_array())
        .flatten()
        .filter_map(|entry| match entry {
            Value::String(bind) => bind.split(':').nth(1).map(str::to_owned),
            mount => Some(mount.get("Target")?.as_str()?.to_owned()),
        })
        .collect();
    let text = |mount: &Value, key: &str| mount.get(key).and_then(Value::as_str).map(str::to_owned);
    let mounts = old.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let carried: Vec<Value> = mounts
        .filter(|mount| text(mount, "Type").as_deref() == Some("volume"))
        .filter_map(|mount| {
            let (name, place) = (text(mount, "Name")?, text(mount, "Destination")?);
            let writable = mount.get("RW").and_then(Value::as_bool).unwrap_or(true);
            let bind = if writable { format!("{name}:{place}") } else { format!("{name}:{place}:ro") };
            (!named.contains(&place)).then_some(bind.into())
        })
        .collect();
    if carried.is_empty() {
        return;
    }
    match host.get_mut("Binds").and_then(Value::as_array_mut) {
        Some(binds) => binds.extend(carried),
        None => drop(host.insert("Binds".to_owned(), carried.into())),
    }
}

/// The endpoint of the first network, and those to connect to afterwards.
fn networks(old: &Value, mode: &str) -> (Map<String, Value>, Vec<(String, Value)>) {
    let alone = mode == "host" || mode == "none" || mode.starts_with("container:");
    let joined = object(old.pointer("/NetworkSettings/Networks"));
    let short = old.get("Id").and_then(Value::as_str).and_then(|id| id.get(..12)).unwrap_or_default();
    let mut first = Map::new();
    let mut others = Vec::new();
    for (name, endpoint) in joined.into_iter().filter(|_| !alone) {
        let is_first = name == mode || (name == "bridge" && matches!(mode, "default" | "bridge"));
        let endpoint = endpoint_settings(&endpoint, short, name == "bridge");
        if is_first { drop(first.insert(name, endpoint)) } else { others.push((name, endpoint)) }
    }
    (first, others)
}

/// What somebody set of an endpoint, without what the engine chose.
fn endpoint_settings(endpoint: &Value, short_id: &str, default_bridge: bool) -> Value {
    let mut settings = Map::new();
    for key in ["IPAMConfig", "DriverOpts", "GwPriority"] {
        if let Some(value) = endpoint.get(key).filter(|value| !value.is_null()) {
            settings.insert(key.to_owned(), value.clone());
        }
    }
    // The default bridge knows neither.
    if !default_bridge {
        if let Some(links) = endpoint.get("Links").filter(|value| !value.is_null()) {
            settings.insert("Links".to_owned(), links.clone());
        }
        let aliases = endpoint.get("Aliases").and_then(Value::as_array).into_iter().flatten();
        let given: Vec<Value> = aliases.filter(|alias| alias.as_str() != Some(short_id)).cloned().collect();
        if !given.is_empty() {
            settings.insert("Aliases".to_owned(), given.into());
        }
    }
    settings.into()
}

#[cfg(test)]
mod tests;
