//! How well each inference server works: what it counted within the last quarter of an hour, from differences of its counters
//! and from the requests in its log.
//!
//! A server's own histograms are coarse. But between two looks few requests end, and the sum says what they took together:
//! so each difference is [placed](place) within its buckets such that it adds up, and put into a sketch of one per cent
//! (`DDSketch`: Masson, Rim, Lee 2019). One request between two looks is exact that way. Sketches of a quarter minute merge
//! into those of any window.

mod place;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use strum::{EnumCount, EnumIter, IntoEnumIterator};

use crate::domain::{
    Counter, Endpoint, Engine, EngineKind, LoggedRequest, Moment, RequestOutcome, Sketch, Spread, Tally,
};

/// What is known of every server.
#[derive(Debug, Clone, Default)]
pub struct Measures(HashMap<Endpoint, Measured>);

/// A time that ends with the latest look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumCount, EnumIter)]
pub enum Window {
    /// One minute: what happens now.
    Minute,
    /// Five minutes: what is shown.
    Recent,
    /// A quarter of an hour: what is judged.
    Quarter,
}

impl Window {
    /// How long it is.
    pub fn span(self) -> Duration {
        Duration::from_mins(match self {
            Self::Minute => 1,
            Self::Recent => 5,
            Self::Quarter => 15,
        })
    }
}

/// What is known of one server.
#[derive(Debug, Clone, Default)]
struct Measured {
    last: Option<(Moment, Arc<Tally>)>,
    /// Oldest first.
    slots: VecDeque<Slot>,
    /// Its log was followed since then.
    logged_since: Option<Moment>,
    /// The sums, worked out at each look; `None` where nothing was counted.
    windows: [Option<Performance>; Window::COUNT],
}

/// A quarter of a minute.
#[derive(Debug, Clone)]
struct Slot {
    number: u64,
    sum: Performance,
}

/// What a server did within some time.
#[derive(Debug, Clone, Default)]
pub struct Performance {
    /// The time that its counters were seen, seconds.
    pub seconds: f64,
    counts: [Option<f64>; Counter::COUNT],
    spreads: [Option<Sketch>; Spread::COUNT],
}

impl Measures {
    const SLOT: Duration = Duration::from_secs(15);
    /// Of counters that were not seen for longer, the difference belongs to no time.
    const GAP: Duration = Duration::from_mins(1);

    /// What a server did in this window before the latest look. `None` where nothing was counted.
    pub fn of(&self, endpoint: &Endpoint, window: Window) -> Option<&Performance> {
        self.0.get(endpoint)?.windows[window as usize].as_ref()
    }

    /// What a server did in the last whole minute before `at`, minutes counted since this process began: each belongs to one
    /// minute. `None` where nothing was counted.
    pub fn last_minute(&self, endpoint: &Endpoint, at: Moment) -> Option<Performance> {
        let slots = Window::Minute.span().as_secs() / Self::SLOT.as_secs();
        let end = at.mono.as_secs() / Window::Minute.span().as_secs() * slots;
        let minute = end.checked_sub(slots)?..end;
        let mut slots = self.0.get(endpoint)?.slots.iter().filter(|slot| minute.contains(&slot.number));
        let mut sum = slots.next()?.sum.clone();
        slots.for_each(|slot| sum.merge(&slot.sum));
        Some(sum)
    }

    /// Takes what every server has counted by now; forgets servers that are gone.
    pub(super) fn sampled(&mut self, engines: &[Engine], at: Moment) {
        self.0.retain(|endpoint, _| engines.iter().any(|engine| engine.endpoint == *endpoint));
        for engine in engines {
            if let Some(tally) = engine.tally.known() {
                self.0.entry(engine.endpoint.clone()).or_default().counted(tally, at);
            }
        }
        self.0.values_mut().for_each(|measured| measured.sum_up(at));
    }

    /// Takes a request from the log of a server of this kind, which does not count or time it itself; it is in the sums from
    /// the next look on.
    pub(super) fn logged(&mut self, endpoint: &Endpoint, kind: EngineKind, request: &LoggedRequest, at: Moment) {
        let measured = self.0.entry(endpoint.clone()).or_default();
        measured.logged_since.get_or_insert(at);
        let counts_tokens = measured.last.is_some();
        measured.slot(at).log(kind, request, counts_tokens);
    }
}

impl Measured {
    fn counted(&mut self, tally: &Arc<Tally>, at: Moment) {
        let before = self.last.replace((at, Arc::clone(tally)));
        let Some((then, before)) = before else { return };
        let elapsed = at.since(then);
        if elapsed > Measures::GAP || tally.began_anew(&before) {
            return;
        }
        self.slot(at).difference(tally, &before, elapsed);
    }

    fn sum_up(&mut self, at: Moment) {
        self.windows = std::array::from_fn(|_| None);
        for window in Window::iter() {
            self.windows[window as usize] = self.sum_of(window.span(), at);
        }
    }

    fn sum_of(&self, window: Duration, at: Moment) -> Option<Performance> {
        let slots = window.as_secs() / Measures::SLOT.as_secs();
        let mut slots = self.slots.iter().filter(|slot| slot.number + slots > number(at));
        let mut sum = slots.next()?.sum.clone();
        for slot in slots {
            sum.merge(&slot.sum);
        }
        if let Some(since) = self.logged_since {
            // A log is seen all the time, also while nothing is written.
            sum.seconds = sum.seconds.max(at.since(since).min(window).as_secs_f64());
        }
        Some(sum)
    }

    /// The slot of this moment.
    fn slot(&mut self, at: Moment) -> &mut Performance {
        let number = number(at);
        if self.slots.back().is_none_or(|slot| slot.number < number) {
            let most = Window::Quarter.span().as_secs() / Measures::SLOT.as_secs();
            self.slots.retain(|slot| slot.number + most > number);
            self.slots.push_back(Slot { number, sum: Performance::default() });
        }
        let last = self.slots.len() - 1;
        &mut self.slots[last].sum
    }
}

fn number(at: Moment) -> u64 {
    at.mono.as_secs() / Measures::SLOT.as_secs()
}

impl Performance {
    /// What was counted; `None` where the server does not keep such a counter.
    pub fn count(&self, counter: Counter) -> Option<f64> {
        self.counts[counter as usize]
    }

    /// The same a second, over all of the time.
    pub fn rate(&self, counter: Counter) -> Option<f64> {
        self.count(counter).filter(|_| self.seconds > 0.0).map(|count| count / self.seconds)
    }

    /// How the values are spread; `None` where there were none.
    pub fn sketch(&self, spread: Spread) -> Option<&Sketch> {
        self.spreads[spread as usize].as_ref()
    }

    /// The least value that this share of all values, 0 to 1, does not exceed; `None` where there were none.
    pub fn quantile(&self, spread: Spread, share: f64) -> Option<f64> {
        self.sketch(spread)?.quantile(share)
    }

    /// The mean of all values; `None` where there were none.
    pub fn mean(&self, spread: Spread) -> Option<f64> {
        self.sketch(spread)?.mean()
    }

    /// How many values there were.
    pub fn values(&self, spread: Spread) -> u64 {
        self.sketch(spread).map_or(0, Sketch::count)
    }

    /// Requests: those that were counted, and no fewer than failed.
    pub fn requests(&self) -> Option<f64> {
        let faults = self.count(Counter::Faults).unwrap_or(0.0);
        self.count(Counter::Requests).map(|requests| requests.max(faults))
    }

    /// The share of requests that the server failed, 0 to 1; `None` where that is not counted, or there were none.
    pub fn error_ratio(&self) -> Option<f64> {
        Some(self.count(Counter::Faults)? / self.requests().filter(|requests| *requests > 0.0)?)
    }

    /// The share of prompt tokens that were in the prefix cache, 0 to 1.
    pub fn prefix_hit_ratio(&self) -> Option<f64> {
        let queries = self.count(Counter::PrefixQueries).filter(|queries| *queries > 0.0)?;
        Some((self.count(Counter::PrefixHits)? / queries).min(1.0))
    }

    fn add(&mut self, counter: Counter, more: f64) {
        *self.counts[counter as usize].get_or_insert(0.0) += more;
    }

    fn put(&mut self, spread: Spread, value: f64, count: u64) {
        self.spreads[spread as usize].get_or_insert_default().put(value, count);
    }

    fn difference(&mut self, now: &Tally, before: &Tally, elapsed: Duration) {
        self.seconds += elapsed.as_secs_f64();
        for counter in Counter::iter() {
            if let (Some(now), Some(before)) = (now.counter(counter), before.counter(counter)) {
                self.add(counter, (now - before).max(0.0));
            }
        }
        for spread in Spread::iter() {
            let came = now.spread(spread).zip(before.spread(spread)).and_then(|(now, before)| now.since(before));
            let (buckets, sum) = came.unwrap_or_default();
            for (value, count) in place::place(&buckets, sum) {
                self.put(spread, value, count);
            }
        }
    }

    fn log(&mut self, kind: EngineKind, request: &LoggedRequest, counts_tokens: bool) {
        match request.outcome {
            RequestOutcome::Answered => self.add(Counter::Requests, 1.0),
            RequestOutcome::Failed => {
                self.add(Counter::Requests, 1.0);
                self.add(Counter::Faults, 1.0);
            }
            // Its request is an answer of its own in the log.
            RequestOutcome::BrokeOff => self.add(Counter::Faults, 1.0),
            RequestOutcome::Overload => self.add(Counter::Overloads, 1.0),
            RequestOutcome::Timed if kind != EngineKind::Ollama => self.add(Counter::Requests, 1.0),
            RequestOutcome::CallersMistake | RequestOutcome::Timed => {}
        }
        let timed = request.outcome == RequestOutcome::Timed;
        if !timed {
            // Faults are written in the same way: so far there were none.
            self.add(Counter::Faults, 0.0);
        }
        // Of Ollama the time of the whole answer, with the loading of the model, stands in another line.
        let end_to_end = request.end_to_end_seconds.filter(|_| !timed || kind != EngineKind::Ollama);
        let prompt = request.prompt_tokens.map(|tokens| tokens as f64);
        let times = [
            (Spread::FirstToken, request.first_token_seconds),
            (Spread::EndToEnd, end_to_end),
            (Spread::PromptLength, prompt),
        ];
        for (spread, value) in times {
            if let Some(value) = value {
                self.put(spread, value, 1);
            }
        }
        if !counts_tokens {
            let tokens =
                [(Counter::PromptTokens, request.prompt_tokens), (Counter::GeneratedTokens, request.generated_tokens)];
            for (counter, count) in tokens {
                if let Some(count) = count {
                    self.add(counter, count as f64);
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        self.seconds += other.seconds;
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            if let Some(more) = more {
                *sum.get_or_insert(0.0) += more;
            }
        }
        for (sum, more) in self.spreads.iter_mut().zip(&other.spreads) {
            match (&mut *sum, more) {
                (_, None) => {}
                (None, Some(more)) => *sum = Some(more.clone()),
                (Some(sum), Some(more)) => sum.merge(more),
            }
        }
    }
}

#[cfg(test)]
mod tests;
