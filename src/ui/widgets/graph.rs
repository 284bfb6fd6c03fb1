//! Filled graphs: braille where the terminal shows it (two columns and four rows of dots a cell), bars elsewhere.

use ratatui::layout::Rect;

use super::super::canvas::Canvas;
use super::super::theme::Role;

/// The columns of values that fill `width` cells.
pub fn columns(canvas: &Canvas<'_>, width: u16) -> usize {
    usize::from(width) * if canvas.glyphs.braille { 2 } else { 1 }
}

/// Draws `values` (oldest first, one a column, `None` a gap) from the bottom of `area` up to `top`, the value of its upper edge.
pub fn graph(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    if area.is_empty() || top <= 0.0 {
        return;
    }
    if canvas.glyphs.braille { braille(canvas, area, values, top, role) } else { bars(canvas, area, values, top, role) }
}

/// A graph of one row: eight heights.
pub fn spark(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    if !area.is_empty() && top > 0.0 {
        bars(canvas, Rect { height: 1, ..area }, values, top, role);
    }
}

fn braille(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    // Dots of the left and the right column, bottom up (Unicode Standard, chapter 21.1: dots 7 3 2 1 and 8 6 5 4).
    const DOTS: [[u8; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
    let rows = usize::from(area.height) * 4;
    for cell in 0..area.width {
        let heights: [usize; 2] = std::array::from_fn(|side| {
            let value = values.get(usize::from(cell) * 2 + side).copied().flatten();
            value.map_or(0, |value| dots(value, top, rows))
        });
        for row in 0..area.height {
            let below = usize::from(area.height - 1 - row) * 4;
            let mut pattern = 0;
            for (side, height) in heights.iter().enumerate() {
                for (level, dot) in DOTS[side].iter().enumerate() {
                    if *height > below + level {
                        pattern |= dot;
                    }
                }
            }
            if pattern != 0 {
                let sign = char::from_u32(0x2800 + u32::from(pattern)).unwrap_or(' ');
                canvas.cell(area.x + cell, area.y + row, sign.encode_utf8(&mut [0; 4]), role);
            }
        }
    }
}

fn bars(canvas: &mut Canvas<'_>, area: Rect, values: &[Option<f32>], top: f32, role: Role) {
    let rows = usize::from(area.height) * 8;
    for (cell, value) in (0..area.width).zip(values) {
        let height = value.map_or(0, |value| dots(value, top, rows));
        for row in 0..area.height {
            let below = usize::from(area.height - 1 - row) * 8;
            if height > below {
                let sign = canvas.glyphs.bars[(height - below - 1).min(7)];
                canvas.cell(area.x + cell, area.y + row, sign, role);
            }
        }
    }
}

/// How many of `rows` a value fills; a value that is there fills at least one.
fn dots(value: f32, top: f32, rows: usize) -> usize {
    ((value.clamp(0.0, top) / top * rows as f32).round() as usize).max(1)
}
