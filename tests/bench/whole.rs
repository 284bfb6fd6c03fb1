//! Measures hostler as a whole process over a pty: start, CPU, memory, terminal, keys, exits, and what it costs the
//! Docker engine; with `--peers`, whatever similar programs are installed, in the same run.
//!
//! `cargo bench --bench whole -- --help` lists the options. Containers need a private engine:
//! `tests/run --exec cargo bench --bench whole -- --containers 50 --peers`. Nothing is asserted; the tables are the result.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark starts processes and reads clocks; the gates are for the program"
)]

#[path = "whole/cards.rs"]
mod cards;
#[path = "whole/docker.rs"]
mod docker;
#[path = "whole/image.rs"]
mod image;
#[path = "whole/measure.rs"]
mod measure;
#[path = "whole/peers.rs"]
mod peers;
#[path = "whole/process.rs"]
mod process;
#[path = "../pty/mod.rs"]
mod pty;
#[path = "whole/recorder.rs"]
mod recorder;
#[path = "whole/report.rs"]
mod report;
#[path = "whole/scenario.rs"]
mod scenario;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;

use docker::{ENGINE_VARIABLE, Engine, Fleet, Servers, ServersCpu};
use measure::{Beside, Floor};
use peers::{Place, Subject};
use process::CpuMeter;
use report::{Report, warn};
use scenario::Options;

fn main() -> Result<()> {
    let options = Options::parse();
    let fleet = options.fleet()?;
    let mut left_out = Vec::new();
    let engine = populate(fleet, &mut left_out);
    let folder = tempfile::tempdir()?;
    let nowhere = format!("unix://{}", folder.path().join("no-engine.sock").display());
    let place = Place {
        engine: &engine.as_ref().map_or(nowhere, Engine::address),
        folder: folder.path(),
        containers: engine.as_ref().map_or(0, |_| fleet.containers),
        cards: cards(&options, folder.path(), &mut left_out),
    };
    let scenario = describe(&options, fleet, &place)?;
    let subjects = subjects(&options, &place, &mut left_out)?;
    let period = docker::SHIM_PERIOD;
    if engine.is_some() && !options.window().as_secs().is_multiple_of(period.as_secs()) {
        left_out.push(format!(
            "the shims' CPU is not comparable: they wake every {period:?}, and the window is no multiple of that"
        ));
    }
    let servers = match engine.as_ref().map(Engine::processes).transpose() {
        Ok(servers) => servers,
        Err(why) => {
            left_out.push(format!("CPU of the engine: {why:#}"));
            None
        }
    };
    let (idle, also) = idle(&options, servers.as_ref());
    let beside = Beside { engine: servers.as_ref().map(|servers| (servers, idle)), also: &also };
    let floor = Floor::measure()?;
    let mut programs = Vec::new();
    for subject in &subjects {
        warn(&format!("measuring {} …", subject.name));
        programs.push(measure::measure(subject, &options, &beside));
    }
    let report = Report {
        scenario,
        fleet,
        engine: engine.as_ref().map(|engine| (engine.version.clone(), idle)),
        floor,
        programs,
        left_out,
    };
    println!("{}", report.markdown());
    if options.record {
        warn("measuring the recorder …");
        println!("{}", recorder::measure(&options, &place)?);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The engine with the containers of the scenario; without one, the rest is measured all the same.
fn populate(fleet: Fleet, left_out: &mut Vec<String>) -> Option<Engine> {
    if fleet.containers == 0 && std::env::var_os(ENGINE_VARIABLE).is_none() {
        return None;
    }
    let began = Instant::now();
    let engine = Engine::connect().and_then(|mut engine| {
        engine.fill(fleet, &busybox())?;
        Ok(engine)
    });
    match engine {
        Ok(engine) => {
            warn(&format!("{} containers run after {:.0?}", fleet.containers, began.elapsed()));
            Some(engine)
        }
        Err(why) => {
            left_out.push(format!("everything with containers: {why:#}"));
            None
        }
    }
}

/// The static busybox of the test bed, else the system's.
fn busybox() -> PathBuf {
    std::env::var_os("HOSTLER_TEST_BUSYBOX")
        .map(PathBuf::from)
        .or_else(|| {
            let usual = ["/usr/bin/busybox", "/bin/busybox"];
            usual.into_iter().map(PathBuf::from).find(|path| path.is_file())
        })
        .unwrap_or_else(|| Path::new("busybox").to_owned())
}

/// The double's cards where the scenario wants them; without them, the rest is measured all the same.
fn cards(options: &Options, folder: &Path, left_out: &mut Vec<String>) -> Vec<(&'static str, PathBuf)> {
    if !options.gpus && !options.hung {
        return Vec::new();
    }
    cards::provide(folder, options.hung).unwrap_or_else(|why| {
        left_out.push(format!("GPUs: {why:#}"));
        Vec::new()
    })
}

fn describe(options: &Options, fleet: Fleet, place: &Place<'_>) -> Result<String> {
    let mut parts = vec![format!("tab {}", options.tab)];
    match place.containers {
        0 => parts.push("no containers".to_owned()),
        containers => parts.push(format!("{containers} containers")),
    }
    if place.containers > 0 && fleet.loggers > 0 {
        parts.push(format!("{} of them logging about {} lines/s each", fleet.loggers, fleet.rate));
    }
    match (place.cards.is_empty(), options.hung) {
        (true, _) => {}
        (false, true) => parts.push("two GPUs whose driver hangs".to_owned()),
        (false, false) => parts.push("two GPUs with changing readings".to_owned()),
    }
    if options.hung {
        let port = scenario::listen_and_hang()?;
        parts.push(format!("a server on port {port} that never answers"));
    }
    let window = options.window().as_secs();
    parts.push(format!("window {window} s, {} starts, {} keys", options.starts, options.presses));
    Ok(parts.join("; ") + ".")
}

fn subjects(options: &Options, place: &Place<'_>, left_out: &mut Vec<String>) -> Result<Vec<Subject>> {
    let mut subjects = vec![peers::hostler(options, place)?];
    if options.peers {
        let (found, missing) = peers::peers(place)?;
        subjects.extend(found);
        left_out.extend(missing);
    }
    subjects.retain(|subject| options.wants(&subject.name));
    for command in &options.program {
        subjects.push(peers::other(command, place)?);
    }
    Ok(subjects)
}

/// What the engine and the other processes use while no program is measured, over as long a window.
fn idle(options: &Options, servers: Option<&Servers>) -> (ServersCpu, Vec<(u32, f64)>) {
    if servers.is_none() && options.also.is_empty() {
        return (ServersCpu::default(), Vec::new());
    }
    let also: Vec<_> = options.also.iter().map(|&pid| (pid, CpuMeter::start(&[pid]))).collect();
    let meter = servers.map(Servers::meter);
    let began = Instant::now();
    pass(options.window());
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / began.elapsed().as_secs_f64();
    let also = also.into_iter().map(|(pid, meter)| (pid, percent(meter.used(&[pid])))).collect();
    (meter.map_or_else(ServersCpu::default, docker::ServersMeter::stop), also)
}

/// Lets time pass: an idle window has no event to wait for.
fn pass(time: Duration) {
    std::thread::sleep(time);
}
