//! All that the engine says of a container, narrowed by typing.

use std::borrow::Cow;
use std::sync::Arc;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::super::canvas::{Canvas, Pieces, piece, text_width};
use super::super::filter::{Fields, Filter, Value};
use super::super::theme::Role;
use super::super::{Intent, Scene, Ui};
use super::{Popup, scrolled};
use crate::domain::{ContainerId, Failure, Inspection, InspectionLine};

/// What came of asking the engine.
#[derive(Debug, Clone)]
pub enum Asked {
    /// It has not answered yet.
    Waiting,
    /// What it says; `None` if it has no such container.
    Answered(Option<Arc<Inspection>>),
    /// Why it could not be asked.
    Failed(Failure),
}

/// An open inspection.
#[derive(Debug, Clone)]
pub struct Inspect {
    /// The container.
    pub of: ContainerId,
    /// Its name.
    pub name: Arc<str>,
    /// The first line shown.
    pub top: usize,
    /// What the engine says.
    pub asked: Asked,
    /// What is searched for.
    typed: Input,
    /// Keys go into the search.
    pub(in crate::ui) typing: bool,
}

impl Inspect {
    /// A container that the engine is being asked about.
    pub fn new(of: ContainerId, name: Arc<str>) -> Self {
        Self { of, name, top: 0, asked: Asked::Waiting, typed: Input::default(), typing: false }
    }

    /// The search, as far as it can be read.
    fn filter(&self) -> Option<Filter> {
        Filter::parse(self.typed.value(), &[]).ok().flatten()
    }
}

struct Line<'a>(&'a InspectionLine);

impl Fields for Line<'_> {
    fn text(&self) -> Cow<'_, str> {
        format!("{} {}", self.0.label, self.0.value).into()
    }

    fn field(&self, _name: &str) -> Option<Value<'_>> {
        None
    }
}

/// The lines that pass, with all that they stand in and all that stands in them.
fn passing<'a>(inspection: &'a Inspection, filter: Option<&Filter>) -> Vec<(&'a InspectionLine, bool)> {
    let lines = &inspection.lines;
    let Some(filter) = filter else { return lines.iter().map(|line| (line, false)).collect() };
    let mut shown = vec![false; lines.len()];
    let mut found = vec![false; lines.len()];
    let mut above: Vec<usize> = Vec::new();
    let mut within = None;
    for (number, line) in lines.iter().enumerate() {
        above.retain(|outer| lines[*outer].depth < line.depth);
        within = within.filter(|depth| line.depth > *depth);
        found[number] = filter.passes(&Line(line));
        if found[number] {
            for outer in &above {
                shown[*outer] = true;
            }
            within = within.or(Some(line.depth));
        }
        shown[number] = within.is_some();
        above.push(number);
    }
    let kept = lines.iter().zip(shown).zip(found);
    kept.filter(|((_, shown), _)| *shown).map(|((line, _), found)| (line, found)).collect()
}

/// The lines as they are drawn on a screen of this width.
pub(super) fn lines(scene: &Scene<'_>, inspect: &Inspect) -> Vec<Pieces<'static>> {
    let said = |role, text: &str| vec![vec![piece(role, text.to_owned())]];
    match &inspect.asked {
        Asked::Waiting => said(Role::Muted, "asking the container engine …"),
        Asked::Failed(failure) => {
            let mut lines = said(Role::Warning, &failure.what);
            lines.extend(failure.remedy.iter().map(|remedy| vec![piece(Role::Text, remedy.clone())]));
            lines
        }
        Asked::Answered(None) => said(Role::Muted, "The engine has no such container any more."),
        Asked::Answered(Some(inspection)) => {
            let filter = inspect.filter();
            let width = usize::from(scene.ui.size.width.clamp(30, 110)) - 4;
            let passing = passing(inspection, filter.as_ref());
            if passing.is_empty() {
                return said(Role::Muted, "no line passes the search");
            }
            let mut lines: Vec<_> = passing.into_iter().flat_map(|(line, found)| drawn(line, found, width)).collect();
            if inspection.cut {
                lines.push(vec![piece(Role::Warning, "There is more, which is not shown.")]);
            }
            lines
        }
    }
}

/// One line of the tree; a long value goes on below its beginning.
fn drawn(line: &InspectionLine, found: bool, width: usize) -> Vec<Pieces<'static>> {
    let indent = " ".repeat(2 * line.depth);
    let label = format!("{indent}{} ", line.label);
    let role = if found { Role::Strong } else { Role::Text };
    let at = usize::from(text_width(&label));
    let room = width.saturating_sub(at).max(20);
    let mut rest = line.value.as_str();
    let mut lines: Vec<Pieces<'static>> = Vec::new();
    while lines.is_empty() || !rest.is_empty() {
        let end = rest.char_indices().nth(room).map_or(rest.len(), |(end, _)| end);
        let label = if lines.is_empty() { label.clone() } else { " ".repeat(at) };
        lines.push(vec![piece(Role::Muted, label), piece(role, rest[..end].to_owned())]);
        rest = &rest[end..];
    }
    lines
}

/// Takes a key of the search; `None` if keys go elsewhere.
pub(super) fn key(ui: &mut Ui, event: KeyEvent) -> Option<Vec<Intent>> {
    let Some(Popup::Inspect(inspect)) = &mut ui.popup else { return None };
    if !inspect.typing {
        return None;
    }
    match event.code {
        KeyCode::Enter => inspect.typing = false,
        KeyCode::Esc => _ = inspect.forget(),
        // The list is moved in while it is narrowed.
        KeyCode::Up | KeyCode::Down | KeyCode::PageUp | KeyCode::PageDown => return None,
        _ => {
            inspect.typed.handle_event(&TerminalEvent::Key(event));
            inspect.top = 0;
        }
    }
    Some(Vec::new())
}

impl Inspect {
    /// Begins to type a search.
    pub(super) fn search(&mut self) {
        self.typing = true;
    }

    /// Takes the search away; false if there is none.
    pub(super) fn forget(&mut self) -> bool {
        let was = self.typing || !self.typed.value().is_empty();
        self.typing = false;
        self.typed.reset();
        was
    }
}

pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, inspect: &Inspect) {
    // Always as large as it can be: a frame that shrinks while somebody types would jump.
    let title = format!("inspect {}", inspect.name);
    let inner = scrolled(canvas, area, &title, &lines(scene, inspect), inspect.top, (110, area.height));
    let typed = inspect.typed.value();
    let mut search = vec![piece(Role::Key, " / "), piece(Role::Muted, "searches ")];
    if inspect.typing || !typed.is_empty() {
        search = vec![piece(Role::Key, " /"), piece(Role::Input, typed.to_owned())];
        search.push(if inspect.typing { piece(Role::Accent, "_ ") } else { piece(Role::Muted, " ") });
    }
    canvas.pieces(inner.x, inner.bottom(), inner.width / 2, &search);
}
