//! What the container engine holds, as `snapshot` tells it.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{BuildCache, DiskTotals, DockerDisk, DockerNetwork, DockerVolume, Image, Reading};
use crate::store::State;

/// Images, volumes, networks and build cache, with sums.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DiskReport {
    /// When the engine measured volumes, containers and build cache; null where it has not yet.
    pub measured: Option<Timestamp>,
    /// Sums by kind; layers that images share are counted once.
    pub totals: DiskTotals,
    /// Images, the largest first.
    pub images: Vec<ImageReport>,
    /// Volumes, by name.
    pub volumes: Vec<DockerVolume>,
    /// Networks, by name.
    pub networks: Vec<DockerNetwork>,
    /// What builds left behind.
    pub build_cache: Reading<CacheReport>,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImageReport {
    /// As it was read.
    #[serde(flatten)]
    pub image: Image,
    /// It has no name any more.
    pub dangling: bool,
    /// Bytes that removing it alone would give back.
    pub own_bytes: u64,
    /// Bytes of its layers that other images have, too.
    pub shared_bytes: u64,
    /// Since when hostler knows it.
    pub first_seen: Option<Timestamp>,
    /// When hostler last saw a container of it, running or not; null if never.
    pub seen_in_use: Option<Timestamp>,
}

/// The build cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheReport {
    /// As it was read.
    #[serde(flatten)]
    pub cache: BuildCache,
    /// Bytes that would be given back.
    pub reclaimable_bytes: u64,
}

/// What `disk` says, joined to what is remembered of images.
pub(super) fn report(state: &State, disk: &DockerDisk) -> DiskReport {
    let image = |(image, own_bytes): (&Image, u64)| {
        let seen = state.images_seen.get(&image.id);
        ImageReport {
            dangling: image.is_dangling(),
            own_bytes,
            shared_bytes: image.size_bytes.saturating_sub(own_bytes),
            first_seen: seen.map(|seen| seen.first),
            seen_in_use: seen.and_then(|seen| seen.used),
            image: image.clone(),
        }
    };
    let mut images: Vec<ImageReport> = disk.with_own_bytes().map(image).collect();
    images.sort_by(|a, b| b.image.size_bytes.cmp(&a.image.size_bytes).then_with(|| a.image.id.cmp(&b.image.id)));
    let cache = |cache: BuildCache| CacheReport { cache, reclaimable_bytes: cache.reclaimable_bytes() };
    DiskReport {
        measured: disk.measured,
        totals: disk.totals(),
        images,
        volumes: disk.volumes.clone(),
        networks: disk.networks.clone(),
        build_cache: disk.build_cache.clone().map(cache),
    }
}
