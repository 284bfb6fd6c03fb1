//! What is measured and beside what: the options, and the server that never answers.

use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::docker::Fleet;

/// Ports on which inference servers are usually found; a hung one takes the first that is free.
const USUAL_PORTS: [u16; 4] = [11_434, 8000, 8080, 30_000];

/// Measures hostler as a whole process over a pty of 160x48: start, CPU, memory, terminal, keys, exits.
#[derive(Parser)]
#[command(name = "whole")]
pub(crate) struct Options {
    /// Containers to run on the engine that `HOSTLER_TEST_DOCKER` names
    #[arg(long, default_value_t = 0, value_name = "N")]
    containers: usize,
    /// How many of them write log lines
    #[arg(long, default_value_t = 0, value_name = "N")]
    loggers: usize,
    /// Lines a second of each of these
    #[arg(long, default_value_t = 50, value_name = "LINES")]
    rate: u32,
    /// Beside a server on loopback that accepts every connection and never answers, and, where the double of NVIDIA's
    /// library is provided, a driver whose every reading hangs
    #[arg(long)]
    pub(crate) hung: bool,
    /// Beside two GPUs whose readings change every second, through the double of NVIDIA's library
    #[arg(long, conflicts_with = "hung")]
    pub(crate) gpus: bool,
    /// The tab that hostler opens with
    #[arg(long, default_value = "containers")]
    pub(crate) tab: String,
    /// Seconds over which CPU and terminal are measured
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    window: u64,
    /// Seconds a program has to settle before that
    #[arg(long, default_value_t = 4, value_name = "SECONDS")]
    warmup: u64,
    /// Starts of which the median is told
    #[arg(long, default_value_t = 7, value_name = "N")]
    pub(crate) starts: usize,
    /// Keys to press
    #[arg(long, default_value_t = 60, value_name = "N")]
    pub(crate) presses: usize,
    /// The keys, in turn: names such as Down, Tab, 1 [default: by tab]
    #[arg(long, value_delimiter = ',', value_name = "KEY,…")]
    keys: Vec<String>,
    /// Also the recorder, for two minutes at least
    #[arg(long)]
    pub(crate) record: bool,
    /// Also the peers found on PATH
    #[arg(long)]
    pub(crate) peers: bool,
    /// Also this full-screen program
    #[arg(long, value_name = "COMMAND")]
    pub(crate) program: Vec<String>,
    /// Only the programs with these names
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub(crate) only: Vec<String>,
    /// Also the CPU of these processes, less what they use while nobody looks
    #[arg(long, value_delimiter = ',', value_name = "PID,…")]
    pub(crate) also: Vec<u32>,
    /// What stands on hostler's screen once it shows data of the host (a regular expression)
    #[arg(long, default_value = r"(?i)\bram\s+\d", value_name = "REGEX")]
    pub(crate) frame_text: String,
    /// What stands there once it shows all containers; {n} is their number
    #[arg(long, default_value = r"\b{n}/{n}\b", value_name = "REGEX")]
    pub(crate) all_text: String,
    /// A variable for hostler
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Another hostler than the one just built
    #[arg(long, default_value = env!("CARGO_BIN_EXE_hostler"), value_name = "PATH")]
    pub(crate) bin: PathBuf,
    /// Write the figures to this file too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    /// The containers that are asked for.
    pub(crate) fn fleet(&self) -> Result<Fleet> {
        ensure!(
            self.loggers <= self.containers,
            "--loggers {} are more than --containers {}",
            self.loggers,
            self.containers
        );
        Ok(Fleet { containers: self.containers, loggers: self.loggers, rate: self.rate })
    }

    /// How long CPU and terminal are measured.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs(self.window)
    }

    /// How long a program may settle before that.
    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs(self.warmup)
    }

    /// Keys each of which changes something on the chosen tab.
    pub(crate) fn keys(&self) -> Vec<String> {
        let by_tab: &[&str] = match self.tab.as_str() {
            "containers" => &["Down", "Up"],
            "logs" => &["1", "4"],
            _ => &["2", "1"],
        };
        if self.keys.is_empty() { by_tab.iter().map(|&key| key.to_owned()).collect() } else { self.keys.clone() }
    }

    /// Whether a program of this name is to be measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

/// Listens where an inference server would, takes every connection and answers none; lasts as long as the process.
/// Returns the port.
pub(crate) fn listen_and_hang() -> Result<u16> {
    let bound = USUAL_PORTS.iter().find_map(|&port| TcpListener::bind(("127.0.0.1", port)).ok());
    let listener = match bound {
        Some(listener) => listener,
        None => TcpListener::bind(("127.0.0.1", 0))?,
    };
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let held: Vec<_> = listener.incoming().collect();
        drop(held);
    });
    Ok(port)
}
