//! How it is told that a container has come up well after it was made again, and how long that may take.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::target::{Target, env};
use super::{Desk, Refusal};
use crate::domain::{DatabaseKind, Op, Probe, Risk, Run, Step, trial_name};
use crate::engines::{self, is_spared};
use crate::host::Origin;

/// The label by which a container says how it is told that it is well: `/healthz`, `:5678/healthz`.
const LABEL: &str = "hostler.probe";

/// Paths that answer only when the program works, by the last part of the image's name and the port inside the container
/// (each project's own documentation; none of them costs anything).
const KNOWN: &[(&str, u16, &str)] = &[
    ("dify-api", 5001, "/health"),
    ("flowise", 3000, "/api/v1/ping"),
    ("langfuse", 3000, "/api/public/health"),
    ("litellm", 4000, "/health/liveliness"),
    ("n8n", 5678, "/healthz"),
    ("ollama", 11434, "/api/version"),
    ("open-webui", 8080, "/health"),
    ("qdrant", 6333, "/readyz"),
    ("text-generation-inference", 80, "/health"),
    ("vllm-openai", 8000, "/health"),
    ("weaviate", 8080, "/v1/.well-known/ready"),
];

/// An inference server reads its weights before it answers: so long at least.
const ENGINE_PATIENCE: Duration = Duration::from_mins(15);

/// So many times as long as it ever took before.
const MARGIN: u32 = 3;

/// Where a container is asked how it is.
struct Place {
    /// The name that it then has.
    name: String,
    /// The ports at which it is reached, each with its own.
    ports: Vec<(u16, u16)>,
    /// The ports are its own, asked at its own address.
    inside: bool,
}

/// The steps that let a container stay only if it has come up well, which may take as long as it took in `runs`. Of one that
/// is down nothing can be told.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn steps(target: &Target, desk: &Desk, runs: &[Run]) -> Result<Vec<Step>, Refusal> {
    if !target.container.state.is_up() {
        return Ok(Vec::new());
    }
    let place = Place { name: target.container.name.to_string(), ports: target.tcp_ports(), inside: false };
    at(target, &place, desk, runs).await
}

/// The same for what stands for it in a trial, whose ports can be asked only where its network is `reachable`.
///
/// # Errors
/// When the engine does not answer.
pub(super) async fn of_trial(
    target: &Target,
    desk: &Desk,
    runs: &[Run],
    reachable: bool,
) -> Result<Vec<Step>, Refusal> {
    let own = target.own_tcp_ports().into_iter().filter(|_| reachable);
    let ports = own.map(|port| (port, port)).collect();
    at(target, &Place { name: trial_name(&target.container.name), ports, inside: true }, desk, runs).await
}

async fn at(target: &Target, place: &Place, desk: &Desk, runs: &[Run]) -> Result<Vec<Step>, Refusal> {
    let (shown, inside) = (target.shown(), place.inside);
    let name = place.name.clone();
    let engine = engine_port(target, desk).await;
    let probe = probe(target, place, desk);
    let title = format!("wait until {shown} is well: {}", words(&probe));
    let learned = longest_before(target, runs) * MARGIN;
    let seconds = patience(target, desk, engine.is_some()).max(learned).as_secs();
    let steady = desk.settings.steady.as_secs();
    let gate = Op::Gate { name: name.clone(), probe, seconds, steady, inside };
    let mut steps = vec![Step::new(format!("gate {shown}"), title, Risk::Safe, gate)];
    if let Some(port) = engine.and_then(|(_, own)| place.reached(own)) {
        let title = format!("have {shown} generate a few tokens");
        let op = Op::Generate { name: name.clone(), port, seconds, inside };
        steps.push(Step::new(format!("generate {shown}"), title, Risk::Safe, op));
    }
    if target.container.wants_gpu {
        let title = format!("look whether {shown} sees its GPUs");
        let count = super::ops::gpus_inside(desk.docker().await?, &target.container.id).await?;
        if let Some(count) = count.filter(|count| *count > 0) {
            steps.push(Step::new(format!("gpus {shown}"), title, Risk::Safe, Op::SeeGpus { name, count }));
        }
    }
    Ok(steps)
}

impl Place {
    /// The port at which its own port is reached.
    fn reached(&self, own: u16) -> Option<u16> {
        self.ports.iter().find(|(_, known)| *known == own).map(|(port, _)| *port)
    }
}

/// What the operator says; else the health check; else a path that is known for the image, a port that is reached, or that it
/// keeps running.
fn probe(target: &Target, place: &Place, desk: &Desk) -> Probe {
    let shown = target.shown();
    let said = desk.settings.probes.get(&*target.container.name).or_else(|| desk.settings.probes.get(&shown)).cloned();
    let said = said.or_else(|| target.label(LABEL)?.parse().ok());
    let first = place.ports.first().map(|(port, _)| *port);
    // The operator names a port of this host.
    let named = |port: u16| {
        let own = target.tcp_ports().into_iter().find(|(host, _)| *host == port);
        if place.inside { own.and_then(|(_, own)| place.reached(own)) } else { Some(port) }
    };
    if let Some(ProbePath { port, path }) = said
        && let Some(port) = port.map_or(first, named)
    {
        return Probe::Http { port, path };
    }
    if target.container.health.is_some() {
        return Probe::Healthcheck;
    }
    let repository = super::ops::split(&target.container.image).0;
    let image = repository.rsplit('/').next().unwrap_or_default();
    let known = KNOWN.iter().find_map(|(name, own, path)| {
        let port = place.reached(*own).filter(|_| *name == image)?;
        Some(Probe::Http { port, path: (*path).to_owned() })
    });
    known.or_else(|| first.map(|port| Probe::Port { port })).unwrap_or(Probe::Running)
}

fn words(probe: &Probe) -> String {
    match probe {
        Probe::Healthcheck => "its health check passes".to_owned(),
        Probe::Port { port } => format!("port {port} answers"),
        Probe::Http { port, path } => format!("{path} on port {port} answers"),
        Probe::Running => "it keeps running".to_owned(),
    }
}

/// The port of this host at which an inference server answers now, and its own.
async fn engine_port(target: &Target, desk: &Desk) -> Option<(u16, u16)> {
    if DatabaseKind::of(&target.container.image, &env(&target.raw)).is_some() {
        return None;
    }
    let ports = target.tcp_ports();
    let asked = ports.into_iter().filter(|(port, inside)| !is_spared(*port) && !is_spared(*inside));
    let answers = asked.map(|(port, own)| async move {
        let origin = Origin::new(([127, 0, 0, 1], port).into()).ok()?;
        let mut probe = engines::Probe::new(&desk.ports.http, origin);
        engines::identify(&mut probe).await.ok().flatten().map(|_| (port, own))
    });
    join_all(answers).await.into_iter().flatten().next()
}

/// How long it may take: as long as it is given in the config, more where its health check begins late, or where weights are
/// read.
fn patience(target: &Target, desk: &Desk, is_engine: bool) -> Duration {
    let nanoseconds = |key: &str| {
        let value = target.raw.pointer(&format!("/Config/Healthcheck/{key}")).and_then(Value::as_u64);
        Duration::from_nanos(value.unwrap_or(0))
    };
    let grace = match nanoseconds("StartPeriod") {
        Duration::ZERO => Duration::ZERO,
        grace => grace + nanoseconds("Interval") * 2,
    };
    let engine = if is_engine { ENGINE_PATIENCE } else { Duration::ZERO };
    desk.settings.gate.max(grace).max(engine)
}

/// The longest time that a container of this name took to come up well in any of these runs.
fn longest_before(target: &Target, runs: &[Run]) -> Duration {
    let took = runs.iter().flat_map(|run| run.plan.steps.iter().zip(&run.took));
    let gates = took.filter_map(|(step, took)| match &step.op {
        Op::Gate { name, steady, .. } if **name == *target.container.name => {
            Some(took.as_ref()?.saturating_sub(Duration::from_secs(*steady)))
        }
        _ => None,
    });
    gates.max().unwrap_or_default()
}

/// A path to ask for, and the host's port; `None` for the first one that the container publishes. Written `/healthz` or
/// `:5678/healthz`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbePath {
    /// The host's port.
    pub port: Option<u16>,
    /// The path, beginning with `/`.
    pub path: String,
}

/// It is no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a probe is a path such as \"/healthz\", or a port and a path such as \":5678/healthz\"")]
pub struct NoProbePath;

impl std::str::FromStr for ProbePath {
    type Err = NoProbePath;

    fn from_str(text: &str) -> Result<Self, NoProbePath> {
        let (port, path) = match text.strip_prefix(':') {
            Some(rest) => {
                let slash = rest.find('/').ok_or(NoProbePath)?;
                (Some(rest[..slash].parse().map_err(|_| NoProbePath)?), &rest[slash..])
            }
            None => (None, text),
        };
        let plain = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(Self { port, path: path.to_owned() }) } else { Err(NoProbePath) }
    }
}

impl std::fmt::Display for ProbePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_path_with_or_without_a_port() {
        for (text, port, path) in [("/", None, "/"), (":5678/healthz?x=1", Some(5678), "/healthz?x=1")] {
            let probe: ProbePath = text.parse().unwrap();
            assert_eq!((probe.port, &*probe.path, probe.to_string()), (port, path, text.to_owned()));
        }
        for text in ["", "healthz", ":5678", ":70000/x", "http://localhost/x", "/a b"] {
            assert_eq!(text.parse::<ProbePath>(), Err(NoProbePath), "{text}");
        }
    }
}
