//! The docker source and the usage source against the private engine, as the poller runs them: what they see, how soon,
//! and what they say when the engine goes, hangs or may not be asked.

mod disk;
mod engine_gone;
mod engine_shapes;
mod usage;
pub(crate) mod watcher;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::query_parameters::RenameContainerOptionsBuilder;
use hostler::domain::{
    Container, ContainerState, DockerEventKind, Event, HealthState, PortReach, RestartPolicy, Sample, SourceId,
};
use hostler::store::State;

use crate::bed::{self, Restart, faults, foreign};
pub(crate) use watcher::Watcher;

/// The container of this id, as the state has it.
fn container(state: &State, id: &str) -> Option<Arc<Container>> {
    let docker = state.docker.get()?;
    docker.containers.iter().find(|container| &*container.id.0 == id).cloned()
}

#[test]
fn containers_are_shown_as_the_engine_has_them() {
    let Some(engine) = bed::engine() else { return };
    let described = engine.run("described", |spec| {
        spec.compose("shop", "web").restart(Restart::OnFailure(4)).memory_limit(96 << 20).bridge().with(|body| {
            let host = body.host_config.get_or_insert_default();
            host.nano_cpus = Some(500_000_000);
            let binding = bollard::models::PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some("18099".to_owned()),
            };
            host.port_bindings = Some([("80/tcp".to_owned(), Some(vec![binding]))].into());
            body.exposed_ports = Some(vec!["80/tcp".to_owned()]);
            body.tty = Some(true);
        })
    });
    let mut watcher = Watcher::start(engine.endpoint());
    let it = watcher.until("the container is listed", |state| container(state, described.id()));
    assert_eq!(&*it.name, described.name());
    assert_eq!(it.image, "hostler-test/bb:1");
    assert_eq!((it.project.as_deref(), it.service.as_deref()), (Some("shop"), Some("web")));
    assert_eq!(it.state, ContainerState::Running);
    assert_eq!(it.restart_policy, RestartPolicy::OnFailure(4));
    assert_eq!((it.memory_limit_bytes, it.cpu_limit), (Some(96 << 20), Some(0.5)));
    assert_eq!(it.pid.map(i64::from), described.state().pid);
    let port = &it.ports[0];
    assert_eq!((port.host_port, port.container_port), (18099, 80));
    assert_eq!((&*port.protocol, port.reach), ("tcp", PortReach::Local));
    assert!(it.tty && it.started.is_some() && it.created.is_some());
    assert!(it.log_path.as_ref().is_some_and(|path| path.ends_with("-json.log")));
    assert!(it.cgroup.as_ref().is_some_and(|path| path.contains(described.id())));
    assert_eq!((&it.health, &it.last_exit, it.wants_gpu), (&None, &None, false));

    let state = watcher.state();
    let source = state.sources.get(SourceId::Docker).unwrap();
    assert!(source.detail.contains(engine.endpoint()), "{}", source.detail);
    assert!(source.detail.contains("the config names it"), "{}", source.detail);
    let info = &state.docker.get().unwrap().engine;
    let version = engine.block_on(engine.docker().version()).unwrap();
    assert_eq!(Some(&info.version), version.version.as_ref());
    assert_eq!(info.api_version, engine.docker().client_version().to_string());
}

#[test]
fn faults_are_told_from_each_other() {
    let Some(engine) = bed::engine() else { return };
    let healthy = faults::healthy(&engine);
    let sick = faults::unhealthy(&engine);
    let killed = faults::oom_killed(&engine);
    let looping = faults::crash_loop(&engine);
    let exhausted = faults::retries_exhausted(&engine);
    let done = faults::completed(&engine);
    let failed = faults::not_startable(&engine);
    let mut watcher = Watcher::start(engine.endpoint());

    watcher.until("the healthy one is healthy", |state| {
        let health = container(state, healthy.id())?.health.clone()?;
        (health.state == HealthState::Healthy).then_some(())
    });
    let health = watcher.until("the sick one is unhealthy", |state| {
        let health = container(state, sick.id())?.health.clone()?;
        (health.state == HealthState::Unhealthy).then_some(health)
    });
    assert!(health.failing_streak >= 1 && health.failing_since.is_some());
    assert_eq!(health.last_output.as_deref(), Some("connection refused"));
    let exit = watcher.until("the kill for memory is seen", |state| container(state, killed.id())?.last_exit);
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    watcher.until("restarts are counted, and their ends told and known", |state| {
        let it = container(state, looping.id())?;
        let known = it.last_exit.is_some_and(|exit| exit.code == 1);
        let told = state.tracks.get(&looping.id().into())?.exits.len();
        (it.restart_count >= 3 && told >= 3 && known).then_some(())
    });
    watcher.until("the third retry failed", |state| {
        let it = container(state, exhausted.id())?;
        let down = it.state == ContainerState::Exited && it.restart_count == 3;
        (down && it.last_exit?.code == 7).then_some(())
    });
    watcher.until("the completed one ended with 0", |state| {
        let it = container(state, done.id())?;
        (it.state == ContainerState::Exited && it.last_exit?.code == 0).then_some(())
    });
    watcher.until("the other one says why it did not start", |state| {
        let error = container(state, failed.id())?.start_error.clone()?;
        error.contains("/no/such/program").then_some(())
    });
}

#[test]
fn what_the_engine_remembers_comes_before_the_first_list() {
    let Some(engine) = bed::engine() else { return };
    let looping = faults::crash_loop(&engine);
    looping.wait_for("has restarted twice", |inspected| inspected.restart_count.filter(|count| *count >= 2));
    let mut watcher = Watcher::start(engine.endpoint());
    watcher.until("the containers are listed", |state| state.docker.get().map(drop));
    let of_docker: Vec<_> = watcher
        .events()
        .iter()
        .filter_map(|event| match event {
            Event::Docker { events, .. } => Some(events.as_slice()),
            Event::Sampled { sample: Sample::Docker(_), .. } => Some(&[]),
            _ => None,
        })
        .collect();
    let ends = of_docker[0]
        .iter()
        .filter(|event| *event.id.0 == *looping.id())
        .filter(|event| matches!(event.kind, DockerEventKind::Die { code: 1 }))
        .count();
    assert!(ends >= 2, "{ends} ends of runs before the list");
    assert!(of_docker[1].is_empty(), "then the list");
}

#[test]
fn events_drive_the_list() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let mut watcher = Watcher::start(engine.endpoint());
    watcher.until("the container runs", |state| container(state, steady.id()));

    let began = Instant::now();
    let late = engine.run("late", |spec| spec.command(&["sleep", "inf"]));
    let options = RenameContainerOptionsBuilder::new().name(&format!("{}-renamed", late.name())).build();
    engine.block_on(engine.docker().rename_container(late.id(), options)).unwrap();
    watcher.until("a new container and its new name are seen", |state| {
        container(state, late.id())?.name.ends_with("-renamed").then_some(())
    });
    engine.block_on(engine.docker().pause_container(late.id())).unwrap();
    watcher.until("it is paused", |state| (container(state, late.id())?.state == ContainerState::Paused).then_some(()));
    engine.block_on(engine.docker().unpause_container(late.id())).unwrap();
    late.stop();
    let exit = watcher.until("it was stopped", |state| container(state, late.id())?.last_exit);
    assert_eq!(exit.code, 137);
    let track = &watcher.state().tracks[&late.id().into()];
    assert!(track.exits.iter().all(|exit| exit.asked), "somebody asked for it");
    let id = late.id().to_owned();
    drop(late);
    watcher.until("it is gone", |state| container(state, &id).is_none().then_some(()));
    // Far less than the poll's interval: only events can have told.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

#[test]
fn what_does_not_change_is_shared() {
    let Some(engine) = bed::engine() else { return };
    let (steady, other) = (faults::steady(&engine), faults::steady(&engine));
    let mut watcher = Watcher::start(engine.endpoint());
    let before = watcher.until("the container runs", |state| container(state, steady.id()));
    other.stop();
    watcher.until("the other one is stopped", |state| {
        (container(state, other.id())?.state == ContainerState::Exited).then_some(())
    });
    let after = container(watcher.state(), steady.id()).unwrap();
    assert!(Arc::ptr_eq(&before, &after));
}

#[test]
fn nothing_harmful_gets_in() {
    let Some(engine) = bed::engine() else { return };
    let hostile = faults::foreign_text(&engine);
    let sick = engine.run("foreign-probe", |spec| {
        let print = foreign::for_printf(&foreign::bytes());
        spec.healthcheck(&format!("printf '{print}'; exit 1"))
    });
    let mut watcher = Watcher::start(engine.endpoint());
    let labelled = watcher.until("the container is listed", |state| container(state, hostile.id()));
    let probed = watcher.until("its health check failed", |state| {
        let it = container(state, sick.id())?;
        it.health.as_ref()?.last_output.is_some().then_some(it)
    });
    assert!(labelled.project.as_ref().is_some_and(|project| project.contains("csi")));
    for it in [labelled, probed] {
        let json = serde_json::to_string(&*it).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(harmful(&shown), None, "{json}");
    }
}

/// The first text in a JSON value that must not reach a terminal.
fn harmful(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => foreign::first_harmful(text).map(|_| text.clone()),
        serde_json::Value::Array(items) => items.iter().find_map(harmful),
        serde_json::Value::Object(fields) => fields.values().find_map(harmful),
        _ => None,
    }
}
