//! Containers tab: compose projects as units, their containers, and beside them what is known of the selected one; and as
//! further views what else the engine holds: images, volumes, networks and build cache.

mod detail;
mod disk;
mod held;
mod images;
mod networks;
mod rows;
mod volumes;

use std::time::Duration;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Piece, Pieces, piece, text_width, width};
use super::super::command::{Command, Context};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::{rule, table};
use super::{Tab, TabId};
use crate::domain::{ActionId, ContainerId, SourceId, SourceStatus, units};

/// The tab.
pub(super) struct Containers;

/// From this width on, the selected container stands beside the list.
const WIDE: u16 = 130;
/// Cells of the selected container's column.
const SIDE: u16 = 44;

/// What the footer offers where something else than containers is listed: how one of them is removed comes first.
const fn hints_of_held(remove: ActionId) -> [Command; 10] {
    [
        Command::Act(remove),
        Command::Act("docker.prune"),
        Command::Views,
        Command::Back,
        Command::Open,
        Command::Mark,
        Command::Filter,
        Command::Sort,
        Command::Columns,
        Command::Copy,
    ]
}

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
        &[ListId::Containers, ListId::Images, ListId::Volumes, ListId::Networks]
    }

    fn has_views(&self) -> bool {
        true
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
            Command::Act("container.trial"),
            Command::Views,
            Command::Mark,
            Command::Filter,
            Command::Sort,
            Command::Columns,
            Command::Copy,
        ]
    }

    fn hints_in(&self, pane: Option<ListId>) -> &'static [Command] {
        const IMAGES: [Command; 10] = hints_of_held("image.remove");
        const VOLUMES: [Command; 10] = hints_of_held("volume.remove");
        match pane {
            Some(ListId::Containers) => self.hints(),
            Some(ListId::Images) => &IMAGES,
            Some(ListId::Volumes) => &VOLUMES,
            // Networks go by prune alone.
            _ => &IMAGES[1..],
        }
    }

    fn rows(&self, list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        match list {
            ListId::Images => keys(&images::rows(scene)),
            ListId::Volumes => keys(&volumes::rows(scene)),
            ListId::Networks => keys(&networks::rows(scene)),
            _ => keys(&rows::rows(scene)),
        }
    }

    fn columns(&self, list: ListId) -> Vec<(&'static str, &'static str)> {
        match list {
            ListId::Images => columns(images::COLUMNS),
            ListId::Volumes => columns(volumes::COLUMNS),
            ListId::Networks => columns(networks::COLUMNS),
            _ => columns(rows::COLUMNS),
        }
    }

    fn fields(&self, list: ListId) -> &'static [&'static str] {
        match list {
            ListId::Images => images::FIELDS,
            ListId::Volumes => volumes::FIELDS,
            ListId::Networks => networks::FIELDS,
            _ => rows::FIELDS,
        }
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        match selected {
            RowKey::Container(id) => scene.container_name(id).map(|name| name.to_string()),
            RowKey::Project(project) => project.as_ref().map(ToString::to_string),
            RowKey::Image(id) => {
                let image = scene.state.disk.get()?.image(id)?;
                Some(image.references.first().map_or_else(|| id.to_string(), Clone::clone))
            }
            RowKey::Volume(name) => Some(name.to_string()),
            RowKey::Network(id) => Some(scene.state.disk.get()?.network(id)?.name.to_string()),
            _ => None,
        }
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        if let Some(list) = scene.ui.pane().filter(|list| *list != ListId::Containers) {
            held::view(canvas, area, scene, list);
            return;
        }
        if scene.state.docker.get().is_none() {
            absent(canvas, area, scene);
            return;
        }
        let wide = area.width >= WIDE;
        let list = Rect { width: if wide { area.width - SIDE - 2 } else { area.width }, ..area };
        let shown = rows::rows(scene);
        heading(canvas, list, scene, &shown);
        let (body, below) = disk::split(rule::body(list), shown.len(), false);
        let disk = scene.state.disk.get();
        let body = if disk.is_some() { body } else { rule::body(list) };
        if let (Some(disk), Some(below)) = (disk, below) {
            disk::pane(canvas, below, disk);
        }
        if shown.is_empty() {
            let text = if scene.state.current_containers().next().is_none() {
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

fn keys<T: table::TableRow>(rows: &[T]) -> Vec<RowKey> {
    rows.iter().map(table::TableRow::key).collect()
}

fn columns<T>(columns: &[table::Column<T>]) -> Vec<(&'static str, &'static str)> {
    columns.iter().map(|column| (column.id, column.title)).collect()
}

/// Why the last good reading of a source is not this moment's, and its age; `None` while it is.
fn trouble(scene: &Scene<'_>, source: SourceId) -> Option<(String, Duration)> {
    let source = scene.state.sources.get(source)?;
    Some((source.trouble(scene.now)?, source.age(scene.now)?))
}

/// The container under the cursor.
fn selected(scene: &Scene<'_>, shown: &[rows::Row]) -> Option<ContainerId> {
    let keys = keys(shown);
    let position = scene.ui.list(ListId::Containers).position(&keys)?;
    // On a project's heading its first container is told about.
    keys.into_iter().skip(position).find_map(|key| match key {
        RowKey::Container(id) => Some(id),
        _ => None,
    })
}

fn heading(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, shown: &[rows::Row]) {
    let mut right: Pieces<'_> = Vec::new();
    let state = scene.ui.list(ListId::Containers);
    if let Some((why, age)) = trouble(scene, SourceId::Docker) {
        right.push(piece(Role::Warning, format!("stale {}: {why}", units::span(age))));
    } else {
        if let Some(filter) = &state.filter {
            let count = shown.iter().filter(|row| matches!(row, rows::Row::Container(_))).count();
            right.push(piece(Role::Accent, format!("/{}  {count} of ", filter.typed)));
        }
        right.push(piece(Role::Muted, scene.state.current_containers().count().to_string()));
        if !state.marked.is_empty() {
            right.push(piece(Role::Accent, format!(" · {} marked", state.marked.len())));
        }
        let engine = scene.state.docker.get().map(|docker| format!(" · engine {}", docker.engine.version));
        right.extend(held_too(scene));
        // What else there is goes before the engine's version where both have no room.
        let room = area.width.saturating_sub(20 + width(&right));
        right.extend(engine.filter(|engine| text_width(engine) < room).map(|engine| piece(Role::Muted, engine)));
    }
    rule::heading(canvas, area, "Containers", true, &right);
}

/// What the engine holds beside containers: the views that lie behind this one.
fn held_too(scene: &Scene<'_>) -> Option<Piece<'static>> {
    let disk = scene.state.disk.get()?;
    let cache = disk.totals().build_cache.size_bytes.get();
    let cache = cache.map_or_else(String::new, |bytes| format!(" · build cache {}", units::bytes(bytes)));
    let text = format!(" · images {} · volumes {}{cache}", disk.images.len(), disk.volumes.len());
    Some(piece(Role::Muted, text))
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
