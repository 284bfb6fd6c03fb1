//! Files of this host that a container sees: by which path, and which models are among them.

use std::path::{Path, PathBuf};

use super::argument::Takes;
use crate::actions::target::{Target, env};
use crate::actions::{Desk, Refusal};
use crate::domain::{Container, EngineKind, LibrarySample, ModelStore};
use crate::sources::stored_models;

/// The path on this host of what a container has at `path`; `None` for what lies in the container itself.
pub(super) fn outside(container: &Container, path: &Path) -> Option<PathBuf> {
    let behind = |mount: &crate::domain::ContainerMount| {
        let rest = path.strip_prefix(&mount.destination).ok()?;
        Some((mount.destination.len(), joined(&mount.source, rest)))
    };
    container.mounts.iter().filter_map(behind).max_by_key(|(length, _)| *length).map(|(_, path)| path)
}

/// The path by which a container knows a file of this host; `None` where it does not see it.
pub(super) fn inside(container: &Container, path: &Path) -> Option<PathBuf> {
    let before = |mount: &crate::domain::ContainerMount| {
        let rest = path.strip_prefix(&mount.source).ok()?;
        Some((mount.source.len(), joined(&mount.destination, rest)))
    };
    container.mounts.iter().filter_map(before).max_by_key(|(length, _)| *length).map(|(_, path)| path)
}

/// Joined to nothing, a path would end with a slash.
fn joined(folder: &str, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { PathBuf::from(folder) } else { Path::new(folder).join(rest) }
}

/// The models that a server in a container sees, as far as they lie on this host: those beside its present one, and those in
/// the cache of Hugging Face.
///
/// # Errors
/// When the file system does not answer.
pub(super) async fn models(
    desk: &Desk,
    (kind, target): (EngineKind, &Target),
    (present, takes): (&str, Takes),
) -> Result<LibrarySample, Refusal> {
    if !desk.docker().await?.is_local() {
        return Ok(LibrarySample::default());
    }
    let container = &target.container;
    let mut stores = Vec::new();
    if takes != Takes::File {
        let hub = outside(container, &hub(kind, target)).into_iter();
        stores.extend(hub.map(|path| (ModelStore::HuggingFace, path)));
    }
    let present = Path::new(present);
    if present.is_absolute() {
        let folder = present.parent().and_then(|folder| outside(container, folder));
        stores.extend(folder.map(|path| (ModelStore::Folder, path)));
    }
    let (fs, mounts) = (desk.ports.fs.clone(), vec![container.clone()]);
    let stores = stores.into_iter().map(|(store, path)| (store, path.to_string_lossy().into_owned()));
    let stores: Vec<(ModelStore, String)> = stores.collect();
    let mounts = if takes == Takes::File { Vec::new() } else { mounts };
    Ok(desk.blocking(move || stored_models(&fs, &stores, &mounts)).await?)
}

/// The cache of Hugging Face as the container knows it (`huggingface_hub`: `constants.py`; TGI's image sets `/data`).
fn hub(kind: EngineKind, target: &Target) -> PathBuf {
    let variables = env(&target.raw);
    let set = |name: &str| {
        let value = variables.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.filter(|value| value.starts_with('/')).map(Path::new)
    };
    let named = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].into_iter().find_map(set).map(Path::to_owned);
    let home = || set("HF_HOME").map(|home| home.join("hub"));
    named.or_else(home).unwrap_or_else(|| match kind {
        EngineKind::Tgi => PathBuf::from("/data"),
        _ => set("HOME").unwrap_or(Path::new("/root")).join(".cache/huggingface/hub"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ContainerMount;
    use crate::make;

    #[test]
    fn a_path_is_told_from_both_sides() {
        let mount = |source: &str, destination: &str| ContainerMount {
            source: source.to_owned(),
            destination: destination.to_owned(),
        };
        let container = make::container("llm")
            .with(|it| it.mounts = vec![mount("/srv/models", "/models"), mount("/srv/models/new", "/models/next")])
            .0;
        let out = |path: &str| outside(&container, Path::new(path)).map(|it| it.display().to_string());
        let into = |path: &str| inside(&container, Path::new(path)).map(|it| it.display().to_string());
        assert_eq!(out("/models/a.gguf").as_deref(), Some("/srv/models/a.gguf"));
        assert_eq!(out("/models/next/b.gguf").as_deref(), Some("/srv/models/new/b.gguf"));
        assert_eq!((out("/models").as_deref(), out("/etc/passwd")), (Some("/srv/models"), None));
        assert_eq!(into("/srv/models/new/b.gguf").as_deref(), Some("/models/next/b.gguf"));
        assert_eq!(into("/srv/model"), None);
    }
}
