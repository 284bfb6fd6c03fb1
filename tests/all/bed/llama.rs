//! A real llama.cpp server with a real, small model.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{DEADLINE, part, wait_until};

/// How long one HTTP request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

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
    let program = part("HOSTLER_TEST_LLAMA", "llama-server")?;
    let model = part("HOSTLER_TEST_MODEL", "the model of llama-server")?;
    let folder = tempfile::tempdir().unwrap();
    let output = File::create(folder.path().join("output")).unwrap();
    let port = free_port();
    let process = Command::new(program)
        .args(["--host", "127.0.0.1", "--port", &port.to_string()])
        .arg("--model")
        .arg(model)
        .args(["--metrics", "--props"])
        .args(["--ctx-size", "4096", "--parallel", "2", "--threads", "2"])
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
        self.request(&format!("GET {path} HTTP/1.0\r\n\r\n"))
    }

    /// Status code and body of the answer to a POST of JSON: a completion, for instance.
    pub(crate) fn post(&self, path: &str, json: &str) -> io::Result<(u16, String)> {
        let length = json.len();
        self.request(&format!(
            "POST {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        ))
    }

    /// HTTP 1.0, so the answer ends where the connection ends.
    fn request(&self, request: &str) -> io::Result<(u16, String)> {
        let mut connection = TcpStream::connect_timeout(&self.address, REQUEST_TIMEOUT)?;
        connection.set_read_timeout(Some(REQUEST_TIMEOUT))?;
        connection.write_all(request.as_bytes())?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        status
            .zip(body)
            .map(|(status, body)| (status, body.to_owned()))
            .ok_or_else(|| io::Error::other(format!("not an HTTP answer: {answer:?}")))
    }

    fn output(&self) -> String {
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
