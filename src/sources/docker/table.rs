//! The containers as they are known now, and what events add to inspections.
//!
//! An inspection of a container that is up again has forgotten how its last run ended, and a health check's log holds five
//! probes only. Both are remembered here from what came before.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{
    Container, ContainerId, DockerEvent, DockerEventKind, DockerSample, EngineInfo, Exit, Health, HealthState,
};
use crate::host::Inspected;

/// Every container that the engine has.
pub(super) struct Table {
    engine: EngineInfo,
    containers: HashMap<ContainerId, Arc<Container>>,
    runs: HashMap<ContainerId, Run>,
    /// The whole as it was last asked for; `None` since something changed.
    sample: Option<Arc<DockerSample>>,
}

/// What events told of a container's last runs.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    /// A process of the present run was killed for memory.
    oom: bool,
    ended: Option<Exit>,
}

impl Table {
    /// The engine's times of one end, in the event and in the inspection, differ by less than this.
    const SAME_END: Duration = Duration::from_secs(2);

    pub(super) fn new(engine: EngineInfo) -> Self {
        Self { engine, containers: HashMap::new(), runs: HashMap::new(), sample: None }
    }

    /// Takes note of an event, before the inspection that it leads to.
    pub(super) fn happened(&mut self, event: &DockerEvent) {
        let run = self.runs.entry(event.id.clone()).or_default();
        match event.kind {
            DockerEventKind::Start => run.oom = false,
            DockerEventKind::Oom => run.oom = true,
            DockerEventKind::Die { code } => {
                run.ended = Some(Exit { code, oom_killed: run.oom, at: Some(event.at) });
            }
            _ => {}
        }
    }

    /// Takes an inspection in.
    pub(super) fn put(&mut self, inspected: Inspected, cgroup: Option<String>) {
        let Inspected { mut container, finished } = inspected;
        let known = self.containers.get(&container.id);
        container.cgroup = cgroup;
        if container.state.is_up() {
            container.last_exit = finished.and_then(|at| self.exit_at(&container.id, at));
        }
        if let Some((now, before)) = container.health.as_mut().zip(known.and_then(|known| known.health.as_ref())) {
            keep_since(now, before);
        }
        if known.is_none_or(|known| **known != container) {
            self.containers.insert(container.id.clone(), Arc::new(container));
            self.sample = None;
        }
    }

    /// How the run that ended at `at` ended: as it was inspected while the container was down, or as events told.
    fn exit_at(&self, id: &ContainerId, at: Timestamp) -> Option<Exit> {
        let inspected = self.containers.get(id).and_then(|known| known.last_exit).filter(|exit| exit.at == Some(at));
        inspected.or_else(|| {
            let told = self.runs.get(id)?.ended?;
            let apart = at.duration_since(told.at?).unsigned_abs();
            (apart < Self::SAME_END).then_some(Exit { at: Some(at), ..told })
        })
    }

    /// Takes out a container that the engine does not have any more.
    pub(super) fn remove(&mut self, id: &ContainerId) {
        self.runs.remove(id);
        if self.containers.remove(id).is_some() {
            self.sample = None;
        }
    }

    /// Compares with a list: takes out what is not in it, and returns what must be inspected (again).
    pub(super) fn compare(&mut self, listed: &[Container]) -> Vec<ContainerId> {
        let there: HashSet<_> = listed.iter().map(|container| &container.id).collect();
        let before = self.containers.len();
        self.containers.retain(|id, _| there.contains(id));
        self.runs.retain(|id, _| there.contains(id));
        if self.containers.len() != before {
            self.sample = None;
        }
        listed
            .iter()
            .filter(|now| self.containers.get(&now.id).is_none_or(|known| !agrees(known, now)))
            .map(|now| now.id.clone())
            .collect()
    }

    /// Containers whose inspection changes without an event: the streak of a failing health check grows in silence.
    pub(super) fn unsettled(&self) -> Vec<ContainerId> {
        self.containers
            .values()
            .filter(|container| {
                container.state.is_up()
                    && container.health.as_ref().is_some_and(|health| health.state != HealthState::Healthy)
            })
            .map(|container| container.id.clone())
            .collect()
    }

    /// Whether something changed since [`Self::sample`] was last asked for.
    pub(super) fn is_changed(&self) -> bool {
        self.sample.is_none()
    }

    /// All containers, by project and name.
    pub(super) fn sample(&mut self) -> Arc<DockerSample> {
        let sample = self.sample.get_or_insert_with(|| {
            let mut containers: Vec<_> = self.containers.values().cloned().collect();
            containers.sort_by(|a, b| (&a.project, &a.name, &a.id).cmp(&(&b.project, &b.name, &b.id)));
            Arc::new(DockerSample { engine: self.engine.clone(), containers })
        });
        Arc::clone(sample)
    }
}

/// Whether a list says of a container what is known of it.
fn agrees(known: &Container, listed: &Container) -> bool {
    let word = |container: &Container| container.health.as_ref().map(|health| health.state);
    known.name == listed.name
        && known.state == listed.state
        // A container that is down has health and ports in one of the two only.
        && (!known.state.is_up() || (word(known) == word(listed) && known.ports == listed.ports))
}

/// Keeps the start of a streak of failures that has left the engine's log of probes.
fn keep_since(now: &mut Health, before: &Health) {
    let goes_on = before.failing_streak > 0 && now.failing_streak >= before.failing_streak;
    if let (true, Some(since)) = (goes_on, before.failing_since) {
        now.failing_since = now.failing_since.map(|first| first.min(since));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ContainerState, RestartPolicy};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_458_800 + second).unwrap()
    }

    fn container(id: &str, state: ContainerState) -> Container {
        Container {
            mounts: Vec::new(),
            id: id.into(),
            name: format!("name-{id}").into(),
            project: None,
            service: None,
            image: "bb:1".to_owned(),
            image_id: "sha256:1".to_owned(),
            state,
            health: None,
            restart_count: 0,
            restart_policy: RestartPolicy::No,
            pid: None,
            created: None,
            started: None,
            last_exit: None,
            start_error: None,
            memory_limit_bytes: None,
            cpu_limit: None,
            ports: Vec::new(),
            log_driver: String::new(),
            log_path: None,
            tty: false,
            cgroup: None,
            wants_gpu: false,
        }
    }

    fn inspected(container: Container) -> Inspected {
        Inspected { finished: container.last_exit.and_then(|exit| exit.at), container }
    }

    fn event(id: &str, kind: DockerEventKind, second: i64) -> DockerEvent {
        DockerEvent { id: id.into(), kind, at: at(second) }
    }

    fn table(containers: impl IntoIterator<Item = Container>) -> Table {
        let mut table = Table::new(EngineInfo::default());
        for container in containers {
            table.put(inspected(container), None);
        }
        table
    }

    fn only(table: &mut Table) -> Container {
        let sample = table.sample();
        assert_eq!(sample.containers.len(), 1);
        (*sample.containers[0]).clone()
    }

    #[test]
    fn what_did_not_change_is_the_same_value() {
        let mut table = table([container("a", ContainerState::Running)]);
        let before = table.sample();
        table.put(inspected(container("a", ContainerState::Running)), None);
        assert!(!table.is_changed());
        assert!(Arc::ptr_eq(&before, &table.sample()));
        table.put(inspected(container("a", ContainerState::Paused)), None);
        assert!(table.is_changed());
    }

    #[test]
    fn the_exit_of_a_container_that_is_up_again_is_told_by_events() {
        let mut table = table([container("a", ContainerState::Running)]);
        table.happened(&event("a", DockerEventKind::Oom, 9));
        table.happened(&event("a", DockerEventKind::Die { code: 137 }, 10));
        table.happened(&event("a", DockerEventKind::Start, 11));
        let again = Inspected { container: container("a", ContainerState::Running), finished: Some(at(10)) };
        table.put(again.clone(), None);
        let exit = only(&mut table).last_exit.unwrap();
        assert_eq!((exit.code, exit.oom_killed), (137, true));
        // An end that no event told of stays unknown: its code in the inspection is that of the start.
        table.put(Inspected { finished: Some(at(60)), ..again }, None);
        assert_eq!(only(&mut table).last_exit, None);
    }

    #[test]
    fn the_exit_of_a_container_that_was_seen_down_is_kept() {
        let exit = Exit { code: 3, oom_killed: false, at: Some(at(10)) };
        let mut down = container("a", ContainerState::Exited);
        down.last_exit = Some(exit);
        let mut table = table([down]);
        table.put(Inspected { container: container("a", ContainerState::Running), finished: exit.at }, None);
        assert_eq!(only(&mut table).last_exit, Some(exit));
    }

    #[test]
    fn a_streak_keeps_its_start_beyond_the_log_of_probes() {
        let sick = |streak, since| {
            let mut sick = container("a", ContainerState::Running);
            sick.health = Some(Health {
                state: HealthState::Unhealthy,
                failing_streak: streak,
                last_output: None,
                failing_since: Some(since),
            });
            sick
        };
        let since = |table: &mut Table| only(table).health.unwrap().failing_since;
        let mut table = table([sick(5, at(0))]);
        table.put(inspected(sick(9, at(40))), None);
        assert_eq!(since(&mut table), Some(at(0)));
        table.put(inspected(sick(1, at(90))), None);
        assert_eq!(since(&mut table), Some(at(90)));
        assert_eq!(table.unsettled(), [ContainerId::from("a")]);
    }

    #[test]
    fn a_list_names_what_must_be_inspected() {
        let mut table = table([
            container("same", ContainerState::Running),
            container("stopped", ContainerState::Running),
            container("gone", ContainerState::Exited),
        ]);
        let listed = [
            container("same", ContainerState::Running),
            container("stopped", ContainerState::Exited),
            container("new", ContainerState::Created),
        ];
        let mut again = table.compare(&listed);
        again.sort();
        assert_eq!(again, ["new", "stopped"].map(ContainerId::from));
        let names: Vec<_> = table.sample().containers.iter().map(|it| it.name.clone()).collect();
        assert_eq!(names, ["name-same", "name-stopped"].map(Arc::from));
    }
}
