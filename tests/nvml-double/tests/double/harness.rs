//! A copy of the built library in a folder of its own, with its script beside it. Copies are
//! loaded apart from each other, so tests with different scripts run side by side.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must happen.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// How long a test watches that something does not happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(200);

pub(crate) struct Double {
    folder: TempDir,
}

impl Double {
    /// A library that answers what the script says.
    pub(crate) fn new(script: &Value) -> Self {
        let double = Self { folder: tempfile::tempdir().unwrap() };
        fs::copy(built_library(), double.library()).unwrap();
        double.rewrite(script);
        double
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1")
    }

    pub(crate) fn script(&self) -> PathBuf {
        self.folder.path().join("libnvidia-ml.so.1.json")
    }

    /// What the library says of a script that it cannot read.
    pub(crate) fn complaint(&self) -> String {
        fs::read_to_string(self.folder.path().join("libnvidia-ml.so.1.json.error")).unwrap()
    }

    /// Replaces the script in one step.
    pub(crate) fn rewrite(&self, script: &Value) {
        let next = self.folder.path().join("next.json");
        fs::write(&next, serde_json::to_vec(script).unwrap()).unwrap();
        fs::rename(&next, self.script()).unwrap();
    }

    pub(crate) fn try_init(&self) -> Result<Nvml, NvmlError> {
        init(&self.library())
    }

    pub(crate) fn init(&self) -> Nvml {
        self.try_init().unwrap()
    }
}

pub(crate) fn init(library: &Path) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(library.as_os_str()).init()
}

/// The library as built from these sources: tests alone do not make Cargo build it.
fn built_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // This program lies in `<target folder>/<profile>/deps/`.
        let program = env::current_exe().unwrap();
        let target = program.ancestors().nth(3).unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--offline", "--locked", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .arg("--target-dir")
            .arg(target)
            .status()
            .unwrap();
        assert!(built.success(), "the library does not build");
        target.join("debug/libnvml_double.so")
    })
}
