//! The files in which the kernel counts what one container uses.
//!
//! Opening a file costs twelve times as much as reading an open one again, so handles are kept where the limit on open
//! files leaves room ([`Handles`]). A handle of a group that is gone answers with an error, never with another group.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{Hierarchies, Version, memberships, own_group, without_cache};
use crate::domain::{ContainerId, Why};
use crate::host::RootedFs;

/// How many handles of each container's counters are kept open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Handles {
    /// None: each file is opened for each reading.
    #[default]
    None,
    /// Two: processor time and memory, which are read at every turn.
    Often,
    /// All four.
    All,
}

impl Handles {
    /// Never more than this is asked of the system: programs that hostler starts inherit the limit, and some walk over
    /// every number below it.
    const MOST: u64 = 8192;

    /// As many as the limit on open files allows for `containers`, which is raised for it as far as the system lets it.
    /// Half of the limit stays free for everything else.
    pub fn for_containers(containers: usize) -> Self {
        let wanted = (containers as u64).saturating_mul(4 * 2);
        Self::within(open_files(wanted.min(Self::MOST)), containers)
    }

    fn within(open_files: u64, containers: usize) -> Self {
        match open_files / 2 / (containers as u64).max(1) {
            0 | 1 => Self::None,
            2 | 3 => Self::Often,
            _ => Self::All,
        }
    }
}

/// The limit on open files, raised to `wanted` if it is lower and may be.
fn open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let new = Rlimit { current: Some(raised), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, new) {
        Ok(()) => raised.max(current),
        Err(_) => current,
    }
}

/// The counters of one container.
#[derive(Debug)]
pub struct Counters {
    version: Version,
    handles: Handles,
    cpu: CounterFile,
    memory: CounterFile,
    memory_stat: CounterFile,
    pids: Option<CounterFile>,
}

impl Counters {
    /// Finds the counters of the container `id` through its first process.
    ///
    /// # Errors
    /// Says why they cannot be read: the process is not on this machine or not in a group of its own, or the controllers
    /// are not there.
    pub fn find(
        fs: &RootedFs,
        hierarchies: &Hierarchies,
        id: &ContainerId,
        pid: u32,
        handles: Handles,
    ) -> Result<Self, Why> {
        let groups = memberships(fs, pid).map_err(|error| Why::new(format!("/proc/{pid}/cgroup: {error}")))?;
        let folder = |controller: &str| {
            hierarchies
                .folder(&groups, controller)
                // A process of this number on this machine need not be the container's: the engine may be elsewhere.
                .and_then(|(version, folder)| Some((version, own_group(&folder.to_string_lossy(), id)?.into())))
                .ok_or_else(|| Why::new(format!("no control group of its own counts its {controller}")))
        };
        let (version, cpu): (_, PathBuf) = folder("cpuacct")?;
        let (memory_version, memory) = folder("memory")?;
        let in_version = |version, v1: &'static str, v2: &'static str| match version {
            Version::V1 => v1,
            Version::V2 => v2,
        };
        let mut counters = Self {
            version,
            handles,
            cpu: CounterFile::new(&cpu, in_version(version, "cpuacct.usage", "cpu.stat")),
            memory: CounterFile::new(&memory, in_version(memory_version, "memory.usage_in_bytes", "memory.current")),
            memory_stat: CounterFile::new(&memory, "memory.stat"),
            pids: folder("pids").ok().map(|(_, folder)| CounterFile::new(&folder, "pids.current")),
        };
        // Whether they can be read shows only in reading; the handles are then open already.
        let readable = counters.cpu_ns(fs).and_then(|_| counters.memory_bytes(fs));
        readable.map_err(|error| Why::new(error.to_string()))?;
        Ok(counters)
    }

    /// The version of the interface that counts its processor time.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether an error means that the container ended: its files cannot be opened, and handles of them do not answer.
    pub fn is_gone(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::NODEV.raw_os_error())
    }

    /// Keeps another number of handles from the next reading on.
    pub fn keep(&mut self, handles: Handles) {
        if handles < self.handles {
            for file in [&mut self.cpu, &mut self.memory, &mut self.memory_stat].into_iter().chain(&mut self.pids) {
                file.kept = None;
            }
        }
        self.handles = handles;
    }

    /// Processor time since the container's start, nanoseconds.
    pub fn cpu_ns(&mut self, fs: &RootedFs) -> io::Result<u64> {
        let keep = self.handles >= Handles::Often;
        let version = self.version;
        self.cpu.read(fs, keep, |text| match version {
            Version::V1 => number(text),
            Version::V2 => field(text, "usage_usec")?.checked_mul(1000),
        })
    }

    /// Memory in use, bytes, the file cache included.
    pub fn memory_bytes(&mut self, fs: &RootedFs) -> io::Result<u64> {
        self.memory.read(fs, self.handles >= Handles::Often, number)
    }

    /// The part of the memory that is file cache and was not used lately, bytes.
    pub fn inactive_file_bytes(&mut self, fs: &RootedFs) -> io::Result<u64> {
        self.memory_stat.read(fs, self.handles == Handles::All, |text| {
            // The first name is of version 1, where the second counts without the groups below.
            field(text, "total_inactive_file").or_else(|| field(text, "inactive_file"))
        })
    }

    /// Processes and threads; an error where nobody counts them.
    pub fn pids(&mut self, fs: &RootedFs) -> io::Result<u64> {
        match &mut self.pids {
            Some(file) => file.read(fs, self.handles == Handles::All, number),
            None => Err(io::Error::other("no controller counts its processes")),
        }
    }

    /// Memory without the inactive file cache, bytes, given that cache as it was last read.
    pub fn used_bytes(&mut self, fs: &RootedFs, inactive_file_bytes: u64) -> io::Result<u64> {
        Ok(without_cache(self.memory_bytes(fs)?, inactive_file_bytes))
    }
}

/// One file, and its handle where that is kept.
#[derive(Debug)]
struct CounterFile {
    path: PathBuf,
    kept: Option<OwnedFd>,
}

impl CounterFile {
    /// More than any of these files holds.
    const BYTES: usize = 8192;

    fn new(folder: &Path, name: &str) -> Self {
        Self { path: folder.join(name), kept: None }
    }

    fn read(&mut self, fs: &RootedFs, keep: bool, parse: impl FnOnce(&str) -> Option<u64>) -> io::Result<u64> {
        let mut buffer = [MaybeUninit::uninit(); Self::BYTES];
        let handle = match self.kept.take() {
            Some(handle) => handle,
            None => OwnedFd::from(fs.open(&self.path).map_err(|error| self.named(&error))?),
        };
        // A handle that answers with an error is not kept: the group may have been made anew.
        let (read, _) = rustix::io::pread(&handle, &mut buffer, 0)?;
        let text = std::str::from_utf8(read).unwrap_or_default();
        let value = parse(text).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", self.path.display()))
        })?;
        if keep {
            self.kept = Some(handle);
        }
        Ok(value)
    }

    /// The same error with the file's name.
    fn named(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.path.display()))
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim_end().parse().ok()
}

/// The value of a line `name value`.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).and_then(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_told_by_their_whole_name() {
        let text = "inactive_file 1\ntotal_inactive_file 4096\ninactive_file_x 3\n";
        assert_eq!(field(text, "total_inactive_file"), Some(4096));
        assert_eq!(field(text, "inactive_file"), Some(1));
        assert_eq!(field(text, "inactive"), None);
        assert_eq!(number("123\n"), Some(123));
        assert_eq!(number("max\n"), None);
    }

    #[test]
    fn handles_leave_half_of_the_limit_free() {
        assert_eq!(Handles::within(1024, 50), Handles::All);
        assert_eq!(Handles::within(1024, 128), Handles::All);
        assert_eq!(Handles::within(1024, 200), Handles::Often);
        assert_eq!(Handles::within(1024, 500), Handles::None);
        assert_eq!(Handles::within(8192, 500), Handles::All);
        assert_eq!(Handles::within(1024, 0), Handles::All);
    }
}
