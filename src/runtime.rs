//! The composition root: the only place that knows every layer.
//!
//! [`Core`] owns the state and the pollers, with a face ([`face`], the TUI) or without one ([`observe`]). Everything runs on
//! one current-thread tokio runtime; what blocks has a thread of its own in `host`.

mod core;
mod face;
mod headless;

pub use core::Core;
pub use face::tui;
pub use headless::observe;

use std::path::PathBuf;

use crate::config::Config;
use crate::history::StateDir;
use crate::ui::tabs::TabId;

/// What a run of hostler was asked for: the config, and what the command line puts over it.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The config in force.
    pub config: Config,
    /// Where the machine's files lie; `/` as a rule.
    pub rootfs: PathBuf,
    /// hostler's own store.
    pub state_dir: StateDir,
    /// Show a made-up box.
    pub demo: bool,
    /// Change nothing.
    pub read_only: bool,
    /// The first tab.
    pub tab: TabId,
    /// Said once the screen stands: what the config got wrong but was survived.
    pub warnings: Vec<String>,
}

/// One thread for everything that awaits.
fn async_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
