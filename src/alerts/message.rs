//! What is told at once: alerts of one group, all of which fire or all of which have cleared; for Alertmanager all that it is to
//! know.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::{Alert, AlertStatus, Severity};

/// A message, whatever its receiver. As JSON it is what a webhook and a command get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// The format, 1.
    pub schema: u32,
    /// The name of the box.
    pub host: String,
    /// When it was put together.
    pub at: Timestamp,
    /// What its alerts have in common: their project, else their subject.
    pub group: String,
    /// `firing` as long as one of them does.
    pub status: AlertStatus,
    /// How grave the worst is.
    pub severity: Severity,
    /// Nothing is wrong: somebody tries whether messages arrive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// The alerts, worst first.
    pub alerts: Vec<Noted>,
}

/// An alert in a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// How it stands.
    pub status: AlertStatus,
    /// The receiver is told of it for the first time, or that it is graver now, or that it cleared; else it is reminded.
    pub news: bool,
    /// When it cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// What it says.
    #[serde(flatten)]
    pub alert: Alert,
}

impl Message {
    /// A message of these alerts; `None` without any.
    pub(super) fn of(host: &str, group: &str, at: Timestamp, mut alerts: Vec<Noted>) -> Option<Self> {
        alerts.sort_by(|one, other| {
            let grave = |noted: &Noted| (noted.status == AlertStatus::Firing, noted.alert.severity, noted.news);
            grave(other)
                .cmp(&grave(one))
                .then_with(|| (&one.alert.id, &one.alert.subject).cmp(&(&other.alert.id, &other.alert.subject)))
        });
        let worst = alerts.first()?;
        Some(Self {
            schema: 1,
            host: host.to_owned(),
            at,
            group: group.to_owned(),
            status: worst.status,
            severity: worst.alert.severity,
            test: false,
            alerts,
        })
    }

    /// A message that says that messages arrive.
    pub fn test(host: &str, at: Timestamp) -> Self {
        let alert = Alert {
            id: "alert.test".to_owned(),
            subject: "host".to_owned(),
            project: None,
            service: None,
            severity: Severity::Info,
            title: "a test: alerts arrive here".to_owned(),
            why: "Somebody asked with `hostler alert test`; nothing is wrong.".to_owned(),
            evidence: Vec::new(),
            since: at,
            fix: Vec::new(),
        };
        Self {
            schema: 1,
            host: host.to_owned(),
            at,
            group: "host".to_owned(),
            status: AlertStatus::Firing,
            severity: Severity::Info,
            test: true,
            alerts: vec![Noted { status: AlertStatus::Firing, news: true, ended: None, alert }],
        }
    }

    /// One line: `gpubox-01: agents-n8n-1 restarting again and again`, with how many more there are.
    pub(super) fn title(&self) -> String {
        let more = self.alerts.len().saturating_sub(1);
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        let cleared = if self.status == AlertStatus::Cleared { "cleared: " } else { "" };
        match self.alerts.first() {
            Some(Noted { alert, .. }) => format!("{}: {cleared}{} {}{more}", self.host, alert.subject, alert.title),
            None => self.host.clone(),
        }
    }

    /// All alerts for people, a paragraph each.
    pub(super) fn text(&self) -> String {
        let paragraphs = self.alerts.iter().map(|Noted { status, news, alert, .. }| {
            let severity: &str = alert.severity.into();
            let word = if *status == AlertStatus::Cleared { status.word() } else { severity };
            let still = if *status == AlertStatus::Firing && !news { " (still)" } else { "" };
            let mut lines = vec![format!("{word}{still}: {} {} ({})", alert.subject, alert.title, alert.id)];
            if *status == AlertStatus::Firing {
                lines.extend(alert.evidence.iter().map(|clause| format!("- {clause}")));
                lines.extend(alert.fix.iter().map(|fix| format!("$ {fix}")));
            }
            lines.join("\n")
        });
        paragraphs.collect::<Vec<_>>().join("\n\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::alerts) fn at(second: i64) -> Timestamp {
        crate::make::wall(second)
    }

    /// An alert about a container of the project `agents`.
    pub(in crate::alerts) fn noted(subject: &str, status: AlertStatus) -> Noted {
        let alert = Alert {
            id: "container.restart-loop".to_owned(),
            subject: subject.to_owned(),
            project: Some("agents".to_owned()),
            service: Some("n8n".to_owned()),
            severity: Severity::Critical,
            title: "restarting again and again".to_owned(),
            why: "It never comes to work.".to_owned(),
            evidence: vec!["4 exits in 5m".to_owned(), "exit code 137".to_owned()],
            since: at(0),
            fix: vec![format!("hostler run container.restart {subject}")],
        };
        Noted { status, news: true, ended: None, alert }
    }

    pub(in crate::alerts) fn message(alerts: impl IntoIterator<Item = Noted>) -> Message {
        Message::of("gpubox-01", "agents", at(100), alerts.into_iter().collect()).unwrap()
    }

    #[test]
    fn the_worst_stands_first() {
        let with = |subject, severity, news| {
            let noted = noted(subject, AlertStatus::Firing);
            Noted { news, alert: Alert { severity, ..noted.alert }, ..noted }
        };
        let message = message([
            with("warning", Severity::Warning, true),
            with("old", Severity::Critical, false),
            with("new", Severity::Critical, true),
            noted("cleared", AlertStatus::Cleared),
        ]);
        let order: Vec<&str> = message.alerts.iter().map(|noted| noted.alert.subject.as_str()).collect();
        assert_eq!(order, ["new", "old", "warning", "cleared"]);
        assert_eq!((message.status, message.severity), (AlertStatus::Firing, Severity::Critical));
        assert!(message.text().contains("critical (still): old"), "{}", message.text());
    }
}
