//! The engine's descriptions of a container turned into ours, whichever API version they come from.
//!
//! Between 1.41 and 1.53 fields moved and went: the list has a health field only from 1.52 on, empty fields are left out
//! by newer engines, and Podman leaves out others. So everything is optional here, and a value that is absent becomes
//! `None`. All text is stripped and bounded on its way through.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerInspectResponse, ContainerState as EngineState, ContainerStateStatusEnum as Status, ContainerSummary,
    ContainerSummaryHealthStatusEnum, ContainerSummaryStateEnum as Listed, DeviceRequest, Health as EngineHealth,
    HealthStatusEnum, HealthcheckResult, HostConfig, MountPoint, PortBinding, RestartPolicy as EngineRestartPolicy,
    RestartPolicyNameEnum,
};
use jiff::Timestamp;

use crate::domain::{
    Container, ContainerId, ContainerMount, ContainerState, Exit, Health, HealthState, PortReach, PublishedPort,
    RestartPolicy,
};
use crate::host::foreign;

/// The most that is kept of a health check's output or a start error, bytes.
const OUTPUT_BYTES: usize = 512;

/// A container as inspected.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What is known of it. While it is up its last exit is unknown, because a start clears the exit code.
    pub container: Container,
    /// When its last run ended, if it ever ended one.
    pub finished: Option<Timestamp>,
}

/// A container as `inspect` describes it; `None` if it has no usable id, which no engine does.
pub(super) fn inspected(it: ContainerInspectResponse) -> Option<Inspected> {
    let finished = it.state.as_ref().and_then(|state| time(state.finished_at.as_deref()?));
    let container = container(it)?;
    Some(Inspected { container, finished })
}

fn container(it: ContainerInspectResponse) -> Option<Container> {
    let config = it.config.unwrap_or_default();
    let host = it.host_config.unwrap_or_default();
    let engine_state = it.state.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    let networks = it.network_settings.unwrap_or_default();
    let image_id = it.image.unwrap_or_default();
    let state = state(&engine_state);
    Some(Container {
        id: id(&it.id?)?,
        name: name(it.name.as_deref().unwrap_or_default()).into(),
        project: label(&labels, "com.docker.compose.project"),
        service: label(&labels, "com.docker.compose.service"),
        image: foreign::name(config.image.as_deref().filter(|image| !image.is_empty()).unwrap_or(&image_id)),
        image_id: foreign::name(&image_id),
        state,
        health: engine_state.health.as_ref().and_then(health),
        restart_count: it.restart_count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default(),
        restart_policy: host.restart_policy.as_ref().map(restart_policy).unwrap_or_default(),
        pid: engine_state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        created: it.created.as_deref().and_then(time),
        started: engine_state.started_at.as_deref().and_then(time),
        last_exit: last_exit(&engine_state),
        start_error: engine_state
            .error
            .as_deref()
            .map(|error| foreign::clean(error, OUTPUT_BYTES).into_owned())
            .filter(|error| !error.is_empty()),
        memory_limit_bytes: host.memory.and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0),
        cpu_limit: cpu_limit(&host),
        ports: published(
            networks.ports.unwrap_or_default().iter().flat_map(|(inner, bindings)| {
                bindings.iter().flatten().filter_map(move |binding| port(inner, binding))
            }),
        ),
        mounts: it.mounts.unwrap_or_default().iter().filter_map(mount).collect(),
        log_driver: foreign::name(host.log_config.as_ref().and_then(|log| log.typ.as_deref()).unwrap_or_default()),
        // It is opened as it stands, so one that would have to be stripped is none.
        log_path: it.log_path.filter(|path| !path.is_empty() && foreign::clean(path, path.len()) == *path),
        tty: config.tty.unwrap_or_default(),
        cgroup: None,
        wants_gpu: wants_gpu(&host, config.env.as_deref().unwrap_or_default()),
    })
}

/// A container as a list shows it: enough to tell whether what is known of it is still true, and the most that can be
/// said of a container that cannot be inspected.
pub(super) fn listed(it: ContainerSummary) -> Option<Container> {
    let labels = it.labels.unwrap_or_default();
    let status = it.status.unwrap_or_default();
    Some(Container {
        id: id(&it.id?)?,
        name: name(it.names.as_ref().and_then(|names| names.first()).map_or("", String::as_str)).into(),
        project: label(&labels, "com.docker.compose.project"),
        service: label(&labels, "com.docker.compose.service"),
        image: foreign::name(it.image.as_deref().unwrap_or_default()),
        image_id: foreign::name(it.image_id.as_deref().unwrap_or_default()),
        state: it.state.map_or(ContainerState::Created, listed_state),
        health: it
            .health
            .and_then(|health| listed_health(health.status?))
            .or_else(|| health_in(&status))
            .map(|state| Health { state, failing_streak: 0, last_output: None, failing_since: None }),
        restart_count: 0,
        restart_policy: RestartPolicy::No,
        pid: None,
        created: it.created.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        started: None,
        last_exit: None,
        start_error: None,
        memory_limit_bytes: None,
        cpu_limit: None,
        ports: published(it.ports.iter().flatten().filter_map(|port| {
            Some(PublishedPort {
                host_port: port.public_port?,
                container_port: port.private_port,
                protocol: port.typ.map_or_else(|| "tcp".to_owned(), |typ| typ.to_string()),
                reach: reach(port.ip.as_deref().unwrap_or_default()),
            })
        })),
        mounts: it.mounts.unwrap_or_default().iter().filter_map(mount).collect(),
        log_driver: String::new(),
        log_path: None,
        tty: false,
        cgroup: None,
        wants_gpu: false,
    })
}

/// A mount whose folder on the host is known. It is looked at as it stands, so a path that would have to be stripped is none.
fn mount(mount: &MountPoint) -> Option<ContainerMount> {
    let plain = |path: &Option<String>| {
        path.as_ref().filter(|path| path.starts_with('/') && foreign::clean(path, path.len()) == **path).cloned()
    };
    Some(ContainerMount { source: plain(&mount.source)?, destination: plain(&mount.destination)? })
}

/// An instant of the engine; `None` for its zero time, the year 1, and for what is no time.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|time| time.as_second() > 0)
}

/// An id, if it is one: it becomes part of request paths.
pub(super) fn id(text: &str) -> Option<ContainerId> {
    let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    plain.then(|| ContainerId::from(text))
}

fn name(text: &str) -> String {
    foreign::name(text.trim_start_matches('/'))
}

fn label(labels: &HashMap<String, String>, key: &str) -> Option<std::sync::Arc<str>> {
    let value = foreign::name(labels.get(key)?);
    (!value.is_empty()).then(|| value.into())
}

fn state(state: &EngineState) -> ContainerState {
    match state.status {
        Some(Status::CREATED) => ContainerState::Created,
        Some(Status::RUNNING | Status::STOPPING) => ContainerState::Running,
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::REMOVING) => ContainerState::Removing,
        Some(Status::EXITED) => ContainerState::Exited,
        Some(Status::DEAD) => ContainerState::Dead,
        Some(Status::EMPTY) | None => flagged_state(state),
    }
}

/// The state by its flags, which are older than the word.
fn flagged_state(state: &EngineState) -> ContainerState {
    let flags = [
        (state.restarting, ContainerState::Restarting),
        (state.paused, ContainerState::Paused),
        (state.running, ContainerState::Running),
        (state.dead, ContainerState::Dead),
        (Some(state.finished_at.as_deref().and_then(time).is_some()), ContainerState::Exited),
    ];
    flags
        .into_iter()
        .find_map(|(flag, word)| flag.unwrap_or_default().then_some(word))
        .unwrap_or(ContainerState::Created)
}

fn listed_state(state: Listed) -> ContainerState {
    match state {
        Listed::RUNNING | Listed::STOPPING => ContainerState::Running,
        Listed::PAUSED => ContainerState::Paused,
        Listed::RESTARTING => ContainerState::Restarting,
        Listed::EXITED => ContainerState::Exited,
        Listed::REMOVING => ContainerState::Removing,
        Listed::DEAD => ContainerState::Dead,
        Listed::CREATED | Listed::EMPTY => ContainerState::Created,
    }
}

fn health(health: &EngineHealth) -> Option<Health> {
    let state = match health.status? {
        HealthStatusEnum::STARTING => HealthState::Starting,
        HealthStatusEnum::HEALTHY => HealthState::Healthy,
        HealthStatusEnum::UNHEALTHY => HealthState::Unhealthy,
        HealthStatusEnum::NONE | HealthStatusEnum::EMPTY => return None,
    };
    let log = health.log.as_deref().unwrap_or_default();
    let failing = failing_probes(log);
    Some(Health {
        state,
        failing_streak: health.failing_streak.and_then(|streak| u32::try_from(streak).ok()).unwrap_or_default(),
        last_output: log
            .iter()
            .rev()
            .find(|probe| probe.exit_code.is_some_and(|code| code != 0))
            .and_then(|probe| first_line(probe.output.as_deref()?)),
        failing_since: failing.first().and_then(|probe| probe.start.as_deref()).and_then(time),
    })
}

/// The probes at the end of the log that failed without one that passed among them.
fn failing_probes(log: &[HealthcheckResult]) -> &[HealthcheckResult] {
    let passed = log.iter().rposition(|probe| probe.exit_code.is_some_and(|code| code == 0));
    &log[passed.map_or(0, |last| last + 1)..]
}

/// The first line that says something.
fn first_line(output: &str) -> Option<String> {
    // A look at the start is enough, and foreign output may be long.
    let start = output.get(..output.floor_char_boundary(1 << 16))?;
    start.lines().map(|line| foreign::clean(line.trim(), OUTPUT_BYTES).into_owned()).find(|line| !line.is_empty())
}

/// The health in a list's status text, such as `Up 3 hours (unhealthy)`.
fn health_in(status: &str) -> Option<HealthState> {
    [
        ("(healthy)", HealthState::Healthy),
        ("(unhealthy)", HealthState::Unhealthy),
        ("(health: starting)", HealthState::Starting),
    ]
    .into_iter()
    .find_map(|(word, state)| status.ends_with(word).then_some(state))
}

fn listed_health(status: ContainerSummaryHealthStatusEnum) -> Option<HealthState> {
    match status {
        ContainerSummaryHealthStatusEnum::STARTING => Some(HealthState::Starting),
        ContainerSummaryHealthStatusEnum::HEALTHY => Some(HealthState::Healthy),
        ContainerSummaryHealthStatusEnum::UNHEALTHY => Some(HealthState::Unhealthy),
        _ => None,
    }
}

/// How the last run ended. While a container runs the engine has already forgotten the exit code of the run before (it
/// reads 0), so only a container that is down tells.
fn last_exit(it: &EngineState) -> Option<Exit> {
    let at = it.finished_at.as_deref().and_then(time)?;
    (!state(it).is_up()).then(|| Exit {
        code: it.exit_code.unwrap_or_default(),
        oom_killed: it.oom_killed.unwrap_or_default(),
        at: Some(at),
    })
}

fn restart_policy(policy: &EngineRestartPolicy) -> RestartPolicy {
    match policy.name {
        Some(RestartPolicyNameEnum::ALWAYS) => RestartPolicy::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => RestartPolicy::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => RestartPolicy::OnFailure(
            policy.maximum_retry_count.and_then(|most| u32::try_from(most).ok()).unwrap_or_default(),
        ),
        Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY) | None => RestartPolicy::No,
    }
}

/// `--cpus`, else the quota of the scheduler's period (100 ms where none is given).
fn cpu_limit(host: &HostConfig) -> Option<f64> {
    let positive = |value: Option<i64>| value.filter(|value| *value > 0).map(|value| value as f64);
    positive(host.nano_cpus).map(|nano| nano / 1e9).or_else(|| {
        let quota = positive(host.cpu_quota)?;
        Some(quota / positive(host.cpu_period).unwrap_or(100_000.0))
    })
}

/// A binding of `80/tcp`; `None` where the engine has not chosen a port.
fn port(inner: &str, binding: &PortBinding) -> Option<PublishedPort> {
    let (container_port, protocol) = inner.split_once('/').unwrap_or((inner, "tcp"));
    Some(PublishedPort {
        host_port: binding.host_port.as_deref()?.parse().ok()?,
        container_port: container_port.parse().ok()?,
        protocol: foreign::clean(protocol, 8).into_owned(),
        reach: reach(binding.host_ip.as_deref().unwrap_or_default()),
    })
}

/// Ports in order, each once: the engine lists IPv4 and IPv6 apart. The wider reach counts.
fn published(ports: impl Iterator<Item = PublishedPort>) -> Vec<PublishedPort> {
    let mut ports: Vec<_> = ports.collect();
    // The reach is compared last and grows, so the widest of equal ports comes last.
    ports.sort();
    ports.reverse();
    ports.dedup_by(|next, kept| {
        (next.host_port, next.container_port, &next.protocol) == (kept.host_port, kept.container_port, &kept.protocol)
    });
    ports.reverse();
    ports
}

/// How far a bind address reaches by itself; empty stands for every address.
fn reach(address: &str) -> PortReach {
    let Ok(address) = address.parse::<IpAddr>() else {
        return PortReach::Any;
    };
    let private = match address.to_canonical() {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is shared by carriers and by overlay networks (RFC 6598).
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    if address.to_canonical().is_loopback() {
        PortReach::Local
    } else if private {
        PortReach::Lan
    } else {
        PortReach::Any
    }
}

/// Whether it asked for GPUs: by a device request (`--gpus`, CDI), a device file, or NVIDIA's runtime.
fn wants_gpu(host: &HostConfig, env: &[String]) -> bool {
    let requested = host.device_requests.iter().flatten().any(asks_for_gpu);
    let mapped = host
        .devices
        .iter()
        .flatten()
        .any(|device| device.path_on_host.as_deref().is_some_and(|path| path.starts_with("/dev/nvidia")));
    // The runtime may be the default of all containers; this variable then says which of them get cards.
    let by_runtime = host.runtime.as_deref() == Some("nvidia")
        && env.iter().any(|variable| {
            variable.strip_prefix("NVIDIA_VISIBLE_DEVICES=").is_some_and(|cards| !matches!(cards, "" | "void" | "none"))
        });
    requested || mapped || by_runtime
}

fn asks_for_gpu(request: &DeviceRequest) -> bool {
    let capable = request.capabilities.iter().flatten().flatten().any(|capability| capability == "gpu");
    let injected = request.device_ids.iter().flatten().any(|device| device.starts_with("nvidia.com/gpu"));
    capable || injected || request.driver.as_deref() == Some("nvidia")
}

#[cfg(test)]
mod tests;
