//! Menus that are narrowed by typing: the palette, sort, columns, themes, aliases of models, models of servers.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::super::canvas::{Canvas, Hit, piece};
use super::super::command::Command;
use super::super::input::palette_commands;
use super::super::list::{ListId, RowKey};
use super::super::tabs::tab;
use super::super::theme::{BUILTIN, Role, Theme};
use super::super::{Intent, Scene, Ui};
use super::{Form, Popup, frame};
use crate::domain::{ActionSpec, Moment, units};
use crate::store::State;

/// The entry behind all models that are known, for any other one.
const ANOTHER: &str = "another one …";

/// What a menu chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuKind {
    /// A command.
    Palette,
    /// The column to sort by.
    Sort,
    /// The columns to show; it stays open.
    Columns,
    /// The theme.
    Theme,
    /// The alias that this model is promoted to.
    Alias(String),
    /// The model that this server is given.
    Model(String),
}

/// An open menu.
#[derive(Debug, Clone)]
pub struct Menu {
    /// What it chooses.
    pub kind: MenuKind,
    /// The list that it is about.
    pub of: Option<ListId>,
    /// What was typed to narrow it.
    pub typed: Input,
}

/// One line of a menu.
struct Entry {
    /// Its place among all entries of the menu.
    index: usize,
    text: String,
    right: String,
    on: bool,
}

fn entries(scene: &Scene<'_>, menu: &Menu) -> Vec<Entry> {
    let ui = scene.ui;
    let columns = || menu.of.map(|list| (tab(ui.tab).columns(list), ui.list(list)));
    let all: Vec<(String, String, bool)> = match &menu.kind {
        MenuKind::Palette => palette_commands(&ui.setup.keymap)
            .map(|command| {
                let text = match command.context() {
                    super::super::command::Context::Global => command.title().to_owned(),
                    context => format!("{}: {}", context.title(), command.title()),
                };
                (text, ui.setup.keymap.shown(command), false)
            })
            .collect(),
        MenuKind::Sort => columns().map_or_else(Vec::new, |(columns, state)| {
            columns.iter().map(|(id, title)| ((*title).to_owned(), (*id).to_owned(), state.sort == Some(id))).collect()
        }),
        MenuKind::Columns => columns().map_or_else(Vec::new, |(columns, state)| {
            columns
                .iter()
                .map(|(id, title)| ((*title).to_owned(), (*id).to_owned(), !state.hidden.contains(id)))
                .collect()
        }),
        MenuKind::Theme => {
            BUILTIN.iter().map(|(name, _)| ((*name).to_owned(), String::new(), ui.setup.theme.name == *name)).collect()
        }
        MenuKind::Model(server) => {
            let models = Ui::models_for(scene.state, server).into_iter();
            let known = models.map(|(name, bytes)| (name, units::bytes_short(bytes), false));
            known.chain([(ANOTHER.to_owned(), String::new(), false)]).collect()
        }
        MenuKind::Alias(model) => ui.aliases_for(model).map(|alias| (alias.to_owned(), String::new(), false)).collect(),
    };
    let words: Vec<String> = menu.typed.value().to_lowercase().split_whitespace().map(str::to_owned).collect();
    all.into_iter()
        .enumerate()
        .filter(|(_, (text, right, _))| {
            let text = format!("{text} {right}").to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        })
        .map(|(index, (text, right, on))| Entry { index, text, right, on })
        .collect()
}

pub(super) fn rows(scene: &Scene<'_>, menu: &Menu) -> Vec<RowKey> {
    entries(scene, menu).into_iter().map(|entry| RowKey::Entry(entry.index)).collect()
}

pub(super) fn key(ui: &mut Ui, event: KeyEvent, state: &State, now: Moment) -> Vec<Intent> {
    match event.code {
        KeyCode::Esc => ui.popup = None,
        KeyCode::Down | KeyCode::Tab => return ui.command(Command::Down, state, now),
        KeyCode::Up | KeyCode::BackTab => return ui.command(Command::Up, state, now),
        KeyCode::PageDown => return ui.command(Command::PageDown, state, now),
        KeyCode::PageUp => return ui.command(Command::PageUp, state, now),
        KeyCode::Enter => return chosen(ui, state, now),
        KeyCode::Char(' ') if matches!(&ui.popup, Some(Popup::Menu(menu)) if menu.kind == MenuKind::Columns) => {
            return chosen(ui, state, now);
        }
        _ => {
            if let Some(Popup::Menu(menu)) = &mut ui.popup {
                menu.typed.handle_event(&TerminalEvent::Key(event));
                let cursor = ui.list_mut(ListId::Popup);
                cursor.selected = None;
                cursor.index = 0;
            }
        }
    }
    Vec::new()
}

fn chosen(ui: &mut Ui, state: &State, now: Moment) -> Vec<Intent> {
    let Some(RowKey::Entry(index)) = ui.selected(state, now) else { return Vec::new() };
    let Some(Popup::Menu(menu)) = &ui.popup else { return Vec::new() };
    let (kind, of) = (menu.kind.clone(), menu.of);
    let column = of.and_then(|list| tab(ui.tab).columns(list).get(index).map(|(id, _)| (list, *id)));
    match (kind, column) {
        (MenuKind::Palette, _) => {
            ui.popup = None;
            let command = palette_commands(&ui.setup.keymap).nth(index);
            if let Some(command) = command {
                return ui.command(command, state, now);
            }
        }
        (MenuKind::Theme, _) => {
            ui.popup = None;
            if let Some(Ok(theme)) = BUILTIN.get(index).map(|(name, _)| Theme::builtin(name, ui.setup.depth)) {
                ui.say(format!("theme {}; `theme = \"{}\"` in the config keeps it", theme.name, theme.name), now);
                ui.setup.theme = theme;
            }
        }
        (MenuKind::Alias(model), _) => {
            ui.popup = None;
            let alias = ui.aliases_for(&model).nth(index).map(str::to_owned);
            if let Some(spec) = ActionSpec::named("model.promote").filter(|_| alias.is_some()) {
                return ui.plan(spec, vec![model], alias, now);
            }
        }
        (MenuKind::Model(server), _) => {
            ui.popup = None;
            match (Ui::models_for(state, &server).into_iter().nth(index), ActionSpec::named("model.promote")) {
                (Some((model, _)), Some(spec)) => return ui.plan(spec, vec![server], Some(model), now),
                _ => ui.popup = Some(Popup::Form(Form::serve(server))),
            }
        }
        (MenuKind::Sort, Some((list, id))) => {
            ui.popup = None;
            ui.sort_by(list, id);
        }
        (MenuKind::Columns, Some((list, id))) => {
            let hidden = &mut ui.list_mut(list).hidden;
            if !hidden.remove(id) {
                hidden.insert(id);
            }
        }
        _ => ui.popup = None,
    }
    Vec::new()
}

pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, menu: &Menu) {
    let title = match &menu.kind {
        MenuKind::Palette => "Commands",
        MenuKind::Sort => "Sort by",
        MenuKind::Columns => "Columns",
        MenuKind::Theme => "Theme",
        MenuKind::Alias(model) => &format!("Promote {model} to"),
        MenuKind::Model(server) => &format!("Promote at {server}"),
    };
    let entries = entries(scene, menu);
    let height = entries.len().clamp(4, 24) as u16 + 5;
    let inner = frame(canvas, area, title, 60, height);
    let x = canvas.put(inner.x, inner.y, 2, "> ", Role::Key);
    let x = canvas.put(x, inner.y, inner.width.saturating_sub(3), menu.typed.value(), Role::Input);
    canvas.put(x, inner.y, 1, "_", Role::Accent);
    let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(2), ..inner };
    let shown = usize::from(list.height.saturating_sub(1));
    let keys: Vec<RowKey> = entries.iter().map(|entry| RowKey::Entry(entry.index)).collect();
    let cursor = scene.ui.list(ListId::Popup);
    let position = cursor.position(&keys).unwrap_or(0);
    let first = cursor.first_shown(position, entries.len(), shown);
    canvas.hit(list, Hit::List(ListId::Popup));
    for ((line, entry), key) in (1..).zip(entries.iter().skip(first).take(shown)).zip(keys.iter().skip(first)) {
        let row = Rect { y: list.y + line, height: 1, ..list };
        let sign = if entry.on { canvas.glyphs.pass } else { " " };
        canvas.pieces(row.x, row.y, row.width, &[piece(Role::Ok, sign), piece(Role::Text, format!(" {}", entry.text))]);
        canvas.pieces_right(row.right(), row.y, row.width / 3, &[piece(Role::Key, entry.right.as_str())]);
        if first + usize::from(line) - 1 == position {
            canvas.tint(row, Role::Selection);
        }
        canvas.hit(row, Hit::Row(ListId::Popup, key.clone()));
    }
    let hint =
        if menu.kind == MenuKind::Columns { "space shows or hides   esc back" } else { "enter chooses   esc back" };
    canvas.put(inner.x, inner.bottom() - 1, inner.width, hint, Role::Muted);
}
