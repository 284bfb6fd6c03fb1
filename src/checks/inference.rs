//! Rules about inference servers.

use super::Rule;
use crate::domain::{Engine, SourceId};

/// Errors among the requests of each server. Requests are not counted by any source of this version, so the rule only
/// says, for each server that was found, that it cannot speak.
pub(super) const ERROR_RATE: Rule = Rule {
    id: "inference.error-rate",
    title: "Errors of inference servers",
    why: "More than one failed request in a hundred points to a model or a configuration that does not work.",
    fix: &[],
    reads: Some(SourceId::Engines),
    assess: |state, _, assessment| {
        for engine in state.engines.get().into_iter().flat_map(|sample| &sample.engines) {
            assessment.cannot_tell(ERROR_RATE.id, subject(engine), "15 minutes of its requests are not seen yet");
        }
    },
};

/// `vllm:8000`: what a server is called in findings.
fn subject(engine: &Engine) -> String {
    format!("{}:{}", engine.kind.title().to_lowercase(), engine.port)
}

#[cfg(test)]
mod tests {
    use crate::domain::EngineKind;
    use crate::make::{Script, engine};

    #[test]
    fn only_servers_that_were_found_are_waited_for() {
        let mut script = Script::new();
        script.at(0).engines([]).assess();
        assert!(script.state.findings.unassessed().is_empty());
        script.at(1).engines([engine(EngineKind::Vllm, 8000), engine(EngineKind::LlamaCpp, 8080)]).assess();
        let subjects: Vec<&str> = script.state.findings.unassessed().iter().map(|waiting| &*waiting.subject).collect();
        assert_eq!(subjects, ["vllm:8000", "llama.cpp:8080"]);
    }
}
