//! The snapshot for people: a part a paragraph, a thing a line.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::check::{findings_text, heading, sources_text};
use super::super::look::{Columns, Look, Tone};
use super::{
    ContainerReport, DiskReport, EngineReport, GpuReport, HostReport, LibraryReport, ModelReport, PlatformReport,
    ProcessReport, Snapshot, StoredReport, VolumeReport,
};
use crate::domain::{HealthState, HostSample, PlatformHealth, Reading, Residency, Standing, units};

type Cell = (Tone, String);

pub(super) fn text(snapshot: &Snapshot, look: &Look) -> String {
    let mut text = heading(&snapshot.host.name, snapshot.demo, snapshot.verdict, snapshot.at, look);
    text.push_str(&host(&snapshot.host, look));
    text.push_str(&part("Volumes", &snapshot.volumes, look, |volume| vec![volume_row(volume)]));
    text.push_str(&part("GPUs", &snapshot.gpus, look, gpu_rows));
    text.push_str(&part("Containers", &snapshot.containers, look, |container| vec![container_row(container)]));
    text.push_str(&disk(&snapshot.docker_disk, look));
    text.push_str(&part("Inference servers", &snapshot.engines, look, |engine| vec![engine_row(engine)]));
    text.push_str(&part("Models", &snapshot.models, look, |model| vec![model_row(model)]));
    text.push_str(&part("Platforms", &snapshot.platforms, look, |platform| vec![platform_row(platform)]));
    text.push_str(&library(&snapshot.library, look));
    text.push_str(&findings_text(&snapshot.findings, snapshot.verdict, snapshot.at, look));
    text.push_str(&sources_text(&snapshot.sources, look));
    text
}

/// A heading and a line for each row, or why there are none.
fn part<T>(title: &str, things: &Reading<Vec<T>>, look: &Look, rows: impl Fn(&T) -> Vec<Vec<Cell>>) -> String {
    let mut text = format!("\n{title}\n");
    match things {
        Reading::Unavailable(why) => {
            let _ = writeln!(text, "  {}", look.tone(Tone::Muted, &because(why)));
        }
        Reading::Known(things) if things.is_empty() => text.push_str("  none\n"),
        Reading::Known(things) => {
            let mut columns = Columns::default();
            things.iter().flat_map(rows).for_each(|row| columns.row(row));
            text.push_str(&columns.lines(look, 2));
        }
    }
    text
}

fn because(why: &impl std::fmt::Display) -> String {
    format!("unavailable, because: {why}")
}

/// A value in words, or why there is none, in brackets.
fn or_why<T>(reading: &Reading<T>, words: impl Fn(&T) -> String) -> Cell {
    match reading {
        Reading::Known(value) => (Tone::Plain, words(value)),
        Reading::Unavailable(why) => (Tone::Muted, format!("({why})")),
    }
}

/// A value in words, or the sign of none, where a row has no room for reasons.
fn or_none<T>(reading: &Reading<T>, words: impl Fn(&T) -> String) -> String {
    reading.known().map_or_else(|| "-".to_owned(), words)
}

fn plain(text: impl Into<String>) -> Cell {
    (Tone::Plain, text.into())
}

fn host(host: &HostReport, look: &Look) -> String {
    let Some(sample) = &host.sample else {
        let why = host.unavailable.as_deref().unwrap_or_default();
        return format!("\nHost\n  {}\n", look.tone(Tone::Muted, &because(&why)));
    };
    let mut columns = Columns::default();
    for (name, cell) in host_facts(sample) {
        columns.row([(Tone::Muted, name.to_owned()), cell]);
    }
    format!("\nHost\n{}", columns.lines(look, 2))
}

fn host_facts(host: &HostSample) -> Vec<(&'static str, Cell)> {
    let facts = &host.facts;
    vec![
        ("system", plain(format!("{}, Linux {}, {} processors", facts.os, facts.kernel, facts.cores))),
        ("uptime", or_why(&host.uptime_seconds, |seconds| units::span(Duration::from_secs(*seconds)))),
        ("processors", or_why(&host.cpu, |cpu| units::percent(cpu.used_ratio))),
        ("load", or_why(&host.load, |[one, five, fifteen]| format!("{one:.2} {five:.2} {fifteen:.2}"))),
        (
            "memory",
            or_why(&host.memory, |memory| {
                format!(
                    "{} ({})",
                    units::bytes_of(memory.used_bytes(), memory.total_bytes),
                    units::percent(memory.used_ratio())
                )
            }),
        ),
        ("swap", or_why(&host.swap, |swap| units::bytes_of(swap.used_bytes, swap.total_bytes))),
        (
            "pressure",
            or_why(&host.pressure, |pressure| {
                let [cpu, memory, io] =
                    [pressure.cpu_ratio, pressure.memory_ratio, pressure.io_ratio].map(units::percent_fine);
                format!("processors {cpu}, memory {memory}, disks {io}")
            }),
        ),
    ]
}

fn volume_row(report: &VolumeReport) -> Vec<Cell> {
    let volume = &report.volume;
    let inodes = report.inodes_free_ratio.map(|free| format!(", {} of inodes free", units::percent(free)));
    vec![
        plain(&*volume.mount),
        plain(format!("{} free of {}", units::bytes(volume.free_bytes), units::bytes(volume.size_bytes))),
        plain(units::percent(report.disk_free_ratio)),
        (Tone::Muted, format!("{} on {}{}", volume.filesystem, volume.device, inodes.unwrap_or_default())),
    ]
}

/// The card, and a row for each of its processes.
fn gpu_rows(report: &GpuReport) -> Vec<Vec<Cell>> {
    let gpu = &report.gpu;
    let state = if gpu.lost { "lost".to_owned() } else { or_none(&gpu.compute_ratio, |ratio| units::percent(*ratio)) };
    let mut facts = vec![
        or_none(&gpu.memory, |memory| units::bytes_of(memory.used_bytes, memory.total_bytes)),
        or_none(&gpu.temperature_celsius, |celsius| format!("{celsius} °C")),
        or_none(&gpu.power_watts, |watts| format!("{watts:.0} W")),
    ];
    facts.extend(gpu.throttle.known().into_iter().flatten().map(ToString::to_string));
    let mut rows = vec![vec![plain(format!("{} {}", gpu.index, gpu.name)), plain(state), plain(facts.join(", "))]];
    match &report.processes {
        Reading::Known(processes) => rows.extend(processes.iter().map(process_row)),
        Reading::Unavailable(why) => {
            rows.push(vec![plain("  processes"), plain("-"), (Tone::Muted, because(why))]);
        }
    }
    rows
}

fn process_row(process: &ProcessReport) -> Vec<Cell> {
    let whose =
        [process.container.as_deref(), process.model.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let memory = or_none(&process.memory_used_bytes, |bytes| units::bytes(*bytes));
    vec![
        plain(format!("  {} {}", process.pid, or_none(&process.name, Clone::clone))),
        plain(or_none(&process.sm_ratio, |ratio| units::percent(*ratio))),
        plain(if whose.is_empty() { memory } else { format!("{memory}, {whose}") }),
    ]
}

fn container_row(report: &ContainerReport) -> Vec<Cell> {
    let container = &report.container;
    let mut state = container.state.word().to_owned();
    if let Some(health) = &container.health {
        state.push_str(match health.state {
            HealthState::Starting => ", starting",
            HealthState::Healthy => ", healthy",
            HealthState::Unhealthy => ", unhealthy",
        });
    }
    let usage = report.usage.known();
    let used = usage.map_or_else(
        || "-".to_owned(),
        |usage| {
            let cpu = or_none(&usage.cpu_cores, |cores| units::percent_fine(*cores));
            format!("{cpu} CPU, {}", or_none(&usage.memory_bytes, |bytes| units::bytes(*bytes)))
        },
    );
    let gpu = report.gpu_memory_used_bytes.map(|bytes| format!(", {} VRAM", units::bytes(bytes)));
    vec![
        plain(&*container.name),
        plain(state),
        plain(format!("{} restarts", container.restart_count)),
        plain(used + &gpu.unwrap_or_default()),
        (Tone::Muted, container.image.clone()),
    ]
}

/// What the engine holds, a kind a line.
fn disk(report: &Reading<DiskReport>, look: &Look) -> String {
    let kinds = report.clone().map(|report| {
        let totals = report.totals;
        vec![
            ("images", totals.images),
            ("containers", totals.containers),
            ("volumes", totals.volumes),
            ("build cache", totals.build_cache),
        ]
    });
    part("Disk held by Docker", &kinds, look, |(label, held)| {
        let unmeasured = match held.unmeasured {
            0 => String::new(),
            count => format!("{count} not measured"),
        };
        let reclaimable = or_none(&held.reclaimable_bytes, |bytes| format!("{} reclaimable", units::bytes(*bytes)));
        vec![vec![
            plain(format!("{label} {}", held.count)),
            or_why(&held.size_bytes, |bytes| units::bytes(*bytes)),
            plain(reclaimable),
            (Tone::Muted, unmeasured),
        ]]
    })
}

fn library(report: &Reading<LibraryReport>, look: &Look) -> String {
    part("Models on disk", &report.clone().map(|report| report.models), look, |model| vec![stored_row(model)])
}

fn stored_row(StoredReport { model, update }: &StoredReport) -> Vec<Cell> {
    let newer = matches!(update, Reading::Known(Standing::Newer { .. }));
    let weights = model.weights.known();
    let quantization = weights.and_then(|weights| weights.quantization.clone());
    let bits = weights.and_then(|weights| weights.bits_per_weight.get());
    vec![
        plain(&model.name),
        plain(model.store.title()),
        plain(units::bytes(model.size_bytes)),
        plain(quantization.unwrap_or_else(|| "-".to_owned())),
        plain(bits.map_or_else(String::new, |bits| format!("{bits:.2} bits/weight"))),
        match (&model.damage, &model.alias_of) {
            (Some(damage), _) => (Tone::Warning, damage.clone()),
            (None, Some(other)) => (Tone::Muted, format!("is {other}")),
            (None, None) if newer => (Tone::Plain, "newer out".to_owned()),
            (None, None) => (Tone::Muted, String::new()),
        },
    ]
}

fn engine_row(report: &EngineReport) -> Vec<Cell> {
    vec![
        plain(
            format!("{} {}", report.kind.title(), or_none(&report.version, Clone::clone)).trim_end_matches([' ', '-']),
        ),
        plain(report.endpoint.to_string()),
        plain(report.container.as_deref().unwrap_or("on the host")),
        or_why(&report.models, |models| if models.is_empty() { "no models".to_owned() } else { models.join(", ") }),
    ]
}

fn model_row(report: &ModelReport) -> Vec<Cell> {
    let model = &report.model;
    let facts = [model.parameters.clone(), model.quantization.clone(), model.size_bytes.map(units::bytes)];
    let residency = match model.residency {
        Residency::Unknown => "-",
        Residency::OnDisk => "on disk",
        Residency::Loaded { .. } => "loaded",
    };
    vec![
        plain(&*model.name),
        plain(residency),
        plain(facts.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        (Tone::Muted, report.engine.title().to_owned()),
    ]
}

fn platform_row(report: &PlatformReport) -> Vec<Cell> {
    let work = report.kind.work();
    vec![
        plain(
            format!("{} {}", report.kind.title(), or_none(&report.version, Clone::clone)).trim_end_matches([' ', '-']),
        ),
        plain(&*report.container),
        or_why(&report.health, PlatformHealth::words),
        or_why(&report.requests, |counts| format!("{} of {} {work} failed", counts.failed, counts.total)),
    ]
}
