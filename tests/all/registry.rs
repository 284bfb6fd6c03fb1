//! The client of registries: against a real one, and against a double for what real ones do seldom.

mod double;
mod models;
mod notes;
mod tls;

use std::path::Path;
use std::time::Duration;

use hostler::domain::{FaultKind, ImageRef, RegistryFault, TagVersion};
use hostler::host::{OpenRegistries, Ports, Registries, Tags, Visit};
use tokio::runtime::{Builder, Runtime};

use crate::bed;

/// The client on a runtime of its own. Its calls block.
pub(crate) struct Client {
    runtime: Runtime,
    open: OpenRegistries,
}

impl Client {
    /// A client without credentials.
    fn new() -> Self {
        Self::with(|registries| registries.docker_config(Path::new("/nonexistent")))
    }

    /// A client whose docker config says this.
    fn with_config(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        Self::with(|registries| registries.docker_config(folder.path()))
    }

    fn with(change: impl FnOnce(Registries) -> Registries) -> Self {
        Self::at("/", change)
    }

    /// A client on a machine whose files lie below `root`.
    fn at(root: impl Into<std::path::PathBuf>, change: impl FnOnce(Registries) -> Registries) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let registries = change(Ports::new(root).registries);
        let open = runtime.block_on(registries.open()).unwrap();
        Self { runtime, open }
    }

    fn visit(&self, reference: &str) -> Visit {
        let image: ImageRef = reference.parse().unwrap();
        self.open.visit(&image).unwrap()
    }

    fn digest(&self, reference: &str) -> Result<String, RegistryFault> {
        self.runtime.block_on(self.visit(reference).digest(None))
    }

    fn tags(&self, reference: &str, etag: Option<&str>) -> Result<Tags, RegistryFault> {
        self.runtime.block_on(self.visit(reference).tags(etag, |tag| TagVersion::parse(tag).is_some()))
    }

    /// Kind and words of a failure.
    #[track_caller]
    fn fault(&self, reference: &str) -> (FaultKind, String) {
        let fault = self.digest(reference).unwrap_err();
        (fault.kind, fault.what)
    }
}

#[test]
fn a_digest_is_the_one_that_the_engine_would_pull() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let pushed = registry.push(&engine, "bed/app", "stable", "1");
    let client = Client::new();
    let reference = registry.reference("bed/app", "stable");
    assert_eq!(client.digest(&reference), Ok(pushed.clone()));
    assert!(engine.digests_of(&reference).iter().any(|local| local.ends_with(&pushed)));
    // Without saying what is understood one is told another digest: the trap that this test is here for.
    assert_ne!(registry.digest_with("bed/app", "stable", ""), pushed);
    // A registry that is told what is known looks nothing up.
    let again = client.runtime.block_on(client.visit(&reference).digest(Some(&pushed)));
    assert_eq!(again, Ok(pushed.clone()));

    let newer = registry.push(&engine, "bed/app", "stable", "2");
    assert_ne!(newer, pushed);
    assert_eq!(client.runtime.block_on(client.visit(&reference).digest(Some(&pushed))), Ok(newer));
    engine.forget_image(&reference);
}

#[test]
fn tags_and_their_age_are_told() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    registry.push(&engine, "bed/app", "1.0.0", "1");
    for tag in ["1.0.1", "1.1.0", "latest"] {
        registry.copy("bed/app", "1.0.0", tag);
    }
    let client = Client::new();
    let reference = registry.reference("bed/app", "1.0.0");
    let Ok(Tags::Listed { mut tags, .. }) = client.tags(&reference, None) else { panic!("tags are listed") };
    tags.sort();
    assert_eq!(tags, ["1.0.0", "1.0.1", "1.1.0"], "those that were wanted");
    let built = client.runtime.block_on(client.visit(&reference).published("1.1.0")).unwrap().unwrap();
    let age = jiff::Timestamp::now().duration_since(built);
    assert!(age.as_hours() < 24 && !age.is_negative(), "{built}");
    engine.forget_image(&reference);
}

#[test]
fn what_is_gone_is_told_as_gone() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    registry.push(&engine, "bed/app", "stable", "1");
    let client = Client::new();
    let reference = registry.reference("bed/app", "stable");
    assert!(client.digest(&reference).is_ok());
    registry.delete("bed/app", "stable");
    let (kind, what) = client.fault(&reference);
    assert_eq!((kind, what), (FaultKind::NotFound, format!("{} has no {reference} (any more)", registry.host())));
    let never = registry.reference("bed/never", "1");
    assert_eq!(client.fault(&never).0, FaultKind::NotFound);
    engine.forget_image(&reference);
    let host = registry.host();
    drop(registry);
    let refused = (FaultKind::Unreachable, format!("{host} cannot be reached: connection refused"));
    // Not over the connection that was kept: that one tells of its own end.
    assert_eq!(Client::new().fault(&reference), refused);
}

#[test]
fn a_name_that_leads_nowhere_is_told() {
    let (kind, what) = Client::new().fault("registry.invalid/app:1");
    assert_eq!(kind, FaultKind::Unreachable);
    let words = ["there is no such host", "no name server answers"];
    assert!(words.iter().any(|why| what == format!("registry.invalid cannot be reached: {why}")), "{what}");
}

#[test]
fn silence_has_an_end() {
    let hung = bed::hung_tcp();
    let reference = format!("{}/app:1", hung.endpoint().trim_start_matches("tcp://"));
    let client = Client::with(|registries| registries.patience(Duration::from_secs(1)));
    let (kind, what) = client.fault(&reference);
    assert_eq!(kind, FaultKind::Unreachable);
    assert!(what.ends_with("cannot be reached: no answer within 1 s"), "{what}");
}
