//! The selected container beside the list: what it is, why it ends, what it uses, what it said last.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::crash::{self, Part, Room, WHY};
use super::super::super::format;
use super::super::super::popups::wrapped;
use super::super::super::screen::severity_role;
use super::super::super::theme::Role;
use super::super::super::widgets::{graph, rule};
use crate::domain::{Container, HealthState, LogLevel, units};
use crate::store::KeptVersion;

/// Draws the column.
pub(super) fn detail(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container) {
    let room = Room { width: area.width.saturating_sub(2), runs: 3, words: 6 };
    let parts = crash::parts(scene, container, room);
    if !parts.iter().any(|part| part.title == WHY) {
        panes(canvas, area, scene, container, &[facts, trouble, usage, last_lines]);
        return;
    }
    let rest = panes(canvas, area, scene, container, &[facts]);
    reading(canvas, rest, parts);
}

type Pane = fn(&mut Canvas<'_>, Rect, &Scene<'_>, &Container) -> u16;

/// Draws panes below each other and returns the room that is left.
fn panes(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container, panes: &[Pane]) -> Rect {
    let mut rest = area;
    for pane in panes {
        if rest.height < 4 {
            break;
        }
        let taken = pane(canvas, rest, scene, container);
        rest = below(rest, taken);
    }
    rest
}

/// What is left below a pane of this height.
fn below(area: Rect, taken: u16) -> Rect {
    let taken = (taken + u16::from(taken > 0)).min(area.height);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

/// Why it dies. Where there is little room, what it wrote last gives way first, then what is least new of the rest.
fn reading(canvas: &mut Canvas<'_>, area: Rect, mut parts: Vec<Part>) {
    let wanted: usize = parts.iter().map(|part| part.lines.len() + 2).sum();
    let mut surplus = wanted.saturating_sub(usize::from(area.height) + 1);
    if let Some(words) = parts.iter_mut().find(|part| part.title.starts_with("Last lines")) {
        let gone = surplus.min(words.lines.len().saturating_sub(1));
        words.lines.drain(..gone);
        surplus -= gone;
        if surplus > 0 {
            parts.retain(|part| !part.title.starts_with("Last lines"));
        }
    }
    let mut rest = area;
    for part in &parts {
        if rest.height < 2 {
            break;
        }
        rule::heading(canvas, rest, part.title, false, &[]);
        let shown = part.lines.len().min(usize::from(rest.height) - 1);
        for (y, line) in (rest.y + 1..).zip(&part.lines[..shown]) {
            canvas.pieces(rest.x + 2, y, rest.width - 2, line);
        }
        rest = below(rest, shown as u16 + 1);
    }
}

fn facts(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container) -> u16 {
    rule::heading(canvas, area, &container.name, false, &[]);
    let started = container
        .started
        .filter(|_| container.state.is_up())
        .map(|at| format!("{} ago", units::span(scene.now.since_wall(at))));
    let memory = container.memory_limit_bytes.map(units::bytes);
    let cpu = container.cpu_limit.map(|limit| format!("{limit} cpu"));
    let limits: Vec<String> = memory.into_iter().chain(cpu).collect();
    let ports: Vec<String> = container
        .ports
        .iter()
        .map(|port| format!("{}→{} {}", port.host_port, port.container_port, port.reach.word()))
        .collect();
    let lines = [
        ("kept", kept(scene, container)),
        ("id", Some(container.id.short().to_owned())),
        ("started", started),
        ("limits", (!limits.is_empty()).then(|| limits.join(", "))),
        ("policy", Some(format!("restart={}", container.restart_policy))),
        ("ports", (!ports.is_empty()).then(|| ports.join("  "))),
    ];
    let mut y = fact(canvas, area, area.y + 1, "image", &container.image, Role::Text);
    y = update(canvas, area, y, scene, container);
    for (label, value) in lines {
        if let Some(value) = value {
            y = fact(canvas, area, y, label, &value, Role::Text);
        }
    }
    y - area.y
}

/// One labelled line, if there is room for it. Returns the line below.
fn fact(canvas: &mut Canvas<'_>, area: Rect, y: u16, label: &str, value: &str, role: Role) -> u16 {
    if y >= area.bottom() {
        return y;
    }
    canvas.put(area.x + 2, y, 9, label, Role::Muted);
    canvas.put(area.x + 11, y, area.width - 11, value, role);
    y + 1
}

/// How its image stands, in two lines at most. Returns the line below.
fn update(canvas: &mut Canvas<'_>, area: Rect, y: u16, scene: &Scene<'_>, container: &Container) -> u16 {
    let Some(update) = scene.state.image_update(&container.id) else { return y };
    let role = if update.offered().is_some() { Role::Accent } else { Role::Text };
    let lines = wrapped(&update.sentence(scene.now.wall), (area.width - 11).into());
    let mut lines = lines.iter().map(|line| line.iter().map(|piece| &*piece.text).collect::<String>());
    let y = fact(canvas, area, y, "update", &lines.next().unwrap_or_default(), role);
    let rest = lines.collect::<Vec<_>>().join(" ");
    if rest.is_empty() { y } else { fact(canvas, area, y, "", &rest, role) }
}

/// Earlier versions that are kept: `1.117.1, 1.116.0  for roll back`.
fn kept(scene: &Scene<'_>, container: &Container) -> Option<String> {
    let versions = scene.state.kept_versions(container);
    let word = |kept: &KeptVersion| match (&kept.version, kept.at) {
        (Some(version), _) => version.clone(),
        (None, Some(at)) => format!("that of {}", scene.when(at)),
        (None, None) => kept.run.clone(),
    };
    let words: Vec<String> = versions.iter().map(word).collect();
    (!words.is_empty()).then(|| format!("{}  for roll back", words.join(", ")))
}

/// Findings about it, how its last run ended, what its health check prints.
fn trouble(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container) -> u16 {
    let mut lines: Vec<Pieces<'_>> = Vec::new();
    let findings = scene.state.findings.needing_someone(scene.now);
    for finding in findings.iter().filter(|finding| finding.seen.container.as_ref() == Some(&container.id)) {
        let role = severity_role(finding.seen.severity);
        lines.push(vec![piece(
            role,
            format!("{} {}", canvas.glyphs.severity(finding.seen.severity), finding.seen.title),
        )]);
        lines.extend(finding.seen.evidence.iter().map(|evidence| vec![piece(Role::Text, format!("  {evidence}"))]));
    }
    if let Some(exit) = container.last_exit.filter(|_| !container.state.is_up() || container.restart_count > 0) {
        let at = exit.at.map(|at| format!("  {}", scene.when(at))).unwrap_or_default();
        lines.push(vec![
            piece(Role::Muted, "last run ended: "),
            piece(Role::Text, exit.to_string()),
            piece(Role::Muted, at),
        ]);
    }
    if let Some(error) = &container.start_error {
        lines.push(vec![piece(Role::Critical, error.as_str())]);
    }
    if let Some(output) = container
        .health
        .as_ref()
        .filter(|health| health.state != HealthState::Healthy)
        .and_then(|health| health.last_output.as_ref())
    {
        lines.push(vec![piece(Role::Muted, "health check: "), piece(Role::Text, output.as_str())]);
    }
    if lines.is_empty() {
        return 0;
    }
    rule::heading(canvas, area, "What is wrong", false, &[]);
    let shown = lines.len().min(usize::from(area.height.saturating_sub(1)));
    for (y, line) in (area.y + 1..).zip(&lines[..shown]) {
        canvas.pieces(area.x + 2, y, area.width - 2, line);
    }
    shown as u16 + 1
}

/// Two minutes of processor and memory.
fn usage(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container) -> u16 {
    let Some(track) = scene.state.tracks.get(&container.id).filter(|track| !track.memory.is_empty()) else { return 0 };
    if area.height < 8 {
        return 0;
    }
    rule::heading(canvas, area, "Last two minutes", false, &[]);
    let now = scene.state.usage.get().and_then(|usages| usages.by_id.get(&container.id));
    let width = area.width - 4;
    let columns = graph::columns(canvas.glyphs, width);
    let mut y = area.y + 1;
    let cpu = now.and_then(|usage| usage.cpu_cores.get()).map(format::cores);
    let memory = now.and_then(|usage| usage.memory_bytes.get()).map(units::bytes);
    let limit = container.memory_limit_bytes;
    let rows = [
        ("cpu", cpu, &track.cpu, 0.1_f32, Role::Compute),
        ("memory", memory, &track.memory, limit.map_or(1.0e6, |limit| limit as f32), Role::Memory),
    ];
    for (label, text, ring, least, role) in rows {
        let values = stretched(ring, columns);
        let top = values.iter().flatten().fold(least, |top, value| top.max(*value * 1.1));
        let text = text.unwrap_or_else(|| canvas.glyphs.none.to_owned());
        canvas.pieces(
            area.x + 2,
            y,
            area.width - 2,
            &[piece(Role::Muted, format!("{label} ")), piece(Role::Text, text)],
        );
        graph::graph(canvas, Rect { x: area.x + 2, y: y + 1, width, height: 2 }, &values, top, role);
        y += 3;
    }
    y - area.y
}

/// The newest values at the right edge, one a column.
fn stretched(ring: &std::collections::VecDeque<f32>, columns: usize) -> Vec<Option<f32>> {
    let empty = columns.saturating_sub(ring.len());
    let skipped = ring.len().saturating_sub(columns);
    let values = ring.iter().skip(skipped).map(|value| (!value.is_nan()).then_some(*value));
    std::iter::repeat_n(None, empty).chain(values).collect()
}

/// The last lines that it wrote.
fn last_lines(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, container: &Container) -> u16 {
    let room = usize::from(area.height.saturating_sub(1)).min(12);
    let mine = scene.state.logs.iter().rev().filter(|(_, line)| line.origin.container == container.id);
    let mut lines: Vec<_> = mine.take(room).map(|(_, line)| line).collect();
    if lines.is_empty() {
        return 0;
    }
    lines.reverse();
    let title = if container.state.is_up() { "Last lines" } else { "Last lines before it ended" };
    rule::heading(canvas, area, title, false, &[]);
    for (y, line) in (area.y + 1..).zip(&lines) {
        let role = match line.level {
            LogLevel::Error => Role::Critical,
            LogLevel::Warning => Role::Warning,
            LogLevel::Info => Role::Text,
        };
        canvas.pieces(
            area.x + 2,
            y,
            area.width - 2,
            &[piece(Role::Faint, format!("{} ", scene.clock(line.at))), piece(role, &*line.text)],
        );
    }
    lines.len() as u16 + 1
}
