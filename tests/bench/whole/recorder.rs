//! The recorder beside the same box: what it costs while nobody looks.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::peers::Place;
use crate::process::{CpuMeter, holdings};
use crate::scenario::Options;

/// Every source has answered, and what is read once was read.
const WARMUP: Duration = Duration::from_secs(30);

/// Lets it record for the window, and tells what it used.
pub(crate) fn measure(options: &Options, place: &Place<'_>) -> Result<String> {
    let state = place.folder.join("recorded");
    let mut command = Command::new(&options.bin);
    command.args(["record", "--state-dir"]).arg(&state);
    command.env("DOCKER_HOST", place.engine).envs(place.cards.iter().map(|(name, path)| (name, path)));
    command.env("XDG_CONFIG_HOME", place.folder).stdin(Stdio::null()).stderr(Stdio::null());
    let mut recorder = command.spawn().context("the recorder cannot be started")?;
    let pids = [recorder.id()];
    sleep(WARMUP);
    let window = options.window().max(Duration::from_mins(2));
    let mut meter = CpuMeter::start(&pids);
    for _ in 0..window.as_secs() {
        sleep(Duration::from_secs(1));
        meter.sample(&pids);
    }
    let used = meter.used(&pids).as_secs_f64() / window.as_secs_f64() * 100.0;
    let held = holdings(&pids);
    kill_process(Pid::from_child(&recorder), Signal::TERM)?;
    ensure!(recorder.wait()?.success(), "the recorder did not end well");
    let bytes = state.join("history.sqlite").metadata().map_or(0, |file| file.len());
    Ok(format!(
        "hostler record, {} containers, {} s: {used:.2} % of a core (aim 0.5), {:.1} MiB resident, {:.1} at most (aim 40), {} KiB on disk\n",
        place.containers,
        window.as_secs(),
        held.rss_mib,
        held.peak_rss_mib,
        bytes / 1_024
    ))
}
