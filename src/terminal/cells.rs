//! Changed cells as a terminal reads them: where, how they look, what they show.
//!
//! The sixteen colours that the user chose for the terminal are sent by the numbers that every terminal knows (30 to 37,
//! 90 to 97). A look is one sequence, and only what differs from the look before is said.

use std::io::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// How a cell looks.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }
    }
}

/// How a terminal writes before it is told anything.
const PLAIN: Look = Look { fg: Color::Reset, bg: Color::Reset, modifier: Modifier::empty() };

/// The attributes and their numbers (ECMA-48, SGR).
const ATTRIBUTES: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// Puts cells that look alike together, each look where it came first: to say where the next one is takes half as much as
/// to say how it looks.
pub(super) fn by_look(cells: &mut [(u16, u16, &Cell)]) {
    let mut looks = Vec::new();
    cells.sort_by_cached_key(|(_, _, cell)| {
        let look = Look::of(cell);
        looks.iter().position(|known| *known == look).unwrap_or_else(|| {
            looks.push(look);
            looks.len() - 1
        })
    });
}

/// Appends the cells, each with its column and row. The terminal is taken to be at no place that is known, and is left
/// writing plainly.
pub(super) fn write<'a>(out: &mut Vec<u8>, cells: impl IntoIterator<Item = (u16, u16, &'a Cell)>) {
    let (mut look, mut here) = (PLAIN, None);
    for (x, y, cell) in cells {
        go(out, here, (x, y));
        // After a wide character the place is told anew: terminals differ on what is wide.
        here = Some((x + 1, y));
        let wanted = Look::of(cell);
        change(out, look, wanted);
        look = wanted;
        out.extend_from_slice(cell.symbol().as_bytes());
    }
    change(out, look, PLAIN);
}

/// Takes away wide characters of which another text took the second cell: a terminal shows a gap where half of one is
/// left, and what is compared with the next frame must be what is shown.
pub(super) fn mend_halves(buffer: &mut Buffer) {
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            let symbol = buffer[(x, y)].symbol();
            // What is one byte is narrow; the rest is rare enough to be measured.
            if symbol.len() == 1 || symbol.width() < 2 {
                continue;
            }
            if x + 1 >= area.right() || buffer[(x + 1, y)].symbol() != " " {
                buffer[(x, y)].set_symbol(" ");
            }
        }
    }
}

/// Appends the shortest way from a place to another that depends on nothing but the row: further right in the same one only
/// the column is said. A terminal is still in the row whose last column it wrote, or already in the next one.
fn go(out: &mut Vec<u8>, from: Option<(u16, u16)>, to: (u16, u16)) {
    let (x, y) = to;
    match from {
        Some(from) if from == to => {}
        Some((column, row)) if row == y && column < x => put(out, format_args!("\x1b[{}G", x + 1)),
        _ => put(out, format_args!("\x1b[{};{}H", y + 1, x + 1)),
    }
}

/// Appends the one sequence that leads from one look to another.
fn change(out: &mut Vec<u8>, from: Look, to: Look) {
    if from == to {
        return;
    }
    if to == PLAIN {
        return out.extend_from_slice(b"\x1b[m");
    }
    // Attributes are only ever taken away together.
    let anew = !(from.modifier - to.modifier).is_empty();
    let base = if anew { PLAIN } else { from };
    out.extend_from_slice(b"\x1b[");
    if anew {
        out.extend_from_slice(b"0;");
    }
    for (modifier, number) in ATTRIBUTES {
        if (to.modifier - base.modifier).contains(modifier) {
            put(out, format_args!("{number};"));
        }
    }
    if to.fg != base.fg {
        colour(out, to.fg, 30);
    }
    if to.bg != base.bg {
        colour(out, to.bg, 40);
    }
    // Each part ends in a semicolon; the last one gives way to the end of the sequence.
    out.pop();
    out.push(b'm');
}

/// Appends a colour's numbers; `ground` is 30 for the character's colour and 40 for the one behind it.
fn colour(out: &mut Vec<u8>, colour: Color, ground: u8) {
    let number = match colour {
        Color::Reset => 9,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        Color::Indexed(index) => return put(out, format_args!("{};5;{index};", ground + 8)),
        Color::Rgb(r, g, b) => return put(out, format_args!("{};2;{r};{g};{b};", ground + 8)),
    };
    put(out, format_args!("{};", ground + number));
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A vector takes everything.
    let _taken = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn cell(symbol: &str, style: Style) -> Cell {
        let mut cell = Cell::EMPTY;
        cell.set_symbol(symbol).set_style(style);
        cell
    }

    fn written(cells: &[(u16, u16, Cell)]) -> String {
        let mut out = Vec::new();
        write(&mut out, cells.iter().map(|(x, y, cell)| (*x, *y, cell)));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn neighbours_share_place_and_look() {
        let red = Style::new().fg(Color::Red);
        let cells = [(4, 1, cell("a", red)), (5, 1, cell("b", red)), (7, 1, cell("c", Style::new()))];
        assert_eq!(written(&cells), "\x1b[2;5H\x1b[31mab\x1b[8G\x1b[mc");
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn what_looks_alike_is_said_together() {
        let (red, plain) = (cell("r", Style::new().fg(Color::Red)), cell("p", Style::new()));
        let mut cells = vec![(3, 0, &red), (4, 0, &plain), (5, 0, &red), (0, 1, &plain), (1, 1, &red)];
        by_look(&mut cells);
        let mut out = Vec::new();
        write(&mut out, cells);
        assert_eq!(out, b"\x1b[1;4H\x1b[31mr\x1b[6Gr\x1b[2;2Hr\x1b[1;5H\x1b[mp\x1b[2;1Hp");
    }

    #[test]
    fn only_what_differs_is_said() {
        let base = Style::new().fg(Color::Rgb(1, 2, 3)).bg(Color::Indexed(17));
        let cells = [
            (0, 0, cell("a", base)),
            (1, 0, cell("b", base.add_modifier(Modifier::BOLD))),
            (2, 0, cell("c", base.add_modifier(Modifier::REVERSED))),
            (3, 0, cell("d", base.fg(Color::White).add_modifier(Modifier::REVERSED))),
            (4, 0, cell("e", Style::new().bg(Color::LightBlue))),
            (5, 0, cell("f", Style::new().fg(Color::DarkGray))),
        ];
        let expected = "\x1b[1;1H\x1b[38;2;1;2;3;48;5;17ma\x1b[1mb\x1b[0;7;38;2;1;2;3;48;5;17mc\x1b[97md\
                        \x1b[0;104me\x1b[90;49mf\x1b[m";
        assert_eq!(written(&cells), expected);
    }

    const SIZE: (u16, u16) = (12, 2);

    /// The rows of a buffer as a terminal shows them: what a wide character covers is not there.
    fn rows(buffer: &Buffer) -> Vec<String> {
        let mut rows = Vec::new();
        for y in 0..SIZE.1 {
            let (mut row, mut x) = (String::new(), 0);
            while x < SIZE.0 {
                let symbol = buffer[(x, y)].symbol();
                row.push_str(symbol);
                x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
            }
            rows.push(row.trim_end().to_owned());
        }
        rows
    }

    proptest! {
        /// Whatever stood there before, wide or narrow: a terminal that is sent what differs shows what was drawn.
        #[test]
        fn a_terminal_shows_what_was_drawn(
            frames in prop::collection::vec(prop::collection::vec(
                ("[ab日👩é…●]{0,12}", 0..SIZE.0, 0..SIZE.1, 0..3_u8), 0..4), 1..5)
        ) {
            let area = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
            let mut shown = Buffer::empty(area);
            let size = |cells: u16| NonZeroU16::new(cells).unwrap();
            let mut terminal = vt100::Parser::new(size(SIZE.1), size(SIZE.0), 0);
            for texts in frames {
                let mut drawn = Buffer::empty(area);
                for (text, x, y, colour) in &texts {
                    let text = text.replace('é', "e\u{301}");
                    drawn.set_stringn(*x, *y, &text, (SIZE.0 - x).into(), Style::new().fg(Color::Indexed(*colour)));
                }
                mend_halves(&mut drawn);
                let mut out = Vec::new();
                let mut changed = shown.diff(&drawn);
                by_look(&mut changed);
                write(&mut out, changed);
                terminal.process(&out);
                let seen: Vec<_> = terminal.screen().rows(0, SIZE.0).map(|row| row.trim_end().to_owned()).collect();
                prop_assert_eq!(seen, rows(&drawn), "{:?}", String::from_utf8(out).unwrap());
                shown = drawn;
            }
        }
    }
}
