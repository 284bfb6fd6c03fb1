//! Processes on the cards, each joined to its container, engine and model.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::super::super::widgets::table::{self, Column, TableRow};
use crate::domain::{SourceId, units};
use crate::store::GpuRow;

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] = &["gpu", "process", "container", "engine", "model", "vram", "sm"];

/// A row of the table: owned, because the table's columns are constants.
struct Row {
    key: RowKey,
    gpu: u32,
    process: String,
    container: Option<String>,
    engine: Option<String>,
    model: Option<String>,
    vram: Option<u64>,
    sm: Option<f64>,
}

impl Row {
    fn of(row: &GpuRow<'_>) -> Self {
        Self {
            key: RowKey::Process(row.process.pid, row.gpu.uuid.clone()),
            gpu: row.gpu.index,
            process: row.process.name.known().cloned().unwrap_or_else(|| format!("pid {}", row.process.pid)),
            container: row.container.map(|container| match &container.project {
                Some(project) => format!("{project}/{}", container.display_name()),
                None => container.name.to_string(),
            }),
            engine: row.engine.map(|engine| match engine.version.known() {
                Some(version) => format!("{} {version}", engine.kind.title()),
                None => engine.kind.title().to_owned(),
            }),
            model: row.model.map(str::to_owned),
            vram: row.process.memory_used_bytes.get(),
            sm: row.process.sm_ratio.get(),
        }
    }
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        format!("{} {} {} {}", self.process, or_empty(&self.container), or_empty(&self.engine), or_empty(&self.model))
            .into()
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
        let owned = |value: &'_ Option<String>| value.clone().map_or(text(""), |value| Value::Text(value.into()));
        Some(match name {
            "gpu" => Value::Number(Some(f64::from(self.gpu))),
            "process" => Value::Text(self.process.as_str().into()),
            "container" => owned(&self.container),
            "engine" => owned(&self.engine),
            "model" => owned(&self.model),
            "vram" => Value::Number(self.vram.map(|bytes| bytes as f64)),
            "sm" => Value::Number(self.sm),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        self.key.clone()
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        id: "gpu",
        title: "gpu",
        width: 3,
        grow: 0,
        right: false,
        drop: 0,
        cell: |row, _| vec![piece(Role::Text, row.gpu.to_string())],
    },
    Column {
        id: "process",
        title: "process",
        width: 12,
        grow: 8,
        right: false,
        drop: 0,
        cell: |row, _| vec![piece(Role::Text, row.process.as_str())],
    },
    Column {
        id: "container",
        title: "container",
        width: 14,
        grow: 10,
        right: false,
        drop: 2,
        cell: |row, scene| optional(row.container.as_deref(), scene),
    },
    Column {
        id: "engine",
        title: "engine",
        width: 11,
        grow: 4,
        right: false,
        drop: 3,
        cell: |row, scene| optional(row.engine.as_deref(), scene),
    },
    Column {
        id: "model",
        title: "model",
        width: 14,
        grow: 16,
        right: false,
        drop: 1,
        cell: |row, scene| optional(row.model.as_deref(), scene),
    },
    Column {
        id: "vram",
        title: "vram",
        width: 6,
        grow: 0,
        right: true,
        drop: 0,
        cell: |row, scene| match row.vram {
            Some(bytes) => vec![piece(Role::Text, units::bytes_short(bytes))],
            None => optional(None, scene),
        },
    },
    Column {
        id: "sm",
        title: "sm",
        width: 4,
        grow: 0,
        right: true,
        drop: 4,
        cell: |row, scene| match row.sm {
            Some(ratio) => vec![piece(Role::Text, units::percent(ratio))],
            None => optional(None, scene),
        },
    },
];

fn optional<'a>(text: Option<&'a str>, scene: &Scene<'_>) -> Vec<super::super::super::canvas::Piece<'a>> {
    match text {
        Some(text) => vec![piece(Role::Text, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    }
}

fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let state = scene.ui.list(ListId::GpuProcesses);
    let mut rows: Vec<Row> = scene.state.gpu_rows().iter().map(Row::of).collect();
    if let Some(filter) = &state.filter {
        rows.retain(|row| filter.passes(row));
    }
    table::sort(&mut rows, state);
    rows
}

pub(super) fn keys(scene: &Scene<'_>) -> Vec<RowKey> {
    rows(scene).into_iter().map(|row| row.key).collect()
}

pub(super) fn columns() -> Vec<(&'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.id, column.title)).collect()
}

pub(super) fn copy(scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
    rows(scene).into_iter().find(|row| row.key == *selected).map(|row| row.text().into_owned())
}

/// Draws the table with its heading.
pub(super) fn table(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows(scene);
    let sorted = scene.ui.list(ListId::GpuProcesses).sort.unwrap_or("vram");
    let mut right = super::trouble(scene, SourceId::Gpu);
    if right.is_empty() {
        right = vec![piece(Role::Muted, format!("sorted by {sorted}"))];
    }
    if let Some(filter) = &scene.ui.list(ListId::GpuProcesses).filter {
        right.insert(0, piece(Role::Accent, format!("/{}  ", filter.typed)));
    }
    rule::heading(canvas, area, "On the GPUs", scene.ui.is_focused(ListId::GpuProcesses), &right);
    let body = rule::body(area);
    if rows.is_empty() {
        canvas.put(body.x + 1, body.y, body.width - 1, "no process holds video memory", Role::Muted);
    } else {
        table::table(canvas, body, scene, ListId::GpuProcesses, COLUMNS, &rows);
    }
}
