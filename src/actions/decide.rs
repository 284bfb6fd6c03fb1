//! Pin and skip: what people decide about updates. The same action again takes a decision back.

use futures_util::future::LocalBoxFuture;

use super::newer::{self, Known};
use super::target::{Target, resolve};
use super::{Action, Desk, Refusal, Wish, compose, lifecycle};
use crate::domain::{ActionSpec, ImageUpdate, Item, Op, Plan, Risk, Step};

/// Offers no update of containers any more; where all of them are pinned, offers them again.
pub(super) struct Pin;

impl Action for Pin {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.pin")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let known = Known::of(desk, &targets).await?;
            let is_pinned = |subject: &String| known.rule_of(subject).is_some_and(|rule| rule.pinned);
            let pinned = !targets.iter().all(|target| subjects(target).iter().any(is_pinned));
            let title = if pinned { "pin" } else { "unpin" };
            let mut plan = lifecycle::of(&ActionSpec { title, ..*self.spec() }, wish, &targets);
            for target in &targets {
                let shown = target.shown();
                let held: Vec<String> = subjects(target).into_iter().filter(is_pinned).collect();
                let (subjects, does) = match (pinned, held.is_empty()) {
                    (true, true) => (vec![target.container.name.to_string()], "offer no update of"),
                    (true, false) => {
                        plan.kept.push(format!("{shown} is pinned already"));
                        continue;
                    }
                    (false, _) => (held, "offer updates again of"),
                };
                for subject in subjects {
                    let op = |pinned| Op::Pin { subject: subject.clone(), pinned };
                    let step = Step::new(subject.clone(), format!("{does} {shown}"), Risk::Safe, op(pinned));
                    plan.steps.push(step.undone_by(op(!pinned)));
                }
            }
            plan.undo = "the same action again".into();
            Ok(plan)
        })
    }
}

/// Passes over what is newer now, or one version; what is passed over already is offered again.
pub(super) struct Skip;

impl Action for Skip {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("container.skip")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let targets = resolve(desk.docker().await?, &wish.targets).await?;
            let known = Known::of(desk, &targets).await?;
            let mut plan = lifecycle::of(self.spec(), wish, &targets);
            for target in &targets {
                match choose(&known, target, wish.to.as_deref())? {
                    Choice::Skip(versions) => plan.steps.extend(steps(target, &versions, true, &known)),
                    Choice::Offer(versions) => plan.steps.extend(steps(target, &versions, false, &known)),
                    Choice::Nothing(why) => plan.kept.push(format!("{}: {why}", target.shown())),
                }
            }
            plan.undo = "the same action again".into();
            Ok(plan)
        })
    }
}

/// What is to be done about one container.
enum Choice {
    /// These versions are passed over.
    Skip(Vec<String>),
    /// These are offered again.
    Offer(Vec<String>),
    /// Neither, because.
    Nothing(String),
}

fn choose(known: &Known, target: &Target, version: Option<&str>) -> Result<Choice, Refusal> {
    let skipped = known.rule(target).skipped;
    if let Some(version) = version {
        // Only what could be a tag.
        compose::with_tag(&target.container.image, version).map_err(Refusal::new)?;
        let version = version.to_owned();
        let again = skipped.contains(&version);
        return Ok(if again { Choice::Offer(vec![version]) } else { Choice::Skip(vec![version]) });
    }
    let standing = known.standing(target);
    Ok(match standing {
        Some(ImageUpdate::Newer(_) | ImageUpdate::Waiting { .. }) => Choice::Skip(known.newer(target)),
        Some(ImageUpdate::Skipped { .. }) => Choice::Offer(skipped),
        Some(ImageUpdate::Unknown { why }) => {
            return Err(Refusal::new(format!(
                "what is newer than {} is unknown, because {why}; name the version with --to",
                target.shown()
            )));
        }
        Some(other) => Choice::Nothing(other.sentence(known.now())),
        None => Choice::Nothing("nobody has looked what is newer".to_owned()),
    })
}

/// The steps that pass versions over, or offer them again wherever that was decided.
fn steps(target: &Target, versions: &[String], skipped: bool, known: &Known) -> Vec<Step> {
    let shown = target.shown();
    let of = |subject: String| {
        let decided =
            |version: &&String| skipped || known.rule_of(&subject).is_some_and(|rule| rule.skipped.contains(*version));
        let versions: Vec<String> = versions.iter().filter(decided).cloned().collect();
        let op = |skipped| Op::Skip { subject: subject.clone(), versions: versions.clone(), skipped };
        let does = if skipped { "pass over" } else { "offer again" };
        let title = match versions.as_slice() {
            [only] => format!("{does} {only} of {shown}"),
            several => format!("{does} {} versions of {shown}", several.len()),
        };
        let mut step = Step::new(subject.clone(), title, Risk::Safe, op(skipped)).undone_by(op(!skipped));
        step.items = versions.iter().map(|name| Item { name: name.clone(), ..Item::default() }).collect();
        step
    };
    let subjects = if skipped { vec![target.container.name.to_string()] } else { subjects(target) };
    subjects.into_iter().map(of).filter(|step| !step.items.is_empty()).collect()
}

/// What a decision about a container may stand under: its name, or its image's repository.
fn subjects(target: &Target) -> Vec<String> {
    let image = newer::image(target).map(|image| image.name());
    std::iter::once(target.container.name.to_string()).chain(image).collect()
}
