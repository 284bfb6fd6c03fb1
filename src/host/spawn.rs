//! hostler started again, detached: the worker of a run outlives the screen, the shell and the link that asked for it.

#![expect(clippy::disallowed_types, reason = "the one place that starts hostler again")]

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use tokio::sync::oneshot;

use super::foreign;

/// The most that is kept of what a worker complains of, bytes.
const COMPLAINT_BYTES: u64 = 500;

/// The program that runs now, even if another one was put in its place meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// Where this program lies, for those who start it later.
///
/// # Errors
/// When the system does not tell, or the program was removed or replaced since it was started.
pub fn program() -> io::Result<String> {
    let path = std::env::current_exe()?.into_os_string();
    let path = path.into_string().map_err(|_| io::Error::other("its path is no text"))?;
    if path.ends_with(" (deleted)") {
        Err(io::Error::other("it was replaced while it runs; start it again"))
    } else {
        Ok(path)
    }
}

/// Starts hostler with these arguments, gives it `input`, and hands on the first line that it says: the run's id, or why
/// there is none. The process goes on by itself.
///
/// # Errors
/// When it cannot be started, or ends without a word.
pub async fn worker(arguments: Vec<OsString>, input: Vec<u8>) -> io::Result<String> {
    let (told, line) = oneshot::channel();
    // A thread of its own takes the first line and later the exit status: a child that nobody waits for stays a zombie.
    std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
        let _nobody_waits = tend(arguments, &input, told);
    })?;
    line.await.unwrap_or_else(|_| Err(io::Error::other("the worker could not be started")))
}

/// Runs a program on the terminal until it ends, and gives its exit status; -1 if a signal ended it.
///
/// # Errors
/// When there is no such program, or it cannot be started.
pub fn on_the_terminal(program: &str, arguments: &[&str], docker_host: &str) -> io::Result<i32> {
    let status = Command::new(program).args(arguments).env("DOCKER_HOST", docker_host).status()?;
    Ok(status.code().unwrap_or(-1))
}

/// Why a worker ended before it said anything.
fn complaint(child: &mut Child) -> String {
    let mut bytes = Vec::new();
    let read = child.stderr.take().map(|stderr| stderr.take(COMPLAINT_BYTES).read_to_end(&mut bytes));
    let text = foreign::clean_bytes(&bytes, COMPLAINT_BYTES as usize);
    match (read, text.trim()) {
        (Some(Ok(_)), text) if !text.is_empty() => text.to_owned(),
        _ => "the worker ended without a word".to_owned(),
    }
}

fn tend(arguments: Vec<OsString>, input: &[u8], told: oneshot::Sender<io::Result<String>>) -> io::Result<()> {
    let mut command = Command::new(MYSELF);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            // Whoever asked may have gone.
            drop(told.send(Err(error)));
            return Ok(());
        }
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let said = match line.trim() {
        "" => Err(io::Error::other(complaint(&mut child))),
        line => Ok(line.to_owned()),
    };
    drop(told.send(said));
    child.wait().map(drop)
}
