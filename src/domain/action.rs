//! The specification of each maintenance action: what it is called, what it works on, what it risks, which key asks for it.
//!
//! Only the constants live here; what an action does stands in a file of its own in `actions`. Keys, palette, help,
//! command line and journal are made from this table, and `fix` lists in findings name registered actions only.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of an action, such as `container.restart`: the same word in keys, palette, command line and journal.
pub type ActionId = &'static str;

/// What an action, or a step of it, risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Risk {
    /// Runs at once.
    Safe,
    /// Interrupts something, or cannot be taken back without effort: asks.
    Disruptive,
    /// Data goes: asks for the object's name.
    Destructive,
}

impl Risk {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Containers: one, a compose project, or several.
    Container,
    /// Images, by reference or id.
    Image,
    /// Volumes, by name.
    Volume,
    /// Models of inference servers, as `NAME` or `ENGINE:PORT/NAME`.
    Model,
    /// The whole box: no target is named.
    Box,
}

/// One action as the rest of the program may know it: hostler's own, or one that the operator's config sets down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ActionSpec {
    /// Its id.
    pub id: ActionId,
    /// What it does, in two or three words: `restart`, `roll back`.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// What it works on.
    pub on: Subject,
    /// The least that it risks; a plan may risk more.
    pub risk: Risk,
    /// The key that asks for it, unless the config says otherwise.
    pub key: Option<&'static str>,
}

impl ActionSpec {
    /// The registered action with this id.
    pub fn named(id: &str) -> Option<&'static Self> {
        ACTIONS.iter().find(|spec| spec.id == id)
    }
}

impl fmt::Display for ActionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

/// Shortens the table below.
const fn on_containers(
    id: ActionId,
    title: &'static str,
    about: &'static str,
    risk: Risk,
    key: Option<&'static str>,
) -> ActionSpec {
    ActionSpec { id, title, about, on: Subject::Container, risk, key }
}

/// The same for models.
const fn on_models(
    id: ActionId,
    title: &'static str,
    about: &'static str,
    risk: Risk,
    key: Option<&'static str>,
) -> ActionSpec {
    ActionSpec { id, title, about, on: Subject::Model, risk, key }
}

/// The registered actions, in the order of the palette.
pub const ACTIONS: &[ActionSpec] = &[
    on_containers("container.start", "start", "starts what is down", Risk::Safe, None),
    on_containers(
        "container.stop",
        "stop",
        "asks it to end, and waits as long as it was given",
        Risk::Disruptive,
        None,
    ),
    on_containers("container.restart", "restart", "stops and starts it", Risk::Disruptive, Some("r")),
    on_containers("container.pause", "pause", "freezes its processes", Risk::Disruptive, None),
    on_containers("container.resume", "resume", "lets frozen processes go on", Risk::Safe, None),
    on_containers("container.kill", "kill", "ends its processes at once", Risk::Disruptive, Some("K")),
    on_containers("container.remove", "remove", "removes the container; its volumes stay", Risk::Disruptive, Some("D")),
    on_containers(
        "container.update",
        "update",
        "pulls its image and makes it again; rolled back unless it comes up well",
        Risk::Disruptive,
        Some("u"),
    ),
    on_containers(
        "container.trial",
        "try out",
        "starts what an update would bring, on copies of its data and alone, looks how it comes up, and removes it",
        Risk::Disruptive,
        Some("t"),
    ),
    on_containers(
        "container.rollback",
        "roll back",
        "returns to the version before, which was kept",
        Risk::Disruptive,
        Some("b"),
    ),
    ActionSpec {
        id: "docker.prune",
        title: "prune",
        about: "removes what the container engine holds and nothing needs",
        on: Subject::Box,
        risk: Risk::Disruptive,
        key: Some("P"),
    },
    ActionSpec {
        id: "image.remove",
        title: "remove image",
        about: "removes an image that nothing uses, with all its names",
        on: Subject::Image,
        risk: Risk::Disruptive,
        key: Some("D"),
    },
    ActionSpec {
        id: "volume.remove",
        title: "remove volume",
        about: "removes one volume that nothing uses, and its data",
        on: Subject::Volume,
        risk: Risk::Destructive,
        key: Some("D"),
    },
    on_containers("container.pin", "pin", "offers no update of it; again: unpins it", Risk::Safe, Some("p")),
    on_containers("container.skip", "skip", "passes over what is newer; again: offers it", Risk::Safe, None),
    on_models("model.load", "load", "loads a model into memory", Risk::Safe, None),
    on_models("model.unload", "unload", "lets a model go from memory", Risk::Disruptive, None),
    on_models(
        "model.promote",
        "promote",
        "makes it what a stable name means; taken back unless it generates",
        Risk::Disruptive,
        Some("p"),
    ),
    on_models(
        "model.rollback",
        "roll back",
        "lets a name mean again what it meant before",
        Risk::Disruptive,
        Some("b"),
    ),
    on_models(
        "model.pull",
        "pull",
        "fetches it, or what is newer; the present one is kept",
        Risk::Disruptive,
        Some("+"),
    ),
    on_models(
        "model.delete",
        "delete",
        "removes a model and the bytes that only it holds",
        Risk::Destructive,
        Some("D"),
    ),
    on_models(
        "model.move",
        "move",
        "moves its file or folder to another volume; the old path leads there",
        Risk::Disruptive,
        None,
    ),
    ActionSpec {
        id: "model.prune",
        title: "prune models",
        about: "removes blobs that no model names and downloads that were given up",
        on: Subject::Box,
        risk: Risk::Disruptive,
        key: None,
    },
    ActionSpec {
        id: "recorder.install",
        title: "install the recorder",
        about: "makes the recorder a service of systemd, which starts with the machine",
        on: Subject::Box,
        risk: Risk::Disruptive,
        key: None,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_dotted_words_and_stand_once() {
        let ids: HashSet<&str> = ACTIONS.iter().map(|spec| spec.id).collect();
        assert_eq!(ids.len(), ACTIONS.len());
        for spec in ACTIONS {
            let plain =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            let parts: Vec<&str> = spec.id.split('.').collect();
            assert!(parts.len() == 2 && parts.iter().all(|part| plain(part)), "{spec}");
            assert_eq!(ActionSpec::named(spec.id), Some(spec));
        }
    }
}
