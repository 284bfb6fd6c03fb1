//! `hostler finding` and `hostler note`: what somebody says goes into the journal.

use super::args::{AcceptArgs, FindingCommand, SnoozeArgs, Which};
use super::{Exit, Stop, look, out};
use crate::checks::RULES;
use crate::domain::{JournalEntry, parse_until};
use crate::host::{Clock, time_zone};
use crate::report::{self, LastState};
use crate::runtime::Setup;

/// Accepts or snoozes a finding.
pub(super) fn silence(setup: &Setup, command: &FindingCommand) -> Result<Exit, Stop> {
    refuse_where_read_only(setup)?;
    let (which, why, accepted) = match command {
        FindingCommand::Accept(AcceptArgs { which, why }) => (which, why.trim(), true),
        FindingCommand::Snooze(SnoozeArgs { which, why }) => (which, why.trim(), false),
    };
    if accepted && why.is_empty() {
        return Err(Stop::new(Exit::Usage, "--why is empty; say why the finding may stay"));
    }
    if !RULES.iter().any(|rule| rule.id == which.id) {
        let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
        return Err(Stop::new(Exit::Usage, format!("there is no rule `{}`; there are {}", which.id, ids.join(", "))));
    }
    let now = Clock::start().now().wall;
    let until = parse_until(&which.until, now, &time_zone())
        .map_err(|error| Stop::new(Exit::Usage, format!("--until: {error}")))?;
    let (finding, subject, why) = (which.id.clone(), which.subject.clone(), why.to_owned());
    let entry = if accepted {
        JournalEntry::Accept { finding, subject, until, why }
    } else {
        JournalEntry::Snooze { finding, subject, until, why }
    };
    let word = if accepted { "accepted" } else { "snoozed" };
    let said = format!("{word}: {} {} until {}\n", which.id, which.subject, look(&setup.config).time(until));
    record(setup, entry, &said, which.json)?;
    warn_of_a_stranger(setup, which);
    Ok(Exit::Success)
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
