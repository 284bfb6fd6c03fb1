//! All findings: the silenced ones too, each with its evidence.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::super::canvas::{Canvas, Hit, piece};
use super::super::command::Command;
use super::super::keymap::Key;
use super::super::list::{ListId, RowKey};
use super::super::screen::severity_role;
use super::super::theme::Role;
use super::super::{Intent, Scene, Ui};
use super::{Detail, Popup, RunView, frame};
use crate::domain::{Finding, Moment};
use crate::store::State;

pub(super) fn rows(scene: &Scene<'_>) -> Vec<RowKey> {
    scene
        .state
        .findings
        .all(scene.now)
        .into_iter()
        .map(|finding| RowKey::Finding(finding.seen.id, finding.seen.subject))
        .collect()
}

pub(super) fn key(ui: &mut Ui, event: KeyEvent, state: &State, now: Moment) -> Option<Vec<Intent>> {
    let command = ui.setup.keymap.command(Key::from(event), &ui.contexts())?;
    match command {
        Command::Findings | Command::Quit => ui.popup = None,
        Command::Open => {
            let selected = ui.selected(state, now)?;
            ui.popup = Some(match selected {
                // What can be done about a run stands in its view.
                RowKey::Finding("run.interrupted", run) => Popup::Run(RunView { run: run.to_string(), top: 0 }),
                of => Popup::Detail(Detail { of, top: 0 }),
            });
        }
        Command::ContainerLogs => return Some(ui.command(command, state, now)),
        _ => return None,
    }
    Some(Vec::new())
}

pub(super) fn copy(scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
    let finding = scene.state.findings.all(scene.now).into_iter().find(|finding| key_of(finding) == *selected)?;
    Some(format!(
        "{} {} {}: {}",
        finding.seen.id,
        finding.seen.subject,
        finding.seen.title,
        finding.seen.evidence.join(", ")
    ))
}

fn key_of(finding: &Finding) -> RowKey {
    RowKey::Finding(finding.seen.id, finding.seen.subject.clone())
}

pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let findings = scene.state.findings.all(scene.now);
    let unassessed = scene.state.findings.unassessed();
    let height = findings.len().max(1) * 2 + unassessed.len() + 6;
    let inner = frame(canvas, area, "Findings", 116, height as u16);
    if findings.is_empty() {
        canvas.put(inner.x, inner.y + 1, inner.width, "Nothing needs anybody.", Role::Text);
    }
    let keys: Vec<RowKey> = findings.iter().map(key_of).collect();
    let cursor = scene.ui.list(ListId::Findings);
    let position = cursor.position(&keys).unwrap_or(0);
    let fit = usize::from(inner.height.saturating_sub(3) / 2).max(1);
    let first = cursor.first_shown(position, findings.len(), fit);
    canvas.hit(Rect { height: fit as u16 + 1, ..inner }, Hit::List(ListId::Findings));
    let mut y = inner.y + 1;
    for (index, finding) in findings.iter().enumerate().skip(first).take(fit) {
        draw(canvas, Rect { y, height: 2, ..inner }, scene, finding);
        let row = Rect { y, height: 2, ..inner };
        if index == position {
            canvas.tint(row, Role::Selection);
        }
        canvas.hit(row, Hit::Row(ListId::Findings, keys[index].clone()));
        y += 2;
    }
    y += 1;
    for entry in unassessed {
        if y >= inner.bottom() - 1 {
            break;
        }
        let text = format!("{} {}: cannot be told yet, {}", entry.id, entry.subject, entry.why);
        canvas.pieces(
            inner.x,
            y,
            inner.width,
            &[piece(Role::Faint, canvas.glyphs.unknown), piece(Role::Faint, format!(" {text}"))],
        );
        y += 1;
    }
    footer(canvas, inner, scene);
}

fn draw(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, finding: &Finding) {
    let seen = &finding.seen;
    let role = if finding.silence.is_some() { Role::Muted } else { severity_role(seen.severity) };
    let project = seen.project.as_ref().map(|project| format!("  {project}")).unwrap_or_default();
    let left = [
        piece(role, canvas.glyphs.severity(seen.severity)),
        piece(Role::Strong, format!(" {}", seen.subject)),
        piece(Role::Text, format!("  {}", seen.title)),
        piece(Role::Faint, project),
    ];
    let right = [piece(Role::Muted, format!("{}   since {}", seen.id, scene.when(finding.since)))];
    let begin = canvas.pieces_right(area.right(), area.y, area.width / 2, &right);
    canvas.pieces(area.x, area.y, begin.saturating_sub(area.x + 1), &left);
    let second = match &finding.silence {
        Some(silence) => silence.words(|until| scene.when(until)),
        None => seen.evidence.join(", "),
    };
    canvas.put(area.x + 2, area.y + 1, area.width.saturating_sub(2), &second, Role::Muted);
}

fn footer(canvas: &mut Canvas<'_>, inner: Rect, scene: &Scene<'_>) {
    let keymap = &scene.ui.setup.keymap;
    let mut pieces = Vec::new();
    for (command, word) in [
        (Command::Open, "details"),
        (Command::ContainerLogs, "logs"),
        (Command::Snooze, "snooze"),
        (Command::Accept, "accept"),
        (Command::Acknowledge, "acknowledge"),
        (Command::Copy, "copy"),
        (Command::Back, "back"),
    ] {
        pieces.push(piece(Role::Key, keymap.shown(command)));
        pieces.push(piece(Role::Muted, format!(" {word}   ")));
    }
    canvas.pieces(inner.x, inner.bottom() - 1, inner.width, &pieces);
}
