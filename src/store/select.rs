//! Derived views: what more than one face needs, computed once here from `&State`.

use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use crate::domain::{
    Container, ContainerId, ContainerState, Engine, Finding, Gpu, GpuProcess, JournalEntry, Moment, Severity,
    SourceStatus, Verdict,
};

/// The verdict of the whole box.
///
/// Critical and warning by findings that are not silenced; else unknown when a source failed that is there; else well.
pub fn verdict(state: &State, now: Moment) -> Verdict {
    let worst = state.findings.needing_someone(now).iter().map(|finding| finding.seen.severity).max();
    match worst {
        Some(Severity::Critical) => Verdict::Critical,
        Some(Severity::Warning) => Verdict::Warning,
        _ if state
            .sources
            .iter()
            .any(|(_, source)| matches!(source.status(now), SourceStatus::Failed | SourceStatus::Stale)) =>
        {
            Verdict::Unknown
        }
        _ => Verdict::Well,
    }
}

/// A compose project, or the containers that belong to none.
#[derive(Debug, Clone)]
pub struct ProjectView {
    /// The project's name; `None` for single containers.
    pub name: Option<Arc<str>>,
    /// Its containers, by service and name.
    pub containers: Vec<Arc<Container>>,
    /// How many of them run.
    pub running: usize,
}

/// A process on a card, joined to container, engine and model.
#[derive(Debug, Clone)]
pub struct GpuRow<'a> {
    /// The card.
    pub gpu: &'a Gpu,
    /// The process.
    pub process: &'a GpuProcess,
    /// Its container.
    pub container: Option<&'a Container>,
    /// The inference server that it belongs to.
    pub engine: Option<&'a Engine>,
    /// The model that this server holds there, where it is the only one.
    pub model: Option<&'a str>,
}

/// Something that changed since the last visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// What, in a clause.
    pub text: String,
}

impl State {
    /// Every container, running or not.
    pub fn containers(&self) -> &[Arc<Container>] {
        self.docker.get().map_or(&[], |docker| &docker.containers)
    }

    /// The container with this id.
    pub fn container(&self, id: &ContainerId) -> Option<&Container> {
        self.containers().iter().find(|container| container.id == *id).map(|container| &**container)
    }

    /// Containers that run, and all that are meant to: those that were stopped or have done their work count in neither.
    pub fn containers_running(&self, now: Moment) -> (usize, usize) {
        // The rules have judged who should run and does not.
        const DOWN: [&str; 3] = ["container.restart-loop", "container.exited", "container.start-failed"];
        let findings = self.findings.all(now);
        let down: Vec<&ContainerId> = findings
            .iter()
            .filter(|finding| DOWN.contains(&finding.seen.id))
            .filter_map(|finding| finding.seen.container.as_ref())
            .collect();
        let (mut running, mut meant) = (0, 0);
        for container in self.containers() {
            let up = container.state.is_up() || container.state == ContainerState::Restarting;
            let is_down = down.contains(&&container.id);
            meant += usize::from(up || is_down);
            running += usize::from(up && !is_down);
        }
        (running, meant)
    }

    /// Containers that are in use, by compose project; projects by name, single containers last.
    pub fn projects(&self) -> Vec<ProjectView> {
        let mut views: Vec<ProjectView> = Vec::new();
        for container in self.current_containers() {
            let known = views.iter().position(|view| view.name == container.project);
            let index = known.unwrap_or_else(|| {
                views.push(ProjectView { name: container.project.clone(), containers: Vec::new(), running: 0 });
                views.len() - 1
            });
            let view = &mut views[index];
            view.running += usize::from(container.state.is_up());
            view.containers.push(container.clone());
        }
        views.sort_by(|a, b| a.name.is_none().cmp(&b.name.is_none()).then_with(|| a.name.cmp(&b.name)));
        for view in &mut views {
            view.containers.sort_by(|a, b| a.display_name().cmp(b.display_name()).then_with(|| a.name.cmp(&b.name)));
        }
        views
    }

    /// Video memory that each container's processes hold, bytes; `None` where none does or it cannot be told.
    pub fn gpu_memory_of(&self, id: &ContainerId) -> Option<u64> {
        let sample = self.gpus.get()?;
        let held = sample
            .gpus
            .iter()
            .flat_map(|gpu| gpu.processes.known().into_iter().flatten())
            .filter(|process| process.container.as_ref() == Some(id))
            .filter_map(|process| process.memory_used_bytes.get());
        held.reduce(|sum, more| sum + more)
    }

    /// Every process on every card, joined to its container, engine and model, by memory.
    pub fn gpu_rows(&self) -> Vec<GpuRow<'_>> {
        let Some(sample) = self.gpus.get() else {
            return Vec::new();
        };
        let mut rows: Vec<GpuRow<'_>> = sample
            .gpus
            .iter()
            .flat_map(|gpu| gpu.processes.known().into_iter().flatten().map(move |process| (gpu, process)))
            .map(|(gpu, process)| {
                let engine = self.engine_of(process);
                GpuRow {
                    gpu,
                    process,
                    container: process.container.as_ref().and_then(|id| self.container(id)),
                    engine,
                    model: engine.and_then(only_model),
                }
            })
            .collect();
        rows.sort_by_key(|row| {
            (std::cmp::Reverse(row.process.memory_used_bytes.get()), row.gpu.index, row.process.pid)
        });
        rows
    }

    /// The inference server that a process belongs to: by pid, else by container.
    fn engine_of(&self, process: &GpuProcess) -> Option<&Engine> {
        let engines = &self.engines.get()?.engines;
        engines.iter().find(|engine| engine.pid == Some(process.pid)).or_else(|| {
            engines.iter().find(|engine| engine.container.is_some() && engine.container == process.container)
        })
    }

    /// What changed since the last visit, oldest first: containers begun, findings opened and cleared, notes.
    pub fn changes(&self, now: Moment) -> Vec<Change> {
        let Some(since) = self.last_visit else {
            return Vec::new();
        };
        let started = self.containers().iter().filter_map(|container| {
            let at = container.started.filter(|at| *at > since && container.state.is_up())?;
            let text = match container.restart_count {
                0 => format!("{} started", container.display_name()),
                count => format!("{} started again (restarted {count}× in all)", container.display_name()),
            };
            Some(Change { at, text })
        });
        let worth = |finding: &Finding| finding.since > since && finding.seen.severity > Severity::Info;
        let opened = self.findings.all(now).into_iter().filter(worth).map(|finding| Change {
            at: finding.since,
            text: format!("{} {}", finding.seen.service.as_ref().unwrap_or(&finding.seen.subject), finding.seen.title),
        });
        let cleared = self
            .findings
            .cleared()
            .iter()
            // A source that was away for a moment is no change of the box.
            .filter(|(_, id, _)| !id.starts_with("source."))
            .map(|(at, id, subject)| Change { at: *at, text: format!("{subject}: {id} cleared") });
        let notes = self.journal.iter().filter(|record| record.at > since).filter_map(|record| match &record.entry {
            JournalEntry::Note { text } => Some(Change { at: record.at, text: format!("note: {text}") }),
            _ => None,
        });
        let mut changes: Vec<Change> = started.chain(opened).chain(cleared).chain(notes).collect();
        changes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
        changes
    }
}

/// The name of the one model that an engine holds in memory (or serves at all); `None` where there are several.
fn only_model(engine: &Engine) -> Option<&str> {
    use crate::domain::Residency;
    let models = engine.models.known()?;
    let loaded = || models.iter().filter(|model| model.residency != Residency::OnDisk);
    match (loaded().count(), loaded().next()) {
        (1, Some(model)) => Some(&model.name),
        _ => None,
    }
}
