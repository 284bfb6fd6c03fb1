//! The gate: a container has come up well, or the update that made it is taken back.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Bench, Done, Trouble, last_lines};
use crate::domain::{ContainerId, Exit, Probe, units};
use crate::engines::{self, Generated, Untried};
use crate::host::{DockerClient, EngineError, Origin, address_in, reach};

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What one look shows.
enum Look {
    Well,
    /// Not yet: what it waits for.
    Waiting(&'static str),
    /// It will not come up well.
    Lost(String),
}

/// Waits `seconds` at most until the container of this name (asked `inside`, or at this host's ports) has come up well, and
/// has stayed so for `steady` seconds.
pub(super) async fn wait(
    bench: &mut Bench<'_>,
    (name, inside): (&str, bool),
    probe: &Probe,
    seconds: u64,
    steady: u64,
) -> Result<Done, Trouble> {
    let began = Instant::now();
    let mut well_since: Option<Instant> = None;
    loop {
        let at = Instant::now();
        match look(bench, (name, inside), probe).await? {
            Look::Well => {
                let since = *well_since.get_or_insert(at);
                let held = at.duration_since(since).as_secs();
                if held >= steady {
                    let took = units::span(since.duration_since(began));
                    return Ok(Done::saying(format!("{name} came up well in {took}")));
                }
                bench.progress(format!("{name} is well; watching it"), held, steady);
            }
            Look::Lost(why) => return Err(failed(bench, name, why).await),
            // What was well and is so no more has failed.
            Look::Waiting(_) if well_since.is_some() => {
                let why = format!("{name} came up and did not stay well");
                return Err(failed(bench, name, why).await);
            }
            Look::Waiting(what) => {
                let waited = at.duration_since(began).as_secs();
                if waited >= seconds {
                    let why = format!("{name} did not come up well within {seconds} s: it waits for {what}");
                    return Err(failed(bench, name, why).await);
                }
                bench.progress(format!("waiting for {what}"), waited, seconds);
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn look(bench: &Bench<'_>, (name, inside): (&str, bool), probe: &Probe) -> Result<Look, Trouble> {
    let Some(it) = bench.docker.inspect_raw(name).await? else {
        return Ok(Look::Lost(format!("{name} is gone")));
    };
    let state = |key: &str| it.pointer(&format!("/State/{key}"));
    let flag = |key: &str| state(key).and_then(Value::as_bool).unwrap_or(false);
    let restarts = it.get("RestartCount").and_then(Value::as_u64).unwrap_or(0);
    if !flag("Running") || flag("Restarting") || restarts > 0 {
        let code = state("ExitCode").and_then(Value::as_i64).unwrap_or(0);
        let exit = Exit { code, oom_killed: flag("OOMKilled"), at: None };
        // The engine shows exit code 0 while a restarted container runs again.
        let how =
            if flag("Running") && restarts > 0 { format!("it was restarted {restarts}×") } else { exit.to_string() };
        return Ok(Look::Lost(format!("{name} does not stay up: {how}")));
    }
    Ok(match probe {
        Probe::Healthcheck => match state("Health").and_then(|health| health.get("Status")?.as_str()) {
            Some("healthy") | None => Look::Well,
            Some("unhealthy") => Look::Lost(format!("{name} is unhealthy: {}", last_probe(&it))),
            Some(_) => Look::Waiting("its health check"),
        },
        Probe::Running => Look::Well,
        Probe::Port { port } if reach(origin(&it, *port, inside)?).await => Look::Well,
        Probe::Port { .. } => Look::Waiting("its port"),
        Probe::Http { port, path } => match bench.desk.ports.http.get(origin(&it, *port, inside)?, path).await {
            Ok(answer) if answer.status < 400 => Look::Well,
            _ => Look::Waiting("its answer over HTTP"),
        },
    })
}

/// Where a port is asked: at this host's loopback, or at the container's own address.
fn origin(it: &Value, port: u16, inside: bool) -> Result<Origin, Trouble> {
    let origin = if inside {
        Origin::of_container(address_in(it).ok_or_else(|| Trouble("the container has no address".to_owned()))?, port)
    } else {
        Origin::new(([127, 0, 0, 1], port).into())
    };
    origin.map_err(|error| Trouble(error.to_string()))
}

/// Has an inference server generate a few tokens. Where that cannot be tried it is said, and is no failure.
pub(super) async fn generate(
    bench: &mut Bench<'_>,
    (name, inside): (&str, bool),
    port: u16,
    seconds: u64,
) -> Result<Done, Trouble> {
    let it = bench.docker.inspect_raw(name).await?;
    let it = it.ok_or_else(|| Trouble(format!("{name} is gone")))?;
    let origin = origin(&it, port, inside)?;
    let began = Instant::now();
    let patience = Duration::from_secs(seconds);
    bench.progress(format!("{name} is asked to generate"), 0, 0);
    loop {
        let left = patience.saturating_sub(began.elapsed());
        match engines::generate(&bench.desk.ports.http, origin, None, left.max(LOOK_EVERY)).await {
            Ok(Generated { model, text }) => {
                let took = units::span(began.elapsed());
                return Ok(Done::saying(format!("{model} generated in {took}: {text}")));
            }
            Err(why @ (Untried::NoModel | Untried::NeedsKey)) => {
                return Ok(Done::saying(format!("{name} was not tried: {why}")));
            }
            Err(Untried::NotThere(_)) if !left.is_zero() => sleep(LOOK_EVERY).await,
            Err(why) => return Err(failed(bench, name, format!("{name} serves nothing: {why}")).await),
        }
    }
}

/// Looks whether a container sees its GPUs.
pub(super) async fn see_gpus(bench: &mut Bench<'_>, name: &str, count: usize) -> Result<Done, Trouble> {
    let it = bench.docker.inspect_raw(name).await?;
    let id = it.as_ref().and_then(|it| it.get("Id")?.as_str());
    let Some(id) = id.map(ContainerId::from) else { return Err(Trouble(format!("{name} is gone"))) };
    match gpus_inside(bench.docker, &id).await? {
        None => Ok(Done::saying(format!("whether {name} sees its GPUs cannot be told: it has no shell"))),
        Some(seen) if seen >= count => Ok(Done::saying(format!("{name} sees {seen} of {count} GPUs"))),
        Some(seen) => Err(failed(bench, name, format!("{name} sees {seen} GPUs; the one before saw {count}")).await),
    }
}

/// How many GPUs the programs of a container see; `None` where it has no shell to tell it.
pub(in crate::actions) async fn gpus_inside(
    docker: &DockerClient,
    id: &ContainerId,
) -> Result<Option<usize>, EngineError> {
    /// Cards that answer, or, without NVIDIA's tool, their device files.
    const COUNT: &str =
        "nvidia-smi -L 2>/dev/null | grep -c ^GPU && exit 0; ls -d /dev/nvidia[0-9]* 2>/dev/null | wc -l";
    let mut told = Vec::new();
    let keep = |piece: &[u8]| {
        told.extend_from_slice(piece);
        Ok::<(), EngineError>(())
    };
    let ended = docker.exec(id, &["sh", "-c", COUNT], std::iter::empty(), keep).await?;
    let last = String::from_utf8_lossy(&told).lines().last().and_then(|line| line.trim().parse().ok());
    Ok(last.filter(|_| ended.code == 0))
}

/// What the last probe of a health check printed.
fn last_probe(it: &Value) -> String {
    let log = it.pointer("/State/Health/Log").and_then(Value::as_array);
    let output = log.and_then(|log| log.last()?.get("Output")?.as_str()).unwrap_or_default();
    let first = output.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("its probe said nothing");
    crate::host::foreign::clean(first, 200).into_owned()
}

/// The trouble, after the container's last lines were written down.
async fn failed(bench: &mut Bench<'_>, name: &str, why: String) -> Trouble {
    let lines = last_lines(bench.docker, name, 15).await;
    for line in lines {
        bench.say(format!("{name}: {line}"));
    }
    Trouble(why)
}
