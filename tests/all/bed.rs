//! The test bed: real components for the tests to meet, each made for one test and gone with it.
//!
//! `tests/run` provides the parts (a private Docker engine, a double of NVIDIA's library, a llama.cpp
//! server and its model) and names them in the environment. A part that is absent is `None` here, and
//! the test that asked for it has been noted as left out: it only has to return.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::Location;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

mod alertmanager;
mod alone;
mod container;
mod database;
mod engine;
mod exchange;
pub(crate) mod faults;
pub(crate) mod foreign;
mod home;
mod hung;
mod images;
mod llama;
mod ollama;
mod own_engine;
mod registry;
mod registry_double;
mod share;

pub(crate) use alertmanager::alertmanager;
pub(crate) use alone::alone;
pub(crate) use container::{Container, Restart, Spec};
pub(crate) use database::{Database, Server};
pub(crate) use engine::{Engine, engine};
pub(crate) use exchange::exchange;
pub(crate) use home::{Ended, Home};
pub(crate) use hung::{hung_tcp, hung_unix_socket};
pub(crate) use images::Image;
pub(crate) use llama::{free_port, llama, llama_of, llama_with, other_weights, weights};
pub(crate) use ollama::{OllamaServer, Relay, broken_off, ollama, ollama_with_llama, whole};
pub(crate) use own_engine::{OwnEngine, own_engine, own_engine_beside};
pub(crate) use registry::{Registry, registry, registry_with};
pub(crate) use registry_double::{Asked, RegistryDouble, Reply, registry_double};
pub(crate) use share::Share;

/// How long a test waits for anything: long enough for a loaded machine with two cores, since a
/// condition that comes true ends the wait at once.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// How often a condition is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// Polls until there is a value, and panics with `what` when the deadline passes first. The one place
/// where tests wait: none of them sleeps for a fixed time.
#[track_caller]
pub(crate) fn wait_until<T>(deadline: Duration, what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain until {what}");
        thread::park_timeout(POLL);
    }
}

/// The `hostler` program to start: the optimised one of `tests/run`, else the one cargo built.
pub(crate) fn hostler() -> PathBuf {
    path_from("HOSTLER_TEST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_hostler").into())
}

/// The double of `libnvidia-ml.so.1`, for `HOSTLER_NVML_LIBRARY`.
#[track_caller]
pub(crate) fn nvml_library() -> Option<PathBuf> {
    part("HOSTLER_TEST_NVML", "the double of NVIDIA's library")
}

/// Notes that the calling test cannot run here, for the summary of `tests/run`. The test then returns.
#[track_caller]
pub(crate) fn left_out(why: &str) {
    println!("left out: {why}");
    let Some(path) = env::var_os("HOSTLER_TEST_LEFT_OUT") else {
        return;
    };
    // The harness names each test's thread after the test, unless it runs them one by one.
    let test = match thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    };
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("HOSTLER_TEST_LEFT_OUT names a file that can be written");
    // One write, so that tests on several threads do not mix their lines.
    file.write_all(format!("{test}: {why}\n").as_bytes()).expect("the file of left out tests takes a line");
}

/// A file that `tests/run` provides under this name, or `None`, noted as left out.
#[track_caller]
pub(crate) fn part(variable: &str, what: &str) -> Option<PathBuf> {
    let path = path_from(variable);
    if path.is_none() {
        left_out(&format!("{what} is absent ({variable} is not set)"));
    }
    path
}

fn path_from(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
