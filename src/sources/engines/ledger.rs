//! Which ports are asked, when, and what came of it: pure, so that five minutes can pass in a test.
//!
//! A listener is asked once and then known: an engine is read at every turn, another HTTP server is asked again after
//! [`RETRY`], and what does not speak HTTP never again while its socket lives. A new socket at the same port is a stranger.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::domain::{Endpoint, Engine, Reading, Why};
use crate::engines::{EngineSpec, Load, Readings, STARTERS};
use crate::host::sockets::{Listener, Owner, Owners};
use crate::host::{HttpError, Origin};

/// After this time a server that is no engine is asked again: one behind the same port may have become one.
const RETRY: Duration = Duration::from_mins(5);

/// A published port whose server inside the container is still starting closes each connection. It is asked again after
/// this time, then after twice as long each time, up to [`RETRY`].
const RETRY_FORWARDED: Duration = Duration::from_secs(15);

/// So often all of an engine is read anew; between, only what changes all the time.
const RENEW: Duration = Duration::from_mins(1);

/// Ports that are never asked, unless the config names them: their servers log, alarm at or act upon a line of HTTP.
const SPARED: &[(u16, &str)] = &[
    (22, "sshd counts it as a bad login attempt (MaxStartups, fail2ban)"),
    (25, "mail servers log and delay senders that talk before the greeting"),
    (53, "a DNS server takes it for a message of 18 kB and waits"),
    (110, "as 25"),
    (111, "rpcbind: not HTTP"),
    (139, "SMB: not HTTP"),
    (143, "as 25"),
    (389, "LDAP: not HTTP"),
    (445, "SMB: not HTTP"),
    (465, "as 25"),
    (587, "as 25"),
    (993, "as 25"),
    (995, "as 25"),
    (1433, "SQL Server logs a failed login"),
    (2375, "Docker's own interface: asked as what it is"),
    (2376, "as 2375"),
    (2379, "etcd: audited"),
    (2380, "etcd's peers: it logs a rejected member"),
    (3306, "MySQL blocks a host after too many broken handshakes (max_connect_errors)"),
    (5432, "PostgreSQL logs an invalid startup packet"),
    (5433, "as 5432"),
    (5672, "RabbitMQ logs a bad header"),
    (6379, "Redis logs a possible attack"),
    (6380, "as 6379"),
    (6443, "Kubernetes: audited"),
    (9042, "Cassandra logs a protocol error"),
    (9092, "Kafka takes it for a request of 1.2 GB and logs it"),
    (9100, "a raw printer port prints it"),
    (9200, "Elasticsearch: audited"),
    (9300, "Elasticsearch's peers log a bad header"),
    (11211, "memcached: not HTTP"),
    (27017, "MongoDB logs a bad message"),
];

/// Everything that listens, and what is known of it.
#[derive(Default)]
pub(super) struct Ledger {
    entries: BTreeMap<Origin, Entry>,
}

struct Entry {
    /// Asked where the first origin is refused: a socket of `::` may or may not take IPv4.
    fallback: Option<Origin>,
    /// The listening socket; `None` for an endpoint of the config without one that can be seen.
    inode: Option<u64>,
    configured: bool,
    owner: Ownership,
    standing: Standing,
    /// When it was last asked.
    asked: Option<Duration>,
}

enum Ownership {
    Unsought,
    Sought(Option<Owner>),
}

enum Standing {
    /// Not asked yet.
    New,
    /// Never asked.
    Spared,
    /// The server of one model, which belongs to an engine.
    Child,
    Engine(Known),
    Other {
        /// `None`: never while this socket lives.
        again: Option<Duration>,
        /// Times in a row that it was asked in vain.
        times: u32,
        why: Option<HttpError>,
    },
}

struct Known {
    /// Where it answers.
    origin: Origin,
    spec: &'static EngineSpec,
    readings: Readings,
    /// When all of it was read.
    renewed: Duration,
    /// It did not say what it should have.
    doubtful: bool,
}

/// A question that is due.
pub(super) struct Question {
    /// The key of the answer.
    pub(super) origin: Origin,
    pub(super) fallback: Option<Origin>,
    pub(super) task: Task,
}

/// What is to be found out.
pub(super) enum Task {
    /// Everything, from its kind on.
    Identify,
    /// Only what changes all the time, of a server of known kind.
    Refresh {
        /// Where it answered last.
        origin: Origin,
        spec: &'static EngineSpec,
        readings: Readings,
    },
}

/// What came of a question.
pub(super) enum Finding {
    Engine {
        /// Where it answered.
        origin: Origin,
        spec: &'static EngineSpec,
        readings: Readings,
        /// All of it was read, not only what changes all the time.
        whole: bool,
        /// It did not say what it should have.
        doubtful: bool,
    },
    /// It speaks HTTP and is no engine.
    Other,
    Failed(HttpError),
}

impl Ledger {
    /// Takes the endpoints that the config names.
    pub(super) fn configure(&mut self, origins: impl IntoIterator<Item = Origin>) {
        for origin in origins {
            self.entries.insert(origin, Entry { configured: true, ..Entry::new(None, None) });
        }
    }

    /// Takes what listens now: forgets what does not any more, and begins anew with what has another socket.
    pub(super) fn reconcile(&mut self, listeners: &[Listener]) {
        let listening = reachable(listeners);
        self.entries.retain(|origin, entry| entry.configured || listening.contains_key(origin));
        for (origin, (fallback, inode)) in &listening {
            let entry = self.entries.entry(*origin).or_insert_with(|| Entry::new(*fallback, Some(*inode)));
            if entry.inode != Some(*inode) {
                *entry = Entry { configured: entry.configured, ..Entry::new(*fallback, Some(*inode)) };
            }
        }
    }

    /// Listeners whose owner has not been looked for.
    pub(super) fn strangers(&self) -> Vec<Listener> {
        let unsought = self.entries.iter().filter(|(_, entry)| matches!(entry.owner, Ownership::Unsought));
        unsought
            .filter_map(|(origin, entry)| Some(Listener { address: origin.address(), inode: entry.inode? }))
            .collect()
    }

    /// Takes the owners of the strangers, and decides which of them are not to be asked at all.
    pub(super) fn introduce(&mut self, owners: &Owners) {
        for (origin, entry) in &mut self.entries {
            let (Ownership::Unsought, Some(inode)) = (&entry.owner, entry.inode) else {
                continue;
            };
            let owner = owners.of(&Listener { address: origin.address(), inode }).cloned();
            if matches!(entry.standing, Standing::New) && !entry.configured {
                entry.standing = first_standing(origin.port(), owner.as_ref());
            }
            entry.owner = Ownership::Sought(owner);
        }
    }

    /// What is to be asked now: engines first, and of each sort first what was asked longest ago.
    pub(super) fn due(&self, now: Duration) -> Vec<Question> {
        let mut due: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.is_due(now)).collect();
        due.sort_by_key(|(_, entry)| (!matches!(entry.standing, Standing::Engine(_)), entry.asked));
        due.into_iter()
            .map(|(origin, entry)| Question { origin: *origin, fallback: entry.fallback, task: entry.task(now) })
            .collect()
    }

    /// Takes what came of a question.
    pub(super) fn settle(&mut self, origin: Origin, finding: Finding, now: Duration) {
        let Some(entry) = self.entries.get_mut(&origin) else {
            return;
        };
        entry.asked = Some(now);
        match (finding, &mut entry.standing) {
            (Finding::Engine { origin, spec, readings, whole, doubtful }, standing) => {
                let renewed = match standing {
                    Standing::Engine(known) if !whole => known.renewed,
                    _ => now,
                };
                *standing = Standing::Engine(Known { origin, spec, readings, renewed, doubtful });
            }
            (Finding::Failed(error), Standing::Engine(known)) => known.silent(&error),
            (Finding::Other, _) => entry.other(None, now),
            (Finding::Failed(error), _) => entry.other(Some(error), now),
        }
    }

    /// The engines, by endpoint.
    pub(super) fn engines(&self) -> Vec<Engine> {
        self.entries.values().filter_map(Entry::engine).collect()
    }

    /// How many were asked and are no engine.
    pub(super) fn others(&self) -> usize {
        self.entries.values().filter(|entry| matches!(entry.standing, Standing::Other { .. })).count()
    }

    /// The endpoints of the config that are no engine, and why.
    pub(super) fn disappointing(&self) -> impl Iterator<Item = String> {
        self.entries.iter().filter(|(_, entry)| entry.configured).filter_map(|(origin, entry)| match &entry.standing {
            Standing::Other { why: Some(why), .. } => Some(format!("{origin}: {why}")),
            Standing::Other { why: None, .. } => Some(format!("{origin}: no inference server that is known here")),
            _ => None,
        })
    }
}

impl Entry {
    fn new(fallback: Option<Origin>, inode: Option<u64>) -> Self {
        Self { fallback, inode, configured: false, owner: Ownership::Unsought, standing: Standing::New, asked: None }
    }

    fn owner(&self) -> Option<&Owner> {
        match &self.owner {
            Ownership::Sought(owner) => owner.as_ref(),
            Ownership::Unsought => None,
        }
    }

    fn is_due(&self, now: Duration) -> bool {
        match &self.standing {
            Standing::New | Standing::Engine(_) => true,
            Standing::Spared | Standing::Child => false,
            Standing::Other { again, .. } => again.is_some_and(|again| now >= again),
        }
    }

    fn task(&self, now: Duration) -> Task {
        match &self.standing {
            Standing::Engine(known) if !known.doubtful && now.saturating_sub(known.renewed) < RENEW => {
                Task::Refresh { origin: known.origin, spec: known.spec, readings: known.readings.clone() }
            }
            _ => Task::Identify,
        }
    }

    /// It is no engine, or none that can be told.
    fn other(&mut self, why: Option<HttpError>, now: Duration) {
        let times = match &self.standing {
            Standing::Other { times, why: before, .. } if *before == why => times + 1,
            _ => 0,
        };
        let doubling = 1 << times.min(4);
        let forwarded = self.owner().is_some_and(Owner::is_forwarder);
        let wait = match &why {
            // The operator named it, so its absence is watched.
            Some(_) if self.configured => Some(Duration::ZERO),
            Some(HttpError::NotHttp) => None,
            Some(HttpError::Closed) if !forwarded => None,
            Some(HttpError::Closed) => Some((RETRY_FORWARDED * doubling).min(RETRY)),
            // Perhaps a hung engine, perhaps a server that waits for more of another protocol.
            Some(HttpError::NoAnswer(_)) => Some(RETRY * doubling),
            _ => Some(RETRY),
        };
        self.standing = Standing::Other { again: wait.map(|wait| now + wait), times, why };
    }

    fn engine(&self) -> Option<Engine> {
        let Standing::Engine(known) = &self.standing else {
            return None;
        };
        let owner = self.owner().filter(|owner| !owner.is_forwarder());
        Some(Engine {
            kind: known.spec.kind,
            version: known.readings.version.clone(),
            endpoint: Endpoint(known.origin.to_string()),
            port: known.origin.port(),
            pid: owner.map(|owner| owner.pid),
            container: owner.and_then(|owner| owner.container.clone()),
            models: known.readings.models.clone(),
            requests_running: known.readings.load.running.clone(),
            requests_waiting: known.readings.load.waiting.clone(),
        })
    }
}

impl Known {
    /// It does not answer: nothing that it said before is passed on, but for its version, which cannot have changed.
    fn silent(&mut self, error: &HttpError) {
        let why = Why::new(error.to_string());
        self.readings.load = Load::unavailable(&why);
        self.readings.models = Reading::Unavailable(why);
        self.doubtful = true;
    }
}

fn first_standing(port: u16, owner: Option<&Owner>) -> Standing {
    let spared = |port: u16| SPARED.iter().any(|(spared, _)| *spared == port);
    if spared(port) || owner.and_then(|owner| owner.forwards_to).is_some_and(spared) {
        return Standing::Spared;
    }
    // Ollama itself may have been started by another `ollama`; the servers that it starts have another name.
    match owner {
        Some(owner) if owner.name != "ollama" && STARTERS.contains(&owner.parent.as_str()) => Standing::Child,
        _ => Standing::New,
    }
}

/// Where loopback reaches the listeners: by origin, a second origin to try, and the socket.
fn reachable(listeners: &[Listener]) -> BTreeMap<Origin, (Option<Origin>, u64)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::{ENGINES, Probe};

    fn listener(address: &str, inode: u64) -> Listener {
        Listener { address: address.parse().unwrap(), inode }
    }

    /// A ledger that has met these listeners, none of whose owners can be told.
    fn met(listeners: &[Listener]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.reconcile(listeners);
        ledger.introduce(&Owners::default());
        ledger
    }

    fn asked(ledger: &Ledger, seconds: u64) -> Vec<String> {
        let due = ledger.due(Duration::from_secs(seconds));
        due.iter().map(|question| question.origin.address().to_string()).collect()
    }

    fn settle(ledger: &mut Ledger, finding: Finding, seconds: u64) {
        let origin = ledger.entries.keys().next().copied().unwrap();
        ledger.settle(origin, finding, Duration::from_secs(seconds));
    }

    fn engine(whole: bool, doubtful: bool) -> Finding {
        let readings = Readings {
            version: Reading::Known("1".to_owned()),
            models: Reading::Known(Vec::new()),
            load: Load { running: Reading::Known(1), waiting: Reading::Known(0) },
        };
        let origin = "http://127.0.0.1:8000".parse().unwrap();
        Finding::Engine { origin, spec: &ENGINES[0], readings, whole, doubtful }
    }

    #[test]
    fn loopback_reaches_what_is_bound_to_it_or_to_everything() {
        let ledger = met(&[
            listener("0.0.0.0:8000", 1),
            listener("127.0.0.1:11434", 2),
            listener("192.168.1.5:8001", 3),
            listener("127.0.0.53:8002", 4),
            listener("[::]:8000", 5),
            listener("[::]:8080", 6),
            listener("[::1]:11434", 7),
            listener("[::1]:8003", 8),
            listener("[::ffff:127.0.0.1]:8004", 9),
            listener("[fe80::1]:8005", 10),
        ]);
        assert_eq!(
            asked(&ledger, 0),
            ["127.0.0.1:8000", "127.0.0.1:8004", "127.0.0.1:8080", "127.0.0.1:11434", "127.0.0.53:8002", "[::1]:8003"]
        );
        let both = ledger.due(Duration::ZERO).into_iter().find_map(|question| question.fallback);
        assert_eq!(both.unwrap().to_string(), "http://[::1]:8080");
    }

    #[test]
    fn sensitive_ports_are_spared_also_behind_a_proxy() {
        let ledger = met(&[listener("0.0.0.0:22", 1), listener("127.0.0.1:6379", 2), listener("127.0.0.1:80", 3)]);
        assert_eq!(asked(&ledger, 0), ["127.0.0.1:80"]);
        assert_eq!(ledger.others(), 0);
        let proxy = owner("docker-proxy", "dockerd", Some(5432));
        assert!(matches!(first_standing(15_432, Some(&proxy)), Standing::Spared));
        let proxy = owner("docker-proxy", "dockerd", Some(8000));
        assert!(matches!(first_standing(15_432, Some(&proxy)), Standing::New));
    }

    fn owner(name: &str, parent: &str, forwards_to: Option<u16>) -> Owner {
        Owner { pid: 7, name: name.to_owned(), parent: parent.to_owned(), container: None, forwards_to }
    }

    #[test]
    fn a_server_of_one_model_belongs_to_its_engine() {
        for (name, parent, child) in [
            ("llama-server", "ollama", true),
            ("llama-server", "llama-server", true),
            ("llama-server", "bash", false),
            ("ollama", "ollama", false),
        ] {
            let standing = first_standing(40_123, Some(&owner(name, parent, None)));
            assert_eq!(matches!(standing, Standing::Child), child, "{name} of {parent}");
        }
    }

    #[test]
    fn another_http_server_is_asked_again_after_five_minutes() {
        let mut ledger = met(&[listener("127.0.0.1:80", 1)]);
        settle(&mut ledger, Finding::Other, 10);
        assert_eq!((asked(&ledger, 15).len(), asked(&ledger, 309).len(), asked(&ledger, 310).len()), (0, 0, 1));
        assert_eq!(ledger.others(), 1);
        // Another socket is another server.
        ledger.reconcile(&[listener("127.0.0.1:80", 2)]);
        assert_eq!(asked(&ledger, 15).len(), 1);
    }

    #[test]
    fn what_does_not_speak_http_is_left_alone() {
        for error in [HttpError::NotHttp, HttpError::Closed] {
            let mut ledger = met(&[listener("127.0.0.1:7000", 1)]);
            settle(&mut ledger, Finding::Failed(error), 0);
            assert!(asked(&ledger, 1_000_000).is_empty());
        }
    }

    #[test]
    fn silence_is_asked_ever_more_rarely() {
        let mut ledger = met(&[listener("127.0.0.1:7000", 1)]);
        for (at, next) in [(0, 300), (300, 900), (900, 2_100)] {
            settle(&mut ledger, Finding::Failed(HttpError::NoAnswer(Probe::TIME)), at);
            assert_eq!((asked(&ledger, next - 1).len(), asked(&ledger, next).len()), (0, 1), "{at}");
        }
    }

    #[test]
    fn a_published_port_whose_server_still_starts_is_asked_soon_again() {
        let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
        let entry = ledger.entries.values_mut().next().unwrap();
        entry.owner = Ownership::Sought(Some(owner("docker-proxy", "dockerd", Some(8000))));
        for (at, next) in [(0, 15), (15, 45), (45, 105), (105, 225), (225, 465), (465, 705)] {
            settle(&mut ledger, Finding::Failed(HttpError::Closed), at);
            assert_eq!((asked(&ledger, next - 1).len(), asked(&ledger, next).len()), (0, 1), "{at}");
        }
        settle(&mut ledger, engine(true, false), 705);
        let engine = &ledger.engines()[0];
        assert_eq!((engine.port, engine.pid), (8000, None), "the proxy is not the server");
    }

    #[test]
    fn an_engine_is_renewed_each_minute_and_when_in_doubt() {
        let renews =
            |ledger: &Ledger, seconds| matches!(ledger.due(Duration::from_secs(seconds))[0].task, Task::Identify);
        let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
        settle(&mut ledger, engine(true, false), 0);
        settle(&mut ledger, engine(false, false), 5);
        assert_eq!((renews(&ledger, 10), renews(&ledger, 60)), (false, true));
        settle(&mut ledger, engine(false, true), 10);
        assert!(renews(&ledger, 15));
    }

    #[test]
    fn an_engine_stays_while_it_listens() {
        let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
        settle(&mut ledger, engine(true, false), 0);
        settle(&mut ledger, Finding::Failed(HttpError::NoAnswer(Probe::TIME)), 60);
        let hung = &ledger.engines()[0];
        assert_eq!(hung.version.known().unwrap(), "1");
        assert_eq!(hung.models.why().unwrap().to_string(), "no answer within 2 s");
        assert_eq!(hung.requests_running.why().unwrap().to_string(), "no answer within 2 s");
        ledger.reconcile(&[]);
        assert!(ledger.engines().is_empty());
    }

    #[test]
    fn an_endpoint_of_the_config_is_watched() {
        let mut ledger = Ledger::default();
        ledger.configure(["http://127.0.0.1:6379".parse().unwrap()]);
        ledger.reconcile(&[]);
        assert_eq!(asked(&ledger, 0), ["127.0.0.1:6379"]);
        settle(&mut ledger, Finding::Failed(HttpError::Refused), 0);
        assert_eq!(ledger.disappointing().collect::<Vec<_>>(), ["http://127.0.0.1:6379: connection refused"]);
        assert_eq!(asked(&ledger, 5).len(), 1);
        // It comes up, listening where it can be seen, and goes again.
        ledger.reconcile(&[listener("127.0.0.1:6379", 1)]);
        ledger.introduce(&Owners::default());
        settle(&mut ledger, engine(true, false), 5);
        ledger.reconcile(&[]);
        assert_eq!(ledger.engines().len(), 1);
        settle(&mut ledger, Finding::Failed(HttpError::Refused), 10);
        assert!(ledger.engines()[0].models.why().is_some());
    }
}
