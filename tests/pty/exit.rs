//! How a program left its terminal: did it end, how soon, and is everything as it was.
//!
//! A terminal is restored when the screen model shows no mode that the program switched on, and the line discipline has
//! the settings from before the start. Processes left behind in the program's session count as a fault of their own.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::termios::{LocalModes, Termios};

use super::screen::Screen;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It returned this exit code.
    Code(i32),
    /// It was ended by the signal of this number.
    Signal(i32),
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        status.signal().map_or_else(|| Self::Code(status.code().unwrap_or(-1)), Self::Signal)
    }
}

/// Which of the things that a full-screen program changes are as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Restored {
    /// The alternate screen is left.
    pub(crate) primary_screen: bool,
    /// No mouse report is on.
    pub(crate) mouse_off: bool,
    /// The cursor is shown.
    pub(crate) cursor_visible: bool,
    /// Pasted text is not bracketed.
    pub(crate) paste_off: bool,
    /// The line discipline is as before the start.
    pub(crate) cooked: bool,
    /// Rarer modes that are still on, by name.
    pub(crate) other_modes: Vec<&'static str>,
}

impl Restored {
    /// Compares the terminal now with the line settings from before the program started.
    pub(super) fn assess(screen: &Screen, before: &Termios, after: Option<&Termios>) -> Self {
        Self {
            primary_screen: !screen.alternate(),
            mouse_off: !screen.mouse(),
            cursor_visible: screen.cursor_visible(),
            paste_off: !screen.bracketed_paste(),
            cooked: after.is_some_and(|after| same_line_settings(before, after)),
            other_modes: screen.other_modes(),
        }
    }

    /// What was left behind, in words; empty when all is restored.
    pub(crate) fn left_on(&self) -> Vec<&'static str> {
        let mut left: Vec<_> = [
            ("alternate screen", self.primary_screen),
            ("mouse", self.mouse_off),
            ("cursor hidden", self.cursor_visible),
            ("bracketed paste", self.paste_off),
            ("raw tty", self.cooked),
        ]
        .into_iter()
        .filter_map(|(name, good)| (!good).then_some(name))
        .collect();
        left.extend(&self.other_modes);
        left
    }
}

/// The end of a program, as its terminal saw it.
#[derive(Clone, Debug)]
pub(crate) struct ExitReport {
    /// Exit code or signal.
    pub(crate) status: Ending,
    /// From the last thing done to the program (a key, a signal, the hang-up) to its end.
    pub(crate) elapsed: Duration,
    /// The state of the terminal; `None` when it was hung up, so that there is none to look at.
    pub(crate) restored: Option<Restored>,
    /// Processes of the program's session that outlived it.
    pub(crate) orphans: Vec<u32>,
}

impl ExitReport {
    /// Whether nothing was left behind: no mode, no raw line, no process.
    pub(crate) fn is_clean(&self) -> bool {
        self.orphans.is_empty() && self.restored.as_ref().is_none_or(|restored| restored.left_on().is_empty())
    }
}

pub(super) fn same_line_settings(a: &Termios, b: &Termios) -> bool {
    // The kernel sets PENDIN by itself when input waits at a change of mode.
    let local = |t: &Termios| t.local_modes - LocalModes::PENDIN;
    a.input_modes == b.input_modes
        && a.output_modes == b.output_modes
        && a.control_modes == b.control_modes
        && local(a) == local(b)
}

/// The live processes of a session, and those that descend from them, in no order.
pub(crate) fn session_members(leader: u32) -> Vec<u32> {
    let table: Vec<(u32, u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let (state, parent, session) = family(pid)?;
            (state != 'Z').then_some((pid, parent, session))
        })
        .collect();
    let mut members: Vec<u32> =
        table.iter().filter_map(|&(pid, _, session)| (session == leader).then_some(pid)).collect();
    let mut next = 0;
    while let Some(&parent) = members.get(next) {
        for &(pid, of, _) in &table {
            if of == parent && !members.contains(&pid) {
                members.push(pid);
            }
        }
        next += 1;
    }
    members
}

/// State letter, parent and session of a process.
fn family(pid: u32) -> Option<(char, u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold blanks and brackets; the fields that follow it do not.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    Some((state, parent, session))
}
