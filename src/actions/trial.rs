//! Trial: what an update would bring is started beside what runs, on copies of its data and with nobody else in its network;
//! the gate tells how it comes up, and all of it goes again.

use std::collections::HashSet;

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::newer::Known;
use super::ops::leads_to_engine;
use super::target::{Target, resolve};
use super::update::{Begun, begin, wanted};
use super::{Action, Desk, Refusal, Wish, backup, gate};
use crate::domain::{ActionSpec, ImageRef, Item, Op, Plan, Risk, Run, Step, short_name, units};
use crate::host::{DockerClient, Measured};

/// Tries the newest image of containers out, or the one of another tag.
pub(super) struct Trial;

impl Action for Trial {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.trial")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let Begun { mut plan, targets, known, runs } = begin(self.spec(), desk, wish).await?;
            if targets.is_empty() {
                return Ok(plan);
            }
            let mut images = Vec::with_capacity(targets.len());
            for target in &targets {
                let image = Image::of(target, wish.to.as_deref(), &known)?;
                plan.steps.push(pull(target, &image));
                images.push(image);
            }
            let stage = Stage::look(desk, desk.docker().await?, runs, &targets).await?;
            for member in &stage.members {
                let tried = targets.iter().position(|target| target.container.id == member.container.id);
                stage.add(desk, member, tried.map(|index| &images[index]), &mut plan).await?;
            }
            let title = "keep the logs, and remove containers, copies and network";
            plan.steps.push(Step::new("end", title, Risk::Safe, Op::EndTrial));
            let shown: Vec<String> = targets.iter().map(Target::shown).collect();
            let images: Vec<&str> = images.iter().map(|image| image.shown.as_str()).collect();
            let (shown, images) = (shown.join(", "), images.join(", "));
            plan.verdict = Some(format!("{shown} came up well from {images}, on copies; nothing of the trial is left"));
            plan.kept
                .push("what runs is not touched; the new image stays for the update, or until it is pruned".into());
            // What stands for a service has one name, whoever tries it out.
            plan.locks.push("a trial".to_owned());
            plan.rolls_back = true;
            plan.undo = "nothing has to be taken back: a trial removes what it made, however it ends".into();
            Ok(plan)
        })
    }
}

/// What is tried out.
struct Image {
    /// The very image that the registry has now, so that no name moves; or another tag.
    reference: String,
    /// The reference that people know it by.
    shown: String,
}

impl Image {
    fn of(target: &Target, tag: Option<&str>, known: &Known) -> Result<Self, Refusal> {
        let shown = wanted(target, tag)?;
        if shown != target.container.image {
            return Ok(Self { reference: shown.clone(), shown });
        }
        let parsed: Option<ImageRef> = shown.parse().ok();
        let Some((image, digest)) = parsed.zip(known.digest(target)) else {
            let why = "its registry did not tell which image that is now, and a trial moves no names";
            return Err(Refusal::new(format!(
                "{shown} cannot be tried out: {why}. Try again, or name a tag with --to"
            )));
        };
        Ok(Self { reference: image.with_digest(digest).familiar(), shown })
    }
}

fn pull(target: &Target, image: &Image) -> Step {
    let op = Op::Pull { reference: image.reference.clone() };
    let title = format!("pull {} as its registry has it now", image.shown);
    let mut step = Step::new(format!("pull {}", target.shown()), title, Risk::Safe, op);
    step.items.push(Item { name: image.reference.clone(), ..Item::default() });
    step.undone_by(Op::EndTrial)
}

/// What takes part.
struct Stage {
    /// The targets, and what else of their projects runs, those that others need first.
    members: Vec<Target>,
    /// Those without which the targets do not come up: themselves, and what they need.
    needed: HashSet<String>,
    measured: Option<Measured>,
    /// The address of a container can be reached from here.
    reachable: bool,
    runs: Vec<Run>,
}

impl Stage {
    /// Looks who belongs to the projects of the targets.
    async fn look(desk: &Desk, docker: &DockerClient, runs: Vec<Run>, targets: &[Target]) -> Result<Self, Refusal> {
        let names = targets.iter().map(|target| match &target.container.project {
            Some(project) => format!("{project}/"),
            None => target.container.name.to_string(),
        });
        let names: Vec<String> = names.collect::<HashSet<_>>().into_iter().collect();
        let mut members = resolve(docker, &names).await?;
        let is_target = |member: &Target| targets.iter().any(|target| target.container.id == member.container.id);
        members.retain(|member| is_target(member) || member.container.state.is_up());
        let mut needed: HashSet<String> =
            members.iter().filter(|member| is_target(member)).map(|member| member.container.name.to_string()).collect();
        // Those that others need come first: from the end, each is known to be needed before it is asked what it needs.
        for member in members.iter().rev() {
            if needed.contains(&*member.container.name) {
                let needs: Vec<&str> = member.depends_on().collect();
                let meant = members.iter().filter(|other| {
                    other.container.project == member.container.project
                        && other.container.service.as_deref().is_some_and(|service| needs.contains(&service))
                });
                needed.extend(meant.map(|other| other.container.name.to_string()));
            }
        }
        let info = docker.get_raw("/info", DockerClient::PATIENCE).await?;
        let options = info.get("SecurityOptions").and_then(Value::as_array).into_iter().flatten();
        let rootless = options.filter_map(Value::as_str).any(|option| option.contains("rootless"));
        let reachable = docker.is_local() && !rootless;
        Ok(Self { members, needed, measured: backup::measured(desk, docker).await, reachable, runs })
    }

    /// The steps of one member: from `image` if it is tried out, else from its own, and only if somebody needs it.
    async fn add(&self, desk: &Desk, member: &Target, image: Option<&Image>, plan: &mut Plan) -> Result<(), Refusal> {
        let shown = member.shown();
        let is_needed = self.needed.contains(&*member.container.name);
        if member.is_privileged() {
            let why = format!("{shown} may do everything to this host (privileged), in a trial too");
            return if image.is_some() { Err(Refusal::new(format!("{why}: it is not tried out"))) } else { Ok(()) };
        }
        let companion = image.is_none().then(|| format!("beside {shown}"));
        self.copies(desk, member, companion.as_deref(), plan);
        let own = &member.container.image;
        let title = match image {
            Some(image) => format!("start {shown} from {}, alone with what belongs to it", image.shown),
            None => format!("start {shown} beside it, from {own} as now"),
        };
        let image = image.map_or(&member.container.image_id, |image| &image.reference).clone();
        let op = Op::StartTrial { like: member.reference(), image };
        let id = companion.clone().unwrap_or_else(|| format!("start {shown}"));
        let mut start = Step::new(id, title, Risk::Safe, op);
        if companion.is_some() {
            start = start.optional(is_needed);
        }
        plan.steps.push(start);
        for step in gate::of_trial(member, desk, &self.runs, self.reachable).await? {
            plan.steps.push(match &companion {
                Some(follows) => Step { follows: Some(follows.clone()), ..step.optional(is_needed) },
                None => step,
            });
        }
        if is_needed {
            warn(member, plan);
        }
        Ok(())
    }

    /// The steps that copy a member's volumes, each once. Those of a `companion` alone come and go with it.
    fn copies(&self, desk: &Desk, member: &Target, companion: Option<&str>, plan: &mut Plan) {
        for (volume, path) in volumes(member) {
            let id = format!("copy {volume}");
            if plan.steps.iter().any(|step| step.id == id) {
                continue;
            }
            let mounts = |other: &&Target| volumes(other).any(|(known, _)| known == volume);
            let users: Vec<&Target> = self.members.iter().filter(mounts).collect();
            let is_needed = users.iter().any(|user| self.needed.contains(&*user.container.name));
            let size = self.measured.as_ref().and_then(|measured| measured.volume_bytes(volume));
            let small = size.is_some_and(|size| size <= desk.settings.archive_bytes);
            let words = size.map_or_else(|| "size unknown".to_owned(), units::bytes);
            let op = Op::CopyVolume { volume: volume.to_owned(), container: member.reference(), path: path.to_owned() };
            let title = format!("copy {path} of {} ({words})", member.shown());
            let mut step = Step::new(id, title, Risk::Safe, op).optional(small && is_needed);
            step.follows = companion.filter(|_| small && users.len() == 1).map(str::to_owned);
            step.items.push(Item { name: volume.to_owned(), detail: words.clone(), ..Item::default() });
            if !small && is_needed {
                let (id, volume) = (&step.id, short_name(volume));
                plan.warnings.push(format!("volume {volume} ({words}) is only read unless you add `{id}`"));
            }
            plan.steps.push(step);
        }
    }
}

/// What is otherwise for a member than it is used to.
fn warn(member: &Target, plan: &mut Plan) {
    let shown = member.shown();
    let alone = "it reaches nothing outside of the trial: no other container, no network";
    let copied = "what runs goes on writing while its volumes are copied: the copy is as after a power cut";
    let mut once = |text: &str| {
        if !plan.warnings.iter().any(|known| known == text) {
            plan.warnings.push(text.to_owned());
        }
    };
    once(alone);
    if volumes(member).next().is_some() {
        once(copied);
    }
    for mount in member.mounts("bind") {
        let Some(source) = mount.get("Source").and_then(Value::as_str) else { continue };
        if leads_to_engine(source) {
            once(&format!("{shown} does not get {source}: through it the engine could be reached"));
        } else if mount.get("RW").and_then(Value::as_bool) != Some(false) {
            once(&format!("{shown} can only read {source} of this host"));
        }
    }
    if member.container.wants_gpu {
        once(&format!("{shown} uses the same GPUs as the one that runs: their memory must have room for both"));
    }
}

/// The volumes that a container writes to, and where.
fn volumes(member: &Target) -> impl Iterator<Item = (&str, &str)> {
    let written = member.mounts("volume").filter(|mount| mount.get("RW").and_then(Value::as_bool) != Some(false));
    written.filter_map(|mount| Some((mount.get("Name")?.as_str()?, mount.get("Destination")?.as_str()?)))
}
