//! Alerts: findings as they are told to somebody who does not look at the box, and what each receiver was told of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ActionSpec, Observation, Severity, Subject, command_line};

/// The most that is kept of one alert's evidence, clauses.
const EVIDENCE: usize = 16;

/// A finding that may be told, with all that a receiver is told of it. It outlives the process, so it borrows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The rule, such as `disk.free`.
    pub id: String,
    /// What it is about: a container's name, a mount point, a GPU's UUID, `host`, a source's id.
    pub subject: String,
    /// Its compose project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its compose service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, in a clause without the subject.
    pub title: String,
    /// Why it matters.
    pub why: String,
    /// What shows it, a clause each.
    pub evidence: Vec<String>,
    /// The earliest evidence.
    pub since: Timestamp,
    /// Command lines that mend it.
    pub fix: Vec<String>,
}

impl Alert {
    /// What was seen of a finding whose earliest evidence is from `since`.
    pub fn of(seen: &Observation, since: Timestamp) -> Self {
        Self {
            id: seen.id.to_owned(),
            subject: seen.subject.to_string(),
            project: seen.project.as_deref().map(str::to_owned),
            service: seen.service.as_deref().map(str::to_owned),
            severity: seen.severity,
            title: seen.title.clone(),
            why: seen.why.to_owned(),
            evidence: seen.evidence.iter().take(EVIDENCE).cloned().collect(),
            since,
            fix: seen.fix.iter().map(|action| fix(action, &seen.subject)).collect(),
        }
    }

    /// Whether it says what was seen of the same finding.
    pub fn says(&self, seen: &Observation) -> bool {
        self.severity == seen.severity
            && self.title == seen.title
            && self.evidence.iter().eq(seen.evidence.iter().take(EVIDENCE))
    }

    /// What it is told together with: its project, else its subject.
    pub fn group(&self) -> &str {
        self.project.as_deref().unwrap_or(&self.subject)
    }

    /// The rule and the subject, by which it is known.
    pub fn key(&self) -> AlertKey {
        AlertKey { id: self.id.clone(), subject: self.subject.clone() }
    }
}

/// The command line that asks for an action on a finding's subject.
fn fix(action: &str, subject: &str) -> String {
    let names_target = ActionSpec::named(action).is_some_and(|spec| spec.on != Subject::Box);
    let words = ["hostler", "run", action].into_iter().chain(names_target.then_some(subject));
    command_line(&words.map(str::to_owned).collect::<Vec<_>>())
}

/// What an alert is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertKey {
    /// The rule.
    pub id: String,
    /// What it is about.
    pub subject: String,
}

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum AlertStatus {
    /// It is so.
    Firing,
    /// It was so.
    Cleared,
}

impl AlertStatus {
    /// The word used in JSON and in variables.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// What must outlive the process so that nobody is told twice, and no clear is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// The format, 1.
    pub schema: u32,
    /// The name of the box, once it is known.
    #[serde(default)]
    pub host: String,
    /// Alerts that are open, or of which somebody still waits to hear that they cleared.
    #[serde(default)]
    pub alerts: Vec<KeptAlert>,
    /// What each receiver knows, by its name.
    #[serde(default)]
    pub receivers: BTreeMap<String, Told>,
    /// How the last heartbeat went.
    #[serde(default)]
    pub heartbeat: Delivery,
}

impl Outbox {
    /// The format.
    pub const SCHEMA: u32 = 1;
}

/// One alert as it stood last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAlert {
    /// It is snoozed, accepted or acknowledged: nobody is told.
    #[serde(default)]
    pub silenced: bool,
    /// Since when it is not seen any more; `None` while it is open.
    #[serde(default)]
    pub gone: Option<Timestamp>,
    /// What it says.
    #[serde(flatten)]
    pub alert: Alert,
}

/// What one receiver knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Alerts that it was told of, and not yet that they cleared.
    #[serde(default)]
    pub alerts: Vec<ToldAlert>,
    /// How its last delivery went.
    #[serde(default)]
    pub delivery: Delivery,
}

/// One alert that a receiver was told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldAlert {
    /// Which.
    #[serde(flatten)]
    pub key: AlertKey,
    /// How grave it was told to be.
    pub severity: Severity,
    /// When it was told last.
    pub at: Timestamp,
}

/// How something was delivered last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The last one that arrived.
    #[serde(default)]
    pub arrived: Option<Timestamp>,
    /// Why none has arrived since; `None` while the last one did.
    #[serde(default)]
    pub failure: Option<DeliveryFailure>,
}

/// Why nothing arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFailure {
    /// What stood in the way the last time.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// Tries in a row that failed.
    pub tries: u32,
}

impl Delivery {
    /// It arrived.
    pub fn arrived(&mut self, at: Timestamp) {
        *self = Self { arrived: Some(at), failure: None };
    }

    /// It did not.
    pub fn failed(&mut self, why: String, at: Timestamp) {
        let (since, tries) = self.failure.as_ref().map_or((at, 0), |failure| (failure.since, failure.tries));
        self.failure = Some(DeliveryFailure { why, since, tries: tries.saturating_add(1) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_is_a_command_line() {
        assert_eq!(fix("container.restart", "agents-n8n-1"), "hostler run container.restart agents-n8n-1");
        assert_eq!(fix("docker.prune", "/"), "hostler run docker.prune");
        assert_eq!(fix("model.delete", "a b"), "hostler run model.delete 'a b'");
    }

    #[test]
    fn failures_in_a_row_are_counted_from_the_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut delivery = Delivery::default();
        delivery.failed("refused".to_owned(), at(1));
        delivery.failed("no answer".to_owned(), at(2));
        let failure = delivery.failure.clone().unwrap();
        assert_eq!((&*failure.why, failure.since, failure.tries), ("no answer", at(1), 2));
        delivery.arrived(at(3));
        assert_eq!(delivery, Delivery { arrived: Some(at(3)), failure: None });
    }
}
