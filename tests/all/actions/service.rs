//! A service that is updated in the tests: versions of it in a real registry, and a container made from the first one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use futures_util::TryStreamExt as _;
use serde_json::Value;

use crate::bed::{self, Container, Engine, Home, Registry, Restart, Spec};

/// What a version does.
#[derive(Clone, Copy)]
pub(crate) enum Version {
    /// It is well.
    Good,
    /// It ends at once.
    Exits,
    /// Its health check never passes.
    Sick,
    /// Its health check passes at first and fails later.
    Late,
    /// Its health check passes after some seconds.
    Slow,
    /// It does this before its health check fails.
    Migrates(&'static str),
    /// It runs this; its health check says nothing.
    Runs(&'static str),
}

/// The service.
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) home: Home,
    pub(crate) container: Container,
    repository: String,
}

/// Patience that fits a test.
pub(crate) const CONFIG: &str = "[actions]\ngate = \"8s\"\nsteady = \"2s\"\n";

impl Service {
    /// The first version, good and running, in a container that was set up with care. `None` where the bed lacks a part.
    #[track_caller]
    pub(crate) fn start() -> Option<Self> {
        Self::start_as(|spec, _, _| spec)
    }

    /// A compose project that no other test has.
    pub(crate) fn project() -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        format!("shop-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// The same, further described: by its home and the reference of its image.
    #[track_caller]
    pub(crate) fn start_as(describe: impl FnOnce(Spec, &Home, &str) -> Spec) -> Option<Self> {
        Self::start_on(&bed::engine()?, describe)
    }

    /// The same on this engine.
    #[track_caller]
    pub(crate) fn start_on(engine: &Engine, describe: impl FnOnce(Spec, &Home, &str) -> Spec) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let (engine, registry) = (engine.clone(), bed::registry()?);
        let repository = format!("bed/app-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let home = Home::with(CONFIG).docker(engine.endpoint());
        publish(&engine, &registry, (&repository, "stable"), "1", Version::Good);
        let image = registry.reference(&repository, "stable");
        let container = engine.run("app", |spec| {
            let spec =
                spec.compose(&Self::project(), "app").restart(Restart::Always).label("mine", "yes").with(|body| {
                    body.image = Some(image.clone());
                    body.cmd = None;
                    body.env = Some(vec!["MINE=kept".to_owned()]);
                    body.volumes = Some(vec!["/data".to_owned()]);
                });
            describe(spec, &home, &image)
        });
        Some(Self { engine, registry, home, container, repository })
    }

    /// Publishes the next version under the tag that the container follows. The engine then has the old one again, as on a
    /// box where nobody pulled.
    pub(crate) fn publish(&self, number: &str, version: Version) {
        let before = self.image_id();
        publish(&self.engine, &self.registry, (&self.repository, "stable"), number, version);
        let options = bollard::query_parameters::TagImageOptionsBuilder::new()
            .repo(&format!("{}/{}", self.registry.host(), self.repository))
            .tag("stable")
            .build();
        self.engine.block_on(self.engine.docker().tag_image(&before, Some(options))).unwrap();
    }

    /// Publishes a version under a tag of its own, which the engine does not have.
    pub(crate) fn publish_as(&self, tag: &str, version: Version) {
        publish(&self.engine, &self.registry, (&self.repository, tag), tag, version);
        self.engine.forget_image(&self.reference(tag));
    }

    /// Pulls what a tag of the service's image means now.
    pub(crate) fn pull(&self, tag: &str) {
        let reference = self.reference(tag);
        let options = bollard::query_parameters::CreateImageOptionsBuilder::new().from_image(&reference).build();
        let pulled = self.engine.docker().create_image(Some(options), None, None);
        self.engine.block_on(pulled.try_for_each(async |_| Ok(()))).unwrap();
    }

    /// Its name on screen.
    #[track_caller]
    pub(crate) fn shown(&self) -> String {
        let labels = self.now().config.unwrap().labels.unwrap();
        format!("{}/app", labels["com.docker.compose.project"])
    }

    /// Publishes an image of so many bytes under the tag that the container follows, made by another engine: the service's own
    /// has nothing of it.
    pub(crate) fn publish_large(&self, maker: &Engine, bytes: usize) {
        let image = maker.image(&self.reference("stable"), b'x', bytes);
        self.registry.push_image(maker, &self.repository, "stable");
        drop(image);
    }

    /// Takes a tag out of the registry.
    pub(crate) fn delete(&self, tag: &str) {
        self.registry.delete(&self.repository, tag);
    }

    /// The reference of a tag of the service's image.
    pub(crate) fn reference(&self, tag: &str) -> String {
        self.registry.reference(&self.repository, tag)
    }

    /// The container that has the service's name now.
    #[track_caller]
    pub(crate) fn now(&self) -> ContainerInspectResponse {
        self.engine.block_on(self.engine.docker().inspect_container(self.container.name(), None)).unwrap()
    }

    /// The image of the container that has the service's name now.
    pub(crate) fn image_id(&self) -> String {
        self.now().image.unwrap()
    }

    /// The version label of its image.
    pub(crate) fn version(&self) -> String {
        let image = self.engine.block_on(self.engine.docker().inspect_image(&self.image_id())).unwrap();
        image.config.unwrap().labels.unwrap()["org.opencontainers.image.version"].clone()
    }

    /// Whether the service is there: a container of its name runs.
    pub(crate) fn runs(&self) -> bool {
        self.now().state.unwrap().status == Some(ContainerStateStatusEnum::RUNNING)
    }

    /// Names of the containers whose name begins with the service's.
    pub(crate) fn containers(&self) -> Vec<String> {
        let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
        let all = self.engine.block_on(self.engine.docker().list_containers(Some(options))).unwrap();
        let names = all.into_iter().flat_map(|one| one.names.unwrap_or_default());
        let mut names: Vec<String> = names.map(|name| name.trim_start_matches('/').to_owned()).collect();
        names.retain(|name| name.starts_with(self.container.name()));
        names.sort();
        names
    }

    /// The plan of an update, as a worker takes it.
    pub(crate) fn plan(&self) -> Value {
        super::planned(&self.home, &["container.update", self.container.name()])["plan"].clone()
    }

    /// The file of a run.
    pub(crate) fn run_file(&self, id: &str) -> PathBuf {
        self.home.state().join("runs").join(format!("{id}.jsonl"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Those that the runs made are not the bed's.
        for name in self.containers() {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            drop(self.engine.block_on(self.engine.docker().remove_container(&name, Some(options))));
        }
    }
}

/// Runs until it is asked to end, and then ends at once: the first process of a container must say so itself.
const STEADY: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn publish(engine: &Engine, registry: &Registry, (repository, tag): (&str, &str), number: &str, version: Version) {
    let healthcheck = |script: &str| format!("HEALTHCHECK --interval=1s --retries=1 CMD {script}");
    let steady = STEADY.to_owned();
    let (script, healthcheck) = match version {
        Version::Good => (steady, healthcheck("true")),
        Version::Exits => ("echo cannot open the new database; exit 3".to_owned(), healthcheck("true")),
        Version::Sick => (steady, healthcheck("echo migration failed; exit 1")),
        Version::Slow => {
            let beats = "n=0; while :; do sleep 0.1; n=$((n + 1)); [ $n != 40 ] || touch /ready; done";
            (
                format!("trap 'exit 0' TERM; {beats}"),
                "HEALTHCHECK --interval=1s --retries=20 CMD [ -e /ready ]".to_owned(),
            )
        }
        Version::Late => (steady, healthcheck("if [ -e /once ]; then exit 1; fi; touch /once")),
        Version::Runs(script) => (script.to_owned(), healthcheck("true")),
        // Unhealthy only when it has migrated, because until then nothing is.
        Version::Migrates(script) => {
            (format!("{script}; touch /migrated; {STEADY}"), healthcheck("! [ -e /migrated ]"))
        }
    };
    let command = format!("CMD {}", serde_json::json!(["sh", "-c", script]));
    let env = format!("ENV BUILT={number}");
    registry.push_changed(engine, repository, tag, number, &[&command, &healthcheck, &env]);
}
