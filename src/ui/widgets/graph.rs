//! Filled graphs: braille where the terminal shows it (two columns and four rows of dots a cell), bars elsewhere.

use ratatui::layout::Rect;

use super::super::canvas::Canvas;
use super::super::glyph::Glyphs;
use super::super::theme::Role;

/// The columns of values that fill `width` cells.
pub fn columns(glyphs: &Glyphs, width: u16) -> usize {
    usize::from(width) * if glyphs.braille { 2 } else { 1 }
}

/// Draws `values` (oldest first, one a column, `None` a gap) from the bottom of `area` up to `top`, the value of its upper edge.
pub fn graph(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    if area.is_empty() || top <= 0.0 {
        return;
    }
    let glyphs = canvas.glyphs;
    draw(glyphs, (area.width, area.height), values, top, |x, y, sign| canvas.cell(area.x + x, area.y + y, sign, role));
}

/// The same graph as lines of text, for where there are only lines.
pub fn text(glyphs: &Glyphs, (width, height): (u16, u16), values: &[Option<f32>], top: f32) -> Vec<String> {
    let mut cells = vec![vec![" ".to_owned(); width.into()]; height.into()];
    if top > 0.0 {
        draw(glyphs, (width, height), values, top, |x, y, sign| {
            if let Some(cell) = cells.get_mut(usize::from(y)).and_then(|row| row.get_mut(usize::from(x))) {
                sign.clone_into(cell);
            }
        });
    }
    cells.into_iter().map(|row| row.concat()).collect()
}

/// A graph of one row: eight heights.
pub fn spark(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    if !area.is_empty() && top > 0.0 {
        let glyphs = canvas.glyphs;
        bars(glyphs, (area.width, 1), values, top, |x, y, sign| canvas.cell(area.x + x, area.y + y, sign, role));
    }
}

fn draw(glyphs: &Glyphs, size: (u16, u16), values: &[Option<f32>], top: f32, cell: impl FnMut(u16, u16, &str)) {
    if glyphs.braille { braille(size, values, top, cell) } else { bars(glyphs, size, values, top, cell) }
}

fn braille((width, height): (u16, u16), values: &[Option<f32>], top: f32, mut cell: impl FnMut(u16, u16, &str)) {
    // Dots of the left and the right column, bottom up (Unicode Standard, chapter 21.1: dots 7 3 2 1 and 8 6 5 4).
    const DOTS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
    let rows = usize::from(height) * 4;
    for x in 0..width {
        let heights: [usize; 2] = std::array::from_fn(|side| {
            let value = values.get(usize::from(x) * 2 + side).copied().flatten();
            value.map_or(0, |value| dots(value, top, rows))
        });
        for row in 0..height {
            let below = usize::from(height - 1 - row) * 4;
            let mut pattern = 0;
            for (side, filled) in heights.iter().enumerate() {
                for (level, dot) in DOTS[side].iter().enumerate() {
                    if *filled > below + level {
                        pattern |= dot;
                    }
                }
            }
            if pattern != 0 {
                let sign = char::from_u32(0x2800 + u32::from(pattern)).unwrap_or(' ');
                cell(x, row, sign.encode_utf8(&mut [0; 4]));
            }
        }
    }
}

fn bars(
    glyphs: &Glyphs,
    (width, height): (u16, u16),
    values: &[Option<f32>],
    top: f32,
    mut cell: impl FnMut(u16, u16, &str),
) {
    let rows = usize::from(height) * 8;
    for (x, value) in (0..width).zip(values) {
        let filled = value.map_or(0, |value| dots(value, top, rows));
        for row in 0..height {
            let below = usize::from(height - 1 - row) * 8;
            if filled > below {
                cell(x, row, glyphs.bars[(filled - below - 1).min(7)]);
            }
        }
    }
}

/// How many of `rows` a value fills; a value that is there fills at least one.
fn dots(value: f32, top: f32, rows: usize) -> usize {
    ((value.clamp(0.0, top) / top * rows as f32).round() as usize).max(1)
}
