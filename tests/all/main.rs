//! All integration tests of hostler, in one binary: they share one private Docker engine and are linked
//! once. `tests/run` makes the bed they run in; under a bare `cargo test` those that need a part of it
//! leave themselves out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test stops at the first surprise, says why it left itself out, and starts programs of its own"
)]

mod actions;
mod alerts;
mod architecture;
mod bed;
mod chain;
mod cli;
mod config;
mod confirm;
mod crash;
mod docker;
mod docs;
mod engine_bed;
mod engines;
mod faults;
mod gpu;
mod history;
mod inspect;
mod library;
mod logs;
mod make;
mod model_updates;
mod platforms;
mod prometheus;
#[path = "../pty/mod.rs"]
mod pty;
mod reducer;
mod registry;
mod schedule;
mod screen;
mod served;
mod trends;
mod updates;
mod views;
mod weights;
