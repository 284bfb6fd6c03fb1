//! One line of vitals: the numbers that are looked at every morning. What has no room goes, the last first.

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces, piece, width};
use super::super::format::{free_role, memory_role, temperature_role};
use super::super::theme::Role;
use crate::domain::{Counter, GpuMemory, Memory, SourceId, SourceStatus, Spread, units};
use crate::store::Window;

/// Draws the line.
pub(super) fn vitals(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let items = [
        gpu(scene),
        vram(scene),
        cpu(scene),
        memory(scene),
        disk(scene),
        containers(scene),
        requests(scene),
        speed(scene),
    ];
    let mut x = area.x + 2;
    for item in items.iter().filter(|item| !item.is_empty()) {
        if x + width(item) > area.right() {
            break;
        }
        x = canvas.pieces(x, area.y, area.right() - x, item) + 3;
    }
}

fn unavailable<'a>(label: &'a str, scene: &Scene<'_>) -> Pieces<'a> {
    vec![piece(Role::Muted, label), piece(Role::Faint, format!(" {}", scene.ui.glyphs().none))]
}

/// What stands instead of a value that is too old to be shown without its age; `None` while its source is fresh.
fn too_old(label: &'static str, source: SourceId, scene: &Scene<'_>) -> Option<Pieces<'static>> {
    let record = scene.state.sources.get(source)?;
    if matches!(record.status(scene.now), SourceStatus::Fresh | SourceStatus::Waiting) {
        return None;
    }
    let age = record.age(scene.now)?;
    Some(vec![piece(Role::Muted, label), piece(Role::Warning, format!(" stale {}", units::age(age)))])
}

/// The busiest card and the hottest.
fn gpu(scene: &Scene<'_>) -> Pieces<'static> {
    if let Some(old) = too_old("gpu", SourceId::Gpu, scene) {
        return old;
    }
    let Some(sample) = scene.state.gpus.get().filter(|sample| !sample.gpus.is_empty()) else {
        return match scene.state.sources.status(SourceId::Gpu, scene.now) {
            SourceStatus::Failed | SourceStatus::Stale | SourceStatus::Denied => {
                vec![piece(Role::Muted, "gpu"), piece(Role::Warning, " not read")]
            }
            _ => Vec::new(),
        };
    };
    let busiest = sample.gpus.iter().filter_map(|gpu| gpu.compute_ratio.get()).reduce(f64::max);
    let hottest = sample.gpus.iter().filter_map(|gpu| gpu.temperature_celsius.get()).max();
    let mut pieces = vec![piece(Role::Muted, "gpu")];
    match busiest {
        Some(ratio) => pieces.push(piece(Role::Text, format!(" {}", units::percent(ratio)))),
        None => pieces.push(piece(Role::Faint, format!(" {}", scene.ui.glyphs().none))),
    }
    if let Some(celsius) = hottest {
        let role = temperature_role(f64::from(celsius), &scene.state.thresholds);
        pieces.push(piece(role, format!(" {celsius}{}", scene.ui.glyphs().celsius)));
    }
    pieces
}

fn vram(scene: &Scene<'_>) -> Pieces<'static> {
    if too_old("vram", SourceId::Gpu, scene).is_some() {
        return Vec::new();
    }
    let memories =
        scene.state.gpus.get().into_iter().flat_map(|sample| &sample.gpus).filter_map(|gpu| gpu.memory.get());
    let total = memories.fold(GpuMemory::default(), |sum, memory| GpuMemory {
        total_bytes: sum.total_bytes + memory.total_bytes,
        used_bytes: sum.used_bytes + memory.used_bytes,
        reserved_bytes: 0,
    });
    if total.total_bytes == 0 {
        return Vec::new();
    }
    vec![
        piece(Role::Muted, "vram"),
        piece(Role::Text, format!(" {}", units::bytes_of(total.used_bytes, total.total_bytes))),
    ]
}

fn cpu(scene: &Scene<'_>) -> Pieces<'static> {
    if let Some(old) = too_old("cpu", SourceId::Host, scene) {
        return old;
    }
    match scene.state.host.get().and_then(|host| host.cpu.known()) {
        Some(cpu) => vec![piece(Role::Muted, "cpu"), piece(Role::Text, format!(" {}", units::percent(cpu.used_ratio)))],
        None => unavailable("cpu", scene),
    }
}

fn memory(scene: &Scene<'_>) -> Pieces<'static> {
    if let Some(old) = too_old("ram", SourceId::Host, scene) {
        return old;
    }
    match scene.state.host.get().and_then(|host| host.memory.get()).map(Memory::used_ratio) {
        Some(used) => {
            vec![
                piece(Role::Muted, "ram"),
                piece(memory_role(used, &scene.state.thresholds), format!(" {}", units::percent(used))),
            ]
        }
        None => unavailable("ram", scene),
    }
}

/// The fullest volume.
fn disk(scene: &Scene<'_>) -> Pieces<'static> {
    if let Some(old) = too_old("disk", SourceId::Volumes, scene) {
        return old;
    }
    let fullest = scene
        .state
        .volumes
        .get()
        .and_then(|volumes| volumes.iter().min_by(|a, b| a.free_ratio().total_cmp(&b.free_ratio())));
    let Some(volume) = fullest else { return unavailable("disk", scene) };
    let role = free_role(volume.free_ratio(), &scene.state.thresholds);
    let sign = if role == Role::Ok { String::new() } else { format!(" {}", scene.ui.glyphs().warning) };
    vec![
        piece(Role::Muted, volume.mount.clone()),
        piece(role, format!(" {} free{sign}", units::percent(volume.free_ratio()))),
    ]
}

fn containers(scene: &Scene<'_>) -> Pieces<'static> {
    match scene.state.sources.status(SourceId::Docker, scene.now) {
        SourceStatus::Unsupported => return Vec::new(),
        SourceStatus::Waiting => return unavailable("containers", scene),
        SourceStatus::Denied => return vec![piece(Role::Muted, "containers"), piece(Role::Warning, " no permission")],
        SourceStatus::Failed | SourceStatus::Stale => {
            let not_read = || vec![piece(Role::Muted, "containers"), piece(Role::Warning, " not read")];
            return too_old("containers", SourceId::Docker, scene).unwrap_or_else(not_read);
        }
        SourceStatus::Fresh => {}
    }
    let (up, all) = scene.state.containers_running(scene.now);
    let wrong = scene
        .state
        .findings
        .needing_someone(scene.now)
        .iter()
        .filter(|finding| finding.seen.container.is_some())
        .count();
    let mut pieces = vec![
        piece(Role::Muted, "containers"),
        piece(Role::Text, format!(" {up}")),
        piece(Role::Muted, format!("/{all}")),
    ];
    if wrong > 0 {
        pieces.push(piece(Role::Critical, format!(" {}", scene.ui.glyphs().critical)));
    }
    pieces
}

fn requests(scene: &Scene<'_>) -> Pieces<'static> {
    if let Some(old) = too_old("requests", SourceId::Engines, scene) {
        return old;
    }
    let Some(engines) = scene.state.engines.get().map(|sample| &sample.engines).filter(|engines| !engines.is_empty())
    else {
        return Vec::new();
    };
    let sum = |known: fn(&crate::domain::Engine) -> Option<u64>| {
        engines.iter().filter_map(known).reduce(|sum, more| sum + more)
    };
    let (Some(running), Some(waiting)) =
        (sum(|engine| engine.requests_running.get()), sum(|engine| engine.requests_waiting.get()))
    else {
        return Vec::new();
    };
    let role = if waiting > 0 { Role::Warning } else { Role::Text };
    vec![
        piece(Role::Muted, "requests"),
        piece(Role::Text, format!(" {running} running")),
        piece(role, format!(" {waiting} waiting")),
    ]
}

/// The slowest server's p95, and what all of them generate.
fn speed(scene: &Scene<'_>) -> Pieces<'static> {
    if too_old("requests", SourceId::Engines, scene).is_some() {
        return Vec::new();
    }
    let engines = scene.state.engines.get().map_or(&[][..], |sample| &sample.engines);
    let seen = || engines.iter().filter_map(|it| scene.state.measures.of(&it.endpoint, Window::Recent));
    let mut pieces = Vec::new();
    if let Some(seconds) = seen().filter_map(|it| it.quantile(Spread::EndToEnd, 0.95)).reduce(f64::max) {
        pieces.extend([piece(Role::Muted, "p95 "), piece(Role::Text, units::seconds(seconds))]);
    }
    if let Some(rate) = seen().filter_map(|it| it.rate(Counter::GeneratedTokens)).reduce(|sum, more| sum + more) {
        let gap = if pieces.is_empty() { "" } else { "   " };
        pieces.extend([piece(Role::Text, format!("{gap}{rate:.0}")), piece(Role::Muted, " tok/s")]);
    }
    pieces
}
