//! Rules about single containers: unhealthy, not running, killed for memory, not startable.
//!
//! **Not running, though it should.** The engine keeps no record of *somebody stopped it*, so this is told from what it
//! does keep (seen with engine 20.10). Under `always`, `unless-stopped` and `on-failure` without a limit it starts again
//! whatever ends by itself, counts that, and lets a container lie only when somebody stopped it or when its new start
//! failed; the second leaves an error behind. Under `on-failure:3` it also gives up once its counter reads 3. A manual
//! start sets the counter back. So a container that lies there is a finding when
//! - its last start failed (an error is there), or
//! - it failed and its attempts are used up, unless events say that its last end was asked for, or
//! - events say that its last end was *not* asked for and the engine never tried to start it again, as with Podman, or
//!   with a policy that was given to it later. (With a counter above 0 the engine did try: somebody ended the waiting,
//!   which `docker kill` does without an event.)
//!
//! In every other case it was stopped by somebody, or has done its work, and is left alone: a false alarm about a
//! container that was stopped on purpose would be there every day.

use jiff::Timestamp;

use super::{Rule, counted, observation};
use crate::domain::{
    Container, ContainerState, Exit, FindingId, HealthState, Moment, Observation, RestartPolicy, Severity, SourceId,
    units,
};
use crate::store::{State, Track};

/// A failing health check.
pub(super) const UNHEALTHY: Rule = Rule {
    id: "container.unhealthy",
    title: "Failing health checks",
    why: "The process runs, but the service that it should give does not answer its own check.",
    fix: &["container.restart", "container.rollback"],
    reads: Some(SourceId::Docker),
    assess: |state, _, assessment| {
        assessment.observations.extend(state.current_containers().filter_map(|container| unhealthy(container)));
    },
};

/// Not running though its restart policy says it should and nobody stopped it.
pub(super) const EXITED: Rule = Rule {
    id: "container.exited",
    title: "Containers that should run",
    why: "Its restart policy promises that it runs; it does not, and nobody stopped it.",
    fix: &["container.start"],
    reads: Some(SourceId::Docker),
    assess: |state, _, assessment| {
        assessment.observations.extend(state.current_containers().filter_map(|container| exited(state, container)));
    },
};

/// Killed for memory, whatever its policy.
pub(super) const OOM: Rule = Rule {
    id: "container.oom",
    title: "Killed for memory",
    why: "The kernel ended a process that wanted more memory than its limit or the machine has; it will want it again.",
    fix: &["container.restart"],
    reads: Some(SourceId::Docker),
    assess: |state, at, assessment| {
        // On most boxes nothing was ever killed, which spares a look at each container's track.
        let any = state.tracks.values().any(|track| !track.ooms.is_empty());
        let suspects = state.current_containers().filter(|container| any || container.last_exit.is_some());
        assessment.observations.extend(suspects.filter_map(|container| killed_for_memory(state, container, at)));
    },
};

/// Created, and the engine says why it could not start.
pub(super) const START_FAILED: Rule = Rule {
    id: "container.start-failed",
    title: "Containers that cannot start",
    why: "It was made to run and never did; the engine keeps the reason.",
    fix: &["container.start"],
    reads: Some(SourceId::Docker),
    assess: |state, _, assessment| {
        assessment
            .observations
            .extend(state.current_containers().filter_map(|container| start_failed(state, container)));
    },
};

fn unhealthy(container: &Container) -> Option<Observation> {
    let health = container.health.as_ref().filter(|health| health.state == HealthState::Unhealthy)?;
    if !container.state.is_up() {
        return None;
    }
    let streak = format!("{} in a row", counted(health.failing_streak.into(), "failed probe"));
    let output = health.last_output.clone().filter(|output| !output.is_empty());
    Some(Observation {
        evidence: std::iter::once(streak).chain(output).collect(),
        since: health.failing_since,
        ..about(UNHEALTHY.id, container, Severity::Warning, "health check fails")
    })
}

fn exited(state: &State, container: &Container) -> Option<Observation> {
    let policy = container.restart_policy;
    if container.state != ContainerState::Exited || policy == RestartPolicy::No {
        return None;
    }
    let track = state.tracks.get(&container.id);
    let exit = last_exit(container, track);
    let code = exit.map_or(0, |exit| exit.code);
    let retries = match policy {
        RestartPolicy::OnFailure(most) if most > 0 => Some(most),
        _ => None,
    };
    let gave_up = retries.is_some_and(|most| container.restart_count >= most);
    let done = matches!(policy, RestartPolicy::OnFailure(_)) && code == 0;
    let asked = track.and_then(|track| track.stop_was_asked(container.last_exit.and_then(|exit| exit.at)));
    let missed = match asked {
        _ if container.start_error.is_some() => true,
        _ if done => false,
        Some(true) => false,
        Some(false) => gave_up || container.restart_count == 0,
        None => gave_up,
    };
    missed.then(|| {
        let attempts = retries.filter(|_| gave_up).map(|most| format!("{} used up", counted(most.into(), "restart")));
        let mut evidence: Vec<String> = container.start_error.clone().into_iter().collect();
        evidence.extend(exit.map(|exit| exit.to_string()));
        evidence.push(format!("restart policy {policy}"));
        evidence.extend(attempts);
        Observation {
            evidence,
            since: exit.and_then(|exit| exit.at),
            ..about(EXITED.id, container, Severity::Critical, "not running")
        }
    })
}

/// Within the window after the last kill; or for as long as it lies where the kill left it, so that the reason does not
/// go away while its effect is still there.
fn killed_for_memory(state: &State, container: &Container, at: Moment) -> Option<Observation> {
    let recent = |instant: &Timestamp| at.since_wall(*instant) <= state.thresholds.oom_window;
    let track = state.tracks.get(&container.id);
    let exit = last_exit(container, track).filter(|exit| exit.oom_killed);
    let exited = exit.and_then(|exit| exit.at);
    let first = track.into_iter().flat_map(|track| &track.ooms).find(|oom| recent(oom)).copied();
    let lies = exit.is_some() && matches!(container.state, ContainerState::Exited | ContainerState::Dead);
    if !lies && first.is_none() && !exited.is_some_and(|at| recent(&at)) {
        return None;
    }
    let what = exit.map_or_else(|| "a process in it was killed".to_owned(), |exit| exit.to_string());
    let limit = memory_limit(container).unwrap_or_else(|| "no memory limit of its own".to_owned());
    Some(Observation {
        evidence: vec![what, limit],
        since: first.into_iter().chain(exited).min(),
        ..about(OOM.id, container, Severity::Critical, "killed for memory")
    })
}

fn start_failed(state: &State, container: &Container) -> Option<Observation> {
    let error = container.start_error.as_ref().filter(|_| container.state == ContainerState::Created)?;
    let told = state.tracks.get(&container.id).and_then(|track| track.exits.back()).map(|exit| exit.at);
    Some(Observation {
        evidence: vec![error.clone()],
        // A start that failed leaves no time behind; it has not run since it was made.
        since: told.or(container.created),
        ..about(START_FAILED.id, container, Severity::Critical, "could not start")
    })
}

/// An observation about a container; its logs show more.
pub(super) fn about(id: FindingId, container: &Container, severity: Severity, title: &str) -> Observation {
    Observation {
        container: Some(container.id.clone()),
        project: container.project.clone(),
        service: container.service.clone(),
        look: &["logs"],
        ..observation(id, container.name.clone(), severity, title)
    }
}

/// `limit 512 MiB`, where there is one.
pub(super) fn memory_limit(container: &Container) -> Option<String> {
    container.memory_limit_bytes.map(|limit| format!("limit {}", units::bytes(limit)))
}

/// How its last run ended, from the event where one tells of it: while a new run goes on, an inspection shows the code
/// of that one, which is 0, and no longer says what killed the last.
pub(super) fn last_exit(container: &Container, track: Option<&Track>) -> Option<Exit> {
    let inspected = container.last_exit;
    let told = match inspected.and_then(|exit| exit.at) {
        Some(finished) => track.and_then(|track| track.exit_near(finished)),
        None => track.and_then(|track| track.exits.back().copied()),
    };
    match (told, track) {
        (Some(told), Some(track)) => {
            let oom_killed = track.oom_near(told.at) || inspected.is_some_and(|exit| exit.oom_killed);
            Some(Exit { code: told.code, oom_killed, at: Some(told.at) })
        }
        _ => inspected.filter(|exit| !container.state.is_up() || exit.code != 0 || exit.oom_killed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DockerEventKind::{Die, Kill, Oom, Start, Stop};
    use crate::make::{Script, container, wall};

    #[test]
    fn a_failing_health_check_is_a_warning_with_what_it_printed() {
        let mut script = Script::new();
        script
            .at(100)
            .docker([container("web").unhealthy(5, "connect: refused", 40), container("db").healthy()])
            .assess();
        assert_eq!(script.open(), ["container.unhealthy web"]);
        let finding = script.finding("container.unhealthy", "web");
        assert_eq!(finding.seen.evidence, ["5 failed probes in a row", "connect: refused"]);
        assert_eq!((finding.seen.severity, finding.since), (Severity::Warning, wall(40)));
    }

    #[test]
    fn a_health_check_is_told_of_what_runs_only() {
        let mut script = Script::new();
        script.at(0).docker([container("web").unhealthy(5, "", -9).exited(0, -5)]).assess();
        assert!(script.open().is_empty());
    }

    /// What the first look alone says of a container that lies there, by its policy and its last exit.
    #[test]
    fn what_lies_there_is_judged_without_events() {
        let cases = [
            ("a one-shot", container("a").exited(1, -60), false),
            ("work done", container("a").on_failure(3).exited(0, -60), false),
            ("attempts used up", container("a").on_failure(3).restarted(3).exited(1, -60), true),
            ("stopped before", container("a").on_failure(3).restarted(1).exited(143, -60), false),
            ("stopped", container("a").always().exited(137, -60), false),
            ("its new start failed", container("a").always().exited(128, -60).error("port is already allocated"), true),
            ("paused", container("a").always().state(ContainerState::Paused), false),
            ("never started", container("a").always().state(ContainerState::Created), false),
        ];
        for (what, container, named) in cases {
            let mut script = Script::new();
            script.at(0).docker([container]).assess();
            let expected: &[&str] = if named { &["container.exited a"] } else { &[] };
            assert_eq!(script.open(), expected, "{what}");
        }
    }

    #[test]
    fn the_evidence_names_code_policy_and_attempts() {
        let mut script = Script::new();
        script.at(0).docker([container("a").on_failure(3).restarted(3).exited(1, -60)]).assess();
        let finding = script.finding("container.exited", "a");
        assert_eq!(finding.seen.title, "not running");
        assert_eq!(finding.seen.evidence, ["exit code 1", "restart policy on-failure:3", "3 restarts used up"]);
        assert_eq!(finding.since, wall(-60));
    }

    #[test]
    fn a_stop_that_was_asked_for_is_no_finding() {
        for asked in [vec![(Kill, 10), (Die { code: 137 }, 20), (Stop, 20)], vec![(Kill, 10), (Die { code: 137 }, 10)]]
        {
            let mut script = Script::new();
            script.at(0).docker([container("a").on_failure(1).restarted(1)]).assess();
            script
                .at(21)
                .events("a", asked)
                .docker([container("a").on_failure(1).restarted(1).exited(137, 20)])
                .assess();
            assert!(script.open().is_empty());
        }
    }

    #[test]
    fn an_exit_that_nobody_asked_for_is_a_finding_once_the_engine_lets_it_lie() {
        let mut script = Script::new();
        script.at(0).docker([container("a").always()]).assess();
        script.at(21).events("a", [(Die { code: 1 }, 20)]).docker([container("a").always().exited(1, 20)]).assess();
        assert_eq!(script.open(), ["container.exited a"]);
        script.at(30).events("a", [(Start, 30)]).docker([container("a").always()]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_kill_while_it_waits_for_its_next_start_leaves_no_event_and_is_no_finding() {
        let mut script = Script::new();
        let crashes = [(Start, 0), (Die { code: 3 }, 1), (Start, 2), (Die { code: 3 }, 3)];
        script.at(9).events("a", crashes).docker([container("a").always().restarted(2).exited(3, 3)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn an_older_exit_says_nothing_about_a_stop_that_events_missed() {
        let mut script = Script::new();
        script
            .at(0)
            .docker([container("a").always().restarted(1)])
            .events("a", [(Start, -90), (Die { code: 1 }, -80), (Start, -79)]);
        script.at(500).docker([container("a").always().restarted(1).exited(143, 400)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_stop_while_it_waits_for_its_next_start_is_seen_without_an_exit() {
        let mut script = Script::new();
        let lies = container("a").always().restarted(1).exited(1, 10);
        script.at(40).events("a", [(Start, 0), (Die { code: 1 }, 10), (Stop, 35)]).docker([lies]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_kill_for_memory_is_named_whatever_the_policy() {
        let mut script = Script::new();
        script.at(0).docker([container("job").limit(512 << 20).oom_killed(-60)]).assess();
        assert_eq!(script.open(), ["container.oom job"]);
        let finding = script.finding("container.oom", "job");
        assert_eq!(finding.seen.evidence, ["exit code 137 (OOM-killed)", "limit 512 MiB"]);
        assert_eq!(finding.since, wall(-60));
        // It lies where the kill left it: that lasts.
        script.at(7200).docker([container("job").limit(512 << 20).oom_killed(-60)]).assess();
        assert_eq!(script.open(), ["container.oom job"]);
    }

    #[test]
    fn a_kill_is_told_for_an_hour_after_it_runs_again() {
        let mut script = Script::new();
        let runs = || container("a").always().restarted(1).running(11);
        script.at(20).events("a", [(Oom, 10), (Die { code: 137 }, 10), (Start, 11)]).docker([runs()]).assess();
        assert_eq!(script.open(), ["container.oom a"]);
        let evidence = script.finding("container.oom", "a").seen.evidence;
        assert_eq!(evidence, ["exit code 137 (OOM-killed)", "no memory limit of its own"]);
        script.at(3610).docker([runs()]).assess();
        assert_eq!(script.open(), ["container.oom a"]);
        script.at(3611).docker([runs()]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_killed_child_of_a_container_that_runs_on_counts() {
        let mut script = Script::new();
        script.at(20).events("a", [(Oom, 10)]).docker([container("a")]).assess();
        assert_eq!(script.finding("container.oom", "a").seen.evidence[0], "a process in it was killed");
    }

    #[test]
    fn what_was_made_and_could_not_start_says_why() {
        let mut script = Script::new();
        let error = "exec: \"/nope\": no such file or directory";
        let failed = || container("a").state(ContainerState::Created).error(error);
        script.at(0).docker([failed(), container("b").state(ContainerState::Created)]).assess();
        assert_eq!(script.open(), ["container.start-failed a"]);
        let finding = script.finding("container.start-failed", "a");
        assert_eq!((finding.seen.title.as_str(), finding.since), ("could not start", wall(-86_400)));
        assert_eq!(finding.seen.evidence, [error]);
    }

    #[test]
    fn compose_names_are_fields_of_their_own() {
        let mut script = Script::new();
        script.at(0).docker([container("agents-web-1").project("agents", "web").unhealthy(3, "", 0)]).assess();
        let seen = script.finding("container.unhealthy", "agents-web-1").seen;
        assert_eq!((seen.project.as_deref(), seen.service.as_deref()), (Some("agents"), Some("web")));
        assert_eq!(seen.look, ["logs"]);
    }
}
