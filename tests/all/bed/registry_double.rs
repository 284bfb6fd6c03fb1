//! A double of a registry, of its server of tokens, or of GitHub, for what a real one does seldom: it answers each request
//! as the test says, or not at all. What it was asked is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::DEADLINE;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// `GET`, `HEAD`, `POST`.
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// The head's lines, their names in small letters.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    /// A header; empty where it was not sent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// A status, headers of one line each, and a body.
    Answer(u16, Vec<String>, String),
    /// The head, and then the body again and again as long as somebody reads it.
    Endless(String),
    /// Nothing, with the connection kept.
    Silence,
}

impl Reply {
    /// A status and a body.
    pub(crate) fn new(status: u16, body: impl Into<String>) -> Self {
        Self::Answer(status, Vec::new(), body.into())
    }

    /// The same with one more header.
    pub(crate) fn with(self, header: impl Into<String>) -> Self {
        match self {
            Self::Answer(status, mut headers, body) => {
                headers.push(header.into());
                Self::Answer(status, headers, body)
            }
            other => other,
        }
    }
}

/// A server that answers until it is dropped.
pub(crate) struct RegistryDouble {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a double that answers as `reply` says, several requests at a time.
pub(crate) fn registry_double(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> RegistryDouble {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, ending) = (Arc::new(Mutex::new(Vec::<Asked>::new())), Arc::new(AtomicBool::new(false)));
    let (reply, known, end) = (Arc::new(reply), Arc::clone(&asked), Arc::clone(&ending));
    let thread = thread::spawn(move || {
        let held = Arc::new(Mutex::new(Vec::new()));
        while let Ok((connection, _)) = listener.accept() {
            if end.load(Ordering::Acquire) {
                return;
            }
            let (reply, known, held) = (Arc::clone(&reply), Arc::clone(&known), Arc::clone(&held));
            thread::spawn(move || {
                connection.set_read_timeout(Some(DEADLINE)).unwrap();
                let Some(request) = request(&connection) else { return };
                known.lock().unwrap().push(request.clone());
                match reply(&request) {
                    Reply::Answer(status, headers, body) => {
                        let body = if request.method == "HEAD" { String::new() } else { body };
                        let headers: String = headers.iter().flat_map(|header| [header.as_str(), "\r\n"]).collect();
                        let length = body.len();
                        let head = format!("HTTP/1.1 {status} x\r\nConnection: close\r\n{headers}");
                        // Whoever asked may have gone.
                        drop(write!(&connection, "{head}Content-Length: {length}\r\n\r\n{body}"));
                    }
                    Reply::Endless(part) => {
                        drop(write!(&connection, "HTTP/1.1 200 x\r\nConnection: close\r\n\r\n"));
                        while write!(&connection, "{part}").is_ok() {}
                    }
                    Reply::Silence => held.lock().unwrap().push(connection),
                }
            });
        }
    });
    RegistryDouble { address, asked, ending, thread: Some(thread) }
}

fn request(connection: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(connection);
    let mut line = String::new();
    lines.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        lines.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut asked = Asked { method, path, headers, body: String::new() };
    let length = asked.header("content-length").parse().unwrap_or_default();
    lines.take(length).read_to_string(&mut asked.body).ok()?;
    Some(asked)
}

impl RegistryDouble {
    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What it was asked so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for RegistryDouble {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // It cannot panic; and a drop must not.
            let _ = thread.join();
        }
    }
}
