//! The pure core: what is open, what each receiver was told, and what follows from that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::message::{Message, Noted};
use super::settings::{AlertSettings, Receiver};
use crate::domain::{
    Alert, AlertKey, AlertStatus, Delivery, KeptAlert, Moment, Outbox, Severity, Told, ToldAlert, backoff,
};
use crate::store::OpenFinding;

/// The most alerts that are kept in mind; what is beyond that is not told.
const ALERTS: usize = 500;
/// The most alerts in one message; the others of its group follow in the next one.
const IN_MESSAGE: usize = 100;
/// Alertmanager forgets what it does not hear of again within its `resolve_timeout`, 5 minutes as a rule.
const RESEND: Duration = Duration::from_mins(1);
/// What opens again within so long after it cleared is flapping: it must be gone for twice as long each time.
const FLAP_MEMORY: Duration = Duration::from_hours(1);
/// The longest that something flapping must be gone.
const SETTLE_MAX: Duration = Duration::from_hours(1);
/// The waits after failures.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_mins(2);

/// What is open, and what each receiver was told of it.
#[derive(Debug)]
pub struct Board {
    settings: AlertSettings,
    /// The name of the box; empty until it is known, and nothing is told before.
    host: String,
    tracked: BTreeMap<AlertKey, Tracked>,
    /// In the order of the receivers in the config.
    desks: Vec<Desk>,
    heartbeat: Delivery,
    /// Counts the looks.
    round: u64,
    /// Something changed that must outlive the process.
    changed: bool,
}

/// An alert, as this process sees it.
#[derive(Debug)]
struct Tracked {
    alert: Alert,
    silenced: bool,
    /// The look that saw it last; 0 for one that only an earlier process saw.
    round: u64,
    /// When it opened, or became graver.
    changed: Duration,
    /// Since when it is not seen any more.
    gone: Option<Moment>,
    /// How often it opened again soon after it had cleared.
    flaps: u32,
}

/// What one receiver knows, and how it is reached.
#[derive(Debug, Default)]
struct Desk {
    told: BTreeMap<AlertKey, (Severity, Timestamp)>,
    delivery: Delivery,
    /// A message is on its way.
    busy: bool,
    /// Nothing is sent before.
    retry_at: Duration,
    /// When something of each group fired last, and how grave it was.
    groups: BTreeMap<String, (Duration, Severity)>,
    /// When it was told everything last.
    resent: Option<Duration>,
}

impl Board {
    /// What `outbox` says of an earlier process, for the receivers that there are now.
    pub fn new(settings: AlertSettings, mut outbox: Outbox, now: Moment) -> Self {
        let kept = std::mem::take(&mut outbox.alerts).into_iter().map(|kept| {
            let (silenced, changed) = (kept.silenced, now.mono);
            (kept.alert.key(), Tracked { alert: kept.alert, silenced, round: 0, changed, gone: None, flaps: 0 })
        });
        let tracked: BTreeMap<AlertKey, Tracked> = kept.take(ALERTS).collect();
        let desk = |receiver: &Receiver| {
            let Told { alerts, delivery } = outbox.receivers.remove(&receiver.name).unwrap_or_default();
            let told = alerts.into_iter().filter(|told| tracked.contains_key(&told.key));
            let told = told.map(|told| (told.key, (told.severity, told.at))).collect();
            Desk { told, delivery, ..Desk::default() }
        };
        let desks = settings.to.iter().map(desk).collect();
        Self { settings, host: outbox.host, tracked, desks, heartbeat: outbox.heartbeat, round: 0, changed: false }
    }

    /// The name of the box, once it is known.
    pub fn set_host(&mut self, host: &str) {
        if self.host != host {
            host.clone_into(&mut self.host);
            self.changed = true;
        }
    }

    /// Takes in what is open now. What an earlier process saw and this one does not is gone only once `is_judged` says that
    /// its rule could look.
    pub fn look<'a>(
        &mut self,
        open: impl Iterator<Item = OpenFinding<'a>>,
        is_judged: impl Fn(&AlertKey) -> bool,
        now: Moment,
    ) {
        let Some(least) = self.settings.to.iter().map(|receiver| receiver.severity).min() else { return };
        self.round += 1;
        for finding in open.filter(|finding| finding.seen.severity >= least) {
            let key = AlertKey { id: finding.seen.id.to_owned(), subject: finding.seen.subject.to_string() };
            let has_room = self.tracked.len() < ALERTS;
            match self.tracked.get_mut(&key) {
                Some(tracked) => self.changed |= tracked.seen(&finding, &self.settings, self.round, now),
                None if has_room => {
                    self.tracked.insert(key, Tracked::new(&finding, self.round, now));
                    self.changed = true;
                }
                None => {}
            }
        }
        for (key, tracked) in &mut self.tracked {
            let is_seen = tracked.round == self.round || tracked.gone.is_some();
            if !is_seen && (tracked.round > 0 || is_judged(key)) {
                tracked.gone = Some(now);
                self.changed = true;
            }
        }
        self.forget(now);
    }

    /// Forgets what cleared a while ago and everybody knows of; who does not want to hear that something cleared knows.
    fn forget(&mut self, now: Moment) {
        let Self { settings, tracked, desks, changed, .. } = self;
        for (receiver, desk) in settings.to.iter().zip(desks.iter_mut()).filter(|(receiver, _)| !receiver.send_resolved)
        {
            if !receiver.kind.keeps_state() && !desk.busy {
                let before = desk.told.len();
                desk.told.retain(|key, _| tracked.get(key).is_some_and(|tracked| !tracked.is_cleared(settings, now)));
                *changed |= desk.told.len() != before;
            }
        }
        tracked.retain(|key, tracked| {
            let gone_for = tracked.gone.map(|gone| now.since(gone));
            let is_told = || desks.iter().any(|desk| desk.told.contains_key(key));
            gone_for.is_none_or(|gone| gone < FLAP_MEMORY.max(tracked.settle(settings))) || is_told()
        });
    }

    /// What the config says.
    pub fn settings(&self) -> &AlertSettings {
        &self.settings
    }

    /// What a receiver is to be told now; `None` while that is nothing. Nothing else is told to it before
    /// [`Self::arrived`] or [`Self::failed`].
    pub fn due(&mut self, receiver: usize, now: Moment, zone: &TimeZone) -> Option<Message> {
        let (settings, desk) = (self.settings.to.get(receiver)?, self.desks.get(receiver)?);
        if desk.busy || now.mono < desk.retry_at || self.host.is_empty() {
            return None;
        }
        let quiet = self.settings.quiet.iter().any(|quiet| quiet.holds(now.wall, zone));
        let message = match (settings.kind.keeps_state(), quiet) {
            (true, _) => self.everything(settings, desk, quiet, now),
            (false, false) => self.news(settings, desk, now),
            (false, true) => None,
        };
        self.desks[receiver].busy = message.is_some();
        message
    }

    /// The next message for a receiver that keeps no state: what is new of one group, or what cleared of one.
    fn news(&self, receiver: &Receiver, desk: &Desk, now: Moment) -> Option<Message> {
        let groups: BTreeSet<&str> = self.tracked.values().map(|tracked| tracked.alert.group()).collect();
        let fires = groups.iter().find_map(|group| self.fires(receiver, desk, group, now));
        fires.or_else(|| groups.iter().find_map(|group| self.clears(desk, group, now)))
    }

    /// What fires of a group, if something of it is to be told now.
    fn fires(&self, receiver: &Receiver, desk: &Desk, group: &str, now: Moment) -> Option<Message> {
        let of_group = self.tracked.iter().filter(|(_, tracked)| tracked.alert.group() == group);
        let firing: Vec<_> = of_group.filter(|(_, tracked)| tracked.is_told_to(receiver)).collect();
        let is_news = |(key, tracked): &(&AlertKey, &Tracked)| {
            desk.told.get(*key).is_none_or(|(severity, _)| *severity < tracked.alert.severity)
        };
        let news: Vec<_> = firing.iter().copied().filter(is_news).collect();
        let has_waited =
            news.iter().any(|(_, tracked)| now.mono.saturating_sub(tracked.changed) >= self.settings.group_wait);
        let gravest = news.iter().map(|(_, tracked)| tracked.alert.severity).max();
        let may_follow = desk.groups.get(group).is_none_or(|(at, severity)| {
            now.mono.saturating_sub(*at) >= self.settings.group_interval || gravest > Some(*severity)
        });
        let is_old = |(key, _): &(&AlertKey, &Tracked)| {
            desk.told.get(*key).is_some_and(|(_, at)| now.since_wall(*at) >= self.settings.repeat)
        };
        if !(has_waited && may_follow || firing.iter().any(is_old)) {
            return None;
        }
        let noted = firing.iter().map(|entry| entry.1.noted(AlertStatus::Firing, is_news(entry)));
        let mut message = Message::of(&self.host, group, now.wall, noted.collect())?;
        message.alerts.truncate(IN_MESSAGE);
        Some(message)
    }

    /// What has cleared of a group.
    fn clears(&self, desk: &Desk, group: &str, now: Moment) -> Option<Message> {
        let of_group = self.tracked.iter().filter(|(_, tracked)| tracked.alert.group() == group);
        let cleared =
            of_group.filter(|(key, tracked)| desk.told.contains_key(*key) && tracked.is_cleared(&self.settings, now));
        let noted = cleared.map(|(_, tracked)| tracked.noted(AlertStatus::Cleared, true));
        Message::of(&self.host, group, now.wall, noted.take(IN_MESSAGE).collect())
    }

    /// All that Alertmanager is to know, if it is time to tell it. Its severity is one of the labels by which it knows an alert,
    /// so one that became graver ends, and begins as another one.
    fn everything(&self, receiver: &Receiver, desk: &Desk, quiet: bool, now: Moment) -> Option<Message> {
        let mut noted = Vec::new();
        let mut is_due = desk.resent.is_none_or(|at| now.mono.saturating_sub(at) >= RESEND);
        for (key, tracked) in &self.tracked {
            let told = desk.told.get(key).map(|(severity, _)| *severity);
            let with = |severity, note: Noted| Noted { alert: Alert { severity, ..note.alert }, ..note };
            let fires = tracked.noted(AlertStatus::Firing, told.is_none());
            match told {
                None if quiet || !tracked.is_told_to(receiver) => {}
                None => {
                    is_due = true;
                    noted.push(fires);
                }
                // Told nothing new, it is told the old: else it would take the alert for resolved.
                Some(severity) if quiet => noted.push(with(severity, fires)),
                Some(severity) if tracked.is_cleared(&self.settings, now) => {
                    is_due = true;
                    noted.push(with(severity, tracked.noted(AlertStatus::Cleared, true)));
                }
                Some(severity) if severity != tracked.alert.severity && !tracked.silenced => {
                    is_due = true;
                    let ends = Noted { ended: Some(now.wall), ..tracked.noted(AlertStatus::Cleared, true) };
                    noted.extend([with(severity, ends), Noted { news: true, ..fires }]);
                }
                Some(severity) => noted.push(with(severity, fires)),
            }
        }
        if is_due { Message::of(&self.host, "", now.wall, noted) } else { None }
    }

    /// A message has arrived.
    pub fn arrived(&mut self, receiver: usize, message: &Message, now: Moment) {
        let Some(desk) = self.desks.get_mut(receiver) else { return };
        let of = |status| message.alerts.iter().filter(move |noted| noted.status == status);
        for noted in of(AlertStatus::Cleared) {
            desk.told.remove(&noted.alert.key());
        }
        for noted in of(AlertStatus::Firing) {
            desk.told.insert(noted.alert.key(), (noted.alert.severity, now.wall));
        }
        if message.status == AlertStatus::Firing {
            let interval = self.settings.group_interval;
            desk.groups.retain(|_, (at, _)| now.mono.saturating_sub(*at) < interval);
            desk.groups.insert(message.group.clone(), (now.mono, message.severity));
        }
        self.changed = true;
        desk.delivery.arrived(now.wall);
        (desk.busy, desk.retry_at, desk.resent) = (false, Duration::ZERO, Some(now.mono));
    }

    /// A message has not arrived, because of this. It is put together anew when it is time to try again. Whether that is
    /// news.
    pub fn failed(&mut self, receiver: usize, why: String, now: Moment) -> bool {
        let Some(desk) = self.desks.get_mut(receiver) else { return false };
        let is_news = desk.delivery.failure.as_ref().is_none_or(|before| before.why != why);
        desk.delivery.failed(why, now.wall);
        let tries = desk.delivery.failure.as_ref().map_or(1, |failure| failure.tries);
        (desk.busy, desk.retry_at) = (false, now.mono + backoff(RETRY_FIRST, RETRY_MAX, tries));
        self.changed = true;
        is_news
    }

    /// How the heartbeat went. Whether that is news.
    pub fn heartbeat(&mut self, went: Result<(), String>, now: Moment) -> bool {
        let before = self.heartbeat.failure.as_ref().map(|failure| &failure.why);
        let is_news = before != went.as_ref().err();
        match went {
            Ok(()) => self.heartbeat.arrived(now.wall),
            Err(why) => self.heartbeat.failed(why, now.wall),
        }
        self.changed = true;
        is_news
    }

    /// What must outlive the process, if that changed since the last call.
    pub fn take_changes(&mut self, now: Moment) -> Option<Outbox> {
        std::mem::take(&mut self.changed).then(|| self.outbox(now))
    }

    /// What must outlive the process.
    pub fn outbox(&self, now: Moment) -> Outbox {
        let is_told = |key: &AlertKey| self.desks.iter().any(|desk| desk.told.contains_key(key));
        let alerts = self.tracked.iter().filter(|(key, it)| !it.is_cleared(&self.settings, now) || is_told(key));
        let kept = |tracked: &Tracked| KeptAlert {
            silenced: tracked.silenced,
            gone: tracked.gone.map(|gone| gone.wall),
            alert: tracked.alert.clone(),
        };
        let told = |desk: &Desk| Told {
            alerts: desk
                .told
                .iter()
                .map(|(key, (severity, at))| ToldAlert { key: key.clone(), severity: *severity, at: *at })
                .collect(),
            delivery: desk.delivery.clone(),
        };
        let receivers = self.settings.to.iter().zip(&self.desks);
        Outbox {
            schema: Outbox::SCHEMA,
            host: self.host.clone(),
            alerts: alerts.map(|(_, tracked)| kept(tracked)).collect(),
            receivers: receivers.map(|(receiver, desk)| (receiver.name.clone(), told(desk))).collect(),
            heartbeat: self.heartbeat.clone(),
        }
    }
}

impl Tracked {
    fn new(finding: &OpenFinding<'_>, round: u64, now: Moment) -> Self {
        let alert = Alert::of(finding.seen, finding.since);
        Self { alert, silenced: finding.silence.is_some(), round, changed: now.mono, gone: None, flaps: 0 }
    }

    /// Takes in that it is open. Whether that changes something that must outlive the process; evidence need not.
    fn seen(&mut self, finding: &OpenFinding<'_>, settings: &AlertSettings, round: u64, now: Moment) -> bool {
        let is_back = self.gone.is_some();
        if is_back && self.is_cleared(settings, now) {
            self.flaps += 1;
            self.changed = now.mono;
        }
        if finding.seen.severity > self.alert.severity {
            self.changed = now.mono;
        }
        let silenced = finding.silence.is_some();
        let is_change = is_back || silenced != self.silenced || finding.seen.severity != self.alert.severity;
        if !self.alert.says(finding.seen) {
            self.alert = Alert::of(finding.seen, finding.since);
        }
        (self.silenced, self.round, self.gone) = (silenced, round, None);
        is_change
    }

    /// Whether a receiver is to know of it: seen by this process, not silenced, and grave enough.
    fn is_told_to(&self, receiver: &Receiver) -> bool {
        self.round > 0 && self.gone.is_none() && !self.silenced && self.alert.severity >= receiver.severity
    }

    /// How long it must be gone to have cleared.
    fn settle(&self, settings: &AlertSettings) -> Duration {
        backoff(settings.settle, SETTLE_MAX.max(settings.settle), self.flaps + 1)
    }

    fn is_cleared(&self, settings: &AlertSettings, now: Moment) -> bool {
        self.gone.is_some_and(|gone| now.since(gone) >= self.settle(settings))
    }

    fn noted(&self, status: AlertStatus, news: bool) -> Noted {
        let ended = self.gone.map(|gone| gone.wall).filter(|_| status == AlertStatus::Cleared);
        Noted { status, news, ended, alert: self.alert.clone() }
    }
}

#[cfg(test)]
mod tests;
