//! Keeps hostler's own store beside the screen: what is said, how the box stands, and what others write to the journal.
//! Files are written and synced on a thread of their own, so that the screen never waits for a disk.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::domain::{
    ImageRules, ImagesSeen, JournalEntry, JournalRecord, Remembered, Run, Served, SourceId, UpdateMemory,
};
use crate::history::{HistoryError, JournalReader, RunsReader, StateDir};
use crate::host::{Lane, Reader};
use crate::report::LastState;
use crate::store::State;

/// The time between two looks at what others wrote.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// The same while a run is under way.
const WATCH_EVERY: Duration = Duration::from_millis(150);
/// Seconds between two times at which new answers of registries are kept.
const ANSWERS_EVERY: u64 = 5;
/// Seconds between two times at which the state of the box is kept in mind.
const REMEMBER_EVERY: u64 = 60;
/// Orders and news that may wait.
const QUEUE: usize = 32;

/// What is to be kept.
enum Order {
    /// Somebody said something.
    Record(JournalEntry, Timestamp),
    /// How the box stands, which sources can be read, and what is new about images.
    Remember(Box<LastState>, Vec<SourceId>, Option<ImagesSeen>),
    /// What registries answered, at this time.
    Answers(Arc<UpdateMemory>, Timestamp),
    /// What engines serve and the journal does not say, at this time.
    Served(Vec<Served>, Timestamp),
    /// Findings and subjects that were acknowledged and have cleared, at this time.
    Cleared(BTreeSet<(String, String)>, Timestamp),
    /// What did others write?
    Look,
    /// End a run.
    Cancel(String),
}

/// What came of it.
pub(super) enum News {
    /// Records that were not known before.
    Records(Vec<JournalRecord>),
    /// The same, and among them what was said here.
    Recorded(Vec<JournalRecord>),
    /// The newest runs of actions, as they stand now.
    Runs(Vec<Run>),
    /// What is decided about images, at the start and whenever it changes.
    Rules(ImageRules),
    /// What is known of images from earlier runs.
    Images(ImagesSeen),
    /// What the box consisted of before, at the start.
    Remembered(Box<Remembered>),
    /// Something could not be kept.
    Failed(String),
}

/// How long the last orders may take when all is over: a disk that hangs must not hold the shell back.
const LAST_ORDERS: Duration = Duration::from_secs(1);

/// Takes orders.
pub(super) struct Keeper {
    orders: mpsc::Sender<Order>,
    /// The revision of the memory of images that was written last.
    images: u64,
    /// Seconds since it began.
    seconds: u64,
    task: JoinHandle<()>,
    /// The answers of registries that were kept last: about images, and about models.
    answers: [Option<Arc<UpdateMemory>>; 2],
    /// What was found to be served and handed on last: what could not be written is not tried every second.
    served: Vec<Served>,
    /// The acknowledged findings that cleared, as handed on last.
    cleared: BTreeSet<(String, String)>,
}

impl Keeper {
    /// Begins to keep. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(dir: &StateDir) -> (Self, mpsc::Receiver<News>) {
        let (orders, taken) = mpsc::channel(QUEUE);
        let (news, told) = mpsc::channel(QUEUE);
        let of = dir.clone();
        let reader = Lane::new("store").reader(move || Store::new(&of));
        let task = tokio::task::spawn_local(keep(dir.clone(), reader, taken, news));
        (
            Self {
                orders,
                images: 0,
                seconds: 0,
                task,
                answers: [None, None],
                served: Vec::new(),
                cleared: BTreeSet::new(),
            },
            told,
        )
    }

    /// Keeps in mind how the box stands, and waits until everything that was ordered is done: what was said last is not
    /// lost by leaving. False when the state folder does not answer; nothing should wait for it any more.
    pub(super) async fn finish(mut self, state: &State) -> bool {
        self.remember(state);
        drop(self.orders);
        timeout(LAST_ORDERS, self.task).await.is_ok()
    }

    /// Writes what somebody said; it comes back as news. False when too much waits already.
    pub(super) fn record(&self, entry: JournalEntry, at: Timestamp) -> bool {
        self.orders.try_send(Order::Record(entry, at)).is_ok()
    }

    /// Looks at once for what others wrote: a run has begun.
    pub(super) fn look(&self) {
        // A look that finds no room is followed by the next one.
        let _full = self.orders.try_send(Order::Look);
    }

    /// Asks for the end of a run.
    pub(super) fn cancel(&self, run: String) {
        let _full = self.orders.try_send(Order::Cancel(run));
    }

    /// Does what is due of all this, once a second: what is seen is recorded where that is allowed.
    pub(super) fn second(&mut self, state: &State, may_record: bool) {
        self.seconds += 1;
        if may_record {
            self.keep_seen(state);
        }
        if self.seconds.is_multiple_of(REMEMBER_EVERY) {
            self.remember(state);
        }
        if self.seconds.is_multiple_of(ANSWERS_EVERY) {
            self.keep_answers(state);
        }
    }

    /// Records what only whoever looks can see: what engines serve now, and which acknowledged findings cleared.
    pub(super) fn keep_seen(&mut self, state: &State) {
        self.keep_served(state);
        self.keep_cleared(state);
    }

    /// Keeps what registries answered since the last time.
    pub(super) fn keep_answers(&mut self, state: &State) {
        let images = state.updates.get().map(|sample| &sample.memory);
        let models = state.published_models.get().map(|sample| &sample.memory);
        for (kept, memory) in self.answers.iter_mut().zip([images, models]) {
            let Some(memory) = memory else { continue };
            let is_kept = kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, memory));
            // What finds no room now is kept the next time.
            if !is_kept && self.orders.try_send(Order::Answers(memory.clone(), state.now.wall)).is_ok() {
                *kept = Some(memory.clone());
            }
        }
    }

    /// Records what engines serve now and did not when it was recorded last; it comes back as news.
    fn keep_served(&mut self, state: &State) {
        let served = state.newly_served();
        if !served.is_empty() && served != self.served {
            let order = Order::Served(served.clone(), state.now.wall);
            if self.orders.try_send(order).is_ok() {
                self.served = served;
            }
        }
    }

    /// Records which acknowledged findings have cleared since that was recorded last; it comes back as news.
    fn keep_cleared(&mut self, state: &State) {
        let ended = state.findings.ended_acknowledgements();
        if *ended != self.cleared {
            let news = ended - &self.cleared;
            let order = Order::Cleared(news.clone(), state.now.wall);
            if news.is_empty() || self.orders.try_send(order).is_ok() {
                self.cleared.clone_from(ended);
            }
        }
    }

    /// Keeps in mind how the box stands.
    fn remember(&mut self, state: &State) {
        // One that is not kept because the disk hangs is followed by another in a minute.
        let revision = state.images_seen.revision();
        let images = (revision != self.images).then(|| state.images_seen.clone());
        let order = Order::Remember(Box::new(LastState::of(state)), read_once(state), images);
        if self.orders.try_send(order).is_ok() {
            self.images = revision;
        }
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

/// What is read back of the store.
struct Store {
    journal: JournalReader,
    runs: RunsReader,
    rules: ImageRules,
}

impl Store {
    fn new(dir: &StateDir) -> Self {
        Self { journal: JournalReader::new(dir), runs: RunsReader::new(dir), rules: ImageRules::default() }
    }
}

/// What one order brought.
#[derive(Default)]
struct Brought {
    records: Vec<JournalRecord>,
    runs: Option<Vec<Run>>,
    rules: Option<ImageRules>,
}

async fn keep(dir: StateDir, mut reader: Reader<Store>, mut orders: mpsc::Receiver<Order>, news: mpsc::Sender<News>) {
    let of = dir.clone();
    if let Ok((images, remembered)) = reader.read(move |_| (of.images_seen(), of.inventory())).await {
        let _nobody = news.send(News::Images(images)).await;
        let _nobody = news.send(News::Remembered(Box::new(remembered))).await;
    }
    let mut next_look = Instant::now();
    let mut look_every = LOOK_EVERY;
    loop {
        let order = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => order,
                None => return,
            },
            () = sleep_until(next_look) => Order::Look,
        };
        if matches!(order, Order::Look) {
            next_look = Instant::now() + look_every;
        }
        let told = matches!(order, Order::Record(..) | Order::Cancel(_));
        let said = matches!(&order, Order::Record(entry, _) if *entry != JournalEntry::Visit);
        let dir = dir.clone();
        let done = reader.read(move |store| carry_out(&dir, store, order)).await;
        let brought = match done {
            Ok(Ok(brought)) => brought,
            Ok(Err(error)) if told => {
                let _nobody = news.send(News::Failed(error.to_string())).await;
                continue;
            }
            Err(why) if told => {
                let _nobody = news.send(News::Failed(format!("the state folder does not answer: {why}"))).await;
                continue;
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "Could not keep the store.");
                continue;
            }
            Err(_) => continue,
        };
        if let Some(runs) = brought.runs {
            look_every = if runs.iter().any(|run| run.alive) { WATCH_EVERY } else { LOOK_EVERY };
            next_look = Instant::now() + look_every;
            let _nobody = news.send(News::Runs(runs)).await;
        }
        if let Some(rules) = brought.rules {
            let _nobody = news.send(News::Rules(rules)).await;
        }
        // Nobody is there to be told when the screen is left; orders are carried out all the same.
        match brought.records {
            records if records.is_empty() => {}
            records if said => drop(news.send(News::Recorded(records)).await),
            records => drop(news.send(News::Records(records)).await),
        }
    }
}

/// Does what was ordered, and gives what was not known before.
fn carry_out(dir: &StateDir, store: &mut Store, order: Order) -> Result<Brought, HistoryError> {
    let mut brought = Brought::default();
    match order {
        Order::Record(entry, at) => {
            let record = dir.record(entry, at)?;
            brought.records = store.journal.read()?.records;
            // A made-up box has no file to read it back from.
            if !brought.records.contains(&record) {
                brought.records.push(record);
            }
        }
        Order::Remember(last, sources, images) => keep_in_mind(dir, &last, sources, images.as_ref())?,
        Order::Answers(memory, at) => dir.remember_updates(&memory, at)?,
        Order::Served(served, at) => {
            dir.record_served(&served, at)?;
            brought.records = store.journal.read()?.records;
        }
        Order::Cleared(cleared, at) => {
            for (finding, subject) in cleared {
                dir.record(JournalEntry::Cleared { finding, subject }, at)?;
            }
            brought.records = store.journal.read()?.records;
        }
        Order::Cancel(run) => dir.cancel_run(&run)?,
        Order::Look => {
            let rules = dir.image_rules();
            if rules != store.rules {
                store.rules.clone_from(&rules);
                brought.rules = Some(rules);
            }
            brought.records = store.journal.read()?.records;
            brought.runs = store.runs.read();
        }
    }
    Ok(brought)
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;
    use crate::make::Script;

    #[test]
    fn the_end_of_an_acknowledgement_is_recorded_once() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(folder.path()));
        let (finding, subject) = ("disk.free".to_owned(), "/".to_owned());
        let mut script = Script::new();
        script.at(0).volumes([("/", 0.05)]).assess();
        script.journal(JournalEntry::Acknowledge {
            finding: finding.clone(),
            subject: subject.clone(),
            why: String::new(),
        });
        script.volumes([("/", 0.5)]).assess();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let (mut keeper, _news) = Keeper::start(&dir);
            keeper.keep_cleared(&script.state);
            keeper.keep_cleared(&script.state);
            assert!(keeper.finish(&script.state).await);
        });
        let entries: Vec<JournalEntry> = dir.journal().into_iter().map(|record| record.entry).collect();
        assert_eq!(entries, [JournalEntry::Cleared { finding, subject }]);
    }
}
