//! How long to wait after failures: the same for sources that are read and for receivers that are told.

use std::time::Duration;

/// The wait after `failures` in a row, 1 or more: doubles from `first` at each, at most `most`.
pub fn backoff(first: Duration, most: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_its_end() {
        let wait = |failures| backoff(Duration::from_secs(1), Duration::from_secs(30), failures).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 40].map(wait), [1, 2, 4, 8, 16, 30, 30]);
    }
}
