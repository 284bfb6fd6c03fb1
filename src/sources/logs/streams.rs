//! Logs that only the engine can give, each followed through a connection of its own: other log drivers than json-file, and
//! files that this user may not read.
//!
//! Costs more than reading a file, in the engine too. Each log is read in bursts with a pause between them, so that a
//! line's way through the client is paid for once a burst.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::{AbortHandle, JoinSet, yield_now};
use tokio::time::{Instant, sleep};

use super::files::Gathered;
use super::record::{Lines, Record, Stream};
use super::{FIRST_LINES, TURN};
use crate::domain::{ContainerId, Failure, LogLine, LogOrigin};
use crate::host::{DockerClient, LogStream, LogsFrom};

/// A container whose log is to be followed through the engine.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) origin: Arc<LogOrigin>,
    pub(super) tty: bool,
    /// Something may be written now.
    pub(super) is_up: bool,
    /// It was made since logs are followed, so that all of its log is news.
    pub(super) is_new: bool,
}

/// All logs that are followed through the engine. Dropping this closes them.
#[derive(Debug)]
pub(super) struct Streams {
    open: HashMap<ContainerId, Open>,
    tasks: JoinSet<()>,
    news: mpsc::Receiver<News>,
    to: mpsc::Sender<News>,
}

/// One of them.
#[derive(Debug)]
struct Open {
    wanted: Wanted,
    /// The time of the last line that came: where to go on after an interruption.
    last: Option<Timestamp>,
    task: Option<AbortHandle>,
    /// The engine may have ended the log before its last lines were out (20.10 does): it is asked once more.
    may_have_rest: bool,
    /// When to try again, while there is no task.
    again: Instant,
    failures: u32,
    failure: Option<Failure>,
}

/// What a task tells.
#[derive(Debug)]
enum News {
    Lines { from: ContainerId, burst: Burst },
    Ended { from: ContainerId, failure: Option<Failure> },
}

/// What came in one burst.
#[derive(Debug, Default)]
struct Burst {
    lines: Vec<LogLine>,
    dropped: u64,
}

impl Streams {
    /// Bursts on their way at a time; a log whose burst finds no room loses it, and the loss is counted.
    const BURSTS: usize = 512;

    /// The wait before a log is asked for again that ended or failed; doubles with each failure.
    const PAUSE: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        let (to, news) = mpsc::channel(Self::BURSTS);
        Self { open: HashMap::new(), tasks: JoinSet::new(), news, to }
    }

    /// Follows these logs and no others.
    pub(super) fn aim(&mut self, wanted: Vec<Wanted>) {
        let mut before = std::mem::take(&mut self.open);
        for wanted in wanted {
            let id = wanted.origin.container.clone();
            let open = match before.remove(&id) {
                Some(mut open) => {
                    // It was started again: no reason to wait any longer.
                    if wanted.is_up && !open.wanted.is_up {
                        open.again = Instant::now();
                        open.failures = 0;
                    }
                    open.wanted = wanted;
                    open
                }
                // A new one may have ended before it was ever seen to run.
                None if wanted.is_up || wanted.is_new => Open::new(wanted),
                None => continue,
            };
            self.open.insert(id, open);
        }
        for gone in before.into_values().filter_map(|open| open.task) {
            gone.abort();
        }
    }

    /// Takes what has come and opens what is due.
    pub(super) fn turn(&mut self, client: &DockerClient, gathered: &mut Gathered) {
        while let Ok(news) = self.news.try_recv() {
            self.take(news, gathered);
        }
        // Only to let go of what is left of tasks that have ended.
        while self.tasks.try_join_next().is_some() {}
        for (id, open) in &mut self.open {
            let is_wanted = open.wanted.is_up || open.may_have_rest;
            if open.task.is_none() && is_wanted && open.again <= Instant::now() {
                open.may_have_rest = open.wanted.is_up;
                let from = match open.last {
                    Some(last) => LogsFrom::After(last),
                    None if open.wanted.is_new => LogsFrom::Start,
                    None => LogsFrom::Last(FIRST_LINES),
                };
                let follow = Follow {
                    stream: client.follow_logs(id, open.wanted.tty, from),
                    lines: Lines::new(open.wanted.origin.clone()),
                    to: self.to.clone(),
                };
                open.task = Some(self.tasks.spawn(follow.run(id.clone())));
            }
        }
    }

    fn take(&mut self, news: News, gathered: &mut Gathered) {
        match news {
            News::Lines { from, burst } => {
                gathered.dropped += burst.dropped;
                if let Some(open) = self.open.get_mut(&from) {
                    let newest = burst.lines.iter().map(|line| line.at).max();
                    open.last = open.last.max(newest);
                    open.failures = 0;
                    open.failure = None;
                    gathered.lines.extend(burst.lines);
                }
            }
            News::Ended { from, failure } => {
                if let Some(open) = self.open.get_mut(&from) {
                    open.task = None;
                    let factor = 1 << open.failures.min(5);
                    open.again = Instant::now() + Self::PAUSE * factor;
                    open.failures += u32::from(failure.is_some());
                    open.failure = failure;
                }
            }
        }
    }

    /// How many are followed now.
    pub(super) fn followed(&self) -> usize {
        self.open.values().filter(|open| open.wanted.is_up && open.failure.is_none()).count()
    }

    /// Those that should be followed and cannot be.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&LogOrigin, &Failure)> {
        self.open
            .values()
            .filter(|open| open.wanted.is_up)
            .filter_map(|open| Some((&*open.wanted.origin, open.failure.as_ref()?)))
    }
}

impl Open {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, last: None, task: None, may_have_rest: true, again: Instant::now(), failures: 0, failure: None }
    }
}

/// The task of one log.
struct Follow {
    stream: LogStream,
    lines: Lines,
    to: mpsc::Sender<News>,
}

impl Follow {
    /// Lines that are taken of one log in one burst; a burst takes at most a turn, and the rest of it is counted.
    const LINES: usize = 1_000;

    async fn run(mut self, id: ContainerId) {
        let mut burst = Burst::default();
        let failure = loop {
            let end = self.burst(&mut burst).await;
            let lost = burst.dropped + burst.lines.len() as u64;
            if lost > 0 {
                let news = News::Lines { from: id.clone(), burst: std::mem::take(&mut burst) };
                match self.to.try_send(news) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => burst.dropped = lost,
                    Err(TrySendError::Closed(_)) => return,
                }
            }
            match end {
                Ok(true) => sleep(TURN).await,
                Ok(false) => break None,
                Err(failure) => break Some(failure),
            }
        };
        // Nobody is there any more when this fails.
        let _ = self.to.send(News::Ended { from: id, failure }).await;
    }

    /// Waits for a line and takes it and all that came with it. False when the log has ended.
    async fn burst(&mut self, burst: &mut Burst) -> Result<bool, Failure> {
        let Self { stream, lines, .. } = self;
        let mut take = |is_error: bool, message: &[u8]| {
            if burst.lines.len() >= Self::LINES {
                burst.dropped += u64::from(message.ends_with(b"\n"));
                return;
            }
            let output = if is_error { Stream::Err } else { Stream::Out };
            match Record::from_message(output, message) {
                Some(record) => burst.lines.extend(lines.push(&record)),
                None => burst.dropped += 1,
            }
        };
        let mut more = stream.next(&mut take).await?;
        let end = Instant::now() + TURN;
        while more && Instant::now() < end {
            let mut drained = pin!(drained());
            more = tokio::select! {
                biased;
                more = stream.next(&mut take) => more?,
                () = &mut drained => break,
            };
        }
        Ok(more)
    }
}

/// Ends when the connection had its chance to bring more, and did not.
async fn drained() {
    for _ in 0..3 {
        yield_now().await;
    }
}
