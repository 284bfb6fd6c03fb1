//! All that is known of one thing, as labelled lines.

mod held;
mod models;

use super::super::Scene;
use super::super::canvas::{Pieces, piece, wrap};
use super::super::crash::{self, Room};
use super::super::format;
use super::super::list::RowKey;
use super::super::theme::Role;
use crate::domain::{Container, DutyStanding, Engine, Finding, GpuProcess, Reading, units};

/// An open detail.
#[derive(Debug, Clone)]
pub struct Detail {
    /// What it is about.
    pub of: RowKey,
    /// The first line shown.
    pub top: usize,
}

/// Title and lines of a detail.
pub(super) fn lines(scene: &Scene<'_>, detail: &Detail) -> (String, Vec<Pieces<'static>>) {
    lines_in(scene, &detail.of, 90)
}

/// Title and lines of what is known of one thing, its sentences in at most `columns` characters.
pub(super) fn lines_in(scene: &Scene<'_>, of: &RowKey, columns: usize) -> (String, Vec<Pieces<'static>>) {
    let gone = || ("Gone".to_owned(), vec![vec![piece(Role::Muted, "It is no longer there.")]]);
    match of {
        RowKey::Run(_) => (String::new(), Vec::new()),
        RowKey::Container(id) => scene
            .state
            .container(id)
            .map_or_else(gone, |container| (container.name.to_string(), of_container(scene, container))),
        RowKey::Finding(id, subject) => {
            let findings = scene.state.findings.all(scene.now);
            let found = findings.into_iter().find(|finding| finding.seen.id == *id && finding.seen.subject == *subject);
            found.map_or_else(gone, |finding| (format!("{id}  {subject}"), of_finding(scene, &finding)))
        }
        RowKey::Process(pid, gpu) => {
            let rows = scene.state.gpu_rows();
            let row = rows.iter().find(|row| row.process.pid == *pid && row.gpu.uuid == *gpu);
            row.map_or_else(gone, |row| (format!("process {pid}"), of_process(scene, row.process, row.engine)))
        }
        RowKey::Engine(_) | RowKey::Model(..) | RowKey::Stored(_) | RowKey::Place(_) => {
            models::of(scene, of, columns).unwrap_or_else(gone)
        }
        RowKey::Line(number) => scene.state.logs.get(*number).map_or_else(gone, |line| {
            let mut lines = vec![
                labelled(
                    "written",
                    scene.ui.setup.zone.to_datetime(line.at).strftime("%a %-d %b %H:%M:%S.%3f").to_string(),
                ),
                labelled("by", line.origin.name.to_string()),
                Vec::new(),
            ];
            lines.extend(wrapped(&line.text, 100));
            ("Log line".to_owned(), lines)
        }),
        RowKey::Duty(id) => {
            let standing = scene.state.routine.iter().find(|standing| standing.spec.id == *id);
            standing.map_or_else(gone, |standing| (standing.spec.title.clone(), of_duty(scene, standing, columns)))
        }
        RowKey::Image(id) => held::image(scene, id, columns).unwrap_or_else(gone),
        RowKey::Volume(name) => held::volume(scene, name, columns).unwrap_or_else(gone),
        RowKey::Network(id) => held::network(scene, id, columns).unwrap_or_else(gone),
        RowKey::Project(_) | RowKey::Cadence(_) | RowKey::Entry(_) => gone(),
    }
}

fn labelled(label: &'static str, value: impl Into<String>) -> Pieces<'static> {
    vec![piece(Role::Muted, format!("{label:<12}")), piece(Role::Text, value.into())]
}

/// A text in lines of at most `columns` characters.
pub(in crate::ui) fn wrapped(text: &str, columns: usize) -> Vec<Pieces<'static>> {
    wrap(text, columns).into_iter().map(|line| vec![piece(Role::Text, line)]).collect()
}

fn read<T: Copy>(value: &Reading<T>, write: impl FnOnce(T) -> String) -> String {
    match value {
        Reading::Known(value) => write(*value),
        Reading::Unavailable(why) => format!("unavailable, because {why}"),
    }
}

/// Why it dies comes before all that is merely known of it.
fn crash_lines(scene: &Scene<'_>, container: &Container) -> Vec<Pieces<'static>> {
    let width = scene.ui.size.width.saturating_sub(4).clamp(20, 76);
    // On a short screen the lines before death shall be seen without scrolling.
    let runs = if scene.ui.size.height < 30 { 3 } else { 8 };
    let parts = crash::parts(scene, container, Room { width, runs, words: 8 });
    parts
        .into_iter()
        .flat_map(|part| [vec![vec![piece(Role::Strong, part.title)]], part.lines, vec![Vec::new()]].concat())
        .collect()
}

/// What a platform in it says of itself.
fn platform_line(scene: &Scene<'_>, container: &Container) -> Option<Pieces<'static>> {
    let platforms = &scene.state.platforms.get()?.platforms;
    let platform = platforms.iter().find(|platform| platform.container == container.id)?;
    let version = platform.version.known().map(|version| format!(" {version}")).unwrap_or_default();
    let health = match &platform.health {
        Reading::Known(health) => health.words(),
        Reading::Unavailable(why) => format!("unavailable, because {why}"),
    };
    Some(labelled("platform", format!("{}{version}, {health}", platform.kind.title())))
}

fn of_container(scene: &Scene<'_>, container: &Container) -> Vec<Pieces<'static>> {
    let usage = scene.state.usage.get().and_then(|usages| usages.by_id.get(&container.id));
    let mut lines = crash_lines(scene, container);
    let told = scene.state.crash(container, scene.now).is_some();
    lines.extend([
        labelled("state", container.state.word()),
        labelled("image", container.image.clone()),
        labelled("image id", container.image_id.clone()),
        labelled("id", container.id.0.to_string()),
    ]);
    if let Some(update) = scene.state.image_update(&container.id) {
        let now = scene.now.wall;
        let label = |index| if index == 0 { "update" } else { "" };
        let told = std::iter::once(update.sentence(now)).chain(update.others(now));
        let told: Vec<_> = told.enumerate().map(|(index, line)| labelled(label(index), line)).collect();
        // Behind the image's name.
        let place = lines.len() - 2;
        lines.splice(place..place, told);
    }
    lines.extend(platform_line(scene, container));
    if let (Some(project), Some(service)) = (&container.project, &container.service) {
        lines.push(labelled("compose", format!("{project}, service {service}")));
    }
    lines.push(labelled(
        "policy",
        format!("restart={}, restarted {}×", container.restart_policy, container.restart_count),
    ));
    for (label, at) in [("created", container.created), ("started", container.started)] {
        if let Some(at) = at {
            lines.push(labelled(label, format!("{} ({} ago)", scene.when(at), units::span(scene.now.since_wall(at)))));
        }
    }
    if let Some(exit) = container.last_exit {
        let at = exit.at.map(|at| format!(", {}", scene.when(at))).unwrap_or_default();
        lines.push(labelled("last exit", format!("{exit}{at}")));
    }
    if let Some(error) = &container.start_error {
        lines.push(labelled("start error", error.clone()));
    }
    if let Some(health) = &container.health {
        lines.push(labelled(
            "health",
            format!("{:?}, {} failed in a row", health.state, health.failing_streak).to_lowercase(),
        ));
        if let Some(output) = &health.last_output {
            lines.push(labelled("", output.clone()));
        }
    }
    if let Some(usage) = usage {
        lines.push(labelled("cpu", read(&usage.cpu_cores, |cores| format!("{} of a core", format::cores(cores)))));
        lines.push(labelled("memory", read(&usage.memory_bytes, units::bytes)));
        lines.push(labelled("processes", read(&usage.pids, |pids| pids.to_string())));
    }
    let memory = container
        .memory_limit_bytes
        .map_or_else(|| "no memory limit".to_owned(), |limit| format!("memory {}", units::bytes(limit)));
    let cpu = container.cpu_limit.map_or_else(|| "no cpu limit".to_owned(), |limit| format!("{limit} cpu"));
    lines.push(labelled("limits", format!("{memory}, {cpu}")));
    for port in &container.ports {
        lines.push(labelled(
            "port",
            format!(
                "{} → {}/{}, reach by its bind address: {}",
                port.host_port,
                port.container_port,
                port.protocol,
                port.reach.word()
            ),
        ));
    }
    lines.push(labelled(
        "log",
        container
            .log_path
            .as_ref()
            .map_or_else(|| container.log_driver.clone(), |path| format!("{}  {path}", container.log_driver)),
    ));
    if let Some(track) = scene.state.tracks.get(&container.id) {
        // Those that nobody asked for are told above already.
        for exit in track.exits.iter().rev().filter(|exit| exit.asked || !told).take(8) {
            let asked = if exit.asked { " (asked for)" } else { "" };
            lines.push(labelled("exit", format!("{}  code {}{asked}", scene.when(exit.at), exit.code)));
        }
    }
    lines
}

fn of_finding(scene: &Scene<'_>, finding: &Finding) -> Vec<Pieces<'static>> {
    let seen = &finding.seen;
    let mut lines =
        vec![vec![piece(super::super::screen::severity_role(seen.severity), seen.title.clone())], Vec::new()];
    lines.extend(
        seen.evidence.iter().map(|evidence| vec![piece(Role::Faint, "· "), piece(Role::Text, evidence.clone())]),
    );
    lines.push(Vec::new());
    lines.push(labelled(
        "since",
        format!("{} ({} ago)", scene.when(finding.since), units::span(scene.now.since_wall(finding.since))),
    ));
    if let Some(project) = &seen.project {
        lines.push(labelled("project", project.to_string()));
    }
    lines.push(Vec::new());
    lines.extend(wrapped(seen.why, 90));
    if let Some(silence) = &finding.silence {
        lines.push(labelled("silent", silence.words(|until| scene.when(until))));
    }
    lines
}

/// The lines of a duty, its text in at most `columns` characters.
pub(in crate::ui) fn of_duty(scene: &Scene<'_>, standing: &DutyStanding, columns: usize) -> Vec<Pieces<'static>> {
    let cadence: &'static str = standing.spec.cadence.into();
    let sign = scene.ui.glyphs().result(standing.outcome.result);
    let mut lines = wrapped(&standing.spec.why, columns);
    lines.push(Vec::new());
    lines.push(labelled("due", format!("{cadence}, by {}", standing.due.strftime("%a %-d %b"))));
    lines.push(labelled("takes", format!("about {} min", standing.spec.minutes)));
    lines.push(labelled("check", format!("{sign} {}", standing.outcome.result.word())));
    for evidence in &standing.outcome.evidence {
        lines.push(Vec::new());
        lines.extend(wrapped(evidence, columns));
    }
    lines
}

fn of_process(scene: &Scene<'_>, process: &GpuProcess, engine: Option<&Engine>) -> Vec<Pieces<'static>> {
    let name = process.name.known().cloned().unwrap_or_else(|| "unknown".to_owned());
    let container = process.container.as_ref().and_then(|id| scene.container_name(id));
    vec![
        labelled("name", name),
        labelled(
            "container",
            container.map_or_else(|| "none: a process of the host".to_owned(), |name| name.to_string()),
        ),
        labelled(
            "engine",
            engine.map_or_else(
                || "none found".to_owned(),
                |engine| format!("{} {}", engine.kind.title(), engine.endpoint),
            ),
        ),
        labelled("memory", read(&process.memory_used_bytes, units::bytes)),
        labelled("sm", read(&process.sm_ratio, units::percent)),
    ]
}
