//! Requests of an Ollama that runs as a unit of systemd: its log is in the journal.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::domain::{Engine, EngineKind, Event, LogSubject};
use crate::engines::RequestLog;
use crate::host::{Clock, Journal, Ports};

/// The unit of Ollama's own packages.
const UNIT: &str = "ollama.service";

/// The time between two looks at the journal.
const TURN: Duration = Duration::from_secs(5);

/// The same where the unit has written nothing, or the journal cannot be read.
const REST: Duration = Duration::from_mins(1);

/// Follows the journal while it may be that of an Ollama on this host.
#[derive(Debug, Default)]
pub(super) struct Follower {
    /// Dropping it ends it.
    task: JoinSet<()>,
}

impl Follower {
    /// Begins or ends, as these engines want it.
    pub(super) fn aim(&mut self, engines: &[Engine], ports: &Ports, events: &mpsc::Sender<Event>) {
        // A moved root has a journal of its own, which the command does not read.
        let wanted = ports.fs.is_live()
            && engines.iter().any(|engine| engine.kind == EngineKind::Ollama && engine.container.is_none());
        if !wanted {
            self.task.abort_all();
        } else if self.task.is_empty() {
            self.task.spawn(follow(Journal::of_unit(UNIT), ports.clock, events.clone()));
        }
        // Only to let go of one that has ended.
        while self.task.try_join_next().is_some() {}
    }
}

/// Sends what the unit writes of requests, until nobody listens.
async fn follow(mut journal: Journal, clock: Clock, events: mpsc::Sender<Event>) {
    let (mut log, server) = (RequestLog::default(), LogSubject::Unit(UNIT.into()));
    while !events.is_closed() {
        let read = journal.next().await;
        if let Err(why) = &read {
            tracing::debug!(%why, unit = UNIT, "The journal cannot be read.");
        }
        let Ok(Some(lines)) = read else {
            sleep(REST).await;
            continue;
        };
        let requests: Vec<_> =
            lines.iter().filter_map(|line| log.read(line)).flat_map(|ended| ended.logged(&server)).collect();
        if !requests.is_empty() && events.send(Event::Requests { requests, at: clock.now() }).await.is_err() {
            return;
        }
        sleep(TURN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::domain::{ContainerId, RequestOutcome};
    use crate::make::engine;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn what_a_double_of_the_command_tells_reaches_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("journalctl");
        let script = r#"#!/bin/sh
            line() { echo '{"__CURSOR":"s='$1'","MESSAGE":"[GIN] 2026/11/23 - 18:12:21 | '$2' | 1.5s | ::1 | POST \"/api/chat\""}'; }
            case "$*" in
            *--after-cursor=s=1*) line 2 200; line 3 500 ;;
            *) line 1 200 ;;
            esac"#;
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let told = runtime().block_on(async {
            let mut journal = Journal::by(program.to_string_lossy(), UNIT);
            assert_eq!(journal.next().await, Ok(Some(Vec::new())));
            let (sender, mut events) = mpsc::channel(4);
            let mut tasks = JoinSet::new();
            tasks.spawn(follow(journal, Clock::start(), sender));
            events.recv().await
        });
        let Some(Event::Requests { requests, .. }) = told else { panic!("{told:?}") };
        let told: Vec<_> = requests.iter().map(|it| (&it.server, it.outcome, it.end_to_end_seconds)).collect();
        let unit = LogSubject::Unit("ollama.service".into());
        assert_eq!(told, [(&unit, RequestOutcome::Answered, Some(1.5)), (&unit, RequestOutcome::Failed, None)]);
    }

    #[test]
    fn it_is_followed_for_an_ollama_of_this_host_alone() {
        // Nothing is read: the tasks are never run.
        let runtime = runtime();
        let _entered = runtime.enter();
        let (sender, _events) = mpsc::channel(4);
        let elsewhere = Engine { container: Some(ContainerId::from("a")), ..engine(EngineKind::Ollama, 11_434) };
        let (here, moved) = (Ports::new("/"), Ports::new("/nowhere"));
        for (engines, ports, wanted) in [
            (vec![engine(EngineKind::Vllm, 8000), elsewhere], &here, false),
            (vec![engine(EngineKind::Ollama, 11_434)], &moved, false),
            (vec![engine(EngineKind::Ollama, 11_434)], &here, true),
        ] {
            let mut follower = Follower::default();
            follower.aim(&engines, ports, &sender);
            assert_eq!(!follower.task.is_empty(), wanted);
        }
    }
}
