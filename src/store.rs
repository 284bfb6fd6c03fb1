//! The central state: one owner, pure transitions.
//!
//! [`State::apply`] is the only way in. It does no IO, never reads the clock and never awaits; time arrives inside each
//! [`Event`], and what must be done outside comes back as [`Effect`]s. Everything that is drawn, printed or judged is
//! read from here. Start with [`State`], then [`Slot`] (one source's latest value) and [`Findings`] (what needs someone).

mod bottleneck;
mod cards;
mod crash;
mod findings;
mod held;
mod inventory;
mod lives;
mod logs;
mod measures;
mod metrics;
mod models;
mod platforms;
mod published;
mod select;
mod series;
mod slot;
mod sources;
mod track;
mod tuning;
mod updates;

pub use bottleneck::{Bottleneck, Hold};
pub use cards::{Card, Cards};
pub use crash::{Crash, Death};
pub use findings::{Findings, OpenFinding};
pub use held::{ImageUse, KeptVersion};
pub use lives::{Growth, Life, Lives};
pub use logs::{LogRing, LogStats};
pub use measures::{Measures, Performance, Window};
pub use models::Served;
pub use platforms::PlatformCounters;
pub use select::{Change, GpuRow, OnCards, ProjectView, verdict};
pub use series::{RANGES, Range, Series, SeriesId, SeriesStore};
pub use slot::Slot;
pub use sources::{SourceState, Sources};
pub use track::{ExitSeen, Track};
pub use tuning::{Advice, MemorySplit};

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::{
    ContainerId, ContainerUsages, DockerDisk, DockerSample, DutyStanding, Effect, EngineSample, Event, GpuSample,
    HostSample, ImageUpdate, ImagesSeen, JournalEntry, JournalRecord, Keeping, LibrarySample, ModelUpdate,
    ModelUpdateSample, Moment, Past, PlatformSample, Remembered, Review, Run, Sample, ScheduleStanding, ServedLedger,
    Signatures, SourceId, Thresholds, TrendSample, UpdatePolicy, UpdateSample, Volume, XidEvent,
};

/// Everything that is known about the box at one moment.
#[derive(Debug, Clone)]
pub struct State {
    /// When this process began to look.
    pub started: Moment,
    /// The time of the latest event.
    pub now: Moment,
    /// The limits in force.
    pub thresholds: Arc<Thresholds>,
    /// How each source stands.
    pub sources: Sources,
    /// The machine.
    pub host: Slot<HostSample>,
    /// Its file systems.
    pub volumes: Slot<Vec<Volume>>,
    /// Its NVIDIA cards.
    pub gpus: Slot<GpuSample>,
    /// Its containers.
    pub docker: Slot<DockerSample>,
    /// What they use.
    pub usage: Slot<ContainerUsages>,
    /// What its container engine holds on disk.
    pub disk: Slot<DockerDisk>,
    /// When each image was first seen, and last in use; also from earlier runs.
    pub images_seen: ImagesSeen,
    /// Its inference servers.
    pub engines: Slot<EngineSample>,
    /// How well they work.
    pub measures: Measures,
    /// Its orchestration platforms.
    pub platforms: Slot<PlatformSample>,
    /// What their counters rose by of late.
    pub platform_counters: PlatformCounters,
    /// What registries have for its images.
    pub updates: Slot<UpdateSample>,
    /// The models on disk.
    pub library: Slot<LibrarySample>,
    /// What is published of them, and of the families that are watched.
    pub published_models: Slot<ModelUpdateSample>,
    /// How each model on disk stands, by the two above; by its path.
    model_updates: HashMap<String, Vec<ModelUpdate>>,
    /// When somebody last looked through what is new of the families that are watched, and who.
    pub models_reviewed: Option<Review>,
    /// What each engine was last recorded to serve.
    served: ServedLedger,
    /// What people decided about updates.
    pub update_policy: Arc<UpdatePolicy>,
    /// How the image of each container stands, by what registries and people say.
    image_updates: HashMap<ContainerId, ImageUpdate>,
    /// What happened to each container while it was watched, and what the engine remembered.
    pub tracks: HashMap<ContainerId, Track>,
    /// Cards that were seen since the start.
    pub cards: Cards,
    /// Faults that cards reported.
    pub xids: Vec<XidEvent>,
    /// Log lines of running containers.
    pub logs: LogRing,
    /// Short histories for graphs.
    pub series: SeriesStore,
    /// What the history tells of weeks and months; empty while there is none.
    pub trends: Slot<TrendSample>,
    /// What needs someone.
    pub findings: Findings,
    /// The routine as it stands.
    pub routine: Vec<DutyStanding>,
    /// What people said: accepted, snoozed, acknowledged, noted; oldest first.
    pub journal: Vec<JournalRecord>,
    /// Runs of actions, oldest first: the newest ones of this box's store.
    pub runs: Vec<Run>,
    /// When somebody last opened the screen before this time.
    pub last_visit: Option<Timestamp>,
    /// What the box consisted of when hostler looked before; `None` where nothing is remembered.
    pub remembered: Option<Arc<Remembered>>,
    /// What was recorded over the time that graphs show; `None` until it was read.
    pub past: Option<Arc<Past>>,
    /// What is done at set times.
    pub schedule: Vec<ScheduleStanding>,
    /// Who signed what of it.
    pub signatures: Signatures,
    /// Who keeps the history.
    pub keeping: Keeping,
}

impl State {
    /// An empty state that waits for `sources`.
    pub fn new(started: Moment, thresholds: Arc<Thresholds>, sources: Sources) -> Self {
        Self {
            started,
            now: started,
            thresholds,
            sources,
            host: Slot::default(),
            volumes: Slot::default(),
            gpus: Slot::default(),
            docker: Slot::default(),
            usage: Slot::default(),
            disk: Slot::default(),
            images_seen: ImagesSeen::default(),
            engines: Slot::default(),
            measures: Measures::default(),
            platforms: Slot::default(),
            platform_counters: PlatformCounters::default(),
            updates: Slot::default(),
            library: Slot::default(),
            published_models: Slot::default(),
            model_updates: HashMap::new(),
            models_reviewed: None,
            served: ServedLedger::default(),
            update_policy: Arc::default(),
            image_updates: HashMap::new(),
            tracks: HashMap::new(),
            cards: Cards::default(),
            xids: Vec::new(),
            logs: LogRing::default(),
            series: SeriesStore::default(),
            trends: Slot::default(),
            findings: Findings::default(),
            routine: Vec::new(),
            journal: Vec::new(),
            runs: Vec::new(),
            last_visit: None,
            remembered: None,
            keeping: Keeping::default(),
            schedule: Vec::new(),
            signatures: Signatures::default(),
            past: None,
        }
    }

    /// Takes one event in. The only transition there is.
    pub fn apply(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Sampled { sample, detail, at } => {
                self.advance(at);
                let id = sample.source();
                let came_back = self.sources.succeeded(id, detail, at);
                self.sampled(sample, at);
                if came_back && id == SourceId::Docker {
                    // What builds upon the engine may be waiting out its own failures.
                    effects.extend(
                        [SourceId::Usage, SourceId::DockerDisk, SourceId::Platforms, SourceId::Logs, SourceId::Updates]
                            .map(Effect::RefreshNow),
                    );
                }
            }
            Event::SourceFailed { source, failure, at } => {
                self.advance(at);
                self.sources.failed(source, failure, at);
                self.series.gap(source, at);
            }
            Event::Docker { events, at } => {
                self.advance(at);
                for event in events {
                    self.tracks.entry(event.id.clone()).or_default().happened(&event);
                }
            }
            Event::DockerStock { at } => {
                self.advance(at);
                effects.push(Effect::RefreshNow(SourceId::DockerDisk));
            }
            Event::ImagesSeen(seen) => self.images_seen.merge(&seen),
            Event::Xid(xid) => {
                self.xids.push(xid);
                let surplus = self.xids.len().saturating_sub(Self::XIDS_KEPT);
                self.xids.drain(..surplus);
                effects.push(Effect::RefreshNow(SourceId::Gpu));
            }
            Event::Logs(batch) => self.logs.push(batch),
            Event::Requests { requests, at } => {
                self.advance(at);
                for request in &requests {
                    if let Some((endpoint, kind)) = self.writer_of(&request.server) {
                        self.measures.logged(&endpoint, kind, request, at);
                    }
                }
            }
            Event::Assessed { observations, unassessed, at } => {
                self.advance(at);
                self.findings.assessed(observations, unassessed, &self.sources, at);
            }
            Event::Trends(trends) => self.trends.set(trends, self.now),
            Event::Limits(thresholds) => self.thresholds = thresholds,
            Event::Updates(policy) => {
                self.update_policy = policy;
                self.compare_images();
            }
            Event::Routine(standings) => self.routine = standings,
            Event::Journal(records) => self.journalled(records),
            Event::Runs(runs) => self.runs = runs,
            Event::Past(past) => self.past = Some(past),
            Event::Schedule(schedule) => self.schedule = schedule,
            Event::Keeping(keeping) => self.keeping = keeping,
            Event::Remembered(remembered) => self.remembered = Some(remembered),
            // Of requests nothing is kept yet.
            Event::Tick { at } => self.advance(at),
        }
        effects
    }

    /// Records of the journal that are kept in memory; older ones go first.
    const JOURNAL_KEPT: usize = 1_000;
    /// Faults of cards that are remembered; older ones go first.
    const XIDS_KEPT: usize = 256;

    /// Moves the time forward; an event that was queued behind a later one does not turn it back.
    fn advance(&mut self, at: Moment) {
        if at > self.now {
            self.now = at;
        }
    }

    fn sampled(&mut self, sample: Sample, at: Moment) {
        match sample {
            Sample::Host(host) => {
                self.series.host(&host, at);
                self.host.set(host, at);
            }
            Sample::Volumes(volumes) => self.volumes.set(volumes, at),
            Sample::Gpu(gpus) => {
                self.series.gpus(&gpus, at);
                self.cards.sampled(&gpus, at);
                self.gpus.set(gpus, at);
            }
            Sample::Docker(docker) => {
                for container in &docker.containers {
                    self.tracks.entry(container.id.clone()).or_default().inspected(container, at);
                }
                self.tracks.retain(|_, track| !track.is_gone(at));
                self.logs.forget_gone(&docker.containers);
                for container in &docker.containers {
                    self.images_seen.saw(&container.image_id, true, at.wall);
                }
                self.docker.set(docker, at);
                self.compare_images();
            }
            Sample::Usage(usage) => {
                for (id, used) in &usage.by_id {
                    self.tracks.entry(id.clone()).or_default().used(used, at.wall);
                }
                self.usage.set(usage, at);
            }
            Sample::DockerDisk(disk) => {
                for image in &disk.images {
                    self.images_seen.saw(&image.id, !image.users.is_empty(), at.wall);
                }
                self.disk.set(disk, at);
            }
            Sample::Engines(engines) => {
                let answering: Vec<_> =
                    engines.engines.iter().filter_map(|it| self.container_of(it).cloned()).collect();
                for id in answering {
                    self.tracks.entry(id).or_default().answered();
                }
                self.measures.sampled(&engines.engines, at);
                self.series.engines(&engines, &self.measures, at);
                self.engines.set(engines, at);
            }
            Sample::Platforms(platforms) => {
                self.platform_counters.sampled(&platforms, at);
                self.platforms.set(platforms, at);
            }
            Sample::Logs { followed } => self.logs.followed = followed,
            Sample::Updates(updates) => {
                self.updates.set(updates, at);
                self.compare_images();
            }
            Sample::Library(library) => {
                self.library.set(library, at);
                self.compare_models();
            }
            Sample::ModelUpdates(published) => {
                self.published_models.set(published, at);
                self.compare_models();
            }
        }
    }

    fn journalled(&mut self, records: Vec<JournalRecord>) {
        for record in records {
            self.findings.silence(&record);
            self.signatures.take(&record);
            match &record.entry {
                // The visit that is being made now does not count as the last one.
                JournalEntry::Visit if record.at < self.started.wall => self.last_visit = Some(record.at),
                JournalEntry::Visit => {}
                JournalEntry::Accept { .. }
                | JournalEntry::Snooze { .. }
                | JournalEntry::Acknowledge { .. }
                | JournalEntry::Cleared { .. }
                | JournalEntry::ScheduleSigned { .. }
                | JournalEntry::Note { .. } => self.journal.push(record),
                JournalEntry::ModelsReviewed => {
                    let review = Review { at: record.at, by: record.by.clone() };
                    self.models_reviewed = self.models_reviewed.take().max(Some(review));
                    self.journal.push(record);
                }
                JournalEntry::Served(served) => {
                    self.served.take(served);
                    self.journal.push(record);
                }
            }
        }
        let surplus = self.journal.len().saturating_sub(Self::JOURNAL_KEPT);
        self.journal.drain(..surplus);
    }
}
