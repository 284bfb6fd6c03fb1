//! What recorded series tell about weeks and months: what changed for good, at once or little by little, and what will be full.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Mark, SeriesKey, Worse};

/// A lasting change of one series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    /// Which series.
    pub series: SeriesKey,
    /// How it changed.
    pub kind: TrendKind,
    /// When it began to.
    pub since: Timestamp,
    /// Its level before, without daily and weekly cycles, in the base unit of its metric.
    pub before: f64,
    /// Its level since; where it still changes, the one that it has reached.
    pub after: f64,
    /// What else changed at that time, and so is the likely cause.
    pub cause: Option<Mark>,
    /// Series of the same thing, or of what it runs on, that changed at the same time: where to look.
    pub beside: Vec<SeriesKey>,
}

/// How a series changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrendKind {
    /// From one hour to the next.
    Sudden,
    /// Little by little over weeks.
    Gradual,
    /// It nears a limit steadily.
    FullIn(Forecast),
}

/// When what is left of something is used up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What is left now, in the base unit of the metric.
    pub left: f64,
    /// How much of it goes a day; above 0.
    pub used_per_day: f64,
    /// Days until nothing is left, at that rate.
    pub days_left: f64,
    /// The same at the slowest and the fastest rate that the days seen allow (95 of 100): the latest and earliest end.
    pub between_days: (f64, f64),
}

/// What a change means for those who use the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Course {
    /// Latency or errors rose, tokens a second fell, something fills up.
    Worse,
    /// The opposite.
    Better,
    /// It follows what is asked of the box.
    Neither,
}

impl Trend {
    /// What a finding about it names: an engine, a card's UUID, a mount point, a container, or `host`.
    pub fn subject(&self) -> &str {
        self.series.subject()
    }

    /// What it means for those who use the box; of a metric that hostler does not know, neither.
    pub fn course(&self) -> Course {
        if let TrendKind::FullIn(_) = self.kind {
            return Course::Worse;
        }
        let rose = self.after > self.before;
        match self.series.metric().map_or(Worse::Neither, |metric| metric.worse) {
            Worse::Neither => Course::Neither,
            Worse::Up if rose => Course::Worse,
            Worse::Down if !rose => Course::Worse,
            Worse::Up | Worse::Down => Course::Better,
        }
    }

    /// By how much it changed, of the level before: 0.25 for a quarter more or less. `None` where that was 0.
    pub fn relative(&self) -> Option<f64> {
        (self.before != 0.0).then(|| ((self.after - self.before) / self.before).abs())
    }

    /// The forecast, where it is one.
    pub fn forecast(&self) -> Option<&Forecast> {
        match &self.kind {
            TrendKind::FullIn(forecast) => Some(forecast),
            TrendKind::Sudden | TrendKind::Gradual => None,
        }
    }
}

/// All trends that were seen at one look at the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrendSample {
    /// When.
    pub at: Timestamp,
    /// What was seen, in the order of the series that were looked at.
    pub trends: Vec<Trend>,
    /// Series that could be full one day and have not been recorded for long enough to tell when; with the days that
    /// there are.
    pub too_young: Vec<(SeriesKey, u32)>,
}
