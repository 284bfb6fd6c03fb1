//! How a command went, as scripts see it.

use std::process::ExitCode;

use crate::domain::Verdict;

/// The outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked for.
    Success,
    /// It did not, or (`doctor`) something does not work.
    Failure,
    /// The box was judged.
    Verdict(Verdict),
    /// It would change something, and nothing may be changed.
    Refused,
    /// The arguments mean nothing, or there is no terminal.
    Usage,
    /// The config cannot be used.
    Config,
}

impl Exit {
    /// The number that the shell sees; 64 and 78 are those of `sysexits.h`.
    pub fn code(self) -> u8 {
        match self {
            Self::Success | Self::Verdict(Verdict::Well) => 0,
            Self::Failure | Self::Verdict(Verdict::Warning) => 1,
            Self::Verdict(Verdict::Critical) => 2,
            Self::Verdict(Verdict::Unknown) => 3,
            Self::Refused => 4,
            Self::Usage => 64,
            Self::Config => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
