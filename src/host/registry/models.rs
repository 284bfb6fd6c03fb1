//! What is published of models: Ollama's registries tell manifests as those of images do, Hugging Face has an interface of
//! its own. No weights are fetched, and Hugging Face is told no token: what only its members see stays unknown.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::wire::{Said, fault, is_loopback, limited, not_understood};
use super::{OpenRegistries, Visit, sha256};
use crate::domain::{FaultKind, ImageRef, ModelAnswer, ModelOrigin, ModelRelease, RegistryFault};

/// Where Hugging Face is, unless `HF_ENDPOINT` names a mirror.
pub(super) const HUGGING_FACE: &str = "https://huggingface.co";
/// The kind of manifest that Ollama pulls (ollama: `server/images.go`); its bytes are what the local digest is made of.
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The layers that hold weights.
const WEIGHTS: &str = "application/vnd.ollama.image.model";
/// The largest answer that is believed, bytes.
const MOST_BYTES: usize = 1 << 20;
/// The longest commit, characters.
const COMMIT: usize = 64;

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    size: u64,
}

/// A model as Hugging Face tells it (`huggingface_hub`: `hf_api.py`, `ModelInfo`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HubModel {
    #[serde(default)]
    id: String,
    sha: Option<String>,
    last_modified: Option<String>,
    created_at: Option<String>,
    safetensors: Option<Safetensors>,
}

#[derive(Deserialize)]
struct Safetensors {
    total: Option<u64>,
    /// Elements, by type.
    #[serde(default)]
    parameters: BTreeMap<String, u64>,
}

impl OpenRegistries {
    /// What is published at `origin`: one release of a single model, of an author the newest ones. Where `known` is the
    /// digest, its time is not looked up again.
    ///
    /// # Errors
    /// When there is no such model, or it cannot be told.
    pub async fn models(&self, origin: &ModelOrigin, known: Option<&str>) -> Result<Vec<ModelRelease>, RegistryFault> {
        match origin {
            ModelOrigin::Ollama(image) => self.of_ollama(origin, image, known).await.map(|release| vec![release]),
            ModelOrigin::HuggingFace(id) => {
                let path: Vec<&str> = id.split('/').chain(["revision", "main"]).collect();
                let (said, host) = self.hub(id, &path, None).await?;
                let model: Option<HubModel> = said.object();
                let release = model.and_then(|model| self.revision(model, id));
                release.map(|release| vec![release]).ok_or_else(|| not_understood(&host, "it is no model"))
            }
            ModelOrigin::Author(author) => {
                let query = format!("author={author}&sort=createdAt&direction=-1&limit={}", ModelAnswer::RELEASES);
                let (said, host) = self.hub(author, &[], Some(&query)).await?;
                let models: Option<Vec<HubModel>> = said.list();
                let models = models.ok_or_else(|| not_understood(&host, "it is no list of models"))?;
                let releases = models.into_iter().filter_map(|model| self.listed(model, author));
                Ok(releases.take(ModelAnswer::RELEASES).collect())
            }
        }
    }

    async fn of_ollama(
        &self,
        origin: &ModelOrigin,
        image: &ImageRef,
        known: Option<&str>,
    ) -> Result<ModelRelease, RegistryFault> {
        let path = format!("manifests/{}", image.tag.as_deref().unwrap_or("latest"));
        let mut visit = self.visit(image)?;
        let said = visit.get(&path, MANIFEST).await.map_err(|fault| about_models(fault, origin, &image.registry))?;
        small_enough(&said, &image.registry)?;
        let manifest: Option<Manifest> = said.object();
        let manifest = manifest.ok_or_else(|| not_understood(&image.registry, "it is no manifest"))?;
        let digest = sha256(&said.body).trim_start_matches("sha256:").to_owned();
        let published = if known == Some(&digest) { None } else { visit.pushed(&path).await };
        let weights = manifest.layers.iter().filter(|layer| layer.media_type == WEIGHTS);
        let bytes = weights.fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        Ok(ModelRelease {
            name: origin.to_string(),
            digest: Some(digest),
            published,
            since: self.now(),
            // What is stored tensor by tensor has no such layer.
            weights_bytes: (bytes > 0).then_some(bytes),
            parameters: None,
        })
    }

    /// Asks Hugging Face for what it has of `name`, below `/api/models`; also who was asked.
    async fn hub(&self, name: &str, path: &[&str], query: Option<&str>) -> Result<(Said, String), RegistryFault> {
        let odd = || {
            let what = format!("HF_ENDPOINT is no https address: {}", self.0.hugging_face);
            fault(FaultKind::Unreachable, crate::host::foreign::name(&what))
        };
        let mut url = Url::parse(&self.0.hugging_face).map_err(|_| odd())?;
        let spoken = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
        let host = url.host_str().map(str::to_owned).filter(|_| spoken).ok_or_else(odd)?;
        url.path_segments_mut().map_err(|()| odd())?.pop_if_empty().extend(["api", "models"].iter().chain(path));
        url.set_query(query);
        let request = self.0.wire.request(Method::GET, url).header("accept", "application/json");
        let said = self.0.wire.send(request, &host).await?;
        let kind_and_words = match said.status {
            200..=299 => {
                small_enough(&said, &host)?;
                return Ok((said, host));
            }
            404 => (FaultKind::NotFound, format!("{host} has no {name} (any more)")),
            // It says so of what does not exist, too.
            401 | 403 => {
                (FaultKind::Denied, format!("{host} tells about {name} only to those whom it knows, if there is one"))
            }
            429 => return Err(limited(&host, &said, self.now())),
            status @ 500..=599 => (FaultKind::Server, format!("{host} failed (status {status})")),
            status => return Err(not_understood(&host, &format!("status {status}"))),
        };
        Err(fault(kind_and_words.0, kind_and_words.1))
    }

    /// The revision of one model; `None` where it is none.
    fn revision(&self, model: HubModel, id: &str) -> Option<ModelRelease> {
        let commit = model.sha.filter(|sha| is_commit(sha))?;
        let weights_bytes = model.safetensors.as_ref().and_then(Safetensors::bytes);
        Some(ModelRelease {
            name: id.to_owned(),
            digest: Some(commit),
            published: model.last_modified.as_deref().and_then(|text| self.plausible(text.parse().ok()?)),
            since: self.now(),
            weights_bytes,
            parameters: model.safetensors.and_then(|safetensors| safetensors.total),
        })
    }

    /// One of an author's list; `None` where it is none of theirs, or its name leads elsewhere.
    fn listed(&self, model: HubModel, author: &str) -> Option<ModelRelease> {
        let Ok(ModelOrigin::HuggingFace(id)) = format!("hf:{}", model.id).parse() else { return None };
        let theirs = id.split_once('/').is_some_and(|(org, _)| org.eq_ignore_ascii_case(author));
        theirs.then(|| ModelRelease {
            digest: model.sha.filter(|sha| is_commit(sha)),
            published: model.created_at.as_deref().and_then(|text| self.plausible(text.parse().ok()?)),
            since: self.now(),
            weights_bytes: model.safetensors.as_ref().and_then(Safetensors::bytes),
            parameters: model.safetensors.and_then(|safetensors| safetensors.total),
            name: id,
        })
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now().wall
    }

    /// A time that can be: not one that is still to come.
    fn plausible(&self, at: Timestamp) -> Option<Timestamp> {
        let last = self.now() + SignedDuration::from_hours(24);
        (at > Timestamp::UNIX_EPOCH && at < last).then_some(at)
    }
}

impl Visit {
    /// When what lies at `path` was pushed, Unix seconds in a header that Ollama's registry sends with a head alone; `None`
    /// where it does not tell. Nothing depends on it but the age that is shown, and whether a model was made here.
    async fn pushed(&mut self, path: &str) -> Option<Timestamp> {
        let said = self.ask(Method::HEAD, path, vec![("accept", MANIFEST.to_owned())]).await.ok()?;
        let seconds = said.header("ollama-push-time").filter(|_| said.status == 200)?.trim().parse().ok()?;
        OpenRegistries(self.opened.clone()).plausible(Timestamp::from_second(seconds).ok()?)
    }
}

impl Safetensors {
    /// Bytes of all elements; `None` where a type is not known (huggingface/safetensors: `README.md`).
    fn bytes(&self) -> Option<u64> {
        let bytes = self.parameters.iter().map(|(kind, count)| {
            let bits = match kind.as_str() {
                "F64" | "I64" | "U64" => 64,
                "F32" | "I32" | "U32" => 32,
                "F16" | "BF16" | "I16" | "U16" => 16,
                "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "I8" | "U8" | "BOOL" => 8,
                "F4" => 4,
                _ => return None,
            };
            count.checked_mul(bits).map(|bits| bits / 8)
        });
        let sum = bytes.into_iter().try_fold(0_u64, |sum, bytes| sum.checked_add(bytes?))?;
        (sum > 0).then_some(sum)
    }
}

/// A refusal in words about models: there is no login for them that hostler could use.
fn about_models(fault: RegistryFault, origin: &ModelOrigin, registry: &str) -> RegistryFault {
    let what = match fault.kind {
        FaultKind::NotFound => format!("{registry} has no {origin} (any more)"),
        FaultKind::Denied => format!("{registry} tells about {origin} only to those whom it knows"),
        _ => return fault,
    };
    RegistryFault { what, ..fault }
}

fn small_enough(said: &Said, who: &str) -> Result<(), RegistryFault> {
    if said.body.len() > MOST_BYTES { Err(not_understood(who, "its answer is larger than 1 MiB")) } else { Ok(()) }
}

fn is_commit(text: &str) -> bool {
    (7..=COMMIT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
