//! What is newer than the images of containers: what registries say of them, seen through what people decided.
//!
//! An update looks here for what it need not do, for what speaks against it, and for the other versions that it could lead
//! to. What a tag means is asked again for each update; which newer tags there are is what the last round of questions
//! found.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::target::Target;
use super::{Desk, Refusal, Wish, cuda, lifecycle, notes};
use crate::domain::{
    ActionSpec, Answer, Asked, Choice, FaultKind, ImageRef, ImageRule, ImageUpdate, LocalImage, Plan, RegistryFault,
    UpdatePolicy, UpdateSample,
};
use crate::host::OpenRegistries;

/// How long a plan may wait for registries and for the makers of images together.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// Registries that are asked at the same time.
const AT_ONCE: usize = 8;

/// Takes out of `targets` what an update would change nothing of: what is pinned, and what has the newest image. The plan
/// tells what is left alone and why, what speaks against the rest, and the versions among which one may choose. What was
/// found out about the images is given, too.
///
/// # Errors
/// When all of them are pinned, the engine does not answer, or the driver does not give what an image asks for.
pub(super) async fn sift(
    spec: &ActionSpec,
    desk: &Desk,
    wish: &Wish,
    targets: Vec<Target>,
    plan: &mut Plan,
) -> Result<(Vec<Target>, Known), Refusal> {
    let deadline = Instant::now() + PATIENCE;
    let (count, mut pinned) = (targets.len(), Vec::new());
    let mut known = Known::of(desk, &targets).await?;
    let open = timeout_at(deadline, desk.ports.registries.open()).await.unwrap_or_else(|_| Err(late("this machine")));
    if wish.to.is_none() {
        known.ask(&open, &targets, deadline).await;
    }
    plan.choices = known.choices(&targets, wish.to.as_deref());
    let mut wanted = Vec::new();
    for target in targets {
        if wish.to.is_some() {
            wanted.push(target);
        } else if known.rule(&target).pinned {
            pinned.push(target.shown());
        } else if known.has_newest(&target) {
            let image = &target.container.image;
            plan.kept.push(format!("{image} is the newest for {}: its registry was asked just now", target.shown()));
        } else {
            plan.warnings.extend(known.doubt(&target));
            wanted.push(target);
        }
    }
    if pinned.len() == count {
        return Err(Refusal::new(format!(
            "{} is pinned: `container.pin` again unpins it, and --to TAG updates it all the same",
            pinned.join(", ")
        )));
    }
    plan.kept.extend(pinned.into_iter().map(|shown| format!("{shown} is pinned: it stays as it is")));
    if !wanted.is_empty() && wanted.len() < count {
        let Plan { title, locks, .. } = lifecycle::of(spec, wish, &wanted);
        (plan.title, plan.locks) = (title, locks);
    }
    if let Ok(open) = &open {
        cuda::check(desk, open, &known, (&wanted, wish.to.as_deref()), deadline, plan).await?;
    }
    if let (Ok(open), true) = (&open, desk.settings.notes) {
        plan.notes = notes::of(open, &known, &wanted, wish.to.as_deref(), deadline).await;
    }
    Ok((wanted, known))
}

/// What is known of the images of some containers.
pub(super) struct Known {
    sample: UpdateSample,
    policy: UpdatePolicy,
    now: Timestamp,
}

impl Known {
    /// What is remembered, and what the engine says of the images.
    ///
    /// # Errors
    /// When the engine or the state folder does not answer.
    pub(super) async fn of(desk: &Desk, targets: &[Target]) -> Result<Self, Refusal> {
        let dir = desk.state_dir.clone();
        let (rules, memory) = desk.blocking(move || (dir.image_rules(), dir.updates())).await?;
        let mut ids: Vec<String> = targets.iter().map(|target| target.container.image_id.clone()).collect();
        ids.sort();
        ids.dedup();
        let local = desk.docker().await?.image_digests(&ids).await?;
        let sample = UpdateSample { memory: Arc::new(memory), local: Arc::new(local), off: false };
        let policy = UpdatePolicy { wait_days: desk.settings.wait_days, rules };
        Ok(Self { sample, policy, now: desk.ports.clock.now().wall })
    }

    /// What people decided about a container.
    pub(super) fn rule(&self, target: &Target) -> ImageRule {
        let image = image(target);
        image.map(|image| self.policy.rules.of(&target.container.name, &image)).unwrap_or_default()
    }

    /// What was decided about a container of this name, or about an image, alone.
    pub(super) fn rule_of(&self, subject: &str) -> Option<&ImageRule> {
        self.policy.rules.rules.get(subject)
    }

    /// How a container's image stands.
    pub(super) fn standing(&self, target: &Target) -> Option<ImageUpdate> {
        ImageUpdate::of(&target.container, &self.sample, &self.policy, self.now)
    }

    /// The present time of what is known.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Every version that is newer than a container's and not passed over: tags, and the digest of its own tag.
    pub(super) fn newer(&self, target: &Target) -> Vec<String> {
        let Some(answer) = self.answer(target) else { return Vec::new() };
        let skipped = self.rule(target).skipped;
        let ours = self.local(target).is_some_and(|local| local.has(&answer.digest));
        let digest = (!ours).then(|| answer.digest.clone());
        let tags = answer.newer.iter().map(|seen| seen.tag.clone());
        tags.chain(digest).filter(|version| !skipped.contains(version)).collect()
    }

    /// A container's image as the engine has it.
    pub(super) fn local(&self, target: &Target) -> Option<&LocalImage> {
        self.sample.local.get(&target.container.image_id)
    }

    fn asked(&self, target: &Target) -> Option<&Asked> {
        self.sample.memory.images.get(&image(target)?.to_string())
    }

    /// The digest of what the registry has behind a container's tag, if it said so just now.
    pub(super) fn digest(&self, target: &Target) -> Option<&str> {
        self.answer(target).map(|answer| answer.digest.as_str())
    }

    /// The answer about a container's image, if the last question had one.
    fn answer(&self, target: &Target) -> Option<&Answer> {
        self.asked(target).filter(|asked| asked.fault.is_none())?.answer.as_ref()
    }

    /// Whether the registry has the very image that a container has. The image that the engine has by the same tag says
    /// nothing: it may have been pulled, and the container not made again.
    fn has_newest(&self, target: &Target) -> bool {
        let (local, answer) = (self.local(target), self.answer(target));
        local.zip(answer).is_some_and(|(local, answer)| local.has(&answer.digest))
    }

    /// What speaks against taking what the registry has behind a container's tag, in a sentence.
    fn doubt(&self, target: &Target) -> Option<String> {
        let image = &target.container.image;
        let answer = match self.standing(target)? {
            ImageUpdate::Unknown { why } => {
                return Some(format!("whether {image} has changed is unknown, because {why}: the pull will tell"));
            }
            ImageUpdate::Local => return Some(format!("{image} was built or loaded here: no registry may have it")),
            standing if standing.offered().is_some_and(|newer| newer.digest.is_some()) => return None,
            _ => self.answer(target)?,
        };
        Some(if self.rule(target).skipped.contains(&answer.digest) {
            format!("what is behind {image} now was passed over")
        } else {
            format!("what is behind {image} now has not been out for as long as a release must have been")
        })
    }

    /// The versions that an update of these could lead to, `to` being the chosen one: those that are offered, where all of
    /// them have one image.
    fn choices(&self, targets: &[Target], to: Option<&str>) -> Vec<Choice> {
        let Some((first, others)) = targets.split_first() else { return Vec::new() };
        if others.iter().any(|other| other.container.image != first.container.image) {
            return Vec::new();
        }
        let newer = match self.standing(first) {
            Some(ImageUpdate::Newer(newer) | ImageUpdate::Waiting { newer, .. }) => newer.tags,
            _ => Vec::new(),
        };
        let Some(tag) = image(first).and_then(|image| image.tag).filter(|_| !newer.is_empty()) else {
            return Vec::new();
        };
        let present = Choice { tag, about: "the same tag".to_owned(), chosen: to.is_none() };
        let newer = newer.into_iter().map(|newer| {
            let about = newer.about(self.now);
            Choice { chosen: to == Some(newer.tag.as_str()), tag: newer.tag, about }
        });
        std::iter::once(present).chain(newer).collect()
    }

    /// Asks the registries what the tags of the containers mean now. What gives no answer until `deadline` is unknown.
    async fn ask(&mut self, open: &Result<OpenRegistries, RegistryFault>, targets: &[Target], deadline: Instant) {
        // What was built here is at no registry, and its name is nobody's business.
        let pulled = |target: &&Target| self.local(target).is_some_and(|local| !local.digests.is_empty());
        let mut images: Vec<ImageRef> = targets.iter().filter(pulled).filter_map(image).collect();
        images.retain(|image| image.digest.is_none());
        images.sort();
        images.dedup();
        let answers: Vec<(ImageRef, Result<String, RegistryFault>)> = match open {
            Ok(open) => {
                let question = |image| ask_one(open, image, deadline);
                stream::iter(images).map(question).buffer_unordered(AT_ONCE).collect().await
            }
            Err(fault) => images.into_iter().map(|image| (image, Err(fault.clone()))).collect(),
        };
        let memory = Arc::make_mut(&mut self.sample.memory);
        for (image, digest) in answers {
            let reference = image.to_string();
            let before = memory.images.remove(&reference).and_then(|asked| asked.answer);
            memory.images.insert(reference, asked(before, digest, self.now));
        }
    }
}

/// The image of a container, where its reference can be read.
pub(super) fn image(target: &Target) -> Option<ImageRef> {
    target.container.image.parse().ok()
}

async fn ask_one(
    open: &OpenRegistries,
    image: ImageRef,
    deadline: Instant,
) -> (ImageRef, Result<String, RegistryFault>) {
    let question = async { open.visit(&image)?.digest(None).await };
    let digest = timeout_at(deadline, question).await.unwrap_or_else(|_| Err(late(&image.registry)));
    (image, digest)
}

fn late(who: &str) -> RegistryFault {
    RegistryFault { kind: FaultKind::Unreachable, what: format!("{who} did not answer in time"), until: None }
}

/// What is known once it was asked what a tag means; what an earlier answer said of other tags stands.
fn asked(before: Option<Answer>, digest: Result<String, RegistryFault>, now: Timestamp) -> Asked {
    let (answer, fault) = match (digest, before) {
        (Ok(digest), Some(before)) if before.digest == digest => (Some(Answer { at: now, ..before }), None),
        (Ok(digest), before) => {
            let (newer, tags_etag) = before.map(|before| (before.newer, before.tags_etag)).unwrap_or_default();
            (Some(Answer { at: now, digest, since: now, published: None, newer, tags_etag }), None)
        }
        (Err(fault), before) => (before, Some(fault)),
    };
    Asked { at: now, next: now, answer, fault }
}
