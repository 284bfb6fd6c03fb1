//! `hostler actions`, `run`, `undo` and `journal`: the same actions as the keys, with the same plans and the same workers.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::Duration;

use serde::Serialize;

use super::args::RunArgs;
use super::{Exit, Stop, look, out};
use crate::actions::{self, Refusal, Wish};
use crate::domain::{ACTIONS, ActionSpec, JournalRecord, Outcome, Plan, Risk, Run};
use crate::history::RunReader;
use crate::report::plan::{self as report_plan, PlanReport};
use crate::report::{self, Look, run as report_run};
use crate::runtime::worker::{self, Order};
use crate::runtime::{Setup, blocking};

/// The time between two looks at a run's file.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Lists the actions.
pub(super) fn list(setup: &Setup, json: bool) -> Result<Exit, Stop> {
    let own = setup.config.actions.own.iter().map(|own| own.spec);
    let actions: Vec<&ActionSpec> = ACTIONS.iter().chain(own).collect();
    let text = if json {
        report::json(&actions, out::is_terminal()).map_err(Stop::failure)?
    } else {
        let look = look(&setup.config);
        let line = |spec: &ActionSpec| {
            let key = spec.key.map_or_else(String::new, |key| format!("  (key {key})"));
            let muted = look.tone(report::look::Tone::Muted, &format!("{}{key}", spec.risk.word()));
            format!("{:<20} {:<46} {muted}\n", spec.id, spec.about)
        };
        actions.into_iter().map(line).collect()
    };
    out::print(&text).map_err(Stop::failure)?;
    Ok(Exit::Success)
}

/// Plans an action, and carries it out once it is confirmed.
pub(super) fn run(setup: &Setup, args: &RunArgs) -> Result<Exit, Stop> {
    if setup.demo {
        return Err(Stop::new(Exit::Refused, "refused: a demo changes nothing"));
    }
    if !args.dry_run {
        super::finding::refuse_where_read_only(setup)?;
    }
    let wish = Wish {
        action: args.action.clone(),
        targets: args.targets.clone(),
        with: args.with.clone(),
        without: args.without.clone(),
        to: args.to.clone(),
    };
    let plan = blocking(async {
        let desk = setup.desk();
        actions::plan(&desk, &wish).await
    });
    let plan = plan.map_err(Stop::failure)?.map_err(|refusal| match refusal {
        Refusal::Refused(why) => Stop::new(Exit::Refused, format!("refused: {why}")),
        Refusal::Failed(failure) => Stop::failure(failure),
    })?;
    let hash = actions::hash(&plan);
    let look = look(&setup.config);
    if args.dry_run {
        let text = if args.json {
            report::json(&PlanReport::of(&plan, &hash), out::is_terminal()).map_err(Stop::failure)?
        } else {
            report_plan::text(&plan, &hash, &look)
        };
        out::print(&text).map_err(Stop::failure)?;
        return Ok(Exit::Success);
    }
    confirm(&plan, &hash, args, &look)?;
    carry_out(setup, Order::Plan(Box::new(plan)), args.json)
}

/// Takes back what a run did.
pub(super) fn undo(setup: &Setup, id: &str, json: bool) -> Result<Exit, Stop> {
    super::finding::refuse_where_read_only(setup)?;
    let run = known(setup, id)?;
    if !run.has_died() && !run.can_be_taken_back() {
        let why = format!("refused: {}: {}", run.plan.title, run.plan.undo);
        return Err(Stop::new(Exit::Refused, why));
    }
    carry_out(setup, Order::TakeBack(id.to_owned()), json)
}

/// Finishes what a worker that died left undone.
pub(super) fn finish(setup: &Setup, id: &str, json: bool) -> Result<Exit, Stop> {
    super::finding::refuse_where_read_only(setup)?;
    if !known(setup, id)?.has_died() {
        return Err(Stop::new(Exit::Refused, format!("refused: the worker of {id} has not died")));
    }
    carry_out(setup, Order::Finish(id.to_owned()), json)
}

fn known(setup: &Setup, id: &str) -> Result<Run, Stop> {
    let none = || Stop::new(Exit::Usage, format!("there is no run `{id}`; `hostler journal` lists them"));
    setup.state_dir.run(id).ok_or_else(none)
}

/// Whether the plan may run: what it risks decides what is asked for.
fn confirm(plan: &Plan, hash: &str, args: &RunArgs, look: &Look) -> Result<(), Stop> {
    let refused = |why: String| Stop::new(Exit::Refused, format!("refused: {why}"));
    if let Some(wanted) = &args.plan {
        return if wanted == hash {
            Ok(())
        } else {
            Err(refused(format!("this is plan {hash} now, not {wanted}: look at it again with --dry-run")))
        };
    }
    let missing: Vec<&str> =
        plan.to_be_typed().into_iter().filter(|name| !args.confirm.iter().any(|given| given == name)).collect();
    if !missing.is_empty() {
        let names = missing.iter().map(|name| format!("--confirm {name}")).collect::<Vec<_>>().join(" ");
        return Err(refused(format!("data goes, so name what goes: {names}, or give --plan {hash} of a dry run")));
    }
    if plan.risk() == Risk::Safe || args.yes || plan.is_empty() {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(refused("it asks before it does this: give --yes, or --plan of a dry run".to_owned()));
    }
    out::complain(&report_plan::text(plan, hash, look));
    out::complain("Do it? Type yes:");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(Stop::failure)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(refused("not confirmed".to_owned())) }
}

/// Starts a worker and waits for it. One that dies is told; where its plan takes back what it did, another one does so.
fn carry_out(setup: &Setup, order: Order, json: bool) -> Result<Exit, Stop> {
    let wanted_back = matches!(order, Order::TakeBack(_));
    let look = look(&setup.config);
    let ended = blocking(async {
        let id = worker::start(setup, order).await.map_err(Stop::failure)?;
        let run = watch(setup, &id, json, &look).await?;
        if !run.has_died() || !run.plan.rolls_back {
            return Ok(run);
        }
        out::complain(&format!("hostler: the worker of {id} died; what it did is taken back"));
        worker::start(setup, Order::TakeBack(id.clone())).await.map_err(Stop::failure)?;
        watch(setup, &id, json, &look).await
    });
    let run = ended.map_err(Stop::failure)??;
    let text = if json {
        report::json(&report_run::RunReport::of(&run), out::is_terminal()).map_err(Stop::failure)?
    } else {
        report_run::line(&run, &look)
    };
    out::print(&text).map_err(Stop::failure)?;
    match &run.ended {
        Some((outcome, ..)) if outcome.is_good() => Ok(Exit::Success),
        Some((Outcome::RolledBack, ..)) if wanted_back => Ok(Exit::Success),
        Some(_) => Ok(Exit::Failure),
        None => Err(Stop::failure(format!(
            "the worker of {0} died; `hostler run --finish {0}` goes on, `hostler undo {0}` takes it back",
            run.id
        ))),
    }
}

/// Follows a run to its end, or to that of its worker.
async fn watch(setup: &Setup, id: &str, quiet: bool, look: &Look) -> Result<Run, Stop> {
    let mut reader = RunReader::new(&setup.state_dir, id).map_err(Stop::failure)?;
    loop {
        let news = reader.read().map_err(Stop::failure)?;
        if let Some(run) = reader.run() {
            let lines: String = news.iter().filter_map(|record| report_run::event(run, record, look)).collect();
            if !quiet && !lines.is_empty() {
                out::print(&lines).map_err(Stop::failure)?;
            }
            if !run.alive {
                return Ok(run.clone());
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Runs and what was said, oldest first.
pub(super) fn journal(setup: &Setup, json: bool) -> Result<Exit, Stop> {
    let (runs, records) = (setup.state_dir.runs(), setup.state_dir.journal());
    let look = look(&setup.config);
    let mut lines = Vec::new();
    for run in &runs {
        let text = if json { line(&report_run::RunReport::of(run))? } else { report_run::line(run, &look) };
        lines.push((run.began, text));
    }
    for record in &records {
        let text = if json { Some(line::<JournalRecord>(record)?) } else { report_run::said(record, &look) };
        lines.extend(text.map(|text| (record.at, text)));
    }
    lines.sort_by_key(|(at, _)| *at);
    let text: String = lines.into_iter().map(|(_, text)| text).collect();
    out::print(&text).map_err(Stop::failure)?;
    Ok(Exit::Success)
}

fn line<T: Serialize>(value: &T) -> Result<String, Stop> {
    report::json(value, false).map_err(Stop::failure)
}
