//! `hostler config`: where it is, what is wrong with it, what is in force. A bad config is 1 here, not 78.

use super::args::{ConfigCommand, Global};
use super::{Exit, Stop, config, out};
use crate::config::{self as files, Config};
use crate::ui::theme::Depth;

pub(super) fn run(global: &Global, command: ConfigCommand) -> Result<Exit, Stop> {
    let text = match command {
        ConfigCommand::Path => path(global)?,
        ConfigCommand::Init => {
            format!("wrote {}\n", files::init(global.config.as_deref()).map_err(Stop::failure)?.display())
        }
        ConfigCommand::Check => check(global)?,
        ConfigCommand::Print => config(global).map_err(Stop::failure)?.to_toml(),
    };
    out::print(&text).map_err(Stop::failure)?;
    Ok(Exit::Success)
}

/// The file in force, however bad it is; else where one would be looked for first.
fn path(global: &Global) -> Result<String, Stop> {
    let places = global.config.clone().map_or_else(files::places, |named| vec![named]);
    let is_there = |place: &&std::path::PathBuf| !Config::read(place).is_err_and(|error| error.is_absent());
    if let Some(place) = places.iter().find(is_there) {
        return Ok(format!("{}\n", place.display()));
    }
    let first = places.first().ok_or_else(|| Stop::failure("there is no place for a config"))?;
    out::complain("hostler: there is no config yet, so the defaults are in force; `hostler config init` writes one");
    Ok(format!("{}\n", first.display()))
}

fn check(global: &Global) -> Result<String, Stop> {
    let config = config(global).map_err(Stop::failure)?;
    config.theme(Depth::True).map_err(Stop::failure)?;
    Ok(match &config.path {
        Some(path) => format!("{}: good\n", path.display()),
        None => "there is no config: the defaults are in force\n".to_owned(),
    })
}
