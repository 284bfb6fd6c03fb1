//! The strip: at most three findings, worst first, each with the keys that help. When nothing is wrong, one line about what
//! changed since the last visit.

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Hit, Pieces, piece, width};
use super::super::command::Command;
use super::super::list::{ListId, RowKey};
use super::super::theme::Role;
use super::chrome::severity_role;
use crate::domain::{ActionSpec, Finding};

/// One line of the strip: the worst finding about a subject, and how many more there are about it.
pub(super) struct Line {
    finding: Finding,
    more: usize,
}

/// What needs somebody, a line a subject, worst first.
pub(super) fn lines(scene: &Scene<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for finding in scene.state.findings.needing_someone(scene.now) {
        match lines.iter_mut().find(|line| line.finding.seen.subject == finding.seen.subject) {
            Some(line) => line.more += 1,
            None => lines.push(Line { finding, more: 0 }),
        }
    }
    lines
}

/// Draws the strip.
pub(super) fn strip(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, findings: &[Line]) {
    if findings.is_empty() {
        nothing_wrong(canvas, area, scene);
        return;
    }
    for (line, Line { finding, more }) in (0..area.height).zip(findings) {
        let row = Rect { y: area.y + line, height: 1, ..area };
        draw(canvas, row, scene, finding, *more);
        canvas.hit(row, Hit::Row(ListId::Findings, RowKey::Finding(finding.seen.id, finding.seen.subject.clone())));
    }
}

fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, finding: &Finding, more: usize) {
    let keys = keys(scene, finding);
    let begin = if area.width >= 100 {
        canvas.pieces_right(area.right() - 1, area.y, area.width / 3, &keys)
    } else {
        area.right()
    };
    let role = severity_role(finding.seen.severity);
    let sign = canvas.glyphs.severity(finding.seen.severity);
    let subject =
        finding.seen.service.as_deref().filter(|_| finding.seen.project.is_some()).unwrap_or(&finding.seen.subject);
    let title = if finding.seen.evidence.is_empty() {
        finding.seen.title.clone()
    } else {
        format!("{}: {}", finding.seen.title, finding.seen.evidence.join(", "))
    };
    let more = if more > 0 { format!("   +{more} more") } else { String::new() };
    let since = vec![piece(Role::Muted, format!("   since {}{more}", scene.when(finding.since)))];
    let left =
        vec![piece(role, sign), piece(Role::Strong, format!(" {subject}")), piece(Role::Text, format!("  {title}"))];
    let room = begin.saturating_sub(area.x + 4);
    // The evidence is cut before the time is.
    let for_text = room.saturating_sub(width(&since));
    let end = canvas.pieces(area.x + 2, area.y, for_text.max(room / 2), &left);
    canvas.pieces(end, area.y, begin.saturating_sub(end + 1), &since);
}

/// The keys that help with a finding.
fn keys(scene: &Scene<'_>, finding: &Finding) -> Pieces<'static> {
    let keymap = &scene.ui.setup.keymap;
    let mut pieces: Pieces<'static> = Vec::new();
    let mut offer = |command: Command, word: &'static str| {
        if !pieces.is_empty() {
            pieces.push(piece(Role::Muted, "   "));
        }
        pieces.push(piece(Role::Key, keymap.shown(command)));
        pieces.push(piece(Role::Muted, format!(" {word}")));
    };
    let mends = finding.seen.fix.iter().filter_map(|id| ActionSpec::named(id));
    if mends.clone().next().is_none() {
        offer(Command::Findings, "details");
    }
    if finding.seen.container.is_some() {
        offer(Command::ContainerLogs, "logs");
    }
    for spec in mends {
        offer(Command::Act(spec.id), spec.title);
    }
    pieces
}

/// What is there and cannot be read, and why: the first of it.
pub(super) fn unread(scene: &Scene<'_>) -> Option<String> {
    let (id, source) = scene.state.sources.iter().find(|(_, source)| source.hides_something(scene.now))?;
    Some(format!("{id}: {}", source.trouble(scene.now)?))
}

/// One line: nothing needs anybody, and what changed since the last visit; or what cannot be read, and why.
fn nothing_wrong(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let mut pieces: Pieces<'_> = Vec::new();
    if let Some(unread) = unread(scene).filter(|_| scene.state.sources.all_tried()) {
        pieces.push(piece(Role::Warning, canvas.glyphs.unknown));
        pieces.push(piece(Role::Text, " nothing needs you as far as can be told"));
        pieces.push(piece(Role::Muted, format!("   {unread}")));
    } else if scene.state.sources.all_tried() {
        pieces.push(piece(Role::Ok, canvas.glyphs.pass));
        pieces.push(piece(Role::Text, " nothing needs you"));
        match scene.state.last_visit {
            None => pieces.push(piece(Role::Muted, "   this is the first visit")),
            Some(visit) => {
                let changes = scene.state.changes(scene.now);
                let when = scene.when(visit);
                let text = match changes.last() {
                    None => format!("   nothing changed since your last visit ({when})"),
                    Some(last) => {
                        format!("   since your last visit ({when}): {} changes, last: {}", changes.len(), last.text)
                    }
                };
                pieces.push(piece(Role::Muted, text));
            }
        }
    } else {
        pieces.push(piece(Role::Muted, "looking at the box …"));
    }
    canvas.pieces(area.x + 2, area.y, area.width.saturating_sub(3), &pieces);
}
