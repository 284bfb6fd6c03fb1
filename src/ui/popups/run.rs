//! One run of an action: its steps and how far each is, what it says, how it ended. A run goes on when this is closed.

use crossterm::event::{KeyCode, KeyEvent};

use super::super::canvas::{Pieces, piece};
use super::super::theme::Role;
use super::super::{Intent, Scene, Ui};
use super::Popup;
use crate::domain::{Outcome, Run, Step, StepState, units};
use crate::store::State;

/// An open run.
#[derive(Debug, Clone)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// The first line shown.
    pub top: usize,
}

/// Takes a key: `c` ends a run, `F` finishes and `b` takes back what a worker that died left. `None` where the key means
/// what it means in every text.
pub(super) fn key(ui: &mut Ui, event: KeyEvent, state: &State) -> Option<Vec<Intent>> {
    let Some(Popup::Run(view)) = &ui.popup else { return None };
    let run = state.runs.iter().find(|run| run.id == view.run)?;
    let id = run.id.clone();
    let may = !ui.setup.read_only;
    let intent = match event.code {
        KeyCode::Char('c') if may && run.alive => Intent::Cancel(id),
        KeyCode::Char('F') if may && run.has_died() => Intent::TakeUp(id, false),
        KeyCode::Char('b') if may && !run.alive && (run.has_died() || run.can_be_taken_back()) => {
            Intent::TakeUp(id, true)
        }
        _ => return None,
    };
    Some(vec![intent])
}

/// The title and the lines.
pub(super) fn lines(scene: &Scene<'_>, view: &RunView) -> (String, Vec<Pieces<'static>>) {
    let Some(run) = scene.state.runs.iter().find(|run| run.id == view.run) else {
        return ("Run".to_owned(), vec![vec![piece(Role::Muted, "starting …")]]);
    };
    let mut lines = vec![Vec::new(), head(scene, run), Vec::new()];
    let chosen: Vec<(usize, &Step)> = run.plan.chosen().collect();
    for (number, (index, step)) in chosen.iter().enumerate() {
        let state = run.steps.get(*index).copied().unwrap_or_default();
        lines.push(step_line(scene, number + 1, step, state));
        if matches!(state, StepState::Running | StepState::TakingBack)
            && let Some((text, done, total)) = &run.progress
        {
            lines.push(vec![piece(Role::Muted, format!("       {text}{}", how_far(text, *done, *total)))]);
        }
    }
    if let Some(why) = &run.rolling_back {
        lines.push(Vec::new());
        lines.push(vec![piece(Role::Warning, format!("taken back because: {why}"))]);
    }
    if !run.lines.is_empty() {
        lines.push(Vec::new());
        lines.extend(run.lines.iter().map(|line| vec![piece(Role::Muted, line.clone())]));
    }
    lines.push(Vec::new());
    lines.push(foot(scene, run));
    (run.plan.title.clone(), lines)
}

fn head(scene: &Scene<'_>, run: &Run) -> Pieces<'static> {
    let glyphs = scene.ui.glyphs();
    let (role, sign, text) = match &run.ended {
        Some((outcome, text, _)) if outcome.is_good() => (Role::Ok, glyphs.pass, text.clone()),
        Some((Outcome::RolledBack | Outcome::Cancelled, text, _)) => (Role::Warning, glyphs.warning, text.clone()),
        Some((_, text, _)) => (Role::Critical, glyphs.critical, text.clone()),
        None if run.has_died() => (
            Role::Critical,
            glyphs.critical,
            "its worker died: what is half done must be finished or taken back".to_owned(),
        ),
        None => {
            let (at, of) = run.place();
            (Role::Accent, glyphs.up, format!("step {at} of {of}"))
        }
    };
    let mut pieces = vec![piece(role, sign), piece(role, format!(" {text}"))];
    if let Some(freed) = run.freed.filter(|_| run.ended.is_none()) {
        pieces.push(piece(Role::Strong, format!("   freed {}", units::bytes(freed))));
    }
    pieces
}

fn step_line(scene: &Scene<'_>, number: usize, step: &Step, state: StepState) -> Pieces<'static> {
    let glyphs = scene.ui.glyphs();
    let (role, sign, word) = match state {
        StepState::Waiting => (Role::Faint, glyphs.down, ""),
        StepState::Running => (Role::Accent, glyphs.up, ""),
        StepState::Done => (Role::Ok, glyphs.pass, ""),
        StepState::Failed => (Role::Critical, glyphs.critical, "failed"),
        StepState::TakingBack => (Role::Warning, glyphs.up, "taking back"),
        StepState::TakenBack => (Role::Warning, glyphs.down, "taken back"),
    };
    let text = if state == StepState::Waiting { Role::Muted } else { Role::Text };
    vec![
        piece(role, format!("  {sign} ")),
        piece(text, format!("{number:<3}{}", step.title)),
        piece(role, if word.is_empty() { String::new() } else { format!("   {word}") }),
    ]
}

/// How much of how much: bytes where something is pulled, seconds where something is waited for.
fn how_far(text: &str, done: u64, total: u64) -> String {
    match total {
        0 => String::new(),
        _ if text.starts_with("pulling") => format!("   {}", units::bytes_of(done, total)),
        total => format!("   {done} of {total}"),
    }
}

fn foot(scene: &Scene<'_>, run: &Run) -> Pieces<'static> {
    let mut pieces: Pieces<'static> = Vec::new();
    let mut offer = |key: &'static str, word: &'static str| {
        pieces.extend([piece(Role::Key, key), piece(Role::Muted, format!(" {word}   "))]);
    };
    if !scene.ui.setup.read_only {
        if run.alive {
            offer("c", "cancel");
        }
        if run.has_died() {
            offer("F", "finish");
        }
        if !run.alive && (run.has_died() || run.can_be_taken_back()) {
            offer("b", "take back");
        }
    }
    offer("esc", if run.alive { "close; it goes on" } else { "close" });
    pieces.push(piece(Role::Faint, format!("{} by {}", run.id, run.by)));
    pieces
}
