//! The rows of the volumes: what each holds, who mounts it, and whether anybody named it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::sync::Arc;

use super::super::super::Scene;
use super::super::super::canvas::{Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::table::{self, Column, TableRow};
use super::held::{age, bytes, days, name, project, used_by, users};
use crate::domain::{DockerDisk, DockerVolume};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] = &["name", "state", "size", "kind", "used", "project", "age"];

/// A volume.
pub(super) struct Row {
    disk: Arc<DockerDisk>,
    index: usize,
    age: Option<f64>,
}

impl Row {
    fn volume(&self) -> &DockerVolume {
        &self.disk.volumes[self.index]
    }
}

/// The rows as they are sorted and filtered now; by themselves the largest come first.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let Some(disk) = scene.state.disk.shared() else { return Vec::new() };
    let row = |index: usize| Row { age: days(scene, disk.volumes[index].created), disk: disk.clone(), index };
    let mut rows: Vec<Row> = (0..disk.volumes.len()).map(row).collect();
    let list = scene.ui.list(ListId::Volumes);
    rows.retain(|row| list.filter.as_ref().is_none_or(|filter| filter.passes(row)));
    rows.sort_by_key(|row| Reverse(row.volume().size_bytes.get()));
    table::sort(&mut rows, list);
    rows
}

fn state(volume: &DockerVolume) -> (&'static str, Role) {
    match volume {
        _ if !volume.users.is_empty() => ("in use", Role::Text),
        _ if volume.keep => ("kept", Role::Text),
        _ if volume.anonymous => ("unused", Role::Ok),
        // Somebody gave it a name: it goes only by that name.
        _ => ("unused", Role::Text),
    }
}

/// Whether somebody gave it a name, in words.
fn kind(volume: &DockerVolume) -> &'static str {
    if volume.anonymous { "no name · data" } else { "named" }
}

/// How it is called in a list: of a name that is only digits the first twelve.
fn called(volume: &DockerVolume) -> &str {
    if volume.anonymous { volume.name.get(..12).unwrap_or(&volume.name) } else { &volume.name }
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        let volume = self.volume();
        let project = volume.project.as_deref().unwrap_or_default();
        format!("{} {} {} {project} {}", volume.name, state(volume).0, kind(volume), used_by(&volume.users)).into()
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let volume = self.volume();
        Some(match name {
            "name" => Value::Text((&*volume.name).into()),
            "state" => Value::Text(state(volume).0.into()),
            "size" => Value::Number(volume.size_bytes.get().map(|bytes| bytes as f64)),
            "kind" => Value::Text(kind(volume).into()),
            "used" => Value::Text(used_by(&volume.users)),
            "project" => Value::Text(volume.project.as_deref().unwrap_or_default().into()),
            "age" => Value::Number(self.age),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        RowKey::Volume(self.volume().name.clone())
    }
}

/// The columns, and the order in which they go when there is no room.
pub(super) const COLUMNS: &[Column<Row>] = &[
    Column { id: "name", title: "volume", width: 20, grow: 24, right: false, drop: 0, cell: name_cell },
    Column { id: "state", title: "state", width: 6, grow: 0, right: false, drop: 0, cell: state_cell },
    Column { id: "size", title: "size", width: 6, grow: 0, right: true, drop: 0, cell: size_cell },
    Column { id: "kind", title: "kind", width: 14, grow: 0, right: false, drop: 2, cell: kind_cell },
    Column { id: "used", title: "used by", width: 16, grow: 14, right: false, drop: 1, cell: users_cell },
    Column { id: "project", title: "project", width: 10, grow: 6, right: false, drop: 4, cell: project_cell },
    Column { id: "age", title: "age", width: 5, grow: 0, right: true, drop: 3, cell: age_cell },
];

fn name_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let volume = row.volume();
    let mut pieces = name(scene, called(volume), !volume.users.is_empty());
    if called(volume).len() < volume.name.len() {
        pieces.push(piece(Role::Faint, scene.ui.glyphs().more));
    }
    pieces
}

fn state_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let (word, role) = state(row.volume());
    vec![piece(role, word)]
}

fn size_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    match row.volume().size_bytes.get() {
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
        size => bytes(size),
    }
}

/// What nobody named may still be somebody's data.
fn kind_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let volume = row.volume();
    let role = if volume.anonymous { Role::Warning } else { Role::Muted };
    vec![piece(role, kind(volume))]
}

fn users_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    users(scene, &row.volume().users)
}

fn project_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    project(scene, row.volume().project.as_deref())
}

fn age_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    age(scene, row.volume().created)
}
