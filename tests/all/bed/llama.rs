//! A real llama.cpp server with a real, small model.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::exchange::exchange;
use super::{DEADLINE, part, wait_until};

/// A llama-server that has loaded its model; dropping it ends it.
pub(crate) struct LlamaServer {
    process: Child,
    address: SocketAddr,
    /// Holds the server's output, for the message when it does not come up.
    folder: TempDir,
}

/// Starts a server on a free loopback port, with metrics and slots on, and waits until it is healthy.
/// `None`, noted as left out, where `tests/run` could not provide it.
#[track_caller]
pub(crate) fn llama() -> Option<LlamaServer> {
    llama_with(&weights()?)
}

/// The weights of a small model.
#[track_caller]
pub(crate) fn weights() -> Option<PathBuf> {
    part("HOSTLER_TEST_MODEL", "a small model")
}

/// Those of another one.
#[track_caller]
pub(crate) fn other_weights() -> Option<PathBuf> {
    part("HOSTLER_TEST_MODEL_2", "a second small model")
}

/// The same with these weights.
#[track_caller]
pub(crate) fn llama_with(model: &Path) -> Option<LlamaServer> {
    llama_of(model, 4096, 2)
}

/// The same with a context of so many tokens for so many slots.
#[track_caller]
pub(crate) fn llama_of(model: &Path, context: u32, slots: u32) -> Option<LlamaServer> {
    let program = part("HOSTLER_TEST_LLAMA", "llama-server")?;
    let folder = tempfile::tempdir().unwrap();
    let output = File::create(folder.path().join("output")).unwrap();
    let port = free_port();
    let process = Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .arg("--model")
        .arg(model)
        .args(["--metrics", "--props"])
        .args(["--ctx-size", &context.to_string(), "--parallel", &slots.to_string(), "--threads", "2"])
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut server = LlamaServer { process, address: (Ipv4Addr::LOCALHOST, port).into(), folder };
    wait_until(DEADLINE, "llama-server is healthy", || {
        if let Some(status) = server.process.try_wait().unwrap() {
            panic!("llama-server ended ({status}): {}", server.output());
        }
        matches!(server.get("/health"), Ok((200, _))).then_some(())
    });
    Some(server)
}

/// A port that was free a moment ago; in the bed's own network nobody else asks for one.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

impl LlamaServer {
    /// Where it listens, as the start of a URL: `http://127.0.0.1:…`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The process id of the server itself.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Status code and body of the answer to a GET.
    pub(crate) fn get(&self, path: &str) -> io::Result<(u16, String)> {
        exchange(self.address, "GET", path, b"")
    }

    /// Status code and body of the answer to a POST of JSON: a completion, for instance.
    pub(crate) fn post(&self, path: &str, json: &str) -> io::Result<(u16, String)> {
        exchange(self.address, "POST", path, json.as_bytes())
    }

    /// What it has written.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        // Either fails only when the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
