//! Graphs over the chosen range: the cards' if there are cards, else the host's.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::Canvas;
use super::super::super::theme::Role;
use super::super::super::widgets::plot::{self, Plot, Top};
use super::super::super::widgets::rule;
use crate::domain::units;
use crate::store::SeriesId;

/// The fewest lines of one graph, with its label.
const LEAST: u16 = 5;
/// The most lines of one graph, with its label.
const MOST: u16 = 7;

/// Draws as many graphs as there is room for.
pub(super) fn graphs(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    if area.height < LEAST + 1 || area.width < 30 {
        return;
    }
    let title = format!("Last {}{}", plot::span(scene), plot::reservation(scene));
    rule::heading(canvas, area, &title, true, &plot::ranges(scene));
    let area = plot::legend(canvas, rule::body(area), scene);
    let plots = plots(scene);
    let count = (area.height / LEAST).min(plots.len() as u16).max(1);
    let each = (area.height / count).min(MOST);
    for (index, plot) in (0..count).zip(&plots) {
        let place = Rect { y: area.y + index * each, height: each, ..area };
        plot::plot(canvas, place, scene, plot);
    }
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
            top: Top::At(1.0),
            write_top: percent,
            role: Role::Compute,
        });
        let memory = gpu.memory.get().map(|memory| memory.total_bytes as f32);
        let series = SeriesId::GpuMemory(gpu.uuid.clone());
        plots.push(Plot {
            label: format!("vram gpu{}", gpu.index),
            series,
            top: memory.map_or(Top::AtLeast(1_000.0), Top::At),
            write_top: bytes,
            role: Role::Memory,
        });
    }
    plots.push(Plot {
        label: "cpu".to_owned(),
        series: SeriesId::Cpu,
        top: Top::At(1.0),
        write_top: percent,
        role: Role::Compute,
    });
    plots.push(Plot {
        label: "ram".to_owned(),
        series: SeriesId::Memory,
        top: Top::At(1.0),
        write_top: percent,
        role: Role::Memory,
    });
    let rate: fn(f32) -> String = |value| units::rate(f64::from(value));
    plots.push(Plot {
        label: "received".to_owned(),
        series: SeriesId::NetReceived,
        top: Top::AtLeast(1_000.0),
        write_top: rate,
        role: Role::Bandwidth,
    });
    plots
}
