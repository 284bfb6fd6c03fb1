//! Graphs over the chosen range: the cards' if there are cards, else the host's.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::theme::Role;
use super::super::super::widgets::{graph, rule};
use crate::domain::units;
use crate::store::{RANGES, SeriesId};

/// Cells of the axis.
const AXIS: u16 = 10;
/// The fewest lines of one graph, with its label.
const LEAST: u16 = 5;
/// The most lines of one graph, with its label.
const MOST: u16 = 7;

/// One graph.
struct Plot {
    label: String,
    series: SeriesId,
    /// The value of the upper edge; `None` for the highest value shown.
    top: Option<f32>,
    write_top: fn(f32) -> String,
    role: Role,
}

/// Draws as many graphs as there is room for.
pub(super) fn graphs(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    if area.height < LEAST + 1 || area.width < 30 {
        return;
    }
    let range = RANGES[scene.ui.range.min(RANGES.len() - 1)];
    rule::heading(canvas, area, &format!("Last {}", spelled(range.word)), true, &ranges(scene));
    let plots = plots(scene);
    let room = area.height - 1;
    let count = (room / LEAST).min(plots.len() as u16).max(1);
    let each = (room / count).min(MOST);
    for (index, plot) in (0..count).zip(&plots) {
        let place = Rect { y: area.y + 1 + index * each, height: each, ..area };
        draw(canvas, place, scene, plot);
    }
}

fn spelled(word: &str) -> String {
    match word {
        "5m" => "5 minutes".to_owned(),
        "1h" => "hour".to_owned(),
        "24h" => "24 hours".to_owned(),
        other => format!("{} days", other.trim_end_matches('d')),
    }
}

fn ranges(scene: &Scene<'_>) -> Pieces<'static> {
    let mut pieces = Vec::new();
    for (index, range) in RANGES.iter().enumerate() {
        if index > 0 {
            pieces.push(piece(Role::Faint, " · "));
        }
        pieces.push(piece(if index == scene.ui.range { Role::Accent } else { Role::Muted }, range.word));
    }
    pieces
}

fn plots(scene: &Scene<'_>) -> Vec<Plot> {
    let percent: fn(f32) -> String = |value| units::percent(f64::from(value));
    let bytes: fn(f32) -> String = |value| units::bytes(value as u64);
    let mut plots = Vec::new();
    for gpu in scene.state.gpus.get().into_iter().flat_map(|sample| &sample.gpus) {
        let compute = SeriesId::GpuCompute(gpu.uuid.clone());
        plots.push(Plot {
            label: format!("compute gpu{}", gpu.index),
            series: compute,
            top: Some(1.0),
            write_top: percent,
            role: Role::Compute,
        });
        let memory = gpu.memory.get().map(|memory| memory.total_bytes as f32);
        let series = SeriesId::GpuMemory(gpu.uuid.clone());
        plots.push(Plot {
            label: format!("vram gpu{}", gpu.index),
            series,
            top: memory,
            write_top: bytes,
            role: Role::Memory,
        });
    }
    plots.push(Plot {
        label: "cpu".to_owned(),
        series: SeriesId::Cpu,
        top: Some(1.0),
        write_top: percent,
        role: Role::Compute,
    });
    plots.push(Plot {
        label: "ram".to_owned(),
        series: SeriesId::Memory,
        top: Some(1.0),
        write_top: percent,
        role: Role::Memory,
    });
    let rate: fn(f32) -> String = |value| units::rate(f64::from(value));
    plots.push(Plot {
        label: "received".to_owned(),
        series: SeriesId::NetReceived,
        top: None,
        write_top: rate,
        role: Role::Bandwidth,
    });
    plots
}

fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, plot: &Plot) {
    let range = RANGES[scene.ui.range.min(RANGES.len() - 1)];
    let series = scene.state.series.get(&plot.series);
    let body = Rect { x: area.x + AXIS, y: area.y + 1, width: area.width - AXIS - 2, height: area.height - 1 };
    let columns = graph::columns(canvas.glyphs, body.width);
    let values = series.map(|series| series.buckets(range, scene.now, columns));
    let mut label: Pieces<'_> = vec![piece(Role::Muted, plot.label.as_str())];
    if let Some(last) = series.and_then(crate::store::Series::last) {
        label.push(piece(Role::Text, format!("  {}", (plot.write_top)(last))));
    }
    canvas.pieces(area.x + 1, area.y, area.width - 2, &label);
    match values {
        Some(Some(values)) => {
            let highest = values.iter().flatten().fold(0.0_f32, |top, value| top.max(*value));
            let top = plot.top.unwrap_or_else(|| rounded(highest));
            canvas.put(area.x + 1, body.y, AXIS - 1, &(plot.write_top)(top), Role::Faint);
            if body.height > 1 {
                canvas.put(area.x + 1, body.bottom() - 1, AXIS - 1, "0", Role::Faint);
            }
            graph::graph(canvas, body, &values, top, plot.role);
        }
        Some(None) => {
            let text = format!(
                "{} are beyond memory: they need the recorder, which keeps history on disk",
                spelled(range.word)
            );
            canvas.put(body.x, body.y, body.width, &text, Role::Muted);
        }
        None => {
            canvas.put(body.x, body.y, body.width, "nothing read yet", Role::Faint);
        }
    }
}

/// The next round number above: 1, 2 or 5 times a power of ten, at least a thousand.
fn rounded(value: f32) -> f32 {
    let mut step = 1_000.0;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if value <= step * factor {
                return step * factor;
            }
        }
        step *= 10.0;
    }
}
