//! The log lines of all running containers, in one stream.
//!
//! The lines of the json-file driver are read where they lie, which costs the engine nothing; for all other containers the
//! engine is asked. [`follow`] has the turns and the bounded way to the store, [`files`] and [`streams`] the two ways to
//! read, [`record`] makes records to lines, [`level`] tells how grave they are, [`requests`] finds those that an inference
//! server writes of. A poll only says how many are followed: the
//! lines come by themselves.

mod files;
mod follow;
mod level;
mod record;
mod requests;
mod streams;

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{Failure, Sample, SourceId};
use follow::Follower;

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Logs,
    interval: Some(Duration::from_secs(2)),
    heavy: false,
    timeout: Duration::from_secs(6),
    build: |context| Box::new(Logs::new(context)),
};

/// The time between two looks at what was written.
const TURN: Duration = Duration::from_millis(250);

/// The same while nothing is written anywhere.
const REST: Duration = Duration::from_secs(1);

/// Lines of a container that are read when it is followed for the first time.
const FIRST_LINES: u32 = 200;

/// What the follower does, for the next poll.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Report {
    /// No turn has been made yet.
    #[default]
    Waiting,
    /// So many containers are followed.
    Following { followed: usize, detail: String },
    /// None is followed, because of this.
    Failed(Failure),
}

struct Logs {
    /// Until the first poll, which starts it.
    follower: Option<Follower>,
    report: watch::Receiver<Report>,
    /// Dropping this ends it.
    task: JoinSet<()>,
}

impl Logs {
    fn new(context: &SourceContext) -> Self {
        let (tell, report) = watch::channel(Report::default());
        Self { follower: Some(Follower::new(context, tell)), report, task: JoinSet::new() }
    }
}

impl Source for Logs {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            if let Some(follower) = self.follower.take() {
                self.task.spawn(follower.run());
            }
            let told = self.report.wait_for(|report| *report != Report::Waiting).await;
            match told.as_deref() {
                Ok(Report::Following { followed, detail }) => {
                    Ok(Read { sample: Sample::Logs { followed: *followed }, detail: detail.clone() })
                }
                Ok(Report::Failed(failure)) => Err(failure.clone()),
                Ok(Report::Waiting) => Err(Failure::failed("no log was looked at yet")),
                Err(_) => Err(Failure::failed("the reader of logs has ended")),
            }
        })
    }
}
