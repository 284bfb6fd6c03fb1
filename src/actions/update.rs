//! Update: the new image is pulled, a container made from it takes the old one's place, and the gate decides which of them
//! stays.

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::ops;
use super::target::{Target, resolve};
use super::{Action, Desk, Refusal, Wish, backup, compose, lifecycle, newer};
use crate::domain::{
    ActionSpec, ComposeService, Guard, Item, Op, Plan, Probe, Risk, Step, Verb, kept_name, kept_repository,
};

/// Updates containers to the newest image of their reference, or of another tag.
pub(super) struct Update;

impl Action for Update {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.update")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let mut plan = lifecycle::of(self.spec(), wish, &targets);
            if wish.to.is_some() {
                one_image(&targets)?;
            }
            let targets = newer::sift(desk, wish, targets, &mut plan).await?;
            if targets.is_empty() {
                plan.undo = "nothing is done".into();
                return Ok(plan);
            }
            plan.steps.push(backup::settings(desk, &targets).await?);
            for target in &targets {
                may_be_replaced(target)?;
                let reference = wanted(target, wish.to.as_deref())?;
                plan.steps.extend(fetch(target, &reference));
                let service = match &wish.to {
                    Some(tag) if reference != target.container.image => {
                        compose::retag(desk, target, tag, &mut plan).await?
                    }
                    _ => compose::follow(desk, target, &mut plan).await?,
                };
                plan.steps.push(make(target, &reference, service));
                plan.kept.push(format!("{} and its image, for roll back", target.shown()));
                plan.commands.push(format!("docker pull {reference}, and {} made again", target.container.name));
            }
            backup::add(desk, &targets, &mut plan).await?;
            plan.steps.extend(targets.iter().flat_map(|target| replace(target, desk)));
            plan.rolls_back = true;
            plan.undo = "by itself if it does not come up well; later by `roll back`, which takes seconds".into();
            plan.downtime = Some(
                "from the old container's stop, while its volumes are archived, until the new one is up".to_owned(),
            );
            Ok(plan)
        })
    }
}

/// What stands against making a container again.
pub(super) fn may_be_replaced(target: &Target) -> Result<(), Refusal> {
    if target.goes_when_it_ends() {
        let why =
            format!("{} was started with --rm: stopped, it would be gone and could not come back", target.shown());
        return Err(Refusal::new(why));
    }
    Ok(())
}

/// The reference of the new image: the present one, or the one with another tag.
fn wanted(target: &Target, tag: Option<&str>) -> Result<String, Refusal> {
    let reference = &target.container.image;
    if reference.starts_with("sha256:") || reference.contains('@') {
        let why = format!("{} is pinned to one image ({reference}): there is no newer one", target.shown());
        return Err(Refusal::new(why));
    }
    tag.map_or_else(|| Ok(reference.clone()), |tag| compose::with_tag(reference, tag).map_err(Refusal::new))
}

/// A tag belongs to one image: not to a whole project's.
fn one_image(targets: &[Target]) -> Result<(), Refusal> {
    let mut images: Vec<&str> = targets.iter().map(|target| ops::split(&target.container.image).0).collect();
    images.sort_unstable();
    images.dedup();
    if images.len() <= 1 {
        return Ok(());
    }
    Err(Refusal::new(format!("--to is a tag of one image, and these have several: {}", images.join(", "))))
}

/// The steps that keep the present image and bring the new one.
fn fetch(target: &Target, reference: &str) -> [Step; 2] {
    let (container, shown) = (target.reference(), target.shown());
    let old_image = target.container.image_id.clone();
    let id = |word: &str| format!("{word} {shown}");
    let keep = Op::KeepImage { image: old_image.clone(), container: container.name.clone() };
    let pull = Op::Pull { reference: reference.to_owned() };
    let mut pulled = Step::new(id("pull"), format!("pull {reference}"), Risk::Safe, pull);
    if reference == target.container.image {
        // The pull took the name away from it.
        pulled = pulled.undone_by(Op::Tag { image: old_image, reference: reference.to_owned() });
    }
    pulled.items.push(Item { name: reference.to_owned(), detail: format!("now {}", short(target)), ..Item::default() });
    let kept = Step::new(id("keep"), format!("keep the present image of {shown} for roll back"), Risk::Safe, keep);
    [kept.guarded(Guard::Same { container }), pulled]
}

/// The step that makes a container from another image beside one. `service` is what compose takes the new one for, where its
/// files were edited.
///
/// Taking it back is what ends taking everything back: the old container starts when names and data are its own again.
fn make(target: &Target, reference: &str, service: Option<ComposeService>) -> Step {
    let (container, shown) = (target.reference(), target.shown());
    let create = Op::Create { like: container.clone(), image: reference.to_owned(), service };
    let title = format!("make {shown} again beside the old one");
    let mut step = Step::new(format!("create {shown}"), title, Risk::Safe, create)
        .guarded(Guard::Same { container: container.clone() });
    if target.container.state.is_up() {
        let verb = Verb::Start;
        step = step.undone_by(Op::Lifecycle { verb, container: container.clone(), stop_seconds: None });
    }
    step.undone_by(Op::RemoveCreated { like: container })
}

/// The steps that put what [`make`] made in the place of a container, and the gate.
fn replace(target: &Target, desk: &Desk) -> Vec<Step> {
    let (container, shown) = (target.reference(), target.shown());
    let (policy, runs) = (target.container.restart_policy, target.container.state.is_up());
    let id = |word: &str| format!("{word} {shown}");
    let swap = Op::Swap { old: container.clone(), policy, runs };
    let mut steps = vec![
        Step::new(id("swap"), format!("stop the old {shown} and start the new one"), Risk::Disruptive, swap)
            .guarded(Guard::Same { container: container.clone() })
            .undone_by(Op::SwapBack { old: container.clone(), policy }),
    ];
    if runs {
        let probe = probe(target);
        let title = format!("wait until {shown} is well: {}", words(&probe));
        let (seconds, steady) = (desk.settings.gate.as_secs(), desk.settings.steady.as_secs());
        let gate = Op::Gate { name: container.name.clone(), probe, seconds, steady };
        steps.push(Step::new(id("gate"), title, Risk::Safe, gate));
    }
    steps
}

/// How it is told that a container has come up well: its own health check, else a port that it publishes, else that it
/// keeps running.
fn probe(target: &Target) -> Probe {
    if target.container.health.is_some() {
        return Probe::Healthcheck;
    }
    let tcp = target.container.ports.iter().find(|port| port.protocol == "tcp");
    tcp.map_or(Probe::Running, |port| Probe::Port { port: port.host_port })
}

fn words(probe: &Probe) -> String {
    match probe {
        Probe::Healthcheck => "its health check passes".to_owned(),
        Probe::Port { port } => format!("port {port} answers"),
        Probe::Http { port, path } => format!("{path} on port {port} answers"),
        Probe::Running => "it keeps running".to_owned(),
    }
}

fn short(target: &Target) -> String {
    let id = target.container.image_id.trim_start_matches("sha256:");
    id.get(..12).unwrap_or(id).to_owned()
}

/// Rolls containers back to the version before.
pub(super) struct Rollback;

impl Action for Rollback {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.rollback")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let mut plan = lifecycle::of(self.spec(), wish, &targets);
            for target in &targets {
                may_be_replaced(target)?;
                let (kept, image) = version_before(target, desk).await?;
                let present = &target.container.image;
                let reference = reference_of(target, &kept, desk).await?.unwrap_or_else(|| present.clone());
                let retag = Op::Tag { image: image.clone(), reference: reference.clone() };
                let shown = target.shown();
                let keep = Op::KeepImage {
                    image: target.container.image_id.clone(),
                    container: target.container.name.to_string(),
                };
                plan.steps.push(Step::new(
                    format!("keep {shown}"),
                    format!("keep the present image of {shown}"),
                    Risk::Safe,
                    keep,
                ));
                let title = format!("{reference} is again the image kept by run {kept}");
                let mut step = Step::new(format!("tag {shown}"), title, Risk::Safe, retag);
                if reference == *present {
                    let image = target.container.image_id.clone();
                    step = step.undone_by(Op::Tag { image, reference: reference.clone() });
                }
                step.items.push(Item { name: image, ..Item::default() });
                plan.steps.push(step);
                let service = compose::write_back(desk, target, &kept, &mut plan).await?;
                plan.steps.push(make(target, &reference, service));
                plan.kept.push(format!("the present {shown} and its image: roll back again to return to it"));
            }
            plan.steps.extend(targets.iter().flat_map(|target| replace(target, desk)));
            plan.rolls_back = true;
            plan.undo = "by itself if the old version does not come up well; `roll back` again returns".into();
            plan.downtime = Some("from the present container's stop until the old version is up".to_owned());
            plan.warnings
                .push("data that the new version has changed stays as it is: only the image goes back".to_owned());
            Ok(plan)
        })
    }
}

/// The reference of the image that run `run` kept, as the old container that it kept names it; `None` where that is gone.
async fn reference_of(target: &Target, run: &str, desk: &Desk) -> Result<Option<String>, Refusal> {
    let old = desk.docker().await?.inspect_raw(&kept_name(&target.container.name, run)).await?;
    let image = old.as_ref().and_then(|old| old.pointer("/Config/Image")?.as_str());
    Ok(image.map(crate::host::foreign::name))
}

/// The newest image that is kept for a container and is not the one it has: the run that kept it, and its id.
async fn version_before(target: &Target, desk: &Desk) -> Result<(String, String), Refusal> {
    let docker = desk.docker().await?;
    let repository = kept_repository(&target.container.name);
    let filters = format!("{{\"reference\":[\"{repository}\"]}}");
    let path = format!("/images/json?filters={}", crate::host::encoded(&filters));
    let images = docker.get_raw(&path, crate::host::DockerClient::PATIENCE).await?;
    let mut kept: Vec<(String, String)> = Vec::new();
    for image in images.as_array().into_iter().flatten() {
        let id = image.get("Id").and_then(Value::as_str).unwrap_or_default();
        let names = image.get("RepoTags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let runs = names.filter_map(|name| name.strip_prefix(&repository)?.strip_prefix(':'));
        kept.extend(runs.map(|run| (run.to_owned(), id.to_owned())));
    }
    kept.retain(|(_, id)| *id != target.container.image_id);
    kept.sort();
    kept.pop().ok_or_else(|| {
        let name = kept_name(&target.container.name, "RUN");
        Refusal::new(format!(
            "no earlier version of {} is kept: an update by hostler keeps one ({repository}:RUN, {name})",
            target.shown()
        ))
    })
}
