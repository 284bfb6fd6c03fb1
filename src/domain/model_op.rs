//! What a worker can do to models: plain data, as [`Op`](super::Op) is.

use serde::{Deserialize, Serialize};

use super::{EngineKind, ModelStore};

/// A model of an inference server on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedModel {
    /// The kind of the server.
    pub engine: EngineKind,
    /// Where it listens: `http://127.0.0.1:11434`.
    pub endpoint: String,
    /// The model's name there.
    pub name: String,
}

/// What a name may mean before it means something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Over {
    /// Nothing: nobody has the name.
    Nothing,
    /// The model with this digest.
    Digest(String),
    /// Whatever it is: what was pulled is known only then.
    Anything,
}

/// Where the bytes are to which a path leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilePlace {
    /// At the path itself.
    Here,
    /// Elsewhere: the path is a link.
    Elsewhere,
}

/// One operation on a model. A digest is that of Ollama's manifest, 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum ModelOp {
    /// Loads it into memory.
    Load {
        /// Which.
        model: ServedModel,
    },
    /// Lets it go from memory.
    Unload {
        /// Which.
        model: ServedModel,
    },
    /// Gives a model of Ollama another name; costs no bytes.
    Copy {
        /// Where Ollama listens.
        endpoint: String,
        /// The name that it has.
        from: String,
        /// What that name must mean.
        digest: String,
        /// The name that it gets.
        to: String,
        /// What that one may mean before.
        over: Over,
    },
    /// Lets a name of Ollama go, and with a model's last name its bytes.
    Delete {
        /// Where Ollama listens.
        endpoint: String,
        /// The name.
        name: String,
        /// What it must mean; `None` for whatever it is.
        digest: Option<String>,
        /// Only where this name means the same, so that nothing is lost.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beside: Option<String>,
    },
    /// Has Ollama pull a model.
    Pull {
        /// Where Ollama listens.
        endpoint: String,
        /// The name.
        name: String,
    },
    /// Has a model generate a few tokens.
    Generate {
        /// Which.
        model: ServedModel,
        /// Seconds that it may take.
        seconds: u64,
    },
    /// Lets a symbolic link point elsewhere, at once: a reader sees the old or the new. Or lets it go.
    Link {
        /// The link, absolute.
        path: String,
        /// Where it shall point, as it is written in it; `None` for no link.
        to: Option<String>,
        /// Where it points before; `None` where there is no link.
        over: Option<String>,
    },
    /// Copies a file or a folder, verifies the copy by SHA-256, and gives it its name only then.
    CopyFiles {
        /// What is copied, absolute.
        from: String,
        /// The copy; nothing else may be there.
        to: String,
    },
    /// Lets a path lead to the copy of what it was, at once, or gives it its own bytes again; those wait beside it.
    PlaceLink {
        /// The path, absolute.
        path: String,
        /// The copy, absolute.
        to: String,
        /// Where the bytes are afterwards.
        bytes: FilePlace,
    },
    /// Removes a file or a folder that stands elsewhere, too; else it stays, and that is a failure.
    RemoveCopy {
        /// What goes, absolute.
        path: String,
        /// Where the same stands.
        beside: String,
    },
    /// Removes files of a store that no model needs. What is needed or in use by then stays.
    RemoveLeftovers {
        /// How models are kept there.
        store: ModelStore,
        /// The store's folder, absolute.
        place: String,
        /// The files, absolute.
        files: Vec<String>,
    },
}
