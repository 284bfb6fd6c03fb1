//! The docker source and others under their pollers, and the state that their events make.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hostler::domain::{Effect, Event, SourceId, Thresholds};
use hostler::host::Ports;
use hostler::sources::poller::{self, Wish};
use hostler::sources::{Remembered, SOURCES, SourceContext, SourceSettings};
use hostler::store::{SourceState, Sources, State};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::bed::DEADLINE;

/// How often the usage of containers is read.
const REFRESH: Duration = Duration::from_millis(200);

/// The sources as they run in hostler. Nothing happens while nobody waits in [`Watcher::until`].
pub(crate) struct Watcher {
    runtime: Runtime,
    tasks: LocalSet,
    arrived: mpsc::Receiver<Event>,
    wishes: watch::Sender<Wish>,
    disk_wishes: watch::Sender<Wish>,
    events: Vec<Event>,
    state: State,
}

impl Watcher {
    /// Watches the engine at `endpoint`, named as the config would.
    pub(crate) fn start(endpoint: &str) -> Self {
        Self::with(&Ports::new("/"), Some(endpoint))
    }

    /// The same, and what the engine holds on disk.
    pub(crate) fn with_disk(endpoint: &str) -> Self {
        Self::of(&[SourceId::Docker, SourceId::DockerDisk], &Ports::new("/"), Some(endpoint), Remembered::default())
    }

    /// Watches the engine at `endpoint`, or the one that is found, on this machine.
    pub(crate) fn with(ports: &Ports, endpoint: Option<&str>) -> Self {
        Self::of(&[SourceId::Docker, SourceId::Usage], ports, endpoint, Remembered::default())
    }

    /// Watches these sources of the engine at `endpoint`, or of the one that is found, on this machine.
    pub(crate) fn of(watched: &[SourceId], ports: &Ports, endpoint: Option<&str>, remembered: Remembered) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = LocalSet::new();
        let (events, arrived) = mpsc::channel(1024);
        let (wishes, wished) = watch::channel(Wish::default());
        let (disk_wishes, disk_wished) = watch::channel(Wish::default());
        let settings = SourceSettings {
            refresh: REFRESH,
            docker_endpoint: endpoint.map(str::to_owned),
            ..SourceSettings::default()
        };
        let context = SourceContext::new(ports.clone(), Rc::new(settings), events.clone()).with_remembered(remembered);
        let mut sources = Sources::default();
        for spec in SOURCES {
            if !watched.contains(&spec.id) {
                continue;
            }
            let period = spec.interval.unwrap_or(REFRESH);
            sources.expect(spec.id, SourceState::waiting(period, false));
            tasks.spawn_local(poller::run(
                spec,
                (spec.build)(&context),
                period,
                ports.clock,
                events.clone(),
                if spec.id == SourceId::DockerDisk { disk_wished.clone() } else { wished.clone() },
            ));
        }
        Self {
            runtime,
            tasks,
            arrived,
            wishes,
            disk_wishes,
            events: Vec::new(),
            state: State::new(ports.clock.now(), Arc::new(Thresholds::default()), sources),
        }
    }

    /// Runs until `found` sees what it looks for in the state; the test fails when that takes too long.
    #[track_caller]
    pub(crate) fn until<T>(&mut self, what: &str, found: impl Fn(&State) -> Option<T>) -> T {
        let Self { runtime, tasks, arrived, events, state, disk_wishes, .. } = self;
        let looking = async {
            loop {
                if let Some(value) = found(state) {
                    return value;
                }
                let event = arrived.recv().await.expect("the pollers run");
                events.push(event.clone());
                if state.apply(event).contains(&Effect::RefreshNow(SourceId::DockerDisk)) {
                    disk_wishes.send_modify(|wish| wish.refresh += 1);
                }
            }
        };
        let waited = tasks.block_on(runtime, async { timeout(DEADLINE, looking).await });
        waited.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain until {what}"))
    }

    /// Asks for a reading now instead of after the backoff.
    pub(crate) fn refresh(&self) {
        self.wishes.send_modify(|wish| wish.refresh += 1);
    }

    /// Something that is no reading reaches the state.
    pub(crate) fn apply(&mut self, event: Event) {
        self.state.apply(event);
    }

    /// Asks for what the engine holds now.
    pub(crate) fn refresh_disk(&self) {
        self.disk_wishes.send_modify(|wish| wish.refresh += 1);
    }

    /// The state as it is.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Every event that arrived.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// Takes the events that arrived so far away.
    pub(crate) fn take_events(&mut self) -> VecDeque<Event> {
        std::mem::take(&mut self.events).into()
    }
}
