//! The active probe: a short generation now and then, where nothing else tells how long answers take. It is off unless the
//! config says how often.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::domain::{Counter, Endpoint, Engine, EngineKind, Event, LogSubject, LoggedRequest, RequestOutcome};
use crate::engines::{Untried, generate};
use crate::host::{Origin, Ports};

/// How long one may take: a model may have to be loaded first.
const PATIENCE: Duration = Duration::from_mins(5);

/// Probes servers, one at a time each.
#[derive(Debug, Default)]
pub(super) struct Prober {
    every: Option<Duration>,
    last: HashMap<Endpoint, Duration>,
    /// Dropping it ends them.
    tasks: JoinSet<()>,
}

impl Prober {
    /// One that probes so often; `None` never.
    pub(super) fn new(every: Option<Duration>) -> Self {
        Self { every, ..Self::default() }
    }

    /// Begins what is due among these engines.
    pub(super) fn turn(&mut self, engines: &[Engine], ports: &Ports, events: &mpsc::Sender<Event>) {
        let Some(every) = self.every else { return };
        let now = ports.clock.now().mono;
        self.last.retain(|endpoint, _| engines.iter().any(|engine| engine.endpoint == *endpoint));
        for engine in engines.iter().filter(|engine| tells_nothing(engine)) {
            let due = self.last.get(&engine.endpoint).is_none_or(|last| now.saturating_sub(*last) >= every);
            if let Some(origin) = engine.endpoint.0.parse::<Origin>().ok().filter(|_| due) {
                self.last.insert(engine.endpoint.clone(), now);
                self.tasks.spawn_local(probe(origin, engine.endpoint.clone(), ports.clone(), events.clone()));
            }
        }
        // Only to let go of those that have ended.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// Whether neither counters nor a log tell of a server's requests: the log of a container is followed, and the journal of
/// Ollama's unit. A proxy would pass the question on, perhaps for money.
fn tells_nothing(engine: &Engine) -> bool {
    let counts = engine.tally.known().is_some_and(|tally| tally.counter(Counter::Requests).is_some());
    let logs = matches!(engine.kind, EngineKind::Ollama | EngineKind::LlamaCpp) && engine.container.is_some();
    !counts && !logs && !matches!(engine.kind, EngineKind::LiteLlm | EngineKind::Ollama)
}

async fn probe(origin: Origin, endpoint: Endpoint, ports: Ports, events: mpsc::Sender<Event>) {
    let begun = ports.clock.now();
    let generated = generate(&ports.http, origin, None, PATIENCE).await;
    let at = ports.clock.now();
    let (outcome, seconds) = match generated {
        Ok(_) => (RequestOutcome::Answered, Some(at.since(begun).as_secs_f64())),
        Err(Untried::Failed { .. }) => (RequestOutcome::Failed, None),
        // Nothing was asked of it.
        Err(_) => return,
    };
    let request = LoggedRequest {
        server: LogSubject::Endpoint(endpoint),
        outcome,
        first_token_seconds: None,
        end_to_end_seconds: seconds,
        prompt_tokens: None,
        generated_tokens: None,
    };
    // Whoever listens may have gone.
    drop(events.send(Event::Requests { requests: vec![request], at }).await);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ContainerId, Reading, Tally};
    use crate::make::engine;

    #[test]
    fn only_servers_of_which_nothing_else_tells_are_probed() {
        let mut counted = Tally::default();
        counted.add(Counter::Requests, 1.0);
        let openai = engine(EngineKind::OpenAi, 1234);
        assert!(tells_nothing(&openai));
        assert!(!tells_nothing(&Engine { tally: Reading::Known(counted.into()), ..openai }));
        assert!(tells_nothing(&engine(EngineKind::LlamaCpp, 8080)));
        let inside = Some(ContainerId::from("a"));
        assert!(!tells_nothing(&Engine { container: inside, ..engine(EngineKind::LlamaCpp, 8080) }));
        assert!(!tells_nothing(&engine(EngineKind::LiteLlm, 4000)), "it would cost money");
    }
}
