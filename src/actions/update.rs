//! Update: the new image is pulled, a container made from it takes the old one's place, and the gate decides which of them
//! stays.

use futures_util::future::LocalBoxFuture;

use super::newer::Known;
use super::ops;
use super::target::{Target, resolve};
use super::{Action, Desk, Refusal, Wish, backup, compose, gate, kept, lifecycle, newer, preflight};
use crate::domain::{
    ActionSpec, ComposeService, DataPlace, Guard, Item, Op, Plan, Risk, Run, Step, Verb, WordChange, short_image_id,
};

/// Updates containers to the newest image of their reference, or of another tag.
pub(super) struct Update;

impl Action for Update {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.update")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let Begun { mut plan, targets, runs, .. } = begin(self.spec(), desk, wish).await?;
            if targets.is_empty() {
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
                plan.steps.push(make(target, &reference, service, None));
                plan.kept.push(format!("{} and its image, for roll back", target.shown()));
                plan.commands.push(format!("docker pull {reference}, and {} made again", target.container.name));
            }
            backup::add(desk, &targets, &mut plan).await?;
            plan.steps.extend(replace(&targets, desk, &runs).await?);
            let listed = desk.docker().await?.list().await?;
            for target in &targets {
                plan.steps.extend(kept::trim(target, &listed, desk, None).await?);
            }
            plan.rolls_back = true;
            plan.undo = "by itself if it does not come up well; later by `roll back`, which takes seconds".into();
            plan.downtime = Some(downtime(&plan));
            Ok(plan)
        })
    }
}

/// How a plan begins that leads containers to newer images.
pub(super) struct Begun {
    /// Without steps yet.
    pub(super) plan: Plan,
    /// Those for which there is something newer; where there are none, the plan says why and is whole.
    pub(super) targets: Vec<Target>,
    /// What registries say of their images.
    pub(super) known: Known,
    /// The runs that are kept.
    pub(super) runs: Vec<Run>,
}

/// Looks for what there is to do, and for what stands against it.
///
/// # Errors
/// What stands against it, with the remedy, or that something does not answer.
pub(super) async fn begin(spec: &ActionSpec, desk: &Desk, wish: &Wish) -> Result<Begun, Refusal> {
    let runs = preflight::runs(desk).await?;
    preflight::unfinished(&runs, &wish.targets)?;
    let targets = resolve(desk.docker().await?, &wish.targets).await?;
    let mut plan = lifecycle::of(spec, wish, &targets);
    if wish.to.is_some() {
        one_image(&targets)?;
    }
    let (targets, known) = newer::sift(spec, desk, wish, targets, &mut plan).await?;
    if targets.is_empty() {
        plan.undo = "nothing is done".into();
    } else {
        let names: Vec<String> = targets.iter().map(|target| target.container.name.to_string()).collect();
        preflight::unfinished(&runs, &names)?;
        preflight::check(desk, &targets).await?;
    }
    Ok(Begun { plan, targets, known, runs })
}

/// How long the service is away, in words.
fn downtime(plan: &Plan) -> String {
    let archives = |step: &Step| match &step.op {
        Op::BackUp { place: DataPlace::Volume { stopped, .. } } => !stopped.is_empty(),
        _ => false,
    };
    let meanwhile =
        if plan.chosen().any(|(_, step)| archives(step)) { ", while its volumes are archived," } else { "" };
    format!("from the old container's stop{meanwhile} until the new one is up")
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
pub(super) fn wanted(target: &Target, tag: Option<&str>) -> Result<String, Refusal> {
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
    pulled.items.push(Item {
        name: reference.to_owned(),
        detail: format!("now {}", short_image_id(&target.container.image_id)),
        ..Item::default()
    });
    let kept = Step::new(id("keep"), format!("keep the present image of {shown} for roll back"), Risk::Safe, keep);
    [kept.guarded(Guard::Same { container }), pulled]
}

/// The step that makes a container from another image, or with another word, beside one. `service` is what compose takes the
/// new one for, where its files were edited.
///
/// Taking it back is what ends taking everything back: the old container starts when names and data are its own again.
pub(super) fn make(
    target: &Target,
    reference: &str,
    service: Option<ComposeService>,
    word: Option<WordChange>,
) -> Step {
    let (container, shown) = (target.reference(), target.shown());
    let create = Op::Create { like: container.clone(), image: reference.to_owned(), service, word };
    let title = format!("make {shown} again beside the old one");
    let mut step = Step::new(format!("create {shown}"), title, Risk::Safe, create)
        .guarded(Guard::Same { container: container.clone() });
    if target.container.state.is_up() {
        let (verb, policy) = (Verb::Start, target.container.restart_policy);
        // What is archived is stopped, with another policy, before it is swapped.
        step = step.undone_by(Op::SwapBack { old: container.clone(), policy });
        step = step.undone_by(Op::Lifecycle { verb, container: container.clone(), stop_seconds: None });
    }
    step.undone_by(Op::RemoveCreated { like: container })
}

/// The steps that put what [`make`] made in the place of each container, and let it stay only if it comes up well.
pub(super) async fn replace(targets: &[Target], desk: &Desk, runs: &[Run]) -> Result<Vec<Step>, Refusal> {
    let mut steps = Vec::new();
    for target in targets {
        steps.push(swap(target));
        steps.extend(gate::steps(target, desk, runs).await?);
    }
    Ok(steps)
}

/// The step that puts what [`make`] made in the place of a container.
fn swap(target: &Target) -> Step {
    let (container, shown) = (target.reference(), target.shown());
    let (policy, runs) = (target.container.restart_policy, target.container.state.is_up());
    let swap = Op::Swap { old: container.clone(), policy, runs };
    let title = format!("stop the old {shown} and start the new one");
    Step::new(format!("swap {shown}"), title, Risk::Disruptive, swap)
        .guarded(Guard::Same { container: container.clone() })
        .undone_by(Op::SwapBack { old: container, policy })
}
