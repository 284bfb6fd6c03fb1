//! Asks the container engine what only somebody at the screen wants to know. It connects when it is first asked, through
//! the same places as the source, and never makes the screen wait.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Setup;
use crate::domain::{ContainerId, Failure, Inspection};
use crate::host::{DockerClient, Lane, RootedFs};
use crate::sources::Finder;

/// Questions and answers that may wait.
const QUEUE: usize = 8;
/// How long one answer may take, with the way to the engine. Each step has an end of its own; this is the last one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the engine said of a container; `None` if it has no such one.
pub(super) struct Answered {
    /// The container.
    pub(super) of: ContainerId,
    /// Its inspection.
    pub(super) answer: Result<Option<Inspection>, Failure>,
}

/// Takes questions.
pub(super) struct Asker {
    questions: mpsc::Sender<ContainerId>,
}

impl Asker {
    /// Begins to take questions. Must be called within a [`LocalSet`](tokio::task::LocalSet).
    pub(super) fn start(setup: &Setup) -> (Self, mpsc::Receiver<Answered>) {
        let (questions, asked) = mpsc::channel(QUEUE);
        let (answers, told) = mpsc::channel(QUEUE);
        let (root, endpoint) = (setup.rootfs.clone(), setup.config.sources.docker_endpoint.clone());
        let engine =
            move || Engine { finder: Finder::new(RootedFs::new(root), Lane::new("ask"), endpoint), client: None };
        tokio::task::spawn_local(answer((!setup.demo).then_some(engine), asked, answers));
        (Self { questions }, told)
    }

    /// Asks about a container; the question before it is given up. False when too much waits already.
    pub(super) fn inspect(&self, of: ContainerId) -> bool {
        self.questions.try_send(of).is_ok()
    }
}

/// The engine, once it was asked.
struct Engine {
    finder: Finder,
    client: Option<DockerClient>,
}

impl Engine {
    async fn describe(&mut self, of: &ContainerId) -> Result<Option<Inspection>, Failure> {
        // Taken out, so that a way that leads nowhere is not kept.
        let client = match self.client.take() {
            Some(client) => client,
            None => DockerClient::connect(&self.finder.discover().await?).await?,
        };
        let answer = client.describe(of).await?;
        self.client = Some(client);
        Ok(answer)
    }
}

/// Answers questions. The engine's thread is begun with the first of them; a made-up box has no engine.
async fn answer(
    engine: Option<impl FnOnce() -> Engine>,
    mut asked: mpsc::Receiver<ContainerId>,
    answers: mpsc::Sender<Answered>,
) {
    let mut next = asked.recv().await;
    let mut engine = engine.map(|begin| begin());
    while let Some(of) = next.take() {
        let answer = tokio::select! {
            answer = describe(engine.as_mut(), &of) => answer,
            // Nobody looks at the one before it any more.
            newer = asked.recv() => {
                next = newer;
                continue;
            }
        };
        if answers.send(Answered { of, answer }).await.is_err() {
            return;
        }
        next = asked.recv().await;
    }
}

async fn describe(engine: Option<&mut Engine>, of: &ContainerId) -> Result<Option<Inspection>, Failure> {
    let Some(engine) = engine else {
        return Err(Failure::unsupported("a made-up box has no engine that could be asked"));
    };
    let silent = || Failure::failed("the container engine does not answer");
    timeout(PATIENCE, engine.describe(of)).await.unwrap_or_else(|_| Err(silent()))
}
