//! The views of what the engine holds beside containers: one table each, the selected thing beside it where there is room,
//! and the cells that these tables have in common.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Piece, Pieces, piece};
use super::super::super::list::{ListId, RowKey};
use super::super::super::popups;
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::super::super::widgets::table::{self, Column, TableRow};
use super::{SIDE, WIDE, disk, images, networks, volumes};
use crate::domain::{DockerDisk, Held, SourceId, SourceStatus, kept_of, units};

/// Draws the view of a list.
pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, list: ListId) {
    let Some(held) = scene.state.disk.get() else {
        absent(canvas, area, scene, title(list));
        return;
    };
    let wide = area.width >= WIDE;
    let main = Rect { width: if wide { area.width - SIDE - 2 } else { area.width }, ..area };
    let selected = match list {
        ListId::Images => draw(canvas, main, scene, list, held, images::COLUMNS, &images::rows(scene)),
        ListId::Volumes => draw(canvas, main, scene, list, held, volumes::COLUMNS, &volumes::rows(scene)),
        _ => draw(canvas, main, scene, list, held, networks::COLUMNS, &networks::rows(scene)),
    };
    if let Some(selected) = selected.filter(|_| wide) {
        let side = Rect { x: area.right() - SIDE, width: SIDE, ..area };
        let (title, lines) = popups::detail_of(scene, &selected, usize::from(SIDE) - 3);
        rule::heading(canvas, side, &title, false, &[]);
        for (y, line) in (side.y + 1..side.bottom()).zip(&lines) {
            canvas.pieces(side.x + 2, y, side.width - 2, line);
        }
    }
}

fn title(list: ListId) -> &'static str {
    match list {
        ListId::Images => "Images",
        ListId::Volumes => "Volumes",
        _ => "Networks",
    }
}

/// Draws one table below its heading, and what lies below the table. Gives the selected row.
#[expect(clippy::too_many_arguments, reason = "the table of any kind of row")]
fn draw<T: TableRow>(
    canvas: &mut Canvas<'_>,
    area: Rect,
    scene: &Scene<'_>,
    list: ListId,
    held: &DockerDisk,
    columns: &[Column<T>],
    rows: &[T],
) -> Option<RowKey> {
    let mut right: Pieces<'_> = Vec::new();
    let cursor = scene.ui.list(list);
    if let Some((why, age)) = super::trouble(scene, SourceId::DockerDisk) {
        right.push(piece(Role::Warning, format!("stale {}: {why}", units::span(age))));
    } else {
        if let Some(filter) = &cursor.filter {
            right.push(piece(Role::Accent, format!("/{}  {} of ", filter.typed, rows.len())));
        }
        right.extend(summary(list, held));
        if !cursor.marked.is_empty() {
            right.push(piece(Role::Accent, format!(" · {} marked", cursor.marked.len())));
        }
    }
    rule::heading(canvas, area, title(list), true, &right);
    let body = rule::body(area);
    let (above, below) = disk::split(body, rows.len(), list == ListId::Networks);
    if rows.is_empty() {
        let text = if cursor.filter.is_some() { "nothing passes the filter" } else { "there are none" };
        canvas.put(above.x + 1, above.y + 1, above.width.saturating_sub(1), text, Role::Muted);
    } else {
        table::table(canvas, above, scene, list, columns, rows);
    }
    if let Some(below) = below {
        let below = if list == ListId::Networks { disk::cache(canvas, below, held) } else { below };
        disk::pane(canvas, below, held);
    }
    let keys: Vec<RowKey> = rows.iter().map(TableRow::key).collect();
    cursor.position(&keys).map(|position| keys[position].clone())
}

/// How many there are, what they take, and what of that can be had back.
fn summary(list: ListId, held: &DockerDisk) -> Pieces<'static> {
    let totals = held.totals();
    let kind = match list {
        ListId::Images => totals.images,
        ListId::Volumes => totals.volumes,
        _ => {
            let unused = held.networks.iter().filter(|network| network.is_reclaimable()).count();
            let mut pieces = vec![piece(Role::Muted, held.networks.len().to_string())];
            if unused > 0 {
                pieces.push(piece(Role::Ok, format!(" · {unused} unused")));
            }
            let cache = totals.build_cache;
            pieces.extend(
                cache
                    .size_bytes
                    .get()
                    .map(|bytes| piece(Role::Muted, format!(" · build cache {}", units::bytes(bytes)))),
            );
            pieces.extend(reclaimable(&cache));
            return pieces;
        }
    };
    let mut pieces = vec![piece(Role::Muted, kind.count.to_string())];
    if let Some(bytes) = kind.size_bytes.get() {
        pieces.push(piece(Role::Muted, format!(" · {}", units::bytes(bytes))));
    }
    pieces.extend(reclaimable(&kind));
    pieces
}

/// What of a kind can be had back, where anything can.
fn reclaimable(held: &Held) -> Option<Piece<'static>> {
    let bytes = held.reclaimable_bytes.get().filter(|bytes| *bytes > 0)?;
    Some(piece(Role::Ok, format!(" · {} reclaimable", units::bytes(bytes))))
}

/// Why there is nothing, in words.
fn absent(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, title: &str) {
    rule::heading(canvas, area, title, true, &[]);
    let source = scene.state.sources.get(SourceId::DockerDisk);
    let failure = source.and_then(|source| source.failure.as_ref()).map(|(failure, _)| failure);
    let (text, role) = match (scene.state.sources.status(SourceId::DockerDisk, scene.now), failure) {
        (SourceStatus::Waiting, _) => ("asking the container engine what it holds …", Role::Muted),
        (SourceStatus::Unsupported, Some(failure)) => (failure.what.as_str(), Role::Text),
        (_, Some(failure)) => (failure.what.as_str(), Role::Warning),
        _ => ("no container engine", Role::Muted),
    };
    canvas.put(area.x + 2, area.y + 2, area.width.saturating_sub(3), text, role);
    if let Some(remedy) = failure.and_then(|failure| failure.remedy.as_ref()) {
        canvas.put(area.x + 2, area.y + 3, area.width.saturating_sub(3), remedy, Role::Text);
    }
}

/// Days since an instant.
pub(super) fn days(scene: &Scene<'_>, at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| scene.now.since_wall(at).as_secs_f64() / 86_400.0)
}

/// A name behind the sign of what is in use, or is not.
pub(super) fn name<'a>(scene: &Scene<'_>, name: &'a str, used: bool) -> Pieces<'a> {
    let glyphs = scene.ui.glyphs();
    let (sign, role) = if used { (glyphs.up, Role::Ok) } else { (glyphs.down, Role::Faint) };
    vec![piece(role, sign), piece(Role::Text, " "), piece(Role::Text, name)]
}

/// Bytes in a narrow column.
pub(super) fn bytes(count: Option<u64>) -> Pieces<'static> {
    count.map_or_else(Vec::new, |count| vec![piece(Role::Text, units::bytes_short(count))])
}

/// How long something has been there.
pub(super) fn age(scene: &Scene<'_>, since: Option<Timestamp>) -> Pieces<'static> {
    match since {
        Some(since) => vec![piece(Role::Muted, units::age(scene.now.since_wall(since)))],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    }
}

/// The first user, and how many there are beside it. An old container that is kept is called by the name that it had.
pub(super) fn used_by(users: &[Arc<str>]) -> Cow<'_, str> {
    let Some(first) = users.iter().find(|name| kept_of(name).is_none()).or_else(|| users.first()) else {
        return "".into();
    };
    let first: Cow<'_, str> = match kept_of(first) {
        Some((name, _)) => format!("{name}, kept").into(),
        None => (&**first).into(),
    };
    if users.len() == 1 { first } else { format!("{first} +{}", users.len() - 1).into() }
}

/// Who uses something.
pub(super) fn users<'a>(scene: &Scene<'_>, users: &'a [Arc<str>]) -> Pieces<'a> {
    match users {
        [] => vec![piece(Role::Faint, scene.ui.glyphs().none)],
        users => vec![piece(Role::Text, used_by(users))],
    }
}

/// A compose project.
pub(super) fn project<'a>(scene: &Scene<'_>, project: Option<&'a str>) -> Pieces<'a> {
    match project {
        Some(project) => vec![piece(Role::Muted, project)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    }
}
