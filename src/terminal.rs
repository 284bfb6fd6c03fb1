//! The terminal: taken at the start, left as it was at the end, whatever the end is.
//!
//! A frame is drawn into a buffer, compared with the one before, and only changed cells are sent, in one write, as one
//! synchronized update. A frame without changes sends nothing at all. While the terminal takes nothing (a link that
//! hangs), the rest of the frame waits here and no other one is drawn; whoever draws is never held up.

mod cells;
mod outlet;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::style::{Attribute, ResetColor, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, queue};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::stdin;

use crate::ui::canvas::Hits;
use outlet::Outlet;

/// Whether the terminal is ours, so that it has to be given back, and only once: leaving the alternate screen a second
/// time would put the cursor where it was before, above what was written since.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours.
pub struct Terminal {
    shown: Buffer,
    drawn: Buffer,
    /// What has not been sent yet.
    out: Vec<u8>,
    outlet: Outlet,
    mouse: bool,
    /// Everything must be sent: nothing is known of what the terminal shows.
    unknown: bool,
}

/// Whether standard input and output are a terminal.
pub fn is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdin()) && rustix::termios::isatty(rustix::stdio::stdout())
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// When it cannot be put into raw mode or written to.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let empty = Buffer::empty(whole(Self::size()));
        let (out, outlet) = (Vec::with_capacity(16 << 10), Outlet::open());
        let mut terminal = Self { shown: empty.clone(), drawn: empty, out, outlet, mouse, unknown: false };
        terminal.take()?;
        Ok(terminal)
    }

    fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Release);
        queue!(self.out, EnterAlternateScreen, EnableBracketedPaste, Hide, Clear(ClearType::All))?;
        if self.mouse {
            queue!(self.out, EnableMouseCapture)?;
        }
        self.send()
    }

    /// The size that the terminal says it has; 80 × 24 if it says none.
    pub fn size() -> Size {
        match crossterm::terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => Size { width, height },
            _ => Size { width: 80, height: 24 },
        }
    }

    /// Whether the terminal was closed. Whoever reads keys of one that was finds no end of nothing.
    pub fn is_closed() -> bool {
        let stdin = stdin();
        let mut looked = [PollFd::new(&stdin, PollFlags::empty())];
        let answered = poll(&mut looked, Some(&Timespec::default())).is_ok_and(|count| count > 0);
        answered && looked[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
    }

    /// Takes a new size; the next frame is sent whole.
    pub fn resize(&mut self, size: Size) {
        self.shown = Buffer::empty(whole(size));
        self.drawn = Buffer::empty(whole(size));
        self.unknown = true;
    }

    /// Whether it draws for this size.
    pub fn fits(&self, size: Size) -> bool {
        self.shown.area == whole(size)
    }

    /// Whether a part of what was drawn still waits for the terminal. Nothing else should be drawn meanwhile.
    pub fn is_behind(&self) -> bool {
        !self.out.is_empty()
    }

    /// Sends what waits, as far as the terminal takes it now.
    ///
    /// # Errors
    /// When the terminal cannot be written to: it is gone.
    pub fn send(&mut self) -> io::Result<()> {
        let sent = self.outlet.write(&self.out);
        // What cannot be sent because the terminal is gone need not wait.
        self.out.drain(..*sent.as_ref().unwrap_or(&self.out.len()));
        sent.map(drop)
    }

    /// Draws a frame and sends what changed. Returns where clicks land, and whether anything was sent.
    ///
    /// # Errors
    /// When the terminal cannot be written to: it is gone.
    pub fn draw(&mut self, view: impl FnOnce(&mut Buffer) -> Hits) -> io::Result<(Hits, bool)> {
        self.drawn.reset();
        let hits = view(&mut self.drawn);
        cells::mend_halves(&mut self.drawn);
        let mut changed = self.shown.diff(&self.drawn);
        if changed.is_empty() && !self.unknown {
            return Ok((hits, false));
        }
        queue!(self.out, BeginSynchronizedUpdate)?;
        if self.unknown {
            queue!(self.out, ResetColor, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
            self.unknown = false;
        } else {
            cells::by_look(&mut changed);
        }
        cells::write(&mut self.out, changed);
        queue!(self.out, EndSynchronizedUpdate)?;
        self.send()?;
        std::mem::swap(&mut self.shown, &mut self.drawn);
        Ok((hits, true))
    }

    /// Takes the mouse, or gives it back to the terminal.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on {
            queue!(self.out, EnableMouseCapture)?;
        } else {
            queue!(self.out, DisableMouseCapture)?;
        }
        self.send()
    }

    /// Puts a text into the clipboard of the terminal (OSC 52), through tmux if it is between.
    ///
    /// # Errors
    /// When the text is longer than terminals accept, or the terminal cannot be written to.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        // xterm and tmux refuse longer ones; k9s uses the same limit.
        const MOST: usize = 74_994;
        if text.len() > MOST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} bytes are more than a terminal's clipboard takes ({MOST})", text.len()),
            ));
        }
        let mut sequence = String::new();
        let copy = crossterm::clipboard::CopyToClipboard::to_clipboard_from(text);
        copy.write_ansi(&mut sequence).map_err(io::Error::other)?;
        if std::env::var_os("TMUX").is_some() {
            // tmux passes a wrapped sequence on (tmux: `allow-passthrough`), and takes the bare one with `set-clipboard on`.
            let wrapped = sequence.replace('\u{1b}', "\u{1b}\u{1b}");
            self.out.extend_from_slice(format!("\u{1b}Ptmux;{wrapped}\u{1b}\\").as_bytes());
        }
        self.out.extend_from_slice(sequence.as_bytes());
        self.send()
    }

    /// Leaves the terminal as it was, for a moment; [`Terminal::resume`] takes it again.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub fn suspend(&mut self) -> io::Result<()> {
        // All is drawn anew when it is taken again.
        self.out.clear();
        restore()
    }

    /// Takes the terminal again after [`Terminal::suspend`], at the size that it has by now.
    ///
    /// # Errors
    /// When it cannot be put into raw mode or written to.
    pub fn resume(&mut self) -> io::Result<()> {
        self.take()?;
        self.resize(Self::size());
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody could be told: the terminal may be gone, which is why we leave.
        let _gone = restore();
    }
}

fn whole(size: Size) -> Rect {
    Rect { x: 0, y: 0, width: size.width, height: size.height }
}

/// Leaves the alternate screen and raw mode. Does nothing where the terminal is not ours (any more).
///
/// # Errors
/// When the terminal cannot be written to.
pub fn restore() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::AcqRel) {
        return Ok(());
    }
    let mut out = Vec::new();
    queue!(
        out,
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        SetAttribute(Attribute::Reset),
        ResetColor
    )?;
    queue!(out, LeaveAlternateScreen, Show)?;
    let written = Outlet::open().write_soon(&out);
    disable_raw_mode()?;
    written
}

/// Makes a panic of the calling thread leave the terminal first, so that its message can be read, and then end the
/// process, even if the panic is one of a task that nobody waits for: what went on drawing would draw over the shell.
/// A panic of another thread costs what that thread reads, and the screen stays as it is.
pub fn restore_on_panic() {
    let next = std::panic::take_hook();
    let face = thread::current().id();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == face {
            let _gone = restore();
            next(info);
            end();
        }
        tracing::error!(panic = %info, "A thread panicked.");
    }));
}

/// The end of a process that panicked, with the exit status that it would have had.
#[expect(clippy::exit, reason = "unwinding could wait for a driver that hangs, and would not get out of a task")]
fn end() -> ! {
    std::process::exit(101)
}
