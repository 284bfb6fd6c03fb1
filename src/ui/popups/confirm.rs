//! The plan of an action, drawn whole before anything is done: every object that would change, what stays, how it is
//! undone. Cancel has the focus; what deletes data wants a name typed.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::super::canvas::{Canvas, Pieces, piece, width};
use super::super::theme::Role;
use super::super::{Intent, Ui};
use super::{Popup, frame, wrapped};
use crate::domain::{Item, Moment, Plan, Risk, Step, short_name, units};

/// Objects of a step that are drawn until all are asked for; the rest is counted.
const LISTED: usize = 6;

/// Where warnings and the makers' notes are wrapped.
const NOTE_COLUMNS: usize = 62;

/// An open plan.
#[derive(Debug, Clone)]
pub struct Confirm {
    plan: Plan,
    /// Carry it out has the focus, rather than Cancel.
    go: bool,
    /// The optional step under the cursor, among the optional ones.
    at: usize,
    /// The first line shown.
    top: usize,
    /// Every object is drawn.
    all: bool,
    typed: Input,
    error: Option<String>,
}

/// One line: what stands left, and what stands right.
struct Line {
    left: Pieces<'static>,
    right: Pieces<'static>,
    /// It belongs to the step under the cursor.
    here: bool,
}

impl Line {
    fn new(left: Pieces<'static>) -> Self {
        Self { left, right: Vec::new(), here: false }
    }

    fn empty() -> Self {
        Self::new(Vec::new())
    }
}

impl Confirm {
    /// The popup of a plan.
    pub fn new(plan: Plan) -> Self {
        Self { plan, go: false, at: 0, top: 0, all: false, typed: Input::default(), error: None }
    }

    /// Whether characters are typed into the name field.
    pub fn wants_a_name(&self) -> bool {
        self.expected().is_some()
    }

    /// What must be typed before data goes: the object's name; for several, how many there are.
    fn expected(&self) -> Option<String> {
        match self.plan.to_be_typed().as_slice() {
            [] => None,
            [name] => Some(short_name(name).to_owned()),
            several => Some(format!("all {}", several.len())),
        }
    }

    /// The places of the optional steps.
    fn optional(&self) -> Vec<usize> {
        let steps = self.plan.steps.iter().enumerate();
        steps.filter(|(_, step)| step.optional).map(|(index, _)| index).collect()
    }

    /// The wish for the version behind a digit, if it is another one.
    fn version(&self, digit: char) -> Option<Intent> {
        let place = digit.to_digit(10)?.checked_sub(1)? as usize;
        let choice = self.plan.choices.get(place).filter(|choice| !choice.chosen)?;
        let (action, targets) = (self.plan.action.clone(), self.plan.targets.clone());
        // The first one is that which is used.
        let to = (place > 0).then(|| choice.tag.clone());
        Some(Intent::Plan { action, targets, to })
    }

    fn toggle(&mut self) {
        if let Some(index) = self.optional().get(self.at) {
            let step = &self.plan.steps[*index];
            let (id, chosen) = (step.id.clone(), !step.chosen);
            self.error = self.plan.choose(&id, chosen).err();
            self.go = false;
        }
    }

    /// Carries it out, if it may be.
    fn press(&mut self) -> Option<Intent> {
        if self.plan.is_empty() {
            let nothing =
                if self.plan.steps.is_empty() { self.plan.why_nothing() } else { "no step is chosen".to_owned() };
            self.error = Some(nothing);
            return None;
        }
        if let Some(expected) = self.expected()
            && self.typed.value().trim() != expected
        {
            self.error = Some(format!("data goes: type {expected} first"));
            return None;
        }
        Some(Intent::Carry(Box::new(self.plan.clone())))
    }

    /// The button's word: `Prune 9.6 GiB`, `Restart`.
    fn button(&self) -> String {
        let title = self.plan.spec().map_or("Run", |spec| spec.title);
        let mut letters = title.chars();
        let title: String =
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
        match self.plan.bytes() {
            0 => title,
            bytes => format!("{title} {}", units::bytes(bytes)),
        }
    }
}

/// Takes a key. Keys that were typed before the popup was drawn never get here.
pub(super) fn key(ui: &mut Ui, event: KeyEvent, now: Moment) -> Vec<Intent> {
    let Some(Popup::Confirm(mut confirm)) = ui.popup.take() else { return Vec::new() };
    let types = confirm.wants_a_name();
    let last = confirm.optional().len().saturating_sub(1);
    let mut intent = None;
    match event.code {
        KeyCode::Esc => return Vec::new(),
        KeyCode::Enter if !confirm.go => return Vec::new(),
        KeyCode::Enter => intent = confirm.press(),
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Left | KeyCode::Right => confirm.go = !confirm.go,
        KeyCode::Down => confirm.at = (confirm.at + 1).min(last),
        KeyCode::Up => confirm.at = confirm.at.saturating_sub(1),
        KeyCode::PageDown => confirm.top += 10,
        KeyCode::PageUp => confirm.top = confirm.top.saturating_sub(10),
        KeyCode::Char(' ') => confirm.toggle(),
        KeyCode::Char('y') if !types => intent = confirm.press(),
        KeyCode::Char('j') if !types => confirm.at = (confirm.at + 1).min(last),
        KeyCode::Char('k') if !types => confirm.at = confirm.at.saturating_sub(1),
        KeyCode::Char('a') if !types => confirm.all = !confirm.all,
        KeyCode::Char('q') if !types => return Vec::new(),
        KeyCode::Char(digit @ '1'..='9') if !types => {
            intent = confirm.version(digit);
            if intent.is_some() {
                // A plan that nobody wants any more must not be confirmed.
                ui.say(format!("{}: looking at what another version would do …", confirm.plan.title), now);
            }
        }
        _ if types => {
            confirm.error = None;
            confirm.typed.handle_event(&TerminalEvent::Key(event));
        }
        _ => {}
    }
    if let Some(intent) = intent {
        return vec![intent];
    }
    ui.popup = Some(Popup::Confirm(confirm));
    Vec::new()
}

/// Draws the plan.
pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, confirm: &Confirm) {
    let lines = lines(canvas, confirm);
    let foot = 3;
    let inner = frame(canvas, area, &confirm.plan.title, 104, lines.len() as u16 + foot + 3);
    let shown = inner.height.saturating_sub(foot);
    let top = first_line(confirm, &lines, shown);
    for (y, line) in (inner.y..inner.y + shown).zip(lines.iter().skip(top)) {
        let edge = canvas.pieces_right(inner.right(), y, inner.width / 2, &line.right);
        canvas.pieces(inner.x, y, edge.saturating_sub(inner.x + 1), &line.left);
        if line.here {
            canvas.tint(Rect { x: inner.x, y, width: inner.width, height: 1 }, Role::Selection);
        }
    }
    if lines.len() > usize::from(shown) {
        let text = format!(" {}–{} of {} ", top + 1, (top + usize::from(shown)).min(lines.len()), lines.len());
        canvas.pieces_right(inner.right(), inner.bottom(), inner.width, &[piece(Role::Muted, text)]);
    }
    buttons(canvas, inner, confirm);
}

/// The window follows the cursor over optional steps, and pages by itself.
fn first_line(confirm: &Confirm, lines: &[Line], shown: u16) -> usize {
    let last = lines.len().saturating_sub(usize::from(shown));
    let here = lines.iter().position(|line| line.here).unwrap_or(0);
    let lowest = here.saturating_sub(usize::from(shown).saturating_sub(4));
    confirm.top.max(lowest).min(last)
}

fn lines(canvas: &Canvas<'_>, confirm: &Confirm) -> Vec<Line> {
    let plan = &confirm.plan;
    let mut lines = vec![Line::empty(), headline(plan)];
    if !plan.summary.is_empty() {
        lines.push(Line::new(vec![piece(Role::Muted, plan.summary.clone())]));
    }
    lines.extend(choices(plan));
    // Before the steps: on a small screen what stands below them is not seen.
    for warning in &plan.warnings {
        for (part, said) in parts(warning).enumerate() {
            let sign = if part == 0 { canvas.glyphs.warning } else { " " };
            lines.push(Line::new(vec![piece(Role::Warning, format!("{sign} {said}"))]));
        }
    }
    lines.push(Line::empty());
    let here = confirm.optional().get(confirm.at).copied();
    for (index, step) in plan.steps.iter().enumerate() {
        // Whoever lets data go sees all of it.
        let listed = if confirm.all || step.chosen && step.risk == Risk::Destructive { usize::MAX } else { LISTED };
        step_lines(&mut lines, (index, step, plan.bytes_of(step)), here == Some(index), listed);
    }
    lines.push(Line::empty());
    let mut fact = |word: &str, said: &str, role: Role| {
        lines.push(Line::new(vec![piece(Role::Muted, format!("{word:<8}")), piece(role, said.to_owned())]));
    };
    for (index, kept) in plan.kept.iter().enumerate() {
        fact(if index == 0 { "kept" } else { "" }, kept, Role::Text);
    }
    plan.downtime.iter().for_each(|downtime| fact("away", downtime, Role::Text));
    fact("undo", &plan.undo, Role::Text);
    for (index, command) in plan.commands().enumerate() {
        fact(if index == 0 { "same as" } else { "" }, command, Role::Compute);
    }
    for (index, note) in plan.notes.iter().enumerate() {
        // An item that goes on in the next line is not taken for another one.
        for (part, said) in parts(note).enumerate() {
            let indented = if part == 0 { said } else { format!("    {said}") };
            fact(if (index, part) == (0, 0) { "notes" } else { "" }, &indented, Role::Text);
        }
    }
    lines.push(Line::empty());
    lines
}

/// A text in parts that can be read on a narrow screen.
fn parts(text: &str) -> impl Iterator<Item = String> {
    let lines = wrapped(text, NOTE_COLUMNS).into_iter();
    lines.map(|line| line.iter().map(|piece| &*piece.text).collect())
}

fn headline(plan: &Plan) -> Line {
    let count = plan.chosen().count();
    let steps = format!("{count} {}", if count == 1 { "step" } else { "steps" });
    let mut left = Vec::new();
    if plan.bytes() > 0 {
        left.push(piece(Role::Text, "frees "));
        left.push(piece(Role::Strong, units::bytes(plan.bytes())));
        left.push(piece(Role::Muted, format!("   in {steps}")));
    } else {
        left.push(piece(Role::Strong, steps));
    }
    let risk = match plan.risk() {
        Risk::Safe => (Role::Ok, "interrupts nothing"),
        Risk::Disruptive => (Role::Muted, "no data goes"),
        Risk::Destructive => (Role::Warning, "data goes"),
    };
    left.push(piece(risk.0, format!("   {}", risk.1)));
    Line::new(left)
}

/// The versions among which one may choose, each behind its digit: `2 1.1.0   minor, 3 d old`.
fn choices(plan: &Plan) -> impl Iterator<Item = Line> {
    let widest = plan.choices.iter().map(|choice| choice.tag.len()).max().unwrap_or(0);
    (1..=9).zip(&plan.choices).map(move |(digit, choice)| {
        let (sign, tag) = if choice.chosen { (Role::Muted, Role::Accent) } else { (Role::Key, Role::Strong) };
        Line::new(vec![
            piece(Role::Muted, format!("{:<8}", if digit == 1 { "version" } else { "" })),
            piece(sign, format!("{digit} ")),
            piece(tag, format!("{:<widest$}", choice.tag)),
            piece(Role::Muted, format!("   {}", choice.about)),
        ])
    })
}

fn step_lines(lines: &mut Vec<Line>, (index, step, bytes): (usize, &Step, Option<u64>), here: bool, listed: usize) {
    let mark = match (step.optional, step.chosen) {
        (true, true) => "[x] ",
        (true, false) => "[ ] ",
        (false, _) => "    ",
    };
    let (title, size) = if step.chosen { (Role::Strong, Role::Strong) } else { (Role::Muted, Role::Muted) };
    let left = vec![piece(Role::Key, mark), piece(title, format!("{:<3}{}", index + 1, step.title))];
    let right = bytes.map_or_else(Vec::new, |bytes| vec![piece(size, units::bytes(bytes))]);
    lines.push(Line { left, right, here });
    for item in step.items.iter().take(listed) {
        lines.push(item_line(item, step));
    }
    if step.items.len() > listed {
        let rest = &step.items[listed..];
        let bytes: u64 = rest.iter().filter_map(|item| item.bytes).sum();
        let right = if bytes > 0 { vec![piece(Role::Muted, units::bytes(bytes))] } else { Vec::new() };
        lines.push(Line {
            left: vec![piece(Role::Muted, format!("       and {} more", rest.len()))],
            right,
            here: false,
        });
    }
}

fn item_line(item: &Item, step: &Step) -> Line {
    // What the title says already is not said again.
    let name = if step.title.ends_with(&item.name) && item.bytes.is_none() { "" } else { short_name(&item.name) };
    let gap = if name.is_empty() || item.detail.is_empty() { "" } else { "   " };
    let role = if step.chosen { Role::Text } else { Role::Muted };
    let mut right = Vec::new();
    if item.data {
        right.push(piece(Role::Warning, "data: look before you go   "));
    }
    if let Some(bytes) = item.bytes {
        right.push(piece(role, units::bytes(bytes)));
    }
    let left = vec![piece(role, format!("       {name}{gap}")), piece(Role::Muted, item.detail.clone())];
    Line { left, right, here: false }
}

/// The name field or the hint, and the two buttons.
fn buttons(canvas: &mut Canvas<'_>, inner: Rect, confirm: &Confirm) {
    let hint = inner.bottom().saturating_sub(3);
    if let Some(error) = &confirm.error {
        canvas.put(inner.x, hint, inner.width, error, Role::Critical);
    } else if let Some(expected) = confirm.expected() {
        let x = canvas.pieces(
            inner.x,
            hint,
            inner.width,
            &[piece(Role::Warning, "type "), piece(Role::Strong, expected), piece(Role::Warning, " to let it go: ")],
        );
        let x = canvas.put(x, hint, inner.right().saturating_sub(x + 1), confirm.typed.value(), Role::Input);
        canvas.put(x, hint, 1, "_", Role::Accent);
    } else {
        let mut pieces = Vec::new();
        if confirm.plan.steps.iter().any(|step| step.items.len() > LISTED) {
            let what = if confirm.all { " lists fewer   " } else { " lists all   " };
            pieces.extend([piece(Role::Key, "a"), piece(Role::Muted, what)]);
        }
        if !confirm.optional().is_empty() {
            pieces.extend([piece(Role::Key, "space"), piece(Role::Muted, " adds or drops a step   ")]);
        }
        if !confirm.plan.choices.is_empty() {
            let last = confirm.plan.choices.len().min(9);
            pieces.extend([piece(Role::Key, format!("1–{last}")), piece(Role::Muted, " another version   ")]);
        }
        pieces.extend([
            piece(Role::Key, "y"),
            piece(Role::Muted, " does it   "),
            piece(Role::Key, "esc"),
            piece(Role::Muted, " cancels"),
        ]);
        canvas.pieces(inner.x, hint, inner.width, &pieces);
    }
    let y = inner.bottom().saturating_sub(1);
    let mut x = inner.x;
    for (label, focused) in [("Cancel".to_owned(), !confirm.go), (confirm.button(), confirm.go)] {
        let role = if focused { Role::Strong } else { Role::Muted };
        let text = [piece(role, if focused { format!("[ {label} ]") } else { format!("  {label}  ") })];
        let end = canvas.pieces(x, y, inner.right().saturating_sub(x), &text);
        canvas.tint(Rect { x, y, width: width(&text), height: 1 }, if focused { Role::Selection } else { Role::Bar });
        x = end + 2;
    }
}
