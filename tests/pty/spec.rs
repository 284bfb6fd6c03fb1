//! What to run in a pseudo-terminal, and what a terminal sends for a key.
//!
//! The surroundings are the same for every program: a terminal that knows true colour, a UTF-8 locale, and none of the
//! variables by which a user's shell would change what is drawn.

use std::ffi::OsString;
use std::path::PathBuf;

use portable_pty::CommandBuilder;

use super::screen::Size;

/// What to start, and in which surroundings.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    argv: Vec<OsString>,
    env: Vec<(OsString, Option<OsString>)>,
    pub(super) size: Size,
    cwd: Option<PathBuf>,
}

impl Spec {
    /// A program by path or by name on `PATH`, on a terminal of 160x48 that knows true colour.
    pub(crate) fn new(program: impl Into<OsString>) -> Self {
        let plain = |name: &str, value: Option<&str>| (name.into(), value.map(OsString::from));
        Self {
            argv: vec![program.into()],
            env: vec![
                plain("TERM", Some("xterm-256color")),
                plain("COLORTERM", Some("truecolor")),
                plain("LC_ALL", Some("C.UTF-8")),
                plain("LINES", None),
                plain("COLUMNS", None),
                plain("NO_COLOR", None),
            ],
            size: Size::WIDE,
            cwd: None,
        }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.argv.push(arg.into());
        self
    }

    /// Adds arguments in order.
    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable on top of the inherited environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), Some(value.into())));
        self
    }

    /// Takes a variable out of the inherited environment.
    pub(crate) fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.env.push((name.into(), None));
        self
    }

    /// Sets the size of the terminal at the start.
    pub(crate) fn size(mut self, cols: u16, rows: u16) -> Self {
        self.size = Size { cols, rows };
        self
    }

    /// Sets the working directory; without it, the caller's.
    pub(crate) fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    pub(super) fn command(&self) -> CommandBuilder {
        let mut command = CommandBuilder::from_argv(self.argv.clone());
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            }
        }
        // Without a directory the crate would go to the home directory, not stay here.
        if let Some(cwd) = self.cwd.clone().or_else(|| std::env::current_dir().ok()) {
            command.cwd(cwd);
        }
        command
    }
}

/// What a terminal sends for a key; `application` is its cursor-key mode.
pub(super) fn key_bytes(key: &str, application: bool) -> Vec<u8> {
    let cursor = |last: char| {
        let lead = if application { 'O' } else { '[' };
        format!("\x1b{lead}{last}").into_bytes()
    };
    match key {
        "Up" => cursor('A'),
        "Down" => cursor('B'),
        "Right" => cursor('C'),
        "Left" => cursor('D'),
        "Home" => cursor('H'),
        "End" => cursor('F'),
        "F5" => b"\x1b[15~".to_vec(),
        "PgUp" => b"\x1b[5~".to_vec(),
        "PgDn" => b"\x1b[6~".to_vec(),
        "Tab" => b"\t".to_vec(),
        "S-Tab" => b"\x1b[Z".to_vec(),
        "Enter" => b"\r".to_vec(),
        "Esc" => b"\x1b".to_vec(),
        "Space" => b" ".to_vec(),
        "Backspace" => b"\x7f".to_vec(),
        _ => match key.strip_prefix("C-").map(str::as_bytes) {
            Some([letter]) => vec![letter & 0x1f],
            _ => key.as_bytes().to_vec(),
        },
    }
}
