//! `[[schedule]]`: what is done at set times.

use jiff::civil::{Time, Weekday};
use toml::Spanned;

use super::alerts::{clock, day, weekday};
use super::check::Checker;
use super::print::anywhere;
use super::raw::{Count, RawAction, RawScheduled};
use crate::domain::{ACTIONS, Scheduled};

/// The word for the hour in which the box is used least.
const QUIET: &str = "quiet";

impl Checker<'_> {
    /// The lines, without those at fault.
    pub(super) fn schedule(&mut self, raw: &[RawScheduled], own: &[RawAction]) -> Vec<Scheduled> {
        let mut lines: Vec<Scheduled> = Vec::new();
        for written in raw {
            let before = self.faults();
            let name = self.filled(&written.name);
            if lines.iter().any(|line| Some(&line.name) == name.as_ref()) {
                let what = format!("there are two lines `{}`; give each a name of its own", written.name.get_ref());
                self.fault(&written.name, what);
            }
            let action = self.scheduled_action(&written.action, own);
            let at = self.scheduled_time(&written.at);
            let day = self.within(written.day.as_ref(), |Count(day)| day, 1..=28, (0, |day| format!("day {day}")));
            if self.faults() > before {
                continue;
            }
            let days = written.days.iter().flatten().map(|day| weekday(*day).to_monday_zero_offset().cast_unsigned());
            let list = |texts: &Option<Vec<String>>| texts.clone().unwrap_or_default();
            lines.push(Scheduled {
                name: name.unwrap_or_default(),
                action,
                targets: list(&written.targets),
                with: list(&written.with),
                without: list(&written.without),
                days: days.collect(),
                day: i8::try_from(day).ok().filter(|day| *day > 0),
                at,
            });
        }
        lines
    }

    fn scheduled_action(&mut self, written: &Spanned<String>, own: &[RawAction]) -> String {
        let id = written.get_ref();
        let known = ACTIONS.iter().map(|spec| spec.id).chain(own.iter().map(|action| action.id.get_ref().as_str()));
        if !known.clone().any(|known| known == id) {
            let what = super::raw::unknown("action", id, known);
            self.fault(written, what);
        }
        id.clone()
    }

    fn scheduled_time(&mut self, written: &Spanned<String>) -> Option<Time> {
        if written.get_ref() == QUIET { None } else { self.time(written) }
    }
}

/// A line, as a file would say it.
pub(super) fn raw(line: &Scheduled) -> RawScheduled {
    let list = |texts: &[String]| (!texts.is_empty()).then(|| texts.to_vec());
    let of = |of: &u8| Weekday::from_monday_zero_offset(of.cast_signed()).ok().map(day);
    RawScheduled {
        name: anywhere(line.name.clone()),
        action: anywhere(line.action.clone()),
        targets: list(&line.targets),
        with: list(&line.with),
        without: list(&line.without),
        days: (!line.days.is_empty()).then(|| line.days.iter().filter_map(of).collect()),
        day: line.day.map(|day| anywhere(Count(day.unsigned_abs().into()))),
        at: anywhere(line.at.map_or_else(|| QUIET.to_owned(), clock)),
    }
}

/// A line with a value for every key.
pub(super) fn complete(raw: &mut Vec<RawScheduled>) {
    let list = || Some(Vec::new());
    *raw = vec![RawScheduled {
        name: anywhere(String::new()),
        action: anywhere(String::new()),
        targets: list(),
        with: list(),
        without: list(),
        days: Some(Vec::new()),
        day: Some(anywhere(Count(1))),
        at: anywhere(String::new()),
    }];
}
