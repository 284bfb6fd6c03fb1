//! Scripts for the reducer: events in, findings and verdict out. Pure: no engine, no clock, no screen.

use hostler::domain::DockerEventKind::{Die, Kill, Oom, Start, Stop};
use hostler::domain::{
    ContainerState, DockerEventKind, Effect, Event, JournalEntry, LogBatch, LogLevel, LogLine, Severity, SourceId,
    Verdict,
};
use hostler::store::{LogRing, Track};
use proptest::prelude::*;

use crate::make::{Maker, Script, container, container_id, docker, gpu, moment, wall};

/// A container that crashed at each of these seconds and was started again a second later.
fn crashes(seconds: impl IntoIterator<Item = i64>) -> Vec<(DockerEventKind, i64)> {
    seconds.into_iter().flat_map(|second| [(Die { code: 1 }, second), (Start, second + 1)]).collect()
}

fn worker(restarts: u32) -> Maker {
    container("worker").always().restarted(restarts)
}

#[test]
fn a_healthy_box_is_well() {
    let mut script = Script::new();
    script.at(0).memory(0.6).volumes([("/", 0.5)]).gpus([gpu(0)]);
    script.docker([container("web").always().healthy(), container("job").exited(0, -60)]).assess();
    assert!(script.open().is_empty());
    assert_eq!(script.verdict(), Verdict::Well);
}

#[test]
fn the_three_sick_are_named_and_no_healthy_one_is_blamed() {
    let mut script = Script::new();
    script.at(0).events("worker", crashes([-50, -38, -26, -14]));
    script.docker([
        worker(4).running(-13),
        container("web").unhealthy(6, "connection refused", -90),
        container("batch").limit(64 << 20).oom_killed(-20),
        container("db").always().healthy(),
        container("stopped").always().exited(143, -3000),
        container("done").exited(0, -100),
        container("restarted-once").always().restarted(1).running(-3999),
    ]);
    script.assess();
    assert_eq!(script.open(), ["container.restart-loop worker", "container.oom batch", "container.unhealthy web"]);
    assert_eq!(script.verdict(), Verdict::Critical);
}

#[test]
fn a_disk_that_sways_around_its_limit_neither_flaps_nor_sticks() {
    let mut script = Script::new();
    script.at(0).volumes([("/", 0.199)]).assess();
    let mut changes = 0;
    let mut open = true;
    for second in 1..600 {
        let free = if second % 2 == 0 { 0.199 } else { 0.215 };
        script.at(second).volumes([("/", free)]).assess();
        changes += u32::from(open == script.open().is_empty());
        open = !script.open().is_empty();
    }
    assert_eq!((changes, open), (0, true));
    script.at(600).volumes([("/", 0.221)]).assess();
    assert!(script.open().is_empty());
    assert_eq!(script.state.findings.cleared().len(), 1);
    for second in 601..1200 {
        let free = if second % 2 == 0 { 0.199 } else { 0.215 };
        script.at(second).volumes([("/", free)]).assess();
        assert!(script.open().is_empty(), "it never lasts a minute");
    }
}

#[test]
fn a_restart_loop_appears_stays_through_its_pauses_and_clears_after_ten_stable_minutes() {
    let mut script = Script::new();
    script.at(0).docker([worker(0)]).assess();
    for (crash, restarts) in [(100, 1), (130, 2), (160, 3)] {
        assert!(script.open().is_empty(), "before {crash}");
        script.at(crash + 1).events("worker", crashes([crash.cast_signed()]));
        script.docker([worker(restarts).running(crash.cast_signed() + 1)]).assess();
    }
    assert_eq!(script.open(), ["container.restart-loop worker"]);
    assert_eq!(script.finding("container.restart-loop", "worker").since, wall(100));
    assert_eq!(script.verdict(), Verdict::Critical);
    for second in (170..760).step_by(10) {
        script.at(second).docker([worker(3).running(161)]).assess();
        assert_eq!(script.open().len(), 1, "at {second}");
    }
    script.at(761).docker([worker(3).running(161)]).assess();
    assert!(script.open().is_empty());
    assert_eq!(script.verdict(), Verdict::Well);
}

#[test]
fn a_restart_by_hand_mends_a_loop_only_if_it_then_stays_up() {
    let mut script = Script::new();
    script.at(100).events("worker", crashes([20, 40, 60])).docker([worker(3).running(61)]).assess();
    let by_hand = [(Kill, 110), (Die { code: 143 }, 111), (Stop, 111), (Start, 112)];
    script.at(112).events("worker", by_hand).docker([worker(0).running(112)]).assess();
    assert_eq!(script.open(), ["container.restart-loop worker"]);
    script.at(200).events("worker", crashes([199])).docker([worker(1).running(200)]).assess();
    script.at(700).docker([worker(1).running(200)]).assess();
    assert_eq!(script.open(), ["container.restart-loop worker"], "the crash at 199 began the ten minutes anew");
    // The counter was last seen to grow at 200.
    script.at(800).docker([worker(1).running(200)]).assess();
    assert!(script.open().is_empty());
}

#[test]
fn stopping_a_loop_or_removing_it_ends_it() {
    for stopped in [vec![worker(3).exited(1, 60)], vec![]] {
        let mut script = Script::new();
        script.at(62).events("worker", crashes([20, 40, 60])).docker([worker(3).running(61)]).assess();
        assert_eq!(script.open().len(), 1);
        script.at(70).events("worker", [(Kill, 69), (Die { code: 137 }, 69), (Stop, 69)]);
        script.docker(stopped.into_iter().map(|maker| maker.exited(137, 69))).assess();
        assert!(script.open().is_empty());
    }
}

#[test]
fn a_stop_that_somebody_asked_for_is_no_finding() {
    let mut script = Script::new();
    script.at(0).docker([worker(0)]).assess();
    script
        .at(20)
        .events("worker", [(Kill, 10), (Die { code: 137 }, 20), (Stop, 20)])
        .docker([worker(0).exited(137, 20)])
        .assess();
    assert!(script.open().is_empty());
    assert_eq!(script.verdict(), Verdict::Well);
}

#[test]
fn snooze_and_accept_silence_until_their_date_and_the_verdict_follows() {
    let mut script = Script::new();
    script.at(0).volumes([("/", 0.17)]).docker([container("web").unhealthy(3, "", -9)]).assess();
    assert_eq!(script.verdict(), Verdict::Warning);
    script.snooze("disk.free", "/", 3600).accept("container.unhealthy", "web", 7200);
    assert_eq!(script.verdict(), Verdict::Well);
    assert_eq!(script.open().len(), 2, "silenced findings are still told");
    let silence = script.finding("container.unhealthy", "web").silence.unwrap();
    assert_eq!((silence.accepted, silence.by.as_str(), silence.why.as_str()), (true, "jo", "known"));

    script.at(3599);
    assert_eq!(script.verdict(), Verdict::Well);
    script.at(3600);
    assert_eq!(script.verdict(), Verdict::Warning);
    script.snooze("disk.free", "/", 7200);
    assert_eq!(script.verdict(), Verdict::Well);
    script.at(7200);
    assert_eq!(script.state.findings.needing_someone(script.state.now).len(), 2);
}

#[test]
fn a_silence_is_about_one_subject_and_comes_before_or_after_its_finding() {
    let mut script = Script::new();
    script.at(0).accept("disk.free", "/", 100).volumes([("/", 0.05), ("/models", 0.15)]).assess();
    assert_eq!(script.verdict(), Verdict::Warning, "the critical one is silent, the other one is not");
    assert_eq!(script.all()[0].seen.severity, Severity::Critical);
}

#[test]
fn what_is_acknowledged_is_silent_until_it_has_cleared() {
    let finding = || ("disk.free".to_owned(), "/".to_owned());
    let acknowledge = || {
        let (finding, subject) = finding();
        JournalEntry::Acknowledge { finding, subject, why: "on it".to_owned() }
    };
    let cleared = || {
        let (finding, subject) = finding();
        JournalEntry::Cleared { finding, subject }
    };
    let mut script = Script::new();
    script.at(0).volumes([("/", 0.17)]).assess().journal(acknowledge());
    assert_eq!(script.verdict(), Verdict::Well);
    script.at(1_000_000).assess();
    let silence = script.finding("disk.free", "/").silence.unwrap();
    assert_eq!((silence.word(), silence.until, &*silence.why), ("acknowledged", None, "on it"));
    assert!(script.state.findings.ended_acknowledgements().is_empty());
    // It clears: that is for the journal, and the next one is told.
    script.volumes([("/", 0.5)]).assess();
    assert_eq!(script.state.findings.ended_acknowledgements().iter().collect::<Vec<_>>(), [&finding()]);
    script.journal(cleared());
    assert!(script.state.findings.ended_acknowledgements().is_empty());
    script.volumes([("/", 0.05)]).at(1_000_100).assess().at(1_000_200).assess();
    assert_eq!(script.verdict(), Verdict::Critical);

    // Whoever begins later reads both; and what cleared while nobody looked has ended too, though not at once.
    let mut later = Script::new();
    later.at(0).journal(acknowledge()).journal(cleared()).volumes([("/", 0.05)]).assess();
    assert_eq!(later.verdict(), Verdict::Critical);
    let mut later = Script::new();
    later.at(0).journal(acknowledge()).volumes([("/", 0.5)]).assess();
    later.at(899).assess();
    assert!(later.state.findings.ended_acknowledgements().is_empty());
    later.at(900).assess();
    assert_eq!(later.state.findings.ended_acknowledgements().len(), 1);
}

#[test]
fn a_kill_for_memory_is_told_by_event_before_any_inspection_knows() {
    let mut script = Script::new();
    script.at(0).docker([worker(0).limit(512 << 20)]).assess();
    script.at(10).events("worker", [(Oom, 10), (Die { code: 137 }, 10)]).assess();
    assert_eq!(script.open(), ["container.oom worker"]);
    assert_eq!(script.finding("container.oom", "worker").since, wall(10));
}

#[test]
fn a_source_that_fails_makes_the_verdict_unknown_until_it_is_back() {
    let mut script = Script::new();
    script.at(0).docker([worker(0)]).memory(0.5).assess();
    assert_eq!(script.verdict(), Verdict::Well);
    script.at(10).failed(SourceId::Docker, "/run/docker.sock: no answer").assess();
    assert_eq!(script.verdict(), Verdict::Unknown);
    assert_eq!(script.open(), ["source.failed docker"]);
    script.at(20).failed(SourceId::Docker, "/run/docker.sock: no answer").assess();
    assert_eq!(script.finding("source.failed", "docker").since, wall(10), "failing began then");
    script.at(30).docker([worker(0)]).assess();
    assert_eq!(script.verdict(), Verdict::Well);
    assert!(script.open().is_empty());
}

#[test]
fn what_was_wrong_stays_wrong_while_its_source_is_away() {
    let mut script = Script::new();
    script.at(0).docker([container("web").unhealthy(3, "", -9)]).assess();
    script.at(10).failed(SourceId::Docker, "gone").assess();
    assert_eq!(script.verdict(), Verdict::Warning);
    script.at(20).docker([container("web").healthy()]).assess();
    assert_eq!(script.verdict(), Verdict::Well);
}

#[test]
fn late_events_neither_turn_time_back_nor_change_what_they_say() {
    let mut script = Script::new();
    script.at(100).docker([worker(3).running(91)]);
    // The newest comes first, the engine's memory later and twice.
    script.events("worker", crashes([90])).events("worker", crashes([30, 60])).events("worker", crashes([30, 60, 90]));
    script.apply(Event::Tick { at: moment(5) });
    assert_eq!(script.state.now, moment(100));
    script.assess();
    assert_eq!(script.finding("container.restart-loop", "worker").seen.value, Some(3.0));
}

#[test]
fn an_event_may_come_before_the_list_that_names_its_container() {
    let mut script = Script::new();
    script.at(60).events("worker", crashes([10, 30, 50])).assess();
    assert!(script.open().is_empty());
    script.docker([worker(3).running(51)]).assess();
    assert_eq!(script.open(), ["container.restart-loop worker"]);
}

#[test]
fn a_container_that_could_only_be_listed_at_first_did_not_restart_since() {
    let mut script = Script::new();
    let outline = container("worker").with(|container| container.started = None);
    script.at(0).docker([outline]).assess();
    script.at(1).docker([worker(5)]).assess();
    assert!(script.open().is_empty());
}

#[test]
fn a_container_that_is_made_anew_under_its_name_starts_clean() {
    let mut script = Script::new();
    script.at(60).events("worker", crashes([10, 30, 50])).docker([worker(3).running(51)]).assess();
    assert_eq!(script.open().len(), 1);
    let anew = || worker(0).running(70).with(|container| container.id = container_id("another"));
    script.at(71).docker([anew()]).assess();
    assert!(script.open().is_empty());
    script.at(200).docker([anew()]);
    assert_eq!(script.state.tracks.len(), 1, "the old one is forgotten after a while");
}

#[test]
fn an_xid_asks_for_a_new_look_at_the_cards() {
    let mut script = Script::new();
    script.at(0).gpus([gpu(0)]).xid("GPU-0", 79);
    assert_eq!(script.effects, [Effect::RefreshNow(SourceId::Gpu)]);
    script.assess();
    assert_eq!(script.verdict(), Verdict::Critical);
}

#[test]
fn worst_first_then_in_the_order_of_first_sight() {
    let mut script = Script::new();
    script.at(0).docker([container("b").unhealthy(3, "", 0)]).assess();
    script.at(1).docker([container("a").unhealthy(3, "", 0), container("b").unhealthy(3, "", 0)]).assess();
    script.at(2).gpus([gpu(0)]).xid("GPU-0", 79).assess();
    assert_eq!(script.open(), ["gpu.xid GPU-0", "container.unhealthy b", "container.unhealthy a"]);
}

#[test]
fn a_visit_of_now_is_not_the_last_one() {
    let mut script = Script::new();
    script.at(5).journal(JournalEntry::Visit);
    assert_eq!(script.state.last_visit, None);
}

/// One turn of a random box.
#[derive(Debug, Clone)]
enum Turn {
    Memory(f64),
    Volumes(f64, f64),
    Containers(Vec<(u8, u8, u32)>),
    Crash(u8, i64),
    Stop(u8, i64),
    Oom(u8, i64),
    Fails(usize),
    Xid(u8, u64),
    Throttled(u8, u32),
    Logs(usize, usize),
    Silence(u8, bool),
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        (0.0..1.0f64).prop_map(Turn::Memory),
        (0.0..1.0f64, 0.0..1.0f64).prop_map(|(root, models)| Turn::Volumes(root, models)),
        prop::collection::vec((0..6u8, 0..7u8, 0..20u32), 0..6).prop_map(Turn::Containers),
        (0..6u8, -60..60i64).prop_map(|(who, when)| Turn::Crash(who, when)),
        (0..6u8, -60..60i64).prop_map(|(who, when)| Turn::Stop(who, when)),
        (0..6u8, -60..60i64).prop_map(|(who, when)| Turn::Oom(who, when)),
        (0..3usize).prop_map(Turn::Fails),
        (0..3u8, prop::sample::select(vec![13, 31, 45, 48, 79, 999])).prop_map(|(card, code)| Turn::Xid(card, code)),
        (1..4u8, 20..110u32).prop_map(|(cards, celsius)| Turn::Throttled(cards, celsius)),
        (1..400usize, 1..6000usize).prop_map(|(lines, bytes)| Turn::Logs(lines, bytes)),
        (0..6u8, any::<bool>()).prop_map(|(who, accept)| Turn::Silence(who, accept)),
    ]
}

fn name(who: u8) -> String {
    format!("c{who}")
}

fn made((who, state, restarts): (u8, u8, u32), now: i64) -> Maker {
    let maker = container(&name(who)).always().restarted(restarts);
    match state {
        0 => maker.exited(1, now - 5),
        1 => maker.oom_killed(now - 5),
        2 => maker.unhealthy(3, "no", now - 9),
        3 => maker.state(ContainerState::Created).error("no such file"),
        4 => maker.running(now - 1),
        5 => maker.exited(1, now - 20).state(ContainerState::Restarting),
        _ => maker.healthy(),
    }
}

fn play(script: &mut Script, turn: &Turn) {
    let second = script.state.now.mono.as_secs().cast_signed();
    match turn {
        Turn::Memory(used) => script.memory(*used),
        Turn::Volumes(root, models) => script.volumes([("/", *root), ("/models", *models)]),
        Turn::Containers(containers) => {
            // A list names each container once.
            let mut containers = containers.clone();
            containers.sort_unstable();
            containers.dedup_by_key(|container| container.0);
            script.docker(containers.into_iter().map(|container| made(container, second)))
        }
        Turn::Crash(who, when) => script.events(&name(*who), crashes([second + when])),
        Turn::Stop(who, when) => {
            let when = second + when;
            script.events(&name(*who), [(Stop, when), (Kill, when - 1), (Die { code: 143 }, when)])
        }
        Turn::Oom(who, when) => script.events(&name(*who), [(Oom, second + when)]),
        Turn::Fails(which) => script.failed([SourceId::Docker, SourceId::Host, SourceId::Gpu][*which], "no answer"),
        Turn::Xid(card, code) => script.xid(&format!("GPU-{card}"), *code),
        Turn::Throttled(cards, celsius) => script.gpus((0..u32::from(*cards)).map(|index| {
            let mut gpu = gpu(index);
            gpu.temperature_celsius = hostler::domain::Reading::Known(*celsius);
            gpu
        })),
        Turn::Logs(lines, bytes) => {
            script.log("c0", LogLevel::Info, "first");
            let origin = script.state.logs.iter().next_back().unwrap().1.origin.clone();
            let at = script.state.now.wall;
            let line = LogLine { origin, at, level: LogLevel::Error, text: "x".repeat(*bytes).into() };
            script.apply(Event::Logs(LogBatch { lines: vec![line; *lines], dropped: 1, ..LogBatch::default() }))
        }
        Turn::Silence(who, true) => script.accept("container.unhealthy", &name(*who), second + 60),
        Turn::Silence(who, false) => script.snooze("container.exited", &name(*who), second + 60),
    };
}

/// Every list and ring is within its bounds.
fn bounded(script: &Script) {
    let state = &script.state;
    for track in state.tracks.values() {
        assert!(track.exits.len() <= Track::KEPT && track.ooms.len() <= Track::KEPT);
        assert!(track.restart_counts.len() <= Track::KEPT && track.memory.len() <= Track::USED);
        assert!(track.exits.iter().is_sorted_by(|a, b| a.at < b.at), "{:?}", track.exits);
    }
    let lines = state.logs.iter();
    assert!(lines.len() <= LogRing::LINES);
    assert!(lines.map(|(_, line)| line.text.len()).sum::<usize>() <= LogRing::BYTES);
    assert!(state.xids.len() <= 256);
    assert!(state.findings.cleared().len() <= hostler::store::Findings::CLEARED_KEPT);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens: nothing grows without bound, findings are in order and keep their places, the verdict is theirs,
    /// and a second look at the same state sees the same.
    #[test]
    fn any_box_keeps_its_bounds_and_its_order(turns in prop::collection::vec((turn(), 0..40u64), 1..120)) {
        let mut script = Script::new();
        let mut before: Vec<(String, Severity)> = Vec::new();
        for (turn, pause) in &turns {
            let second = script.state.now.mono.as_secs() + pause;
            script.at(second);
            play(&mut script, turn);
            script.assess();
            bounded(&script);

            let all = script.all();
            prop_assert!(all.is_sorted_by(|a, b| a.seen.severity >= b.seen.severity));
            prop_assert!(all.iter().all(|finding| finding.since <= script.state.now.wall));
            let open = script.open();
            let mut names = open.clone();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), open.len(), "each finding is there once");

            script.assess();
            prop_assert_eq!(&script.open(), &open, "a second look at the same moment");

            // Those that were open before and are as grave as they were have not changed places.
            let now: Vec<(String, Severity)> = open.iter().cloned().zip(all.iter().map(|finding| finding.seen.severity)).collect();
            let kept: Vec<_> = before.iter().filter(|finding| now.contains(finding)).collect();
            let still: Vec<_> = now.iter().filter(|finding| before.contains(finding)).collect();
            prop_assert_eq!(kept, still);
            before = now;

            let loud = all.iter().filter(|finding| finding.silence.is_none()).map(|finding| finding.seen.severity).max();
            match script.verdict() {
                Verdict::Critical => prop_assert_eq!(loud, Some(Severity::Critical)),
                Verdict::Warning => prop_assert_eq!(loud, Some(Severity::Warning)),
                Verdict::Unknown | Verdict::Well => prop_assert!(loud.is_none_or(|worst| worst == Severity::Info)),
            }
        }
    }

    /// The order in which events arrive, and how often, does not matter.
    #[test]
    fn a_track_does_not_depend_on_the_order_of_events(
        events in prop::collection::vec((0..6usize, 0..500i64), 1..60).prop_flat_map(|events| {
            let shuffled = Just(events.clone()).prop_shuffle();
            (Just(events), shuffled)
        })
    ) {
        let kinds = [Start, Die { code: 1 }, Kill, Stop, Oom, DockerEventKind::Healthy];
        let tracks = [&events.0, &events.1, &[events.1.clone(), events.0.clone()].concat()].map(|events| {
            let mut script = Script::new();
            script.at(500);
            for (kind, second) in events {
                script.events("a", [(kinds[*kind], *second)]);
            }
            let track = script.state.tracks[&container_id("a")].clone();
            (track.exits, track.ooms, track.was_ready)
        });
        prop_assert_eq!(&tracks[0], &tracks[1]);
        prop_assert_eq!(&tracks[0], &tracks[2]);
    }
}

#[test]
fn a_list_of_many_containers_is_taken_in() {
    let mut script = Script::new();
    script.at(0).sample(docker((0..500).map(|number| container(&format!("c{number}")).always()))).assess();
    assert_eq!(script.state.tracks.len(), 500);
    assert!(script.open().is_empty());
}
