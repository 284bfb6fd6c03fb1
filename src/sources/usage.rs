//! What each running container uses: processor, memory, processes.
//!
//! Read from the kernel's control groups, which costs the engine nothing and a few microseconds a container. Only where
//! those files cannot be read (an engine elsewhere, or a rootless one without groups of its own) is the engine asked, for a
//! few containers at a turn. While the engine is gone its containers are still read: they may run on without it.

mod asked;
mod meters;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;

use super::roster::{self, Known, Roster};
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{Failure, Sample, SourceId};
use crate::host::{Clock, Reader, RootedFs};
use asked::Asked;
use meters::Meters;

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Usage,
    interval: None,
    heavy: false,
    timeout: Duration::from_secs(6),
    build: |context| Box::new(Usage::new(context)),
};

struct Usage {
    reader: Reader<Meters>,
    fs: RootedFs,
    clock: Clock,
    roster: watch::Receiver<Roster>,
    asked: Asked,
}

impl Usage {
    fn new(context: &SourceContext) -> Self {
        Self {
            reader: context.ports.sampler.reader(Meters::default),
            fs: context.ports.fs.clone(),
            clock: context.ports.clock,
            roster: context.roster.subscribe(),
            asked: Asked::default(),
        }
    }
}

impl Source for Usage {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            let Known { client, sample } = roster::known(&mut self.roster).await?;
            let (fs, clock) = (self.fs.clone(), self.clock);
            let reading = self
                .reader
                .read(move |meters| meters.read(&fs, &sample, clock.now()))
                .await
                .map_err(|why| Failure::failed(format!("control groups: {why}")))?;
            let mut usages = reading.usages;
            self.asked.read(&client, &reading.unreadable, self.clock, &mut usages).await;
            let running = usages.by_id.len();
            let detail = match (running, usages.origin) {
                (0, _) => "no container runs".to_owned(),
                (1, origin) => format!("1 container, {origin}"),
                (_, origin) => format!("{running} containers, {origin}"),
            };
            Ok(Read { sample: Sample::Usage(Arc::new(usages)), detail })
        })
    }
}
