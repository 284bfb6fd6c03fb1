//! The containers of a scenario, on a private Docker engine, and the processes that serve them.
//!
//! The engine is the one that `HOSTLER_TEST_DOCKER` names. The machine's own is refused: the benchmark creates and
//! removes hundreds of containers, and measures an engine that does nothing else.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::image;
use crate::process::{self, CpuMeter};

/// The variable that names the private engine.
pub(crate) const ENGINE_VARIABLE: &str = "HOSTLER_TEST_DOCKER";
/// What every container's name begins with, so that they can be counted on a screen.
pub(crate) const NAME_PREFIX: &str = "bench-";

/// Every process of the container runtime does its rounds this often, at a few milliseconds each; only windows that
/// hold as many rounds can be compared.
pub(crate) const SHIM_PERIOD: Duration = Duration::from_secs(30);

const LABEL: &str = "hostler.bench";
const REPOSITORY: &str = "hostler-bench";
const TAG: &str = "busybox";
/// Requests to the engine at the same time.
const PARALLEL: usize = 8;
/// Seconds the engine may take for one request while it starts hundreds of containers.
const TIMEOUT_S: u64 = 120;

/// How many containers run, and what they do.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Fleet {
    /// All containers; those that do not log sleep.
    pub(crate) containers: usize,
    /// How many of them write log lines.
    pub(crate) loggers: usize,
    /// Lines a second of each logger, about.
    pub(crate) rate: u32,
}

/// A private engine with the benchmark's containers in it; dropped, the containers and the image are removed.
pub(crate) struct Engine {
    runtime: tokio::runtime::Runtime,
    docker: Docker,
    socket: PathBuf,
    ids: Vec<String>,
    /// Version and API version, for the report.
    pub(crate) version: String,
}

impl Engine {
    /// Connects to the engine that the environment names, and removes what an interrupted run left there.
    pub(crate) fn connect() -> Result<Self> {
        let endpoint = std::env::var(ENGINE_VARIABLE).with_context(|| {
            format!("{ENGINE_VARIABLE} is not set: start with `tests/run --exec cargo bench --bench whole -- …`")
        })?;
        let socket = PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(&endpoint));
        ensure!(
            !["/var/run/docker.sock", "/run/docker.sock"].map(Path::new).contains(&socket.as_path()),
            "{ENGINE_VARIABLE} names the machine's own engine ({endpoint}); the benchmark wants a private one"
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (docker, version) = runtime
            .block_on(async {
                let path = socket.to_string_lossy();
                let docker =
                    Docker::connect_with_unix(&path, TIMEOUT_S, API_DEFAULT_VERSION)?.negotiate_version().await?;
                let version = docker.version().await?;
                anyhow::Ok((docker, version))
            })
            .with_context(|| format!("no answer from the engine at {endpoint}"))?;
        let unknown = || "?".to_owned();
        let engine = Self {
            runtime,
            docker,
            socket,
            ids: Vec::new(),
            version: format!(
                "Docker Engine {} (API {})",
                version.version.unwrap_or_else(unknown),
                version.api_version.unwrap_or_else(unknown)
            ),
        };
        engine.clear()?;
        Ok(engine)
    }

    /// The engine's address as `DOCKER_HOST` wants it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Starts the containers of a scenario.
    pub(crate) fn fill(&mut self, fleet: Fleet, busybox: &Path) -> Result<()> {
        let program = std::fs::read(busybox).with_context(|| format!("cannot read {}", busybox.display()))?;
        let archive = image::root_file_system(&program);
        let docker = &self.docker;
        self.ids = self.runtime.block_on(async {
            let options = CreateImageOptionsBuilder::new().from_src("-").repo(REPOSITORY).tag(TAG);
            docker
                .create_image(Some(options.build()), Some(bollard::body_full(archive.into())), None)
                .try_collect::<Vec<_>>()
                .await
                .context("cannot import the image")?;
            stream::iter(0..fleet.containers)
                .map(|index| start(docker, index, fleet))
                .buffer_unordered(PARALLEL)
                .try_collect()
                .await
        })?;
        Ok(())
    }

    /// The processes that serve the benchmark's containers.
    pub(crate) fn processes(&self) -> Result<Servers> {
        let peer = self.runtime.block_on(async {
            let stream = tokio::net::UnixStream::connect(&self.socket).await?;
            std::io::Result::Ok(stream.peer_cred()?.pid())
        })?;
        let Some(dockerd) = peer.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0) else {
            bail!("the engine's process is not visible from here");
        };
        let is = |arguments: &[&str], name: &str| {
            let program = arguments.first().and_then(|path| path.rsplit('/').next());
            program.is_some_and(|program| program.starts_with(name))
        };
        Ok(Servers {
            dockerd: vec![dockerd],
            containerd: process::find(|pid, arguments| {
                is(arguments, "containerd") && process::parent(pid) == Some(dockerd)
            }),
            shims: process::find(|_, arguments| {
                is(arguments, "containerd-shim")
                    && arguments.iter().any(|argument| self.ids.iter().any(|id| id == argument))
            }),
        })
    }

    fn clear(&self) -> Result<()> {
        let docker = &self.docker;
        self.runtime.block_on(async {
            let ours = [("label", vec![LABEL])].into_iter().collect();
            let options = ListContainersOptionsBuilder::new().all(true).filters(&ours).build();
            let containers = docker.list_containers(Some(options)).await?;
            stream::iter(containers.into_iter().filter_map(|container| container.id))
                .map(|id| async move {
                    let options = RemoveContainerOptionsBuilder::new().force(true).v(true);
                    docker.remove_container(&id, Some(options.build())).await
                })
                .buffer_unordered(PARALLEL)
                .try_collect::<Vec<()>>()
                .await?;
            // The image is not there after a run that ended well.
            let image = format!("{REPOSITORY}:{TAG}");
            let _ = docker.remove_image(&image, None::<RemoveImageOptions>, None).await;
            Ok(())
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(cause) = self.clear() {
            crate::report::warn(&format!("containers labelled {LABEL} may be left behind: {cause:#}"));
        }
    }
}

/// Creates and starts one container, and returns its id.
async fn start(docker: &Docker, index: usize, fleet: Fleet) -> Result<String> {
    let name = format!("{NAME_PREFIX}{:03}", index + 1);
    let command = if index < fleet.loggers {
        vec!["/bin/sh".to_owned(), "-c".to_owned(), logging(fleet.rate)]
    } else {
        ["/bin/sleep", "1000000"].map(str::to_owned).to_vec()
    };
    let body = ContainerCreateBody {
        image: Some(format!("{REPOSITORY}:{TAG}")),
        cmd: Some(command),
        labels: Some([(LABEL.to_owned(), String::new())].into_iter().collect()),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    let created =
        docker.create_container(Some(options), body).await.with_context(|| format!("cannot create {name}"))?;
    docker
        .start_container(&created.id, None)
        .await
        .with_context(|| format!("cannot start {name} (is the busybox a static one?)"))?;
    Ok(created.id)
}

/// A shell loop that writes about `rate` lines a second, in ten batches: a process for every line would be the load.
fn logging(rate: u32) -> String {
    let (batch, pause) = if rate >= 10 { (rate / 10, 0.1) } else { (1, 1.0 / f64::from(rate.max(1))) };
    format!(
        "i=0; while :; do n=0; while [ $n -lt {batch} ]; do \
         echo \"level=info msg=\\\"request served\\\" request=$i path=/v1/chat/completions status=200 ms=12\"; \
         i=$((i+1)); n=$((n+1)); done; sleep {pause}; done"
    )
}

/// The engine's processes by kind.
pub(crate) struct Servers {
    dockerd: Vec<u32>,
    containerd: Vec<u32>,
    shims: Vec<u32>,
}

/// CPU of the engine's processes, in percent of one core.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct ServersCpu {
    /// The engine itself.
    pub(crate) dockerd: f64,
    /// Its container runtime.
    pub(crate) containerd: f64,
    /// The runtime's processes, one for each container.
    pub(crate) shims: f64,
}

impl ServersCpu {
    /// All together.
    pub(crate) fn total(self) -> f64 {
        self.dockerd + self.containerd + self.shims
    }

    /// What is left when the idle load is taken off; noise can make it negative.
    pub(crate) fn above(self, idle: Self) -> Self {
        Self {
            dockerd: self.dockerd - idle.dockerd,
            containerd: self.containerd - idle.containerd,
            shims: self.shims - idle.shims,
        }
    }
}

/// A measurement of the engine's CPU that has begun.
pub(crate) struct ServersMeter<'a> {
    servers: &'a Servers,
    meters: [CpuMeter; 3],
    began: Instant,
}

impl Servers {
    /// Begins a measurement.
    pub(crate) fn meter(&self) -> ServersMeter<'_> {
        let kinds = [&self.dockerd, &self.containerd, &self.shims];
        ServersMeter { servers: self, meters: kinds.map(|pids| CpuMeter::start(pids)), began: Instant::now() }
    }
}

impl ServersMeter<'_> {
    /// Ends the measurement.
    pub(crate) fn stop(self) -> ServersCpu {
        let seconds = self.began.elapsed().as_secs_f64();
        let percent = |meter: CpuMeter, pids| 100.0 * meter.used(pids).as_secs_f64() / seconds;
        let [dockerd, containerd, shims] = self.meters;
        ServersCpu {
            dockerd: percent(dockerd, &self.servers.dockerd),
            containerd: percent(containerd, &self.servers.containerd),
            shims: percent(shims, &self.servers.shims),
        }
    }
}
