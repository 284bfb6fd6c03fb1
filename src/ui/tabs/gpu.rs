//! GPU tab: cards, the processes on them joined to container, engine and model, the host, graphs.

mod cards;
mod graphs;
mod host;
mod processes;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Piece, Pieces, piece};
use super::super::command::Command;
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::rule::{self, below};
use super::{Tab, TabId};
use crate::domain::{SourceId, SourceStatus, units};

/// The tab.
pub(super) struct Gpu;

/// From this width on, the host stands beside the cards.
const WIDE: u16 = 110;
/// Cells of the host's column.
const SIDE: u16 = 50;

impl Tab for Gpu {
    fn id(&self) -> TabId {
        TabId::Gpu
    }

    fn title(&self) -> &'static str {
        "GPU"
    }

    fn command(&self) -> Command {
        Command::TabGpu
    }

    fn badge(&self, scene: &Scene<'_>) -> Pieces<'static> {
        super::finding_badge(scene, &["gpu.", "disk.", "memory."])
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::GpuProcesses]
    }

    fn hints(&self) -> &'static [Command] {
        &[Command::RangeShorter, Command::RangeLonger, Command::Open, Command::Sort, Command::Filter]
    }

    fn rows(&self, _list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        processes::keys(scene)
    }

    fn columns(&self, _list: ListId) -> Vec<(&'static str, &'static str)> {
        processes::columns()
    }

    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        processes::FIELDS
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        processes::copy(scene, selected)
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        if area.width >= WIDE {
            let side = Rect { x: area.right() - SIDE, width: SIDE, ..area };
            let main = Rect { width: area.width - SIDE - 2, ..area };
            main_column(canvas, main, scene);
            host::column(canvas, side, scene);
        } else {
            narrow(canvas, area, scene);
        }
    }
}

/// Cards, processes, graphs: each takes what it needs, the graphs what is left.
fn main_column(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut rest = area;
    let taken = cards::cards(canvas, rest, scene);
    rest = below(rest, taken + u16::from(taken > 0));
    if rest.height > 4 && has_cards(scene) {
        let wanted = (processes::keys(scene).len() as u16).max(1) + 2;
        let most = (rest.height / 3).max(4);
        let table = Rect { height: wanted.min(most), ..rest };
        processes::table(canvas, table, scene);
        rest = below(rest, table.height + 1);
    }
    graphs::graphs(canvas, rest, scene);
}

/// Everything in one column, the most important first.
fn narrow(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut rest = area;
    let taken = cards::lines(canvas, rest, scene);
    rest = below(rest, taken);
    let processes = processes::keys(scene).len() as u16;
    if has_cards(scene) && processes > 0 && rest.height >= 12 {
        let table = Rect { height: (processes + 2).min(5), ..rest };
        processes::table(canvas, table, scene);
        rest = below(rest, table.height);
    }
    let taken = host::lines(canvas, rest, scene);
    rest = below(rest, taken);
    if rest.height >= 5 {
        graphs::graphs(canvas, rest, scene);
    }
}

fn has_cards(scene: &Scene<'_>) -> bool {
    scene.state.gpus.get().is_some_and(|sample| !sample.gpus.is_empty())
}

/// What stands at the right end of a pane's heading while its source is not fresh: `stale 14 s: no answer`.
fn trouble(scene: &Scene<'_>, source: SourceId) -> Pieces<'static> {
    let Some(record) = scene.state.sources.get(source) else { return Vec::new() };
    let status = record.status(scene.now);
    let Some(why) = record.trouble(scene.now).filter(|_| status != SourceStatus::Waiting) else { return Vec::new() };
    match record.age(scene.now) {
        Some(age) => vec![piece(Role::Warning, format!("stale {}: {why}", units::span(age)))],
        None => vec![piece(Role::Muted, why)],
    }
}

/// A pane heading that tells when its source is not fresh, else `right`.
fn heading(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, title: &str, source: SourceId, right: &[Piece<'_>]) {
    let trouble = trouble(scene, source);
    rule::heading(canvas, area, title, false, if trouble.is_empty() { right } else { &trouble });
}
