//! What is published of the models on disk, and of the families that the config watches: asked seldom, a few at a time.
//!
//! A poll takes in what registries answered since the last one, puts the questions that are due, and waits a little for
//! their answers; those that come later are there for the next poll. When something is asked again is settled as for images
//! ([`timetable`]). A single look asks nobody.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::updates::{EARLY, TURN, timetable};
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{
    Asked, Failure, FaultKind, LibrarySample, ModelAnswer, ModelOrigin, ModelRelease, ModelUpdateSample, RegistryFault,
    Sample, SourceId, UpdateMemory, units,
};
use crate::host::{Clock, OpenRegistries, Registries};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::ModelUpdates,
    interval: Some(TURN),
    heavy: false,
    timeout: Duration::from_secs(20),
    build: |context| Box::new(ModelUpdates::new(context)),
};

/// Questions at the same time.
const AT_ONCE: usize = 4;
/// How long one question may take, with all that it leads to.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a poll waits for answers.
const LINGER: Duration = Duration::from_secs(4);

type Answered = (ModelOrigin, Result<Vec<ModelRelease>, RegistryFault>);

struct ModelUpdates {
    clock: Clock,
    registries: Registries,
    library: watch::Receiver<Option<Arc<LibrarySample>>>,
    families: Arc<[ModelOrigin]>,
    ledger: Ledger,
    /// The config says that nobody is to be asked.
    off: bool,
    /// Nobody is asked before this; `None` where nobody may be asked at all.
    begin: Option<Instant>,
    /// The clients, while there is something to be asked.
    open: Option<OpenRegistries>,
    /// Dropping this ends them.
    flying: JoinSet<Answered>,
    polled: Option<Duration>,
}

impl ModelUpdates {
    fn new(context: &SourceContext) -> Self {
        Self {
            clock: context.ports.clock,
            registries: context.ports.registries.clone(),
            library: context.library.subscribe(),
            families: context.settings.watched_models.clone().into(),
            ledger: Ledger::new(&context.remembered.updates),
            off: !context.settings.check_updates,
            begin: timetable::first(context),
            open: None,
            flying: JoinSet::new(),
            polled: None,
        }
    }

    async fn read(&mut self) -> Read {
        let now = self.clock.now();
        let before = self.polled.replace(now.mono);
        if before.is_some_and(|before| now.mono.saturating_sub(before) < EARLY) {
            self.ledger.try_failed_again(now.wall);
        }
        let end = Instant::now() + LINGER;
        if self.begin.is_some_and(|begin| begin <= end) {
            self.ask_until(end).await;
        }
        self.told()
    }

    /// Puts what is due and takes answers in until all are there, or the time is over. Bears being given up.
    async fn ask_until(&mut self, end: Instant) {
        if let Some(begin) = self.begin {
            sleep_until(begin).await;
        }
        loop {
            self.look();
            self.start_due().await;
            let library = self.library.borrow().is_some();
            if self.flying.is_empty() && library {
                // Until the next round nothing is kept open.
                self.open = None;
                return;
            }
            tokio::select! {
                Some(answered) = self.flying.join_next() => if let Ok((origin, found)) = answered {
                    self.ledger.settle(&origin, found, self.clock.now().wall);
                },
                // Where there is no library the families alone are asked about.
                Ok(()) = self.library.changed() => {}
                () = sleep_until(end) => return,
            }
        }
    }

    /// Looks which models are there.
    fn look(&mut self) {
        let library = self.library.borrow_and_update().clone();
        let models = library.iter().flat_map(|sample| &sample.models);
        let origins = models.filter_map(|model| ModelOrigin::of(model).ok());
        self.ledger.reconcile(origins.chain(self.families.iter().cloned()));
    }

    /// Puts as many of the questions that are due as may be put at once.
    async fn start_due(&mut self) {
        while self.flying.len() < AT_ONCE {
            let now = self.clock.now().wall;
            if !self.ledger.is_due(now) {
                return;
            }
            let open = match self.opened().await {
                Ok(open) => open,
                Err(fault) => return self.ledger.settle_all_due(&fault, now),
            };
            let Some((origin, known)) = self.ledger.begin(now) else { return };
            self.flying.spawn(async move {
                let asking = timeout(PATIENCE, open.models(&origin, known.as_deref())).await;
                let found = asking.unwrap_or_else(|_| {
                    let what = format!("what is known of {origin} did not come within {}", units::span(PATIENCE));
                    Err(RegistryFault { kind: FaultKind::Unreachable, what, until: None })
                });
                (origin, found)
            });
        }
    }

    async fn opened(&mut self) -> Result<OpenRegistries, RegistryFault> {
        if let Some(open) = &self.open {
            return Ok(open.clone());
        }
        let open = self.registries.open().await?;
        self.open = Some(open.clone());
        Ok(open)
    }

    fn told(&self) -> Read {
        let sample =
            ModelUpdateSample { memory: self.ledger.memory.clone(), families: self.families.clone(), off: self.off };
        let detail = if self.off {
            "nobody is asked: the config says so".to_owned()
        } else if self.begin.is_none() {
            "by what is remembered".to_owned()
        } else {
            self.ledger.told()
        };
        Read { sample: Sample::ModelUpdates(Arc::new(sample)), detail }
    }
}

impl Source for ModelUpdates {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move { Ok(self.read().await) })
    }
}

/// What is known of models, and what is to be asked when.
struct Ledger {
    /// Its part about models; that about images is empty.
    memory: Arc<UpdateMemory>,
    /// What there is to be asked about, as it is written.
    used: BTreeMap<String, ModelOrigin>,
    pending: HashSet<String>,
    /// Registries that want to be left alone until then; `None` for Hugging Face.
    limits: HashMap<Option<String>, Timestamp>,
}

impl Ledger {
    /// Begins with what an earlier run remembers.
    fn new(memory: &UpdateMemory) -> Self {
        let memory = UpdateMemory { models: memory.models.clone(), ..UpdateMemory::default() };
        Self { memory: Arc::new(memory), used: BTreeMap::new(), pending: HashSet::new(), limits: HashMap::new() }
    }

    fn reconcile(&mut self, origins: impl Iterator<Item = ModelOrigin>) {
        self.used = origins.map(|origin| (origin.to_string(), origin)).collect();
    }

    /// What is to be asked about now.
    fn due(&self, now: Timestamp) -> impl Iterator<Item = (&String, &ModelOrigin)> {
        self.used.iter().filter(move |(subject, origin)| {
            let next = self.memory.models.get(*subject).map(|asked| asked.next);
            let limit = self.limits.get(&origin.registry().map(str::to_owned)).copied();
            !self.pending.contains(*subject) && next.max(limit).is_none_or(|due| due <= now)
        })
    }

    fn is_due(&self, now: Timestamp) -> bool {
        self.due(now).next().is_some()
    }

    /// The next of them, with the digest that is known of it.
    fn begin(&mut self, now: Timestamp) -> Option<(ModelOrigin, Option<String>)> {
        let (subject, origin) = self.due(now).next().map(|(subject, origin)| (subject.clone(), origin.clone()))?;
        let answer = self.memory.models.get(&subject).and_then(|asked| asked.answer.as_ref());
        let release = answer.and_then(|answer| answer.releases.first());
        // What has no time yet is asked for it again.
        let known = release.filter(|release| release.published.is_some()).and_then(|release| release.digest.clone());
        self.pending.insert(subject);
        Some((origin, known))
    }

    /// Takes in what a registry said.
    fn settle(&mut self, origin: &ModelOrigin, found: Result<Vec<ModelRelease>, RegistryFault>, now: Timestamp) {
        let subject = origin.to_string();
        self.pending.remove(&subject);
        let before = self.memory.models.get(&subject).and_then(|asked| asked.answer.clone());
        let asked = match found {
            Ok(releases) => {
                let answer = answer(releases, before.as_ref(), now);
                Asked { at: now, next: timetable::after_answer(&subject, now), answer: Some(answer), fault: None }
            }
            Err(fault) => {
                let next = timetable::after_fault(&fault, now);
                if fault.kind == FaultKind::Limited {
                    self.limits.insert(origin.registry().map(str::to_owned), next);
                }
                tracing::info!(model = %subject, %fault, "A registry gave no answer.");
                Asked { at: now, next, answer: before, fault: Some(fault) }
            }
        };
        let memory = Arc::make_mut(&mut self.memory);
        memory.forget_old(now);
        memory.models.insert(subject, asked);
    }

    /// Gives everything that is to be asked about now the same answer: nobody can be asked.
    fn settle_all_due(&mut self, fault: &RegistryFault, now: Timestamp) {
        let due: Vec<ModelOrigin> = self.due(now).map(|(_, origin)| origin.clone()).collect();
        for origin in due {
            self.settle(&origin, Err(fault.clone()), now);
        }
    }

    /// Lets everything that failed be tried again now, unless a registry asked to be left alone or was asked just before.
    fn try_failed_again(&mut self, now: Timestamp) {
        let again = |asked: &Asked<ModelAnswer>| timetable::is_tried_again(asked, now);
        if self.memory.models.values().any(again) {
            let memory = Arc::make_mut(&mut self.memory);
            memory.models.values_mut().filter(|asked| again(asked)).for_each(|asked| asked.next = now);
        }
    }

    /// In a clause how many there are, and how many of them were asked about.
    fn told(&self) -> String {
        let asked = self.used.keys().filter_map(|subject| self.memory.models.get(subject));
        let failed: Vec<&RegistryFault> = asked.clone().filter_map(|asked| asked.fault.as_ref()).collect();
        let count = self.used.len();
        let models = if count == 1 { "model" } else { "models" };
        let told = format!("{count} {models} from registries, {} asked about", asked.count());
        match failed.first() {
            Some(first) => format!("{told}; {} without an answer: {first}", failed.len()),
            None => told,
        }
    }
}

/// What is kept of an answer: what was seen before keeps its dates.
fn answer(releases: Vec<ModelRelease>, before: Option<&ModelAnswer>, now: Timestamp) -> ModelAnswer {
    let known = before.map_or(&[][..], |before| &before.releases);
    let mut earlier: Vec<String> = before.map(|before| before.before.clone()).unwrap_or_default();
    let gone = known.iter().filter_map(|release| release.digest.clone());
    earlier.extend(gone.filter(|digest| !releases.iter().any(|release| release.digest.as_ref() == Some(digest))));
    earlier.drain(..earlier.len().saturating_sub(ModelAnswer::BEFORE));
    let releases = releases.into_iter().map(|release| {
        let same = known.iter().find(|known| known.name == release.name && known.digest == release.digest);
        ModelRelease {
            since: same.map_or(release.since, |same| same.since),
            published: release.published.or_else(|| same.and_then(|same| same.published)),
            ..release
        }
    });
    ModelAnswer { at: now, releases: releases.collect(), before: earlier }
}

#[cfg(test)]
mod tests;
