//! The way out to the terminal: past standard output's line buffer, and without waiting.
//!
//! Standard output is shared with the shell, so it must not be told to never block. The terminal is opened once more
//! instead; where that may not be done (after `su`, in a container without the device), writing may wait as it always
//! did.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, write};
use rustix::stdio::stdout;
use rustix::termios::ttyname;

/// Where output goes.
pub(super) struct Outlet(Option<OwnedFd>);

/// How long the terminal may take nothing at all when it is left, before it is left as it is.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl Outlet {
    /// The terminal of standard output.
    pub(super) fn open() -> Self {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let name = ttyname(stdout(), Vec::new());
        Self(name.and_then(|name| open(&name, flags, Mode::empty())).ok())
    }

    fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_ref().map_or_else(|| stdout(), AsFd::as_fd)
    }

    /// Writes as much as the terminal takes now, and returns how much that was.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let out = self.handle();
        let mut sent = 0;
        while sent < bytes.len() {
            match write(out, &bytes[sent..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => sent += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Writes everything, as long as the terminal keeps taking it.
    pub(super) fn write_soon(&self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            bytes = &bytes[self.write(bytes)?..];
            if bytes.is_empty() {
                return Ok(());
            }
            let out = self.handle();
            if poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&PATIENCE))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}
