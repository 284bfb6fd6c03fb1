//! Cleaning up: containers that are down, networks, volumes. What somebody began to use since the plan was made stays, and
//! the rest goes.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::{Bench, Done, Trouble, gone_is_fine, removed_container};
use crate::domain::{ContainerRef, ContainerState};
use crate::host::{EngineError, Extent, Measured};

/// How long the engine may measure what goes: to know how much that was is worth no longer wait.
const MEASURE_PATIENCE: Duration = Duration::from_secs(30);

/// What went of several things, and what stayed.
#[derive(Default)]
struct Tally {
    freed: Option<u64>,
    stayed: Vec<String>,
}

impl Tally {
    fn freed(&mut self, bytes: Option<u64>) {
        self.freed = bytes.map_or(self.freed, |bytes| Some(self.freed.unwrap_or(0) + bytes));
    }

    /// Notes what came of removing one thing. What the engine says stands against it is no failure.
    fn take(&mut self, name: &str, bytes: Option<u64>, removed: Result<(), EngineError>) -> Result<(), Trouble> {
        match gone_is_fine(removed) {
            Ok(()) => self.freed(bytes),
            Err(error) if stands_against(&error) => self.stayed.push(format!("{name}, because {error}")),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn done(self) -> Done {
        Done { text: String::new(), freed: self.freed, stayed: self.stayed }
    }
}

/// Whether something uses what was to go. Of networks, engines say so by 403.
fn stands_against(error: &EngineError) -> bool {
    matches!(error, EngineError::Conflict(_) | EngineError::Refused { status: 403, .. })
}

/// Removes containers that are down and have not run since.
pub(super) async fn down(
    bench: &mut Bench<'_>,
    containers: &[(ContainerRef, Option<Timestamp>)],
) -> Result<Done, Trouble> {
    let mut tally = Tally::default();
    for (index, (container, ended)) in containers.iter().enumerate() {
        bench.progress("removing containers", index as u64, containers.len() as u64);
        let Some(now) = bench.docker.inspect(&container.id).await? else { continue };
        if now.container.state.is_up() || now.container.state == ContainerState::Restarting || now.finished != *ended {
            tally.stayed.push(format!("{}, which was started meanwhile", container.name));
            continue;
        }
        let (bytes, removed) = removed_container(bench.docker, container, false).await;
        tally.take(&container.name, bytes, removed)?;
    }
    Ok(tally.done())
}

/// Removes what builds left behind and nothing uses. What the engine reports of that counts layers in, too, that images
/// hold and that stay; so its own measurements are compared.
pub(super) async fn build_cache(bench: &mut Bench<'_>) -> Result<Done, Trouble> {
    let before = measured(bench, Extent::AllButVolumes).await;
    bench.docker.prune_build_cache().await?;
    let after = measured(bench, Extent::AllButVolumes).await;
    let bytes = |measured: Option<Measured>| Some(measured?.build_cache.known()?.size_bytes);
    let freed = bytes(before).zip(bytes(after)).map(|(before, after)| before.saturating_sub(after));
    Ok(Done { freed, ..Done::default() })
}

/// What the engine measures now; `None` where it does not, or takes too long.
pub(super) async fn measured(bench: &mut Bench<'_>, extent: Extent) -> Option<Measured> {
    bench.progress("measuring", 0, 0);
    let clock = bench.desk.ports.clock;
    let measured = timeout(MEASURE_PATIENCE, bench.docker.measure(extent, || clock.now().wall)).await;
    measured.ok()?.ok()
}

/// Removes networks to which no container belongs, running or not.
pub(super) async fn networks(bench: &mut Bench<'_>, networks: &[(String, String)]) -> Result<Done, Trouble> {
    let mut tally = Tally::default();
    for (id, name) in networks {
        match bench.docker.having("network", id).await?.first() {
            Some(user) => tally.stayed.push(format!("{name}, which {} uses now", user.name)),
            None => tally.take(name, None, bench.docker.remove_network(id).await)?,
        }
    }
    Ok(tally.done())
}

/// Removes volumes that no container mounts, running or not.
pub(super) async fn volumes(bench: &mut Bench<'_>, volumes: &[String]) -> Result<Done, Trouble> {
    let measured = measured(bench, Extent::All).await;
    let mut tally = Tally::default();
    for (index, volume) in volumes.iter().enumerate() {
        bench.progress("removing volumes", index as u64, volumes.len() as u64);
        let bytes = measured.as_ref().and_then(|measured| measured.volume_bytes(volume));
        match bench.docker.having("volume", volume).await?.first() {
            Some(user) => tally.stayed.push(format!("{volume}, which {} uses now", user.name)),
            None => tally.take(volume, bytes, bench.docker.remove_volume(volume).await)?,
        }
    }
    Ok(tally.done())
}
