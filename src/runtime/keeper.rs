//! Keeps hostler's own store beside the screen: what is said, how the box stands, and what others write to the journal.
//! Files are written and synced on a thread of their own, so that the screen never waits for a disk.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::domain::{ImagesSeen, JournalEntry, JournalRecord, SourceId};
use crate::history::{HistoryError, JournalReader, StateDir};
use crate::host::{Lane, Reader};
use crate::report::LastState;
use crate::store::State;

/// The time between two looks at what others wrote.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Orders and news that may wait.
const QUEUE: usize = 32;

/// What is to be kept.
enum Order {
    /// Somebody said something.
    Record(JournalEntry, Timestamp),
    /// How the box stands, which sources can be read, and what is new about images.
    Remember(Box<LastState>, Vec<SourceId>, Option<ImagesSeen>),
    /// What did others write?
    Look,
}

/// What came of it.
pub(super) enum News {
    /// Records that were not known before.
    Records(Vec<JournalRecord>),
    /// The same, and among them what was said here.
    Recorded(Vec<JournalRecord>),
    /// What is known of images from earlier runs.
    Images(ImagesSeen),
    /// Something could not be kept.
    Failed(String),
}

/// How long the last orders may take when the screen is left: a disk that hangs must not hold the shell back.
const LAST_ORDERS: Duration = Duration::from_secs(2);

/// Takes orders.
pub(super) struct Keeper {
    orders: mpsc::Sender<Order>,
    /// The revision of the memory of images that was written last.
    images: u64,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Begins to keep. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(dir: &StateDir) -> (Self, mpsc::Receiver<News>) {
        let (orders, taken) = mpsc::channel(QUEUE);
        let (news, told) = mpsc::channel(QUEUE);
        let of = dir.clone();
        let reader = Lane::new("store").reader(move || JournalReader::new(&of));
        let task = tokio::task::spawn_local(keep(dir.clone(), reader, taken, news));
        (Self { orders, images: 0, task }, told)
    }

    /// Waits until everything that was ordered is done: what was said last is not lost by leaving.
    pub(super) async fn finish(self) {
        drop(self.orders);
        if timeout(LAST_ORDERS, self.task).await.is_err() {
            tracing::warn!("The state folder did not answer in time; what was said last may be lost.");
        }
    }

    /// Writes what somebody said; it comes back as news. False when too much waits already.
    pub(super) fn record(&self, entry: JournalEntry, at: Timestamp) -> bool {
        self.orders.try_send(Order::Record(entry, at)).is_ok()
    }

    /// Keeps in mind how the box stands.
    pub(super) fn remember(&mut self, state: &State) {
        // One that is not kept because the disk hangs is followed by another in a minute.
        let revision = state.images_seen.revision();
        let images = (revision != self.images).then(|| state.images_seen.clone());
        let order = Order::Remember(Box::new(LastState::of(state)), read_once(state), images);
        if self.orders.try_send(order).is_ok() {
            self.images = revision;
        }
    }
}

/// Keeps in mind how the box stands, now. A store that cannot be written is no reason to fail: what could be seen was
/// shown.
pub(super) fn remember(dir: &StateDir, state: &State) {
    if let Err(error) = keep_in_mind(dir, &LastState::of(state), read_once(state), Some(&state.images_seen)) {
        tracing::warn!(%error, "Could not keep in mind what was seen.");
    }
}

/// The sources that were read since the start: their absence is told next time.
fn read_once(state: &State) -> Vec<SourceId> {
    state.sources.iter().filter(|(_, source)| source.last_ok.is_some()).map(|(id, _)| id).collect()
}

fn keep_in_mind(
    dir: &StateDir,
    last: &LastState,
    sources: Vec<SourceId>,
    images: Option<&ImagesSeen>,
) -> Result<(), HistoryError> {
    dir.set_last(last)?;
    dir.remember_sources(sources, last.at)?;
    images.map_or(Ok(()), |images| dir.remember_images(images, last.at))
}

async fn keep(
    dir: StateDir,
    mut reader: Reader<JournalReader>,
    mut orders: mpsc::Receiver<Order>,
    news: mpsc::Sender<News>,
) {
    let of = dir.clone();
    if let Ok(images) = reader.read(move |_| of.images_seen()).await {
        let _nobody = news.send(News::Images(images)).await;
    }
    let mut turns = interval(LOOK_EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order,
                None => return,
            },
            _ = turns.tick() => Order::Look,
        };
        let told = matches!(order, Order::Record(..));
        let said = told && !matches!(order, Order::Record(JournalEntry::Visit, _));
        let dir = dir.clone();
        let done = reader.read(move |journal| carry_out(&dir, journal, order)).await;
        let item = match done {
            Ok(Ok(records)) if records.is_empty() => continue,
            Ok(Ok(records)) if said => News::Recorded(records),
            Ok(Ok(records)) => News::Records(records),
            Ok(Err(error)) if told => News::Failed(error.to_string()),
            Err(why) if told => News::Failed(format!("the state folder does not answer: {why}")),
            Ok(Err(error)) => {
                tracing::warn!(%error, "Could not keep the store.");
                continue;
            }
            Err(_) => continue,
        };
        // Nobody is there to be told when the screen is left; orders are carried out all the same.
        let _nobody = news.send(item).await;
    }
}

/// Does what was ordered and gives the records that were not known before.
fn carry_out(dir: &StateDir, journal: &mut JournalReader, order: Order) -> Result<Vec<JournalRecord>, HistoryError> {
    match order {
        Order::Record(entry, at) => {
            let record = dir.record(entry, at)?;
            let mut records = journal.read()?.records;
            // A made-up box has no file to read it back from.
            if !records.contains(&record) {
                records.push(record);
            }
            Ok(records)
        }
        Order::Remember(last, sources, images) => {
            keep_in_mind(dir, &last, sources, images.as_ref()).map(|()| Vec::new())
        }
        Order::Look => Ok(journal.read()?.records),
    }
}
