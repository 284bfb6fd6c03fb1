//! A Docker engine of one test alone: what cleans up, or measures the whole, would meet the things of others.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use super::{Container, DEADLINE, Engine, left_out, wait_until};

/// An engine that ends with the test.
pub(crate) struct OwnEngine {
    /// The way to it. Everything that was made through it must be dropped before it.
    engine: Option<Engine>,
    daemon: Option<Child>,
    folder: TempDir,
    place: Place,
    /// Tells it from the others of this run.
    number: u32,
}

/// Where an engine stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a network of its own, so that it leaves the bridge of the other one alone.
    Apart,
    /// In the bed's network, with a bridge of its own, on a disk that is soon full.
    Beside,
}

/// Bytes of the disk of an engine beside the other one.
const SMALL_DISK: u64 = 64 << 20;

/// An engine of the calling test alone, or `None` (noted as left out) where none can be started.
#[track_caller]
pub(crate) fn own_engine() -> Option<OwnEngine> {
    start(Place::Apart)
}

/// The same, which reaches the registries of the tests. Its disk is small.
#[track_caller]
pub(crate) fn own_engine_beside() -> Option<OwnEngine> {
    start(Place::Beside)
}

#[track_caller]
fn start(place: Place) -> Option<OwnEngine> {
    static COUNT: AtomicU32 = AtomicU32::new(1);
    super::engine()?;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        left_out("an engine of its own needs root");
        return None;
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut own = OwnEngine { engine: None, daemon: None, folder: tempfile::tempdir().unwrap(), place, number };
    fs::write(own.path("daemon.json"), "{}").unwrap();
    fs::create_dir(own.path("data")).unwrap();
    if place == Place::Beside {
        let size = format!("size={SMALL_DISK}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(own.path("data")).status();
        assert!(mount.unwrap().success(), "the bed has mounts of its own");
        let (bridge, address) = (own.bridge(), format!("10.99.{}.1/24", own.number % 256));
        ip(&["link", "add", &bridge, "type", "bridge"]);
        ip(&["address", "add", &address, "dev", &bridge]);
        ip(&["link", "set", &bridge, "up"]);
    }
    own.start();
    own.engine = Some(Engine::at(&format!("unix://{}", own.path("docker.sock").display())));
    Some(own)
}

#[track_caller]
fn ip(args: &[&str]) {
    assert!(Command::new("ip").args(args).status().unwrap().success(), "ip {args:?}");
}

impl OwnEngine {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bridge(&self) -> String {
        format!("own{}", self.number)
    }

    /// Starts the daemon; containers that are to be up come up again.
    pub(crate) fn start(&mut self) {
        let [host, config, data, exec, pid] =
            ["docker.sock", "daemon.json", "data", "exec", "pid"].map(|name| self.path(name).display().to_string());
        let cgroup = std::env::var("HOSTLER_TEST_CGROUP").unwrap_or_else(|_| "/hostler-test".to_owned());
        let mut command = match self.place {
            Place::Apart => {
                let mut command = Command::new("unshare");
                command.args(["--net", "--", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh", "dockerd"]);
                command
            }
            Place::Beside => {
                let mut command = Command::new("dockerd");
                // Without one it would take the other engine's bridge away.
                command.args(["--bridge", &self.bridge()]);
                command.args(["--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
                command
            }
        };
        let daemon = command
            .args(["--host", &format!("unix://{host}"), "--config-file", &config, "--data-root", &data])
            .args(["--exec-root", &exec, "--pidfile", &pid, "--cgroup-parent", &cgroup])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs", "--shutdown-timeout", "1", "--log-level", "warn"])
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("log")).unwrap())
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        wait_until(DEADLINE, "the engine listens", || UnixStream::connect(self.path("docker.sock")).ok());
    }

    /// Stops the daemon, and with it everything that runs.
    pub(crate) fn stop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        let asked = Command::new("kill").arg(daemon.id().to_string()).status();
        // An engine that was killed would leave its containers and mounts behind.
        drop(asked.and_then(|_| daemon.wait()));
    }

    /// Fills its small disk until only so many bytes are free.
    pub(crate) fn fill(&self, left: u64) {
        let space = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(self.path("data")).output().unwrap();
        let space = String::from_utf8(space.stdout).unwrap();
        let free: u64 = space.split_whitespace().map(|number| number.parse::<u64>().unwrap()).product();
        fs::write(self.path("data/filler"), vec![0; usize::try_from(free - left).unwrap()]).unwrap();
    }

    /// Makes a container that is down look as if it had ended, and had been made, so many days ago: the engine is stopped,
    /// and starts again with another memory of it.
    pub(crate) fn age(&mut self, containers: &[&Container], days: i64) {
        self.stop();
        for container in containers {
            let file = self.path("data/containers").join(container.id()).join("config.v2.json");
            let mut config: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            let then = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days);
            config["Created"] = then.to_string().into();
            if config["State"]["FinishedAt"].as_str().is_some_and(|at| !at.starts_with("0001")) {
                config["State"]["FinishedAt"] = then.to_string().into();
            }
            fs::write(&file, config.to_string()).unwrap();
        }
        self.start();
    }

    /// Builds an image with `BuildKit` from `files` (name, content), one of which is the Dockerfile.
    pub(crate) fn build(&self, reference: &str, files: &[(&str, &[u8])]) {
        let context = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(context.path().join(name), content).unwrap();
        }
        let tar = Command::new("tar").arg("--create").arg("--directory").arg(context.path()).arg(".").output().unwrap();
        let archive = self.path("context.tar");
        fs::write(&archive, tar.stdout).unwrap();
        let built = Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--request", "POST", "--unix-socket"])
            .arg(self.path("docker.sock"))
            .args(["--header", "Content-Type: application/x-tar", "--data-binary"])
            .arg(format!("@{}", archive.display()))
            .arg(format!("http://engine/v1.41/build?version=2&t={reference}"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&built.stdout).into_owned();
        assert!(told.contains("Successfully tagged"), "{told}{}", String::from_utf8_lossy(&built.stderr));
    }
}

impl std::ops::Deref for OwnEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.stop();
        if self.place == Place::Beside {
            // Lazily, because a container's mount may be left; the bed's own end takes the rest.
            drop(Command::new("umount").arg("--lazy").arg(self.path("data")).status());
        }
    }
}
