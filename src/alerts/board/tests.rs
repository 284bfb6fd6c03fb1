//! What each receiver is told, second by second.

use jiff::tz::TimeZone;

use super::*;
use crate::alerts::{Quiet, QuietTime, ReceiverKind};
use crate::domain::SourceId;
use crate::host::Address;
use crate::make::{Script, container, moment, wall};

/// A box with a board, and receivers that take everything unless they are down.
struct Played {
    script: Script,
    board: Board,
    settings: AlertSettings,
    down: BTreeSet<usize>,
    /// The seconds that this process began later than the script.
    began: u64,
    /// What arrived: second, receiver, and `firing a b` or `cleared a`, reminders in brackets.
    heard: Vec<(u64, usize, String)>,
}

fn receiver(name: &str, kind: ReceiverKind) -> Receiver {
    let severity = Severity::Warning;
    Receiver {
        name: name.to_owned(),
        kind,
        severity,
        send_resolved: true,
        login: None,
        timeout: Duration::from_secs(1),
    }
}

fn address() -> Address {
    Address::Written("http://127.0.0.1:9".parse().unwrap())
}

fn webhook() -> Receiver {
    receiver("webhook", ReceiverKind::Webhook(address()))
}

fn alertmanager() -> Receiver {
    receiver("alertmanager", ReceiverKind::Alertmanager(address()))
}

fn settings(to: Vec<Receiver>) -> AlertSettings {
    AlertSettings { to, settle: Duration::from_mins(1), ..AlertSettings::default() }
}

impl Played {
    fn new(settings: AlertSettings) -> Self {
        let mut board = Board::new(settings.clone(), Outbox::default(), moment(0));
        board.set_host("gpubox-01");
        Self { script: Script::new(), board, settings, down: BTreeSet::new(), began: 0, heard: Vec::new() }
    }

    /// This process's own moment: its clock begins with it.
    fn now(&self) -> Moment {
        let now = self.script.state.now;
        Moment { mono: now.mono.saturating_sub(Duration::from_secs(self.began)), wall: now.wall }
    }

    /// Lets every second pass up to this one, with the rules and the board looking.
    fn until(&mut self, second: u64) -> &mut Self {
        let mut at = self.script.state.now.mono.as_secs();
        loop {
            self.script.at(at).assess();
            self.look();
            if at >= second {
                return self;
            }
            at += 1;
        }
    }

    fn look(&mut self) {
        let (now, state) = (self.now(), &self.script.state);
        self.board.look(state.findings.open(state.now), |_| state.sources.all_tried(), now);
        for index in 0..self.settings.to.len() {
            let Some(message) = self.board.due(index, now, &TimeZone::UTC) else { continue };
            if self.down.contains(&index) {
                self.board.failed(index, "connection refused".to_owned(), now);
                continue;
            }
            self.board.arrived(index, &message, now);
            self.heard.push((state.now.mono.as_secs(), index, words(&message)));
        }
    }

    /// The process ends and begins anew: only what was kept is known.
    fn restart(&mut self) -> &mut Self {
        let kept = serde_json::to_vec(&self.board.outbox(self.now())).unwrap();
        let at = self.script.state.now.mono.as_secs();
        (self.script, self.began) = (Script::new(), at);
        self.script.at(at);
        self.board = Board::new(self.settings.clone(), serde_json::from_slice(&kept).unwrap(), self.now());
        self
    }

    fn disks(&mut self, full: &[&str]) -> &mut Self {
        let free = |mount| (mount, if full.contains(&mount) { 0.15 } else { 0.5 });
        self.script.volumes(["/", "/data", "/models"].map(free));
        self
    }

    fn take(&mut self) -> Vec<(u64, usize, String)> {
        std::mem::take(&mut self.heard)
    }

    fn texts(&mut self) -> Vec<String> {
        self.take().into_iter().map(|(_, _, text)| text).collect()
    }
}

fn words(message: &Message) -> String {
    let subject = |noted: &Noted| {
        let subject = &noted.alert.subject;
        let mark = if message.status == AlertStatus::Firing && noted.status == AlertStatus::Cleared { "-" } else { "" };
        if noted.news { format!("{mark}{subject}") } else { format!("({subject})") }
    };
    let subjects: Vec<String> = message.alerts.iter().map(subject).collect();
    format!("{} {}", message.status.word(), subjects.join(" "))
}

fn heard(second: u64, receiver: usize, text: &str) -> (u64, usize, String) {
    (second, receiver, text.to_owned())
}

#[test]
fn one_change_is_told_once_after_a_short_wait_and_its_end_too() {
    let mut of = Played::new(settings(vec![webhook()]));
    of.disks(&[]).until(5);
    // A level must last a minute unless it is there at the first look.
    of.disks(&["/"]).until(3_000);
    of.disks(&[]).until(4_000);
    assert_eq!(of.take(), [heard(95, 0, "firing /"), heard(3_060, 0, "cleared /")]);
}

#[test]
fn what_belongs_together_is_told_together() {
    let mut of = Played::new(settings(vec![webhook()]));
    let broken = |name: &str| container(name).project("agents", name).with(|it| it.start_error = Some("no".to_owned()));
    let broken = |name: &str| broken(name).with(|it| it.state = crate::domain::ContainerState::Created);
    of.script.docker([broken("a"), container("b").project("agents", "b"), broken("c").project("shop", "c")]);
    of.until(20);
    of.script.docker([broken("a"), broken("b"), broken("c").project("shop", "c")]);
    of.until(60);
    assert_eq!(of.take(), [heard(30, 0, "firing a b"), heard(31, 0, "firing c")]);
    // One more of the group waits for the interval, and says what else there is.
    of.script.docker([broken("a"), broken("b"), broken("d"), broken("c").project("shop", "c")]);
    of.until(400);
    assert_eq!(of.take(), [heard(330, 0, "firing d (a) (b)")]);
}

#[test]
fn what_is_graver_than_what_was_told_does_not_wait_for_the_interval() {
    let mut of = Played::new(settings(vec![webhook()]));
    of.disks(&["/"]).until(40);
    of.script.volumes([("/", 0.05)]);
    of.until(100);
    assert_eq!(of.take(), [heard(30, 0, "firing /"), heard(70, 0, "firing /")]);
    // That it is less grave again is no news.
    of.script.volumes([("/", 0.15)]);
    of.until(1_000);
    assert!(of.take().is_empty());
}

#[test]
fn what_lasts_is_told_again() {
    let mut of = Played::new(AlertSettings { repeat: Duration::from_mins(10), ..settings(vec![webhook()]) });
    of.disks(&["/", "/data"]).until(1_300);
    let told = of.take();
    let seconds: Vec<u64> = told.iter().filter(|(_, _, text)| text.contains("/data")).map(|(at, ..)| *at).collect();
    assert_eq!(seconds.len(), 3, "{told:?}");
    assert!(told.iter().skip(2).all(|(_, _, text)| text.contains('(')), "{told:?}");
}

#[test]
fn what_sways_is_told_once_and_what_flaps_hardly_ever() {
    // Away for less than it must be gone, with the minute that the rule itself waits: nobody hears of it.
    let mut of = Played::new(AlertSettings { to: vec![webhook()], ..AlertSettings::default() });
    let mut at = 0;
    while at < 3_600 {
        of.disks(&["/"]).until(at + 120);
        of.disks(&[]).until(at + 150);
        at += 150;
    }
    assert_eq!(of.texts(), ["firing /"]);
    // Gone for three minutes, and back for three, for six hours.
    let mut of = Played::new(settings(vec![webhook()]));
    let mut at = 0;
    while at < 6 * 3_600 {
        of.disks(&["/"]).until(at + 180);
        of.disks(&[]).until(at + 360);
        at += 360;
    }
    let told = of.texts();
    assert!(told.len() <= 6, "{told:?}");
}

#[test]
fn a_receiver_that_was_down_hears_what_is_true_then() {
    let mut of = Played::new(settings(vec![webhook(), receiver("other", ReceiverKind::Webhook(address()))]));
    of.disks(&["/data"]).until(100);
    assert_eq!(of.take(), [heard(30, 0, "firing /data"), heard(30, 1, "firing /data")]);
    of.down.insert(0);
    // Within an hour one clears, one comes, and one comes and goes again and again.
    for round in 0..12 {
        of.disks(&["/", "/models"]).until(100 + round * 300 + 150);
        of.disks(&["/"]).until(100 + (round + 1) * 300);
    }
    let failure = of.board.outbox(of.now()).receivers["webhook"].delivery.failure.clone().unwrap();
    assert_eq!((failure.why.as_str(), failure.tries > 20, failure.tries < 60), ("connection refused", true, true));
    of.take();
    of.down.clear();
    of.until(4_000);
    let told: Vec<String> = of.take().into_iter().filter(|heard| heard.1 == 0).map(|heard| heard.2).collect();
    assert_eq!(told, ["firing /", "cleared /data"]);
    assert_eq!(of.board.outbox(of.now()).receivers["webhook"].delivery.failure, None);
}

#[test]
fn silence_is_kept_and_the_end_of_what_was_told_is_told() {
    let mut of = Played::new(settings(vec![webhook()]));
    of.script.snooze("disk.free", "/", 500);
    of.disks(&["/", "/data"]).until(400);
    assert_eq!(of.texts(), ["firing /data"]);
    of.until(600);
    assert_eq!(of.take(), [heard(500, 0, "firing /")]);
    // Acknowledged, it is told no more, until it has cleared.
    let ack = |subject: &str| crate::domain::JournalEntry::Acknowledge {
        finding: "disk.free".to_owned(),
        subject: subject.to_owned(),
        why: String::new(),
    };
    of.script.journal(ack("/data")).journal(ack("/models"));
    of.disks(&["/", "/data", "/models"]).until(1_000 + 4 * 3_600);
    assert_eq!(of.texts(), ["firing (/)"]);
    of.disks(&["/"]).until(17_000);
    assert_eq!(of.texts(), ["cleared /data"]);
    of.disks(&["/", "/data", "/models"]).until(18_000);
    assert_eq!(of.texts(), ["firing /data", "firing /models"]);
}

#[test]
fn a_window_is_quiet_and_what_is_still_open_at_its_end_is_told() {
    let quiet = vec![Quiet(QuietTime::Once { from: wall(100), until: wall(1_000) })];
    let mut of = Played::new(AlertSettings { quiet, ..settings(vec![webhook(), alertmanager()]) });
    of.disks(&["/data"]).until(99);
    assert_eq!(of.take(), [heard(0, 1, "firing /data"), heard(30, 0, "firing /data"), heard(60, 1, "firing (/data)")]);
    of.disks(&["/", "/models"]).until(500);
    of.disks(&["/"]).until(999);
    let told = of.take();
    assert!(told.len() >= 14 && told.iter().all(|(_, to, text)| (*to, &**text) == (1, "firing (/data)")), "{told:?}");
    of.until(1_010);
    let expected = [heard(1_000, 0, "firing /"), heard(1_000, 1, "firing / -/data"), heard(1_001, 0, "cleared /data")];
    assert_eq!(of.take(), expected);
}

#[test]
fn alertmanager_is_told_at_once_and_again_and_again() {
    let mut of = Played::new(settings(vec![alertmanager()]));
    of.disks(&[]).until(1);
    of.disks(&["/"]).until(200);
    assert_eq!(of.take(), [heard(61, 0, "firing /"), heard(121, 0, "firing (/)"), heard(181, 0, "firing (/)")]);
    // Its severity is a label: the old one ends where the new one begins.
    of.script.volumes([("/", 0.05)]);
    of.until(201);
    assert_eq!(of.take(), [heard(200, 0, "firing / -/")]);
    of.script.volumes([("/", 0.5)]);
    of.until(300);
    assert_eq!(of.take().last(), Some(&heard(261, 0, "cleared /")));
}

#[test]
fn a_restart_tells_nothing_twice_and_loses_nothing() {
    let mut of = Played::new(settings(vec![webhook()]));
    of.disks(&["/", "/data"]).until(100);
    assert_eq!(of.take().len(), 2);
    of.restart().until(400);
    // Nobody has looked at the volumes yet: that is no reason to say that they have room.
    of.script.failed(SourceId::Volumes, "statvfs hangs");
    of.until(500);
    assert!(of.take().is_empty());
    of.script = Script::new();
    of.script.at(500);
    for source in of.script.state.sources.iter().map(|(id, _)| id).collect::<Vec<_>>() {
        of.script.failed(source, "not here");
    }
    of.disks(&["/data", "/models"]).until(1_000);
    assert_eq!(of.take(), [heard(530, 0, "firing /models"), heard(560, 0, "cleared /")]);
    of.restart().disks(&["/data", "/models"]).until(1_500);
    assert!(of.take().is_empty());
}

#[test]
fn receivers_choose_what_they_hear() {
    let critical = Receiver { severity: Severity::Critical, ..receiver("critical", ReceiverKind::Webhook(address())) };
    let fires = Receiver { send_resolved: false, ..receiver("fires", ReceiverKind::Webhook(address())) };
    let mut of = Played::new(settings(vec![critical, fires]));
    of.disks(&["/"]).until(100);
    of.script.volumes([("/", 0.05), ("/data", 0.5)]);
    of.until(200);
    of.disks(&[]).until(400);
    let expected =
        [heard(30, 1, "firing /"), heard(130, 0, "firing /"), heard(130, 1, "firing /"), heard(260, 0, "cleared /")];
    assert_eq!(of.take(), expected);
    // Told anew, since it is something new.
    of.disks(&["/"]).until(1_000);
    assert_eq!(of.texts(), ["firing /"]);
}

#[test]
fn a_box_without_a_name_tells_nothing_and_one_without_receivers_keeps_nothing() {
    let mut of = Played::new(settings(vec![webhook()]));
    of.board.host.clear();
    of.disks(&["/"]).until(100);
    assert!(of.take().is_empty());
    let mut of = Played::new(settings(Vec::new()));
    of.disks(&["/"]).until(100);
    assert!(of.board.outbox(of.now()).alerts.is_empty());
}

#[test]
fn more_than_a_message_holds_follows_and_more_than_is_kept_is_let_go() {
    let mut of = Played::new(settings(vec![webhook()]));
    let names: Vec<String> = (0..600).map(|number| format!("/m{number:03}")).collect();
    of.script.volumes(names.iter().map(|name| (name.as_str(), 0.15)));
    of.until(60);
    assert_eq!(of.board.outbox(of.now()).alerts.len(), ALERTS);
}
