//! Rules about inference servers.

use std::time::Duration;

use super::error_rate::Counts;
use super::{Assessment, Rule, observation};
use crate::domain::{Counter, Engine, Observation, Severity, SourceId};
use crate::store::{State, Window};

/// Requests that a server failed, of all within a quarter of an hour.
pub(super) const ERROR_RATE: Rule = Rule {
    id: "inference.error-rate",
    title: "Errors of inference servers",
    why: "More than one failed request in a hundred points to a model or a configuration that does not work.",
    fix: &["container.restart", "container.rollback"],
    reads: Some(SourceId::Engines),
    assess: |state, _, assessment| {
        for engine in state.engines.get().into_iter().flat_map(|sample| &sample.engines) {
            judge(state, engine, assessment);
        }
    },
};

/// The window counts as seen when all but so much of it was: looks that failed are no reason to say nothing.
const UNSEEN: Duration = Duration::from_mins(1);

fn judge(state: &State, engine: &Engine, assessment: &mut Assessment) {
    let subject = engine.subject();
    let seen = state.measures.of(&engine.endpoint, Window::Quarter);
    let Some(seen) = seen.filter(|seen| seen.count(Counter::Faults).is_some()) else {
        // What is never counted is no question that waits for an answer.
        let why = match engine.tally.known() {
            Some(tally) if tally.counter(Counter::Faults).is_none() => "it does not count its requests".to_owned(),
            Some(_) => "15 minutes of its requests are not seen yet".to_owned(),
            None => engine.tally.why().map(ToString::to_string).unwrap_or_default(),
        };
        return assessment.cannot_tell(ERROR_RATE.id, subject, why);
    };
    let counts = Counts {
        work: "requests",
        window: Window::Quarter.span(),
        requests: seen.requests().unwrap_or(0.0),
        faults: seen.count(Counter::Faults).unwrap_or(0.0),
        overloads: seen.count(Counter::Overloads).unwrap_or(0.0),
    };
    if seen.seconds < Window::Quarter.span().saturating_sub(UNSEEN).as_secs_f64() {
        return assessment.cannot_tell(ERROR_RATE.id, subject, "15 minutes of its requests are not seen yet");
    }
    let open = state.findings.open_severity(ERROR_RATE.id, &subject);
    let seen = counts.judge(&state.thresholds, open, |severity, title| about(state, engine, severity, title));
    assessment.observations.extend(seen);
}

fn about(state: &State, engine: &Engine, severity: Severity, title: String) -> Observation {
    let container = state.container_of(engine).and_then(|id| state.container(id));
    Observation {
        container: container.map(|container| container.id.clone()),
        project: container.and_then(|container| container.project.clone()),
        service: container.and_then(|container| container.service.clone()),
        look: &["logs"],
        ..observation(ERROR_RATE.id, engine.subject(), severity, title)
    }
}

#[cfg(test)]
mod tests {
    use super::ERROR_RATE;
    use crate::domain::{Counter, Engine, EngineKind, Reading, Severity, Tally};
    use crate::make::{Script, engine};

    fn vllm(requests: u32, faults: u32, overloads: u32) -> Engine {
        let mut tally = Tally::default();
        for (counter, count) in
            [(Counter::Requests, requests), (Counter::Faults, faults), (Counter::Overloads, overloads)]
        {
            tally.add(counter, f64::from(count));
        }
        Engine { tally: Reading::Known(tally.into()), ..engine(EngineKind::Vllm, 8000) }
    }

    /// A quarter of an hour in which so much came each half minute.
    fn quarter(requests: u32, faults: u32, overloads: u32) -> Script {
        let mut script = Script::new();
        for step in 0..=31 {
            let looked = vllm(step * requests, step * faults, step * overloads);
            script.at(u64::from(step) * 30).engines([looked]).assess();
        }
        script
    }

    #[test]
    fn only_servers_that_were_found_are_waited_for() {
        let mut script = Script::new();
        script.at(0).engines([]).assess();
        assert!(script.waiting("inference.error-rate").is_empty());
        script.at(1).engines([vllm(0, 0, 0), engine(EngineKind::LlamaCpp, 8080)]).assess();
        let unassessed = script.state.findings.unassessed().iter().filter(|it| it.id == ERROR_RATE.id);
        let waiting: Vec<_> = unassessed.map(|waiting| (&*waiting.subject, waiting.why.as_str())).collect();
        assert_eq!(
            waiting,
            [("vllm:8000", "15 minutes of its requests are not seen yet"), ("llama.cpp:8080", "not supported")]
        );
    }

    #[test]
    fn failures_above_the_limit_are_told_with_their_number_and_overload_apart() {
        let script = quarter(100, 3, 1);
        let seen = script.finding("inference.error-rate", "vllm:8000").seen;
        assert_eq!((seen.severity, seen.title.as_str()), (Severity::Warning, "3% of requests fail"));
        let expected =
            ["90 of 3000 requests in 15 min", "limit 1%", "30 more turned away because there was too much to do"];
        assert_eq!(seen.evidence, expected);
        assert_eq!(quarter(100, 11, 0).finding("inference.error-rate", "vllm:8000").seen.severity, Severity::Critical);
        assert!(
            quarter(100, 1, 50).open().is_empty(),
            "a limit itself is not beyond it, and an overload is no failure"
        );
    }

    #[test]
    fn few_requests_say_nothing() {
        let mut script = Script::new();
        for step in 0..=31_u32 {
            // Two failures of 21, long before the end.
            script.at(u64::from(step) * 30).engines([vllm(step.min(21), step.min(2), 0)]).assess();
        }
        assert!(script.open().is_empty());
        assert!(script.waiting("inference.error-rate").is_empty());
    }

    #[test]
    fn it_clears_when_the_failures_are_a_quarter_of_an_hour_old() {
        let mut script = quarter(100, 3, 0);
        for step in 32..=62_u32 {
            script.at(u64::from(step) * 30).engines([vllm(step * 100, 93, 0)]).assess();
        }
        assert!(script.open().is_empty());
    }
}
