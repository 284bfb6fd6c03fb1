//! What an inference server has counted since it started, as it stands at one moment: only differences of two of these say
//! anything about the present.

use strum::{EnumCount, EnumIter, IntoEnumIterator};

/// Something that only grows while a server lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumCount, EnumIter)]
pub enum Counter {
    /// Requests that were answered; also those that failed, where the server does not tell them apart.
    Requests,
    /// Requests that the server failed: not a caller's own mistake, and not an overload. It may fall a little, where it is
    /// worked out of two counters that do not move at the same moment.
    Faults,
    /// Requests that were turned away because there was too much to do.
    Overloads,
    /// Tokens of prompts.
    PromptTokens,
    /// Tokens that were generated.
    GeneratedTokens,
    /// Seconds spent on prompts.
    PromptSeconds,
    /// Seconds spent on generating.
    GenerationSeconds,
    /// Tokens of prompts that were looked for in the prefix cache.
    PrefixQueries,
    /// Of these, tokens that were found there.
    PrefixHits,
    /// Requests that lost their place in the KV cache to others and had to begin again.
    Preemptions,
}

/// Something of which each request has one, or each token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumCount, EnumIter)]
pub enum Spread {
    /// Seconds from a request to its first token.
    FirstToken,
    /// Seconds between two tokens.
    InterToken,
    /// Seconds from a request to the end of its answer.
    EndToEnd,
    /// Seconds that a request waited before anything was done for it.
    Queue,
    /// Tokens of a prompt.
    PromptLength,
}

/// All counters of one server at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    counters: [Option<f64>; Counter::COUNT],
    spreads: [Option<Histogram>; Spread::COUNT],
}

impl Tally {
    /// A counter's value; `None` where the server does not keep it. Never negative, NaN or infinite.
    pub fn counter(&self, counter: Counter) -> Option<f64> {
        self.counters[counter as usize]
    }

    /// A histogram; `None` where the server does not keep it.
    pub fn spread(&self, spread: Spread) -> Option<&Histogram> {
        self.spreads[spread as usize].as_ref()
    }

    /// Adds to a counter: of several series, their sum. What is no count is not counted.
    pub fn add(&mut self, counter: Counter, value: f64) {
        if value.is_finite() && value >= 0.0 {
            *self.counters[counter as usize].get_or_insert(0.0) += value;
        }
    }

    /// Takes a histogram.
    pub fn put(&mut self, spread: Spread, histogram: Histogram) {
        self.spreads[spread as usize] = Some(histogram);
    }

    /// Whether nothing was counted at all.
    pub fn is_empty(&self) -> bool {
        self.counters.iter().all(Option::is_none) && self.spreads.iter().all(Option::is_none)
    }

    /// Whether the server began to count anew after `before`: what only grows is smaller, or gone.
    pub fn began_anew(&self, before: &Self) -> bool {
        let shrank = |counter: Counter| match (before.counter(counter), self.counter(counter)) {
            (Some(before), Some(now)) => now < before,
            (before, now) => before.is_some() && now.is_none(),
        };
        let emptied = |spread: Spread| match (before.spread(spread), self.spread(spread)) {
            (Some(before), Some(now)) => now.count() < before.count(),
            _ => false,
        };
        Counter::iter().filter(|counter| *counter != Counter::Faults).any(shrank) || Spread::iter().any(emptied)
    }
}

/// A cumulative histogram in Prometheus' form: how many values were at most each bound.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Ascending; the last is infinite.
    bounds: Vec<f64>,
    /// For each bound, never falling.
    counts: Vec<f64>,
    /// Of all values; `None` where it is not told.
    sum: Option<f64>,
}

/// A part of what came between two states of a histogram: so many values, all within these bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Values are above this.
    pub lower: f64,
    /// And at most this; infinite for the last one.
    pub upper: f64,
    /// How many.
    pub count: f64,
}

impl Histogram {
    /// The most buckets that a histogram may have.
    pub const MOST: usize = 200;

    /// A histogram of these bounds, in any order, with how many values were at most each. `None` for what is none: too many
    /// buckets, no infinite bound, counts that fall or are no numbers.
    pub fn new(mut buckets: Vec<(f64, f64)>, sum: Option<f64>) -> Option<Self> {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let sound = buckets.len() <= Self::MOST
            && buckets.last().is_some_and(|(bound, _)| *bound == f64::INFINITY)
            && buckets.iter().all(|(bound, count)| !bound.is_nan() && count.is_finite() && *count >= 0.0)
            && buckets.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let (bounds, counts) = buckets.into_iter().unzip();
        sound.then_some(Self { bounds, counts, sum: sum.filter(|sum| sum.is_finite()) })
    }

    /// How many values there were.
    pub fn count(&self) -> f64 {
        self.counts.last().copied().unwrap_or_default()
    }

    /// What came since `before`: the buckets that are not empty, and the sum of the new values. `None` if the buckets are
    /// others now, or something is less than before.
    pub fn since(&self, before: &Self) -> Option<(Vec<Bucket>, Option<f64>)> {
        if self.bounds != before.bounds {
            return None;
        }
        let mut buckets = Vec::new();
        let (mut lower, mut below) = (0.0, 0.0);
        for ((bound, now), before) in self.bounds.iter().zip(&self.counts).zip(&before.counts) {
            let at_most = now - before;
            let count = at_most - below;
            if count < 0.0 {
                return None;
            }
            if count > 0.0 {
                buckets.push(Bucket { lower: f64::min(lower, *bound), upper: *bound, count });
            }
            (lower, below) = (*bound, at_most);
        }
        let sum = self.sum.zip(before.sum).map(|(now, before)| now - before).filter(|sum| *sum >= 0.0);
        Some((buckets, sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(counts: [f64; 4], sum: f64) -> Histogram {
        let bounds = [0.1, 0.5, 1.0, f64::INFINITY];
        Histogram::new(bounds.into_iter().zip(counts).collect(), Some(sum)).unwrap()
    }

    #[test]
    fn what_came_since_is_told_by_bucket() {
        let (before, now) = (histogram([1.0, 2.0, 2.0, 2.0], 0.4), histogram([1.0, 5.0, 5.0, 6.0], 4.0));
        let (buckets, sum) = now.since(&before).unwrap();
        let expected =
            [Bucket { lower: 0.1, upper: 0.5, count: 3.0 }, Bucket { lower: 1.0, upper: f64::INFINITY, count: 1.0 }];
        assert_eq!(buckets, expected);
        assert!((sum.unwrap() - 3.6).abs() < 1e-9);
        assert_eq!(before.since(&now), None, "less than before");
        let other = Histogram::new(vec![(1.0, 0.0), (f64::INFINITY, 9.0)], None).unwrap();
        assert_eq!(other.since(&before), None, "other buckets");
    }

    #[test]
    fn what_is_no_histogram_is_none() {
        let inf = f64::INFINITY;
        for buckets in [
            vec![],
            vec![(1.0, 1.0)],
            vec![(1.0, 2.0), (inf, 1.0)],
            vec![(1.0, f64::NAN), (inf, 1.0)],
            vec![(f64::NAN, 1.0), (inf, 1.0)],
            vec![(1.0, 1.0), (1.0, 1.0), (inf, 1.0)],
            vec![(1.0, -1.0), (inf, 1.0)],
            (0..=200).map(|bound| (f64::from(bound), 1.0)).chain([(inf, 1.0)]).collect(),
        ] {
            assert_eq!(Histogram::new(buckets.clone(), None), None, "{buckets:?}");
        }
        let any_order = Histogram::new(vec![(inf, 3.0), (1.0, 2.0)], Some(f64::NAN)).unwrap();
        assert_eq!((any_order.count(), any_order.sum), (3.0, None));
    }

    #[test]
    fn a_restart_is_told_by_what_shrank() {
        let tally = |requests: f64, tokens: Option<f64>| {
            let mut tally = Tally::default();
            tally.add(Counter::Requests, requests);
            tally.put(Spread::Queue, histogram([0.0, 0.0, 0.0, requests], 0.0));
            if let Some(tokens) = tokens {
                tally.add(Counter::GeneratedTokens, tokens);
            }
            tally
        };
        let before = tally(5.0, Some(100.0));
        assert!(!before.began_anew(&before));
        assert!(!tally(6.0, Some(100.0)).began_anew(&before));
        assert!(tally(5.0, Some(99.0)).began_anew(&before));
        assert!(tally(5.0, None).began_anew(&before));
        assert!(!before.began_anew(&tally(5.0, None)), "it begins to tell more");
    }

    #[test]
    fn what_is_no_count_is_not_counted() {
        let mut tally = Tally::default();
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            tally.add(Counter::Faults, value);
        }
        assert_eq!(tally.counter(Counter::Faults), None);
        tally.add(Counter::Faults, 1.0);
        tally.add(Counter::Faults, 2.0);
        assert_eq!(tally.counter(Counter::Faults), Some(3.0));
    }
}
