//! Versions that are kept for roll back: which there are, and which of them go when there are too many.

use std::collections::BTreeSet;

use serde_json::Value;

use super::target::Target;
use super::{Desk, Refusal};
use crate::domain::{Container, ContainerRef, Item, Op, Risk, Step, kept_repository};
use crate::host::DockerClient;

/// An image that is kept for a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeptVersion {
    /// The run that kept it.
    pub(super) run: String,
    /// The image's id.
    pub(super) image: String,
}

/// The images that are kept for a container, the oldest first.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn versions(target: &Target, desk: &Desk) -> Result<Vec<KeptVersion>, Refusal> {
    let repository = kept_repository(&target.container.name);
    let filters = serde_json::json!({ "reference": [repository] }).to_string();
    let path = format!("/images/json?filters={}", crate::host::encoded(&filters));
    let images = desk.docker().await?.get_raw(&path, DockerClient::PATIENCE).await?;
    let mut kept = Vec::new();
    for image in images.as_array().into_iter().flatten() {
        let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
        let names = image.get("RepoTags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let runs = names.filter_map(|name| name.strip_prefix(&repository)?.strip_prefix(':'));
        kept.extend(runs.map(|run| KeptVersion { run: run.to_owned(), image: id.to_owned() }));
    }
    kept.sort();
    Ok(kept)
}

/// The step that lets the oldest versions of a container go, when this run keeps one more; `None` where there are not too
/// many. Old containers are looked for among `listed`; the version of run `needed` stays.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn trim(
    target: &Target,
    listed: &[Container],
    desk: &Desk,
    needed: Option<&str>,
) -> Result<Option<Step>, Refusal> {
    let old: Vec<(&str, ContainerRef)> = listed
        .iter()
        .filter_map(|container| {
            let (name, run) = container.kept_of()?;
            let kept = ContainerRef { id: container.id.clone(), name: container.name.to_string() };
            (*name == *target.container.name).then_some((run, kept))
        })
        .collect();
    let images = versions(target, desk).await?;
    let runs: BTreeSet<&str> =
        old.iter().map(|(run, _)| *run).chain(images.iter().map(|version| &*version.run)).collect();
    // One of those that stay is made by this run.
    let stay = usize::try_from(desk.settings.keep).unwrap_or(1).saturating_sub(1);
    let too_many = runs.len().saturating_sub(stay);
    let gone: Vec<&str> = runs.into_iter().take(too_many).filter(|run| Some(*run) != needed).collect();
    if gone.is_empty() {
        return Ok(None);
    }
    let repository = kept_repository(&target.container.name);
    let names = images.iter().filter(|version| gone.contains(&&*version.run));
    let references = names.map(|version| format!("{repository}:{}", version.run)).collect();
    let containers = old.into_iter().filter(|(run, _)| gone.contains(run)).map(|(_, kept)| kept).collect();
    let shown = target.shown();
    let title = format!("let go of versions of {shown} before the last {}, with their backups", desk.settings.keep);
    let items = gone.iter().map(|run| Item { name: (*run).to_owned(), ..Item::default() }).collect();
    let runs = gone.iter().map(|run| (*run).to_owned()).collect();
    let op = Op::LetGo { containers, references, runs };
    let step = Step { items, ..Step::new(format!("trim {shown}"), title, Risk::Safe, op) };
    Ok(Some(step.optional(true)))
}
