//! What is remembered of each image between runs: since when hostler knows it, and when it last saw a container of it.
//!
//! The engine keeps no such times. So what is said about the use of an image never reaches back beyond hostler's own first
//! sight of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSeen {
    /// When it was first seen.
    pub first: Timestamp,
    /// When a container of it was last seen, running or not, to an hour; `None` if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Timestamp>,
    /// When it was last seen at all, to a day.
    pub last: Timestamp,
}

/// The memory of all images, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImagesSeen {
    by_id: BTreeMap<String, ImageSeen>,
    /// Raised whenever there is something new to write down.
    revision: u64,
}

impl ImagesSeen {
    /// Images that are remembered; those that were not seen for the longest time go first.
    pub const KEPT: usize = 5_000;
    /// What has not been seen for so long is forgotten.
    pub const KEPT_FOR: SignedDuration = SignedDuration::from_hours(400 * 24);
    /// A sight of use that is younger than this need not be written anew.
    const USED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
    /// The same of a sight without use.
    const SEEN_WITHIN: SignedDuration = SignedDuration::from_hours(24);

    /// A memory with these entries.
    pub fn new(entries: impl IntoIterator<Item = (String, ImageSeen)>) -> Self {
        Self { by_id: entries.into_iter().collect(), revision: 0 }
    }

    /// What is remembered of an image.
    pub fn get(&self, id: &str) -> Option<ImageSeen> {
        self.by_id.get(id).copied()
    }

    /// All entries, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ImageSeen)> {
        self.by_id.iter().map(|(id, seen)| (id.as_str(), seen))
    }

    /// Differs from every value that it had before when there is something new to write down.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes in that an image was seen, and whether a container of it was.
    pub fn saw(&mut self, id: &str, used: bool, at: Timestamp) {
        let is_old = |seen: Timestamp, within| at.duration_since(seen) >= within;
        let Some(seen) = self.by_id.get_mut(id) else {
            self.by_id.insert(id.to_owned(), ImageSeen { first: at, used: used.then_some(at), last: at });
            self.revision += 1;
            return;
        };
        if used && seen.used.is_none_or(|before| is_old(before, Self::USED_WITHIN)) {
            (seen.used, seen.last) = (Some(at), seen.last.max(at));
            self.revision += 1;
        }
        if is_old(seen.last, Self::SEEN_WITHIN) {
            seen.last = at;
            self.revision += 1;
        }
    }

    /// Takes in what another memory knows: the earliest first sight and the latest use count.
    pub fn merge(&mut self, other: &Self) {
        for (id, more) in &other.by_id {
            let Some(seen) = self.by_id.get_mut(id) else {
                self.by_id.insert(id.clone(), *more);
                self.revision += 1;
                continue;
            };
            let merged = ImageSeen {
                first: seen.first.min(more.first),
                used: seen.used.max(more.used),
                last: seen.last.max(more.last),
            };
            if merged != *seen {
                *seen = merged;
                self.revision += 1;
            }
        }
    }

    /// Forgets images that have been gone for too long before `at`, and the most forgotten ones of too many.
    pub fn forget(&mut self, at: Timestamp) {
        self.by_id.retain(|_, seen| at.duration_since(seen.last) < Self::KEPT_FOR);
        if self.by_id.len() > Self::KEPT {
            let mut times: Vec<Timestamp> = self.by_id.values().map(|seen| seen.last).collect();
            times.sort_unstable_by(|a, b| b.cmp(a));
            let oldest = times[Self::KEPT - 1];
            let mut room = Self::KEPT;
            self.by_id.retain(|_, seen| {
                let stays = seen.last >= oldest && room > 0;
                room -= usize::from(stays);
                stays
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_second(1_795_424_531 + hours * 3_600).unwrap()
    }

    #[test]
    fn use_is_remembered_and_never_before_the_first_sight() {
        let mut images = ImagesSeen::default();
        images.saw("a", false, hour(0));
        assert_eq!(images.get("a"), Some(ImageSeen { first: hour(0), used: None, last: hour(0) }));
        images.saw("a", true, hour(5));
        images.saw("a", false, hour(9));
        assert_eq!(images.get("a"), Some(ImageSeen { first: hour(0), used: Some(hour(5)), last: hour(5) }));
        images.saw("a", false, hour(40));
        assert_eq!(images.get("a"), Some(ImageSeen { first: hour(0), used: Some(hour(5)), last: hour(40) }));
    }

    #[test]
    fn what_says_nothing_new_need_not_be_written() {
        let mut images = ImagesSeen::default();
        images.saw("a", true, hour(0));
        let before = images.revision();
        images.saw("a", true, hour(0) + SignedDuration::from_mins(59));
        assert_eq!(images.revision(), before);
        images.saw("a", true, hour(1));
        assert_ne!(images.revision(), before);
        let before = images.revision();
        images.merge(&images.clone());
        assert_eq!(images.revision(), before);
    }

    #[test]
    fn two_memories_make_one() {
        let seen =
            |first, used: Option<i64>, last| ImageSeen { first: hour(first), used: used.map(hour), last: hour(last) };
        let mut images = ImagesSeen::new([("a".to_owned(), seen(3, None, 4)), ("b".to_owned(), seen(0, Some(9), 9))]);
        images.merge(&ImagesSeen::new([("a".to_owned(), seen(1, Some(2), 2)), ("c".to_owned(), seen(7, None, 7))]));
        assert_eq!(images.get("a"), Some(seen(1, Some(2), 4)));
        assert_eq!(images.get("b"), Some(seen(0, Some(9), 9)));
        assert_eq!(images.get("c"), Some(seen(7, None, 7)));
    }

    #[test]
    fn what_is_gone_for_too_long_is_forgotten_and_never_too_much_kept() {
        let mut images = ImagesSeen::default();
        images.saw("old", true, hour(0));
        images.saw("young", true, hour(24 * 399));
        images.forget(hour(24 * 400));
        assert_eq!(images.iter().map(|(id, _)| id).collect::<Vec<_>>(), ["young"]);
        for number in 0..ImagesSeen::KEPT.cast_signed() as i64 + 7 {
            images.saw(&format!("{number}"), false, hour(24 * 399 + number / 2));
        }
        images.forget(hour(24 * 400));
        assert_eq!(images.iter().count(), ImagesSeen::KEPT);
        assert_eq!(images.get("0"), None);
    }
}
