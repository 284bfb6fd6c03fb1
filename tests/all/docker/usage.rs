//! What containers use: from the kernel's files of both versions, and from the engine where these cannot be read.

use std::fs::{create_dir_all, write};
use std::path::Path;

use hostler::domain::ContainerUsage;
use hostler::host::Ports;
use hostler::store::State;
use tempfile::TempDir;

use super::container;
use super::watcher::Watcher;
use crate::bed::{self, Container, Engine, faults};

/// A container that keeps one processor busy.
fn busy(engine: &Engine) -> Container {
    engine.run("busy", |spec| spec.shell("while :; do :; done"))
}

fn usage(state: &State, of: &Container) -> Option<ContainerUsage> {
    state.usage.get()?.by_id.get(&of.id().into()).cloned()
}

#[test]
fn the_kernel_counts_what_containers_use() {
    let Some(engine) = bed::engine() else { return };
    let (busy, idle) = (busy(&engine), faults::steady(&engine));
    let down = faults::completed(&engine);
    let mut watcher = Watcher::start(engine.endpoint());
    let worked = watcher.until("the busy one is seen at work", |state| {
        usage(state, &busy).filter(|usage| usage.cpu_cores.get().is_some_and(|cores| cores > 0.05))
    });
    assert!(worked.cpu_cores.get().unwrap() < 1.5, "{worked:?}");
    assert_eq!(worked.pids.get(), Some(1));
    let rested = watcher.until("the idle one is seen at rest", |state| {
        usage(state, &idle).filter(|usage| usage.cpu_cores.get().is_some_and(|cores| cores < 0.02))
    });
    let memory = rested.memory_bytes.get().unwrap();
    assert!((1..8 << 20).contains(&memory), "{memory} bytes");
    let origin = watcher.state().usage.get().unwrap().origin;
    assert!(origin.starts_with("cgroup v"), "{origin}");
    watcher.until("the other one has ended", |state| container(state, down.id())?.last_exit);
    watcher.until("it uses nothing any more", |state| usage(state, &down).is_none().then_some(()));

    engine.block_on(engine.docker().pause_container(idle.id())).unwrap();
    watcher.until("a paused container has no entry", |state| usage(state, &idle).is_none().then_some(()));
    engine.block_on(engine.docker().unpause_container(idle.id())).unwrap();
}

/// A root on which the processes of containers cannot be seen, as with an engine elsewhere.
#[test]
fn the_engine_is_asked_where_the_kernel_cannot_be() {
    let Some(engine) = bed::engine() else { return };
    let busy = busy(&engine);
    let root = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::with(&Ports::new(root.path()), Some(engine.endpoint()));
    let worked = watcher.until("the engine tells what the busy one does", |state| {
        usage(state, &busy).filter(|usage| usage.cpu_cores.get().is_some_and(|cores| cores > 0.05))
    });
    assert!(worked.memory_bytes.get().is_some_and(|bytes| bytes > 0));
    assert_eq!(worked.pids.get(), Some(1));
    assert_eq!(watcher.state().usage.get().unwrap().origin, "stats API");
}

/// A machine with version 2 for the processes of one container.
struct Unified {
    root: TempDir,
    group: String,
}

impl Unified {
    fn new(id: &str, pid: i64) -> Self {
        let unified = Self { root: tempfile::tempdir().unwrap(), group: format!("system.slice/docker-{id}.scope") };
        unified.file(
            "proc/self/mountinfo",
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        unified.file(&format!("proc/{pid}/cgroup"), &format!("0::/{}\n", unified.group));
        unified
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        write(path, text).unwrap();
    }

    fn counter(&self, name: &str, text: &str) {
        self.file(&format!("sys/fs/cgroup/{}/{name}", self.group), text);
    }

    fn counters(&self, usage_usec: u64) {
        self.counter("cpu.stat", &format!("usage_usec {usage_usec}\nuser_usec 1\nsystem_usec 1\n"));
    }
}

#[test]
fn version_2_is_read_below_another_root() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let unified = Unified::new(steady.id(), steady.state().pid.unwrap());
    unified.counters(5_000_000);
    unified.counter("memory.current", "104857600\n");
    unified.counter("memory.stat", "anon 1\nfile 2\ninactive_file 4857600\n");
    unified.counter("pids.current", "7\n");
    let mut watcher = Watcher::with(&Ports::new(unified.root.path()), Some(engine.endpoint()));
    let first = watcher.until("it is read", |state| usage(state, &steady));
    assert_eq!(watcher.state().usage.get().unwrap().origin, "cgroup v2");
    assert_eq!(first.memory_bytes.get(), Some(100_000_000));
    assert_eq!(first.pids.get(), Some(7));
    let cgroup = container(watcher.state(), steady.id()).unwrap().cgroup.clone();
    assert_eq!(cgroup, Some(format!("/{}", unified.group)));
    watcher.until("it rests", |state| (usage(state, &steady)?.cpu_cores.get()? == 0.0).then_some(()));
    // The same file is read again through its open handle.
    unified.counters(6_000_000);
    watcher.until("it worked for a second", |state| (usage(state, &steady)?.cpu_cores.get()? > 0.5).then_some(()));
    unified.counter("memory.stat", "anon 1\nfile 2\ninactive_file 0\n");
    watcher.until("its cache is read again in its turn", |state| {
        (usage(state, &steady)?.memory_bytes.get()? == 104_857_600).then_some(())
    });
}

/// Without delegation a rootless engine's containers have groups that count no memory.
#[test]
fn half_a_group_is_none() {
    let Some(engine) = bed::engine() else { return };
    let steady = faults::steady(&engine);
    let unified = Unified::new(steady.id(), steady.state().pid.unwrap());
    unified.counters(1);
    let mut watcher = Watcher::with(&Ports::new(unified.root.path()), Some(engine.endpoint()));
    let told = watcher.until("the engine is asked instead", |state| {
        usage(state, &steady).filter(|usage| usage.memory_bytes.known().is_some())
    });
    assert!(told.memory_bytes.get().is_some_and(|bytes| bytes > 0));
}
