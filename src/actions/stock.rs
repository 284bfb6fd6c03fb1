//! What the container engine holds, read for a plan: through the same port as the source that the screen draws from.

use std::time::Duration;

use futures_util::future::join;
use tokio::time::timeout;

use super::{Desk, Refusal};
use crate::domain::DockerDisk;
use crate::host::{DockerClient, Extent, LayerBook, Measured};

/// How long the engine may measure for a plan: somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the engine holds now, with what the config keeps by name marked. What the engine does not measure in time has no
/// size.
///
/// # Errors
/// When the engine cannot be asked, or does not answer.
pub(super) async fn read(desk: &Desk) -> Result<DockerDisk, Refusal> {
    let docker = desk.docker().await?;
    let mut book = LayerBook::default();
    let (disk, measured) = join(docker.stock(&mut book), measured(desk, docker)).await;
    let mut disk = disk?;
    if let Some(measured) = measured {
        measured.put_into(&mut disk);
    }
    desk.protected.mark(&mut disk);
    Ok(disk)
}

async fn measured(desk: &Desk, docker: &DockerClient) -> Option<Measured> {
    let clock = desk.ports.clock;
    for extent in [Extent::All, Extent::AllButVolumes] {
        match timeout(PATIENCE, docker.measure(extent, || clock.now().wall)).await {
            Ok(Ok(measured)) => return Some(measured),
            Ok(Err(error)) => {
                tracing::warn!(%error, "The engine did not measure what it holds.");
                return None;
            }
            Err(_) => {}
        }
    }
    None
}
