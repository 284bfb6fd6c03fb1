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

/// Sums over days.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum {
    pub(super) count: f64,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) xx: f64,
    pub(super) xy: f64,
    pub(super) yy: f64,
}

impl Sum {
    /// The sum of squares of y around their mean.
    fn spread(&self) -> f64 {
        (self.yy - self.y * self.y / self.count).max(0.0)
    }

    /// The slope of the line that fits best, if x are not all one.
    fn slope(&self) -> Option<f64> {
        let (xx, xy) = (self.xx - self.x * self.x / self.count, self.xy - self.x * self.y / self.count);
        (xx > 0.0).then(|| xy / xx)
    }
}

/// Sums over the first days, from which the fit of any piece follows.
#[derive(Debug)]
pub(super) struct Sums(Vec<Sum>);

impl Sums {
    pub(super) fn of(points: &[Point]) -> Self {
        let mut last = Sum::default();
        let sums = points.iter().map(|&(x, y)| {
            last = Sum {
                count: last.count + 1.0,
                x: last.x + x,
                y: last.y + y,
                xx: last.xx + x * x,
                xy: last.xy + x * y,
                yy: last.yy + y * y,
            };
            last
        });
        Self(std::iter::once(Sum::default()).chain(sums).collect())
    }

    /// The sums from day `from` to before day `to`.
    pub(super) fn between(&self, from: usize, to: usize) -> Sum {
        let (before, all) = (&self.0[from], &self.0[to]);
        Sum {
            count: all.count - before.count,
            x: all.x - before.x,
            y: all.y - before.y,
            xx: all.xx - before.xx,
            xy: all.xy - before.xy,
            yy: all.yy - before.yy,
        }
    }

    /// The sum of squares around the mean.
    pub(super) fn level(&self, from: usize, to: usize) -> f64 {
        self.between(from, to).spread()
    }

    /// The sum of squares of the piece as what it best is, and its slope, if that is one; a slope costs `price`.
    fn piece(&self, from: usize, to: usize, price: f64) -> (f64, f64) {
        let sum = self.between(from, to);
        let level = sum.spread();
        let slope = if to - from < SLOPED_DAYS { None } else { sum.slope() };
        let line = slope.map(|slope| (level - slope * (sum.xy - sum.x * sum.y / sum.count)).max(0.0) + price);
        match (line, slope) {
            (Some(line), Some(slope)) if line < level => (line, slope),
            _ => (level, 0.0),
        }
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
            let sum = sums.between(from, to);
            let (_, slope) = sums.piece(from, to, SLOPE * self.price);
            let fitted = |x: f64| sum.y / sum.count + slope * (x - sum.x / sum.count);
            rest.extend(points[from..to].iter().map(|(x, y)| y - fitted(*x)));
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
