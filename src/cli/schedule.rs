//! `hostler schedule`: what is done at set times, and who signed it.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::args::ScheduleCommand;
use super::{Exit, Stop, look, out};
use crate::actions;
use crate::domain::{JournalEntry, Scheduled};
use crate::host::Clock;
use crate::report::{self, plan as report_plan};
use crate::runtime::{self, Setup};

pub(super) fn run(setup: &Setup, command: ScheduleCommand) -> Result<Exit, Stop> {
    match command {
        ScheduleCommand::List { json } => list(setup, json),
        ScheduleCommand::Sign { name, json } => sign(setup, &name, json),
    }
}

fn list(setup: &Setup, json: bool) -> Result<Exit, Stop> {
    let standings = runtime::schedule(setup, Clock::start().now().wall);
    let text = if json {
        report::json(&standings, out::is_terminal()).map_err(Stop::failure)?
    } else {
        let (mut text, look) = (String::new(), look(&setup.config));
        for line in &standings {
            let time = |at: &Timestamp| look.time(*at);
            let next = line.next.as_ref().map_or_else(|| "never".to_owned(), time);
            let signed = match &line.signed {
                Some((by, at)) => format!("signed by {by} on {}", time(at)),
                None => format!("not signed: `hostler schedule sign {}`", line.scheduled.name),
            };
            let words = [std::slice::from_ref(&line.scheduled.action), &line.scheduled.targets[..]].concat().join(" ");
            // Writing to a string cannot fail.
            let _written =
                writeln!(text, "{}  {words}, {}, next {next}; {signed}", line.scheduled.name, line.scheduled.when());
            if let Some(at) = &line.missed {
                let _written = writeln!(text, "    missed {}", time(at));
            }
            if let Some((at, why)) = &line.refused {
                let _written = writeln!(text, "    not begun {}: {why}", time(at));
            }
        }
        if standings.is_empty() {
            text.push_str("nothing is scheduled; `[[schedule]]` in the config names what, and when\n");
        }
        text
    };
    out::print(&text).map(|()| Exit::Success).map_err(Stop::failure)
}

/// Shows what a line would do now, and signs it as it stands in the config.
fn sign(setup: &Setup, name: &str, json: bool) -> Result<Exit, Stop> {
    if setup.read_only {
        return Err(Stop::new(Exit::Refused, "refused: read-only"));
    }
    let Some(line) = setup.config.schedule.iter().find(|line| line.name == name) else {
        let names: Vec<&str> = setup.config.schedule.iter().map(|line| line.name.as_str()).collect();
        return Err(Stop::failure(format!("`{name}` is not scheduled; the config has: {}", names.join(", "))));
    };
    let planned = runtime::blocking(runtime::plan_scheduled(setup, line)).map_err(Stop::failure)?;
    let plan = planned.map_err(|why| Stop::failure(format!("{}: {why}", line.action)))?;
    if !json {
        out::print(&report_plan::text(&plan, &actions::hash(&plan), &look(&setup.config))).map_err(Stop::failure)?;
    }
    let Scheduled { name, .. } = line;
    let entry = JournalEntry::ScheduleSigned { name: name.clone(), essence: line.essence() };
    let record = setup.state_dir.record(entry, Clock::start().now().wall).map_err(Stop::failure)?;
    let text = if json {
        report::json(&record, out::is_terminal()).map_err(Stop::failure)?
    } else {
        format!("signed: {name} is done {}, with what its plan says then\n", line.when())
    };
    out::print(&text).map(|()| Exit::Success).map_err(Stop::failure)
}
