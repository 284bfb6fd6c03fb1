//! What the engine tells as it happens, and what it still remembers: of containers, and that what else it holds changed.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::{EventsOptions, EventsOptionsBuilder};
use jiff::Timestamp;

use super::convert;
use crate::domain::{DockerEvent, DockerEventKind};

/// Something that the engine told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    /// What happened to a container.
    pub event: Option<DockerEvent>,
    /// Images, volumes, networks or build cache changed, or a container came or went.
    pub stock: bool,
}

/// What comes and goes. The words stand for images, volumes, networks and build cache alike.
const STOCK: &[&str] = &["create", "delete", "destroy", "import", "load", "prune", "pull", "remove", "tag", "untag"];

/// The kinds of things whose coming and going is told.
const TYPES: &[&str] = &["container", "image", "volume", "network", "builder"];

/// The actions of containers that are asked for; the engine filters, because health checks alone make three others every few seconds.
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

/// Asks for what happened from `since` to `until`, or on and on.
pub(super) fn request(since: Timestamp, until: Option<Timestamp>) -> EventsOptions {
    let filters = HashMap::from([("type", TYPES.to_vec()), ("event", [ACTIONS, STOCK].concat())]);
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

/// What the message tells; `None` where it means nothing here.
pub(super) fn happening(message: &EventMessage) -> Option<Happening> {
    let action = message.action.as_deref().unwrap_or_default();
    let of_container = message.typ.is_none_or(|typ| typ == EventMessageTypeEnum::CONTAINER);
    let happening =
        Happening { event: if of_container { event(message) } else { None }, stock: STOCK.contains(&action) };
    (happening.event.is_some() || happening.stock).then_some(happening)
}

/// The message as our event; `None` for what is no event of a container.
fn event(message: &EventMessage) -> Option<DockerEvent> {
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
