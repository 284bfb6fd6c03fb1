//! One look at every place, put together.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::Path;

use procfs_core::process::MountInfo;

use super::files::{FileId, Files, note, problem, shown};
use super::memory::Memory;
use super::roots::Root;
use super::{LibrarySettings, folder, hugging_face, ollama, secrets};
use crate::domain::{
    Leftovers, LibraryPlace, LibraryProblemKind, LibrarySample, ModelStore, Naming, Reading, StoredModel, Why,
};
use crate::host::{FileFacts, FileKind, RootedFs};
use crate::sources::volumes;

/// What a look has at hand.
pub(super) struct Scan<'a> {
    pub(super) fs: &'a RootedFs,
    pub(super) settings: &'a LibrarySettings,
    pub(super) memory: &'a mut Memory,
    pub(super) files: Files,
    mounts: Vec<MountInfo>,
    /// Folders that are places of their own.
    places: HashSet<FileId>,
}

/// A model, and the files that it is made of.
pub(super) struct Draft {
    pub(super) model: StoredModel,
    pub(super) files: Vec<FileId>,
}

/// Looks at every place.
pub(super) fn scan(fs: &RootedFs, roots: &[Root], settings: &LibrarySettings, memory: &mut Memory) -> LibrarySample {
    memory.begin();
    let standing = standing(fs, roots);
    let places = standing.iter().filter_map(|(_, facts)| facts.as_ref().ok()).map(|facts| facts.id).collect();
    let mounts = volumes::mounts(fs).unwrap_or_default();
    let mut scan = Scan { fs, settings, memory, files: Files::default(), mounts, places };
    let (mut found, mut drafts) = (Vec::new(), Vec::new());
    for (root, facts) in standing {
        let mut place = scan.place(&root, facts.as_ref().ok());
        match facts {
            Ok(_) => drafts.extend(scan.models(&root, &mut place)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = format!("{}, and it is not there", root.because);
                problem(
                    &mut place,
                    LibraryProblemKind::Broken,
                    &root.path,
                    what,
                    Some("make it, or take it out of the config"),
                );
            }
            Err(error) => note(&mut place, &root.path, &error),
        }
        found.push(place);
    }
    let models = scan.finish(drafts);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    LibrarySample { models, places: found, reads_on: memory.headers_wait, files_read: memory.end() }
}

/// The roots that are there, or should be, each folder once.
fn standing(fs: &RootedFs, roots: &[Root]) -> Vec<(Root, io::Result<FileFacts>)> {
    let (mut ids, mut paths) = (HashSet::new(), HashSet::new());
    let mut standing = Vec::new();
    for root in roots {
        let facts = fs.facts_behind(&root.path).and_then(|facts| match facts.kind {
            // One that may not be listed is as good as none.
            FileKind::Folder => fs.entries(&root.path, 1).map(|_| facts),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        });
        let told = match &facts {
            Ok(facts) => ids.insert(facts.id),
            Err(error) => root.named || error.kind() == io::ErrorKind::PermissionDenied,
        };
        if told && paths.insert(root.path.clone()) {
            standing.push((Root { store: store_of(fs, root), ..root.clone() }, facts));
        }
    }
    // A store within a folder of models is a place of its own.
    standing.sort_by_key(|(root, _)| root.store == ModelStore::Folder);
    standing
}

/// How models are kept in a folder of which only the config knows.
fn store_of(fs: &RootedFs, root: &Root) -> ModelStore {
    let folder = |name: &str| fs.facts(root.path.join(name)).is_ok_and(|facts| facts.kind == FileKind::Folder);
    let of_hub = || {
        let entries = fs.entries(&root.path, 1000).unwrap_or_default();
        entries.iter().any(|(name, kind)| *kind == FileKind::Folder && name.starts_with(hugging_face::PREFIX))
    };
    match root.store {
        ModelStore::Folder if folder("manifests") && folder("blobs") => ModelStore::Ollama,
        ModelStore::Folder if of_hub() => ModelStore::HuggingFace,
        told => told,
    }
}

impl Scan<'_> {
    fn place(&self, root: &Root, facts: Option<&FileFacts>) -> LibraryPlace {
        let volume = facts.and_then(|facts| volumes::mounted(&self.mounts, &root.path, &facts.device()));
        LibraryPlace {
            path: shown(&root.path),
            store: root.store,
            because: root.because.clone(),
            volume: match volume {
                Some((_, point)) => Reading::Known(shown(point)),
                None => Reading::Unavailable(Why::from("the mount that it lies on is not known")),
            },
            total_bytes: 0,
            orphans: match root.store {
                ModelStore::Folder => Reading::Unavailable(Why::from("in a folder nothing tells what is needed")),
                _ => Reading::Known(Leftovers::default()),
            },
            partial: Leftovers::default(),
            pieces: Leftovers::default(),
            secrets: root.home.iter().flat_map(|home| secrets::secrets(self.fs, home)).collect(),
            problems: Vec::new(),
        }
    }

    fn models(&mut self, root: &Root, place: &mut LibraryPlace) -> Vec<Draft> {
        match root.store {
            ModelStore::Ollama => ollama::models(self, &root.path, place),
            ModelStore::HuggingFace => hugging_face::models(self, &root.path, place),
            ModelStore::Folder => folder::models(self, &root.path, place),
        }
    }

    /// Whether a folder is a place of its own.
    pub(super) fn is_place(&self, folder: &Path) -> bool {
        self.fs.facts(folder).is_ok_and(|facts| self.places.contains(&facts.id))
    }

    /// The mount that a file lies on.
    pub(super) fn mount(&self, path: &Path, facts: &FileFacts) -> Option<&MountInfo> {
        volumes::mounted(&self.mounts, path, &facts.device()).map(|(mount, _)| mount)
    }

    /// What can be said only when every place is known: whose bytes are whose, and what else has the same.
    fn finish(&mut self, mut drafts: Vec<Draft>) -> Vec<StoredModel> {
        for draft in &mut drafts {
            draft.files.sort_unstable();
            draft.files.dedup();
            self.files.used_by_one(&draft.files);
        }
        let finished = |Draft { mut model, files }| {
            model.own_bytes = self.files.own_bytes(&files);
            self.describe(&mut model);
            model
        };
        let mut models: Vec<StoredModel> = drafts.into_iter().map(finished).collect();
        tell_other_names(&mut models);
        models.sort_by(|a, b| (a.store, &a.name, &a.place).cmp(&(b.store, &b.name, &b.place)));
        models
    }

    /// What the name says by the convention, and the config of the model.
    fn describe(&self, model: &mut StoredModel) {
        // Names of the hub are given by others, and a link may be called by its use.
        let is_ours = model.store != ModelStore::HuggingFace && model.alias_of.is_none();
        let convention = self.settings.naming.as_ref().filter(|_| is_ours);
        model.naming = convention.map(|convention| convention.read(stem(&model.name)));
        let weights = model.weights.known();
        let says = |group: &str| match &model.naming {
            Some(Naming::Follows(groups)) => groups.get(group).cloned(),
            _ => None,
        };
        model.version = says("version").or_else(|| weights?.version.clone());
        model.family = weights.and_then(|weights| weights.architecture.clone()).or_else(|| says("family"));
        if let Some(tuned) = self.settings.tuned.get(&model.name) {
            model.tuned = Some(tuned.clone());
        }
    }
}

/// The name without folders and without the ending of its format.
fn stem(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.strip_suffix(".gguf").or_else(|| last.strip_suffix(".safetensors")).unwrap_or(last)
}

/// Tells each model under which other names its store has the same bytes.
fn tell_other_names(models: &mut [StoredModel]) {
    let same = |model: &StoredModel| {
        let digest = model.digest.clone().filter(|_| model.store == ModelStore::Ollama);
        (model.place.clone(), model.alias_of.clone().or(digest).unwrap_or_else(|| model.name.clone()))
    };
    let mut names: HashMap<_, BTreeSet<String>> = HashMap::new();
    for model in models.iter() {
        names.entry(same(model)).or_default().insert(model.name.clone());
    }
    for model in models {
        let all = names.get(&same(model)).into_iter().flatten();
        model.also_named = all.filter(|name| **name != model.name).cloned().collect();
    }
}

/// A model of which nothing is known but its name.
pub(super) fn model(place: &LibraryPlace, name: String, path: &Path) -> StoredModel {
    StoredModel {
        name,
        store: place.store,
        place: place.path.clone(),
        path: shown(path),
        weights: Reading::default(),
        family: None,
        version: None,
        size_bytes: 0,
        own_bytes: 0,
        digest: None,
        blobs: Vec::new(),
        modified: None,
        last_used: Reading::default(),
        alias_of: None,
        also_named: Vec::new(),
        naming: None,
        tuned: None,
        damage: None,
    }
}

/// Files by a key, in the order of the keys.
pub(super) fn by_key<K: Ord, T>(things: impl IntoIterator<Item = (K, T)>) -> BTreeMap<K, Vec<T>> {
    let mut grouped: BTreeMap<K, Vec<T>> = BTreeMap::new();
    for (key, thing) in things {
        grouped.entry(key).or_default().push(thing);
    }
    grouped
}
