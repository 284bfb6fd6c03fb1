//! `hostler alert`: whether receivers are reached, and what they know.

use serde::Serialize;

use super::args::AlertCommand;
use super::{Exit, Stop, look, out};
use crate::alerts::{Message, Receiver, Sender};
use crate::host::{Clock, Lane, host_name};
use crate::report;
use crate::report::alerts::{AlertList, ReceiverName};
use crate::report::look::Tone;
use crate::runtime::{self, Setup};

pub(super) fn run(setup: &Setup, command: &AlertCommand) -> Result<Exit, Stop> {
    match command {
        AlertCommand::Test { receiver, json } => test(setup, receiver.as_deref(), *json),
        AlertCommand::List { json } => list(setup, *json),
    }
}

/// The receivers as they are reported.
pub(super) fn names(setup: &Setup) -> Vec<ReceiverName> {
    let name = |receiver: &Receiver| ReceiverName {
        name: receiver.name.clone(),
        kind: receiver.kind.word(),
        place: receiver.kind.place(),
        severity: receiver.severity,
        send_resolved: receiver.send_resolved,
    };
    setup.config.alerts.to.iter().map(name).collect()
}

/// Prints what is told and what is still to be told, as the recorder left it.
fn list(setup: &Setup, json: bool) -> Result<Exit, Stop> {
    let outbox = setup.state_dir.outbox().map_err(Stop::failure)?;
    let list = AlertList::of(&outbox, &names(setup));
    let text = if json {
        report::json(&list, out::is_terminal()).map_err(Stop::failure)?
    } else {
        list.text(&look(&setup.config), Clock::start().now().wall)
    };
    out::print(&text).map_err(Stop::failure)?;
    Ok(Exit::Success)
}

/// What came of a test.
#[derive(Serialize)]
struct Tested<'a> {
    receiver: &'a str,
    kind: &'static str,
    place: String,
    seconds: f64,
    /// Why it did not arrive.
    error: Option<String>,
}

/// Sends a test message to each receiver, or to the named one.
fn test(setup: &Setup, named: Option<&str>, json: bool) -> Result<Exit, Stop> {
    super::finding::refuse_where_read_only(setup)?;
    let all = &setup.config.alerts.to;
    let chosen: Vec<&Receiver> = all.iter().filter(|receiver| named.is_none_or(|name| receiver.name == name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|receiver| receiver.name.as_str()).collect();
        return Err(match named {
            Some(name) if !names.is_empty() => {
                Stop::new(Exit::Usage, format!("there is no receiver `{name}`; there are {}", names.join(", ")))
            }
            _ => Stop::failure("nobody is told: `[[alerts.to]]` in the config names receivers"),
        });
    }
    let message = Message::test(&host_name(), Clock::start().now().wall);
    let tested = runtime::blocking(async {
        let mut tested = Vec::new();
        let lane = Lane::new("alerts");
        for receiver in chosen {
            let began = Clock::start();
            let went = Sender::new(&lane).send(receiver, &message).await;
            tested.push(Tested {
                receiver: &receiver.name,
                kind: receiver.kind.word(),
                place: receiver.kind.place(),
                seconds: began.now().mono.as_secs_f64(),
                error: went.err().map(|error| error.to_string()),
            });
        }
        tested
    });
    let tested = tested.map_err(Stop::failure)?;
    let text = if json {
        report::json(&tested, out::is_terminal()).map_err(Stop::failure)?
    } else {
        tested.iter().map(|tested| line(setup, tested)).collect()
    };
    out::print(&text).map_err(Stop::failure)?;
    Ok(if tested.iter().all(|tested| tested.error.is_none()) { Exit::Success } else { Exit::Failure })
}

fn line(setup: &Setup, tested: &Tested<'_>) -> String {
    let look = look(&setup.config);
    let (sign, tone, came) = match &tested.error {
        None => (look.signs.well, Tone::Well, format!("arrived within {} ms", (tested.seconds * 1e3).ceil())),
        Some(error) => (look.signs.critical, Tone::Critical, error.clone()),
    };
    let who = format!("{} ({}, {})", tested.receiver, tested.kind, tested.place);
    format!("{} {who}: {came}\n", look.tone(tone, sign))
}
