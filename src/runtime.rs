//! The composition root: the only place that knows every layer.
//!
//! [`Core`] owns the state and the pollers, with a face ([`tui`]) or without one ([`observe`]). Everything runs on
//! one current-thread tokio runtime; what blocks has a thread of its own in `host`.

mod acting;
mod alerting;
mod ask;
mod core;
mod diagnostics;
mod face;
mod headless;
mod keeper;
mod past;
mod recorder;
mod recording;
mod scheduling;
mod trending;
pub mod worker;

pub use alerting::Alerting;
pub use core::Core;
pub use face::tui;
pub use headless::{Scope, observe};
pub use recorder::record;
pub use scheduling::plan as plan_scheduled;

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::{Config, ConfigError};
use crate::domain::{ImageRules, ScheduleStanding, UpdatePolicy};
use crate::history::{Prometheus, StateDir};
use crate::host::{Lane, time_zone};
use crate::ui;
use crate::ui::tabs::TabId;
use crate::ui::theme::Depth;

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
}

impl Setup {
    /// What decides which updates are offered: what people decided, over what the config says.
    fn update_policy(&self, rules: ImageRules) -> UpdatePolicy {
        UpdatePolicy { wait_days: self.config.actions.wait_days, rules }
    }

    /// The server that history is read from in the place of hostler's own file; `None` where the config names none.
    pub fn prometheus(&self, lane: &Lane) -> Option<Prometheus> {
        let settings = self.config.history.prometheus.clone()?;
        Some(Prometheus::new(lane, settings.to, settings.login, settings.labels))
    }

    /// How the screen begins, in the environment of this terminal. The second value is what was wrong with the theme.
    ///
    /// # Errors
    /// When no theme can be had at all.
    fn screen(&self, zone: TimeZone) -> Result<(ui::Setup, Option<ConfigError>), ConfigError> {
        let variable = |name: &str| std::env::var(name).ok();
        let depth = Depth::detect(variable);
        let (theme, warning) = self.config.theme_or_usual(depth)?;
        let setup = ui::Setup {
            keymap: self.config.keys.clone(),
            theme,
            depth,
            glyphs: self.config.glyphs.glyphs(variable),
            zone,
            tab: self.tab,
            mouse: self.config.mouse,
            read_only: self.read_only,
            demo: self.demo,
            aliases: self.config.actions.aliases.clone(),
        };
        Ok((setup, warning))
    }
}

/// How the schedule stands at `now`, by what a recorder left.
pub fn schedule(setup: &Setup, now: Timestamp) -> Vec<ScheduleStanding> {
    let signatures = setup.state_dir.journal().iter().collect();
    scheduling::standings(setup, &setup.state_dir.schedule(), &signatures, (now, &time_zone(), None))
}

/// Waits for a future with a runtime of its own: for commands that are no face.
///
/// # Errors
/// When the async runtime cannot be started.
pub fn blocking<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = async_runtime()?;
    let value = tokio::task::LocalSet::new().block_on(&runtime, future);
    runtime.shutdown_background();
    Ok(value)
}

/// One thread for everything that awaits.
fn async_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
