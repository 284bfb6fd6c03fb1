//! Reads recorded series from a Prometheus (or `VictoriaMetrics`, Mimir) that asks the recorder, instead of from hostler's own
//! file (Prometheus documentation, *HTTP API*: range queries).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::Bucket;
use super::trends::HourPoint;
use crate::domain::SeriesKey;
use crate::host::{Address, Lane, Request, Web, WebError, WebLogin, foreign};

/// How long one query may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The most that is kept of a label's value, bytes.
const LABEL_BYTES: usize = 512;

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// It could not be asked, or refused.
    #[error(transparent)]
    Web(#[from] WebError),
    /// What it answered is not what such a server answers.
    #[error("{0} answers, but not as Prometheus does: {1}")]
    Answer(String, String),
}

/// A server that is asked.
pub struct Prometheus {
    web: Web,
    to: Address,
    login: Option<WebLogin>,
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<Row>),
}

#[derive(Deserialize)]
struct Row {
    metric: BTreeMap<String, String>,
    values: Vec<(f64, String)>,
}

/// A series and its values, by second.
type Values = (SeriesKey, Vec<(i64, f64)>);

impl Prometheus {
    /// One that was not asked yet. `labels` tell this box's series from those of others. What blocks is done on `lane`.
    pub fn new(lane: &Lane, to: Address, login: Option<WebLogin>, labels: BTreeMap<String, String>) -> Self {
        Self { web: Web::new(lane), to, login, labels }
    }

    /// The sum of all series that `selector` names, from `from` until `until`, in buckets of `step` seconds. How many values each
    /// holds is not asked, and told as 0.
    ///
    /// # Errors
    /// When the server cannot be asked, or does not answer as it should.
    pub async fn buckets(
        &mut self,
        selector: &SeriesKey,
        (from, until): (Timestamp, Timestamp),
        step: i64,
    ) -> Result<Vec<Bucket>, PrometheusError> {
        let of = self.written(selector);
        // A range query tells a bucket by its end; hostler by its beginning.
        let span = (from.as_second().div_euclid(step) * step + step, until.as_second().div_euclid(step) * step);
        let mut columns = Vec::new();
        for over in ["min", "avg", "max"] {
            let rows = self.range(&format!("sum({over}_over_time({of}[{step}s]))"), span, step).await?;
            columns.push(rows.into_iter().flat_map(|(_, values)| values).collect::<BTreeMap<i64, f64>>());
        }
        let [least, means, most] = &columns[..] else { return Ok(Vec::new()) };
        let bucket = |(second, mean): (&i64, &f64)| {
            let of = |column: &BTreeMap<i64, f64>| column.get(second).copied().unwrap_or(*mean);
            let at = Timestamp::from_second(second - step).ok()?;
            Some(Bucket { at, min: of(least), max: of(most), mean: *mean, count: 0 })
        };
        Ok(means.iter().filter_map(bucket).collect())
    }

    /// Every series of a metric from `from` until `until`, by the hour.
    ///
    /// # Errors
    /// When the server cannot be asked, or does not answer as it should.
    pub async fn hours(
        &mut self,
        metric: &str,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<Vec<(SeriesKey, Vec<HourPoint>)>, PrometheusError> {
        let of = self.written(&SeriesKey { name: metric.into(), labels: Vec::new() });
        let span = (from.as_second().div_euclid(3_600) * 3_600, until.as_second().div_euclid(3_600) * 3_600);
        let rows = self.range(&format!("avg_over_time({of}[1h])"), span, 3_600).await?;
        let hour =
            |(second, mean): (i64, f64)| Some(HourPoint { at: Timestamp::from_second(second - 3_600).ok()?, mean });
        Ok(rows.into_iter().map(|(key, values)| (key, values.into_iter().filter_map(hour).collect())).collect())
    }

    /// The selector with the labels of this box.
    fn written(&self, selector: &SeriesKey) -> SeriesKey {
        self.labels.iter().fold(selector.clone(), |key, (name, value)| key.with(name, value))
    }

    async fn range(
        &mut self,
        query: &str,
        (start, end): (i64, i64),
        step: i64,
    ) -> Result<Vec<Values>, PrometheusError> {
        let query = [
            ("query", query.to_owned()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("step", step.to_string()),
        ];
        let request = Request {
            to: self.to.clone(),
            path: "api/v1/query_range",
            login: self.login.clone(),
            body: None,
            patience: PATIENCE,
        };
        let place = self.to.to_string();
        let bytes = self.web.ask(request, &query).await?;
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|error| {
            PrometheusError::Answer(place, foreign::clean(&error.to_string(), LABEL_BYTES).into_owned())
        })?;
        let Data::Matrix(rows) = answer.data;
        Ok(rows.into_iter().map(|row| self.values(row)).collect())
    }

    /// A row without what the server itself and this box's labels add to the series.
    fn values(&self, row: Row) -> Values {
        let mut name = String::new();
        let mut labels = Vec::new();
        for (label, value) in row.metric {
            let value = foreign::clean(&value, LABEL_BYTES);
            if label == "__name__" {
                name = value.into_owned();
            } else if !["job", "instance"].contains(&label.as_str()) && !self.labels.contains_key(&label) {
                labels.push((foreign::clean(&label, LABEL_BYTES).into(), value.into()));
            }
        }
        labels.sort();
        let value = |(second, value): (f64, String)| {
            let value: f64 = value.parse().ok()?;
            value.is_finite().then_some((second as i64, value))
        };
        (SeriesKey { name: name.into(), labels }, row.values.into_iter().filter_map(value).collect())
    }
}
