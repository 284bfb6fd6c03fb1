//! A person's desk: hostler on a terminal, in a home of its own, and what somebody there presses and sees.
//!
//! Without more words there is no engine, no card and nothing that listens, and no level of the real machine is a
//! finding. Every wait is for something on the screen.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;
use unicode_width::UnicodeWidthStr;

use crate::bed::{self, DEADLINE};
use crate::pty::{ExitReport, Failure, Screen, Spec, Term};

/// Thresholds under which no level of a real machine is a finding.
pub(crate) const QUIET: &str =
    "[thresholds]\ndisk_free_warning = 0\ndisk_free_critical = 0\nmemory_used_warning = 1\nmemory_used_critical = 1\n";

/// Thresholds under which the memory of every machine is a finding, and nothing else.
pub(crate) const LOUD: &str = "[thresholds]\ndisk_free_warning = 0\ndisk_free_critical = 0\nmemory_used_warning = 0\nmemory_used_critical = 1\nmemory_hold_for = \"1s\"\n";

/// How long a key may take to be answered while something else hangs: far less than the time-out of any source.
pub(crate) const PROMPT: Duration = Duration::from_secs(1);

/// A home, and the machine as a program in it meets it.
pub(crate) struct Home {
    folder: TempDir,
    env: Vec<(OsString, Option<OsString>)>,
    args: Vec<OsString>,
    size: (u16, u16),
    before: Vec<OsString>,
}

impl Home {
    /// Without an engine, a card or anything that listens.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let named = |name: &str, value: OsString| (name.into(), Some(value));
        let absent = |name: &str| (name.into(), None);
        let env = vec![
            named("HOME", path.into()),
            named("USER", "ada".into()),
            named("TZ", "UTC".into()),
            named("XDG_CONFIG_HOME", path.join("config").into()),
            named("XDG_STATE_HOME", path.join("xdg-state").into()),
            named("XDG_RUNTIME_DIR", path.into()),
            named("DOCKER_HOST", format!("unix://{}", path.join("no-engine.sock").display()).into()),
            named("HOSTLER_NVML_LIBRARY", path.join("no-such-library.so").into()),
            absent("DOCKER_CONTEXT"),
            absent("DOCKER_CONFIG"),
            absent("DOCKER_TLS_VERIFY"),
            absent("HOSTLER_READ_ONLY"),
            absent("TMUX"),
            absent("STY"),
        ];
        let before = bed::alone().iter().map(OsString::from).collect();
        let home = Self { folder, env, args: Vec::new(), size: (160, 48), before };
        home.write_config(QUIET);
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The config file, read at the start.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config/hostler/config.toml")
    }

    pub(crate) fn write_config(&self, text: &str) {
        fs::create_dir_all(self.config().parent().unwrap()).unwrap();
        fs::write(self.config(), text).unwrap();
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// With this config.
    pub(crate) fn configured(self, text: &str) -> Self {
        self.write_config(text);
        self
    }

    /// With this engine, in the form of `DOCKER_HOST`.
    pub(crate) fn engine(self, endpoint: impl Into<OsString>) -> Self {
        self.env("DOCKER_HOST", endpoint)
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// With these arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn size(mut self, cols: u16, rows: u16) -> Self {
        self.size = (cols, rows);
        self
    }

    /// In the test's own network, with only these sockets listening as far as hostler can see: the machine's files are
    /// made up for it.
    pub(crate) fn among(mut self, ports: &[u16]) -> Self {
        let table = self.path().join("root/proc/net/tcp");
        let mut text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n".to_owned();
        for port in ports {
            let queues = "00000000:00000000 00:00000000 00000000     0        0";
            writeln!(text, "   0: 0100007F:{port:04X} 00000000:0000 0A {queues} {port} 1").unwrap();
        }
        fs::create_dir_all(table.parent().unwrap()).unwrap();
        fs::write(table, text).unwrap();
        self.before.clear();
        let root = self.path().join("root");
        self.args(["--rootfs".into(), root.into_os_string()])
    }

    /// Started by this command line, which ends where the program's begins.
    pub(crate) fn through<A: Into<OsString>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.before.extend(command.into_iter().map(Into::into));
        self
    }

    fn argv(&self, args: &[&str]) -> Vec<OsString> {
        let mut argv = self.before.clone();
        argv.push(self.program().into());
        argv.extend(self.args.iter().cloned());
        argv.extend(["--state-dir".into(), self.state().into_os_string()]);
        argv.extend(args.iter().map(OsString::from));
        argv
    }

    /// The program: a copy of it where somebody else left one in this home.
    fn program(&self) -> PathBuf {
        let copy = self.path().join("hostler");
        if copy.exists() { copy } else { bed::hostler() }
    }

    /// The program in a pseudo-terminal.
    pub(crate) fn spec(&self) -> Spec {
        let argv = self.argv(&[]);
        let mut spec = Spec::new(&argv[0]).args(&argv[1..]).size(self.size.0, self.size.1);
        for (name, value) in &self.env {
            spec = match value {
                Some(value) => spec.env(name, value),
                None => spec.env_remove(name),
            };
        }
        spec
    }

    /// The program without a terminal, to be run to its end.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let argv = self.argv(args);
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]);
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Starts hostler and waits for its first frame.
    #[track_caller]
    pub(crate) fn open(&self) -> Desk {
        let mut desk = Desk { term: Term::start(&self.spec()).unwrap(), size: self.size };
        desk.until("the first frame is drawn", |screen| screen.alternate() && screen.filled() > 0);
        desk
    }

    /// What the journal holds, without visits.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.state().join("journal.jsonl")).unwrap_or_default();
        let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["kind"] != "visit").collect()
    }
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) fg: vt100::Color,
    pub(crate) bg: vt100::Color,
    pub(crate) reversed: bool,
}

/// A terminal with hostler in it.
pub(crate) struct Desk {
    pub(crate) term: Term,
    size: (u16, u16),
}

impl Desk {
    /// Waits until the screen is as wished. Only whole frames are looked at: a terminal shows no other.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, wished: impl FnMut(&Screen) -> bool) {
        if let Err(why) = self.within(DEADLINE, wished) {
            panic!("waited in vain until {what}: {why}");
        }
    }

    /// Waits until the screen is as wished, but no longer than this.
    pub(crate) fn within(
        &mut self,
        deadline: Duration,
        mut wished: impl FnMut(&Screen) -> bool,
    ) -> Result<Duration, Failure> {
        let whole = |screen: &Screen| !screen.other_modes().contains(&"synchronized output");
        self.term.wait_for(|screen| whole(screen) && wished(screen), deadline)
    }

    /// The screen as it is now.
    #[track_caller]
    pub(crate) fn screen(&mut self) -> &Screen {
        self.until("a frame is whole", |_| true);
        self.term.screen()
    }

    /// Gives the terminal another size and waits until all of it is drawn anew.
    #[track_caller]
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        let before = self.term.bytes_written();
        self.term.resize(cols, rows).unwrap();
        let term = &self.term;
        bed::wait_until(DEADLINE, "the size is drawn", || {
            let written = &term.raw()[before..];
            let cleared = written.windows(4).position(|part| part == b"\x1b[2J")?;
            written[cleared..].windows(8).any(|part| part == b"\x1b[?2026l").then_some(())
        });
    }

    /// Waits until a row holds the text.
    #[track_caller]
    pub(crate) fn see(&mut self, text: &str) {
        self.until(&format!("{text:?} is seen"), |screen| screen.contains(text));
    }

    /// Waits until no row holds the text.
    #[track_caller]
    pub(crate) fn miss(&mut self, text: &str) {
        self.until(&format!("{text:?} is seen no more"), |screen| !screen.contains(text));
    }

    /// Waits until a row matches the pattern, and returns its first group.
    #[track_caller]
    pub(crate) fn read(&mut self, pattern: &str) -> String {
        let pattern = Regex::new(pattern).unwrap();
        let mut found = None;
        self.until(&format!("{pattern} is seen"), |screen| {
            found = screen.rows().find_map(|row| Some(pattern.captures(&row)?[1].to_owned()));
            found.is_some()
        });
        found.unwrap()
    }

    /// Presses a key by its name.
    #[track_caller]
    pub(crate) fn press(&mut self, key: &str) {
        self.term.press(key).unwrap();
    }

    /// Presses a key and waits until a row holds the text.
    #[track_caller]
    pub(crate) fn press_see(&mut self, key: &str, text: &str) {
        self.press(key);
        self.see(text);
    }

    /// Types a text, key by key.
    #[track_caller]
    pub(crate) fn write(&mut self, text: &str) {
        self.term.keys(text.as_bytes()).unwrap();
    }

    /// Pastes a text, as a terminal with bracketed paste does.
    #[track_caller]
    pub(crate) fn paste(&mut self, text: &str) {
        self.term.keys(format!("\x1b[200~{text}\x1b[201~").as_bytes()).unwrap();
    }

    /// Gives a command by its words in the palette.
    #[track_caller]
    pub(crate) fn command(&mut self, words: &str) {
        self.press_see(":", "Commands");
        self.write(words);
        self.see(&format!("> {words}_"));
        self.press("Enter");
    }

    /// Where a text stands: column and row, counted from 0.
    #[track_caller]
    pub(crate) fn place(&mut self, text: &str) -> (u16, u16) {
        self.see(text);
        let mut rows = (0..).zip(self.term.screen().rows());
        let found = rows.find_map(|(row, line)| Some((line[..line.find(text)?].width() as u16, row)));
        found.unwrap()
    }

    /// Clicks at this cell with the left button (SGR 1006).
    #[track_caller]
    pub(crate) fn click(&mut self, (col, row): (u16, u16)) {
        let (col, row) = (col + 1, row + 1);
        self.term.keys(format!("\x1b[<0;{col};{row}M\x1b[<0;{col};{row}m").as_bytes()).unwrap();
    }

    /// Turns the wheel by one notch, down or up.
    #[track_caller]
    pub(crate) fn wheel(&mut self, down: bool, (col, row): (u16, u16)) {
        let (button, col, row) = (64 + u8::from(down), col + 1, row + 1);
        self.term.keys(format!("\x1b[<{button};{col};{row}M").as_bytes()).unwrap();
    }

    /// Presses a key and waits for a frame that differs from the one before. Something else may change it too, unless
    /// the screen is frozen.
    #[track_caller]
    pub(crate) fn tap(&mut self, key: &str) {
        let before = self.screen().frame();
        self.press(key);
        self.until(&format!("{key} changes something"), |screen| screen.visibly_differs(&before));
    }

    /// How the cell under the first character of the text looks. Only while the terminal has had one size.
    #[track_caller]
    pub(crate) fn look(&mut self, text: &str) -> Look {
        let (col, row) = self.place(text);
        let (cols, rows) = (self.size.0.try_into().unwrap(), self.size.1.try_into().unwrap());
        let mut parser = vt100::Parser::new(rows, cols, 0);
        parser.process(&self.term.raw());
        let cell = parser.screen().cell(row, col).unwrap();
        Look { fg: cell.fgcolor(), bg: cell.bgcolor(), reversed: cell.inverse() }
    }

    /// Waits for the end and looks at what it left.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitReport {
        self.term.wait_exit(DEADLINE).unwrap()
    }

    /// Everything written so far, as text.
    #[track_caller]
    pub(crate) fn written(&self) -> String {
        String::from_utf8(self.term.raw()).expect("only UTF-8 is written")
    }
}

/// The sequences that hostler's own renderer writes: the cursor's place, looks, a cleared screen, and the modes that it
/// takes and gives back (alternate screen, cursor, mouse, paste, synchronized update).
static OURS: LazyLock<Regex> = LazyLock::new(|| {
    let modes = "1049|25|2004|1000|1002|1003|1006|1015|2026";
    Regex::new(&format!(r"\x1b\[(?:\d+;\d+H|\d+G|[0-9;]*m|2J|\?(?:{modes})[hl])")).unwrap()
});

/// What was written without the renderer's own sequences: the texts on the screen, one after the other.
pub(crate) fn without_sequences(written: &str) -> String {
    OURS.replace_all(written, "").into_owned()
}

/// The parameters of all sequences that change the look, one string each.
pub(crate) fn looks(written: &str) -> Vec<String> {
    let sgr = Regex::new(r"\x1b\[([0-9;]*)m").unwrap();
    sgr.captures_iter(written).map(|found| found[1].to_owned()).collect()
}
