//! The logs source against the private engine, as the poller runs it: every line once and in order, by file and through the
//! engine, over restarts, rotations and floods, and nothing of foreign text but text.

use std::rc::Rc;
use std::sync::Arc;

use bollard::models::HostConfigLogConfig;
use hostler::domain::{
    Event, FailureKind, LogLevel, LogLine, LogSubject, LoggedRequest, RequestOutcome, SourceId, Thresholds,
};
use hostler::host::Ports;
use hostler::sources::poller::{self, Wish};
use hostler::sources::{SOURCES, SourceContext, SourceSettings};
use hostler::store::{SourceState, Sources, State};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::bed::{self, Container, DEADLINE, Engine, Share, faults, foreign};

/// The docker and logs sources under their pollers. Nothing happens while nobody waits in [`Reader::until`].
struct Reader {
    runtime: Runtime,
    tasks: LocalSet,
    seen: Seen,
    events: mpsc::Receiver<Event>,
    _wishes: watch::Sender<Wish>,
    _root: TempDir,
}

/// What came so far.
struct Seen {
    state: State,
    lines: Vec<LogLine>,
    /// What servers wrote of their requests.
    requests: Vec<LoggedRequest>,
    batches: mpsc::Receiver<hostler::domain::LogBatch>,
}

impl Reader {
    /// Reads the log files where they lie.
    fn of_files(endpoint: &str) -> Self {
        Self::new(endpoint, true)
    }

    /// Finds no log file, because the machine's files are sought in an empty folder: so all goes through the engine.
    fn through_the_engine(endpoint: &str) -> Self {
        Self::new(endpoint, false)
    }

    fn new(endpoint: &str, files: bool) -> Self {
        let root = tempfile::tempdir().unwrap();
        let ports = if files { Ports::new("/") } else { Ports::new(root.path()) };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let tasks = LocalSet::new();
        let (sender, events) = mpsc::channel(1024);
        let (log_lines, batches) = mpsc::channel(SourceContext::LOG_BATCHES);
        let (wishes, wished) = watch::channel(Wish::default());
        let settings = SourceSettings { docker_endpoint: Some(endpoint.to_owned()), ..SourceSettings::default() };
        let context = SourceContext::new(ports.clone(), Rc::new(settings), sender.clone()).with_log_lines(log_lines);
        let mut sources = Sources::default();
        for spec in SOURCES.iter().filter(|spec| matches!(spec.id, SourceId::Docker | SourceId::Logs)) {
            let period = spec.interval.unwrap();
            sources.expect(spec.id, SourceState::waiting(period, false));
            let source = (spec.build)(&context);
            tasks.spawn_local(poller::run(spec, source, period, ports.clock, sender.clone(), wished.clone()));
        }
        let state = State::new(ports.clock.now(), Arc::new(Thresholds::default()), sources);
        let seen = Seen { state, lines: Vec::new(), requests: Vec::new(), batches };
        Self { runtime, tasks, seen, events, _wishes: wishes, _root: root }
    }

    /// Runs until `found` sees what it looks for; the test fails when that takes too long.
    #[track_caller]
    fn until<T>(&mut self, what: &str, found: impl Fn(&Seen) -> Option<T>) -> T {
        let Self { runtime, tasks, seen, events, .. } = self;
        let looking = async {
            loop {
                if let Some(value) = found(seen) {
                    return value;
                }
                tokio::select! {
                    event = events.recv() => {
                        let event = event.expect("the pollers run");
                        if let Event::Requests { requests, .. } = &event {
                            seen.requests.extend(requests.iter().cloned());
                        }
                        seen.state.apply(event);
                    }
                    batch = seen.batches.recv() => {
                        let batch = batch.expect("the logs source runs");
                        seen.lines.extend(batch.lines.iter().cloned());
                        seen.state.apply(Event::Logs(batch));
                    }
                }
            }
        };
        let waited = tasks.block_on(runtime, async { timeout(DEADLINE, looking).await });
        waited.unwrap_or_else(|_| panic!("waited {DEADLINE:?} in vain until {what}; {:?}", self.seen.about()))
    }

    /// Runs until a line of this container has this text.
    #[track_caller]
    fn until_line(&mut self, container: &Container, text: &str) -> LogLine {
        self.until(&format!("{} wrote `{text}`", container.name()), |seen| {
            seen.of(container).into_iter().find(|line| &*line.text == text).cloned()
        })
    }
}

impl Seen {
    /// The lines of one container, as they came.
    fn of(&self, container: &Container) -> Vec<&LogLine> {
        self.lines.iter().filter(|line| &*line.origin.container.0 == container.id()).collect()
    }

    /// The numbers of the lines that [`faults::logger`] wrote.
    fn numbers(&self, container: &Container) -> Vec<u64> {
        self.of(container).iter().map(|line| number(line)).collect()
    }

    fn about(&self) -> String {
        let source = self.state.sources.get(SourceId::Logs).unwrap();
        let failure = source.failure.as_ref().map(|(failure, _)| failure.what.clone());
        let last: Vec<_> = self.lines.iter().rev().take(3).map(|line| (&line.origin.name, &line.text)).collect();
        format!(
            "dropped {} {} lines ending in {last:?}, {}, {failure:?}",
            self.state.logs.dropped,
            self.lines.len(),
            source.detail
        )
    }
}

fn number(line: &LogLine) -> u64 {
    let number = line.text.strip_prefix("line ").and_then(|rest| rest.strip_suffix(" of the log"));
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line:?}"))
}

/// Each number follows the one before.
fn assert_complete(numbers: &[u64]) {
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    assert_eq!(gap, None, "after {} lines", numbers.len());
}

#[test]
fn every_line_of_every_logger_arrives_once_and_in_order() {
    let Some(engine) = bed::engine() else { return };
    for make in [Reader::of_files, Reader::through_the_engine] {
        let loggers = [5, 50, 400].map(|rate| (rate, faults::logger(&engine, rate)));
        let mut reader = make(engine.endpoint());
        for (rate, logger) in &loggers {
            let wanted = u64::from(3 * rate);
            reader.until("the logger was followed for a while", |seen| {
                seen.numbers(logger).last().filter(|last| **last >= wanted).copied()
            });
        }
        for (_, logger) in &loggers {
            let numbers = reader.seen.numbers(logger);
            assert_complete(&numbers);
            assert!(numbers[0] <= 400, "begins with {}", numbers[0]);
        }
        let kept: Vec<_> = reader.seen.state.logs.iter().map(|(_, line)| line.at).collect();
        assert!(kept.is_sorted(), "the store has them in order of time");
        reader.until("the source says what it follows", |seen| (seen.state.logs.followed >= 3).then_some(()));
    }
}

#[test]
fn a_container_that_restarts_goes_on_and_doubles_nothing() {
    let Some(engine) = bed::engine() else { return };
    for make in [Reader::of_files, Reader::through_the_engine] {
        let container = engine.run("restarted", |spec| spec.shell("echo begin; exec sleep inf"));
        let mut reader = make(engine.endpoint());
        reader.until_line(&container, "begin");
        container.stop();
        container.start();
        reader.until("it began again", |seen| (seen.of(&container).len() >= 2).then_some(()));
        // Followed from before its start: everything that it writes comes.
        let later = faults::logger(&engine, 20);
        reader.until("a later container is followed", |seen| {
            seen.numbers(&later).last().filter(|last| **last >= 20).copied()
        });
        let lines = reader.seen.of(&container);
        assert_eq!(lines.len(), 2, "{lines:?}");
        let numbers = reader.seen.numbers(&later);
        assert_complete(&numbers);
        assert_eq!(numbers[0], 1);
    }
}

#[test]
fn a_container_that_was_made_anew_is_followed_and_the_last_words_of_one_that_ends_are_read() {
    let Some(engine) = bed::engine() else { return };
    for make in [Reader::of_files, Reader::through_the_engine] {
        let mut reader = make(engine.endpoint());
        let first = engine.run("made", |spec| spec.shell("echo first; exec sleep inf"));
        reader.until_line(&first, "first");
        drop(first);
        let again = engine.run("made", |spec| spec.shell("echo second; sleep 2; printf 'last words'; exit 3"));
        reader.until_line(&again, "second");
        reader.until_line(&again, "last words");
        assert_eq!(reader.seen.of(&again).len(), 2);
        let short = engine.run("short", |spec| spec.shell("echo short; exit 1"));
        reader.until_line(&short, "short");
    }
}

#[test]
fn no_line_is_lost_when_files_are_rotated() {
    let Some(engine) = bed::engine() else { return };
    let logger = rotating_logger(&engine, "3");
    let mut reader = Reader::of_files(engine.endpoint());
    // Some ten rotations of 20 kB.
    reader.until("the logger has written much", |seen| {
        seen.numbers(&logger).last().filter(|last| **last >= 2_000).copied()
    });
    assert_complete(&reader.seen.numbers(&logger));
    let file = logger.inspect().log_path.unwrap();
    assert!(std::path::Path::new(&format!("{file}.2")).exists(), "{file} was rotated");
}

#[test]
fn a_file_that_is_truncated_is_followed_on() {
    let Some(engine) = bed::engine() else { return };
    // With a single file the engine truncates instead of putting aside.
    let logger = rotating_logger(&engine, "1");
    let mut reader = Reader::of_files(engine.endpoint());
    reader.until("the logger has written much", |seen| {
        seen.numbers(&logger).last().filter(|last| **last >= 1_500).copied()
    });
    let numbers = reader.seen.numbers(&logger);
    assert!(numbers.is_sorted(), "nothing comes twice");
    assert!(numbers.len() >= 500, "{} lines came", numbers.len());
}

/// Writes 200 lines a second into files of 20 kB.
fn rotating_logger(engine: &Engine, files: &str) -> Container {
    let script = "i=0; while :; do n=0; while [ $n -lt 20 ]; do i=$((i+1)); n=$((n+1)); echo line $i of the log; done; \
                  sleep 0.1; done";
    engine.run("rotating", |spec| {
        spec.shell(script).with(|body| {
            let options = [("max-size", "20k"), ("max-file", files)];
            let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
            body.host_config.get_or_insert_default().log_config =
                Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(options.into()) });
        })
    })
}

#[test]
fn nothing_of_foreign_text_comes_but_text() {
    let Some(engine) = bed::engine() else { return };
    let script = format!(
        "printf '{}\\n'; head -c {} /dev/zero | tr '\\0' x; printf '\\nend of the foreign text\\n'; exec sleep inf",
        foreign::for_printf(&foreign::bytes()),
        foreign::LONG_LINE
    );
    for make in [Reader::of_files, Reader::through_the_engine] {
        // Followed from the start, because a long line fills what is read of a log that was there before.
        let mut reader = make(engine.endpoint());
        reader.until("the source is ready", |seen| seen.state.sources.get(SourceId::Logs)?.last_ok);
        let local = faults::foreign_text(&engine);
        let in_file = engine.run("foreign-file", |spec| spec.shell(&script));
        let terminal = engine.run("foreign-tty", |spec| spec.shell(&script).with(|body| body.tty = Some(true)));
        for container in [&local, &in_file, &terminal] {
            reader.until_line(container, "end of the foreign text");
            let lines = reader.seen.of(container);
            for line in &lines {
                assert_eq!(foreign::first_harmful(&line.text), None, "{line:?}");
                assert!(!line.text.contains('\n') && line.text.len() <= LogLine::MAX_BYTES);
                assert_eq!(foreign::first_harmful(&line.origin.name), None, "{line:?}");
            }
            let has = |text: &str| lines.iter().any(|line| line.text.contains(text));
            for kept in ["csired", "osc52", "bell", "txt.exebidi", "\u{fffd}\u{fffd}invalid", "nulnul", "日本"] {
                assert!(has(kept), "{}: {kept} {lines:#?}", container.name());
            }
            let long = lines.iter().filter(|line| line.text.len() > 2048);
            let long: Vec<_> = long.map(|line| line.text.len()).collect();
            assert_eq!(long, [LogLine::MAX_BYTES], "one long line, in part: {}", container.name());
        }
    }
}

#[test]
fn every_driver_is_followed_but_none() {
    let Some(engine) = bed::engine() else { return };
    let script = "echo ERROR: out of cheese; echo all is well; exec sleep inf";
    let drivers = ["json-file", "local", "none"];
    let containers = drivers.map(|driver| engine.run("driver", |spec| spec.shell(script).log_driver(driver)));
    let mut reader = Reader::of_files(engine.endpoint());
    for container in &containers[..2] {
        let line = reader.until_line(container, "ERROR: out of cheese");
        assert_eq!(line.level, LogLevel::Error);
        assert_eq!(&*line.origin.name, container.name());
        assert_eq!(reader.until_line(container, "all is well").level, LogLevel::Info);
    }
    reader.until("the silent one is counted", |seen| {
        let detail = &seen.state.sources.get(SourceId::Logs)?.detail;
        let all = ["by their files", "through the engine", "keep no log"];
        all.iter().all(|part| detail.contains(part)).then_some(())
    });
    assert!(reader.seen.of(&containers[2]).is_empty());
}

#[test]
fn a_flood_is_cut_and_counted_and_holds_nobody_up() {
    let Some(engine) = bed::engine() else { return };
    let logger = faults::logger(&engine, 50);
    let mut reader = Reader::of_files(engine.endpoint());
    reader.until("the logger is followed", |seen| (!seen.of(&logger).is_empty()).then_some(()));
    // Known and followed before its second run, in which it floods.
    let script = "if [ -e /tmp/ran ]; then yes a line of the flood | head -n 200000; echo the flood is over; fi; \
                  touch /tmp/ran; echo ready; exec sleep inf";
    let flood = engine.run("flood", |spec| spec.shell(script));
    reader.until_line(&flood, "ready");
    flood.stop();
    flood.start();
    reader.until_line(&flood, "the flood is over");
    reader.until("the loss is counted", |seen| (seen.state.logs.dropped > 0).then_some(()));
    let last = reader.seen.numbers(&logger).last().copied().unwrap();
    reader.until("the logger goes on", |seen| seen.numbers(&logger).last().filter(|now| **now > last).copied());
    assert_complete(&reader.seen.numbers(&logger));
}

#[test]
fn without_an_engine_the_source_says_so() {
    let mut reader = Reader::of_files("unix:///nowhere/docker.sock");
    let failure = reader.until("the source fails", |seen| {
        let (failure, _) = seen.state.sources.get(SourceId::Logs)?.failure.clone()?;
        Some(failure)
    });
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(failure.what.contains("/nowhere/docker.sock"), "{failure}");
}

#[test]
fn requests_are_read_out_of_a_double_of_ollamas_log() {
    let Some(engine) = bed::engine() else { return };
    let access = |status: u16, time: &str, request: &str| {
        format!("echo '[GIN] 2026/11/23 - 18:12:21 | {status} | {time:>13} |       127.0.0.1 | {request}'; ")
    };
    let chat = r#"POST     "/api/chat""#;
    let before = engine.run("ollama", |spec| spec.shell(&(access(200, "1s", chat) + "sleep inf")));
    bed::wait_until(DEADLINE, "the first one has written", || (!before.logs().is_empty()).then_some(()));
    let share = Share::of(&engine);
    let mut reader = Reader::of_files(&share.endpoint());
    reader.until_line(
        &before,
        "[GIN] 2026/11/23 - 18:12:21 | 200 |            1s |       127.0.0.1 | POST     \"/api/chat\"",
    );

    let broken = "time=2026-11-23T18:12:21.104Z level=ERROR source=a.go:1 msg=\"llama-server chat error\" error=EOF";
    let script = access(200, "2m3.5s", chat)
        + &access(200, "31.2µs", r#"GET      "/api/ps""#)
        + &access(500, "1.2s", chat)
        + &access(503, "12µs", r#"POST     "/v1/chat/completions""#)
        + &access(499, "3s", chat)
        + "sleep 1; "
        + &format!("echo '{broken}' >&2; sleep 1; ")
        + &access(200, "4s", chat)
        + "sleep inf";
    let server = engine.run("ollama", |spec| spec.shell(&script));
    let requests =
        reader.until("its requests are told", |seen| (seen.requests.len() >= 6).then(|| seen.requests.clone()));
    let subject = LogSubject::Container(server.id().into());
    assert!(requests.iter().all(|request| request.server == subject), "what was there before is no news");
    let told: Vec<_> = requests.iter().map(|request| (request.outcome, request.end_to_end_seconds)).collect();
    let expected = [
        (RequestOutcome::Answered, Some(123.5)),
        (RequestOutcome::Failed, None),
        (RequestOutcome::Overload, None),
        (RequestOutcome::CallersMistake, None),
        (RequestOutcome::Answered, None),
        (RequestOutcome::BrokeOff, None),
    ];
    assert_eq!(told, expected);
}
