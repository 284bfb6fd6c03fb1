//! Which listening sockets are asked, and where: shared by those who watch and those who act.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{STARTERS, is_spared};
use crate::host::Origin;
use crate::host::sockets::{Listener, Owner};

/// Where loopback reaches the listeners: by origin, a second origin to try (a socket of `::` may or may not take IPv4), and
/// the socket.
pub fn reachable(listeners: &[Listener]) -> BTreeMap<Origin, (Option<Origin>, u64)> {
    let mut reachable = BTreeMap::new();
    for listener in listeners {
        let port = listener.address.port();
        let at = |ip: IpAddr| Origin::new(SocketAddr::new(ip, port)).ok();
        let v4 = at(Ipv4Addr::LOCALHOST.into());
        let (origin, fallback) = match listener.address.ip().to_canonical() {
            IpAddr::V4(ip) if ip.is_unspecified() => (v4, None),
            IpAddr::V6(ip) if ip.is_unspecified() => (v4, at(Ipv6Addr::LOCALHOST.into())),
            // A server of both families is one server, and its socket of IPv4 came first.
            IpAddr::V6(_) if v4.is_some_and(|v4| reachable.contains_key(&v4)) => continue,
            ip => (at(ip), None),
        };
        if let Some(origin) = origin {
            // Of sockets that share a port (SO_REUSEPORT), the first stands for all.
            reachable.entry(origin).or_insert((fallback, listener.inode));
        }
    }
    reachable
}

/// Whether the server of a port, held by `owner`, does not bear a question.
pub fn is_spared_with(port: u16, owner: Option<&Owner>) -> bool {
    is_spared(port) || owner.and_then(|owner| owner.forwards_to).is_some_and(is_spared)
}

/// Whether a process is the server of one model that an engine has started: no engine by itself. Ollama itself may have been
/// started by another `ollama`; the servers that it starts have another name.
pub fn is_child(owner: &Owner) -> bool {
    owner.name != "ollama" && STARTERS.contains(&owner.parent.as_str())
}
