//! Ollama's models: `manifests/<host>/<namespace>/<model>/<tag>` over `blobs/sha256-<digest>` (ollama: `manifest/paths.go`,
//! `manifest/manifest.go`, `types/model/name.go`).

use std::collections::{BTreeSet, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::files::{FileId, Met, left, note, problem, skip, walk};
use super::scan::{Draft, Scan, model};
use super::weights::{Group, short};
use crate::domain::{Leftovers, LibraryPlace, LibraryProblemKind, Reading, StoredModel, WeightsFormat, Why};
use crate::host::{FileFacts, FileKind, RootedFs, sha256};

/// The largest manifest, bytes; models that are stored tensor by tensor have thousands of layers.
const MOST_BYTES: u64 = 1 << 20;
/// The registry and the namespace that are left out of names.
const REGISTRY: &str = "registry.ollama.ai";
const NAMESPACE: &str = "library";

/// What a manifest says, or why it is none.
pub(super) type Manifest = Result<Arc<Layers>, String>;

/// The blobs of a model.
pub(super) struct Layers {
    /// The SHA-256 of the manifest's own bytes: what Ollama calls the digest of the model.
    digest: String,
    /// Its config first.
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    config: Option<Layer>,
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
}

impl Layer {
    /// The name of its file.
    fn blob(&self) -> String {
        self.digest.replacen(':', "-", 1)
    }

    fn is_weights(&self) -> bool {
        self.media_type == "application/vnd.ollama.image.model"
    }
}

/// The models of a folder of Ollama.
pub(super) fn models(scan: &mut Scan<'_>, root: &Path, place: &mut LibraryPlace) -> Vec<Draft> {
    let mut blobs = Blobs::of(scan, root, place);
    let folder = root.join("manifests");
    let manifests = if is_folder(scan.fs, &folder, place) {
        walk(scan.fs, &mut scan.files, place, &folder, &|_| true)
    } else {
        Vec::new()
    };
    let mut drafts = Vec::new();
    // A manifest that cannot be read may name any blob.
    let mut all_known = place.problems.iter().all(|it| it.kind == LibraryProblemKind::Skipped);
    for manifest in manifests {
        let Some(name) = name(&manifest.name) else {
            skip(place, &manifest.path, "it lies where no manifest lies");
            continue;
        };
        match said(scan, place, &manifest) {
            Some(said) => drafts.push(draft(scan, place, &mut blobs, &manifest, name, &said)),
            None => all_known = false,
        }
    }
    place.orphans = if all_known {
        Reading::Known(blobs.orphans())
    } else {
        Reading::Unavailable(Why::from("not every manifest can be read"))
    };
    drafts
}

/// What a manifest says; if that cannot be told, why not becomes a problem of the place.
fn said(scan: &mut Scan<'_>, place: &mut LibraryPlace, manifest: &Met) -> Option<Arc<Layers>> {
    let (path, fs) = (&manifest.path, scan.fs);
    if manifest.facts.kind != FileKind::File {
        skip(place, path, "it is a link, and is not followed");
        return None;
    }
    let mut unread = None;
    let said = scan.memory.manifests.get(path, &manifest.facts, || match read(fs, path) {
        Ok(said) => (said.map(Arc::new), true),
        Err(error) => {
            unread = Some(error);
            (Err(String::new()), false)
        }
    });
    match (said.as_ref(), unread) {
        (Ok(said), _) => return Some(said.clone()),
        (Err(_), Some(error)) => note(place, path, &error),
        (Err(why), None) => {
            let remedy = Some("pull the model again, or remove the file");
            problem(place, LibraryProblemKind::Broken, path, why.clone(), remedy);
        }
    }
    None
}

/// Whether there is this folder. A link in its place would lead out of it.
fn is_folder(fs: &RootedFs, path: &Path, place: &mut LibraryPlace) -> bool {
    match fs.facts(path) {
        Ok(facts) if facts.kind == FileKind::Folder => true,
        Ok(_) => {
            let what = "it is no folder; a link is not followed".to_owned();
            let remedy = Some("name the folder itself: in OLLAMA_MODELS, or under [models] in the config");
            problem(place, LibraryProblemKind::Broken, path, what, remedy);
            false
        }
        Err(error) => {
            note(place, path, &error);
            false
        }
    }
}

/// Reads a manifest; the inner result tells whether it is one.
fn read(fs: &RootedFs, path: &Path) -> std::io::Result<Result<Layers, String>> {
    let mut bytes = Vec::new();
    fs.open_unnoticed(path)?.0.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Ok(Err("it is larger than any manifest".to_owned()));
    }
    Ok(layers(&bytes))
}

fn layers(bytes: &[u8]) -> Result<Layers, String> {
    let raw: RawManifest = serde_json::from_slice(bytes).map_err(|_| "it is no manifest".to_owned())?;
    let layers: Vec<Layer> = raw.config.into_iter().chain(raw.layers).collect();
    // A digest becomes the name of a file.
    if layers.iter().any(|layer| !is_digest(&layer.digest)) {
        return Err("it names a blob by what is no digest".to_owned());
    }
    let digest = sha256(bytes);
    Ok(Layers { digest: digest.strip_prefix("sha256:").map(str::to_owned).unwrap_or(digest), layers })
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The name of the model whose manifest lies at this path: what is usual is left out of it.
fn name(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let [host, namespace, model, tag] = parts[..] else { return None };
    let is_hidden = |part: &&str| part.starts_with('.');
    if parts.iter().any(is_hidden) {
        return None;
    }
    Some(match (host, namespace) {
        (REGISTRY, NAMESPACE) => format!("{model}:{tag}"),
        (REGISTRY, _) => format!("{namespace}/{model}:{tag}"),
        _ => format!("{host}/{namespace}/{model}:{tag}"),
    })
}

fn draft(
    scan: &mut Scan<'_>,
    place: &mut LibraryPlace,
    blobs: &mut Blobs,
    manifest: &Met,
    name: String,
    said: &Layers,
) -> Draft {
    let mut stored = model(place, name, &manifest.path);
    stored.digest = Some(said.digest.clone());
    stored.modified = manifest.facts.modified;
    let names: BTreeSet<String> = said.layers.iter().map(Layer::blob).collect();
    stored.size_bytes = said.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size));
    stored.damage = said.layers.iter().find_map(|layer| blobs.fault(layer));
    let mut files: Vec<FileId> = names.iter().filter_map(|name| blobs.uses(name)).collect();
    files.push(manifest.facts.id);
    stored.blobs = names.into_iter().collect();
    weigh(scan, place, blobs, said, &mut stored);
    Draft { model: stored, files }
}

fn weigh(scan: &mut Scan<'_>, place: &mut LibraryPlace, blobs: &Blobs, said: &Layers, stored: &mut StoredModel) {
    let layers: Vec<&Layer> = said.layers.iter().filter(|layer| layer.is_weights()).collect();
    let weights: Option<Vec<_>> = layers.iter().map(|layer| blobs.files.get(&layer.blob()).cloned()).collect();
    let why = match weights {
        Some(weights) if !weights.is_empty() => {
            let format = WeightsFormat::Gguf;
            return scan.weigh(place, &Group::of(stored.name.clone(), format, weights), stored);
        }
        None => match &stored.damage {
            Some(damage) => Why::new(damage.clone()),
            None => Why::from("its blobs cannot be looked at"),
        },
        Some(_) if said.layers.iter().any(|layer| layer.media_type.ends_with(".tensor")) => {
            Why::from("it is stored tensor by tensor, which hostler does not read")
        }
        Some(_) => Why::from("its manifest names no weights: it runs elsewhere"),
    };
    stored.weights = Reading::Unavailable(why.clone());
    stored.last_used = Reading::Unavailable(why);
}

/// The blobs of a folder of Ollama.
struct Blobs {
    /// By name.
    files: HashMap<String, (PathBuf, FileFacts)>,
    /// They could be listed, so that one that is not here is nowhere.
    known: bool,
    /// Those that are links.
    links: BTreeSet<String>,
    used: BTreeSet<String>,
}

impl Blobs {
    fn of(scan: &mut Scan<'_>, root: &Path, place: &mut LibraryPlace) -> Self {
        let folder = root.join("blobs");
        let mut blobs = Self { files: HashMap::new(), known: false, links: BTreeSet::new(), used: BTreeSet::new() };
        if !is_folder(scan.fs, &folder, place) {
            return blobs;
        }
        let before = place.problems.len();
        let met = walk(scan.fs, &mut scan.files, place, &folder, &|_| true);
        blobs.known = place.problems.len() == before;
        for file in met {
            match file.facts.kind {
                FileKind::Link => {
                    skip(place, &file.path, "it is a link, and is not followed");
                    blobs.links.insert(file.name);
                }
                // Downloads are `sha256-…-partial`, and `…-partial-3` for each piece.
                _ if file.name.contains("-partial") => place.partial.add(file.left()),
                _ => drop(blobs.files.insert(file.name, (file.path, file.facts))),
            }
        }
        blobs
    }

    /// What is wrong with the blob of a layer.
    fn fault(&self, layer: &Layer) -> Option<String> {
        let name = layer.blob();
        let named = short(Path::new(&name));
        match self.files.get(&name) {
            Some((_, facts)) if facts.size_bytes != layer.size => {
                Some(format!("its blob {named} has {} bytes instead of {}", facts.size_bytes, layer.size))
            }
            Some(_) => None,
            None if !self.known || self.links.contains(&name) => None,
            None => Some(format!("its blob {named} is not there")),
        }
    }

    /// A model needs this blob.
    fn uses(&mut self, name: &str) -> Option<FileId> {
        let (_, facts) = self.files.get(name)?;
        self.used.insert(name.to_owned());
        Some(facts.id)
    }

    /// Blobs that no manifest names. Other files in the folder are not Ollama's to remove.
    fn orphans(&self) -> Leftovers {
        let mut orphans = Leftovers::default();
        let is_blob = |name: &str| is_digest(&name.replacen('-', ":", 1));
        let unused = self.files.iter().filter(|(name, _)| is_blob(name) && !self.used.contains(*name));
        unused.for_each(|(_, (path, facts))| orphans.add(left(path, facts)));
        orphans
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_leave_out_what_is_usual() {
        let cases = [
            ("registry.ollama.ai/library/qwen3/32b", Some("qwen3:32b")),
            ("registry.ollama.ai/ada/mine/latest", Some("ada/mine:latest")),
            ("hf.co/bartowski/x-GGUF/Q4_K_M", Some("hf.co/bartowski/x-GGUF:Q4_K_M")),
            ("registry.ollama.ai/library/qwen3", None),
            ("registry.ollama.ai/library/qwen3/.DS_Store", None),
            ("a/b/c/d/e", None),
        ];
        for (path, expected) in cases {
            assert_eq!(name(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_names_a_file_elsewhere_is_no_manifest() {
        let told =
            |digest: &str| layers(format!(r#"{{"layers":[{{"digest":"{digest}","size":1}}]}}"#).as_bytes()).err();
        assert_eq!(told(&format!("sha256:{}", "a".repeat(64))), None);
        for digest in ["sha256:../../../../etc/shadow", "", "sha256:", "sha512:aa", "/etc/shadow"] {
            assert_eq!(told(digest).as_deref(), Some("it names a blob by what is no digest"), "{digest}");
        }
        assert_eq!(layers(b"<html>").err().as_deref(), Some("it is no manifest"));
    }
}
