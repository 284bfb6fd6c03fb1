//! What the engine knows of images: what they were pulled as, and what their makers wrote on them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ImageInspect;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout;

use super::{DockerClient, fault};
use crate::domain::{Failure, LocalImage};
use crate::host::foreign;

/// Inspections at the same time.
const AT_ONCE: usize = 8;
/// How long one may take.
const PATIENCE: Duration = DockerClient::PATIENCE;
/// What the labels that are kept begin with (OCI image specification, annotations).
const LABELS: &str = "org.opencontainers.image.";
/// The most digests and labels that are kept of one image, and the most of one label, bytes.
const KEPT: usize = 64;
const LABEL_BYTES: usize = 512;

impl DockerClient {
    /// Describes images by their ids; those that the engine does not have are left out.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn image_digests(&self, ids: &[String]) -> Result<HashMap<String, LocalImage>, Failure> {
        let mut found = HashMap::new();
        let mut answers = stream::iter(ids.to_vec())
            .map(|id| async move {
                let image = self.image_digests_of(&id).await;
                (id, image)
            })
            .buffer_unordered(AT_ONCE);
        while let Some((id, image)) = answers.next().await {
            found.extend(image?.map(|image| (id, image)));
        }
        Ok(found)
    }

    async fn image_digests_of(&self, id: &str) -> Result<Option<LocalImage>, Failure> {
        let asked = timeout(PATIENCE, self.docker.inspect_image(id)).await.unwrap_or(Err(Error::RequestTimeoutError));
        match asked {
            Ok(image) => Ok(Some(local(image))),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(fault::failure(&self.place, &error)),
        }
    }
}

fn local(image: ImageInspect) -> LocalImage {
    let digests = image.repo_digests.unwrap_or_default().into_iter().take(KEPT);
    let labels = image.config.and_then(|config| config.labels).unwrap_or_default();
    LocalImage { digests: digests.map(|digest| foreign::name(&digest)).collect(), labels: kept_labels(&labels) }
}

/// Of an image's labels those that its makers describe it with, without what their names begin with.
pub(in crate::host) fn kept_labels(labels: &HashMap<String, String>) -> BTreeMap<String, String> {
    let named = labels.iter().filter_map(|(name, value)| {
        let name = foreign::name(name.strip_prefix(LABELS)?);
        Some((name, foreign::clean(value, LABEL_BYTES).into_owned()))
    });
    named.take(KEPT).collect()
}
