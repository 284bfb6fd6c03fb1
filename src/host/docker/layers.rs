//! Which layers images share, and what those take: an image's size says nothing of it.
//!
//! The engine tells an image's layers by digests without sizes, and the sizes in the image's history, where steps that made
//! no layer stand too. So images are put in the order of their layers. What two neighbours share is then the whole of one
//! of them, or what their histories have in common at the beginning. An id never means another image, so each is asked for
//! once.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;

use crate::domain::{Failure, Image};

/// Questions at the same time.
const AT_ONCE: usize = 8;

/// What is known of the layers of images, kept between two readings.
#[derive(Debug, Default)]
pub struct LayerBook {
    by_image: HashMap<Arc<str>, Layers>,
}

/// The layers of one image.
#[derive(Debug, Default)]
struct Layers {
    /// What tells each layer from others, the lowest first.
    digests: Box<[u64]>,
    /// The steps that left something, the first one first: what tells each from others, and the bytes that it left.
    history: Option<Box<[(u64, u64)]>>,
}

/// All answers, some questions at a time; the first failure ends it.
pub(super) async fn all<T, F: Future<Output = Result<T, Failure>>>(
    questions: impl Iterator<Item = F>,
) -> Result<Vec<T>, Failure> {
    stream::iter(questions).buffer_unordered(AT_ONCE).try_collect().await
}

fn hash(parts: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

impl LayerBook {
    /// Forgets images that are no more.
    pub(super) fn forget_all_but(&mut self, images: &[Image]) {
        let there: HashSet<&str> = images.iter().map(|image| &*image.id).collect();
        self.by_image.retain(|id, _| there.contains(&**id));
    }

    /// Images whose layers are not known.
    pub(super) fn unknown(&self, images: &[Image]) -> Vec<Arc<str>> {
        let unknown = images.iter().filter(|image| !self.by_image.contains_key(&image.id));
        unknown.map(|image| image.id.clone()).collect()
    }

    /// Takes in an image as the engine describes it; null is none.
    pub(super) fn learn_layers(&mut self, id: &Arc<str>, image: &Value) {
        if image.is_null() {
            return;
        }
        let digests = image.pointer("/RootFS/Layers").and_then(Value::as_array).into_iter().flatten();
        let digests = digests.filter_map(Value::as_str).map(|digest| hash(&digest)).collect();
        self.by_image.insert(id.clone(), Layers { digests, history: None });
    }

    /// Takes in an image's history, the newest step first.
    pub(super) fn learn_history(&mut self, id: &Arc<str>, history: &Value) {
        let steps = history.as_array().into_iter().flatten().rev().filter_map(|step| {
            let bytes = step.get("Size").and_then(Value::as_u64).filter(|bytes| *bytes > 0)?;
            let created = step.get("Created").and_then(Value::as_i64);
            let by = step.get("CreatedBy").and_then(Value::as_str);
            Some((hash(&(created, by, bytes)), bytes))
        });
        if let Some(layers) = self.by_image.get_mut(id) {
            layers.history = Some(steps.collect());
        }
    }

    /// The images whose layers are known, in the order of these.
    pub(super) fn sorted(&self, mut images: Vec<Image>) -> Vec<Image> {
        images.retain(|image| self.by_image.contains_key(&image.id));
        images.sort_by(|a, b| self.digests(a).cmp(self.digests(b)).then_with(|| a.id.cmp(&b.id)));
        images
    }

    /// Images of a sorted list whose histories must be known to tell what they share with a neighbour.
    pub(super) fn unknown_histories(&self, images: &[Image]) -> Vec<Arc<str>> {
        let mut unknown: Vec<Arc<str>> = images
            .windows(2)
            .filter(|pair| self.branch(&pair[0], &pair[1]))
            .flatten()
            .filter(|image| self.by_image.get(&image.id).is_some_and(|layers| layers.history.is_none()))
            .map(|image| image.id.clone())
            .collect();
        unknown.dedup();
        unknown
    }

    /// The images of a sorted list, each with what it shares with the one before.
    pub(super) fn with_shared(&self, mut images: Vec<Image>) -> Vec<Image> {
        let shared: Vec<u64> = images.windows(2).map(|pair| self.shared(&pair[0], &pair[1])).collect();
        for (image, shared) in images.iter_mut().skip(1).zip(shared) {
            image.shared_before_bytes = shared;
        }
        images
    }

    fn digests(&self, image: &Image) -> &[u64] {
        self.by_image.get(&image.id).map_or(&[], |layers| &layers.digests)
    }

    /// How many layers two images have in common.
    fn common(&self, a: &Image, b: &Image) -> usize {
        self.digests(a).iter().zip(self.digests(b)).take_while(|(a, b)| a == b).count()
    }

    /// Whether both have layers in common and others beside these.
    fn branch(&self, a: &Image, b: &Image) -> bool {
        let common = self.common(a, b);
        common > 0 && common < self.digests(a).len() && common < self.digests(b).len()
    }

    fn shared(&self, a: &Image, b: &Image) -> u64 {
        let least = a.size_bytes.min(b.size_bytes);
        match self.common(a, b) {
            0 => 0,
            _ if self.branch(a, b) => {
                let history = |image: &Image| self.by_image.get(&image.id)?.history.as_deref();
                let steps = history(a).unwrap_or_default().iter().zip(history(b).unwrap_or_default());
                let common = steps.take_while(|(a, b)| a == b).map(|(step, _)| step.1);
                common.sum::<u64>().min(least)
            }
            // One of them is the beginning of the other.
            _ => least,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::make;

    /// An image as an engine would describe it: name, layers, and the bytes of each step (0: no layer).
    type Described<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, u64)]);

    fn read(images: &[Described<'_>]) -> Vec<Image> {
        let mut book = LayerBook::default();
        let mut listed = Vec::new();
        for (name, _, steps) in images {
            listed.push(Image { size_bytes: steps.iter().map(|step| step.1).sum(), ..make::image(name) });
        }
        let find = |id: &str| images.iter().find(|(name, ..)| *make::image(name).id == *id).unwrap();
        for id in book.unknown(&listed) {
            book.learn_layers(&id, &json!({ "RootFS": { "Layers": find(&id).1 } }));
        }
        let listed = book.sorted(listed);
        for id in book.unknown_histories(&listed) {
            let steps = find(&id).2.iter().rev();
            let steps = steps.map(|(by, size)| json!({ "Created": 7, "CreatedBy": by, "Size": size }));
            book.learn_history(&id, &Value::Array(steps.collect()));
        }
        book.with_shared(listed)
    }

    fn shared_with_before(images: &[Image], name: &str) -> u64 {
        images.iter().find(|image| image.name() == name).unwrap().shared_before_bytes
    }

    #[test]
    fn a_base_that_is_there_is_shared_whole() {
        let images = read(&[
            ("child", &["base", "empty", "top"], &[("FROM", 100), ("WORKDIR", 0), ("COPY", 9)]),
            ("base", &["base", "empty"], &[("FROM", 100), ("WORKDIR", 0)]),
        ]);
        assert_eq!(images[0].name(), "base");
        assert_eq!(shared_with_before(&images, "child"), 100);
    }

    #[test]
    fn a_base_that_is_not_there_is_told_by_the_histories() {
        // The second layer takes nothing, and the label made none: only histories tell which bytes are whose.
        let base = [("FROM", 100), ("LABEL", 0), ("WORKDIR", 0), ("RUN apt", 40)];
        let a: Vec<(&str, u64)> = base.into_iter().chain([("COPY a", 9)]).collect();
        let b: Vec<(&str, u64)> = base.into_iter().chain([("COPY b", 9), ("RUN b", 3)]).collect();
        let images = read(&[
            ("a", &["1", "2", "3", "a"], &a),
            ("b", &["1", "2", "3", "b", "c"], &b),
            ("other", &["x"], &[("FROM", 5)]),
        ]);
        let shared: u64 = images.iter().map(|image| image.shared_before_bytes).sum();
        assert_eq!(shared, 140);
        let disk = crate::domain::DockerDisk { images, ..Default::default() };
        assert_eq!(disk.union_bytes(|_| true), 140 + 9 + 12 + 5);
    }

    #[test]
    fn the_same_layers_in_two_images_are_one() {
        let images =
            read(&[("a", &["1", "2"], &[("FROM", 10), ("A", 5)]), ("b", &["1", "2"], &[("FROM", 10), ("A", 5)])]);
        assert_eq!(images[1].shared_before_bytes, 15);
    }

    #[test]
    fn an_image_without_layers_shares_nothing() {
        let images = read(&[("a", &[], &[("CMD", 0)]), ("b", &[], &[("CMD", 0)])]);
        assert_eq!(images[1].shared_before_bytes, 0);
    }

    #[test]
    fn one_that_is_gone_is_left_out() {
        let mut book = LayerBook::default();
        let image = make::image("gone");
        book.learn_layers(&image.id, &Value::Null);
        assert_eq!(book.sorted(vec![image]), []);
    }
}
