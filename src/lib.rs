//! hostler looks after the box that runs your AI agents: it tells whether the box is well and, if it is not, what is
//! wrong, why, and since when. The program is [`cli::main`]; everything below it is this library.
//!
//! # What lives where, in reading order
//!
//! * [`domain`]: plain types and units: what everything else speaks about. Start with [`domain::Reading`], a value or the
//!   reason why there is none, and [`domain::Event`], what reaches the store.
//! * [`store`]: [`store::State`] and its one way to change, [`apply`](store::State::apply): slots with their age, short
//!   histories, findings, logs.
//! * [`checks`]: rules over the state, which become findings, and the checks of the routine's duties.
//! * [`host`]: the ports: files below a root that can be moved, the clock, threads for what blocks, HTTP on loopback, the
//!   container engine, registries of images, NVIDIA's library; and [`host::foreign`], which strips what others wrote.
//! * [`engines`]: a file for each kind of inference server: how it is told, and what it is asked.
//! * [`platforms`]: a file for each kind of orchestration platform, read the same way.
//! * [`sources`]: a file for each thing that is read, and [`sources::poller`], the one loop that repeats them.
//! * [`history`]: hostler's own store: the journal, and what must be remembered between two runs; and [`history::trends`], what
//!   recorded series tell.
//! * [`actions`]: a file for each operation, which plans it, and [`actions::Runner`], the one that carries plans out.
//! * [`alerts`]: what is told of findings to who does not look: a file for each kind of receiver.
//! * [`ui`]: the screen: tabs, popups, widgets, keys, themes; pure drawing of the state.
//! * [`report`]: the same state as text, JSON and Markdown.
//! * [`runtime`], with [`config`], [`terminal`] and [`cli`]: the composition root, the only place that knows all of these.
//!
//! ```text
//!            config   host (ports)                       domain  <- everyone
//!               |        |                                  ^
//!               |   +----+-----+                            |
//!               | engines   history                   store <- checks
//!               |   |          |                        ^ (read only)
//!               | sources -> actions     alerts --------+
//!               |   |          |                   ui · report
//!               +---+---- runtime (cli, terminal) ------+
//! ```
//!
//! A reading takes one way: a source reads it through a port, its poller makes it an event, the store takes it in, the
//! rules look at the state once a second, and a face draws or prints what is there then.
//!
//! # Invariants
//!
//! 1. `domain`, `store` and `checks` do no IO, never read the clock, and never await. Time arrives inside an `Event`.
//! 2. One task owns the `State`, and there is no lock around it. Others send `Event`s through bounded channels. Log lines
//!    have a channel of their own, and what finds no room in it is counted and shown.
//! 3. Drawing takes `&State` and changes nothing. The UI task awaits only its `select!`.
//! 4. What changes the machine is an `Action` with a plan, carried out by a worker: the intent is on the disk before the first
//!    step, then each step, then the outcome.
//! 5. A missing GPU, container engine or inference server is a normal state with words of its own, not an error. What
//!    cannot be read is *unavailable, because …*: never 0, and never an old number without its age.
//! 6. Only `host` starts threads and programs, opens sockets, reads the machine's files and asks for the time; only
//!    `history` opens hostler's own store, which `--rootfs` never moves.
//! 7. Foreign text (names, labels, log lines, HTTP bodies) is stripped of control, escape and bidirectional characters
//!    where it enters, and bounded in size.
//! 8. Adding a source, tab, action, rule, check, engine, theme or key is one file (or constant) and one line in a registry. Help,
//!    palette and command line follow from the registries, and so does the README, or a test fails.
//! 9. Every face looks at the same store: the screen, `check`, `snapshot`, `doctor`. Nothing is worked out in two ways.
//!
//! `tests/all/architecture.rs` parses these sources and holds who may name whom: layers and outer crates alike.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "unit tests write made-up trees to read")
)]

pub mod actions;
pub mod alerts;
pub mod checks;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engines;
pub mod history;
pub mod host;
pub mod platforms;
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
#[path = "../tests/all/weights.rs"]
mod made_weights;
#[cfg(test)]
#[path = "../tests/all/make.rs"]
mod make;
