//! What an action would do, object by object: the confirm popup and a dry run draw it, the worker carries it out.

use serde::{Deserialize, Serialize};

use super::{ActionSpec, Guard, Op, Risk, units};

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
    /// The same in the docker command's words, a line each, beside those of its steps.
    #[serde(default)]
    pub commands: Vec<String>,
    /// What it says that it succeeded, where that is more than that it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
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
    /// Bytes more that go where another step (its word) is chosen beside it: layers that images of both hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<(String, u64)>,
    /// The optional step (its word) with which it is added and dropped; after that it can be chosen by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// The same in the docker command's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
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
            beside: None,
            follows: None,
            command: None,
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
    /// A plan of this action that does nothing yet.
    pub fn of(action: &str) -> Self {
        Self {
            action: action.to_owned(),
            targets: Vec::new(),
            title: String::new(),
            summary: String::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            kept: Vec::new(),
            undo: String::new(),
            commands: Vec::new(),
            verdict: None,
            downtime: None,
            notes: Vec::new(),
            choices: Vec::new(),
            rolls_back: false,
            locks: Vec::new(),
        }
    }

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
        self.chosen().filter_map(|(_, step)| self.bytes_of(step)).sum()
    }

    /// Bytes that one of its steps frees beside the other ones that are chosen; `None` where they are not known.
    pub fn bytes_of(&self, step: &Step) -> Option<u64> {
        let beside = step.beside.as_ref().filter(|(other, _)| self.chosen().any(|(_, step)| step.id == *other));
        step.bytes.map(|bytes| bytes + beside.map_or(0, |(_, more)| *more))
    }

    /// The same in the docker command's words, a line each.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        let of_steps = self.chosen().filter_map(|(_, step)| step.command.as_deref());
        self.commands.iter().map(String::as_str).chain(of_steps)
    }

    /// Names that must be typed before it may run: those of the objects whose data goes.
    pub fn to_be_typed(&self) -> Vec<&str> {
        let destructive = self.chosen().filter(|(_, step)| step.risk == Risk::Destructive);
        destructive.flat_map(|(_, step)| step.items.iter().map(|item| item.name.as_str())).collect()
    }

    /// Adds or drops an optional step, or all whose ids begin with the word `step` (`backup` for `backup files`), and those
    /// that follow them.
    ///
    /// # Errors
    /// When there is no such step, or it belongs to the plan whatever one wishes; the text names what may be written.
    pub fn choose(&mut self, step: &str, chosen: bool) -> Result<(), String> {
        let is_meant = |id: &str| id.strip_prefix(step).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        let mut found = false;
        for known in self.steps.iter_mut().filter(|known| known.optional) {
            if is_meant(&known.id) || known.follows.as_deref().is_some_and(is_meant) {
                (known.chosen, found) = (chosen, true);
            }
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

    /// What is so when all of it was done: the title, as something that happened, and how what was freed (as the engine
    /// told, which may not be `all`) compares with what was planned. `stayed` are objects that did not go, a clause each.
    pub fn summary_of_success(&self, (freed, all): (Option<u64>, bool), stayed: &[String]) -> String {
        let count = self.chosen().count();
        let steps = if count == 1 { "step" } else { "steps" };
        let planned = units::bytes(self.bytes());
        let freed = match freed.map(units::bytes) {
            Some(freed) if freed == planned => format!(", freed {freed}, as planned"),
            Some(freed) if all => format!(", freed {freed} of {planned} planned"),
            Some(freed) => format!(", freed {freed} as far as the engine told, of {planned} planned"),
            None if all => String::new(),
            None => format!(", of {planned} planned the engine did not tell what was freed"),
        };
        let stayed = match stayed {
            [] => String::new(),
            stayed => format!("; {} stayed: {}", stayed.len(), stayed.join("; ")),
        };
        let done = self.verdict.clone().unwrap_or_else(|| format!("{}: done, {count} {steps}", self.title));
        format!("{done}{freed}{stayed}")
    }

    /// Whether as much was freed as planned, in the words in which both are told; also where it is not known.
    pub fn is_as_planned(&self, freed: Option<u64>) -> bool {
        freed.is_none_or(|freed| units::bytes(freed) == units::bytes(self.bytes()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: &str, bytes: u64) -> Step {
        let step = Step::new(id, id, Risk::Disruptive, Op::RemoveBuildCache).optional(true);
        Step { bytes: Some(bytes), ..step }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        Plan { title: "Prune".to_owned(), steps, ..Plan::of("docker.prune") }
    }

    #[test]
    fn layers_of_two_steps_go_with_both_of_them() {
        let unused = Step { beside: Some(("dangling".to_owned(), 5)), ..step("unused", 10) };
        let mut plan = plan(vec![step("dangling", 1), unused]);
        assert_eq!(plan.bytes(), 16);
        plan.choose("dangling", false).unwrap();
        assert_eq!(plan.bytes(), 10);
        plan.choose("unused", false).unwrap();
        assert_eq!(plan.bytes(), 0);
    }

    #[test]
    fn what_follows_a_step_is_chosen_with_it_and_by_itself() {
        let logs = Step { follows: Some("containers".to_owned()), ..step("logs", 0) };
        let mut plan = plan(vec![logs, step("containers", 1)]);
        let chosen = |plan: &Plan| plan.chosen().map(|(_, step)| step.id.clone()).collect::<Vec<_>>();
        plan.choose("containers", false).unwrap();
        assert!(plan.is_empty());
        plan.choose("containers", true).unwrap();
        assert_eq!(chosen(&plan), ["logs", "containers"]);
        plan.choose("logs", false).unwrap();
        assert_eq!(chosen(&plan), ["containers"]);
        assert!(plan.choose("volumes", true).unwrap_err().contains("there are logs, containers"));
    }

    #[test]
    fn what_was_freed_is_compared_with_the_plan() {
        let plan = plan(vec![step("a", 3 << 20)]);
        let told = |freed, stayed: &[&str]| {
            plan.summary_of_success(freed, &stayed.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let (none, less, whole) = (None, Some(1 << 20), Some(3 << 20));
        assert_eq!(told((none, true), &[]), "Prune: done, 1 step");
        assert!(told((none, false), &[]).ends_with(", of 3.0 MiB planned the engine did not tell what was freed"));
        assert!(told((less, false), &[]).ends_with(", freed 1.0 MiB as far as the engine told, of 3.0 MiB planned"));
        assert_eq!(told((whole, true), &[]), "Prune: done, 1 step, freed 3.0 MiB, as planned");
        assert_eq!(
            told((less, true), &["app:1, which web uses now"]),
            "Prune: done, 1 step, freed 1.0 MiB of 3.0 MiB planned; 1 stayed: app:1, which web uses now"
        );
    }
}
