//! Keeps what is measured: every ten seconds what all series are, every minute to disk, on a thread of its own.
//!
//! One process writes: the recorder, else the first screen that was opened; a screen gives way to a recorder within a minute.
//! What cannot be written (a full disk) waits in memory for an hour, and is told.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::domain::metric::SPREADS;
use crate::domain::{Keeping, Mark, Moment, Remembered, SeriesKey};
use crate::history::{HistoryError, MinuteBatch, SampleWriter, StateDir};
use crate::host::Lane;
use crate::store::State;

/// Seconds between two looks at all series.
const EVERY: i64 = 10;
/// Minutes that wait in memory while they cannot be written.
const MOST_WAITING: usize = 60;
/// Minutes on their way to the writer.
const QUEUE: usize = 4;
/// How long the last minute may take when all is over.
const LAST_MINUTE: Duration = Duration::from_secs(2);

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    /// The recorder: it writes as soon as nobody else does.
    Recorder,
    /// A screen: it gives way.
    Screen,
}

/// A minute that is over, and what the box consists of.
struct Over {
    batch: MinuteBatch,
    remembered: Option<Box<Remembered>>,
    now: Timestamp,
}

/// Collects, and hands over once a minute.
pub(super) struct Recording {
    minutes: mpsc::Sender<Over>,
    task: JoinHandle<()>,
    batch: MinuteBatch,
    /// The ten seconds that were taken last, counted from the epoch.
    taken: i64,
    /// The minute of this process whose latencies were taken last.
    spread: u64,
    /// What the box consisted of; `None` until the store was read.
    remembered: Option<Remembered>,
}

impl Recording {
    /// Begins to record. What becomes of it is told. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(dir: &StateDir, writer: Writer, now: Moment) -> (Self, mpsc::Receiver<Keeping>) {
        let (minutes, over) = mpsc::channel(QUEUE);
        let (news, told) = mpsc::channel(QUEUE);
        let task = tokio::task::spawn_local(write(dir.clone(), writer, over, news));
        let spread = now.mono.as_secs() / 60;
        (Self { minutes, task, batch: MinuteBatch::at(now.wall), taken: 0, spread, remembered: None }, told)
    }

    /// Takes what the box consisted of before: what changed since is marked.
    pub(super) fn remember(&mut self, before: Remembered) {
        self.remembered.get_or_insert(before);
    }

    /// Takes what only this process knows to have changed.
    pub(super) fn mark(&mut self, mark: Mark) {
        self.batch.mark(mark);
    }

    /// Looks at the state, once a second or more often.
    pub(super) fn look(&mut self, state: &State, now: Moment) {
        if !self.batch.holds(now.wall) {
            self.hand_over(state, now);
        }
        let ten = now.wall.as_second().div_euclid(EVERY);
        // A clock that was set back counts from there on.
        if ten != self.taken {
            self.taken = ten;
            // Quantiles are worked out of the values themselves, which are kept as sketches.
            let values = state.metrics(now).into_iter().filter(|(key, _)| key.label("quantile").is_none());
            self.batch.put(now.wall, values);
        }
    }

    /// Writes what there is, and waits for it. False when the disk does not answer.
    pub(super) async fn finish(mut self, state: &State, now: Moment) -> bool {
        self.hand_over(state, now);
        drop(self.minutes);
        timeout(LAST_MINUTE, self.task).await.is_ok()
    }

    fn hand_over(&mut self, state: &State, now: Moment) {
        self.take_spreads(state, now);
        let mut remembered = None;
        if let Some(known) = &mut self.remembered {
            let before = known.clone();
            for mark in known.look(state.inventory(now), now.wall) {
                self.batch.mark(mark);
            }
            remembered = (*known != before).then(|| Box::new(known.clone()));
        }
        let batch = std::mem::replace(&mut self.batch, MinuteBatch::at(now.wall));
        // Where the writer is so far behind, its own queue is full of minutes that could not be written.
        drop(self.minutes.try_send(Over { batch, remembered, now: now.wall }));
    }

    /// Takes the latencies of the minute of this process that has just ended.
    fn take_spreads(&mut self, state: &State, now: Moment) {
        let minute = now.mono.as_secs() / 60;
        if minute == self.spread {
            return;
        }
        self.spread = minute;
        for engine in state.engines.get().into_iter().flat_map(|sample| &sample.engines) {
            let Some(did) = state.measures.last_minute(&engine.endpoint, now) else { continue };
            for (spread, metric) in SPREADS {
                if let Some(sketch) = did.sketch(spread) {
                    let key = SeriesKey::new(&metric, [("engine", engine.subject().as_str())]);
                    self.batch.spread(key, sketch.clone());
                }
            }
        }
    }
}

/// What the writing thread holds.
struct Writing {
    dir: StateDir,
    as_whom: Writer,
    writer: Option<SampleWriter>,
    waiting: VecDeque<MinuteBatch>,
    /// What the box consists of, as long as that is not written.
    remembered: Option<Box<Remembered>>,
    lost: u64,
}

impl Writing {
    fn new(dir: StateDir, as_whom: Writer) -> Self {
        Self { dir, as_whom, writer: None, waiting: VecDeque::new(), remembered: None, lost: 0 }
    }

    /// Writes a minute, or says why not.
    fn take(&mut self, over: Over) -> Keeping {
        if self.as_whom == Writer::Screen && self.dir.has_recorder() {
            (self.writer, self.lost) = (None, 0);
            self.waiting.clear();
            return Keeping::ByRecorder;
        }
        self.waiting.push_back(over.batch);
        self.remembered = over.remembered.or(self.remembered.take());
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_front();
            self.lost += 1;
        }
        match self.write(over.now) {
            Ok(Some(bytes)) => Keeping::Here { bytes, refused: self.writer.as_ref().map_or(0, SampleWriter::refused) },
            Ok(None) => {
                // Whoever writes has these minutes, too; a recorder waits for a screen to give way.
                self.waiting.clear();
                Keeping::ByOther
            }
            Err(error) => Keeping::Failed { why: error.to_string(), waiting: self.waiting.len(), lost: self.lost },
        }
    }

    fn write(&mut self, now: Timestamp) -> Result<Option<u64>, HistoryError> {
        if self.writer.is_none() {
            self.writer = SampleWriter::open(&self.dir, now)?;
            if let Some(aside) = self.writer.as_ref().and_then(SampleWriter::spoilt) {
                tracing::error!(aside = %aside.display(), "The history was damaged; it was put aside and begun anew.");
            }
        }
        let Some(writer) = &mut self.writer else { return Ok(None) };
        while let Some(batch) = self.waiting.front() {
            match writer.commit(batch) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) => {
                    if matches!(error, HistoryError::Spoilt { .. }) {
                        // It is put aside when it is opened again.
                        self.writer = None;
                    }
                    return Err(error);
                }
            }
        }
        writer.compact(now)?;
        if let Some(remembered) = &self.remembered {
            self.dir.remember_inventory(remembered)?;
            self.remembered = None;
        }
        writer.bytes().map(Some)
    }
}

async fn write(dir: StateDir, writer: Writer, mut over: mpsc::Receiver<Over>, news: mpsc::Sender<Keeping>) {
    if dir.path().is_none() {
        // A made-up box keeps nothing.
        return;
    }
    let mut reader = Lane::new("history").reader(move || Writing::new(dir.clone(), writer));
    let mut told = None;
    while let Some(minute) = over.recv().await {
        let keeping = match reader.read(move |writing| writing.take(minute)).await {
            Ok(keeping) => keeping,
            Err(why) => Keeping::Failed { why: format!("its thread: {why}"), waiting: 0, lost: 1 },
        };
        if let Keeping::Failed { why, .. } = &keeping
            && !matches!(&told, Some(Keeping::Failed { why: before, .. }) if before == why)
        {
            tracing::error!(%why, "Could not write the history.");
        }
        told = Some(keeping.clone());
        // Nobody may be there to be told any more.
        drop(news.send(keeping).await);
    }
}
