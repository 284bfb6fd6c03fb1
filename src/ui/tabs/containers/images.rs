//! The rows of the images: what each takes, who uses it, and since when nothing has.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::super::super::Scene;
use super::super::super::canvas::{Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::table::{self, Column, TableRow};
use super::held::{age, bytes, days, name, used_by, users};
use crate::domain::{DockerDisk, Image, units};
use crate::store::ImageUse;

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] = &["name", "state", "size", "own", "age", "used", "seen"];

const HOUR: Duration = Duration::from_hours(1);

/// An image with what is joined to it.
pub(super) struct Row {
    disk: Arc<DockerDisk>,
    index: usize,
    own_bytes: u64,
    used: Option<ImageUse>,
    /// Days since it was built.
    age: Option<f64>,
    /// Days since it was last seen in use, or first seen at all.
    idle: Option<f64>,
}

impl Row {
    fn image(&self) -> &Image {
        &self.disk.images[self.index]
    }
}

/// The rows as they are sorted and filtered now; by themselves the largest come first.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let Some(disk) = scene.state.disk.shared() else { return Vec::new() };
    let row = |(index, (image, own_bytes)): (usize, (&Image, u64))| {
        let used = scene.state.image_use(image);
        let since = used.map(|used| match used {
            ImageUse::Now => scene.now.wall,
            ImageUse::Seen(at) | ImageUse::NotSince(at) => at,
        });
        let (age, idle) = (days(scene, image.created), days(scene, since));
        Row { disk: disk.clone(), index, own_bytes, used, age, idle }
    };
    let mut rows: Vec<Row> = disk.with_own_bytes().enumerate().map(row).collect();
    let list = scene.ui.list(ListId::Images);
    rows.retain(|row| list.filter.as_ref().is_none_or(|filter| filter.passes(row)));
    rows.sort_by(|a, b| {
        let key = |row: &Row| Reverse(row.image().size_bytes);
        key(a).cmp(&key(b)).then_with(|| a.image().name().cmp(b.image().name()))
    });
    table::sort(&mut rows, list);
    rows
}

/// What an image is, in a word or two.
fn state(image: &Image) -> (&'static str, Role) {
    match image {
        _ if image.is_in_use() => ("in use", Role::Text),
        _ if image.is_for_rollback() => ("roll back", Role::Text),
        _ if image.keep => ("kept", Role::Text),
        _ if image.is_dangling() => ("dangling", Role::Ok),
        _ => ("unused", Role::Ok),
    }
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        let image = self.image();
        let names = image.references.join(" ");
        format!("{} {names} {} {} {}", image.name(), image.short(), state(image).0, used_by(&image.users)).into()
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let image = self.image();
        Some(match name {
            "name" => Value::Text(image.name().into()),
            "state" => Value::Text(state(image).0.into()),
            "size" => Value::Number(Some(image.size_bytes as f64)),
            "own" => Value::Number(Some(self.own_bytes as f64)),
            "age" => Value::Number(self.age),
            "used" => Value::Text(used_by(&image.users)),
            "seen" => Value::Number(self.idle),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        RowKey::Image(self.image().id.clone())
    }
}

/// The columns, and the order in which they go when there is no room.
pub(super) const COLUMNS: &[Column<Row>] = &[
    Column { id: "name", title: "image", width: 22, grow: 30, right: false, drop: 0, cell: name_cell },
    Column { id: "state", title: "state", width: 9, grow: 0, right: false, drop: 0, cell: state_cell },
    Column { id: "size", title: "size", width: 6, grow: 0, right: true, drop: 0, cell: size_cell },
    Column { id: "own", title: "own", width: 6, grow: 0, right: true, drop: 3, cell: own_cell },
    Column { id: "age", title: "built", width: 5, grow: 0, right: true, drop: 4, cell: age_cell },
    Column { id: "seen", title: "last in use", width: 12, grow: 0, right: false, drop: 2, cell: seen_cell },
    Column { id: "used", title: "used by", width: 14, grow: 14, right: false, drop: 1, cell: users_cell },
];

fn name_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let image = row.image();
    let mut pieces = name(scene, image.name(), image.is_in_use());
    match image.references.len() {
        0 if image.repository.is_some() => pieces.push(piece(Role::Muted, format!("  {}", image.short()))),
        0 | 1 => {}
        count => pieces.push(piece(Role::Muted, format!("  +{}", count - 1))),
    }
    pieces
}

fn state_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let (word, role) = state(row.image());
    vec![piece(role, word)]
}

fn size_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    bytes(Some(row.image().size_bytes))
}

/// Of the bytes, those that nothing would hold without it; what is shared wholly is faint.
fn own_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let role = if row.own_bytes == 0 { Role::Faint } else { Role::Muted };
    vec![piece(role, units::bytes_short(row.own_bytes))]
}

fn age_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    age(scene, row.image().created)
}

fn seen_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    match row.used {
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
        Some(ImageUse::Now) => vec![piece(Role::Muted, "now")],
        Some(ImageUse::Seen(at)) => {
            vec![piece(Role::Text, format!("{} ago", units::span(scene.now.since_wall(at))))]
        }
        Some(ImageUse::NotSince(at)) => {
            let known = scene.now.since_wall(at);
            // Of what was found an hour ago nothing can be said yet.
            let text = if known < HOUR { "not seen yet".to_owned() } else { format!("not in {}", units::span(known)) };
            vec![piece(if known < HOUR { Role::Faint } else { Role::Text }, text)]
        }
    }
}

fn users_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    users(scene, &row.image().users)
}
