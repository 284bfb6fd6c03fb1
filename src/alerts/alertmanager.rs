//! Prometheus' Alertmanager, API v2 (`api/v2/openapi.yaml`, `postableAlerts`). It groups, repeats and silences by itself.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::message::{Message, Noted};
use crate::domain::AlertStatus;

/// Where alerts are posted, below its address.
pub(super) const PATH: &str = "api/v2/alerts";

/// The alerts as it takes them. The labels are what it knows an alert by, so only what stays the same is one.
pub(super) fn body(message: &Message) -> Value {
    message.alerts.iter().map(|noted| alert(noted, &message.host, message.at)).collect()
}

fn alert(noted: &Noted, host: &str, at: Timestamp) -> Value {
    let alert = &noted.alert;
    let mut labels = Map::new();
    let mut label = |name: &str, value: &str| {
        // An empty label is none.
        if !value.is_empty() {
            labels.insert(name.to_owned(), value.into());
        }
    };
    label("alertname", &alert.id);
    label("severity", alert.severity.into());
    label("instance", host);
    label("subject", &alert.subject);
    label("project", alert.project.as_deref().unwrap_or_default());
    label("service", alert.service.as_deref().unwrap_or_default());
    let mut annotations = Map::new();
    annotations.insert("summary".to_owned(), format!("{} {}", alert.subject, alert.title).into());
    annotations.insert("why".to_owned(), alert.why.as_str().into());
    if !alert.evidence.is_empty() {
        annotations.insert("evidence".to_owned(), alert.evidence.join("; ").into());
    }
    if !alert.fix.is_empty() {
        annotations.insert("fix".to_owned(), alert.fix.join("; ").into());
    }
    // It takes no alert that begins in the future, or ends before it begins: clocks are set back.
    let begins = alert.since.min(at);
    let mut posted = json!({"labels": labels, "annotations": annotations, "startsAt": begins.to_string()});
    if noted.status == AlertStatus::Cleared {
        posted["endsAt"] = noted.ended.unwrap_or(at).clamp(begins, at).to_string().into();
    }
    posted
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{at, message, noted};
    use super::*;

    #[test]
    fn labels_stay_the_same_and_annotations_say_the_rest() {
        let body = body(&message([noted("agents-n8n-1", AlertStatus::Firing)]));
        let expected = json!([{
            "labels": {"alertname": "container.restart-loop", "severity": "critical", "instance": "gpubox-01",
                "subject": "agents-n8n-1", "project": "agents", "service": "n8n"},
            "annotations": {"summary": "agents-n8n-1 restarting again and again", "why": "It never comes to work.",
                "evidence": "4 exits in 5m; exit code 137", "fix": "hostler run container.restart agents-n8n-1"},
            "startsAt": at(0).to_string(),
        }]);
        assert_eq!(body, expected);
    }

    #[test]
    fn what_cleared_has_an_end_that_lies_behind_its_begin() {
        let mut cleared = noted("a", AlertStatus::Cleared);
        cleared.ended = Some(at(50));
        assert_eq!(body(&message([cleared.clone()]))[0]["endsAt"], at(50).to_string());
        // The clock was set back meanwhile.
        (cleared.alert.since, cleared.ended) = (at(5_000), Some(at(4_000)));
        let body = body(&message([cleared]));
        assert_eq!(
            (&body[0]["startsAt"], &body[0]["endsAt"]),
            (&json!(at(100).to_string()), &json!(at(100).to_string()))
        );
    }
}
