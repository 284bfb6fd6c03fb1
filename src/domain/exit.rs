//! How a run of a container ended, and what its exit code says.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Exit {
    /// The exit code; 128 + n for signal n.
    pub code: i64,
    /// The kernel killed it for memory.
    pub oom_killed: bool,
    /// When.
    pub at: Option<Timestamp>,
}

impl Exit {
    /// What the code says, in words; `None` where it says no more than that something failed, or succeeded.
    pub fn words(&self) -> Option<Cow<'static, str>> {
        let number = self.code - 128;
        Some(match self.code {
            _ if self.oom_killed => "OOM-killed".into(),
            // The conventions of sysexits.h; what else a program means by them, it must say itself.
            64 => "wrong usage, by convention".into(),
            65 => "wrong input, by convention".into(),
            66 => "input missing, by convention".into(),
            69 => "something it needs is unavailable, by convention".into(),
            70 => "internal error, by convention".into(),
            73 => "cannot create a file, by convention".into(),
            74 => "input or output error, by convention".into(),
            77 => "permission denied, by convention".into(),
            78 => "wrong configuration, by convention".into(),
            126 => "not executable".into(),
            127 => "command not found".into(),
            129..=192 => match signal(number) {
                Some((name, "")) => name.into(),
                Some((name, words)) => format!("{words}, {name}").into(),
                None => format!("signal {number}").into(),
            },
            _ => return None,
        })
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}", self.code)?;
        self.words().map_or(Ok(()), |words| write!(f, " ({words})"))
    }
}

/// The name of a signal on Linux (x86, ARM), and what it means to the process that it ended.
fn signal(number: i64) -> Option<(&'static str, &'static str)> {
    Some(match number {
        1 => ("SIGHUP", "hung up"),
        2 => ("SIGINT", "interrupted"),
        3 => ("SIGQUIT", "asked to quit"),
        4 => ("SIGILL", "illegal instruction"),
        5 => ("SIGTRAP", "trace trap"),
        6 => ("SIGABRT", "aborted"),
        7 => ("SIGBUS", "bus error"),
        8 => ("SIGFPE", "arithmetic error"),
        9 => ("SIGKILL", "killed"),
        10 => ("SIGUSR1", ""),
        11 => ("SIGSEGV", "segmentation fault"),
        12 => ("SIGUSR2", ""),
        13 => ("SIGPIPE", "broken pipe"),
        14 => ("SIGALRM", "alarm clock"),
        15 => ("SIGTERM", "asked to end"),
        24 => ("SIGXCPU", "limit of processor time"),
        25 => ("SIGXFSZ", "limit of file size"),
        31 => ("SIGSYS", "forbidden system call"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_told_in_words() {
        let exit = |code| Exit { code, oom_killed: false, at: None }.to_string();
        for (code, text) in [
            (0, "exit code 0"),
            (1, "exit code 1"),
            (3, "exit code 3"),
            (78, "exit code 78 (wrong configuration, by convention)"),
            (126, "exit code 126 (not executable)"),
            (127, "exit code 127 (command not found)"),
            (128, "exit code 128"),
            (130, "exit code 130 (interrupted, SIGINT)"),
            (134, "exit code 134 (aborted, SIGABRT)"),
            (137, "exit code 137 (killed, SIGKILL)"),
            (138, "exit code 138 (SIGUSR1)"),
            (139, "exit code 139 (segmentation fault, SIGSEGV)"),
            (143, "exit code 143 (asked to end, SIGTERM)"),
            (162, "exit code 162 (signal 34)"),
            (255, "exit code 255"),
            (-1, "exit code -1"),
        ] {
            assert_eq!(exit(code), text);
        }
    }

    #[test]
    fn a_kill_for_memory_goes_before_the_signal() {
        let exit = Exit { code: 137, oom_killed: true, at: None };
        assert_eq!(exit.to_string(), "exit code 137 (OOM-killed)");
    }
}
