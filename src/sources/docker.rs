//! The container engine: listed once, then followed through its events.
//!
//! The first poll connects, asks what the engine remembers of the last half hour, inspects every container and starts the
//! [`Watch`], a task that inspects again what events name and publishes the result at once. Further polls only ask that
//! task for a sign of life. Giving a poll up drops the task and its connections; the next one starts anew.

mod finder;
mod means;
mod session;
mod table;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::timeout;

use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{DockerSample, EngineInfo, Failure, Sample, SourceId};
use crate::host::Candidate;
pub use finder::Finder;
use means::Means;
use session::Session;
use watch::Watch;

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Docker,
    interval: Some(Duration::from_secs(10)),
    heavy: false,
    timeout: Duration::from_secs(5),
    build: |context| Box::new(Docker::new(context)),
};

/// How long a poll takes at most: a little less than the poller waits, so that the failure can say what hangs.
const PATIENCE: Duration = Duration::from_millis(4_500);

struct Docker {
    means: Means,
    /// Runs from the first success on.
    watch: Option<Watch>,
    /// The engine that answered once. It is never exchanged for another one: when it goes, its containers are not replaced
    /// by those of an engine that happens to be there too.
    taken: Option<Candidate>,
}

impl Docker {
    fn new(context: &SourceContext) -> Self {
        Self { means: Means::new(context), watch: None, taken: None }
    }

    /// Asks the task; connects and starts it where there is none.
    async fn read(&mut self) -> Result<Arc<DockerSample>, Failure> {
        // Taken out, so that the task goes with a poll that is given up.
        if let Some(watch) = self.watch.take()
            && let Some(answer) = watch.ask().await
        {
            self.watch = Some(watch);
            return answer;
        }
        let place = match &self.taken {
            Some(place) => place.clone(),
            None => self.means.finder().discover().await?,
        };
        let mut session = Session::open(&self.means, &place).await?;
        self.taken = Some(place);
        let sample = session.publish_roster();
        self.watch = Some(Watch::start(session));
        Ok(sample)
    }
}

impl Source for Docker {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            let answer = match timeout(PATIENCE, self.read()).await {
                Ok(answer) => answer,
                Err(_) => Err(Failure::failed(match &self.taken {
                    Some(place) => format!("{} does not answer", place.shown()),
                    None => "the container engine does not answer".to_owned(),
                })),
            };
            let sample = answer.inspect_err(|failure| self.means.lost(failure))?;
            Ok(Read { detail: detail(&sample.engine), sample: Sample::Docker(sample) })
        })
    }
}

/// Which engine it is, and why this one.
fn detail(engine: &EngineInfo) -> String {
    format!(
        "engine {}, API {}, {}, because {}",
        engine.version, engine.api_version, engine.endpoint, engine.chosen_because
    )
}
