//! Other programs, started without a shell: small ones that are asked one question and heard out within bounds ([`ask`], and
//! [`give`] for those of the operator), and those whose lines are handed on as they come ([`Running`]).
//!
//! A program that is given up is killed, with what it started. None of them may take the terminal, so what would lead it there is taken out of
//! its environment.

#![expect(clippy::disallowed_types, reason = "the one place that runs other programs")]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::foreign;
use crate::domain::units;

/// The most that is read of what a program writes to each of its two outputs, bytes.
const OUTPUT_BYTES: u64 = 64 << 10;

/// The longest line that is handed on, bytes.
const LINE_BYTES: usize = 500;
/// What is longer without an end is taken for a line, bytes.
const UNENDED_BYTES: usize = 8 << 10;
/// So long after the end of a program its last words may come. What it started may keep its output open for good.
const GRACE: Duration = Duration::from_secs(1);

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
pub enum ExecError {
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
    command.args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (mut child, mut group) = start(command)?;
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

/// Starts `argv` in the root folder with these variables beside those of this process, gives it `input`, and waits for its
/// end. What it leaves running holds nobody up.
///
/// # Errors
/// When it cannot be started, is not done within `patience`, or does not end with 0: then with the last line that it wrote.
pub async fn give<'a>(
    argv: &[String],
    env: impl IntoIterator<Item = (&'a str, &'a str)>,
    input: Vec<u8>,
    patience: Duration,
) -> Result<(), ExecError> {
    let mut running = Running::begin(argv, env, Stdio::piped(), patience)?;
    if let Some(mut stdin) = running.child.stdin.take() {
        // One that does not read what it is given may do its work all the same.
        tokio::spawn(async move { drop(stdin.write_all(&input).await) });
    }
    let mut last = None;
    while let Some(line) = running.line().await? {
        last = Some(line);
    }
    match running.end().await? {
        0 => Ok(()),
        status => {
            Err(ExecError::Failed(last.map_or_else(String::new, |last| last + ", ") + &format!("status {status}")))
        }
    }
}

/// Starts a program in a group of its own. Its ends of pipes are closed here.
fn start(mut command: Command) -> Result<(Child, Group), ExecError> {
    // What `pass` and its like ask for a passphrase must not draw over the screen.
    command.env_remove("GPG_TTY").env_remove("TTY").process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ExecError::Missing,
        kind => ExecError::Failed(kind.to_string()),
    })?;
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    Ok((child, group))
}

/// A program that runs, and what it writes. Dropping it kills it with what it started, unless it has ended.
pub struct Running {
    child: Child,
    group: Group,
    /// Both its outputs, until their end.
    output: Option<pipe::Receiver>,
    /// What was read and is no line yet.
    written: Vec<u8>,
    status: Option<ExitStatus>,
    patience: Duration,
    /// When it is given up; once it has ended, its output.
    until: Instant,
}

impl Running {
    /// Starts `argv` in the root folder, with these variables beside those of this process, for so long at most.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be started.
    pub fn start<'a>(
        argv: &[String],
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
        patience: Duration,
    ) -> Result<Self, ExecError> {
        Self::begin(argv, env, Stdio::null(), patience)
    }

    fn begin<'a>(
        argv: &[String],
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
        stdin: Stdio,
        patience: Duration,
    ) -> Result<Self, ExecError> {
        let (program, words) = argv.split_first().ok_or(ExecError::Missing)?;
        let failed = |error: io::Error| ExecError::Failed(error.kind().to_string());
        // One pipe for both, so that lines keep their order.
        let (reader, writer) = io::pipe().map_err(failed)?;
        let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
        let mut command = Command::new(program);
        command.args(words).envs(env).current_dir("/").stdin(stdin);
        command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
        let (child, group) = start(command)?;
        let until = Instant::now() + patience;
        Ok(Self { child, group, output: Some(output), written: Vec::new(), status: None, patience, until })
    }

    /// The next line that says something, harmless and bounded; `None` when there will be none.
    ///
    /// # Errors
    /// When its time is over.
    pub async fn line(&mut self) -> Result<Option<String>, ExecError> {
        loop {
            if let Some(line) = self.take_line() {
                return Ok(Some(line));
            }
            let Some(output) = &mut self.output else { return Ok(None) };
            tokio::select! {
                read = output.read_buf(&mut self.written) => {
                    if !matches!(read, Ok(1..)) {
                        self.output = None;
                    }
                }
                status = self.child.wait(), if self.status.is_none() => self.ended(status)?,
                () = sleep_until(self.until) => {
                    if self.status.is_none() {
                        return Err(ExecError::Late(self.patience));
                    }
                    self.output = None;
                }
            }
        }
    }

    /// Waits for its end, and gives its exit status.
    ///
    /// # Errors
    /// When its time is over, or a signal ended it.
    pub async fn end(mut self) -> Result<i32, ExecError> {
        if self.status.is_none() {
            let late = |_| ExecError::Late(self.patience);
            let status = timeout_at(self.until, self.child.wait()).await.map_err(late)?;
            self.ended(status)?;
        }
        let signal = || self.status.and_then(|status| status.signal()).unwrap_or_default();
        let killed = || ExecError::Failed(format!("signal {} ended it", signal()));
        self.status.and_then(|status| status.code()).ok_or_else(killed)
    }

    fn ended(&mut self, status: io::Result<ExitStatus>) -> Result<(), ExecError> {
        self.status = Some(status.map_err(|error| ExecError::Failed(error.kind().to_string()))?);
        // It is reaped, and its number may be another one's.
        self.group.0 = None;
        self.until = Instant::now() + GRACE;
        Ok(())
    }

    /// Takes the first line that says something out of what was read. A progress bar's returns end lines, too.
    fn take_line(&mut self) -> Option<String> {
        loop {
            let end = self.written.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let whole = self.written.len() >= UNENDED_BYTES || (self.output.is_none() && !self.written.is_empty());
            let end = end.or_else(|| whole.then_some(self.written.len()))?;
            let line = foreign::clean_bytes(&self.written[..end], LINE_BYTES).trim_end().to_owned();
            self.written.drain(..(end + 1).min(self.written.len()));
            if !line.is_empty() {
                return Some(line);
            }
        }
    }
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
    fn a_program_is_given_what_it_is_to_know() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let give_shell = |script: &str, patience| {
            let argv = ["sh", "-c", script].map(str::to_owned);
            runtime.block_on(give(&argv, [("MINE", "yes")], b"facts\n".to_vec(), patience))
        };
        let patience = Duration::from_secs(20);
        assert_eq!(give_shell("read it; test \"$it $MINE $(pwd)\" = 'facts yes /'", patience), Ok(()));
        let failed = |why: &str| Err(ExecError::Failed(why.to_owned()));
        assert_eq!(
            give_shell("echo one >&2; printf '\\033[31mtwo\\n\\n' >&2; exit 3", patience),
            failed("two, status 3")
        );
        assert_eq!(give_shell("exit 3", patience), failed("status 3"));
        assert_eq!(give_shell("sleep 30 & exit 0", patience), Ok(()));
        let short = Duration::from_millis(300);
        assert_eq!(give_shell("sleep 30", short), Err(ExecError::Late(short)));
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

    /// Lines and exit status of a shell's script.
    fn run_shell(script: &str, patience: Duration) -> (Vec<String>, Result<i32, ExecError>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let argv = ["sh", "-c", script].map(str::to_owned);
            let mut running = Running::start(&argv, [("MINE", "yes")], patience).unwrap();
            let mut lines = Vec::new();
            loop {
                match running.line().await {
                    Ok(Some(line)) => lines.push(line),
                    Ok(None) => return (lines, running.end().await),
                    Err(error) => return (lines, Err(error)),
                }
            }
        })
    }

    #[test]
    fn lines_come_in_their_order_and_harmless() {
        let patience = Duration::from_secs(20);
        let script = "pwd; echo a$MINE >&2; printf '\\033[31mred\\033[0m\\r50%%\\r\\n'; echo; printf last; exit 3";
        let (lines, ended) = run_shell(script, patience);
        assert_eq!(lines, ["/", "ayes", "red", "50%", "last"]);
        assert_eq!(ended, Ok(3));
        let (lines, ended) = run_shell("head -c 20000 /dev/zero | tr '\\0' x", patience);
        assert!(lines.len() >= 2 && lines.iter().all(|line| line.len() <= LINE_BYTES), "{}", lines.len());
        assert_eq!(ended, Ok(0));
        let (_, ended) = run_shell("kill -9 $$", patience);
        assert_eq!(ended, Err(ExecError::Failed("signal 9 ended it".to_owned())));
    }

    #[test]
    fn what_is_left_running_holds_nobody_up() {
        let began = Instant::now();
        let (lines, ended) = run_shell("sleep 30 & echo started", Duration::from_secs(20));
        assert_eq!((lines, ended), (vec!["started".to_owned()], Ok(0)));
        assert!(began.elapsed() < Duration::from_secs(15));
        let (lines, ended) = run_shell("exec >/dev/null 2>&1; sleep 30", Duration::from_millis(300));
        assert_eq!((lines, ended), (Vec::new(), Err(ExecError::Late(Duration::from_millis(300)))));
        let (lines, ended) = run_shell("echo begun; sleep 30", Duration::from_millis(500));
        assert_eq!((lines, ended), (vec!["begun".to_owned()], Err(ExecError::Late(Duration::from_millis(500)))));
    }

    #[test]
    fn a_program_that_is_not_there_is_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(ask("no-such-program-here", &[], b"", Duration::from_secs(1)));
        assert_eq!(asked.err(), Some(ExecError::Missing));
    }
}
