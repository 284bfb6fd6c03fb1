//! The rows of the list: projects and containers, their columns and fields.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::super::Scene;
use super::super::super::canvas::{Pieces, piece};
use super::super::super::filter::{Fields, Value};
use super::super::super::format;
use super::super::super::list::{ListId, RowKey};
use super::super::super::screen::severity_role;
use super::super::super::theme::Role;
use super::super::super::widgets::table::{self, Column, TableRow};
use crate::domain::{Container, ContainerState, HealthState, ImageUpdate, PortReach, Severity, units};

/// The typed fields of a filter.
pub(super) const FIELDS: &[&str] =
    &["name", "state", "health", "rst", "cpu", "mem", "vram", "ports", "image", "update", "project"];

/// A row.
pub(super) enum Row {
    /// The heading of a project.
    Project {
        /// Its name; `None` for single containers.
        name: Option<Arc<str>>,
        /// Containers that run.
        running: usize,
        /// All its containers.
        all: usize,
    },
    /// A container.
    Container(Box<Entry>),
}

/// A container with what is joined to it.
pub(super) struct Entry {
    container: Arc<Container>,
    cpu: Option<f64>,
    memory: Option<u64>,
    vram: Option<u64>,
    update: Option<ImageUpdate>,
    /// The worst finding about it.
    worst: Option<Severity>,
    /// Shown without its project's heading.
    flat: bool,
}

/// The rows as they are sorted and filtered now. Sorted by a column, projects give way to one flat list.
pub(super) fn rows(scene: &Scene<'_>) -> Vec<Row> {
    let list = scene.ui.list(ListId::Containers);
    let flat = list.sort.is_some();
    let findings = scene.state.findings.needing_someone(scene.now);
    let entry = |container: &Arc<Container>| {
        let usage = scene.state.usage.get().and_then(|usages| usages.by_id.get(&container.id));
        let about = findings.iter().filter(|finding| finding.seen.container.as_ref() == Some(&container.id));
        Row::Container(Box::new(Entry {
            cpu: usage.and_then(|usage| usage.cpu_cores.get()),
            memory: usage.and_then(|usage| usage.memory_bytes.get()),
            vram: scene.state.gpu_memory_of(&container.id),
            update: scene.state.image_update(&container.id).cloned(),
            worst: about.map(|finding| finding.seen.severity).max(),
            container: container.clone(),
            flat,
        }))
    };
    let passes = |row: &Row| list.filter.as_ref().is_none_or(|filter| filter.passes(row));
    let mut rows = Vec::new();
    for project in scene.state.projects() {
        let mut containers: Vec<Row> = project.containers.iter().map(entry).filter(passes).collect();
        if containers.is_empty() {
            continue;
        }
        let heading = Row::Project { name: project.name, running: project.running, all: project.containers.len() };
        let closed = list.closed.contains(&heading.key());
        if !flat {
            rows.push(heading);
        }
        if flat || !closed {
            rows.append(&mut containers);
        }
    }
    if flat {
        table::sort(&mut rows, list);
    }
    rows
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Project { name, .. } => name.as_deref().unwrap_or("single").into(),
            Self::Container(entry) => {
                let container = &entry.container;
                let project = container.project.as_deref().unwrap_or_default();
                format!("{project} {} {} {}", container.name, container.state.word(), container.image).into()
            }
        }
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let Self::Container(entry) = self else { return None };
        let container = &entry.container;
        Some(match name {
            "name" => Value::Text((&*container.name).into()),
            "state" => Value::Text(container.state.word().into()),
            "health" => Value::Text(health(container).0.into()),
            "rst" => Value::Number(Some(f64::from(container.restart_count))),
            "cpu" => Value::Number(entry.cpu),
            "mem" => Value::Number(entry.memory.map(|bytes| bytes as f64)),
            "vram" => Value::Number(entry.vram.map(|bytes| bytes as f64)),
            "ports" => Value::Text(ports(container).0.into()),
            "image" => Value::Text(container.image.as_str().into()),
            "update" => Value::Text(entry.update.as_ref().map_or("", ImageUpdate::word).into()),
            "project" => Value::Text(container.project.as_deref().unwrap_or_default().into()),
            _ => return None,
        })
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        match self {
            Self::Project { name, .. } => RowKey::Project(name.clone()),
            Self::Container(entry) => RowKey::Container(entry.container.id.clone()),
        }
    }

    fn heading<'a>(&'a self, scene: &Scene<'a>) -> Option<Pieces<'a>> {
        let Self::Project { name, running, all } = self else { return None };
        let closed = scene.ui.list(ListId::Containers).closed.contains(&self.key());
        let glyphs = scene.ui.glyphs();
        let kind = if name.is_some() { "compose" } else { "" };
        Some(vec![
            piece(Role::Accent, if closed { glyphs.closed } else { glyphs.open }),
            piece(Role::Accent, format!(" {}", name.as_deref().unwrap_or("single"))),
            piece(
                Role::Muted,
                format!("  {kind}{}{running} of {all} running", if kind.is_empty() { "" } else { " · " }),
            ),
        ])
    }
}

/// The columns, and the order in which they go when there is no room.
pub(super) const COLUMNS: &[Column<Row>] = &[
    Column { id: "name", title: "name", width: 16, grow: 14, right: false, drop: 0, cell: name_cell },
    Column { id: "state", title: "state", width: 10, grow: 0, right: false, drop: 0, cell: state_cell },
    Column { id: "health", title: "health", width: 9, grow: 0, right: false, drop: 3, cell: health_cell },
    Column { id: "rst", title: "rst", width: 3, grow: 1, right: true, drop: 2, cell: restarts_cell },
    Column { id: "cpu", title: "cpu", width: 6, grow: 0, right: true, drop: 0, cell: cpu_cell },
    Column { id: "mem", title: "mem", width: 6, grow: 0, right: true, drop: 0, cell: memory_cell },
    Column { id: "vram", title: "vram", width: 6, grow: 0, right: true, drop: 5, cell: vram_cell },
    Column { id: "ports", title: "ports", width: 11, grow: 6, right: false, drop: 4, cell: ports_cell },
    Column { id: "image", title: "image", width: 16, grow: 20, right: false, drop: 1, cell: image_cell },
];

fn entry(row: &Row) -> Option<&Entry> {
    match row {
        Row::Container(entry) => Some(entry),
        Row::Project { .. } => None,
    }
}

fn name_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let Some(entry) = entry(row) else { return Vec::new() };
    let glyphs = scene.ui.glyphs();
    let container = &entry.container;
    let (sign, role) = match (entry.worst, container.state) {
        (Some(worst), _) if worst > Severity::Info => (glyphs.severity(worst), severity_role(worst)),
        (_, state) if state.is_up() => (glyphs.up, Role::Ok),
        _ => (glyphs.down, Role::Faint),
    };
    let name = match (&container.project, entry.flat) {
        (Some(project), true) => Cow::Owned(format!("{project}/{}", container.display_name())),
        _ => Cow::Borrowed(container.display_name()),
    };
    let text = if entry.worst.is_some() { Role::Strong } else { Role::Text };
    vec![piece(role, sign), piece(text, format!(" {name}"))]
}

fn state_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let Some(entry) = entry(row) else { return Vec::new() };
    let role = match entry.container.state {
        ContainerState::Running => Role::Text,
        ContainerState::Restarting | ContainerState::Dead => Role::Critical,
        _ if entry.worst.is_some_and(|worst| worst == Severity::Critical) => Role::Critical,
        _ => Role::Muted,
    };
    vec![piece(role, entry.container.state.word())]
}

/// The word for a health check, and its role.
fn health(container: &Container) -> (&'static str, Role) {
    match container.health.as_ref().filter(|_| container.state.is_up()).map(|health| health.state) {
        Some(HealthState::Healthy) => ("ok", Role::Ok),
        Some(HealthState::Starting) => ("starting", Role::Muted),
        Some(HealthState::Unhealthy) => ("unhealthy", Role::Warning),
        None => ("", Role::Faint),
    }
}

fn health_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let Some(entry) = entry(row) else { return Vec::new() };
    match health(&entry.container) {
        ("", role) => vec![piece(role, scene.ui.glyphs().none)],
        (word, role) => vec![piece(role, word)],
    }
}

fn restarts_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    let Some(entry) = entry(row) else { return Vec::new() };
    let count = entry.container.restart_count;
    let role = match (count, entry.worst) {
        (0, _) => Role::Faint,
        (_, Some(_)) => Role::Critical,
        _ => Role::Text,
    };
    vec![piece(role, count.to_string())]
}

fn number<'a>(text: Option<String>, scene: &Scene<'_>) -> Pieces<'a> {
    match text {
        Some(text) => vec![piece(Role::Text, text)],
        None => vec![piece(Role::Faint, scene.ui.glyphs().none)],
    }
}

fn cpu_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    entry(row).map_or_else(Vec::new, |entry| number(entry.cpu.map(format::cores), scene))
}

fn memory_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    entry(row).map_or_else(Vec::new, |entry| number(entry.memory.map(units::bytes_short), scene))
}

fn vram_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    entry(row).map_or_else(Vec::new, |entry| number(entry.vram.map(units::bytes_short), scene))
}

/// Published ports in words, and their role: `:5678 lan`.
fn ports(container: &Container) -> (String, Role) {
    let mut ports: Vec<(u16, PortReach)> = container.ports.iter().map(|port| (port.host_port, port.reach)).collect();
    ports.sort_unstable();
    ports.dedup_by_key(|(port, _)| *port);
    let Some((first, _)) = ports.first() else { return (String::new(), Role::Muted) };
    let reach = ports.iter().map(|(_, reach)| *reach).max().unwrap_or(PortReach::Local);
    let more = if ports.len() > 1 { format!(" +{}", ports.len() - 1) } else { String::new() };
    (format!(":{first}{more} {}", reach.word()), Role::Muted)
}

fn ports_cell<'a>(row: &'a Row, _scene: &Scene<'a>) -> Pieces<'a> {
    entry(row).map_or_else(Vec::new, |entry| {
        let (text, role) = ports(&entry.container);
        vec![piece(role, text)]
    })
}

/// The image without registry and path: what tells versions apart. With something newer, the tag that it is newer than, and
/// how far the step goes; what cannot be told has a sign before it, so that it is not taken for up to date.
fn image_cell<'a>(row: &'a Row, scene: &Scene<'a>) -> Pieces<'a> {
    let Some(entry) = entry(row) else { return Vec::new() };
    let glyphs = scene.ui.glyphs();
    let short = short_image(&entry.container.image);
    match &entry.update {
        Some(ImageUpdate::Newer(newer)) => {
            let tag = short.split_once(':').map_or(short, |(_, tag)| tag);
            vec![piece(Role::Text, tag), piece(Role::Accent, format!(" {}{}", glyphs.ascending, newer.word()))]
        }
        Some(ImageUpdate::Pinned) => {
            vec![piece(Role::Muted, short), piece(Role::Faint, " pinned")]
        }
        Some(ImageUpdate::Unknown { .. }) => {
            vec![piece(Role::Faint, format!("{} ", glyphs.unknown)), piece(Role::Muted, short)]
        }
        _ => vec![piece(Role::Muted, short)],
    }
}

fn short_image(image: &str) -> &str {
    let short = image.rsplit('/').next().unwrap_or(image);
    match short.strip_prefix("sha256:") {
        Some(digest) => digest.get(..12).unwrap_or(digest),
        None => short,
    }
}
