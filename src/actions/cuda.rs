//! Whether the driver gives what new images ask of CUDA: looked at before anything is pulled, because a container that asks
//! for more does not start.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::newer::{self, Known};
use super::target::{Target, env};
use super::{Desk, Refusal};
use crate::domain::{CudaMatch, CudaNeed, GpuDriver, Plan};
use crate::host::{NvmlLibrary, OpenRegistries, driver_versions};

/// How long the driver may take to tell its versions.
const PATIENCE: Duration = Duration::from_secs(2);

/// Compares what the images of `targets` ask for with the driver; `to` is the tag to which they go. What cannot be told until
/// `deadline` is left to the start itself, which would fail and be taken back.
///
/// # Errors
/// When the driver does not give what an image asks for, with the remedy.
pub(super) async fn check(
    desk: &Desk,
    open: &OpenRegistries,
    known: &Known,
    (targets, to): (&[Target], Option<&str>),
    deadline: Instant,
    plan: &mut Plan,
) -> Result<(), Refusal> {
    let asks = |target: &&Target| target.container.wants_gpu && !CudaNeed::is_off(env(&target.raw));
    let mut asking = targets.iter().filter(asks).peekable();
    if asking.peek().is_none() {
        return Ok(());
    }
    let Some(driver) = driver(desk).await else { return Ok(()) };
    let (Some(cuda), Some(loaded)) = (driver.cuda.known(), driver.loaded.known()) else { return Ok(()) };
    for target in asking {
        let (Some(image), local) = (newer::image(target), known.local(target)) else { continue };
        // What was built here is at no registry.
        let Some(tag) = to.or(image.tag.as_deref()).filter(|_| local.is_some_and(|it| !it.digests.is_empty())) else {
            continue;
        };
        let question = async { open.visit(&image)?.cuda(tag).await };
        let Ok(Ok(Some(need))) = timeout_at(deadline, question).await else { continue };
        let asked = need.cuda().map_or_else(|| "another driver".to_owned(), |version| format!("CUDA {version}"));
        let text =
            format!("{} asks for {asked}, and driver {loaded} gives CUDA {cuda}", image.with_tag(tag).familiar());
        match need.against(cuda, loaded) {
            CudaMatch::Met => {}
            CudaMatch::Depends => plan.warnings.push(format!("{text}: whether it starts depends on the card")),
            CudaMatch::Unmet => {
                return Err(Refusal::new(format!(
                    "{text}: {} would not start. Update the driver first, or name an older tag with --to",
                    target.shown()
                )));
            }
        }
    }
    Ok(())
}

/// The versions of the driver; `None` where it does not tell them.
async fn driver(desk: &Desk) -> Option<GpuDriver> {
    let library = NvmlLibrary::choose(desk.nvml_library.as_deref());
    let fs = desk.ports.fs.clone();
    let mut reader = desk.ports.nvml.reader(|| ());
    timeout(PATIENCE, reader.read(move |()| driver_versions(&library, &fs))).await.ok()?.ok()?.ok()
}
