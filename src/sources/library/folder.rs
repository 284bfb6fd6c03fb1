//! A folder of files: GGUF files, folders of safetensors, and links that give one of them another name.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::files::{FileId, Met, problem, shown, skip, walk, within};
use super::scan::{Draft, Scan, model};
use super::tuned;
use super::weights::{Group, groups, is_weights};
use crate::domain::{LibraryPlace, LibraryProblemKind, StoredModel};
use crate::host::{FileKind, RootedFs};

/// Links that may lead on to links.
const MOST_HOPS: usize = 8;

/// How names of downloads end that are not finished: of browsers, `wget`, `aria2c`, `curl` scripts, Hugging Face's programs.
const PARTIAL: &[&str] = &[".part", ".partial", ".incomplete", ".aria2", ".crdownload", ".download"];

/// The models of a folder.
pub(super) fn models(scan: &mut Scan<'_>, root: &Path, place: &mut LibraryPlace) -> Vec<Draft> {
    let fs = scan.fs;
    let met = {
        let mut files = std::mem::take(&mut scan.files);
        let met = walk(fs, &mut files, place, root, &|folder| !scan.is_place(folder));
        scan.files = files;
        met
    };
    for file in met.iter().filter(|file| PARTIAL.iter().any(|end| file.name.ends_with(end))) {
        place.partial.add(file.left());
    }
    let mut drafts: Vec<(PathBuf, Draft)> =
        groups(&met).iter().filter_map(|group| draft(scan, root, place, group, &met)).collect();
    let links = links(scan, root, place, &met, &drafts);
    drafts.extend(links);
    drafts.into_iter().map(|(_, draft)| draft).collect()
}

/// One model, with the path by which a link can mean it.
fn draft(
    scan: &mut Scan<'_>,
    root: &Path,
    place: &mut LibraryPlace,
    group: &Group,
    met: &[Met],
) -> Option<(PathBuf, Draft)> {
    let (first, _) = group.weights.first()?;
    let path = if group.folder { root.join(&group.name) } else { first.clone() };
    let name = if group.name.is_empty() { shown(Path::new(root.file_name()?)) } else { group.name.clone() };
    let mut stored = model(place, name, &path);
    let beside = |file: &&Met| file.facts.kind == FileKind::File && file.parent() == group.name;
    let all: Vec<(FileId, u64)> = if group.folder {
        met.iter().filter(beside).map(|file| (file.facts.id, file.facts.size_bytes)).collect()
    } else {
        group.weights.iter().map(|(_, facts)| (facts.id, facts.size_bytes)).collect()
    };
    stored.size_bytes = all.iter().map(|(_, bytes)| bytes).sum();
    scan.weigh(place, group, &mut stored);
    match tuned::read(scan.fs, scan.memory, &path, scan.settings.retrain_days) {
        Ok(told) => stored.tuned = told,
        Err(why) => {
            let remedy = Some("allowed: base, trained_at, corpus, retrain_days");
            problem(place, LibraryProblemKind::Broken, &tuned::beside(&path), why, remedy);
        }
    }
    Some((path, Draft { model: stored, files: all.into_iter().map(|(id, _)| id).collect() }))
}

/// Links that give a model another name.
fn links(
    scan: &Scan<'_>,
    root: &Path,
    place: &mut LibraryPlace,
    met: &[Met],
    drafts: &[(PathBuf, Draft)],
) -> Vec<(PathBuf, Draft)> {
    let models: HashMap<&Path, &StoredModel> =
        drafts.iter().map(|(path, draft)| (path.as_path(), &draft.model)).collect();
    let links: HashMap<&Path, &Met> =
        met.iter().filter(|file| file.facts.kind == FileKind::Link).map(|link| (link.path.as_path(), link)).collect();
    let remedy = Some("remove it, or let it lead to a model");
    let mut aliases = Vec::new();
    for link in met.iter().filter(|file| links.contains_key(file.path.as_path())) {
        let broken = match leads_to(scan.fs, root, link, &links) {
            Lead::Away => {
                skip(place, &link.path, "it is a link out of this folder, and is not followed");
                continue;
            }
            Lead::Round => "it is a link that leads round in a loop",
            Lead::To(path) => match models.get(path.as_path()) {
                Some(target) => {
                    aliases.push((link.path.clone(), Draft { model: alias(target, link), files: Vec::new() }));
                    continue;
                }
                None if is_weights(&link.name) => "it is a link to no model of this folder",
                None => continue,
            },
        };
        problem(place, LibraryProblemKind::Broken, &link.path, broken.to_owned(), remedy);
    }
    aliases
}

/// Where a link leads in the end.
enum Lead {
    /// Out of the folder.
    Away,
    /// Back to itself, or on and on.
    Round,
    /// Here.
    To(PathBuf),
}

fn leads_to(fs: &RootedFs, root: &Path, link: &Met, links: &HashMap<&Path, &Met>) -> Lead {
    let mut path = link.path.clone();
    for _ in 0..MOST_HOPS {
        let target = fs.read_link(&path).ok();
        match target.and_then(|target| within(root, path.parent()?, &target)) {
            Some(next) => path = next,
            None => return Lead::Away,
        }
        if !links.contains_key(path.as_path()) {
            return Lead::To(path);
        }
    }
    Lead::Round
}

/// The same model by the name of a link: without the link it would still be there.
fn alias(target: &StoredModel, link: &Met) -> StoredModel {
    StoredModel {
        name: link.name.clone(),
        path: shown(&link.path),
        modified: link.facts.modified,
        alias_of: Some(target.name.clone()),
        ..target.clone()
    }
}
