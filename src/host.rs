//! The ports: the only code that opens files and sockets, spawns threads or asks the time.
//!
//! Everything above speaks to the machine through [`Ports`]. [`RootedFs`] reads the machine's files below a root that can
//! be moved (`--rootfs`), [`Lane`]s carry blocking calls away from the one async thread, [`Clock`] tells the time, and
//! [`foreign`] strips text that others wrote before it goes anywhere.

pub mod cgroup;
mod clock;
mod compose;
mod docker;
pub mod edit;
mod exec;
pub mod foreign;
mod fs;
mod homes;
mod http;
mod journal;
mod lane;
mod listen;
mod nvml;
pub mod process;
mod reach;
mod registry;
mod secret;
pub mod settings;
pub mod sockets;
mod space;
pub mod spawn;
mod tail;
mod tls;
pub mod transfer;
pub mod user;
mod web;
pub mod weights;
mod zone;

pub use clock::Clock;
pub use compose::config_hash as compose_hash;
pub use docker::{
    Candidate, DockerClient, EngineError, Executed, Extent, Happening, Inspected, LayerBook, LogStream, LogsFrom,
    Measured, PullStep, Standing, Stats, Surroundings, address_in, candidates, choose, encoded,
};
pub use exec::{ExecError, Running, give};
pub use fs::{FileFacts, FileKind, RootedFs};
pub use homes::ModelHomes;
pub use http::{Answer, Http, HttpError, Lines, Origin, OriginError, with_parameters};
pub use journal::Journal;
pub use lane::{Lane, Reader, Unread};
pub use listen::{Asked, Offer, listen};
pub use nvml::{Library as NvmlLibrary, Nvidia, card_memories, driver_mismatch, driver_versions};
pub use reach::reach;
pub use registry::{Login, OpenRegistries, Registries, ReleaseNotes, Tags, Visit, sha256};
pub use secret::SecretRef;
pub use space::{Space, statvfs};
pub use tail::{FirstLook, Grown, Tail, TailLimits, Tailer};
pub use user::{host_name, login_name};
pub use web::{Address, NoUrl, Request, Web, WebAnswer, WebError, WebLogin, WebUrl};
pub use zone::time_zone;

/// What the sources may use of the machine.
#[derive(Debug, Clone)]
pub struct Ports {
    /// The time.
    pub clock: Clock,
    /// The machine's files.
    pub fs: RootedFs,
    /// Carries short blocking reads: `/proc`, cgroup files, sysinfo.
    pub sampler: Lane,
    /// Carries `statvfs`, which hangs on a dead network mount.
    pub volumes: Lane,
    /// Carries looks at models on disk, which may lie on a dead network mount.
    pub library: Lane,
    /// Carries NVML calls, which can hang in the driver and cannot be aborted.
    pub nvml: Lane,
    /// Speaks to servers on this host's loopback.
    pub http: Http,
    /// Speaks to registries of images, wherever they are; opened when needed.
    pub registries: Registries,
}

impl Ports {
    /// The real machine, its files below `root` (`/` as a rule).
    pub fn new(root: impl Into<std::path::PathBuf>) -> Self {
        let (clock, fs, sampler) = (Clock::start(), RootedFs::new(root), Lane::new("sampler"));
        Self {
            registries: Registries::new(clock, fs.clone(), sampler.clone()),
            clock,
            fs,
            sampler,
            volumes: Lane::new("volumes"),
            library: Lane::new("library"),
            nvml: Lane::new("nvml"),
            http: Http::default(),
        }
    }
}
