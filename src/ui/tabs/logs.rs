//! Logs tab, first slice: all running containers in one stream, filtered, with scroll-back and jumps between errors.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Hit, Pieces, piece, text_width};
use super::super::command::{Command, Context};
use super::super::filter::{Fields, Value};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup};
use super::super::theme::Role;
use super::super::widgets::rule;
use super::{Tab, TabId};
use crate::domain::{LogLevel, LogLine, SourceId};

/// The tab.
pub(super) struct Logs;

const FIELDS: &[&str] = &["source", "level"];
/// Cells of the time and the sign before a line.
const LEAD: u16 = 16;
/// Cells of the source's name.
const SOURCE: u16 = 18;

impl Fields for LogLine {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.text)
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "source" => Some(Value::Text(Cow::Borrowed(&self.origin.name))),
            "level" => Some(Value::Text(Cow::Borrowed(match self.level {
                LogLevel::Info => "info",
                LogLevel::Warning => "warning",
                LogLevel::Error => "error",
            }))),
            _ => None,
        }
    }
}

/// The lines that pass the filter, oldest first, each with its number.
fn lines<'a>(scene: &Scene<'a>) -> impl DoubleEndedIterator<Item = (u64, &'a LogLine)> {
    let filter = scene.ui.list(ListId::Logs).filter.as_ref();
    scene.state.logs.iter().filter(move |(_, line)| filter.is_none_or(|filter| filter.passes(*line)))
}

impl Tab for Logs {
    fn id(&self) -> TabId {
        TabId::Logs
    }

    fn title(&self) -> &'static str {
        "Logs"
    }

    fn command(&self) -> Command {
        Command::TabLogs
    }

    fn context(&self) -> Option<Context> {
        Some(Context::Logs)
    }

    fn badge(&self, _scene: &Scene<'_>) -> Pieces<'static> {
        Vec::new()
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::Logs]
    }

    fn hints(&self) -> &'static [Command] {
        &[
            Command::NextError,
            Command::PreviousError,
            Command::Filter,
            Command::Open,
            Command::Copy,
            Command::Wrap,
            Command::Bottom,
        ]
    }

    fn rows(&self, _list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        lines(scene).map(|(number, _)| RowKey::Line(number)).collect()
    }

    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        FIELDS
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        match selected {
            RowKey::Line(number) => scene.state.logs.get(*number).map(|line| line.text.to_string()),
            _ => None,
        }
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        heading(canvas, area, scene);
        let wide = area.width >= 120 && area.height >= 24;
        let errors = if wide { error_pane_height(scene) } else { 0 };
        let body = rule::body(area);
        let stream = Rect { height: body.height - errors.min(body.height), ..body };
        stream_pane(canvas, stream, scene);
        if errors > 0 {
            error_pane(canvas, Rect { y: stream.bottom(), height: errors, ..area }, scene);
        }
    }
}

fn heading(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let logs = &scene.state.logs;
    let mut right: Pieces<'_> = Vec::new();
    if let Some(filter) = &scene.ui.list(ListId::Logs).filter {
        right.push(piece(Role::Accent, format!("/{}  ", filter.typed)));
    }
    if logs.dropped > 0 {
        right.push(piece(Role::Warning, format!("{} lines dropped · ", logs.dropped)));
    }
    let trouble = trouble(scene);
    let is_followed = trouble.is_none();
    let plural = if logs.followed == 1 { "container" } else { "containers" };
    // Where there is no line, the place of the lines says why.
    if is_followed || !logs.is_empty() {
        right.push(piece(Role::Muted, trouble.unwrap_or_else(|| format!("{} {plural}", logs.followed))));
    }
    if !scene.ui.following {
        right.push(piece(Role::Accent, " · held: G follows"));
    } else if is_followed {
        right.push(piece(Role::Muted, " · following"));
    }
    rule::heading(canvas, area, "Stream", true, &right);
}

/// Why no line can be followed now.
fn trouble(scene: &Scene<'_>) -> Option<String> {
    scene.state.sources.get(SourceId::Logs).and_then(|source| source.trouble(scene.now))
}

/// The lines, the newest at the bottom; while held, the window stays where it is.
fn stream_pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    if area.is_empty() {
        return;
    }
    canvas.hit(Rect { height: area.height + 1, ..area }, Hit::List(ListId::Logs));
    let list = scene.ui.list(ListId::Logs);
    let selected = match &list.selected {
        Some(RowKey::Line(number)) if !scene.ui.following => Some(*number),
        _ => None,
    };
    let height = usize::from(area.height);
    // Lines are taken from the end backwards until the window is full, so a long history costs nothing.
    let mut shown: Vec<(u64, &LogLine)> = match selected {
        None => lines(scene).rev().take(height).collect(),
        Some(selected) => {
            let below = height.saturating_sub(1).saturating_sub(list.index.saturating_sub(list.top));
            let after = lines(scene).filter(|(number, _)| *number > selected).take(below).count();
            let last: Vec<_> = lines(scene)
                .rev()
                .skip_while(|(number, _)| *number > selected)
                .take(height - after.min(height))
                .collect();
            let mut newer: Vec<_> = lines(scene).filter(|(number, _)| *number > selected).take(after).collect();
            newer.reverse();
            newer.into_iter().chain(last).collect()
        }
    };
    if shown.is_empty() {
        let text = match trouble(scene) {
            _ if !scene.state.logs.is_empty() => "no line passes the filter".to_owned(),
            Some(trouble) => trouble,
            None => "no line yet".to_owned(),
        };
        canvas.put(area.x + 2, area.y + 1, area.width.saturating_sub(3), &text, Role::Muted);
        return;
    }
    shown.reverse();
    let mut y = area.y;
    let heights: Vec<u16> = shown.iter().map(|(_, line)| line_height(scene, area.width, line)).collect();
    let mut skipped = 0;
    // Wrapped lines may be too many: the oldest go, but never the selected one.
    while heights[skipped..].iter().sum::<u16>() > area.height
        && skipped + 1 < shown.len()
        && Some(shown[skipped].0) != selected
    {
        skipped += 1;
    }
    for ((number, line), height) in shown.iter().zip(&heights).skip(skipped) {
        if y >= area.bottom() {
            break;
        }
        let place = Rect { y, height: (*height).min(area.bottom() - y), ..area };
        draw_line(canvas, place, scene, line);
        if Some(*number) == selected {
            canvas.tint(place, Role::Selection);
        }
        canvas.hit(place, Hit::Row(ListId::Logs, RowKey::Line(*number)));
        y += height;
    }
}

/// The cells that are left for the text.
fn text_room(width: u16) -> u16 {
    width.saturating_sub(LEAD + SOURCE + 2).max(10)
}

fn line_height(scene: &Scene<'_>, width: u16, line: &LogLine) -> u16 {
    if scene.ui.wrap { text_width(&line.text).div_ceil(text_room(width)).clamp(1, 20) } else { 1 }
}

fn draw_line(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, line: &LogLine) {
    let at = scene.ui.setup.zone.to_datetime(line.at).strftime("%H:%M:%S.%3f").to_string();
    canvas.put(area.x + 1, area.y, 12, &at, Role::Faint);
    let (sign, sign_role, role) = match line.level {
        LogLevel::Error => (canvas.glyphs.critical, Role::Critical, Role::Strong),
        LogLevel::Warning => (canvas.glyphs.warning, Role::Warning, Role::Text),
        LogLevel::Info => (" ", Role::Text, Role::Text),
    };
    canvas.put(area.x + 14, area.y, 1, sign, sign_role);
    canvas.put(area.x + LEAD, area.y, SOURCE, &line.origin.name, Role::Compute);
    let (x, room) = (area.x + LEAD + SOURCE + 1, text_room(area.width));
    if area.height <= 1 {
        canvas.put(x, area.y, room, &line.text, role);
        return;
    }
    let characters: Vec<char> = line.text.chars().collect();
    for (y, chunk) in (area.y..area.bottom()).zip(characters.chunks(room.into())) {
        canvas.put(x, y, room, &chunk.iter().collect::<String>(), role);
    }
}

/// Containers that wrote errors, the most first.
fn noisy(scene: &Scene<'_>) -> Vec<(String, crate::store::LogStats)> {
    let mut noisy: Vec<_> = scene
        .state
        .logs
        .stats()
        .filter(|(_, stats)| stats.errors > 0)
        .map(|(origin, stats)| (origin.name.to_string(), stats))
        .collect();
    noisy.sort_by(|a, b| b.1.errors.cmp(&a.1.errors).then_with(|| a.0.cmp(&b.0)));
    noisy.truncate(5);
    noisy
}

fn error_pane_height(scene: &Scene<'_>) -> u16 {
    match noisy(scene).len() as u16 {
        0 => 0,
        count => count + 2,
    }
}

fn error_pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    rule::heading(canvas, area, "Errors per source", false, &[piece(Role::Muted, "since hostler began to follow")]);
    for (y, (name, stats)) in (area.y + 1..area.bottom()).zip(noisy(scene)) {
        let share = stats.errors as f64 / stats.lines.max(1) as f64;
        canvas.put(area.x + 2, y, 24, &name, Role::Text);
        super::super::widgets::meter::meter(canvas, area.x + 28, y, 24, Some(share), Role::Warning);
        let text = format!("{}  {} of {} lines", crate::domain::units::percent_fine(share), stats.errors, stats.lines);
        canvas.put(area.x + 54, y, area.width.saturating_sub(55), &text, Role::Text);
    }
}
