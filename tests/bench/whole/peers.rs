//! The programs that are measured: hostler, and whichever peers are installed.
//!
//! A peer is run as its users run it, with its default refresh, in a home folder of its own so that neither a user's
//! settings nor a previous run change the result.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use regex::Regex;

use crate::docker::NAME_PREFIX;
use crate::pty::{Screen, Spec};
use crate::scenario::Options;

/// Glyphs that make a frame of a program whose words are not known.
const FRAME_CELLS: usize = 200;
/// Container names that a program must show at once; lists of peers may be this short at 160x48.
const NAMES_SHOWN: usize = 8;

/// What must stand on the screen for a measured moment to have come.
pub(crate) enum Shown {
    /// At least so many glyphs.
    Cells(usize),
    /// A text.
    Text(Regex),
    /// The names of so many containers, and the text if there is one.
    Containers { names: usize, text: Option<Regex> },
}

impl Shown {
    /// Whether the moment has come.
    pub(crate) fn is_on(&self, screen: &Screen) -> bool {
        match self {
            Self::Cells(cells) => screen.filled() >= *cells,
            Self::Text(text) => text.is_match(&screen.text()),
            Self::Containers { names, text } => {
                text.as_ref().is_none_or(|text| text.is_match(&screen.text()))
                    && screen.rows().filter(|row| row.contains(NAME_PREFIX)).count() >= *names
            }
        }
    }
}

/// One program with all that its measurement needs.
pub(crate) struct Subject {
    /// What it is called in the report.
    pub(crate) name: String,
    /// How it is started.
    pub(crate) spec: Spec,
    /// When its first frame counts as drawn.
    pub(crate) frame: Shown,
    /// When it shows the containers; `None` where there are none or it shows none.
    pub(crate) containers: Option<Shown>,
    /// Keys to press in turn.
    pub(crate) keys: Vec<String>,
    /// The key that quits.
    pub(crate) quit: String,
}

/// A peer as it is started: name, arguments, whether it shows containers.
const PEERS: [(&str, &[&str], bool); 8] = [
    ("btop", &["--utf-force"], false),
    ("btm", &[], false),
    ("htop", &[], false),
    ("oxker", &["--host", "{engine}"], true),
    ("lazydocker", &[], true),
    ("glances", &[], false),
    ("nvtop", &[], false),
    ("toptop", &[], false),
];

/// The surroundings that all programs of a run share.
pub(crate) struct Place<'a> {
    /// The engine's address, or one at which there is none.
    pub(crate) engine: &'a str,
    /// A folder for home folders and state.
    pub(crate) folder: &'a Path,
    /// Running containers.
    pub(crate) containers: usize,
    /// Variables that lead hostler to the GPUs of the scenario.
    pub(crate) cards: Vec<(&'static str, PathBuf)>,
}

impl Place<'_> {
    /// A program in a home folder of its own, with no way to an engine but ours.
    fn spec(&self, name: &str, program: &Path) -> Result<Spec> {
        let home = self.folder.join(name);
        std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        Ok(Spec::new(program)
            .env("HOME", &home)
            .env("DOCKER_HOST", self.engine)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_DATA_HOME")
            .cwd(&home))
    }
}

/// hostler as the options want it.
pub(crate) fn hostler(options: &Options, place: &Place<'_>) -> Result<Subject> {
    let state = place.folder.join("state");
    std::fs::create_dir_all(&state)?;
    let mut spec = place.spec("hostler", &options.bin)?.arg("--tab").arg(&options.tab).arg("--state-dir").arg(state);
    for (name, value) in &place.cards {
        spec = spec.env(*name, value);
    }
    for pair in &options.env {
        let (name, value) = pair.split_once('=').context("--env wants NAME=VALUE")?;
        spec = spec.env(name, value);
    }
    let count = place.containers.to_string();
    let text = Regex::new(&options.all_text.replace("{n}", &count)).context("--all-text")?;
    let names = if options.tab == "containers" { NAMES_SHOWN.min(place.containers) } else { 0 };
    Ok(Subject {
        name: "hostler".to_owned(),
        spec,
        frame: Shown::Text(Regex::new(&options.frame_text).context("--frame-text")?),
        containers: (place.containers > 0).then_some(Shown::Containers { names, text: Some(text) }),
        keys: options.keys(),
        quit: "q".to_owned(),
    })
}

/// The peers that are installed, and a sentence for each that cannot be measured in this scenario.
pub(crate) fn peers(place: &Place<'_>) -> Result<(Vec<Subject>, Vec<String>)> {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for (name, arguments, shows_containers) in PEERS {
        let Some(program) = on_path(name) else {
            left_out.push(format!("{name} is not on PATH"));
            continue;
        };
        if shows_containers && place.containers == 0 {
            left_out.push(format!("{name} needs containers (`--containers`) to show anything"));
            continue;
        }
        let arguments = arguments.iter().map(|argument| argument.replace("{engine}", place.engine));
        let spec = place.spec(name, &program)?.args(arguments);
        let names = NAMES_SHOWN.min(place.containers);
        found.push(Subject {
            containers: shows_containers.then_some(Shown::Containers { names, text: None }),
            ..plain(name, spec)
        });
    }
    Ok((found, left_out))
}

/// Any other full-screen program, given as a command line.
pub(crate) fn other(command: &str, place: &Place<'_>) -> Result<Subject> {
    let mut words = command.split_whitespace();
    let name = words.next().context("--program wants a command")?;
    let program = on_path(name).unwrap_or_else(|| PathBuf::from(name));
    let label = name.rsplit('/').next().unwrap_or(name);
    Ok(plain(label, place.spec(label, &program)?.args(words)))
}

fn plain(name: &str, spec: Spec) -> Subject {
    Subject {
        name: name.to_owned(),
        spec,
        frame: Shown::Cells(FRAME_CELLS),
        containers: None,
        keys: ["Down", "Up"].map(str::to_owned).to_vec(),
        quit: "q".to_owned(),
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|program| program.is_file())
}
