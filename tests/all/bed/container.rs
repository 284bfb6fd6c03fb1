//! Containers made for one test: described by a [`Spec`], removed when dropped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerState, HealthConfig, HostConfig, HostConfigLogConfig,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::TryStreamExt as _;

use super::{DEADLINE, Engine, wait_until};

/// What a container is. Without a further word: no network, the engine's own log driver, and a process
/// that sleeps for good.
pub(crate) struct Spec {
    body: ContainerCreateBody,
    starts: bool,
}

/// When the engine starts a container again.
#[derive(Clone, Copy)]
pub(crate) enum Restart {
    /// Each time it ends.
    Always,
    /// Until somebody stops it.
    UnlessStopped,
    /// When it failed, at most this many times.
    OnFailure(i64),
}

/// The label that names the test whose container it is.
pub(crate) const OWNER: &str = "hostler.test";

/// The calling test, by the name that the harness gave its thread.
pub(crate) fn owner() -> String {
    thread::current().name().unwrap_or("main").to_owned()
}

impl Spec {
    fn new(image: String) -> Self {
        let host = HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() };
        let body = ContainerCreateBody {
            image: Some(image),
            labels: Some(HashMap::from([(OWNER.to_owned(), owner())])),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        Self { body, starts: true }.command(&["sleep", "inf"])
    }

    /// The program and its arguments.
    pub(crate) fn command(self, argv: &[&str]) -> Self {
        let argv = argv.iter().map(ToString::to_string).collect();
        self.with(|body| body.cmd = Some(argv))
    }

    /// A script for the image's shell.
    pub(crate) fn shell(self, script: &str) -> Self {
        self.command(&["sh", "-c", script])
    }

    pub(crate) fn restart(self, restart: Restart) -> Self {
        let (name, count) = match restart {
            Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
            Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
            Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, Some(count)),
        };
        self.host(|host| {
            host.restart_policy = Some(RestartPolicy { name: Some(name), maximum_retry_count: count });
        })
    }

    /// A healthcheck of the image's shell, each second; one failure is enough for *unhealthy*.
    pub(crate) fn healthcheck(self, script: &str) -> Self {
        const SECOND_NS: i64 = 1_000_000_000;
        let health = HealthConfig {
            test: Some(vec!["CMD-SHELL".to_owned(), script.to_owned()]),
            interval: Some(SECOND_NS),
            // Far more than a probe takes, so that only the script decides.
            timeout: Some(30 * SECOND_NS),
            retries: Some(1),
            ..HealthConfig::default()
        };
        self.with(|body| body.healthcheck = Some(health))
    }

    /// The memory that the container may use, without swap, in bytes.
    pub(crate) fn memory_limit(self, bytes: i64) -> Self {
        self.host(|host| {
            host.memory = Some(bytes);
            host.memory_swap = Some(bytes);
        })
    }

    pub(crate) fn label(self, key: &str, value: &str) -> Self {
        self.with(|body| {
            let labels = body.labels.get_or_insert_default();
            labels.insert(key.to_owned(), value.to_owned());
        })
    }

    /// The labels of a service that Compose started.
    pub(crate) fn compose(self, project: &str, service: &str) -> Self {
        self.label("com.docker.compose.project", project).label("com.docker.compose.service", service)
    }

    /// The engine's default bridge instead of no network.
    pub(crate) fn bridge(self) -> Self {
        self.host(|host| host.network_mode = Some("bridge".to_owned()))
    }

    /// A port of the container on the host's loopback, with the engine's default bridge.
    pub(crate) fn publish(self, host_port: u16, port: u16) -> Self {
        let port = format!("{port}/tcp");
        let place = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: Some(host_port.to_string()) };
        let spec = self.bridge().host(|host| {
            host.port_bindings = Some(HashMap::from([(port.clone(), Some(vec![place]))]));
        });
        spec.with(|body| body.exposed_ports = Some(vec![port]))
    }

    /// `json-file`, `local`, `none`, …
    pub(crate) fn log_driver(self, driver: &str) -> Self {
        self.host(|host| {
            host.log_config = Some(HostConfigLogConfig { typ: Some(driver.to_owned()), config: None });
        })
    }

    /// The container is there, but its start must fail.
    pub(crate) fn does_not_start(self) -> Self {
        Self { starts: false, ..self }
    }

    /// Anything else the engine's API takes.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut ContainerCreateBody)) -> Self {
        change(&mut self.body);
        self
    }

    fn host(self, change: impl FnOnce(&mut HostConfig)) -> Self {
        self.with(|body| change(body.host_config.get_or_insert_default()))
    }
}

/// A container of the private engine; dropping it removes it, running or not.
pub(crate) struct Container {
    engine: Engine,
    name: String,
    id: String,
}

impl Container {
    /// Creates and starts a container whose name ends in `suffix` and is used by no other test.
    #[track_caller]
    pub(crate) fn run(engine: &Engine, suffix: &str, describe: impl FnOnce(Spec) -> Spec) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostler-test-{}-{count}-{suffix}", std::process::id());
        let spec = describe(Spec::new(engine.import_busybox()));

        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = engine
            .block_on(engine.docker().create_container(Some(options), spec.body))
            .unwrap_or_else(|error| panic!("creating {name}: {error}"));
        // Made before the start, so that a start that fails leaves nothing behind.
        let container = Self { engine: engine.clone(), name, id: created.id };
        let started = container.try_start();
        assert_eq!(started.is_ok(), spec.starts, "starting {}: {started:?}", container.name);
        container
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The full id, 64 hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Everything the engine knows of the container.
    #[track_caller]
    pub(crate) fn inspect(&self) -> ContainerInspectResponse {
        let docker = self.engine.docker();
        self.engine
            .block_on(docker.inspect_container(&self.id, None))
            .unwrap_or_else(|error| panic!("inspecting {}: {error}", self.name))
    }

    #[track_caller]
    pub(crate) fn state(&self) -> ContainerState {
        self.inspect().state.expect("inspect shows a state")
    }

    /// Waits until `found` sees what it looks for in `inspect`.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, found: impl Fn(&ContainerInspectResponse) -> Option<T>) -> T {
        let what = format!("{}: {what}", self.name);
        wait_until(DEADLINE, &what, || found(&self.inspect()))
    }

    /// What the container has written so far, standard output and error, byte for byte.
    #[track_caller]
    pub(crate) fn logs(&self) -> Vec<u8> {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).build();
        let chunks: Vec<_> = self
            .engine
            .block_on(self.engine.docker().logs(&self.id, Some(options)).try_collect())
            .unwrap_or_else(|error| panic!("logs of {}: {error}", self.name));
        chunks.into_iter().flat_map(bollard::container::LogOutput::into_bytes).collect()
    }

    #[track_caller]
    pub(crate) fn start(&self) {
        self.try_start().unwrap_or_else(|error| panic!("starting {}: {error}", self.name));
    }

    /// Stops the container at once: the first signal is the one that cannot be ignored.
    #[track_caller]
    pub(crate) fn stop(&self) {
        let options = StopContainerOptionsBuilder::new().t(0).build();
        self.engine
            .block_on(self.engine.docker().stop_container(&self.id, Some(options)))
            .unwrap_or_else(|error| panic!("stopping {}: {error}", self.name));
    }

    fn try_start(&self) -> Result<(), bollard::errors::Error> {
        self.engine.block_on(self.engine.docker().start_container(&self.id, None))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = self.engine.block_on(self.engine.docker().remove_container(&self.id, Some(options)));
        // A test may have removed it already; a second panic would hide the first.
        if let Err(error) = removed {
            eprintln!("removing {}: {error}", self.name);
        }
    }
}
