//! One table for every list: columns that drop in a declared order, a cursor that is an id, sort, filter, marks.

use std::cmp::Ordering;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Hit, Pieces, piece, width};
use super::super::filter::{Fields, Value};
use super::super::list::{ListId, ListState, RowKey};
use super::super::theme::Role;

/// A column of a table of `T`.
pub struct Column<T: 'static> {
    /// Its id: the name of its field in filters and in the config.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Cells at least.
    pub width: u16,
    /// Cells more that it may take when there is room.
    pub grow: u16,
    /// Written to the right edge.
    pub right: bool,
    /// Which columns go first when there is no room: the highest number first, 0 never.
    pub drop: u8,
    /// What it shows of a row.
    pub cell: for<'a> fn(&'a T, &Scene<'a>) -> Pieces<'a>,
}

/// A row of a table.
pub trait TableRow: Fields {
    /// What names it.
    fn key(&self) -> RowKey;
    /// What stands in place of its cells, for the heading of a group.
    fn heading<'a>(&'a self, _scene: &Scene<'a>) -> Option<Pieces<'a>> {
        None
    }
}

/// Cells between two columns.
const GAP: u16 = 2;

/// Draws column headings and rows. Returns how many rows fit.
pub fn table<'a, T: TableRow>(
    canvas: &mut Canvas<'_>,
    area: Rect,
    scene: &Scene<'a>,
    list: ListId,
    columns: &[Column<T>],
    rows: &'a [T],
) -> u16 {
    if area.height < 2 || area.width < 8 {
        return 0;
    }
    let state = scene.ui.list(list);
    let shown = fit(columns, state, area.width - 2);
    canvas.hit(area, Hit::List(list));
    headings(canvas, area, list, columns, &shown, state);
    let height = area.height - 1;
    let keys: Vec<RowKey> = rows.iter().map(TableRow::key).collect();
    let position = state.position(&keys);
    let first = position.map_or(0, |position| state.first_shown(position, rows.len(), height.into()));
    for (line, (index, row)) in rows.iter().enumerate().skip(first).take(height.into()).enumerate() {
        let place = Rect { x: area.x, y: area.y + 1 + line as u16, width: area.width, height: 1 };
        draw_row(canvas, place, scene, columns, &shown, row);
        if state.marked.contains(&keys[index]) {
            canvas.put(place.x, place.y, 1, canvas.glyphs.mark, Role::Accent);
        }
        if Some(index) == position && scene.ui.is_focused(list) {
            canvas.tint(place, Role::Selection);
        }
        canvas.hit(place, Hit::Row(list, keys[index].clone()));
    }
    height
}

/// Sorts rows by the column that the list is sorted by: numbers high to low, texts a to z, unavailable values last; rows
/// that are equal keep their order.
pub fn sort<T: TableRow>(rows: &mut [T], state: &ListState) {
    let Some(column) = state.sort else { return };
    rows.sort_by(|a, b| {
        let order = compare(a.field(column), b.field(column));
        if state.reversed { order.reverse() } else { order }
    });
}

fn compare(a: Option<Value<'_>>, b: Option<Value<'_>>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(Some(a))), Some(Value::Number(Some(b)))) => b.total_cmp(&a),
        (Some(Value::Number(Some(_))), _) => Ordering::Less,
        (_, Some(Value::Number(Some(_)))) => Ordering::Greater,
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.cmp(&b),
        _ => Ordering::Equal,
    }
}

/// A column that is shown, and where.
struct Shown {
    index: usize,
    x: u16,
    width: u16,
}

/// Chooses the columns that fit `room` and places them.
fn fit<T>(columns: &[Column<T>], state: &ListState, room: u16) -> Vec<Shown> {
    let mut chosen: Vec<usize> =
        (0..columns.len()).filter(|index| !state.hidden.contains(columns[*index].id)).collect();
    let taken =
        |chosen: &[usize]| chosen.iter().map(|index| columns[*index].width + GAP).sum::<u16>().saturating_sub(GAP);
    while taken(&chosen) > room {
        let droppable = chosen.iter().enumerate().filter(|(_, index)| columns[**index].drop > 0);
        let Some((at, _)) = droppable.max_by_key(|(at, index)| (columns[**index].drop, *at)) else { break };
        chosen.remove(at);
    }
    let mut spare = room.saturating_sub(taken(&chosen));
    let mut x = 0;
    let mut placed: Vec<Shown> =
        chosen.into_iter().map(|index| Shown { index, x: 0, width: columns[index].width }).collect();
    // A cell at a time to each that may still grow, so that they grow alike.
    loop {
        let mut grown = false;
        for column in &mut placed {
            let spec = &columns[column.index];
            if spare > 0 && column.width < spec.width + spec.grow {
                column.width += 1;
                spare -= 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    for column in &mut placed {
        column.x = x;
        x += column.width + GAP;
    }
    placed.retain(|column| column.x < room);
    placed
}

fn headings<T>(
    canvas: &mut Canvas<'_>,
    area: Rect,
    list: ListId,
    columns: &[Column<T>],
    shown: &[Shown],
    state: &ListState,
) {
    for column in shown {
        let spec = &columns[column.index];
        let sorted = state.sort == Some(spec.id);
        let sign = if state.reversed { canvas.glyphs.ascending } else { canvas.glyphs.descending };
        let text = if sorted { format!("{}{sign}", spec.title) } else { spec.title.to_owned() };
        let role = if sorted { Role::Accent } else { Role::Muted };
        let x = area.x + 1 + column.x;
        let room = column.width.min(area.right().saturating_sub(x));
        if spec.right {
            canvas.pieces_right(x + room, area.y, room, &[piece(role, text)]);
        } else {
            canvas.put(x, area.y, room, &text, role);
        }
        if !spec.title.is_empty() {
            canvas.hit(Rect { x, y: area.y, width: room, height: 1 }, Hit::Column(list, spec.id));
        }
    }
}

fn draw_row<'a, T: TableRow>(
    canvas: &mut Canvas<'_>,
    place: Rect,
    scene: &Scene<'a>,
    columns: &[Column<T>],
    shown: &[Shown],
    row: &'a T,
) {
    if let Some(heading) = row.heading(scene) {
        canvas.pieces(place.x + 1, place.y, place.width - 2, &heading);
        return;
    }
    for column in shown {
        let spec = &columns[column.index];
        let cell = (spec.cell)(row, scene);
        let x = place.x + 1 + column.x;
        let room = column.width.min(place.right().saturating_sub(x));
        if spec.right && width(&cell) <= room {
            canvas.pieces_right(x + room, place.y, room, &cell);
        } else {
            canvas.pieces(x, place.y, room, &cell);
        }
    }
}
