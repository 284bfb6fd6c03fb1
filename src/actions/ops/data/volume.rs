//! Volumes: all files below a mount as a tar archive, fetched and put back through the engine.

use std::io::{Read, Seek};

use futures_util::StreamExt as _;

use super::sqlite::Look;
use super::{Bench, Trouble, pieces, sqlite, unkept};
use crate::actions::ops::recreate::stop_for_now;
use crate::domain::{ContainerRef, Verb};
use crate::history::Attachment;

/// Writes the volume down, after those who write to it have ended: a container that is frozen instead would hang together
/// with its own health check, and the engine with both. Gives the bytes.
pub(super) async fn keep(
    bench: &mut Bench<'_>,
    container: &ContainerRef,
    path: &str,
    stopped: &[ContainerRef],
    to: &mut Attachment,
) -> Result<u64, Trouble> {
    for writer in stopped {
        stop_for_now(bench, writer).await?;
    }
    fetch(bench, container, &content(path), to).await
}

/// What is in a folder, rather than the folder: so the engine has it (`docker cp`).
pub(in crate::actions::ops) fn content(path: &str) -> String {
    format!("{}/.", path.trim_end_matches('/'))
}

/// Writes a file or folder of a container down as a tar archive; gives the bytes.
pub(super) async fn fetch(
    bench: &mut Bench<'_>,
    container: &ContainerRef,
    path: &str,
    to: &mut Attachment,
) -> Result<u64, Trouble> {
    let mut archive = std::pin::pin!(bench.docker.archive(&container.id, path));
    let mut bytes = 0;
    while let Some(piece) = archive.next().await {
        let piece = piece?;
        to.write(piece.as_ref()).map_err(|error| unkept(&error))?;
        let before = bytes >> 24;
        bytes += piece.as_ref().len() as u64;
        if bytes >> 24 != before {
            bench.progress(format!("fetching {path}"), bytes, 0);
        }
    }
    Ok(bytes)
}

/// Looks at the SQLite files of a volume.
pub(super) async fn look(bench: &mut Bench<'_>, container: &ContainerRef, path: &str) -> Result<Look, Trouble> {
    const NAME: &str = "look.tar";
    let mut whole = bench.attach(NAME)?;
    fetch(bench, container, &content(path), &mut whole).await?;
    let kept = bench.desk.state_dir.attached(bench.run, NAME).map_err(|error| unkept(&error))?;
    let looked = kept.map_or_else(|| Ok(Look::default()), |(file, _)| sqlite::look(file));
    whole.discard().map_err(|error| unkept(&error))?;
    looked.map_err(|error| Trouble(format!("{path} of {} cannot be understood: {error}", container.name)))
}

/// Puts the archive of a volume back through a container that does not run.
pub(super) async fn put_back(
    bench: &mut Bench<'_>,
    (volume, container, path): (&str, &ContainerRef, &str),
    mut archive: impl Read + Seek + Send + 'static,
) -> Result<(), Trouble> {
    let failed = |error: std::io::Error| Trouble(format!("the archive of {path} cannot be read: {error}"));
    let before = sqlite::look(&mut archive).map_err(failed)?;
    let now = look(bench, container, path).await?;
    archive.rewind().map_err(failed)?;
    bench.docker.unpack(&container.id, path, pieces(archive)).await?;
    // Changes that the new version left beside a database would be taken for its own.
    let stale = now.companions.into_iter().filter(|(name, _)| !before.companions.contains_key(name));
    let empty = sqlite::emptied(stale).map_err(failed)?;
    bench.docker.unpack(&container.id, path, std::iter::once(empty)).await?;
    // Others that run have the files of before open.
    for user in bench.docker.having("volume", volume).await?.iter().filter(|user| user.state.is_up()) {
        bench.docker.lifecycle(Verb::Restart, &user.id, None).await?;
    }
    Ok(())
}
