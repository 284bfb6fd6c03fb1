//! A trial: what stands for containers, on copies of their volumes and in a network of its own, and goes again.
//!
//! All that a trial makes carries the label `hostler.trial` with the id of its run, so that its end finds everything, also
//! after a worker that died.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::{Instant, interval, sleep};

use super::data::content;
use super::recreate::Recipe;
use super::{Bench, Done, Trouble, archive_logs, gone_is_fine};
use crate::domain::{ContainerId, ContainerRef, Verb, trial_name, units};
use crate::host::{DockerClient, EngineError};

/// The label of what a trial made; its value is the trial's run.
const LABEL: &str = "hostler.trial";

/// The time between two words about a copy.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Copies a volume. A container that never runs holds the copy while it is filled: the engine has no other way.
pub(super) async fn copy(
    bench: &mut Bench<'_>,
    volume: &str,
    container: &ContainerRef,
    path: &str,
) -> Result<Done, Trouble> {
    let (copy, holder) = (trial_name(volume), trial_name(&format!("{volume}.volume")));
    let old = bench.inspected(container).await?;
    // A worker that died in here leaves a part of it.
    clear(bench.docker, &holder).await?;
    gone_is_fine(bench.docker.remove_volume(&copy).await)?;
    bench.docker.create_volume(&copy, &json!({ LABEL: bench.run })).await?;
    let body = json!({
        "Image": old.get("Image"),
        "Entrypoint": ["/"],
        "Labels": { LABEL: bench.run },
        "HostConfig": { "Binds": [format!("{copy}:{path}")], "NetworkMode": "none" },
    });
    let holder = create(bench.docker, &holder, &body).await?;
    let copied = Arc::new(AtomicU64::new(0));
    let (from, to) = (content(path), path);
    let copying = bench.docker.copy((&container.id, &from), (&holder, to), Arc::clone(&copied));
    let mut copying = std::pin::pin!(copying);
    let mut tick = interval(TELL_EVERY);
    loop {
        tokio::select! {
            done = &mut copying => break done?,
            _ = tick.tick() => bench.progress(format!("copying {volume}"), copied.load(Ordering::Relaxed), 0),
        }
    }
    bench.docker.remove(&holder, false, false).await?;
    Ok(Done::saying(format!("{} are copied", units::bytes(copied.load(Ordering::Relaxed)))))
}

/// Starts what stands for a container.
pub(super) async fn start(bench: &mut Bench<'_>, like: &ContainerRef, image: &str) -> Result<Done, Trouble> {
    let label = format!("{LABEL}={}", bench.run);
    let network = format!("hostler_trial-{}", bench.run);
    if bench.docker.networks_labelled(&label).await?.is_empty() {
        match bench.docker.create_inner_network(&network, &json!({ LABEL: bench.run })).await {
            // The engine was still at it for a worker that died.
            Err(EngineError::Conflict(_)) => {}
            made => made?,
        }
    }
    let name = trial_name(&like.name);
    let old = bench.inspected(like).await?;
    let old_image = old.get("Image").and_then(Value::as_str).unwrap_or_default();
    let inherited = bench.docker.image_raw(old_image).await?;
    let recipe = Recipe::of(&old, inherited.as_ref(), image, bench.run);
    let copies = bench.docker.volumes_labelled(&label).await?;
    let body = confined(recipe.body, &old, (bench.run, &network), &copies);
    let id = create(bench.docker, &name, &body).await?;
    bench.docker.lifecycle(Verb::Start, &id, None).await?;
    Ok(Done::saying(format!("{name} runs from {image}")))
}

/// Removes all that the trial made. What a container said is kept with the run.
pub(super) async fn end(bench: &mut Bench<'_>) -> Result<Done, Trouble> {
    let kept = sweep(bench).await?;
    // What the engine was still at for a worker that died is there a moment later.
    sleep(TELL_EVERY).await;
    let kept = sweep(bench).await? || kept;
    Ok(Done::saying(if kept {
        "nothing of the trial is left but its logs, which are kept with the run"
    } else {
        "nothing of the trial is left"
    }))
}

/// Removes what is there of the trial; gives whether logs were kept.
async fn sweep(bench: &mut Bench<'_>) -> Result<bool, Trouble> {
    let label = format!("{LABEL}={}", bench.run);
    let found = bench.docker.having("label", &label).await?.into_iter();
    let found: Vec<ContainerRef> =
        found.map(|container| ContainerRef { id: container.id, name: container.name.to_string() }).collect();
    let kept = match archive_logs(bench, &found).await {
        Ok(done) => !done.text.is_empty(),
        // It must go all the same.
        Err(Trouble(why)) => {
            bench.say(format!("its logs could not be kept: {why}"));
            false
        }
    };
    for container in &found {
        remove(bench.docker, &container.id).await?;
    }
    for volume in bench.docker.volumes_labelled(&label).await? {
        gone_is_fine(bench.docker.remove_volume(&volume).await)?;
    }
    for network in bench.docker.networks_labelled(&label).await? {
        gone_is_fine(bench.docker.remove_network(&network).await)?;
    }
    Ok(kept)
}

/// Makes a container in the place of what a trial made under its name before.
async fn create(docker: &DockerClient, name: &str, body: &Value) -> Result<ContainerId, EngineError> {
    clear(docker, name).await?;
    match docker.create(name, body).await {
        // The engine was still at it for a worker that died.
        Err(EngineError::Conflict(_)) => {
            clear(docker, name).await?;
            docker.create(name, body).await
        }
        made => made,
    }
}

/// Removes the container of this name, if a trial made it.
async fn clear(docker: &DockerClient, name: &str) -> Result<(), EngineError> {
    let Some(it) = docker.inspect_raw(name).await? else { return Ok(()) };
    let is_ours = it.pointer("/Config/Labels").is_some_and(|labels| labels.get(LABEL).is_some());
    match it.get("Id").and_then(Value::as_str) {
        Some(id) if is_ours => remove(docker, &ContainerId::from(id)).await,
        _ => Ok(()),
    }
}

/// Removes a container with what only it has, and waits for it where somebody else is at it.
async fn remove(docker: &DockerClient, id: &ContainerId) -> Result<(), EngineError> {
    let began = Instant::now();
    match docker.remove(id, true, true).await {
        Err(EngineError::Conflict(why)) => {
            while docker.inspect_raw(&id.0).await?.is_some() {
                if began.elapsed() > DockerClient::CHANGE_PATIENCE {
                    return Err(EngineError::Conflict(why));
                }
                sleep(TELL_EVERY / 10).await;
            }
            Ok(())
        }
        removed => gone_is_fine(removed),
    }
}

/// The body of a create with everything taken away by which a container touches what is outside of the trial.
fn confined(mut body: Value, old: &Value, (run, network): (&str, &str), copies: &[String]) -> Value {
    let Some(config) = body.as_object_mut() else { return body };
    // Labels speak to others: compose, proxies, updaters.
    config.insert("Labels".to_owned(), json!({ LABEL: run }));
    config.remove("MacAddress");
    let mut host = config.get("HostConfig").and_then(Value::as_object).cloned().unwrap_or_default();
    let alone = host.get("NetworkMode").and_then(Value::as_str) == Some("none");
    for key in ["PortBindings", "PublishAllPorts", "Links", "VolumesFrom", "AutoRemove", "UTSMode"] {
        host.remove(key);
    }
    // Processes of the host, or of a container that runs, are nobody's to end.
    host.remove("PidMode");
    if host.get("IpcMode").and_then(Value::as_str).is_some_and(|mode| mode.starts_with("container:")) {
        host.remove("IpcMode");
    }
    host.insert("RestartPolicy".to_owned(), json!({ "Name": "no" }));
    if let Some(mounts) = host.get_mut("Mounts").and_then(Value::as_array_mut) {
        mounts.retain(|mount| mount.get("Type").and_then(Value::as_str) == Some("tmpfs"));
    }
    host.insert("Binds".to_owned(), binds(old, copies).into());
    let mut endpoints = Map::new();
    if !alone {
        host.insert("NetworkMode".to_owned(), network.into());
        endpoints.insert(network.to_owned(), json!({ "Aliases": aliases(old) }));
    }
    config.insert("HostConfig".to_owned(), host.into());
    config.insert("NetworkingConfig".to_owned(), json!({ "EndpointsConfig": endpoints }));
    body
}

/// What is mounted: copies to write to; the rest to read, without what leads to an engine.
fn binds(old: &Value, copies: &[String]) -> Vec<String> {
    let mounts = old.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let bind = |mount: &Value| {
        let text = |key: &str| mount.get(key).and_then(Value::as_str);
        let (place, source) = (text("Destination")?, text("Source").unwrap_or_default());
        match text("Type")? {
            "volume" => {
                let name = text("Name")?;
                let copy = trial_name(name);
                Some(if copies.contains(&copy) { format!("{copy}:{place}") } else { format!("{name}:{place}:ro") })
            }
            "bind" if !leads_to_engine(source) => Some(format!("{source}:{place}:ro")),
            _ => None,
        }
    };
    mounts.filter_map(bind).collect()
}

/// Whether what lies at this path of the host may be, or hold, an engine's socket: read-only stops nobody from using one.
pub(in crate::actions) fn leads_to_engine(path: &str) -> bool {
    let path = Path::new(path);
    let is_socket = path.extension().is_some_and(|extension| extension == "sock");
    let sockets = ["/run", "/var/run"];
    is_socket || sockets.iter().any(|folder| path.starts_with(folder) || Path::new(folder).starts_with(path))
}

/// The names by which others of the trial find it: all that it has in any of its networks.
fn aliases(old: &Value) -> Vec<String> {
    let text = |key: &str| old.pointer(key).and_then(Value::as_str).map(str::to_owned);
    let name = text("/Name").map(|name| name.trim_start_matches('/').to_owned());
    let service = old.pointer("/Config/Labels").and_then(|labels| labels.get("com.docker.compose.service"));
    let service = service.and_then(Value::as_str).map(str::to_owned);
    let networks = old.pointer("/NetworkSettings/Networks").and_then(Value::as_object).into_iter().flatten();
    let given = networks.filter_map(|(_, endpoint)| endpoint.get("Aliases")?.as_array()).flatten();
    let given = given.filter_map(Value::as_str).map(str::to_owned);
    let mut names: Vec<String> = name.into_iter().chain(service).chain(given).collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_is_touched() {
        let old = json!({
            "Name": "/shop-app-1", "Id": "abc",
            "Config": { "Labels": { "com.docker.compose.service": "app", "traefik.enable": "true" } },
            "Mounts": [
                { "Type": "volume", "Name": "data", "Destination": "/data", "RW": true },
                { "Type": "volume", "Name": "models", "Destination": "/models", "RW": true },
                { "Type": "bind", "Source": "/srv/files", "Destination": "/files", "RW": true },
                { "Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "RW": true },
            ],
            "NetworkSettings": { "Networks": { "shop": { "Aliases": ["app", "www"], "IPAddress": "172.20.0.9" } } },
        });
        let body = json!({
            "Image": "app:2",
            "Labels": { "traefik.enable": "true" },
            "HostConfig": {
                "NetworkMode": "shop", "PortBindings": { "80/tcp": [{ "HostPort": "80" }] }, "PidMode": "host",
                "IpcMode": "host", "RestartPolicy": { "Name": "always" }, "VolumesFrom": ["other"], "AutoRemove": true,
                "Mounts": [{ "Type": "volume", "Source": "data", "Target": "/data" }, { "Type": "tmpfs", "Target": "/tmp" }],
            },
            "NetworkingConfig": { "EndpointsConfig": { "shop": {} } },
        });
        let made = confined(body, &old, ("run", "net"), &["data.hostler_trial".to_owned()]);
        let expected = json!({
            "Image": "app:2",
            "Labels": { "hostler.trial": "run" },
            "HostConfig": {
                "NetworkMode": "net", "IpcMode": "host", "RestartPolicy": { "Name": "no" },
                "Mounts": [{ "Type": "tmpfs", "Target": "/tmp" }],
                "Binds": ["data.hostler_trial:/data", "models:/models:ro", "/srv/files:/files:ro"],
            },
            "NetworkingConfig": { "EndpointsConfig": { "net": { "Aliases": ["app", "shop-app-1", "www"] } } },
        });
        assert_eq!(made, expected);
    }
}
