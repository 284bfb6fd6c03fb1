//! The task that follows the engine between polls, and finds it again when it was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::session::Session;
use crate::domain::{DockerSample, Failure};

/// What a poll gets to hear.
type Answer = Result<Arc<DockerSample>, Failure>;

/// A poll's question.
type Ask = oneshot::Sender<Answer>;

/// Events come in bursts (a restart makes five): containers are inspected this long after the first one.
const BURST: Duration = Duration::from_millis(50);

/// The least time between two rounds of inspections, for containers that crash again and again.
const PAUSE: Duration = Duration::from_millis(250);

/// The time between two attempts to find a lost engine. One that fails costs a few system calls.
const RETRY: Duration = Duration::from_secs(1);

/// The running task. Dropping this ends it, and with it every connection.
pub(super) struct Watch {
    asks: mpsc::Sender<Ask>,
    _task: JoinSet<()>,
}

impl Watch {
    /// Starts to follow the engine.
    pub(super) fn start(session: Session) -> Self {
        let (asks, asked) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(run(session, asked));
        Self { asks, _task: task }
    }

    /// A sign of life and the containers; `None` if the task has ended.
    pub(super) async fn ask(&self) -> Option<Answer> {
        let (ask, answer) = oneshot::channel();
        self.asks.send(ask).await.ok()?;
        answer.await.ok()
    }
}

/// Follows the engine until nobody can ask any more.
async fn run(mut session: Session, mut asks: mpsc::Receiver<Ask>) {
    loop {
        let Some(failure) = follow(&mut session, &mut asks).await else {
            return;
        };
        session.means().tell_lost(&failure).await;
        match find_again(session, failure, &mut asks).await {
            Some(found) => session = found,
            None => return,
        }
        let sample = session.publish_roster();
        session.means().tell_sample(sample).await;
    }
}

/// Follows the engine until it is lost, and says why; `None` when nobody can ask any more.
async fn follow(session: &mut Session, asks: &mut mpsc::Receiver<Ask>) -> Option<Failure> {
    let mut due = Instant::now();
    let mut rested = Instant::now();
    loop {
        let behind = session.is_behind();
        let step = tokio::select! {
            biased;
            ask = asks.recv() => {
                let answer = session.check().await;
                let lost = answer.as_ref().err().cloned();
                // A poll that was given up does not wait for it any more.
                drop(ask?.send(answer));
                lost.map_or(Ok(()), Err)
            }
            () = sleep_until(due), if behind => {
                rested = Instant::now() + PAUSE;
                session.catch_up().await
            }
            step = session.follow() => {
                if !behind {
                    due = rested.max(Instant::now() + BURST);
                }
                step
            }
        };
        if let Err(failure) = step {
            return Some(failure);
        }
    }
}

/// Tries until the engine is back; polls hear meanwhile why it is not. `None` when nobody can ask any more.
async fn find_again(lost: Session, mut failure: Failure, asks: &mut mpsc::Receiver<Ask>) -> Option<Session> {
    let (means, place) = (lost.means().clone(), lost.place().clone());
    drop(lost);
    loop {
        let again = async {
            sleep(RETRY).await;
            Session::open(&means, &place).await
        };
        let mut again = std::pin::pin!(again);
        let found = loop {
            tokio::select! {
                ask = asks.recv() => drop(ask?.send(Err(failure.clone()))),
                found = &mut again => break found,
            }
        };
        match found {
            Ok(session) => return Some(session),
            Err(still) if still == failure => {}
            Err(other) => {
                means.tell_lost(&other).await;
                failure = other;
            }
        }
    }
}
