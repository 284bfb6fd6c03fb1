//! Servers that accept each connection and never answer: what a wedged daemon looks like from outside.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

/// A listener that holds its connections open, reads nothing and writes nothing, until it is dropped.
pub(crate) struct Hung {
    endpoint: String,
    accepted: Arc<AtomicUsize>,
    ending: Arc<AtomicBool>,
    /// Connects once more, which ends the last `accept`.
    wake: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
    /// Holds the socket's file.
    _folder: Option<TempDir>,
}

/// A hung Unix socket; its endpoint is `unix:///…`.
pub(crate) fn hung_unix_socket() -> Hung {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hung.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let endpoint = format!("unix://{}", path.display());
    let wake = move || drop(UnixStream::connect(&path));
    Hung::hold(endpoint, wake, Some(folder), move || listener.accept())
}

/// A hung TCP port on loopback; its endpoint is `tcp://127.0.0.1:…`.
pub(crate) fn hung_tcp() -> Hung {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wake = move || drop(TcpStream::connect(address));
    Hung::hold(format!("tcp://{address}"), wake, None, move || listener.accept())
}

impl Hung {
    fn hold<S: Send + 'static>(
        endpoint: String,
        wake: impl Fn() + Send + 'static,
        folder: Option<TempDir>,
        accept: impl Fn() -> io::Result<S> + Send + 'static,
    ) -> Self {
        let accepted = Arc::new(AtomicUsize::new(0));
        let ending = Arc::new(AtomicBool::new(false));
        let (count, end) = (Arc::clone(&accepted), Arc::clone(&ending));
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok(connection) = accept() {
                if end.load(Ordering::Acquire) {
                    break;
                }
                held.push(connection);
                count.fetch_add(1, Ordering::Release);
            }
        });
        Self { endpoint, accepted, ending, wake: Box::new(wake), thread: Some(thread), _folder: folder }
    }

    /// Where it listens: `unix:///…` or `tcp://…`, as `DOCKER_HOST` takes it.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// How many connections it has accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Acquire)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        (self.wake)();
        if let Some(thread) = self.thread.take() {
            // It cannot panic; and a drop must not.
            let _ = thread.join();
        }
    }
}
