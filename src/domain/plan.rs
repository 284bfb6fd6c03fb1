//! What an action would do, object by object: the confirm popup and a dry run draw it, the worker carries it out.

use serde::{Deserialize, Serialize};

use super::{ActionSpec, Guard, Op, Risk};

/// Everything that one run of an action would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The action's id.
    pub action: String,
    /// The targets as on screen: `n8n-worker`, `agents/`, `agents/n8n-worker`.
    pub targets: Vec<String>,
    /// What it does, as a heading: `Restart agents/n8n-worker`.
    pub title: String,
    /// What comes of it, in a clause or two.
    #[serde(default)]
    pub summary: String,
    /// The steps in order, also those that are not chosen.
    pub steps: Vec<Step>,
    /// What speaks against it, a sentence each.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What stays although it could be thought to go, a clause each.
    #[serde(default)]
    pub kept: Vec<String>,
    /// How it can be taken back, or that it cannot.
    pub undo: String,
    /// The same in the docker command's words, a line each.
    #[serde(default)]
    pub commands: Vec<String>,
    /// How long the service is away, in words; `None` where it is not.
    #[serde(default)]
    pub downtime: Option<String>,
    /// What others say about it (release notes), a line each.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The versions that it could lead to, the one that is used first; empty where there is no choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// A failed step takes back what was done before it.
    #[serde(default)]
    pub rolls_back: bool,
    /// What nobody else may work on meanwhile: names of locks, such as `container/n8n`.
    pub locks: Vec<String>,
}

/// A version that an update can lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The tag.
    pub tag: String,
    /// How far it is, and how old: `minor, 3 d old`.
    pub about: String,
    /// It is the one that this plan leads to.
    pub chosen: bool,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The word by which it is added and dropped: `build-cache`.
    pub id: String,
    /// What it does: `dangling images`.
    pub title: String,
    /// What it risks.
    pub risk: Risk,
    /// It is carried out.
    pub chosen: bool,
    /// It may be added and dropped.
    #[serde(default)]
    pub optional: bool,
    /// The objects that change.
    #[serde(default)]
    pub items: Vec<Item>,
    /// Bytes that it frees, as far as known.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// What must still be so.
    #[serde(default)]
    pub guards: Vec<Guard>,
    /// What is done.
    pub op: Op,
    /// What takes it back.
    #[serde(default)]
    pub undo: Vec<Op>,
}

impl Step {
    /// A step that is chosen, with nothing but its operation.
    pub fn new(id: impl Into<String>, title: impl Into<String>, risk: Risk, op: Op) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            risk,
            chosen: true,
            optional: false,
            items: Vec::new(),
            bytes: None,
            guards: Vec::new(),
            op,
            undo: Vec::new(),
        }
    }

    /// The same step, which may be dropped, or is added only when it is asked for.
    #[must_use]
    pub fn optional(self, chosen: bool) -> Self {
        Self { optional: true, chosen, ..self }
    }

    /// The same step with a guard.
    #[must_use]
    pub fn guarded(mut self, guard: Guard) -> Self {
        self.guards.push(guard);
        self
    }

    /// The same step with what takes it back.
    #[must_use]
    pub fn undone_by(mut self, op: Op) -> Self {
        self.undo.push(op);
        self
    }
}

/// One object that a step changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// What is to be known of it: age, who uses it.
    #[serde(default)]
    pub detail: String,
    /// Bytes that it holds alone.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// It holds data that nothing brings back.
    #[serde(default)]
    pub data: bool,
}

impl Plan {
    /// The steps that are carried out, with their places among all.
    pub fn chosen(&self) -> impl Iterator<Item = (usize, &Step)> {
        self.steps.iter().enumerate().filter(|(_, step)| step.chosen)
    }

    /// What it risks: the worst of its chosen steps.
    pub fn risk(&self) -> Risk {
        self.chosen().map(|(_, step)| step.risk).max().unwrap_or(Risk::Safe)
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.chosen().next().is_none()
    }

    /// Bytes that it frees, as far as they are known.
    pub fn bytes(&self) -> u64 {
        self.chosen().filter_map(|(_, step)| step.bytes).sum()
    }

    /// Names that must be typed before it may run: those of the objects whose data goes.
    pub fn to_be_typed(&self) -> Vec<&str> {
        let destructive = self.chosen().filter(|(_, step)| step.risk == Risk::Destructive);
        destructive.flat_map(|(_, step)| step.items.iter().map(|item| item.name.as_str())).collect()
    }

    /// Adds or drops an optional step, or all whose ids begin with the word `step`: `backup` for `backup files`.
    ///
    /// # Errors
    /// When there is no such step, or it belongs to the plan whatever one wishes; the text names what may be written.
    pub fn choose(&mut self, step: &str, chosen: bool) -> Result<(), String> {
        let is_meant = |id: &str| id.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let mut found = false;
        for known in self.steps.iter_mut().filter(|known| known.optional && is_meant(&known.id)) {
            (known.chosen, found) = (chosen, true);
        }
        if found {
            return Ok(());
        }
        let optional: Vec<&str> = self.steps.iter().filter(|known| known.optional).map(|known| &*known.id).collect();
        Err(match optional.as_slice() {
            [] => format!("`{step}` cannot be added or dropped: {} has no optional steps", self.action),
            optional => format!("there is no optional step `{step}`; there are {}", optional.join(", ")),
        })
    }

    /// Why there is nothing to do, in a sentence: of several reasons the first.
    pub fn why_nothing(&self) -> String {
        match self.kept.as_slice() {
            [] => format!("{}: there is nothing to do", self.title),
            [only] => only.clone(),
            [first, others @ ..] => format!("{first} (and {} more)", others.len()),
        }
    }

    /// What is so when all of it was done: the title, as something that happened.
    pub fn summary_of_success(&self) -> String {
        let count = self.chosen().count();
        format!("{}: done, {count} {}", self.title, if count == 1 { "step" } else { "steps" })
    }

    /// What decides whether two plans are the same: action, targets, and the chosen steps with the ids that they name;
    /// neither ages nor bytes.
    pub fn essence(&self) -> impl Serialize {
        let steps: Vec<_> = self.chosen().map(|(_, step)| (&step.id, &step.op, &step.guards)).collect();
        (&self.action, &self.targets, steps)
    }

    /// The specification of its action; `None` for one of the operator's own.
    pub fn spec(&self) -> Option<&'static ActionSpec> {
        ActionSpec::named(&self.action)
    }
}
