//! Who listens on this host: the TCP sockets of this network namespace, and the processes that hold them.
//!
//! Sockets of other namespaces (a container's port that is not published) are not seen. The kernel lets a user look into
//! the descriptors of own processes only; for two kinds of process their command line, which all may read, tells the port
//! all the same: Docker's proxy of a published port, and the server of one model that another server has started.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Cursor};
use std::net::SocketAddr;

use procfs_core::net::{TcpNetEntries, TcpState};
use procfs_core::process::Stat;
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};

use super::process::stat;
use super::{RootedFs, cgroup, foreign};
use crate::domain::ContainerId;

/// A TCP socket that takes connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Where, as it was bound: `0.0.0.0` and `::` stand for every address.
    pub address: SocketAddr,
    /// The socket's number in the kernel: another one means another server.
    pub inode: u64,
}

/// Every listening TCP socket of this network namespace, those of IPv4 first.
///
/// # Errors
/// When `/proc/net/tcp` cannot be read, or either table cannot be understood. A host without IPv6 is no error.
pub fn listeners(fs: &RootedFs) -> io::Result<Vec<Listener>> {
    let mut found = table(fs, "/proc/net/tcp")?;
    match table(fs, "/proc/net/tcp6") {
        Ok(more) => found.extend(more),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn table(fs: &RootedFs, path: &str) -> io::Result<Vec<Listener>> {
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
    let text = listening_rows(BufReader::new(fs.open(path).map_err(at)?)).map_err(at)?;
    // Only the byte order matters for a table of sockets.
    let system = ExplicitSystemInfo {
        boot_time_secs: 0,
        ticks_per_second: 0,
        page_size: 0,
        is_little_endian: cfg!(target_endian = "little"),
    };
    let TcpNetEntries(rows) = TcpNetEntries::from_buf_read(Cursor::new(text), &system)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}")))?;
    let listening = rows.into_iter().filter(|row| row.state == TcpState::Listen);
    Ok(listening.map(|row| Listener { address: row.local_address, inode: row.inode }).collect())
}

/// The head of a socket table up to its first row that does not listen: the kernel prints the listening sockets before
/// all others (`net/ipv4/tcp_ipv4.c`), and making thousands of rows of connections would cost it more than all else here.
fn listening_rows(table: impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    for line in table.lines() {
        let line = line?;
        if !head.is_empty() && line.split_whitespace().nth(3) != Some("0A") {
            break;
        }
        head.push_str(&line);
        head.push('\n');
    }
    Ok(head)
}

/// A process that holds a listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its id.
    pub pid: u32,
    /// Its name, as the kernel keeps it: at most 15 characters.
    pub name: String,
    /// The name of the process that started it; empty where that cannot be read.
    pub parent: String,
    /// The container that it runs in.
    pub container: Option<ContainerId>,
    /// For Docker's proxy of a published port: the container's own port.
    pub forwards_to: Option<u16>,
}

/// Programs that hold a port for a server behind it: Docker's, rootless Docker's and Podman's.
const FORWARDERS: &[&str] =
    &["docker-proxy", "rootlesskit", "rootlesskit-doc", "rootlessport", "slirp4netns", "pasta", "pasta.avx2", "conmon"];

impl Owner {
    /// Whether it only passes connections on, so that the server is another process.
    pub fn is_forwarder(&self) -> bool {
        FORWARDERS.contains(&self.name.as_str())
    }
}

/// The processes that hold some listening sockets, as far as they can be told.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    by_inode: HashMap<u64, Owner>,
    by_port: HashMap<u16, Owner>,
}

impl Owners {
    /// The process that holds `listener`.
    pub fn of(&self, listener: &Listener) -> Option<&Owner> {
        self.by_inode.get(&listener.inode).or_else(|| self.by_port.get(&listener.address.port()))
    }
}

/// Looks for the processes that hold these sockets. It walks through the descriptors of every process (some ten
/// milliseconds on a busy host), so ask once for each new socket, not at every reading.
///
/// `starters` are the names of programs that start servers of their own on ports of this host.
pub fn owners(fs: &RootedFs, inodes: &[u64], starters: &[&str]) -> Owners {
    let inodes: HashSet<u64> = inodes.iter().copied().collect();
    let mut owners = Owners::default();
    let mut pids: Vec<u32> = fs.list("/proc").unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect();
    // Of processes that share a socket, the oldest (as a rule the one that opened it) is its owner.
    pids.sort_unstable();
    for pid in pids {
        for inode in sockets_of(fs, pid) {
            if inodes.contains(&inode) && !owners.by_inode.contains_key(&inode) {
                owners.by_inode.extend(owner(fs, pid).map(|owner| (inode, owner)));
            }
        }
        if owners.by_inode.len() == inodes.len() {
            break;
        }
        if let Some((port, owner)) = told_by_arguments(fs, pid, starters) {
            owners.by_port.entry(port).or_insert(owner);
        }
    }
    owners
}

/// The sockets among the descriptors of a process; none where this user may not look.
fn sockets_of(fs: &RootedFs, pid: u32) -> impl Iterator<Item = u64> {
    let folder = format!("/proc/{pid}/fd");
    let names = fs.list(&folder).unwrap_or_default();
    names.into_iter().filter_map(move |name| {
        let target = fs.read_link(format!("{folder}/{name}")).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

fn owner(fs: &RootedFs, pid: u32) -> Option<Owner> {
    let stat = stat(fs, pid)?;
    let name = foreign::name(&stat.comm);
    let forwards_to = (name == "docker-proxy").then(|| argument(fs, pid, "-container-port")).flatten();
    Some(Owner { pid, name, parent: parent(fs, &stat), container: cgroup::container_of(fs, pid), forwards_to })
}

/// The port that a process serves by its own arguments, where the process is of a kind whose arguments tell it.
fn told_by_arguments(fs: &RootedFs, pid: u32, starters: &[&str]) -> Option<(u16, Owner)> {
    let name = fs.read(format!("/proc/{pid}/comm")).ok()?;
    match name.trim_end() {
        "docker-proxy" => Some((argument(fs, pid, "-host-port")?, owner(fs, pid)?)),
        "llama-server" => {
            let port = argument(fs, pid, "--port")?;
            let owner = owner(fs, pid)?;
            starters.contains(&owner.parent.as_str()).then_some((port, owner))
        }
        _ => None,
    }
}

fn parent(fs: &RootedFs, stat: &Stat) -> String {
    let name = fs.read(format!("/proc/{}/comm", stat.ppid)).unwrap_or_default();
    foreign::name(name.trim_end())
}

/// The port that follows `option` among the arguments of a process.
fn argument(fs: &RootedFs, pid: u32, option: &str) -> Option<u16> {
    let line = fs.read(format!("/proc/{pid}/cmdline")).ok()?;
    line.split('\0').skip_while(|part| *part != option).nth(1)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a made-up tree is written before it is read")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn row(local: &str, state: &str, inode: u64) -> String {
        format!(
            "   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0\n"
        )
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(root: &Path, pid: u32, parent: u32, arguments: &[&str], sockets: &[u64]) {
        let name = arguments[0];
        write(root, &format!("proc/{pid}/comm"), &format!("{name}\n"));
        write(root, &format!("proc/{pid}/cmdline"), &(arguments.join("\0") + "\0"));
        let numbers = vec!["0"; 48].join(" ");
        write(root, &format!("proc/{pid}/stat"), &format!("{pid} ({name}) S {parent} {numbers}\n"));
        fs::create_dir_all(root.join(format!("proc/{pid}/fd"))).unwrap();
        for (number, inode) in (3..).zip(sockets) {
            symlink(format!("socket:[{inode}]"), root.join(format!("proc/{pid}/fd/{number}"))).unwrap();
        }
    }

    #[test]
    fn listening_sockets_of_both_families_are_found() {
        let root = tempfile::tempdir().unwrap();
        let v4 = HEADER.to_owned()
            + &row("0100007F:2CAA", "0A", 11)
            + &row("00000000:1F90", "0A", 12)
            + &row("0100007F:2CAA", "01", 13);
        write(root.path(), "proc/net/tcp", &v4);
        let v6 = HEADER.to_owned() + &row("00000000000000000000000001000000:0CEA", "0A", 14);
        write(root.path(), "proc/net/tcp6", &v6);
        let found = listeners(&RootedFs::new(root.path())).unwrap();
        let shown: Vec<_> = found.iter().map(|listener| (listener.address.to_string(), listener.inode)).collect();
        assert_eq!(
            shown,
            [("127.0.0.1:11434".to_owned(), 11), ("0.0.0.0:8080".to_owned(), 12), ("[::1]:3306".to_owned(), 14)]
        );
    }

    #[test]
    fn no_table_names_its_path_and_no_ipv6_is_fine() {
        let root = tempfile::tempdir().unwrap();
        let fs = RootedFs::new(root.path());
        assert!(listeners(&fs).unwrap_err().to_string().starts_with("/proc/net/tcp: "));
        write(root.path(), "proc/net/tcp", HEADER);
        assert_eq!(listeners(&fs).unwrap(), []);
        write(root.path(), "proc/net/tcp6", &(HEADER.to_owned() + &row("nonsense", "0A", 1)));
        assert!(listeners(&fs).unwrap_err().to_string().starts_with("/proc/net/tcp6: "));
    }

    #[test]
    fn the_tables_of_the_live_kernel_are_understood() {
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listeners(&RootedFs::new("/")).unwrap();
        let ours = found.iter().find(|listener| listener.address == bound.local_addr().unwrap()).unwrap();
        let owners = owners(&RootedFs::new("/"), &[ours.inode], &[]);
        assert_eq!(owners.of(ours).unwrap().pid, std::process::id());
    }

    #[test]
    fn an_owner_is_told_by_its_descriptor_else_by_its_arguments() {
        let root = tempfile::tempdir().unwrap();
        let container = "4f".repeat(32);
        process(root.path(), 1, 0, &["systemd"], &[]);
        process(root.path(), 700, 1, &["ollama"], &[21]);
        process(root.path(), 701, 700, &["llama-server", "--port", "40123"], &[]);
        process(root.path(), 702, 1, &["llama-server", "--port", "8080"], &[]);
        process(root.path(), 800, 1, &["docker-proxy", "-host-port", "8000", "-container-port", "5432"], &[]);
        process(root.path(), 900, 1, &["python3"], &[23, 24]);
        process(root.path(), 901, 900, &["python3"], &[23]);
        write(root.path(), "proc/900/cgroup", &format!("0::/system.slice/docker-{container}.scope\n"));
        let listener = |port: u16, inode| Listener { address: ([127, 0, 0, 1], port).into(), inode };
        let fs = RootedFs::new(root.path());
        let owners = owners(&fs, &[21, 22, 23], &["ollama"]);

        let ollama = owners.of(&listener(11434, 21)).unwrap();
        assert_eq!((ollama.pid, ollama.name.as_str(), ollama.parent.as_str()), (700, "ollama", "systemd"));
        let served = owners.of(&listener(9000, 23)).unwrap();
        assert_eq!((served.pid, served.container.clone()), (900, Some(ContainerId::from(container.as_str()))));
        // Descriptors of these cannot be read.
        let child = owners.of(&listener(40123, 22)).unwrap();
        assert_eq!((child.pid, child.parent.as_str()), (701, "ollama"));
        let proxy = owners.of(&listener(8000, 22)).unwrap();
        assert_eq!((proxy.is_forwarder(), proxy.forwards_to), (true, Some(5432)));
        assert_eq!(owners.of(&listener(8080, 22)), None);
    }
}
