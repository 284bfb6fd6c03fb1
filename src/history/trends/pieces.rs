//! Cuts days into pieces that are level or sloped: the cut whose pieces fit best for what each of them costs.
//!
//! Optimal partitioning (Jackson et al., *An algorithm for optimal partitioning of data on an interval*, 2005), with the sum
//! of squares as the cost of a piece, in units of the noise, and a penalty for each piece beyond what chance gains.

/// A day as it is fitted: days since the beginning, and the value in units of the noise.
pub(super) type Point = (f64, f64);

/// What a cut must gain: the square of about five deviations of the difference that it makes. It is far above the penalty of Yao
/// (*Estimating the number of change-points via Schwarz' criterion*, 1988), for the question is asked anew each day.
pub(super) const CUT: f64 = 28.0;
/// What a slope must gain over a level.
pub(super) const SLOPE: f64 = 10.0;
/// Days of the shortest level piece.
pub(super) const LEVEL_DAYS: usize = 3;
/// Days of the shortest sloped piece.
const SLOPED_DAYS: usize = 10;

/// Sums over the first days, from which the fit of any piece follows.
#[derive(Debug)]
pub(super) struct Sums(Vec<[f64; 5]>);

impl Sums {
    pub(super) fn of(points: &[Point]) -> Self {
        let mut sums = vec![[0.0; 5]];
        let mut last = [0.0; 5];
        for &(x, y) in points {
            for (sum, term) in last.iter_mut().zip([x, y, x * x, x * y, y * y]) {
                *sum += term;
            }
            sums.push(last);
        }
        Self(sums)
    }

    /// The sums of x, y, x², xy and y² from day `from` to before day `to`.
    pub(super) fn between(&self, from: usize, to: usize) -> [f64; 5] {
        std::array::from_fn(|index| self.0[to][index] - self.0[from][index])
    }

    /// Spread of y, of x, and of both together in the piece from day `from` to before day `to`.
    fn spread(&self, from: usize, to: usize) -> (f64, f64, f64) {
        let count = (to - from) as f64;
        let [x, y, xx, xy, yy] = self.between(from, to);
        ((yy - y * y / count).max(0.0), xx - x * x / count, xy - x * y / count)
    }

    /// The sum of squares around the mean.
    pub(super) fn level(&self, from: usize, to: usize) -> f64 {
        self.spread(from, to).0
    }

    /// The sum of squares around the line that fits best.
    fn line(&self, from: usize, to: usize) -> f64 {
        let (yy, xx, xy) = self.spread(from, to);
        if xx > 0.0 { (yy - xy * xy / xx).max(0.0) } else { yy }
    }

    /// The sum of squares of the piece as what it best is, and whether that is a slope; a slope costs what it costs.
    fn piece(&self, from: usize, to: usize, slope: f64) -> (f64, bool) {
        let level = self.level(from, to);
        let line = if to - from < SLOPED_DAYS { f64::INFINITY } else { self.line(from, to) + slope };
        (level.min(line), line < level)
    }
}

/// The best cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// Where each piece begins; the first is 0.
    pub(super) begins: Vec<usize>,
    /// The cost of the best cut of the first days, penalties included, by their number.
    cost: Vec<f64>,
    price: f64,
}

impl Cut {
    /// What the pieces from the one that begins at day `from` cost, penalties included.
    pub(super) fn cost_since(&self, from: usize) -> f64 {
        self.cost.last().copied().unwrap_or(0.0) - self.cost[from]
    }

    /// What the pieces leave of each of the points that were cut.
    pub(super) fn left_over(&self, points: &[Point]) -> Vec<f64> {
        let sums = Sums::of(points);
        let ends = self.begins.iter().skip(1).copied().chain([points.len()]);
        let mut rest = Vec::with_capacity(points.len());
        for (from, to) in self.begins.iter().copied().zip(ends) {
            let [x, y, ..] = sums.between(from, to);
            let count = (to - from) as f64;
            let (_, xx, xy) = sums.spread(from, to);
            let slope = if sums.piece(from, to, SLOPE * self.price).1 { xy / xx } else { 0.0 };
            rest.extend(points[from..to].iter().map(|(at, value)| value - y / count - slope * (at - x / count)));
        }
        rest
    }
}

/// Cuts `points`, whose y are in units of the noise.
pub(super) fn cut(points: &[Point]) -> Cut {
    cut_at(points, 1.0)
}

/// The same, at another price.
pub(super) fn cut_at(points: &[Point], price: f64) -> Cut {
    let sums = Sums::of(points);
    let mut cost = vec![0.0; points.len() + 1];
    let mut begin = vec![0; points.len() + 1];
    for to in 1..=points.len() {
        // What is too short for a piece of its own is the end of the first one.
        let mut best = (f64::INFINITY, 0);
        for from in (0..to).filter(|from| *from == 0 || (to - from >= LEVEL_DAYS && *from >= LEVEL_DAYS)) {
            let whole = cost[from] + sums.piece(from, to, SLOPE * price).0 + CUT * price;
            if whole < best.0 {
                best = (whole, from);
            }
        }
        (cost[to], begin[to]) = best;
    }
    let mut begins = Vec::new();
    let mut to = points.len();
    while to > 0 {
        to = begin[to];
        begins.push(to);
    }
    begins.reverse();
    Cut { begins, cost, price }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small noise that repeats: no two neighbours alike.
    fn points(value: impl Fn(usize) -> f64, days: usize) -> Vec<Point> {
        let noise = [0.4, -0.9, 1.1, -0.3, 0.8, -1.2, 0.1];
        (0..days).map(|day| (day as f64, value(day) + noise[day % noise.len()])).collect()
    }

    #[test]
    fn nothing_is_cut_where_nothing_changed() {
        assert_eq!(cut(&points(|_| 7.0, 60)).begins, [0]);
        assert_eq!(cut(&points(|day| day as f64 * 0.3, 60)).begins, [0], "a slope is one piece");
        assert_eq!(cut(&[]).begins, [] as [usize; 0]);
        assert_eq!(cut(&points(|_| 7.0, 2)).begins, [0]);
    }

    #[test]
    fn steps_are_cut_where_they_are() {
        let stairs = |day| {
            if day < 20 {
                0.0
            } else if day < 41 {
                8.0
            } else {
                -2.0
            }
        };
        assert_eq!(cut(&points(stairs, 60)).begins, [0, 20, 41]);
    }
}
