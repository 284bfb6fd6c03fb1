//! A real Ollama with real weights. It generates with the real llama.cpp server where that lies beside it; without, generating
//! really fails. A relay before it plays that one part, where a test wants it quick, and any other that is to fail.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::exchange::exchange;
use super::{DEADLINE, free_port, part, wait_until};

/// An Ollama of a test's own; dropping it ends it.
pub(crate) struct OllamaServer {
    process: Child,
    address: SocketAddr,
    /// Holds its models and its output.
    folder: TempDir,
}

/// Starts Ollama on a free loopback port, and waits until it answers; it cannot generate. `None`, noted as left out, where
/// `tests/run` could not provide it, or weights for it.
#[track_caller]
pub(crate) fn ollama() -> Option<OllamaServer> {
    start(None)
}

/// The same with llama.cpp's server, so that it can.
#[track_caller]
pub(crate) fn ollama_with_llama() -> Option<OllamaServer> {
    start(Some(part("HOSTLER_TEST_LLAMA", "llama-server")?))
}

/// Stands for llama.cpp's tool, by which Ollama has weights checked: it copies them.
const QUANTIZE: &str = "#!/bin/sh\n[ \"$4\" = COPY ] && cp \"$2\" \"$3\"\n";

#[track_caller]
fn start(llama: Option<PathBuf>) -> Option<OllamaServer> {
    let built = part("HOSTLER_TEST_OLLAMA", "Ollama")?;
    part("HOSTLER_TEST_MODEL", "a model for Ollama")?;
    let folder = tempfile::tempdir().unwrap();
    // It looks beside itself for what it starts.
    let program = folder.path().join("ollama");
    fs::hard_link(&built, &program).or_else(|_| fs::copy(&built, &program).map(drop)).unwrap();
    let quantize = folder.path().join("llama-quantize");
    fs::write(&quantize, QUANTIZE).unwrap();
    fs::set_permissions(&quantize, PermissionsExt::from_mode(0o755)).unwrap();
    if let Some(llama) = llama {
        symlink(llama, folder.path().join("llama-server")).unwrap();
    }
    let output = File::create(folder.path().join("output")).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let process = Command::new(program)
        .arg("serve")
        .env("OLLAMA_HOST", address.to_string())
        .env("OLLAMA_MODELS", folder.path().join("models"))
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let server = OllamaServer { process, address, folder };
    wait_until(DEADLINE, "Ollama answers", || {
        matches!(server.ask("GET", "/", &json!(null)), Ok((200, _))).then_some(())
    });
    Some(server)
}

impl OllamaServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its folder of models.
    pub(crate) fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, String)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        exchange(self.address, method, path, body.as_bytes())
    }

    #[track_caller]
    fn done(&self, method: &str, path: &str, body: &Value) -> String {
        let (status, text) = self.ask(method, path, body).unwrap();
        assert!(status < 300, "{method} {path}: {status} {text}");
        text
    }

    /// Makes a model of these weights; another `system` makes another model of the same ones.
    #[track_caller]
    pub(crate) fn create(&self, name: &str, weights: &Path, system: &str) {
        let bytes = fs::read(weights).unwrap();
        let digest = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        let path = format!("/api/blobs/{digest}");
        if !matches!(exchange(self.address, "HEAD", &path, b""), Ok((200, _))) {
            assert_eq!(exchange(self.address, "POST", &path, &bytes).unwrap().0, 201);
        }
        let body = json!({ "model": name, "files": { "model.gguf": digest }, "system": system, "stream": false });
        self.done("POST", "/api/create", &body);
    }

    #[track_caller]
    pub(crate) fn copy(&self, from: &str, to: &str) {
        self.done("POST", "/api/copy", &json!({ "source": from, "destination": to }));
    }

    /// What a model says, asked by this name, as a client does.
    #[track_caller]
    pub(crate) fn generate(&self, name: &str) -> String {
        let body = json!({ "model": name, "prompt": "Say hello.", "stream": false, "options": { "num_predict": 4 } });
        self.done("POST", "/api/generate", &body)
    }

    /// Names and digests of the models in memory, the one that was asked last first.
    pub(crate) fn loaded(&self) -> Vec<(String, String)> {
        named(&self.done("GET", "/api/ps", &json!(null)))
    }

    #[track_caller]
    pub(crate) fn delete(&self, name: &str) {
        self.done("DELETE", "/api/delete", &json!({ "model": name }));
    }

    /// Digests by name.
    pub(crate) fn digests(&self) -> HashMap<String, String> {
        named(&self.done("GET", "/api/tags", &json!(null))).into_iter().collect()
    }

    /// The digest of what has this name; empty where nothing has.
    pub(crate) fn digest(&self, name: &str) -> String {
        self.digests().remove(name).unwrap_or_default()
    }

    /// Names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.digests().into_keys().collect();
        names.sort();
        names
    }

    /// Bytes of all its blobs.
    pub(crate) fn bytes(&self) -> u64 {
        let blobs = fs::read_dir(self.models().join("blobs")).unwrap();
        blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum()
    }

    /// The same with its manifests.
    pub(crate) fn whole_bytes(&self) -> u64 {
        fn below(folder: &Path) -> u64 {
            let bytes = |path: PathBuf| if path.is_dir() { below(&path) } else { path.metadata().unwrap().len() };
            fs::read_dir(folder).unwrap().map(|entry| bytes(entry.unwrap().path())).sum()
        }
        self.bytes() + below(&self.models().join("manifests"))
    }
}

impl Drop for OllamaServer {
    fn drop(&mut self) {
        // Either fails only when the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Names and digests in a list of models.
fn named(list: &str) -> Vec<(String, String)> {
    let list: Value = serde_json::from_str(list).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["models"].as_array().unwrap().iter().map(|model| (text(&model["name"]), text(&model["digest"]))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A part that a relay plays itself: the bytes that it answers with.
type Played = Vec<u8>;

/// A relay before a server: what it plays no part of it hands on. What it was asked is kept.
pub(crate) struct Relay {
    address: SocketAddr,
    part: Arc<Part>,
    thread: Option<JoinHandle<()>>,
}

struct Part {
    behind: SocketAddr,
    played: Mutex<HashMap<String, Played>>,
    asked: Mutex<Vec<String>>,
    ending: AtomicBool,
}

/// An answer after Ollama's source (`server/routes.go`, `GenerateHandler`): a generation of one word, or a model that was
/// loaded or unloaded.
pub(crate) const GENERATED: &str =
    r#"{"model":"m","created_at":"2026-11-30T00:00:00Z","response":"Hello.","done":true,"done_reason":"stop"}"#;

/// A whole answer with this body.
pub(crate) fn whole(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// The beginning of an answer that is longer than what is sent of it, so that it breaks off.
pub(crate) fn broken_off(body: &str) -> Vec<u8> {
    let length = body.len() + 1000;
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

impl Relay {
    /// A relay before the server at `behind`.
    pub(crate) fn before(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let part = Arc::new(Part {
            behind,
            played: Mutex::default(),
            asked: Mutex::default(),
            ending: AtomicBool::new(false),
        });
        let playing = Arc::clone(&part);
        let thread = thread::spawn(move || playing.play(&listener));
        Self { address, part, thread: Some(thread) }
    }

    /// A double of Ollama's generating before a real Ollama.
    pub(crate) fn generating(server: &OllamaServer) -> Self {
        let relay = Self::before(server.address());
        relay.plays("POST /api/generate", whole("200 OK", GENERATED));
        relay
    }

    /// Plays this part (`METHOD /path`) from now on.
    pub(crate) fn plays(&self, part: &str, answer: Vec<u8>) {
        self.part.played.lock().unwrap().insert(part.to_owned(), answer);
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Whole requests that were asked so far, each as `METHOD /path BODY`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.part.asked.lock().unwrap().clone()
    }
}

impl Part {
    fn play(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((connection, _)) = listener.accept() {
            if self.ending.load(Ordering::Acquire) {
                return;
            }
            let part = Arc::clone(self);
            thread::spawn(move || part.answer(connection));
        }
    }

    fn answer(&self, mut connection: TcpStream) {
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        let Some((head, body)) = request(&connection) else { return };
        let mut words = head.split(' ');
        let part = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        self.asked.lock().unwrap().push(format!("{part} {}", String::from_utf8_lossy(&body)));
        let played = self.played.lock().unwrap().get(&part).cloned();
        // Whoever asked may have gone, and who is asked too.
        if let Some(answer) = played {
            drop(connection.write_all(&answer));
            drop(connection.shutdown(Shutdown::Write));
            return;
        }
        let Ok(mut behind) = TcpStream::connect(self.behind) else { return };
        let length = body.len();
        let head = format!(
            "{part} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        if behind.write_all(head.as_bytes()).and_then(|()| behind.write_all(&body)).is_ok() {
            drop(std::io::copy(&mut behind, &mut connection));
        }
    }
}

/// Head and body of a request; `None` if the connection ends before.
fn request(connection: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut reader = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.part.ending.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // It cannot panic unless the test has; and a drop must not.
            let _ = thread.join();
        }
    }
}
