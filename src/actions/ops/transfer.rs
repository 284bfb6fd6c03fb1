//! Files of models that move: a copy with its progress, the link in the old place, the removal of what is there twice.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;

use super::{Done, Trouble, changed, tell};
use crate::actions::Desk;
use crate::domain::{FilePlace, RunEntry};
use crate::history::RunFile;
use crate::host::RootedFs;
use crate::host::transfer::{self, Transfer};

/// How long 64 MiB may take to reach a disk.
const STRETCH_PATIENCE: Duration = Duration::from_mins(10);

/// Copies and verifies a file or a folder.
pub(super) async fn copy(desk: &Desk, file: &mut RunFile, from: &str, to: &str) -> Result<Done, Trouble> {
    let (fs, old, new) = (desk.ports.fs.clone(), PathBuf::from(from), PathBuf::from(to));
    let failed = |error: io::Error| Trouble(format!("{from} was not copied to {to}: {error}"));
    let mut reader = desk.ports.volumes.reader(|| None::<Transfer>);
    loop {
        let (fs, old, new) = (fs.clone(), old.clone(), new.clone());
        let step = move |state: &mut Option<Transfer>| -> io::Result<(bool, u64, u64)> {
            let mut transfer = match state.take() {
                Some(transfer) => transfer,
                None if is_there(&fs, &old, &new)? => return Ok((true, 0, 0)),
                None => Transfer::begin(&fs, &old, &new)?,
            };
            let all = transfer.advance()?;
            let (done, total) = (transfer.done, transfer.total);
            *state = Some(transfer);
            Ok((all, done, total))
        };
        let stepped = timeout(STRETCH_PATIENCE, reader.read(step)).await;
        let stepped =
            stepped.map_err(|_| Trouble(format!("{from} was not copied: the file system does not answer")))?;
        let (all, done, total) = stepped.map_err(|error| Trouble(error.to_string()))?.map_err(failed)?;
        if all {
            return Ok(Done::default());
        }
        tell(desk, file, RunEntry::Progress { text: format!("copying and verifying {from}"), done, total });
    }
}

/// Whether the copy is there, whole. What is left of one that was being removed is removed.
fn is_there(fs: &RootedFs, from: &Path, to: &Path) -> io::Result<bool> {
    if fs.facts(to).is_err() {
        return Ok(false);
    }
    if !transfer::is_held(fs, to, from)? {
        return Err(io::Error::other("something else is there"));
    }
    if transfer::is_held(fs, from, to)? {
        return Ok(true);
    }
    transfer::remove(fs, to, from).map(|_| false)
}

/// Removes a copy where the same stands beside.
pub(super) async fn remove(desk: &Desk, path: &str, beside: &str) -> Result<Done, Trouble> {
    let (fs, place, other) = (desk.ports.fs.clone(), PathBuf::from(path), PathBuf::from(beside));
    let removed = desk.blocking(move || transfer::remove(&fs, &place, &other)).await?;
    let freed = removed.map_err(|error| changed(&format!("{path} stays: {error}")))?;
    Ok(Done { freed: Some(freed), ..Done::default() })
}

/// Lets a path lead to the copy, or gives it its own bytes again.
pub(super) async fn place(desk: &Desk, path: &str, to: &str, bytes: FilePlace) -> Result<Done, Trouble> {
    let (fs, place, target) = (desk.ports.fs.clone(), PathBuf::from(path), PathBuf::from(to));
    let placed = desk.blocking(move || match bytes {
        FilePlace::Elsewhere => transfer::put_link(&fs, &place, &target),
        FilePlace::Here => transfer::take_link(&fs, &place, &target),
    });
    placed.await?.map_err(|error| Trouble(format!("{path} was not switched: {error}")))?;
    Ok(Done::default())
}
