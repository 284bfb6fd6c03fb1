//! Reads what was recorded for the graphs that are shown, on a thread of its own: the screen draws on meanwhile.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Setup;
use crate::domain::{Mark, Moment, Past, PastPoint, SeriesKey};
use crate::history::{Bucket, HistoryError, Prometheus, SampleReader, StateDir};
use crate::host::{Lane, Reader};
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
        tokio::task::spawn_local(answer(setup.clone(), asked, answers));
        (Self { questions, asked: None }, told)
    }

    /// Asks for the range that is shown, where it is another one, other series are shown, or the last answer is old.
    pub(super) fn ask_if_due(&mut self, state: &State, range: usize, now: Moment) {
        let asked = (range, state.graph_count(), state.last_visit);
        let is_known = self.asked.is_some_and(|(before, at)| before == asked && now.since(at) < AGAIN_AFTER);
        if is_known || state.graph_count() == 0 {
            return;
        }
        let wanted = state.recorded_graphs();
        let span = RANGES[range.min(RANGES.len() - 1)].span.as_secs();
        let from = now.wall - Duration::from_secs(span);
        let said = state.journal.iter().filter_map(Mark::of_journal).chain(state.runs.iter().filter_map(Mark::of_run));
        let said = said.filter(|mark| mark.at >= from).collect();
        // While one is being answered the next one waits for its turn here, so that the newest wish is what is asked.
        if self.questions.try_send(Question { span, until: now.wall, since: state.last_visit, wanted, said }).is_ok() {
            self.asked = Some((asked, now));
        }
    }
}

/// Answers questions. The thread is begun with the first of them; a made-up box has a made-up past.
async fn answer(setup: Setup, mut questions: mpsc::Receiver<Question>, answers: mpsc::Sender<Past>) {
    let mut sources = None;
    while let Some(question) = questions.recv().await {
        let past = if setup.demo {
            demo::recorded(question.span, question.until, &question.wanted)
        } else {
            sources.get_or_insert_with(|| Sources::new(&setup)).answer(question).await
        };
        if answers.send(past).await.is_err() {
            return;
        }
    }
}

/// From where it is read: hostler's own file, and for series the server that the config names in its place.
struct Sources {
    own: Reader<Own>,
    prometheus: Option<Prometheus>,
}

impl Sources {
    fn new(setup: &Setup) -> Self {
        let (lane, dir) = (Lane::new("past"), setup.state_dir.clone());
        let prometheus = setup.prometheus(&lane);
        Self { own: lane.reader(move || Own { dir: dir.clone(), reader: None }), prometheus }
    }

    async fn answer(&mut self, mut question: Question) -> Past {
        let (span, until) = (question.span, question.until);
        // What the server has is not asked of the own file, too: that has the marks alone.
        let elsewhere = if self.prometheus.is_some() { std::mem::take(&mut question.wanted) } else { Vec::new() };
        let read = self.own.read(move |own| own.read(&question)).await;
        let mut past = match read {
            Ok(Ok(past)) => past,
            Ok(Err(error)) => Past::none(span, until, error.to_string()),
            Err(why) => Past::none(span, until, why.to_string()),
        };
        if let Some(prometheus) = &mut self.prometheus {
            past.why_none = None;
            past.step = step(span);
            let from = until - Duration::from_secs(span);
            for selector in elsewhere {
                match prometheus.buckets(&selector, (from, until), past.step).await {
                    Ok(buckets) => {
                        let points = past.series.entry(selector).or_default();
                        add(points, &buckets);
                    }
                    Err(error) => {
                        past.why_none = Some(error.to_string());
                        break;
                    }
                }
            }
        }
        past
    }
}

/// Seconds of one point.
fn step(span: u64) -> i64 {
    (span / POINTS).max(10).cast_signed()
}

/// What the reading thread holds.
struct Own {
    dir: StateDir,
    reader: Option<SampleReader>,
}

impl Own {
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
    let (step, from) = (step(span), until - Duration::from_secs(span));
    let mut series = HashMap::new();
    let known = reader.series()?;
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
