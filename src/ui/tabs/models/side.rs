//! What is said of the selected server: what holds it back and what to change, its times, how it was started; and what is
//! new of the models that are watched.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Piece, Pieces, piece, wrap};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use super::engines::{Row, hold_role};
use crate::domain::{Counter, Engine, EngineOption, Reading, Spread, WatchedFamily, WatchedRelease, units};
use crate::store::{Bottleneck, Window};

/// Draws the column.
pub(super) fn column(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, row: &Row) {
    let engine = row.engine();
    let title = format!("{} :{}", engine.kind.title(), engine.port);
    let container = scene.state.container_of(engine).and_then(|id| scene.container_name(id));
    let place = container.map_or_else(|| "on the host".to_owned(), |name| format!("in {name}"));
    let verdict = verdict(scene, &row.bottleneck, area.width - 4);
    let mut rest = block(canvas, area, &title, &[piece(Role::Muted, place)], &verdict);
    rest = memory_block(canvas, rest, scene, engine);
    rest = block(canvas, rest, "Advice", &[], &advice(scene, engine, area.width - 4));
    rest = block(canvas, rest, "Last 5 minutes", &[], &times(scene, engine));
    let (right, watched) = watched(scene, area.width - 4);
    rest = block(canvas, rest, "Watched", &right, &watched);
    block(canvas, rest, "Started with", &[], &options(engine, area.width - 4));
}

/// All of it as lines, for a popup.
pub(super) fn lines(scene: &Scene<'_>, engine: &Engine, width: u16) -> Vec<Pieces<'static>> {
    let mut lines = verdict(scene, &scene.state.bottleneck(engine), width);
    for more in [advice(scene, engine, width), times(scene, engine), options(engine, width)] {
        if !more.is_empty() {
            lines.push(Vec::new());
            lines.extend(more);
        }
    }
    lines
}

/// The verdict in one line, for where there is no column.
pub(super) fn line(row: &Row) -> Pieces<'_> {
    let hold = row.bottleneck.hold;
    let mut pieces = vec![piece(hold_role(hold), hold.word())];
    let evidence = row.bottleneck.evidence.join(" · ");
    if !evidence.is_empty() {
        pieces.push(piece(Role::Muted, format!(": {evidence}")));
    }
    pieces
}

/// A heading, lines, and an empty one; gives what is left of the area.
fn block(canvas: &mut Canvas<'_>, area: Rect, title: &str, right: &[Piece<'_>], lines: &[Pieces<'_>]) -> Rect {
    if area.height < 3 || lines.is_empty() {
        return area;
    }
    rule::heading(canvas, area, title, false, right);
    let body = rule::body(area);
    for (y, line) in (body.y..body.bottom()).zip(lines) {
        canvas.pieces(body.x + 2, y, body.width - 2, line);
    }
    let taken = (lines.len() as u16 + 2).min(area.height);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

fn verdict(scene: &Scene<'_>, found: &Bottleneck, width: u16) -> Vec<Pieces<'static>> {
    let mut lines: Vec<Pieces<'static>> = vec![vec![piece(hold_role(found.hold), found.hold.word())]];
    let clauses = found.evidence.iter().flat_map(|clause| wrap(clause, width.into()));
    lines.extend(clauses.map(|text| vec![piece(Role::Muted, text)]));
    if let Some(change) = &found.change {
        let arrow = scene.ui.glyphs().then;
        let mut first = true;
        for text in wrap(change, width.saturating_sub(2).into()) {
            let lead = if std::mem::take(&mut first) { format!("{arrow} ") } else { "  ".to_owned() };
            lines.push(vec![piece(Role::Accent, lead), piece(Role::Text, text)]);
        }
    }
    lines
}

/// Where the memory of its processes goes: weights, cache, the rest, as a bar.
fn memory_block(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, engine: &Engine) -> Rect {
    let Some(split) = scene.state.memory_split(engine) else { return area };
    if area.height < 6 {
        return area;
    }
    let parts = [
        ("weights", Some(split.weights_bytes), Role::Memory),
        ("kv cache", split.kv_bytes, Role::Bandwidth),
        ("other", Some(split.other_bytes), Role::Power),
    ];
    let parts = parts.into_iter().filter_map(|(label, bytes, role)| Some((label, bytes?, role)));
    let mut line: Pieces<'_> = Vec::new();
    for (label, bytes, _) in parts.clone() {
        let gap = if line.is_empty() { "" } else { "   " };
        line.push(piece(Role::Muted, format!("{gap}{label} ")));
        line.push(piece(Role::Text, units::bytes_short(bytes)));
    }
    let room = split
        .conversations
        .map(|(count, tokens)| vec![piece(Role::Text, format!("room for {count} conversations of {tokens} tokens"))]);
    let lines: Vec<Pieces<'_>> = [Some(line), Some(Vec::new()), room].into_iter().flatten().collect();
    let rest = block(canvas, area, "Where the memory goes", &[], &lines);
    let (all, width) = (split.total_bytes().max(1), area.width - 4);
    let mut x = area.x + 2;
    for (_, bytes, role) in parts {
        let cells = ((bytes as f64 / all as f64) * f64::from(width)).round() as u16;
        let cells = cells.min(area.x + 2 + width - x);
        canvas.repeat(x, area.y + 2, cells, canvas.glyphs.meter, role);
        x += cells;
    }
    rest
}

fn advice(scene: &Scene<'_>, engine: &Engine, width: u16) -> Vec<Pieces<'static>> {
    let dot = scene.ui.glyphs().dot;
    let mut lines: Vec<Pieces<'static>> = Vec::new();
    for advice in scene.state.tuning(engine) {
        let texts = [(advice.what, Role::Text), (advice.change, Role::Muted)];
        for (text, role) in texts {
            for (index, words) in wrap(&text, width.saturating_sub(2).into()).into_iter().enumerate() {
                let lead = if index == 0 && role == Role::Text { format!("{dot} ") } else { "  ".to_owned() };
                lines.push(vec![piece(Role::Accent, lead), piece(role, words)]);
            }
        }
    }
    lines
}

/// Releases of one family that are named; of more it is said how many.
const NEW_SHOWN: usize = 2;

/// When the watch list was last signed, and what appeared since.
fn watched(scene: &Scene<'_>, width: u16) -> (Pieces<'static>, Vec<Pieces<'static>>) {
    let reviewed = scene.state.models_reviewed.as_ref().map_or_else(
        || "never reviewed".to_owned(),
        |review| format!("reviewed {} ago by {}", units::age(scene.now.since_wall(review.at)), review.by),
    );
    let lines = scene.state.watched_families().iter().flat_map(|family| of_family(scene, family, width)).collect();
    (vec![piece(Role::Muted, reviewed)], lines)
}

fn of_family(scene: &Scene<'_>, family: &WatchedFamily, width: u16) -> Vec<Pieces<'static>> {
    let releases = match &family.releases {
        Reading::Known(releases) => releases,
        Reading::Unavailable(why) => {
            let text = format!("{} unavailable, because {why}", family.family);
            return wrap(&text, width.into()).into_iter().map(|text| vec![piece(Role::Faint, text)]).collect();
        }
    };
    let new: Vec<&WatchedRelease> = releases.iter().filter(|release| release.new).collect();
    if new.is_empty() {
        return vec![vec![piece(Role::Muted, format!("{}: nothing new", family.family))]];
    }
    let mut lines = vec![vec![piece(Role::Muted, format!("{}: {} new", family.family, new.len()))]];
    let name = |release: &WatchedRelease| release.release.name.rsplit('/').next().unwrap_or_default().to_owned();
    let dot = scene.ui.glyphs().dot;
    for release in new.iter().take(NEW_SHOWN) {
        let bytes = release.needs_bytes.get().map(|bytes| format!("  {}", units::bytes_short(bytes)));
        let (role, fits) = match release.fits.get() {
            Some(true) => (Role::Ok, "  fits"),
            Some(false) => (Role::Warning, "  too large"),
            None => (Role::Faint, ""),
        };
        lines.push(vec![piece(Role::Accent, format!("{dot} ")), piece(Role::Text, name(release))]);
        lines.push(vec![piece(Role::Muted, bytes.unwrap_or_default()), piece(role, fits)]);
    }
    if new.len() > NEW_SHOWN {
        lines.push(vec![piece(Role::Muted, format!("  and {} more", new.len() - NEW_SHOWN))]);
    }
    lines
}

fn times(scene: &Scene<'_>, engine: &Engine) -> Vec<Pieces<'static>> {
    let Some(seen) = scene.state.measures.of(&engine.endpoint, Window::Recent) else { return Vec::new() };
    let mut lines = Vec::new();
    let spreads = [
        (Spread::FirstToken, "first token"),
        (Spread::InterToken, "per token"),
        (Spread::EndToEnd, "whole answer"),
        (Spread::Queue, "waiting"),
    ];
    for (spread, label) in spreads {
        let of = |share| seen.quantile(spread, share).map(units::seconds);
        if let (Some(p50), Some(p95), Some(p99)) = (of(0.5), of(0.95), of(0.99)) {
            if lines.is_empty() {
                lines.push(vec![piece(Role::Muted, format!("{:<13}{:>9}{:>9}{:>9}", "", "p50", "p95", "p99"))]);
            }
            lines.push(vec![
                piece(Role::Muted, format!("{label:<13}")),
                piece(Role::Text, format!("{p50:>9}{p95:>9}{p99:>9}")),
            ]);
        }
    }
    let rate = |counter| seen.rate(counter).map(|rate| format!("{rate:.0} tokens/s"));
    let facts = [
        ("prompts", rate(Counter::PromptTokens)),
        (
            "prefix cache",
            seen.prefix_hit_ratio().map(|ratio| format!("{} of prompt tokens found", units::percent(ratio))),
        ),
        ("prompt length", length(seen.quantile(Spread::PromptLength, 0.95))),
        (
            "requests",
            seen.requests().map(|count| counted(count, seen.count(Counter::Faults), seen.count(Counter::Overloads))),
        ),
    ];
    for (label, fact) in facts {
        let fact = fact.map(|text| vec![piece(Role::Muted, format!("{label:<15}")), piece(Role::Text, text)]);
        lines.extend(fact);
    }
    lines
}

fn length(tokens: Option<f64>) -> Option<String> {
    Some(format!("{:.0} tokens (p95)", tokens?))
}

fn counted(requests: f64, faults: Option<f64>, overloads: Option<f64>) -> String {
    let more = [(faults, "failed"), (overloads, "turned away")].into_iter().filter_map(|(count, word)| {
        let count = count.filter(|count| *count > 0.0)?;
        Some(format!("{count:.0} {word}"))
    });
    [format!("{requests:.0}")].into_iter().chain(more).collect::<Vec<_>>().join(", ")
}

fn options(engine: &Engine, width: u16) -> Vec<Pieces<'static>> {
    let options = match &engine.options {
        Reading::Known(options) => options,
        Reading::Unavailable(why) => {
            let text = format!("unavailable, because {why}");
            return wrap(&text, width.into()).into_iter().map(|text| vec![piece(Role::Faint, text)]).collect();
        }
    };
    let one = |option: &EngineOption| {
        let name = piece(Role::Muted, option.name.to_string());
        match &option.value {
            Some(value) => vec![name, piece(Role::Text, format!(" {value}"))],
            None => vec![name],
        }
    };
    options.iter().map(one).collect()
}
