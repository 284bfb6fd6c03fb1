//! ntfy: a message published as JSON to the server's own address (ntfy documentation, *Publish as JSON*), since headers
//! cannot hold every text.

use serde_json::{Value, json};

use super::message::Message;
use crate::domain::{AlertStatus, Severity};

/// The longest message that it shows as one, bytes; what is longer becomes a file (ntfy documentation, *Limitations*).
const MESSAGE_BYTES: usize = 4_000;

/// The message as it takes it.
pub(super) fn body(message: &Message, topic: &str) -> Value {
    // Priorities from 1 to 5, of which 3 is the usual one; tags that are names of emoji are shown as such.
    let (priority, tag) = match (message.status, message.severity) {
        _ if message.test => (3, "bell"),
        (AlertStatus::Cleared, _) => (3, "white_check_mark"),
        (AlertStatus::Firing, Severity::Critical) => (5, "rotating_light"),
        (AlertStatus::Firing, Severity::Warning) => (4, "warning"),
        (AlertStatus::Firing, Severity::Info) => (3, "information_source"),
    };
    let severity: &str = message.severity.into();
    let text = message.text();
    let end = text.floor_char_boundary(MESSAGE_BYTES);
    json!({
        "topic": topic,
        "title": message.title(),
        "message": if end < text.len() { format!("{}…", &text[..end]) } else { text },
        "priority": priority,
        "tags": [tag, severity, message.host],
    })
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{message, noted};
    use super::*;

    #[test]
    fn a_message_has_title_priority_and_tags_by_severity() {
        let body = body(&message([noted("agents-n8n-1", AlertStatus::Firing)]), "box");
        assert_eq!((&body["topic"], &body["priority"]), (&json!("box"), &json!(5)));
        assert_eq!(body["title"], "gpubox-01: agents-n8n-1 restarting again and again");
        assert_eq!(body["tags"], json!(["rotating_light", "critical", "gpubox-01"]));
        assert_eq!(
            body["message"],
            "critical: agents-n8n-1 restarting again and again (container.restart-loop)\n- 4 exits in 5m\n- exit code 137\n\
             $ hostler run container.restart agents-n8n-1"
        );
        let cleared =
            super::body(&message([noted("a", AlertStatus::Cleared), noted("b", AlertStatus::Cleared)]), "box");
        assert_eq!((&cleared["priority"], &cleared["tags"][0]), (&json!(3), &json!("white_check_mark")));
        assert_eq!(cleared["title"], "gpubox-01: cleared: a restarting again and again, and 1 more");
    }

    #[test]
    fn a_message_is_no_longer_than_one() {
        let many = (0..100).map(|number| noted(&format!("é{number}"), AlertStatus::Firing));
        let body = body(&message(many), "box");
        assert!(body["message"].as_str().unwrap().len() <= MESSAGE_BYTES + 4);
    }
}
