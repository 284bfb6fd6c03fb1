//! What the container engine holds on disk: images with the layers that they share, volumes, networks, build cache, and
//! what containers wrote.
//!
//! Sums are worked out here and nowhere else. A layer that several images share is counted once, so what an image, or a
//! choice of images, would give back is asked of the whole ([`DockerDisk::freed_by`]), never added up.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::{ContainerId, Reading, kept_of};

/// The label that keeps an image, a container, a volume or a network from being cleaned up.
pub const KEEP_LABEL: &str = "hostler.keep";

/// Everything that the engine holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DockerDisk {
    /// Its images, in an order in which those that begin with the same layers stand together, such as that of their lists of
    /// layers: then what two of them share is the least of what neighbours between them share.
    pub images: Vec<Image>,
    /// All layers, each once, as the engine measured them, bytes.
    pub layers_bytes: Reading<u64>,
    /// What each container wrote into its own layer.
    pub containers: Vec<ContainerSpace>,
    /// Its volumes, by name.
    pub volumes: Vec<DockerVolume>,
    /// Its networks, by name.
    pub networks: Vec<DockerNetwork>,
    /// What builds left behind.
    pub build_cache: Reading<BuildCache>,
    /// When the engine last measured what only it can measure: volumes, containers, build cache, all layers.
    pub measured: Option<Timestamp>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Image {
    /// Its id, `sha256:…`.
    pub id: Arc<str>,
    /// The references under which it can be asked for, those for roll back apart.
    pub references: Vec<String>,
    /// The repository that it came from, where it has no reference of its own any more.
    pub repository: Option<String>,
    /// For which containers it is kept for roll back.
    pub kept: Vec<KeptImage>,
    /// All its layers, bytes.
    pub size_bytes: u64,
    /// Bytes of the layers that it has in common with the image before it, in their order.
    #[serde(skip)]
    pub shared_before_bytes: u64,
    /// When it was built, which may be long before it was pulled.
    pub created: Option<Timestamp>,
    /// The names of the containers that were made from it, running or not.
    #[serde(rename = "used_by")]
    pub users: Vec<Arc<str>>,
    /// Somebody keeps it: it carries [`KEEP_LABEL`], or the config names it ([`Protected`](super::Protected)).
    pub keep: bool,
}

/// A name under which an image is kept for roll back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct KeptImage {
    /// The container's name, as it stands in a repository's name (see [`kept_repository`](super::kept_repository)).
    pub container: String,
    /// The run that kept it.
    pub run: String,
}

impl Image {
    /// It has no name: a pull or a build gave its name to another one.
    pub fn is_dangling(&self) -> bool {
        self.references.is_empty() && self.kept.is_empty()
    }

    /// A container that is no old one was made from it.
    pub fn is_in_use(&self) -> bool {
        self.users.iter().any(|name| kept_of(name).is_none())
    }

    /// It is kept for roll back: under a name of its own, or with an old container.
    pub fn is_for_rollback(&self) -> bool {
        !self.kept.is_empty() || self.users.iter().any(|name| kept_of(name).is_some())
    }

    /// It must not be cleaned up: it is kept for roll back, or somebody said so.
    pub fn is_protected(&self) -> bool {
        self.keep || self.is_for_rollback()
    }

    /// Nothing uses it, and it may be cleaned up.
    pub fn is_reclaimable(&self) -> bool {
        self.users.is_empty() && !self.is_protected()
    }

    /// How it is called on screen: its first reference, else where it came from, else its short id.
    pub fn name(&self) -> &str {
        let name = self.references.first().or(self.repository.as_ref());
        name.map_or_else(|| self.short(), String::as_str)
    }

    /// What the engine knows it by: its first reference, else its short id. Where it came from names another image by now.
    pub fn reference(&self) -> &str {
        self.references.first().map_or_else(|| self.short(), String::as_str)
    }

    /// The first twelve digits of its id, as the docker command prints them.
    pub fn short(&self) -> &str {
        short_image_id(&self.id)
    }
}

/// The first twelve digits of an image's id (`sha256:…`), as the docker command prints them.
pub fn short_image_id(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    digits.get(..12).unwrap_or(digits)
}

/// Whether the engine made this name of a volume up, because nobody gave one: 64 hexadecimal digits are never a person's.
pub fn is_made_up(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name as it is shown and typed: of one that is made up, twelve digits.
pub fn short_name(name: &str) -> &str {
    name.get(..12).filter(|_| is_made_up(name)).unwrap_or(name)
}

/// What a container wrote into its own layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ContainerSpace {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: Arc<str>,
    /// Its compose project.
    pub project: Option<Arc<str>>,
    /// A process of it exists.
    pub up: bool,
    /// Bytes.
    pub written_bytes: Reading<u64>,
    /// Somebody keeps it, by label or in the config, or it is kept for roll back.
    pub keep: bool,
}

impl ContainerSpace {
    /// It may be cleaned up: it is down, belongs to no compose project (a stack stopped for the weekend is no rubbish), and
    /// nobody keeps it.
    pub fn is_reclaimable(&self) -> bool {
        !self.up && self.project.is_none() && !self.keep
    }
}

/// A volume of the engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DockerVolume {
    /// Its name; 64 digits where nobody gave it one.
    pub name: Arc<str>,
    /// Nobody gave it a name: it was made for a container that asked for one.
    pub anonymous: bool,
    /// The driver, such as `local`.
    pub driver: String,
    /// Bytes.
    pub size_bytes: Reading<u64>,
    /// The names of the containers that mount it, running or not.
    #[serde(rename = "used_by")]
    pub users: Vec<Arc<str>>,
    /// The compose project that made it.
    pub project: Option<Arc<str>>,
    /// Somebody keeps it: it carries [`KEEP_LABEL`], or the config names it ([`Protected`](super::Protected)).
    pub keep: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl DockerVolume {
    /// It may be cleaned up without being named one by one: nobody gave it a name, nothing uses it, and nobody keeps it.
    pub fn is_reclaimable(&self) -> bool {
        self.anonymous && self.users.is_empty() && !self.keep
    }
}

/// A network of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DockerNetwork {
    /// Its id.
    pub id: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// The driver, such as `bridge`.
    pub driver: String,
    /// The names of the containers that are, or will be, connected to it, running or not.
    #[serde(rename = "used_by")]
    pub users: Vec<Arc<str>>,
    /// The engine made it for itself, and it cannot be removed.
    pub builtin: bool,
    /// The compose project that made it.
    pub project: Option<Arc<str>>,
    /// Somebody keeps it: it carries [`KEEP_LABEL`], or the config names it ([`Protected`](super::Protected)).
    pub keep: bool,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl DockerNetwork {
    /// It may be cleaned up: nothing uses it, and it is nobody's.
    pub fn is_reclaimable(&self) -> bool {
        self.users.is_empty() && !self.builtin && !self.keep
    }
}

/// What builds left behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct BuildCache {
    /// Records.
    pub records: u64,
    /// Bytes that are its own: what it shares with images is counted there.
    pub size_bytes: u64,
    /// Of these, what a build uses now.
    pub in_use_bytes: u64,
    /// Bytes beside these that it shares with images.
    pub shared_bytes: u64,
}

impl BuildCache {
    /// Bytes that would be given back.
    pub fn reclaimable_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.in_use_bytes)
    }
}

/// How much of one kind is held, and how much of it nothing needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Held {
    /// Things.
    pub count: u64,
    /// Bytes of all that could be measured.
    pub size_bytes: Reading<u64>,
    /// Things that could not be measured, and are not in the sum.
    pub unmeasured: u64,
    /// Bytes that cleaning up would give back, of things that nothing uses and nobody keeps.
    pub reclaimable_bytes: Reading<u64>,
}

/// How much is held of each kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DiskTotals {
    /// Images, each layer once.
    pub images: Held,
    /// What containers wrote.
    pub containers: Held,
    /// Volumes; reclaimable are those without a name.
    pub volumes: Held,
    /// Build cache.
    pub build_cache: Held,
}

impl DockerDisk {
    /// The image with this id.
    pub fn image(&self, id: &str) -> Option<&Image> {
        self.images.iter().find(|image| *image.id == *id)
    }

    /// The volume of this name.
    pub fn volume(&self, name: &str) -> Option<&DockerVolume> {
        self.volumes.iter().find(|volume| *volume.name == *name)
    }

    /// The network with this id.
    pub fn network(&self, id: &str) -> Option<&DockerNetwork> {
        self.networks.iter().find(|network| *network.id == *id)
    }

    /// Bytes of the layers of the chosen images, each layer once.
    pub fn union_bytes(&self, chosen: impl Fn(&Image) -> bool) -> u64 {
        let mut sum = 0;
        // What the next chosen image shares with the last chosen one.
        let mut shared = 0;
        for image in &self.images {
            shared = image.shared_before_bytes.min(shared);
            if chosen(image) {
                sum += image.size_bytes.saturating_sub(shared);
                shared = u64::MAX;
            }
        }
        sum
    }

    /// Bytes that would be given back if the chosen images went.
    pub fn freed_by(&self, chosen: impl Fn(&Image) -> bool) -> u64 {
        self.union_bytes(|_| true).saturating_sub(self.union_bytes(|image| !chosen(image)))
    }

    /// Every image with the bytes that removing it alone would give back.
    pub fn with_own_bytes(&self) -> impl Iterator<Item = (&Image, u64)> {
        let shared = |index: usize| match (index, self.images.get(index)) {
            (0, _) | (_, None) => 0,
            (_, Some(image)) => image.shared_before_bytes,
        };
        let own =
            move |index: usize, image: &Image| image.size_bytes.saturating_sub(shared(index).max(shared(index + 1)));
        self.images.iter().enumerate().map(move |(index, image)| (image, own(index, image)))
    }

    /// Whether what is known of layers adds up to what the engine measured: then what is freed can be told to the byte.
    pub fn is_exact(&self) -> bool {
        self.layers_bytes.get() == Some(self.union_bytes(|_| true))
    }

    /// How much is held, and how much of it nothing needs.
    pub fn totals(&self) -> DiskTotals {
        let all_layers = self.union_bytes(|_| true);
        let images = Held {
            count: self.images.len() as u64,
            // Where the engine has not measured them yet, all layers of all images.
            size_bytes: Reading::Known(self.layers_bytes.get().unwrap_or(all_layers)),
            unmeasured: 0,
            reclaimable_bytes: Reading::Known(self.freed_by(Image::is_reclaimable)),
        };
        let build_cache = Held {
            count: self.build_cache.known().map_or(0, |cache| cache.records),
            size_bytes: self.build_cache.clone().map(|cache| cache.size_bytes),
            unmeasured: 0,
            reclaimable_bytes: self.build_cache.clone().map(|cache| cache.reclaimable_bytes()),
        };
        let containers = self.containers.iter().map(|it| (&it.written_bytes, it.is_reclaimable()));
        let volumes = self.volumes.iter().map(|it| (&it.size_bytes, it.is_reclaimable()));
        DiskTotals { images, containers: held(containers), volumes: held(volumes), build_cache }
    }
}

/// Sums up things that share nothing: the bytes of each, and whether they can be had back.
fn held<'a>(things: impl Iterator<Item = (&'a Reading<u64>, bool)>) -> Held {
    let mut held = Held { size_bytes: Reading::Known(0), reclaimable_bytes: Reading::Known(0), ..Held::default() };
    let (mut sum, mut reclaimable, mut why) = (0, 0, None);
    for (bytes, is_reclaimable) in things {
        held.count += 1;
        match bytes {
            Reading::Known(bytes) => {
                sum += bytes;
                reclaimable += if is_reclaimable { *bytes } else { 0 };
            }
            Reading::Unavailable(reason) => {
                held.unmeasured += 1;
                why.get_or_insert(reason);
            }
        }
    }
    let sum_of = |bytes: u64| match why {
        Some(why) if held.unmeasured == held.count => Reading::Unavailable(why.clone()),
        _ => Reading::Known(bytes),
    };
    (held.size_bytes, held.reclaimable_bytes) = (sum_of(sum), sum_of(reclaimable));
    held
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::make::{docker_volume, image};

    /// Images made of layers, each a name and a size, in the order of their layers.
    fn disk(images: &[(&str, &[(u8, u64)])]) -> DockerDisk {
        let mut sorted = images.to_vec();
        sorted.sort_by(|a, b| a.1.cmp(b.1));
        let mut before: &[(u8, u64)] = &[];
        let images = sorted.into_iter().map(|(name, layers)| {
            let common = layers.iter().zip(before).take_while(|(a, b)| a == b);
            let shared_before_bytes = common.map(|(layer, _)| layer.1).sum();
            before = layers;
            Image { size_bytes: layers.iter().map(|layer| layer.1).sum(), shared_before_bytes, ..image(name) }
        });
        DockerDisk { images: images.collect(), ..DockerDisk::default() }
    }

    const BASE: (u8, u64) = (1, 100);

    #[test]
    fn a_shared_layer_is_counted_once_and_freed_with_its_last_image() {
        let disk = disk(&[
            ("base:1", &[BASE]),
            ("a:1", &[BASE, (2, 10)]),
            ("a:2", &[BASE, (2, 10), (3, 1)]),
            ("b:1", &[BASE, (4, 7)]),
            ("other:1", &[(9, 50)]),
        ]);
        assert_eq!(disk.union_bytes(|_| true), 168);
        let own: Vec<(&str, u64)> = disk.with_own_bytes().map(|(image, own)| (image.name(), own)).collect();
        assert_eq!(own, [("base:1", 0), ("a:1", 0), ("a:2", 1), ("b:1", 7), ("other:1", 50)]);
        let freed = |names: &[&str]| disk.freed_by(|image| names.contains(&image.name()));
        assert_eq!(freed(&["a:1", "a:2"]), 11);
        assert_eq!(freed(&["a:1", "a:2", "b:1"]), 18);
        assert_eq!(freed(&["base:1", "a:1", "a:2", "b:1"]), 118);
        assert_eq!(freed(&[]), 0);
    }

    proptest! {
        #[test]
        fn layers_and_neighbours_say_the_same(
            images in prop::collection::vec((prop::collection::vec(0_u8..3, 1..5), any::<bool>()), 0..12)
        ) {
            // A layer's size follows from all layers below it, as a layer's identity does.
            let layered: Vec<(Vec<(u8, u64)>, bool)> = images.iter().map(|(names, chosen)| {
                let sized = names.iter().scan(7_u64, |seed, name| {
                    *seed = seed.wrapping_mul(31).wrapping_add(u64::from(*name)) % 997;
                    Some((*name, *seed))
                });
                (sized.collect(), *chosen)
            }).collect();
            let names: Vec<String> = (0..layered.len()).map(|number| number.to_string()).collect();
            let of: Vec<(&str, &[(u8, u64)])> =
                names.iter().zip(&layered).map(|(name, (layers, _))| (name.as_str(), layers.as_slice())).collect();
            let disk = disk(&of);
            let union = |wanted: &dyn Fn(bool) -> bool| {
                let chains = layered.iter().filter(|(_, chosen)| wanted(*chosen)).flat_map(|(layers, _)| {
                    (1..=layers.len()).map(move |end| (layers[..end].to_vec(), layers[end - 1].1))
                });
                chains.collect::<std::collections::BTreeMap<_, _>>().values().sum::<u64>()
            };
            let chosen = |image: &Image| layered[image.references[0].parse::<usize>().unwrap()].1;
            prop_assert_eq!(disk.union_bytes(|_| true), union(&|_| true));
            prop_assert_eq!(disk.union_bytes(chosen), union(&|chosen| chosen));
            prop_assert_eq!(disk.freed_by(chosen), union(&|_| true) - union(&|chosen| !chosen));
        }
    }

    #[test]
    fn what_is_used_or_kept_cannot_be_reclaimed() {
        let mut kept = image("n8n:1");
        kept.kept = vec![KeptImage { container: "n8n".to_owned(), run: "1".to_owned() }];
        let images = [
            Image { users: vec!["web".into()], ..image("used:1") },
            Image { keep: true, ..image("labelled:1") },
            kept,
            Image { size_bytes: 5, ..image("rubbish:1") },
        ];
        let disk = DockerDisk { images: images.to_vec(), ..DockerDisk::default() };
        let totals = disk.totals();
        assert_eq!(totals.images.reclaimable_bytes, Reading::Known(5));
        assert_eq!(totals.images.count, 4);
    }

    #[test]
    fn what_was_not_measured_is_no_zero() {
        let why = || Reading::Unavailable("not measured".into());
        let mut disk = DockerDisk { volumes: vec![docker_volume("a"), docker_volume("b")], ..DockerDisk::default() };
        disk.volumes[0].size_bytes = why();
        let volumes = disk.totals().volumes;
        assert_eq!((volumes.count, volumes.unmeasured), (2, 1));
        assert_eq!(volumes.size_bytes, disk.volumes[1].size_bytes);
        disk.volumes[1].size_bytes = why();
        assert_eq!(disk.totals().volumes.size_bytes, why());
        assert_eq!(disk.totals().containers.size_bytes, Reading::Known(0), "there are none");
        assert!(disk.totals().build_cache.size_bytes.known().is_none());
    }
}
