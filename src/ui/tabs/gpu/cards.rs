//! The cards: one block each while there is room, one line each when there is not.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece, width};
use super::super::super::format::temperature_role;
use super::super::super::theme::Role;
use super::super::super::widgets::{meter, rule};
use crate::domain::{Gpu, GpuSample, Reading, SourceId, SourceStatus, ThrottleReason, units};

/// Lines of a block, with its heading.
const BLOCK: u16 = 7;
/// The narrowest block.
const BLOCK_WIDTH: u16 = 48;

/// Draws the cards as blocks side by side, or as lines when they are many. Returns the lines taken.
pub(super) fn cards(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    let Some(sample) = scene.state.gpus.get().filter(|sample| !sample.gpus.is_empty()) else {
        return absent(canvas, area, scene);
    };
    let side_by_side = (area.width / BLOCK_WIDTH).max(1);
    let rows = (sample.gpus.len() as u16).div_ceil(side_by_side);
    if rows > 2 || rows * (BLOCK + 1) > area.height * 2 / 3 {
        return lines(canvas, area, scene);
    }
    let across = side_by_side.min(sample.gpus.len() as u16);
    let block_width = (area.width - (across - 1) * 2) / across;
    for (index, gpu) in (0..).zip(&sample.gpus) {
        let (row, column) = (index / side_by_side, index % side_by_side);
        let block = Rect {
            x: area.x + column * (block_width + 2),
            y: area.y + row * (BLOCK + 1),
            width: block_width,
            height: BLOCK,
        };
        draw_block(canvas, block, scene, sample, gpu);
    }
    rows * (BLOCK + 1) - 1
}

/// Draws a line for each card. Returns the lines taken.
pub(super) fn lines(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    let Some(sample) = scene.state.gpus.get().filter(|sample| !sample.gpus.is_empty()) else {
        return absent(canvas, area, scene);
    };
    super::heading(canvas, area, scene, "Cards", SourceId::Gpu, &driver(sample));
    let shown = area.height.saturating_sub(1).min(sample.gpus.len() as u16);
    for (y, gpu) in (area.y + 1..area.y + 1 + shown).zip(&sample.gpus) {
        draw_line(canvas, Rect { y, height: 1, ..area }, scene, gpu);
    }
    shown + 1
}

/// Why there are no cards, in words. Returns the lines taken.
fn absent(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> u16 {
    if area.height < 3 {
        return 0;
    }
    rule::heading(canvas, area, "GPU", false, &[]);
    let source = scene.state.sources.get(SourceId::Gpu);
    let status = scene.state.sources.status(SourceId::Gpu, scene.now);
    let (text, role) = match (status, source.and_then(|source| source.failure.as_ref())) {
        (SourceStatus::Waiting, _) => ("asking the driver …".to_owned(), Role::Muted),
        (SourceStatus::Unsupported, Some((failure, _))) => (format!("none: {}", failure.what), Role::Muted),
        (_, Some((failure, _))) => (failure.what.clone(), Role::Warning),
        _ => ("no NVIDIA card in this machine".to_owned(), Role::Muted),
    };
    canvas.put(area.x + 2, area.y + 1, area.width - 2, &text, role);
    let remedy = source.and_then(|source| source.failure.as_ref()).and_then(|(failure, _)| failure.remedy.clone());
    match remedy {
        Some(remedy) => {
            canvas.put(area.x + 2, area.y + 2, area.width - 2, &remedy, Role::Text);
            3
        }
        None => 2,
    }
}

fn driver(sample: &GpuSample) -> Pieces<'static> {
    let mut words = Vec::new();
    if let Some(version) = sample.driver.loaded.known() {
        words.push(format!("driver {version}"));
    }
    if let Some(cuda) = sample.driver.cuda.known() {
        words.push(format!("CUDA {cuda}"));
    }
    vec![piece(Role::Muted, words.join(" · "))]
}

fn draw_block(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, sample: &GpuSample, gpu: &Gpu) {
    let title = format!("gpu{}  {}", gpu.index, gpu.name);
    super::heading(canvas, area, scene, &title, SourceId::Gpu, &driver(sample));
    let memory = gpu.memory.get();
    let power = gpu.power_watts.get().zip(gpu.power_limit_watts.get());
    let ratio_text = |reading: &Reading<f64>| reading.get().map(units::percent);
    let meters: [(&str, Option<f64>, Option<String>, Role); 4] = [
        ("compute", gpu.compute_ratio.get(), ratio_text(&gpu.compute_ratio), Role::Compute),
        ("bandwidth", gpu.bandwidth_ratio.get(), ratio_text(&gpu.bandwidth_ratio), Role::Bandwidth),
        (
            "vram",
            memory.map(crate::domain::GpuMemory::used_ratio),
            memory.map(|memory| units::bytes_of(memory.used_bytes, memory.total_bytes)),
            Role::Memory,
        ),
        (
            "power",
            power.map(|(watts, limit)| watts / limit.max(1.0)),
            match power {
                Some((watts, limit)) => Some(format!("{watts:.0}/{limit:.0} W")),
                None => gpu.power_watts.get().map(|watts| format!("{watts:.0} W")),
            },
            Role::Power,
        ),
    ];
    let bar = area.width.saturating_sub(12 + 14);
    for (y, (label, ratio, text, role)) in (area.y + 1..).zip(meters) {
        canvas.put(area.x + 2, y, 9, label, Role::Muted);
        meter::meter(canvas, area.x + 12, y, bar, ratio, role);
        let text = match text {
            Some(text) => piece(Role::Text, text),
            None => piece(Role::Faint, canvas.glyphs.none),
        };
        canvas.pieces(area.x + 12 + bar + 1, y, 13, &[text]);
    }
    canvas.pieces(area.x + 2, area.y + 5, area.width - 2, &details(scene, gpu, area.width - 2));
    let (sentence, role) = bottleneck(scene, gpu);
    canvas.put(area.x + 2, area.y + 6, area.width - 2, &sentence, role);
}

/// Temperature, clock, fan, errors, bus: what fits into `room`, in that order.
fn details(scene: &Scene<'_>, gpu: &Gpu, room: u16) -> Pieces<'static> {
    let glyphs = scene.ui.glyphs();
    let temperature = match gpu.temperature_celsius.get() {
        Some(celsius) => {
            let role = temperature_role(f64::from(celsius), &scene.state.thresholds);
            piece(role, format!("{celsius}{}", glyphs.celsius))
        }
        None => piece(Role::Faint, glyphs.none),
    };
    let mut pieces: Pieces<'static> = vec![piece(Role::Muted, "temp "), temperature];
    let ecc = gpu.ecc.get().filter(|ecc| ecc.enabled);
    let facts = [
        gpu.slowdown_celsius
            .get()
            .map(|slows| [piece(Role::Muted, " (slows at "), piece(Role::Muted, format!("{slows})"))]),
        gpu.sm_clock_mhz.get().map(|clock| [piece(Role::Muted, "   sm "), piece(Role::Text, format!("{clock} MHz"))]),
        gpu.fan_ratio.get().map(|fan| [piece(Role::Muted, "   fan "), piece(Role::Text, units::percent(fan))]),
        ecc.map(|ecc| {
            let role = if ecc.uncorrected > 0 { Role::Critical } else { Role::Text };
            [piece(Role::Muted, "   ecc "), piece(role, format!("{}/{}", ecc.corrected, ecc.uncorrected))]
        }),
        gpu.pcie.get().map(|link| {
            [piece(Role::Muted, "   pcie "), piece(Role::Text, format!("{}x{}", link.generation, link.width))]
        }),
    ];
    for fact in facts.into_iter().flatten() {
        if width(&pieces) + width(&fact) <= room {
            pieces.extend(fact);
        }
    }
    pieces
}

/// What holds the card back, in a plain sentence.
fn bottleneck(scene: &Scene<'_>, gpu: &Gpu) -> (String, Role) {
    if gpu.lost {
        return ("it has fallen off the bus: nothing can be read".to_owned(), Role::Critical);
    }
    let throttle = gpu.throttle.known().map_or(&[][..], Vec::as_slice);
    if let Some(reason) = throttle.iter().find(|reason| reason.is_alarm()) {
        return (format!("slowed down: {reason}"), Role::Warning);
    }
    let (compute, bandwidth) = (gpu.compute_ratio.get(), gpu.bandwidth_ratio.get());
    match (compute, bandwidth) {
        (_, Some(bandwidth)) if bandwidth >= 0.75 && bandwidth >= compute.unwrap_or(0.0) => {
            ("bandwidth-bound: decoding waits for memory".to_owned(), Role::Warning)
        }
        (Some(compute), _) if compute >= 0.9 && throttle.contains(&ThrottleReason::PowerCap) => {
            ("compute-bound, at its power limit".to_owned(), Role::Text)
        }
        (Some(compute), _) if compute >= 0.9 => {
            ("compute-bound: prompts or batches keep it busy".to_owned(), Role::Text)
        }
        (Some(compute), _) if compute < 0.05 => (idle(scene, gpu), Role::Muted),
        (Some(_), _) => ("has room for more".to_owned(), Role::Muted),
        (None, _) => (
            gpu.compute_ratio.why().map_or_else(String::new, |why| format!("utilisation unavailable, because {why}")),
            Role::Muted,
        ),
    }
}

/// `idle; qwen3-32b holds 16.9 GiB`.
fn idle(scene: &Scene<'_>, gpu: &Gpu) -> String {
    let rows = scene.state.gpu_rows();
    let largest = rows.iter().find(|row| row.gpu.uuid == gpu.uuid);
    let Some((row, bytes)) = largest.and_then(|row| Some((row, row.process.memory_used_bytes.get()?))) else {
        return "idle".to_owned();
    };
    let holder = row
        .model
        .map(str::to_owned)
        .or_else(|| row.container.map(|container| container.display_name().to_owned()))
        .or_else(|| row.process.name.known().cloned())
        .unwrap_or_else(|| format!("process {}", row.process.pid));
    format!("idle; {holder} holds {}", units::bytes(bytes))
}

fn draw_line(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, gpu: &Gpu) {
    let bar = (area.width.saturating_sub(54) / 2).clamp(4, 24);
    let mut x = canvas.put(area.x + 1, area.y, 18, &format!("{} {}", gpu.index, gpu.name), Role::Text).max(area.x + 20);
    if gpu.lost {
        canvas.put(x, area.y, area.width - 20, "it has fallen off the bus", Role::Critical);
        return;
    }
    meter::meter(canvas, x, area.y, bar, gpu.compute_ratio.get(), Role::Compute);
    let percent = gpu.compute_ratio.get().map_or_else(|| canvas.glyphs.none.to_owned(), units::percent);
    canvas.pieces_right(x + bar + 5, area.y, 5, &[piece(Role::Text, percent)]);
    x += bar + 7;
    let memory = gpu.memory.get();
    meter::meter(canvas, x, area.y, bar, memory.map(crate::domain::GpuMemory::used_ratio), Role::Memory);
    let text = memory
        .map_or_else(|| canvas.glyphs.none.to_owned(), |memory| units::bytes_of(memory.used_bytes, memory.total_bytes));
    x = canvas.put(x + bar + 1, area.y, 13, &text, Role::Text).max(x + bar + 14);
    let mut rest: Pieces<'_> = Vec::new();
    if let Some(celsius) = gpu.temperature_celsius.get() {
        let role = temperature_role(f64::from(celsius), &scene.state.thresholds);
        rest.push(piece(role, format!("{celsius:>3}{}", canvas.glyphs.celsius)));
    }
    if let Some(watts) = gpu.power_watts.get() {
        rest.push(piece(Role::Muted, format!("{watts:>5.0} W")));
    }
    if let Some(reason) = gpu.throttle.known().and_then(|reasons| reasons.iter().find(|reason| reason.is_alarm())) {
        rest.push(piece(Role::Warning, format!("  {reason}")));
    }
    canvas.pieces(x, area.y, area.right().saturating_sub(x), &rest);
}
