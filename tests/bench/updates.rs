//! Measures the update check: how long fifty images take against a local registry, and how late frames are meanwhile, drawn
//! by the same thread twenty times a second as the screen's are.
//!
//! It wants the private engine and the registry of the test bed: `tests/run --exec cargo bench --bench updates`. Nothing is
//! asserted; the lines are the result.
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

use std::time::{Duration, Instant};

use all::bed::{self, Container, Engine};
use hostler::config::Config;
use hostler::domain::ImageUpdate;
use hostler::history::StateDir;
use hostler::runtime::{Core, Scope, Setup};
use hostler::store::State;
use hostler::ui::glyph::UNICODE;
use hostler::ui::tabs::TabId;
use hostler::ui::theme::{Depth, Theme};
use hostler::ui::{self, Ui, screen};
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval};

const IMAGES: usize = 50;
const ROUNDS: usize = 5;
/// The time between two frames.
const FRAME: Duration = Duration::from_millis(50);
/// A round that takes longer is given up.
const PATIENCE: Duration = Duration::from_mins(1);

fn main() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    registry.push(&engine, "bench/app", "1.0.0", "1");
    let pushed = registry.reference("bench/app", "1.0.0");
    let repository = pushed.trim_end_matches(":1.0.0");
    let containers: Vec<Container> = (1..=IMAGES)
        .map(|minor| {
            let tag = format!("1.{minor}.0");
            registry.copy("bench/app", "1.0.0", &tag);
            engine.tag(&pushed, repository, &tag);
            of_image(&engine, &format!("{repository}:{tag}"))
        })
        .collect();
    println!("{IMAGES} images, each with a tag of its own, against a local registry:");
    for round in 1..=ROUNDS {
        let told = measure(&engine, &containers);
        println!(
            "  round {round}: told after {} ms, {} ms after the engine described them; {} frames, at most {} ms late, drawn in {} ms at most",
            told.all.as_millis(),
            told.all.saturating_sub(told.described).as_millis(),
            told.frames,
            told.late.as_millis(),
            told.drawn.as_millis()
        );
    }
    for minor in 0..=IMAGES {
        engine.forget_image(&format!("{repository}:1.{minor}.0"));
    }
}

/// A container that has ended: what runs costs the engine more than what is asked here.
fn of_image(engine: &Engine, reference: &str) -> Container {
    engine.run("bench", |spec| {
        spec.with(|body| {
            body.image = Some(reference.to_owned());
            body.cmd = Some(vec!["true".to_owned()]);
        })
    })
}

/// One round.
#[derive(Default)]
struct Told {
    /// From the start until every image has its answer.
    all: Duration,
    /// From the start until the engine has described every image.
    described: Duration,
    frames: usize,
    /// The latest frame.
    late: Duration,
    /// The slowest frame.
    drawn: Duration,
}

fn measure(engine: &Engine, containers: &[Container]) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::defaults().unwrap();
    config.sources.docker_endpoint = Some(engine.endpoint().to_owned());
    let setup = Setup {
        config,
        rootfs: "/".into(),
        state_dir: StateDir::choose(Some(folder.path())),
        demo: false,
        read_only: false,
        tab: TabId::Containers,
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let told = LocalSet::new().block_on(&runtime, watch(&setup, containers));
    runtime.shutdown_background();
    told
}

/// Takes events in and draws, as the screen does, until every image has its answer.
async fn watch(setup: &Setup, containers: &[Container]) -> Told {
    let (mut core, mut queue) = Core::start(setup, Scope::Everything, Some(Duration::ZERO));
    let (began, mut told) = (Instant::now(), Told::default());
    let ui = screen_of(&core);
    let mut frames = interval(FRAME);
    frames.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            due = frames.tick() => {
                let begins = Instant::now();
                told.late = told.late.max(begins.saturating_duration_since(due.into_std()));
                core.assess_if_due(Duration::from_secs(1));
                let mut buffer = Buffer::empty(Rect::new(0, 0, ui.size.width, ui.size.height));
                screen::view(&mut buffer, &ui.scene(&core.state, core.clock.now()));
                told.drawn = told.drawn.max(begins.elapsed());
                told.frames += 1;
            }
            _ = queue.take(&mut batch) => batch.drain(..).for_each(|event| core.take(event)),
        }
        let words = standings(&core.state, containers);
        if told.described.is_zero() && words.len() == containers.len() {
            told.described = began.elapsed();
        }
        if words.len() == containers.len() && words.iter().all(|word| *word != "unknown") {
            told.all = began.elapsed();
            return told;
        }
        assert!(began.elapsed() < PATIENCE, "not all of them are told: {words:?}");
    }
}

fn standings(state: &State, containers: &[Container]) -> Vec<&'static str> {
    let standing = |container: &Container| state.image_update(&container.id().into()).map(ImageUpdate::word);
    containers.iter().filter_map(standing).collect()
}

fn screen_of(core: &Core) -> Ui {
    let setup = ui::Setup {
        keymap: Config::defaults().unwrap().keys,
        theme: Theme::builtin("dark", Depth::True).unwrap(),
        depth: Depth::True,
        glyphs: &UNICODE,
        zone: core.zone.clone(),
        tab: TabId::Containers,
        mouse: true,
        read_only: false,
        demo: false,
        aliases: Vec::new(),
    };
    Ui::new(setup, Size { width: 160, height: 48 })
}
