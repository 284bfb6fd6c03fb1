//! One HTTP exchange with a server on loopback, by hand: the tests need no client of their own for it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long one HTTP request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Status code and body of the answer. HTTP 1.0, so the answer ends where the connection ends.
pub(crate) fn exchange(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> io::Result<(u16, String)> {
    let mut connection = TcpStream::connect_timeout(&address, REQUEST_TIMEOUT)?;
    connection.set_read_timeout(Some(REQUEST_TIMEOUT))?;
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    status
        .zip(body)
        .map(|(status, body)| (status, body.to_owned()))
        .ok_or_else(|| io::Error::other(format!("not an HTTP answer: {answer:?}")))
}
