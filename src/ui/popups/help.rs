//! Keys valid here, drawn from the keymap.

use strum::IntoEnumIterator;

use super::super::Scene;
use super::super::canvas::{Pieces, piece};
use super::super::command::Context;
use super::super::theme::Role;

/// The lines of help: the contexts of the present tab first.
pub(super) fn lines(scene: &Scene<'_>) -> Vec<Pieces<'static>> {
    let keymap = &scene.ui.setup.keymap;
    let mut contexts = scene.ui.contexts();
    contexts.extend(Context::iter().filter(|context| !scene.ui.contexts().contains(context)));
    let mut lines: Vec<Pieces<'static>> = Vec::new();
    for context in contexts {
        let here = scene.ui.contexts().contains(&context);
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![
            piece(Role::Accent, context.title()),
            piece(Role::Muted, if here { "" } else { "  (not here)" }),
        ]);
        for (command, keys) in keymap.iter().filter(|(command, _)| command.context() == context) {
            let keys = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            lines.push(vec![
                piece(Role::Key, format!("  {keys:<14}")),
                piece(Role::Text, format!("{:<26}", command.title())),
                piece(Role::Faint, command.name()),
            ]);
        }
    }
    lines.push(Vec::new());
    lines.push(vec![piece(
        Role::Muted,
        "The last column is the name for [keys] in the config. esc and ctrl-c always lead out.",
    )]);
    lines.push(vec![piece(Role::Muted, "A filter takes words, !word, re:pattern and fields: mem>2g, state!=running.")]);
    lines.push(vec![piece(Role::Muted, "With the mouse on, hold Shift to select text with the terminal's own mouse.")]);
    lines
}
