//! Where a model was published: at a registry of Ollama, or at Hugging Face.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::{ImageRef, ModelStore, StoredModel, Why};

/// The registry and the namespace that Ollama leaves out of names (ollama: `types/model/name.go`).
const OLLAMA: &str = "registry.ollama.ai";
const LIBRARY: &str = "library";
/// The longest part of a name, bytes: what Ollama allows for a part, and Hugging Face for a name.
const PART_BYTES: usize = 96;

/// Where a model was published, or where a family of models is.
///
/// [`Display`](fmt::Display) writes it as the config does: `qwen3:32b`, `hf.co/org/name:Q4_K_M`, `hf:Qwen/Qwen3-32B`,
/// `hf-author:mistralai`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelOrigin {
    /// A tag at a registry of Ollama's kind.
    Ollama(ImageRef),
    /// A repository at Hugging Face, `org/name`.
    HuggingFace(String),
    /// Everything that somebody publishes at Hugging Face.
    Author(String),
}

/// The text names no model that can be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no family of models; allowed: a model of Ollama (qwen3, qwen3:8b), hf:ORG/NAME or hf-author:NAME at \
     Hugging Face, of letters, digits, . _ and -"
)]
pub struct NoOrigin(String);

impl ModelOrigin {
    /// Where a model on disk came from, by where it lies: `manifests/<host>/<namespace>/<model>/<tag>` of Ollama,
    /// `models--<org>--<name>/snapshots/<commit>` of Hugging Face.
    ///
    /// # Errors
    /// Why that cannot be told, or asked about.
    pub fn of(model: &StoredModel) -> Result<Self, Why> {
        let odd = || Why::from("its name has characters that no registry knows");
        match model.store {
            ModelStore::Folder => Err(Why::from("nothing tells where a file in a folder came from")),
            ModelStore::Ollama => {
                let mut parts = model.path.rsplit('/');
                let mut next = || parts.next().ok_or_else(odd);
                let (tag, name, namespace, host) = (next()?, next()?, next()?, next()?);
                Self::ollama(host, namespace, name, tag).ok_or_else(odd)
            }
            ModelStore::HuggingFace => {
                let repository = model.path.split('/').rev().find_map(|part| part.strip_prefix("models--"));
                let repository = repository.map(|repository| repository.replacen("--", "/", 1));
                repository.filter(|id| is_repository(id)).map(Self::HuggingFace).ok_or_else(odd)
            }
        }
    }

    fn ollama(host: &str, namespace: &str, name: &str, tag: &str) -> Option<Self> {
        let (bare, port) = host.split_once(':').unwrap_or((host, "0"));
        let whole = [bare, namespace, name, tag].into_iter().all(is_part) && port.parse::<u16>().is_ok();
        whole.then(|| {
            let (registry, repository) = (host.to_owned(), format!("{namespace}/{name}"));
            Self::Ollama(ImageRef { registry, repository, tag: Some(tag.to_owned()), digest: None })
        })
    }

    /// The host that is asked; `None` for Hugging Face, which may have a mirror.
    pub fn registry(&self) -> Option<&str> {
        match self {
            Self::Ollama(image) => Some(&image.registry),
            Self::HuggingFace(_) | Self::Author(_) => None,
        }
    }

    /// The address of its page; `None` at a registry that has none.
    pub fn page(&self) -> Option<String> {
        match self {
            Self::Ollama(image) if image.registry == OLLAMA => {
                let tag = image.tag.as_deref().unwrap_or("latest");
                Some(format!("https://ollama.com/{}:{tag}", image.repository))
            }
            Self::Ollama(_) => None,
            Self::HuggingFace(name) | Self::Author(name) => Some(format!("https://huggingface.co/{name}")),
        }
    }
}

impl FromStr for ModelOrigin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let none = || NoOrigin(text.to_owned());
        if let Some(author) = text.strip_prefix("hf-author:") {
            return if is_part(author) { Ok(Self::Author(author.to_owned())) } else { Err(none()) };
        }
        if let Some(id) = text.strip_prefix("hf:") {
            let whole = is_repository(id) && id.contains('/');
            return if whole { Ok(Self::HuggingFace(id.to_owned())) } else { Err(none()) };
        }
        let parts: Vec<&str> = text.split('/').collect();
        let (host, namespace, name) = match parts[..] {
            [name] => (OLLAMA, LIBRARY, name),
            [namespace, name] => (OLLAMA, namespace, name),
            [host, namespace, name] => (host, namespace, name),
            _ => return Err(none()),
        };
        let (name, tag) = name.split_once(':').unwrap_or((name, "latest"));
        Self::ollama(host, namespace, name, tag).ok_or_else(none)
    }
}

impl fmt::Display for ModelOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ollama(image) => {
                let tag = image.tag.as_deref().unwrap_or("latest");
                match (image.registry.as_str(), image.repository.strip_prefix("library/")) {
                    (OLLAMA, Some(name)) => write!(f, "{name}:{tag}"),
                    (OLLAMA, None) => write!(f, "{}:{tag}", image.repository),
                    (registry, _) => write!(f, "{registry}/{}:{tag}", image.repository),
                }
            }
            Self::HuggingFace(id) => write!(f, "hf:{id}"),
            Self::Author(author) => write!(f, "hf-author:{author}"),
        }
    }
}

impl Serialize for ModelOrigin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether it is `name` or `org/name`, as Hugging Face writes them.
fn is_repository(text: &str) -> bool {
    text.split('/').count() <= 2 && text.split('/').all(is_part)
}

/// Whether it can be a part of an address as it stands: a name with escapes would lead elsewhere.
fn is_part(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=PART_BYTES).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::stored_model;

    fn of(store: ModelStore, path: &str) -> Result<String, Why> {
        let model = StoredModel { store, path: path.to_owned(), ..stored_model("x") };
        ModelOrigin::of(&model).map(|origin| origin.to_string())
    }

    #[test]
    fn where_a_model_lies_tells_where_it_came_from() {
        for (store, path, origin) in [
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai/library/qwen3/32b", "qwen3:32b"),
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai/jo/tuned/v1", "jo/tuned:v1"),
            (
                ModelStore::Ollama,
                "/m/manifests/hf.co/bartowski/Llama-3.2-3B-GGUF/Q4_K_M",
                "hf.co/bartowski/Llama-3.2-3B-GGUF:Q4_K_M",
            ),
            (ModelStore::Ollama, "/m/manifests/127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b:c"),
            (ModelStore::HuggingFace, "/h/hub/models--Qwen--Qwen3-32B/snapshots/abc", "hf:Qwen/Qwen3-32B"),
            (ModelStore::HuggingFace, "/h/hub/models--gpt2/snapshots/abc/model.gguf", "hf:gpt2"),
        ] {
            assert_eq!(of(store, path).as_deref(), Ok(origin), "{path}");
        }
    }

    #[test]
    fn names_that_would_lead_elsewhere_are_not_asked_about() {
        for (store, path) in [
            (ModelStore::Folder, "/models/a.gguf"),
            (ModelStore::Ollama, "qwen3"),
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai/library/../secret"),
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai/library/a%2f..%2fb/1"),
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai/library/a\u{1b}[31m/1"),
            (ModelStore::Ollama, "/m/manifests/user@evil.example/library/a/1"),
            (ModelStore::Ollama, "/m/manifests/registry.ollama.ai:x/library/a/1"),
            (ModelStore::HuggingFace, "/h/models--a--b?x=y/snapshots/c"),
            (ModelStore::HuggingFace, "/h/models--a--b--..--c/snapshots/c/models--"),
        ] {
            assert!(of(store, path).is_err(), "{path}");
        }
    }

    #[test]
    fn families_of_the_config_are_read_and_written() {
        for (text, written) in [
            ("qwen3", "qwen3:latest"),
            ("qwen3:8b", "qwen3:8b"),
            ("jo/tuned", "jo/tuned:latest"),
            ("localhost:5000/jo/tuned:1", "localhost:5000/jo/tuned:1"),
            ("hf:Qwen/Qwen3-32B", "hf:Qwen/Qwen3-32B"),
            ("hf-author:mistralai", "hf-author:mistralai"),
        ] {
            let origin: ModelOrigin = text.parse().unwrap();
            assert_eq!(origin.to_string(), written);
            assert_eq!(written.parse(), Ok(origin), "{written}");
        }
        for text in
            ["", "a b", "hf:Qwen", "hf:a/b/c", "hf-author:a/b", "hf-author:", "../x", "a/b/c/d", "qwen3:", "a%20b"]
        {
            assert!(text.parse::<ModelOrigin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_is_where_people_look() {
        let page = |text: &str| text.parse::<ModelOrigin>().unwrap().page();
        assert_eq!(page("qwen3").as_deref(), Some("https://ollama.com/library/qwen3:latest"));
        assert_eq!(page("hf:Qwen/Qwen3-32B").as_deref(), Some("https://huggingface.co/Qwen/Qwen3-32B"));
        assert_eq!(page("127.0.0.1:5000/a/b"), None);
    }
}
