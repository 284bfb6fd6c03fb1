//! What is done at a set time: which action, when, and who signed it in advance.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::{JournalEntry, JournalRecord};

/// One line of the schedule, as the config says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// What it is called.
    pub name: String,
    /// The action's id.
    pub action: String,
    /// What it works on, as on the command line.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Optional steps that are added.
    #[serde(default)]
    pub with: Vec<String>,
    /// Optional steps that are left out.
    #[serde(default)]
    pub without: Vec<String>,
    /// The days of the week; all where it is empty.
    #[serde(default)]
    pub days: Vec<u8>,
    /// The day of the month, 1 to 28; every one where it is null.
    #[serde(default)]
    pub day: Option<i8>,
    /// The time of the day; null for the hour in which the box is used least.
    pub at: Option<Time>,
}

/// A time is kept if the recorder runs within so long after it.
const LATE: SignedDuration = SignedDuration::from_mins(30);
/// The time of a day whose quietest hour is not known yet.
const USUAL: Time = Time::constant(4, 0, 0, 0);
/// Days that are looked back for a time that was missed.
const BACK: i8 = 32;

/// What a look at the clock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing is due.
    No,
    /// It is to be done now; the time that it was set to.
    Now(Timestamp),
    /// It was to be done at this time, and nobody was there.
    Missed(Timestamp),
}

impl Scheduled {
    /// Whether it is due at `now`, after the time `handled` was dealt with; `quietest` is the hour in which the box is used
    /// least.
    pub fn due(&self, handled: Timestamp, now: Timestamp, zone: &TimeZone, quietest: Option<i8>) -> Due {
        match self.latest(now, zone, quietest) {
            Some(at) if at <= handled => Due::No,
            Some(at) if now.duration_since(at) <= LATE => Due::Now(at),
            Some(at) => Due::Missed(at),
            None => Due::No,
        }
    }

    /// The next time after `now`; `None` where there is none within a month.
    pub fn next(&self, now: Timestamp, zone: &TimeZone, quietest: Option<i8>) -> Option<Timestamp> {
        let today = now.to_zoned_datetime(zone.clone()).date();
        (0..=BACK).filter_map(|days| self.on(today.checked_add(days.days()).ok()?, zone, quietest)).find(|at| *at > now)
    }

    /// The latest time that is not after `now`.
    fn latest(&self, now: Timestamp, zone: &TimeZone, quietest: Option<i8>) -> Option<Timestamp> {
        let today = now.to_zoned_datetime(zone.clone()).date();
        (0..=BACK)
            .filter_map(|days| self.on(today.checked_sub(days.days()).ok()?, zone, quietest))
            .find(|at| *at <= now)
    }

    /// Its time on this day, if it has one.
    fn on(&self, day: Date, zone: &TimeZone, quietest: Option<i8>) -> Option<Timestamp> {
        let weekday = day.weekday().to_monday_zero_offset();
        let is_its = (self.days.is_empty() || self.days.contains(&weekday.cast_unsigned()))
            && self.day.is_none_or(|wanted| wanted == day.day());
        let quiet = || quietest.and_then(|hour| Time::new(hour, 0, 0, 0).ok()).unwrap_or(USUAL);
        let at = day.to_datetime(self.at.unwrap_or_else(quiet));
        is_its.then(|| zone.to_timestamp(at).ok()).flatten()
    }

    /// When, in words: `mon, thu at 04:00`.
    pub fn when(&self) -> String {
        let name = |day: &u8| {
            let day = Weekday::from_monday_zero_offset(day.cast_signed()).ok()?;
            Some(format!("{day:?}").get(..3)?.to_lowercase())
        };
        let days: Vec<String> = self.days.iter().filter_map(name).collect();
        let days = match (self.day, days.is_empty()) {
            (Some(day), true) => format!("day {day} of the month"),
            (Some(day), false) => format!("day {day} of the month if it is {}", days.join(", ")),
            (None, true) => "every day".to_owned(),
            (None, false) => days.join(", "),
        };
        match self.at {
            Some(at) => format!("{days} at {}", at.strftime("%H:%M")),
            None => format!("{days} in the quietest hour"),
        }
    }

    /// Everything that a signature stands for, as one text: what changes it makes another line of it.
    pub fn essence(&self) -> String {
        let Self { action, targets, with, without, .. } = self;
        format!("{action} {targets:?} with {with:?} without {without:?}, {}", self.when())
    }
}

/// How one line of the schedule stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScheduleStanding {
    /// What it says.
    #[serde(flatten)]
    pub scheduled: Scheduled,
    /// Its next time.
    pub next: Option<Timestamp>,
    /// Who signed it, as it is now, and when; null where nobody did: then it is not done.
    pub signed: Option<(String, Timestamp)>,
    /// The last time that passed without anybody there to do it, within a month.
    pub missed: Option<Timestamp>,
    /// What came of it last, where it was not even begun: when, and why.
    pub refused: Option<(Timestamp, String)>,
}

/// Which lines were signed, as they were then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signatures(BTreeMap<(String, String), (String, Timestamp)>);

impl Signatures {
    /// Takes a record of the journal in; one of something else changes nothing.
    pub fn take(&mut self, record: &JournalRecord) {
        if let JournalEntry::ScheduleSigned { name, essence } = &record.entry {
            self.0.insert((name.clone(), essence.clone()), (record.by.clone(), record.at));
        }
    }

    /// Who signed this line as it is now, and when; the latest of them.
    pub fn of(&self, line: &Scheduled) -> Option<&(String, Timestamp)> {
        self.0.get(&(line.name.clone(), line.essence()))
    }
}

impl<'a> FromIterator<&'a JournalRecord> for Signatures {
    fn from_iter<I: IntoIterator<Item = &'a JournalRecord>>(records: I) -> Self {
        let mut signatures = Self::default();
        records.into_iter().for_each(|record| signatures.take(record));
        signatures
    }
}

/// What is remembered of the schedule: by name, what was dealt with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleMemory {
    /// By the line's name.
    pub lines: BTreeMap<String, LineMemory>,
}

/// What is remembered of one line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineMemory {
    /// The latest of its times that was dealt with.
    pub handled: Option<Timestamp>,
    /// The last of its times that was missed.
    pub missed: Option<Timestamp>,
    /// When it could not be begun last, and why.
    pub refused: Option<(Timestamp, String)>,
}

/// The hour of the day in which the box is used least, by hourly values of several series over at least three days: the mean
/// of each hour, each series by its own greatest. `None` of too little.
pub fn quietest_hour(series: &[Vec<(Timestamp, f64)>], zone: &TimeZone) -> Option<i8> {
    let mut sums = [(0.0, 0_u32); 24];
    for values in series {
        let most = values.iter().fold(0.0_f64, |most, (_, value)| most.max(*value));
        for (at, value) in values.iter().filter(|_| most > 0.0) {
            let hour = at.to_zoned_datetime(zone.clone()).hour();
            let sum = &mut sums[usize::try_from(hour).ok()?.min(23)];
            *sum = (sum.0 + value / most, sum.1 + 1);
        }
    }
    let is_enough = sums.iter().all(|(_, count)| *count >= 3);
    let mean = |(sum, count): &(f64, u32)| sum / f64::from((*count).max(1));
    let least = (0..).zip(&sums).min_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)));
    least.filter(|_| is_enough).map(|(hour, _)| hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(days: &[u8], day: Option<i8>, at: Option<&str>) -> Scheduled {
        Scheduled {
            name: "tidy".to_owned(),
            action: "docker.prune".to_owned(),
            targets: Vec::new(),
            with: Vec::new(),
            without: Vec::new(),
            days: days.to_vec(),
            day,
            at: at.map(|at| at.parse().unwrap()),
        }
    }

    fn at(text: &str) -> Timestamp {
        format!("{text}Z").parse().unwrap()
    }

    #[test]
    fn a_time_is_due_once_and_missed_when_nobody_was_there() {
        let daily = line(&[], None, Some("04:00"));
        let due = |handled: &str, now: &str| daily.due(at(handled), at(now), &TimeZone::UTC, None);
        let four = at("2026-12-01T04:00:00");
        assert_eq!(due("2026-11-30T04:00:00", "2026-12-01T03:59:59"), Due::No);
        assert_eq!(due("2026-11-30T04:00:00", "2026-12-01T04:00:00"), Due::Now(four));
        assert_eq!(due("2026-11-30T04:00:00", "2026-12-01T04:29:00"), Due::Now(four));
        assert_eq!(due("2026-12-01T04:00:00", "2026-12-01T04:29:00"), Due::No);
        assert_eq!(due("2026-11-30T04:00:00", "2026-12-01T09:00:00"), Due::Missed(four));
        assert_eq!(daily.next(at("2026-12-01T04:00:00"), &TimeZone::UTC, None), Some(at("2026-12-02T04:00:00")));
    }

    #[test]
    fn days_are_kept_and_said() {
        // 2026-12-01 is a Tuesday.
        let weekly = line(&[0, 3], None, Some("23:30"));
        assert_eq!(weekly.next(at("2026-12-01T00:00:00"), &TimeZone::UTC, None), Some(at("2026-12-03T23:30:00")));
        assert_eq!(weekly.when(), "mon, thu at 23:30");
        let monthly = line(&[], Some(1), None);
        assert_eq!(monthly.next(at("2026-12-01T05:00:00"), &TimeZone::UTC, Some(2)), Some(at("2027-01-01T02:00:00")));
        assert_eq!(monthly.next(at("2026-12-01T03:00:00"), &TimeZone::UTC, None), Some(at("2026-12-01T04:00:00")));
        assert_eq!(monthly.when(), "day 1 of the month in the quietest hour");
    }

    #[test]
    fn an_hour_that_a_change_of_the_clock_skips_or_doubles_comes_once() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let daily = line(&[], None, Some("02:30"));
        let mut now = at("2026-03-28T00:00:00");
        let mut days = Vec::new();
        for _ in 0..3 {
            now = daily.next(now, &berlin, None).unwrap();
            days.push(now.to_zoned_datetime(berlin.clone()).date().day());
        }
        assert_eq!(days, [28, 29, 30]);
    }

    #[test]
    fn what_changes_a_line_changes_what_a_signature_stands_for() {
        let before = line(&[], None, Some("04:00"));
        assert_ne!(before.essence(), line(&[], None, Some("04:01")).essence());
        assert_ne!(before.essence(), Scheduled { without: vec!["images".to_owned()], ..before.clone() }.essence());
    }

    #[test]
    fn the_quietest_hour_is_that_of_all_series_together() {
        let series = |busy: std::ops::Range<i64>, days: i64| -> Vec<(Timestamp, f64)> {
            let value = |hour: i64| if busy.contains(&(hour % 24)) { 9.0 } else { 0.5 };
            (0..days * 24).map(|hour| (Timestamp::from_second(hour * 3_600).unwrap(), value(hour))).collect()
        };
        let both = [series(0..12, 4), series(13..24, 4)];
        assert_eq!(quietest_hour(&both, &TimeZone::UTC), Some(12));
        assert_eq!(quietest_hour(&[series(0..12, 2)], &TimeZone::UTC), None);
        assert_eq!(quietest_hour(&[], &TimeZone::UTC), None);
    }
}
