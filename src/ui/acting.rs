//! From a key to what an action shall work on: marked rows, else the selected one, else the subject of a finding.

use std::path::Path;

use super::command::Command;
use super::list::RowKey;
use super::popups::{Form, MenuKind, Popup, RunView};
use super::{Intent, Ui};
use crate::domain::{
    ActionSpec, ContainerMount, ContainerState, Endpoint, EngineKind, ModelStore, Moment, Plan, Residency, Risk, Run,
    StoredModel, Subject, WeightsFormat,
};
use crate::store::State;

impl Ui {
    /// Asks for the plan of an action on what is marked or selected.
    pub(super) fn act(&mut self, spec: &'static ActionSpec, state: &State, now: Moment) -> Vec<Intent> {
        if self.setup.read_only {
            self.say(format!("read-only: nothing is done ({})", spec.title), now);
            return Vec::new();
        }
        if self.setup.demo {
            self.say(format!("a demo changes nothing ({})", spec.title), now);
            return Vec::new();
        }
        // What is pulled need not be there yet.
        if spec.id == "model.pull" {
            self.popup = Some(Popup::Form(Form::pull(self.pulled(state, now))));
            return Vec::new();
        }
        // A server in a container has one model, and is given another.
        if matches!(spec.id, "model.promote" | "model.rollback")
            && let Some(server) = self.selected_server(state, now)
        {
            if spec.id == "model.rollback" {
                return self.plan(spec, vec![server], None, now);
            }
            self.menu(MenuKind::Model(server));
            return Vec::new();
        }
        // What works on the whole box works on nothing that is selected.
        let targets = if spec.on == Subject::Box { Vec::new() } else { self.targets(spec.on, state, now) };
        if targets.is_empty() && spec.on != Subject::Box {
            self.say(format!("select what to {} first", spec.title), now);
            return Vec::new();
        }
        if spec.id == "model.move"
            && let [target] = targets.as_slice()
        {
            self.popup = Some(Popup::Form(Form::relocate(target.clone())));
            return Vec::new();
        }
        if spec.id == "model.promote"
            && let [target] = targets.as_slice()
            && self.aliases_for(target).count() > 1
        {
            self.menu(MenuKind::Alias(target.clone()));
            return Vec::new();
        }
        self.plan(spec, targets, None, now)
    }

    /// Asks for the plan of an action on these targets.
    pub(super) fn plan(
        &mut self,
        spec: &'static ActionSpec,
        targets: Vec<String>,
        to: Option<String>,
        now: Moment,
    ) -> Vec<Intent> {
        self.say(format!("{}: looking at what it would do …", spec.title), now);
        vec![Intent::Plan { action: spec.id.to_owned(), targets, to }]
    }

    /// The aliases of the config that this model can be promoted to: a file to links, a name to names.
    pub(super) fn aliases_for(&self, target: &str) -> impl Iterator<Item = &str> {
        let is_file = target.starts_with('/');
        self.setup.aliases.iter().map(String::as_str).filter(move |alias| alias.starts_with('/') == is_file)
    }

    /// The selected server, or that of the selected model, where it serves one model in a container.
    fn selected_server(&self, state: &State, now: Moment) -> Option<String> {
        let (RowKey::Engine(endpoint) | RowKey::Model(endpoint, _)) = self.selected(state, now)? else { return None };
        let engine = state.engine_at(&endpoint).filter(|engine| engine.kind != EngineKind::Ollama)?;
        state.container_of(engine)?;
        Some(engine.subject())
    }

    /// The models on disk that this server sees, as they are named to it, each with its bytes.
    pub(super) fn models_for(state: &State, server: &str) -> Vec<(String, u64)> {
        let engines = state.engines.get().map_or(&[][..], |sample| &sample.engines);
        let Some(engine) = engines.iter().find(|engine| engine.subject() == server) else { return Vec::new() };
        let container = state.container_of(engine).and_then(|id| state.container(id));
        let mounts = container.map_or(&[][..], |container| &container.mounts);
        let format = if engine.kind == EngineKind::LlamaCpp { WeightsFormat::Gguf } else { WeightsFormat::Safetensors };
        let is_seen = |stored: &&StoredModel| {
            let below = |mount: &ContainerMount| Path::new(&stored.path).starts_with(&mount.source);
            let is_one = stored.weights.known().is_some_and(|weights| weights.format == format);
            // One of several files of a repository has no name by which a server is told of it.
            let named = stored.store == ModelStore::Folder || format == WeightsFormat::Safetensors;
            is_one && named && stored.store != ModelStore::Ollama && mounts.iter().any(below)
        };
        let models = state.library.get().map_or(&[][..], |library| &library.models).iter().filter(is_seen);
        let name = |stored: &StoredModel| match stored.store {
            ModelStore::Folder => stored.path.clone(),
            _ => stored.name.clone(),
        };
        models.map(|stored| (name(stored), stored.size_bytes)).collect()
    }

    /// What the form of a pull begins with: the selected model where Ollama has it, else the Ollama that is selected.
    fn pulled(&self, state: &State, now: Moment) -> String {
        let at = |endpoint: &Endpoint, name: &str| {
            let engine = state.engine_at(endpoint).filter(|engine| engine.kind == EngineKind::Ollama)?;
            Some(format!("{}/{name}", engine.subject()))
        };
        let found = match self.selected(state, now) {
            Some(RowKey::Model(endpoint, name)) => at(&endpoint, &name),
            Some(RowKey::Engine(endpoint)) => at(&endpoint, ""),
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// Starts the selected container if it is down, else stops it.
    pub(super) fn start_or_stop(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        let is_up = |name: &str| {
            let mut meant = state.containers().iter().filter(|container| match name.strip_suffix('/') {
                Some(project) => container.project.as_deref() == Some(project),
                None => *container.name == *name,
            });
            meant.any(|container| container.state.is_up() || container.state == ContainerState::Restarting)
        };
        let up = self.targets(Subject::Container, state, now).iter().any(|name| is_up(name));
        let spec = ActionSpec::named(if up { "container.stop" } else { "container.start" });
        spec.map_or_else(Vec::new, |spec| self.act(spec, state, now))
    }

    /// Unloads the selected model if it is in memory, else loads it.
    pub(super) fn load_or_unload(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        let loaded = match self.selected(state, now) {
            Some(RowKey::Model(endpoint, name)) => state.engine_at(&endpoint).is_some_and(|engine| {
                let mut models = engine.models.known().into_iter().flatten();
                models.any(|model| model.name == name && matches!(model.residency, Residency::Loaded { .. }))
            }),
            _ => false,
        };
        let spec = ActionSpec::named(if loaded { "model.unload" } else { "model.load" });
        spec.map_or_else(Vec::new, |spec| self.act(spec, state, now))
    }

    /// Opens a shell in the selected container.
    pub(super) fn shell(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        if self.setup.read_only || self.setup.demo {
            self.say("read-only: no shell is opened", now);
            return Vec::new();
        }
        match self.targets(Subject::Container, state, now).as_slice() {
            [name] if !name.ends_with('/') => vec![Intent::Shell(name.clone())],
            _ => {
                self.say("select one container first", now);
                Vec::new()
            }
        }
    }

    /// What is marked, else what is selected, as it is written on the command line.
    fn targets(&self, on: Subject, state: &State, now: Moment) -> Vec<String> {
        let selected = || self.selected(state, now).into_iter().collect();
        let rows: Vec<RowKey> = match (&self.popup, self.focused()) {
            (None, Some(list)) if !self.list(list).marked.is_empty() => {
                self.list(list).marked.iter().cloned().collect()
            }
            _ => selected(),
        };
        rows.into_iter().filter_map(|row| self.target(on, &row, state, now)).collect()
    }

    fn target(&self, on: Subject, row: &RowKey, state: &State, now: Moment) -> Option<String> {
        let scene = self.scene(state, now);
        match (on, row) {
            (Subject::Container, RowKey::Container(id)) => scene.container_name(id).map(|name| name.to_string()),
            (Subject::Container, RowKey::Project(Some(project))) => Some(format!("{project}/")),
            (Subject::Container, RowKey::Finding(id, subject)) => {
                let findings = scene.state.findings.all(now);
                let found =
                    findings.iter().find(|finding| finding.seen.id == *id && finding.seen.subject == *subject)?;
                let name = scene.container_name(found.seen.container.as_ref()?)?;
                Some(name.to_string())
            }
            (Subject::Image, RowKey::Image(id)) => {
                let image = scene.state.disk.get()?.image(id)?;
                Some(image.reference().to_owned())
            }
            (Subject::Volume, RowKey::Volume(name)) => Some(name.to_string()),
            (Subject::Model, RowKey::Model(endpoint, name)) if !name.is_empty() => {
                let engine = state.engine_at(endpoint)?;
                Some(format!("{}/{name}", engine.subject()))
            }
            (Subject::Model, RowKey::Stored(path)) => Some(path.to_string()),
            _ => None,
        }
    }

    /// Shows what an action would do; what risks nothing is done at once.
    pub fn planned(&mut self, plan: Result<Box<Plan>, String>, now: Moment) -> Vec<Intent> {
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => {
                self.say(why, now);
                return Vec::new();
            }
        };
        if plan.steps.is_empty() && plan.choices.is_empty() {
            self.say(plan.why_nothing(), now);
            return Vec::new();
        }
        if plan.risk() == Risk::Safe && plan.warnings.is_empty() && !plan.steps.is_empty() {
            return vec![Intent::Carry(plan)];
        }
        self.toast = None;
        self.popup = Some(Popup::confirm(*plan));
        Vec::new()
    }

    /// A run has begun: what interrupts something is watched, everything else is told when it ends.
    pub fn begun(&mut self, run: &str, watch: bool) {
        if let Some(focused) = self.focused() {
            self.list_mut(focused).marked.clear();
        }
        if watch {
            self.popup = Some(Popup::Run(RunView { run: run.to_owned(), top: 0 }));
        }
    }

    /// A run that this screen asked for has ended: a good end closes its view, unless less was freed than planned, and is
    /// told.
    pub fn ended(&mut self, run: &Run, now: Moment) {
        let Some((outcome, text, _)) = &run.ended else { return };
        let shown = matches!(&self.popup, Some(Popup::Run(view)) if view.run == run.id);
        if outcome.is_good() && shown && run.plan.is_as_planned(run.freed) {
            self.popup = None;
        }
        if outcome.is_good() || !shown {
            self.say(format!("{}: {text}", outcome.word()), now);
        }
    }

    /// Whether the key for an action may do anything here.
    pub fn may_act(&self, command: Command) -> bool {
        let acts = command.action().is_some()
            || matches!(command, Command::StartStop | Command::LoadUnload | Command::Shell | Command::ReviewModels);
        !(acts && (self.setup.read_only || self.setup.demo))
    }
}
