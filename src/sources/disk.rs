//! What the container engine holds on disk: images, volumes, networks, build cache.
//!
//! Lists come first and cost little; sizes of volumes and containers follow, for which the engine reads the disk. They are
//! measured once an interval, and sooner only where that was quick: what comes and goes in between is listed at once, with
//! the sizes that are known.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::roster::Roster;
use super::{Read, Source, SourceContext, SourceSettings, SourceSpec};
use crate::domain::{DockerDisk, Event, Failure, Moment, Sample, SourceId, units};
use crate::host::{Clock, DockerClient, Extent, LayerBook, Measured};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::DockerDisk,
    interval: Some(INTERVAL),
    heavy: true,
    timeout: Duration::from_mins(12),
    build: |context| Box::new(Disk::new(context)),
};

const INTERVAL: Duration = Duration::from_mins(5);

/// The least time between two readings: what comes and goes, comes and goes in bursts.
const PAUSE: Duration = Duration::from_secs(10);

/// What was measured within this time is measured again whenever something changes.
const QUICK: Duration = Duration::from_secs(1);

struct Disk {
    roster: watch::Receiver<Roster>,
    clock: Clock,
    settings: Rc<SourceSettings>,
    events: mpsc::Sender<Event>,
    book: LayerBook,
    began: Option<Moment>,
    last: Option<Last>,
}

/// The last time that the engine measured.
struct Last {
    measured: Measured,
    /// When it was asked, and how long it took.
    asked: Moment,
    took: Duration,
    /// The images that it measured.
    images: BTreeSet<Arc<str>>,
}

impl Disk {
    fn new(context: &SourceContext) -> Self {
        Self {
            roster: context.roster.subscribe(),
            clock: context.ports.clock,
            settings: context.settings.clone(),
            events: context.events.clone(),
            book: LayerBook::default(),
            began: None,
            last: None,
        }
    }

    /// The way to the engine, as soon as its containers are known: they come first.
    async fn client(&mut self) -> Result<DockerClient, Failure> {
        let gone = || Failure::unsupported("no container engine is asked");
        let roster = self.roster.wait_for(Roster::was_asked).await.map_err(|_| gone())?;
        roster.client().cloned()
    }

    /// Waits until enough time has passed since the reading before.
    async fn rest(&mut self) {
        if let Some(began) = self.began {
            sleep(PAUSE.saturating_sub(self.clock.now().since(began))).await;
        }
        self.began = Some(self.clock.now());
    }

    async fn read(&mut self) -> Result<DockerDisk, Failure> {
        let client = self.client().await?;
        self.rest().await;
        let mut disk = client.stock(&mut self.book).await?;
        self.settings.protected.mark(&mut disk);
        if let Some(last) = &mut self.last {
            last.put_into(&mut disk);
        }
        if !self.is_due() {
            return Ok(disk);
        }
        // What is known already is not held back.
        self.tell(&disk).await;
        let asked = self.clock.now();
        let measured = client.measure(Extent::All, || self.clock.now().wall).await?;
        measured.put_into(&mut disk);
        let images = disk.images.iter().map(|image| image.id.clone()).collect();
        self.last = Some(Last { measured, asked, took: self.clock.now().since(asked), images });
        Ok(disk)
    }

    /// Whether the engine is to measure again.
    fn is_due(&self) -> bool {
        self.last.as_ref().is_none_or(|last| {
            // The poller's turns are not exact.
            last.took < QUICK || self.clock.now().since(last.asked) + PAUSE >= INTERVAL
        })
    }

    async fn tell(&self, disk: &DockerDisk) {
        let sample = Sample::DockerDisk(Arc::new(disk.clone()));
        // Nobody may be there any more.
        let _gone = self.events.send(Event::Sampled { sample, detail: detail(disk), at: self.clock.now() }).await;
    }
}

impl Last {
    /// Puts what was measured into a newer list.
    fn put_into(&mut self, disk: &mut DockerDisk) {
        let same =
            disk.images.len() == self.images.len() && disk.images.iter().all(|image| self.images.contains(&image.id));
        if !same {
            self.measured.forget_layers();
        }
        self.measured.put_into(disk);
    }
}

impl Source for Disk {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            let disk = self.read().await?;
            Ok(Read { detail: detail(&disk), sample: Sample::DockerDisk(Arc::new(disk)) })
        })
    }
}

/// Such as `31 images, 12 volumes, 118 GiB of them measured`.
fn detail(disk: &DockerDisk) -> String {
    let totals = disk.totals();
    let volumes = match totals.volumes.size_bytes.get() {
        Some(bytes) if disk.measured.is_some() => format!(", {}", units::bytes(bytes)),
        _ => String::new(),
    };
    format!(
        "{} images, {} volumes{volumes}, {} networks",
        totals.images.count,
        totals.volumes.count,
        disk.networks.len()
    )
}
