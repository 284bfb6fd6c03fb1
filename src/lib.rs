//! hostler looks after the box that runs your AI agents.

pub mod checks;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engines;
pub mod history;
pub mod host;
pub mod report;
pub mod runtime;
pub mod sources;
pub mod store;
pub mod terminal;
pub mod ui;

// The builders of the integration tests speak of `hostler`; unit tests use the same ones.
#[cfg(test)]
extern crate self as hostler;
#[cfg(test)]
#[path = "../tests/all/make.rs"]
mod make;
