//! The command line: a stable contract of commands, options and exit codes.
//!
//! [`main`] reads the arguments, puts them over the config and calls what was asked for. What is printed is made by
//! `report`; nothing is worked out here. Standard output carries the answer alone; warnings and errors go to standard
//! error.

mod alert;
mod args;
mod doctor;
mod exit;
mod finding;
mod history;
mod out;
mod run;
mod schedule;
mod settings;

pub use exit::Exit;

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use clap::Parser;

use crate::config::{Config, ConfigError};
use crate::history::StateDir;
use crate::host::{Clock, RootedFs, time_zone};
use crate::report::check::CheckReport;
use crate::report::snapshot::Snapshot;
use crate::report::{self, LastState, Look, Signs};
use crate::runtime::{self, Scope, Setup};
use crate::terminal;
use crate::ui::tabs::TabId;
use crate::ui::theme::Depth;
use args::{Args, CheckArgs, Command, Global, WorkArgs};

/// Why a command ended without doing what it was asked for.
struct Stop {
    exit: Exit,
    why: String,
}

impl Stop {
    fn new(exit: Exit, why: impl fmt::Display) -> Self {
        Self { exit, why: why.to_string() }
    }

    /// Something went wrong that nobody can be blamed for.
    fn failure(why: impl fmt::Display) -> Self {
        Self::new(Exit::Failure, why)
    }
}

/// Does what the command line asks for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help that nobody reads any more is no failure.
            drop(error.print());
            return if error.use_stderr() { Exit::Usage } else { Exit::Success };
        }
    };
    match run(args) {
        Ok(exit) => exit,
        Err(stop) => {
            out::complain(&format!("hostler: {}", stop.why));
            stop.exit
        }
    }
}

fn run(Args { global, command }: Args) -> Result<Exit, Stop> {
    if let Some(Command::Config(command)) = command {
        return settings::run(&global, command);
    }
    if command.is_none() && !terminal::is_terminal() {
        let why =
            "there is no terminal here; `hostler check` prints how the box stands, `hostler check --json` for scripts";
        return Err(Stop::new(Exit::Usage, why));
    }
    let setup = setup(&global)?;
    match command {
        None => runtime::tui(&setup).map(|()| Exit::Success).map_err(|error| Stop::failure(format!("{error:#}"))),
        Some(Command::Check(args)) if args.brief => brief(&setup, &args),
        Some(Command::Check(args)) => check(&setup, &args),
        Some(Command::Snapshot { json }) => snapshot(&setup, json),
        Some(Command::Doctor(args)) => doctor::run(&setup, &args),
        Some(Command::Finding(command)) => finding::silence(&setup, &command),
        Some(Command::Alert(command)) => alert::run(&setup, &command),
        Some(Command::Actions { json }) => run::list(&setup, json),
        Some(Command::Run(args)) => match &args.finish {
            Some(id) => run::finish(&setup, id, args.json),
            None => run::run(&setup, &args),
        },
        Some(Command::Undo { run, json }) => run::undo(&setup, &run, json),
        Some(Command::Journal { json }) => run::journal(&setup, json),
        Some(Command::Work(args)) => work(&setup, args),
        Some(Command::Record(args)) => history::record(&setup, &args),
        Some(Command::Schedule(command)) => schedule::run(&setup, command),
        Some(Command::History(args)) => history::print(&setup, &args),
        Some(Command::Note { text, json }) => finding::note(&setup, &text.join(" "), json),
        // Answered above: it must not fail for what it is asked about.
        Some(Command::Config(_)) => Ok(Exit::Success),
    }
}

/// The config with what the command line puts over it.
fn config(global: &Global) -> Result<Config, ConfigError> {
    let mut config = Config::load(global.config.as_deref())?;
    if let Some(theme) = &global.theme {
        config.set_theme(theme.clone());
    }
    config.read_only |= global.read_only;
    Ok(config)
}

fn setup(global: &Global) -> Result<Setup, Stop> {
    let config = config(global).map_err(|error| Stop::new(Exit::Config, error))?;
    if global.theme.is_some() {
        config.theme(Depth::None).map_err(|error| Stop::new(Exit::Usage, error))?;
    }
    if !RootedFs::new(&global.rootfs).exists("/") {
        return Err(Stop::new(Exit::Usage, format!("--rootfs {}: there is no such folder", global.rootfs.display())));
    }
    Ok(Setup {
        read_only: config.read_only,
        config,
        rootfs: global.rootfs.clone(),
        state_dir: if global.demo { StateDir::demo() } else { StateDir::choose(global.state_dir.as_deref()) },
        demo: global.demo,
        tab: global.tab.unwrap_or(TabId::Gpu),
    })
}

fn check(setup: &Setup, args: &CheckArgs) -> Result<Exit, Stop> {
    let unknown = |error: &dyn fmt::Display| Stop::new(Exit::Verdict(crate::domain::Verdict::Unknown), error);
    let state = runtime::observe(setup, Scope::Verdict, args.watch.unwrap_or(Duration::ZERO));
    let state = state.map_err(|error| unknown(&error))?;
    let report = CheckReport::of(&state, setup.demo);
    let text = if args.json {
        report::json(&report, out::is_terminal()).map_err(|error| unknown(&error))?
    } else {
        report.text(&look(&setup.config))
    };
    out::print(&text).map_err(|error| unknown(&error))?;
    warn_of_no_memory(setup);
    Ok(Exit::Verdict(report.verdict))
}

/// The worker of a run. Nobody reads how it ends but its file.
fn work(setup: &Setup, args: WorkArgs) -> Result<Exit, Stop> {
    if setup.read_only || setup.demo {
        return Err(Stop::new(Exit::Refused, "refused: nothing may be changed"));
    }
    let outcome = runtime::worker::work(setup, args.finish, args.take_back);
    let good = outcome.map_err(|error| Stop::failure(format!("{error:#}")))?.is_good();
    Ok(if good { Exit::Success } else { Exit::Failure })
}

/// The last known state in one line: reads one file, looks at nothing.
fn brief(setup: &Setup, args: &CheckArgs) -> Result<Exit, Stop> {
    let unknown = Exit::Verdict(crate::domain::Verdict::Unknown);
    let Some(last) = setup.state_dir.last::<LastState>() else {
        let why = match setup.state_dir.path() {
            Some(path) => format!("nothing is known of this box yet ({}); run `hostler check`", path.display()),
            None => format!("nothing is known of this box: {}", setup.state_dir.because()),
        };
        return Err(Stop::new(unknown, why));
    };
    let now = Clock::start().now().wall;
    let text = if args.json {
        report::json(&last, out::is_terminal()).map_err(Stop::failure)?
    } else {
        last.line(&look(&setup.config), now)
    };
    out::print(&text).map_err(|error| Stop::new(unknown, error))?;
    Ok(Exit::Verdict(last.verdict_at(now)))
}

fn snapshot(setup: &Setup, json: bool) -> Result<Exit, Stop> {
    let state = runtime::observe(setup, Scope::Everything, Duration::ZERO).map_err(Stop::failure)?;
    let snapshot = Snapshot::of(&state, setup.demo);
    let text = if json {
        report::json(&snapshot, out::is_terminal()).map_err(Stop::failure)?
    } else {
        snapshot.text(&look(&setup.config))
    };
    out::print(&text).map_err(Stop::failure)?;
    warn_of_no_memory(setup);
    Ok(Exit::Success)
}

/// Says that this look will not be remembered, where it will not be.
fn warn_of_no_memory(setup: &Setup) {
    if let (false, Err(error)) = (setup.demo, setup.state_dir.writable()) {
        out::complain(&format!("hostler: this look is not remembered: {error}"));
    }
}

/// How text looks on standard output.
fn look(config: &Config) -> Look {
    let glyphs = config.glyphs.glyphs(variable);
    Look {
        signs: Signs {
            critical: glyphs.critical,
            warning: glyphs.warning,
            info: glyphs.info,
            well: glyphs.pass,
            unknown: glyphs.unknown,
            absent: glyphs.down,
            dot: glyphs.dot,
        },
        colour: out::is_terminal() && Depth::detect(variable) > Depth::None,
        zone: time_zone(),
    }
}

/// A variable of the environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
