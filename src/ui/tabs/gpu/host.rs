//! The host beside the cards: processors, memory, volumes, network, what changed, how each source stands.

use ratatui::layout::Rect;
use std::time::Duration;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::format::{free_role, memory_role};
use super::super::super::theme::Role;
use super::super::super::widgets::{graph, meter, rule};
use super::below;
use crate::domain::{HostSample, Memory, Reading, SourceId, SourceStatus, Volume, units};
use crate::store::{RANGES, SeriesId};

/// Cells of a meter in this column.
const METER: u16 = 22;

/// Draws the column.
pub(super) fn column(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut rest = area;
    for pane in [host, disks, network, changes, sources] {
        if rest.height < 3 {
            break;
        }
        let taken = pane(canvas, rest, scene);
        rest = below(rest, taken + u16::from(taken > 0));
    }
}

/// Draws host and volumes in as few lines as they need. Returns the lines taken.
pub(super) fn lines(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    if area.height < 3 {
        return 0;
    }
    let taken = host_rows(canvas, area, scene, &[cpu, ram, pressure]);
    let rest = below(area, taken);
    if rest.height < 3 { taken } else { taken + disks(canvas, rest, scene) }
}

/// Draws one fact; false if there is none.
type HostRow = fn(&mut Canvas<'_>, Rect, &Scene<'_>, &HostSample) -> bool;

fn host(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    host_rows(canvas, area, scene, &[cpu, cores, ram, swap, pressure, temperature])
}

fn host_rows(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, rows: &[HostRow]) -> u16 {
    let Some(host) = scene.state.host.get() else {
        super::heading(canvas, area, scene, "Host", SourceId::Host, &[]);
        return 1;
    };
    let right = vec![piece(Role::Muted, format!("{} · {}", host.facts.os, short_kernel(&host.facts.kernel)))];
    super::heading(canvas, area, scene, "Host", SourceId::Host, &right);
    let mut y = area.y + 1;
    for row in rows {
        if y < area.bottom()
            && row(canvas, Rect { x: area.x + 2, y, width: area.width.saturating_sub(2), height: 1 }, scene, host)
        {
            y += 1;
        }
    }
    y - area.y
}

/// `6.8.0-87-generic` without the flavour.
fn short_kernel(kernel: &str) -> &str {
    kernel.trim_end_matches("-generic").trim_end_matches("-amd64")
}

fn cpu(canvas: &mut Canvas<'_>, row: Rect, _scene: &Scene<'_>, host: &HostSample) -> bool {
    let mut pieces: Pieces<'_> = vec![piece(Role::Muted, "cpu")];
    pieces.push(match host.cpu.known() {
        Some(cpu) => piece(Role::Text, format!(" {:>4}", units::percent(cpu.used_ratio))),
        None => piece(Role::Faint, format!(" {:>4}", canvas.glyphs.none)),
    });
    let plural = if host.facts.cores == 1 { "core" } else { "cores" };
    pieces.push(piece(Role::Muted, format!("  {} {plural}", host.facts.cores)));
    if let Some([one, five, fifteen]) = host.load.get() {
        pieces.push(piece(Role::Muted, "   load "));
        pieces.push(piece(Role::Text, format!("{one:.1} {five:.1} {fifteen:.1}")));
    }
    canvas.pieces(row.x, row.y, row.width, &pieces);
    true
}

/// A bar for each core, where there are several.
fn cores(canvas: &mut Canvas<'_>, row: Rect, _scene: &Scene<'_>, host: &HostSample) -> bool {
    let Some(cpu) = host.cpu.known().filter(|cpu| cpu.per_core_ratio.len() > 2) else { return false };
    let values: Vec<Option<f32>> = cpu.per_core_ratio.iter().map(|ratio| Some(*ratio as f32)).collect();
    graph::spark(canvas, row, &values, 1.0, Role::Compute);
    true
}

fn ram(canvas: &mut Canvas<'_>, row: Rect, scene: &Scene<'_>, host: &HostSample) -> bool {
    let memory = host.memory.get();
    let role = memory.map_or(Role::Text, |memory| memory_role(memory.used_ratio(), &scene.state.thresholds));
    let text = memory.map(|memory| units::bytes_of(memory.used_bytes(), memory.total_bytes));
    metered(canvas, row, "ram", memory.map(Memory::used_ratio), text, role);
    true
}

fn swap(canvas: &mut Canvas<'_>, row: Rect, _scene: &Scene<'_>, host: &HostSample) -> bool {
    let Some(swap) = host.swap.get() else { return false };
    let ratio = swap.used_bytes as f64 / swap.total_bytes.max(1) as f64;
    metered(canvas, row, "swap", Some(ratio), Some(units::bytes_of(swap.used_bytes, swap.total_bytes)), Role::Text);
    true
}

fn metered(canvas: &mut Canvas<'_>, row: Rect, label: &str, ratio: Option<f64>, text: Option<String>, role: Role) {
    canvas.put(row.x, row.y, 5, label, Role::Muted);
    let bar = METER.min(row.width.saturating_sub(22));
    meter::meter(canvas, row.x + 6, row.y, bar, ratio, Role::Memory);
    let text = text.map_or_else(|| piece(Role::Faint, canvas.glyphs.none), |text| piece(role, text));
    canvas.pieces(row.x + 6 + bar + 2, row.y, 14, &[text]);
}

fn pressure(canvas: &mut Canvas<'_>, row: Rect, _scene: &Scene<'_>, host: &HostSample) -> bool {
    let mut pieces: Pieces<'_> = vec![piece(Role::Muted, "pressure")];
    match &host.pressure {
        Reading::Known(pressure) => {
            for (label, ratio) in
                [("cpu", pressure.cpu_ratio), ("memory", pressure.memory_ratio), ("io", pressure.io_ratio)]
            {
                let role = if ratio >= 0.10 { Role::Warning } else { Role::Text };
                pieces.push(piece(Role::Muted, format!("  {label} ")));
                pieces.push(piece(role, units::percent_fine(ratio)));
            }
        }
        Reading::Unavailable(why) => pieces.push(piece(Role::Faint, format!("  {why}"))),
    }
    canvas.pieces(row.x, row.y, row.width, &pieces);
    true
}

/// The hottest sensor, where there are any.
fn temperature(canvas: &mut Canvas<'_>, row: Rect, _scene: &Scene<'_>, host: &HostSample) -> bool {
    let Some(hottest) = host.temperatures.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius)) else { return false };
    let hot = hottest.critical_celsius.is_some_and(|critical| hottest.celsius >= critical - 5.0);
    let role = if hot { Role::Warning } else { Role::Text };
    let celsius = canvas.glyphs.celsius;
    canvas.pieces(
        row.x,
        row.y,
        row.width,
        &[
            piece(Role::Muted, "hottest "),
            piece(role, format!("{:.0}{celsius}", hottest.celsius)),
            piece(Role::Muted, format!("  {}", hottest.label)),
        ],
    );
    true
}

fn disks(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    super::heading(canvas, area, scene, "Disks", SourceId::Volumes, &[piece(Role::Muted, "size · free")]);
    let Some(volumes) = scene.state.volumes.get() else { return 1 };
    // The fullest are what is looked for; what is left out is said.
    let mut shown: Vec<&Volume> = volumes.iter().collect();
    let room = usize::from(area.height.saturating_sub(2)).clamp(1, 8);
    if shown.len() > room {
        shown.sort_by(|a, b| a.free_ratio().total_cmp(&b.free_ratio()));
        shown.truncate(room.saturating_sub(1).max(1));
    }
    let mut y = area.y + 1;
    for volume in &shown {
        let free = volume.free_ratio();
        let role = free_role(free, &scene.state.thresholds);
        canvas.put(area.x + 2, y, 16, &volume.mount, Role::Text);
        let bar = area.width.saturating_sub(36).clamp(8, METER);
        let meter_role = if role == Role::Ok { Role::Memory } else { role };
        meter::meter(canvas, area.x + 19, y, bar, Some(1.0 - free), meter_role);
        let end = (area.x + 19 + bar + 15).min(area.right());
        canvas.pieces_right(end - 6, y, 8, &[piece(Role::Muted, units::bytes_short(volume.size_bytes))]);
        canvas.pieces_right(end, y, 5, &[piece(role, units::percent(free))]);
        y += 1;
    }
    if shown.len() < volumes.len() && y < area.bottom() {
        canvas.put(
            area.x + 2,
            y,
            area.width - 2,
            &format!("and {} with more room", volumes.len() - shown.len()),
            Role::Faint,
        );
        y += 1;
    }
    y - area.y
}

fn network(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    let Some(host) = scene.state.host.get().filter(|host| !host.networks.is_empty()) else { return 0 };
    rule::heading(canvas, area, "Network", false, &[]);
    let mut busiest: Vec<_> = host.networks.iter().collect();
    busiest.sort_by(|a, b| {
        let total = |net: &crate::domain::NetIo| net.received_bytes_per_second + net.transmitted_bytes_per_second;
        total(b).total_cmp(&total(a)).then_with(|| a.name.cmp(&b.name))
    });
    let glyphs = canvas.glyphs;
    let shown = (area.height - 1).min(2);
    let mut y = area.y + 1;
    for net in busiest.into_iter().take(shown.into()) {
        let pieces = [
            piece(Role::Muted, format!("{:<10}", net.name)),
            piece(Role::Muted, format!("{} ", glyphs.receive)),
            piece(Role::Text, format!("{:>9}", units::rate(net.received_bytes_per_second))),
            piece(Role::Muted, format!("  {} ", glyphs.send)),
            piece(Role::Text, format!("{:>9}", units::rate(net.transmitted_bytes_per_second))),
        ];
        canvas.pieces(area.x + 2, y, area.width - 2, &pieces);
        y += 1;
    }
    let series = scene.state.series.get(&SeriesId::NetReceived);
    let width = area.width - 4;
    if let Some(values) =
        series.and_then(|series| series.buckets(RANGES[0], scene.now, graph::columns(canvas.glyphs, width)))
        && y + 1 < area.bottom()
    {
        let top = values.iter().flatten().fold(1_000.0_f32, |top, value| top.max(*value));
        graph::graph(canvas, Rect { x: area.x + 2, y, width, height: 2 }, &values, top, Role::Bandwidth);
        y += 2;
    }
    y - area.y
}

fn changes(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    let Some(visit) = scene.state.last_visit else { return 0 };
    rule::heading(canvas, area, "Since your last visit", false, &[piece(Role::Muted, scene.when(visit))]);
    let changes = scene.state.changes(scene.now);
    let room = usize::from(area.height.saturating_sub(1)).min(8);
    let shown = &changes[changes.len().saturating_sub(room)..];
    let column = shown.iter().map(|change| scene.when(change.at).len()).max().unwrap_or(0) + 1;
    let mut y = area.y + 1;
    for change in shown {
        let at = format!("{:<column$}", scene.when(change.at));
        canvas.pieces(
            area.x + 2,
            y,
            area.width - 2,
            &[piece(Role::Muted, at), piece(Role::Text, change.text.as_str())],
        );
        y += 1;
    }
    if changes.is_empty() {
        canvas.put(area.x + 2, y, area.width - 2, "nothing changed", Role::Faint);
        y += 1;
    }
    y - area.y
}

fn sources(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    rule::heading(canvas, area, "Sources", false, &[]);
    let mut y = area.y + 1;
    for (id, source) in scene.state.sources.iter() {
        if y >= area.bottom() {
            break;
        }
        let status = source.status(scene.now);
        let (text, role) = match status {
            SourceStatus::Fresh => (source.detail.clone(), Role::Muted),
            SourceStatus::Waiting => ("waiting".to_owned(), Role::Faint),
            SourceStatus::Unsupported => {
                (format!("absent: {}", source.trouble(scene.now).unwrap_or_default()), Role::Faint)
            }
            SourceStatus::Stale | SourceStatus::Failed | SourceStatus::Denied => {
                let age = source.age(scene.now).map(|age| format!(" {}", coarse(age))).unwrap_or_default();
                (format!("{}{age}: {}", status.word(), source.trouble(scene.now).unwrap_or_default()), Role::Warning)
            }
        };
        canvas.put(area.x + 2, y, 17, id.as_str(), Role::Text);
        canvas.put(area.x + 20, y, area.width - 20, &text, role);
        y += 1;
    }
    y - area.y
}

/// An age in steps that do not redraw every second: 5 s below a minute.
fn coarse(age: Duration) -> String {
    let seconds = age.as_secs();
    units::span(Duration::from_secs(if seconds < 60 { seconds / 5 * 5 } else { seconds / 60 * 60 }))
}
