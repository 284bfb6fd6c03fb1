//! Models tab, first slice: the inference servers found listening, and the models that they serve.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces, piece};
use super::super::command::{Command, Context};
use super::super::filter::{Fields, Value};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::rule;
use super::super::widgets::table::{self, Column, TableRow};
use super::{Tab, TabId};
use crate::domain::{Engine, ModelRef, Reading, Residency, SourceId, SourceStatus, units};

/// The tab.
pub(super) struct Models;

const FIELDS: &[&str] = &["name", "family", "quant", "size", "context", "state"];

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
                pieces.extend(requests(engine));
                Some(pieces)
            }
            Self::Silent(_, why) => Some(vec![piece(Role::Muted, format!("    models unavailable, because {why}"))]),
            Self::Model(..) => None,
        }
    }
}

/// Requests running and waiting, or why they are not known.
fn requests(engine: &Engine) -> Pieces<'static> {
    match (&engine.requests_running, &engine.requests_waiting) {
        (Reading::Known(running), waiting) => {
            let mut pieces = vec![piece(Role::Text, format!("   {running} running"))];
            if let Reading::Known(waiting) = waiting {
                let role = if *waiting > 0 { Role::Warning } else { Role::Text };
                pieces.push(piece(role, format!(" · {waiting} waiting")));
            }
            pieces
        }
        (Reading::Unavailable(why), _) => vec![piece(Role::Faint, format!("   requests: {why}"))],
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

impl Tab for Models {
    fn id(&self) -> TabId {
        TabId::Models
    }

    fn title(&self) -> &'static str {
        "Models"
    }

    fn command(&self) -> Command {
        Command::TabModels
    }

    fn context(&self) -> Option<Context> {
        Some(Context::Models)
    }

    fn badge(&self, scene: &Scene<'_>) -> Pieces<'static> {
        super::finding_badge(scene, &["inference."])
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::Models]
    }

    fn hints(&self) -> &'static [Command] {
        &[Command::Open, Command::Filter, Command::Sort, Command::Columns, Command::Copy]
    }

    fn rows(&self, _list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        rows(scene).iter().map(TableRow::key).collect()
    }

    fn columns(&self, _list: ListId) -> Vec<(&'static str, &'static str)> {
        COLUMNS.iter().map(|column| (column.id, column.title.trim_start())).collect()
    }

    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        FIELDS
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        match selected {
            RowKey::Engine(endpoint) => Some(endpoint.to_string()),
            RowKey::Model(_, name) if !name.is_empty() => Some(name.clone()),
            _ => None,
        }
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        let rows = rows(scene);
        let engines = rows.iter().filter(|row| matches!(row, Row::Engine(_))).count();
        let models = rows.iter().filter(|row| matches!(row, Row::Model(..))).count();
        let mut right: Pieces<'_> = vec![piece(Role::Muted, format!("{engines} found · {models} models"))];
        if let Some(filter) = &scene.ui.list(ListId::Models).filter {
            right.insert(0, piece(Role::Accent, format!("/{}  ", filter.typed)));
        }
        let record = scene.state.sources.get(SourceId::Engines);
        if let Some((why, age)) = record.and_then(|record| Some((record.trouble(scene.now)?, record.age(scene.now)?))) {
            right = vec![piece(Role::Warning, format!("stale {}: {why}", units::span(age)))];
        }
        rule::heading(canvas, area, "Inference servers", true, &right);
        let body = rule::body(area);
        if rows.is_empty() {
            absent(canvas, body, scene);
        } else {
            table::table(canvas, body, scene, ListId::Models, COLUMNS, &rows);
        }
    }
}

/// What was looked for, when nothing was found.
fn absent(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let record = scene.state.sources.get(SourceId::Engines);
    let (text, role) = match scene.state.sources.status(SourceId::Engines, scene.now) {
        SourceStatus::Waiting => ("asking what listens on this host …".to_owned(), Role::Muted),
        SourceStatus::Fresh => (record.map(|record| record.detail.clone()).unwrap_or_default(), Role::Text),
        _ => (record.and_then(|record| record.trouble(scene.now)).unwrap_or_default(), Role::Warning),
    };
    canvas.put(area.x + 2, area.y + 1, area.width.saturating_sub(3), &text, role);
    let hint =
        "Servers are told by what they answer, whatever their port; add others under [sources] engines in the config.";
    canvas.put(area.x + 2, area.y + 3, area.width.saturating_sub(3), hint, Role::Muted);
}
