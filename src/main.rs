//! The hostler program.

use std::path::PathBuf;

use hostler::config::Config;
use hostler::history::StateDir;
use hostler::runtime::{Setup, tui};
use hostler::ui::tabs::TabId;

fn main() -> anyhow::Result<()> {
    let demo = std::env::args().any(|arg| arg == "--demo");
    let setup = Setup {
        config: Config::load(None)?,
        rootfs: PathBuf::from("/"),
        state_dir: if demo { StateDir::demo() } else { StateDir::choose(None) },
        demo,
        read_only: false,
        tab: TabId::Gpu,
    };
    tui(&setup)
}
