//! Installs the recorder as a service of systemd: of the whole machine where root asks for it, else of the user.

use futures_util::future::LocalBoxFuture;

use super::{Action, Desk, Refusal, Wish, preflight};
use crate::domain::{ActionSpec, Item, Op, OwnCommand, Plan, Risk, Step};
use crate::history::StateDir;
use crate::host::{RootedFs, edit, spawn, user};

/// The units as they are in the repository; `HOSTLER` stands for the program.
const SYSTEM: &str = include_str!("../../assets/hostler.service");
const USER: &str = include_str!("../../assets/hostler-user.service");
const PROGRAM: &str = "HOSTLER";
/// Where a machine's own units lie (`systemd.unit(5)`, *Unit File Load Path*).
const SYSTEM_UNIT: &str = "/etc/systemd/system/hostler.service";
/// There where systemd runs the machine (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// How long systemd may take for one command, seconds.
const PATIENCE: u64 = 90;

/// Installs the recorder.
pub(super) struct Install;

impl Action for Install {
    fn spec(&self) -> &'static ActionSpec {
        super::spec("recorder.install")
    }

    fn plan<'a>(&'a self, desk: &'a Desk, wish: &'a Wish) -> LocalBoxFuture<'a, Result<Plan, Refusal>> {
        Box::pin(async move {
            let whose = whose(wish)?;
            let locks = vec!["recorder/install".to_owned()];
            let runs = preflight::runs(desk).await?;
            preflight::interrupted(&runs, |run| run.plan.locks == locks)?;
            let mut plan = Plan { targets: wish.targets.clone(), locks, ..Plan::of(self.spec().id) };
            plan.title = format!("Install the recorder for {}", whose.words());
            let program = spawn::program().map_err(|error| Refusal::new(format!("hostler itself: {error}")))?;
            let unit = Unit::of(whose, &program)?;
            let fs = desk.ports.fs.clone();
            let (path, folder) = (unit.path.clone(), StateDir::SHARED);
            let look = move || (text(&fs, &path), fs.exists(folder), fs.exists(BOOTED));
            let (old, has_folder, is_booted) = desk.blocking(look).await?;
            let old = old?;
            if whose == Whose::Machine && !has_folder {
                plan.steps.push(folder_step());
            }
            if old.as_deref() != Some(&*unit.text) {
                plan.steps.push(unit.step(old.as_deref()));
            }
            let commands = whose.commands();
            if is_booted {
                plan.steps.extend(commands.into_iter().map(command_step));
            } else {
                plan.notes
                    .push("systemd does not run here: where it does, these commands start the service".to_owned());
                plan.commands.extend(commands.iter().map(|argv| argv.join(" ")));
            }
            plan.undo = "the unit is put back as it was, or removed; what was recorded stays".into();
            Ok(plan)
        })
    }
}

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Machine,
    User,
}

/// Whose it shall be: of the whole machine where root asks, unless something is said.
fn whose(wish: &Wish) -> Result<Whose, Refusal> {
    match wish.targets.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["system"] if user::is_root() => Ok(Whose::Machine),
        [] | ["user"] => Ok(Whose::User),
        ["system"] => {
            Err(Refusal::new("only root installs a service of the whole machine; run it with sudo, or say `user`"))
        }
        _ => Err(Refusal::new("recorder.install is about the whole box; it takes `system` or `user` alone")),
    }
}

impl Whose {
    fn words(self) -> &'static str {
        match self {
            Self::Machine => "the whole machine",
            Self::User => "this user",
        }
    }

    /// What systemd must be told once the unit is there.
    fn commands(self) -> Vec<Vec<String>> {
        let systemctl: &[&str] = match self {
            Self::Machine => &["systemctl"],
            Self::User => &["systemctl", "--user"],
        };
        let line = |words: &[&str]| systemctl.iter().chain(words).map(|word| (*word).to_owned()).collect();
        vec![line(&["daemon-reload"]), line(&["enable", "hostler.service"]), line(&["restart", "hostler.service"])]
    }
}

/// A unit of systemd.
struct Unit {
    path: String,
    text: String,
}

impl Unit {
    fn of(whose: Whose, program: &str) -> Result<Self, Refusal> {
        // systemd reads `%` and spaces in its own way (`systemd.service(5)`, *Command lines*).
        let quoted = format!("\"{}\"", program.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"));
        let program = if quoted.len() == program.len() + 2 && !program.contains(' ') { program } else { &quoted };
        let (path, text) = match whose {
            Whose::Machine => (SYSTEM_UNIT.to_owned(), SYSTEM),
            Whose::User => {
                let folder = user::config_folder().ok_or_else(|| Refusal::new("this user has no home folder"))?;
                (folder.join("systemd/user/hostler.service").to_string_lossy().into_owned(), USER)
            }
        };
        Ok(Self { path, text: text.replace(PROGRAM, program) })
    }

    fn step(self, old: Option<&str>) -> Step {
        let Self { path, text } = self;
        let verb = if old.is_some() { "change" } else { "write" };
        let (before, after) = (old.map(|old| old.as_bytes().to_vec()), Some(text.clone().into_bytes()));
        let op = Op::PutFile { path: path.clone(), from: before.clone(), to: after.clone() };
        let mut step = Step::new("unit", format!("{verb} {path}"), Risk::Disruptive, op);
        let changes = changes(old.unwrap_or_default(), &text);
        step.items = changes.into_iter().map(|name| Item { name, ..Item::default() }).collect();
        step.undo = vec![Op::PutFile { path, from: after, to: before }];
        step
    }
}

fn folder_step() -> Step {
    let path = StateDir::SHARED.to_owned();
    let title = format!("make {path} for root and the group docker, whose members are root already");
    Step::new("folder", title, Risk::Disruptive, Op::MakeShared { path, group: "docker".to_owned() })
}

fn command_step(argv: Vec<String>) -> Step {
    let command = OwnCommand { argv, env: [].into(), secrets: [].into(), seconds: PATIENCE };
    let line = command.line();
    let mut step = Step::new(line.clone(), format!("run {line}"), Risk::Disruptive, Op::Command { command });
    step.command = Some(line);
    step
}

/// The text of a file; `None` where there is none.
fn text(fs: &RootedFs, path: &str) -> Result<Option<String>, Refusal> {
    match edit::whole(fs, path.as_ref()) {
        Ok(bytes) => String::from_utf8(bytes).map(Some).map_err(|_| Refusal::new(format!("{path} is no text"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Refusal::new(format!("{path}: {error}"))),
    }
}

/// The lines that go and come, as a patch writes them.
fn changes(old: &str, new: &str) -> Vec<String> {
    let differing = similar::TextDiff::from_lines(old, new);
    let lines = differing.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
    lines.map(|change| format!("{}{}", change.tag(), change.value().trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_systemd_reads_it() {
        let line = |program: &str| {
            let text = Unit::of(Whose::Machine, program).unwrap().text;
            text.lines().find(|line| line.starts_with("ExecStart")).unwrap().to_owned()
        };
        assert_eq!(line("/usr/bin/hostler"), "ExecStart=/usr/bin/hostler record");
        assert_eq!(line("/a b/50%/hostler"), "ExecStart=\"/a b/50%%/hostler\" record");
    }

    #[test]
    fn what_changes_is_told_line_by_line() {
        assert_eq!(changes("a\nb\nc\n", "a\nd\nc\n"), ["-b", "+d"]);
        assert_eq!(changes("", "a\n\nb\n"), ["+a", "+", "+b"]);
        assert!(changes("a\n", "a\n").is_empty());
    }
}
