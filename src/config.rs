//! What the operator set down: the config file, checked.
//!
//! A file is read into a raw form in which everything may be absent (`raw`), and that is checked against what is
//! possible (`check`), so that everything after [`Config`] can be taken as it is. An empty file and none at all mean the
//! defaults. What is wrong is told with file, line, column and what is allowed ([`ConfigError`]). Secrets never stand in
//! the config: an address with a password in it is refused.

mod alerts;
mod check;
mod error;
mod history;
mod models;
mod own;
mod print;
mod raw;
mod schedule;

pub use error::{ConfigError, Fault, Place};
pub use history::{HistorySettings, PrometheusSettings};

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::actions::ActionSettings;
use crate::alerts::AlertSettings;
use crate::domain::{Scheduled, SourceId, Thresholds};
use crate::host::settings;
use crate::sources::SourceSettings;
use crate::ui::glyph::{self, Glyphs};
use crate::ui::keymap::{Keymap, KeymapError};
use crate::ui::theme::{BUILTIN, Depth, Theme};

/// The commented file that `hostler config init` writes: every key with its default.
pub const TEMPLATE: &str = include_str!("../assets/config.toml");

/// The file that serves every user of the machine who has none of their own.
const FOR_ALL: &str = "/etc/hostler/config.toml";

/// The theme that is taken where none can be had.
const FALLBACK_THEME: &str = "dark";

/// Everything that can be set, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that it was read from; `None` where there is none, so that these are the defaults.
    pub path: Option<PathBuf>,
    /// A theme's name, or the path of a theme file.
    pub theme: String,
    /// The signs to use.
    pub glyphs: GlyphChoice,
    /// Clicks are taken from the start.
    pub mouse: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// How sources are read.
    pub sources: SourceSettings,
    /// The limits of the rules.
    pub thresholds: Thresholds,
    /// What actions do where nothing else is said.
    pub actions: ActionSettings,
    /// Who is told of findings.
    pub alerts: AlertSettings,
    /// What is done at set times.
    pub schedule: Vec<Scheduled>,
    /// Where history is read from, and told.
    pub history: HistorySettings,
    /// The keys.
    pub keys: Keymap,
    /// Where the theme is named in the file.
    theme_place: Option<Place>,
}

/// Which signs are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GlyphChoice {
    /// What the locale promises to show.
    #[default]
    Auto,
    /// Unicode.
    Unicode,
    /// ASCII alone.
    Ascii,
}

impl GlyphChoice {
    /// The signs, in the environment that `variable` reads.
    pub fn glyphs(self, variable: impl Fn(&str) -> Option<String>) -> &'static Glyphs {
        match self {
            Self::Auto => Glyphs::detect(variable),
            Self::Unicode => &glyph::UNICODE,
            Self::Ascii => &glyph::ASCII,
        }
    }
}

impl Config {
    /// The config in force: the `named` file, else the first of [`places`] that is there, else the defaults.
    ///
    /// # Errors
    /// When the named file is not there, or a file cannot be read or says what cannot be.
    pub fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(path) = named {
            return Self::read(path);
        }
        for path in places() {
            match Self::read(&path) {
                Err(error) if error.is_absent() => {}
                read => return read,
            }
        }
        Self::defaults().map_err(|error| ConfigError::of_file(Path::new("the defaults"), error.to_string()))
    }

    /// The config as it is without a file.
    ///
    /// # Errors
    /// Never, as long as no two commands have the same key by default.
    pub fn defaults() -> Result<Self, KeymapError> {
        Ok(Self {
            path: None,
            theme: FALLBACK_THEME.to_owned(),
            glyphs: GlyphChoice::default(),
            mouse: true,
            read_only: false,
            sources: SourceSettings::default(),
            thresholds: Thresholds::default(),
            actions: ActionSettings::default(),
            alerts: AlertSettings::default(),
            schedule: Vec::new(),
            history: HistorySettings::default(),
            keys: Keymap::with([])?,
            theme_place: None,
        })
    }

    /// The config in one file.
    ///
    /// # Errors
    /// When it cannot be read, or says what cannot be.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let bytes = settings::read(path).map_err(|error| ConfigError::unread(path, &error))?;
        Self::parse(path, &text(path, bytes)?)
    }

    /// The same file once more, or the defaults where there was none and is none.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn again(&self) -> Result<Self, ConfigError> {
        self.path.as_deref().map_or_else(|| Self::load(None), Self::read)
    }

    /// The config that `text`, read from `path`, sets down.
    ///
    /// # Errors
    /// Every fault that can be told at once: all that TOML and types allow to be told together.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let raw = raw::parse(text).map_err(|faults| ConfigError::new(path, faults))?;
        let mut config = check::check(&raw, text).map_err(|faults| ConfigError::new(path, faults))?;
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// The theme.
    ///
    /// # Errors
    /// When there is none of that name, or its file is no theme.
    pub fn theme(&self, depth: Depth) -> Result<Theme, ConfigError> {
        let (name, text) = self.theme_text()?;
        let of_builtin = |(known, _): &&(&str, &str)| *known == self.theme;
        Theme::parse(&name, &text, depth).map_err(|error| match BUILTIN.iter().find(of_builtin) {
            Some(_) => self.theme_fault(error.to_string()),
            None => ConfigError::of_file(&self.theme_path(), error.to_string().trim_end().to_owned()),
        })
    }

    /// The theme, or the usual one and what is wrong: a screen without a theme is no help to anybody.
    ///
    /// # Errors
    /// When the usual one cannot be had either.
    pub fn theme_or_usual(&self, depth: Depth) -> Result<(Theme, Option<ConfigError>), ConfigError> {
        match self.theme(depth) {
            Ok(theme) => Ok((theme, None)),
            Err(error) => match Theme::builtin(FALLBACK_THEME, depth) {
                Ok(theme) => Ok((theme, Some(error))),
                Err(_) => Err(error),
            },
        }
    }

    /// Takes another theme than the file names: what `--theme` says.
    pub fn set_theme(&mut self, theme: String) {
        // A path on the command line is meant from where it was typed.
        let from_here = is_path(&theme).then(|| std::path::absolute(&theme).ok()).flatten();
        self.theme = from_here.map_or(theme, |path| path.to_string_lossy().into_owned());
        self.theme_place = None;
    }

    /// Whether the config names this source, so that its absence is a failure.
    pub fn names(&self, source: SourceId) -> bool {
        match source {
            SourceId::Docker => self.sources.docker_endpoint.is_some(),
            SourceId::Gpu => self.sources.nvml_library.is_some(),
            SourceId::Engines => !self.sources.engine_endpoints.is_empty(),
            SourceId::Library => !self.sources.library.folders.is_empty(),
            SourceId::Host
            | SourceId::Volumes
            | SourceId::Usage
            | SourceId::DockerDisk
            | SourceId::Platforms
            | SourceId::Logs
            | SourceId::Updates => false,
            SourceId::ModelUpdates => !self.sources.watched_models.is_empty(),
        }
    }

    /// The config in force as a file would say it, with every key.
    pub fn to_toml(&self) -> String {
        print::print(self)
    }

    /// The theme's name and file.
    fn theme_text(&self) -> Result<(Cow<'_, str>, Cow<'static, str>), ConfigError> {
        if let Some((name, text)) = BUILTIN.iter().find(|(name, _)| *name == self.theme) {
            return Ok(((*name).into(), (*text).into()));
        }
        if !is_path(&self.theme) {
            let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
            return Err(self.theme_fault(format!(
                "there is no theme `{}`; there are {}, or write the path of a theme file",
                self.theme,
                names.join(", ")
            )));
        }
        let path = self.theme_path();
        let bytes = settings::read(&path).map_err(|error| {
            self.theme_fault(format!("the theme {} cannot be read: {}", path.display(), error::words(&error)))
        })?;
        let name = path.file_stem().map_or(Cow::Borrowed("theme"), |stem| stem.to_string_lossy().into_owned().into());
        Ok((name, text(&path, bytes)?.into()))
    }

    /// Where the theme's file lies: a relative path starts in the config's folder.
    fn theme_path(&self) -> PathBuf {
        let folder = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        folder.join(&self.theme)
    }

    /// A fault of the theme's name, at its place in the file if that is where it stands.
    fn theme_fault(&self, what: String) -> ConfigError {
        match (&self.path, &self.theme_place) {
            (Some(path), Some(place)) => ConfigError::new(path, vec![Fault { place: Some(place.clone()), what }]),
            _ => ConfigError::of_file(Path::new("--theme"), what),
        }
    }
}

/// Where a config is looked for when none is named, in this order.
pub fn places() -> Vec<PathBuf> {
    let own = ProjectDirs::from("", "", "hostler").map(|dirs| dirs.config_dir().join("config.toml"));
    own.into_iter().chain([FOR_ALL.into()]).collect()
}

/// Writes [`TEMPLATE`] to `named`, else to the user's own place, and says where.
///
/// # Errors
/// When a file is there already, or it cannot be written.
pub fn init(named: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let path = named.map(Path::to_owned).or_else(|| places().into_iter().next()).unwrap_or_else(|| FOR_ALL.into());
    settings::create(&path, TEMPLATE).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => ConfigError::of_file(&path, "it is there already, and stays as it is"),
        _ => ConfigError::of_file(&path, format!("cannot be written: {}", error::words(&error))),
    })?;
    Ok(path)
}

/// Whether a theme is named by the path of its file.
fn is_path(theme: &str) -> bool {
    theme.contains('/') || Path::new(theme).extension().is_some_and(|ending| ending == "toml")
}

/// The file as text.
fn text(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes());
        let place = Place::of(&text, at..at + 1);
        ConfigError::new(path, vec![Fault { place: Some(place), what: "this is not UTF-8".to_owned() }])
    })
}
