//! The two ends of the pseudo-terminal, and how the harness lets go of them.
//!
//! The harness holds a handle on the program's side too: it reads the line settings there when the program has ended, and
//! through it it can wake its own reader. As long as that handle is open the reader sees no end, so it is closed first.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portable_pty::PtySize;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::termios::{Action, OptionalActions, SpecialCodeIndex};

use super::exit::{same_line_settings, session_members};
use super::screen::Size;
use super::{Failure, Term};

impl Term {
    /// Whether the line settings are those from before the start, while the program still has the terminal.
    pub(crate) fn is_cooked(&self) -> bool {
        let now = self.slave.as_ref().and_then(|slave| rustix::termios::tcgetattr(slave).ok());
        now.is_some_and(|now| same_line_settings(&self.before, &now))
    }

    /// Takes nothing more of what the program writes, as a link that hangs, until [`Term::go_on`].
    pub(crate) fn stall(&self) -> Result<(), Failure> {
        self.flow(Action::OOff)
    }

    /// Takes what the program writes again.
    pub(crate) fn go_on(&self) -> Result<(), Failure> {
        self.flow(Action::OOn)
    }

    fn flow(&self, action: Action) -> Result<(), Failure> {
        let slave = self.slave.as_ref().ok_or_else(|| Failure::new("the program has ended"))?;
        rustix::termios::tcflow(slave, action).map_err(|cause| Failure::because("cannot stop the terminal", &cause))
    }

    /// Whether the program has read everything that was typed.
    pub(crate) fn has_read_all(&self) -> bool {
        self.slave.as_ref().is_some_and(|slave| rustix::io::ioctl_fionread(slave).is_ok_and(|waiting| waiting == 0))
    }

    /// Once the program has ended: keeps the line settings, lets go of the terminal, and waits for its last words.
    ///
    /// The harness' own handle is what keeps the reader from seeing the end, so closing it is all the reader needs; only
    /// a process left behind can hold it up, and for that two seconds are enough.
    pub(super) fn drain(&mut self) {
        let Some(slave) = self.slave.take() else {
            return;
        };
        self.after = rustix::termios::tcgetattr(&slave).ok();
        drop(slave);
        let until = Instant::now() + Duration::from_secs(2);
        self.recorder.wait(until, |tape| tape.closed.then_some(()));
    }

    /// Wakes the reader from its blocking read with a byte of our own, and waits for its end.
    pub(super) fn stop_reader(&mut self) {
        self.recorder.update(|tape| tape.stop = true);
        if let Some(slave) = &self.slave {
            // A program may have stopped the output (`Ctrl-S`); then our byte would wait with it.
            let _ = rustix::termios::tcflow(slave, Action::OOn);
            let _ = rustix::io::write(slave, b"\0");
        }
        let can_end = self.slave.is_some() || self.recorder.lock().closed;
        if let Some(reader) = self.reader.take().filter(|_| can_end) {
            let _ = reader.join();
        }
    }

    /// Keeps the writer from typing newline and end-of-file when it is closed, as it does while there is such a key.
    pub(super) fn disarm_keyboard(&self) {
        if let Some(slave) = &self.slave
            && let Ok(mut settings) = rustix::termios::tcgetattr(slave)
        {
            settings.special_codes[SpecialCodeIndex::VEOF] = 0;
            let _ = rustix::termios::tcsetattr(slave, OptionalActions::Now, &settings);
        }
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            if !self.is_running() {
                break;
            }
            let _ = self.signal(signal);
            let _ = self.wait_exit(Duration::from_secs(2));
        }
        for pid in session_members(self.pid()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        self.stop_reader();
        self.disarm_keyboard();
    }
}

/// A size as the pty takes it, with cells of 8 by 16 pixels.
pub(super) fn pty_size(size: Size) -> PtySize {
    PtySize {
        rows: size.rows,
        cols: size.cols,
        pixel_width: size.cols.saturating_mul(8),
        pixel_height: size.rows.saturating_mul(16),
    }
}

/// A handle of the harness' own on the program's side, so that its line settings can be read when it has ended.
pub(super) fn open_slave(name: Option<PathBuf>) -> Result<OwnedFd, Failure> {
    let name = name.ok_or_else(|| Failure::new("the pseudo-terminal has no name"))?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(&name, flags, Mode::empty())
        .map_err(|cause| Failure::because(&format!("cannot open {}", name.display()), &cause))
}
