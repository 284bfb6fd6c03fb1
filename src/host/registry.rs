//! Registries of images: what a tag means there now, which tags there are, when an image was built; and what is published of
//! models. Nothing is pulled.
//!
//! [`Registries`] is the port; [`Registries::open`] reads certificates and the docker command's credentials on a lane and
//! opens the clients, which costs a few milliseconds and two MiB, so that it is done for a round of questions and dropped
//! behind it. A [`Visit`] asks about one image, and keeps what the registry gave to prove who it is. Every failure is a
//! [`RegistryFault`] with words of its own; none of them means "nothing new".

mod auth;
mod credentials;
mod manifest;
mod models;
mod notes;
mod wire;

pub use credentials::Login;
pub use notes::ReleaseNotes;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::docker::Surroundings;
use super::{Clock, Lane, RootedFs};
use crate::domain::{FaultKind, ImageRef, RegistryFault};
use auth::{Challenge, Proof};
use credentials::{Credentials, DockerConfig};
use wire::{Said, Wire, fault, limited, not_understood};

/// The kinds of manifest that are asked for. Without the lists an image of several platforms would be told by the digest of
/// one of them, and without the second kind a registry makes a manifest of the old schema, with another digest again.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";
/// Tags a page: the most that the large registries give.
const TAGS_A_PAGE: usize = 1_000;
/// Pages that are read at most.
const PAGES: usize = 50;

/// The way to registries, not opened yet.
#[derive(Debug, Clone)]
pub struct Registries {
    clock: Clock,
    fs: RootedFs,
    lane: Lane,
    patience: Duration,
    /// Where releases are asked for.
    github: String,
    /// Where models of Hugging Face are asked for.
    hugging_face: String,
    /// The docker command's folder, where it is not where the environment says.
    docker_config: Option<std::path::PathBuf>,
}

impl Registries {
    /// How long one exchange may take.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// Registries as this machine reaches them.
    pub(super) fn new(clock: Clock, fs: RootedFs, lane: Lane) -> Self {
        let github = "https://api.github.com".to_owned();
        let mirror = std::env::var("HF_ENDPOINT").ok().filter(|address| !address.is_empty());
        let hugging_face = mirror.unwrap_or_else(|| models::HUGGING_FACE.to_owned());
        Self { clock, fs, lane, patience: Self::PATIENCE, github, hugging_face, docker_config: None }
    }

    /// The same with another patience.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same with releases asked for at `address` instead of GitHub.
    #[must_use]
    pub fn github(self, address: &str) -> Self {
        Self { github: address.to_owned(), ..self }
    }

    /// The same with models of Hugging Face asked for at `address`, whatever the environment says.
    #[must_use]
    pub fn hugging_face(self, address: &str) -> Self {
        Self { hugging_face: address.to_owned(), ..self }
    }

    /// The same with the docker command's config in `folder`.
    #[must_use]
    pub fn docker_config(self, folder: &Path) -> Self {
        Self { docker_config: Some(folder.to_owned()), ..self }
    }

    /// Opens the clients and reads the credentials.
    ///
    /// # Errors
    /// When no TLS can be spoken on this machine, or its files do not answer.
    pub async fn open(&self) -> Result<OpenRegistries, RegistryFault> {
        let (fs, patience) = (self.fs.clone(), self.patience);
        let folder = self.docker_config.clone().or_else(|| Surroundings::of_this_process(None).docker_config);
        let mut reader = self.lane.reader(|| ());
        let opening = reader.read(move |()| {
            let text = folder.and_then(|folder| fs.read(folder.join("config.json")).ok());
            let config = text.map_or_else(|| Some(DockerConfig::default()), |text| DockerConfig::parse(&text));
            Wire::open(&fs, patience).map(|wire| (wire, config))
        });
        let unread = |why: &dyn fmt::Display| {
            fault(FaultKind::Unreachable, format!("this machine's certificates cannot be read: {why}"))
        };
        let opened = tokio::time::timeout(self.patience, opening).await;
        let opened = opened.map_err(|_| unread(&"the files do not answer"))?;
        let (wire, config) = opened.map_err(|why| unread(&why))??;
        let (github, hugging_face) = (self.github.clone(), self.hugging_face.clone());
        Ok(OpenRegistries(Arc::new(Opened { wire, config, clock: self.clock, github, hugging_face })))
    }
}

/// The way to registries, opened. Clones share it.
#[derive(Clone)]
pub struct OpenRegistries(Arc<Opened>);

struct Opened {
    wire: Wire,
    /// `None` where the file is not understood.
    config: Option<DockerConfig>,
    clock: Clock,
    github: String,
    hugging_face: String,
}

impl OpenRegistries {
    /// Who pulls an image, as `docker login` left it; `None` where nobody logged in at its registry.
    ///
    /// # Errors
    /// Why it cannot be had though it may be there, as a clause.
    pub async fn login(&self, image: &ImageRef) -> Result<Option<Login>, String> {
        let config = self.0.config.as_ref().ok_or("docker's config.json is not understood")?;
        Ok(config.of(&image.registry).await?.map(|credentials| Login::new(&image.registry, credentials)))
    }

    /// Begins to ask about one image.
    ///
    /// # Errors
    /// When its registry is no place that can be asked.
    pub fn visit(&self, image: &ImageRef) -> Result<Visit, RegistryFault> {
        let base = wire::base_of(&image.registry);
        let base = base.ok_or_else(|| fault(FaultKind::Unreachable, format!("{} is no host", image.registry)))?;
        Ok(Visit {
            opened: self.0.clone(),
            image: image.clone(),
            base,
            proof: None,
            credentials: None,
            remaining: None,
        })
    }
}

/// Questions about one image.
pub struct Visit {
    opened: Arc<Opened>,
    image: ImageRef,
    base: Url,
    proof: Option<Proof>,
    /// What is known of oneself there, once it was looked for; or why it cannot be had.
    credentials: Option<Result<Option<Credentials>, String>>,
    remaining: Option<u32>,
}

/// The tags of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tags {
    /// They are what they were.
    Unchanged,
    /// So many are listed.
    Listed {
        /// All that were wanted.
        tags: Vec<String>,
        /// The list's own mark.
        etag: Option<String>,
    },
}

impl Visit {
    /// How many pulls the registry has left for this host, where it counts them.
    pub fn remaining(&self) -> Option<u32> {
        self.remaining
    }

    /// The digest that the image's tag has now, the one of the list where it has several platforms. `known` is what it was:
    /// a registry that understands does not look it up again.
    ///
    /// # Errors
    /// When there is no such tag, or it cannot be told.
    pub async fn digest(&mut self, known: Option<&str>) -> Result<String, RegistryFault> {
        let path = format!("manifests/{}", self.image.tag.as_deref().unwrap_or("latest"));
        let condition = known.map(|known| ("if-none-match", format!("\"{known}\"")));
        let headers = [("accept", MANIFESTS.to_owned())].into_iter().chain(condition);
        let said = self.ask(Method::HEAD, &path, headers.collect()).await?;
        if let (304, Some(known)) = (said.status, known) {
            return Ok(known.to_owned());
        }
        match (said.status, told_digest(&said)) {
            // Some registries know no HEAD, and some do not tell the digest.
            (405, _) | (200..=299, None) => self.digest_of_body(&path).await,
            (200..=299, Some(digest)) => self.unless_old(&said, digest),
            _ => Err(self.refused(&said)),
        }
    }

    async fn digest_of_body(&mut self, path: &str) -> Result<String, RegistryFault> {
        let said = self.get(path, MANIFESTS).await?;
        let digest = told_digest(&said).unwrap_or_else(|| sha256(&said.body));
        self.unless_old(&said, digest)
    }

    /// A manifest of the old schema is made anew by the registry, and its digest means nothing.
    fn unless_old(&self, said: &Said, digest: String) -> Result<String, RegistryFault> {
        let old = said.header("content-type").is_some_and(|kind| kind.contains("manifest.v1"));
        if old { Err(not_understood(&self.image.registry, "it has the old schema alone")) } else { Ok(digest) }
    }

    /// The tags of the repository for which `wanted` holds. `etag` is the mark of the list that is known.
    ///
    /// # Errors
    /// When they cannot be listed, or are too many.
    pub async fn tags(&mut self, etag: Option<&str>, wanted: impl Fn(&str) -> bool) -> Result<Tags, RegistryFault> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut path = format!("tags/list?n={TAGS_A_PAGE}");
        for page in 0..PAGES {
            let condition = etag.filter(|_| page == 0).map(|etag| ("if-none-match", etag.to_owned()));
            let headers = [("accept", "application/json".to_owned())].into_iter().chain(condition);
            let said = self.ask(Method::GET, &path, headers.collect()).await?;
            match said.status {
                304 if page == 0 && etag.is_some() => return Ok(Tags::Unchanged),
                200..=299 => {}
                _ => return Err(self.refused(&said)),
            }
            let listed: Option<Page> = said.object();
            let listed = listed.ok_or_else(|| not_understood(&self.image.registry, "it is no list of tags"))?;
            tags.extend(listed.tags.into_iter().flatten().filter(|tag| wanted(tag)));
            let Some(next) = said.header("link").and_then(|link| self.next_page(link)) else {
                // The mark of a page says nothing of those behind it.
                let etag = said.header("etag").filter(|etag| page == 0 && etag.len() <= 200);
                return Ok(Tags::Listed { tags, etag: etag.map(str::to_owned) });
            };
            path = next;
        }
        let most = TAGS_A_PAGE * PAGES;
        Err(not_understood(&self.image.registry, &format!("it lists more than {most} tags")))
    }

    /// The path of the next page, as in `</v2/a/b/tags/list?last=x&n=1000>; rel="next"`, if it is one of this list's.
    fn next_page(&self, link: &str) -> Option<String> {
        let next = link.split(',').find(|link| link.contains("rel=\"next\"") || link.contains("rel=next"))?;
        let target = next.split_once('<')?.1.split_once('>')?.0;
        let list = self.base.join(&format!("{}/tags/list", self.image.repository)).ok()?;
        let next = list.join(target).ok()?;
        let same = next.origin() == list.origin() && next.path() == list.path();
        same.then(|| format!("tags/list?{}", next.query().unwrap_or_default()))
    }

    async fn get(&mut self, path: &str, accept: &str) -> Result<Said, RegistryFault> {
        let said = self.ask(Method::GET, path, vec![("accept", accept.to_owned())]).await?;
        if (200..=299).contains(&said.status) { Ok(said) } else { Err(self.refused(&said)) }
    }

    /// Asks for something of the repository; where the registry wants to know who asks, once more with a proof.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        headers: Vec<(&'static str, String)>,
    ) -> Result<Said, RegistryFault> {
        let said = self.send(&method, path, &headers).await?;
        if said.status != 401 || self.proof.is_some() {
            return Ok(said);
        }
        let mut challenges = said.headers.get_all("www-authenticate").iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenges.find_map(Challenge::parse) else { return Ok(said) };
        match self.prove(challenge).await? {
            Some(proof) => {
                self.proof = Some(proof);
                self.send(&method, path, &headers).await
            }
            None => Ok(said),
        }
    }

    async fn send(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<Said, RegistryFault> {
        let url = self.base.join(&format!("{}/{path}", self.image.repository));
        let url = url.map_err(|_| not_understood(&self.image.registry, "its address cannot be written"))?;
        let mut request = self.opened.wire.request(method.clone(), url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(proof) = &self.proof {
            request = request.header("authorization", proof.header());
        }
        let said = self.opened.wire.send(request, &self.image.registry).await?;
        if let Some(remaining) = said.header("ratelimit-remaining") {
            // Such as `99;w=21600`: so many within so many seconds.
            self.remaining = remaining.split(';').next().and_then(|count| count.trim().parse().ok());
        }
        Ok(said)
    }

    /// What the registry asked for; `None` where it wants a password and nobody logged in.
    async fn prove(&mut self, challenge: Challenge) -> Result<Option<Proof>, RegistryFault> {
        let registry = self.image.registry.clone();
        if self.credentials.is_none() {
            self.credentials = Some(match &self.opened.config {
                Some(config) => config.of(&registry).await,
                None => Err("docker's config.json is not understood".to_owned()),
            });
        }
        let credentials = self.credentials.as_ref().and_then(|found| found.as_ref().ok()).and_then(Option::as_ref);
        match (challenge, credentials) {
            (Challenge::Basic, Some(Credentials::Basic(name, password))) => Ok(Some(Proof::basic(name, password))),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, scope }, credentials) => {
                let usual = || format!("repository:{}:pull", self.image.repository);
                let scope = scope.filter(|scope| !scope.is_empty()).unwrap_or_else(usual);
                let challenge = (realm.as_str(), service.as_deref(), scope.as_str());
                let now = self.now();
                auth::token(&self.opened.wire, &registry, challenge, credentials, now).await.map(Some)
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.opened.clock.now().wall
    }

    /// What an answer without success means.
    fn refused(&self, said: &Said) -> RegistryFault {
        let registry = &self.image.registry;
        let kind_and_words = match said.status {
            404 => (FaultKind::NotFound, format!("{registry} has no {} (any more)", self.image.familiar())),
            401 => (FaultKind::Denied, self.unproven()),
            403 => (FaultKind::Denied, format!("{registry} refuses to tell about {}", self.image.familiar())),
            429 => return limited(registry, said, self.now()),
            status @ 500..=599 => (FaultKind::Server, format!("{registry} failed (status {status})")),
            status => return not_understood(registry, &format!("status {status}")),
        };
        fault(kind_and_words.0, kind_and_words.1)
    }

    /// Why the registry does not know who asks.
    fn unproven(&self) -> String {
        let registry = &self.image.registry;
        match &self.credentials {
            Some(Err(why)) => format!("{registry} wants credentials, and there are none: {why}"),
            Some(Ok(Some(_))) => format!("{registry} does not take the credentials of docker's config"),
            _ => {
                let host = if self.image.is_docker_hub() { "" } else { registry };
                let login = format!("docker login {host}");
                format!("{registry} wants credentials for {}: `{}`", self.image.familiar(), login.trim_end())
            }
        }
    }
}

/// The digest in an answer's head, if it is one.
fn told_digest(said: &Said) -> Option<String> {
    let digest = said.header("docker-content-digest")?.trim();
    let hex = digest.strip_prefix("sha256:").or_else(|| digest.strip_prefix("sha512:"))?;
    let whole = matches!(hex.len(), 64 | 128) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    whole.then(|| digest.to_owned())
}

/// The digest of `bytes` as registries write it: `sha256:…`.
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
