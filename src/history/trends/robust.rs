//! Statistics that a few odd values do not move.

/// The middle value; of an even number of values the mean of the middle two. `None` of nothing. Reorders `values`.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let is_odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return Some(*upper);
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(f64::midpoint(lower, *upper))
}

/// What makes the median of absolute deviations an estimate of the standard deviation of normal values (Hampel, *The
/// influence curve and its role in robust estimation*, 1974).
const MAD_TO_SIGMA: f64 = 1.4826;

/// The standard deviation of `values`, by the median of their absolute deviations from `center`.
pub(super) fn sigma(values: &[f64], center: f64) -> f64 {
    let mut deviations: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
    median(&mut deviations).map_or(0.0, |median| median * MAD_TO_SIGMA)
}

/// How far a value of the series `values` lies from the next one by noise alone, as a standard deviation: by the differences of
/// neighbours, which steps and drifts hardly touch (von Neumann, *Distribution of the ratio of the mean square successive
/// difference to the variance*, 1941; here with medians). Where most neighbours are equal the mean of the differences speaks.
pub(super) fn noise(values: &[f64]) -> f64 {
    let differences: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if differences.is_empty() {
        return 0.0;
    }
    // The mean of |d| of normal values of deviation s is 2 s / √π.
    let mean = differences.iter().map(|difference| difference.abs()).sum::<f64>() / differences.len() as f64;
    let by_mean = mean * std::f64::consts::PI.sqrt() / 2.0;
    let by_median = sigma(&differences, 0.0) * std::f64::consts::FRAC_1_SQRT_2;
    by_median.max(by_mean * 0.8)
}

/// A slope with the bounds that 95 of 100 samples would keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// The median of the slopes of all pairs.
    pub(super) middle: f64,
    /// The lower bound.
    pub(super) low: f64,
    /// The upper bound.
    pub(super) high: f64,
}

/// The slope of `points` (x rising, y): the median of the slopes of all pairs, with Sen's bounds from the variance of
/// Kendall's S (Sen, *Estimates of the regression coefficient based on Kendall's tau*, 1968). `None` of fewer than 4 points.
pub(super) fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let count = points.len();
    if count < 4 {
        return None;
    }
    let mut slopes = Vec::with_capacity(count * (count - 1) / 2);
    for (index, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[index + 1..].iter().map(|(later, value)| (value - y) / (later - x)));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    let n = count as f64;
    let spread = 1.96 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = slopes.len() as f64;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
    let (low, high) = (at(((pairs - spread) / 2.0).floor()), at(f64::midpoint(pairs, spread).ceil()));
    Some(Slope { middle: median(&mut slopes)?, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_odd_and_even_numbers_of_values() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 100.0, 2.0]), Some(3.0));
    }

    #[test]
    fn noise_is_told_through_steps_and_drifts() {
        // Alternating by 2: neighbours differ by 2 throughout.
        let flat: Vec<f64> = (0..60).map(|day| f64::from(day % 2) * 2.0).collect();
        let moved: Vec<f64> = flat.iter().zip(0_u8..).map(|(y, day)| y + f64::from(day) * 0.05).collect();
        let step: Vec<f64> = flat.iter().zip(0..).map(|(y, day)| if day < 30 { *y } else { y + 50.0 }).collect();
        assert!((noise(&moved) / noise(&flat) - 1.0).abs() < 0.05);
        assert!((noise(&step) / noise(&flat) - 1.0).abs() < 0.25, "{} {}", noise(&step), noise(&flat));
        assert_eq!((noise(&[]), noise(&[1.0, 1.0, 1.0])), (0.0, 0.0));
        assert!(noise(&[0.0, 0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 0.0]) > 0.5, "that most are equal does not make it quiet");
    }

    #[test]
    fn a_slope_withstands_odd_values() {
        let mut points: Vec<(f64, f64)> = (0..14).map(|x| (f64::from(x), f64::from(x) * -3.0)).collect();
        points[5].1 = 900.0;
        let slope = slope(&points).unwrap();
        assert!((slope.middle + 3.0).abs() < 1e-9 && slope.low <= -3.0 && slope.high >= -3.0, "{slope:?}");
        assert_eq!(super::slope(&points[..3]), None);
    }
}
