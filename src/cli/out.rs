//! Standard output and standard error. A reader who has gone away is no failure.

use std::io::{self, IsTerminal, Write};

/// Writes the answer.
///
/// # Errors
/// When it cannot be written for another reason than that nobody reads it any more.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a warning or an error, as far as there is somewhere to write it to.
pub(super) fn complain(text: &str) {
    drop(writeln!(io::stderr().lock(), "{}", text.trim_end()));
}

/// Whether a person reads along.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}
