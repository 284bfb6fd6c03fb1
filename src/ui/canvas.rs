//! The surface that everything draws on: cells, roles, and what a click on them means.
//!
//! A canvas clips: nothing is ever drawn outside the area that was given, at any size. In ASCII it replaces what the
//! terminal could not show.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::command::Command;
use super::glyph::Glyphs;
use super::list::{ListId, RowKey};
use super::tabs::TabId;
use super::theme::{Role, Theme};

/// A run of text in one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it means.
    pub role: Role,
    /// What it says.
    pub text: Cow<'a, str>,
}

/// Makes a piece.
pub fn piece<'a>(role: Role, text: impl Into<Cow<'a, str>>) -> Piece<'a> {
    Piece { role, text: text.into() }
}

/// Pieces side by side.
pub type Pieces<'a> = Vec<Piece<'a>>;

/// The cells that the pieces take.
pub fn width(pieces: &[Piece<'_>]) -> u16 {
    pieces.iter().map(|piece| text_width(&piece.text)).sum()
}

/// A text in lines of at most `columns` characters, broken at spaces where there are any.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while !rest.is_empty() {
        let most = rest.len().min(columns.max(1));
        let space =
            rest[..most].iter().rposition(|character| *character == ' ').filter(|at| rest.len() > columns && *at > 0);
        let tail = rest.split_off(space.unwrap_or(most));
        lines.push(rest.iter().collect::<String>().trim_start().to_owned());
        rest = tail;
    }
    lines
}

/// The cells that a text takes.
pub fn text_width(text: &str) -> u16 {
    if text.is_ascii() { text.len() as u16 } else { text.width() as u16 }
}

/// What a click means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hit {
    /// Go to a tab.
    Tab(TabId),
    /// Select a row.
    Row(ListId, RowKey),
    /// Sort a list by a column.
    Column(ListId, &'static str),
    /// Scroll a list, and make it the focused pane.
    List(ListId),
    /// Give a command.
    Command(Command),
}

/// Where clicks land, topmost last.
pub type Hits = Vec<(Rect, Hit)>;

/// A surface with a theme.
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    /// The signs to use.
    pub glyphs: &'static Glyphs,
    hits: Hits,
}

impl<'a> Canvas<'a> {
    /// A canvas over a whole buffer.
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme, glyphs: &'static Glyphs) -> Self {
        Self { buffer, theme, glyphs, hits: Vec::new() }
    }

    /// The whole surface.
    pub fn area(&self) -> Rect {
        self.buffer.area
    }

    /// Writes `text` at (`x`, `y`) in at most `max` cells; a longer text ends in a sign that it goes on. Returns the cell
    /// after it.
    pub fn put(&mut self, x: u16, y: u16, max: u16, text: &str, role: Role) -> u16 {
        if y >= self.buffer.area.height || x >= self.buffer.area.width || max == 0 {
            return x;
        }
        let max = max.min(self.buffer.area.width - x);
        let text = self.showable(text);
        let style = self.theme.style(role);
        if text_width(&text) <= max {
            return self.write(x, y, max, &text, style);
        }
        let end = self.write(x, y, max - 1, &text, style);
        self.write(end, y, 1, self.glyphs.more, style)
    }

    /// Writes as much of a text as goes into `max` cells that are there. Returns the cell after it.
    fn write(&mut self, x: u16, y: u16, max: u16, text: &str, style: Style) -> u16 {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.buffer.set_stringn(x, y, text, max.into(), style).0;
        }
        // Most texts are of this kind, one cell a byte: told without looking for what belongs together as one sign.
        let taken = text.len().min(max.into());
        let start = self.buffer.index_of(x, y);
        for (cell, byte) in self.buffer.content[start..start + taken].iter_mut().zip(text.bytes()) {
            cell.set_char(char::from(byte)).set_style(style);
        }
        x + taken as u16
    }

    /// Writes pieces side by side in at most `max` cells. Returns the cell after them.
    pub fn pieces(&mut self, x: u16, y: u16, max: u16, pieces: &[Piece<'_>]) -> u16 {
        let end = x.saturating_add(max);
        let mut at = x;
        for piece in pieces {
            if at >= end {
                break;
            }
            at = self.put(at, y, end - at, &piece.text, piece.role);
        }
        at
    }

    /// Writes pieces so that they end before `end`, in at most `max` cells. Returns the cell where they begin.
    pub fn pieces_right(&mut self, end: u16, y: u16, max: u16, pieces: &[Piece<'_>]) -> u16 {
        let taken = width(pieces).min(max);
        let x = end.saturating_sub(taken);
        self.pieces(x, y, taken, pieces);
        x
    }

    /// Repeats a one-cell sign.
    pub fn repeat(&mut self, x: u16, y: u16, count: u16, sign: &str, role: Role) {
        let style = self.theme.style(role);
        let row = Rect { x, y, width: count, height: 1 }.intersection(self.buffer.area);
        for column in row.left()..row.right() {
            self.buffer[(column, y)].set_symbol(sign).set_style(style);
        }
    }

    /// One cell.
    pub fn cell(&mut self, x: u16, y: u16, sign: &str, role: Role) {
        self.repeat(x, y, 1, sign, role);
    }

    /// Lays a role's look over an area without changing its text.
    pub fn tint(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        self.buffer.set_style(area.intersection(self.buffer.area), style);
    }

    /// Empties an area.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    /// The look of a role, for the rare widget that needs two at once.
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// One cell in a look put together by a widget.
    pub fn styled_cell(&mut self, x: u16, y: u16, sign: &str, style: Style) {
        if self.buffer.area.contains((x, y).into()) {
            self.buffer[(x, y)].set_symbol(sign).set_style(style);
        }
    }

    /// Says what a click on an area means.
    pub fn hit(&mut self, area: Rect, hit: Hit) {
        self.hits.push((area, hit));
    }

    /// Forgets what clicks mean so far: a popup covers everything.
    pub fn forget_hits(&mut self) {
        self.hits.clear();
    }

    /// What clicks mean, when all is drawn.
    pub fn into_hits(self) -> Hits {
        self.hits
    }

    /// `text` with what an ASCII terminal cannot show replaced.
    fn showable<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.glyphs.braille || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        let replaced = text.chars().map(|character| match character {
            _ if character.is_ascii() => character,
            '·' => '|',
            '–' | '—' | '−' => '-',
            '…' => '~',
            '×' => 'x',
            '→' | '≥' => '>',
            '↑' => '^',
            '↓' => 'v',
            '“' | '”' | '’' => '\'',
            _ => '?',
        });
        Cow::Owned(replaced.collect())
    }
}
