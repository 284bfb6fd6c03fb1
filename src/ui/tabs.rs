//! The five tabs. Adding one is one file here, one [`TabId`] and one line in [`TABS`].

mod checklist;
mod containers;
mod gpu;
mod logs;
pub(super) mod models;

use ratatui::layout::Rect;

use super::Scene;
use super::canvas::{Canvas, Pieces};
use super::command::{Command, Context};
use super::list::{ListId, RowKey};
use super::popups::Popup;

/// A tab's name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::EnumIter, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum TabId {
    /// Cards, processes, host.
    Gpu,
    /// Compose projects and containers.
    Containers,
    /// Inference servers and models.
    Models,
    /// The merged log.
    Logs,
    /// The routine.
    Checklist,
}

/// What every tab can do. All of it is pure.
pub trait Tab: Sync {
    /// Which tab it is.
    fn id(&self) -> TabId;
    /// Its title.
    fn title(&self) -> &'static str;
    /// The command that opens it.
    fn command(&self) -> Command;
    /// The context of its own keys, if it has any.
    fn context(&self) -> Option<Context> {
        None
    }
    /// What is wrong in it, in two or three cells; empty when nothing is.
    fn badge(&self, scene: &Scene<'_>) -> Pieces<'static>;
    /// Its lists, in the order of `Tab`.
    fn panes(&self) -> &'static [ListId];
    /// Its panes are views of which one is shown at a time.
    fn has_views(&self) -> bool {
        false
    }
    /// The commands that its footer offers.
    fn hints(&self) -> &'static [Command];
    /// The same while one of its panes has the focus.
    fn hints_in(&self, _pane: Option<ListId>) -> &'static [Command] {
        self.hints()
    }
    /// The rows of one of its lists, as they are sorted and filtered now.
    fn rows(&self, list: ListId, scene: &Scene<'_>) -> Vec<RowKey>;
    /// The columns of one of its lists: id and title.
    fn columns(&self, _list: ListId) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
    /// The typed fields that a filter of this list knows.
    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        &[]
    }
    /// What `Enter` opens.
    fn open(&self, _scene: &Scene<'_>, _selected: &RowKey) -> Option<Popup> {
        None
    }
    /// What `y` copies.
    fn copy(&self, _scene: &Scene<'_>, _selected: &RowKey) -> Option<String> {
        None
    }
    /// Draws it.
    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>);
}

/// The tabs, in the order of their keys.
pub const TABS: &[&dyn Tab] =
    &[&gpu::Gpu, &containers::Containers, &models::Models, &logs::Logs, &checklist::Checklist];

/// The tab with this id.
pub fn tab(id: TabId) -> &'static dyn Tab {
    TABS.iter().copied().find(|tab| tab.id() == id).unwrap_or(TABS[0])
}

/// A badge for findings of `ids` (by prefix): the worst of them and how many.
fn finding_badge(scene: &Scene<'_>, prefixes: &[&str]) -> Pieces<'static> {
    use super::canvas::piece;
    use super::theme::Role;
    use crate::domain::Severity;
    let findings = scene.state.findings.needing_someone(scene.now);
    let mine: Vec<Severity> = findings
        .iter()
        .filter(|finding| prefixes.iter().any(|prefix| finding.seen.id.starts_with(prefix)))
        .map(|finding| finding.seen.severity)
        .collect();
    match mine.iter().max() {
        Some(worst) => {
            let role = if *worst == Severity::Critical { Role::Critical } else { Role::Warning };
            vec![piece(role, format!("{}{}", scene.ui.glyphs().severity(*worst), mine.len()))]
        }
        None => Vec::new(),
    }
}
