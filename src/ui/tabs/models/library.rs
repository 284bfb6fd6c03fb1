//! The models of every inference server.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::super::super::widgets::table::{self, Column, TableRow};
use crate::domain::{Engine, ModelRef, Reading, Residency, units};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] = &["name", "family", "quant", "size", "context", "state"];

/// A row: an engine's heading, or one of its models.
enum Row {
    Engine(Engine),
    Model(Engine, ModelRef),
    /// An engine that does not tell its models.
    Silent(Engine, String),
}

fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let list = scene.ui.list(ListId::Models);
    let mut rows = Vec::new();
    for engine in scene.state.engines.get().into_iter().flat_map(|sample| &sample.engines) {
        let heading = Row::Engine(engine.clone());
        let closed = list.closed.contains(&heading.key());
        rows.push(heading);
        let mut below: Vec<Row> = match &engine.models {
            Reading::Known(models) => models.iter().map(|model| Row::Model(engine.clone(), model.clone())).collect(),
            Reading::Unavailable(why) => vec![Row::Silent(engine.clone(), why.to_string())],
        };
        if let Some(filter) = &list.filter {
            below.retain(|row| filter.passes(row));
        }
        table::sort(&mut below, list);
        if !closed {
            rows.append(&mut below);
        }
    }
    rows
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Engine(engine) | Self::Silent(engine, _) => {
                format!("{} {}", engine.kind.title(), engine.endpoint).into()
            }
            Self::Model(engine, model) => {
                format!("{} {} {}", engine.kind.title(), model.name, model.family.as_deref().unwrap_or_default()).into()
            }
        }
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let Self::Model(_, model) = self else { return None };
        let text = |text: &Option<String>| Value::Text(Cow::Owned(text.clone().unwrap_or_default()));
        Some(match name {
            "name" => Value::Text(model.name.as_str().into()),
            "family" => text(&model.family),
            "quant" => text(&model.quantization),
            "size" => Value::Number(model.size_bytes.map(|bytes| bytes as f64)),
            "context" => Value::Number(model.context_tokens.map(|tokens| tokens as f64)),
            "state" => Value::Text(residency(model).0.into()),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        match self {
            Self::Engine(engine) => RowKey::Engine(engine.endpoint.clone()),
            Self::Model(engine, model) => RowKey::Model(engine.endpoint.clone(), model.name.clone()),
            Self::Silent(engine, _) => RowKey::Model(engine.endpoint.clone(), String::new()),
        }
    }

    fn heading<'a>(&'a self, scene: &Scene<'a>) -> Option<Pieces<'a>> {
        let glyphs = scene.ui.glyphs();
        match self {
            Self::Engine(engine) => {
                let answers = engine.models.known().is_some();
                let (sign, role) = if answers { (glyphs.up, Role::Ok) } else { (glyphs.warning, Role::Warning) };
                let version = engine.version.known().map(|version| format!(" {version}")).unwrap_or_default();
                let mut pieces = vec![
                    piece(role, sign),
                    piece(Role::Strong, format!(" {}{version}", engine.kind.title())),
                    piece(Role::Muted, format!("  :{}", engine.port)),
                ];
                if let Some(name) = scene.state.container_of(engine).and_then(|id| scene.container_name(id)) {
                    pieces.push(piece(Role::Muted, format!("  in {name}")));
                }
                Some(pieces)
            }
            Self::Silent(_, why) => Some(vec![piece(Role::Muted, format!("    models unavailable, because {why}"))]),
            Self::Model(..) => None,
        }
    }
}

/// Where a model sits, in a word, and its role.
fn residency(model: &ModelRef) -> (&'static str, Role) {
    match model.residency {
        Residency::Unknown => ("", Role::Faint),
        Residency::OnDisk => ("on disk", Role::Muted),
        Residency::Loaded { .. } => ("loaded", Role::Ok),
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        id: "name",
        title: "  model",
        width: 26,
        grow: 30,
        right: false,
        drop: 0,
        cell: |row, _| model(row, |model| vec![piece(Role::Text, format!("  {}", model.name))]),
    },
    Column {
        id: "family",
        title: "family",
        width: 10,
        grow: 6,
        right: false,
        drop: 4,
        cell: |row, scene| text(row, scene, |model| model.family.as_deref()),
    },
    Column {
        id: "params",
        title: "params",
        width: 7,
        grow: 0,
        right: true,
        drop: 3,
        cell: |row, scene| text(row, scene, |model| model.parameters.as_deref()),
    },
    Column {
        id: "quant",
        title: "quant",
        width: 8,
        grow: 4,
        right: false,
        drop: 2,
        cell: |row, scene| text(row, scene, |model| model.quantization.as_deref()),
    },
    Column {
        id: "size",
        title: "size",
        width: 6,
        grow: 0,
        right: true,
        drop: 0,
        cell: |row, scene| number(row, scene, |model| model.size_bytes.map(units::bytes_short)),
    },
    Column {
        id: "context",
        title: "context",
        width: 8,
        grow: 0,
        right: true,
        drop: 5,
        cell: |row, scene| number(row, scene, |model| model.context_tokens.map(|tokens| tokens.to_string())),
    },
    Column {
        id: "vram",
        title: "vram",
        width: 6,
        grow: 0,
        right: true,
        drop: 6,
        cell: |row, scene| {
            number(row, scene, |model| match model.residency {
                Residency::Loaded { vram_bytes, .. } => vram_bytes.map(units::bytes_short),
                _ => None,
            })
        },
    },
    Column {
        id: "state",
        title: "state",
        width: 9,
        grow: 10,
        right: false,
        drop: 1,
        cell: |row, _| {
            model(row, |model| {
                let (word, role) = residency(model);
                vec![piece(role, word)]
            })
        },
    },
];

fn model<'a>(row: &'a Row, write: impl FnOnce(&'a ModelRef) -> Pieces<'a>) -> Pieces<'a> {
    match row {
        Row::Model(_, model) => write(model),
        _ => Vec::new(),
    }
}

fn text<'a>(row: &'a Row, scene: &Scene<'_>, of: impl FnOnce(&'a ModelRef) -> Option<&'a str>) -> Pieces<'a> {
    model(row, |model| match of(model) {
        Some(text) => vec![piece(Role::Muted, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    })
}

fn number<'a>(row: &'a Row, scene: &Scene<'_>, of: impl FnOnce(&'a ModelRef) -> Option<String>) -> Pieces<'a> {
    model(row, |model| match of(model) {
        Some(text) => vec![piece(Role::Text, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    })
}

/// The rows' keys.
pub(super) fn keys(scene: &Scene<'_>) -> Vec<RowKey> {
    rows(scene).iter().map(TableRow::key).collect()
}

/// The columns: id and title.
pub(super) fn columns() -> Vec<(&'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.id, column.title.trim_start())).collect()
}

/// Draws the pane.
pub(super) fn pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows(scene);
    let models = rows.iter().filter(|row| matches!(row, Row::Model(..))).count();
    let mut right: Pieces<'_> = vec![piece(Role::Muted, format!("{models} models"))];
    if let Some(filter) = &scene.ui.list(ListId::Models).filter {
        right.insert(0, piece(Role::Accent, format!("/{}  ", filter.typed)));
    }
    rule::heading(canvas, area, "Models", scene.ui.is_focused(ListId::Models), &right);
    table::table(canvas, rule::body(area), scene, ListId::Models, COLUMNS, &rows);
}
