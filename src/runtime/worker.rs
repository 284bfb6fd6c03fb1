//! The worker of a run: hostler without a screen, in a session of its own, that carries out one plan and ends.
//!
//! Whoever asks (a key, a command) starts one, hears the run's id from it, and follows the run's file. So there is one way
//! in which anything is changed, and a lost link loses nothing.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};

use rustix::process::setsid;
use tokio::task::LocalSet;

use super::{Setup, async_runtime, diagnostics};
use crate::actions::{Desk, Runner, Start};
use crate::domain::{Outcome, Plan};
use crate::host::{Ports, spawn};

/// The most that is read of a plan, bytes.
const PLAN_BYTES: u64 = 16 << 20;

/// What a worker is started for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// To carry out a plan.
    Plan(Box<Plan>),
    /// To finish what a worker that died left undone.
    Finish(String),
    /// To take back what a run did.
    TakeBack(String),
}

impl Setup {
    /// What planning and running may use.
    pub fn desk(&self) -> Desk {
        let endpoint = self.config.sources.docker_endpoint.clone();
        let desk = Desk::new(Ports::new(&self.rootfs), self.state_dir.clone(), self.config.actions.clone(), endpoint);
        let sources = &self.config.sources;
        let desk = desk.protecting(sources.protected.clone()).nvml_library(sources.nvml_library.clone());
        desk.engines(&sources.engine_endpoints).model_folders(sources.library.folders.clone())
    }

    /// The arguments that make another hostler see the same box and the same store.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["--rootfs".into(), self.rootfs.clone().into()];
        if let Some(path) = self.state_dir.path() {
            arguments.extend(["--state-dir".into(), path.into()]);
        }
        if let Some(path) = &self.config.path {
            arguments.extend(["--config".into(), path.into()]);
        }
        arguments
    }
}

/// Starts a worker and gives the run's id.
///
/// # Errors
/// Why it did not begin, in a sentence.
pub async fn start(setup: &Setup, order: Order) -> Result<String, String> {
    if setup.demo {
        return Err("a demo changes nothing".to_owned());
    }
    let mut arguments = setup.arguments();
    arguments.push("work".into());
    let mut input = Vec::new();
    match order {
        Order::Plan(plan) => input = serde_json::to_vec(&plan).map_err(|error| error.to_string())?,
        Order::Finish(run) => arguments.extend(["--finish".into(), run.into()]),
        Order::TakeBack(run) => arguments.extend(["--take-back".into(), run.into()]),
    }
    let line = spawn::worker(arguments, input).await.map_err(|error| format!("no worker could be started: {error}"))?;
    line.strip_prefix("run ").map(str::to_owned).ok_or(line)
}

/// Does a worker's work: says the run's id on standard output, lets go of its terminal, and carries the run out.
///
/// # Errors
/// When the plan cannot be read or the async runtime cannot be started. What goes wrong in the run stands in its file.
pub fn work(setup: &Setup, finish: Option<String>, take_back: Option<String>) -> anyhow::Result<Outcome> {
    let start = match (finish, take_back) {
        (Some(run), _) => Start::Finish(run),
        (None, Some(run)) => Start::TakeBack(run),
        (None, None) => {
            let mut text = Vec::new();
            io::stdin().take(PLAN_BYTES).read_to_end(&mut text)?;
            Start::Plan(serde_json::from_slice(&text)?)
        }
    };
    // A worker that was started by hand leads its session already.
    let _leads_already = setsid();
    let _diagnostics = diagnostics::begin(&setup.state_dir);
    let runtime = async_runtime()?;
    LocalSet::new().block_on(&runtime, async {
        let desk = setup.desk();
        let runner = match Runner::begin(&desk, start) {
            Ok(runner) => runner,
            Err(error) => {
                writeln!(io::stdout(), "{error}")?;
                return Ok(Outcome::Failed);
            }
        };
        writeln!(io::stdout(), "run {}", runner.id())?;
        let_go()?;
        // Whoever asked may hang up; the run goes on.
        let _hang_up = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
        let _interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
        Ok(runner.work().await)
    })
}

/// Gives standard input and output back, so that nobody waits for this process.
fn let_go() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    Ok(())
}
