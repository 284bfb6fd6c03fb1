//! The rows of the networks.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::super::Scene;
use super::super::super::canvas::{Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::list::{ListId, RowKey};
use super::super::super::theme::Role;
use super::super::super::widgets::table::{self, Column, TableRow};
use super::held::{age, days, name, project, used_by, users};
use crate::domain::{DockerDisk, DockerNetwork};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] = &["name", "state", "driver", "used", "project", "age"];

/// A network.
pub(super) struct Row {
    disk: Arc<DockerDisk>,
    index: usize,
    age: Option<f64>,
}

impl Row {
    fn network(&self) -> &DockerNetwork {
        &self.disk.networks[self.index]
    }
}

/// The rows as they are sorted and filtered now; by themselves in the order of their names, the engine's own last.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let Some(disk) = scene.state.disk.shared() else { return Vec::new() };
    let row = |index: usize| Row { age: days(scene, disk.networks[index].created), disk: disk.clone(), index };
    let mut rows: Vec<Row> = (0..disk.networks.len()).map(row).collect();
    let list = scene.ui.list(ListId::Networks);
    rows.retain(|row| list.filter.as_ref().is_none_or(|filter| filter.passes(row)));
    rows.sort_by_key(|row| row.network().builtin);
    table::sort(&mut rows, list);
    rows
}

fn state(network: &DockerNetwork) -> (&'static str, Role) {
    match network {
        _ if network.builtin => ("built in", Role::Muted),
        _ if !network.users.is_empty() => ("in use", Role::Text),
        _ if network.keep => ("kept", Role::Text),
        _ => ("unused", Role::Ok),
    }
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        let network = self.network();
        let project = network.project.as_deref().unwrap_or_default();
        format!("{} {} {} {project} {}", network.name, network.driver, state(network).0, used_by(&network.users)).into()
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let network = self.network();
        Some(match name {
            "name" => Value::Text((&*network.name).into()),
            "state" => Value::Text(state(network).0.into()),
            "driver" => Value::Text(network.driver.as_str().into()),
            "used" => Value::Text(used_by(&network.users)),
            "project" => Value::Text(network.project.as_deref().unwrap_or_default().into()),
            "age" => Value::Number(self.age),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        RowKey::Network(self.network().id.clone())
    }
}

/// The columns, and the order in which they go when there is no room.
pub(super) const COLUMNS: &[Column<Row>] = &[
    Column { id: "name", title: "network", width: 20, grow: 24, right: false, drop: 0, cell: name_cell },
    Column { id: "state", title: "state", width: 8, grow: 0, right: false, drop: 0, cell: state_cell },
    Column { id: "driver", title: "driver", width: 8, grow: 2, right: false, drop: 2, cell: driver_cell },
    Column { id: "used", title: "used by", width: 16, grow: 24, right: false, drop: 1, cell: users_cell },
    Column { id: "project", title: "project", width: 10, grow: 6, right: false, drop: 4, cell: project_cell },
    Column { id: "age", title: "age", width: 5, grow: 0, right: true, drop: 3, cell: age_cell },
];

fn name_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let network = row.network();
    name(scene, &network.name, !network.users.is_empty())
}

fn state_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let (word, role) = state(row.network());
    vec![piece(role, word)]
}

fn driver_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    vec![piece(Role::Muted, row.network().driver.as_str())]
}

fn users_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    users(scene, &row.network().users)
}

fn project_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    project(scene, row.network().project.as_deref())
}

fn age_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    age(scene, row.network().created)
}
