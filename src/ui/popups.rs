//! What opens above a tab: help, menus, all findings, details, forms. Keys typed ahead never reach a popup's confirmation,
//! because opening one is itself a key press that is handled alone.

mod confirm;
mod detail;
mod findings;
mod form;
mod help;
mod inspect;
mod journal;
mod menu;
mod run;

use crossterm::event::KeyEvent;
use ratatui::layout::Rect;

pub use confirm::Confirm;
pub use detail::Detail;
pub(super) use detail::{of_duty, wrapped};
pub use form::{Form, FormKind};
pub use inspect::{Asked, Inspect};
pub use menu::{Menu, MenuKind};
pub use run::RunView;

use super::canvas::{Canvas, Piece};
use super::command::Command;
use super::keymap::Key;
use super::list::{ListId, RowKey};
use super::theme::Role;
use super::{Intent, Scene, Ui};
use crate::domain::{Moment, Plan};
use crate::store::State;

/// What is open above the tab.
#[derive(Debug, Clone)]
pub enum Popup {
    /// Keys valid here.
    Help {
        /// The first line shown.
        top: usize,
    },
    /// A menu that is narrowed by typing.
    Menu(Menu),
    /// All findings.
    Findings,
    /// All that is known of one thing.
    Detail(Detail),
    /// All that the engine says of a container.
    Inspect(Inspect),
    /// Something to fill in.
    Form(Form),
    /// What was done, accepted, snoozed, acknowledged and noted.
    Journal,
    /// What an action would do.
    Confirm(Box<Confirm>),
    /// A run of an action.
    Run(RunView),
}

impl Popup {
    /// The popup of a plan.
    pub(super) fn confirm(plan: Plan) -> Self {
        Self::Confirm(Box::new(Confirm::new(plan)))
    }

    /// Whether nothing but it is to be looked at: what lies behind is dimmed.
    pub(super) fn covers(&self) -> bool {
        matches!(self, Self::Confirm(_) | Self::Run(_))
    }

    /// The list that its cursor moves in.
    pub fn list(&self) -> Option<ListId> {
        match self {
            Self::Menu(_) => Some(ListId::Popup),
            Self::Findings => Some(ListId::Findings),
            Self::Journal => Some(ListId::Journal),
            Self::Help { .. }
            | Self::Detail(_)
            | Self::Inspect(_)
            | Self::Form(_)
            | Self::Confirm(_)
            | Self::Run(_) => None,
        }
    }

    /// Scrolls its text, whose last window begins with line `last`.
    pub(super) fn scroll(&mut self, command: Command, last: usize) {
        let (Self::Help { top }
        | Self::Detail(Detail { top, .. })
        | Self::Inspect(Inspect { top, .. })
        | Self::Run(RunView { top, .. })) = self
        else {
            return;
        };
        let here = (*top).min(last);
        let target = match command {
            Command::Down => here + 1,
            Command::Up => here.saturating_sub(1),
            Command::PageDown => here + 10,
            Command::PageUp => here.saturating_sub(10),
            Command::Top => 0,
            _ => last,
        };
        *top = target.min(last);
    }
}

/// Takes a key while a popup is open; `None` if there is none or the key means the same as elsewhere.
pub(super) fn key(ui: &mut Ui, event: KeyEvent, state: &State, now: Moment) -> Option<Vec<Intent>> {
    match ui.popup.as_ref()? {
        Popup::Menu(_) => Some(menu::key(ui, event, state, now)),
        Popup::Form(_) => Some(form::key(ui, event, now)),
        Popup::Findings => findings::key(ui, event, state, now),
        Popup::Journal => journal::key(ui, event, state, now),
        Popup::Confirm(_) => Some(confirm::key(ui, event, now)),
        Popup::Run(_) => run::key(ui, event, state).or_else(|| reading(ui, event, state, now)),
        Popup::Inspect(_) => inspect::key(ui, event).or_else(|| reading(ui, event, state, now)),
        Popup::Help { .. } | Popup::Detail(_) => reading(ui, event, state, now),
    }
}

/// Keys in a popup that is only read: it copies and closes; everything else means what it means elsewhere.
fn reading(ui: &mut Ui, event: KeyEvent, state: &State, now: Moment) -> Option<Vec<Intent>> {
    let command = ui.setup.keymap.command(Key::from(event), &ui.contexts())?;
    if let Some(Popup::Inspect(inspect)) = &mut ui.popup {
        match command {
            Command::Filter => inspect.search(),
            // First the search goes, then the popup.
            Command::Back if inspect.forget() => {}
            _ => return read(ui, command, state, now),
        }
        return Some(Vec::new());
    }
    read(ui, command, state, now)
}

fn read(ui: &mut Ui, command: Command, state: &State, now: Moment) -> Option<Vec<Intent>> {
    match command {
        Command::Quit | Command::Open => {
            ui.popup = None;
            Some(Vec::new())
        }
        Command::Copy => {
            let popup = ui.popup.as_ref()?;
            let text = text(&ui.scene(state, now), popup);
            Some(text.map_or_else(Vec::new, |text| vec![Intent::Copy(text)]))
        }
        _ => None,
    }
}

/// The rows of the popup's list.
pub(super) fn rows(scene: &Scene<'_>, popup: &Popup) -> Vec<RowKey> {
    match popup {
        Popup::Menu(menu) => menu::rows(scene, menu),
        Popup::Findings => findings::rows(scene),
        Popup::Journal => journal::rows(scene),
        _ => Vec::new(),
    }
}

/// What `y` copies in the popup's list.
pub(super) fn copy(scene: &Scene<'_>, popup: &Popup, selected: &RowKey) -> Option<String> {
    match popup {
        Popup::Findings => findings::copy(scene, selected),
        Popup::Journal => journal::copy(scene, selected),
        _ => None,
    }
}

/// The text of a popup that is only read.
fn text(scene: &Scene<'_>, popup: &Popup) -> Option<String> {
    let plain = |line: &Vec<Piece<'_>>| line.iter().map(|piece| piece.text.as_ref()).collect::<String>();
    Some(lines(scene, popup)?.iter().map(plain).collect::<Vec<_>>().join("\n"))
}

/// The lines of a popup that is only read.
fn lines(scene: &Scene<'_>, popup: &Popup) -> Option<Vec<Vec<Piece<'static>>>> {
    match popup {
        Popup::Detail(detail) => Some(detail::lines(scene, detail).1),
        Popup::Inspect(inspect) => Some(inspect::lines(scene, inspect)),
        Popup::Help { .. } => Some(help::lines(scene)),
        Popup::Run(view) => Some(run::lines(scene, view).1),
        _ => None,
    }
}

/// Title and lines of what is known of one thing, its sentences in at most `columns` characters.
pub(super) fn detail_of(scene: &Scene<'_>, of: &RowKey, columns: usize) -> (String, Vec<Vec<Piece<'static>>>) {
    detail::lines_in(scene, of, columns)
}

/// The first line of the last window of a popup that is only read; `None` where there is a cursor instead.
pub(super) fn last_top(scene: &Scene<'_>, popup: &Popup) -> Option<usize> {
    let count = lines(scene, popup)?.len();
    let shown = outer_height(scene.ui.size.height, count as u16 + 2).saturating_sub(2);
    Some(count.saturating_sub(shown.into()))
}

/// The height of a frame that would be `wanted` high, on a screen of this height.
fn outer_height(screen: u16, wanted: u16) -> u16 {
    wanted.min(screen.saturating_sub(2).max(3))
}

/// Draws the open popup over everything.
pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, popup: &Popup) {
    match popup {
        Popup::Help { top } => read_only(canvas, area, "Keys", &help::lines(scene), *top),
        Popup::Journal => journal::view(canvas, area, scene),
        Popup::Confirm(confirm) => confirm::view(canvas, area, confirm),
        Popup::Run(view) => {
            let (title, lines) = run::lines(scene, view);
            read_only(canvas, area, &title, &lines, view.top);
        }
        Popup::Inspect(inspect) => inspect::view(canvas, area, scene, inspect),
        Popup::Detail(detail) => {
            let (title, lines) = detail::lines(scene, detail);
            read_only(canvas, area, &title, &lines, detail.top);
        }
        Popup::Menu(menu) => menu::view(canvas, area, scene, menu),
        Popup::Findings => findings::view(canvas, area, scene),
        Popup::Form(form) => form::view(canvas, area, scene, form),
    }
}

/// Draws lines in a frame as large as they need, scrolled.
fn read_only(canvas: &mut Canvas<'_>, area: Rect, title: &str, lines: &[Vec<Piece<'_>>], top: usize) {
    let longest = lines.iter().map(|line| super::canvas::width(line)).max().unwrap_or(0);
    scrolled(canvas, area, title, lines, top, ((longest + 4).clamp(50, 110), lines.len() as u16 + 2));
}

/// Draws lines in a frame of at most `size`, scrolled, and returns the room inside.
fn scrolled(
    canvas: &mut Canvas<'_>,
    area: Rect,
    title: &str,
    lines: &[Vec<Piece<'_>>],
    top: usize,
    (width, height): (u16, u16),
) -> Rect {
    let inner = frame(canvas, area, title, width, height);
    let top = top.min(lines.len().saturating_sub(usize::from(inner.height)));
    for (y, line) in (inner.y..inner.bottom()).zip(lines.iter().skip(top)) {
        canvas.pieces(inner.x, y, inner.width, line);
    }
    if lines.len() > usize::from(inner.height) {
        let text = format!(" {}–{} of {} ", top + 1, (top + usize::from(inner.height)).min(lines.len()), lines.len());
        canvas.pieces_right(inner.right(), inner.bottom(), inner.width, &[super::canvas::piece(Role::Muted, text)]);
    }
    inner
}

/// Draws a frame of at most `width` × `height` in the middle of `area` and returns the room inside.
fn frame(canvas: &mut Canvas<'_>, area: Rect, title: &str, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), outer_height(area.height, height));
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height.saturating_sub(height)) / 2,
        width,
        height,
    };
    canvas.clear(outer);
    let [top_left, top_right, bottom_left, bottom_right, horizontal, vertical] = canvas.glyphs.frame;
    canvas.repeat(outer.x + 1, outer.y, width.saturating_sub(2), horizontal, Role::Popup);
    canvas.repeat(outer.x + 1, outer.bottom() - 1, width.saturating_sub(2), horizontal, Role::Popup);
    for y in outer.y + 1..outer.bottom() - 1 {
        canvas.cell(outer.x, y, vertical, Role::Popup);
        canvas.cell(outer.right() - 1, y, vertical, Role::Popup);
    }
    for (x, y, sign) in [
        (outer.x, outer.y, top_left),
        (outer.right() - 1, outer.y, top_right),
        (outer.x, outer.bottom() - 1, bottom_left),
        (outer.right() - 1, outer.bottom() - 1, bottom_right),
    ] {
        canvas.cell(x, y, sign, Role::Popup);
    }
    let title = format!(" {title} ");
    canvas.put(outer.x + 3, outer.y, width.saturating_sub(6), &title, Role::Accent);
    Rect { x: outer.x + 2, y: outer.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) }
}
