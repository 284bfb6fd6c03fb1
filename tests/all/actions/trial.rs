//! Trials: the new image on copies and alone; whatever comes of it, nothing that runs is touched and nothing is left.

use std::net::TcpStream;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{ListNetworksOptions, ListVolumesOptions};
use serde_json::Value;

use super::interrupted::{journal, worker};
use super::service::{Service, Version};
use super::{planned, run};
use crate::bed::{self, Container, Engine, Spec, wait_until};

/// Names of what a trial makes that are left at the engine for this service.
#[track_caller]
fn left(service: &Service) -> Vec<String> {
    let engine = &service.engine;
    let volumes = engine.block_on(engine.docker().list_volumes(None::<ListVolumesOptions>)).unwrap().volumes;
    let volumes = volumes.unwrap_or_default().into_iter().map(|volume| volume.name);
    let networks = engine.block_on(engine.docker().list_networks(None::<ListNetworksOptions>)).unwrap();
    let networks = networks.into_iter().filter_map(|network| network.name);
    let runs = std::fs::read_dir(service.home.state().join("runs")).unwrap();
    let runs: Vec<String> = runs.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let of_ours = |network: &String| {
        runs.iter().any(|run| Some(run.trim_end_matches(".jsonl")) == network.strip_prefix("hostler_trial-"))
    };
    let own_volume = volume_of(&service.now());
    let mut left: Vec<String> = networks.filter(of_ours).collect();
    left.extend(volumes.filter(|name| name.starts_with(&own_volume) && *name != own_volume));
    left.extend(service.containers().into_iter().filter(|name| name != service.container.name()));
    left
}

/// The volume of a container at `/data`.
fn volume_of(it: &ContainerInspectResponse) -> String {
    let mounts = it.mounts.clone().unwrap_or_default();
    mounts.into_iter().find(|mount| mount.destination.as_deref() == Some("/data")).unwrap().name.unwrap()
}

/// What the image's shell says to this in a container.
#[track_caller]
fn said(engine: &Engine, container: &str, script: &str) -> String {
    let config = bollard::models::ExecConfig {
        cmd: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..Default::default()
    };
    engine.block_on(async {
        use futures_util::TryStreamExt as _;
        let made = engine.docker().create_exec(container, config).await.unwrap();
        let bollard::exec::StartExecResults::Attached { output, .. } =
            engine.docker().start_exec(&made.id, None).await.unwrap()
        else {
            panic!("not attached")
        };
        let pieces: Vec<_> = output.try_collect().await.unwrap();
        pieces.into_iter().map(|piece| piece.to_string()).collect()
    })
}

/// The log that a trial kept of the container that stood for the service.
#[track_caller]
fn kept_log(service: &Service, run: &Value) -> String {
    let folder = service.home.state().join("runs").join(run["run"].as_str().unwrap());
    let name = format!("{}.hostler_trial.log", service.container.name());
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

const LOOKS: &str = "echo data: $(cat /data/file), owner $(stat -c %u /data/file), net $(ls /sys/class/net | tr '\\n' ' '); \
    echo spoiled >/data/file; trap 'exit 0' TERM; while :; do sleep 0.1; done";

#[test]
fn a_version_that_comes_up_well_touches_nothing() {
    let Some(service) = Service::start() else { return };
    let (name, engine) = (service.container.name(), &service.engine);
    said(engine, name, "echo precious >/data/file; chown 1234 /data/file");
    let reference = service.reference("stable");
    service.publish("2", Version::Runs(LOOKS));
    let tagged = || engine.block_on(engine.docker().inspect_image(&reference)).unwrap().id;
    let before = tagged();

    let (code, done) = run(&service.home, &["container.trial", name]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    let told = done["text"].as_str().unwrap();
    assert!(told.contains(&format!("came up well from {reference}")), "{told}");
    let log = kept_log(&service, &done);
    assert!(log.contains("data: precious, owner 1234"), "{log}");
    assert_eq!(said(engine, name, "cat /data/file"), "precious\n");
    assert_eq!((service.version().as_str(), service.runs()), ("1", true));
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    assert_eq!(tagged(), before, "the name has moved");
    assert_eq!(left(&service), [""; 0]);

    // The update that follows is another matter.
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, service.version().as_str()), (0, "2"), "{done}");
    let (code, done) = run(&service.home, &["container.trial", name]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("nothing-to-do")), "{done}");
}

#[test]
fn a_version_that_does_not_come_up_well_is_told_and_leaves_nothing() {
    let Some(service) = Service::start() else { return };
    for (version, why) in [(Version::Sick, "migration failed"), (Version::Exits, "exit code 3")] {
        service.publish("2", version);
        let (code, done) = run(&service.home, &["container.trial", service.container.name()]);
        assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
        assert!(done["text"].as_str().unwrap().contains(why), "{why}: {done}");
        assert_eq!((service.version().as_str(), service.runs()), ("1", true));
        assert_eq!(left(&service), [""; 0]);
    }
}

/// Another service of the project, on the same network as the first.
fn beside(service: &Service, service_name: &str, script: &str) -> Container {
    let project = service.shown().split_once('/').unwrap().0.to_owned();
    service.engine.run(service_name, |spec| {
        spec.bridge().compose(&project, service_name).shell(script).with(|body| {
            body.volumes = Some(vec!["/www".to_owned()]);
        })
    })
}

#[test]
fn what_it_needs_comes_along_and_nothing_else_is_reached() {
    let port = bed::free_port();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("host"), "of the host\n").unwrap();
    let bind = format!("{}:/host", folder.path().display());
    let started = Service::start_as(|spec, _, _| {
        spec.publish(port, 8000).label("com.docker.compose.depends_on", "db:service_started:true").with(|body| {
            body.host_config.as_mut().unwrap().binds = Some(vec![bind]);
            body.healthcheck =
                Some(bollard::models::HealthConfig { test: Some(vec!["NONE".to_owned()]), ..Default::default() });
        })
    });
    let Some(service) = started else { return };
    let _db = beside(&service, "db", "[ -e /www/rows ] || echo 7 rows >/www/rows; exec httpd -f -p 80 -h /www");
    let other = beside(&service, "other", "echo here >/www/index.html; exec httpd -f -p 80 -h /www");
    let networks = other.inspect().network_settings.unwrap().networks.unwrap();
    let address = networks["bridge"].ip_address.clone().unwrap();
    assert!(TcpStream::connect((address.as_str(), 80)).is_ok(), "it is there for everybody else");
    // It answers only when it has read the rows of the database, which it finds by its name. What is not there lets it wait,
    // so that is asked for beside it.
    let script = format!(
        "mkdir /web; n=0; until wget -qO /web/rows http://db/rows; do n=$((n+1)); [ $n -lt 50 ] || exit 9; sleep 0.1; done; \
         cat /web/rows /host/host; touch /host/spoiled; wget -qO- http://{address}/ & \
         wget -qO- http://other/ & sleep 1; exec httpd -f -p 8000 -h /web",
    );
    service.publish("2", Version::Runs(Box::leak(script.into_boxed_str())));
    let name = service.container.name();
    let plan = planned(&service.home, &["container.trial", name]);
    let chosen = super::steps(&plan).join("\n");
    assert!(chosen.contains("/db beside it") && !chosen.contains("/other beside it"), "{chosen}");
    let warned = plan["plan"]["warnings"].to_string();
    assert!(warned.contains("can only read") && warned.contains("reaches nothing outside"), "{warned}");
    let gate = plan["plan"]["steps"].as_array().unwrap().iter().rev().find(|step| step["op"]["op"] == "gate").unwrap();
    assert_eq!(
        (gate["op"]["probe"]["port"].as_u64(), gate["op"]["inside"].as_bool()),
        (Some(8000), Some(true)),
        "{gate}"
    );

    let (code, done) = run(&service.home, &["container.trial", name]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    let log = kept_log(&service, &done);
    assert!(log.contains("7 rows") && log.contains("of the host"), "{log}");
    assert!(!log.contains("here"), "{log}");
    assert!(!folder.path().join("spoiled").exists());
    assert_eq!(left(&service), [""; 0]);

    // With everything of the project.
    let (code, done) = run(&service.home, &["container.trial", name, "--with", "beside"]);
    assert_eq!(code, 0, "{done}");
    let log = kept_log(&service, &done);
    assert!(log.contains("here"), "the other one takes part, by its name: {log}\n{done}");
    assert_eq!(left(&service), [""; 0]);
}

#[test]
fn a_trial_whose_worker_dies_is_taken_back_or_finished() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Slow);
    let name = service.container.name();
    let steps = planned(&service.home, &["container.trial", name])["plan"]["steps"].as_array().unwrap().len();
    for (step, finish) in (0..steps).flat_map(|step| [(step, false), (step, true)]) {
        let plan = planned(&service.home, &["container.trial", name])["plan"].clone();
        let (mut worker, id) = worker(&service.home, &plan);
        super::interrupted::written(&service, &id, "began", step);
        worker.kill().unwrap();
        worker.wait().unwrap();
        if journal(&service.home)["outcome"] == "died" {
            let args = if finish { vec!["run", "--finish", &id, "--json"] } else { vec!["undo", &id, "--json"] };
            let (code, done) = service.home.json(&args);
            let outcome = if finish { "succeeded" } else { "rolled-back" };
            assert_eq!((code, done["outcome"].as_str()), (0, Some(outcome)), "{step}: {done}");
        }
        assert_eq!(left(&service), [""; 0], "{step}");
        assert_eq!((service.version().as_str(), service.runs()), ("1", true), "{step}");
    }
}

#[test]
fn a_trial_that_is_cancelled_leaves_nothing() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Slow);
    let plan = planned(&service.home, &["container.trial", service.container.name()])["plan"].clone();
    let (mut worker, id) = worker(&service.home, &plan);
    wait_until(bed::DEADLINE, "the trial has begun", || (!left(&service).is_empty()).then_some(()));
    std::fs::write(service.run_file(&id).with_extension("cancel"), "").unwrap();
    worker.wait().unwrap();
    assert_eq!(journal(&service.home)["outcome"], "cancelled");
    assert_eq!(left(&service), [""; 0]);
}

#[test]
fn what_could_harm_this_host_in_a_trial_too_is_refused() {
    // A container that may do everything cannot be started in the bed; to be looked at, it need not.
    let privileged = |spec: Spec| spec.with(|body| body.host_config.as_mut().unwrap().privileged = Some(true));
    let Some(service) = Service::start_as(|spec, _, _| privileged(spec.does_not_start())) else { return };
    service.publish("2", Version::Good);
    let ended = service.home.run(&["run", "container.trial", service.container.name(), "--yes"]);
    ended.refused(4, "may do everything to this host");
}
