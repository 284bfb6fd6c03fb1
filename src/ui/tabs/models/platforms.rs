//! The orchestration platforms in containers: whether they are well, and how much of their work fails.

use ratatui::layout::Rect;

use super::super::super::Scene;
use super::super::super::canvas::{Canvas, Pieces, piece};
use super::super::super::theme::Role;
use super::super::super::widgets::rule;
use crate::domain::{Platform, PlatformHealth, Reading, units};

/// The lines that the pane wants: none without a platform.
pub(super) fn height(scene: &Scene<'_>) -> u16 {
    match scene.state.platforms.get().map_or(0, |sample| sample.platforms.len() as u16) {
        0 => 0,
        count => count + 1,
    }
}

/// Draws the pane, a line each.
pub(super) fn pane(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
    let Some(sample) = scene.state.platforms.get() else { return };
    rule::heading(canvas, area, "Platforms", false, &[]);
    let body = rule::body(area);
    for (y, platform) in (body.y..body.bottom()).zip(&sample.platforms) {
        line(canvas, Rect { y, height: 1, ..body }, scene, platform);
    }
}

fn line(canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>, platform: &Platform) {
    let glyphs = scene.ui.glyphs();
    let (sign, role, words) = match &platform.health {
        Reading::Known(PlatformHealth::NotReady { says }) => {
            (glyphs.critical, Role::Critical, format!("not ready: {says}"))
        }
        Reading::Known(PlatformHealth::Ready) => (glyphs.up, Role::Ok, "ready".to_owned()),
        Reading::Known(PlatformHealth::Answering) => (glyphs.up, Role::Ok, "answering".to_owned()),
        Reading::Unavailable(why) => (glyphs.unknown, Role::Muted, why.to_string()),
    };
    let version = platform.version.known().map(|version| format!(" {version}")).unwrap_or_default();
    let name = scene.container_name(&platform.container).map(|name| name.to_string()).unwrap_or_default();
    let left: Pieces<'_> = vec![
        piece(role, sign),
        piece(Role::Text, format!(" {}{version}", platform.kind.title())),
        piece(Role::Muted, format!(" {name}")),
    ];
    canvas.pieces(area.x + 1, area.y, 37, &left);
    let work = work(scene, platform);
    let room = area.width.saturating_sub(40);
    canvas.pieces(
        area.x + 39,
        area.y,
        room,
        &[vec![piece(if role == Role::Ok { Role::Text } else { role }, words)], work].concat(),
    );
}

/// What it did in the last quarter of an hour, else since it started.
fn work(scene: &Scene<'_>, platform: &Platform) -> Pieces<'static> {
    let kind = platform.kind;
    let recent = scene.state.platform_counters.within_window(&platform.container);
    let (counts, since) = match (recent, platform.requests.known()) {
        (Some(counts), _) => (counts, "in 15 min"),
        (None, Some(counts)) => (*counts, "since it started"),
        (None, None) => return Vec::new(),
    };
    let mut pieces = vec![piece(Role::Muted, format!("   {} {} {since}", counts.total, kind.work()))];
    if counts.failed > 0 {
        let ratio = counts.failed as f64 / counts.total.max(1) as f64;
        let role = if ratio > scene.state.thresholds.error_rate_warning { Role::Warning } else { Role::Text };
        pieces.push(piece(role, format!(", {} failed ({})", counts.failed, units::percent_fine(ratio))));
    }
    pieces
}
