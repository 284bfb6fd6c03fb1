//! How values are spread, small enough to keep and exact enough to compare: sketches that merge, so that a month's p95 is
//! that of all its requests, and not a mean of p95s (Masson, Rim, Lee: *`DDSketch`*, VLDB 2019).

use std::fmt;

use sketches_ddsketch::DDSketch;

/// A sketch of values that are not negative. A quantile errs by one per cent of its value; less than a billionth is 0.
// The crate's own settings: it reads every sketch from bytes with those, and only such as are alike merge.
#[derive(Clone, Default)]
pub struct Sketch(DDSketch);

impl Sketch {
    /// Adds `count` values of this size.
    pub fn put(&mut self, value: f64, count: u64) {
        self.0.add_with_count(value, count);
    }

    /// Adds what the other one holds.
    pub fn merge(&mut self, other: &Self) {
        // All are made alike, so they merge.
        drop(self.0.merge(&other.0));
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.count() as u64
    }

    /// Their mean; `None` where there are none.
    pub fn mean(&self) -> Option<f64> {
        Some(self.0.sum()? / self.0.count() as f64)
    }

    /// The least and the greatest value; `None` where there are none.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        self.0.min().zip(self.0.max())
    }

    /// The least value that this share of all values, 0 to 1, does not exceed; `None` where there are none.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.0.count() as f64;
        // The sketch takes the rank `share × (count − 1)` and rounds it down, which of few values is too low.
        let rank = (share * count).ceil().max(1.0) - 1.0;
        self.0.quantile(((rank + 0.5) / (count - 1.0).max(1.0)).min(1.0)).ok()?
    }

    /// As bytes, in the format that other implementations of the sketch read and write, too.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_java_bytes()
    }

    /// Adds what such bytes hold; false for what is no sketch, or one of another accuracy, which adds nothing.
    pub fn merge_bytes(&mut self, bytes: &[u8]) -> bool {
        DDSketch::from_java_bytes(bytes).is_ok_and(|sketch| self.0.merge(&sketch).is_ok())
    }

    /// Reads such bytes; `None` for what is no sketch, or one of another accuracy.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut sketch = Self::default();
        sketch.merge_bytes(bytes).then_some(sketch)
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use sketches_ddsketch::Config;

    use super::*;

    #[test]
    fn what_is_kept_and_read_back_merges_as_if_it_had_never_left() {
        let (mut all, mut kept) = (Sketch::default(), Sketch::default());
        for part in 0..20_u32 {
            let mut sketch = Sketch::default();
            for value in 1..=50_u32 {
                let value = f64::from(value * (part + 1)) / 100.0;
                sketch.put(value, 1);
                all.put(value, 1);
            }
            kept.merge(&Sketch::from_bytes(&sketch.to_bytes()).unwrap());
        }
        assert_eq!(kept.count(), 1_000);
        for share in [0.01, 0.5, 0.95, 0.99, 1.0] {
            assert_eq!(kept.quantile(share), all.quantile(share), "{share}");
        }
        assert_eq!(kept.extremes(), all.extremes());
        assert!((kept.mean().unwrap() - all.mean().unwrap()).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_is_that_of_the_values_within_its_error() {
        let mut sketch = Sketch::default();
        for value in 1..=1_000 {
            sketch.put(f64::from(value), 1);
        }
        for (share, value) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let got = sketch.quantile(share).unwrap();
            assert!((got - value).abs() <= value * 0.0101, "{share}: {got}");
        }
        assert_eq!(Sketch::default().quantile(0.5), None);
    }

    #[test]
    fn what_is_no_sketch_is_none() {
        let mut other = DDSketch::new(Config::new(0.05, 64, 1e-3));
        other.add(1.0);
        for bytes in [vec![], vec![1, 2, 3], vec![0xff; 40], other.to_java_bytes()] {
            assert!(Sketch::from_bytes(&bytes).is_none(), "{bytes:?}");
        }
    }
}
