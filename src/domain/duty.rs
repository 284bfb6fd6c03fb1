//! The routine: recurring duties, and what a check of one says.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// How often a duty is due.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumIter,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Cadence {
    /// Every day.
    Daily,
    /// Every week, by Sunday.
    Weekly,
    /// Every month, by its last day.
    Monthly,
    /// Every quarter, by its last day.
    Quarterly,
}

/// One duty, as `assets/routine.toml` words it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DutySpec {
    /// Its id, such as `daily.containers-running`.
    pub id: String,
    /// How often.
    pub cadence: Cadence,
    /// What is to be so, such as `All containers run`.
    pub title: String,
    /// Why it matters, a sentence or two.
    pub why: String,
    /// Minutes that it takes a person.
    pub minutes: u32,
}

/// What a check of a duty says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CheckResult {
    /// It is so, with evidence.
    Pass,
    /// It is not so.
    Fail,
    /// The check could not run.
    Unknown,
    /// This box has nothing of the kind.
    NotApplicable,
}

impl CheckResult {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// One duty and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyOutcome {
    /// The duty's id.
    pub id: &'static str,
    /// What the check says.
    pub result: CheckResult,
    /// What shows it, a clause each.
    pub evidence: Vec<String>,
}

/// One duty of the routine as it stands: what the screen and the reports show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyStanding {
    /// The duty.
    pub spec: &'static DutySpec,
    /// What its check says.
    pub outcome: DutyOutcome,
    /// The day by which it is due.
    pub due: Date,
}
