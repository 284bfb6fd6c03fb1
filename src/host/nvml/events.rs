//! The watcher: a thread of its own that waits for the driver's Xid events and hands them to the store.
//!
//! Waiting blocks, so it must not happen on the thread that reads the cards. The watcher is told which cards to watch;
//! it ends when nobody can tell it any more, or when the store is gone. What it cannot watch (a card without such
//! events, one that has fallen off the bus) it leaves out.

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::event::EventData;
use nvml_wrapper::{EventSet, Nvml};
use tokio::sync::mpsc;

use crate::domain::{Event, XidEvent};
use crate::host::{Clock, foreign};

/// How long one wait lasts, milliseconds: how soon the watcher notices that it should watch others, or end.
const WAIT_MILLIS: u32 = 1000;

/// The pause after a wait that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The number that stands for an Xid that the driver does not know.
const XID_UNKNOWN: u64 = 999;

/// The cards to watch: NVML's index and the name under which events are told.
type Cards = Vec<(u32, Arc<str>)>;

/// The other end of the watcher. Dropping it ends the watcher.
#[derive(Default)]
pub(super) struct Watch {
    watcher: Option<Sender<Cards>>,
    cards: Cards,
}

impl Watch {
    /// Has these cards watched from now on, by a watcher that `start` starts when there is first one.
    pub(super) fn follow(&mut self, cards: Cards, start: impl FnOnce() -> Sender<Cards>) {
        if self.cards != cards {
            self.cards.clone_from(&cards);
            // Nobody takes it where there could be no thread; that has been logged.
            let _ = self.watcher.get_or_insert_with(start).send(cards);
        }
    }
}

/// Starts a watcher.
pub(super) fn watcher(nvml: Arc<ManuallyDrop<Nvml>>, clock: Clock, events: mpsc::Sender<Event>) -> Sender<Cards> {
    let (wishes, told) = channel();
    let watcher = Watcher { told, clock, events };
    let thread = std::thread::Builder::new().name("nvml-events".to_owned());
    if let Err(error) = thread.spawn(move || watcher.run(&nvml)) {
        tracing::error!(%error, "Could not start the thread that waits for Xid events.");
    }
    wishes
}

/// The set of events of the watched cards, and the card behind each handle as it prints: a card that has just fallen
/// off the bus does not answer the question who it is.
struct Watched<'nvml> {
    set: EventSet<'nvml>,
    names: Vec<(String, Arc<str>)>,
}

struct Watcher {
    told: Receiver<Cards>,
    clock: Clock,
    events: mpsc::Sender<Event>,
}

impl Watcher {
    fn run(self, nvml: &Nvml) {
        // Without this function, giving a set back would panic.
        if nvml.lib().nvmlEventSetFree.is_err() {
            return;
        }
        let mut cards = self.told.recv().ok();
        while let Some(watched) = cards.take() {
            cards = match register(nvml, &watched) {
                Some(registered) => self.wait(registered, watched),
                None => self.told.recv().ok(),
            };
        }
    }

    /// Waits for events until there are other cards to watch, and returns those; `None` when it is time to end.
    fn wait(&self, registered: Watched<'_>, cards: Cards) -> Option<Cards> {
        loop {
            match registered.set.wait(WAIT_MILLIS) {
                Ok(event) => self.tell(&registered, &event)?,
                Err(NvmlError::Timeout) => {}
                Err(error) => {
                    // Once a pause, for as long as it lasts: nothing to fill a log with.
                    tracing::debug!(%error, "Waiting for Xid events failed.");
                    drop(registered);
                    return self.pause(cards);
                }
            }
            match self.told.try_recv() {
                Ok(others) => return Some(others),
                Err(TryRecvError::Empty) if !self.events.is_closed() => {}
                Err(_) => return None,
            }
        }
    }

    /// The cards to watch after a pause: the same, unless others were named meanwhile.
    fn pause(&self, cards: Cards) -> Option<Cards> {
        match self.told.recv_timeout(PAUSE) {
            Ok(others) => Some(others),
            Err(RecvTimeoutError::Timeout) if !self.events.is_closed() => Some(cards),
            Err(_) => None,
        }
    }

    /// Hands an event over; `None` when there is nobody to take it.
    fn tell(&self, registered: &Watched<'_>, event: &EventData<'_>) -> Option<()> {
        let code = match event.event_data {
            Some(XidError::Value(code)) => code,
            Some(XidError::Unknown) => XID_UNKNOWN,
            None => return Some(()),
        };
        let handle = format!("{:?}", event.device);
        let named = registered.names.iter().find(|(known, _)| *known == handle);
        let gpu = match named {
            Some((_, name)) => Arc::clone(name),
            None => event.device.uuid().map_or_else(|_| "unknown".into(), |uuid| foreign::name(&uuid).into()),
        };
        let at = self.clock.now().wall;
        let event = Event::Xid(XidEvent { gpu, code, at });
        self.events.blocking_send(event).ok()
    }
}

/// Registers every card that offers Xid events; `None` if there is none.
fn register<'nvml>(nvml: &'nvml Nvml, cards: &Cards) -> Option<Watched<'nvml>> {
    let mut set = nvml.create_event_set().ok()?;
    let mut names = Vec::new();
    for (index, name) in cards {
        let Some(device) = nvml.device_by_index(*index).ok().filter(|device| {
            let offered = device.supported_event_types();
            offered.is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR))
        }) else {
            continue;
        };
        let handle = format!("{device:?}");
        match device.register_events(EventTypes::CRITICAL_XID_ERROR, set) {
            Ok(same) => {
                set = same;
                names.push((handle, Arc::clone(name)));
            }
            // The set went with the refusal: begin again without this card.
            Err(error) => {
                tracing::warn!(gpu = %name, %error, "A card refuses to tell of Xid events.");
                let others = cards.iter().filter(|(other, _)| other != index);
                return register(nvml, &others.cloned().collect());
            }
        }
    }
    (!names.is_empty()).then_some(Watched { set, names })
}
