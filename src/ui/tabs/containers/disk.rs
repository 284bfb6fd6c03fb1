//! The pane that tells what the engine holds on disk, kind by kind, and what of it nothing needs.

use ratatui::layout::Rect;

use super::super::super::canvas::{Canvas, Pieces, piece, width};
use super::super::super::theme::Role;
use super::super::super::widgets::{meter, rule};
use crate::domain::{DockerDisk, Held, Reading, units};

/// Lines of the pane, and of that of the build cache with the empty line below it.
const HEIGHT: u16 = 5;
const CACHE: u16 = 4;
/// Lines that a list keeps before the pane takes any.
const LIST: u16 = 16;

/// The room of a list of `rows` rows below its heading, and that of the pane below the list; `None` where the list needs
/// the room itself. With `cache` the pane of the build cache stands between them.
pub(super) fn split(body: Rect, rows: usize, cache: bool) -> (Rect, Option<Rect>) {
    let below = HEIGHT + if cache { CACHE } else { 0 };
    if body.height < LIST + 1 + below {
        return (body, None);
    }
    // Column headings, the rows, an empty line.
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1);
    let height = wanted.min(body.height - below - 1);
    let below = Rect { y: body.y + height + 1, height: below, ..body };
    (Rect { height, ..body }, Some(below))
}

/// Draws the pane of the build cache at the top of `area` and returns the rest.
pub(super) fn cache(canvas: &mut Canvas<'_>, area: Rect, disk: &DockerDisk) -> Rect {
    rule::heading(canvas, area, "Build cache", false, &[]);
    let room = area.width.saturating_sub(2);
    match &disk.build_cache {
        Reading::Unavailable(why) => {
            canvas.put(area.x + 2, area.y + 1, room, &format!("unavailable, because {why}"), Role::Muted);
        }
        Reading::Known(cache) => {
            let lines = [
                [
                    piece(Role::Text, units::bytes(cache.size_bytes)),
                    piece(Role::Muted, format!("  in {} records, of which a build uses ", cache.records)),
                    piece(Role::Text, units::bytes(cache.in_use_bytes)),
                    piece(Role::Muted, " now"),
                ],
                [
                    piece(Role::Text, units::bytes(cache.shared_bytes)),
                    piece(Role::Muted, "  more is shared with images, and is counted there"),
                    piece(Role::Muted, ""),
                    piece(Role::Muted, ""),
                ],
            ];
            for (y, line) in (area.y + 1..).zip(&lines) {
                canvas.pieces(area.x + 2, y, room, line);
            }
        }
    }
    Rect { y: area.y + CACHE, height: area.height - CACHE, ..area }
}

/// Draws the pane.
pub(super) fn pane(canvas: &mut Canvas<'_>, area: Rect, disk: &DockerDisk) {
    rule::heading(canvas, area, "Disk held by Docker", false, &[piece(Role::Muted, "reclaimable")]);
    let totals = disk.totals();
    let exact = disk.is_exact() || disk.layers_bytes.known().is_none();
    let kinds = [
        ("images", &totals.images, about(exact)),
        ("containers", &totals.containers, Vec::new()),
        ("volumes", &totals.volumes, of_volumes(disk)),
        ("build cache", &totals.build_cache, Vec::new()),
    ];
    let sum: u64 = kinds.iter().filter_map(|(_, held, _)| held.size_bytes.get()).sum();
    for (y, (label, held, note)) in (area.y + 1..area.bottom()).zip(&kinds) {
        line(canvas, Rect { y, height: 1, ..area }, label, held, sum, note);
    }
}

fn line(canvas: &mut Canvas<'_>, area: Rect, label: &str, held: &Held, sum: u64, note: &Pieces<'_>) {
    // Label, meter, size, reclaimable, note.
    const METER: u16 = 24;
    canvas.put(area.x + 2, area.y, 12, label, Role::Muted);
    let bytes = held.size_bytes.get();
    let ratio = bytes.map(|bytes| if sum == 0 { 0.0 } else { bytes as f64 / sum as f64 });
    meter::meter(canvas, area.x + 16, area.y, METER, ratio, Role::Memory);
    let mut x = area.x + 16 + METER;
    let room = |x: u16| area.right().saturating_sub(x);
    let size = match bytes {
        Some(bytes) => piece(Role::Text, units::bytes(bytes)),
        None => piece(Role::Faint, "–"),
    };
    canvas.pieces_right(x + 12, area.y, 12.min(room(x)), &[size]);
    x += 15;
    let Some(reclaimable) = held.reclaimable_bytes.get() else {
        let why = held.reclaimable_bytes.why().map(ToString::to_string).unwrap_or_default();
        canvas.put(x, area.y, room(x), &why, Role::Muted);
        return;
    };
    let role = if reclaimable == 0 { Role::Faint } else { Role::Ok };
    let mut pieces = vec![piece(role, format!("{:<9}", units::bytes(reclaimable)))];
    if !note.is_empty() && width(&pieces) + width(note) + 2 <= room(x) {
        pieces.push(piece(Role::Muted, "  "));
        pieces.extend(note.iter().cloned());
    }
    if held.unmeasured > 0 {
        pieces.push(piece(Role::Muted, format!("  {} of {} not measured", held.unmeasured, held.count)));
    }
    canvas.pieces(x, area.y, room(x), &pieces);
}

/// Where layers do not add up to what the engine measured, sums of them are near the truth only.
fn about(exact: bool) -> Pieces<'static> {
    if exact { Vec::new() } else { vec![piece(Role::Muted, "(about: layers do not add up)")] }
}

/// How many volumes nobody named; named ones are never counted as rubbish.
fn of_volumes(disk: &DockerDisk) -> Pieces<'static> {
    let unnamed = disk.volumes.iter().filter(|volume| volume.is_reclaimable()).count();
    let text = match unnamed {
        0 => "(named ones only by name)".to_owned(),
        count => format!("({count} without a name; named ones only by name)"),
    };
    vec![piece(Role::Muted, text)]
}
