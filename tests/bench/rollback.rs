//! Measures a roll back to an image that is kept: from the start of `hostler run container.rollback` until the old version
//! runs, beside the bare calls to the engine that it takes (stop, create, rename, start); the difference is hostler's own
//! share. Then the same of a model's name at a real Ollama: until the name means the old version, beside the one call that
//! it takes; the generation that follows is left out.
//!
//! `tests/run --exec cargo bench --bench rollback`: it needs the private engine of the test bed. Nothing is asserted; the
//! lines are the result.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads clocks, and uses a part of the bed that tests meet"
)]

#[path = "../all"]
mod all {
    pub(crate) mod bed;
}

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use all::bed::{self, Container, Engine, OllamaServer, Restart};
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptions, TagImageOptionsBuilder,
};
use hostler::domain::{kept_name, kept_repository};
use jiff::Timestamp;

const ROUNDS: usize = 10;
/// Names that the Ollama holds beside.
const NAMES: usize = 100;
/// Ends as soon as it is asked to, as the first process of a container must say itself.
const SCRIPT: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
const IMAGE: &str = "hostler-bench-rollback";
const RUN: &str = "20260101-000000-0001";

fn main() {
    models();
    let Some(engine) = bed::engine() else { return };
    let ours: Vec<Duration> = (0..ROUNDS).map(|_| rolled_back(&engine)).collect();
    let bare: Vec<Duration> = (0..ROUNDS).map(|_| bare(&engine)).collect();
    println!("| until the old version runs | least | median | most |");
    println!("|---|---|---|---|");
    let (ours, bare) = (row("`hostler run container.rollback`", ours), row("the engine's calls alone", bare));
    println!("| hostler's own share | | {} ms | |", ours.saturating_sub(bare).as_millis());
    for version in ["1", "2"] {
        engine.forget_image(&format!("{IMAGE}:{version}"));
    }
}

/// Rolls the name of a model back at a real Ollama that holds [`NAMES`] other ones.
fn models() {
    let (Some(server), Some(weights)) = (bed::ollama(), bed::weights()) else { return };
    server.create("one", &weights, "One.");
    server.create("two", &weights, "Two.");
    for number in 0..NAMES {
        server.copy("one", &format!("other:{number}"));
    }
    let (ours, bare): (Vec<Duration>, Vec<Duration>) = (0..ROUNDS).map(|_| named_back(&server)).unzip();
    println!("| until the name means the old version | least | median | most |");
    println!("|---|---|---|---|");
    row("`hostler run model.rollback`", ours);
    row("Ollama's call alone", bare);
    println!();
}

/// Once with hostler, and once by the bare call.
fn named_back(server: &OllamaServer) -> (Duration, Duration) {
    server.copy("one", "chat:latest-hostler-previous-1");
    server.copy("two", "chat");
    let home = tempfile::tempdir().unwrap();
    let target = format!("ollama:{}/chat", server.address().port());
    let mut command = Command::new(bed::hostler());
    command.args(["run", "model.rollback", &target, "--yes", "--state-dir"]).arg(home.path().join("state"));
    let began = Timestamp::now();
    // It ends with a failure: nothing generates there.
    command.env("DOCKER_HOST", "unix:///nowhere.sock").env("HOME", home.path()).output().unwrap();
    let mut runs = fs::read_dir(home.path().join("state/runs")).unwrap().map(|entry| entry.unwrap().path());
    let text = fs::read_to_string(runs.find(|path| path.extension().is_some_and(|it| it == "jsonl")).unwrap());
    let text = text.unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut finished = records.filter(|record| record["kind"] == "finished");
    let switched: Timestamp = finished.next().unwrap()["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(server.digest("chat:latest"), server.digest("one:latest"));
    let again = Timestamp::now();
    server.copy("two", "chat");
    (switched.duration_since(began).unsigned_abs(), Timestamp::now().duration_since(again).unsigned_abs())
}

/// Prints the times of one way, and gives their median.
fn row(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let ms = |time: Duration| format!("{} ms", time.as_millis());
    let median = times[times.len() / 2];
    println!("| {what} | {} | {} | {} |", ms(times[0]), ms(median), ms(times[times.len() - 1]));
    median
}

/// A container of the second version. Both are made anew: a roll back gives the second one's name to the first.
fn container(engine: &Engine) -> Container {
    for version in ["1", "2"] {
        engine.import_changed(IMAGE, version, version, &[]);
    }
    let container = engine.run("rollback", |spec| {
        spec.restart(Restart::Always).with(|body| {
            body.image = Some(format!("{IMAGE}:2"));
            body.cmd = Some(["sh", "-c", SCRIPT].map(str::to_owned).to_vec());
        })
    });
    // A container that is a moment old has not come to rest: the engine is still about it.
    std::thread::sleep(Duration::from_millis(500));
    container
}

fn rolled_back(engine: &Engine) -> Duration {
    let container = container(engine);
    let name = container.name();
    let options = TagImageOptionsBuilder::new().repo(&kept_repository(name)).tag(RUN).build();
    engine.block_on(engine.docker().tag_image(&format!("{IMAGE}:1"), Some(options))).unwrap();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    fs::write(&config, "[actions]\nsteady = \"1s\"\n").unwrap();
    let began = Timestamp::now();
    let output = hostler(engine, home.path(), &config, &["run", "container.rollback", name, "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let took = started(engine, name).duration_since(began).unsigned_abs();
    remove(engine, &[name]);
    let images = kept_repository(name);
    let kept = engine.block_on(engine.docker().list_images(None::<bollard::query_parameters::ListImagesOptions>));
    for tag in kept.unwrap().into_iter().flat_map(|image| image.repo_tags) {
        if tag.starts_with(&images) {
            engine.forget_image(&tag);
        }
    }
    took
}

fn hostler(engine: &Engine, home: &Path, config: &Path, args: &[&str]) -> std::process::Output {
    let mut command = Command::new(bed::hostler());
    command.args(args).arg("--config").arg(config).arg("--state-dir").arg(home.join("state"));
    command.env("DOCKER_HOST", engine.endpoint()).env("HOME", home).output().unwrap()
}

/// When the container of this name was started.
fn started(engine: &Engine, name: &str) -> Timestamp {
    let it = engine.block_on(engine.docker().inspect_container(name, None)).unwrap();
    let at = it.state.unwrap().started_at.unwrap();
    at.parse().unwrap()
}

/// Removes the containers whose names begin so: those that a run made are not the bed's.
fn remove(engine: &Engine, names: &[&str]) {
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
    let all = engine.block_on(engine.docker().list_containers(Some(options))).unwrap();
    for name in all.into_iter().flat_map(|one| one.names.unwrap_or_default()) {
        let name = name.trim_start_matches('/').to_owned();
        if names.iter().any(|begin| name.starts_with(begin)) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            engine.block_on(engine.docker().remove_container(&name, Some(options))).unwrap();
        }
    }
}

/// The same by hand: the new container is made, the old one stopped and renamed, the new one started.
fn bare(engine: &Engine) -> Duration {
    let container = container(engine);
    let name = container.name();
    let (new, old) = (format!("{name}-new"), kept_name(name, RUN));
    let body = ContainerCreateBody {
        image: Some(format!("{IMAGE}:1")),
        cmd: Some(["sh", "-c", SCRIPT].map(str::to_owned).to_vec()),
        host_config: container.inspect().host_config,
        ..ContainerCreateBody::default()
    };
    let docker = engine.docker();
    let began = Timestamp::now();
    engine.block_on(async {
        let options = CreateContainerOptionsBuilder::new().name(&new).build();
        docker.create_container(Some(options), body).await.unwrap();
        docker.stop_container(container.id(), None::<StopContainerOptions>).await.unwrap();
        let rename = |to: &str| RenameContainerOptionsBuilder::new().name(to).build();
        docker.rename_container(name, rename(&old)).await.unwrap();
        docker.rename_container(&new, rename(name)).await.unwrap();
        docker.start_container(name, None::<StartContainerOptions>).await.unwrap();
    });
    let took = started(engine, name).duration_since(began).unsigned_abs();
    remove(engine, &[name]);
    took
}
