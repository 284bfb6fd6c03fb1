//! One history over the chosen range: its name and latest value, an axis, a graph.

use std::time::Duration;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces, piece, width};
use super::super::theme::Role;
use super::graph;
use crate::domain::{Keeping, Mark, MarkKind, Past};
use crate::store::{RANGES, Range, Series, SeriesId};

/// Cells of the axis.
const AXIS: u16 = 10;
/// The fewest lines of a graph that is worth more than what its signs stand for.
const LEAST: u16 = 5;

/// One graph.
pub struct Plot {
    /// What it is called.
    pub label: String,
    /// What it shows.
    pub series: SeriesId,
    /// The value of the upper edge, or the least that it may be where it follows the highest value shown.
    pub top: Top,
    /// How a value is written.
    pub write_top: fn(f32) -> String,
    /// Its colour.
    pub role: Role,
}

/// The upper edge of a graph.
#[derive(Debug, Clone, Copy)]
pub enum Top {
    /// Always this.
    At(f32),
    /// A round number above what is shown, at least this.
    AtLeast(f32),
}

fn range(scene: &Scene<'_>) -> Range {
    RANGES[scene.ui.range.min(RANGES.len() - 1)]
}

/// The chosen range in words: `5 minutes`.
pub fn span(scene: &Scene<'_>) -> String {
    match range(scene).word {
        "5m" => "5 minutes".to_owned(),
        "1h" => "hour".to_owned(),
        "24h" => "24 hours".to_owned(),
        other => format!("{} days", other.trim_end_matches('d')),
    }
}

/// All ranges, the chosen one marked.
pub fn ranges(scene: &Scene<'_>) -> Pieces<'static> {
    let mut pieces = Vec::new();
    for (index, range) in RANGES.iter().enumerate() {
        if index > 0 {
            pieces.push(piece(Role::Faint, " · "));
        }
        pieces.push(piece(if index == scene.ui.range { Role::Accent } else { Role::Muted }, range.word));
    }
    pieces
}

/// Draws one graph: its label on the first line, and signs where something changed.
pub fn plot(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, plot: &Plot) {
    let series = scene.state.series.get(&plot.series);
    let body = Rect { x: area.x + AXIS, y: area.y + 1, width: area.width - AXIS - 2, height: area.height - 1 };
    let mut label: Pieces<'_> = vec![piece(Role::Muted, plot.label.as_str())];
    if let Some(last) = series.and_then(Series::last) {
        label.push(piece(Role::Text, format!("  {}", (plot.write_top)(last))));
    }
    let end = canvas.pieces(area.x + 1, area.y, area.width - 2, &label);
    let values = values(scene, &plot.series, graph::columns(canvas.glyphs, body.width));
    match values {
        Ok(Values { mean, most }) => {
            let highest = mean.iter().chain(&most).flatten().fold(0.0_f32, |top, value| top.max(*value));
            let top = match plot.top {
                Top::At(top) => top,
                Top::AtLeast(least) => rounded(highest.max(least)),
            };
            canvas.put(area.x + 1, body.y, AXIS - 1, &(plot.write_top)(top), Role::Faint);
            if body.height > 1 {
                canvas.put(area.x + 1, body.bottom() - 1, AXIS - 1, "0", Role::Faint);
            }
            graph::graph(canvas, body, &most, top, Role::Faint);
            graph::graph(canvas, body, &mean, top, plot.role);
            marks(canvas, Rect { y: area.y, height: 1, ..body }, end + 1, scene);
        }
        Err(why) => {
            canvas.put(body.x, body.y, body.width, &why, Role::Muted);
        }
    }
}

/// What is drawn: the mean of each column, and where it is known the most.
struct Values {
    mean: Vec<Option<f32>>,
    most: Vec<Option<f32>>,
}

/// The values of the chosen range: from memory where it reaches so far back, else from what was recorded.
fn values(scene: &Scene<'_>, id: &SeriesId, columns: usize) -> Result<Values, String> {
    let range = range(scene);
    let memory = scene.state.series.get(id).map(|series| series.buckets(range, scene.now, columns));
    let past = past(scene);
    let recorded = past.and_then(|past| past.columns(&scene.state.recorded_as(id), scene.now.wall, columns));
    match (memory, recorded) {
        // What was before this process was recorded by another.
        (Some(Some(mut memory)), recorded) => {
            for (value, recorded) in memory.iter_mut().zip(recorded.into_iter().flatten()) {
                *value = value.or(recorded.map(|(mean, _)| mean));
            }
            Ok(Values { mean: memory, most: Vec::new() })
        }
        (_, Some(recorded)) => {
            let (mean, most) =
                recorded.into_iter().map(|column| (column.map(|it| it.0), column.map(|it| it.1))).unzip();
            Ok(Values { mean, most })
        }
        (Some(None), None) => Err(match past {
            None => format!("reading the last {} …", span(scene)),
            Some(past) => past.why_none.clone().unwrap_or_else(|| "nothing was recorded of it in this time".to_owned()),
        }),
        (None, None) => Err("nothing read yet".to_owned()),
    }
}

/// What the signs above the graphs stand for, newest first, as far as there is room; gives back what is left of the area.
pub fn legend(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) -> Rect {
    let mut marks = shown_marks(scene).rev().peekable();
    if marks.peek().is_none() || area.height <= LEAST {
        return area;
    }
    let mut x = area.x + AXIS;
    for mark in marks {
        let pieces = [
            piece(Role::Accent, canvas.glyphs.change),
            piece(Role::Muted, format!(" {} ", scene.when(mark.at))),
            piece(Role::Text, mark.text.clone()),
        ];
        let room = area.right().saturating_sub(x + 1);
        // The newest one is cut, the others are whole or not there.
        if x > area.x + AXIS && width(&pieces) > room {
            break;
        }
        x = canvas.pieces(x, area.y, room, &pieces) + 3;
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// What is not so good about the chosen range, as the end of its heading.
pub fn reservation(scene: &Scene<'_>) -> String {
    match &scene.state.keeping {
        _ if range(scene).span <= Duration::from_hours(1) || scene.ui.setup.demo => String::new(),
        Keeping::Waiting | Keeping::ByRecorder => String::new(),
        Keeping::Here { .. } | Keeping::ByOther => ", recorded while a screen is open".to_owned(),
        Keeping::Failed { why, .. } => format!(", not recorded: {why}"),
    }
}

/// What was recorded of the chosen range, once it was read.
fn past<'a>(scene: &Scene<'a>) -> Option<&'a Past> {
    let span = range(scene).span.as_secs();
    scene.state.past.as_deref().filter(|past| past.span == span)
}

/// What changed in the chosen range, oldest first. Findings have a place of their own.
fn shown_marks<'a>(scene: &Scene<'a>) -> impl DoubleEndedIterator<Item = &'a Mark> {
    past(scene).into_iter().flat_map(|past| &past.marks).filter(|mark| mark.kind != MarkKind::Finding)
}

/// Signs above a graph where something changed, from this column on.
fn marks(canvas: &mut Canvas<'_>, line: Rect, from: u16, scene: &Scene<'_>) {
    let Some(past) = past(scene) else { return };
    for mark in shown_marks(scene) {
        let column = past.column(mark.at.as_second(), scene.now.wall, line.width.into());
        let place = u16::try_from(column).ok().filter(|column| *column < line.width).map(|column| line.x + column);
        if let Some(x) = place.filter(|x| *x >= from) {
            canvas.put(x, line.y, 1, canvas.glyphs.change, Role::Accent);
        }
    }
}

/// The next round number above: 1, 2 or 5 times a power of ten.
fn rounded(value: f32) -> f32 {
    let mut step = 0.001;
    // The largest values are bytes a second.
    while step < 1e15 {
        for factor in [1.0, 2.0, 5.0] {
            if value <= step * factor {
                return step * factor;
            }
        }
        step *= 10.0;
    }
    value
}
