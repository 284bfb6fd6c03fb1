//! What may befall a box in the middle of an update: the engine restarts, the registry refuses, the disk is full, a name is
//! taken. Either the old container runs afterwards or the new one does, and the journal says which.

use std::fs;

use bollard::models::{ContainerStateStatusEnum, RestartPolicyNameEnum};
use bollard::query_parameters::RenameContainerOptionsBuilder;
use serde_json::{Value, json};

use super::interrupted::{journal, killed_at, worker, written};
use super::service::{Service, Version};
use super::{planned, run};
use crate::bed::{self, Asked, Home, OwnEngine, Reply, Restart, registry_double, wait_until};

/// A service on an engine of its own, with this policy.
fn alone(restart: Restart) -> Option<(OwnEngine, Service)> {
    let own = bed::own_engine_beside()?;
    let service = Service::start_on(&own, |spec, _, _| spec.restart(restart))?;
    Some((own, service))
}

/// The place in a plan of the step with this operation.
fn step(plan: &Value, op: &str) -> usize {
    let mut steps = plan["steps"].as_array().unwrap().iter();
    steps.position(|step| step["op"]["op"] == op).unwrap_or_else(|| panic!("no {op} in {plan}"))
}

/// The old container itself runs again, alone.
#[track_caller]
fn is_as_before(service: &Service) {
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
    assert_eq!(service.containers(), [service.container.name()]);
}

#[test]
fn an_engine_that_restarts_brings_back_the_new_version_only() {
    for restart in [Restart::Always, Restart::UnlessStopped] {
        let Some((mut own, service)) = alone(restart) else { return };
        service.publish("2", Version::Good);
        let (code, done) = run(&service.home, &["container.update", service.container.name()]);
        assert_eq!(code, 0, "{done}");
        own.stop();
        own.start();
        wait_until(bed::DEADLINE, "the service runs", || service.runs().then_some(()));
        assert_eq!(service.version(), "2");
        let kept = format!("{}.hostler-{}", service.container.name(), done["run"].as_str().unwrap());
        let kept = own.block_on(own.docker().inspect_container(&kept, None)).unwrap();
        assert_eq!(kept.state.unwrap().status, Some(ContainerStateStatusEnum::EXITED));
        drop(service);
    }
}

/// The engine restarts when an update has begun this step.
fn restarts_at(op: &str) {
    let Some((mut own, service)) = alone(Restart::UnlessStopped) else { return };
    service.publish("2", Version::Good);
    let plan = service.plan();
    let (mut worker, id) = worker(&service.home, &plan);
    written(&service, &id, "began", step(&plan, op));
    own.stop();
    own.start();
    worker.wait().unwrap();
    let ended = journal(&service.home);
    assert_eq!(ended["outcome"], "rolled-back", "{ended}");
    is_as_before(&service);
    drop(service);
}

#[test]
fn an_engine_that_restarts_at_the_pull_costs_only_the_update() {
    restarts_at("pull");
}

#[test]
fn an_engine_that_restarts_at_the_swap_costs_only_the_update() {
    restarts_at("swap");
}

#[test]
fn an_engine_that_restarts_at_the_gate_costs_only_the_update() {
    restarts_at("gate");
}

/// The box restarts when an update has this record about a step: nobody is there to take it back.
fn box_restarts_at(kind: &str, op: &str) {
    let Some((mut own, service)) = alone(Restart::UnlessStopped) else { return };
    service.publish("2", Version::Good);
    let id = killed_at(&service, kind, step(&service.plan(), op));
    own.stop();
    own.start();
    wait_until(bed::DEADLINE, "one of the two runs", || {
        let runs = |name: &String| {
            let it = own.block_on(own.docker().inspect_container(name, None)).unwrap();
            it.state.unwrap().status == Some(ContainerStateStatusEnum::RUNNING)
        };
        service.containers().iter().any(runs).then_some(())
    });
    assert_eq!(journal(&service.home)["outcome"], "died");
    let (code, back) = service.home.json(&["undo", &id, "--json"]);
    assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    is_as_before(&service);
    let policy = service.now().host_config.unwrap().restart_policy.unwrap().name;
    assert_eq!(policy, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
    drop(service);
}

#[test]
fn a_box_that_restarts_after_the_backup_brings_the_service_back() {
    box_restarts_at("finished", "back-up");
}

#[test]
fn a_box_that_restarts_at_the_swap_brings_the_service_back() {
    box_restarts_at("began", "swap");
}

/// Why an update fails whose registry answers so; its container is never stopped.
#[track_caller]
fn fails_with(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Option<String> {
    let engine = bed::engine()?;
    let double = registry_double(reply);
    let repository = format!("{}/bed/app", double.host());
    engine.import_changed(&repository, "stable", "1", &[]);
    let app = engine.run("app", |spec| spec.with(|body| body.image = Some(format!("{repository}:stable"))));
    let before = app.state().started_at;
    let (code, done) = run(&super::home(&engine), &["container.update", app.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert_eq!(app.state().started_at, before, "it was never stopped");
    drop(app);
    engine.forget_image(&format!("{repository}:stable"));
    Some(done["text"].as_str().unwrap().to_owned())
}

#[test]
fn a_registry_that_refuses_is_quoted_in_plain_words() {
    let error = |code: &str, message: &str| json!({ "errors": [{ "code": code, "message": message }] }).to_string();
    let unknown = error("UNAUTHORIZED", "authentication required");
    let basic = move |_: &Asked| Reply::new(401, unknown.clone()).with("WWW-Authenticate: Basic realm=\"bed\"");
    let at_the_image = |status: u16, body: String| {
        move |asked: &Asked| if asked.path == "/v2/" { Reply::new(200, "{}") } else { Reply::new(status, body.clone()) }
    };
    let Some(why) = fails_with(basic) else { return };
    assert!(why.contains("only to those it knows: `docker login`"), "{why}");
    let why =
        fails_with(at_the_image(429, error("TOOMANYREQUESTS", "You have reached your pull rate limit."))).unwrap();
    assert!(why.contains("no more pulls for now") && why.contains("reached your pull rate limit"), "{why}");
    let why = fails_with(at_the_image(500, error("UNKNOWN", "unknown error"))).unwrap();
    assert!(why.contains("the registry itself is failing"), "{why}");
}

#[test]
fn the_engine_pulls_as_who_logged_in() {
    let Some(engine) = bed::engine() else { return };
    let double = registry_double(|_| Reply::new(401, "").with("WWW-Authenticate: Basic realm=\"bed\""));
    let repository = format!("{}/bed/app", double.host());
    engine.import_changed(&repository, "stable", "1", &[]);
    let app = engine.run("app", |spec| spec.with(|body| body.image = Some(format!("{repository}:stable"))));
    let home = super::home(&engine);
    fs::create_dir(home.path().join(".docker")).unwrap();
    // ada:secret
    let config = json!({ "auths": { double.host(): { "auth": "YWRhOnNlY3JldA==" } } });
    fs::write(home.path().join(".docker/config.json"), config.to_string()).unwrap();
    run(&home, &["container.update", app.name()]);
    let asked = double.asked();
    assert!(asked.iter().any(|asked| asked.header("authorization") == "Basic YWRhOnNlY3JldA=="), "{asked:?}");
    drop(app);
    engine.forget_image(&format!("{repository}:stable"));
}

#[test]
fn an_image_that_is_given_to_some_alone_is_pulled_with_their_login() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let repository = "bed/guarded";
    registry.push(&engine, repository, "stable", "1");
    let old = registry.reference(repository, "stable");
    let guarded = registry.guarded();
    // As if it had been pulled from there.
    let reference = guarded.reference(repository, "stable");
    engine.tag(&old, reference.strip_suffix(":stable").unwrap(), "stable");
    let app = engine.run("guarded", |spec| spec.with(|body| body.image = Some(reference.clone())));
    registry.push(&engine, repository, "stable", "2");
    let home = Home::with(super::service::CONFIG).docker(engine.endpoint());

    let (code, refused) = run(&home, &["container.update", app.name()]);
    assert_eq!((code, refused["outcome"].as_str()), (1, Some("rolled-back")), "{refused}");
    assert!(refused["text"].as_str().unwrap().contains("`docker login`"), "{refused}");
    fs::create_dir(home.path().join(".docker")).unwrap();
    // ada:tell-nobody
    let config = json!({ "auths": { guarded.host(): { "auth": "YWRhOnRlbGwtbm9ib2R5" } } });
    fs::write(home.path().join(".docker/config.json"), config.to_string()).unwrap();
    let (code, done) = run(&home, &["container.update", app.name()]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    let now = engine.block_on(engine.docker().inspect_container(app.name(), None)).unwrap();
    let image = engine.block_on(engine.docker().inspect_image(&now.image.unwrap())).unwrap();
    assert_eq!(image.config.unwrap().labels.unwrap()["org.opencontainers.image.version"], "2");
    remove_all(&engine, app.name());
    for reference in [&old, &reference] {
        engine.forget_image(reference);
    }
}

/// Removes a container of a test with those that runs made for it.
fn remove_all(engine: &bed::Engine, name: &str) {
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
    let all = engine.block_on(engine.docker().list_containers(Some(options))).unwrap();
    for found in all.into_iter().flat_map(|one| one.names.unwrap_or_default()) {
        let found = found.trim_start_matches('/');
        if found.starts_with(name) {
            let options = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            drop(engine.block_on(engine.docker().remove_container(found, Some(options))));
        }
    }
}

#[test]
fn a_tag_that_went_meanwhile_costs_nothing() {
    let Some(service) = Service::start() else { return };
    service.publish_as("v2", Version::Good);
    let started = service.now().state.unwrap().started_at;
    let plan = planned(&service.home, &["container.update", service.container.name(), "--to", "v2"])["plan"].clone();
    service.delete("v2");
    let (mut worker, _) = worker(&service.home, &plan);
    assert_eq!(worker.wait().unwrap().code(), Some(1));
    let ended = journal(&service.home);
    assert_eq!(ended["outcome"], "failed", "{ended}");
    assert!(ended["text"].as_str().unwrap().contains("has no such image (any more)"), "{ended}");
    is_as_before(&service);
    assert_eq!(service.now().state.unwrap().started_at, started, "it was never stopped");
}

#[test]
fn a_disk_that_is_full_at_the_pull_costs_nothing() {
    let (Some(maker), Some((own, service))) = (bed::engine(), alone(Restart::Always)) else { return };
    service.publish_large(&maker, 24 << 20);
    own.fill(8 << 20);
    let started = service.now().state.unwrap().started_at;
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(done["text"].as_str().unwrap().contains("the engine's disk is full"), "{done}");
    is_as_before(&service);
    assert_eq!(service.now().state.unwrap().started_at, started, "it was never stopped");
    drop(service);
}

#[test]
fn a_name_that_was_taken_meanwhile_is_left_to_who_has_it() {
    // It ends two seconds after it is asked to, for its backup.
    let Some(service) = Service::start_as(|spec, _, _| {
        spec.shell("trap '' TERM; while :; do sleep 0.1; done").with(|body| body.stop_timeout = Some(2))
    }) else {
        return;
    };
    service.publish("2", Version::Good);
    let other = service.engine.run("other", |spec| spec);
    let plan = service.plan();
    let (mut worker, id) = worker(&service.home, &plan);
    written(&service, &id, "began", step(&plan, "back-up"));
    let taken = format!("{}.hostler-{id}", service.container.name());
    let options = RenameContainerOptionsBuilder::new().name(&taken).build();
    service.engine.block_on(service.engine.docker().rename_container(other.name(), options)).unwrap();
    worker.wait().unwrap();
    let ended = journal(&service.home);
    assert_eq!(ended["outcome"], "rolled-back", "{ended}");
    assert!(ended["text"].as_str().unwrap().contains("already in use"), "{ended}");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert!(service.runs());
    assert_eq!(other.inspect().name.as_deref(), Some(&*format!("/{taken}")));
}
