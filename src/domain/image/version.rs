//! Tags that are versions, and which of them follow which.
//!
//! Only tags of one scheme are compared: the same words before and behind the numbers, and as many numbers. So
//! `16.4-alpine` is followed by `16.6-alpine`, never by `17.0`, `16-alpine` or `16.6-bookworm`. Nobody who runs a release
//! is offered something before a release.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// The longest tag that is looked at as a version, bytes (the longest that there are).
const TAG_BYTES: usize = 128;
/// The most numbers of a version.
const PARTS: usize = 6;
/// The most digits of one number: a date with its time has fourteen.
const DIGITS: usize = 18;
/// First numbers from here on are years: `2024.11.1` and `20241101` do not follow `7`.
const YEARS: u64 = 1900;
/// A lone number from here on counts builds or days.
const BUILDS: u64 = 1000;

/// What is read as "before a release", the earliest first. Single letters count only right behind a number (`3.14.0b2`).
const BEFORE: &[(&str, u8)] = &[
    ("nightly", 0),
    ("snapshot", 0),
    ("canary", 0),
    ("unstable", 0),
    ("edge", 0),
    ("dev", 0),
    ("alpha", 1),
    ("beta", 2),
    ("milestone", 3),
    ("preview", 3),
    ("pre", 3),
    ("rc", 4),
    ("a", 1),
    ("b", 2),
    ("m", 3),
];

/// How far a step from one version to another goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum VersionStep {
    /// The last number that tells changed, or a build count.
    Patch,
    /// The second number changed.
    Minor,
    /// The first number changed.
    Major,
}

impl VersionStep {
    /// The word used on screen and in JSON.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A tag that is a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagVersion<'a> {
    /// What stands before the numbers, such as `v`; often nothing.
    prefix: &'a str,
    /// The numbers: 1 to 6.
    parts: Vec<u64>,
    /// How far before a release it is, and its count there; `None` for a release.
    before: Option<(u8, u64)>,
    /// What stands behind them, such as `-alpine`.
    suffix: &'a str,
}

impl<'a> TagVersion<'a> {
    /// Reads a tag; `None` where it is no version: `latest`, `bookworm`, a commit.
    pub fn parse(tag: &'a str) -> Option<Self> {
        if tag.len() > TAG_BYTES || !tag.is_ascii() || is_commit(tag) {
            return None;
        }
        let (prefix, rest) = tag.split_at(tag.find(|character: char| character.is_ascii_digit())?);
        if matches!(prefix, "sha" | "sha-" | "git-" | "commit-") {
            return None;
        }
        let (parts, rest) = numbers(rest)?;
        let (before, suffix) = before_release(rest);
        Some(Self { prefix, parts, before, suffix })
    }

    /// Its numbers.
    pub fn numbers(&self) -> &[u64] {
        &self.parts
    }

    /// Whether both follow one scheme, so that they can be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        let is_year = |version: &Self| version.parts.first().is_some_and(|first| *first >= YEARS);
        self.prefix == other.prefix
            && self.suffix == other.suffix
            && self.parts.len() == other.parts.len()
            && is_year(self) == is_year(other)
    }

    /// Whether it comes before a release.
    pub fn is_before_release(&self) -> bool {
        self.before.is_some()
    }

    /// How far it is from here to `newer`; `None` where that is not newer, of another scheme, or comes before a release
    /// and this one does not.
    pub fn step_to(&self, newer: &Self) -> Option<VersionStep> {
        let offered = self.is_like(newer) && (self.is_before_release() || !newer.is_before_release());
        if !offered || self.order(newer) != Ordering::Less {
            return None;
        }
        let changed = self.parts.iter().zip(&newer.parts).position(|(from, to)| from != to);
        Some(match (changed, &*newer.parts) {
            (Some(0), [lone]) if *lone >= BUILDS => VersionStep::Patch,
            (Some(0), _) => VersionStep::Major,
            (Some(1), [_, _, ..]) => VersionStep::Minor,
            _ => VersionStep::Patch,
        })
    }

    /// Which of two versions of one scheme comes first.
    pub fn order(&self, other: &Self) -> Ordering {
        // A release comes after everything before it.
        let rank = |version: &Self| version.before.unwrap_or((u8::MAX, 0));
        self.parts.cmp(&other.parts).then_with(|| rank(self).cmp(&rank(other)))
    }
}

/// The numbers at the start of `text`, and what follows them. They stand between dots; those of a date
/// (`2024-11-07T00-52-20Z`) between dashes.
fn numbers(text: &str) -> Option<(Vec<u64>, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest.get(..end).filter(|digits| !digits.is_empty() && digits.len() <= DIGITS)?;
        parts.push(digits.parse().ok()?);
        rest = &rest[end..];
        let is_date = parts.first().is_some_and(|first| (YEARS..BUILDS * 10).contains(first));
        let goes_on = rest.strip_prefix('.').or_else(|| {
            let separated = rest.strip_prefix('-').or_else(|| rest.strip_prefix('T').filter(|_| parts.len() == 3));
            separated.filter(|next| is_date && is_two_digits(next))
        });
        match goes_on {
            Some(next) if next.starts_with(|character: char| character.is_ascii_digit()) => rest = next,
            _ => break,
        }
    }
    (parts.len() <= PARTS).then_some((parts, rest))
}

/// Whether exactly two digits begin the text, as in a month or an hour.
fn is_two_digits(text: &str) -> bool {
    text.bytes().take_while(u8::is_ascii_digit).count() == 2
}

/// Takes off what says that it comes before a release: `-rc1`, `-beta.2`, `rc1`, `b2`.
fn before_release(text: &str) -> (Option<(u8, u64)>, &str) {
    let bare = text.strip_prefix(['-', '.', '_']).unwrap_or(text);
    let attached = bare.len() == text.len();
    for (word, rank) in BEFORE {
        let Some(rest) = strip_word(bare, word) else { continue };
        let numbered = rest.strip_prefix(['.', '-', '_']).filter(|next| begins_with_digit(next)).unwrap_or(rest);
        let end = numbered.find(|character: char| !character.is_ascii_digit()).unwrap_or(numbered.len());
        let (digits, suffix) = numbered.split_at(end);
        // `-m` and `-b…` are no more than letters; `1.0b2` is a beta.
        let is_word = word.len() > 1 || (attached && !digits.is_empty());
        let ends = !suffix.starts_with(|character: char| character.is_ascii_alphanumeric());
        if is_word && ends {
            return (Some((*rank, digits.parse().unwrap_or_default())), suffix);
        }
    }
    (None, text)
}

fn begins_with_digit(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte.is_ascii_digit())
}

/// `text` without this word at its start, whatever its capitals.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word))?;
    text.get(word.len()..)
}

/// Whether a part of the tag is a commit's name: seven hexadecimal digits or more, letters among and behind the figures.
fn is_commit(tag: &str) -> bool {
    tag.split(['-', '_', '.']).any(|part| {
        let hex = part.len() >= 7 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let figure = part.bytes().position(|byte| byte.is_ascii_digit());
        hex && figure.is_some_and(|at| part.bytes().skip(at).any(|byte| byte.is_ascii_alphabetic()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(from: &str, to: &str) -> Option<VersionStep> {
        TagVersion::parse(from)?.step_to(&TagVersion::parse(to)?)
    }

    #[test]
    fn steps_are_told_by_the_first_number_that_changes() {
        use VersionStep::{Major, Minor, Patch};
        for (from, to, expected) in [
            ("1.118.2", "1.119.0", Some(Minor)),
            ("1.118.2", "1.118.10", Some(Patch)),
            ("1.118.2", "2.0.0", Some(Major)),
            ("1.118.2", "1.118.2", None),
            ("1.118.2", "1.99.9", None),
            ("v0.33.0", "v0.33.1", Some(Patch)),
            ("v0.33.0", "0.33.1", None),
            ("16.4-alpine", "16.6-alpine", Some(Minor)),
            ("16.4-alpine", "17.0-alpine", Some(Major)),
            ("16.4-alpine", "16.6", None),
            ("16.4-alpine", "16.6-bookworm", None),
            ("16.4-alpine", "17-alpine", None),
            ("2.8", "2.9", Some(Minor)),
            ("15-alpine3.19", "16-alpine3.19", Some(Major)),
            ("15-alpine3.19", "15-alpine3.20", None),
            ("2024.11.1", "2024.12.0", Some(Minor)),
            ("24.04", "24.10", Some(Minor)),
            ("7", "20240101", None),
            ("20240101", "20241101", Some(Patch)),
            ("server-b10488", "server-b10600", Some(Patch)),
            ("16", "17", Some(Major)),
            ("1.2.3.4", "1.2.3.5", Some(Patch)),
            ("RELEASE.2024-11-07T00-52-20Z", "RELEASE.2024-12-01T09-00-00Z", Some(Minor)),
            ("2024-11-01", "2024-11-09", Some(Patch)),
        ] {
            assert_eq!(step(from, to), expected, "{from} to {to}");
        }
    }

    #[test]
    fn what_comes_before_a_release_is_offered_to_nobody_who_runs_one() {
        for before in ["1.3.0-rc1", "1.3.0-rc.1", "1.3.0rc1", "1.3.0-beta", "1.3.0b2", "1.3.0-alpha.2", "1.3.0-dev"] {
            assert_eq!(step("1.2.0", before), None, "{before}");
            assert_eq!(step(before, "1.3.0"), Some(VersionStep::Patch), "{before}");
            assert!(TagVersion::parse(before).unwrap().is_before_release(), "{before}");
        }
        assert_eq!(step("1.3.0-rc1", "1.3.0-rc2"), Some(VersionStep::Patch));
        assert_eq!(step("1.3.0-beta2", "1.3.0-rc1"), Some(VersionStep::Patch));
        assert_eq!(step("1.3.0-rc2", "1.3.0-rc1"), None);
        assert_eq!(step("3.13.0b1-slim", "3.13.0-slim"), Some(VersionStep::Patch));
        // Words of a distribution are none of these.
        for release in ["1.3.0-bookworm", "1.3.0-alpine", "1.3.0-m", "1.3.0-management", "1.3.0-prefork"] {
            assert!(!TagVersion::parse(release).unwrap().is_before_release(), "{release}");
        }
    }

    #[test]
    fn what_is_no_version_is_none() {
        for tag in [
            "latest",
            "stable",
            "bookworm",
            "sha-1234567",
            "sha256-1a2b3c4d5e",
            "main-9f8e7d6c",
            "1a2b3c4d",
            "1.2.3.4.5.6.7",
            "99999999999999999999",
            "é1",
        ] {
            assert_eq!(TagVersion::parse(tag), None, "{tag}");
        }
        assert!(TagVersion::parse("server-b1048812").is_some(), "a build is no commit");
    }

    proptest! {
        #[test]
        fn any_tag_is_borne(tag in ".{0,140}") {
            let _either = TagVersion::parse(&tag);
        }

        #[test]
        fn versions_of_one_scheme_are_in_one_order(
            a in prop::collection::vec(0_u64..300, 3),
            b in prop::collection::vec(0_u64..300, 3),
            frame in prop::sample::select(&[("", ""), ("v", "-alpine"), ("release-", "-amd64")]),
        ) {
            let tag = |parts: &[u64]| format!("{}{}.{}.{}{}", frame.0, parts[0], parts[1], parts[2], frame.1);
            let (first, second) = (tag(&a), tag(&b));
            let (Some(first), Some(second)) = (TagVersion::parse(&first), TagVersion::parse(&second)) else {
                return Err(TestCaseError::fail("both are versions"));
            };
            prop_assert!(first.is_like(&second));
            prop_assert_eq!(first.order(&second), a.cmp(&b));
            prop_assert_eq!(first.step_to(&second).is_some(), a < b);
            prop_assert!(first.step_to(&second).is_none() || second.step_to(&first).is_none());
        }
    }
}
