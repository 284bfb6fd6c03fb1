//! Maintenance windows: while one lasts nothing is told, and what is still open at its end is told then.

use jiff::Timestamp;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

/// A window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quiet(pub QuietTime);

/// When it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuietTime {
    /// On these days of the week, from one time to another; one that ends no later than it begins lasts into the next day.
    Weekly {
        /// The days on which it begins.
        days: Vec<Weekday>,
        /// Its beginning, in the zone of the box.
        from: Time,
        /// Its end, in the zone of the box.
        to: Time,
    },
    /// Once.
    Once {
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
}

impl Quiet {
    /// Whether `now` lies in it.
    pub fn holds(&self, now: Timestamp, zone: &TimeZone) -> bool {
        match &self.0 {
            QuietTime::Once { from, until } => *from <= now && now < *until,
            QuietTime::Weekly { days, from, to } => {
                // By the wall clock: on the day it changes the window is an hour longer or shorter, as people expect.
                let here = zone.to_datetime(now);
                let (time, today) = (here.time(), here.date().weekday());
                if from < to {
                    days.contains(&today) && *from <= time && time < *to
                } else {
                    (days.contains(&today) && *from <= time) || (days.contains(&today.previous()) && time < *to)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;

    fn weekly(days: &[Weekday], from: Time, to: Time) -> Quiet {
        Quiet(QuietTime::Weekly { days: days.to_vec(), from, to })
    }

    #[test]
    fn a_weekly_window_is_of_the_box_s_own_clock() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let holds = |quiet: &Quiet, at: &str| quiet.holds(at.parse().unwrap(), &zone);
        // 23 November 2026 is a Monday.
        let monday = weekly(&[Weekday::Monday], time(9, 0, 0, 0), time(10, 30, 0, 0));
        assert!(!holds(&monday, "2026-11-23T06:59:59Z") && holds(&monday, "2026-11-23T07:00:00Z"));
        assert!(holds(&monday, "2026-11-23T08:29:59Z") && !holds(&monday, "2026-11-23T08:30:00Z"));
        assert!(!holds(&monday, "2026-11-24T07:30:00Z"));

        let night = weekly(&[Weekday::Monday], time(22, 0, 0, 0), time(6, 0, 0, 0));
        assert!(holds(&night, "2026-11-23T20:00:00Z") && holds(&night, "2026-11-24T03:59:59Z"));
        assert!(!holds(&night, "2026-11-23T03:00:00Z") && !holds(&night, "2026-11-24T04:00:00Z"));
        assert!(!holds(&night, "2026-11-24T20:00:00Z"));

        let day = weekly(&[Weekday::Monday], Time::midnight(), Time::midnight());
        assert!(holds(&day, "2026-11-23T12:00:00Z") && !holds(&day, "2026-11-24T12:00:00Z"));
    }

    #[test]
    fn a_window_of_its_own_is_once() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let once = Quiet(QuietTime::Once { from: at("2026-11-23T09:00:00Z"), until: at("2026-11-23T10:00:00Z") });
        for (time, holds) in [("08:59:59", false), ("09:00:00", true), ("09:59:59", true), ("10:00:00", false)] {
            assert_eq!(once.holds(at(&format!("2026-11-23T{time}Z")), &TimeZone::UTC), holds, "{time}");
        }
    }
}
