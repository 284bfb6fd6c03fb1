//! A container that compose made: its project's files are edited, so that the next `docker compose up` agrees with what was
//! done here.
//!
//! The container is made again through the engine's API all the same. `docker compose up` would remove the old container,
//! which then could not be kept for roll back, and it would recreate whatever else of the project differs from the files. Compose
//! tells by two labels whether a container is up to date: `com.docker.compose.image` (the image's id) and
//! `com.docker.compose.config-hash` (of the service's configuration). A new container therefore gets the new image's id, and,
//! where its files were edited, the hash that compose itself gives for the edited files; but only where the hash of the old
//! container was that of the files before, because otherwise compose has changes of its own to make, which must not be hidden
//! from it. Where the hash cannot be had, the plan warns that the next `docker compose up` makes the container again.

mod env;
mod expression;
mod files;
mod tag;
mod word;
mod words;
mod yaml;

pub(super) use tag::with_tag;
pub(super) use word::WordPart;

use std::io;
use std::path::Path;

use files::{Edited, Files};

use super::ops::replaced;
use super::target::Target;
use super::{Desk, Refusal};
use crate::domain::{ComposeProgram, ComposeService, Item, Op, Plan, Risk, Step};
use crate::host::compose_hash;

/// One line of a file that is written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LineEdit {
    path: String,
    /// Counted from 1.
    line: usize,
    from: String,
    to: String,
}

impl LineEdit {
    /// The text after the edit.
    fn applied(&self, text: &str) -> Option<String> {
        let new = replaced(text.as_bytes(), self.line, &self.from, &self.to).ok()?;
        new.map_or_else(|| Some(text.to_owned()), |new| String::from_utf8(new).ok())
    }

    fn step(self, shown: &str) -> Step {
        let Self { path, line, from, to } = self;
        let title = format!("edit {path}, line {line}");
        let items = [format!("- {from}"), format!("+ {to}")].map(|name| Item { name, ..Item::default() });
        let back = Op::EditLine { path: path.clone(), line, from: to.clone(), to: from.clone() };
        let mut step = Step::new(format!("edit {shown}"), title, Risk::Safe, Op::EditLine { path, line, from, to });
        step.items.extend(items);
        step.undone_by(back)
    }
}

/// A line of a text, counted from 1, without its end.
fn line(text: &str, number: usize) -> Option<&str> {
    let line = text.split('\n').nth(number.checked_sub(1)?)?;
    Some(line.strip_suffix('\r').unwrap_or(line))
}

/// Adds to `plan` the step that gives the image of the target's service another tag in the files of its project. `None`
/// where there is nothing to edit, or compose cannot tell the hash that belongs to the edited files.
///
/// # Errors
/// When the files are there and must be edited by hand.
pub(super) async fn retag(
    desk: &Desk,
    target: &Target,
    tag: &str,
    plan: &mut Plan,
) -> Result<Option<ComposeService>, Refusal> {
    let image = &target.container.image;
    edit(desk, target, plan, |files, service| tag::edit(files, service, image, tag)).await
}

/// The same for a part of a word of its command, or of a variable, which then says `new`; `what` is called so in words about
/// it.
///
/// # Errors
/// When the files are there and must be edited by hand.
pub(super) async fn reword(
    desk: &Desk,
    target: &Target,
    part: &WordPart,
    new: (&str, &str),
    plan: &mut Plan,
) -> Result<Option<ComposeService>, Refusal> {
    edit(desk, target, plan, |files, service| word::edit(files, service, part, new)).await
}

async fn edit(
    desk: &Desk,
    target: &Target,
    plan: &mut Plan,
    edit: impl FnOnce(&Files, &str) -> Result<Edited, String>,
) -> Result<Option<ComposeService>, Refusal> {
    let Some(service) = service_of(target) else { return Ok(None) };
    let Some(files) = read(desk, &service).await? else {
        plan.warnings.push(format!(
            "{} is not here: what it says of {} stays, and the next `docker compose up` goes back to it",
            service.files.join(", "),
            target.shown()
        ));
        return Ok(None);
    };
    let edited = edit(&files, &service.service).map_err(Refusal::new)?;
    if let Some(variable) = &edited.shared {
        plan.warnings.push(format!(
            "`{variable}` in {} stands in more than one place: the next `docker compose up` changes those, too",
            edited.edit.path
        ));
    }
    let step = edited.edit.step(&target.shown());
    // Another container of the plan may have brought it already.
    if !plan.steps.iter().any(|known| known.op == step.op) {
        plan.steps.push(step);
    }
    plan.locks.extend(lock_of(&service, plan));
    agreeing(desk, target, service, plan).await
}

/// Adds to `plan` the steps that write back what run `run` edited for the target. `None` as in [`retag`].
pub(super) async fn write_back(
    desk: &Desk,
    target: &Target,
    run: &str,
    plan: &mut Plan,
) -> Result<Option<ComposeService>, Refusal> {
    let shown = target.shown();
    let (dir, id) = (desk.state_dir.clone(), run.to_owned());
    let run = desk.blocking(move || dir.run(&id)).await?;
    let mut edits = Vec::new();
    for step in
        run.iter().flat_map(|run| &run.plan.steps).filter(|step| step.chosen && step.id == format!("edit {shown}"))
    {
        let Op::EditLine { path, line, from, to } = &step.op else { continue };
        let edit = LineEdit { path: path.clone(), line: *line, from: to.clone(), to: from.clone() };
        let text = read_one(desk, path).await.ok().flatten().unwrap_or_default();
        if self::line(&text, *line) == Some(&*edit.from) {
            edits.push(edit);
        } else {
            plan.warnings.push(format!("line {line} of {path} was changed since, and stays as it is"));
        }
    }
    if edits.is_empty() {
        return follow(desk, target, plan).await;
    }
    let Some(service) = service_of(target) else { return Ok(None) };
    plan.steps.extend(edits.into_iter().map(|edit| edit.step(&shown)));
    plan.locks.extend(lock_of(&service, plan));
    agreeing(desk, target, service, plan).await
}

/// What compose takes the target for when it is made again without an edit. Only the old compose asks: the image's id is part
/// of its hash.
///
/// # Errors
/// When the engine or the file system does not answer.
pub(super) async fn follow(desk: &Desk, target: &Target, plan: &mut Plan) -> Result<Option<ComposeService>, Refusal> {
    if !is_old(target) {
        return Ok(None);
    }
    match service_of(target) {
        Some(service) if read(desk, &service).await?.is_some() => agreeing(desk, target, service, plan).await,
        _ => Ok(None),
    }
}

/// Whether compose's first version made it.
fn is_old(target: &Target) -> bool {
    target.label("com.docker.compose.version").is_some_and(|version| version.starts_with("1."))
}

/// The lock of a project's files, where the plan does not have it yet.
fn lock_of(service: &ComposeService, plan: &Plan) -> Option<String> {
    let lock = format!("compose/{}", service.project);
    (!plan.locks.contains(&lock)).then_some(lock)
}

/// The service that a container belongs to, with the files that made it, from its labels.
fn service_of(target: &Target) -> Option<ComposeService> {
    let label = |key: &str| target.label(&format!("com.docker.compose.{key}")).filter(|value| !value.is_empty());
    let folder = label("project.working_dir")?.to_owned();
    // Old versions write them as seen from the project's folder.
    let absolute = |path: &str| Path::new(&folder).join(path).to_str().map(str::to_owned);
    let list = |key: &str| -> Vec<String> {
        label(key).into_iter().flat_map(|list| list.split(',')).filter_map(absolute).collect()
    };
    Some(ComposeService {
        program: ComposeProgram::Plugin,
        project: label("project")?.to_owned(),
        service: label("service")?.to_owned(),
        files: list("project.config_files"),
        env_files: list("project.environment_file"),
        folder,
    })
}

/// The files that made a container and are on this host: compose files and files of variables.
///
/// # Errors
/// When the file system does not answer.
pub(super) async fn files_of(desk: &Desk, target: &Target) -> Result<Vec<String>, Refusal> {
    let Some(service) = service_of(target) else { return Ok(Vec::new()) };
    let Some(files) = read(desk, &service).await? else { return Ok(Vec::new()) };
    Ok(files.compose.into_iter().chain(files.env).map(|(path, _)| path).collect())
}

/// The texts of a project's files; `None` where one of its compose files is not on this host.
async fn read(desk: &Desk, service: &ComposeService) -> Result<Option<Files>, Refusal> {
    let mut files = Files::default();
    for path in &service.files {
        match read_one(desk, path).await? {
            Some(text) => files.compose.push((path.clone(), text)),
            None => return Ok(None),
        }
    }
    let own = [format!("{}/.env", service.folder)];
    let env: &[String] = if service.env_files.is_empty() { &own } else { &service.env_files };
    for path in env {
        files.env.extend(read_one(desk, path).await?.map(|text| (path.clone(), text)));
    }
    Ok((!files.compose.is_empty()).then_some(files))
}

async fn read_one(desk: &Desk, path: &str) -> Result<Option<String>, Refusal> {
    let (fs, place) = (desk.ports.fs.clone(), path.to_owned());
    match desk.blocking(move || fs.read(place)).await? {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(Refusal::new(format!("{path} cannot be read: {error}"))),
    }
}

/// The service with the compose whose hash is the container's, as the files are now; else the plan warns.
async fn agreeing(
    desk: &Desk,
    target: &Target,
    service: ComposeService,
    plan: &mut Plan,
) -> Result<Option<ComposeService>, Refusal> {
    let engine = &desk.docker().await?.info().endpoint;
    let known = target.label("com.docker.compose.config-hash");
    let (mut differs, mut missing) = (None, None);
    let both = [ComposeProgram::Plugin, ComposeProgram::Standalone];
    for program in both.into_iter().skip(usize::from(is_old(target))) {
        let service = ComposeService { program, ..service.clone() };
        match compose_hash(&service, engine).await {
            Ok(hash) if Some(&*hash) == known => return Ok(Some(service)),
            Ok(_) => differs = Some("its configuration differs from the files already".to_owned()),
            Err(error) => missing = missing.or(Some(error)),
        }
    }
    let why = differs.or(missing).unwrap_or_default();
    plan.warnings.push(format!("the next `docker compose up` will make {} again: {why}", target.shown()));
    Ok(None)
}

#[cfg(test)]
mod tests;
