//! A made-up box that plays on any laptop: two cards, fifteen containers, three inference servers, faults that come and
//! go. The screen always marks it DEMO.
//!
//! What the box says at a second is a pure function of that second ([`events`]), so pictures and tests show the same box.

mod containers;
mod disk;
mod engines;
mod library;
mod lines;
mod machine;
mod model_updates;
mod recorded;
mod updates;

pub use recorded::recorded;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::domain::{Event, JournalEntry, JournalRecord, Moment, Sample};
use crate::host::Clock;

/// Seconds after which the same faults come again.
const CYCLE: u64 = 300;

/// When the faults of a cycle begin and end, seconds.
struct Faults {
    /// A worker is killed for memory again and again.
    worker_dies: bool,
    /// A sandbox fails its health check.
    sandbox_sick: bool,
    /// A card runs hot and slows down.
    card_hot: bool,
    /// An inference server does not answer.
    ollama_silent: bool,
}

impl Faults {
    fn at(second: u64) -> Self {
        let within = |from, to| (from..to).contains(&(second % CYCLE));
        Self {
            worker_dies: within(0, 140),
            sandbox_sick: within(60, 150),
            card_hot: within(170, 230),
            ollama_silent: within(200, 240),
        }
    }
}

/// How long the box has been watched when it is first shown: graphs are full from the start.
pub const PAST: Duration = Duration::from_secs(CYCLE);

/// What the box said before it is first shown, at `now`.
pub fn past(now: Moment) -> impl Iterator<Item = Event> {
    (0..CYCLE).flat_map(move |second| {
        let back = Duration::from_secs(CYCLE - second);
        let at = Moment { mono: now.mono.saturating_sub(back), wall: now.wall.checked_sub(back).unwrap_or(now.wall) };
        events(second, at)
    })
}

/// Plays the box from now on, second by second, until nobody listens.
pub async fn play(clock: Clock, events: mpsc::Sender<Event>) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for second in CYCLE.. {
        seconds.tick().await;
        for event in self::events(second, clock.now()) {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// What the box says at a second after its start, which is `at`.
pub fn events(second: u64, at: Moment) -> Vec<Event> {
    let faults = Faults::at(second);
    let sampled = |sample, detail: &str| Event::Sampled { sample, detail: detail.to_owned(), at };
    let mut events = Vec::new();
    if second == 0 {
        events.push(Event::Journal(journal(at.wall)));
        events.push(Event::Docker { events: containers::past(at.wall), at });
        events.push(Event::Updates(Arc::new(updates::policy())));
        events.push(Event::ImagesSeen(disk::seen(at.wall)));
    }
    events.push(sampled(Sample::Host(Arc::new(machine::host(second))), "6.8.0-87-generic, 16 cores"));
    events.push(sampled(Sample::Gpu(Arc::new(machine::gpus(second, &faults))), "driver 580.95.05, 2 cards"));
    if second.is_multiple_of(10) {
        events.push(sampled(Sample::Volumes(Arc::new(machine::volumes(second))), "4 file systems"));
        let disk = disk::disk(at.wall);
        events.push(sampled(Sample::DockerDisk(Arc::new(disk)), "31 images, 12 volumes, 118 GiB, 7 networks"));
    }
    let happened = containers::happened(second, &faults, at.wall);
    if !happened.is_empty() {
        events.push(Event::Docker { events: happened, at });
    }
    if second.is_multiple_of(2) {
        let sample = containers::sample(second, &faults, at.wall);
        events.push(sampled(Sample::Docker(Arc::new(sample)), "engine 29.1.2, API 1.51"));
    }
    if second.is_multiple_of(10) {
        events.push(sampled(Sample::Updates(Arc::new(updates::sample(at.wall))), updates::DETAIL));
        let library = library::sample(at.wall);
        events.push(sampled(Sample::Library(Arc::new(library)), library::DETAIL));
        let published = model_updates::sample(at.wall);
        events.push(sampled(Sample::ModelUpdates(Arc::new(published)), model_updates::DETAIL));
    }
    events.push(sampled(Sample::Usage(Arc::new(containers::usages(second, &faults))), "cgroup v2"));
    if second.is_multiple_of(5) {
        events.push(sampled(Sample::Engines(Arc::new(engines::sample(second, &faults))), "3 listening"));
        let requests = engines::requests(second);
        if !requests.is_empty() {
            events.push(Event::Requests { requests, at });
        }
        events.push(sampled(Sample::Logs { followed: 14 }, "14 containers"));
        events.push(sampled(Sample::Platforms(Arc::new(containers::platforms(second))), "2 platforms"));
    }
    events.push(Event::Logs(lines::batch(second, &faults, at.wall)));
    events
}

/// What was said before: a visit yesterday and two remarks.
fn journal(now: Timestamp) -> Vec<JournalRecord> {
    let ago = |hours: i64| now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(now);
    let record = |at, entry| JournalRecord { schema: 1, at, by: "jo".to_owned(), entry };
    let note = |text: &str| JournalEntry::Note { text: text.to_owned() };
    vec![
        record(ago(46), note("moved /models to the new disk")),
        record(ago(24), JournalEntry::Visit),
        record(ago(9), note("raised n8n concurrency to 10")),
    ]
}

/// A smooth load between 0 and 1 that looks alive: two waves and a little noise, the same for the same second.
fn wave(second: u64, period: f64, phase: f64) -> f64 {
    let at = second as f64 / period * std::f64::consts::TAU + phase;
    let noise = ((second.wrapping_mul(2_654_435_761) ^ phase.to_bits()) % 1000) as f64 / 1000.0 - 0.5;
    (0.5 + 0.32 * at.sin() + 0.12 * (at * 2.7).sin() + 0.12 * noise).clamp(0.0, 1.0)
}
