//! Requests that servers write of in their log because they count none, or keep no times of them: Ollama's and llama.cpp's.
//!
//! Every line of every container passes by here, and nearly all of them go on after a look at their beginning. Whether a
//! container is such a server is known to the store.

use std::collections::HashMap;

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::domain::{ContainerId, Event, LogLine, LogSubject, LoggedRequest, Moment};
use crate::engines::{RequestLog, TimingLog};

/// What was written of requests, on its way to the store.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// By container, from its first request on.
    logs: HashMap<ContainerId, Logs>,
    waiting: Vec<LoggedRequest>,
}

/// What was read of one container's log. Ollama writes in both ways.
#[derive(Debug, Default)]
struct Logs {
    access: RequestLog,
    times: TimingLog,
}

impl Requests {
    /// Requests that may wait for a store that is busy: of more, the newest are lost.
    const WAITING: usize = 10_000;

    /// Takes lines in the order of their times.
    pub(super) fn read(&mut self, lines: &[LogLine]) {
        for line in lines.iter().filter(|line| may_tell(&line.text)) {
            let id = &line.origin.container;
            let log = match self.logs.get_mut(id) {
                Some(log) => log,
                None => self.logs.entry(id.clone()).or_default(),
            };
            let server = LogSubject::Container(id.clone());
            if let Some(timed) = log.times.read(&line.text) {
                self.waiting.push(timed.logged(server));
            } else if let Some(ended) = log.access.read(&line.text) {
                self.waiting.extend(ended.logged(&server));
            }
        }
        self.waiting.truncate(Self::WAITING);
    }

    /// Forgets containers that are gone.
    pub(super) fn retain(&mut self, exists: impl Fn(&ContainerId) -> bool) {
        self.logs.retain(|id, _| exists(id));
    }

    /// Sends what waits to the store; where that is busy it waits on.
    pub(super) fn send(&mut self, to: &mpsc::Sender<Event>, at: Moment) {
        if self.waiting.is_empty() {
            return;
        }
        let requests = std::mem::take(&mut self.waiting);
        if let Err(TrySendError::Full(Event::Requests { requests, .. })) = to.try_send(Event::Requests { requests, at })
        {
            self.waiting = requests;
        }
    }
}

/// Whether a line is as those are that tell of requests.
fn may_tell(text: &str) -> bool {
    text.starts_with("[GIN] ") || text.starts_with("time=") || TimingLog::may_tell(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::Timestamp;

    use super::*;
    use crate::domain::{LogLevel, LogOrigin, RequestOutcome};

    fn line(container: &str, text: &str) -> LogLine {
        let origin = Arc::new(LogOrigin { container: ContainerId::from(container), name: container.into() });
        LogLine { origin, at: Timestamp::UNIX_EPOCH, level: LogLevel::Info, text: text.into() }
    }

    const ANSWERED: &str =
        "[GIN] 2026/11/23 - 18:12:21 | 200 |          1.5s |       127.0.0.1 | POST     \"/api/chat\"";
    const BREAK: &str =
        "time=2026-11-23T18:12:21.104Z level=ERROR source=a.go:1 msg=\"llama-server chat error\" error=\"EOF\"";

    #[test]
    fn times_of_a_llama_server_are_told_with_their_tokens() {
        let (to, mut events) = mpsc::channel(1);
        let mut requests = Requests::default();
        let timing = |what: &str| line("a", &format!("slot print_timing: id  1 | task 2 | {what}"));
        requests.read(&[
            timing("prompt eval time =     184.45 ms /    38 tokens (4.85 ms per token)"),
            timing("       eval time =    3443.91 ms /   160 tokens (21.66 ms per token)"),
            timing("      total time =    3500.00 ms /   198 tokens"),
        ]);
        requests.send(&to, now());
        let Ok(Event::Requests { requests, .. }) = events.try_recv() else { panic!("nothing was told") };
        let [timed] = requests.as_slice() else { panic!("{requests:?}") };
        assert_eq!(timed.outcome, RequestOutcome::Timed);
        assert_eq!(
            (timed.end_to_end_seconds, timed.prompt_tokens, timed.generated_tokens),
            (Some(3.5), Some(38), Some(160))
        );
    }

    fn outcomes(events: &mut mpsc::Receiver<Event>) -> Vec<(LogSubject, RequestOutcome)> {
        let Ok(Event::Requests { requests, .. }) = events.try_recv() else { return Vec::new() };
        requests.into_iter().map(|request| (request.server, request.outcome)).collect()
    }

    fn now() -> Moment {
        Moment { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn each_container_has_a_log_of_its_own() {
        let (to, mut events) = mpsc::channel(4);
        let mut requests = Requests::default();
        requests.read(&[line("a", BREAK), line("b", ANSWERED), line("a", ANSWERED), line("web", "GET / 200")]);
        requests.send(&to, now());
        let of = |name: &str| LogSubject::Container(ContainerId::from(name));
        let expected = [
            (of("b"), RequestOutcome::Answered),
            (of("a"), RequestOutcome::Answered),
            (of("a"), RequestOutcome::BrokeOff),
        ];
        assert_eq!(outcomes(&mut events), expected);
        requests.send(&to, now());
        assert!(events.try_recv().is_err(), "nothing is told where nothing was written");
        assert_eq!(requests.logs.len(), 2);
        requests.retain(|id| *id == ContainerId::from("b"));
        assert_eq!(requests.logs.len(), 1);
    }

    #[test]
    fn a_busy_store_gets_them_later_and_they_are_bounded() {
        let (to, mut events) = mpsc::channel(1);
        let mut requests = Requests::default();
        requests.read(&[line("a", ANSWERED)]);
        requests.send(&to, now());
        requests.read(&vec![line("a", ANSWERED); Requests::WAITING + 5]);
        requests.send(&to, now());
        assert_eq!(outcomes(&mut events).len(), 1);
        requests.send(&to, now());
        assert_eq!(outcomes(&mut events).len(), Requests::WAITING);
    }
}
