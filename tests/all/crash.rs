//! Why a container dies: which memory belongs to which run, what is told of its deaths, and what would help. First with
//! made-up events, then with containers that the private engine lets die.

use std::sync::Arc;

use hostler::domain::DockerEventKind::{Die, Kill, Oom, Start, Stop};
use hostler::domain::{ContainerUsage, ContainerUsages, LogLevel, PortReach, PublishedPort, Reading, Sample};
use hostler::store::{Crash, State};

use crate::bed::{self, faults};
use crate::docker::Watcher;
use crate::make::{Script, container, container_id, wall};

const MIB: u64 = 1 << 20;

/// The worker uses so much memory, now.
fn uses(script: &mut Script, bytes: u64) {
    let usage = ContainerUsage { memory_bytes: Reading::Known(bytes), ..ContainerUsage::default() };
    let by_id = [(container_id("worker"), usage)].into();
    script.sample(Sample::Usage(Arc::new(ContainerUsages { by_id, origin: "cgroup v2" })));
}

/// It grows by 10 MiB a second from 100 MiB on, from `start` until it is killed for memory at `end`.
fn grows_and_dies(script: &mut Script, start: u64, end: u64) {
    script.at(start).events("worker", [(Start, start.cast_signed())]);
    for second in start + 1..end {
        script.at(second);
        uses(script, (100 + 10 * (second - start - 1)) * MIB);
    }
    script.at(end).events("worker", [(Oom, end.cast_signed()), (Die { code: 137 }, end.cast_signed())]);
}

fn looping() -> Script {
    let mut script = Script::new();
    script.at(0).memory(0.4);
    script.docker([container("worker").always().limit(512 * MIB).running(0)]);
    for start in [0, 20, 40] {
        grows_and_dies(&mut script, start, start + 20);
    }
    script.at(60).events("worker", [(Start, 60)]);
    script.docker([container("worker").always().limit(512 * MIB).restarted(3).running(60)]);
    script
}

fn crash<'a>(state: &'a State, name: &str) -> Option<Crash<'a>> {
    let container = state.container(&container_id(name)).unwrap();
    state.crash(container, state.now)
}

fn advice(state: &State, name: &str) -> Vec<String> {
    let container = state.container(&container_id(name)).unwrap();
    state.advice(container, state.crash(container, state.now).as_ref())
}

#[test]
fn each_run_has_its_own_memory() {
    let script = looping();
    let crash = crash(&script.state, "worker").unwrap();
    assert_eq!(crash.deaths.len(), 3);
    for (death, start) in crash.deaths.iter().zip([0, 20, 40]) {
        assert_eq!((death.began, death.at), (Some(wall(start)), wall(start + 20)));
        assert_eq!(death.exit.to_string(), "exit code 137 (OOM-killed)");
        assert_eq!(death.ran().unwrap().as_secs(), 20);
        let run = death.run.unwrap();
        assert_eq!(run.last(), Some((wall(start + 19), 280 * MIB)));
        assert_eq!(run.growth().unwrap().from_bytes, 100 * MIB);
    }
    assert_eq!(crash.memory_at_death().map(|(bytes, before)| (bytes, before.as_secs())), Some((280 * MIB, 1)));
    assert_eq!(crash.growth().unwrap().bytes_per_second as u64, 10 * MIB);
}

#[test]
fn a_limit_is_raised_only_after_a_kill_for_memory_and_only_as_far_as_there_is_room() {
    let mut script = looping();
    assert_eq!(
        advice(&script.state, "worker"),
        ["raise the limit to 1.0 GiB (60.0 GiB are free)", "if it goes on growing so, that is full 92 s after a start"]
    );
    script.memory(0.999);
    let told = advice(&script.state, "worker");
    assert_eq!(told[0], "the limit cannot be raised to 1.0 GiB: only 102 MiB are free on this host");

    let mut plain = Script::new();
    plain.at(0).memory(0.4).docker([container("worker").always().limit(512 * MIB).exited(3, 10)]);
    plain.at(10).events("worker", [(Start, 1), (Die { code: 3 }, 10)]);
    assert_eq!(crash(&plain.state, "worker").unwrap().last().unwrap().exit.to_string(), "exit code 3");
    assert!(advice(&plain.state, "worker").is_empty(), "nobody knows");
}

#[test]
fn who_was_stopped_or_is_well_does_not_die() {
    let mut script = Script::new();
    script.at(0).docker([container("web").healthy(), container("job").exited(0, -60)]);
    assert_eq!((crash(&script.state, "web"), crash(&script.state, "job")), (None, None));
    script.at(20).events("web", [(Start, -50), (Kill, 10), (Die { code: 143 }, 11), (Stop, 11)]);
    script.docker([container("web").exited(143, 11)]);
    assert_eq!(crash(&script.state, "web"), None);
}

#[test]
fn what_the_engine_says_of_a_start_leads_to_who_holds_the_port() {
    let port = PublishedPort { host_port: 8080, container_port: 80, protocol: "tcp".to_owned(), reach: PortReach::Any };
    let error = "Bind for 0.0.0.0:8080 failed: port is already allocated";
    let mut script = Script::new();
    script.at(0).docker([
        container("web").exited(128, -5).error(error),
        container("proxy").with(|container| container.ports.push(port)),
    ]);
    assert_eq!(crash(&script.state, "web").unwrap().start_error, Some(error));
    assert_eq!(advice(&script.state, "web"), ["port 8080 is held by proxy: stop that one, or publish another port"]);
}

#[test]
fn the_last_words_are_those_before_death_not_those_of_the_run_after_it() {
    let mut script = Script::new();
    script.at(0).docker([container("worker").always().restarted(1).running(12)]);
    script.at(9).log("worker", LogLevel::Error, "out of memory").log("other", LogLevel::Info, "all is well");
    script.at(12).events("worker", [(Start, 0), (Die { code: 1 }, 10), (Start, 12)]);
    script.at(13).log("worker", LogLevel::Info, "started again");
    let container = script.state.container(&container_id("worker")).unwrap();
    let crash = script.state.crash(container, script.state.now).unwrap();
    let words: Vec<_> = script.state.last_words(container, &crash, 5).iter().map(|line| &*line.text).collect();
    assert_eq!(words, ["out of memory"]);
}

#[test]
fn the_real_engines_dead_are_told_with_their_reason() {
    let Some(engine) = bed::engine() else { return };
    let killed = faults::oom_killed(&engine);
    let looping = engine.run("exits-3", |spec| spec.shell("sleep 0.2; exit 3").restart(bed::Restart::Always));
    let steady = faults::steady(&engine);
    let mut watcher = Watcher::start(engine.endpoint());
    let dead = |state: &State, id: &str, most: usize| {
        let container = state.container(&id.into())?;
        let crash = state.crash(container, state.now)?;
        let last = crash.last().filter(|_| crash.deaths.len() >= most)?;
        let told = (last.exit.to_string(), last.ran().map(|ran| ran.as_secs_f64()));
        Some((told, state.advice(container, Some(&crash))))
    };
    let ((exit, _), advice) = watcher.until("it was killed for memory", |state| dead(state, killed.id(), 1));
    assert_eq!(exit, "exit code 137 (OOM-killed)");
    assert!(advice[0].starts_with("raise the limit to 128 MiB"), "{advice:?}");
    let ((exit, ran), advice) = watcher.until("it died three times", |state| dead(state, looping.id(), 3));
    assert_eq!((exit.as_str(), advice.len()), ("exit code 3", 0));
    assert!(ran.is_some_and(|ran| (0.1..5.0).contains(&ran)), "{ran:?}");
    assert!(dead(watcher.state(), steady.id(), 0).is_none());
}

#[test]
fn an_inspection_tells_of_a_kill_that_no_event_told_of_and_of_that_one_alone() {
    let mut script = Script::new();
    script.at(10).events("worker", [(Start, 0), (Die { code: 137 }, 10)]);
    script.docker([container("worker").always().limit(64 * MIB).oom_killed(10)]);
    script.at(14).events("worker", [(Start, 11), (Die { code: 137 }, 14)]);
    script.docker([container("worker").always().limit(64 * MIB).exited(137, 14)]);
    let crash = crash(&script.state, "worker").unwrap();
    let told: Vec<_> = crash.deaths.iter().map(|death| death.exit.oom_killed).collect();
    assert_eq!(told, [true, false]);
}
