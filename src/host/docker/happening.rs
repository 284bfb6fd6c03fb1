//! What the engine tells of containers as it happens, and what it still remembers.

use std::collections::HashMap;

use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptions, EventsOptionsBuilder};
use jiff::Timestamp;

use super::convert;
use crate::domain::{DockerEvent, DockerEventKind};

/// The actions that are asked for; the engine filters, because health checks alone make three others every few seconds.
/// `remove` is Podman's word for `destroy`.
const ACTIONS: &[&str] = &[
    "create",
    "destroy",
    "die",
    "health_status",
    "kill",
    "oom",
    "pause",
    "remove",
    "rename",
    "restart",
    "start",
    "stop",
    "unpause",
    "update",
];

/// Asks for what happened to containers from `since` to `until`, or on and on.
pub(super) fn request(since: Timestamp, until: Option<Timestamp>) -> EventsOptions {
    let filters = HashMap::from([("type", vec!["container"]), ("event", ACTIONS.to_vec())]);
    let request = EventsOptionsBuilder::default().since(&unix(since)).filters(&filters);
    match until {
        Some(until) => request.until(&unix(until)),
        None => request,
    }
    .build()
}

/// Seconds and nanoseconds, as the engine reads them.
fn unix(time: Timestamp) -> String {
    format!("{}.{:09}", time.as_second(), time.subsec_nanosecond())
}

/// The message as our event; `None` for what is no event of a container.
pub(super) fn event(message: &EventMessage) -> Option<DockerEvent> {
    let actor = message.actor.as_ref()?;
    let attribute = |key: &str| actor.attributes.as_ref()?.get(key).map(String::as_str);
    // `health_status: unhealthy` from Docker; Podman puts the word into an attribute.
    let (action, word) = match message.action.as_deref()?.split_once(':') {
        Some((action, word)) => (action, word.trim()),
        None => (message.action.as_deref()?, attribute("health_status").unwrap_or_default()),
    };
    let kind = match action {
        "start" => DockerEventKind::Start,
        "die" | "died" => DockerEventKind::Die {
            code: attribute("exitCode").or_else(|| attribute("containerExitCode"))?.parse().ok()?,
        },
        "kill" => DockerEventKind::Kill,
        "stop" => DockerEventKind::Stop,
        "oom" => DockerEventKind::Oom,
        "health_status" if word == "healthy" => DockerEventKind::Healthy,
        "health_status" if word == "unhealthy" => DockerEventKind::Unhealthy,
        _ if ACTIONS.contains(&action) => DockerEventKind::Changed,
        _ => return None,
    };
    Some(DockerEvent { id: convert::id(actor.id.as_deref()?)?, kind, at: at(message)? })
}

fn at(message: &EventMessage) -> Option<Timestamp> {
    message
        .time_nano
        .and_then(|nanos| Timestamp::from_nanosecond(nanos.into()).ok())
        .or_else(|| Timestamp::from_second(message.time?).ok())
}

#[cfg(test)]
mod tests;
