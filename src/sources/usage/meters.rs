//! The counters of every running container, kept open between readings.
//!
//! Processor time and memory are read at every turn. The file cache and the number of processes cost more and change
//! little, so they are read at every fifth turn, each turn a fifth of the containers.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::{
    Container, ContainerId, ContainerState, ContainerUsage, ContainerUsages, DockerSample, Moment, Reading, Why,
};
use crate::host::RootedFs;
use crate::host::cgroup::{Counters, Handles, Hierarchies};

/// What is kept between two readings.
#[derive(Default)]
pub(super) struct Meters {
    hierarchies: Option<Result<Hierarchies, Why>>,
    /// The containers that the meters below belong to.
    of: Option<Arc<DockerSample>>,
    running: Vec<Meter>,
    /// Containers without a meter that may yet get one: a process that has just begun or ended is in no group of its own.
    doubtful: Vec<(u32, Unreadable)>,
    unreadable: Arc<[Unreadable]>,
    handles: Handles,
    turn: usize,
}

/// A running container whose counters cannot be read here.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    /// The container.
    pub(super) id: ContainerId,
    /// Why not.
    pub(super) why: Why,
}

/// One round.
pub(super) struct MetersRead {
    /// What could be read.
    pub(super) usages: ContainerUsages,
    /// Whom else to ask about.
    pub(super) unreadable: Arc<[Unreadable]>,
}

/// One container's counters and what they said before.
struct Meter {
    id: ContainerId,
    pid: u32,
    counters: Counters,
    cpu_before: Option<(Moment, u64)>,
    inactive_file_bytes: Result<u64, Why>,
    pids: Reading<u64>,
}

impl Meters {
    /// Turns between two readings of what costs more.
    const RARE: usize = 5;

    /// Reads every running container of `sample`.
    pub(super) fn read(&mut self, fs: &RootedFs, sample: &Arc<DockerSample>, at: Moment) -> MetersRead {
        if self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, sample)) {
            self.look_again(fs);
        } else {
            self.follow(fs, sample);
            self.of = Some(Arc::clone(sample));
        }
        let missing = self.doubtful.len() + self.unreadable.len();
        let mut by_id = HashMap::with_capacity(self.running.len() + missing);
        for (_, Unreadable { id, why }) in &self.doubtful {
            by_id.insert(id.clone(), unavailable(why.clone()));
        }
        self.turn = (self.turn + 1) % Self::RARE;
        let turn = self.turn;
        for (place, meter) in self.running.iter_mut().enumerate() {
            // A container that ended since the engine last spoke of it has no entry.
            if let Some(usage) = meter.read(fs, at, place % Self::RARE == turn) {
                by_id.insert(meter.id.clone(), usage);
            }
        }
        let origin = self.running.first().map_or("stats API", |meter| meter.counters.version().name());
        MetersRead { usages: ContainerUsages { by_id, origin }, unreadable: Arc::clone(&self.unreadable) }
    }

    /// Opens meters for containers that came or were started again, and drops those of containers that went.
    fn follow(&mut self, fs: &RootedFs, sample: &DockerSample) {
        let mut before: HashMap<_, _> =
            self.running.drain(..).map(|meter| ((meter.id.clone(), meter.pid), meter)).collect();
        let running: Vec<_> = sample.containers.iter().filter_map(process).collect();
        self.handles = Handles::for_containers(running.len());
        let mut known_unreadable = Vec::new();
        self.doubtful.clear();
        for (id, pid) in running {
            if let Some(mut meter) = before.remove(&(id.clone(), pid)) {
                meter.counters.keep(self.handles);
                self.running.push(meter);
            } else {
                match self.find(fs, id, pid) {
                    Ok(meter) => self.running.push(meter),
                    Err(why) => {
                        let unreadable = Unreadable { id: id.clone(), why };
                        if self.unreadable.iter().any(|known| known.id == *id) {
                            known_unreadable.push(unreadable);
                        } else {
                            self.doubtful.push((pid, unreadable));
                        }
                    }
                }
            }
        }
        self.unreadable = known_unreadable.into();
    }

    /// Looks once more for what was not found at the turn before; what is not there now either is given up.
    fn look_again(&mut self, fs: &RootedFs) {
        if self.doubtful.is_empty() {
            return;
        }
        let mut given_up = self.unreadable.to_vec();
        for (pid, Unreadable { id, .. }) in std::mem::take(&mut self.doubtful) {
            match self.find(fs, &id, pid) {
                Ok(meter) => self.running.push(meter),
                // Where the processes of others are seen, one that is not has ended since the engine spoke of it.
                Err(_) if !self.running.is_empty() && !fs.exists(format!("/proc/{pid}")) => {}
                Err(why) => given_up.push(Unreadable { id, why }),
            }
        }
        self.unreadable = given_up.into();
    }

    fn find(&mut self, fs: &RootedFs, id: &ContainerId, pid: u32) -> Result<Meter, Why> {
        let hierarchies = self
            .hierarchies
            .get_or_insert_with(|| {
                Hierarchies::read(fs).map_err(|error| Why::new(format!("/proc/self/mountinfo: {error}")))
            })
            .as_ref()
            .map_err(Clone::clone)?;
        Ok(Meter {
            counters: Counters::find(fs, hierarchies, id, pid, self.handles)?,
            id: id.clone(),
            pid,
            cpu_before: None,
            inactive_file_bytes: Err(Why::WAITING),
            pids: Reading::default(),
        })
    }
}

impl Meter {
    /// What the container uses; `None` if it is gone.
    fn read(&mut self, fs: &RootedFs, at: Moment, rarely: bool) -> Option<ContainerUsage> {
        let cpu_ns = match self.counters.cpu_ns(fs) {
            Ok(cpu_ns) => cpu_ns,
            Err(error) if Counters::is_gone(&error) => return None,
            Err(error) => return Some(unavailable(Why::new(error.to_string()))),
        };
        if rarely || self.cpu_before.is_none() {
            self.inactive_file_bytes =
                self.counters.inactive_file_bytes(fs).map_err(|error| Why::new(error.to_string()));
            self.pids = self.counters.pids(fs).into();
        }
        let memory_bytes = match &self.inactive_file_bytes {
            Ok(inactive) => self.counters.used_bytes(fs, *inactive).into(),
            Err(why) => Reading::Unavailable(why.clone()),
        };
        let before = self.cpu_before.replace((at, cpu_ns));
        Some(ContainerUsage { cpu_cores: cores(before, (at, cpu_ns)), memory_bytes, pids: self.pids.clone() })
    }
}

/// The usage of a container of which nothing can be read.
pub(super) fn unavailable(why: Why) -> ContainerUsage {
    ContainerUsage {
        cpu_cores: Reading::Unavailable(why.clone()),
        memory_bytes: Reading::Unavailable(why.clone()),
        pids: Reading::Unavailable(why),
    }
}

/// Processors used between two readings of a counter; a counter that fell was set back and tells nothing.
pub(super) fn cores<T: Instant>(before: Option<(T, u64)>, now: (T, u64)) -> Reading<f64> {
    let used = before.and_then(|(then, counted)| {
        let nanoseconds = now.0.seconds_since(then) * 1e9;
        let counted = now.1.checked_sub(counted)?;
        (nanoseconds > 0.0).then(|| counted as f64 / nanoseconds)
    });
    used.map_or(Reading::Unavailable(Why::WAITING), Reading::Known)
}

/// A point of a clock.
pub(super) trait Instant: Copy {
    /// Seconds from `earlier` to this.
    fn seconds_since(self, earlier: Self) -> f64;
}

impl Instant for Moment {
    fn seconds_since(self, earlier: Self) -> f64 {
        self.since(earlier).as_secs_f64()
    }
}

impl Instant for jiff::Timestamp {
    fn seconds_since(self, earlier: Self) -> f64 {
        self.duration_since(earlier).as_secs_f64()
    }
}

/// The first process of a running container.
fn process(container: &Arc<Container>) -> Option<(&ContainerId, u32)> {
    let pid = container.pid.filter(|_| container.state == ContainerState::Running)?;
    Some((&container.id, pid))
}
