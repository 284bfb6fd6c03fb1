//! What can be written on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{FalseyValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Parser, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use strum::IntoEnumIterator;

use crate::domain::SeriesKey;
use crate::ui::tabs::TabId;

/// Looks after the box that runs your AI agents: what is wrong, why, since when.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = "\
Without a command it opens the screen.

Exit status: 0 well or done, 1 warning or failed, 2 critical, 3 unknown, 4 refused (read-only), 64 bad arguments or no
terminal, 78 bad config.")]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(super) struct Global {
    /// The tab to begin with
    #[arg(long, global = true, value_name = "TAB", value_parser = tab())]
    pub(super) tab: Option<TabId>,
    /// A theme's name, or the path of a theme file
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) theme: Option<String>,
    /// Refuse everything that changes something
    #[arg(long, global = true, env = "HOSTLER_READ_ONLY", hide_env_values = true, value_parser = FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) read_only: bool,
    /// Show a made-up box
    #[arg(long, global = true)]
    pub(super) demo: bool,
    /// Read the machine's files below this folder
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide_default_value = true)]
    pub(super) rootfs: PathBuf,
    /// The config file
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The folder in which hostler keeps what it must remember
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look once, apply every rule, and tell the verdict
    #[command(after_help = "Exit status: 0 well, 1 warning, 2 critical, 3 unknown.")]
    Check(CheckArgs),
    /// Print everything that is known of the box
    Snapshot {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what was found, what not, why, and how to have it
    #[command(after_help = "Exit status: 1 if something that is there cannot or may not be read, else 0.")]
    Doctor(DoctorArgs),
    /// Let a finding be for a while
    #[command(subcommand)]
    Finding(FindingCommand),
    /// Try the receivers of alerts, and tell what they know
    #[command(subcommand)]
    Alert(AlertCommand),
    /// List the actions: what can be done, and what it risks
    Actions {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Do something: plan it, confirm it, carry it out
    #[command(after_help = "\
A target is written as on screen: a container's name, `project/` for a compose project, `project/service`; an image's
reference or id; a volume's name. docker.prune takes none.

Exit status: 0 done or nothing to do, 1 failed, cancelled or rolled back, 4 refused.")]
    Run(RunArgs),
    /// Take back what a run did, where that is possible
    Undo {
        /// The run's id, as `hostler journal` tells it
        run: String,
        /// Print the run as JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what was done and said, by whom, with what result
    Journal {
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    /// The worker of a run: reads a plan
    #[command(hide = true)]
    Work(WorkArgs),
    /// Write a note: a mark on every graph, with who and when
    Note {
        /// What it says
        #[arg(required = true)]
        text: Vec<String>,
        /// Print the record as JSON
        #[arg(long)]
        json: bool,
    },
    /// Record without a screen, until it is told to end: history, alerts, what is due
    Record(RecordArgs),
    /// What is done at set times, and who signed it
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Print what a series was, from what was recorded; without a series, all that there are
    History(HistoryArgs),
    /// Show, write or check the config
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// `hostler check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Watch for so long first, such as 45s or 5m: some rules need time
    #[arg(long = "for", value_name = "TIME", value_parser = watch)]
    pub(super) watch: Option<Duration>,
    /// The last known state in one line, without a look at anything
    #[arg(long, conflicts_with = "watch")]
    pub(super) brief: bool,
}

/// `hostler run`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct RunArgs {
    /// The action, such as container.restart; `hostler actions` lists them
    #[arg(required_unless_present = "finish", default_value = "", hide_default_value = true)]
    pub(super) action: String,
    /// What it works on
    pub(super) targets: Vec<String>,
    /// Print what it would do, object by object, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask before what interrupts something
    #[arg(long)]
    pub(super) yes: bool,
    /// Do it if this is still the plan of a dry run
    #[arg(long, value_name = "HASH")]
    pub(super) plan: Option<String>,
    /// Name an object whose data goes; once for each
    #[arg(long, value_name = "NAME")]
    pub(super) confirm: Vec<String>,
    /// Add an optional step
    #[arg(long, value_name = "STEP")]
    pub(super) with: Vec<String>,
    /// Leave an optional step out
    #[arg(long, value_name = "STEP")]
    pub(super) without: Vec<String>,
    /// Update to another tag of the image, also in the compose file; or promote to this name of a model, or move to this folder
    #[arg(long, value_name = "TAG")]
    pub(super) to: Option<String>,
    /// Finish a run whose worker died
    #[arg(long, value_name = "RUN", conflicts_with_all = ["dry_run", "plan", "with", "without", "to"])]
    pub(super) finish: Option<String>,
    /// Print the plan or the run as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `hostler work`, which only hostler itself calls.
#[derive(Debug, clap::Args)]
pub(super) struct WorkArgs {
    /// Finish this run
    #[arg(long, value_name = "RUN")]
    pub(super) finish: Option<String>,
    /// Take this run back
    #[arg(long, value_name = "RUN", conflicts_with = "finish")]
    pub(super) take_back: Option<String>,
}

/// `hostler doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    pub(super) json: bool,
    /// As Markdown for a bug report, with secrets masked
    #[arg(long, conflicts_with = "json")]
    pub(super) bundle: bool,
    /// Mask the name of the box too
    #[arg(long, requires = "bundle")]
    pub(super) hide_host: bool,
}

/// `hostler record`.
#[derive(Debug, clap::Args)]
pub(super) struct RecordArgs {
    /// Tell Prometheus what is measured, at `/metrics` of this address
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:9709")]
    pub(super) listen: Option<SocketAddr>,
    /// Make the recorder a service of systemd instead: the action recorder.install
    #[arg(long, conflicts_with = "listen")]
    pub(super) install: bool,
    /// Of the whole machine (as root, where it is the default) or of this user
    #[arg(long, value_name = "WHOSE", requires = "install", value_parser = ["system", "user"])]
    pub(super) whose: Option<String>,
    /// Print what installing would do, and do nothing
    #[arg(long, requires = "install")]
    pub(super) dry_run: bool,
    /// Do not ask before installing
    #[arg(long, requires = "install")]
    pub(super) yes: bool,
}

/// `hostler history`.
#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// The series, such as `cpu_used_ratio` or `disk_free_ratio{mount="/"}`; labels may be left out
    #[arg(value_parser = clap::value_parser!(SeriesKey))]
    pub(super) series: Option<SeriesKey>,
    /// From when: a duration back from now (7d, "2 weeks"), a date (2026-11-01) or a time
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    pub(super) since: String,
    /// The width of a line, such as 10s, 5m or 1d; by default so wide that there are about a hundred
    #[arg(long, value_name = "TIME", value_parser = step)]
    pub(super) step: Option<Duration>,
    /// As JSON lines
    #[arg(long)]
    pub(super) json: bool,
}

/// `hostler schedule`.
#[derive(Debug, Subcommand)]
pub(super) enum ScheduleCommand {
    /// List what is done when, and how it stands
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a line of the config would do now, and sign it: the recorder does it from then on
    Sign {
        /// The line's name
        name: String,
        /// Print the record as JSON
        #[arg(long)]
        json: bool,
    },
}

/// `hostler finding`.
#[derive(Debug, Subcommand)]
pub(super) enum FindingCommand {
    /// It may stay, for a reason, until a day
    Accept(AcceptArgs),
    /// Put it aside for a while
    Snooze(SnoozeArgs),
    /// Say that you see to it: it is silent until it clears
    Ack(AckArgs),
}

/// `hostler alert`.
#[derive(Debug, Subcommand)]
pub(super) enum AlertCommand {
    /// Send a test message to each receiver, and tell what came back
    #[command(after_help = "Exit status: 1 if one did not arrive, 4 refused.")]
    Test {
        /// Only to this one
        receiver: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell which alerts there are, who was told of them and who is still to hear; and how each receiver is reached
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which finding.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The rule, such as disk.free
    pub(super) id: String,
    /// What it is about, as `hostler check` names it: a container, a mount point, a card's UUID, `host`, a source
    pub(super) subject: String,
    /// Print the record as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Until when it is silent.
#[derive(Debug, clap::Args)]
pub(super) struct End {
    /// A date (2026-12-01), a time (2026-12-01T09:00) or a duration (7d, "2 weeks")
    #[arg(long, value_name = "WHEN")]
    pub(super) until: String,
}

/// `hostler finding accept`.
#[derive(Debug, clap::Args)]
pub(super) struct AcceptArgs {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) end: End,
    /// Why it may stay
    #[arg(long, value_name = "REASON")]
    pub(super) why: String,
}

/// `hostler finding snooze`.
#[derive(Debug, clap::Args)]
pub(super) struct SnoozeArgs {
    #[command(flatten)]
    pub(super) which: Which,
    #[command(flatten)]
    pub(super) end: End,
    /// Why
    #[arg(long, value_name = "REASON", default_value = "", hide_default_value = true)]
    pub(super) why: String,
}

/// `hostler finding ack`.
#[derive(Debug, clap::Args)]
pub(super) struct AckArgs {
    #[command(flatten)]
    pub(super) which: Which,
    /// A remark
    #[arg(long, value_name = "REMARK", default_value = "", hide_default_value = true)]
    pub(super) why: String,
}

/// `hostler config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print where the config is, or would be
    Path,
    /// Write a commented config with every default
    Init,
    /// Tell what is wrong with the config: file, line, column, and what is allowed
    Check,
    /// Print what is in force, defaults included
    Print,
}

fn tab() -> impl TypedValueParser<Value = TabId> {
    PossibleValuesParser::new(TabId::iter().map(<&'static str>::from)).try_map(|name| name.parse::<TabId>())
}

/// The width of a line of history: ten seconds at least.
fn step(text: &str) -> Result<Duration, String> {
    let allowed = "write a duration such as 10s, 5m or 1d, at least 10s";
    let span: Span = text.trim().parse().map_err(|_| allowed.to_owned())?;
    let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| allowed.to_owned())?;
    Duration::try_from(span).ok().filter(|span| span.as_secs() >= 10).ok_or_else(|| allowed.to_owned())
}

/// A time to watch for: a day at most.
fn watch(text: &str) -> Result<Duration, String> {
    let allowed = "write a duration such as 45s or 5m, at most 24h";
    let span: SignedDuration = text.trim().parse().map_err(|_| allowed.to_owned())?;
    Duration::try_from(span).ok().filter(|span| span.as_secs() <= 24 * 3600).ok_or_else(|| allowed.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_time_to_watch_has_an_end() {
        assert_eq!(watch("45s").unwrap(), Duration::from_secs(45));
        assert_eq!(watch(" 1m 30s ").unwrap(), Duration::from_secs(90));
        for text in ["", "45", "-1s", "25h", "soon"] {
            assert!(watch(text).is_err(), "{text}");
        }
    }
}
