//! Why a container dies, as lines: beside the list and in the detail alike.

use std::time::Duration;

use jiff::Timestamp;

use super::Scene;
use super::canvas::{Pieces, piece, text_width};
use super::popups::wrapped;
use super::theme::Role;
use super::widgets::graph;
use crate::domain::{Container, HealthState, LogLevel, LogLine, units};
use crate::store::{Crash, Death, Life};

/// Lines under a heading.
pub(super) struct Part {
    /// The heading.
    pub(super) title: &'static str,
    /// What stands below it.
    pub(super) lines: Vec<Pieces<'static>>,
}

/// The heading of the part that only a container has that dies.
pub(super) const WHY: &str = "Why it dies";

/// How much room there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Cells of a line.
    pub(super) width: u16,
    /// Lives whose history is told, at most.
    pub(super) runs: usize,
    /// Lines of the log, at most.
    pub(super) words: usize,
}

/// Lives whose memory is drawn, at most.
const CURVES: usize = 4;
/// A reading so long before death is told with its age.
const STALE: Duration = Duration::from_secs(3);
/// Lines of the curves.
const CURVE_HEIGHT: u16 = 4;

/// Why the container dies, what its health check says, what it wrote last, what would help; nothing for one that is well.
pub(super) fn parts(scene: &Scene<'_>, container: &Container, room: Room) -> Vec<Part> {
    let crash = scene.state.crash(container, scene.now);
    let mut parts = Vec::new();
    if let Some(crash) = &crash {
        parts.push(Part { title: WHY, lines: why(scene, container, crash, room) });
    }
    let health = health(scene, container, room);
    if !health.is_empty() {
        parts.push(Part { title: "Health check", lines: health });
    }
    if let Some(crash) = &crash {
        let words = scene.state.last_words(container, crash, room.words);
        if !words.is_empty() {
            let title = if crash.last().is_some() { "Last lines before death" } else { "Last lines" };
            parts.push(Part { title, lines: words.into_iter().map(|line| word(scene, line)).collect() });
        }
    }
    let advice = scene.state.advice(container, crash.as_ref());
    if !advice.is_empty() {
        let lines = advice.iter().flat_map(|advice| point(advice, room.width)).collect();
        parts.push(Part { title: "What would help", lines });
    }
    parts
}

/// One line of the log.
pub(super) fn word(scene: &Scene<'_>, line: &LogLine) -> Pieces<'static> {
    let role = match line.level {
        LogLevel::Error => Role::Critical,
        LogLevel::Warning => Role::Warning,
        LogLevel::Info => Role::Text,
    };
    vec![piece(Role::Faint, format!("{} ", seconds(scene, line.at))), piece(role, line.text.to_string())]
}

fn why(scene: &Scene<'_>, container: &Container, crash: &Crash<'_>, room: Room) -> Vec<Pieces<'static>> {
    let mut lines = Vec::new();
    if let Some(error) = crash.start_error {
        lines.push(vec![piece(Role::Muted, "the engine could not start it:")]);
        lines.extend(wrapped(error, room.width.into()));
    }
    let Some(last) = crash.last() else { return lines };
    lines.push(vec![piece(Role::Critical, last.exit.to_string())]);
    lines.push(times(scene, crash, room.width));
    lines.extend(memory(container, crash));
    lines.extend(curves(scene, container, crash, room.width));
    lines.extend(crash.deaths.iter().rev().take(room.runs).map(|death| run(scene, death)));
    lines
}

/// When it died: the newest times that find room, and how many there are.
fn times(scene: &Scene<'_>, crash: &Crash<'_>, width: u16) -> Pieces<'static> {
    let count = crash.deaths.len();
    let mut text = String::new();
    for death in crash.deaths.iter().rev() {
        let time = scene.when(death.at);
        if text_width(&text) + text_width(&time) + 13 > width {
            break;
        }
        text = if text.is_empty() { time } else { format!("{time} {text}") };
    }
    let label = if count == 1 { "1 exit".to_owned() } else { format!("{count} exits") };
    vec![piece(Role::Muted, format!("{label:<10}  ")), piece(Role::Text, text)]
}

/// Memory at the last reading before death, and how it grew.
fn memory(container: &Container, crash: &Crash<'_>) -> Vec<Pieces<'static>> {
    let mut lines = Vec::new();
    let limit = container.memory_limit_bytes;
    let of_limit = limit.map_or_else(|| ", no limit".to_owned(), |limit| format!(" of {}", units::bytes(limit)));
    let killed = crash.last().is_some_and(|death| death.exit.oom_killed);
    match crash.memory_at_death() {
        Some((bytes, before)) => {
            let mut line =
                vec![piece(Role::Muted, "memory at death "), piece(Role::Text, units::bytes(bytes) + &of_limit)];
            if before >= STALE {
                line.push(piece(Role::Muted, format!(", {} before", units::span(before))));
            }
            lines.push(line);
        }
        None if killed => {
            lines.push(vec![piece(Role::Muted, "memory at death not read"), piece(Role::Text, of_limit)]);
        }
        None => {}
    }
    if let Some(growth) = crash.growth() {
        let over =
            if growth.since_start { "since start".to_owned() } else { format!("over {}", units::span(growth.over)) };
        let rate = units::bytes(growth.bytes_per_second as u64);
        lines.push(vec![piece(Role::Muted, "grew "), piece(Role::Text, format!("{rate}/s {over}"))]);
    }
    lines
}

/// The memory of the last runs side by side on one scale of time and of bytes, and below it where each ended.
fn curves(scene: &Scene<'_>, container: &Container, crash: &Crash<'_>, width: u16) -> Vec<Pieces<'static>> {
    let long_enough = |run: &&Life| run.lasted() >= Duration::from_secs(2);
    let ended = crash.deaths.iter().filter_map(|death| Some((death.run.filter(long_enough)?, Some(death.at))));
    let present = crash.present.filter(long_enough).map(|run| (run, None));
    let mut shown: Vec<(&Life, Option<Timestamp>)> = ended.chain(present).collect();
    let surplus = shown.len().saturating_sub(CURVES);
    shown.drain(..surplus);
    if shown.is_empty() || shown.iter().all(|(_, ended)| ended.is_none()) {
        return Vec::new();
    }
    let glyphs = scene.ui.glyphs();
    let room = width.saturating_sub(shown.len() as u16 - 1);
    let whole: f32 = shown.iter().map(|(run, _)| run.lasted().as_secs_f32()).sum();
    let (mut values, mut marks) = (Vec::new(), Vec::new());
    for (run, ended) in &shown {
        let share = run.lasted().as_secs_f32() / whole;
        let cells = ((f32::from(room) * share) as u16).max(1);
        if !values.is_empty() {
            values.extend(std::iter::repeat_n(None, graph::columns(glyphs, 1)));
            marks.push(piece(Role::Muted, " "));
        }
        values.extend(run.curve(graph::columns(glyphs, cells)).into_iter().map(Some));
        marks.extend(mark(scene, *ended, cells));
    }
    let highest = values.iter().flatten().fold(1.0_f32, |top, value| top.max(*value));
    let killed = shown.iter().any(|_| crash.deaths.iter().any(|death| death.exit.oom_killed));
    let top = container.memory_limit_bytes.filter(|_| killed).map_or(highest, |limit| highest.max(limit as f32));
    let drawn = graph::text(glyphs, (width, CURVE_HEIGHT), &values, top);
    let mut lines: Vec<Pieces<'static>> = drawn.into_iter().map(|row| vec![piece(Role::Memory, row)]).collect();
    lines.push(marks);
    lines
}

/// Below the end of a curve: that it died there, and when; `now` where it still runs.
fn mark(scene: &Scene<'_>, ended: Option<Timestamp>, cells: u16) -> Pieces<'static> {
    let sign = if ended.is_some() { scene.ui.glyphs().critical } else { "" };
    let text = ended.map_or_else(|| "now".to_owned(), |at| scene.clock(at));
    let fits = text_width(&text) + text_width(sign) < cells;
    let text = if fits { text } else { String::new() };
    let taken = text_width(&text) + text_width(sign);
    let before = usize::from(cells.saturating_sub(taken));
    vec![piece(Role::Muted, " ".repeat(before)), piece(Role::Muted, text), piece(Role::Critical, sign)]
}

/// One run of the history: from when to when, how long, how it ended.
fn run(scene: &Scene<'_>, death: &Death<'_>) -> Pieces<'static> {
    let began = death.began.map_or_else(|| "?".to_owned(), |began| seconds(scene, began));
    let ran = death.ran().map(|ran| if ran.as_secs() == 0 { "<1 s".to_owned() } else { units::span(ran) });
    let oom = if death.exit.oom_killed { " OOM" } else { "" };
    vec![
        piece(Role::Muted, format!("{began}{}", scene.ui.glyphs().none)),
        piece(Role::Text, seconds(scene, death.at)),
        piece(Role::Muted, ran.map(|ran| format!("  ran {ran}")).unwrap_or_default()),
        piece(Role::Text, format!("  exit {}{oom}", death.exit.code)),
    ]
}

/// The last failing probe, how many failed in a row, since when.
fn health(scene: &Scene<'_>, container: &Container, room: Room) -> Vec<Pieces<'static>> {
    let Some(health) = container.health.as_ref().filter(|health| {
        health.state == HealthState::Unhealthy || (health.state == HealthState::Starting && health.failing_streak > 0)
    }) else {
        return Vec::new();
    };
    let since =
        health.failing_since.map(|at| format!(" since {} ({})", scene.when(at), units::span(scene.now.since_wall(at))));
    let mut lines = vec![vec![
        piece(Role::Warning, format!("{} failed in a row", health.failing_streak)),
        piece(Role::Muted, since.unwrap_or_default()),
    ]];
    if let Some(output) = &health.last_output {
        lines.extend(wrapped(output, room.width.into()).into_iter().take(4));
    }
    lines
}

/// A point of a list, wrapped.
fn point(text: &str, width: u16) -> Vec<Pieces<'static>> {
    let lines = wrapped(text, usize::from(width.saturating_sub(2)).max(10)).into_iter();
    lines
        .enumerate()
        .map(|(number, line)| {
            let sign = if number == 0 { "· " } else { "  " };
            std::iter::once(piece(Role::Faint, sign)).chain(line).collect()
        })
        .collect()
}

/// A time of day to the second.
fn seconds(scene: &Scene<'_>, at: Timestamp) -> String {
    scene.ui.setup.zone.to_datetime(at).strftime("%H:%M:%S").to_string()
}
