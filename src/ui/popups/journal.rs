//! What was done and said: runs of actions, what was accepted, snoozed, acknowledged and noted, and what was served when; newest first.

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

use super::super::canvas::{Canvas, Hit, Pieces, piece};
use super::super::command::Command;
use super::super::keymap::Key;
use super::super::list::{ListId, RowKey};
use super::super::theme::Role;
use super::super::{Intent, Scene, Ui};
use super::{Popup, RunView, frame};
use crate::domain::{JournalEntry, JournalRecord, Moment, Outcome, Run, units};
use crate::store::State;

/// What one line is about.
enum Entry<'a> {
    Run(&'a Run),
    Said(usize, &'a JournalRecord),
}

/// The entries, newest first.
fn entries<'a>(scene: &Scene<'a>) -> Vec<Entry<'a>> {
    let said = scene.state.journal.iter().enumerate().filter(|(_, record)| record.entry != JournalEntry::Visit);
    let mut entries: Vec<(jiff::Timestamp, Entry<'a>)> =
        said.map(|(index, record)| (record.at, Entry::Said(index, record))).collect();
    entries.extend(scene.state.runs.iter().map(|run| (run.began, Entry::Run(run))));
    entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn key_of(entry: &Entry<'_>) -> RowKey {
    match entry {
        Entry::Run(run) => RowKey::Run(run.id.clone()),
        Entry::Said(index, _) => RowKey::Entry(*index),
    }
}

pub(super) fn rows(scene: &Scene<'_>) -> Vec<RowKey> {
    entries(scene).iter().map(key_of).collect()
}

pub(super) fn key(ui: &mut Ui, event: KeyEvent, state: &State, now: Moment) -> Option<Vec<Intent>> {
    let command = ui.setup.keymap.command(Key::from(event), &ui.contexts())?;
    match command {
        Command::Journal | Command::Quit => ui.popup = None,
        Command::Open => {
            if let Some(RowKey::Run(run)) = ui.selected(state, now) {
                ui.popup = Some(Popup::Run(RunView { run, top: 0 }));
            }
        }
        _ => return None,
    }
    Some(Vec::new())
}

pub(super) fn copy(scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
    let entry = entries(scene).into_iter().find(|entry| key_of(entry) == *selected)?;
    Some(line(scene, &entry).iter().map(|piece| piece.text.as_ref()).collect())
}

fn line(scene: &Scene<'_>, entry: &Entry<'_>) -> Pieces<'static> {
    match entry {
        Entry::Run(run) => of_run(scene, run),
        Entry::Said(_, record) => of_record(scene, record),
    }
}

fn of_run(scene: &Scene<'_>, run: &Run) -> Pieces<'static> {
    let (role, word) = match &run.ended {
        Some((outcome, ..)) if outcome.is_good() => (Role::Ok, outcome.word()),
        Some((outcome @ (Outcome::RolledBack | Outcome::Cancelled), ..)) => (Role::Warning, outcome.word()),
        Some((outcome, ..)) => (Role::Critical, outcome.word()),
        None if run.alive => (Role::Accent, "running"),
        None => (Role::Critical, "died"),
    };
    let freed = run.freed.map_or_else(String::new, |freed| format!(", freed {}", units::bytes(freed)));
    vec![
        piece(Role::Muted, format!("{:<10} ", scene.when(run.began))),
        piece(role, format!("{word:<14} ")),
        piece(Role::Text, format!("{}{freed}", run.plan.title)),
        piece(Role::Faint, format!("  {}", run.by)),
    ]
}

fn of_record(scene: &Scene<'_>, record: &JournalRecord) -> Pieces<'static> {
    let (word, text) = match &record.entry {
        JournalEntry::Accept { finding, subject, until, why } => {
            ("accepted", format!("{finding} {subject} until {}: {why}", scene.when(*until)))
        }
        JournalEntry::Snooze { finding, subject, until, why } => {
            let gap = if why.is_empty() { "" } else { ": " };
            ("snoozed", format!("{finding} {subject} until {}{gap}{why}", scene.when(*until)))
        }
        JournalEntry::Acknowledge { finding, subject, why } => {
            let gap = if why.is_empty() { "" } else { ": " };
            ("acknowledged", format!("{finding} {subject}{gap}{why}"))
        }
        JournalEntry::Cleared { finding, subject } => ("cleared", format!("{finding} {subject}")),
        JournalEntry::Note { text } => ("note", text.clone()),
        JournalEntry::ScheduleSigned { name, .. } => ("signed", format!("what is scheduled as {name}")),
        JournalEntry::ModelsReviewed => ("reviewed", "the models that are watched".to_owned()),
        JournalEntry::Served(served) => ("serves", served.to_string()),
        JournalEntry::Visit => ("visit", String::new()),
    };
    vec![
        piece(Role::Muted, format!("{:<10} ", scene.when(record.at))),
        piece(Role::Accent, format!("{word:<14} ")),
        piece(Role::Text, text),
        piece(Role::Faint, format!("  {}", record.by)),
    ]
}

pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let entries = entries(scene);
    let inner = frame(canvas, area, "Journal", 116, entries.len().max(3) as u16 + 4);
    if entries.is_empty() {
        canvas.put(inner.x, inner.y + 1, inner.width, "Nothing was done, accepted, snoozed or noted yet.", Role::Muted);
    }
    let keys: Vec<RowKey> = entries.iter().map(key_of).collect();
    let cursor = scene.ui.list(ListId::Journal);
    let position = cursor.position(&keys).unwrap_or(0);
    let list = Rect { height: inner.height.saturating_sub(2), ..inner };
    let first = cursor.first_shown(position, entries.len(), usize::from(list.height));
    canvas.hit(list, Hit::List(ListId::Journal));
    let shown = entries.iter().zip(&keys).enumerate().skip(first);
    for (y, (index, (entry, key))) in (list.y..list.bottom()).zip(shown) {
        canvas.pieces(list.x, y, list.width, &line(scene, entry));
        let row = Rect { y, height: 1, ..list };
        if index == position {
            canvas.tint(row, Role::Selection);
        }
        canvas.hit(row, Hit::Row(ListId::Journal, key.clone()));
    }
    let keymap = &scene.ui.setup.keymap;
    let hint = [
        piece(Role::Key, keymap.shown(Command::Open)),
        piece(Role::Muted, " the run   "),
        piece(Role::Key, keymap.shown(Command::Copy)),
        piece(Role::Muted, " copy   "),
        piece(Role::Key, "esc"),
        piece(Role::Muted, " back"),
    ];
    canvas.pieces(inner.x, inner.bottom() - 1, inner.width, &hint);
}
