//! The heading of a pane: a thin rule with its title, and what belongs to it at the right end.

use ratatui::layout::Rect;

use super::super::canvas::{Canvas, Piece, width};
use super::super::theme::Role;

/// Draws a heading on the first line of `area`. The title is the accent while the pane has the focus.
pub fn heading(canvas: &mut Canvas<'_>, area: Rect, title: &str, focused: bool, right: &[Piece<'_>]) {
    if area.height == 0 || area.width < 4 {
        return;
    }
    let rule = canvas.glyphs.rule;
    canvas.repeat(area.x, area.y, area.width, rule, Role::Rule);
    let room = area.width - 4;
    canvas.put(area.x + 2, area.y, 1, " ", Role::Text);
    let end = canvas.put(
        area.x + 3,
        area.y,
        room.saturating_sub(2),
        title,
        if focused { Role::Accent } else { Role::Strong },
    );
    canvas.put(end, area.y, 1, " ", Role::Text);
    let wanted = width(right);
    let left = (area.right() - 3).saturating_sub(end + 2);
    if wanted > 0 && wanted + 2 <= left {
        let begin = area.right() - 3 - wanted - 1;
        canvas.put(begin, area.y, 1, " ", Role::Text);
        canvas.pieces(begin + 1, area.y, wanted, right);
        canvas.put(begin + 1 + wanted, area.y, 1, " ", Role::Text);
    }
}

/// What is left of an area below `taken` lines.
pub fn below(area: Rect, taken: u16) -> Rect {
    let taken = taken.min(area.height);
    Rect { y: area.y + taken, height: area.height - taken, ..area }
}

/// The area below a heading.
pub fn body(area: Rect) -> Rect {
    Rect { y: area.y.saturating_add(1), height: area.height.saturating_sub(1), ..area }
}
