//! Title line, tab line and footer.

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Hit, Piece, Pieces, piece, width};
use super::super::command::Command;
use super::super::tabs::{TABS, tab};
use super::super::theme::Role;
use crate::domain::{Severity, Verdict, units};
use crate::store::verdict;

/// The role of a severity.
pub fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Critical => Role::Critical,
        Severity::Warning => Role::Warning,
        Severity::Info => Role::Muted,
    }
}

/// The role of a verdict.
pub(super) fn verdict_role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::Well => Role::Ok,
        Verdict::Unknown | Verdict::Warning => Role::Warning,
        Verdict::Critical => Role::Critical,
    }
}

/// Host, verdict in numbers, marks, uptime, clock.
pub(super) fn title(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    canvas.tint(area, Role::Bar);
    let mut left: Pieces<'_> = vec![piece(Role::Accent, "hostler")];
    let host = scene.state.host.get();
    if let Some(host) = host {
        left.push(piece(Role::Strong, format!("  {}", host.facts.name)));
    }
    if scene.ui.setup.demo {
        left.push(piece(Role::Warning, "  DEMO"));
    }
    left.extend(tally(scene));
    if scene.ui.setup.read_only {
        left.push(piece(Role::Muted, "  read-only"));
    }
    if scene.ui.frozen.is_some() {
        left.push(piece(Role::Warning, format!("  FROZEN at {}", scene.clock(scene.now.wall))));
    }
    // Where there is little room the uptime goes first, then the clock: what is wrong is not cut for them.
    let uptime = host.and_then(|host| host.uptime_seconds.get());
    let uptime = uptime.map(|seconds| format!("up {}   ", units::age(std::time::Duration::from_secs(seconds))));
    let clock = scene.ui.setup.zone.to_datetime(scene.now.wall).strftime("%a %-d %b %H:%M ").to_string();
    let both = [piece(Role::Muted, uptime.unwrap_or_default()), piece(Role::Muted, clock)];
    let fits = |right: &&[Piece<'_>]| width(&left) + width(right) + 3 <= area.width;
    let right = [&both[..], &both[1..]].into_iter().find(fits).unwrap_or_default();
    canvas.pieces(area.x + 1, area.y, area.width.saturating_sub(width(right) + 2), &left);
    canvas.pieces_right(area.right(), area.y, width(right), right);
    canvas.tint(area, Role::Bar);
}

/// The verdict as counts: `✖ 1 critical  ▲ 2 warnings`, or the word.
fn tally(scene: &Scene<'_>) -> Pieces<'static> {
    let glyphs = scene.ui.glyphs();
    let findings = scene.state.findings.needing_someone(scene.now);
    let count = |severity| findings.iter().filter(|finding| finding.seen.severity == severity).count();
    let mut pieces = Vec::new();
    for (severity, one, many) in
        [(Severity::Critical, "critical", "critical"), (Severity::Warning, "warning", "warnings")]
    {
        let count = count(severity);
        if count > 0 {
            let word = if count == 1 { one } else { many };
            pieces.push(piece(severity_role(severity), format!("  {} {count} {word}", glyphs.severity(severity))));
        }
    }
    if pieces.is_empty() {
        let verdict = verdict(scene.state, scene.now);
        let waiting = !scene.state.sources.all_tried();
        let (sign, word, role) = match verdict {
            _ if waiting => (glyphs.unknown, "looking", Role::Muted),
            Verdict::Well => (glyphs.pass, "well", Role::Ok),
            _ => (glyphs.unknown, "unknown: something could not be read", Role::Warning),
        };
        pieces.push(piece(role, format!("  {sign} {word}")));
    }
    pieces
}

/// The tab line with a badge of what is wrong in each.
pub(super) fn tabs(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut x = area.x + 1;
    for entry in TABS {
        let active = entry.id() == scene.ui.tab;
        let key = scene.ui.setup.keymap.shown(entry.command());
        let badge = entry.badge(scene);
        let begin = x;
        x = canvas.put(x, area.y, area.right() - x, &format!(" {key} "), if active { Role::Key } else { Role::Muted });
        x = canvas.put(
            x,
            area.y,
            area.right().saturating_sub(x),
            entry.title(),
            if active { Role::Strong } else { Role::Text },
        );
        let mut end = x;
        if !badge.is_empty() {
            end = canvas.pieces(x + 1, area.y, area.right().saturating_sub(x + 1), &badge);
        }
        let spot = Rect { x: begin, y: area.y, width: (end + 1).saturating_sub(begin), height: 1 };
        if active {
            canvas.tint(spot, Role::Selection);
        }
        canvas.hit(spot, Hit::Tab(entry.id()));
        x = end + 2;
        if x >= area.right() {
            break;
        }
    }
}

/// Keys that are valid here; or the filter being typed, or a message.
pub(super) fn footer(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    canvas.tint(area, Role::Bar);
    if let Some(typing) = &scene.ui.typing {
        typed_filter(canvas, area, scene, typing.value());
    } else if let Some((text, _)) = &scene.ui.toast {
        canvas.put(area.x + 1, area.y, area.width - 2, text, Role::Strong);
    } else {
        hints(canvas, area, scene);
    }
    canvas.tint(area, Role::Bar);
}

fn typed_filter(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, typed: &str) {
    let x = canvas.put(area.x + 1, area.y, 8, "filter ", Role::Key);
    let x = canvas.put(x, area.y, area.width / 2, typed, Role::Input);
    canvas.put(x, area.y, 1, "_", Role::Accent);
    let (text, role) = match &scene.ui.typing_error {
        Some(error) => (error.as_str(), Role::Critical),
        None => ("enter keeps   esc clears   !word   re:pattern   field>2g", Role::Muted),
    };
    let room = area.right().saturating_sub(x + 4);
    canvas.pieces_right(area.right() - 1, area.y, room, &[piece(role, text)]);
}

/// What is always offered, at the right edge; the first and the last of it in narrow terminals.
const ALWAYS: &[Command] = &[Command::Help, Command::Palette, Command::Findings, Command::Freeze, Command::Quit];
const ALWAYS_NARROW: &[Command] = &[Command::Help, Command::Quit];
/// From this width on, everything that is always offered is shown.
const WIDE: u16 = 120;

fn hints(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let keymap = &scene.ui.setup.keymap;
    let hint = |command: Command, strong: bool| -> Pieces<'static> {
        let key = if strong && scene.ui.may_act(command) { Role::Key } else { Role::Muted };
        vec![piece(key, keymap.shown(command)), piece(Role::Muted, format!(" {}", command.hint()))]
    };
    let always = if area.width >= WIDE { ALWAYS } else { ALWAYS_NARROW };
    let taken: u16 = always.iter().map(|command| width(&hint(*command, false)) + 3).sum();
    let edge = area.right().saturating_sub(taken.saturating_sub(2));
    let mut x = edge;
    for command in always {
        let pieces = hint(*command, false);
        let end = canvas.pieces(x, area.y, area.right().saturating_sub(x), &pieces);
        canvas.hit(Rect { x, y: area.y, width: end - x, height: 1 }, Hit::Command(*command));
        x = end + 3;
    }
    let mut x = area.x + 1;
    for command in tab(scene.ui.tab).hints_in(scene.ui.pane()) {
        let pieces = hint(*command, true);
        if x + width(&pieces) + 3 > edge {
            break;
        }
        let end = canvas.pieces(x, area.y, edge - x, &pieces);
        canvas.hit(Rect { x, y: area.y, width: end - x, height: 1 }, Hit::Command(*command));
        x = end + 3;
    }
}
