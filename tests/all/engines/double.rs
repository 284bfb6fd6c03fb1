//! Doubles of inference servers: listeners on loopback that replay a captured answer for each path, and others that
//! misbehave. What they were asked is kept.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::bed::DEADLINE;

/// How often a double that cannot send looks whether it is to end.
const POLL: Duration = Duration::from_millis(20);

/// What a double does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes again and again, as long as somebody reads them.
    Endless(Vec<u8>),
    /// Keeps the connection and says nothing.
    Silence,
    /// Closes the connection.
    Close,
}

/// A complete answer with this status line and body.
pub(crate) fn answer(status: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Bytes(
        format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes(),
    )
}

/// A captured answer: `tests/all/fixtures/engines/FOLDER/NAME.txt`.
pub(crate) fn captured(folder: &str, name: &str) -> Reply {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/fixtures/engines").join(folder);
    Reply::Bytes(std::fs::read(folder.join(name).with_extension("txt")).unwrap())
}

/// A server that plays its part until it is dropped.
pub(crate) struct Double {
    address: SocketAddr,
    part: Arc<Part>,
    thread: Option<JoinHandle<()>>,
}

struct Part {
    replies: Mutex<HashMap<String, Reply>>,
    otherwise: Mutex<Reply>,
    /// Whole requests, in order.
    asked: Mutex<Vec<String>>,
    ending: AtomicBool,
}

impl Double {
    /// A server that replies so to every path.
    pub(crate) fn new(otherwise: Reply) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), otherwise)
    }

    /// The same at this address.
    pub(crate) fn at(address: SocketAddr, otherwise: Reply) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let part = Arc::new(Part {
            replies: Mutex::default(),
            otherwise: Mutex::new(otherwise),
            asked: Mutex::default(),
            ending: AtomicBool::new(false),
        });
        let playing = Arc::clone(&part);
        let thread = thread::spawn(move || playing.play(&listener));
        Self { address, part, thread: Some(thread) }
    }

    /// A server that replays the captures of `folder`: for each path the file of that name.
    fn replaying(folder: &str, files: &[(&str, &str)]) -> Self {
        let double = Self::new(captured(folder, "not-found"));
        for (path, file) in files {
            double.reply(path, captured(folder, file));
        }
        double
    }

    /// llama.cpp's server b1-7e4c0a9 with two slots, four requests and `--metrics`.
    pub(crate) fn llama_server_b1_7e4c0a9() -> Self {
        let files = [("/v1/models", "models"), ("/props", "props"), ("/metrics", "metrics")];
        Self::replaying("llama-server-b1-7e4c0a9", &files)
    }

    /// vLLM 0.32.0 with one sequence at a time and six requests.
    pub(crate) fn vllm_0_32_0() -> Self {
        let files = [("/v1/models", "models"), ("/version", "version"), ("/metrics", "metrics")];
        Self::replaying("vllm-0.32.0", &files)
    }

    /// Ollama 0.33.0 with three models, one of them loaded. Its answers are written after its source, not captured.
    pub(crate) fn ollama_0_33_0() -> Self {
        let files = [
            ("/", "home"),
            ("/v1/models", "models"),
            ("/api/version", "version"),
            ("/api/tags", "tags"),
            ("/api/ps", "ps"),
        ];
        Self::replaying("ollama-0.33.0", &files)
    }

    /// Replies so to this path, whatever its query, from now on; a path with a query goes before.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.part.replies.lock().unwrap().insert(path.to_owned(), reply);
    }

    /// Replies so to every path from now on.
    pub(crate) fn reply_to_all(&self, reply: Reply) {
        self.part.replies.lock().unwrap().clear();
        *self.part.otherwise.lock().unwrap() = reply;
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far, each as `GET /path?query`; a request that is being asked is not among it yet.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.part.asked.lock().unwrap();
        asked.iter().map(|request| request.split(" HTTP/").next().unwrap().to_owned()).collect()
    }

    /// Whole requests so far: their lines, and their bodies.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.part.asked.lock().unwrap().clone()
    }

    /// The last whole request: its lines, and its body.
    pub(crate) fn last_request(&self) -> String {
        self.part.asked.lock().unwrap().last().cloned().unwrap()
    }
}

impl Part {
    fn play(&self, listener: &TcpListener) {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept() {
            if self.ending.load(Ordering::Acquire) {
                return;
            }
            connection.set_read_timeout(Some(DEADLINE)).unwrap();
            let Some(request) = request(&connection) else {
                continue;
            };
            let target = request.split(' ').nth(1).unwrap().to_owned();
            let path = target.split('?').next().unwrap();
            // Asked before answered, so that who has the answer finds the question here.
            self.asked.lock().unwrap().push(request);
            let replies = self.replies.lock().unwrap();
            let reply = replies.get(&target).or_else(|| replies.get(path)).cloned();
            drop(replies);
            let reply = reply.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
            match reply {
                // Whoever asked may have gone.
                Reply::Bytes(bytes) => drop((&connection).write_all(&bytes)),
                Reply::Endless(bytes) => self.repeat(&connection, &bytes),
                Reply::Silence => held.push(connection),
                Reply::Close => {}
            }
        }
    }

    /// Sends the bytes until nobody is left to take them.
    fn repeat(&self, mut connection: &TcpStream, bytes: &[u8]) {
        connection.set_write_timeout(Some(POLL)).unwrap();
        let mut left = bytes;
        while !self.ending.load(Ordering::Acquire) {
            match connection.write(left) {
                Ok(sent) => left = &left[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if left.is_empty() {
                left = bytes;
            }
        }
    }
}

/// A whole request; `None` if the connection ends before.
fn request(connection: &TcpStream) -> Option<String> {
    let mut reader = BufReader::new(connection);
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        if reader.read_line(&mut request).ok()? == 0 {
            return None;
        }
    }
    let length = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    request.push_str(&String::from_utf8(body).ok()?);
    Some(request)
}

impl Drop for Double {
    fn drop(&mut self) {
        self.part.ending.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // It cannot panic unless the test has; and a drop must not.
            let _ = thread.join();
        }
    }
}
