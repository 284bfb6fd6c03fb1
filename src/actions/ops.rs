//! Carries out one operation, and looks whether what a plan took for granted still holds.
//!
//! An operation may be begun again after a worker died in it. So each looks what is there, does what is still missing, and
//! takes what is so already for done.

mod command;
mod data;
mod decide;
mod edit;
mod gate;
mod images;
mod leftovers;
mod model;
mod recreate;
mod removal;
mod transfer;
mod trial;

pub(super) use data::may_go_back;
pub(super) use edit::replaced;
pub(super) use gate::gpus_inside;
pub(super) use images::split;
pub(super) use leftovers::{Going, going};
pub(super) use model::short;
pub(super) use recreate::is_kept;
pub(super) use trial::leads_to_engine;

use std::path::PathBuf;

use serde_json::Value;

use super::Desk;
use crate::domain::{ContainerId, ContainerRef, Failure, Guard, ModelOp, Op, Run, RunEntry, RunRecord, Verb};
use crate::history::{Attachment, RunFile};
use crate::host::{DockerClient, EngineError, LogsFrom, foreign};

/// The most that is kept of a log line, bytes.
const LINE_BYTES: usize = 500;

/// The most lines that are kept of the log of a container that goes: its end.
const LOG_LINES: u32 = 200_000;

/// Where operations are carried out: the run, its file, the engine.
pub(super) struct Bench<'a> {
    pub(super) desk: &'a Desk,
    pub(super) docker: &'a DockerClient,
    /// The run's id.
    pub(super) run: &'a str,
    pub(super) file: &'a mut RunFile,
    /// What the run made has been in use since it succeeded: data is not put back, because all that was written since would
    /// go.
    pub(super) late: bool,
}

/// What came of an operation.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// In a clause; may be empty.
    pub(super) text: String,
    /// Bytes that it freed, as the engine told.
    pub(super) freed: Option<u64>,
    /// What was to go and stayed, and why, a clause each.
    pub(super) stayed: Vec<String>,
}

impl Done {
    pub(super) fn saying(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Why an operation failed, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Trouble(pub(super) String);

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        Self(error.to_string())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl<'a> Bench<'a> {
    /// The bench of a run, with the engine.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub(super) async fn open(desk: &'a Desk, run: &'a Run, file: &'a mut RunFile) -> Result<Self, Trouble> {
        Ok(Self { desk, docker: desk.docker().await?, run: &run.id, file, late: run.succeeded })
    }
}

impl Bench<'_> {
    /// Writes how far the operation is. What cannot be written is not worth failing for.
    pub(super) fn progress(&mut self, text: impl Into<String>, done: u64, total: u64) {
        self.tell(RunEntry::Progress { text: text.into(), done, total });
    }

    /// Writes something worth reading later.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.tell(RunEntry::Said { text: text.into() });
    }

    fn tell(&mut self, entry: RunEntry) {
        tell(self.desk, self.file, entry);
    }

    /// Begins a file that is kept with the run.
    fn attach(&self, name: &str) -> Result<Attachment, Trouble> {
        self.desk.state_dir.attach(self.run, name).map_err(|error| unkept(&error))
    }

    /// What the engine says of a container that must be there.
    async fn inspected(&self, container: &ContainerRef) -> Result<Value, Trouble> {
        let found = self.docker.inspect_raw(&container.id.0).await?;
        found.ok_or_else(|| Trouble(format!("{} is gone", container.name)))
    }
}

fn tell(desk: &Desk, file: &mut RunFile, entry: RunEntry) {
    let record = RunRecord { at: desk.ports.clock.now().wall, entry };
    if let Err(error) = file.write(&record, false) {
        tracing::warn!(%error, "A remark of a run was lost.");
    }
}

/// Whether giving up half-way leaves nothing half done, or nothing that hostler could finish.
pub(super) fn may_be_broken_off(op: &Op) -> bool {
    matches!(
        op,
        Op::Pull { .. }
            | Op::Gate { .. }
            | Op::Generate { .. }
            | Op::NoteStructure { .. }
            | Op::BackUp { .. }
            | Op::CopyVolume { .. }
            | Op::Command { .. }
            | Op::Model(
                ModelOp::Pull { .. } | ModelOp::Load { .. } | ModelOp::Generate { .. } | ModelOp::CopyFiles { .. }
            )
    )
}

/// Whether the container engine carries it out.
pub(super) fn needs_engine(op: &Op) -> bool {
    !matches!(
        op,
        Op::Command { .. }
            | Op::Pin { .. }
            | Op::Skip { .. }
            | Op::Model(_)
            | Op::PutFile { .. }
            | Op::MakeShared { .. }
    )
}

/// Carries out one operation of a run with this file. The engine is asked for only where it is needed.
pub(super) async fn perform(op: &Op, desk: &Desk, run: &Run, file: &mut RunFile) -> Result<Done, Trouble> {
    match op {
        Op::Command { command } => command::run(desk, file, command).await,
        Op::Pin { subject, pinned } => decide::pin(desk, subject, *pinned),
        Op::Skip { subject, versions, skipped } => decide::skip(desk, subject, versions, *skipped),
        Op::Model(op) => model::perform(desk, file, op).await,
        Op::PutFile { path, from, to } => edit::put(desk, path, from.as_deref(), to.as_deref()).await,
        Op::MakeShared { path, group } => edit::share(desk, path, group).await,
        op => on_the_engine(op, &mut Bench::open(desk, run, file).await?).await,
    }
}

async fn on_the_engine(op: &Op, bench: &mut Bench<'_>) -> Result<Done, Trouble> {
    match op {
        // Carried out already, without it.
        Op::Command { .. }
        | Op::Pin { .. }
        | Op::Skip { .. }
        | Op::Model(_)
        | Op::PutFile { .. }
        | Op::MakeShared { .. } => Ok(Done::default()),
        Op::Lifecycle { verb, container, stop_seconds } => lifecycle(bench, *verb, container, *stop_seconds).await,
        Op::RemoveContainer { container, volumes } => remove_container(bench, container, *volumes).await,
        Op::ArchiveLogs { containers } => archive_logs(bench, containers).await,
        Op::RemoveDown { containers } => removal::down(bench, containers).await,
        Op::RemoveImages { images } => images::remove(bench, images).await,
        Op::RemoveBuildCache => removal::build_cache(bench).await,
        Op::RemoveNetworks { networks } => removal::networks(bench, networks).await,
        Op::RemoveVolumes { volumes } => removal::volumes(bench, volumes).await,
        Op::KeepImage { image, container } => images::keep(bench, image, container).await,
        Op::Pull { reference } => images::pull(bench, reference).await,
        Op::Tag { image, reference } => images::tag(bench, image, reference).await,
        Op::Create { like, image, service, word } => {
            recreate::create(bench, like, image, (service.as_ref(), word.as_ref())).await
        }
        Op::CopyVolume { volume, container, path } => trial::copy(bench, volume, container, path).await,
        Op::StartTrial { like, image } => trial::start(bench, like, image).await,
        Op::EndTrial => trial::end(bench).await,
        Op::EditLine { path, line, from, to } => edit::line(bench, path, *line, from, to).await,
        Op::RemoveCreated { like } => recreate::remove_created(bench, like).await,
        Op::Swap { old, policy, runs } => recreate::swap(bench, old, *policy, *runs).await,
        Op::SwapBack { old, policy } => recreate::swap_back(bench, old, *policy).await,
        Op::LetGo { containers, references, runs } => recreate::let_go(bench, containers, references, runs).await,
        Op::KeepFiles { files, containers } => edit::keep_files(bench, files, containers).await,
        Op::NoteStructure { places } => data::note(bench, places).await,
        Op::BackUp { place } => data::back_up(bench, place).await,
        Op::Restore { place } => data::restore(bench, place).await,
        Op::Generate { name, port, seconds, inside } => gate::generate(bench, (name, *inside), *port, *seconds).await,
        Op::SeeGpus { name, count } => gate::see_gpus(bench, name, *count).await,
        Op::Gate { name, probe, seconds, steady, inside } => {
            gate::wait(bench, (name, *inside), probe, *seconds, *steady).await
        }
    }
}

/// Whether a guard holds; else what has changed.
pub(super) async fn holds(guard: &Guard, docker: &DockerClient) -> Result<(), Trouble> {
    match guard {
        Guard::Same { container } => {
            let found = docker.inspect_raw(&container.name).await?;
            let id = found.as_ref().and_then(|found| found.get("Id")?.as_str());
            match id {
                Some(id) if id == &*container.id.0 => Ok(()),
                Some(_) => Err(changed(&format!("{} is another container now", container.name))),
                None => Err(changed(&format!("{} is gone", container.name))),
            }
        }
        Guard::ImageUnused { image } => {
            let user = docker.list().await?.into_iter().find(|container| container.image_id == *image);
            user.map_or(Ok(()), |user| Err(changed(&format!("{} uses the image {image} now", user.name))))
        }
        Guard::VolumeUnused { volume } => {
            let users = docker.having("volume", volume).await?;
            users.first().map_or(Ok(()), |user| Err(changed(&format!("{} uses the volume {volume} now", user.name))))
        }
    }
}

fn changed(what: &str) -> Trouble {
    Trouble(format!("{what}, which it was not when this was planned: nothing more is done; plan it again"))
}

/// What was to go may be gone already.
fn gone_is_fine(done: Result<(), EngineError>) -> Result<(), EngineError> {
    match done {
        Err(EngineError::Gone(_)) => Ok(()),
        done => done,
    }
}

async fn lifecycle(
    bench: &mut Bench<'_>,
    verb: Verb,
    container: &ContainerRef,
    stop_seconds: Option<u32>,
) -> Result<Done, Trouble> {
    match bench.docker.lifecycle(verb, &container.id, stop_seconds).await {
        Ok(()) => Ok(Done::default()),
        // It ended by itself between the look and the kill.
        Err(EngineError::Conflict(why)) if verb == Verb::Kill && why.contains("not running") => Ok(Done::default()),
        Err(error) => Err(error.into()),
    }
}

async fn remove_container(bench: &mut Bench<'_>, container: &ContainerRef, volumes: bool) -> Result<Done, Trouble> {
    let (freed, removed) = removed_container(bench.docker, container, volumes).await;
    gone_is_fine(removed)?;
    Ok(Done { freed, ..Done::default() })
}

/// Removes a container; gives the bytes that it had written, and whether it went.
async fn removed_container(
    docker: &DockerClient,
    container: &ContainerRef,
    volumes: bool,
) -> (Option<u64>, Result<(), EngineError>) {
    let bytes = written(docker, &container.id).await;
    (bytes, docker.remove(&container.id, volumes, false).await)
}

/// Bytes that a container has written to its own layer, as the engine tells.
async fn written(docker: &DockerClient, id: &ContainerId) -> Option<u64> {
    let path = format!("/containers/{}/json?size=1", id.0);
    docker.get_raw(&path, DockerClient::CHANGE_PATIENCE).await.ok()?.get("SizeRw")?.as_u64()
}

/// Keeps the logs of containers beside the run's file. One that cannot be read is told, and lost with its container.
async fn archive_logs(bench: &mut Bench<'_>, containers: &[ContainerRef]) -> Result<Done, Trouble> {
    let mut kept = Vec::new();
    for (index, container) in containers.iter().enumerate() {
        bench.progress("keeping logs", index as u64, containers.len() as u64);
        match archived_log(bench, container).await? {
            Ok(path) => kept.extend(path),
            Err(why) => bench.say(format!("the log of {} could not be kept: {why}", container.name)),
        }
    }
    Ok(match kept.as_slice() {
        [] => Done::default(),
        [only] => Done::saying(format!("its log is kept in {}", only.display())),
        [first, ..] => {
            let folder = first.parent().unwrap_or(first);
            Done::saying(format!("{} logs are kept in {}", kept.len(), folder.display()))
        }
    })
}

/// Keeps the log of one container and says where: nowhere if it is gone. The inner error is why it could not be read.
async fn archived_log(
    bench: &mut Bench<'_>,
    container: &ContainerRef,
) -> Result<Result<Option<PathBuf>, Failure>, Trouble> {
    let Some(it) = bench.docker.inspect_raw(&container.id.0).await? else { return Ok(Ok(None)) };
    let mut attached = bench.attach(&format!("{}.log", container.name))?;
    let mut log = bench.docker.kept_log(&container.id, has_terminal(&it), LogsFrom::Last(LOG_LINES));
    let mut written = Ok(());
    loop {
        let more = log.next(|_, message| {
            if written.is_ok() {
                written = attached.write(message);
            }
        });
        match more.await {
            Ok(true) => std::mem::replace(&mut written, Ok(())).map_err(|error| unkept(&error))?,
            Ok(false) => return Ok(Ok(Some(attached.path().to_owned()))),
            // A driver that keeps nothing has nothing to lose.
            Err(why) => return Ok(Err(why)),
        }
    }
}

fn unkept(error: &crate::history::HistoryError) -> Trouble {
    Trouble(error.to_string())
}

/// Whether a container's log is one raw stream.
fn has_terminal(it: &Value) -> bool {
    it.pointer("/Config/Tty").and_then(Value::as_bool).unwrap_or(false)
}

/// The last lines of a container's log, without their times; empty where it cannot be read.
async fn last_lines(docker: &DockerClient, name: &str, most: u32) -> Vec<String> {
    let Ok(Some(it)) = docker.inspect_raw(name).await else { return Vec::new() };
    let Some(id) = it.get("Id").and_then(Value::as_str) else { return Vec::new() };
    let mut log = docker.kept_log(&ContainerId::from(id), has_terminal(&it), LogsFrom::Last(most));
    let mut lines = Vec::new();
    let keep = |lines: &mut Vec<String>, message: &[u8]| {
        let text = foreign::clean_bytes(message, LINE_BYTES);
        lines.push(text.split_once(' ').map_or(&*text, |(_, rest)| rest).to_owned());
    };
    while let Ok(true) = log.next(|_, message| keep(&mut lines, message)).await {}
    lines
}
