//! What is looked at before an update begins, so that nothing is pulled, stopped or half done in vain.

use std::path::PathBuf;

use serde_json::Value;

use super::target::Target;
use super::{Desk, Refusal};
use crate::domain::{Run, units};
use crate::host::{DockerClient, driver_mismatch, statvfs};

/// Looks whether the targets can be updated now.
///
/// # Errors
/// What stands against it, with the remedy.
pub(super) async fn check(desk: &Desk, targets: &[Target]) -> Result<(), Refusal> {
    driver(desk, targets).await?;
    space(desk, targets).await
}

/// The runs that are kept, the oldest first: read once for a plan.
///
/// # Errors
/// When the state folder does not answer.
pub(super) async fn runs(desk: &Desk) -> Result<Vec<Run>, Refusal> {
    let dir = desk.state_dir.clone();
    Ok(desk.blocking(move || dir.runs()).await?)
}

/// Looks among `runs` for one that left one of these half replaced: then it may not even have its name.
///
/// # Errors
/// When there is one, with what to do about it.
pub(super) fn unfinished(runs: &[Run], names: &[String]) -> Result<(), Refusal> {
    let is_about = |run: &Run, name: &String| {
        run.plan.targets.contains(name) || run.plan.locks.contains(&format!("container/{name}"))
    };
    interrupted(runs, |run| names.iter().any(|name| is_about(run, name)))
}

/// Looks among `runs` for one that was interrupted and is about the same.
///
/// # Errors
/// When there is one, with what to do about it.
pub(super) fn interrupted(runs: &[Run], is_about: impl Fn(&Run) -> bool) -> Result<(), Refusal> {
    let died = runs.iter().find(|run| run.has_died() && is_about(run));
    let Some(Run { id, plan, .. }) = died else { return Ok(()) };
    let title = &plan.title;
    Err(Refusal::new(format!(
        "\"{title}\" was interrupted: finish it (`hostler run --finish {id}`) or take it back (`hostler undo {id}`) first"
    )))
}

/// A container that is made while library and module of the driver differ gets no GPU.
///
/// # Errors
/// When they do, and one of these has GPUs.
pub(super) async fn driver(desk: &Desk, targets: &[Target]) -> Result<(), Refusal> {
    let Some(target) = targets.iter().find(|target| target.container.wants_gpu) else { return Ok(()) };
    let fs = desk.ports.fs.clone();
    let Some((loaded, on_disk)) = desk.blocking(move || driver_mismatch(&fs)).await? else { return Ok(()) };
    Err(Refusal::new(format!(
        "driver {loaded} is loaded and {on_disk} is on disk: made again now, {} would lose its GPU. Reboot first",
        target.shown()
    )))
}

/// The new images need about as much space as the present ones.
async fn space(desk: &Desk, targets: &[Target]) -> Result<(), Refusal> {
    let docker = desk.docker().await?;
    if !docker.is_local() {
        return Ok(());
    }
    let mut needed = 0;
    let mut counted: Vec<&str> = Vec::new();
    for target in targets {
        let id = target.container.image_id.as_str();
        if counted.contains(&id) {
            continue;
        }
        counted.push(id);
        let image = docker.image_raw(id).await?;
        needed += image.as_ref().and_then(|image| image.get("Size")?.as_u64()).unwrap_or(0);
    }
    let info = docker.get_raw("/info", DockerClient::PATIENCE).await?;
    let Some(root) = info.get("DockerRootDir").and_then(Value::as_str).map(PathBuf::from) else { return Ok(()) };
    let (fs, place) = (desk.ports.fs.clone(), root.clone());
    // Of a folder that cannot be looked at, nothing is known.
    let Ok(space) = desk.blocking(move || statvfs(&fs, &place)).await? else { return Ok(()) };
    if space.free_bytes >= needed {
        return Ok(());
    }
    Err(Refusal::new(format!(
        "{} is free at {}, and the new image needs about {}: `hostler run docker.prune` makes room",
        units::bytes(space.free_bytes),
        root.display(),
        units::bytes(needed)
    )))
}
