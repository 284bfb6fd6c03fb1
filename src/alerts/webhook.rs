//! A server that takes hostler's own JSON: a [`Message`] as it is. Its fields may become more, and are never renamed.

use serde_json::Value;

use super::message::Message;

/// The message as JSON.
pub(super) fn body(message: &Message) -> Value {
    serde_json::to_value(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::message::tests::{at, message, noted};
    use super::*;
    use crate::domain::AlertStatus;

    #[test]
    fn its_json_is_a_contract() {
        let mut cleared = noted("agents-n8n-1", AlertStatus::Cleared);
        cleared.ended = Some(at(50));
        let expected = json!({
            "schema": 1, "host": "gpubox-01", "at": at(100).to_string(), "group": "agents", "status": "cleared",
            "severity": "critical",
            "alerts": [{
                "status": "cleared", "news": true, "ended": at(50).to_string(), "id": "container.restart-loop",
                "subject": "agents-n8n-1", "project": "agents", "service": "n8n", "severity": "critical",
                "title": "restarting again and again", "why": "It never comes to work.",
                "evidence": ["4 exits in 5m", "exit code 137"], "since": at(0).to_string(),
                "fix": ["hostler run container.restart agents-n8n-1"],
            }],
        });
        assert_eq!(body(&message([cleared])), expected);
    }
}
