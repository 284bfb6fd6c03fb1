//! A program of the operator's: run without a shell when something fires and when it clears. It has the worst alert in
//! variables, and all of the message as JSON on its standard input.

use super::message::Message;

/// The variables, by name.
pub(super) fn variables(message: &Message) -> Vec<(&'static str, String)> {
    let severity: &str = message.severity.into();
    let mut variables = vec![
        ("HOSTLER_ALERT_STATUS", message.status.word().to_owned()),
        ("HOSTLER_ALERT_SEVERITY", severity.to_owned()),
        ("HOSTLER_ALERT_HOST", message.host.clone()),
        ("HOSTLER_ALERT_GROUP", message.group.clone()),
        ("HOSTLER_ALERT_COUNT", message.alerts.len().to_string()),
        ("HOSTLER_ALERT_TEST", if message.test { "1" } else { "" }.to_owned()),
    ];
    if let Some(worst) = message.alerts.first().map(|noted| &noted.alert) {
        variables.extend([
            ("HOSTLER_ALERT_ID", worst.id.clone()),
            ("HOSTLER_ALERT_SUBJECT", worst.subject.clone()),
            ("HOSTLER_ALERT_PROJECT", worst.project.clone().unwrap_or_default()),
            ("HOSTLER_ALERT_SERVICE", worst.service.clone().unwrap_or_default()),
            ("HOSTLER_ALERT_TITLE", worst.title.clone()),
            ("HOSTLER_ALERT_SINCE", worst.since.to_string()),
        ]);
    }
    variables
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::message::tests::{message, noted};
    use super::*;
    use crate::domain::AlertStatus;

    #[test]
    fn the_worst_alert_stands_in_variables() {
        let told: BTreeMap<_, _> =
            variables(&message([noted("agents-n8n-1", AlertStatus::Firing)])).into_iter().collect();
        for (name, value) in [
            ("HOSTLER_ALERT_STATUS", "firing"),
            ("HOSTLER_ALERT_SEVERITY", "critical"),
            ("HOSTLER_ALERT_GROUP", "agents"),
            ("HOSTLER_ALERT_COUNT", "1"),
            ("HOSTLER_ALERT_TEST", ""),
            ("HOSTLER_ALERT_ID", "container.restart-loop"),
            ("HOSTLER_ALERT_SUBJECT", "agents-n8n-1"),
        ] {
            assert_eq!(told[name], value, "{name}");
        }
    }
}
