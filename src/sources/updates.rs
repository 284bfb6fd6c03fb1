//! What registries have for the images that containers use: asked seldom, a few at a time, and never waited for.
//!
//! A poll only takes what is known: the containers' images as the engine has them, and what registries answered, now or in
//! an earlier run. The questions are put by a task beside it ([`asker`]), which begins some seconds after the start and asks
//! about each image at most every six hours ([`timetable`]); what is to be asked is settled in [`ledger`], and one question is
//! put in [`question`]. A single look asks nobody.

mod asker;
mod ledger;
mod question;
pub(super) mod timetable;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::roster::{self, Roster};
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{Failure, SourceId};
use crate::host::Clock;
use asker::{Ask, Asker};

pub(super) const SPEC: SourceSpec = SourceSpec {
    heavy: false,
    id: SourceId::Updates,
    interval: Some(TURN),
    timeout: Duration::from_secs(6),
    build: |context| Box::new(Updates::new(context)),
};

/// The time between two looks at what is known.
pub(super) const TURN: Duration = Duration::from_mins(1);

/// A poll so long before its turn was asked for by somebody.
pub(super) const EARLY: Duration = Duration::from_secs(50);

struct Updates {
    clock: Clock,
    roster: watch::Receiver<Roster>,
    /// Until the first poll, which starts it.
    asker: Option<Asker>,
    asks: mpsc::Sender<Ask>,
    asked: Option<mpsc::Receiver<Ask>>,
    /// Dropping this ends it.
    task: JoinSet<()>,
    polled: Option<Duration>,
}

impl Updates {
    fn new(context: &SourceContext) -> Self {
        let (asks, asked) = mpsc::channel(1);
        Self {
            clock: context.ports.clock,
            roster: context.roster.subscribe(),
            asker: Some(Asker::new(context)),
            asks,
            asked: Some(asked),
            task: JoinSet::new(),
            polled: None,
        }
    }

    async fn read(&mut self) -> Result<Read, Failure> {
        let now = self.clock.now().mono;
        let before = self.polled.replace(now);
        let early = before.is_some_and(|before| now.saturating_sub(before) < EARLY);
        roster::known(&mut self.roster).await?;
        if let (Some(asker), Some(asked)) = (self.asker.take(), self.asked.take()) {
            self.task.spawn(asker.run(asked));
        }
        let gone = || Failure::failed("the task that asks registries has ended");
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { early, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl Source for Updates {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(self.read())
    }
}
