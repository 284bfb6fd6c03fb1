//! What was accepted, snoozed and noted, newest first.

use super::super::Scene;
use super::super::canvas::{Pieces, piece};
use super::super::theme::Role;
use crate::domain::JournalEntry;

/// The lines of the journal.
pub(super) fn lines(scene: &Scene<'_>) -> Vec<Pieces<'static>> {
    let mut lines: Vec<Pieces<'static>> = scene
        .state
        .journal
        .iter()
        .rev()
        .filter_map(|record| {
            let (word, text) = match &record.entry {
                JournalEntry::Accept { finding, subject, until, why } => {
                    ("accepted", format!("{finding} {subject} until {}: {why}", scene.when(*until)))
                }
                JournalEntry::Snooze { finding, subject, until, why } => (
                    "snoozed",
                    format!(
                        "{finding} {subject} until {}{}{why}",
                        scene.when(*until),
                        if why.is_empty() { "" } else { ": " }
                    ),
                ),
                JournalEntry::Note { text } => ("note", text.clone()),
                JournalEntry::Visit => return None,
            };
            Some(vec![
                piece(Role::Muted, format!("{:<10} ", scene.when(record.at))),
                piece(Role::Accent, format!("{word:<9} ")),
                piece(Role::Text, text),
                piece(Role::Faint, format!("  {}", record.by)),
            ])
        })
        .collect();
    if lines.is_empty() {
        lines.push(vec![piece(Role::Muted, "Nothing was accepted, snoozed or noted yet.")]);
    }
    lines
}
