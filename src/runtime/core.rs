//! The state and what keeps it current: pollers, rules, journal. The same with a face and without.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use strum::IntoEnumIterator;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Scope, Setup};
use crate::checks;
use crate::config::Config;
use crate::domain::{Effect, Event, ImageRules, LogBatch, Moment, SourceId, UpdatePolicy};
use crate::host::{Clock, Ports, time_zone};
use crate::sources::poller::{self, Wish};
use crate::sources::{Remembered, SOURCES, SourceContext, demo};
use crate::store::{SourceState, Sources, State};

/// The box as one process sees it.
pub struct Core {
    /// Everything that is known.
    pub state: State,
    /// The time.
    pub clock: Clock,
    wishes: HashMap<SourceId, watch::Sender<Wish>>,
    /// The zone that days begin in.
    pub zone: TimeZone,
    assessed: Option<Moment>,
    tried: usize,
    /// Pollers end when this is dropped.
    _pollers: JoinSet<()>,
}

/// What pollers and readers push, until the owner of the state takes it.
pub struct Queue {
    events: mpsc::Receiver<Event>,
    lines: mpsc::Receiver<LogBatch>,
}

impl Queue {
    /// Events that are taken at once, before the next look at anything else.
    const BATCH: usize = 256;

    /// Waits for events and takes some of them; 0 when nobody pushes any more. Bears being given up.
    pub async fn take(&mut self, batch: &mut Vec<Event>) -> usize {
        tokio::select! {
            taken = self.events.recv_many(batch, Self::BATCH) => taken,
            Some(lines) = self.lines.recv() => {
                batch.push(Event::Logs(lines));
                1
            }
        }
    }
}

/// Events that may wait for the owner of the state before pollers wait themselves.
const QUEUE: usize = 1024;
/// The time between two looks of the rules while somebody waits for what they say.
pub(super) const ASSESS_EVERY: Duration = Duration::from_secs(1);

impl Core {
    /// Starts every poller that belongs to `scope`. Must be called within a [`LocalSet`](tokio::task::LocalSet). Registries
    /// are asked so long after the start, or not at all.
    pub fn start(setup: &Setup, scope: Scope, ask_after: Option<Duration>) -> (Self, Queue) {
        let (events, taken) = mpsc::channel(QUEUE);
        let (log_lines, lines) = mpsc::channel(SourceContext::LOG_BATCHES);
        let queue = Queue { events: taken, lines };
        let mut pollers = JoinSet::new();
        let (clock, sources, wishes) = if setup.demo {
            let clock = Clock::started_before(demo::PAST);
            pollers.spawn_local(demo::play(clock, events));
            (clock, Self::demo_sources(setup.config.sources.refresh), HashMap::new())
        } else {
            let ports = Ports::new(&setup.rootfs);
            let clock = ports.clock;
            let (sources, wishes) = {
                let context = SourceContext::new(ports, Rc::new(setup.config.sources.clone()), events);
                let remembered = Remembered { updates: Arc::new(setup.state_dir.updates()), ask_after };
                let context = context.with_log_lines(log_lines).with_remembered(remembered);
                Self::start_pollers(setup, scope, &context, &mut pollers)
            };
            (clock, sources, wishes)
        };
        let mut state = State::new(clock.now(), Arc::new(setup.config.thresholds.clone()), sources);
        state.apply(Event::Updates(Arc::new(setup.update_policy(ImageRules::default()))));
        if setup.demo {
            for event in demo::past(clock.now()) {
                state.apply(event);
            }
        }
        (Self { state, clock, wishes, zone: time_zone(), assessed: None, tried: 0, _pollers: pollers }, queue)
    }

    fn start_pollers(
        setup: &Setup,
        scope: Scope,
        context: &SourceContext,
        pollers: &mut JoinSet<()>,
    ) -> (Sources, HashMap<SourceId, watch::Sender<Wish>>) {
        let remembered = setup.state_dir.remembered_sources();
        let mut sources = Sources::default();
        let mut wishes = HashMap::new();
        for spec in SOURCES.iter().filter(|spec| scope != Scope::Verdict || !spec.heavy) {
            let period = spec.interval.unwrap_or(setup.config.sources.refresh);
            let expected = remembered.contains(&spec.id) || setup.config.names(spec.id);
            sources.expect(spec.id, SourceState::waiting(period, expected));
            let (wish, wished) = watch::channel(Wish::default());
            wishes.insert(spec.id, wish);
            let source = (spec.build)(context);
            pollers.spawn_local(poller::run(spec, source, period, context.ports.clock, context.events.clone(), wished));
        }
        (sources, wishes)
    }

    fn demo_sources(refresh: Duration) -> Sources {
        let mut sources = Sources::default();
        for id in SourceId::iter() {
            sources.expect(id, SourceState::waiting(refresh.max(Duration::from_secs(5)), true));
        }
        sources
    }

    /// Takes an event in and does what the store asks for.
    pub fn take(&mut self, event: Event) {
        for effect in self.state.apply(event) {
            match effect {
                Effect::RefreshNow(source) => self.refresh(source),
            }
        }
    }

    /// Takes another config in, as far as it does not decide what is read.
    pub fn renew(&mut self, config: &Config) {
        self.take(Event::Limits(Arc::new(config.thresholds.clone())));
        let rules = self.state.update_policy.rules.clone();
        self.take(Event::Updates(Arc::new(UpdatePolicy { wait_days: config.actions.wait_days, rules })));
        self.assess(self.clock.now());
    }

    /// Reads a source now instead of at its next turn.
    pub fn refresh(&self, source: SourceId) {
        if let Some(wish) = self.wishes.get(&source) {
            wish.send_modify(|wish| wish.refresh += 1);
        }
    }

    /// Reads every source now.
    pub fn refresh_all(&self) {
        for source in self.wishes.keys() {
            self.refresh(*source);
        }
    }

    /// Lets the rules look if their last look is so long ago, and at once when a source answered for the first time.
    pub fn assess_if_due(&mut self, every: Duration) {
        let now = self.clock.now();
        let tried = self
            .state
            .sources
            .iter()
            .filter(|(_, source)| source.last_ok.is_some() || source.failure.is_some())
            .count();
        let due = self.assessed.is_none_or(|before| now.since(before) >= every);
        if due || tried != self.tried {
            self.tried = tried;
            self.assess(now);
        }
    }

    /// Lets the rules and the checks look now.
    pub fn assess(&mut self, now: Moment) {
        self.assessed = Some(now);
        let (observations, unassessed) = checks::assess(&self.state, now);
        self.take(Event::Assessed { observations, unassessed, at: now });
        let today = self.zone.to_datetime(now.wall).date();
        let standings = checks::standings(&self.state, now, today);
        self.take(Event::Routine(standings));
    }
}
