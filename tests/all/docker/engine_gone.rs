//! Engines that go, come back, hang, or may not be asked.

use std::env;
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use hostler::domain::{ContainerState, FailureKind, Reading, SourceId, SourceStatus};
use hostler::store::State;
use tempfile::TempDir;

use super::container;
use super::watcher::Watcher;
use crate::bed::{self, DEADLINE, faults, wait_until};

/// A socket that leads to the private engine, and can be closed, opened again and blocked.
struct Proxy {
    folder: TempDir,
    engine: PathBuf,
    connections: Arc<Mutex<Vec<UnixStream>>>,
    blocked: Arc<AtomicBool>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    fn open(engine: &Path) -> Self {
        let mut proxy = Self {
            folder: tempfile::tempdir().unwrap(),
            engine: engine.to_owned(),
            connections: Arc::default(),
            blocked: Arc::default(),
            ending: Arc::default(),
            thread: None,
        };
        proxy.reopen();
        proxy
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn reopen(&mut self) {
        self.ending.store(false, Ordering::Release);
        let listener = UnixListener::bind(self.socket()).unwrap();
        let engine = self.engine.clone();
        let (connections, blocked, ending) =
            (Arc::clone(&self.connections), Arc::clone(&self.blocked), Arc::clone(&self.ending));
        self.thread = Some(thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                let mut held = connections.lock().unwrap();
                held.push(client.try_clone().unwrap());
                if !blocked.load(Ordering::Acquire) {
                    let server = UnixStream::connect(&engine).unwrap();
                    held.push(server.try_clone().unwrap());
                    carry(&client, &server);
                    carry(&server, &client);
                }
            }
        }));
    }

    /// As an engine ends: every connection closed, the socket gone.
    fn close(&mut self) {
        self.ending.store(true, Ordering::Release);
        drop(UnixStream::connect(self.socket()));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        std::fs::remove_file(self.socket()).unwrap();
        for connection in self.connections.lock().unwrap().drain(..) {
            // It may be closed already.
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// From here on connections are accepted and nothing is answered; old ones go on.
    fn block(&self) {
        self.blocked.store(true, Ordering::Release);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.close();
        }
    }
}

/// Copies one direction until it ends.
fn carry(from: &UnixStream, to: &UnixStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        // A closed connection ends it, as it should.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn status(state: &State, id: SourceId) -> SourceStatus {
    state.sources.status(id, state.now)
}

fn failure(state: &State, id: SourceId) -> Option<hostler::domain::Failure> {
    let (failure, _) = state.sources.get(id)?.failure.as_ref()?;
    Some(failure.clone())
}

#[test]
fn an_engine_that_vanishes_is_missed_and_found_again() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let doomed = faults::steady(&engine);
    let mut proxy = Proxy::open(engine.socket());
    let mut watcher = Watcher::start(&proxy.endpoint());
    watcher.until("both containers run", |state| {
        container(state, steady.id())?;
        container(state, doomed.id())
    });

    proxy.close();
    let lost = watcher.until("the loss is noticed", |state| failure(state, SourceId::Docker));
    assert_eq!(lost.kind, FailureKind::Failed, "{lost}");
    assert!(lost.what.contains(&proxy.endpoint()), "{lost}");
    watcher.until("the missing socket is named", |state| {
        failure(state, SourceId::Docker)?.what.contains("no such socket").then_some(())
    });
    assert!(container(watcher.state(), steady.id()).is_some(), "the last list stays");
    // The containers run on, so what they use is still read.
    watcher.take_events();
    watcher.until("usage is read without the engine", |state| {
        let fresh = state.usage.taken()? > state.docker.taken()?;
        let usage = state.usage.get()?.by_id.get(&steady.id().into())?;
        (fresh && usage.cpu_cores.known().is_some()).then_some(())
    });

    let id = doomed.id().to_owned();
    drop(doomed);
    proxy.reopen();
    watcher.until("the engine is found again", |state| {
        (status(state, SourceId::Docker) == SourceStatus::Fresh).then_some(())
    });
    watcher.until("what happened meanwhile is seen", |state| container(state, &id).is_none().then_some(()));
    steady.stop();
    watcher.until("events are followed again", |state| {
        (container(state, steady.id())?.state == ContainerState::Exited).then_some(())
    });
}

#[test]
fn an_engine_that_begins_to_hang_goes_stale_with_the_reason() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let proxy = Proxy::open(engine.socket());
    let mut watcher = Watcher::start(&proxy.endpoint());
    watcher.until("the container runs", |state| container(state, steady.id()));
    proxy.block();
    watcher.refresh();
    let hung = watcher.until("the silence is noticed", |state| failure(state, SourceId::Docker));
    assert!(hung.what.contains("not answer"), "{hung}");
    assert_eq!(status(watcher.state(), SourceId::Docker), SourceStatus::Failed);
    assert!(container(watcher.state(), steady.id()).is_some());
}

/// Accepts and never answers; counts the connections that were opened and those that were closed again.
struct Silent {
    endpoint: String,
    opened: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    _folder: TempDir,
}

impl Silent {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("silent.sock")).unwrap();
        let silent = Self {
            endpoint: format!("unix://{}", folder.path().join("silent.sock").display()),
            opened: Arc::default(),
            closed: Arc::default(),
            _folder: folder,
        };
        let (opened, closed) = (Arc::clone(&silent.opened), Arc::clone(&silent.closed));
        thread::spawn(move || {
            while let Ok((mut client, _)) = listener.accept() {
                opened.fetch_add(1, Ordering::AcqRel);
                let closed = Arc::clone(&closed);
                thread::spawn(move || {
                    let mut asked = Vec::new();
                    // Ends when the client gives up.
                    let _ = client.read_to_end(&mut asked);
                    closed.fetch_add(1, Ordering::AcqRel);
                });
            }
        });
        silent
    }

    fn counts(&self) -> (usize, usize) {
        (self.opened.load(Ordering::Acquire), self.closed.load(Ordering::Acquire))
    }
}

#[test]
fn an_engine_that_never_answers_costs_no_connection() {
    let silent = Silent::listen();
    let mut watcher = Watcher::start(&silent.endpoint);
    for attempt in 1..=2 {
        let hung = watcher.until("an attempt is given up", |state| {
            let source = state.sources.get(SourceId::Docker)?;
            (source.attempts >= attempt).then(|| failure(state, SourceId::Docker))?
        });
        assert_eq!(hung.kind, FailureKind::Failed);
        assert!(hung.what.contains(&silent.endpoint), "{hung}");
        assert!(hung.what.contains("does not answer"), "{hung}");
        watcher.refresh();
    }
    let usage = watcher.until("usage says why", |state| failure(state, SourceId::Usage));
    assert!(usage.what.contains("does not answer"), "{usage}");
    drop(watcher);
    wait_until(DEADLINE, "every connection is closed again", || {
        let (opened, closed) = silent.counts();
        (opened > 0 && opened == closed).then_some(())
    });
}

#[test]
fn without_an_engine_its_absence_is_a_normal_state() {
    // A root without any socket; what the environment names is not read in this test's machine.
    if env::var_os("DOCKER_HOST").is_some() {
        bed::left_out("DOCKER_HOST names an engine");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::with(&hostler::host::Ports::new(root.path()), None);
    for id in [SourceId::Docker, SourceId::Usage] {
        let absent = watcher.until("the absence is told", |state| failure(state, id));
        assert_eq!(absent.kind, FailureKind::Unsupported, "{absent}");
        assert!(absent.what.starts_with("no container engine"), "{absent}");
    }
}

#[test]
fn a_named_engine_that_is_absent_has_failed() {
    let mut watcher = Watcher::start("unix:///nowhere/docker.sock");
    let failed = watcher.until("the absence is told", |state| failure(state, SourceId::Docker));
    assert_eq!(failed.kind, FailureKind::Failed);
    assert!(failed.what.contains("/nowhere/docker.sock"), "{failed}");
    assert!(failed.remedy.is_some());
}

#[test]
fn a_socket_that_may_not_be_opened_says_how_to_get_the_right() {
    const SOCKET: &str = "HOSTLER_TEST_CLOSED_SOCKET";
    const NOBODY: u32 = 65_534;
    if let Some(socket) = env::var_os(SOCKET) {
        return assert_denied(Path::new(&socket));
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    if UnixStream::connect(&socket).is_err() {
        return assert_denied(&socket);
    }
    // Root may open anything, so this very test is run again by nobody.
    let again = Command::new(env::current_exe().unwrap())
        .args(["--exact", "docker::engine_gone::a_socket_that_may_not_be_opened_says_how_to_get_the_right"])
        .env(SOCKET, &socket)
        .current_dir("/")
        .gid(NOBODY)
        .uid(NOBODY)
        .output();
    match again {
        Ok(again) => {
            let said = String::from_utf8_lossy(&again.stdout);
            assert!(again.status.success() && said.contains("1 passed"), "{said}");
        }
        Err(error) => bed::left_out(&format!("nobody may not run the tests: {error}")),
    }
}

fn assert_denied(socket: &Path) {
    let mut watcher = Watcher::start(&format!("unix://{}", socket.display()));
    let denied = watcher.until("it is denied", |state| failure(state, SourceId::Docker));
    assert_eq!(denied.kind, FailureKind::Denied, "{denied}");
    assert!(denied.what.contains(&socket.display().to_string()), "{denied}");
    assert!(denied.remedy.unwrap().contains("sudo"));
    assert_eq!(status(watcher.state(), SourceId::Docker), SourceStatus::Denied);
    let usage = watcher.until("usage says so too", |state| failure(state, SourceId::Usage));
    assert_eq!(usage.kind, FailureKind::Denied);
}

#[test]
fn what_is_not_read_is_not_zero() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let mut watcher = Watcher::start(engine.endpoint());
    let first =
        watcher.until("the first reading is there", |state| state.usage.get()?.by_id.get(&steady.id().into()).cloned());
    assert!(matches!(first.cpu_cores, Reading::Unavailable(_)), "{first:?}");
    assert!(first.memory_bytes.get().is_some_and(|bytes| bytes > 0));
}
