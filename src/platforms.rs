//! Orchestration platforms: one file each, recognised by their image and asked how they are.
//!
//! Each file is one [`PlatformSpec`]; [`PLATFORMS`] lists them. A platform is asked where it looks after its database itself,
//! because one that merely answers may have lost it. Only requests that change nothing are made.

mod dify;
mod flowise;
mod langfuse;
mod n8n;
mod open_webui;

use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use crate::domain::{ImageRef, PlatformHealth, PlatformKind, Reading, RequestCounts, Why};
use crate::engines::{Probe, prometheus};
use crate::host::{Answer, HttpError, foreign};

/// Every platform.
pub const PLATFORMS: &[PlatformSpec] = &[dify::SPEC, n8n::SPEC, flowise::SPEC, open_webui::SPEC, langfuse::SPEC];

/// The most that is kept of what a platform says of its health, bytes.
const SAID_BYTES: usize = 200;

/// How one kind of platform is recognised and read.
pub struct PlatformSpec {
    /// The kind.
    pub kind: PlatformKind,
    /// The last part of its images' names, whoever built or mirrored them.
    image: &'static str,
    /// Where it listens in its container, unless it was told another port.
    pub port: u16,
    /// The path that is asked first.
    path: &'static str,
    read: for<'a> fn(&'a mut Probe) -> LocalBoxFuture<'a, Readings>,
}

/// Everything that is read of a platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Readings {
    /// Its version, as it says.
    pub version: Reading<String>,
    /// What it says of itself.
    pub health: Reading<PlatformHealth>,
    /// Its work since it was started.
    pub requests: Reading<RequestCounts>,
}

impl Readings {
    /// None can be read, for the same reason.
    pub fn unavailable(why: &Why) -> Self {
        Self {
            version: Reading::Unavailable(why.clone()),
            health: Reading::Unavailable(why.clone()),
            requests: Reading::Unavailable(why.clone()),
        }
    }
}

/// The platform that containers of this image run, as far as the image's name tells.
pub fn by_image(image: &str) -> Option<&'static PlatformSpec> {
    let image: ImageRef = image.parse().ok()?;
    let name = image.repository.rsplit('/').next()?;
    PLATFORMS.iter().find(|spec| spec.image == name)
}

impl PlatformSpec {
    /// Reads all of it. What it does not say is unavailable.
    ///
    /// # Errors
    /// When nothing listens there: in another container of the same image (a worker), or before it has come up.
    pub async fn read(&self, probe: &mut Probe) -> Result<Readings, HttpError> {
        match probe.get(self.path).await {
            // Docker's proxy accepts for a server that is not there, and closes.
            Err(error @ (HttpError::Refused | HttpError::Closed)) => Err(error),
            _ => Ok((self.read)(probe).await),
        }
    }
}

/// What a platform says at a path where it looks after its database.
async fn readiness(probe: &mut Probe, path: &'static str) -> Result<PlatformHealth, Why> {
    match probe.get(path).await {
        Ok(answer) if answer.status >= 500 => Ok(PlatformHealth::NotReady { says: said(&answer) }),
        _ => probe.json::<Map<String, Value>>(path).await.map(|_| PlatformHealth::Ready),
    }
}

/// The same where it does not look after its database.
async fn liveness(probe: &mut Probe, path: &'static str) -> Result<PlatformHealth, Why> {
    let health = readiness(probe, path).await?;
    Ok(if health == PlatformHealth::Ready { PlatformHealth::Answering } else { health })
}

/// The words of an answer about health, with its status.
fn said(answer: &Answer) -> String {
    const WORDS: [&str; 5] = ["error", "message", "detail", "reason", "status"];
    let fields: Map<String, Value> = answer.json().unwrap_or_default();
    let word = WORDS.iter().find_map(|word| fields.get(*word)?.as_str());
    let status = format!("status {}", answer.status);
    word.map_or(status.clone(), |word| format!("{status}: {}", foreign::clean(word, SAID_BYTES)))
}

/// The page of metrics, if the platform was started with the `setting` that it needs.
async fn metrics(probe: &mut Probe, path: &'static str, setting: &str) -> Result<String, Why> {
    // In the place of a page that is not there both serve their own screen.
    let off = |answer: &Answer| answer.status == 404 || answer.text().trim_start().starts_with('<');
    match probe.get(path).await {
        Ok(answer) if off(&answer) => Err(Why::new(format!("started without {setting}"))),
        _ => probe.text(path).await,
    }
}

/// A version in a label of a metric, such as `v2.8.4`, without its letter.
fn version_in(text: &str, metric: &str) -> Option<String> {
    let mut samples = prometheus::samples(text).filter_map(Result::ok);
    let version = foreign::name(samples.find(|sample| sample.name == metric)?.label("version")?);
    Some(version.strip_prefix('v').map_or(version.clone(), str::to_owned))
}

/// Counters summed over all their series.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    total: f64,
    failed: f64,
}

impl Sum {
    fn add(&mut self, value: f64, failed: bool) {
        self.total += value;
        self.failed += if failed { value } else { 0.0 };
    }

    /// As whole numbers.
    fn counts(self) -> Result<RequestCounts, Why> {
        let counts = prometheus::count(self.total).zip(prometheus::count(self.failed));
        counts.map(|(total, failed)| RequestCounts { total, failed }).ok_or_else(|| "it counts no number".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_recognised_wherever_its_image_comes_from() {
        for (image, kind) in [
            ("n8nio/n8n:2.41.3", Some(PlatformKind::N8n)),
            ("docker.n8n.io/n8nio/n8n", Some(PlatformKind::N8n)),
            (
                "mirror.lan:5000/hub/n8nio/n8n@sha256:2c2b5023d1d2b0a1f6d4c1e7a9d0f4b3e8c7a6b5d4c3b2a1908f7e6d5c4b3a29",
                Some(PlatformKind::N8n),
            ),
            ("ada/n8n:with-ffmpeg", Some(PlatformKind::N8n)),
            ("langgenius/dify-api:1.13.3", Some(PlatformKind::Dify)),
            ("flowiseai/flowise", Some(PlatformKind::Flowise)),
            ("ghcr.io/open-webui/open-webui:main", Some(PlatformKind::OpenWebui)),
            ("langfuse/langfuse:4", Some(PlatformKind::Langfuse)),
            ("langfuse/langfuse-worker:4", None),
            ("langgenius/dify-web:1.13.3", None),
            ("n8nio/runners:2.41.3", None),
            ("n8n/postgres", None),
            ("sha256:2c2b5023d1d2", None),
            ("", None),
        ] {
            assert_eq!(by_image(image).map(|spec| spec.kind), kind, "{image}");
        }
    }
}
