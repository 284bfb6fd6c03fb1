//! `[alerts]`: who is told of what and when, checked word by word, and written back.

mod print;
mod rules;

pub(super) use print::{address, clock, complete, day, raw, token};

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use strum::IntoEnumIterator as _;
use toml::Spanned;

use super::check::Checker;
use super::raw::{RawAlerts, RawDay, RawHeartbeat, RawKind, RawQuiet, RawReceiver};
use crate::alerts::{AlertSettings, Heartbeat, Quiet, QuietTime, Receiver, ReceiverKind};
use crate::domain::{Severity, parse_instant, secret};
use crate::host::{Address, SecretRef, WebLogin, WebUrl, time_zone};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How long a receiver may take where nothing is said.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a heartbeat is sent where nothing is said.
const BEAT: Duration = Duration::from_mins(1);

impl Checker<'_> {
    /// The settings, without what is at fault.
    pub(super) fn alerts(&mut self, raw: &RawAlerts, defaults: &AlertSettings) -> AlertSettings {
        let mut names = HashSet::new();
        AlertSettings {
            group_wait: self.span(raw.group_wait.as_ref(), Duration::ZERO..=HOUR, defaults.group_wait),
            group_interval: self.span(raw.group_interval.as_ref(), Duration::ZERO..=DAY, defaults.group_interval),
            repeat: self.span(raw.repeat.as_ref(), 60 * SECOND..=30 * DAY, defaults.repeat),
            settle: self.span(raw.settle.as_ref(), Duration::ZERO..=HOUR, defaults.settle),
            to: raw.to.iter().filter_map(|receiver| self.receiver(receiver, &mut names)).collect(),
            quiet: raw.quiet.iter().filter_map(|quiet| self.quiet(quiet)).collect(),
            heartbeat: self.heartbeat(&raw.heartbeat),
        }
    }

    fn heartbeat(&mut self, raw: &RawHeartbeat) -> Option<Heartbeat> {
        let every = self.span(raw.every.as_ref(), 10 * SECOND..=DAY, BEAT);
        let to = self.web_address(raw.url.as_ref(), raw.url_file.as_ref())?;
        Some(Heartbeat { to, every })
    }

    fn receiver(&mut self, raw: &RawReceiver, names: &mut HashSet<String>) -> Option<Receiver> {
        let before = self.faults();
        let kind = self.kind(raw);
        let login = if *raw.kind.get_ref() == RawKind::Command { None } else { self.login(raw) };
        let timeout = self.span(raw.timeout.as_ref(), SECOND..=600 * SECOND, PATIENCE);
        if let (RawKind::Alertmanager, Some(written)) = (raw.kind.get_ref(), &raw.send_resolved) {
            self.fault(written, "Alertmanager itself has `send_resolved`; leave it out here".to_owned());
        }
        let name = self.name(raw, names);
        if self.faults() > before {
            return None;
        }
        Some(Receiver {
            name,
            kind: kind?,
            severity: raw.severity.unwrap_or(Severity::Warning),
            send_resolved: raw.send_resolved.as_ref().is_none_or(|written| *written.get_ref()),
            login,
            timeout,
        })
    }

    /// What it is called: its kind, where nothing is said.
    fn name(&mut self, raw: &RawReceiver, names: &mut HashSet<String>) -> String {
        let plain = |name: &str| {
            let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=64).contains(&name.len()) && name.bytes().all(sign)
        };
        let name =
            raw.name.as_ref().map_or_else(|| word(*raw.kind.get_ref()).to_owned(), |name| name.get_ref().clone());
        if let Some(written) = raw.name.as_ref().filter(|_| !plain(&name)) {
            self.fault(written, format!("`{name}` is no name; allowed: letters, digits, -, _ and ."));
        } else if let (Some(written), "heartbeat") = (&raw.name, &*name) {
            self.fault(written, "`heartbeat` is what `[alerts.heartbeat]` is called; choose another name".to_owned());
        } else if !names.insert(name.clone()) {
            let what = format!("there are two receivers `{name}`; give each a `name` of its own");
            match &raw.name {
                Some(written) => self.fault(written, what),
                None => self.fault(&raw.kind, what),
            }
        }
        name
    }

    /// How it is told; every key that its kind needs must be there, and none that means nothing for it.
    fn kind(&mut self, raw: &RawReceiver) -> Option<ReceiverKind> {
        let kind = *raw.kind.get_ref();
        let is_command = kind == RawKind::Command;
        let of_web = [&raw.url, &raw.url_file, &raw.token_file, &raw.token_env, &raw.user, &raw.password_file];
        for written in of_web.into_iter().flatten().filter(|_| is_command) {
            self.fault(written, "a command has `argv`, and no address to log in at; leave this out".to_owned());
        }
        if let Some(written) = raw.topic.as_ref().filter(|_| kind != RawKind::Ntfy) {
            self.fault(written, "only ntfy has topics; leave this out".to_owned());
        }
        if let Some(written) = raw.argv.as_ref().filter(|_| !is_command) {
            self.fault(written, format!("only a command has `argv`; {} has `url`", word(kind)));
        }
        if is_command {
            return self.command(raw).map(ReceiverKind::Command);
        }
        let to = self.web_address(raw.url.as_ref(), raw.url_file.as_ref());
        if raw.url.is_none() && raw.url_file.is_none() {
            self.fault(&raw.kind, format!("{} needs `url`, or `url_file` where the address is a secret", word(kind)));
        }
        match kind {
            RawKind::Alertmanager => to.map(ReceiverKind::Alertmanager),
            RawKind::Webhook => to.map(ReceiverKind::Webhook),
            RawKind::Ntfy => {
                let topic = raw.topic.as_ref().and_then(|topic| self.filled(topic));
                if raw.topic.is_none() {
                    self.fault(&raw.kind, "ntfy needs `topic`".to_owned());
                }
                Some(ReceiverKind::Ntfy(to?, topic?))
            }
            RawKind::Command => None,
        }
    }

    fn command(&mut self, raw: &RawReceiver) -> Option<Vec<String>> {
        let Some(argv) = &raw.argv else {
            self.fault(&raw.kind, "a command needs `argv`: the program and its words".to_owned());
            return None;
        };
        let words = argv.get_ref();
        if words.first().is_none_or(|program| !program.get_ref().starts_with('/')) {
            let what = "the program must be named by its whole path, such as [\"/usr/local/bin/tell\", \"me\"]";
            self.fault(argv, what.to_owned());
            return None;
        }
        let plain: Vec<&str> = words.iter().map(|word| word.get_ref().as_str()).collect();
        for (word, masked) in words.iter().zip(secret::mask_words(plain)) {
            if *word.get_ref() != masked {
                self.fault(word, "this looks like a secret; let the program read it from a file".to_owned());
            }
        }
        Some(words.iter().map(|word| word.get_ref().clone()).collect())
    }

    /// The address that is written, or the file that holds it; not both.
    pub(super) fn web_address(
        &mut self,
        url: Option<&Spanned<String>>,
        file: Option<&Spanned<String>>,
    ) -> Option<Address> {
        if let (Some(_), Some(file)) = (url, file) {
            self.fault(file, "there is `url` already; leave one of them out".to_owned());
            return None;
        }
        if let Some(file) = file {
            return self.path(file).map(Address::InFile);
        }
        let written = url?;
        match written.get_ref().parse::<WebUrl>() {
            Ok(_) if secret::mask_text(written.get_ref()) != *written.get_ref() => {
                self.fault(written, "this holds a secret; write it to a file, and name that in `url_file`".to_owned());
                None
            }
            Ok(url) => Some(Address::Written(url)),
            Err(error) => {
                self.fault(written, error.to_string());
                None
            }
        }
    }

    fn login(&mut self, raw: &RawReceiver) -> Option<WebLogin> {
        let ways = [&raw.token_file, &raw.token_env, &raw.password_file];
        let mut said = ways.into_iter().flatten();
        if let (Some(_), Some(second)) = (said.next(), said.next()) {
            self.fault(second, "one way to log in is enough; leave the others out".to_owned());
            return None;
        }
        if let Some(user) = raw.user.as_ref().filter(|_| raw.password_file.is_none()) {
            self.fault(user, "`user` goes with `password_file`".to_owned());
            return None;
        }
        if raw.token_file.is_some() || raw.token_env.is_some() {
            return self.token(raw.token_file.as_ref(), raw.token_env.as_ref()).map(WebLogin::Token);
        }
        let file = raw.password_file.as_ref()?;
        let Some(user) = &raw.user else {
            self.fault(file, "`password_file` goes with `user`".to_owned());
            return None;
        };
        let user = user.get_ref().clone();
        self.path(file).map(|path| WebLogin::Password(user, SecretRef::File(path)))
    }

    /// Where a token stands: in a file or in a variable, whose names must be such.
    pub(super) fn token(
        &mut self,
        file: Option<&Spanned<String>>,
        variable: Option<&Spanned<String>>,
    ) -> Option<SecretRef> {
        if let (Some(_), Some(variable)) = (file, variable) {
            self.fault(variable, "one way to log in is enough; leave the other out".to_owned());
            return None;
        }
        let file = file.and_then(|file| self.path(file)).map(SecretRef::File);
        file.or_else(|| variable.and_then(|name| self.variable(name)).map(SecretRef::Variable))
    }

    fn variable(&mut self, written: &Spanned<String>) -> Option<String> {
        let name = written.get_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name =
            !name.is_empty() && name.bytes().all(plain) && !name.starts_with(|first: char| first.is_ascii_digit());
        if !is_name {
            // Whoever wrote the token itself must not find it in the message.
            self.fault(written, "this is no name of a variable; allowed: letters, digits and _".to_owned());
        }
        is_name.then(|| name.clone())
    }

    fn path(&mut self, written: &Spanned<String>) -> Option<PathBuf> {
        let path = written.get_ref();
        if !path.starts_with('/') {
            self.fault(written, "this is no file; allowed: an absolute path, such as /etc/hostler/token".to_owned());
        }
        path.starts_with('/').then(|| path.into())
    }

    fn quiet(&mut self, raw: &RawQuiet) -> Option<Quiet> {
        match (&raw.to, &raw.until) {
            (Some(to), None) => {
                let (from, to) = (self.time(&raw.from), self.time(to));
                let days = raw.days.as_ref().map_or_else(|| RawDay::iter().collect(), Clone::clone);
                let days = days.into_iter().map(weekday).collect();
                Some(Quiet(QuietTime::Weekly { days, from: from?, to: to? }))
            }
            (None, Some(until)) => {
                let (from, end) = (self.instant(&raw.from), self.instant(until));
                let (from, end) = (from?, end?);
                if raw.days.is_some() {
                    self.fault(until, "a window with `until` is once; leave `days` out".to_owned());
                } else if end <= from {
                    self.fault(until, "it would end before it begins".to_owned());
                } else {
                    return Some(Quiet(QuietTime::Once { from, until: end }));
                }
                None
            }
            (Some(_), Some(until)) => {
                self.fault(until, "a window has `to` (a time, every week) or `until` (once), not both".to_owned());
                None
            }
            (None, None) => {
                self.fault(&raw.from, "a window needs `to` (a time, every week) or `until` (once)".to_owned());
                None
            }
        }
    }

    pub(super) fn time(&mut self, written: &Spanned<String>) -> Option<Time> {
        let time = written.get_ref().trim().parse::<Time>();
        if time.is_err() {
            self.fault(written, format!("`{}` is no time; allowed: \"22:00\"", written.get_ref()));
        }
        time.ok()
    }

    fn instant(&mut self, written: &Spanned<String>) -> Option<Timestamp> {
        let text = written.get_ref().trim();
        let instant = parse_instant(text, &time_zone());
        if instant.is_none() {
            self.fault(written, format!("`{text}` is no time of a day; allowed: \"2026-12-01T22:00\""));
        }
        instant
    }
}

/// The word of a kind in the config.
fn word(kind: RawKind) -> &'static str {
    match kind {
        RawKind::Alertmanager => "alertmanager",
        RawKind::Webhook => "webhook",
        RawKind::Ntfy => "ntfy",
        RawKind::Command => "command",
    }
}

pub(super) fn weekday(day: RawDay) -> Weekday {
    match day {
        RawDay::Mon => Weekday::Monday,
        RawDay::Tue => Weekday::Tuesday,
        RawDay::Wed => Weekday::Wednesday,
        RawDay::Thu => Weekday::Thursday,
        RawDay::Fri => Weekday::Friday,
        RawDay::Sat => Weekday::Saturday,
        RawDay::Sun => Weekday::Sunday,
    }
}
