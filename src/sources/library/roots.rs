//! Where models are looked for: by the environment, by the habits of programs, in what containers mount, and by the config.

use std::path::{Path, PathBuf};

use crate::domain::{Container, DockerSample, ModelStore};
use crate::host::ModelHomes;

/// A folder that may hold models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Its path, as on the machine.
    pub(super) path: PathBuf,
    /// How models are kept there.
    pub(super) store: ModelStore,
    /// Why it is looked at, as a clause.
    pub(super) because: String,
    /// It is known to be there, so that it is a problem if it is not.
    pub(super) named: bool,
    /// The folder above, where the store keeps its tokens.
    pub(super) home: Option<PathBuf>,
}

/// Homes of the user that Ollama's packages make for its service.
const OLLAMA_SERVICES: &[&str] =
    &["/usr/share/ollama/.ollama/models", "/var/lib/ollama/.ollama/models", "/var/lib/ollama/models"];

/// The containers whose mounts lie on this machine: what an engine elsewhere mounts lies elsewhere.
pub(super) fn here(docker: Option<&DockerSample>) -> Vec<Container> {
    let here = docker.filter(|docker| docker.engine.endpoint.starts_with("unix:"));
    here.map(|docker| docker.containers.iter().map(|container| (**container).clone()).collect()).unwrap_or_default()
}

/// Every folder, those that are told most precisely first.
pub(super) fn roots(homes: &ModelHomes, folders: &[String], containers: &[Container]) -> Vec<Root> {
    let mut roots = ollama(homes);
    roots.extend(hugging_face(homes));
    roots.extend(containers.iter().flat_map(of_container));
    roots.extend(
        folders
            .iter()
            .map(|folder| Root { named: true, ..root(Path::new(folder), ModelStore::Folder, "the config names it") }),
    );
    roots
}

/// A store that was found before.
pub(super) fn known(path: &str, store: ModelStore) -> Root {
    root(path, store, "it was found before")
}

fn root(path: impl Into<PathBuf>, store: ModelStore, because: impl Into<String>) -> Root {
    Root { path: path.into(), store, because: because.into(), named: false, home: None }
}

fn ollama(homes: &ModelHomes) -> Vec<Root> {
    let named = homes.ollama_models.iter().map(|path| root(path, ModelStore::Ollama, "OLLAMA_MODELS names it"));
    let own = homes.below_home(".ollama/models").map(|path| root(path, ModelStore::Ollama, "it is Ollama's default"));
    let services =
        OLLAMA_SERVICES.iter().map(|path| root(*path, ModelStore::Ollama, "Ollama's service keeps them there"));
    named.chain(own).chain(services).collect()
}

fn hugging_face(homes: &ModelHomes) -> Vec<Root> {
    let named = homes.hub_cache.iter().map(|path| root(path, ModelStore::HuggingFace, "HF_HUB_CACHE names it"));
    let hub = homes.hugging_face.iter().map(|home| Root {
        home: Some(home.clone()),
        ..root(home.join("hub"), ModelStore::HuggingFace, "it is the default of Hugging Face's programs")
    });
    named.chain(hub).collect()
}

/// What a container mounts where such programs keep models.
pub(super) fn of_container(container: &Container) -> impl Iterator<Item = Root> {
    let is_tgi = container.image.contains("text-generation-inference");
    container.mounts.iter().filter_map(move |mount| {
        let (source, destination) = (Path::new(&mount.source), Path::new(&mount.destination));
        let because = format!("the container {} has it at {}", container.name, mount.destination);
        let place = |path: PathBuf, store| Some(root(path, store, because.clone()));
        if destination.ends_with(".ollama") {
            place(source.join("models"), ModelStore::Ollama)
        } else if destination.ends_with(".ollama/models") {
            place(source.to_owned(), ModelStore::Ollama)
        } else if destination.ends_with(".cache/huggingface") {
            let hub = place(source.join("hub"), ModelStore::HuggingFace);
            hub.map(|hub| Root { home: Some(source.to_owned()), ..hub })
        } else if destination.ends_with("huggingface/hub") || (is_tgi && destination == Path::new("/data")) {
            place(source.to_owned(), ModelStore::HuggingFace)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{ContainerMount, Sample};
    use crate::make::{container, docker};

    fn mounting(name: &str, image: &str, mounts: &[(&str, &str)]) -> crate::make::Maker {
        let mounts = mounts
            .iter()
            .map(|(source, destination)| ContainerMount {
                source: (*source).to_owned(),
                destination: (*destination).to_owned(),
            })
            .collect();
        container(name).image(image).with(|container| container.mounts = mounts)
    }

    #[test]
    fn containers_lead_to_what_they_mount() {
        let Sample::Docker(mut sample) = docker([
            mounting(
                "ollama",
                "ollama/ollama",
                &[("/var/lib/docker/volumes/o/_data", "/root/.ollama"), ("/etc", "/etc")],
            ),
            mounting("vllm", "vllm/vllm-openai", &[("/srv/hf", "/root/.cache/huggingface")]),
            mounting("tgi", "ghcr.io/huggingface/text-generation-inference:3", &[("/srv/tgi", "/data")]),
            mounting("other", "postgres", &[("/srv/pg", "/data")]),
        ]) else {
            panic!("another sample");
        };
        let found = |sample: &DockerSample| -> Vec<(String, ModelStore)> {
            let roots = roots(&ModelHomes::default(), &[], &here(Some(sample)));
            let of_containers = roots.into_iter().filter(|root| root.because.contains("container"));
            of_containers.map(|root| (root.path.display().to_string(), root.store)).collect()
        };
        let expected = [
            ("/var/lib/docker/volumes/o/_data/models", ModelStore::Ollama),
            ("/srv/hf/hub", ModelStore::HuggingFace),
            ("/srv/tgi", ModelStore::HuggingFace),
        ];
        assert_eq!(found(&sample), expected.map(|(path, store)| (path.to_owned(), store)));
        Arc::make_mut(&mut sample).engine.endpoint = "tcp://elsewhere:2375".to_owned();
        assert!(found(&sample).is_empty());
    }
}
