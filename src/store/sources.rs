//! How each source stands: waiting, fresh, stale, failed, denied or absent, and since when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::{Failure, FailureKind, Moment, SourceId, SourceStatus};

/// One source's record.
#[derive(Debug, Clone)]
pub struct SourceState {
    /// The time between two readings.
    pub interval: Duration,
    /// The last good reading.
    pub last_ok: Option<Moment>,
    /// Why the latest attempt failed, and when failing began.
    pub failure: Option<(Failure, Moment)>,
    /// Attempts that failed in a row.
    pub attempts: u32,
    /// A clause about where it reads, from its last good reading.
    pub detail: String,
    /// It is named in the config or was seen before: its absence is then a failure.
    pub expected: bool,
}

impl SourceState {
    /// A source that has not been read yet.
    pub fn waiting(interval: Duration, expected: bool) -> Self {
        Self { interval, last_ok: None, failure: None, attempts: 0, detail: String::new(), expected }
    }

    /// How it stands at `now`.
    pub fn status(&self, now: Moment) -> SourceStatus {
        match (&self.failure, self.last_ok) {
            // What was there and is there no more has failed; what never was is absent.
            (Some((failure, _)), last_ok) if failure.kind == FailureKind::Unsupported => {
                if last_ok.is_some() || self.expected { SourceStatus::Failed } else { SourceStatus::Unsupported }
            }
            (Some((failure, _)), _) => failure.status(),
            (None, Some(taken)) if now.since(taken) > self.interval * 3 => SourceStatus::Stale,
            (None, Some(_)) => SourceStatus::Fresh,
            (None, None) => SourceStatus::Waiting,
        }
    }

    /// Whether it is there and cannot be read, so that what it would tell is unknown.
    pub fn hides_something(&self, now: Moment) -> bool {
        matches!(self.status(now), SourceStatus::Failed | SourceStatus::Stale)
    }

    /// The age of the last good reading.
    pub fn age(&self, now: Moment) -> Option<Duration> {
        self.last_ok.map(|taken| now.since(taken))
    }

    /// Why the values of this source cannot be trusted now; `None` while they can.
    pub fn trouble(&self, now: Moment) -> Option<String> {
        match self.status(now) {
            SourceStatus::Fresh => None,
            SourceStatus::Waiting => Some("waiting for the first reading".to_owned()),
            SourceStatus::Stale => Some("no reading came".to_owned()),
            SourceStatus::Failed | SourceStatus::Denied | SourceStatus::Unsupported => {
                Some(self.failure.as_ref().map_or_else(String::new, |(failure, _)| failure.what.clone()))
            }
        }
    }
}

/// All sources, in the order of [`SourceId`].
#[derive(Debug, Clone, Default)]
pub struct Sources(BTreeMap<SourceId, SourceState>);

impl Sources {
    /// Adds a source that will be read.
    pub fn expect(&mut self, id: SourceId, state: SourceState) {
        self.0.insert(id, state);
    }

    /// One source; `None` if it is not read at all.
    pub fn get(&self, id: SourceId) -> Option<&SourceState> {
        self.0.get(&id)
    }

    /// How one source stands; absent if it is not read at all.
    pub fn status(&self, id: SourceId, now: Moment) -> SourceStatus {
        self.get(id).map_or(SourceStatus::Unsupported, |source| source.status(now))
    }

    /// Every source with its record.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &SourceState)> {
        self.0.iter().map(|(id, state)| (*id, state))
    }

    /// Whether every source has been tried at least once.
    pub fn all_tried(&self) -> bool {
        self.0.values().all(|source| source.last_ok.is_some() || source.failure.is_some())
    }

    /// Takes in that a source was read; true if it could not be read before.
    pub(super) fn succeeded(&mut self, id: SourceId, detail: String, at: Moment) -> bool {
        let Some(source) = self.0.get_mut(&id) else { return false };
        let came_back = source.last_ok.is_none() || source.failure.is_some();
        source.last_ok = Some(at);
        source.failure = None;
        source.attempts = 0;
        source.detail = detail;
        came_back
    }

    pub(super) fn failed(&mut self, id: SourceId, failure: Failure, at: Moment) {
        if let Some(source) = self.0.get_mut(&id) {
            let since = source.failure.as_ref().map_or(at, |(_, since)| *since);
            source.failure = Some((failure, since));
            source.attempts = source.attempts.saturating_add(1);
        }
    }
}
