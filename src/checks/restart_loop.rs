//! The rule about containers that start again and again.
//!
//! The state word says `running` in most of a loop, so it is told from exits and from the engine's restart counter:
//! 1. so many restarts within the window, by events (live, or remembered by the engine) or by the counter's growth;
//! 2. two runs within half an hour that were never ready, for what loads for minutes before it serves;
//! 3. while the window is not seen in full yet, two things that the engine keeps of the time before: the counter over
//!    the container's whole life, and the pause before a start, which doubles from 0.1 s up to a minute as long as runs
//!    last less than ten seconds (moby, `restartmanager`). A manual start sets counter and pause back, so both speak of
//!    the engine's own restarts only.
//!
//! An open finding stays until the container was stable for a while. Policy `no` never loops: somebody else starts it.

use std::time::Duration;

use jiff::Timestamp;

use super::container::{about, last_exit, memory_limit};
use super::{Assessment, Rule, counted};
use crate::domain::{Container, ContainerState, Moment, Observation, RestartPolicy, Severity, SourceId, Unit, units};
use crate::store::{State, Track};

/// Containers that start again and again.
pub(super) const RESTART_LOOP: Rule = Rule {
    id: "container.restart-loop",
    title: "Restart loops",
    why: "A container that dies and is started again looks as if it ran, and does no work.",
    fix: &["container.restart", "container.rollback"],
    reads: Some(SourceId::Docker),
    assess: |state, at, assessment| {
        for container in state.current_containers().filter(|container| may_loop(container)) {
            let track = state.tracks.get(&container.id);
            // Most containers never ended: nothing to weigh.
            if let Some(track) = track.filter(|track| container.restart_count > 0 || !track.exits.is_empty()) {
                Case { state, at, container, track }.judge(assessment);
            }
        }
    },
};

/// Runs that ended before it was ever ready: so many, within so long, are a loop.
const UNREADY_EXITS: u32 = 2;
const UNREADY_WINDOW: Duration = Duration::from_mins(30);

/// The engine's pause before a start is this long only after at least so many short runs in a row: 0.1 s × 2⁶ = 6.4 s, and
/// what a start itself may take on a slow machine.
const PAUSE: Duration = Duration::from_secs(10);
const PAUSED_RESTARTS: u32 = 7;

/// Images whose containers are inference servers, which load for minutes: how the last part of the name begins.
const SERVERS: &[&str] = &["vllm", "ollama", "llama.cpp", "llama-cpp", "text-generation-inference", "sglang"];

fn may_loop(container: &Container) -> bool {
    container.restart_policy != RestartPolicy::No
        && (container.state.is_up() || container.state == ContainerState::Restarting)
}

/// One container under suspicion.
struct Case<'a> {
    state: &'a State,
    at: Moment,
    container: &'a Container,
    track: &'a Track,
}

/// What shows that it loops.
struct Loop {
    restarts: f64,
    limit: u32,
    clause: String,
    since: Option<Timestamp>,
}

impl Case<'_> {
    fn judge(&self, assessment: &mut Assessment) {
        let seen = self
            .often()
            .or_else(|| self.never_ready())
            .or_else(|| self.before_our_time())
            .or_else(|| self.not_stable_yet());
        match seen {
            Some(seen) => assessment.see(self.observation(seen)),
            None if self.is_suspect() => {
                let seen = units::span(self.at.since(self.state.started));
                let restarts = counted(self.container.restart_count.into(), "restart");
                assessment.cannot_tell(
                    RESTART_LOOP.id,
                    self.container.name.clone(),
                    format!("{restarts} so far, and only {seen} of {} are seen", units::span(self.window())),
                );
            }
            None => {}
        }
    }

    fn observation(&self, seen: Loop) -> Observation {
        let exit = last_exit(self.container, Some(self.track));
        let oom_killed = exit.is_some_and(|exit| exit.oom_killed);
        let mut evidence = vec![seen.clause];
        evidence.extend(exit.map(|exit| exit.to_string()));
        evidence.extend(memory_limit(self.container).filter(|_| oom_killed));
        Observation {
            evidence,
            value: Some(seen.restarts),
            limit: Some(seen.limit.into()),
            unit: Some(Unit::Restarts),
            since: seen.since,
            ..about(RESTART_LOOP.id, self.container, Severity::Critical, "restarting again and again")
        }
    }

    fn window(&self) -> Duration {
        self.state.thresholds.restart_window
    }

    /// The limit; no restart is never a loop, whatever the config says.
    fn limit(&self) -> u32 {
        self.state.thresholds.restart_count.max(1)
    }

    /// Exits within `window` after which the engine started it again by itself, oldest first.
    fn restarting_exits(&self, window: Duration) -> impl Iterator<Item = crate::store::ExitSeen> {
        let after_failure = matches!(self.container.restart_policy, RestartPolicy::OnFailure(_));
        self.track.own_exits(self.at, window).filter(move |exit| !after_failure || exit.code != 0)
    }

    fn often(&self) -> Option<Loop> {
        let window = self.window();
        let exits = self.restarting_exits(window).count() as u32;
        let restarts = self.track.counted_restarts(self.container.created, self.at, window);
        if exits.max(restarts) < self.limit() {
            return None;
        }
        let (count, thing) = if exits >= restarts { (exits, "exit") } else { (restarts, "restart") };
        Some(Loop {
            restarts: count.into(),
            limit: self.limit(),
            clause: format!("{} in {}", counted(count.into(), thing), units::span(window)),
            since: self.restarting_exits(window).next().map(|exit| exit.at),
        })
    }

    fn never_ready(&self) -> Option<Loop> {
        let tells = self.container.health.is_some() || serves_models(&self.container.image);
        if !tells || self.track.was_ready {
            return None;
        }
        let unready = || self.restarting_exits(UNREADY_WINDOW).filter(|exit| exit.unready);
        let count = unready().count() as u32;
        (count >= UNREADY_EXITS).then(|| Loop {
            restarts: count.into(),
            limit: UNREADY_EXITS,
            clause: format!("{} in {}, never ready", counted(count.into(), "exit"), units::span(UNREADY_WINDOW)),
            since: unready().next().map(|exit| exit.at),
        })
    }

    /// From what the engine keeps of the time before hostler came.
    fn before_our_time(&self) -> Option<Loop> {
        let (count, window) = (self.container.restart_count, self.window());
        let exited = self.last_trouble()?;
        if !self.is_window_unseen() || count < self.limit() || self.at.since_wall(exited) > window {
            return None;
        }
        let life = self.container.created.map(|created| (created, self.at.since_wall(created).max(window)));
        let average =
            life.map(|(created, age)| (created, age, f64::from(count) * (window.as_secs_f64() / age.as_secs_f64())));
        if let Some((created, age, restarts)) = average.filter(|(_, _, restarts)| *restarts >= f64::from(self.limit()))
        {
            let clause =
                format!("{} in the {} since it was created", counted(count.into(), "restart"), units::span(age));
            return Some(Loop { restarts, limit: self.limit(), clause, since: Some(created) });
        }
        let pause = self.pause().filter(|pause| *pause >= PAUSE && count >= PAUSED_RESTARTS)?;
        let pause = match self.container.state {
            ContainerState::Restarting => format!("waits for the next since {}", units::span(pause)),
            _ => format!("{} between the last two runs", units::span(pause)),
        };
        let clause = format!("{}, {pause}", counted(count.into(), "restart"));
        Some(Loop { restarts: count.into(), limit: self.limit(), clause, since: Some(exited) })
    }

    /// Its loop is over when it has been stable for long enough, not when the window has slid past it.
    fn not_stable_yet(&self) -> Option<Loop> {
        let stable = self.at.since_wall(self.last_trouble()?);
        let clear = self.state.thresholds.restart_clear;
        if stable >= clear || !self.state.findings.is_open(RESTART_LOOP.id, &self.container.name) {
            return None;
        }
        Some(Loop {
            restarts: self.restarting_exits(self.window()).count() as f64,
            limit: self.limit(),
            clause: format!("stable for {} of {}", units::span(stable), units::span(clear)),
            since: None,
        })
    }

    /// The latest sign of a restart by the engine.
    fn last_trouble(&self) -> Option<Timestamp> {
        // A counter above 0 says that the engine itself began the present run: what ended before it ended by itself. When
        // it ended is known from events only, once the next run goes on.
        let ended = self.container.last_exit.and_then(|exit| exit.at);
        let inspected = ended.or(self.container.started).filter(|_| self.container.restart_count > 0);
        let told = self.track.last_own_exit().map(|exit| exit.at);
        inspected.into_iter().chain(told).chain(self.track.last_counted_restart()).max()
    }

    /// How long the engine waits, or waited, before the present start.
    fn pause(&self) -> Option<Duration> {
        let ended = self.container.last_exit?.at?;
        match self.container.state {
            ContainerState::Restarting => Some(self.at.since_wall(ended)),
            _ => Duration::try_from(self.container.started?.duration_since(ended)).ok(),
        }
    }

    fn is_window_unseen(&self) -> bool {
        self.at.since(self.state.started) < self.window()
    }

    /// It restarts, and whether that is a loop cannot be told yet.
    fn is_suspect(&self) -> bool {
        self.is_window_unseen()
            && self.container.restart_count >= self.limit()
            && self.last_trouble().is_some_and(|exited| self.at.since_wall(exited) <= self.window())
    }
}

/// Whether an image's name is that of an inference server; registry, tag and digest do not count.
fn serves_models(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or(image);
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.split(':').next().unwrap_or(name);
    SERVERS.iter().any(|server| name.starts_with(server))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DockerEventKind::{Die, Healthy, Kill, Oom, Start, Stop};
    use crate::domain::{DockerEventKind, Verdict};
    use crate::make::{Maker, Script, container, wall};

    const OPEN: [&str; 1] = ["container.restart-loop a"];

    fn loops() -> Maker {
        container("a").always().created(-86_400)
    }

    /// Exits every `period` seconds up to `last`, each followed by a start.
    fn exits(count: i64, period: i64, last: i64) -> Vec<(DockerEventKind, i64)> {
        (0..count)
            .rev()
            .flat_map(|back| [(Die { code: 1 }, last - back * period), (Start, last - back * period)])
            .collect()
    }

    #[test]
    fn a_loop_that_the_engine_remembers_is_named_at_the_first_look() {
        for period in [1, 12, 60] {
            let mut script = Script::new();
            script.at(0).events("a", exits(4, period, -1)).docker([loops().restarted(4).running(-1)]).assess();
            assert_eq!(script.open(), OPEN, "a period of {period} s");
            let finding = script.finding("container.restart-loop", "a");
            assert_eq!(finding.seen.evidence, ["4 exits in 5 min", "exit code 1"]);
            assert_eq!(finding.since, wall(-1 - 3 * period));
            assert_eq!(
                (finding.seen.value, finding.seen.limit, finding.seen.unit),
                (Some(4.0), Some(3.0), Some(Unit::Restarts))
            );
            assert_eq!(script.verdict(), Verdict::Critical);
        }
    }

    #[test]
    fn two_exits_are_none_and_three_are_one() {
        for (count, named) in [(2, false), (3, true)] {
            let mut script = Script::new();
            script
                .at(0)
                .events("a", exits(count, 20, -1))
                .docker([loops().restarted(count as u32).running(-1)])
                .assess();
            assert_eq!(!script.open().is_empty(), named, "{count} exits");
        }
    }

    #[test]
    fn exits_outside_the_window_do_not_count() {
        let mut script = Script::new();
        script.at(0).events("a", exits(3, 150, -10)).docker([loops()]).assess();
        assert!(script.open().is_empty(), "the first of the three was 310 s ago");
    }

    #[test]
    fn a_young_container_is_told_by_its_counter_alone() {
        let mut script = Script::new();
        script
            .at(0)
            .docker([container("a").always().created(-40).restarted(5).exited(1, -1).state(ContainerState::Restarting)])
            .assess();
        assert_eq!(script.finding("container.restart-loop", "a").seen.evidence, ["5 restarts in 5 min", "exit code 1"]);
    }

    #[test]
    fn a_counter_that_grows_is_enough() {
        let mut script = Script::new();
        script.at(0).docker([loops().restarted(2)]).assess();
        for second in 1..=3 {
            assert!(script.open().is_empty());
            script.at(second * 60).docker([loops().restarted(2 + second as u32)]).assess();
        }
        assert_eq!(script.open(), OPEN);
    }

    #[test]
    fn the_counter_over_a_whole_life_speaks_at_the_first_look() {
        let mut script = Script::new();
        script.at(0).docker([container("a").always().created(-3600).restarted(60).running(-20)]).assess();
        let finding = script.finding("container.restart-loop", "a");
        assert_eq!(finding.seen.evidence, ["60 restarts in the 60 min since it was created"]);
        assert_eq!((finding.seen.value, finding.since), (Some(5.0), wall(-3600)));
    }

    #[test]
    fn the_engines_growing_pause_speaks_at_the_first_look() {
        let waits = loops().restarted(9).exited(1, -30).state(ContainerState::Restarting);
        let waited = loops().restarted(9).exited(1, -70).running(-12);
        for (made, evidence) in [
            (waits, "9 restarts, waits for the next since 30 s"),
            (waited, "9 restarts, 58 s between the last two runs"),
        ] {
            let mut script = Script::new();
            script.at(0).docker([made]).assess();
            assert_eq!(script.finding("container.restart-loop", "a").seen.evidence, [evidence, "exit code 1"]);
        }
    }

    #[test]
    fn a_few_restarts_long_ago_are_no_loop() {
        let mut script = Script::new();
        script.at(0).docker([loops().restarted(30).running(-4000)]).assess();
        assert!(script.open().is_empty());
        assert!(script.waiting("container.restart-loop").is_empty());
    }

    #[test]
    fn what_cannot_be_told_yet_is_said() {
        let mut script = Script::new();
        script.at(12).docker([loops().restarted(7).running(10)]).assess();
        assert!(script.open().is_empty());
        assert_eq!(script.waiting("container.restart-loop"), ["7 restarts so far, and only 12 s of 5 min are seen"]);
    }

    #[test]
    fn it_clears_after_ten_stable_minutes() {
        let mut script = Script::new();
        let runs = || loops().restarted(4).running(-1);
        script.at(0).events("a", exits(4, 12, -1)).docker([runs()]).assess();
        for second in [1, 300, 598] {
            script.at(second).docker([runs()]).assess();
            assert_eq!(script.open(), OPEN, "after {second} s");
        }
        assert_eq!(script.finding("container.restart-loop", "a").seen.evidence[0], "stable for 9 min of 10 min");
        assert_eq!(
            script.finding("container.restart-loop", "a").since,
            wall(-37),
            "a window that slides on makes nothing younger"
        );
        script.at(599).docker([runs()]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn manual_restarts_and_stops_never_count() {
        let mut script = Script::new();
        let asked: Vec<_> = (0..6)
            .flat_map(|turn| {
                [(Kill, turn * 20), (Die { code: 0 }, turn * 20 + 1), (Stop, turn * 20 + 1), (Start, turn * 20 + 2)]
            })
            .collect();
        script.at(200).events("a", asked).docker([loops().running(102)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn policy_no_never_loops() {
        let mut script = Script::new();
        script.at(0).events("a", exits(9, 12, -1)).docker([container("a")]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn a_job_that_ends_well_is_not_restarted_on_failure() {
        let mut script = Script::new();
        let ends: Vec<_> = (0..5).flat_map(|turn| [(Start, turn * 20), (Die { code: 0 }, turn * 20 + 9)]).collect();
        script.at(100).events("a", ends).docker([loops().on_failure(5)]).assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn what_gave_up_is_not_running_rather_than_restarting() {
        let mut script = Script::new();
        let gave_up = loops().on_failure(3).restarted(3).exited(1, -1);
        script
            .at(0)
            .events("a", exits(4, 12, -1).into_iter().filter(|event| *event != (Start, -1)))
            .docker([gave_up])
            .assess();
        assert_eq!(script.open(), ["container.exited a"]);
    }

    #[test]
    fn a_loop_of_kills_for_memory_says_so_and_the_limit() {
        let mut script = Script::new();
        let kills: Vec<_> = (1..=4)
            .flat_map(|turn| [(Oom, turn * 15), (Die { code: 137 }, turn * 15), (Start, turn * 15 + 1)])
            .collect();
        script.at(62).events("a", kills).docker([loops().limit(512 << 20).restarted(4).running(61)]).assess();
        assert_eq!(script.open(), ["container.restart-loop a", "container.oom a"]);
        let evidence = script.finding("container.restart-loop", "a").seen.evidence;
        assert_eq!(evidence, ["4 exits in 5 min", "exit code 137 (OOM-killed)", "limit 512 MiB"]);
    }

    #[test]
    fn what_loads_for_minutes_is_a_loop_after_two_runs_that_were_never_ready() {
        let slow = [(Start, -1200), (Die { code: 1 }, -700), (Start, -699), (Die { code: 1 }, -100), (Start, -99)];
        for made in [loops().image("docker.io/vllm/vllm-openai:v0.33.0@sha256:0"), loops().starting()] {
            let mut script = Script::new();
            script.at(0).events("a", slow).docker([made]).assess();
            assert_eq!(script.open(), OPEN);
            assert_eq!(
                script.finding("container.restart-loop", "a").seen.evidence[0],
                "2 exits in 30 min, never ready"
            );
        }
        for (made, ready) in [(loops(), None), (loops().starting(), Some((Healthy, -900))), (loops().healthy(), None)] {
            let mut script = Script::new();
            script.at(0).events("a", slow.into_iter().chain(ready)).docker([made]).assess();
            assert!(script.open().is_empty());
        }
    }

    #[test]
    fn a_run_whose_start_was_not_seen_is_not_called_unready() {
        let mut script = Script::new();
        script
            .at(0)
            .events("a", [(Die { code: 1 }, -700), (Start, -699), (Die { code: 1 }, -100)])
            .docker([loops().starting()])
            .assess();
        assert!(script.open().is_empty());
    }

    #[test]
    fn servers_are_known_by_the_last_part_of_their_images_name() {
        for image in
            ["ollama/ollama", "ollama/ollama:0.33", "ghcr.io/ggml-org/llama.cpp:server-cuda", "registry:5000/vllm:1"]
        {
            assert!(serves_models(image), "{image}");
        }
        for image in ["ghcr.io/open-webui/open-webui:ollama", "postgres:16", "sha256:0123", "vllm.example/web"] {
            assert!(!serves_models(image), "{image}");
        }
    }
}
