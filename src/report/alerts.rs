//! `hostler alert list`: which alerts there are, who was told of them, and who waits; and how each receiver is reached.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;

use super::look::{Columns, Look, Tone};
use super::{SCHEMA, second};
use crate::domain::{Alert, Delivery, Outbox, Severity};

/// A receiver in the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverName {
    /// What it is called.
    pub name: String,
    /// The word of its kind.
    pub kind: &'static str,
    /// Where it is, as far as that may be told.
    pub place: String,
    /// Only of what is so grave at least.
    pub severity: Severity,
    /// It is told also that something cleared.
    pub send_resolved: bool,
}

/// What is told. Its JSON is that of `hostler alert list --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertList {
    /// The format, 1.
    pub schema: u32,
    /// The alerts, worst first.
    pub alerts: Vec<ListedAlert>,
    /// The receivers of the config.
    pub receivers: Vec<ListedReceiver>,
    /// How the last heartbeat went.
    pub heartbeat: Delivery,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedAlert {
    /// What it says.
    #[serde(flatten)]
    pub alert: Alert,
    /// It is snoozed, accepted or acknowledged.
    pub silenced: bool,
    /// Since when it is not seen any more; `null` while it is open.
    pub gone: Option<Timestamp>,
    /// Receivers that know of it.
    pub told: Vec<ToldTo>,
    /// Receivers that are to hear of it, or that it cleared.
    pub waiting: Vec<String>,
}

/// Who knows of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldTo {
    /// Who.
    pub receiver: String,
    /// When they were told last.
    #[serde(serialize_with = "second")]
    pub at: Timestamp,
}

/// One receiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedReceiver {
    /// What it is called.
    pub name: String,
    /// The word of its kind.
    pub kind: &'static str,
    /// Where it is, as far as that may be told.
    pub place: String,
    /// Only of what is so grave at least.
    pub severity: Severity,
    /// How the last message went.
    pub delivery: Delivery,
}

impl AlertList {
    /// What `outbox` says of these receivers.
    pub fn of(outbox: &Outbox, receivers: &[ReceiverName]) -> Self {
        let alerts = outbox.alerts.iter().map(|kept| {
            let key = kept.alert.key();
            let (mut told, mut waiting) = (Vec::new(), Vec::new());
            for receiver in receivers {
                let known = outbox.receivers.get(&receiver.name).into_iter().flat_map(|told| &told.alerts);
                let known = known.into_iter().find(|told| told.key == key);
                let is_to_hear = match (known, kept.gone) {
                    (Some(_), Some(_)) => receiver.send_resolved,
                    (Some(known), None) => known.severity < kept.alert.severity && !kept.silenced,
                    (None, Some(_)) => false,
                    (None, None) => kept.alert.severity >= receiver.severity && !kept.silenced,
                };
                told.extend(known.map(|known| ToldTo { receiver: receiver.name.clone(), at: known.at }));
                waiting.extend(is_to_hear.then(|| receiver.name.clone()));
            }
            ListedAlert { alert: kept.alert.clone(), silenced: kept.silenced, gone: kept.gone, told, waiting }
        });
        let mut alerts: Vec<ListedAlert> = alerts.collect();
        alerts.sort_by_key(|listed| (listed.gone.is_some(), std::cmp::Reverse(listed.alert.severity)));
        let listed = |receiver: &ReceiverName| ListedReceiver {
            name: receiver.name.clone(),
            kind: receiver.kind,
            place: receiver.place.clone(),
            severity: receiver.severity,
            delivery: outbox.receivers.get(&receiver.name).map(|told| told.delivery.clone()).unwrap_or_default(),
        };
        let receivers = receivers.iter().map(listed).collect();
        Self { schema: SCHEMA, alerts, receivers, heartbeat: outbox.heartbeat.clone() }
    }

    /// The same for people.
    pub fn text(&self, look: &Look, now: Timestamp) -> String {
        let mut text = String::new();
        for listed in &self.alerts {
            let alert = &listed.alert;
            let word: &str = alert.severity.into();
            let is_quiet = listed.silenced || listed.gone.is_some();
            let head = look.tone(if is_quiet { Tone::Muted } else { alert.severity.into() }, &format!("{word:<8}"));
            let _ = writeln!(text, "{head}  {}  {}  {}", alert.id, alert.subject, alert.title);
            let mut facts = vec![match listed.gone {
                Some(gone) => format!("not seen since {}", look.time(gone)),
                None => format!("since {}", look.time(alert.since)),
            }];
            facts.extend(listed.silenced.then(|| "silenced".to_owned()));
            facts.extend(
                listed.told.iter().map(|told| format!("{} was told {}", told.receiver, look.ago(told.at, now))),
            );
            facts.extend(listed.waiting.iter().map(|name| format!("{name} is to hear of it")));
            let _ = writeln!(text, "          {}", look.tone(Tone::Muted, &facts.join(", ")));
        }
        if self.alerts.is_empty() {
            text.push_str("Nothing is to be told.\n");
        }
        let mut columns = Columns::default();
        for receiver in &self.receivers {
            let tone = if receiver.delivery.failure.is_some() { Tone::Critical } else { Tone::Plain };
            columns.row([
                (Tone::Strong, receiver.name.clone()),
                (Tone::Plain, receiver.kind.to_owned()),
                (Tone::Muted, receiver.place.clone()),
                (tone, delivery(&receiver.delivery, look, now)),
            ]);
        }
        let _ = write!(text, "\nReceivers\n{}", columns.lines(look, 2));
        if self.receivers.is_empty() {
            text.push_str("  none: `[[alerts.to]]` in the config names them\n");
        }
        text
    }
}

/// How something was delivered last, in words.
pub fn delivery(delivery: &Delivery, look: &Look, now: Timestamp) -> String {
    match (&delivery.failure, delivery.arrived) {
        (Some(failure), _) => {
            let tries = if failure.tries == 1 { "1 try".to_owned() } else { format!("{} tries", failure.tries) };
            format!("nothing arrives since {} ({tries}): {}", look.time(failure.since), failure.why)
        }
        (None, Some(at)) => format!("arrived {}", look.ago(at, now)),
        (None, None) => "nothing was sent yet".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::look::tests::plain;
    use super::*;
    use crate::domain::{KeptAlert, Told, ToldAlert};
    use crate::make::wall;

    fn kept(subject: &str, severity: Severity) -> KeptAlert {
        let alert = Alert {
            id: "disk.free".to_owned(),
            subject: subject.to_owned(),
            project: None,
            service: None,
            severity,
            title: "15% free".to_owned(),
            why: String::new(),
            evidence: Vec::new(),
            since: wall(0),
            fix: Vec::new(),
        };
        KeptAlert { silenced: false, gone: None, alert }
    }

    fn receiver(name: &str, severity: Severity) -> ReceiverName {
        let (name, place) = (name.to_owned(), "https://ntfy.sh".to_owned());
        ReceiverName { name, kind: "ntfy", place, severity, send_resolved: true }
    }

    #[test]
    fn who_knows_and_who_waits_is_told() {
        let told = |kept: &KeptAlert| ToldAlert { key: kept.alert.key(), severity: kept.alert.severity, at: wall(60) };
        let gone = KeptAlert { gone: Some(wall(90)), ..kept("/gone", Severity::Critical) };
        let silenced = KeptAlert { silenced: true, ..kept("/silenced", Severity::Critical) };
        let known = kept("/", Severity::Warning);
        let mut phone = Told { alerts: vec![told(&known), told(&gone)], ..Told::default() };
        phone.delivery.arrived(wall(60));
        let mut night = Told::default();
        night.delivery.failed("connection refused".to_owned(), wall(60));
        let outbox = Outbox {
            alerts: vec![gone, known, kept("/new", Severity::Critical), silenced],
            receivers: [("phone".to_owned(), phone), ("night".to_owned(), night)].into(),
            ..Outbox::default()
        };
        let receivers = [receiver("phone", Severity::Warning), receiver("night", Severity::Critical)];
        let list = AlertList::of(&outbox, &receivers);
        let lines: Vec<(&str, Vec<&str>, Vec<&str>)> = list
            .alerts
            .iter()
            .map(|listed| {
                let told = listed.told.iter().map(|told| told.receiver.as_str()).collect();
                (&*listed.alert.subject, told, listed.waiting.iter().map(String::as_str).collect())
            })
            .collect();
        let expected = [
            ("/new", vec![], vec!["phone", "night"]),
            ("/silenced", vec![], vec![]),
            ("/", vec!["phone"], vec![]),
            ("/gone", vec!["phone"], vec!["phone"]),
        ];
        assert_eq!(lines, expected);
        let text = list.text(&plain(), wall(180));
        for part in [
            "critical  disk.free  /new  15% free\n          since 2026-11-23 09:02, phone is to hear of it, night is to hear of it\n",
            "phone was told 2 min ago",
            "not seen since 2026-11-23 09:03",
            "arrived 2 min ago",
            "nothing arrives since 2026-11-23 09:03 (1 try): connection refused",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }
}
