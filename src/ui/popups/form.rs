//! Something to fill in: snooze, accept, acknowledge, note, what is pulled, served, or where it is moved. Nothing is done before `Enter`
//! on the last field.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use jiff::Timestamp;
use ratatui::layout::Rect;
use std::sync::Arc;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::super::canvas::{Canvas, piece};
use super::super::command::Command;
use super::super::theme::Role;
use super::super::{Intent, Scene, Ui};
use super::{Popup, frame};
use crate::domain::{ActionSpec, FindingId, JournalEntry, Moment, parse_until};

/// What a form is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormKind {
    /// A finding stays, for a reason, until a date.
    Accept(FindingId, Arc<str>),
    /// A finding is put aside for a while.
    Snooze(FindingId, Arc<str>),
    /// Somebody sees to a finding: it is silent until it clears.
    Acknowledge(FindingId, Arc<str>),
    /// A note.
    Note,
    /// A model is pulled.
    Pull,
    /// This file or folder of a model is moved.
    Move(String),
    /// This server is given a model.
    Serve(String),
}

/// One line to fill in.
#[derive(Debug, Clone)]
struct Field {
    label: &'static str,
    input: Input,
}

/// An open form.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it is for.
    pub kind: FormKind,
    fields: Vec<Field>,
    at: usize,
    error: Option<String>,
}

impl Form {
    /// A form to snooze, accept or acknowledge a finding.
    pub fn silence(command: Command, id: FindingId, subject: Arc<str>) -> Self {
        let until = |text: &str| Field { label: "until", input: Input::new(text.to_owned()) };
        let why = Field { label: "why", input: Input::default() };
        let (kind, fields) = match command {
            Command::Accept => (FormKind::Accept(id, subject), vec![until("30d"), why]),
            Command::Acknowledge => (FormKind::Acknowledge(id, subject), vec![why]),
            _ => (FormKind::Snooze(id, subject), vec![until("1d"), why]),
        };
        Self { at: fields.len() - 1, kind, fields, error: None }
    }

    /// A form to write a note.
    pub fn note() -> Self {
        Self {
            kind: FormKind::Note,
            fields: vec![Field { label: "note", input: Input::default() }],
            at: 0,
            error: None,
        }
    }

    /// A form to say which model is pulled; it begins with this name.
    pub fn pull(name: String) -> Self {
        let model = Field { label: "model", input: Input::new(name) };
        Self { kind: FormKind::Pull, fields: vec![model], at: 0, error: None }
    }

    /// A form to say where a file or folder of a model is moved.
    pub fn relocate(path: String) -> Self {
        let folder = Field { label: "to", input: Input::default() };
        Self { kind: FormKind::Move(path), fields: vec![folder], at: 0, error: None }
    }

    /// A form to say which model a server is given.
    pub fn serve(server: String) -> Self {
        let model = Field { label: "model", input: Input::default() };
        Self { kind: FormKind::Serve(server), fields: vec![model], at: 0, error: None }
    }

    fn value(&self, label: &str) -> &str {
        self.fields.iter().find(|field| field.label == label).map_or("", |field| field.input.value().trim())
    }

    /// What it leads to, if it is filled in well.
    fn filled(&self, ui: &mut Ui, now: Moment) -> Result<Vec<Intent>, String> {
        let entry = match &self.kind {
            FormKind::Pull => {
                let model = self.value("model");
                if model.is_empty() || model.ends_with('/') {
                    return Err("say which model, such as qwen3:32b".to_owned());
                }
                let targets = vec![model.to_owned()];
                let spec = ActionSpec::named("model.pull");
                return Ok(spec.map_or_else(Vec::new, |spec| ui.plan(spec, targets, None, now)));
            }
            FormKind::Move(path) => {
                let to = self.value("to");
                if !to.starts_with('/') {
                    return Err("say which folder, by its whole path".to_owned());
                }
                let (targets, to) = (vec![path.clone()], Some(to.to_owned()));
                let spec = ActionSpec::named("model.move");
                return Ok(spec.map_or_else(Vec::new, |spec| ui.plan(spec, targets, to, now)));
            }
            FormKind::Serve(server) => {
                let to = self.value("model");
                if to.is_empty() {
                    return Err("say which model, by its path or as ORG/NAME".to_owned());
                }
                let (targets, to) = (vec![server.clone()], Some(to.to_owned()));
                let spec = ActionSpec::named("model.promote");
                return Ok(spec.map_or_else(Vec::new, |spec| ui.plan(spec, targets, to, now)));
            }
            FormKind::Note if self.value("note").is_empty() => return Err("an empty note says nothing".to_owned()),
            FormKind::Note => JournalEntry::Note { text: self.value("note").to_owned() },
            FormKind::Accept(id, subject) => {
                let (until, why) = self.silent(ui, now)?;
                if why.is_empty() {
                    return Err("say why it is accepted: next quarter's review will read it".to_owned());
                }
                JournalEntry::Accept { finding: (*id).to_owned(), subject: subject.to_string(), until, why }
            }
            FormKind::Snooze(id, subject) => {
                let (until, why) = self.silent(ui, now)?;
                JournalEntry::Snooze { finding: (*id).to_owned(), subject: subject.to_string(), until, why }
            }
            FormKind::Acknowledge(id, subject) => JournalEntry::Acknowledge {
                finding: (*id).to_owned(),
                subject: subject.to_string(),
                why: self.value("why").to_owned(),
            },
        };
        Ok(vec![Intent::Record(entry)])
    }

    /// Until when a finding is put aside, and why.
    fn silent(&self, ui: &Ui, now: Moment) -> Result<(Timestamp, String), String> {
        let until = parse_until(self.value("until"), now.wall, &ui.setup.zone)?;
        Ok((until, self.value("why").to_owned()))
    }
}

pub(super) fn key(ui: &mut Ui, event: KeyEvent, now: Moment) -> Vec<Intent> {
    let Some(Popup::Form(mut form)) = ui.popup.take() else { return Vec::new() };
    let last = form.fields.len() - 1;
    match event.code {
        KeyCode::Esc => return Vec::new(),
        KeyCode::Tab | KeyCode::Down => form.at = (form.at + 1) % form.fields.len(),
        KeyCode::BackTab | KeyCode::Up => form.at = (form.at + last) % form.fields.len(),
        KeyCode::Enter if form.at < last => form.at += 1,
        KeyCode::Enter => match form.filled(ui, now) {
            Ok(intents) => return intents,
            Err(error) => form.error = Some(error),
        },
        _ => {
            form.error = None;
            let at = form.at;
            form.fields[at].input.handle_event(&TerminalEvent::Key(event));
        }
    }
    ui.popup = Some(Popup::Form(form));
    Vec::new()
}

pub(super) fn view(canvas: &mut Canvas<'_>, area: Rect, _scene: &Scene<'_>, form: &Form) {
    let (title, about) = match &form.kind {
        FormKind::Accept(id, subject) => ("Accept", format!("{id}  {subject}")),
        FormKind::Snooze(id, subject) => ("Snooze", format!("{id}  {subject}")),
        FormKind::Acknowledge(id, subject) => ("Acknowledge", format!("{id}  {subject}  is silent until it clears")),
        FormKind::Note => ("Note", "becomes a mark on every graph".to_owned()),
        FormKind::Move(path) => ("Move", format!("{path}  to another folder; the old path will lead there")),
        FormKind::Serve(server) => ("Promote", format!("at {server}: the path of a file or folder, or ORG/NAME")),
        FormKind::Pull => ("Pull", "a model of Ollama: NAME, or ollama:PORT/NAME where there are several".to_owned()),
    };
    let inner = frame(canvas, area, title, 80, form.fields.len() as u16 + 7);
    canvas.put(inner.x, inner.y + 1, inner.width, &about, Role::Strong);
    for (y, (index, field)) in (inner.y + 3..).zip(form.fields.iter().enumerate()) {
        let active = index == form.at;
        canvas.put(inner.x, y, 7, field.label, if active { Role::Accent } else { Role::Muted });
        let x = canvas.put(
            inner.x + 7,
            y,
            inner.width.saturating_sub(9),
            field.input.value(),
            if active { Role::Input } else { Role::Text },
        );
        if active {
            canvas.put(x, y, 1, "_", Role::Accent);
        }
    }
    let (text, role) = match &form.error {
        Some(error) => (error.as_str(), Role::Critical),
        None if matches!(form.kind, FormKind::Pull | FormKind::Move(_) | FormKind::Serve(_)) => {
            ("enter shows what it would do   esc cancels", Role::Muted)
        }
        None if matches!(form.kind, FormKind::Acknowledge(..)) => ("enter records   esc cancels", Role::Muted),
        None => {
            ("enter records   tab next field   esc cancels   an end is a date or a duration such as 7d", Role::Muted)
        }
    };
    canvas.pieces(inner.x, inner.bottom() - 1, inner.width, &[piece(role, text)]);
}
