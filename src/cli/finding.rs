//! `hostler finding` and `hostler note`: what somebody says goes into the journal.

use jiff::Timestamp;

use super::args::{AcceptArgs, AckArgs, FindingCommand, SnoozeArgs, Which};
use super::{Exit, Stop, look, out};
use crate::checks::RULES;
use crate::domain::{JournalEntry, parse_until};
use crate::host::{Clock, time_zone};
use crate::report::{self, LastState};
use crate::runtime::Setup;

/// Accepts, snoozes or acknowledges a finding.
pub(super) fn silence(setup: &Setup, command: &FindingCommand) -> Result<Exit, Stop> {
    refuse_where_read_only(setup)?;
    let (FindingCommand::Accept(AcceptArgs { which, .. })
    | FindingCommand::Snooze(SnoozeArgs { which, .. })
    | FindingCommand::Ack(AckArgs { which, .. })) = command;
    refuse_unknown(setup, &which.id)?;
    let (finding, subject) = (which.id.clone(), which.subject.clone());
    let (word, end, entry) = match command {
        FindingCommand::Accept(args) => {
            let (until, why) = (end(&args.end.until)?, args.why.trim().to_owned());
            if why.is_empty() {
                return Err(Stop::new(Exit::Usage, "--why is empty; say why the finding may stay"));
            }
            ("accepted", Some(until), JournalEntry::Accept { finding, subject, until, why })
        }
        FindingCommand::Snooze(args) => {
            let (until, why) = (end(&args.end.until)?, args.why.trim().to_owned());
            ("snoozed", Some(until), JournalEntry::Snooze { finding, subject, until, why })
        }
        FindingCommand::Ack(args) => {
            let why = args.why.trim().to_owned();
            ("acknowledged", None, JournalEntry::Acknowledge { finding, subject, why })
        }
    };
    let until = end.map_or_else(|| "it clears".to_owned(), |until| look(&setup.config).time(until));
    record(setup, entry, &format!("{word}: {} {} until {until}\n", which.id, which.subject), which.json)?;
    warn_of_a_stranger(setup, which);
    Ok(Exit::Success)
}

/// Refuses what is no rule's id: it would silence nothing.
fn refuse_unknown(setup: &Setup, id: &str) -> Result<(), Stop> {
    let own = setup.config.thresholds.own.iter().map(|rule| rule.id);
    let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).chain(own).collect();
    if ids.contains(&id) {
        return Ok(());
    }
    Err(Stop::new(Exit::Usage, format!("there is no rule `{id}`; there are {}", ids.join(", "))))
}

/// An end as it is written on the command line.
fn end(text: &str) -> Result<Timestamp, Stop> {
    let now = Clock::start().now().wall;
    parse_until(text, now, &time_zone()).map_err(|error| Stop::new(Exit::Usage, format!("--until: {error}")))
}

/// Writes a note.
pub(super) fn note(setup: &Setup, text: &str, json: bool) -> Result<Exit, Stop> {
    refuse_where_read_only(setup)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Stop::new(Exit::Usage, "the note is empty"));
    }
    record(setup, JournalEntry::Note { text: text.to_owned() }, &format!("noted: {text}\n"), json)?;
    Ok(Exit::Success)
}

pub(super) fn refuse_where_read_only(setup: &Setup) -> Result<(), Stop> {
    if setup.read_only {
        let why = "refused: nothing may be changed (--read-only, HOSTLER_READ_ONLY or `read_only` in the config)";
        return Err(Stop::new(Exit::Refused, why));
    }
    if setup.demo {
        return Err(Stop::new(Exit::Refused, "refused: a demo keeps nothing"));
    }
    Ok(())
}

fn record(setup: &Setup, entry: JournalEntry, said: &str, json: bool) -> Result<(), Stop> {
    let now = Clock::start().now().wall;
    let record = setup.state_dir.record(entry, now).map_err(|error| Stop::failure(format!("not recorded: {error}")))?;
    let text = if json { report::json(&record, out::is_terminal()).map_err(Stop::failure)? } else { said.to_owned() };
    out::print(&text).map_err(Stop::failure)
}

/// Says that no such finding was open at the last look: a subject that is spelt wrong would silence nothing.
fn warn_of_a_stranger(setup: &Setup, which: &Which) {
    let Some(last) = setup.state_dir.last::<LastState>() else { return };
    if last.has(&which.id, &which.subject) == Some(false) {
        let ago = look(&setup.config).ago(last.at, Clock::start().now().wall);
        out::complain(&format!(
            "hostler: no such finding was open at the last look, {ago}; should it open, it is silent (`hostler check` names subjects)"
        ));
    }
}
