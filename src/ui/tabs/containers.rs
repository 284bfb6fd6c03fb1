//! Containers tab: compose projects as units, their containers, and beside them what is known of the selected one.

mod detail;
mod rows;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces, piece};
use super::super::command::{Command, Context};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::{rule, table};
use super::{Tab, TabId};
use crate::domain::{ContainerId, SourceId, SourceStatus, units};

/// The tab.
pub(super) struct Containers;

/// From this width on, the selected container stands beside the list.
const WIDE: u16 = 130;
/// Cells of the selected container's column.
const SIDE: u16 = 44;

impl Tab for Containers {
    fn id(&self) -> TabId {
        TabId::Containers
    }

    fn title(&self) -> &'static str {
        "Containers"
    }

    fn command(&self) -> Command {
        Command::TabContainers
    }

    fn context(&self) -> Option<Context> {
        Some(Context::Containers)
    }

    fn badge(&self, scene: &Scene<'_>) -> Pieces<'static> {
        super::finding_badge(scene, &["container."])
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::Containers]
    }

    fn hints(&self) -> &'static [Command] {
        &[
            Command::Act("container.restart"),
            Command::StartStop,
            Command::Act("container.update"),
            Command::Act("container.rollback"),
            Command::ContainerLogs,
            Command::Shell,
            Command::Inspect,
            Command::Mark,
            Command::Filter,
            Command::Sort,
            Command::Columns,
            Command::Copy,
        ]
    }

    fn rows(&self, _list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        rows::rows(scene).iter().map(table::TableRow::key).collect()
    }

    fn columns(&self, _list: ListId) -> Vec<(&'static str, &'static str)> {
        rows::COLUMNS.iter().map(|column| (column.id, column.title)).collect()
    }

    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        rows::FIELDS
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        match selected {
            RowKey::Container(id) => scene.container_name(id).map(|name| name.to_string()),
            RowKey::Project(project) => project.as_ref().map(ToString::to_string),
            _ => None,
        }
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        if scene.state.docker.get().is_none() {
            absent(canvas, area, scene);
            return;
        }
        let wide = area.width >= WIDE;
        let list = Rect { width: if wide { area.width - SIDE - 2 } else { area.width }, ..area };
        let shown = rows::rows(scene);
        heading(canvas, list, scene, &shown);
        let body = rule::body(list);
        if shown.is_empty() {
            let text = if scene.state.containers().is_empty() {
                "the engine has no containers"
            } else {
                "no container passes the filter"
            };
            canvas.put(body.x + 1, body.y + 1, body.width - 1, text, Role::Muted);
        } else {
            table::table(canvas, body, scene, ListId::Containers, rows::COLUMNS, &shown);
        }
        if wide && let Some(container) = selected(scene, &shown).and_then(|id| scene.state.container(&id)) {
            let side = Rect { x: area.right() - SIDE, width: SIDE, ..area };
            detail::detail(canvas, side, scene, container);
        }
    }
}

/// The container under the cursor.
fn selected(scene: &Scene<'_>, shown: &[rows::Row]) -> Option<ContainerId> {
    let keys: Vec<RowKey> = shown.iter().map(table::TableRow::key).collect();
    let position = scene.ui.list(ListId::Containers).position(&keys)?;
    // On a project's heading its first container is told about.
    keys.into_iter().skip(position).find_map(|key| match key {
        RowKey::Container(id) => Some(id),
        _ => None,
    })
}

fn heading(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, shown: &[rows::Row]) {
    let mut right: Pieces<'_> = Vec::new();
    let record = scene.state.sources.get(SourceId::Docker);
    let trouble = record.and_then(|record| Some((record.trouble(scene.now)?, record.age(scene.now)?)));
    let state = scene.ui.list(ListId::Containers);
    if let Some((why, age)) = trouble {
        right.push(piece(Role::Warning, format!("stale {}: {why}", units::span(age))));
    } else {
        if let Some(filter) = &state.filter {
            let count = shown.iter().filter(|row| matches!(row, rows::Row::Container(_))).count();
            right.push(piece(Role::Accent, format!("/{}  {count} of ", filter.typed)));
        }
        right.push(piece(Role::Muted, scene.state.containers().len().to_string()));
        if !state.marked.is_empty() {
            right.push(piece(Role::Accent, format!(" · {} marked", state.marked.len())));
        }
        if let Some(docker) = scene.state.docker.get() {
            right.push(piece(Role::Muted, format!(" · engine {}", docker.engine.version)));
        }
    }
    rule::heading(canvas, area, "Containers", true, &right);
}

/// Why there is nothing, in words.
fn absent(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    rule::heading(canvas, area, "Containers", true, &[]);
    let source = scene.state.sources.get(SourceId::Docker);
    let failure = source.and_then(|source| source.failure.as_ref()).map(|(failure, _)| failure);
    let status = scene.state.sources.status(SourceId::Docker, scene.now);
    let (text, role) = match (status, failure) {
        (SourceStatus::Waiting, _) => ("asking the container engine …".to_owned(), Role::Muted),
        (SourceStatus::Unsupported, Some(failure)) => (failure.what.clone(), Role::Text),
        (_, Some(failure)) => (failure.what.clone(), Role::Warning),
        _ => ("no container engine".to_owned(), Role::Muted),
    };
    canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(3), &text, role);
    if let Some(remedy) = failure.and_then(|failure| failure.remedy.as_ref()) {
        canvas.put(area.x + 2, area.y + 3, area.width.saturating_sub(3), remedy, Role::Text);
    }
    if status != SourceStatus::Waiting {
        canvas.put(
            area.x + 2,
            area.y + 5,
            area.width.saturating_sub(3),
            "`hostler doctor` lists every place that was tried.",
            Role::Muted,
        );
    }
}
