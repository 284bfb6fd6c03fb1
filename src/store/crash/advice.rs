//! What would help a container, worked out from what is known of its deaths.

use std::time::Duration;

use super::{Crash, Death};
use crate::domain::{Container, HealthState, RestartPolicy, units};
use crate::store::State;

/// What would help, most useful first.
pub(super) fn advice(state: &State, container: &Container, crash: Option<&Crash<'_>>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(crash) = crash {
        if let Some(error) = crash.start_error {
            start_error(&mut lines, state, container, error);
        } else if let Some(death) = crash.last() {
            of_death(&mut lines, state, container, crash, death);
        }
    }
    let sick = container.health.as_ref().filter(|health| health.state == HealthState::Unhealthy);
    if let Some(said) = sick.and_then(|health| health.last_output.as_ref()) {
        lines.push(format!("see to what its health check says: {said}"));
    }
    lines
}

fn of_death(lines: &mut Vec<String>, state: &State, container: &Container, crash: &Crash<'_>, death: &Death<'_>) {
    match death.exit.code {
        _ if death.exit.oom_killed => memory(lines, state, container, crash),
        126 => lines.push("the command is there but cannot be run: see its rights and its first line".to_owned()),
        127 => lines.push("the command is not in the image: see command and entrypoint".to_owned()),
        137 => lines.push("SIGKILL, and the engine tells of no kill for memory: see the kernel's log".to_owned()),
        0 if matches!(container.restart_policy, RestartPolicy::Always | RestartPolicy::UnlessStopped) => {
            lines.push(format!(
                "it ends by itself with success, and restart={} begins it again: restart=on-failure would not",
                container.restart_policy
            ));
        }
        _ => {}
    }
}

/// After a kill for memory: its own limit against what the host has free.
fn memory(lines: &mut Vec<String>, state: &State, container: &Container, crash: &Crash<'_>) {
    let free = state.host.get().and_then(|host| host.memory.get()).map(|memory| memory.available_bytes);
    let Some(limit) = container.memory_limit_bytes else {
        let free = free.map(|free| format!("; {} are free now", units::bytes(free))).unwrap_or_default();
        lines.push(format!("it has no limit of its own: the host, or a group it is in, was full{free}"));
        return;
    };
    let wanted = limit.saturating_mul(2);
    lines.push(match free {
        Some(free) if free >= wanted - limit => {
            format!("raise the limit to {} ({} are free)", units::bytes(wanted), units::bytes(free))
        }
        Some(free) => format!(
            "the limit cannot be raised to {}: only {} are free on this host",
            units::bytes(wanted),
            units::bytes(free)
        ),
        None => format!("raise the limit to {}, if the host has it: its free memory is unknown", units::bytes(wanted)),
    });
    if let Some(growth) = crash.growth().filter(|growth| growth.since_start) {
        let seconds = wanted.saturating_sub(growth.from_bytes) as f64 / growth.bytes_per_second;
        // Beyond a year the arithmetic means nothing.
        if seconds < 3.2e7 {
            lines.push(format!(
                "if it goes on growing so, that is full {} after a start",
                units::span(Duration::from_secs_f64(seconds))
            ));
        }
    }
}

/// What the engine's words about a start that failed lead to.
fn start_error(lines: &mut Vec<String>, state: &State, container: &Container, error: &str) {
    let folded = error.to_lowercase();
    if folded.contains("port is already allocated") || folded.contains("address already in use") {
        lines.push(match port_in(error) {
            Some(port) => match holder(state, container, port) {
                Some(name) => format!("port {port} is held by {name}: stop that one, or publish another port"),
                None => format!("port {port} is held by something else on this host: stop it, or publish another port"),
            },
            None => "a port that it publishes is taken: publish another one".to_owned(),
        });
    } else if folded.contains("executable file not found") || folded.contains("no such file or directory") {
        lines.push("what it shall run is not there: see command, entrypoint and mounts".to_owned());
    } else if folded.contains("permission denied") {
        lines.push("what it shall run may not be run: see its rights and its user".to_owned());
    }
}

/// The last port number in the engine's words, such as `Bind for 0.0.0.0:8080 failed`.
fn port_in(error: &str) -> Option<u16> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    error.rsplit(':').find_map(|rest| digits(rest).parse().ok().filter(|port| *port > 0))
}

/// Who publishes this port.
fn holder(state: &State, but: &Container, port: u16) -> Option<String> {
    let publishes = |other: &Container| other.ports.iter().any(|published| published.host_port == port);
    let mut others = state.containers().iter().filter(|other| other.id != but.id && other.state.is_up());
    others.find(|other| publishes(other)).map(|other| other.name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_words_of_the_engine() {
        for (error, port) in [
            (
                "driver failed programming external connectivity on endpoint web (1f…): Bind for 0.0.0.0:8080 failed: port is already allocated",
                Some(8080),
            ),
            ("Error starting userland proxy: listen tcp4 127.0.0.1:80: bind: address already in use", Some(80)),
            ("listen tcp6 [::]:443: bind: address already in use", Some(443)),
            ("port is already allocated", None),
        ] {
            assert_eq!(port_in(error), port, "{error}");
        }
    }
}
