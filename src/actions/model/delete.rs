//! Delete: a model goes with the bytes that only it holds. What is in use, or what one would return to, goes only if that is
//! said twice.

use futures_util::future::LocalBoxFuture;

use super::place::{Place, Server, only};
use super::promote::is_alias;
use super::versions::Names;
use crate::actions::{Action, Desk, Refusal, Wish, ops};
use crate::domain::{ActionSpec, EngineKind, Item, ModelName, ModelOp, ModelStore, Op, Plan, Risk, Step, units};
use crate::engines::{HeldModel, Ollama};
use crate::sources::stored_models;

/// The word of the step that deletes.
const STEP: &str = "delete";

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
        let fs = desk.ports.fs.clone();
        let seen = desk.blocking(move || stored_models(&fs, &[(ModelStore::Ollama, root)], &[])).await.ok()?;
        // A manifest that cannot be read may name any layer.
        seen.places.first()?.orphans.known()?;
        let model = seen.models.iter().find(|model| model.digest.as_ref() == Some(&held.digest));
        model.map(|model| model.own_bytes)
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
}
