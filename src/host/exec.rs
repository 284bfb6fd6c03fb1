//! Small programs that are asked one question: started without a shell, given a text, and heard out within bounds.
//!
//! A program that is given up is killed, with what it started. None of them may take the terminal, so what would lead it there is taken out of
//! its environment.

#![expect(clippy::disallowed_types, reason = "the one place that asks other programs")]

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

use crate::domain::units;

/// The most that is read of what a program writes to each of its two outputs, bytes.
const OUTPUT_BYTES: u64 = 64 << 10;

/// What a program wrote, and how it ended.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// It ended with 0.
    pub(super) success: bool,
    /// Its standard output. It may hold a secret.
    pub(super) output: Vec<u8>,
    /// Its standard error.
    pub(super) errors: Vec<u8>,
}

/// Why a program said nothing that could be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExecError {
    /// There is no such program on the path.
    #[error("there is no such program")]
    Missing,
    /// It could not be started, or broke off.
    #[error("{0}")]
    Failed(String),
    /// It did not end in this time, and was killed.
    #[error("no answer within {}", units::span(*.0))]
    Late(Duration),
    /// It wrote more than any answer holds, and was killed.
    #[error("its answer is larger than {}", units::bytes(OUTPUT_BYTES))]
    TooLong,
}

/// Starts `program`, gives it `input`, and hears it out. Dropping the future kills it.
///
/// # Errors
/// When it cannot be started, is not done within `patience`, or does not stop to write.
pub(super) async fn ask(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    patience: Duration,
) -> Result<Told, ExecError> {
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // What `pass` and its like ask for a passphrase must not draw over the screen.
    command.env_remove("GPG_TTY").env_remove("TTY").process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ExecError::Missing,
        kind => ExecError::Failed(kind.to_string()),
    })?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let hear = async {
        let give = async {
            if let Some(mut stdin) = stdin {
                // One that does not read its question may answer all the same.
                let _unread = stdin.write_all(input).await;
            }
            Ok(())
        };
        let ((), output, errors) = tokio::try_join!(give, whole(stdout), whole(stderr))?;
        let status = child.wait().await.map_err(|error| ExecError::Failed(error.kind().to_string()))?;
        // It is reaped, and its number may be another one's.
        group.0 = None;
        Ok(Told { success: status.success(), output, errors })
    };
    timeout(patience, hear).await.unwrap_or(Err(ExecError::Late(patience)))
}

/// A program and what it started: killed when this is dropped before the program has said everything.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // One that has ended already needs no signal.
            let _ended = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Everything that comes, as far as it is no more than an answer.
async fn whole(from: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, ExecError> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let read = from.take(OUTPUT_BYTES + 1).read_to_end(&mut bytes).await;
        read.map_err(|error| ExecError::Failed(error.kind().to_string()))?;
    }
    if bytes.len() as u64 > OUTPUT_BYTES { Err(ExecError::TooLong) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask_shell(script: &str, patience: Duration) -> Result<Told, ExecError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(ask("sh", &["-c", script], b"question\n", patience))
    }

    #[test]
    fn a_program_is_heard_out() {
        let patience = Duration::from_secs(20);
        let told = ask_shell("read it; echo \"$it?\"; echo no >&2; exit 3", patience).unwrap();
        assert_eq!((told.success, &*told.output, &*told.errors), (false, &b"question?\n"[..], &b"no\n"[..]));
        // It may answer without having read.
        assert!(ask_shell("exec 0<&-; echo yes", patience).unwrap().success);
        assert_eq!(ask_shell("yes", patience).err(), Some(ExecError::TooLong));
    }

    #[test]
    fn a_program_that_hangs_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());
        assert!(matches!(ask_shell(&script, Duration::from_millis(500)), Err(ExecError::Late(_))));
        let stat = format!("/proc/{}/stat", std::fs::read_to_string(pid_file).unwrap().trim());
        // Killed, it may still wait to be reaped.
        let runs = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
        assert!((0..500).any(|_| {
            std::thread::park_timeout(Duration::from_millis(20));
            !runs()
        }));
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(ask("no-such-program-here", &[], b"", Duration::from_secs(1)));
        assert_eq!(asked.err(), Some(ExecError::Missing));
    }
}
