//! Where, within the buckets of a histogram, values lie whose sum is known.

use crate::domain::Bucket;

/// Values of one bucket are told by at most so many points.
const POINTS: u64 = 16;

/// More values than this between two looks are a broken counter; fewer are put in their place.
const MOST: f64 = 1e9;

/// Points (value and how many values it stands for) for what came into `buckets`.
///
/// Every value lies at the same part of the way through its bucket: that part at which all of them add up to `sum`. Several of
/// one bucket lie around that point as evenly as the bucket allows, which keeps the sum. Without a sum they lie evenly in all of
/// the bucket, as `histogram_quantile` of Prometheus has it.
pub(super) fn place(buckets: &[Bucket], sum: Option<f64>) -> Vec<(f64, u64)> {
    let total = |of: fn(&Bucket) -> f64| -> f64 {
        buckets.iter().filter(|bucket| bucket.upper.is_finite()).map(|bucket| of(bucket) * bucket.count).sum()
    };
    let (floor, width) = (total(|bucket| bucket.lower), total(|bucket| bucket.upper - bucket.lower));
    let endless = buckets.iter().find(|bucket| !bucket.upper.is_finite());
    // What is beyond the last bound is what the others, in the middle of theirs, leave of the sum; at least the bound.
    let beyond = endless.map(|bucket| {
        let left = sum.map_or(0.0, |sum| (sum - floor - width / 2.0) / bucket.count);
        (left.max(bucket.lower), bucket.count)
    });
    let rest = sum.map(|sum| sum - beyond.map_or(0.0, |(value, count)| value * count));
    let part = match rest {
        Some(rest) if width > 0.0 => ((rest - floor) / width).clamp(0.0, 1.0),
        _ => 0.5,
    };
    let mut points = Vec::new();
    for bucket in buckets.iter().filter(|bucket| bucket.upper.is_finite()) {
        spread(bucket, part, &mut points);
    }
    points.extend(beyond.map(|(value, count)| (value, whole(count))));
    points
}

fn spread(bucket: &Bucket, part: f64, points: &mut Vec<(f64, u64)>) {
    let (width, count) = (bucket.upper - bucket.lower, whole(bucket.count));
    let (middle, half) = (bucket.lower + part * width, part.min(1.0 - part) * width);
    let groups = count.min(POINTS);
    for group in 0..groups {
        let (from, to) = (group * count / groups, (group + 1) * count / groups);
        let at = (from + to) as f64 / count as f64 - 1.0;
        points.push((middle + half * at, to - from));
    }
}

fn whole(count: f64) -> u64 {
    count.round().clamp(0.0, MOST) as u64
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "the sums are of numbers that are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bucket(lower: f64, upper: f64, count: f64) -> Bucket {
        Bucket { lower, upper, count }
    }

    #[test]
    fn one_value_is_where_the_sum_says() {
        assert_eq!(place(&[bucket(1.0, 2.0, 1.0)], Some(1.25)), [(1.25, 1)]);
        assert_eq!(place(&[bucket(640.0, f64::INFINITY, 1.0)], Some(900.0)), [(900.0, 1)]);
        assert_eq!(place(&[bucket(640.0, f64::INFINITY, 1.0)], None), [(640.0, 1)]);
        assert_eq!(place(&[], Some(1.0)), []);
    }

    #[test]
    fn several_lie_at_the_same_part_of_their_buckets_and_evenly_around_it() {
        assert_eq!(place(&[bucket(0.0, 1.0, 1.0), bucket(1.0, 3.0, 1.0)], Some(1.75)), [(0.25, 1), (1.5, 1)]);
        assert_eq!(place(&[bucket(0.0, 1.0, 2.0)], Some(0.5)), [(0.125, 1), (0.375, 1)]);
        assert_eq!(place(&[bucket(0.0, 1.0, 2.0)], None), [(0.25, 1), (0.75, 1)]);
    }

    #[test]
    fn a_sum_that_cannot_be_moves_nothing_out_of_its_bucket() {
        assert_eq!(place(&[bucket(1.0, 2.0, 1.0)], Some(99.0)), [(2.0, 1)]);
        assert_eq!(place(&[bucket(1.0, 2.0, 1.0)], Some(0.0)), [(1.0, 1)]);
        assert_eq!(
            place(&[bucket(1.0, 2.0, 1e300)], Some(1e300)).iter().map(|(_, count)| count).sum::<u64>(),
            1_000_000_000
        );
    }

    proptest! {
        #[test]
        fn the_sum_and_the_count_are_kept(counts in prop::collection::vec(0_u32..200, 1..8), part in 0.01_f64..0.99) {
            let buckets: Vec<Bucket> = (0_u32..).zip(&counts).filter(|(_, count)| **count > 0)
                .map(|(at, count)| bucket(f64::from(at), f64::from(at + 1), f64::from(*count))).collect();
            let sum: f64 = buckets.iter().map(|it| it.count * (it.lower + part)).sum();
            let points = place(&buckets, Some(sum));
            let (kept, number) = points.iter().fold((0.0, 0), |(sum, number), (value, count)| (sum + value * *count as f64, number + count));
            prop_assert!((kept - sum).abs() <= 1e-6 * sum.max(1.0), "{kept} is not {sum}");
            prop_assert_eq!(number, counts.iter().map(|count| u64::from(*count)).sum::<u64>());
        }
    }
}
