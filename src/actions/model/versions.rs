//! What a name of Ollama meant before: kept under names of its own, beside all models, which costs no bytes.

use super::place::Server;
use crate::actions::{Desk, Refusal};
use crate::domain::{ModelName, ModelOp, Op, Over, Risk, Step, TagTooLong};
use crate::engines::{HeldModel, Ollama, is_same};

/// All models of one Ollama, by name.
pub(super) struct Names<'a> {
    pub(super) server: &'a Server,
    models: Vec<HeldModel>,
}

/// An earlier version of a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) number: u32,
    /// The name under which it is kept.
    pub(super) name: String,
    pub(super) digest: String,
}

impl From<TagTooLong> for Refusal {
    fn from(error: TagTooLong) -> Self {
        Self::Refused(error.to_string())
    }
}

impl<'a> Names<'a> {
    /// Asks Ollama.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn of(desk: &Desk, server: &'a Server) -> Result<Self, Refusal> {
        Ok(Self { server, models: Ollama::new(&desk.ports.http, server.origin).models().await? })
    }

    /// What has this name.
    pub(super) fn model(&self, name: &str) -> Option<&HeldModel> {
        self.models.iter().find(|model| is_same(&model.name, name))
    }

    /// The digest of what has this name.
    pub(super) fn digest(&self, name: &str) -> Option<&str> {
        self.model(name).map(|model| model.digest.as_str())
    }

    /// Names of the same model but for `name` itself.
    pub(super) fn others(&self, digest: &str, name: &str) -> impl Iterator<Item = &str> {
        let same = self.models.iter().filter(move |model| model.digest == digest && !is_same(&model.name, name));
        same.map(|model| model.name.as_str())
    }

    /// The earlier versions of a name, the oldest first.
    pub(super) fn previous(&self, name: &ModelName) -> Vec<Version> {
        let mut versions = self.numbered(ModelName::previous_of, name);
        versions.sort();
        versions
    }

    fn numbered(&self, of: impl Fn(&ModelName) -> Option<(ModelName, u32)>, name: &ModelName) -> Vec<Version> {
        let version = |model: &HeldModel| {
            let (of, number) = of(&model.name.parse().ok()?)?;
            let is_mine = is_same(&of.to_string(), &name.to_string());
            is_mine.then(|| Version { number, name: model.name.clone(), digest: model.digest.clone() })
        };
        self.models.iter().filter_map(version).collect()
    }

    /// The name for one more earlier version.
    ///
    /// # Errors
    /// When the tag would be too long.
    pub(super) fn next_previous(&self, name: &ModelName) -> Result<String, Refusal> {
        let last = self.previous(name).last().map_or(0, |version| version.number);
        Ok(name.previous(last.saturating_add(1))?.to_string())
    }

    /// The name for one more version that a roll back leaves.
    ///
    /// # Errors
    /// When the tag would be too long.
    pub(super) fn next_aside(&self, name: &ModelName) -> Result<String, Refusal> {
        let last = self.numbered(ModelName::aside_of, name).iter().map(|version| version.number).max().unwrap_or(0);
        Ok(name.aside(last.saturating_add(1))?.to_string())
    }

    /// Copies the model with `digest` from one name to another.
    pub(super) fn copy(&self, from: &str, digest: &str, to: &str, over: Over) -> Op {
        let [from, digest, to] = [from, digest, to].map(str::to_owned);
        Op::Model(ModelOp::Copy { endpoint: self.server.origin.to_string(), from, digest, to, over })
    }

    /// Lets a name go: where `beside` is given, only while that one is the same model.
    pub(super) fn let_go(&self, name: &str, digest: Option<&str>, beside: Option<&str>) -> Op {
        Op::Model(ModelOp::Delete {
            endpoint: self.server.origin.to_string(),
            name: name.to_owned(),
            digest: digest.map(str::to_owned),
            beside: beside.map(str::to_owned),
        })
    }

    /// The step that keeps what `name` is now under `kept`.
    pub(super) fn keep(&self, name: &str, digest: &str, kept: &str) -> Step {
        let title = format!("keep the present {name} as {kept}, which costs no bytes");
        let step = Step::new("keep", title, Risk::Safe, self.copy(name, digest, kept, Over::Nothing));
        let step = step.undone_by(self.let_go(kept, Some(digest), Some(name)));
        Step { command: Some(format!("ollama cp {name} {kept}")), ..step }
    }

    /// The steps that let the oldest versions go when there is one more than `most`: those whose bytes another name holds. And
    /// the names of the others, which only `model.delete` removes.
    pub(super) fn trim(&self, name: &ModelName, most: u32) -> (Vec<Step>, Vec<String>) {
        let versions = self.previous(name);
        let surplus = (versions.len() + 1).saturating_sub(most as usize);
        let (mut steps, mut last) = (Vec::new(), Vec::new());
        let going: Vec<Version> = versions.into_iter().take(surplus).collect();
        // The name itself means something else by then.
        let moves = name.to_string();
        for version in &going {
            let Version { name, digest, .. } = version;
            let goes = |other: &str| going.iter().any(|version| is_same(&version.name, other));
            let stays = |other: &&str| !is_same(other, &moves) && !goes(other);
            match self.others(digest, name).find(stays) {
                Some(other) => {
                    let title = format!("let {name} go: {other} is the same model");
                    let op = self.let_go(name, Some(digest), Some(other));
                    let step = Step::new(format!("trim {name}"), title, Risk::Safe, op);
                    steps.push(step.undone_by(self.copy(other, digest, name, Over::Nothing)));
                }
                None => last.push(name.clone()),
            }
        }
        (steps, last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{EngineKind, Reading};
    use crate::host::Origin;

    fn server() -> Server {
        let origin = Origin::new(([127, 0, 0, 1], 11434).into()).unwrap();
        Server { kind: EngineKind::Ollama, origin, owner: None, models: Reading::Known(Vec::new()) }
    }

    fn names<'a>(server: &'a Server, models: &[(&str, &str)]) -> Names<'a> {
        let held = |(name, digest): &(&str, &str)| HeldModel {
            name: (*name).to_owned(),
            digest: (*digest).to_owned(),
            size_bytes: 1,
            remote: false,
        };
        Names { server, models: models.iter().map(held).collect() }
    }

    #[test]
    fn versions_are_numbered_by_name() {
        let server = server();
        let names = names(
            &server,
            &[
                ("chat:latest", "d"),
                ("chat:latest-hostler-previous-10", "c"),
                ("chat:latest-hostler-previous-9", "b"),
                ("chat:other-hostler-previous-11", "x"),
                ("chat:latest-hostler-aside-2", "y"),
            ],
        );
        let chat: ModelName = "chat".parse().unwrap();
        assert_eq!(names.previous(&chat).iter().map(|version| version.number).collect::<Vec<_>>(), [9, 10]);
        assert_eq!(names.next_previous(&chat).unwrap(), "chat:latest-hostler-previous-11");
        assert_eq!(names.next_aside(&chat).unwrap(), "chat:latest-hostler-aside-3");
    }

    #[test]
    fn only_names_whose_bytes_another_one_holds_are_let_go() {
        let server = server();
        let names = names(
            &server,
            &[
                ("chat:latest-hostler-previous-1", "a"),
                ("chat:latest-hostler-previous-2", "b"),
                ("chat:latest-hostler-previous-3", "b"),
                ("chat:latest-hostler-previous-4", "c"),
                ("qwen3:32b", "a"),
            ],
        );
        let (steps, last) = names.trim(&"chat".parse().unwrap(), 2);
        let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
        assert_eq!(titles, ["let chat:latest-hostler-previous-1 go: qwen3:32b is the same model"]);
        assert_eq!(last, ["chat:latest-hostler-previous-2", "chat:latest-hostler-previous-3"]);
        assert!(names.trim(&"chat".parse().unwrap(), 5).0.is_empty());
    }
}
