//! The private Docker engine that `tests/run` started, and the one image in it.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bollard::Docker;
use bollard::query_parameters::{CreateImageOptions, CreateImageOptionsBuilder};
use futures_util::StreamExt as _;
use tokio::runtime::{Builder, Runtime};

use super::container::{Container, Spec};
use super::left_out;

/// The image of all containers of the tests: a static busybox, its applets, nothing else.
const IMAGE: (&str, &str) = ("hostler-test/bb", "1");

/// How long one request to the engine may take, in seconds: starting a container beside a dozen others
/// is slow on two cores.
const REQUEST_TIMEOUT_S: u64 = 120;

/// A connection to the private engine, with a runtime of its own. Clones share both. Its calls block,
/// so they must not be made from async code.
#[derive(Clone)]
pub(crate) struct Engine(Arc<Inner>);

struct Inner {
    endpoint: String,
    docker: Docker,
    runtime: Runtime,
}

/// The private engine, or `None` (noted as left out) where `tests/run` could not start one.
#[track_caller]
pub(crate) fn engine() -> Option<Engine> {
    let Ok(endpoint) = env::var("HOSTLER_TEST_DOCKER") else {
        left_out("no private Docker engine (HOSTLER_TEST_DOCKER is not set)");
        return None;
    };
    Some(Engine::at(&endpoint))
}

impl Engine {
    /// The engine that listens there.
    #[track_caller]
    pub(super) fn at(endpoint: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let docker = runtime
            .block_on(async {
                Docker::connect_with_unix(endpoint, REQUEST_TIMEOUT_S, bollard::API_DEFAULT_VERSION)?
                    .negotiate_version()
                    .await
            })
            .unwrap_or_else(|error| panic!("the private engine at {endpoint}: {error}"));
        Self(Arc::new(Inner { endpoint: endpoint.to_owned(), docker, runtime }))
    }

    /// Where the engine listens, in the form that `DOCKER_HOST` takes.
    pub(crate) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The engine's socket file.
    pub(crate) fn socket(&self) -> &Path {
        Path::new(self.endpoint().trim_start_matches("unix://"))
    }

    /// The client, with the API version negotiated; its futures are run with [`Engine::block_on`].
    pub(crate) fn docker(&self) -> &Docker {
        &self.0.docker
    }

    /// Runs a future to its end on the engine's runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.runtime.block_on(future)
    }

    /// Creates and starts a container; see [`Spec`] for what it is when `describe` adds nothing.
    #[track_caller]
    pub(crate) fn run(&self, suffix: &str, describe: impl FnOnce(Spec) -> Spec) -> Container {
        Container::run(self, suffix, describe)
    }

    /// Makes sure that the engine has the image, and returns its name.
    pub(crate) fn import_busybox(&self) -> String {
        static IMPORT: Mutex<()> = Mutex::new(());
        let name = format!("{}:{}", IMAGE.0, IMAGE.1);
        // A test that failed here left nothing half done, so the others may try again.
        let _alone = IMPORT.lock().unwrap_or_else(PoisonError::into_inner);
        if self.block_on(self.docker().inspect_image(&name)).is_err() {
            self.import(root_of_busybox());
        }
        name
    }

    /// Makes another image of the same program, under this name and tag; `version` tells it from all others, and so do
    /// instructions of a Dockerfile, such as `CMD …`.
    pub(crate) fn import_changed(&self, repository: &str, tag: &str, version: &str, instructions: &[&str]) {
        static ROOT: OnceLock<Vec<u8>> = OnceLock::new();
        let mut changes = vec![format!("LABEL org.opencontainers.image.version={version}")];
        changes.extend(instructions.iter().map(ToString::to_string));
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).changes(changes).build();
        self.create(options, ROOT.get_or_init(root_of_busybox).clone());
    }

    fn import(&self, archive: Vec<u8>) {
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(IMAGE.0).tag(IMAGE.1).build();
        self.create(options, archive);
    }

    fn create(&self, options: CreateImageOptions, archive: Vec<u8>) {
        self.block_on(async {
            let body = bollard::body_full(archive.into());
            let mut progress = std::pin::pin!(self.docker().create_image(Some(options), Some(body), None));
            while let Some(step) = progress.next().await {
                step.expect("the engine imports the image");
            }
        });
    }
}

/// A tar archive of the image's root: the program, and a link for each of its applets.
fn root_of_busybox() -> Vec<u8> {
    let busybox = env::var_os("HOSTLER_TEST_BUSYBOX").map_or_else(|| PathBuf::from("/bin/busybox"), PathBuf::from);
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::create_dir(root.path().join("tmp")).unwrap();
    fs::copy(&busybox, bin.join("busybox")).unwrap();

    let list = Command::new(&busybox).arg("--list").output().unwrap();
    let applets = String::from_utf8(list.stdout).unwrap();
    for applet in applets.lines().collect::<BTreeSet<_>>() {
        if applet != "busybox" {
            symlink("busybox", bin.join(applet)).unwrap();
        }
    }
    let archive = Command::new("tar").arg("--create").arg("--directory").arg(root.path()).arg(".").output().unwrap();
    assert!(archive.status.success(), "tar: {archive:?}");
    archive.stdout
}
