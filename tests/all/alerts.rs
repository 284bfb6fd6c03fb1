//! Alerts: what is told, by the same task that a recorder owns, to real receivers: Alertmanager, servers that go and come back,
//! programs; and what is said of them by `hostler alert` and `doctor`.

mod hostile;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use hostler::config::Config;
use hostler::domain::{ContainerState, Event, HostFacts, HostSample, Outbox, Sample, SourceId};
use hostler::history::StateDir;
use hostler::host::Clock;
use hostler::runtime::{Alerting, Setup};
use hostler::ui::tabs::TabId;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::LocalSet;

use crate::bed::{DEADLINE, Home, alertmanager, wait_until};
use crate::engines::double::{Double, Reply, answer};
use crate::make::{Maker, Script, container};

/// All waits as short as they can be.
const AT_ONCE: &str = "group_wait = \"0s\"\ngroup_interval = \"0s\"\nsettle = \"0s\"\n";

/// A recorder's part that tells, with the real time and a box that is made up.
struct Live {
    clock: Clock,
    script: Script,
    setup: Setup,
    /// Taken out when it ends.
    alerting: Option<Alerting>,
    local: LocalSet,
    runtime: tokio::runtime::Runtime,
    folder: TempDir,
}

impl Live {
    /// With this config below `[alerts]`.
    fn new(alerts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config =
            Config::parse("c.toml".as_ref(), &format!("[alerts]\n{alerts}")).unwrap_or_else(|error| panic!("{error}"));
        let setup = Setup {
            config,
            rootfs: "/".into(),
            state_dir: StateDir::choose(Some(&folder.path().join("state"))),
            demo: false,
            read_only: false,
            tab: TabId::Gpu,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (clock, script) = (Clock::start(), Script::new());
        let mut live = Self { clock, script, setup, alerting: None, local: LocalSet::new(), runtime, folder };
        live.begin();
        live
    }

    /// A process begins: everything is read, and nothing is wrong.
    fn begin(&mut self) {
        self.clock = Clock::start();
        self.script = Script::new();
        let now = self.clock.now();
        self.script.apply(Event::Tick { at: now });
        let others: Vec<SourceId> = self.script.state.sources.iter().map(|(id, _)| id).collect();
        for source in others {
            self.script.failed(source, "not in this test");
        }
        let facts = HostFacts { name: "gpubox-01".to_owned(), ..HostFacts::default() };
        self.script.sample(Sample::Host(HostSample { facts, ..HostSample::default() }.into()));
        self.script.volumes([("/", 0.5)]).docker([]);
        let enter = self.local.enter();
        self.alerting = Some(Alerting::start(&self.setup, now));
        drop(enter);
    }

    /// The process ends in good order.
    fn end(&mut self) {
        let (alerting, now) = (self.alerting.take().unwrap(), self.clock.now());
        let finished = self.local.block_on(&self.runtime, alerting.finish(now));
        assert!(finished);
    }

    /// Looks again and again until this is so.
    #[track_caller]
    fn until<T>(&mut self, what: &str, mut is: impl FnMut() -> Option<T>) -> T {
        wait_until(DEADLINE, what, || {
            self.look();
            is()
        })
    }

    /// Looks for so long.
    fn for_seconds(&mut self, seconds: u64) {
        let end = self.clock.now().mono + Duration::from_secs(seconds);
        let clock = self.clock;
        self.until("time has passed", || (clock.now().mono >= end).then_some(()));
    }

    fn look(&mut self) {
        let at = self.clock.now();
        self.script.apply(Event::Tick { at }).assess();
        let (alerting, state) = (self.alerting.as_mut().unwrap(), &self.script.state);
        self.local.block_on(&self.runtime, async {
            alerting.look(state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        });
    }

    fn outbox(&self) -> Outbox {
        self.setup.state_dir.outbox().unwrap()
    }
}

/// A container of the project `agents` that could not be started.
fn broken(name: &str) -> Maker {
    let no = |it: &mut hostler::domain::Container| {
        it.state = ContainerState::Created;
        it.start_error = Some("no such program".to_owned());
    };
    container(name).project("agents", name).with(no)
}

fn taken() -> Reply {
    answer("200 OK", "{}")
}

fn bodies(double: &Double) -> Vec<Value> {
    let body = |request: &String| serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    // Everything that listens is asked by whoever looks for engines meanwhile.
    double.requests().iter().filter(|request| request.starts_with("POST ")).map(body).collect()
}

/// What a webhook heard: status, and subjects.
fn heard(double: &Double) -> Vec<String> {
    let words = |body: &Value| {
        let subjects = body["alerts"].as_array().unwrap().iter().map(|alert| alert["subject"].as_str().unwrap());
        format!("{} {}", body["status"].as_str().unwrap(), subjects.collect::<Vec<_>>().join(" "))
    };
    bodies(double).iter().map(words).collect()
}

fn webhook(address: SocketAddr) -> String {
    format!("{AT_ONCE}[[alerts.to]]\nkind = \"webhook\"\nurl = \"http://{address}/hook\"\n")
}

#[test]
fn an_alert_fires_is_grouped_and_clears_in_a_real_alertmanager() {
    let told = Double::new(taken());
    let Some(manager) = alertmanager(told.address()) else { return };
    let to = format!("settle = \"0s\"\n[[alerts.to]]\nkind = \"alertmanager\"\nurl = \"{}\"\n", manager.endpoint());
    let mut live = Live::new(&to);
    live.script.docker([broken("n8n"), broken("worker")]).volumes([("/", 0.15)]);
    let alerts = live.until("it has three alerts", || {
        let alerts = manager.get("alerts");
        (alerts.as_array().unwrap().len() == 3).then_some(alerts)
    });
    let of =
        |subject: &str| alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["subject"] == subject).unwrap();
    let labels = json!({"alertname": "container.start-failed", "severity": "critical", "instance": "gpubox-01",
        "subject": "worker", "project": "agents", "service": "worker"});
    assert_eq!(of("worker")["labels"], labels);
    assert_eq!(of("/")["annotations"]["fix"], "hostler run docker.prune");
    assert!(of("worker")["annotations"]["evidence"].as_str().unwrap().contains("no such program"));
    // It tells those of the project together, and the other by itself.
    let groups = manager.get("alerts/groups");
    let sizes = groups.as_array().unwrap().iter().map(|group| group["alerts"].as_array().unwrap().len());
    let mut sizes: Vec<usize> = sizes.collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2]);
    live.until("it has told of both groups", || (bodies(&told).len() >= 2).then_some(()));

    live.script.docker([container("n8n").project("agents", "n8n"), broken("worker")]);
    let resolved = |told: &Double, name: &str| {
        let mut alerts = bodies(told).into_iter().flat_map(|body| body["alerts"].as_array().unwrap().clone());
        alerts.any(|alert| alert["status"] == "resolved" && alert["labels"]["subject"] == name)
    };
    live.until("it has told that one cleared", || resolved(&told, "n8n").then_some(()));
    assert!(!resolved(&told, "worker") && !resolved(&told, "/"));
    let known = live.outbox().receivers["alertmanager"].alerts.len();
    assert_eq!(known, 2, "{}", manager.output());
}

#[test]
fn a_receiver_that_went_and_came_back_hears_what_is_true_and_a_restart_loses_nothing() {
    let told = Double::new(taken());
    let address = told.address();
    let mut live = Live::new(&webhook(address));
    live.script.docker([broken("a")]);
    live.until("it is told", || (heard(&told) == ["firing a"]).then_some(()));
    drop(told);

    // It is down: one clears, one comes, and one comes and goes.
    live.script.docker([container("a").project("agents", "a"), broken("b"), broken("c")]);
    live.until("telling failed", || Some(()));
    let dir = live.setup.state_dir.clone();
    let failure = move || dir.outbox().ok()?.receivers.get("webhook")?.delivery.failure.clone();
    live.until("that is kept", || failure().filter(|failure| failure.tries >= 2));
    live.script.docker([container("a").project("agents", "a"), broken("b")]);
    live.look();
    live.end();
    // What is to be told is on the disk: another process tells it.
    live.begin();
    live.script.docker([container("a").project("agents", "a"), broken("b")]);
    live.for_seconds(2);
    let told = Double::at(address, taken());
    live.until("everything is told", || (heard(&told).len() >= 2).then_some(()));
    live.for_seconds(2);
    assert_eq!(heard(&told), ["firing b", "cleared a"]);
    let outbox = live.outbox();
    assert_eq!(outbox.receivers["webhook"].delivery.failure, None);

    // Nothing is told twice, whoever begins anew.
    live.end();
    live.begin();
    live.script.docker([container("a").project("agents", "a"), broken("b")]);
    live.for_seconds(2);
    live.script.docker([container("a").project("agents", "a")]);
    live.until("the end is told", || (heard(&told).len() >= 3).then_some(()));
    assert_eq!(heard(&told), ["firing b", "cleared a", "cleared b"]);
}

#[test]
fn a_program_is_run_when_something_fires_and_when_it_clears() {
    let folder = tempfile::tempdir().unwrap();
    let (program, log) = (folder.path().join("tell"), folder.path().join("log"));
    let script = format!(
        "#!/bin/sh\nprintf '%s|%s|%s|' \"$*\" \"$HOSTLER_ALERT_STATUS\" \"$HOSTLER_ALERT_SUBJECT\" >>{0}\ncat >>{0}\n",
        log.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let to = format!(
        "{AT_ONCE}[[alerts.to]]\nkind = \"command\"\nargv = [\"{}\", \"a b\", \"$(touch {1})\"]\n",
        program.display(),
        folder.path().join("by-a-shell").display()
    );
    let mut live = Live::new(&to);
    live.script.docker([broken("n8n")]);
    // A line is whole once its message is.
    let whole = |line: &&str| line.ends_with('}');
    let text = || fs::read_to_string(&log).unwrap_or_default();
    let lines = || text().lines().filter(whole).map(str::to_owned).collect::<Vec<_>>();
    live.until("it was run", || (lines().len() == 1).then_some(()));
    live.script.docker([container("n8n").project("agents", "n8n")]);
    live.until("it was run again", || (lines().len() == 2).then_some(()));
    for (line, status) in lines().iter().zip(["firing", "cleared"]) {
        let parts: Vec<&str> = line.splitn(4, '|').collect();
        assert!(parts[0].starts_with("a b $(touch "), "{line}");
        assert_eq!(parts[1..3], [status, "n8n"]);
        let message: Value = serde_json::from_str(parts[3]).unwrap();
        assert_eq!((&message["status"], &message["host"]), (&json!(status), &json!("gpubox-01")));
        assert_eq!(message["alerts"][0]["fix"], json!(["hostler run container.start n8n"]));
    }
    assert!(!folder.path().join("by-a-shell").exists());
}

#[test]
fn a_window_is_quiet_and_its_end_is_not() {
    let told = Double::new(taken());
    let end = Clock::start().now().after(Duration::from_secs(3)).wall;
    let quiet = format!("[[alerts.quiet]]\nfrom = \"2020-01-01T00:00:00Z\"\nuntil = \"{end}\"\n");
    let mut live = Live::new(&(webhook(told.address()) + &quiet));
    live.script.docker([broken("a"), broken("b")]);
    live.for_seconds(1);
    live.script.docker([broken("b")]);
    let clock = live.clock;
    let told_at = live.until("it is told", || (!heard(&told).is_empty()).then(|| clock.now().wall));
    assert!(told_at >= end, "{told_at} {end}");
    live.for_seconds(1);
    assert_eq!(heard(&told), ["firing b"]);
}

#[test]
fn what_is_acknowledged_is_not_told_until_it_has_cleared() {
    let told = Double::new(taken());
    let mut live = Live::new(&webhook(told.address()));
    let state = live.folder.path().join("state");
    let home = Home::new();
    let finding = |args: &[&str]| {
        let dir = ["--state-dir", state.to_str().unwrap()];
        crate::bed::Ended::of(&mut home.command(&[&["finding"], args, &dir].concat()))
    };
    let ended = finding(&["ack", "container.start-failed", "a", "--why", "the disk comes"]);
    assert_eq!(
        (ended.code, &*ended.out),
        (0, "acknowledged: container.start-failed a until it clears\n"),
        "{}",
        ended.err
    );
    finding(&["ack", "no.rule", "a"]).refused(64, "there is no rule `no.rule`");
    finding(&["ack", "container.start-failed", "a", "--read-only"]).refused(4, "refused");

    live.script.apply(Event::Journal(live.setup.state_dir.journal()));
    live.script.docker([broken("a"), broken("b")]);
    live.until("the other is told", || (heard(&told) == ["firing b"]).then_some(()));
    live.for_seconds(1);
    let silence = live.script.finding("container.start-failed", "a").silence.unwrap();
    assert_eq!((silence.word(), &*silence.by, &*silence.why), ("acknowledged", "ada", "the disk comes"));
    live.script.docker([broken("b")]);
    live.look();
    let ended: Vec<_> = live.script.state.findings.ended_acknowledgements().iter().cloned().collect();
    assert_eq!(ended, [("container.start-failed".to_owned(), "a".to_owned())]);
    live.script.docker([broken("a"), broken("b")]);
    live.until("it is told", || (heard(&told).len() == 2).then_some(()));
    assert_eq!(heard(&told)[1], "firing a b");
}

#[test]
fn the_heartbeat_is_sent_and_its_failure_is_told_where_one_looks() {
    let heart = Double::new(answer("500 Internal Server Error", "{}"));
    let beat = format!("[alerts.heartbeat]\nurl = \"http://{}/ping/s3cret-uuid\"\nevery = \"10s\"\n", heart.address());
    let mut live = Live::new(&beat);
    let dir = live.setup.state_dir.clone();
    let kept = move || dir.outbox().ok().map(|outbox| outbox.heartbeat);
    let failure = live.until("the first one failed", || kept()?.failure);
    assert!(failure.why.ends_with("answers with status 500: {}"), "{failure:?}");
    let beats = |heart: &Double| heart.asked().iter().filter(|asked| *asked == "GET /ping/s3cret-uuid").count();
    assert_eq!(beats(&heart), 1);
    let home = Home::with(&format!("[alerts]\n{beat}"));
    fs::create_dir_all(home.state()).unwrap();
    fs::copy(live.folder.path().join("state/alerts.json"), home.state().join("alerts.json")).unwrap();
    let doctor = home.run(&["doctor"]);
    let line = doctor.out.lines().find(|line| line.contains("heartbeat")).unwrap();
    assert!(line.contains("nothing arrives since") && !doctor.out.contains("s3cret"), "{line}");
    assert_eq!(doctor.code, 1);
    // Another one follows when it is time.
    heart.reply_to_all(taken());
    let dir = live.setup.state_dir.clone();
    live.until("it is heard", || dir.outbox().ok()?.heartbeat.arrived);
    assert_eq!(beats(&heart), 2);
}
