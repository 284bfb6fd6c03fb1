//! The inference servers: how much they do, how fast, how well.

use std::borrow::Cow;
use std::sync::Arc;

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::super::super::widgets::table::{self, Column, TableRow};
use crate::domain::{Counter, Engine, EngineSample, Residency, SourceId, Spread, units};
use crate::store::{Bottleneck, Hold, Performance, Window};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] =
    &["engine", "model", "running", "waiting", "ttft", "e2e", "tokens", "errors", "kv", "state"];

/// One server, with what it did in the last minutes.
pub(super) struct Row {
    sample: Arc<EngineSample>,
    index: usize,
    /// Median and 95th of 100, seconds.
    ttft: Option<(f64, f64)>,
    end_to_end: Option<(f64, f64)>,
    /// Tokens generated a second.
    tokens: Option<f64>,
    /// The share of requests that it failed.
    errors: Option<f64>,
    pub(super) bottleneck: Bottleneck,
}

/// The rows as they are sorted and filtered now.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let list = scene.ui.list(ListId::Engines);
    let Some(sample) = scene.state.engines.shared() else { return Vec::new() };
    let row = |index: usize| {
        let engine = &sample.engines[index];
        let seen = scene.state.measures.of(&engine.endpoint, Window::Recent);
        let pair = |spread| seen.and_then(|seen| Some((seen.quantile(spread, 0.5)?, seen.quantile(spread, 0.95)?)));
        Row {
            sample: Arc::clone(&sample),
            index,
            ttft: pair(Spread::FirstToken),
            end_to_end: pair(Spread::EndToEnd),
            tokens: seen.and_then(|seen| seen.rate(Counter::GeneratedTokens)),
            errors: seen.and_then(Performance::error_ratio),
            bottleneck: scene.state.bottleneck(engine),
        }
    };
    let mut rows: Vec<Row> = (0..sample.engines.len()).map(row).collect();
    rows.retain(|row| list.filter.as_ref().is_none_or(|filter| filter.passes(row)));
    table::sort(&mut rows, list);
    rows
}

pub(super) fn keys(scene: &Scene<'_>) -> Vec<RowKey> {
    rows(scene).iter().map(TableRow::key).collect()
}

pub(super) fn columns() -> Vec<(&'static str, &'static str)> {
    COLUMNS.iter().map(|column| (column.id, column.title.trim_start())).collect()
}

/// Draws the pane.
pub(super) fn pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, rows: &[Row]) {
    let mut right: Pieces<'_> = vec![piece(Role::Muted, format!("{} found", rows.len()))];
    if let Some(filter) = &scene.ui.list(ListId::Engines).filter {
        right.insert(0, piece(Role::Accent, format!("/{}  ", filter.typed)));
    }
    let record = scene.state.sources.get(SourceId::Engines);
    if let Some((why, age)) = record.and_then(|record| Some((record.trouble(scene.now)?, record.age(scene.now)?))) {
        right = vec![piece(Role::Warning, format!("stale {}: {why}", units::span(age)))];
    }
    rule::heading(canvas, area, "Engines", scene.ui.is_focused(ListId::Engines), &right);
    table::table(canvas, rule::body(area), scene, ListId::Engines, COLUMNS, rows);
}

impl Row {
    pub(super) fn engine(&self) -> &Engine {
        &self.sample.engines[self.index]
    }

    /// The models that it holds in memory, else all that it serves: the first, and how many more.
    fn model(&self) -> String {
        let models = self.engine().models.known().map_or(&[][..], Vec::as_slice);
        let loaded: Vec<_> =
            models.iter().filter(|model| matches!(model.residency, Residency::Loaded { .. })).collect();
        let (first, more) = match (loaded.first(), models.first()) {
            (Some(first), _) => (first.name.as_str(), loaded.len() - 1),
            (None, Some(_)) => return format!("none loaded of {}", models.len()),
            (None, None) => return String::new(),
        };
        if more == 0 { first.to_owned() } else { format!("{first} +{more}") }
    }
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        format!(
            "{} :{} {} {}",
            self.engine().kind.title(),
            self.engine().port,
            self.model(),
            self.bottleneck.hold.word()
        )
        .into()
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let count = |count: Option<u64>| Value::Number(count.map(|count| count as f64));
        Some(match name {
            "engine" => Value::Text(self.engine().kind.title().into()),
            "model" => Value::Text(self.model().into()),
            "running" => count(self.engine().requests_running.get()),
            "waiting" => count(self.engine().requests_waiting.get()),
            "ttft" => Value::Number(self.ttft.map(|(_, p95)| p95)),
            "e2e" => Value::Number(self.end_to_end.map(|(_, p95)| p95)),
            "tokens" => Value::Number(self.tokens),
            "errors" => Value::Number(self.errors),
            "kv" => Value::Number(self.engine().kv_cache_used_ratio.get()),
            "state" => Value::Text(self.bottleneck.hold.word().into()),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        RowKey::Engine(self.engine().endpoint.clone())
    }
}

/// How a hold is coloured.
pub(super) fn hold_role(hold: Hold) -> Role {
    match hold {
        Hold::Hung | Hold::Silent => Role::Critical,
        hold if hold.is_trouble() => Role::Warning,
        Hold::Idle | Hold::IdleLoaded | Hold::Loading | Hold::Untold => Role::Muted,
        _ => Role::Ok,
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        id: "engine",
        title: "  engine",
        width: 20,
        grow: 6,
        right: false,
        drop: 0,
        cell: |row, scene| {
            let (glyphs, hold) = (scene.ui.glyphs(), row.bottleneck.hold);
            let sign = if hold.is_trouble() { glyphs.warning } else { glyphs.up };
            let version =
                row.engine().version.known().map(|version| format!(" {}", short(version))).unwrap_or_default();
            vec![
                piece(hold_role(hold), sign),
                piece(Role::Text, format!(" {}{version}", row.engine().kind.title())),
                piece(Role::Muted, format!(" :{}", row.engine().port)),
            ]
        },
    },
    Column {
        id: "model",
        title: "model",
        width: 16,
        grow: 10,
        right: false,
        drop: 6,
        cell: |row, _| vec![piece(Role::Text, row.model())],
    },
    Column { id: "running", title: "run/wait", width: 8, grow: 0, right: true, drop: 0, cell: requests },
    Column {
        id: "ttft",
        title: "ttft p50 p95",
        width: 12,
        grow: 0,
        right: true,
        drop: 5,
        cell: |row, scene| pair(scene, row.ttft),
    },
    Column {
        id: "e2e",
        title: "e2e p50 p95",
        width: 12,
        grow: 0,
        right: true,
        drop: 2,
        cell: |row, scene| pair(scene, row.end_to_end),
    },
    Column {
        id: "tokens",
        title: "tok/s",
        width: 5,
        grow: 0,
        right: true,
        drop: 3,
        cell: |row, scene| number(scene, row.tokens.map(|rate| (Role::Text, format!("{rate:.0}")))),
    },
    Column {
        id: "errors",
        title: "err",
        width: 5,
        grow: 0,
        right: true,
        drop: 4,
        cell: |row, scene| {
            let limits = &scene.state.thresholds;
            let role = |ratio: f64| match ratio {
                ratio if ratio > limits.error_rate_critical => Role::Critical,
                ratio if ratio > limits.error_rate_warning => Role::Warning,
                _ => Role::Text,
            };
            number(scene, row.errors.map(|ratio| (role(ratio), units::percent_fine(ratio))))
        },
    },
    Column {
        id: "kv",
        title: "kv",
        width: 4,
        grow: 0,
        right: true,
        drop: 7,
        cell: |row, scene| {
            let role = |ratio: f64| if ratio >= 0.95 { Role::Warning } else { Role::Text };
            let used = row.engine().kv_cache_used_ratio.get();
            number(scene, used.map(|ratio| (role(ratio), units::percent(ratio))))
        },
    },
];

/// A version without what follows a hyphen or a plus, as far as it has room.
fn short(version: &str) -> String {
    version.split(['-', '+']).next().unwrap_or_default().chars().take(9).collect()
}

fn requests<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let none = || scene.ui.glyphs().none.to_owned();
    match (row.engine().requests_running.get(), row.engine().requests_waiting.get()) {
        (None, None) => vec![piece(Role::Faint, none())],
        (running, waiting) => {
            let shown = |count: Option<u64>| count.map_or_else(none, |count| count.to_string());
            let role = if waiting.is_some_and(|waiting| waiting > 0) { Role::Warning } else { Role::Text };
            vec![piece(Role::Text, shown(running)), piece(Role::Muted, "/"), piece(role, shown(waiting))]
        }
    }
}

fn number<'a>(scene: &Scene<'a>, text: Option<(Role, String)>) -> Pieces<'a> {
    match text {
        Some((role, text)) => vec![piece(role, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    }
}

/// Median and 95th of 100 with one unit: `180  410 ms`.
fn pair<'a>(scene: &Scene<'a>, seconds: Option<(f64, f64)>) -> Pieces<'a> {
    let Some((p50, p95)) = seconds else {
        return vec![piece(Role::Faint, scene.ui.glyphs().none)];
    };
    let (p50, p95) = if p95 < 0.9995 {
        (format!("{:.0}", p50 * 1e3), format!("{:>4.0} ms", p95 * 1e3))
    } else if p95 < 99.5 {
        (format!("{p50:.1}"), format!("{p95:>4.1} s"))
    } else {
        (format!("{p50:.0}"), format!("{p95:>4.0} s"))
    };
    vec![piece(Role::Muted, format!("{p50} ")), piece(Role::Text, p95)]
}
