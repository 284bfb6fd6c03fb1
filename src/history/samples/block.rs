//! A stretch of one series as bytes: columns of small whole numbers, compressed.
//!
//! Values are kept as multiples of a power of two, the *quantum*, so small that a graph does not show it: a 256th, say, of the
//! values' own spread or of their usual size, whichever is less. What hardly changes is thus kept exactly (a volume that fills
//! over weeks), and what is noise takes few bits.

use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{simple_compress, simple_decompress_into};

/// What the values within one slot of time were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// Their mean.
    pub mean: f64,
    /// How many there were, at least 1.
    pub count: u32,
}

impl Point {
    /// One value.
    pub fn of(value: f64) -> Self {
        Self { min: value, max: value, mean: value, count: 1 }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (mine, others) = (f64::from(self.count), f64::from(other.count));
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean: (self.mean * mine + other.mean * others) / (mine + others),
            count: self.count.saturating_add(other.count),
        }
    }
}

/// The format of the bytes.
const FORMAT: u8 = 1;
/// Every point is one value, or several of the same: least, mean and greatest are one column.
const FLAT: u8 = 1;
/// Every point has the same count.
const EVEN: u8 = 2;
/// Quanta in the greatest value, at most: what is counted with fits a float's whole numbers.
const MOST: f64 = (1_u64 << 45) as f64;

/// Writes the points of a block, `None` where there is a gap, with a quantum of so small a part of their spread or usual size. Empty where there is no point.
pub(super) fn encode(slots: &[Option<Point>], fineness: f64) -> Vec<u8> {
    let points: Vec<Point> = slots.iter().flatten().copied().collect();
    let Some(first) = points.first() else { return Vec::new() };
    let exponent = exponent(&points, fineness);
    let quantum = f64::from(exponent).exp2();
    let whole = |value: f64| (value / quantum).round() as i64;
    let flat = points.iter().all(|point| whole(point.min) == whole(point.max));
    let even = points.iter().all(|point| point.count == first.count);
    let mut bytes = vec![FORMAT, (u8::from(flat) * FLAT) | (u8::from(even) * EVEN)];
    bytes.extend(exponent.to_le_bytes());
    let runs = runs(slots);
    bytes.extend((runs.len() as u16).to_le_bytes());
    for (start, length) in runs {
        bytes.extend(start.to_le_bytes());
        bytes.extend(length.to_le_bytes());
    }
    if even {
        bytes.extend(first.count.to_le_bytes());
    } else {
        column(&mut bytes, &points.iter().map(|point| point.count).collect::<Vec<_>>());
    }
    column(&mut bytes, &points.iter().map(|point| whole(point.mean)).collect::<Vec<_>>());
    if !flat {
        let below = |point: &Point| whole(point.mean).abs_diff(whole(point.min));
        let above = |point: &Point| whole(point.max).abs_diff(whole(point.mean));
        column(&mut bytes, &points.iter().map(below).collect::<Vec<_>>());
        column(&mut bytes, &points.iter().map(above).collect::<Vec<_>>());
    }
    bytes
}

/// Reads a block of so many slots; `None` for what is none.
pub(super) fn decode(mut bytes: &[u8], slots: usize) -> Option<Vec<Option<Point>>> {
    let mut read = vec![None; slots];
    if bytes.is_empty() {
        return Some(read);
    }
    let [format, flags] = take(&mut bytes)?;
    if format != FORMAT {
        return None;
    }
    let exponent = i16::from_le_bytes(take(&mut bytes)?);
    let mut present = Vec::new();
    for _ in 0..u16::from_le_bytes(take(&mut bytes)?) {
        let start = usize::from(u16::from_le_bytes(take(&mut bytes)?));
        let end = start + usize::from(u16::from_le_bytes(take(&mut bytes)?));
        if end > slots || present.last().is_some_and(|last| *last >= start) {
            return None;
        }
        present.extend(start..end);
    }
    let counts = if flags & EVEN == 0 {
        numbers::<u32>(&mut bytes, present.len())?
    } else {
        vec![u32::from_le_bytes(take(&mut bytes)?); present.len()]
    };
    let means = numbers::<i64>(&mut bytes, present.len())?;
    let (below, above) = if flags & FLAT == 0 {
        (numbers::<u64>(&mut bytes, present.len())?, numbers::<u64>(&mut bytes, present.len())?)
    } else {
        (vec![0; present.len()], vec![0; present.len()])
    };
    let quantum = f64::from(exponent).exp2();
    for (index, slot) in present.into_iter().enumerate() {
        let (mean, count) = (means[index] as f64, counts[index]);
        let (min, max) = (mean - below[index] as f64, mean + above[index] as f64);
        read[slot] = Some(Point { min: min * quantum, max: max * quantum, mean: mean * quantum, count });
    }
    Some(read)
}

/// The exponent of the quantum, base 2.
fn exponent(points: &[Point], fineness: f64) -> i16 {
    let greatest = points.iter().fold(0.0_f64, |most, point| most.max(point.min.abs()).max(point.max.abs()));
    if greatest == 0.0 {
        return 0;
    }
    let least = (greatest / MOST).log2().ceil();
    let spread = points.iter().fold(f64::NEG_INFINITY, |most, point| most.max(point.max))
        - points.iter().fold(f64::INFINITY, |least, point| least.min(point.min));
    let mut sizes: Vec<f64> = points.iter().map(|point| point.mean.abs()).filter(|size| *size > 0.0).collect();
    let middle = sizes.len() / 2;
    let usual = if sizes.is_empty() { greatest } else { *sizes.select_nth_unstable_by(middle, f64::total_cmp).1 };
    // What does not change at all is one number, however fine.
    let finest = if spread > 0.0 { (spread.min(usual) / fineness).log2().floor() } else { least };
    let is_whole = points.iter().all(|point| point.mean.fract() == 0.0 && point.min.fract() == 0.0);
    let wanted = if is_whole { finest.max(0.0) } else { finest };
    wanted.max(least).clamp(-1_000.0, 1_000.0) as i16
}

/// Where points stand: the first slot and how many.
fn runs(slots: &[Option<Point>]) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for (slot, _) in (0..).zip(slots).filter(|(_, point)| point.is_some()) {
        match runs.last_mut() {
            Some((start, length)) if *start + *length == slot => *length += 1,
            _ => runs.push((slot, 1)),
        }
    }
    runs
}

/// Adds a column and its length.
fn column<T: Number>(bytes: &mut Vec<u8>, numbers: &[T]) {
    // It only refuses what a config of our own could ask for.
    let packed = simple_compress(numbers, &ChunkConfig::default()).unwrap_or_default();
    bytes.extend((packed.len() as u32).to_le_bytes());
    bytes.extend(packed);
}

/// Takes a column of so many numbers.
fn numbers<T: Number + Default>(bytes: &mut &[u8], count: usize) -> Option<Vec<T>> {
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (packed, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let mut numbers = vec![T::default(); count];
    let progress = simple_decompress_into(packed, &mut numbers).ok()?;
    (progress.n_processed == count).then_some(numbers)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(read: f64, written: f64, quantum: f64) -> bool {
        (read - written).abs() <= quantum
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_within_a_256th(
            values in prop::collection::vec(prop::option::weighted(0.8, (-1e9..1e9_f64, 0.0..1e6_f64, 1..100_u32)), 0..720),
        ) {
            let slots: Vec<Option<Point>> = values
                .into_iter()
                .map(|value| value.map(|(mean, by, count)| Point { min: mean - by, max: mean + by, mean, count }))
                .collect();
            let read = decode(&encode(&slots, 256.0), slots.len()).unwrap();
            let most = slots.iter().flatten().fold(0.0_f64, |most, point| most.max(point.mean.abs()));
            for (read, written) in read.iter().zip(&slots) {
                match (read, written) {
                    (None, None) => {}
                    (Some(read), Some(written)) => {
                        let quantum = most / 128.0;
                        prop_assert_eq!(read.count, written.count);
                        prop_assert!(read.min <= read.mean && read.mean <= read.max);
                        prop_assert!(near(read.mean, written.mean, quantum) && near(read.min, written.min, quantum * 1.1));
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }

        #[test]
        fn what_is_no_block_is_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), slots in 0..1500_usize) {
            let _read = decode(&bytes, slots);
            let mut forged = encode(&[Some(Point::of(1.0)), None, Some(Point::of(2.5))], 256.0);
            for (at, byte) in bytes.iter().enumerate() {
                if let Some(place) = forged.get_mut(at + usize::from(*byte)) {
                    *place ^= byte;
                }
            }
            let _read = decode(&forged, slots);
        }
    }

    #[test]
    fn what_hardly_changes_is_kept_exactly() {
        let free = |slot: u32| 2e12 - f64::from(slot) * 40_960.0;
        let slots: Vec<Option<Point>> = (0..1440).map(|slot| Some(Point::of(free(slot)))).collect();
        let bytes = encode(&slots, 256.0);
        let read = decode(&bytes, 1440).unwrap();
        for (slot, point) in (0..).zip(read) {
            let off = (point.unwrap().mean - free(slot)).abs();
            assert!(off <= 1440.0 * 40_960.0 / 256.0, "{off}");
        }
        assert!(bytes.len() < 1440, "{}", bytes.len());
        for constant in [0.0, 1.0, 85.899_345_92e9, 0.333, -2.5] {
            let bytes = encode(&vec![Some(Point::of(constant)); 1440], 256.0);
            let read = decode(&bytes, 1440).unwrap()[7].unwrap().mean;
            assert!((read - constant).abs() <= constant.abs() * 1e-12, "{read}");
            assert!(bytes.len() <= 64, "{}", bytes.len());
        }
    }

    #[test]
    fn counts_are_kept_as_they_are() {
        let slots: Vec<Option<Point>> = (0..720).map(|slot| Some(Point::of(f64::from(slot % 7)))).collect();
        assert_eq!(decode(&encode(&slots, 256.0), 720).unwrap(), slots);
    }

    #[test]
    fn one_spike_does_not_drown_the_rest() {
        let mut slots: Vec<Option<Point>> =
            (0..720).map(|slot| Some(Point::of(0.2 + f64::from(slot % 10) / 1_000.0))).collect();
        slots[300] = Some(Point::of(60.0));
        let read = decode(&encode(&slots, 256.0), 720).unwrap();
        for (read, written) in read.iter().flatten().zip(slots.iter().flatten()) {
            assert!((read.mean - written.mean).abs() <= 0.21 / 256.0);
        }
    }

    #[test]
    fn points_together_have_the_mean_of_all_their_values() {
        let point = Point::of(1.0).and(Point::of(2.0)).and(Point::of(6.0));
        assert_eq!(point, Point { min: 1.0, max: 6.0, mean: 3.0, count: 3 });
    }
}
