//! NVIDIA's management library (NVML): the only place that speaks to it, through `nvml-wrapper`.
//!
//! [`Nvidia`] is what is kept between two readings: the open library, what the cards are, who their processes are.
//! Everything here may block, and may hang in the driver, so it belongs on a lane. The library is opened by the first
//! reading, and again after it failed, so that a driver that comes back is seen.

mod card;
mod driver;
mod events;
mod processes;
mod words;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use tokio::sync::mpsc;

use self::card::{Card, Identity};
pub use self::driver::mismatch as driver_mismatch;
use self::events::Watch;
use self::processes::Joins;
use super::{Clock, RootedFs, foreign};
use crate::domain::{Event, Failure, Gpu, GpuDriver, GpuSample, Moment, Reading};

/// Which library is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    path: OsString,
    named: bool,
}

impl Library {
    /// The one that `HOSTLER_NVML_LIBRARY` names, else the configured one, else `libnvidia-ml.so.1` wherever the
    /// dynamic loader finds it.
    pub fn choose(configured: Option<&str>) -> Self {
        Self::named_by(std::env::var_os("HOSTLER_NVML_LIBRARY"), configured.map(OsString::from))
    }

    /// An empty name names nothing.
    fn named_by(environment: Option<OsString>, config: Option<OsString>) -> Self {
        let named = [environment, config].into_iter().flatten().find(|path| !path.is_empty());
        Self { named: named.is_some(), path: named.unwrap_or_else(|| driver::LIBRARY.into()) }
    }

    /// Whether somebody asked for it by name, so that its absence is a mistake.
    fn is_named(&self) -> bool {
        self.named
    }

    fn shown(&self) -> Cow<'_, str> {
        match self.path.to_string_lossy() {
            Cow::Borrowed(path) => foreign::clean(path, foreign::NAME_BYTES),
            Cow::Owned(path) => Cow::Owned(foreign::name(&path)),
        }
    }
}

/// The library, open.
struct Session {
    /// Shared with the watcher. It is never dropped as it is: that would wait for the driver wherever it happens, and
    /// panic if the library lacked the function for it.
    nvml: Arc<ManuallyDrop<Nvml>>,
    watch: Watch,
    loaded: Reading<String>,
    cuda: Reading<String>,
}

/// A card that was seen earlier and that NVML no longer counts.
struct Gone {
    index: u32,
    identity: Identity,
}

/// Reads NVIDIA cards; see the module's words.
pub struct Nvidia {
    library: Library,
    fs: RootedFs,
    clock: Clock,
    events: mpsc::Sender<Event>,
    session: Option<Session>,
    /// A library that failed and is still in the watcher's hands; only when it is shut down does opening start anew.
    leaving: Option<Arc<ManuallyDrop<Nvml>>>,
    cards: Vec<Card>,
    gone: Vec<Gone>,
    joins: Joins,
    on_disk: Option<(Reading<String>, Moment)>,
}

impl Nvidia {
    /// How long a look at the library on disk holds.
    const ON_DISK_FOR: Duration = Duration::from_mins(1);

    /// Cards through `library`; Xids go to `events`. Opens nothing yet.
    pub fn new(library: Library, fs: RootedFs, clock: Clock, events: mpsc::Sender<Event>) -> Self {
        Self {
            library,
            fs,
            clock,
            events,
            session: None,
            leaving: None,
            cards: Vec::new(),
            gone: Vec::new(),
            joins: Joins::default(),
            on_disk: None,
        }
    }

    /// Reads all cards once. Blocks for as long as the driver does.
    ///
    /// # Errors
    /// When there is no library, no driver or no card, or when this user may not ask.
    pub fn read(&mut self) -> Result<GpuSample, Failure> {
        let at = self.clock.now();
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.open()?,
        };
        let count = match session.nvml.device_count() {
            Ok(count) => count,
            Err(error) => {
                let why = words::why(&error);
                self.close(session);
                return Err(Failure::failed(format!("NVML does not count the cards: {why}")));
            }
        };
        if count == 0 && self.cards.is_empty() && self.gone.is_empty() {
            let driver = session.loaded.known().map_or_else(String::new, |version| format!(" {version}"));
            self.close(session);
            return Err(Failure::unsupported(format!("the NVIDIA driver{driver} serves no card")));
        }
        if self.cards.len() != count as usize {
            self.renumber(count);
        }
        let gpus = self.gpus(&session, at);
        let driver =
            GpuDriver { loaded: session.loaded.clone(), on_disk: self.on_disk(at), cuda: session.cuda.clone() };
        self.watch(&mut session);
        self.session = Some(session);
        Ok(GpuSample { driver, gpus })
    }

    fn open(&mut self) -> Result<Session, Failure> {
        self.leaving = self.leaving.take().and_then(shut_down);
        if self.leaving.is_some() {
            return Err(Failure::failed("NVML is being closed to be opened again"));
        }
        let nvml = open(&self.library, &self.fs)?;
        // Indexes may mean other cards now, and what the cards were may have changed with the driver.
        self.renumber(0);
        let GpuDriver { loaded, cuda, .. } = versions(&nvml, &self.fs);
        Ok(Session { nvml: Arc::new(nvml), watch: Watch::default(), loaded, cuda })
    }

    /// Lets a library go that does not work any more. It is shut down once the watcher is done with it.
    fn close(&mut self, session: Session) {
        let Session { nvml, watch, .. } = session;
        drop(watch);
        self.leaving = shut_down(nvml);
    }

    /// Makes room for `count` cards whose identity is not known yet. Those known so far count as gone until they are
    /// found again.
    fn renumber(&mut self, count: u32) {
        let known = self.cards.drain(..).filter(Card::is_told);
        self.gone.extend(known.map(|card| Gone { index: card.index, identity: card.identity }));
        self.cards.extend((0..count).map(Card::new));
    }

    /// All cards: those that NVML counts, then those that it no longer does.
    fn gpus(&mut self, session: &Session, at: Moment) -> Vec<Gpu> {
        let Self { cards, gone, joins, fs, .. } = self;
        joins.begin();
        let count = cards.len();
        let mut gpus = Vec::with_capacity(count + gone.len());
        for card in cards.iter_mut() {
            let handle = session.nvml.device_by_index(card.index);
            if !card.is_told() && matches!(handle, Err(NvmlError::GpuLost)) {
                recognise(card, gone, fs, count);
            }
            gpus.push(card.read(handle, |asked| processes::read(asked, joins, fs, at)));
        }
        gone.retain(|gone| !cards.iter().any(|card| card.identity.uuid == gone.identity.uuid));
        let places = cards.len() as u32..;
        gpus.extend(gone.iter().zip(places).map(|(gone, index)| card::lost(&gone.identity, index)));
        gpus
    }

    fn on_disk(&mut self, at: Moment) -> Reading<String> {
        match &self.on_disk {
            Some((version, then)) if at.since(*then) < Self::ON_DISK_FOR => version.clone(),
            _ => {
                let version = driver::on_disk(&self.fs);
                self.on_disk = Some((version.clone(), at));
                version
            }
        }
    }

    /// Has the watcher watch the cards that answer.
    fn watch(&self, session: &mut Session) {
        let live = self.cards.iter().filter(|card| card.answers);
        let live = live.map(|card| (card.index, Arc::clone(&card.identity.uuid))).collect();
        session.watch.follow(live, || events::watcher(Arc::clone(&session.nvml), self.clock, self.events.clone()));
    }
}

/// Says who a card is that was lost before it could: the card that had its place earlier, else what the kernel knows.
fn recognise(card: &mut Card, gone: &mut Vec<Gone>, fs: &RootedFs, count: usize) {
    if let Some(place) = gone.iter().position(|gone| gone.index == card.index) {
        card.identity = gone.swap_remove(place).identity;
    } else if let Some(identity) = driver::identity(fs, card.index, count) {
        card.identity = identity;
    }
}

/// The versions of the driver that is loaded, without its cards. Blocks for as long as the driver does.
///
/// # Errors
/// When there is no library or no driver, or when this user may not ask.
pub fn driver_versions(library: &Library, fs: &RootedFs) -> Result<GpuDriver, Failure> {
    let nvml = open(library, fs)?;
    let versions = versions(&nvml, fs);
    shut_down(Arc::new(nvml));
    Ok(versions)
}

/// Bytes of memory of each card, as far as the cards tell. Blocks for as long as the driver does.
///
/// # Errors
/// As [`driver_versions`].
pub fn card_memories(library: &Library, fs: &RootedFs) -> Result<Vec<u64>, Failure> {
    let nvml = open(library, fs)?;
    let of_card = |index| nvml.device_by_index(index)?.memory_info().map(|memory| memory.total);
    let memories = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| of_card(index).ok()).collect();
    shut_down(Arc::new(nvml));
    Ok(memories)
}

fn open(library: &Library, fs: &RootedFs) -> Result<ManuallyDrop<Nvml>, Failure> {
    let opened = Nvml::builder().lib_path(OsStr::new(&library.path)).init();
    opened.map(ManuallyDrop::new).map_err(|error| words::opening(&error, library, fs))
}

/// What is loaded; the library on disk is not looked at.
fn versions(nvml: &Nvml, fs: &RootedFs) -> GpuDriver {
    let loaded = match nvml.sys_driver_version() {
        Ok(version) => Reading::Known(foreign::name(&version)),
        Err(_) => driver::loaded(fs),
    };
    let cuda = words::reading(nvml.sys_cuda_driver_version())
        .map(|version| format!("{}.{}", version / 1000, version % 1000 / 10));
    GpuDriver { loaded, cuda, ..GpuDriver::default() }
}

/// Shuts the library down, unless somebody else still holds it: then it is handed back. One without the function for it
/// stays open.
fn shut_down(nvml: Arc<ManuallyDrop<Nvml>>) -> Option<Arc<ManuallyDrop<Nvml>>> {
    match Arc::try_unwrap(nvml) {
        Ok(nvml) if nvml.lib().nvmlShutdown.is_ok() => drop(ManuallyDrop::into_inner(nvml)),
        Ok(_) => {}
        Err(nvml) => return Some(nvml),
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_library_before_the_config() {
        let choice = |environment: Option<&str>, config: Option<&str>| {
            let library = Library::named_by(environment.map(OsString::from), config.map(OsString::from));
            (library.shown().into_owned(), library.is_named())
        };
        let (a, b) = (Some("/a.so"), Some("/b.so"));
        assert_eq!(choice(a, b), ("/a.so".to_owned(), true));
        assert_eq!(choice(Some(""), b), ("/b.so".to_owned(), true));
        assert_eq!(choice(None, Some("")), ("libnvidia-ml.so.1".to_owned(), false));
    }
}
