//! Delete: a model goes with the bytes that only it holds. What is in use, or what one would return to, goes only if that is
//! said twice.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::place::{Place, Server, only};
use super::promote::is_alias;
use super::versions::Names;
use crate::actions::{Action, Desk, Refusal, Wish, hex, ops};
use crate::domain::{ActionSpec, EngineKind, Item, ModelName, ModelOp, Op, Plan, Risk, Step, units};
use crate::engines::{HeldModel, Ollama};
use crate::host::{RootedFs, edit};

/// The word of the step that deletes.
const STEP: &str = "delete";

/// Manifests that are read at most: one with thousands of models is none of this box.
const MANIFESTS: usize = 4_000;

/// Deletes one model of Ollama.
pub(in crate::actions) struct Delete;

impl Action for Delete {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.delete")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            if wish.targets.len() > 1 {
                return Err(Refusal::new("data goes: models are deleted one by one"));
            }
            let Place { server, model } = only(desk, &wish.targets).await?;
            if server.kind != EngineKind::Ollama {
                return Err(Refusal::new(format!(
                    "{} does not delete models: remove the file that it serves",
                    server.word()
                )));
            }
            let names = Names::of(desk, &server).await?;
            let name = model.name.as_str();
            let Some(held) = names.model(name) else { return Err(Refusal::new(format!("{name} is gone"))) };
            let mut plan = super::begin(desk, self.spec(), wish, vec![server.lock(name)]).await?;
            plan.title = format!("Delete {name} at {}", server.word());
            // What another name holds stays where it is.
            let alone = names.others(&held.digest, name).next().is_none();
            let loaded = alone && Ollama::new(&desk.ports.http, server.origin).loaded().await?.contains(&held.digest);
            let against = against(desk, &server, name, loaded);
            let mut step = Step::new(
                STEP,
                format!("delete {name}"),
                Risk::Destructive,
                names.let_go(name, Some(&held.digest), None),
            );
            step.command = Some(format!("ollama rm {name}"));
            let (bytes, words) = freed(desk, &server, &names, held).await;
            step.bytes = bytes;
            let detail = format!("{}, {words}", ops::short(&held.digest));
            step.items.push(Item { name: name.to_owned(), detail, bytes, data: true });
            if loaded {
                let op = Op::Model(ModelOp::Unload { model: server.model(name) });
                let unload = Step::new("unload", format!("unload {name}"), Risk::Disruptive, op).optional(false);
                plan.steps.push(Step { follows: Some(STEP.to_owned()), ..unload });
            }
            if !against.is_empty() {
                let why = against.join(", and ");
                plan.warnings.push(format!("{name} {why}"));
                plan.kept.push(format!("{name} stays: it {why}. It goes only if the step is chosen: --with {STEP}"));
                step = step.optional(false);
            }
            plan.steps.push(step);
            plan.undo = match names.others(&held.digest, name).next() {
                Some(other) => format!("{other} is the same model: it can be copied from there"),
                None => "nothing brings it back: it can be pulled as long as its registry has it".to_owned(),
            };
            Ok(plan)
        })
    }
}

/// What speaks against it, a clause each.
fn against(desk: &Desk, server: &Server, name: &str, loaded: bool) -> Vec<String> {
    let of = name.parse::<ModelName>().ok().and_then(|name| name.previous_of()).map(|(of, _)| of.to_string());
    [
        loaded.then(|| "is in memory".to_owned()),
        is_alias(desk, server, name).then(|| "is a name that clients use, as the config says".to_owned()),
        of.map(|of| format!("is what {of} can be rolled back to")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Bytes that go with a name, and what is to be said of them: all that no other manifest of the same Ollama holds, where those
/// can be read.
async fn freed(desk: &Desk, server: &Server, names: &Names<'_>, held: &HeldModel) -> (Option<u64>, String) {
    if let Some(other) = names.others(&held.digest, &held.name).next() {
        return (Some(0), format!("frees nothing: {other} is the same model"));
    }
    let exact = async {
        let file = Ollama::new(&desk.ports.http, server.origin).modelfile(&held.name).await.ok()?;
        let root = folder(&file)?;
        // Of a container the path is one inside it.
        let inside = server.owner.as_ref().filter(|owner| owner.container.is_some());
        let root = inside.map_or_else(|| root.clone(), |owner| format!("/proc/{}/root{root}", owner.pid));
        let (fs, digest) = (desk.ports.fs.clone(), held.digest.clone());
        desk.blocking(move || alone(&manifests(&fs, &root)?, &digest)).await.ok().flatten()
    };
    match exact.await {
        Some(bytes) => (Some(bytes), format!("frees {}", units::bytes(bytes))),
        None => (
            Some(held.size_bytes),
            format!("frees at most {}: which layers others share cannot be read", units::bytes(held.size_bytes)),
        ),
    }
}

/// The folder of models that a model file's `FROM` shows: `FROM /root/.ollama/models/blobs/sha256-…`.
fn folder(modelfile: &str) -> Option<String> {
    let froms = modelfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    let mut folders = froms.filter_map(|from| from.trim().split_once("/blobs/sha256-").map(|(folder, _)| folder));
    folders.find(|folder| folder.starts_with('/') && !folder.split('/').any(|part| part == "..")).map(str::to_owned)
}

/// The layers of a manifest, each with its bytes, by digest.
type Layers = BTreeMap<String, u64>;

/// Every manifest below a folder of models (`manifests/HOST/NAMESPACE/MODEL/TAG`): the SHA-256 of each file, and its layers;
/// `None` where one cannot be read, so that nothing is certain.
fn manifests(fs: &RootedFs, root: &str) -> Option<Vec<(String, Layers)>> {
    let mut folders = vec![PathBuf::from(root).join("manifests")];
    for _ in 0..3 {
        let mut below = Vec::new();
        for folder in folders {
            below.extend(fs.list(&folder).ok()?.into_iter().map(|name| folder.join(name)));
        }
        folders = below;
    }
    let mut found = Vec::new();
    for folder in folders {
        for tag in fs.list(&folder).ok()? {
            if found.len() == MANIFESTS {
                return None;
            }
            let bytes = edit::whole(fs, &folder.join(tag)).ok()?;
            found.push((hex(&Sha256::digest(&bytes)), layers(&bytes)?));
        }
    }
    Some(found)
}

fn layers(manifest: &[u8]) -> Option<Layers> {
    #[derive(Deserialize)]
    struct Manifest {
        config: Layer,
        #[serde(default)]
        layers: Vec<Layer>,
    }
    #[derive(Deserialize)]
    struct Layer {
        digest: String,
        #[serde(default)]
        size: u64,
    }
    let manifest: Manifest = serde_json::from_slice(manifest).ok()?;
    let all = manifest.layers.into_iter().chain([manifest.config]);
    Some(all.map(|layer| (layer.digest, layer.size)).collect())
}

/// Bytes of the layers that only the manifest with this digest names.
fn alone(manifests: &[(String, Layers)], digest: &str) -> Option<u64> {
    let (_, mine) = manifests.iter().find(|(known, _)| known == digest)?;
    let others: Vec<&Layers> =
        manifests.iter().filter(|(known, _)| known != digest).map(|(_, layers)| layers).collect();
    let only_mine = mine.iter().filter(|(layer, _)| !others.iter().any(|other| other.contains_key(*layer)));
    Some(only_mine.map(|(_, bytes)| bytes).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_models_stands_in_the_model_file() {
        let folder = |text: &str| folder(text);
        assert_eq!(folder("# FROM x\nFROM /m/blobs/sha256-ab\nTEMPLATE \"\"").as_deref(), Some("/m"));
        assert_eq!(folder("FROM qwen3:latest"), None);
        assert_eq!(folder("FROM /a/../../etc/blobs/sha256-ab"), None);
    }

    #[test]
    fn layers_that_others_hold_stay() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, weights: &str| {
            let path = root.path().join("models/manifests/registry.ollama.ai/library").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = format!(
                r#"{{"config":{{"digest":"c-{weights}","size":7}},"layers":[{{"digest":"{weights}","size":1000}},{{"digest":"licence","size":50}}]}}"#
            );
            std::fs::write(&path, &text).unwrap();
            hex(&Sha256::digest(text.as_bytes()))
        };
        let (one, two) = (write("a/latest", "w1"), write("b/1", "w2"));
        let found = manifests(&RootedFs::new(root.path()), "/models").unwrap();
        assert_eq!(alone(&found, &one), Some(1007));
        assert_eq!(alone(&found, &two), Some(1007));
        assert_eq!(alone(&found, "another"), None);
        std::fs::write(root.path().join("models/manifests/registry.ollama.ai/library/b/2"), "{").unwrap();
        assert_eq!(manifests(&RootedFs::new(root.path()), "/models"), None);
    }
}
