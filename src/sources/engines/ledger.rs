//! Which ports are asked, when, and what came of it: pure, so that five minutes can pass in a test.
//!
//! A listener is asked once and then known: an engine is read at every turn, another HTTP server is asked again after
//! [`RETRY`], and what does not speak HTTP never again while its socket lives. A new socket at the same port is a stranger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Endpoint, Engine, EngineOption, Reading, Why};
use crate::engines::{EngineSpec, Load, Readings, is_child, is_spared_with, reachable};
use crate::host::sockets::{Listener, Owner, Owners};
use crate::host::{HttpError, Origin};

/// After this time a server that is no engine is asked again: one behind the same port may have become one.
const RETRY: Duration = Duration::from_mins(5);

/// A published port whose server inside the container is still starting closes each connection. It is asked again after
/// this time, then after twice as long each time, up to [`RETRY`].
const RETRY_FORWARDED: Duration = Duration::from_secs(15);

/// So often all of an engine is read anew; between, only what changes all the time.
const RENEW: Duration = Duration::from_mins(1);

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
    /// How it was started.
    options: Reading<Arc<[EngineOption]>>,
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
        readings: Box<Readings>,
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

    /// The engines of which it is not known yet how they were started: each with its process, where that may be known.
    pub(super) fn without_options(&self) -> Vec<(Origin, Option<u32>)> {
        let unread = |entry: &&Entry| {
            matches!(entry.standing, Standing::Engine(_)) && entry.options.why() == Some(&Why::WAITING)
        };
        let entries = self.entries.iter().filter(|(_, entry)| unread(entry));
        entries.map(|(origin, entry)| (*origin, entry.own_process().map(|owner| owner.pid))).collect()
    }

    /// Takes how an engine was started.
    pub(super) fn started_with(&mut self, origin: Origin, options: Reading<Arc<[EngineOption]>>) {
        if let Some(entry) = self.entries.get_mut(&origin) {
            entry.options = options;
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
        Self {
            fallback,
            inode,
            configured: false,
            owner: Ownership::Unsought,
            options: Reading::default(),
            standing: Standing::New,
            asked: None,
        }
    }

    fn owner(&self) -> Option<&Owner> {
        match &self.owner {
            Ownership::Sought(owner) => owner.as_ref(),
            Ownership::Unsought => None,
        }
    }

    /// Who listens, unless that only passes on to a container.
    fn own_process(&self) -> Option<&Owner> {
        self.owner().filter(|owner| !owner.is_forwarder())
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
                Task::Refresh { origin: known.origin, spec: known.spec, readings: Box::new(known.readings.clone()) }
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
        let owner = self.own_process();
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
            kv_cache_used_ratio: known.readings.load.kv_cache_used_ratio.clone(),
            kv_cache_tokens: known.readings.load.kv_cache_tokens.clone(),
            tally: known.readings.load.tally.clone(),
            options: self.options.clone(),
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
    match owner {
        owner if is_spared_with(port, owner) => Standing::Spared,
        Some(owner) if is_child(owner) => Standing::Child,
        _ => Standing::New,
    }
}

#[cfg(test)]
mod tests;
