//! What the parts cost at 500 containers, 8 GPUs, 10 inference servers and 200 models on disk: the reducer, the rules, a full
//! drawing of each tab; and a page of metrics of 1 MiB.
//!
//! `cargo bench --bench parts`. The aim of the design is half a millisecond for each.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a benchmark is no interface")]

#[path = "../all/make.rs"]
mod make;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use hostler::alerts::{AlertSettings, Board, Receiver, ReceiverKind};
use hostler::checks;
use hostler::domain::{
    ContainerUsage, ContainerUsages, Counter, Engine, EngineKind, EngineSample, Event, Histogram, LibrarySample,
    LogBatch, LogLevel, LogLine, LogOrigin, ModelRef, Moment, Outbox, Reading, Sample, Severity, Spread, Tally,
};
use hostler::engines::prometheus;
use hostler::host::Address;
use hostler::store::State;
use hostler::ui::glyph::UNICODE;
use hostler::ui::keymap::Keymap;
use hostler::ui::tabs::TabId;
use hostler::ui::theme::{Depth, Theme};
use hostler::ui::{Setup, Ui, screen};
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use strum::IntoEnumIterator as _;

const CONTAINERS: usize = 500;
const GPUS: u32 = 8;

fn names() -> impl Iterator<Item = String> {
    (0..CONTAINERS).map(|number| format!("service-{number}"))
}

fn usages() -> Arc<ContainerUsages> {
    let usage = |number: usize| ContainerUsage {
        cpu_cores: Reading::Known(number as f64 / 100.0),
        memory_bytes: Reading::Known(number as u64 * 1_000_003),
        pids: Reading::Known(7),
    };
    let by_id = names().enumerate().map(|(number, name)| (make::container_id(&name), usage(number))).collect();
    Arc::new(ContainerUsages { by_id, origin: "cgroup v2" })
}

/// A server that has counted for so many looks.
fn server(port: u16, look: u64) -> Engine {
    let mut tally = Tally::default();
    for counter in Counter::iter() {
        tally.add(counter, (look * 7) as f64);
    }
    for spread in Spread::iter() {
        let buckets = (0..20).map(|bound| (f64::from(bound) / 10.0 + 0.1, (look * bound as u64) as f64));
        let buckets = buckets.chain([(f64::INFINITY, (look * 20) as f64)]).collect();
        tally.put(spread, Histogram::new(buckets, Some((look * 19) as f64)).unwrap());
    }
    let models = vec![ModelRef { name: format!("model-{port}:8b"), ..ModelRef::default() }];
    Engine {
        tally: Reading::Known(tally.into()),
        models: Reading::Known(models),
        ..make::engine(EngineKind::Vllm, port)
    }
}

fn servers(look: u64) -> impl Iterator<Item = Engine> {
    (8000..8010).map(move |port| server(port, look))
}

fn library() -> LibrarySample {
    let models = (0..200).map(|number| make::stored_model(&format!("model-{number}:8b"))).collect();
    LibrarySample { models, places: vec![make::library_place("/m")], ..LibrarySample::default() }
}

/// A large box with everything read, a full log and findings.
fn large() -> State {
    let mut script = make::Script::new();
    script.at(1).memory(0.6).volumes([("/", 0.15), ("/models", 0.5), ("/backup", 0.6)]);
    script.gpus((0..GPUS).map(make::gpu));
    script.docker(names().enumerate().map(|(number, name)| {
        let container = make::container(&name).always();
        if number % 50 == 0 { container.exited(1, -60) } else { container }
    }));
    script.sample(Sample::Usage(usages()));
    script.sample(Sample::Library(library().into()));
    for look in 0..180 {
        script.at(1 + look * 5).engines(servers(look));
    }
    let origin = Arc::new(LogOrigin { container: make::container_id("service-1"), name: "service-1".into() });
    let line = |number: i64| LogLine {
        origin: origin.clone(),
        at: make::wall(number / 100),
        level: if number % 40 == 0 { LogLevel::Error } else { LogLevel::Info },
        text: format!("GET /v1/thing/{number} 200 in 1.2 ms").into(),
    };
    script.apply(Event::Logs(LogBatch { lines: (0..10_000).map(line).collect(), ..LogBatch::default() }));
    script.assess();
    let today = TimeZone::UTC.to_datetime(script.state.now.wall).date();
    let standings = checks::standings(&script.state, script.state.now, today);
    script.apply(Event::Routine(standings));
    script.state
}

fn ui(tab: TabId) -> Ui {
    let setup = Setup {
        keymap: Keymap::with([]).unwrap(),
        theme: Theme::builtin("dark", Depth::True).unwrap(),
        depth: Depth::True,
        glyphs: &UNICODE,
        zone: TimeZone::UTC,
        tab,
        mouse: true,
        read_only: false,
        demo: false,
        aliases: Vec::new(),
    };
    Ui::new(setup, Size { width: 160, height: 48 })
}

fn draw(criterion: &mut Criterion) {
    let state = large();
    for tab in TabId::iter() {
        let ui = ui(tab);
        let mut buffer = Buffer::empty(Rect { x: 0, y: 0, width: 160, height: 48 });
        let word: &str = tab.into();
        criterion.bench_function(&format!("draw {word}"), |bencher| {
            bencher.iter(|| {
                buffer.reset();
                black_box(screen::view(&mut buffer, &ui.scene(&state, state.now)))
            });
        });
    }
}

fn reduce(criterion: &mut Criterion) {
    let state = large();
    let usages = usages();
    let docker = make::docker(names().map(|name| make::container(&name).always()));
    let sampled = |sample: Sample, at: Moment| Event::Sampled { sample, detail: String::new(), at };
    for (name, sample) in [("usage of all", Sample::Usage(usages)), ("list of all", docker)] {
        criterion.bench_function(&format!("reduce {name}"), |bencher| {
            let mut state = state.clone();
            let mut second = 2;
            bencher.iter_batched(
                || {
                    second += 1;
                    sampled(sample.clone(), make::moment(second))
                },
                |event| black_box(state.apply(event)),
                BatchSize::SmallInput,
            );
        });
    }
    criterion.bench_function("reduce ten servers", |bencher| {
        let mut state = state.clone();
        let mut look = 180;
        bencher.iter_batched(
            || {
                look += 1;
                let sample = EngineSample { engines: servers(look).collect(), others: 0 };
                sampled(Sample::Engines(sample.into()), make::moment(1 + look * 5))
            },
            |event| black_box(state.apply(event)),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("rules look", |bencher| bencher.iter(|| black_box(checks::assess(&state, state.now))));
}

/// A look of who tells receivers, at a second in which nothing is new: a box of which everything was told.
fn alerts(criterion: &mut Criterion) {
    let state = large();
    let open = state.findings.open(state.now).count();
    assert!(open > 0);
    let to = (0..3).map(|number| Receiver {
        name: format!("hook-{number}"),
        kind: ReceiverKind::Webhook(Address::Written("http://127.0.0.1:9".parse().unwrap())),
        severity: Severity::Warning,
        send_resolved: true,
        login: None,
        timeout: Duration::from_secs(1),
    });
    let settings = AlertSettings { group_wait: Duration::ZERO, to: to.collect(), ..AlertSettings::default() };
    let mut board = Board::new(settings, Outbox::default(), state.now);
    board.set_host("gpubox-01");
    let look = |board: &mut Board| {
        board.look(state.findings.open(state.now), |_| true, state.now);
        (0..3).filter_map(|index| Some((index, board.due(index, state.now, &TimeZone::UTC)?))).collect::<Vec<_>>()
    };
    loop {
        let told = look(&mut board);
        if told.is_empty() {
            break;
        }
        for (index, message) in &told {
            board.arrived(*index, message, state.now);
        }
    }
    criterion.bench_function(&format!("alerts look at {open} open findings"), |bencher| {
        bencher.iter(|| black_box(look(&mut board).len()));
    });
}

/// A page as vLLM writes it, as large as is read.
fn metrics(criterion: &mut Criterion) {
    let captured = include_str!("../all/fixtures/engines/vllm-0.32.0/metrics-after-load.txt");
    let page = captured.split_once("\n\n").or(captured.split_once("\r\n\r\n")).unwrap().1;
    let page = page.repeat((1 << 20) / page.len());
    criterion.bench_function("metrics of 1 MiB", |bencher| {
        bencher.iter(|| black_box(prometheus::samples(&page).flatten().count()));
    });
}

criterion_group!(benches, draw, reduce, alerts, metrics);
criterion_main!(benches);
