//! The terminal's side of a pty: a `vt100` screen, the modes a program switches on, and how two frames differ.
//!
//! A [`Screen`] holds what an operator would see after the bytes fed so far. It also keeps the modes that `vt100`
//! itself does not follow (focus reports, synchronized output, the kitty keyboard), because a program that leaves one
//! of them on has not restored its terminal.

use std::fmt;
use std::num::NonZeroU16;

use vt100::{Callbacks, MouseProtocolMode, Parser};

/// Columns and rows of a terminal, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Width in cells.
    pub(crate) cols: u16,
    /// Height in cells.
    pub(crate) rows: u16,
}

impl Size {
    /// The size that the design is drawn for, and that peers are measured at.
    pub(crate) const WIDE: Self = Self { cols: 160, rows: 48 };
    /// The size of a terminal nobody has resized.
    pub(crate) const SMALL: Self = Self { cols: 80, rows: 24 };

    fn non_zero(self) -> (NonZeroU16, NonZeroU16) {
        let at_least_one = |n| NonZeroU16::new(n).unwrap_or(NonZeroU16::MIN);
        (at_least_one(self.rows), at_least_one(self.cols))
    }
}

/// What `vt100` reports instead of following it.
#[derive(Default)]
struct Notes {
    focus_reports: bool,
    synchronized: bool,
    alternate: bool,
    kitty_depth: u16,
    clipboard: Vec<Vec<u8>>,
    titles: Vec<Vec<u8>>,
}

impl Callbacks for Notes {
    fn copy_to_clipboard(&mut self, _: &mut vt100::Screen, _: &[u8], data: &[u8]) {
        self.clipboard.push(data.to_vec());
    }

    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.titles.push(title.to_vec());
    }

    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        first: Option<u8>,
        _: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        match (first, last) {
            (Some(b'?'), 'h' | 'l') => {
                for mode in params.iter().filter_map(|param| param.first()) {
                    match mode {
                        1004 => self.focus_reports = last == 'h',
                        1047 => self.alternate = last == 'h',
                        2026 => self.synchronized = last == 'h',
                        _ => {}
                    }
                }
            }
            (Some(b'>'), 'u') => self.kitty_depth += 1,
            (Some(b'<'), 'u') => self.kitty_depth = self.kitty_depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// One state of the screen, kept to be compared with a later one.
pub(crate) struct Frame(vt100::Screen);

/// A screen that is fed what a program writes.
pub(crate) struct Screen {
    parser: Parser<Notes>,
    /// The beginning of a replacement character, whose end has not come yet.
    cut: Vec<u8>,
}

/// U+FFFD. `vt100` leaves it out; a terminal shows it in one cell, as it does its stand-in here.
const REPLACEMENT: (&[u8], u8) = ("\u{fffd}".as_bytes(), b'?');

impl Screen {
    /// A blank screen in the state in which a terminal starts.
    pub(crate) fn new(size: Size) -> Self {
        let (rows, cols) = size.non_zero();
        Self { parser: Parser::new_with_callbacks(rows, cols, 0, Notes::default()), cut: Vec::new() }
    }

    /// Takes in output of the program; a sequence may be cut anywhere between two calls.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let mut bytes = [std::mem::take(&mut self.cut).as_slice(), bytes].concat();
        let (character, stand_in) = REPLACEMENT;
        let begun = (1..character.len()).rev().find(|length| bytes.ends_with(&character[..*length]));
        self.cut = bytes.split_off(bytes.len() - begun.unwrap_or(0));
        while let Some(at) = bytes.windows(character.len()).position(|part| part == character) {
            bytes.splice(at..at + character.len(), [stand_in]);
        }
        self.parser.process(&bytes);
    }

    /// Gives the terminal another size, as a window manager would.
    pub(crate) fn resize(&mut self, size: Size) {
        let (rows, cols) = size.non_zero();
        self.parser.set_size(rows, cols);
    }

    /// The text on the screen, one line a row, without trailing blanks.
    pub(crate) fn text(&self) -> String {
        self.rows().collect::<Vec<_>>().join("\n")
    }

    /// The rows of the screen as text, top first, without trailing blanks.
    pub(crate) fn rows(&self) -> impl Iterator<Item = String> {
        let screen = self.parser.screen();
        let (_, cols) = screen.size();
        screen.rows(0, cols.get()).map(|row| row.trim_end().to_owned())
    }

    /// Whether the text stands on one row of the screen.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.rows().any(|row| row.contains(text))
    }

    /// How many cells show a glyph: not blank, not an empty braille pattern.
    pub(crate) fn filled(&self) -> usize {
        self.rows().map(|row| row.chars().filter(|c| !c.is_whitespace() && *c != '\u{2800}').count()).sum()
    }

    /// Keeps the present state for [`Screen::changed_cells`].
    pub(crate) fn frame(&self) -> Frame {
        Frame(self.parser.screen().clone())
    }

    /// How many cells differ in glyph or style from an earlier frame; after a resize, all of them.
    pub(crate) fn changed_cells(&self, since: &Frame) -> usize {
        let (now, then) = (self.parser.screen(), &since.0);
        let (rows, cols) = (now.size().0.get(), now.size().1.get());
        if now.size() != then.size() {
            return usize::from(rows) * usize::from(cols);
        }
        (0..rows)
            .flat_map(|row| (0..cols).map(move |col| (row, col)))
            .filter(|&(row, col)| now.cell(row, col) != then.cell(row, col))
            .count()
    }

    /// Whether an eye would see a difference: a cell, or the place of a cursor that is shown.
    pub(crate) fn visibly_differs(&self, since: &Frame) -> bool {
        let cursor = |screen: &vt100::Screen| (!screen.hide_cursor()).then(|| screen.cursor_position());
        cursor(self.parser.screen()) != cursor(&since.0) || self.changed_cells(since) > 0
    }

    /// What the program has put on the clipboard through OSC 52, as it sent it (base64).
    pub(crate) fn clipboard(&self) -> &[Vec<u8>] {
        &self.parser.callbacks().clipboard
    }

    /// The window titles that the program has set.
    pub(crate) fn titles(&self) -> &[Vec<u8>] {
        &self.parser.callbacks().titles
    }

    /// Whether the arrow keys are to be sent as `ESC O x` (DECCKM).
    pub(crate) fn application_cursor(&self) -> bool {
        self.parser.screen().application_cursor()
    }

    /// Whether the alternate screen is shown.
    pub(crate) fn alternate(&self) -> bool {
        self.parser.screen().alternate_screen() || self.parser.callbacks().alternate
    }

    /// Whether any kind of mouse report is switched on.
    pub(crate) fn mouse(&self) -> bool {
        self.parser.screen().mouse_protocol_mode() != MouseProtocolMode::None
    }

    /// Whether the cursor is shown.
    pub(crate) fn cursor_visible(&self) -> bool {
        !self.parser.screen().hide_cursor()
    }

    /// Whether pasted text is bracketed.
    pub(crate) fn bracketed_paste(&self) -> bool {
        self.parser.screen().bracketed_paste()
    }

    /// The rarer modes that are still on, by name: focus, sync, kitty keyboard, application cursor.
    pub(crate) fn other_modes(&self) -> Vec<&'static str> {
        let notes = self.parser.callbacks();
        [
            ("focus reports", notes.focus_reports),
            ("synchronized output", notes.synchronized),
            ("kitty keyboard", notes.kitty_depth > 0),
            ("application cursor", self.application_cursor()),
        ]
        .into_iter()
        .filter_map(|(name, on)| on.then_some(name))
        .collect()
    }
}

impl fmt::Display for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
