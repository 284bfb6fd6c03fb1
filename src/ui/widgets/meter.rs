//! A thin meter: a filled part and a track.

use super::super::canvas::Canvas;
use super::super::theme::Role;

/// Draws a meter of `width` cells that is filled to `ratio` (0 to 1); `None` shows the empty track of an unavailable value.
pub fn meter(canvas: &mut Canvas<'_>, x: u16, y: u16, width: u16, ratio: Option<f64>, role: Role) {
    let filled = ratio.map_or(0, |ratio| {
        let cells = (ratio.clamp(0.0, 1.0) * f64::from(width)).round() as u16;
        // Something is never shown as nothing.
        if ratio > 0.004 { cells.max(1) } else { cells }
    });
    let glyph = canvas.glyphs.meter;
    let track = canvas.glyphs.track;
    canvas.repeat(x, y, filled.min(width), glyph, role);
    canvas.repeat(x + filled.min(width), y, width.saturating_sub(filled), track, Role::Track);
}
