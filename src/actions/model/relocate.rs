//! Move: a file or a folder of a model goes to another volume. It is copied and verified, a link takes its old place, and only
//! then its old bytes go: who knows the old path finds it under the same name.

use std::path::{Path, PathBuf};

use futures_util::future::LocalBoxFuture;

use super::link::whole;
use super::prune::stores;
use crate::actions::{Action, Desk, Refusal, Wish};
use crate::domain::{
    ActionSpec, Container, FilePlace, Item, LibraryPlace, ModelOp, ModelStore, Op, Plan, Risk, Step, units,
};
use crate::host::{FileKind, RootedFs, process, statvfs, transfer};

/// Moves one file or folder.
pub(in crate::actions) struct Move;

impl Action for Move {
    fn spec(&self) -> &'static ActionSpec {
        crate::actions::spec("model.move")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let ([target], Some(folder)) = (wish.targets.as_slice(), &wish.to) else {
                return Err(Refusal::new(
                    "name the one file or folder of a model, and with --to the folder it moves to",
                ));
            };
            if !target.starts_with('/') {
                return Err(Refusal::new(format!(
                    "`{target}` is no path: name the file or folder itself; what Ollama holds moves as a whole ({})",
                    how(ModelStore::Ollama)
                )));
            }
            let (from, folder) = (whole(target)?, whole(folder)?);
            let to = folder.join(from.file_name().unwrap_or_default());
            let (places, containers) = stores(desk).await?;
            of_no_store(&from, &places)?;
            seen_by_all(&containers, &from, &to)?;
            let locks = vec![format!("model{}", from.display()), format!("model{}", to.display())];
            let mut plan = super::begin(desk, self.spec(), wish, locks).await?;
            plan.title = format!("Move {} to {}", from.display(), folder.display());
            let (fs, look) = (desk.ports.fs.clone(), (from.clone(), to.clone()));
            let Looked { bytes, open } = desk.blocking(move || looked(&fs, &look.0, &look.1)).await??;
            plan.steps = steps(&from, &to, bytes);
            if open {
                plan.warnings.push(
                    "a process has it open: the old bytes are free only when that is restarted, until then it works on"
                        .to_owned(),
                );
            }
            if !desk.model_folders.iter().any(|known| folder.starts_with(known)) {
                plan.warnings.push(format!(
                    "the library shows it no more until [models] folders in the config names {}",
                    folder.display()
                ));
            }
            plan.rolls_back = true;
            plan.undo = "copies it back, verified, and removes the copy".into();
            plan.verdict = Some(format!("{} lies in {}", from.display(), folder.display()));
            plan.downtime = Some("none: the old path leads to it at every moment".to_owned());
            Ok(plan)
        })
    }
}

/// How a store moves as a whole.
fn how(store: ModelStore) -> &'static str {
    match store {
        ModelStore::Ollama => "stop Ollama, copy its folder, and set OLLAMA_MODELS",
        ModelStore::HuggingFace => "stop what uses it, copy its folder, and set HF_HOME",
        ModelStore::Folder => "move its files",
    }
}

/// # Errors
/// When the path lies in a store that knows its files by name, or holds one.
fn of_no_store(from: &Path, places: &[LibraryPlace]) -> Result<(), Refusal> {
    let holds = |place: &&LibraryPlace| from.starts_with(&place.path) || Path::new(&place.path).starts_with(from);
    places.iter().find(holds).map_or(Ok(()), |place| {
        let (store, path, how) = (place.store.title(), &place.path, how(place.store));
        Err(Refusal::new(format!("{path} is a store of {store}, which moves as a whole: {how}")))
    })
}

/// # Errors
/// When a container mounts the old place and would not find the new one under its path.
fn seen_by_all(containers: &[Container], from: &Path, to: &Path) -> Result<(), Refusal> {
    for container in containers {
        let sees =
            container.mounts.iter().any(|mount| from != Path::new(&mount.source) && from.starts_with(&mount.source));
        // What the link says must be so inside, too.
        let same = |path: &str| to.starts_with(path);
        let finds = container.mounts.iter().any(|mount| same(&mount.source) && mount.source == mount.destination);
        if sees && !finds {
            let (name, folder) = (&container.name, to.parent().unwrap_or(to).display());
            return Err(Refusal::new(format!(
                "{name} mounts it and would not find it again: mount {folder} in it under the same path first"
            )));
        }
    }
    Ok(())
}

/// What a look at both places gave.
struct Looked {
    bytes: u64,
    /// A process has it open.
    open: bool,
}

fn looked(fs: &RootedFs, from: &Path, to: &Path) -> Result<Looked, Refusal> {
    let refuse = |why: String| Err(Refusal::new(why));
    let (old, folder) = (from.parent().unwrap_or(Path::new("/")), to.parent().unwrap_or(Path::new("/")));
    let unread = |path: &Path| {
        let shown = path.display().to_string();
        move |error: std::io::Error| Refusal::new(format!("{shown}: {error}"))
    };
    if fs.facts(from).map_err(unread(from))?.kind == FileKind::Link {
        return refuse(format!("{} is a link: name what it leads to", from.display()));
    }
    if fs.facts_behind(folder).map_err(unread(folder))?.kind != FileKind::Folder {
        return refuse(format!("{} is no folder", folder.display()));
    }
    if to.starts_with(from) || fs.facts(to).is_ok() {
        return refuse(format!("{} is there already, or lies in what moves", to.display()));
    }
    if let Some(closed) = [old, folder].into_iter().find(|folder| !fs.may_change(folder)) {
        return refuse(format!("this user may not change {}: run as root", closed.display()));
    }
    let pieces = transfer::pieces(fs, from).map_err(unread(from))?;
    for link in pieces.iter().filter(|piece| piece.facts.kind == FileKind::Link) {
        let path = from.join(&link.name);
        let target = fs.read_link(&path).map_err(unread(&path))?;
        if target.is_relative() && leads_out(&link.name, &target) {
            return refuse(format!("{} leads out of what moves, and would lead nowhere", path.display()));
        }
    }
    let bytes = pieces.iter().map(|piece| piece.facts.size_bytes).sum();
    let free = statvfs(fs, folder).map_err(unread(folder))?.free_bytes;
    if free <= bytes {
        let (bytes, free) = (units::bytes(bytes), units::bytes(free));
        return refuse(format!("{} has no room: {bytes} are needed, {free} are free", folder.display()));
    }
    let held = process::open_files(fs);
    Ok(Looked { bytes, open: pieces.iter().any(|piece| held.contains(&piece.facts.id)) })
}

/// Whether a relative link, at this path below what moves, leads out of that.
fn leads_out(name: &Path, target: &Path) -> bool {
    let mut depth = name.components().count().saturating_sub(1);
    for part in target.components() {
        match part {
            std::path::Component::ParentDir if depth == 0 => return true,
            std::path::Component::ParentDir => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

fn steps(from: &Path, to: &Path, bytes: u64) -> Vec<Step> {
    let text = |path: &Path| path.display().to_string();
    let aside: PathBuf = transfer::aside(from);
    let copy = |from: &Path, to: &Path| Op::Model(ModelOp::CopyFiles { from: text(from), to: text(to) });
    let remove = |path: &Path, beside: &Path| Op::Model(ModelOp::RemoveCopy { path: text(path), beside: text(beside) });
    let link = |place: FilePlace| Op::Model(ModelOp::PlaceLink { path: text(from), to: text(to), bytes: place });
    let (old, new) = (from.display(), to.display());
    let mut copied = Step::new("copy", format!("copy {old} to {new}, and verify it"), Risk::Safe, copy(from, to));
    copied.items.push(Item { name: text(from), detail: units::bytes(bytes), ..Item::default() });
    let title = format!("put a link to {new} in the place of {old}");
    let switch = Step::new("switch", title, Risk::Disruptive, link(FilePlace::Elsewhere));
    let freed = Step::new("remove", format!("remove the old bytes of {old}"), Risk::Disruptive, remove(&aside, to));
    let freed = Step { bytes: Some(bytes), ..freed };
    vec![copied.undone_by(remove(to, from)), switch.undone_by(link(FilePlace::Here)), freed.undone_by(copy(to, &aside))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_seen() {
        let out = |name: &str, target: &str| leads_out(Path::new(name), Path::new(target));
        assert!(out("l", "../other") && out("a/l", "../../other") && out("a/l", "x/../../../m/y"));
        assert!(!out("l", "w") && !out("a/l", "../w") && !out("a/b/l", "../../a/w"));
    }
}
