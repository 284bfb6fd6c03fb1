//! Update and roll back against a real registry: a good version stays, a bad one is taken back by itself.

use bollard::models::{ContainerStateStatusEnum, RestartPolicyNameEnum};

use super::service::{CONFIG, Service, Version};
use super::{planned, run, steps};

fn env(service: &Service) -> Vec<String> {
    service.now().config.unwrap().env.unwrap()
}

#[test]
fn a_good_version_stays_and_the_old_one_is_kept() {
    let Some(service) = Service::start() else { return };
    let (name, before) = (service.container.name(), service.now());
    service.publish("2", Version::Good);
    let plan = planned(&service.home, &["container.update", name]);
    assert_eq!(steps(&plan).len(), 8, "{plan}");
    assert_eq!(service.now().id, before.id, "a dry run does nothing");

    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert!(service.runs());
    assert_eq!(service.version(), "2");
    let after = service.now();
    let (old, new) = (before.host_config.unwrap(), after.host_config.unwrap());
    assert_eq!(new.restart_policy, old.restart_policy);
    assert_eq!(new.network_mode, old.network_mode);
    let volume = |mounts: Option<Vec<bollard::models::MountPoint>>| mounts.unwrap()[0].name.clone().unwrap();
    assert_eq!(volume(after.mounts), volume(before.mounts), "the unnamed volume is carried over");
    let env = env(&service);
    assert!(env.contains(&"MINE=kept".to_owned()) && env.contains(&"BUILT=2".to_owned()), "{env:?}");
    let labels = after.config.unwrap().labels.unwrap();
    assert_eq!((labels["mine"].as_str(), labels["hostler.run"].as_str()), ("yes", done["run"].as_str().unwrap()));

    let kept = format!("{name}.hostler-{}", done["run"].as_str().unwrap());
    assert_eq!(service.containers(), [name.to_owned(), kept.clone()]);
    let kept = service.engine.block_on(service.engine.docker().inspect_container(&kept, None)).unwrap();
    assert_eq!(kept.id.as_deref(), Some(service.container.id()));
    assert_eq!(kept.state.unwrap().status, Some(ContainerStateStatusEnum::EXITED));
    let policy = kept.host_config.unwrap().restart_policy.unwrap().name;
    assert_eq!(policy, Some(RestartPolicyNameEnum::NO), "an engine that restarts must not bring it back");
}

#[test]
fn roll_back_returns_and_returns_again() {
    let Some(service) = Service::start() else { return };
    let name = service.container.name();
    service.home.run(&["run", "container.rollback", name, "--yes"]).refused(4, "no earlier version");
    service.publish("2", Version::Good);
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, service.version().as_str()), (0, "2"), "{done}");
    for version in ["1", "2"] {
        let (code, done) = run(&service.home, &["container.rollback", name]);
        assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
        assert_eq!(service.version(), version);
        assert!(service.runs());
        let reference = service.now().config.unwrap().image.unwrap();
        assert!(reference.ends_with(":stable"), "{reference}: the next update check still finds its tag");
    }
}

#[test]
fn the_last_versions_are_kept_and_any_of_them_comes_back() {
    let Some(service) = Service::start() else { return };
    std::fs::write(service.home.config(), format!("{CONFIG}keep = 2\n")).unwrap();
    let name = service.container.name();
    let mut runs = Vec::new();
    for version in ["2", "3", "4"] {
        service.publish(version, Version::Good);
        let (code, done) = run(&service.home, &["container.update", name]);
        assert_eq!((code, service.version().as_str()), (0, version), "{done}");
        runs.push(done["run"].as_str().unwrap().to_owned());
    }
    let kept = |run: &str| format!("{name}.hostler-{run}");
    assert_eq!(service.containers(), [name.to_owned(), kept(&runs[1]), kept(&runs[2])], "version 1 went");
    let backups = |run: &str| service.home.state().join("runs").join(run).exists();
    assert_eq!([backups(&runs[0]), backups(&runs[1]), backups(&runs[2])], [false, true, true]);

    service.home.run(&["run", "container.rollback", name, "--yes", "--to", &runs[0]]).refused(4, &runs[1]);
    // The run that brought version 3 kept version 2.
    let (code, done) = run(&service.home, &["container.rollback", name, "--to", &runs[1]]);
    assert_eq!((code, service.version().as_str()), (0, "2"), "{done}");
}

#[test]
fn an_update_is_undone_by_its_run() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    let (_, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(service.version(), "2");
    let (code, back) = service.home.json(&["undo", done["run"].as_str().unwrap(), "--json"]);
    assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()), "the old container itself is back");
    let policy = service.now().host_config.unwrap().restart_policy.unwrap().name;
    assert_eq!(policy, Some(RestartPolicyNameEnum::ALWAYS));
    assert!(service.runs());
    assert_eq!(service.containers().len(), 1);
}

/// A bad version is taken back: the old container itself runs again under its name, and the run says why.
fn is_taken_back(version: Version, why: &str) {
    let Some(service) = Service::start() else { return };
    let before = service.image_id();
    service.publish("2", version);
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    let text = done["text"].as_str().unwrap();
    assert!(text.contains(why), "{why:?} is not in {text:?}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
    assert_eq!(service.containers(), [service.container.name()]);
    let reference = service.now().config.unwrap().image.unwrap();
    let image = service.engine.block_on(service.engine.docker().inspect_image(&reference)).unwrap();
    assert_eq!(image.id, Some(before), "the reference means the old image again");
    if matches!(version, Version::Exits) {
        let lines = done["lines"].to_string();
        assert!(lines.contains("cannot open the new database"), "{lines}");
    }
}

#[test]
fn a_version_that_ends_at_once_is_taken_back() {
    is_taken_back(Version::Exits, "does not stay up");
}

#[test]
fn a_version_that_is_never_well_is_taken_back() {
    is_taken_back(Version::Sick, "migration failed");
}

#[test]
fn a_version_that_turns_bad_is_taken_back() {
    is_taken_back(Version::Late, "unhealthy");
}

#[test]
fn a_version_that_ends_again_and_again_is_taken_back() {
    is_taken_back(Version::Runs("sleep 2; exit 3"), "does not stay up");
}

#[test]
fn a_registry_that_is_gone_costs_nothing() {
    let Some(service) = Service::start() else { return };
    let before = service.now();
    service.registry.delete_all();
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(done["text"].as_str().unwrap().contains("cannot be pulled"), "{done}");
    let after = service.now();
    assert_eq!(after.id, before.id);
    assert_eq!(after.state.unwrap().started_at, before.state.unwrap().started_at, "it was never stopped");
}
