//! Findings: what a rule says needs someone, with its evidence; and the verdict of the whole box.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ActionId, ContainerId};

/// The stable id of a rule and its findings, such as `disk.free`.
pub type FindingId = &'static str;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; changes no verdict.
    Info,
    /// Wants somebody soon.
    Warning,
    /// Wants somebody now.
    Critical,
}

/// What a number in a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// 0 to 1.
    Ratio,
    /// Degrees Celsius.
    Celsius,
    /// Restarts of a container.
    Restarts,
    /// Errors counted.
    Errors,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// What a rule sees at one moment, before hold-for, silence and history.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The rule.
    pub id: FindingId,
    /// What it is about: a container's name, a mount point, a GPU's UUID, `host`, a source's id.
    pub subject: Arc<str>,
    /// The container that it is about, where it is one.
    pub container: Option<ContainerId>,
    /// Its compose project.
    pub project: Option<Arc<str>>,
    /// Its compose service.
    pub service: Option<Arc<str>>,
    /// How grave.
    pub severity: Severity,
    /// What is wrong, in a clause without the subject.
    pub title: String,
    /// Why it matters: the rule's own sentence or two.
    pub why: &'static str,
    /// What shows it, a clause each.
    pub evidence: Vec<String>,
    /// The value that crossed its limit, in base units.
    pub value: Option<f64>,
    /// The limit.
    pub limit: Option<f64>,
    /// What both count.
    pub unit: Option<Unit>,
    /// The earliest evidence, where it is older than the first sight of it.
    pub since: Option<Timestamp>,
    /// Actions that mend it.
    pub fix: &'static [ActionId],
    /// Tabs and panes that show more of it, such as `logs`.
    pub look: &'static [&'static str],
    /// How long it must last before it becomes a finding.
    pub hold_for: Duration,
    /// A level (disk, memory, temperature) at the very first look at its source: its hold-for counts as met.
    pub level: bool,
}

/// What needs someone.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What was seen last.
    pub seen: Observation,
    /// The earliest evidence.
    pub since: Timestamp,
    /// Set while it is snoozed, accepted or acknowledged: it then changes no verdict and stays out of the strip.
    pub silence: Option<Silence>,
}

/// Somebody said that a finding may stay for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// Accepted with a reason; else merely snoozed or acknowledged.
    pub accepted: bool,
    /// Why; empty where nothing was said.
    pub why: String,
    /// Until when; `None` for one that is acknowledged, which lasts until the finding clears.
    pub until: Option<Timestamp>,
    /// By whom (a login name).
    pub by: String,
}

impl Silence {
    /// `accepted`, `snoozed` or `acknowledged`.
    pub fn word(&self) -> &'static str {
        match (self.accepted, self.until) {
            (true, _) => "accepted",
            (false, Some(_)) => "snoozed",
            (false, None) => "acknowledged",
        }
    }

    /// Who silenced it, until when and why, its end written by `when`: `snoozed by ada until 09:30: the disk comes`.
    pub fn words(&self, when: impl FnOnce(Timestamp) -> String) -> String {
        let until = self.until.map_or_else(|| "it clears".to_owned(), when);
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        format!("{} by {} until {until}{why}", self.word(), self.by)
    }
}

/// A rule whose window cannot be seen yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unassessed {
    /// The rule.
    pub id: FindingId,
    /// What it would be about.
    pub subject: Arc<str>,
    /// Why it cannot speak yet.
    pub why: String,
}

/// The box in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// Nothing needs anyone.
    Well,
    /// Something that is there could not be read, and nothing worse was seen.
    Unknown,
    /// Something wants somebody soon.
    Warning,
    /// Something wants somebody now.
    Critical,
}

impl Verdict {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
