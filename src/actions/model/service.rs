//! The model of a server in a container: the word that names it is another one in what takes the container's place, and in
//! the compose file, and stays so only if the server comes up well and generates.

use std::path::{Path, PathBuf};

use super::argument::{self, Argument, Takes};
use super::mounted::{self, inside, outside};
use super::place::{self, Server, servers};
use super::room;
use crate::actions::target::{Target, env, resolve};
use crate::actions::update::{make, may_be_replaced, replace};
use crate::actions::{Desk, Refusal, Wish, backup, compose, kept, preflight};
use crate::domain::{
    ActionSpec, EngineKind, Item, LibrarySample, ModelStore, Op, Plan, Run, StepState, StoredModel, WeightsFormat,
    WordChange, units,
};
use crate::host::foreign;

/// Models that are named where none was asked for.
const SHOWN: usize = 12;

/// Options that were chosen for one model, and that another one may not bear.
const OF_ONE_MODEL: &[&str] = &[
    "--revision",
    "REVISION",
    "--tokenizer",
    "--tokenizer-path",
    "--quantization",
    "-q",
    "QUANTIZE",
    "--hf-file",
    "-hff",
    "--mmproj",
    "-mm",
    "--chat-template",
    "--chat-template-file",
    "--tool-call-parser",
    "--reasoning-parser",
    "--speculative-config",
    "--model-draft",
    "-md",
    "--lora",
    "--lora-modules",
];

/// Options by which clients know a model, whatever it is.
const CALLED: &[&str] = &["--served-model-name", "--alias", "-a", "LLAMA_ARG_ALIAS"];

/// An inference server and the container that it runs in.
pub(super) struct Service {
    server: Server,
    target: Target,
}

/// The model that a server shall have.
struct Wanted {
    /// As the server is told it.
    value: String,
    /// What lies on this host of it.
    stored: Option<StoredModel>,
}

/// The server in a container that `ENGINE:PORT` means, with or without the name of its model; `None` for Ollama, and for what
/// is no such target.
///
/// # Errors
/// When nothing answers there, or not in a container.
pub(super) async fn of_engine(desk: &Desk, text: &str) -> Result<Option<Service>, Refusal> {
    let Some(at) = place::engine(text).filter(|(kind, _)| *kind != EngineKind::Ollama) else { return Ok(None) };
    let Some(server) = servers(desk, Some(at)).await?.pop() else {
        return Err(Refusal::new(format!("{text} does not answer: start it first")));
    };
    of_server(desk, server).await.map(Some)
}

/// The service of a server.
///
/// # Errors
/// When it runs in no container.
pub(super) async fn of_server(desk: &Desk, server: Server) -> Result<Service, Refusal> {
    let Some(target) = server.container(desk).await? else {
        return Err(Refusal::new(format!(
            "{} runs in no container that is known here: promote the file that it serves, by its path, to a symbolic link",
            server.word()
        )));
    };
    Ok(Service { server, target })
}

/// The server in the one container of this name; `None` where there is no such container, or no engine.
///
/// # Errors
/// When there are several, or no server answers in it.
pub(super) async fn of_container(desk: &Desk, name: &str) -> Result<Option<Service>, Refusal> {
    let Ok(docker) = desk.docker().await else { return Ok(None) };
    let Ok(mut targets) = resolve(docker, &[name.to_owned()]).await else { return Ok(None) };
    let (Some(target), true) = (targets.pop(), targets.is_empty()) else {
        return Err(Refusal::new(format!("{name} are several containers: name one of them")));
    };
    for server in servers(desk, None).await? {
        let found = server.container(desk).await?;
        if found.is_some_and(|found| found.container.id == target.container.id) {
            return Ok(Some(Service { server, target }));
        }
    }
    Err(Refusal::new(format!("in {name} no inference server answers: start it first")))
}

/// Gives it the model that the wish names.
pub(super) async fn promote(spec: &ActionSpec, desk: &Desk, wish: &Wish, service: &Service) -> Result<Plan, Refusal> {
    let argument = service.argument()?;
    let present = argument.part.value();
    let seen = mounted::models(desk, (service.server.kind, &service.target), (present, argument.takes)).await?;
    let Some(to) = &wish.to else {
        let known = service.candidates(&argument, &seen);
        let known = if known.is_empty() { String::new() } else { format!(": it sees {}", known.join(", ")) };
        return Err(Refusal::new(format!("say with --to which model {} shall serve{known}", service.shown())));
    };
    let mut plan = service.begin(spec, desk, wish).await?;
    let wanted = service.wanted(desk, &argument, to, (&seen, &mut plan)).await?;
    plan.title = format!("Promote {} at {}", wanted.value, service.shown());
    if wanted.value == present {
        plan.kept.push(format!("{} serves {present} already", service.shown()));
        return Ok(plan);
    }
    let stored = wanted.stored.as_ref();
    let lacking = room::lacking(desk, (service.server.kind, &service.target), (&wanted.value, stored)).await;
    plan.warnings.extend(lacking);
    service.switch(desk, &argument, &wanted, plan).await
}

/// Gives it the model that it had before the promotion to its present one.
pub(super) async fn roll_back(spec: &ActionSpec, desk: &Desk, wish: &Wish, service: &Service) -> Result<Plan, Refusal> {
    let argument = service.argument()?;
    let runs = preflight::runs(desk).await?;
    let Some(before) = service.before(&runs, &argument) else {
        return Err(Refusal::new(format!(
            "no promotion that hostler knows gave {} to {}",
            argument.part.value(),
            service.shown()
        )));
    };
    let mut plan = service.begin(spec, desk, wish).await?;
    plan.title = format!("Roll back {} to {before}", service.shown());
    service.switch(desk, &argument, &Wanted { value: before, stored: None }, plan).await
}

impl Service {
    fn shown(&self) -> String {
        self.target.shown()
    }

    /// Where it is said what it serves.
    fn argument(&self) -> Result<Argument, Refusal> {
        let models = self.server.models.known().map_or(&[][..], Vec::as_slice);
        let serves = |name: &str| models.iter().any(|model| model.name == name);
        argument::of(self.server.kind, &self.target.raw, serves)
            .map_err(|why| Refusal::new(format!("{}, {}: {why}", self.shown(), self.server.word())))
    }

    /// A plan without steps, once nothing stands against making the container again.
    async fn begin(&self, spec: &ActionSpec, desk: &Desk, wish: &Wish) -> Result<Plan, Refusal> {
        let plan = super::begin(desk, spec, wish, vec![self.target.lock()]).await?;
        may_be_replaced(&self.target)?;
        preflight::driver(desk, std::slice::from_ref(&self.target)).await?;
        let (reference, id) = (&self.target.container.image, &self.target.container.image_id);
        let meant = desk.docker().await?.image_raw(reference).await?;
        let meant = meant.as_ref().and_then(|image| image.get("Id")?.as_str());
        if meant != Some(id) {
            return Err(Refusal::new(format!(
                "{reference} is not the image of {} any more: update it first (container.update), so that one thing \
                 changes at a time",
                self.shown()
            )));
        }
        Ok(plan)
    }

    /// The models that it could be given.
    fn candidates(&self, argument: &Argument, seen: &LibrarySample) -> Vec<String> {
        let format = if argument.takes == Takes::File { WeightsFormat::Gguf } else { WeightsFormat::Safetensors };
        let fits = |model: &&StoredModel| model.weights.known().is_some_and(|weights| weights.format == format);
        let name = |model: &StoredModel| match model.store {
            ModelStore::Folder => {
                inside(&self.target.container, Path::new(&model.path)).map(|it| it.display().to_string())
            }
            _ => Some(model.name.clone()),
        };
        seen.models.iter().filter(fits).filter_map(name).take(SHOWN).collect()
    }

    /// What is meant by the model that somebody wrote.
    async fn wanted(
        &self,
        desk: &Desk,
        argument: &Argument,
        to: &str,
        (seen, plan): (&LibrarySample, &mut Plan),
    ) -> Result<Wanted, Refusal> {
        let present = argument.part.value();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@+".contains(&byte);
        let is_path = |text: &str| text.starts_with('/');
        if !to.bytes().all(plain) || to.is_empty() || to.starts_with('-') || to.split('/').any(|part| part == "..") {
            return Err(Refusal::new(format!("`{}` is no model that can be written there", foreign::name(to))));
        }
        let beside = || Path::new(present).with_file_name(to);
        let is_file = is_path(to) || argument.takes == Takes::File;
        if is_file || (is_path(present) && !to.contains('/')) {
            let path = if is_path(to) { self.as_seen(to)? } else { beside() };
            return self.file(desk, argument, path, (seen, plan)).await;
        }
        if argument.takes == Takes::File {
            return Err(Refusal::new(format!("{} takes a file: name one by its path", argument.option)));
        }
        let repository = to.strip_prefix("hf:").unwrap_or(to);
        let stored = seen.models.iter().find(|model| {
            model.store == ModelStore::HuggingFace
                && model.name.strip_prefix(repository).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        match stored {
            Some(StoredModel { damage: Some(damage), .. }) => plan.warnings.push(format!("{repository}: {damage}")),
            Some(_) => {}
            None => plan.warnings.push(format!(
                "{repository} is not on this host as far as hostler sees: the server downloads it when it starts, which \
                 takes as long as it takes, and its gate ends after {}",
                units::span(super::GENERATE_PATIENCE)
            )),
        }
        Ok(Wanted { value: repository.to_owned(), stored: stored.cloned() })
    }

    /// A path of this host, or of the container, as the container knows it.
    fn as_seen(&self, path: &str) -> Result<PathBuf, Refusal> {
        let (container, path) = (&self.target.container, Path::new(path));
        if outside(container, path).is_some() {
            return Ok(path.to_owned());
        }
        inside(container, path).ok_or_else(|| {
            let mounts: Vec<String> =
                container.mounts.iter().map(|it| format!("{} (here {})", it.destination, it.source)).collect();
            let sees = if mounts.is_empty() { "no folder of this host".to_owned() } else { mounts.join(", ") };
            Refusal::new(format!("{} does not see {}: it sees {sees}", self.shown(), path.display()))
        })
    }

    async fn file(
        &self,
        desk: &Desk,
        argument: &Argument,
        path: PathBuf,
        (seen, plan): (&LibrarySample, &mut Plan),
    ) -> Result<Wanted, Refusal> {
        let value = path.display().to_string();
        if argument.takes == Takes::Repository {
            return Err(Refusal::new(format!("{} takes a repository, ORG/NAME: {value} is a path", argument.option)));
        }
        let Some(here) = outside(&self.target.container, &path).filter(|_| !seen.places.is_empty()) else {
            plan.warnings
                .push(format!("{value} lies in the container itself: whether it is there is not seen from here"));
            return Ok(Wanted { value, stored: None });
        };
        let (fs, place) = (desk.ports.fs.clone(), here.clone());
        if !desk.blocking(move || fs.exists(place)).await? {
            let known = self.candidates(argument, seen).join(", ");
            let known = if known.is_empty() { String::new() } else { format!("; there are {known}") };
            return Err(Refusal::new(format!("there is no {} ({value} in {}){known}", here.display(), self.shown())));
        }
        let stored = seen.models.iter().find(|model| Path::new(&model.path) == here);
        plan.warnings
            .extend(stored.and_then(|stored| stored.damage.as_ref()).map(|damage| format!("{value}: {damage}")));
        Ok(Wanted { value, stored: stored.cloned() })
    }

    /// The model that it had before it was given its present one, by the last such promotion that was not taken back.
    fn before(&self, runs: &[Run], argument: &Argument) -> Option<String> {
        let part = &argument.part;
        let promotions = runs.iter().rev().filter(|run| run.plan.action.starts_with("model."));
        promotions.flat_map(|run| run.plan.steps.iter().zip(&run.steps)).find_map(|(step, state)| match &step.op {
            Op::Create { like, word: Some(word), .. }
                if *like.name == *self.target.container.name
                    && (word.list, word.index, &word.to) == (part.list, part.index, &part.word)
                    && *state == StepState::Done =>
            {
                word.from.get(part.at.start..).map(str::to_owned)
            }
            _ => None,
        })
    }

    /// The steps that give it a model.
    async fn switch(&self, desk: &Desk, argument: &Argument, wanted: &Wanted, mut plan: Plan) -> Result<Plan, Refusal> {
        let (target, part) = (std::slice::from_ref(&self.target), &argument.part);
        let (shown, present) = (self.shown(), part.value());
        plan.steps.push(backup::settings(desk, target).await?);
        let service = compose::reword(desk, &self.target, part, (&wanted.value, "its model"), &mut plan).await?;
        let change =
            WordChange { list: part.list, index: part.index, from: part.word.clone(), to: part.with(&wanted.value) };
        let mut step = make(&self.target, &self.target.container.image, service, Some(change));
        step.title = format!("make {shown} again beside the old one, with {}", wanted.value);
        let detail = wanted.stored.as_ref().map(|stored| units::bytes(stored.size_bytes)).unwrap_or_default();
        step.items.push(Item { name: wanted.value.clone(), detail, ..Item::default() });
        plan.steps.push(step);
        plan.steps.extend(replace(target, desk, &preflight::runs(desk).await?).await?);
        let listed = desk.docker().await?.list().await?;
        plan.steps.extend(kept::trim(&self.target, &listed, desk, None).await?);
        self.tell_clients(wanted, present, &mut plan);
        plan.kept.push(format!("the present {shown} with {present}, for roll back"));
        plan.rolls_back = true;
        plan.undo = "by itself if it does not come up well or generates nothing; later by `roll back`".into();
        plan.downtime = Some("from the old container's stop until the new one has read its weights".to_owned());
        plan.verdict = Some(format!("{shown} serves {}", wanted.value));
        Ok(plan)
    }

    /// Says by which name clients find the model, and which options were chosen for the one before.
    fn tell_clients(&self, wanted: &Wanted, present: &str, plan: &mut Plan) {
        let options = room::options(&self.target);
        match room::value(&options, CALLED) {
            Some(name) => plan.kept.push(format!("{name}, the name by which clients ask for it")),
            // Others do not care what they are asked for.
            None if matches!(self.server.kind, EngineKind::Vllm | EngineKind::Sglang) => plan.warnings.push(format!(
                "clients ask for {present} by this name, and must ask for {}: --served-model-name would spare them that",
                wanted.value
            )),
            None => {}
        }
        let of_one = options.iter().filter(|option| OF_ONE_MODEL.contains(&&*option.name));
        let offline = env(&self.target.raw).contains(&"HF_HUB_OFFLINE=1") && wanted.stored.is_none();
        plan.warnings.extend(of_one.map(|option| {
            let value = option.value.as_deref().unwrap_or_default();
            format!("`{} {value}` was chosen for {present}, and stays", option.name)
        }));
        if offline && !wanted.value.starts_with('/') {
            plan.warnings.push("HF_HUB_OFFLINE=1: the server downloads nothing".to_owned());
        }
    }
}
