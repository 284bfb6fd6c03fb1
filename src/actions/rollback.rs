//! Roll back: a version that was kept takes the present one's place again.

use futures_util::future::LocalBoxFuture;

use super::kept::KeptVersion;
use super::target::{Target, resolve};
use super::update::{make, may_be_replaced, replace};
use super::{Action, Desk, Refusal, Wish, compose, kept, lifecycle, ops, preflight};
use crate::domain::{ActionSpec, Item, Op, Plan, Risk, Step, kept_name, kept_repository};

/// Rolls containers back to the version before, or to any that is kept.
pub(super) struct Rollback;

impl Action for Rollback {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.rollback")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let runs = preflight::runs(desk).await?;
            preflight::unfinished(&runs, &wish.targets)?;
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let mut plan = lifecycle::of(self.spec(), wish, &targets);
            let mut returned = Vec::new();
            for target in &targets {
                may_be_replaced(target)?;
                let KeptVersion { run: kept, image } = version(target, wish.to.as_deref(), desk).await?;
                returned.push(kept.clone());
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
                plan.steps.push(make(target, &reference, service, None));
                plan.kept.push(format!("the present {shown} and its image: roll back again to return to it"));
            }
            plan.steps.extend(replace(&targets, desk, &runs).await?);
            let listed = desk.docker().await?.list().await?;
            for (target, run) in targets.iter().zip(&returned) {
                plan.steps.extend(kept::trim(target, &listed, desk, Some(run)).await?);
            }
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

/// The image to return to: the one that `to` names by its run or its tag, else the newest that the container does not have.
async fn version(target: &Target, to: Option<&str>, desk: &Desk) -> Result<KeptVersion, Refusal> {
    let mut kept = kept::versions(target, desk).await?;
    kept.retain(|version| version.image != target.container.image_id);
    let Some(to) = to else {
        return kept.pop().ok_or_else(|| {
            let (repository, name) =
                (kept_repository(&target.container.name), kept_name(&target.container.name, "RUN"));
            Refusal::new(format!(
                "no earlier version of {} is kept: an update by hostler keeps one ({repository}:RUN, {name})",
                target.shown()
            ))
        });
    };
    let mut known = Vec::new();
    for version in kept.into_iter().rev() {
        let reference = reference_of(target, &version.run, desk).await?;
        if version.run == to || reference.as_deref().is_some_and(|reference| ops::split(reference).1 == to) {
            return Ok(version);
        }
        known.push(format!("{} ({})", version.run, reference.as_deref().unwrap_or("its container is gone")));
    }
    Err(Refusal::new(format!("no version `{to}` of {} is kept; kept are: {}", target.shown(), known.join(", "))))
}
