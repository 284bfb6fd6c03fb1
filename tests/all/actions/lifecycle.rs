//! Start, stop, restart, pause, resume, kill and remove on real containers.

use bollard::models::ContainerStateStatusEnum as Status;

use super::{home, planned, run, steps};
use crate::bed::{self, Container, faults, wait_until};

fn status(container: &Container) -> Status {
    container.state().status.unwrap()
}

#[test]
fn a_container_goes_through_its_life_by_name() {
    let Some(engine) = bed::engine() else { return };
    let it = engine.run("life", |spec| spec.shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"));
    let home = home(&engine);
    let started = || it.state().started_at;
    let first = started();
    for (action, after) in [
        ("container.pause", Status::PAUSED),
        ("container.resume", Status::RUNNING),
        ("container.restart", Status::RUNNING),
        ("container.stop", Status::EXITED),
        ("container.start", Status::RUNNING),
        ("container.kill", Status::EXITED),
    ] {
        let (code, run) = run(&home, &[action, it.name()]);
        assert_eq!((code, run["outcome"].as_str()), (0, Some("succeeded")), "{run}");
        assert_eq!(status(&it), after, "{action}");
    }
    assert_ne!(started(), first);
    // Nothing is left to do.
    let (code, again) = run(&home, &["container.stop", it.name()]);
    assert_eq!((code, again["outcome"].as_str()), (0, Some("nothing-to-do")), "{again}");
}

#[test]
fn a_stop_is_taken_back_by_a_start() {
    let Some(engine) = bed::engine() else { return };
    let it = engine.run("back", |spec| spec.shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"));
    let home = home(&engine);
    let (_, stopped) = run(&home, &["container.stop", it.name()]);
    assert_eq!(status(&it), Status::EXITED);
    let (code, back) = home.json(&["undo", stopped["run"].as_str().unwrap(), "--json"]);
    assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    assert_eq!(status(&it), Status::RUNNING);
}

#[test]
fn a_project_stops_in_the_order_of_its_needs() {
    let Some(engine) = bed::engine() else { return };
    let project = format!("shop{}", std::process::id());
    let service = |name: &'static str, needs: &'static str| {
        let project = project.clone();
        engine.run(name, move |spec| {
            spec.compose(&project, name).label("com.docker.compose.depends_on", needs).command(&["sleep", "inf"])
        })
    };
    let web = service("web", "api:service_started:true");
    let db = service("db", "");
    let api = service("api", "db:service_healthy:true");
    let home = home(&engine);
    let whole = format!("{project}/");
    let names = |plan: &serde_json::Value| -> Vec<String> {
        steps(plan).iter().map(|title| title.rsplit('/').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&planned(&home, &["container.stop", &whole])), ["web", "api", "db"]);
    let (code, run) = run(&home, &["container.kill", &whole]);
    assert_eq!(code, 0, "{run}");
    for container in [&web, &db, &api] {
        assert_eq!(status(container), Status::EXITED);
    }
    assert_eq!(names(&planned(&home, &["container.start", &whole])), ["db", "api", "web"]);
    let one = format!("{project}/api");
    assert_eq!(names(&planned(&home, &["container.start", &one])), ["api"]);
}

#[test]
fn a_plan_runs_only_as_it_was_shown() {
    let Some(engine) = bed::engine() else { return };
    let it = faults::steady(&engine);
    let home = home(&engine);
    let plan = planned(&home, &["container.kill", it.name()]);
    let hash = plan["hash"].as_str().unwrap();
    assert_eq!(plan["hash"], planned(&home, &["container.kill", it.name()])["hash"], "the same plan has the same hash");
    let text = home.run(&["run", "container.kill", it.name(), "--dry-run"]).out;
    assert!(text.contains(hash) && text.contains(&format!("docker kill {}", it.name())), "{text}");
    assert_eq!(status(&it), Status::RUNNING, "a dry run does nothing");
    let (code, run) = home.json(&["run", "container.kill", it.name(), "--plan", hash, "--json"]);
    assert_eq!((code, run["outcome"].as_str()), (0, Some("succeeded")), "{run}");
}

#[test]
fn a_removed_container_leaves_its_log_and_its_volumes() {
    let Some(engine) = bed::engine() else { return };
    let it = engine.run("gone", |spec| {
        spec.shell("echo remember me; sleep inf").with(|body| body.volumes = Some(vec!["/data".to_owned()]))
    });
    wait_until(bed::DEADLINE, "it has written", || (!it.logs().is_empty()).then_some(()));
    let volume = it.inspect().mounts.unwrap()[0].name.clone().unwrap();
    let home = home(&engine);
    let plan = planned(&home, &["container.remove", it.name()]);
    assert_eq!(plan["risk"], "disruptive");
    let with = format!("volumes {}", it.name());
    let data = planned(&home, &["container.remove", it.name(), "--with", &with]);
    assert_eq!(data["risk"], "destructive");
    home.run(&["run", "container.remove", it.name(), "--with", &with, "--yes"]).refused(4, &volume);

    let (code, run) = run(&home, &["container.remove", it.name()]);
    assert_eq!((code, run["outcome"].as_str()), (0, Some("succeeded")), "{run}");
    let gone = engine.block_on(engine.docker().inspect_container(it.id(), None));
    assert!(gone.is_err());
    let log = home.state().join("runs").join(run["run"].as_str().unwrap()).join(format!("{}.log", it.name()));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("remember me"), "{log:?}");
    assert!(engine.block_on(engine.docker().inspect_volume(&volume)).is_ok(), "its volume stays");
    engine
        .block_on(engine.docker().remove_volume(&volume, None::<bollard::query_parameters::RemoveVolumeOptions>))
        .unwrap();
    let journal = home.run(&["journal"]).out;
    assert!(journal.contains("container.remove") && journal.contains("succeeded"), "{journal}");
}
