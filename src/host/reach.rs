//! Whether something listens at a port of this host, or of a container on it.

#![expect(clippy::disallowed_types, reason = "the ports are where sockets are opened")]

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Origin;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_millis(500);

/// Whether a connection to it is accepted. Nothing is sent.
pub async fn reach(origin: Origin) -> bool {
    matches!(timeout(CONNECT, TcpStream::connect(origin.address())).await, Ok(Ok(_)))
}
