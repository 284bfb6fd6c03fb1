//! When an image was built, and its labels: its manifest leads to its config, and that says so.
//!
//! Docker Hub counts each manifest that is read as a pull, so this is asked only about what is new, and not while few pulls
//! are left.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::wire::not_understood;
use super::{MANIFESTS, Visit};
use crate::domain::{CudaNeed, RegistryFault};
use crate::host::docker::kept_labels;

/// A manifest, or a list of them: as much of either as is needed.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    manifests: Vec<Listed>,
    config: Option<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Listed {
    digest: String,
    #[serde(default)]
    platform: Platform,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    config: Settings,
}

/// What a container of the image begins with: as much as is needed.
#[derive(Default, Deserialize)]
struct Settings {
    #[serde(default, rename = "Labels")]
    labels: Option<HashMap<String, String>>,
    #[serde(default, rename = "Env")]
    env: Option<Vec<String>>,
}

impl Visit {
    /// Pulls that are left alone: whoever sits at this address may need them.
    const SPARED: u32 = 50;

    /// When the image behind `reference` (a tag or a digest of this repository) was built; `None` where it does not say,
    /// or says what cannot be, or asking would cost pulls that are few.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn published(&mut self, reference: &str) -> Result<Option<Timestamp>, RegistryFault> {
        let Some(config) = self.config(reference).await? else { return Ok(None) };
        let created = config.created.and_then(|created| created.parse::<Timestamp>().ok());
        let (first, last) = (Timestamp::from_second(FIRST_IMAGES), self.now() + SignedDuration::from_hours(24));
        Ok(created.filter(|created| first.is_ok_and(|first| *created > first) && *created < last))
    }

    /// The labels of the image behind `reference`, as [`LocalImage`](crate::domain::LocalImage) has them; none where asking
    /// would cost pulls that are few.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn labels(&mut self, reference: &str) -> Result<BTreeMap<String, String>, RegistryFault> {
        let config = self.config(reference).await?;
        Ok(kept_labels(&config.and_then(|config| config.config.labels).unwrap_or_default()))
    }

    /// What the image behind `reference` asks of the NVIDIA driver; `None` where it asks for nothing, or asking would cost pulls
    /// that are few.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn cuda(&mut self, reference: &str) -> Result<Option<CudaNeed>, RegistryFault> {
        let config = self.config(reference).await?;
        let env = config.and_then(|config| config.config.env).unwrap_or_default();
        Ok(CudaNeed::of(env.iter().map(String::as_str)))
    }

    /// The config of the image behind `reference`; `None` where it names none, or pulls are few.
    async fn config(&mut self, reference: &str) -> Result<Option<Config>, RegistryFault> {
        if self.remaining().is_some_and(|remaining| remaining < Self::SPARED) {
            return Ok(None);
        }
        let mut manifest = self.manifest(reference).await?;
        if let Some(ours) = for_this_machine(&manifest.manifests) {
            let digest = ours.digest.clone();
            manifest = self.manifest(&digest).await?;
        }
        let Some(config) = manifest.config.filter(|config| is_digest(&config.digest)) else { return Ok(None) };
        let said = self.get(&format!("blobs/{}", config.digest), "*/*").await?;
        let config: Option<Config> = said.object();
        config.map(Some).ok_or_else(|| not_understood(&self.image.registry, "it is no config of an image"))
    }

    async fn manifest(&mut self, reference: &str) -> Result<Manifest, RegistryFault> {
        let said = self.get(&format!("manifests/{reference}"), MANIFESTS).await?;
        said.object().ok_or_else(|| not_understood(&self.image.registry, "it is no manifest"))
    }
}

/// Nothing was built before 2013; what says so hides its time, so that builds can be repeated.
const FIRST_IMAGES: i64 = 1_356_998_400;

/// Of a list the one for this machine, else the first for Linux.
fn for_this_machine(listed: &[Listed]) -> Option<&Listed> {
    let ours = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let mut usable = listed.iter().filter(|it| it.platform.os == "linux" && is_digest(&it.digest));
    let first = usable.clone().next();
    usable.find(|it| it.platform.architecture == ours).or(first)
}

/// Whether it is a digest: it becomes part of a path.
fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|it| it.is_ascii_hexdigit()))
}
