#![doc = include_str!("../README.md")]
//!
//! # Where to start reading
//!
//! `script` is the JSON as types; `library` holds what the loaded library remembers and decides
//! whether a call hangs, fails or answers; `abi` is the border to C. The others are the exported
//! functions by subject: `system`, `device`, `health`, `power`, `process`, `events`.

mod abi;
mod device;
mod events;
mod health;
mod library;
mod power;
mod process;
mod script;
mod status;
mod system;
