//! What is known of the images in use, and what is to be asked when.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::question::Found;
use super::timetable;
use crate::domain::{
    Answer, Asked, Container, FaultKind, ImageRef, LocalImage, RegistryFault, SeenTag, UpdateMemory, UpdateSample,
};

/// The books of the task.
pub(super) struct Ledger {
    memory: Arc<UpdateMemory>,
    local: Arc<HashMap<String, LocalImage>>,
    /// References in use that a registry can be asked about, with the ids of the images that containers have by them.
    used: BTreeMap<String, (ImageRef, HashSet<String>)>,
    /// References that are being asked about.
    pending: HashSet<String>,
    /// Registries that want to be left alone until then.
    limits: HashMap<String, Timestamp>,
}

impl Ledger {
    /// Begins with what an earlier run remembers.
    pub(super) fn new(memory: Arc<UpdateMemory>) -> Self {
        Self { memory, local: Arc::default(), used: BTreeMap::new(), pending: HashSet::new(), limits: HashMap::new() }
    }

    /// Ids of images that containers have and that are not described yet.
    pub(super) fn strangers(&self, containers: &[Arc<Container>]) -> Vec<String> {
        let mut ids: Vec<String> = containers
            .iter()
            .map(|container| &container.image_id)
            .filter(|id| !id.is_empty() && !self.local.contains_key(*id))
            .cloned()
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }

    /// Takes in what the engine says of images.
    pub(super) fn describe(&mut self, images: HashMap<String, LocalImage>) {
        if !images.is_empty() {
            Arc::make_mut(&mut self.local).extend(images);
        }
    }

    /// Takes in which images are in use. Whether something has changed.
    pub(super) fn reconcile(&mut self, containers: &[Arc<Container>]) -> bool {
        let mut used: BTreeMap<String, (ImageRef, HashSet<String>)> = BTreeMap::new();
        for container in containers {
            // What is named by a digest has nothing newer; what was built here has no registry.
            let image = container.image.parse::<ImageRef>().ok().filter(|image| image.digest.is_none());
            let pulled = self.local.get(&container.image_id).is_some_and(|local| !local.digests.is_empty());
            if let (Some(image), true) = (image, pulled) {
                let entry = used.entry(image.to_string()).or_insert_with(|| (image, HashSet::new()));
                entry.1.insert(container.image_id.clone());
            }
        }
        let ids: HashSet<&String> = containers.iter().map(|container| &container.image_id).collect();
        if self.local.keys().any(|id| !ids.contains(id)) {
            Arc::make_mut(&mut self.local).retain(|id, _| ids.contains(id));
        }
        let changed = self.used.keys().ne(used.keys());
        self.used = used;
        changed
    }

    /// The next image that is to be asked about now, and what is known of it.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<(ImageRef, Option<Answer>, Vec<String>)> {
        let (reference, (image, ids)) = self.used.iter().find(|(reference, (image, _))| {
            !self.pending.contains(*reference) && self.due(reference, image).is_none_or(|due| due <= now)
        })?;
        let before = self.memory.images.get(reference).and_then(|asked| asked.answer.clone());
        let local = ids.iter().filter_map(|id| self.local.get(id)).flat_map(|local| local.digests.clone()).collect();
        self.pending.insert(reference.clone());
        Some((image.clone(), before, local))
    }

    /// When the next image is to be asked about; `None` while there is none.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let waiting = self.used.iter().filter(|(reference, _)| !self.pending.contains(*reference));
        waiting.map(|(reference, (image, _))| self.due(reference, image).unwrap_or(Timestamp::MIN)).min()
    }

    /// When an image is to be asked about; `None` for at once.
    fn due(&self, reference: &str, image: &ImageRef) -> Option<Timestamp> {
        let next = self.memory.images.get(reference).map(|asked| asked.next);
        next.max(self.limits.get(&image.registry).copied())
    }

    /// Takes in what a registry said about an image.
    pub(super) fn settle(&mut self, image: &ImageRef, found: Result<Found, RegistryFault>, now: Timestamp) {
        let reference = image.to_string();
        self.pending.remove(&reference);
        let before = self.memory.images.get(&reference).and_then(|asked| asked.answer.clone());
        let asked = match found {
            Ok(found) => {
                let answer = answer(found, before.as_ref(), now);
                Asked { at: now, next: timetable::after_answer(&reference, now), answer: Some(answer), fault: None }
            }
            Err(fault) => {
                if fault.kind == FaultKind::Limited {
                    self.limit(image, &fault, now);
                }
                tracing::info!(image = %reference, %fault, "A registry gave no answer.");
                Asked { at: now, next: timetable::after_fault(&fault, now), answer: before, fault: Some(fault) }
            }
        };
        let memory = Arc::make_mut(&mut self.memory);
        memory.forget_old(now);
        memory.images.insert(reference, asked);
    }

    /// Leaves a registry alone: the images of it that were never asked about have the same answer.
    fn limit(&mut self, image: &ImageRef, fault: &RegistryFault, now: Timestamp) {
        let until = timetable::after_fault(fault, now);
        self.limits.insert(image.registry.clone(), until);
        let others = self.used.iter().filter(|(_, (other, _))| other.registry == image.registry);
        let memory = Arc::make_mut(&mut self.memory);
        for (reference, _) in others.filter(|(reference, _)| !self.pending.contains(*reference)) {
            let asked = Asked { at: now, next: until, answer: None, fault: Some(fault.clone()) };
            memory.images.entry(reference.clone()).or_insert(asked);
        }
    }

    /// Lets everything that failed be tried again now, unless a registry asked to be left alone or was asked just before.
    pub(super) fn try_failed_again(&mut self, now: Timestamp) {
        let again = |asked: &Asked| timetable::is_tried_again(asked, now);
        if self.memory.images.values().any(again) {
            let memory = Arc::make_mut(&mut self.memory);
            memory.images.values_mut().filter(|asked| again(asked)).for_each(|asked| asked.next = now);
        }
    }

    /// Ids of the images that containers have by a reference, if the registry has another one: the engine may know better
    /// by now.
    pub(super) fn doubtful(&self, image: &ImageRef) -> Vec<String> {
        let reference = image.to_string();
        let digest = self.memory.images.get(&reference).and_then(|asked| Some(&asked.answer.as_ref()?.digest));
        let (Some(digest), Some((_, ids))) = (digest, self.used.get(&reference)) else { return Vec::new() };
        let other = |id: &&String| self.local.get(*id).is_some_and(|local| !local.has(digest));
        ids.iter().filter(other).cloned().collect()
    }

    /// All that is known.
    pub(super) fn sample(&self) -> UpdateSample {
        UpdateSample { memory: self.memory.clone(), local: self.local.clone(), off: false }
    }

    /// The same in a clause: how many images are in use, and how many of them were asked about.
    pub(super) fn told(&self) -> String {
        let asked = self.used.keys().filter_map(|reference| self.memory.images.get(reference));
        let failed: Vec<&RegistryFault> = asked.clone().filter_map(|asked| asked.fault.as_ref()).collect();
        let count = self.used.len();
        let images = if count == 1 { "image" } else { "images" };
        let told = format!("{count} {images} from registries, {} asked about", asked.count());
        match failed.first() {
            Some(first) => format!("{told}; {} without an answer: {first}", failed.len()),
            None => told,
        }
    }
}

/// What is kept of an answer: what was seen before keeps its date.
fn answer(found: Found, before: Option<&Answer>, now: Timestamp) -> Answer {
    let Found { digest, newer, tags_etag, published } = found;
    let same = before.filter(|before| before.digest == digest);
    let newer = newer.into_iter().map(|tag| {
        let known = before.and_then(|before| before.newer.iter().find(|seen| seen.tag == tag));
        let built = published.get(&tag).copied().or_else(|| known.and_then(|known| known.published));
        SeenTag { since: known.map_or(now, |known| known.since), published: built, tag }
    });
    Answer {
        at: now,
        since: same.map_or(now, |same| same.since),
        published: published.get(&digest).copied().or_else(|| same.and_then(|same| same.published)),
        newer: newer.collect(),
        tags_etag,
        digest,
    }
}

#[cfg(test)]
mod tests;
