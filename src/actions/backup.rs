//! What an update backs up before the new version starts: settings, databases of the project, volumes.
//!
//! The backups stand directly before the first container is replaced, when everything is pulled: what is written between a
//! dump and the new version's start is lost if the data must be put back, so that this time is kept short. Volumes are
//! archived when the old containers have ended.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::ops::is_kept;
use super::target::{Target, env};
use super::{Desk, Refusal, compose};
use crate::domain::{
    ContainerId, ContainerRef, DataPlace, DatabaseKind, Item, Op, Plan, Risk, Step, short_name, units,
};
use crate::host::{DockerClient, Extent, Measured, foreign};

/// The word by which all of it is dropped.
const WORD: &str = "backup";

/// How long the engine may measure volumes: somebody waits for the plan.
const PATIENCE: Duration = Duration::from_secs(10);

/// A container with the volumes that it mounts to write to.
struct Member {
    container: ContainerRef,
    shown: String,
    project: Option<String>,
    image: String,
    runs: bool,
    /// Volumes, and where they are mounted.
    mounts: Vec<(String, String)>,
    is_target: bool,
    database: Option<DatabaseKind>,
}

/// Adds the steps that back up the data of `targets`. Data of other containers is only backed up where a target can
/// reach it: the databases of its project. Other volumes of the project are offered.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn add(desk: &Desk, targets: &[Target], plan: &mut Plan) -> Result<(), Refusal> {
    let docker = desk.docker().await?;
    let mut members = members(docker, targets).await?;
    for member in &mut members {
        member.database = database(docker, member, targets).await?;
    }
    let (dumps, watched) = dumps(&members, plan);
    let measured = measured(desk, docker).await;
    let (archives, noted) = archives(desk, &members, measured.as_ref(), plan);
    let places: Vec<DataPlace> = watched.into_iter().chain(noted).collect();
    if !places.is_empty() {
        let title = "note how its data is structured, so that a migration is seen";
        let mut step = Step::new("note data", title, Risk::Safe, Op::NoteStructure { places: places.clone() });
        let item = |place: &DataPlace| Item { name: short_name(place.name()).to_owned(), ..Item::default() };
        step.items = places.iter().map(item).collect();
        plan.steps.push(step);
    }
    plan.steps.extend(dumps);
    plan.steps.extend(archives);
    Ok(())
}

/// The sizes of volumes, as far as the engine tells them soon.
pub(super) async fn measured(desk: &Desk, docker: &DockerClient) -> Option<Measured> {
    let now = || desk.ports.clock.now().wall;
    timeout(PATIENCE, docker.measure(Extent::Volumes, now)).await.ok()?.ok()
}

/// The step that keeps compose files, variables, and what the engine says of the targets: before any of them is changed.
///
/// # Errors
/// When the file system does not answer.
pub(super) async fn settings(desk: &Desk, targets: &[Target]) -> Result<Step, Refusal> {
    let mut files: Vec<String> = Vec::new();
    for target in targets {
        files.extend(compose::files_of(desk, target).await?);
    }
    files.sort();
    files.dedup();
    let containers = targets.iter().map(Target::reference).collect();
    let title = if files.is_empty() { "keep the settings" } else { "keep compose files, variables and settings" };
    let mut step =
        Step::new(format!("{WORD} files"), title, Risk::Safe, Op::KeepFiles { files: files.clone(), containers });
    step.items = files.into_iter().map(|name| Item { name, ..Item::default() }).collect();
    Ok(step.optional(true))
}

/// The dumps of all databases, and those whose structure is noted.
fn dumps(members: &[Member], plan: &mut Plan) -> (Vec<Step>, Vec<DataPlace>) {
    let (mut steps, mut noted) = (Vec::new(), Vec::new());
    for member in members {
        let Some(kind) = member.database else { continue };
        if !member.runs {
            plan.warnings.push(format!("{} is down: its data cannot be dumped", member.shown));
            continue;
        }
        let place = DataPlace::Database { container: member.container.clone(), kind };
        let op = Op::BackUp { place: place.clone() };
        let title = format!("dump {} ({kind})", member.shown);
        let mut step = Step::new(format!("{WORD} {}", member.shown), title, Risk::Safe, op).optional(true);
        // Redis has no structure; and a server that is replaced itself does not run when its data would be put back.
        if kind != DatabaseKind::Redis && !member.is_target {
            noted.push(place.clone());
            step = step.undone_by(Op::Restore { place });
        }
        steps.push(step);
    }
    (steps, noted)
}

/// The archives of volumes, and those whose structure is noted.
fn archives(
    desk: &Desk,
    members: &[Member],
    measured: Option<&Measured>,
    plan: &mut Plan,
) -> (Vec<Step>, Vec<DataPlace>) {
    let (mut steps, mut noted) = (Vec::new(), Vec::new());
    let dumped = |volume: &str| {
        let databases = members.iter().filter(|member| member.database.is_some());
        databases.flat_map(|member| &member.mounts).any(|(known, _)| known == volume)
    };
    // A target's own mount is the one through which data is put back.
    let by_target = [true, false]
        .into_iter()
        .flat_map(|is_target| members.iter().filter(move |member| member.is_target == is_target));
    let mut seen: Vec<&str> = Vec::new();
    for (member, (volume, path)) in by_target.flat_map(|member| member.mounts.iter().map(move |mount| (member, mount)))
    {
        if seen.contains(&&**volume) || dumped(volume) {
            continue;
        }
        seen.push(volume);
        let writes = |other: &&Member| other.runs && other.mounts.iter().any(|(known, _)| known == volume);
        let replaced = members.iter().filter(writes).filter(|other| other.is_target);
        let stopped = replaced.map(|target| target.container.clone()).collect();
        let place = DataPlace::Volume {
            volume: volume.clone(),
            container: member.container.clone(),
            path: path.clone(),
            stopped,
        };
        let size = measured.and_then(|measured| measured.volume_bytes(volume));
        let small = size.is_some_and(|size| size <= desk.settings.archive_bytes);
        let words = size.map_or_else(|| "size unknown".to_owned(), units::bytes);
        let title = format!("archive {path} of {} ({words})", member.shown);
        let op = Op::BackUp { place: place.clone() };
        let mut step = Step::new(format!("{WORD} {volume}"), title, Risk::Safe, op).optional(member.is_target && small);
        step.items.push(Item { name: volume.clone(), detail: words.clone(), ..Item::default() });
        if member.is_target {
            if small {
                noted.push(place.clone());
                step = step.undone_by(Op::Restore { place });
            } else {
                let id = &step.id;
                let volume = short_name(volume);
                plan.warnings.push(format!("volume {volume} ({words}) is not backed up unless you add `{id}`"));
            }
        }
        steps.push(step);
    }
    (steps, noted)
}

/// The targets and the other containers of their projects, and whoever else mounts a target's volume.
async fn members(docker: &DockerClient, targets: &[Target]) -> Result<Vec<Member>, Refusal> {
    let listed = docker.get_raw("/containers/json?all=1", DockerClient::PATIENCE).await?;
    let all: Vec<Member> = listed.as_array().into_iter().flatten().filter_map(|it| member(it, targets)).collect();
    let of_targets = |of: fn(&Member) -> Vec<&str>| -> Vec<String> {
        all.iter().filter(|it| it.is_target).flat_map(of).map(str::to_owned).collect()
    };
    let projects = of_targets(|it| it.project.as_deref().into_iter().collect());
    let volumes = of_targets(|it| it.mounts.iter().map(|(volume, _)| volume.as_str()).collect());
    let belongs = |it: &Member| {
        it.is_target
            || it.project.as_ref().is_some_and(|project| projects.contains(project))
            || it.mounts.iter().any(|(volume, _)| volumes.contains(volume))
    };
    Ok(all.into_iter().filter(belongs).collect())
}

/// One entry of the engine's list; `None` for what is kept for roll back.
fn member(it: &Value, targets: &[Target]) -> Option<Member> {
    let text = |value: &Value, key: &str| Some(foreign::name(value.get(key)?.as_str()?));
    let id = ContainerId::from(text(it, "Id")?.as_str());
    let name = foreign::name(it.get("Names")?.get(0)?.as_str()?.trim_start_matches('/'));
    let target = targets.iter().find(|target| target.container.id == id);
    let mounts = it.get("Mounts").and_then(Value::as_array).into_iter().flatten();
    let written = mounts
        .filter(|mount| mount.get("Type").and_then(Value::as_str) == Some("volume"))
        .filter(|mount| mount.get("RW").and_then(Value::as_bool) == Some(true))
        .filter_map(|mount| Some((text(mount, "Name")?, text(mount, "Destination")?)));
    (!is_kept(&name)).then(|| Member {
        shown: target.map_or_else(|| name.clone(), Target::shown),
        container: ContainerRef { id, name },
        project: it.pointer("/Labels/com.docker.compose.project").and_then(Value::as_str).map(foreign::name),
        image: text(it, "Image").unwrap_or_default(),
        // What is paused is left so.
        runs: it.get("State").and_then(Value::as_str) == Some("running"),
        mounts: written.collect(),
        is_target: target.is_some(),
        database: None,
    })
}

/// The database that a container is. What is known of a target is not asked for again.
async fn database(docker: &DockerClient, member: &Member, targets: &[Target]) -> Result<Option<DatabaseKind>, Refusal> {
    let id = &member.container.id;
    if let Some(target) = targets.iter().find(|target| target.container.id == *id) {
        return Ok(DatabaseKind::of(&member.image, &env(&target.raw)));
    }
    let it = docker.inspect_raw(&id.0).await?;
    Ok(DatabaseKind::of(&member.image, &it.as_ref().map(env).unwrap_or_default()))
}
