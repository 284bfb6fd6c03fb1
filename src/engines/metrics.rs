//! A page of Prometheus metrics, read once for all that an engine's file wants of it: counters and histograms by their
//! names, and each sample to look at besides.
//!
//! Series of one name are summed over their labels (models, data-parallel engines, streamed or not). Where two names mean the
//! same, as after a renaming, the first one that the page has is taken, so that nothing counts twice.

use super::prometheus::{self, Sample};
use crate::domain::{Counter, Histogram, Spread, Tally, Why};

/// Which series mean what, the preferred name first.
pub(super) struct Wanted {
    /// Counters.
    pub(super) counters: &'static [(&'static str, Counter)],
    /// Histograms, without `_bucket`, `_sum` and `_count`.
    pub(super) spreads: &'static [(&'static str, Spread)],
}

/// Reads a page; `look` sees every sample that is neither of a wanted counter nor of a wanted histogram.
///
/// # Errors
/// The first line that is not in the format.
pub(super) fn read(text: &str, wanted: &Wanted, mut look: impl FnMut(&Sample<'_>)) -> Result<Tally, Why> {
    let mut counters: Vec<Option<f64>> = vec![None; wanted.counters.len()];
    let mut spreads: Vec<Series> = wanted.spreads.iter().map(|_| Series::default()).collect();
    for sample in prometheus::samples(text) {
        let sample = sample.map_err(|malformed| Why::new(malformed.to_string()))?;
        if let Some(index) = wanted.counters.iter().position(|(name, _)| *name == sample.name) {
            *counters[index].get_or_insert(0.0) += sample.value;
        } else if let Some((index, part)) = part_of(&sample.name, wanted.spreads) {
            spreads[index].take(part, &sample);
        } else {
            look(&sample);
        }
    }
    let mut tally = Tally::default();
    for ((_, counter), value) in wanted.counters.iter().zip(counters) {
        if let Some(value) = value.filter(|_| tally.counter(*counter).is_none()) {
            tally.add(*counter, value);
        }
    }
    for ((_, spread), series) in wanted.spreads.iter().zip(spreads) {
        if let Some(histogram) = series.histogram().filter(|_| tally.spread(*spread).is_none()) {
            tally.put(*spread, histogram);
        }
    }
    Ok(tally)
}

/// A part of a histogram's series.
#[derive(Clone, Copy)]
enum Part {
    Bucket,
    Sum,
    /// Said by the infinite bucket as well.
    Count,
}

fn part_of(name: &str, spreads: &[(&'static str, Spread)]) -> Option<(usize, Part)> {
    spreads.iter().enumerate().find_map(|(index, (wanted, _))| {
        let part = match name.strip_prefix(wanted)? {
            "_bucket" => Part::Bucket,
            "_sum" => Part::Sum,
            "_count" => Part::Count,
            _ => return None,
        };
        Some((index, part))
    })
}

/// A histogram on the way, summed over its labels.
#[derive(Default)]
struct Series {
    buckets: Vec<(f64, f64)>,
    sum: Option<f64>,
}

impl Series {
    fn take(&mut self, part: Part, sample: &Sample<'_>) {
        match part {
            Part::Count => {}
            Part::Sum => *self.sum.get_or_insert(0.0) += sample.value,
            Part::Bucket => {
                let Some(bound) = sample.label("le").and_then(|bound| bound.parse::<f64>().ok()) else { return };
                let known = self.buckets.iter().position(|(known, _)| known.total_cmp(&bound).is_eq());
                match known {
                    Some(index) => self.buckets[index].1 += sample.value,
                    // One more than a histogram may have tells that there are too many.
                    None if self.buckets.len() <= Histogram::MOST => self.buckets.push((bound, sample.value)),
                    None => {}
                }
            }
        }
    }

    fn histogram(self) -> Option<Histogram> {
        Histogram::new(self.buckets, self.sum)
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is written exactly is read exactly")]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        counters: &[("tokens_total", Counter::GeneratedTokens), ("old_tokens_total", Counter::GeneratedTokens)],
        spreads: &[("ttft_seconds", Spread::FirstToken), ("old_ttft_seconds", Spread::FirstToken)],
    };

    fn page(text: &str) -> Tally {
        read(text, &WANTED, |_| {}).unwrap()
    }

    #[test]
    fn series_are_summed_over_their_labels_and_an_old_name_counts_only_alone() {
        let tally = page("tokens_total{engine=\"0\"} 3\ntokens_total{engine=\"1\"} 4\nold_tokens_total 7\n");
        assert_eq!(tally.counter(Counter::GeneratedTokens), Some(7.0));
        assert_eq!(page("old_tokens_total 7\n").counter(Counter::GeneratedTokens), Some(7.0));
        assert_eq!(page("other 7\n").counter(Counter::GeneratedTokens), None);
    }

    #[test]
    fn a_histogram_is_summed_by_its_bounds() {
        let tally = page(
            "ttft_seconds_bucket{le=\"0.5\",model=\"a\"} 1\nttft_seconds_bucket{le=\"+Inf\",model=\"a\"} 2\n\
             ttft_seconds_sum{model=\"a\"} 1.5\nttft_seconds_count{model=\"a\"} 2\nttft_seconds_created 1.7e9\n\
             ttft_seconds_bucket{le=\"0.50\",model=\"b\"} 3\nttft_seconds_bucket{le=\"+Inf\",model=\"b\"} 3\n\
             ttft_seconds_sum{model=\"b\"} 0.5\n",
        );
        let expected = Histogram::new(vec![(0.5, 4.0), (f64::INFINITY, 5.0)], Some(2.0));
        assert_eq!(tally.spread(Spread::FirstToken), expected.as_ref());
    }

    #[test]
    fn what_is_not_wanted_is_looked_at_once_and_a_broken_line_is_told() {
        let mut seen = Vec::new();
        let text = "running 2\ntokens_total 1\nttft_seconds_created 5\nttft_seconds_count 1\n";
        read(text, &WANTED, |sample| seen.push(sample.name.to_string())).unwrap();
        assert_eq!(seen, ["running", "ttft_seconds_created"]);
        assert!(read("running 2\n<html>", &WANTED, |_| {}).unwrap_err().to_string().contains("line 2"));
    }

    #[test]
    fn a_histogram_without_end_is_none_and_bounded() {
        let endless: Vec<_> = (0..5_000).map(|bound| format!("ttft_seconds_bucket{{le=\"{bound}\"}} 1\n")).collect();
        assert_eq!(page(&endless.concat()).spread(Spread::FirstToken), None);
        assert_eq!(page("ttft_seconds_bucket{le=\"x\"} 1\nttft_seconds_sum NaN\n").spread(Spread::FirstToken), None);
    }
}
