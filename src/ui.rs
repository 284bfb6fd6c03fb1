//! The screen: tabs, panes, popups, keys. Drawing takes `&State` and changes nothing.
//!
//! [`Ui`] holds what belongs to the person looking (focus, cursors, filters, the open popup). [`Ui::key`] and
//! [`Ui::mouse`] turn input into a [`Command`](command::Command) and apply it; what needs the outside comes back as an
//! [`Intent`]. [`view`](screen::view) draws a [`Scene`] on a [`Canvas`](canvas::Canvas). A new tab is one file in `tabs` and one line in its registry.

mod acting;
pub mod canvas;
pub mod command;
mod crash;
pub mod filter;
pub mod format;
pub mod glyph;
mod input;
pub mod keymap;
pub mod list;
pub mod popups;
pub mod screen;
pub mod tabs;
pub mod theme;
pub mod widgets;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Size;

use crate::domain::{ContainerId, Failure, Inspection, JournalEntry, Moment, Plan};
use crate::store::State;

use canvas::Hits;
use glyph::Glyphs;
use keymap::Keymap;
use list::{ListId, ListState};
use popups::{Asked, Popup};
use tabs::{TabId, tab};
use theme::{Depth, Theme};

/// What the UI wishes and cannot do itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Leave.
    Quit,
    /// Put a text into the clipboard.
    Copy(String),
    /// Record what somebody said.
    Record(JournalEntry),
    /// Say what an action would do.
    Plan {
        /// The action's id.
        action: String,
        /// The targets as on screen.
        targets: Vec<String>,
        /// The tag that it is to lead to, if another one than that which is used.
        to: Option<String>,
    },
    /// Carry a plan out.
    Carry(Box<Plan>),
    /// End a run.
    Cancel(String),
    /// Finish what a worker that died left undone; or, with true, take back what a run did.
    TakeUp(String, bool),
    /// Open a shell in the container of this name.
    Shell(String),
    /// Read every source now.
    Refresh,
    /// Draw the whole screen anew.
    Redraw,
    /// Read the config again.
    Reload,
    /// Take the mouse, or give it back to the terminal.
    Mouse(bool),
    /// Ask the engine for all that it says of a container.
    Inspect(ContainerId),
}

/// How the screen is set up at the start.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The keys.
    pub keymap: Keymap,
    /// The theme.
    pub theme: Theme,
    /// The colours that the terminal shows.
    pub depth: Depth,
    /// The signs to use.
    pub glyphs: &'static Glyphs,
    /// The zone that times are shown in.
    pub zone: TimeZone,
    /// The first tab.
    pub tab: TabId,
    /// Clicks are taken.
    pub mouse: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// The box is made up.
    pub demo: bool,
    /// Names of models that clients use: of Ollama, and links, which begin with `/`.
    pub aliases: Vec<String>,
}

/// What the screen remembers for the person looking at it.
pub struct Ui {
    /// How it was set up; theme and mouse may change.
    pub setup: Setup,
    /// The terminal's size.
    pub size: Size,
    /// The tab that is shown.
    pub tab: TabId,
    /// The focused pane of each tab.
    panes: BTreeMap<TabId, usize>,
    /// The cursor of each list.
    lists: BTreeMap<ListId, ListState>,
    /// What is open above the tab.
    pub popup: Option<Popup>,
    /// The filter that is being typed, if one is.
    pub typing: Option<tui_input::Input>,
    /// Why the filter that is being typed cannot be read.
    pub typing_error: Option<String>,
    /// The state that is shown while frozen, and since when.
    pub frozen: Option<(Box<State>, Moment)>,
    /// The range of the graphs, an index into [`RANGES`](crate::store::RANGES).
    pub range: usize,
    /// Long log lines are wrapped.
    pub wrap: bool,
    /// The log shows the newest lines as they come.
    pub following: bool,
    /// A short message, and until when it stands.
    pub toast: Option<(String, Duration)>,
    /// Where clicks of the last drawing land.
    pub hits: Hits,
}

/// What is drawn: the state, the person's view of it, and the time.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The box.
    pub state: &'a State,
    /// The person's view.
    pub ui: &'a Ui,
    /// Now.
    pub now: Moment,
}

impl Ui {
    /// A screen as it is at the start.
    pub fn new(setup: Setup, size: Size) -> Self {
        Self {
            size,
            tab: setup.tab,
            setup,
            panes: BTreeMap::new(),
            lists: BTreeMap::new(),
            popup: None,
            typing: None,
            typing_error: None,
            frozen: None,
            range: 0,
            wrap: false,
            following: true,
            toast: None,
            hits: Hits::new(),
        }
    }

    /// The signs in use.
    pub fn glyphs(&self) -> &'static Glyphs {
        self.setup.glyphs
    }

    /// The cursor of a list.
    pub fn list(&self, id: ListId) -> &ListState {
        static UNTOUCHED: std::sync::LazyLock<ListState> = std::sync::LazyLock::new(ListState::default);
        self.lists.get(&id).unwrap_or(&UNTOUCHED)
    }

    /// The cursor of a list, to be moved.
    pub fn list_mut(&mut self, id: ListId) -> &mut ListState {
        self.lists.entry(id).or_default()
    }

    /// The list that keys go to: the popup's, else that of the focused pane.
    pub fn focused(&self) -> Option<ListId> {
        if let Some(popup) = &self.popup {
            return popup.list();
        }
        self.pane()
    }

    /// The focused pane of the present tab, whatever is open above it.
    pub fn pane(&self) -> Option<ListId> {
        let panes = tab(self.tab).panes();
        panes.get(self.panes.get(&self.tab).copied().unwrap_or(0)).copied()
    }

    /// Whether keys go to this list.
    pub fn is_focused(&self, list: ListId) -> bool {
        self.focused() == Some(list)
    }

    /// Gives the focus to a list of the present tab.
    pub fn focus(&mut self, list: ListId) {
        if let Some(index) = tab(self.tab).panes().iter().position(|pane| *pane == list) {
            self.panes.insert(self.tab, index);
        }
    }

    /// Takes in what came of asking about a container; nothing happens if nobody looks at it any more.
    pub fn inspected(&mut self, of: &ContainerId, answer: Result<Option<Inspection>, Failure>) {
        if let Some(Popup::Inspect(inspect)) = &mut self.popup
            && inspect.of == *of
        {
            inspect.asked = match answer {
                Ok(answer) => Asked::Answered(answer.map(Arc::new)),
                Err(failure) => Asked::Failed(failure),
            };
        }
    }

    /// Shows a short message.
    pub fn say(&mut self, text: impl Into<String>, now: Moment) {
        self.toast = Some((text.into(), now.mono + Duration::from_secs(4)));
    }

    /// What is drawn for `state` at `now`: the frozen state while frozen.
    pub fn scene<'a>(&'a self, state: &'a State, now: Moment) -> Scene<'a> {
        match &self.frozen {
            Some((frozen, at)) => Scene { state: frozen, ui: self, now: *at },
            None => Scene { state, ui: self, now },
        }
    }

    /// Takes away what has stood long enough at `now`.
    pub fn expire(&mut self, now: Moment) {
        if self.toast.as_ref().is_some_and(|(_, until)| *until <= now.mono) {
            self.toast = None;
        }
    }
}

impl Scene<'_> {
    /// A time of day: `09:02`.
    pub fn clock(&self, at: Timestamp) -> String {
        self.ui.setup.zone.to_datetime(at).strftime("%H:%M").to_string()
    }

    /// A time as short as it can be understood: `09:02` today, `Sat 14:20` within six days, else `28 Aug`.
    pub fn when(&self, at: Timestamp) -> String {
        let zone = &self.ui.setup.zone;
        let (at, now) = (zone.to_datetime(at), zone.to_datetime(self.now.wall));
        let days = now.date().since(at.date()).map_or(0, |span| span.get_days());
        let form = match days {
            0 => "%H:%M",
            1..=6 => "%a %H:%M",
            _ => "%-d %b",
        };
        at.strftime(form).to_string()
    }

    /// The names that containers are shown by.
    pub fn container_name(&self, id: &crate::domain::ContainerId) -> Option<Arc<str>> {
        self.state.container(id).map(|container| container.name.clone())
    }
}
