//! Derived views: what more than one face needs, computed once here from `&State`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::State;
use crate::domain::{
    Container, ContainerId, ContainerState, Endpoint, Engine, EngineKind, Finding, Gpu, GpuProcess, JournalEntry,
    LogSubject, Mark, MarkKind, Moment, Severity, Verdict,
};

/// The verdict of the whole box.
///
/// Critical and warning by findings that are not silenced; else unknown when a source failed that is there; else well.
pub fn verdict(state: &State, now: Moment) -> Verdict {
    let worst = state.findings.needing_someone(now).iter().map(|finding| finding.seen.severity).max();
    match worst {
        Some(Severity::Critical) => Verdict::Critical,
        Some(Severity::Warning) => Verdict::Warning,
        _ if state.sources.iter().any(|(_, source)| source.hides_something(now)) => Verdict::Unknown,
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

/// What one inference server has on the cards.
#[derive(Debug, Clone, Default)]
pub struct OnCards<'a> {
    /// The cards that its processes are on, by index.
    pub cards: Vec<&'a Gpu>,
    /// Video memory that they hold, bytes; `None` where they hold none or it cannot be told.
    pub memory_bytes: Option<u64>,
    /// Another server's processes are on one of them too.
    pub shared: bool,
}

impl OnCards<'_> {
    /// Watts of the cards; `None` where there is none, one is shared, or the power cannot be read.
    pub fn power_watts(&self) -> Option<f64> {
        if self.cards.is_empty() || self.shared {
            return None;
        }
        self.cards.iter().map(|gpu| gpu.power_watts.get()).sum()
    }
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

    /// The container that an inference server runs in: that of its process; else, where Docker's proxy listens for it or
    /// nobody may know who does, the running one that publishes its port.
    pub fn container_of<'a>(&'a self, engine: &'a Engine) -> Option<&'a ContainerId> {
        if engine.container.is_some() || engine.pid.is_some() {
            return engine.container.as_ref();
        }
        self.containers().iter().find(|container| container.publishes(engine.port)).map(|container| &container.id)
    }

    /// What a server has on the cards.
    pub fn on_cards(&self, engine: &Engine) -> OnCards<'_> {
        let (mut cards, mut others, mut memory_bytes) = (BTreeMap::new(), BTreeSet::new(), None::<u64>);
        for row in self.gpu_rows() {
            let Some(server) = row.engine else { continue };
            if server.endpoint == engine.endpoint {
                cards.insert(row.gpu.index, row.gpu);
                let held = row.process.memory_used_bytes.get();
                memory_bytes = held.map(|held| memory_bytes.unwrap_or(0) + held).or(memory_bytes);
            } else {
                others.insert(row.gpu.index);
            }
        }
        let shared = cards.keys().any(|index| others.contains(index));
        OnCards { cards: cards.into_values().collect(), memory_bytes, shared }
    }

    /// Subjects of findings that belong together: an engine and its container, and either with the cards that it is on.
    pub fn related(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut pairs = BTreeSet::new();
        for engine in self.engines.get().into_iter().flat_map(|sample| &sample.engines) {
            let container = self.container_of(engine).and_then(|id| self.container(id));
            pairs.extend(container.map(|container| (Arc::from(engine.subject()), container.name.clone())));
        }
        for row in self.gpu_rows() {
            pairs.extend(row.engine.map(|engine| (Arc::from(engine.subject()), row.gpu.uuid.clone())));
            pairs.extend(row.container.map(|container| (container.name.clone(), row.gpu.uuid.clone())));
        }
        pairs.into_iter().collect()
    }

    /// The inference server at this endpoint.
    pub fn engine_at(&self, endpoint: &Endpoint) -> Option<&Engine> {
        self.engines.get()?.engines.iter().find(|engine| engine.endpoint == *endpoint)
    }

    /// The inference server whose log this is.
    pub(super) fn writer_of(&self, log: &LogSubject) -> Option<(Endpoint, EngineKind)> {
        let engines = &self.engines.get()?.engines;
        let engine = engines.iter().find(|engine| match log {
            LogSubject::Endpoint(endpoint) => engine.endpoint == *endpoint,
            LogSubject::Container(id) => self.container_of(engine) == Some(id),
            // The unit of Ollama's own packages; one that runs in a container has none.
            LogSubject::Unit(_) => engine.kind == EngineKind::Ollama && self.container_of(engine).is_none(),
        })?;
        Some((engine.endpoint.clone(), engine.kind))
    }

    /// Every process on every card, joined to its container, engine and model, by memory.
    pub fn gpu_rows(&self) -> Vec<GpuRow<'_>> {
        let Some(sample) = self.gpus.get() else {
            return Vec::new();
        };
        let engines = self.engines.get().map_or(&[][..], |sample| &sample.engines);
        let engines: Vec<_> = engines.iter().map(|engine| (engine, self.container_of(engine))).collect();
        let mut rows: Vec<GpuRow<'_>> = sample
            .gpus
            .iter()
            .flat_map(|gpu| gpu.processes.known().into_iter().flatten().map(move |process| (gpu, process)))
            .map(|(gpu, process)| {
                let engine = engine_of(process, &engines);
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
        // What this process saw itself it tells itself; and a container that was started anew says so.
        let of_others = |mark: &&Mark| mark.at < self.started.wall && mark.kind != MarkKind::Restart;
        let recorded = self.past.iter().flat_map(|past| &past.news).filter(|mark| mark.at > since);
        let recorded = recorded.filter(of_others).map(|mark| Change { at: mark.at, text: mark.text.clone() });
        let mut changes: Vec<Change> = started.chain(opened).chain(recorded).chain(cleared).chain(notes).collect();
        changes.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.text.cmp(&b.text)));
        changes
    }
}

/// The inference server that a process belongs to: the one that listens in it or in the nearest process that it descends
/// from, else the one in its container. Each server comes with its container.
fn engine_of<'a>(process: &GpuProcess, engines: &[(&'a Engine, Option<&ContainerId>)]) -> Option<&'a Engine> {
    let listens = |pid: u32| engines.iter().find(|(engine, _)| engine.pid == Some(pid));
    let beside =
        || engines.iter().find(|(_, container)| container.is_some() && *container == process.container.as_ref());
    process.line().find_map(listens).or_else(beside).map(|(engine, _)| *engine)
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

#[cfg(test)]
mod tests {
    use crate::domain::{GpuProcessKind, PortReach, PublishedPort, Reading};
    use crate::make::{Maker, Script, container, container_id, engine, gpu};

    use super::*;

    /// A process on a card, in this container, that descends from these.
    fn process(pid: u32, container: Option<&str>, parents: &[u32]) -> GpuProcess {
        GpuProcess {
            pid,
            name: Reading::Known("python3".to_owned()),
            kind: GpuProcessKind::Compute,
            memory_used_bytes: Reading::Known(1 << 30),
            sm_ratio: Reading::Known(0.5),
            container: container.map(container_id),
            parents: parents.to_vec(),
        }
    }

    fn publishing(name: &str, host_port: u16) -> Maker {
        let port =
            PublishedPort { host_port, container_port: 8000, protocol: "tcp".to_owned(), reach: PortReach::Local };
        container(name).running(0).with(|container| container.ports = vec![port])
    }

    /// Process, container and port of the engine of every row.
    fn rows(script: &Script) -> Vec<(u32, Option<String>, Option<u16>)> {
        let row = |row: GpuRow<'_>| {
            let container = row.container.map(|container| container.name.to_string());
            (row.process.pid, container, row.engine.map(|engine| engine.port))
        };
        script.state.gpu_rows().into_iter().map(row).collect()
    }

    #[test]
    fn a_process_belongs_to_the_server_that_started_it() {
        let listening = |kind, port, pid| Engine { pid: Some(pid), ..engine(kind, port) };
        let mut script = Script::new();
        script.engines([
            listening(EngineKind::Ollama, 11_434, 700),
            listening(EngineKind::Vllm, 8000, 800),
            listening(EngineKind::LlamaCpp, 8080, 900),
        ]);
        let on_card = [
            process(701, None, &[700]),
            process(803, None, &[802, 801, 800, 500]),
            process(900, None, &[800]),
            process(1000, None, &[500]),
        ];
        script.gpus([Gpu { processes: Reading::Known(on_card.into()), ..gpu(0) }]);
        // The nearest counts: a server that another one started is itself.
        let expected = [(701, Some(11_434)), (803, Some(8000)), (900, Some(8080)), (1000, None)];
        assert_eq!(rows(&script), expected.map(|(pid, port)| (pid, None, port)));
    }

    #[test]
    fn a_server_behind_a_published_port_is_in_the_container_that_publishes_it() {
        let mut script = Script::new();
        script.docker([publishing("vllm", 8000), publishing("old", 8001).exited(0, 5), container("other").running(0)]);
        script.engines([engine(EngineKind::Vllm, 8000), engine(EngineKind::Vllm, 8001)]);
        script.gpus([Gpu {
            processes: Reading::Known(vec![process(42, Some("vllm"), &[41]), process(43, Some("other"), &[])]),
            ..gpu(0)
        }]);
        let expected = [(42, Some("vllm".to_owned()), Some(8000)), (43, Some("other".to_owned()), None)];
        assert_eq!(rows(&script), expected);
        let engines = &script.state.engines.get().unwrap().engines;
        let containers: Vec<_> = engines.iter().map(|engine| script.state.container_of(engine)).collect();
        assert_eq!(containers, [Some(&container_id("vllm")), None]);
        let related = [("other", "GPU-0"), ("vllm", "GPU-0"), ("vllm:8000", "GPU-0"), ("vllm:8000", "vllm")];
        assert_eq!(script.state.related(), related.map(|(a, b)| (Arc::from(a), Arc::from(b))));
        // A process of the host that is known to listen there is in no container.
        let host = Engine { pid: Some(9), ..engine(EngineKind::Vllm, 8000) };
        assert_eq!(script.state.container_of(&host), None);
    }
}
