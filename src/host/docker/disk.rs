//! What the engine holds on disk: what its lists tell at once, and what it measures when asked, which may take minutes.
//!
//! Asked through plain JSON: between API 1.51 and 1.53 the answer of `/system/df` changed its shape, and a client with
//! types of one of them reads nothing in the other.

mod lists;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join4;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::layers::LayerBook;
use super::{DockerClient, EngineError, convert, fault};
use crate::domain::{BuildCache, ContainerId, DockerDisk, Failure, Image, Reading, Why};
use crate::host::foreign;
use lists::{Listed, images_of, list, networks_of, space_of, volumes_of};

/// Why a size is not there yet.
const NOT_MEASURED: &str = "the engine has not measured it yet";
/// Why a size is not there at all.
const NOT_TOLD: &str = "the engine does not tell it";

/// What the engine is to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    All,
    /// Volumes alone. Engines before 23 measure everything all the same.
    Volumes,
    /// All but volumes, which are as a rule what takes long. Engines before 23 measure them all the same.
    AllButVolumes,
}

/// What the engine measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// When it answered.
    pub at: Timestamp,
    /// All layers of all images, each once, bytes.
    pub layers_bytes: Reading<u64>,
    /// What builds left behind.
    pub build_cache: Reading<BuildCache>,
    containers: HashMap<ContainerId, u64>,
    volumes: HashMap<Arc<str>, u64>,
}

impl DockerClient {
    /// How long a list may take: an engine that removes something large meanwhile is slow.
    const LIST_PATIENCE: Duration = Duration::from_secs(30);
    /// The time until an engine that measures for somebody else is asked again.
    const ASK_AGAIN: Duration = Duration::from_millis(100);
    /// How long it may take to measure: the engine walks through every volume.
    pub const MEASURE_PATIENCE: Duration = Duration::from_mins(10);

    /// Images, volumes, networks and who uses them, as its lists tell: without the sizes that must be measured first. Images
    /// that `book` does not know yet are asked for their layers, once.
    ///
    /// # Errors
    /// When the engine cannot be asked, or does not answer in time.
    pub async fn stock(&self, book: &mut LayerBook) -> Result<DockerDisk, Failure> {
        let (images, volumes, networks, containers) = try_join4(
            self.told("/images/json"),
            self.told("/volumes"),
            self.told("/networks"),
            self.told("/containers/json?all=true"),
        )
        .await?;
        let containers: Vec<Listed> = list(containers);
        let images = images_of(list(images), &containers);
        let images = self.in_order(images, book).await?;
        let unmeasured = || Reading::Unavailable(Why::from(NOT_MEASURED));
        Ok(DockerDisk {
            layers_bytes: unmeasured(),
            volumes: volumes_of(list(volumes.get("Volumes").cloned().unwrap_or_default()), &containers),
            networks: networks_of(list(networks), &containers),
            containers: containers.iter().filter_map(space_of).collect(),
            build_cache: Reading::Unavailable(NOT_MEASURED.into()),
            images,
            measured: None,
        })
    }

    /// What only the engine can measure: volumes, what containers wrote, build cache, all layers together. It may take
    /// minutes, and reads much of the disk.
    ///
    /// # Errors
    /// When the engine cannot be asked, or does not answer within [`Self::MEASURE_PATIENCE`].
    pub async fn measure(&self, extent: Extent, now: impl FnOnce() -> Timestamp) -> Result<Measured, Failure> {
        // From 1.52 on items are told only where `verbose` asks for them; engines before do not know the word.
        let usage = self.usage(match extent {
            Extent::All => "verbose=1",
            Extent::Volumes => "verbose=1&type=volume",
            Extent::AllButVolumes => "verbose=1&type=container&type=image&type=build-cache",
        });
        Ok(measured(&usage.await.map_err(failure)?, now()))
    }

    /// What the engine says is used. Engines before 23 measure for one at a time and refuse everybody else: they are asked
    /// again.
    async fn usage(&self, query: &str) -> Result<Value, EngineError> {
        let path = format!("/system/df?{query}");
        let asking = async {
            loop {
                match self.raw.get(&path, Self::MEASURE_PATIENCE).await {
                    Err(EngineError::Refused { message, .. }) if message.contains("already running") => {
                        sleep(Self::ASK_AGAIN).await;
                    }
                    answer => return answer,
                }
            }
        };
        let silent = |_| Err(EngineError::Failed(fault::silent(&self.place.shown())));
        timeout(Self::MEASURE_PATIENCE, asking).await.unwrap_or_else(silent)
    }

    async fn told(&self, path: &str) -> Result<Value, Failure> {
        self.raw.get(path, Self::LIST_PATIENCE).await.map_err(failure)
    }

    /// The images in the order of their layers, with what neighbours share. One that went meanwhile is left out.
    async fn in_order(&self, images: Vec<Image>, book: &mut LayerBook) -> Result<Vec<Image>, Failure> {
        book.forget_all_but(&images);
        let unknown = book.unknown(&images);
        let asked = unknown.into_iter().map(|id| self.image_part(id, "json"));
        for (id, answer) in super::layers::all(asked).await? {
            book.learn_layers(&id, &answer);
        }
        let images = book.sorted(images);
        let unknown = book.unknown_histories(&images);
        let asked = unknown.into_iter().map(|id| self.image_part(id, "history"));
        for (id, answer) in super::layers::all(asked).await? {
            book.learn_history(&id, &answer);
        }
        Ok(book.with_shared(images))
    }

    /// What the engine says of one image; null if there is no such image any more.
    async fn image_part(&self, id: Arc<str>, part: &str) -> Result<(Arc<str>, Value), Failure> {
        match self.raw.get(&format!("/images/{}/{part}", super::encoded(&id)), Self::LIST_PATIENCE).await {
            Ok(answer) => Ok((id, answer)),
            Err(EngineError::Gone(_)) => Ok((id, Value::Null)),
            Err(error) => Err(failure(error)),
        }
    }
}

impl Measured {
    /// Puts what was measured into what was listed. What came since has not been measured yet.
    pub fn put_into(&self, disk: &mut DockerDisk) {
        disk.measured = Some(self.at);
        disk.layers_bytes = self.layers_bytes.clone();
        disk.build_cache = self.build_cache.clone();
        let of =
            |bytes: Option<&u64>| bytes.map_or(Reading::Unavailable(NOT_MEASURED.into()), |it| Reading::Known(*it));
        for container in &mut disk.containers {
            container.written_bytes = of(self.containers.get(&container.id));
        }
        for volume in &mut disk.volumes {
            volume.size_bytes = of(self.volumes.get(&volume.name));
            if volume.size_bytes.known().is_none() && volume.created.is_some_and(|created| created < self.at) {
                volume.size_bytes = Reading::Unavailable(Why::new(format!("{NOT_TOLD} for driver {}", volume.driver)));
            }
        }
    }

    /// What a volume holds, bytes; `None` where the engine did not tell.
    pub fn volume_bytes(&self, name: &str) -> Option<u64> {
        self.volumes.get(name).copied()
    }

    /// Forgets what the layers take together: the images are not those any more that were measured.
    pub fn forget_layers(&mut self) {
        self.layers_bytes = Reading::Unavailable(NOT_MEASURED.into());
    }
}

fn failure(error: EngineError) -> Failure {
    match error {
        EngineError::Failed(failure) => failure,
        other => Failure::failed(other.to_string()),
    }
}

/// What `/system/df` tells, in either shape.
fn measured(usage: &Value, at: Timestamp) -> Measured {
    let bytes = |value: Option<&Value>| value.and_then(Value::as_i64).and_then(|bytes| u64::try_from(bytes).ok());
    let items = |new: &str, old: &str| {
        let items = usage.pointer(&format!("/{new}/Items")).or_else(|| usage.get(old));
        items.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    };
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let containers = items("ContainerUsage", "Containers").iter().filter_map(|item| {
        // Nothing written is left out.
        Some((convert::id(&text(item, "Id")?)?, bytes(item.get("SizeRw")).unwrap_or(0)))
    });
    let volumes = items("VolumeUsage", "Volumes").iter().filter_map(|item| {
        let size = bytes(item.pointer("/UsageData/Size"))?;
        Some((foreign::name(&text(item, "Name")?).into(), size))
    });
    let images = usage.pointer("/ImageUsage");
    let told = images.is_some() || usage.get("LayersSize").is_some() || usage.get("Images").is_some();
    let total = bytes(images.map_or_else(|| usage.get("LayersSize"), |images| images.get("TotalSize")));
    Measured {
        at,
        // Zero is left out.
        layers_bytes: if told { Reading::Known(total.unwrap_or(0)) } else { Reading::Unavailable(NOT_TOLD.into()) },
        containers: containers.collect(),
        volumes: volumes.collect(),
        build_cache: build_cache(usage, items("BuildCacheUsage", "BuildCache")),
    }
}

fn build_cache(usage: &Value, records: &[Value]) -> Reading<BuildCache> {
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).unwrap_or_default();
    let is = |record: &Value, flag: &str| record.get(flag).and_then(Value::as_bool).unwrap_or_default();
    if records.is_empty()
        && let Some(sums) = usage.get("BuildCacheUsage")
    {
        let size_bytes = number(sums.get("TotalSize"));
        return Reading::Known(BuildCache {
            records: number(sums.get("TotalCount")),
            size_bytes,
            in_use_bytes: size_bytes.saturating_sub(number(sums.get("Reclaimable"))),
            shared_bytes: 0,
        });
    }
    if records.is_empty() && usage.get("BuildCache").is_none() {
        return Reading::Unavailable(NOT_TOLD.into());
    }
    let mut cache = BuildCache { records: records.len() as u64, ..BuildCache::default() };
    for record in records {
        let bytes = number(record.get("Size"));
        if is(record, "Shared") {
            cache.shared_bytes += bytes;
        } else {
            cache.size_bytes += bytes;
            cache.in_use_bytes += if is(record, "InUse") { bytes } else { 0 };
        }
    }
    Reading::Known(cache)
}

#[cfg(test)]
mod tests;
