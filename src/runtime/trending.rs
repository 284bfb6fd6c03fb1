//! Looks at weeks of history once an hour, on a thread of its own, and leaves what it found for those who only read.

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::Setup;
use crate::domain::{Keeping, METRICS, Mark, Moment, SeriesKey, TrendSample};
use crate::history::trends::{self, HourPoint, Related};
use crate::history::{HistoryError, Prometheus, PrometheusError, SampleReader, StateDir};
use crate::host::{Lane, Reader};
use crate::store::State;

/// So long after the start the first look is taken: what is read first is what people wait for.
const FIRST_AFTER: Duration = Duration::from_mins(3);
/// The time between two looks.
const EVERY: Duration = Duration::from_hours(1);
/// The time between two looks at what another process found.
const READ_EVERY: Duration = Duration::from_mins(5);
/// How far back is looked.
const SPAN: Duration = Duration::from_hours(90 * 24);
/// Marks that are taken at most: the newest.
const MARKS: usize = 5_000;

/// What is to be done.
enum Question {
    /// Read what another process found last.
    Read,
    /// Look.
    Look(Look),
}

/// Knows when the next look is due.
pub(super) struct Trending {
    questions: mpsc::Sender<Question>,
    looked: Option<Moment>,
    read: Option<Moment>,
}

impl Trending {
    /// Begins. What is found is told. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(setup: &Setup) -> (Self, mpsc::Receiver<TrendSample>) {
        let (questions, asked) = mpsc::channel(1);
        let (answers, told) = mpsc::channel(1);
        tokio::task::spawn_local(answer(setup.clone(), asked, answers));
        (Self { questions, looked: None, read: None }, told)
    }

    /// Looks, or reads what another process found, where that is due. Whoever writes the history looks.
    pub(super) fn look_if_due(&mut self, state: &State, now: Moment) {
        let is_due = |before: Option<Moment>, every| before.is_none_or(|before| now.since(before) >= every);
        let writes = matches!(state.keeping, Keeping::Here { .. });
        if writes && now.since(state.started) >= FIRST_AFTER && is_due(self.looked, EVERY) {
            let said = state.journal.iter().filter_map(Mark::of_journal).collect();
            let related = Related::new(state.related());
            if self.questions.try_send(Question::Look(Look { now: now.wall, said, related })).is_ok() {
                (self.looked, self.read) = (Some(now), Some(now));
            }
        } else if is_due(self.read, READ_EVERY) && self.questions.try_send(Question::Read).is_ok() {
            self.read = Some(now);
        }
    }
}

/// Answers questions. The thread is begun with the first of them.
async fn answer(setup: Setup, mut questions: mpsc::Receiver<Question>, answers: mpsc::Sender<TrendSample>) {
    let mut sources = None;
    while let Some(question) = questions.recv().await {
        match sources.get_or_insert_with(|| Sources::new(&setup)).answer(question).await {
            Ok(Some(sample)) => drop(answers.send(sample).await),
            Ok(None) => {}
            Err(why) => tracing::warn!(why, "Could not look at trends."),
        }
    }
}

/// From where it is read: hostler's own file, and for series the server that the config names in its place.
struct Sources {
    own: Reader<StateDir>,
    prometheus: Option<Prometheus>,
}

impl Sources {
    fn new(setup: &Setup) -> Self {
        let (lane, dir) = (Lane::new("trends"), setup.state_dir.clone());
        Self { prometheus: setup.prometheus(&lane), own: lane.reader(move || dir.clone()) }
    }

    async fn answer(&mut self, question: Question) -> Result<Option<TrendSample>, String> {
        let found = match question {
            Question::Read => self.own.read(|dir| Ok(dir.trends())).await,
            Question::Look(look) => {
                let hours = match &mut self.prometheus {
                    Some(prometheus) => Some(hours(prometheus, look.now).await.map_err(|error| error.to_string())?),
                    None => None,
                };
                self.own.read(move |dir| look.look(dir, hours)).await
            }
        };
        found.map_err(|why| why.to_string())?.map_err(|error| error.to_string())
    }
}

/// Series with their hours.
type Hours = Vec<(SeriesKey, Vec<HourPoint>)>;

/// Every series that is judged, from the server that keeps them.
async fn hours(prometheus: &mut Prometheus, now: Timestamp) -> Result<Hours, PrometheusError> {
    let mut hours = Vec::new();
    for metric in METRICS.iter().filter(|metric| trends::is_judged(metric.name)) {
        hours.extend(prometheus.hours(metric.name, (now - SPAN, now)).await?);
    }
    Ok(hours)
}

/// One look, and what is known beside the series.
struct Look {
    now: Timestamp,
    said: Vec<Mark>,
    related: Related,
}

impl Look {
    /// Looks at every series that is judged, one after the other, and keeps what was found.
    fn look(self, dir: &StateDir, hours: Option<Hours>) -> Result<Option<TrendSample>, HistoryError> {
        let (now, from) = (self.now, self.now - SPAN);
        let mut reader = SampleReader::open(dir)?;
        let mut marks = self.said;
        if let Some(reader) = &reader {
            marks.extend(reader.marks((from, now), MARKS)?);
        }
        let sample = if let Some(hours) = hours {
            trends::look(hours, &marks, &self.related, now)
        } else {
            let Some(reader) = &mut reader else { return Ok(None) };
            let judged: Vec<_> = reader.series()?.into_iter().filter(|key| trends::is_judged(&key.name)).collect();
            let mut failed = None;
            let series = judged.into_iter().map_while(|key| match reader.read(&key, (from, now), 3_600) {
                Ok(buckets) => {
                    let points = buckets.iter().map(|bucket| HourPoint { at: bucket.at, mean: bucket.mean }).collect();
                    Some((key, points))
                }
                Err(error) => {
                    failed = Some(error);
                    None
                }
            });
            let sample = trends::look(series, &marks, &self.related, now);
            failed.map_or(Ok(sample), Err)?
        };
        dir.remember_trends(&sample)?;
        Ok(Some(sample))
    }
}
