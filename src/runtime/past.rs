//! Reads what was recorded for the graphs that are shown, on a thread of its own: the screen draws on meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Setup;
use crate::domain::{Mark, Moment, Past, PastPoint, SeriesKey};
use crate::history::{Bucket, HistoryError, SampleReader, StateDir};
use crate::host::Lane;
use crate::sources::demo;
use crate::store::{RANGES, State};

/// The time between two readings of the same range.
const AGAIN_AFTER: Duration = Duration::from_mins(1);
/// Points of one series: as many as columns of the widest terminal that is still looked at.
const POINTS: u64 = 600;
/// Marks that are shown at most: the newest.
const MARKS: usize = 200;

/// What is to be read.
struct Question {
    span: u64,
    until: Timestamp,
    /// The last visit.
    since: Option<Timestamp>,
    wanted: Vec<SeriesKey>,
    /// What people and hostler said of this time.
    said: Vec<Mark>,
}

/// What decides whether an answer is still the right one: the range, the number of series, the last visit.
type Asked = (usize, usize, Option<Timestamp>);

/// Asks, and knows when it did last.
pub(super) struct PastAsker {
    questions: mpsc::Sender<Question>,
    asked: Option<(Asked, Moment)>,
}

impl PastAsker {
    /// Begins to take questions. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(setup: &Setup) -> (Self, mpsc::Receiver<Past>) {
        let (questions, asked) = mpsc::channel(1);
        let (answers, told) = mpsc::channel(1);
        let dir = (!setup.demo).then(|| setup.state_dir.clone());
        tokio::task::spawn_local(answer(dir, asked, answers));
        (Self { questions, asked: None }, told)
    }

    /// Asks for the range that is shown, where it is another one, other series are shown, or the last answer is old.
    pub(super) fn ask_if_due(&mut self, state: &State, range: usize, now: Moment) {
        let wanted = state.recorded_graphs();
        let asked = (range, wanted.len(), state.last_visit);
        let is_known = self.asked.is_some_and(|(before, at)| before == asked && now.since(at) < AGAIN_AFTER);
        if is_known || wanted.is_empty() {
            return;
        }
        let span = RANGES[range.min(RANGES.len() - 1)].span.as_secs();
        let from = now.wall - Duration::from_secs(span);
        let said = state.journal.iter().filter(|record| record.at >= from).filter_map(Mark::of_journal).collect();
        // While one is being answered the next one waits for its turn here, so that the newest wish is what is asked.
        if self.questions.try_send(Question { span, until: now.wall, since: state.last_visit, wanted, said }).is_ok() {
            self.asked = Some((asked, now));
        }
    }
}

/// Answers questions. The thread is begun with the first of them; a made-up box has a made-up past.
async fn answer(dir: Option<StateDir>, mut questions: mpsc::Receiver<Question>, answers: mpsc::Sender<Past>) {
    let mut lane = None;
    while let Some(question) = questions.recv().await {
        let Question { span, until, .. } = question;
        let past = if let Some(dir) = &dir {
            let lane = lane.get_or_insert_with(|| {
                let dir = dir.clone();
                Lane::new("past").reader(move || Reading { dir: dir.clone(), reader: None })
            });
            match lane.read(move |reading| reading.read(&question)).await {
                Ok(Ok(past)) => past,
                Ok(Err(error)) => Past::none(span, until, error.to_string()),
                Err(why) => Past::none(span, until, why.to_string()),
            }
        } else {
            demo::recorded(span, until, &question.wanted)
        };
        if answers.send(past).await.is_err() {
            return;
        }
    }
}

/// What the reading thread holds.
struct Reading {
    dir: StateDir,
    reader: Option<SampleReader>,
}

impl Reading {
    fn read(&mut self, question: &Question) -> Result<Past, HistoryError> {
        if self.reader.is_none() {
            self.reader = SampleReader::open(&self.dir)?;
        }
        let Some(reader) = &mut self.reader else {
            return Ok(Past::none(question.span, question.until, "nothing was recorded yet".to_owned()));
        };
        let read = collect(reader, question);
        if read.is_err() {
            // It may have been put aside and begun anew.
            self.reader = None;
        }
        read
    }
}

fn collect(reader: &mut SampleReader, question: &Question) -> Result<Past, HistoryError> {
    let Question { span, until, since, ref wanted, ref said } = *question;
    let step = (span / POINTS).max(10) as i64;
    let from = until - Duration::from_secs(span);
    let known = reader.series()?;
    let mut series = HashMap::new();
    for selector in wanted {
        let mut sums: Vec<PastPoint> = Vec::new();
        for key in known.iter().filter(|key| key.matches(selector)) {
            add(&mut sums, &reader.read(key, (from, until), step)?);
        }
        series.insert(selector.clone(), sums);
    }
    let mut marks = reader.marks((from, until), MARKS)?;
    marks.extend(said.iter().cloned());
    marks.sort_by_key(|mark| mark.at);
    let news = since.map(|since| reader.marks((since, until), MARKS)).transpose()?.unwrap_or_default();
    Ok(Past { span, until, step, series, marks, news, why_none: None })
}

/// Adds a series to the sum of those before it; both are in order.
fn add(sums: &mut Vec<PastPoint>, buckets: &[Bucket]) {
    for bucket in buckets {
        let (mean, max) = (bucket.mean as f32, bucket.max as f32);
        match sums.binary_search_by_key(&bucket.at, |point| point.at) {
            Ok(place) => {
                sums[place].mean += mean;
                sums[place].max += max;
            }
            Err(place) => sums.insert(place, PastPoint { at: bucket.at, mean, max }),
        }
    }
}
