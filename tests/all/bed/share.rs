//! One test's share of the private engine: a socket behind which only the containers of the calling test exist, and
//! behind which the engine hangs or is gone whenever the test wants it.
//!
//! Each request is carried to the engine on a connection of its own. Lists and events are asked for with one more
//! filter, the label that names the test.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tempfile::TempDir;

use super::Engine;
use super::container::{OWNER, owner};

/// A socket that leads to the private engine.
pub(crate) struct Share {
    folder: TempDir,
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    engine: PathBuf,
    /// `name=value` of the label that the containers carry.
    label: String,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    hangs: bool,
    ended: bool,
    connections: Vec<UnixStream>,
}

impl Share {
    /// The containers of the calling test.
    pub(crate) fn of(engine: &Engine) -> Self {
        let inner = Inner {
            engine: engine.socket().to_owned(),
            label: format!("{OWNER}={}", owner()),
            state: Mutex::default(),
            changed: Condvar::new(),
        };
        let mut share = Self { folder: tempfile::tempdir().unwrap(), inner: Arc::new(inner), thread: None };
        share.come_back();
        share
    }

    /// In the form that `DOCKER_HOST` takes.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The socket's file.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    /// From now on nothing is answered: requests are accepted, and what is on its way stops.
    pub(crate) fn hang(&self) {
        self.inner.lock().hangs = true;
    }

    /// What hung goes on.
    pub(crate) fn answer_again(&self) {
        self.inner.lock().hangs = false;
        self.inner.changed.notify_all();
    }

    /// The engine ends: all connections are closed, and nobody listens.
    pub(crate) fn go(&mut self) {
        self.inner.lock().ended = true;
        self.inner.changed.notify_all();
        // Wakes the listener, which then leaves; it may have left already.
        drop(UnixStream::connect(self.socket()));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        for connection in self.inner.lock().connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// The engine is there again after [`Share::go`].
    pub(crate) fn come_back(&mut self) {
        let socket = self.socket();
        // An engine that was killed leaves its socket's file behind.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let inner = Arc::clone(&self.inner);
        inner.lock().ended = false;
        self.thread = Some(thread::spawn(move || inner.listen(&listener)));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.go();
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(self: &Arc<Self>, listener: &UnixListener) {
        while let Ok((client, _)) = listener.accept() {
            let mut state = self.lock();
            if state.ended {
                return;
            }
            state.connections.extend(client.try_clone());
            drop(state);
            let inner = Arc::clone(self);
            // Either side may close at any time, which ends the request.
            thread::spawn(move || inner.carry(&client).ok());
        }
    }

    /// Carries one request and its answer.
    fn carry(self: &Arc<Self>, client: &UnixStream) -> io::Result<()> {
        let mut request = BufReader::new(client);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if request.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        self.wait_while_it_hangs();
        let engine = UnixStream::connect(&self.engine)?;
        self.lock().connections.extend(engine.try_clone());
        (&engine).write_all(self.with_filter(&head).as_bytes())?;
        (&engine).write_all(request.buffer())?;
        let (from, to) = (client.try_clone()?, engine.try_clone()?);
        let body = thread::spawn(move || {
            // The request's body; a client that goes takes its request with it.
            let _ = io::copy(&mut &from, &mut &to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let carried = self.carry_answer(&engine, client);
        let _ = client.shutdown(Shutdown::Both);
        let _ = body.join();
        carried
    }

    fn carry_answer(&self, mut engine: &UnixStream, mut client: &UnixStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = engine.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.wait_while_it_hangs();
            client.write_all(&buffer[..read])?;
        }
    }

    fn wait_while_it_hangs(&self) {
        let state = self.lock();
        let waiting = |state: &mut State| state.hangs && !state.ended;
        drop(self.changed.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner));
    }

    /// The head of a request with our filter in it, where it asks for a list or for events.
    fn with_filter(&self, head: &str) -> String {
        let (line, rest) = head.split_once("\r\n").unwrap();
        let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("not a request: {line:?}");
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let target = if path.ends_with("/containers/json") || path.ends_with("/events") {
            let (filters, others): (Vec<_>, Vec<_>) = query.split('&').partition(|pair| pair.starts_with("filters="));
            let filters = filters.first().map_or_else(|| "{}".to_owned(), |pair| decoded(&pair["filters=".len()..]));
            let mut filters: Value = serde_json::from_str(&filters).unwrap();
            filters["label"] = serde_json::json!([self.label]);
            format!("{path}?{}&filters={}", others.join("&"), encoded(&filters.to_string()))
        } else {
            target.to_owned()
        };
        // One request a connection, because only the first is looked at.
        format!("{method} {target} {version}\r\nConnection: close\r\n{rest}")
    }
}

/// Undoes the percent encoding of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = || u8::from_str_radix(std::str::from_utf8(tail.get(..2)?).ok()?, 16).ok();
        if let (b'%', Some(byte)) = (first, hex()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(if first == b'+' { b' ' } else { first });
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}
