//! The terminal: taken at the start, left as it was at the end, whatever the end is.
//!
//! A frame is drawn into a buffer, compared with the one before, and only changed cells are sent, in one write, as one
//! synchronized update. A frame without changes sends nothing at all.

use std::io;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::style::{Attribute, ResetColor, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{Command, queue};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};

use crate::ui::canvas::Hits;

/// The terminal while it is ours.
pub struct Terminal {
    shown: Buffer,
    drawn: Buffer,
    out: Vec<u8>,
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
        enable_raw_mode()?;
        let size = Self::size();
        let area = Rect { x: 0, y: 0, width: size.width, height: size.height };
        let mut terminal =
            Self { shown: Buffer::empty(area), drawn: Buffer::empty(area), out: Vec::with_capacity(16 << 10), mouse, unknown: false };
        queue!(terminal.out, EnterAlternateScreen, EnableBracketedPaste, Hide, Clear(ClearType::All))?;
        if mouse {
            queue!(terminal.out, EnableMouseCapture)?;
        }
        terminal.send()?;
        Ok(terminal)
    }

    /// The size that the terminal says it has; 80 × 24 if it says none.
    pub fn size() -> Size {
        match crossterm::terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => Size { width, height },
            _ => Size { width: 80, height: 24 },
        }
    }

    /// Takes a new size; the next frame is sent whole.
    pub fn resize(&mut self, size: Size) {
        let area = Rect { x: 0, y: 0, width: size.width, height: size.height };
        self.shown = Buffer::empty(area);
        self.drawn = Buffer::empty(area);
        self.unknown = true;
    }

    /// Draws a frame and sends what changed. Returns where clicks land, and whether anything was sent.
    ///
    /// # Errors
    /// When the terminal cannot be written to: it is gone.
    pub fn draw(&mut self, view: impl FnOnce(&mut Buffer) -> Hits) -> io::Result<(Hits, bool)> {
        self.drawn.reset();
        let hits = view(&mut self.drawn);
        let changed = self.shown.diff(&self.drawn);
        if changed.is_empty() && !self.unknown {
            return Ok((hits, false));
        }
        queue!(self.out, BeginSynchronizedUpdate)?;
        if self.unknown {
            queue!(self.out, ResetColor, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
            self.unknown = false;
        }
        CrosstermBackend::new(&mut self.out).draw(changed.into_iter())?;
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
        if on { queue!(self.out, EnableMouseCapture)? } else { queue!(self.out, DisableMouseCapture)? }
        self.send()
    }

    /// Puts a text into the clipboard of the terminal (OSC 52), through tmux and screen if they are between.
    ///
    /// # Errors
    /// When the text is longer than terminals accept, or the terminal cannot be written to.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        // xterm and tmux refuse longer ones; k9s uses the same limit.
        const MOST: usize = 74_994;
        if text.len() > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} bytes are more than a terminal's clipboard takes ({MOST})", text.len())));
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
        restore()
    }

    /// Takes the terminal again after [`Terminal::suspend`].
    ///
    /// # Errors
    /// When it cannot be put into raw mode or written to.
    pub fn resume(&mut self) -> io::Result<()> {
        *self = Self::enter(self.mouse)?;
        self.unknown = true;
        Ok(())
    }

    fn send(&mut self) -> io::Result<()> {
        let result = write_all(&self.out);
        self.out.clear();
        result
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody could be told: the terminal may be gone, which is why we leave.
        let _gone = restore();
    }
}

/// Leaves the alternate screen and raw mode. Bears being called twice, and without a terminal.
///
/// # Errors
/// When the terminal cannot be written to.
pub fn restore() -> io::Result<()> {
    let mut out = Vec::new();
    queue!(out, EndSynchronizedUpdate, DisableMouseCapture, DisableBracketedPaste, SetAttribute(Attribute::Reset), ResetColor)?;
    queue!(out, LeaveAlternateScreen, Show)?;
    let written = write_all(&out);
    disable_raw_mode()?;
    written
}

/// Makes a panic leave the terminal first, so that its message can be read.
pub fn restore_on_panic() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let _gone = restore();
        next(info);
    }));
}

/// Writes to standard output past its line buffer, in as few calls as the terminal allows.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    let out = rustix::stdio::stdout();
    while !bytes.is_empty() {
        match rustix::io::write(out, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let mut wait = [rustix::event::PollFd::new(&out, rustix::event::PollFlags::OUT)];
                rustix::event::poll(&mut wait, None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
