//! Runs a program in a pseudo-terminal and watches it as an operator would: what is on the screen, how soon, and what
//! is left of the terminal when the program has ended.
//!
//! Shared by the end-to-end tests and the whole-process benchmark. Nothing here sleeps: every wait is for a condition
//! with a deadline, and a failed one carries the screen. Start at [`Term::start`].
#![allow(dead_code, unused_imports, reason = "two targets include this module, and each uses its own part of it")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test harness starts processes and reads clocks; the gates are for the program"
)]

mod ends;
mod exit;
mod failure;
mod screen;
mod spec;
mod tape;
#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, MasterPty};
use rustix::process::{Pid, Signal};
use rustix::termios::Termios;

use ends::{open_slave, pty_size};
use spec::key_bytes;
use tape::{Entry, Keyboard, Recorder, Tape};

pub(crate) use exit::{Ending, ExitReport, Restored, session_members};
pub(crate) use failure::Failure;
pub(crate) use screen::{Frame, Screen, Size};
pub(crate) use spec::Spec;
pub(crate) use tape::Traffic;

/// How long a wait lasts that names no deadline of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A point on a program's tape, for [`Term::traffic`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    entry: usize,
    at: Instant,
}

/// What a wait for output can end with.
enum News {
    /// There is an entry to play.
    Entry,
    /// The program has ended; its last words may still be on their way.
    Ended,
    /// Nothing can come any more.
    Nothing,
}

/// A program in a pseudo-terminal; dropped, it is ended.
pub(crate) struct Term {
    pid: Pid,
    size: Size,
    recorder: Arc<Recorder>,
    master: Option<Box<dyn MasterPty + Send>>,
    keyboard: Option<Keyboard>,
    slave: Option<OwnedFd>,
    before: Termios,
    after: Option<Termios>,
    reader: Option<thread::JoinHandle<()>>,
    screen: Screen,
    played: usize,
    shown_at: Instant,
    asked_at: Instant,
    hung_up: bool,
}

impl Term {
    /// Starts the program; the clock of the first wait runs from just before the fork.
    pub(crate) fn start(spec: &Spec) -> Result<Self, Failure> {
        // One at a time: a pseudo-terminal is marked as closed on exec only after it was opened, and a program forked
        // between the two would hold another one's terminal open when it is hung up.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _alone = tape::lock(&ONE_AT_A_TIME);
        let cannot = |what: &'static str| move |cause: anyhow::Error| Failure::because(what, &cause);
        let pair =
            portable_pty::native_pty_system().openpty(pty_size(spec.size)).map_err(cannot("no pseudo-terminal"))?;
        let slave = open_slave(pair.master.tty_name())?;
        let before = rustix::termios::tcgetattr(&slave)
            .map_err(|cause| Failure::because("cannot read the line settings", &cause))?;
        let source = pair.master.try_clone_reader().map_err(cannot("cannot read the pseudo-terminal"))?;
        let writer = pair.master.take_writer().map_err(cannot("cannot write to the pseudo-terminal"))?;
        let keyboard: Keyboard = Arc::new(Mutex::new(writer));
        let recorder = Arc::new(Recorder::default());
        let reader = {
            let (keyboard, recorder) = (Arc::clone(&keyboard), Arc::clone(&recorder));
            thread::spawn(move || tape::record(source, &keyboard, &recorder))
        };
        let asked_at = Instant::now();
        let child: Box<dyn Child> =
            pair.slave.spawn_command(spec.command()).map_err(cannot("cannot start the program"))?;
        let mut child = child
            .downcast::<std::process::Child>()
            .map_err(|_| Failure::new("the program is no ordinary child process"))?;
        let pid = Pid::from_child(&child);
        {
            let recorder = Arc::clone(&recorder);
            thread::spawn(move || {
                let status = child.wait();
                let at = Instant::now();
                recorder.update(|tape| tape.ended = Some((at, status)));
            });
        }
        Ok(Self {
            pid,
            size: spec.size,
            recorder,
            master: Some(pair.master),
            keyboard: Some(keyboard),
            slave: Some(slave),
            before,
            after: None,
            reader: Some(reader),
            screen: Screen::new(spec.size),
            played: 0,
            shown_at: asked_at,
            asked_at,
            hung_up: false,
        })
    }

    /// The process id of the program, which also leads its session.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Whether the program still runs.
    pub(crate) fn is_running(&self) -> bool {
        self.recorder.lock().ended.is_none()
    }

    /// The screen with all that has arrived by now.
    pub(crate) fn screen(&mut self) -> &Screen {
        while self.play_next().is_some() {}
        &self.screen
    }

    /// Every byte the program has written, in order, as it wrote them.
    pub(crate) fn raw(&self) -> Vec<u8> {
        let tape = self.recorder.lock();
        let mut raw = Vec::new();
        for entry in &tape.entries {
            if let Entry::Output { bytes, .. } = entry {
                raw.extend_from_slice(bytes);
            }
        }
        raw
    }

    /// Whether the program has written these bytes at any time, in one piece.
    pub(crate) fn has_written(&self, bytes: &[u8]) -> bool {
        !bytes.is_empty() && self.raw().windows(bytes.len()).any(|part| part == bytes)
    }

    /// Bytes written since the start.
    pub(crate) fn bytes_written(&self) -> usize {
        let written = |entry: &Entry| match entry {
            Entry::Output { bytes, .. } => bytes.len(),
            Entry::Resized(_) => 0,
        };
        self.recorder.lock().entries.iter().map(written).sum()
    }

    /// This moment on the tape.
    pub(crate) fn mark(&self) -> Mark {
        let entry = self.recorder.lock().entries.len();
        let at = Instant::now();
        Mark { entry, at }
    }

    /// What went to the terminal from one mark to another.
    pub(crate) fn traffic(&self, from: Mark, to: Mark) -> Traffic {
        let tape = self.recorder.lock();
        tape::weigh(&tape.entries, self.size, from.entry..to.entry, from.at)
    }

    /// Types these bytes as they are.
    pub(crate) fn keys(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let keyboard = self.keyboard.clone().ok_or_else(|| Failure::new("the terminal is hung up: nobody can type"))?;
        self.asked_at = Instant::now();
        tape::lock(&keyboard).write_all(bytes).map_err(|cause| Failure::because("cannot type", &cause))
    }

    /// Types a key by its name (`Down`, `Enter`, `C-c`, `x`), as a terminal in its present mode would send it.
    pub(crate) fn press(&mut self, key: &str) -> Result<(), Failure> {
        let bytes = key_bytes(key, self.screen().application_cursor());
        self.keys(&bytes)
    }

    /// Presses a key and waits for the first output that changes a cell; output that was on its way does not count.
    pub(crate) fn answer(&mut self, key: &str, deadline: Duration) -> Result<Duration, Failure> {
        let mut before = self.screen().frame();
        self.press(key)?;
        let until = Instant::now() + deadline;
        loop {
            match self.play_next() {
                Some(at) if at < self.asked_at => before = self.screen.frame(),
                Some(at) if self.screen.changed_cells(&before) > 0 => {
                    return Ok(at - self.asked_at);
                }
                Some(_) => {}
                None if self.await_entry(until) => {}
                None => return Err(self.unmet(&format!("key {key} changed nothing"), deadline)),
            }
        }
    }

    /// Gives the terminal another size; the program gets its SIGWINCH.
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) -> Result<(), Failure> {
        let size = Size { cols, rows };
        self.asked_at = Instant::now();
        // First on the tape: what the program writes for the new size must meet a screen of that size.
        self.recorder.update(|tape| tape.entries.push(Entry::Resized(size)));
        match &self.master {
            Some(master) => master.resize(pty_size(size)).map_err(|cause| Failure::because("cannot resize", &cause)),
            None => Err(Failure::new("the terminal is hung up")),
        }
    }

    /// Sends the program a signal.
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), Failure> {
        self.asked_at = Instant::now();
        rustix::process::kill_process(self.pid, signal)
            .map_err(|cause| Failure::because("cannot signal the program", &cause))
    }

    /// Closes the terminal, as a lost connection does.
    pub(crate) fn hang_up(&mut self) {
        self.stop_reader();
        self.disarm_keyboard();
        self.keyboard = None;
        self.hung_up = true;
        self.asked_at = Instant::now();
        self.master = None;
    }

    /// Waits until the screen is as wished, and returns the time from the last thing done to the program (start, key,
    /// resize, signal) to the output that made it so.
    pub(crate) fn wait_for(
        &mut self,
        mut wished: impl FnMut(&Screen) -> bool,
        deadline: Duration,
    ) -> Result<Duration, Failure> {
        let until = Instant::now() + deadline;
        if wished(&self.screen) {
            return Ok(self.shown_at.saturating_duration_since(self.asked_at));
        }
        loop {
            match self.play_next() {
                Some(at) if wished(&self.screen) => {
                    return Ok(at.saturating_duration_since(self.asked_at));
                }
                Some(_) => {}
                None if self.await_entry(until) => {}
                None => return Err(self.unmet("the awaited screen did not come", deadline)),
            }
        }
    }

    /// Waits until a row of the screen holds the text.
    pub(crate) fn wait_text(&mut self, text: &str) -> Result<Duration, Failure> {
        self.wait_for(|screen| screen.contains(text), PATIENCE).map_err(|mut why| {
            why.what = format!("{text:?} is not on the screen: {}", why.what);
            why
        })
    }

    /// Waits until nothing has been written for `gap`; false if it never was so quiet before the deadline.
    pub(crate) fn wait_quiet(&mut self, gap: Duration, deadline: Duration) -> bool {
        let until = Instant::now() + deadline;
        loop {
            while self.play_next().is_some() {}
            let quiet_at = self.shown_at.max(self.asked_at) + gap;
            if Instant::now() >= quiet_at {
                return true;
            }
            if !self.await_entry(quiet_at.min(until)) && Instant::now() >= until {
                return Instant::now() >= quiet_at;
            }
        }
    }

    /// Lets the program run for a while, recording only; an error if it ends meanwhile.
    pub(crate) fn watch(&mut self, time: Duration) -> Result<(), Failure> {
        let ended = |tape: &Tape| tape.ended.as_ref().map(|_| ());
        if self.recorder.wait(Instant::now() + time, ended).is_none() {
            return Ok(());
        }
        Err(self.unmet("the program was to keep running", time))
    }

    /// Waits for the program to end, then looks at what it left.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> Result<ExitReport, Failure> {
        let ended = self.recorder.wait(Instant::now() + deadline, |tape| {
            let (at, status) = tape.ended.as_ref()?;
            Some((*at, status.as_ref().map_err(ToString::to_string).copied()))
        });
        let (ended_at, status) = ended.ok_or_else(|| self.unmet("the program did not end", deadline))?;
        let status = status.map_err(|cause| Failure::because("the program is lost", &cause))?;
        let elapsed = ended_at.saturating_duration_since(self.asked_at);
        self.drain();
        while self.play_next().is_some() {}
        let restored = (!self.hung_up).then(|| Restored::assess(&self.screen, &self.before, self.after.as_ref()));
        Ok(ExitReport { status: status.into(), elapsed, restored, orphans: session_members(self.pid()) })
    }
}

// What the methods above share.
impl Term {
    /// Puts the next recorded entry on the screen and returns when it arrived; `None` when there is none yet.
    fn play_next(&mut self) -> Option<Instant> {
        let tape = self.recorder.lock();
        let entry = tape.entries.get(self.played)?;
        tape::play(&mut self.screen, entry);
        if let Entry::Output { at, .. } = entry {
            self.shown_at = *at;
        }
        self.played += 1;
        Some(self.shown_at)
    }

    /// Waits for an entry that has not been played; false when the time is up or none can come.
    fn await_entry(&mut self, until: Instant) -> bool {
        loop {
            let (played, held) = (self.played, self.slave.is_some());
            let news = self.recorder.wait(until, |tape| {
                if tape.entries.len() > played {
                    Some(News::Entry)
                } else if tape.closed {
                    Some(News::Nothing)
                } else {
                    (held && tape.ended.is_some()).then_some(News::Ended)
                }
            });
            match news {
                Some(News::Entry) => return true,
                Some(News::Ended) => self.drain(),
                Some(News::Nothing) | None => return false,
            }
        }
    }

    fn unmet(&self, what: &str, deadline: Duration) -> Failure {
        let ended = match &self.recorder.lock().ended {
            Some((_, Ok(status))) => format!("; the program has ended: {status}"),
            Some((_, Err(cause))) => format!("; the program is lost: {cause}"),
            None => String::new(),
        };
        Failure { what: format!("{what} within {deadline:?}{ended}"), screen: Some(self.screen.text()) }
    }
}
