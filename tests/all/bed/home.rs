//! A home of its own for the built program: no config, no state, no engine of the person who runs the tests.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{alone, hostler};

/// A home of its own, so that a test meets nothing of the person who runs it.
pub(crate) struct Home {
    folder: TempDir,
    docker: Option<String>,
    alone: bool,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), docker: None, alone: false }
    }

    /// In a network of its own: a look at the machine asks nobody else's ports.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// With this engine.
    pub(crate) fn docker(self, endpoint: &str) -> Self {
        Self { docker: Some(endpoint.to_owned()), ..self }
    }

    /// With this config.
    pub(crate) fn with(config: &str) -> Self {
        let home = Self::new();
        fs::create_dir_all(home.path().join("config/hostler")).unwrap();
        fs::write(home.config(), config).unwrap();
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> std::path::PathBuf {
        self.path().join("config/hostler/config.toml")
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.path().join("state")
    }

    /// The program with these arguments, in this home, without an engine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let (before, program) = (if self.alone { alone() } else { &[] }, hostler());
        let mut words = before.iter().map(OsStr::new).chain([program.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        let library = self.path().join("no-such-library.so");
        let nowhere = format!("unix://{}/no-engine.sock", self.path().display());
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("USER", "ada")
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("XDG_CONFIG_HOME", self.path().join("config"))
            .env("XDG_STATE_HOME", self.path().join("xdg-state"))
            .env("XDG_RUNTIME_DIR", self.path())
            .env("DOCKER_HOST", self.docker.clone().unwrap_or(nowhere))
            .env("HOSTLER_NVML_LIBRARY", library)
            .stdin(Stdio::null());
        command
    }

    /// Runs it with a state folder of its own.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let state = self.state();
        let args: Vec<&str> = args.iter().copied().chain(["--state-dir", state.to_str().unwrap()]).collect();
        Ended::of(&mut self.command(&args))
    }

    pub(crate) fn json(&self, args: &[&str]) -> (i32, Value) {
        let ended = self.run(args);
        let json =
            serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {:?} {:?}", ended.out, ended.err));
        (ended.code, json)
    }
}

impl Ended {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        Self {
            code: output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}")),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It ended so, with this on standard error and nothing on standard output.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, part: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        assert!(self.err.contains(part), "{part:?} is not in {:?}", self.err);
    }
}
