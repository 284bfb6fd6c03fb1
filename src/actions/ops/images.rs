//! Images: pulled, kept for roll back, named, removed.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::Value;

use super::removal::measured;
use super::{Bench, Done, Trouble, gone_is_fine};
use crate::domain::{ImageRef, kept_repository, short_image_id};
use crate::host::{DockerClient, EngineError, Extent, Login};

/// The time between two words about a pull.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Gives an image a name under which it is kept.
pub(super) async fn keep(bench: &mut Bench<'_>, image: &str, container: &str) -> Result<Done, Trouble> {
    let repository = kept_repository(container);
    bench.docker.tag(image, &repository, bench.run).await?;
    Ok(Done::saying(format!("kept as {repository}:{}", bench.run)))
}

/// Gives a reference to an image that is there.
pub(super) async fn tag(bench: &mut Bench<'_>, image: &str, reference: &str) -> Result<Done, Trouble> {
    let (repository, tag) = split(reference);
    bench.docker.tag(image, repository, tag).await?;
    Ok(Done::default())
}

/// Repository and tag of a reference; `latest` where it names none.
pub(in crate::actions) fn split(reference: &str) -> (&str, &str) {
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to a port.
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

/// Pulls an image and tells how far it is.
pub(super) async fn pull(bench: &mut Bench<'_>, reference: &str) -> Result<Done, Trouble> {
    let mut layers: HashMap<String, (u64, u64)> = HashMap::new();
    let login = login(bench, reference).await;
    let mut steps = bench.docker.pull(reference, login);
    let mut told = None;
    while let Some(step) = steps.next().await {
        let step = step.map_err(|error| Trouble(format!("{reference} cannot be pulled: {}", plain(&error))))?;
        let layer = layers.entry(step.layer.clone()).or_default();
        match step.text.as_str() {
            "Downloading" => *layer = step.bytes,
            "Download complete" | "Pull complete" | "Already exists" => layer.0 = layer.1,
            _ => {}
        }
        let now = bench.desk.ports.clock.now();
        if told.is_none_or(|told| now.since(told) >= TELL_EVERY) {
            told = Some(now);
            let (done, total) = layers.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
            bench.progress(format!("pulling {reference}"), done, total);
        }
    }
    let image = bench.docker.image_raw(reference).await?;
    let id = image.as_ref().and_then(|image| image.get("Id")?.as_str());
    let Some(id) = id else {
        return Err(Trouble(format!("{reference} was pulled, and yet the engine does not have it")));
    };
    Ok(Done::saying(format!("{reference} is {}", id.get(..19).unwrap_or(id))))
}

/// Who is to pull: as `docker login` left it, as with `docker pull`. Where that cannot be told it is said, and nobody in
/// particular pulls.
async fn login(bench: &mut Bench<'_>, reference: &str) -> Option<Login> {
    let image: ImageRef = reference.parse().ok()?;
    let found = match bench.desk.ports.registries.open().await {
        Ok(registries) => registries.login(&image).await,
        Err(fault) => Err(fault.to_string()),
    };
    found.unwrap_or_else(|why| {
        bench.say(format!("{reference} is pulled without credentials: {why}"));
        None
    })
}

/// What engines say when a pull fails, the older ones and those with containerd's store, and what it means. The first that is
/// found counts.
const MEANINGS: &[(&str, &str)] = &[
    ("toomanyrequests", TOO_MANY),
    ("HTTP status: 429", TOO_MANY),
    ("429 Too Many Requests", TOO_MANY),
    ("no basic auth credentials", LOG_IN),
    ("unauthorized:", LOG_IN),
    ("401 Unauthorized", LOG_IN),
    ("denied:", LOG_IN),
    ("access denied", LOG_IN),
    ("manifest unknown", "the registry has no such image (any more)"),
    ("HTTP status: 5", FAILING),
    ("unexpected status from", FAILING),
    ("no space left", "the engine's disk is full: `hostler run docker.prune` makes room"),
];

const TOO_MANY: &str = "the registry allows no more pulls for now: try later, or raise the limit with `docker login`";
const FAILING: &str = "the registry itself is failing: try later";
const LOG_IN: &str = "the registry gives it only to those it knows: `docker login`";

/// Why a pull failed, in plain words where they are known, with the engine's own.
fn plain(error: &EngineError) -> String {
    let said = match error {
        EngineError::Gone(said) | EngineError::Conflict(said) | EngineError::Refused { message: said, .. } => said,
        EngineError::Failed(failure) => return failure.to_string(),
    };
    match MEANINGS.iter().find(|(part, _)| said.contains(part)) {
        Some((_, meaning)) => format!("{meaning} ({said})"),
        None => said.clone(),
    }
}

/// Removes images: their names one by one, then what is left of them. Never by force: what is in use stays.
pub(super) async fn remove(bench: &mut Bench<'_>, images: &[(String, Vec<String>)]) -> Result<Done, Trouble> {
    let before = layers_bytes(bench).await;
    let mut stayed = Vec::new();
    for (index, (id, names)) in images.iter().enumerate() {
        bench.progress("removing images", index as u64, images.len() as u64);
        stayed.extend(remove_one(bench.docker, id, names).await?);
    }
    let after = layers_bytes(bench).await;
    let freed = before.zip(after).map(|(before, after)| before.saturating_sub(after));
    Ok(Done { text: String::new(), freed, stayed })
}

/// Bytes of all image layers, each once, as the engine measures them.
async fn layers_bytes(bench: &mut Bench<'_>) -> Option<u64> {
    measured(bench, Extent::AllButVolumes).await?.layers_bytes.get()
}

/// Removes an image that has no other names than these. Gives why it stays, if it does: then it has all its names.
async fn remove_one(docker: &DockerClient, id: &str, names: &[String]) -> Result<Option<String>, Trouble> {
    let Some(image) = docker.image_raw(id).await? else { return Ok(None) };
    let texts = |key: &str| {
        let texts = image.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.filter(|text| !text.starts_with("<none>")).map(str::to_owned).collect::<Vec<_>>()
    };
    let shown = names.first().map_or_else(|| short_image_id(id), String::as_str);
    let tags = texts("RepoTags");
    if let Some(other) = tags.iter().find(|tag| !names.contains(tag)) {
        return Ok(Some(format!("{shown}, which is called {other} now")));
    }
    let mut taken = Vec::new();
    let mut removed = Ok(());
    // With the last name the image itself goes.
    for name in tags.iter().chain(&texts("RepoDigests")).map(String::as_str).chain([id]) {
        removed = gone_is_fine(docker.remove_image(name).await);
        if removed.is_err() {
            break;
        }
        taken.extend(tags.iter().find(|tag| *tag == name));
    }
    let Err(error) = removed else { return Ok(None) };
    for name in taken {
        let (repository, tag) = split(name);
        docker.tag(id, repository, tag).await?;
    }
    let EngineError::Conflict(why) = error else { return Err(error.into()) };
    let user = docker.list().await?.into_iter().find(|container| container.image_id == id);
    Ok(Some(match user {
        Some(user) => format!("{shown}, which {} uses now", user.name),
        None => format!("{shown}, because {why}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_pull_is_told_in_plain_words() {
        let told = |message: &str| plain(&EngineError::Refused { status: 500, message: message.to_owned() });
        let head = "unexpected status from HEAD request to https://r.example/v2/app/manifests/1";
        assert!(told(&format!("{head}: 401 Unauthorized")).starts_with(LOG_IN));
        assert!(told(&format!("{head}: 429 Too Many Requests")).starts_with(TOO_MANY));
        assert!(told(&format!("{head}: 502 Bad Gateway")).starts_with(FAILING));
        assert!(told("pull access denied for app, repository does not exist").starts_with(LOG_IN));
        assert_eq!(
            told("dial tcp 127.0.0.1:42955: connection refused"),
            "dial tcp 127.0.0.1:42955: connection refused"
        );
    }

    #[test]
    fn a_reference_is_split_at_its_tag() {
        assert_eq!(split("n8nio/n8n:1.2"), ("n8nio/n8n", "1.2"));
        assert_eq!(split("127.0.0.1:5000/bed/app"), ("127.0.0.1:5000/bed/app", "latest"));
        assert_eq!(split("127.0.0.1:5000/bed/app:v1"), ("127.0.0.1:5000/bed/app", "v1"));
    }
}
