//! A request as the log of an inference server tells it.

use std::sync::Arc;

use super::{ContainerId, Endpoint};

/// A request that ended, from the log of a server that counts none itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedRequest {
    /// The server whose log it is.
    pub server: LogSubject,
    /// What became of it.
    pub outcome: RequestOutcome,
    /// Seconds to its first token, where that is told.
    pub first_token_seconds: Option<f64>,
    /// Seconds to the end of its answer, where that is told.
    pub end_to_end_seconds: Option<f64>,
    /// Tokens of its prompt, where that is told.
    pub prompt_tokens: Option<u64>,
    /// Tokens of its answer, where that is told.
    pub generated_tokens: Option<u64>,
}

/// Whose log a line is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LogSubject {
    /// A container.
    Container(ContainerId),
    /// A unit of systemd: `ollama.service`.
    Unit(Arc<str>),
    /// hostler's own: what it asked of the server there.
    Endpoint(Endpoint),
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestOutcome {
    /// It was answered.
    Answered,
    /// The server failed it.
    Failed,
    /// The server failed after its answer had begun: a line of its own, beside that of an answered request.
    BrokeOff,
    /// It was turned away because there was too much to do.
    Overload,
    /// It was the caller's own mistake, or the caller left.
    CallersMistake,
    /// It ended, and only its times are told: of a server that writes nothing else, it was answered; Ollama, which passes on
    /// such lines, tells what became of it in another.
    Timed,
}
