//! One minute of every series as bytes: fast to write, read once or twice before it becomes blocks.
//!
//! For each series its number (4 bytes), which sixths have a value (a byte), and the values (4 bytes each); one value where
//! all are alike. All little-endian.

use super::SIXTHS;

/// The values of one series in one minute, by sixth; NaN is a gap.
pub(super) type Minute = [f32; SIXTHS];

/// Set where one value stands for all.
const ALIKE: u8 = 0x80;

/// Adds one series.
pub(super) fn push(bytes: &mut Vec<u8>, series: u32, minute: &Minute) {
    let mut values = minute.iter().copied().filter(|value| !value.is_nan());
    let Some(first) = values.next() else { return };
    let alike = values.all(|value| value.to_bits() == first.to_bits());
    let present = (0..).zip(minute).filter(|(_, value)| !value.is_nan()).fold(0_u8, |bits, (at, _)| bits | 1 << at);
    bytes.extend(series.to_le_bytes());
    bytes.push(present | if alike { ALIKE } else { 0 });
    if alike {
        bytes.extend(first.to_le_bytes());
    } else {
        minute.iter().filter(|value| !value.is_nan()).for_each(|value| bytes.extend(value.to_le_bytes()));
    }
}

/// The series in these bytes. What is cut off or no such bytes ends it.
pub(super) fn iter(mut bytes: &[u8]) -> impl Iterator<Item = (u32, Minute)> {
    std::iter::from_fn(move || {
        let (head, rest) = bytes.split_first_chunk::<5>()?;
        let series = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let present = head[4];
        let mut minute = [f32::NAN; SIXTHS];
        let count = if present & ALIKE == 0 { (present & !ALIKE).count_ones() as usize } else { 1 };
        let (values, rest) = rest.split_at_checked(count * 4)?;
        let mut values =
            values.chunks_exact(4).map(|value| f32::from_le_bytes([value[0], value[1], value[2], value[3]]));
        let alike = (present & ALIKE != 0).then(|| values.next()).flatten();
        for (_, value) in minute.iter_mut().enumerate().filter(|(at, _)| present & (1 << at) != 0) {
            *value = alike.or_else(|| values.next())?;
        }
        bytes = rest;
        Some((series, minute))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_minute_is_read_as_it_was_written(
            series in prop::collection::vec(prop::array::uniform6(prop::option::of(-1e9..1e9_f32)), 0..50),
            cut in any::<prop::sample::Index>(),
        ) {
            let minutes: Vec<Minute> = series.iter().map(|values| values.map(|value| value.unwrap_or(f32::NAN))).collect();
            let mut bytes = Vec::new();
            for (number, minute) in (0..).zip(&minutes) {
                push(&mut bytes, number, minute);
            }
            let written = (0..).zip(&minutes).filter(|(_, minute)| minute.iter().any(|value| !value.is_nan()));
            let bits = |minute: &Minute| minute.map(f32::to_bits);
            let written: Vec<_> = written.map(|(number, minute): (u32, _)| (number, bits(minute))).collect();
            let read: Vec<_> = iter(&bytes).map(|(number, minute)| (number, bits(&minute))).collect();
            prop_assert_eq!(&read, &written);
            let cut = if bytes.is_empty() { 0 } else { cut.index(bytes.len()) };
            let part: Vec<_> = iter(&bytes[..cut]).map(|(number, minute)| (number, bits(&minute))).collect();
            prop_assert!(written.starts_with(&part));
        }

        #[test]
        fn what_is_no_minute_ends_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(iter(&bytes).count() <= bytes.len() / 5);
        }
    }
}
