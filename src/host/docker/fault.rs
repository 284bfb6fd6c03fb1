//! What an error of the engine's client means to the operator: absent, forbidden or broken, and what to do about it.

use std::error::Error as _;
use std::io;

use bollard::errors::Error;

use super::endpoint::{Candidate, Standing};
use crate::domain::Failure;
use crate::host::foreign;

/// The most that is kept of a message of the engine, bytes.
const MESSAGE_BYTES: usize = 300;

/// The failure that `error` is at the endpoint `place`.
pub(super) fn failure(place: &Candidate, error: &Error) -> Failure {
    let endpoint = place.shown();
    match error {
        Error::SocketNotFoundError(_) if place.standing == Standing::Hidden => denied(place),
        Error::SocketNotFoundError(_) => missing(&endpoint),
        Error::RequestTimeoutError => silent(&endpoint),
        Error::DockerResponseServerError { status_code, message } => {
            let message = foreign::clean(message, MESSAGE_BYTES);
            Failure::failed(format!("{endpoint} answered {status_code}: {message}"))
        }
        Error::JsonDataError { .. } | Error::JsonSerdeError { .. } | Error::APIVersionParseError {} => {
            Failure::failed(format!(
                "{endpoint} gave an answer that hostler does not understand: {}",
                foreign::clean(&error.to_string(), MESSAGE_BYTES)
            ))
        }
        _ => of_kind(place, io_kind(error), &root_cause(error)),
    }
}

/// The failure that the system's error means at the endpoint; `what` where the kind says nothing of its own.
fn of_kind(place: &Candidate, kind: Option<io::ErrorKind>, what: &str) -> Failure {
    let endpoint = place.shown();
    match kind {
        Some(io::ErrorKind::PermissionDenied) => denied(place),
        Some(io::ErrorKind::NotFound) => missing(&endpoint),
        Some(io::ErrorKind::ConnectionRefused) => {
            Failure::failed(format!("{endpoint}: nobody listens, so the engine does not run")).remedy(START)
        }
        _ => Failure::failed(format!("{endpoint}: {}", foreign::clean(what, MESSAGE_BYTES))),
    }
}

/// The failure of a request that never became an answer.
pub(super) fn transport<'a>(place: &Candidate, error: &'a (dyn std::error::Error + 'static)) -> Failure {
    let causes = std::iter::successors(Some(error), |error: &&'a (dyn std::error::Error + 'static)| (*error).source());
    let io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    let what = io.map_or_else(|| error.to_string(), ToString::to_string);
    of_kind(place, io.map(io::Error::kind), &what)
}

/// An engine that accepts and does not answer.
pub(super) fn silent(endpoint: &str) -> Failure {
    Failure::failed(format!("{endpoint} accepts connections and does not answer"))
        .remedy("look at the engine's own log, `journalctl -u docker`")
}

const START: &str = "start the engine, `sudo systemctl start docker`";

fn missing(endpoint: &str) -> Failure {
    Failure::failed(format!("{endpoint}: there is no such socket, so the engine does not run")).remedy(START)
}

/// Forbidden, and how to get the right: through the group that owns the socket, if there is one.
fn denied(place: &Candidate) -> Failure {
    let socket = place.endpoint.trim_start_matches("unix://");
    let what = format!("this user may not open {}", foreign::name(socket));
    match &place.group {
        Some(group) => Failure::denied(
            what,
            format!(
                "add yourself to the group that owns {} (`{group}`): `sudo usermod -aG {group} $USER`, then log in again",
                foreign::name(socket)
            ),
        ),
        None => Failure::denied(what, "only root may: run `sudo hostler`"),
    }
}

/// The kind of the system's error behind `error`, if there is one.
fn io_kind(error: &Error) -> Option<io::ErrorKind> {
    if let Error::IOError { err } = error {
        return Some(err.kind());
    }
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        source = cause.source();
    }
    None
}

/// The innermost message: the outer ones only say that a client failed.
fn root_cause(error: &Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = cause.to_string();
        source = cause.source();
    }
    message
}

#[cfg(test)]
mod tests;
