//! The frame around every tab: title, tab line, vitals, the strip of what needs somebody, footer; and what is shown when
//! there is no room for any of it.

mod chrome;
mod strip;
mod vitals;

pub use chrome::severity_role;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Scene;
use super::canvas::{Canvas, Hits, piece, width};
use super::popups;
use super::tabs::tab;
use super::theme::Role;
use crate::domain::Verdict;
use crate::store::verdict;

/// Where the parts of the screen lie at a given size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Host, verdict, clock.
    pub title: Rect,
    /// The tab line.
    pub tabs: Rect,
    /// The vitals line.
    pub vitals: Rect,
    /// What needs somebody.
    pub strip: Rect,
    /// The tab.
    pub body: Rect,
    /// Keys.
    pub footer: Rect,
}

/// Below this size a tab cannot be told; one line is.
pub const SMALLEST: (u16, u16) = (60, 15);

/// The most findings in the strip.
const STRIP_FINDINGS: usize = 3;

/// Lays the screen out; `None` where it is too small for anything but a line.
pub fn layout(area: Rect, findings: usize) -> Option<Layout> {
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return None;
    }
    let roomy = area.height >= 30;
    let row = |y: u16, height: u16| Rect { x: area.x, y: area.y + y, width: area.width, height };
    // The tab has a margin of one cell at both sides; bars reach from edge to edge.
    let inset = |area: Rect| Rect { x: area.x + 1, width: area.width - 2, ..area };
    let gap = u16::from(roomy);
    let most = if area.height < 20 { 1 } else { STRIP_FINDINGS };
    let strip = findings.clamp(1, most) as u16;
    let top = 3 + gap + strip + 1;
    Some(Layout {
        title: row(0, 1),
        tabs: row(1, 1),
        vitals: row(2, 1),
        strip: row(3 + gap, strip),
        body: inset(row(top, area.height - top - 1)),
        footer: row(area.height - 1, 1),
    })
}

/// Draws everything. The only output besides the buffer is where clicks land.
pub fn view(buffer: &mut Buffer, scene: &Scene<'_>) -> Hits {
    let mut canvas = Canvas::new(buffer, &scene.ui.setup.theme, scene.ui.setup.glyphs);
    let area = canvas.area();
    let findings = strip::lines(scene);
    let Some(layout) = layout(area, findings.len()) else {
        one_line(&mut canvas, area, scene);
        return canvas.into_hits();
    };
    chrome::title(&mut canvas, layout.title, scene);
    chrome::tabs(&mut canvas, layout.tabs, scene);
    vitals::vitals(&mut canvas, layout.vitals, scene);
    strip::strip(&mut canvas, layout.strip, scene, &findings);
    tab(scene.ui.tab).view(&mut canvas, layout.body, scene);
    chrome::footer(&mut canvas, layout.footer, scene);
    if let Some(popup) = &scene.ui.popup {
        canvas.forget_hits();
        if popup.covers() {
            let behind = Rect { y: layout.strip.y, height: layout.footer.y.saturating_sub(layout.strip.y), ..area };
            canvas.tint(behind, Role::Faint);
        }
        popups::view(&mut canvas, area, scene, popup);
    }
    canvas.into_hits()
}

/// The verdict and the worst findings, as many as there are lines for.
fn one_line(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let verdict = verdict(scene.state, scene.now);
    let role = chrome::verdict_role(verdict);
    let sign = canvas.glyphs.verdict(verdict);
    // The sign is a piece of its own: it is all that one cell can hold.
    let demo = if scene.ui.setup.demo { "  DEMO" } else { "" };
    let first = [piece(role, sign), piece(role, format!(" {verdict}")), piece(Role::Warning, demo)];
    let end = canvas.pieces(area.x, area.y, area.width, &first);
    let host = scene.state.host.get().map_or_else(String::new, |host| format!("  {}", host.facts.name));
    let host = [piece(Role::Muted, host)];
    if width(&host) <= area.right().saturating_sub(end) {
        canvas.pieces(end, area.y, width(&host), &host);
    }
    if let (Verdict::Unknown, Some(unread)) = (verdict, strip::unread(scene)) {
        canvas.pieces(area.x, area.y + 1, if area.height > 1 { area.width } else { 0 }, &[piece(Role::Muted, unread)]);
    }
    for (line, finding) in (1..area.height).zip(scene.state.findings.needing_someone(scene.now)) {
        let sign = canvas.glyphs.severity(finding.seen.severity);
        let role = chrome::severity_role(finding.seen.severity);
        let text = format!(" {} {}", finding.seen.subject, finding.seen.title);
        canvas.pieces(area.x, area.y + line, area.width, &[piece(role, sign), piece(Role::Text, text)]);
    }
}
