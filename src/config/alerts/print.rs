//! `[alerts]` in force, as a file would say it.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use toml::Spanned;

use super::super::print::anywhere;
use super::super::raw::{Limit, RawAlerts, RawDay, RawHeartbeat, RawKind, RawQuiet, RawReceiver, RawRule, Span};
use crate::alerts::{AlertSettings, Quiet, QuietTime, Receiver, ReceiverKind};
use crate::domain::{SeriesRule, Severity, Side};
use crate::host::{Address, SecretRef, WebLogin};

/// What is in force.
pub(in crate::config) fn raw(settings: &AlertSettings, rules: &[SeriesRule]) -> RawAlerts {
    let span = |span: Duration| Some(anywhere(Span(span)));
    let heartbeat = settings.heartbeat.as_ref().map_or_else(RawHeartbeat::default, |heartbeat| {
        let (url, url_file) = address(&heartbeat.to);
        RawHeartbeat { url, url_file, every: span(heartbeat.every) }
    });
    RawAlerts {
        group_wait: span(settings.group_wait),
        group_interval: span(settings.group_interval),
        repeat: span(settings.repeat),
        settle: span(settings.settle),
        heartbeat,
        to: settings.to.iter().map(receiver).collect(),
        quiet: settings.quiet.iter().map(quiet).collect(),
        rule: rules.iter().map(rule).collect(),
    }
}

/// The same with a value for every key, for the list of keys that there are.
pub(in crate::config) fn complete(raw: &mut RawAlerts) {
    let text = || Some(anywhere(String::new()));
    let span = || Some(anywhere(Span(Duration::ZERO)));
    raw.heartbeat = RawHeartbeat { url: text(), url_file: text(), every: span() };
    raw.to = vec![RawReceiver {
        name: text(),
        kind: anywhere(RawKind::Webhook),
        url: text(),
        url_file: text(),
        topic: text(),
        argv: Some(anywhere(Vec::new())),
        token_file: text(),
        token_env: text(),
        user: text(),
        password_file: text(),
        severity: Some(Severity::Warning),
        send_resolved: Some(anywhere(true)),
        timeout: span(),
    }];
    raw.quiet = vec![RawQuiet { days: Some(Vec::new()), from: anywhere(String::new()), to: text(), until: text() }];
    let limit = || Some(anywhere(Limit(0.0)));
    raw.rule = vec![RawRule {
        name: anywhere(String::new()),
        series: anywhere(String::new()),
        above: limit(),
        below: limit(),
        clear: limit(),
        hold_for: span(),
        severity: Some(Severity::Warning),
        text: text(),
    }];
}

/// A text that may be written, or not.
type Written = Option<Spanned<String>>;

/// `token_file` or `token_env`.
pub(in crate::config) fn token(token: &SecretRef) -> (Written, Written) {
    match token {
        SecretRef::File(path) => (Some(anywhere(path.display().to_string())), None),
        SecretRef::Variable(name) => (None, Some(anywhere(name.clone()))),
    }
}

/// `url` or `url_file`.
pub(in crate::config) fn address(address: &Address) -> (Written, Written) {
    match address {
        Address::Written(url) => (Some(anywhere(url.to_string())), None),
        Address::InFile(path) => (None, Some(anywhere(path.display().to_string()))),
    }
}

fn receiver(receiver: &Receiver) -> RawReceiver {
    let (kind, to, topic, argv) = match &receiver.kind {
        ReceiverKind::Alertmanager(to) => (RawKind::Alertmanager, Some(to), None, None),
        ReceiverKind::Webhook(to) => (RawKind::Webhook, Some(to), None, None),
        ReceiverKind::Ntfy(to, topic) => (RawKind::Ntfy, Some(to), Some(anywhere(topic.clone())), None),
        ReceiverKind::Command(argv) => {
            (RawKind::Command, None, None, Some(anywhere(argv.iter().cloned().map(anywhere).collect())))
        }
    };
    let (url, url_file) = to.map(address).unwrap_or_default();
    let (mut token_file, mut token_env, mut user, mut password_file) = (None, None, None, None);
    match &receiver.login {
        Some(WebLogin::Token(login)) => (token_file, token_env) = token(login),
        Some(WebLogin::Password(name, password)) => {
            (user, password_file) = (Some(anywhere(name.clone())), Some(anywhere(password.to_string())));
        }
        None => {}
    }
    RawReceiver {
        name: Some(anywhere(receiver.name.clone())),
        kind: anywhere(kind),
        url,
        url_file,
        topic,
        argv,
        token_file,
        token_env,
        user,
        password_file,
        severity: Some(receiver.severity),
        send_resolved: (!receiver.kind.keeps_state()).then(|| anywhere(receiver.send_resolved)),
        timeout: Some(anywhere(Span(receiver.timeout))),
    }
}

fn quiet(Quiet(time): &Quiet) -> RawQuiet {
    match time {
        QuietTime::Weekly { days, from, to } => RawQuiet {
            days: Some(days.iter().copied().map(day).collect()),
            from: anywhere(clock(*from)),
            to: Some(anywhere(clock(*to))),
            until: None,
        },
        QuietTime::Once { from, until } => RawQuiet {
            days: None,
            from: anywhere(from.to_string()),
            to: None,
            until: Some(anywhere(until.to_string())),
        },
    }
}

/// `22:00`, with seconds only where there are some.
pub(in crate::config) fn clock(time: Time) -> String {
    time.strftime(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}

pub(in crate::config) fn day(day: Weekday) -> RawDay {
    match day {
        Weekday::Monday => RawDay::Mon,
        Weekday::Tuesday => RawDay::Tue,
        Weekday::Wednesday => RawDay::Wed,
        Weekday::Thursday => RawDay::Thu,
        Weekday::Friday => RawDay::Fri,
        Weekday::Saturday => RawDay::Sat,
        Weekday::Sunday => RawDay::Sun,
    }
}

fn rule(rule: &SeriesRule) -> RawRule {
    let limit = |side: Side| (rule.side == side).then(|| anywhere(Limit(rule.limit)));
    RawRule {
        name: anywhere(rule.id.to_owned()),
        series: anywhere(rule.series.to_string()),
        above: limit(Side::Above),
        below: limit(Side::Below),
        clear: Some(anywhere(Limit(rule.clear))),
        hold_for: Some(anywhere(Span(rule.hold_for))),
        severity: Some(rule.severity),
        text: rule.text.map(|text| anywhere(text.to_owned())),
    }
}
