//! One run of an action, as its file tells it: who asked, what was planned, how far it came, how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Plan;

/// One line of a run's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// When.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub entry: RunEntry,
}

/// What happened in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunEntry {
    /// The intent, on the disk before the first step.
    Planned {
        /// The format, 1.
        schema: u32,
        /// The run's id.
        run: String,
        /// Who asked (a login name).
        by: String,
        /// The plan.
        plan: Box<Plan>,
    },
    /// A worker took it up again after another one died.
    Resumed {
        /// To take back what was done, rather than to finish it.
        back: bool,
        /// Who asked.
        by: String,
    },
    /// A step begins.
    Began {
        /// Its place among all steps.
        step: usize,
        /// It is being taken back.
        #[serde(default)]
        back: bool,
    },
    /// How far a step is.
    Progress {
        /// What is being done.
        text: String,
        /// How much of it.
        #[serde(default)]
        done: u64,
        /// Of how much; 0 where that is not known.
        #[serde(default)]
        total: u64,
    },
    /// Something worth reading later: output, a log line, a remark.
    Said {
        /// The line.
        text: String,
    },
    /// A step is done.
    Finished {
        /// Its place among all steps.
        step: usize,
        /// It was taken back.
        #[serde(default)]
        back: bool,
        /// What came of it, in a clause; may be empty.
        #[serde(default)]
        text: String,
        /// Bytes that it freed, as the engine told.
        #[serde(default)]
        freed: Option<u64>,
    },
    /// A step failed.
    Failed {
        /// Its place among all steps.
        step: usize,
        /// It was being taken back.
        #[serde(default)]
        back: bool,
        /// Why.
        why: String,
    },
    /// What was done is being taken back.
    RollingBack {
        /// Why.
        why: String,
    },
    /// The end.
    Ended {
        /// How.
        outcome: Outcome,
        /// In a sentence.
        text: String,
        /// Bytes freed in all, as the engine told.
        #[serde(default)]
        freed: Option<u64>,
    },
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Outcome {
    /// All was done.
    Succeeded,
    /// There was nothing to do.
    NothingToDo,
    /// A step failed.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// A step failed, and what was done before it was taken back.
    RolledBack,
}

impl Outcome {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether what was asked for is so now.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Succeeded | Self::NothingToDo)
    }
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// Not begun, or not chosen.
    #[default]
    Waiting,
    /// Under way.
    Running,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Being taken back.
    TakingBack,
    /// Taken back.
    TakenBack,
}

/// A run, folded from its records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Who asked.
    pub by: String,
    /// When.
    pub began: Timestamp,
    /// The plan.
    pub plan: Plan,
    /// How far each step is, in the order of the plan's steps.
    pub steps: Vec<StepState>,
    /// When the step under way began.
    pub step_began: Option<Timestamp>,
    /// What the step under way says of itself, and how much of how much is done (0 where unknown).
    pub progress: Option<(String, u64, u64)>,
    /// Lines worth reading, oldest first, at most [`Run::LINES`].
    pub lines: Vec<String>,
    /// Why it is being, or was, taken back.
    pub rolling_back: Option<String>,
    /// How it ended, in a sentence, and when.
    pub ended: Option<(Outcome, String, Timestamp)>,
    /// It succeeded once, whatever became of it later: what it made has been in use since.
    pub succeeded: bool,
    /// Bytes freed in all, as the engine told.
    pub freed: Option<u64>,
    /// A worker holds it.
    pub alive: bool,
}

impl Run {
    /// Lines that are kept.
    pub const LINES: usize = 200;

    /// A run that begins with this record; `None` if it is not the first one of a file.
    pub fn begin(record: &RunRecord) -> Option<Self> {
        let RunEntry::Planned { schema: 1, run, by, plan } = &record.entry else { return None };
        Some(Self {
            id: run.clone(),
            by: by.clone(),
            began: record.at,
            steps: vec![StepState::Waiting; plan.steps.len()],
            plan: (**plan).clone(),
            step_began: None,
            progress: None,
            lines: Vec::new(),
            rolling_back: None,
            ended: None,
            succeeded: false,
            freed: None,
            alive: false,
        })
    }

    /// Takes one more record in.
    pub fn take(&mut self, record: &RunRecord) {
        match &record.entry {
            RunEntry::Planned { .. } => {}
            RunEntry::Resumed { back, by } => {
                let how = if *back { "take back" } else { "finish" };
                self.say(format!("{by} asked to {how} what a worker left undone"));
                self.ended = None;
            }
            RunEntry::Began { step, back } => {
                self.set(*step, if *back { StepState::TakingBack } else { StepState::Running });
                self.step_began = Some(record.at);
                self.progress = None;
            }
            RunEntry::Progress { text, done, total } => self.progress = Some((text.clone(), *done, *total)),
            RunEntry::Said { text } => self.say(text.clone()),
            RunEntry::Finished { step, back, text, freed } => {
                self.set(*step, if *back { StepState::TakenBack } else { StepState::Done });
                self.progress = None;
                if !text.is_empty() {
                    self.say(text.clone());
                }
                if let Some(freed) = freed {
                    self.freed = Some(self.freed.unwrap_or(0) + freed);
                }
            }
            RunEntry::Failed { step, why, .. } => {
                self.set(*step, StepState::Failed);
                self.progress = None;
                self.say(why.clone());
            }
            RunEntry::RollingBack { why } => self.rolling_back = Some(why.clone()),
            RunEntry::Ended { outcome, text, freed } => {
                self.ended = Some((*outcome, text.clone(), record.at));
                self.succeeded |= *outcome == Outcome::Succeeded;
                self.freed = freed.or(self.freed);
                self.progress = None;
            }
        }
    }

    /// Its worker is gone, and it has no outcome.
    pub fn has_died(&self) -> bool {
        !self.alive && self.ended.is_none()
    }

    /// Whether something was done that its plan says how to take back.
    pub fn can_be_taken_back(&self) -> bool {
        let begun = |state: &StepState| !matches!(state, StepState::Waiting | StepState::TakenBack);
        self.plan.steps.iter().zip(&self.steps).any(|(step, state)| begun(state) && !step.undo.is_empty())
    }

    /// The chosen step under way, counted from 1, and how many there are.
    pub fn place(&self) -> (usize, usize) {
        let chosen: Vec<usize> = self.plan.chosen().map(|(index, _)| index).collect();
        let done = chosen.iter().filter(|index| self.steps.get(**index) == Some(&StepState::Done)).count();
        ((done + 1).min(chosen.len()), chosen.len())
    }

    /// The title of the step under way.
    pub fn step_title(&self) -> Option<&str> {
        let under_way = |state: &StepState| matches!(state, StepState::Running | StepState::TakingBack);
        let index = self.steps.iter().position(under_way)?;
        self.plan.steps.get(index).map(|step| step.title.as_str())
    }

    fn set(&mut self, step: usize, state: StepState) {
        if let Some(slot) = self.steps.get_mut(step) {
            *slot = state;
        }
    }

    fn say(&mut self, text: String) {
        if self.lines.len() == Self::LINES {
            self.lines.remove(0);
        }
        self.lines.push(text);
    }
}
