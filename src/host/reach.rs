//! Whether something listens at a port of this host.

#![expect(clippy::disallowed_types, reason = "the ports are where sockets are opened")]

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(500);

/// Whether a connection to this port of the loopback is accepted. Nothing is sent.
pub async fn reach(port: u16) -> bool {
    matches!(timeout(CONNECT, TcpStream::connect((Ipv4Addr::LOCALHOST, port))).await, Ok(Ok(_)))
}
