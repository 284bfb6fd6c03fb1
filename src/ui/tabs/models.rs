//! Models tab: the inference servers with how they do, the models, and what is said of the selected server.

mod engines;
mod library;
mod platforms;
mod side;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces};
use super::super::command::{Command, Context};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::plot::{self, Plot, Top};
use super::super::widgets::rule::{self, below};
use super::super::widgets::table::TableRow as _;
use super::{Tab, TabId};
use crate::domain::{Endpoint, Engine, SourceId, SourceStatus, units};
use crate::store::SeriesId;
use engines::Row;

/// The tab.
pub(super) struct Models;

/// From this width on, the selected server has a column of its own.
const WIDE: u16 = 140;
/// Cells of that column.
const SIDE: u16 = 46;
/// Lines of the graph, with its heading and its label.
const GRAPH: u16 = 8;

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
        super::finding_badge(scene, &["inference.", "platform.", "model."])
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::Engines, ListId::Models]
    }

    fn hints(&self) -> &'static [Command] {
        &[
            Command::Act("model.promote"),
            Command::Act("model.rollback"),
            Command::LoadUnload,
            Command::Act("model.pull"),
            Command::Act("model.delete"),
            Command::Open,
            Command::Filter,
            Command::Sort,
            Command::RangeShorter,
            Command::RangeLonger,
            Command::Copy,
            Command::ReviewModels,
        ]
    }

    fn rows(&self, list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        if list == ListId::Engines { engines::keys(scene) } else { library::keys(scene) }
    }

    fn columns(&self, list: ListId) -> Vec<(&'static str, &'static str)> {
        if list == ListId::Engines { engines::columns() } else { library::columns() }
    }

    fn fields(&self, list: ListId) -> &'static [&'static str] {
        if list == ListId::Engines { engines::FIELDS } else { library::FIELDS }
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
        let rows = engines::rows(scene);
        if rows.is_empty() && scene.ui.list(ListId::Engines).filter.is_none() {
            return absent(canvas, area, scene);
        }
        let shown = selected(scene, &rows);
        let wide = area.width >= WIDE;
        let main = Rect { width: if wide { area.width - SIDE - 2 } else { area.width }, ..area };
        main_column(canvas, main, scene, &rows, shown, !wide);
        if let Some(row) = shown.filter(|_| wide) {
            side::column(canvas, Rect { x: area.right() - SIDE, width: SIDE, ..area }, scene, row);
        }
    }
}

/// What is said of a server, for its popup.
pub(in crate::ui) fn about(scene: &Scene<'_>, engine: &Engine, width: u16) -> Vec<Pieces<'static>> {
    side::lines(scene, engine, width)
}

/// Servers, models, and a graph where there is room for it.
fn main_column(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, rows: &[Row], shown: Option<&Row>, says: bool) {
    let wanted = rows.len() as u16 + 2;
    let engines = Rect { height: wanted.min((area.height / 2).max(4)).min(area.height), ..area };
    engines::pane(canvas, engines, scene, rows);
    let mut rest = below(area, engines.height);
    if let Some(row) = shown.filter(|_| says && rest.height > 0) {
        canvas.pieces(rest.x + 2, rest.y, rest.width - 2, &side::line(row));
        rest = below(rest, 1);
    }
    rest = below(rest, u16::from(area.height > 24));
    let wanted = platforms::height(scene);
    if wanted > 0 && rest.height >= wanted + 8 {
        platforms::pane(canvas, Rect { height: wanted, ..rest }, scene);
        rest = below(rest, wanted + u16::from(area.height > 24));
    }
    let graph = shown.filter(|_| rest.height >= GRAPH + 8);
    let models = Rect { height: rest.height - graph.map_or(0, |_| GRAPH + 1), ..rest };
    if models.height >= 3 {
        library::pane(canvas, models, scene);
    }
    if let Some(row) = graph {
        history(canvas, below(rest, models.height + 1), scene, row);
    }
}

/// How long answers took, else how much was generated.
fn history(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, row: &Row) {
    let endpoint = &row.engine().endpoint;
    let has = |series: &SeriesId| scene.state.series.get(series).is_some_and(|series| series.last().is_some());
    let latency = SeriesId::EndToEnd(endpoint.clone());
    let plot = if has(&latency) {
        Plot {
            label: "whole answer, p95".to_owned(),
            series: latency,
            top: Top::AtLeast(0.1),
            write_top: |value| units::seconds(f64::from(value)),
            role: Role::Bandwidth,
        }
    } else {
        Plot {
            label: "tokens generated a second".to_owned(),
            series: SeriesId::Generated(endpoint.clone()),
            top: Top::AtLeast(10.0),
            write_top: |value| format!("{value:.0}"),
            role: Role::Compute,
        }
    };
    let title = format!(
        "{} :{}, last {}{}",
        row.engine().kind.title(),
        row.engine().port,
        plot::span(scene),
        plot::reservation(scene)
    );
    rule::heading(canvas, area, &title, false, &plot::ranges(scene));
    let body = plot::legend(canvas, rule::body(area), scene);
    plot::plot(canvas, body, scene, &plot);
}

/// The server under the cursor, or the one whose model is.
fn selected<'a>(scene: &Scene<'_>, rows: &'a [Row]) -> Option<&'a Row> {
    let keys: Vec<RowKey> = rows.iter().map(Row::key).collect();
    if scene.ui.is_focused(ListId::Models) {
        let models = library::keys(scene);
        let model = scene.ui.list(ListId::Models).position(&models).map(|position| &models[position]);
        let of = |endpoint: &Endpoint| rows.iter().find(|row| row.engine().endpoint == *endpoint);
        if let Some(RowKey::Engine(endpoint) | RowKey::Model(endpoint, _)) = model {
            return of(endpoint);
        }
    }
    rows.get(scene.ui.list(ListId::Engines).position(&keys)?)
}

/// What was looked for, when nothing was found.
fn absent(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    rule::heading(canvas, area, "Engines", true, &[]);
    let record = scene.state.sources.get(SourceId::Engines);
    let (text, role) = match scene.state.sources.status(SourceId::Engines, scene.now) {
        SourceStatus::Waiting => ("asking what listens on this host …".to_owned(), Role::Muted),
        SourceStatus::Fresh => (record.map(|record| record.detail.clone()).unwrap_or_default(), Role::Text),
        _ => (record.and_then(|record| record.trouble(scene.now)).unwrap_or_default(), Role::Warning),
    };
    canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(3), &text, role);
    let hint =
        "Servers are told by what they answer, whatever their port; add others under [sources] engines in the config.";
    canvas.put(area.x + 2, area.y + 4, area.width.saturating_sub(3), hint, Role::Muted);
}
