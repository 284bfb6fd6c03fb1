//! The cache of the Hugging Face hub: `models--org--name/{blobs,refs,snapshots/<commit>}`, where the files of a snapshot are
//! links to blobs (`huggingface_hub`: `docs/source/en/guides/manage-cache.md`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read as _;
use std::path::Path;

use super::files::{Met, is_plain, left, skip, walk, within};
use super::scan::{Draft, Scan, by_key, model};
use super::weights::{Group, groups, is_weights};
use crate::domain::{Leftovers, LibraryPlace, LibraryProblemKind, Reading, Why};
use crate::host::{FileKind, RootedFs};

/// How the folders of models begin; there are also those of data sets and spaces.
pub(super) const PREFIX: &str = "models--";

/// The models of a cache.
pub(super) fn models(scan: &mut Scan<'_>, root: &Path, place: &mut LibraryPlace) -> Vec<Draft> {
    let met = walk(scan.fs, &mut scan.files, place, root, &|_| true);
    if place.problems.iter().any(|problem| problem.kind == LibraryProblemKind::Denied) {
        place.orphans = Reading::Unavailable(Why::from("a part of it may not be read by this user"));
    }
    let of_repository = |met: Met| {
        let (folder, name) = met.name.split_once('/')?;
        let repository = folder.strip_prefix(PREFIX)?.replacen("--", "/", 1);
        Some(((folder.to_owned(), repository), Met { name: name.to_owned(), ..met }))
    };
    let mut drafts = Vec::new();
    for ((folder, name), met) in by_key(met.into_iter().filter_map(of_repository)) {
        drafts.extend(repository(scan, &root.join(folder), &name, place, met));
    }
    pieces(scan, root, place);
    drafts
}

/// Folders of pieces of files beside the cache, `xet/<server>/<folder>`, which only spare a second download; what is to be
/// uploaded (`staging`) is not among them (`huggingface_hub`: `docs/source/en/guides/manage-cache.md`).
const PIECES: &[&str] = &["chunk-cache", "chunk_cache", "shard-cache", "shard_cache"];

/// Counts the pieces that belong to a cache at its usual place.
fn pieces(scan: &mut Scan<'_>, root: &Path, place: &mut LibraryPlace) {
    let beside = root.parent().filter(|_| root.ends_with("hub")).map(|home| home.join("xet"));
    let Some(xet) = beside.filter(|xet| scan.fs.facts(xet).is_ok_and(|facts| facts.kind == FileKind::Folder)) else {
        return;
    };
    for file in walk(scan.fs, &mut scan.files, place, &xet, &|_| true) {
        let of_pieces = file.name.split('/').nth(1).is_some_and(|folder| PIECES.contains(&folder));
        if of_pieces && file.facts.kind == FileKind::File {
            place.pieces.add(file.left());
        }
    }
}

/// The models of one repository: one for each snapshot, or for each file of it that is a model by itself.
fn repository(scan: &mut Scan<'_>, folder: &Path, name: &str, place: &mut LibraryPlace, met: Vec<Met>) -> Vec<Draft> {
    let mut blobs = HashMap::new();
    let mut snapshots: BTreeMap<String, Vec<Met>> = BTreeMap::new();
    for file in met {
        if let Some(blob) = file.name.strip_prefix("blobs/") {
            if blob.ends_with(".incomplete") {
                place.partial.add(file.left());
            } else if file.facts.kind == FileKind::File {
                blobs.insert(file.path.clone(), file.facts);
            }
        } else if let Some((commit, name)) = file.name.strip_prefix("snapshots/").and_then(|rest| rest.split_once('/'))
        {
            let (commit, name) = (commit.to_owned(), name.to_owned());
            snapshots.entry(commit).or_default().push(Met { name, ..file });
        }
    }
    let current = current(scan.fs, folder).or_else(|| snapshots.keys().next_back().cloned());
    let (mut used, mut drafts) = (HashSet::new(), Vec::new());
    for (commit, links) in snapshots {
        let name =
            if Some(&commit) == current.as_ref() { name.to_owned() } else { format!("{name}@{}", short(&commit)) };
        let mut missing = Vec::new();
        let mut files = Vec::new();
        for link in links {
            match target(scan.fs, folder, &link) {
                Target::Itself => files.push(link),
                Target::Blob(path) => match blobs.get(&path) {
                    Some(facts) => {
                        used.insert(path.clone());
                        files.push(Met { name: link.name, path, facts: *facts });
                    }
                    None => missing.push(link.name),
                },
                Target::Away => skip(place, &link.path, "it is a link that leads to no blob of its repository"),
            }
        }
        let snapshot = folder.join("snapshots").join(&commit);
        drafts.extend(of_snapshot(scan, place, &snapshot, (&name, &commit), &missing, &files));
    }
    if let Reading::Known(orphans) = &mut place.orphans {
        let unused = blobs.iter().filter(|(path, _)| !used.contains(*path));
        unused.for_each(|(path, facts)| Leftovers::add(orphans, left(path, facts)));
    }
    drafts
}

/// The models of one snapshot.
fn of_snapshot(
    scan: &mut Scan<'_>,
    place: &mut LibraryPlace,
    snapshot: &Path,
    (name, commit): (&str, &str),
    missing: &[String],
    files: &[Met],
) -> Vec<Draft> {
    let groups = groups(files);
    if groups.is_empty() {
        // Without weights it is a model only if it should have some.
        let damaged = missing.iter().find(|name| is_weights(name)).map(|missing| {
            let damage = has_no_blob(missing);
            let mut stored = model(place, name.to_owned(), snapshot);
            stored.weights = Reading::Unavailable(Why::new(damage.clone()));
            stored.last_used = Reading::Unavailable(Why::from("it has no weights"));
            (stored.digest, stored.damage) = (Some(commit.to_owned()), Some(damage));
            Draft { model: stored, files: files.iter().map(|file| file.facts.id).collect() }
        });
        return damaged.into_iter().collect();
    }
    let single = groups.len() == 1;
    let draft = |group: &Group| {
        let name =
            if single { name.to_owned() } else { format!("{name}/{}", group.name).trim_end_matches('/').to_owned() };
        let mut stored = model(place, name, snapshot);
        stored.digest = Some(commit.to_owned());
        // Of several models in one repository a missing file harms the one that it belongs to.
        let stem = group.name.strip_suffix(".gguf").unwrap_or(&group.name);
        let harms = |name: &&String| if single { is_needed(name) } else { is_weights(name) && name.starts_with(stem) };
        stored.damage = missing.iter().find(harms).map(|name| has_no_blob(name));
        let belongs = |file: &&Met| single || group.weights.iter().any(|(path, _)| *path == file.path);
        let own: Vec<&Met> = files.iter().filter(belongs).collect();
        stored.size_bytes = own.iter().map(|file| file.facts.size_bytes).sum();
        let blob = |file: &&Met| file.path.file_name().map(|name| name.to_string_lossy().into_owned());
        stored.blobs = own.iter().filter_map(blob).collect();
        scan.weigh(place, group, &mut stored);
        Draft { model: stored, files: own.iter().map(|file| file.facts.id).collect() }
    };
    groups.iter().map(draft).collect()
}

fn has_no_blob(name: &str) -> String {
    format!("its file {name} has no blob")
}

/// Whether a model cannot be served without this file.
fn is_needed(name: &str) -> bool {
    is_weights(name) || [".json", ".model"].iter().any(|end| name.ends_with(end))
}

/// Where a file of a snapshot leads.
enum Target {
    /// It is a file itself: links could not be made there.
    Itself,
    /// To this blob of its repository.
    Blob(std::path::PathBuf),
    /// Somewhere else.
    Away,
}

fn target(fs: &RootedFs, folder: &Path, link: &Met) -> Target {
    if link.facts.kind == FileKind::File {
        return Target::Itself;
    }
    let blobs = folder.join("blobs");
    let target = fs.read_link(&link.path).ok();
    let path = target.and_then(|target| within(&blobs, link.path.parent()?, &target));
    path.map_or(Target::Away, Target::Blob)
}

/// The commit that the branch `main` stands for.
fn current(fs: &RootedFs, folder: &Path) -> Option<String> {
    let mut commit = String::new();
    fs.open_unnoticed(folder.join("refs/main")).ok()?.0.take(64).read_to_string(&mut commit).ok()?;
    Some(commit.trim().to_owned()).filter(|commit| is_plain(commit))
}

/// As much of a commit as people read.
fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
