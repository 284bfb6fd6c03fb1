//! The task that asks registries: four at a time, each image when its time has come, and nobody waits for it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::ledger::Ledger;
use super::question::{self, Found};
use super::timetable;
use crate::domain::{Event, ImageRef, RegistryFault, Sample, UpdateSample};
use crate::host::{Clock, OpenRegistries, Registries};
use crate::sources::roster::Roster;
use crate::sources::{Read, SourceContext};

/// Questions at the same time.
const AT_ONCE: usize = 4;
/// The longest sleep: the clock of the wall may be set meanwhile.
const NAP: Duration = Duration::from_mins(5);
/// The least time between two attempts to open the clients where that fails.
const REOPEN: Duration = Duration::from_mins(5);

/// A poll's question.
pub(super) struct Ask {
    /// Somebody wished for it: what failed is tried again.
    pub(super) early: bool,
    pub(super) answer: oneshot::Sender<Read>,
}

type Answer = (ImageRef, Result<Found, RegistryFault>);

/// The task.
pub(super) struct Asker {
    clock: Clock,
    registries: Registries,
    roster: watch::Receiver<Roster>,
    events: mpsc::Sender<Event>,
    ledger: Ledger,
    /// The config says that nobody is to be asked.
    off: bool,
    /// Nobody is asked before this; `None` where nobody may be asked at all.
    begin: Option<Instant>,
    /// The clients, while there is something to be asked.
    open: Option<OpenRegistries>,
    flying: FuturesUnordered<BoxFuture<'static, Answer>>,
}

impl Asker {
    pub(super) fn new(context: &SourceContext) -> Self {
        let clock = context.ports.clock;
        let off = !context.settings.check_updates;
        Self {
            clock,
            registries: context.ports.registries.clone(),
            roster: context.roster.subscribe(),
            events: context.events.clone(),
            ledger: Ledger::new(context.remembered.updates.clone()),
            off,
            begin: timetable::first(context),
            open: None,
            flying: FuturesUnordered::new(),
        }
    }

    /// Asks until nobody wants to know any more.
    pub(super) async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        loop {
            self.start_due().await;
            let wake = self.next_start();
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(Ask { early, answer }) => {
                        if early {
                            self.ledger.try_failed_again(self.now());
                        }
                        // A single look wants to know all of it; a screen is not kept waiting by images.
                        if self.begin.is_none() {
                            self.look().await;
                        }
                        // A poll that was given up does not wait for it any more.
                        drop(answer.send(self.told()));
                        if self.begin.is_some() && self.look().await {
                            self.tell();
                        }
                    }
                    None => return,
                },
                changed = self.roster.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    if self.look().await {
                        self.tell();
                    }
                }
                Some((image, found)) = self.flying.next() => {
                    self.ledger.settle(&image, found, self.now());
                    self.look_again(&image).await;
                    self.tell();
                }
                () = sleep(wake) => {}
            }
            if self.flying.is_empty() {
                // Until the next round nothing is kept open.
                self.open = None;
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// Puts as many of the questions that are due as may be put at once.
    async fn start_due(&mut self) {
        if self.begin.is_none_or(|begin| Instant::now() < begin) {
            return;
        }
        while self.flying.len() < AT_ONCE {
            let now = self.now();
            if self.ledger.next().is_none_or(|next| next > now) {
                return;
            }
            let Some(open) = self.opened().await else { return };
            let Some((image, before, local)) = self.ledger.begin(now) else { return };
            let asked = image.clone();
            let question = question::put(open, image, before, local).map(|found| (asked, found));
            self.flying.push(question.boxed());
        }
    }

    /// The clients. Where they cannot be opened, that is the answer to what would be asked next.
    async fn opened(&mut self) -> Option<OpenRegistries> {
        if self.open.is_none() {
            match self.registries.open().await {
                Ok(open) => self.open = Some(open),
                Err(fault) => {
                    let now = self.now();
                    if let Some((image, ..)) = self.ledger.begin(now) {
                        self.ledger.settle(&image, Err(fault), now);
                        self.tell();
                    }
                    self.begin = Some(Instant::now() + REOPEN);
                }
            }
        }
        self.open.clone()
    }

    /// When the next question may be put.
    fn next_start(&self) -> Option<Instant> {
        let begin = self.begin?;
        if self.flying.len() >= AT_ONCE {
            return None;
        }
        let left = Duration::try_from(self.ledger.next()?.duration_since(self.now())).unwrap_or_default();
        Some(begin.max(Instant::now() + left.min(NAP)))
    }

    /// Looks which images are in use, and has the engine describe those that are new. Whether something has changed.
    async fn look(&mut self) -> bool {
        let known = self.roster.borrow_and_update().known.clone();
        let Some(known) = known else { return false };
        let strangers = self.ledger.strangers(&known.sample.containers);
        // While the engine is gone, what is known stands: the source that reads it tells that it is gone.
        let described = known.client.image_digests(&strangers).await.unwrap_or_default();
        let news = !described.is_empty();
        self.ledger.describe(described);
        self.ledger.reconcile(&known.sample.containers) || news
    }

    /// Has the engine describe an image again before it is called outdated.
    async fn look_again(&mut self, image: &ImageRef) {
        let doubtful = self.ledger.doubtful(image);
        let client = self.roster.borrow().known.as_ref().map(|known| known.client.clone());
        if let (Some(client), false) = (client, doubtful.is_empty())
            && let Ok(images) = client.image_digests(&doubtful).await
        {
            self.ledger.describe(images);
        }
    }

    /// All that is known, and a clause about it.
    fn told(&self) -> Read {
        let sample = UpdateSample { off: self.off, ..self.ledger.sample() };
        let detail = if self.off {
            "nobody is asked: the config says so".to_owned()
        } else if self.begin.is_none() {
            format!("{}, by what is remembered", self.ledger.told())
        } else {
            self.ledger.told()
        };
        Read { sample: Sample::Updates(Arc::new(sample)), detail }
    }

    /// Tells the store what is known now.
    fn tell(&self) {
        let Read { sample, detail } = self.told();
        // Where the store is busy the next poll is soon enough.
        drop(self.events.try_send(Event::Sampled { sample, detail, at: self.clock.now() }));
    }
}

/// Sleeps until then; for good where there is nothing to wake up for.
async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => pending().await,
    }
}
