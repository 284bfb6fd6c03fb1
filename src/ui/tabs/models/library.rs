//! The models: every one on disk by the place that keeps it, then those of servers of which no file is known.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::super::super::widgets::table::{self, Column, TableRow};
use crate::domain::{
    Engine, EngineSample, LibraryPlace, LibrarySample, ModelName, ModelRef, ModelRole, ModelStore, Reading, Residency,
    SourceId, Standing, StoredModel, units,
};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] =
    &["name", "role", "family", "version", "quant", "bits", "params", "size", "used", "context", "vram", "state"];

/// A model that nobody has used for so long is called unused.
const UNUSED: Duration = Duration::from_hours(60 * 24);

/// A row.
pub(super) enum Row {
    /// The heading of a place.
    Place(Arc<LibrarySample>, usize),
    /// The heading of a server.
    Engine(Arc<EngineSample>, usize),
    /// A server that does not tell its models.
    Silent(Arc<EngineSample>, usize),
    Model(Box<Model>),
}

/// A model, on disk or in a server or both.
pub(super) struct Model {
    key: RowKey,
    name: String,
    role: Option<ModelRole>,
    family: Option<String>,
    version: Option<String>,
    quantization: Option<String>,
    bits: Option<f64>,
    /// In words: `8.0B`.
    parameters: Option<String>,
    parameter_count: Option<f64>,
    size_bytes: Option<u64>,
    last_used: Option<Timestamp>,
    context: Option<u64>,
    vram_bytes: Option<u64>,
    state: Vec<(Role, String)>,
}

/// The rows as they are sorted and filtered now.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let mut shown = Shown { scene, rows: Vec::new() };
    let mut on_disk = HashSet::new();
    if let Some(library) = scene.state.library.shared() {
        for (index, place) in library.places.iter().enumerate() {
            let models = library.models.iter().filter(|model| model.place == place.path);
            let models: Vec<Row> = models.map(|stored| stored_row(scene, stored, &mut on_disk)).collect();
            if !models.is_empty() || !place.problems.is_empty() || left_over(place) > 0 {
                shown.group(Row::Place(Arc::clone(&library), index), models);
            }
        }
    }
    if let Some(sample) = scene.state.engines.shared() {
        for (index, engine) in sample.engines.iter().enumerate() {
            let models: Vec<Row> = match engine.models.known() {
                Some(models) => {
                    let unknown = models.iter().filter(|model| !on_disk.contains(&key_of(engine, model)));
                    unknown.map(|model| served_row(engine, model)).collect()
                }
                None => vec![Row::Silent(Arc::clone(&sample), index)],
            };
            if !models.is_empty() {
                shown.group(Row::Engine(Arc::clone(&sample), index), models);
            }
        }
    }
    shown.rows
}

/// Groups on the way to the screen.
struct Shown<'a> {
    scene: &'a Scene<'a>,
    rows: Vec<Row>,
}

impl Shown<'_> {
    fn group(&mut self, heading: Row, mut below: Vec<Row>) {
        let list = self.scene.ui.list(ListId::Models);
        let closed = list.closed.contains(&heading.key());
        if let Some(filter) = &list.filter {
            below.retain(|row| filter.passes(row));
        }
        table::sort(&mut below, list);
        self.rows.push(heading);
        if !closed {
            self.rows.append(&mut below);
        }
    }
}

fn key_of(engine: &Engine, model: &ModelRef) -> RowKey {
    RowKey::Model(engine.endpoint.clone(), model.name.clone())
}

/// A model on disk, with what its servers say. Its keys are those of its first server: there it is acted upon.
fn stored_row(scene: &Scene<'_>, stored: &StoredModel, on_disk: &mut HashSet<RowKey>) -> Row {
    let servers = scene.state.servers_of(stored);
    on_disk.extend(servers.iter().map(|(engine, model)| key_of(engine, model)));
    let (first, weights) = (servers.first(), stored.weights.known());
    let parameters = weights.and_then(|weights| weights.parameters.get());
    Row::Model(Box::new(Model {
        key: first.map_or_else(|| RowKey::Stored(stored.path.as_str().into()), |(engine, model)| key_of(engine, model)),
        name: stored.name.clone(),
        role: ModelRole::of(&stored.name, stored.family.as_deref()),
        family: stored.family.clone(),
        version: stored.version.clone(),
        quantization: weights.and_then(|weights| weights.quantization.clone()),
        bits: weights.and_then(|weights| weights.bits_per_weight.get()),
        parameters: parameters.map(units::parameters),
        parameter_count: parameters.map(|count| count as f64),
        size_bytes: Some(stored.size_bytes),
        last_used: stored.last_used.get(),
        context: first.and_then(|(_, model)| model.context_tokens),
        vram_bytes: first.and_then(|(_, model)| vram(model)),
        state: states(scene, stored, first.map(|(_, model)| *model)),
    }))
}

fn served_row(engine: &Engine, model: &ModelRef) -> Row {
    let state = match model.residency {
        Residency::Unknown => Vec::new(),
        Residency::OnDisk => vec![(Role::Muted, "on disk".to_owned())],
        Residency::Loaded { .. } => vec![(Role::Ok, "loaded".to_owned())],
    };
    Row::Model(Box::new(Model {
        key: key_of(engine, model),
        name: model.name.clone(),
        role: ModelRole::of(&model.name, model.family.as_deref()),
        family: model.family.clone(),
        version: None,
        quantization: model.quantization.clone(),
        bits: None,
        parameters: model.parameters.clone(),
        parameter_count: None,
        size_bytes: model.size_bytes,
        last_used: None,
        context: model.context_tokens,
        vram_bytes: vram(model),
        state,
    }))
}

fn vram(model: &ModelRef) -> Option<u64> {
    match model.residency {
        Residency::Loaded { vram_bytes, .. } => vram_bytes,
        _ => None,
    }
}

/// How a model on disk stands, the most important first.
fn states(scene: &Scene<'_>, stored: &StoredModel, served: Option<&ModelRef>) -> Vec<(Role, String)> {
    let mut states = Vec::new();
    let unused = stored.last_used.get().map(|at| scene.now.since_wall(at)).filter(|age| *age >= UNUSED);
    if stored.damage.is_some() {
        states.push((Role::Critical, "broken".to_owned()));
    }
    let loaded = matches!(served.map(|model| &model.residency), Some(Residency::Loaded { .. }));
    if loaded {
        states.push((Role::Ok, "loaded".to_owned()));
    }
    if matches!(update(scene, stored), Some(Standing::Newer { .. })) {
        states.push((Role::Accent, "newer out".to_owned()));
    }
    states.extend(by_name(scene, stored));
    if let Some(age) = unused.filter(|_| !loaded) {
        states.push((Role::Warning, format!("unused for {}", units::age(age))));
    }
    let today = scene.ui.setup.zone.to_datetime(scene.now.wall).date();
    if stored.tuned.as_ref().and_then(crate::domain::Tuned::retrain_due).is_some_and(|due| due <= today) {
        states.push((Role::Warning, "retrain".to_owned()));
    }
    if states.is_empty() && served.is_some() {
        states.push((Role::Muted, "on disk".to_owned()));
    }
    states
}

/// What its name says: that clients use it, or that it is kept to go back to.
fn by_name(scene: &Scene<'_>, stored: &StoredModel) -> Option<(Role, String)> {
    let is_alias = scene.ui.setup.aliases.iter().any(|alias| *alias == stored.name || *alias == stored.path);
    if let Some(of) = stored.alias_of.as_ref().or(stored.also_named.first().filter(|_| is_alias)) {
        return Some((Role::Accent, format!("is {of}")));
    }
    let name = stored.name.parse::<ModelName>().ok().filter(|_| stored.store == ModelStore::Ollama)?;
    match (name.previous_of(), name.aside_of()) {
        (Some(_), _) => Some((Role::Accent, "kept for roll back".to_owned())),
        (_, Some(_)) => Some((Role::Muted, "left by a roll back".to_owned())),
        _ => None,
    }
}

fn update<'a>(scene: &Scene<'a>, stored: &StoredModel) -> Option<&'a Standing> {
    scene.state.model_update(stored)?.standing.known()
}

pub(super) fn keys(scene: &Scene<'_>) -> Vec<RowKey> {
    rows(scene).iter().map(TableRow::key).collect()
}

pub(super) fn columns() -> Vec<(&'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.id, column.title.trim_start())).collect()
}

/// Draws the pane.
pub(super) fn pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let rows = rows(scene);
    let models = rows.iter().filter(|row| matches!(row, Row::Model(_))).count();
    let mut right: Pieces<'_> = Vec::new();
    if let Some(filter) = &scene.ui.list(ListId::Models).filter {
        right.push(piece(Role::Accent, format!("/{}  ", filter.typed)));
    }
    let all = scene.state.library.get().map(|library| format!("{} in ", units::bytes(library.total_bytes())));
    right.push(piece(Role::Muted, format!("{}{models} models", all.unwrap_or_default())));
    let record = scene.state.sources.get(SourceId::Library);
    if let Some((why, age)) = record.and_then(|record| Some((record.trouble(scene.now)?, record.age(scene.now)?))) {
        right = vec![piece(Role::Warning, format!("stale {}: {why}", units::span(age)))];
    }
    rule::heading(canvas, area, "Library", scene.ui.is_focused(ListId::Models), &right);
    table::table(canvas, rule::body(area), scene, ListId::Models, COLUMNS, &rows);
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Place(library, index) => library.places[*index].path.as_str().into(),
            Self::Engine(sample, index) | Self::Silent(sample, index) => {
                let engine = &sample.engines[*index];
                format!("{} {}", engine.kind.title(), engine.endpoint).into()
            }
            Self::Model(model) => {
                let state: Vec<&str> = model.state.iter().map(|(_, word)| word.as_str()).collect();
                format!("{} {} {}", model.name, model.family.as_deref().unwrap_or_default(), state.join(" ")).into()
            }
        }
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let Self::Model(model) = self else { return None };
        let text = |text: &Option<String>| Value::Text(Cow::Owned(text.clone().unwrap_or_default()));
        let count = |count: Option<u64>| Value::Number(count.map(|count| count as f64));
        Some(match name {
            "name" => Value::Text(model.name.as_str().into()),
            "role" => Value::Text(model.role.map_or("", ModelRole::word).into()),
            "family" => text(&model.family),
            "version" => text(&model.version),
            "quant" => text(&model.quantization),
            "bits" => Value::Number(model.bits),
            "params" => Value::Number(model.parameter_count),
            "size" => count(model.size_bytes),
            "used" => Value::Number(model.last_used.map(|at| at.as_second() as f64)),
            "context" => count(model.context),
            "vram" => count(model.vram_bytes),
            "state" => Value::Text(model.state.first().map_or("", |(_, word)| word.as_str()).into()),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        match self {
            Self::Place(library, index) => RowKey::Place(library.places[*index].path.as_str().into()),
            Self::Engine(sample, index) => RowKey::Engine(sample.engines[*index].endpoint.clone()),
            Self::Silent(sample, index) => RowKey::Model(sample.engines[*index].endpoint.clone(), String::new()),
            Self::Model(model) => model.key.clone(),
        }
    }

    fn heading<'a>(&'a self, scene: &Scene<'a>) -> Option<Pieces<'a>> {
        match self {
            Self::Place(library, index) => Some(place_heading(scene, &library.places[*index])),
            Self::Engine(sample, index) => Some(engine_heading(scene, &sample.engines[*index])),
            Self::Silent(sample, index) => {
                let why = sample.engines[*index].models.why().map(ToString::to_string).unwrap_or_default();
                Some(vec![piece(Role::Muted, format!("    models unavailable, because {why}"))])
            }
            Self::Model(_) => None,
        }
    }
}

/// Bytes in a place that no model needs.
fn left_over(place: &LibraryPlace) -> u64 {
    place.orphans.known().map_or(0, |orphans| orphans.bytes) + place.partial.bytes + place.pieces.bytes
}

/// `▾ Ollama  /var/lib/ollama  214 GiB · 3.1 GiB orphaned`.
fn place_heading<'a>(scene: &Scene<'a>, place: &'a LibraryPlace) -> Pieces<'a> {
    let glyphs = scene.ui.glyphs();
    let closed = scene.ui.list(ListId::Models).closed.contains(&RowKey::Place(place.path.as_str().into()));
    let mut pieces = vec![
        piece(Role::Accent, if closed { glyphs.closed } else { glyphs.open }),
        piece(Role::Strong, format!(" {}", place.store.title())),
        piece(Role::Muted, format!("  {}  {}", place.path, units::bytes(place.total_bytes))),
    ];
    let left_over = left_over(place);
    if left_over > 0 {
        pieces.push(piece(Role::Warning, format!(" · {} left over", units::bytes(left_over))));
    }
    if let Some(problem) = place.problems.first() {
        pieces.push(piece(Role::Warning, format!(" · {problem}")));
    }
    pieces
}

fn engine_heading<'a>(scene: &Scene<'a>, engine: &'a Engine) -> Pieces<'a> {
    let glyphs = scene.ui.glyphs();
    let closed = scene.ui.list(ListId::Models).closed.contains(&RowKey::Engine(engine.endpoint.clone()));
    let mut pieces = vec![
        piece(Role::Accent, if closed { glyphs.closed } else { glyphs.open }),
        piece(Role::Strong, format!(" {} :{}", engine.kind.title(), engine.port)),
    ];
    if let Some(name) = scene.state.container_of(engine).and_then(|id| scene.container_name(id)) {
        pieces.push(piece(Role::Muted, format!("  in {name}")));
    }
    if matches!(engine.models, Reading::Known(_)) && scene.state.library.get().is_some() {
        pieces.push(piece(Role::Muted, "  not found on disk"));
    }
    pieces
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        id: "name",
        title: "  model",
        width: 24,
        grow: 18,
        right: false,
        drop: 0,
        cell: |row, _| model(row, |model| vec![piece(Role::Text, format!("  {}", model.name))]),
    },
    Column {
        id: "role",
        title: "role",
        width: 6,
        grow: 0,
        right: false,
        drop: 6,
        cell: |row, scene| text(row, scene, Role::Muted, |model| Some(model.role?.word().to_owned())),
    },
    Column {
        id: "family",
        title: "family",
        width: 8,
        grow: 2,
        right: false,
        drop: 10,
        cell: |row, scene| text(row, scene, Role::Muted, |model| model.family.clone()),
    },
    Column {
        id: "version",
        title: "version",
        width: 7,
        grow: 0,
        right: false,
        drop: 5,
        cell: |row, scene| text(row, scene, Role::Text, |model| model.version.clone()),
    },
    Column {
        id: "quant",
        title: "quant",
        width: 9,
        grow: 0,
        right: true,
        drop: 2,
        cell: |row, scene| text(row, scene, Role::Muted, |model| model.quantization.clone()),
    },
    Column {
        id: "bits",
        title: "bits",
        width: 4,
        grow: 0,
        right: true,
        drop: 9,
        cell: |row, scene| text(row, scene, Role::Muted, |model| Some(format!("{:.1}", model.bits?))),
    },
    Column {
        id: "params",
        title: "params",
        width: 6,
        grow: 0,
        right: true,
        drop: 3,
        cell: |row, scene| text(row, scene, Role::Muted, |model| model.parameters.clone()),
    },
    Column {
        id: "size",
        title: "size",
        width: 6,
        grow: 0,
        right: true,
        drop: 0,
        cell: |row, scene| text(row, scene, Role::Text, |model| model.size_bytes.map(units::bytes_short)),
    },
    Column {
        id: "used",
        title: "used",
        width: 5,
        grow: 0,
        right: true,
        drop: 4,
        cell: |row, scene| {
            let now = scene.now;
            text(row, scene, Role::Muted, |model| Some(units::age(now.since_wall(model.last_used?))))
        },
    },
    Column {
        id: "context",
        title: "context",
        width: 7,
        grow: 0,
        right: true,
        drop: 8,
        cell: |row, scene| text(row, scene, Role::Muted, |model| model.context.map(|tokens| tokens.to_string())),
    },
    Column {
        id: "vram",
        title: "vram",
        width: 6,
        grow: 0,
        right: true,
        drop: 7,
        cell: |row, scene| text(row, scene, Role::Text, |model| model.vram_bytes.map(units::bytes_short)),
    },
    Column {
        id: "state",
        title: "state",
        width: 19,
        grow: 20,
        right: false,
        drop: 1,
        cell: |row, _| {
            model(row, |model| {
                let mut pieces = Vec::new();
                for (role, word) in &model.state {
                    let gap = if pieces.is_empty() { "" } else { " · " };
                    pieces.push(piece(*role, format!("{gap}{word}")));
                }
                pieces
            })
        },
    },
];

fn model<'a>(row: &'a Row, write: impl FnOnce(&'a Model) -> Pieces<'a>) -> Pieces<'a> {
    match row {
        Row::Model(model) => write(model),
        _ => Vec::new(),
    }
}

fn text<'a>(row: &'a Row, scene: &Scene<'_>, role: Role, of: impl FnOnce(&'a Model) -> Option<String>) -> Pieces<'a> {
    model(row, |model| match of(model) {
        Some(text) => vec![piece(role, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    })
}
