//! Leftovers of stores of models: which of them may go, and how they go. What a plan lists is looked at anew before it is
//! removed.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use super::{Done, Trouble};
use crate::actions::Desk;
use crate::domain::{Leftover, LibraryPlace, ModelStore, units};
use crate::host::{RootedFs, edit, process};
use crate::sources;

/// What may go from a store.
#[derive(Default)]
pub(in crate::actions) struct Going {
    /// Blobs that no manifest and no snapshot names.
    pub(in crate::actions) orphans: Vec<Leftover>,
    /// Downloads that were not finished.
    pub(in crate::actions) partial: Vec<Leftover>,
    /// Pieces of files that only spare a second download.
    pub(in crate::actions) pieces: Vec<Leftover>,
    /// What stays, and why, a clause each.
    pub(in crate::actions) stays: Vec<String>,
}

impl Going {
    /// All of it.
    pub(in crate::actions) fn all(&self) -> impl Iterator<Item = &Leftover> {
        self.orphans.iter().chain(&self.partial).chain(&self.pieces)
    }
}

/// Tells what may go at this time: what nobody needs, has written to since a day, or has open as far as this user may see.
pub(in crate::actions) fn going(fs: &RootedFs, place: &LibraryPlace, now: Timestamp) -> Going {
    let mut going = Going::default();
    let open = process::open_files(fs);
    let mut sort = |files: &[Leftover], what: &str| {
        let (free, held): (Vec<Leftover>, Vec<Leftover>) =
            files.iter().cloned().partition(|file| file.is_settled(now) && !open.contains(&file.id));
        if let Some(first) = held.first() {
            let bytes = units::bytes(held.iter().map(|file| file.bytes).sum());
            let count = held.len();
            let why = "written to within a day, or open";
            going.stays.push(format!("{count} {what} in {}, {bytes}: {why} (such as {})", place.path, first.path));
        }
        free
    };
    let partial = sort(&place.partial.files, "unfinished downloads");
    let pieces = sort(&place.pieces.files, "pieces of files");
    let orphans = match place.orphans.known() {
        Some(orphans) => sort(&orphans.files, "blobs that no model names"),
        None => Vec::new(),
    };
    if let (Some(why), ModelStore::Ollama | ModelStore::HuggingFace) = (place.orphans.why(), place.store) {
        going.stays.push(format!("blobs in {} that no model may need: {why}", place.path));
    }
    Going { orphans, partial, pieces, ..going }
}

/// Removes those of `files` that may go still.
pub(super) async fn remove(desk: &Desk, store: ModelStore, path: &str, files: &[String]) -> Result<Done, Trouble> {
    let (fs, now, place) = (desk.ports.fs.clone(), desk.ports.clock.now().wall, path.to_owned());
    let wanted: HashSet<String> = files.iter().cloned().collect();
    Ok(desk.blocking(move || removed(&fs, now, store, &place, &wanted)).await?)
}

fn removed(fs: &RootedFs, now: Timestamp, store: ModelStore, path: &str, wanted: &HashSet<String>) -> Done {
    let Some(place) = sources::model_store(fs, store, path) else { return Done::default() };
    let going = going(fs, &place, now);
    let (mut freed, mut stayed) = (0, Vec::new());
    let may_go: Vec<&Leftover> = going.all().collect();
    for file in may_go.iter().filter(|file| wanted.contains(&file.path)) {
        match edit::remove(fs, Path::new(&file.path)) {
            Ok(()) => freed += file.bytes,
            Err(error) => stayed.push(format!("{}, because of this: {error}", file.path)),
        }
    }
    let is_there = |path: &&String| fs.facts(path).is_ok();
    let kept = wanted.iter().filter(|path| !may_go.iter().any(|file| file.path == **path)).filter(is_there);
    stayed.extend(kept.map(|path| format!("{path}, which is needed or in use now")));
    Done { text: String::new(), freed: Some(freed), stayed }
}
