//! From keys and clicks to commands, and from commands to a changed view or an [`Intent`].

use crossterm::event::{
    Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler;

use super::canvas::Hit;
use super::command::{Command, Context};
use super::filter::Filter;
use super::keymap::{Key, Keymap};
use super::list::{ListId, RowKey};
use super::popups::{self, Form, Inspect, Menu, MenuKind, Popup};
use super::tabs::{TABS, TabId, tab};
use super::{Intent, Ui};
use crate::domain::{JournalEntry, Moment};
use crate::store::{RANGES, State};

impl Ui {
    /// Takes a key press. Returns what has to be done outside.
    pub fn key(&mut self, event: KeyEvent, state: &State, now: Moment) -> Vec<Intent> {
        if event.kind == KeyEventKind::Release {
            return Vec::new();
        }
        if event.code == KeyCode::Char('c') && event.modifiers.contains(KeyModifiers::CONTROL) {
            return vec![Intent::Quit];
        }
        let key = Key::from(event);
        // What something else wrote on the screen may hide a popup too.
        if !key.is_text() && self.setup.keymap.command(key, &[Context::Global]) == Some(Command::Redraw) {
            return vec![Intent::Redraw];
        }
        self.toast = None;
        if self.typing.is_some() {
            self.type_filter(event, state, now);
            return Vec::new();
        }
        if let Some(intents) = popups::key(self, event, state, now) {
            return intents;
        }
        match self.setup.keymap.command(key, &self.contexts()) {
            Some(command) => self.command(command, state, now),
            None => Vec::new(),
        }
    }

    /// Takes a mouse event.
    pub fn mouse(&mut self, event: MouseEvent, state: &State, now: Moment) -> Vec<Intent> {
        let place = (event.column, event.row).into();
        let hit = self.hits.iter().rev().find(|(area, _)| area.contains(place)).map(|(_, hit)| hit.clone());
        match (event.kind, hit) {
            (MouseEventKind::Down(MouseButton::Left), Some(hit)) => self.clicked(hit, state, now),
            (MouseEventKind::Down(MouseButton::Left), None) if self.popup.is_some() => {
                self.popup = None;
                Vec::new()
            }
            (MouseEventKind::ScrollDown, _) => self.command(Command::Down, state, now),
            (MouseEventKind::ScrollUp, _) => self.command(Command::Up, state, now),
            _ => Vec::new(),
        }
    }

    /// Whether keys are typed into a field now, rather than mean commands.
    pub fn takes_text(&self) -> bool {
        let types = |popup: &Popup| match popup {
            Popup::Menu(_) | Popup::Form(_) => true,
            Popup::Confirm(confirm) => confirm.wants_a_name(),
            Popup::Inspect(inspect) => inspect.typing,
            _ => false,
        };
        self.typing.is_some() || self.popup.as_ref().is_some_and(types)
    }

    fn clicked(&mut self, hit: Hit, state: &State, now: Moment) -> Vec<Intent> {
        match hit {
            Hit::Tab(id) => self.tab = id,
            Hit::Row(ListId::Findings, key) if self.popup.is_none() => {
                self.popup = Some(Popup::Findings);
                self.list_mut(ListId::Findings).selected = Some(key);
            }
            Hit::Row(list, key) => {
                self.focus(list);
                let again = self.list(list).selected.as_ref() == Some(&key);
                let rows = self.rows(list, state, now);
                let index = rows.iter().position(|row| *row == key).unwrap_or(0);
                self.list_mut(list).select(&rows, index);
                self.following &= list != ListId::Logs;
                if again {
                    return self.command(Command::Open, state, now);
                }
            }
            Hit::Column(list, column) => {
                self.focus(list);
                self.sort_by(list, column);
            }
            Hit::List(list) => self.focus(list),
            Hit::Command(command) => return self.command(command, state, now),
        }
        Vec::new()
    }

    /// The contexts of the present place, most particular first. Where a finding is shown, the keys act on its subject,
    /// whatever tab lies behind.
    pub(super) fn contexts(&self) -> Vec<Context> {
        let of_tab = tab(self.tab).context();
        let (first, second) = match &self.popup {
            Some(Popup::Findings | Popup::Inspect(_)) => (None, Some(Context::Containers)),
            Some(Popup::Detail(detail)) => match detail.of {
                RowKey::Finding(..) | RowKey::Container(_) => (None, Some(Context::Containers)),
                RowKey::Image(_) => (Some(Context::Images), of_tab),
                RowKey::Volume(_) => (Some(Context::Volumes), of_tab),
                _ => (None, of_tab),
            },
            _ => match self.pane() {
                Some(ListId::Images) => (Some(Context::Images), of_tab),
                Some(ListId::Volumes) => (Some(Context::Volumes), of_tab),
                _ => (None, of_tab),
            },
        };
        first.into_iter().chain(second).chain([Context::Findings, Context::Global]).collect()
    }

    /// The rows of a list as they stand now.
    pub(super) fn rows(&self, list: ListId, state: &State, now: Moment) -> Vec<RowKey> {
        let scene = self.scene(state, now);
        match &self.popup {
            Some(popup) if popup.list() == Some(list) => popups::rows(&scene, popup),
            _ => tab(self.tab).rows(list, &scene),
        }
    }

    /// What the open detail is about, else the selected row of the focused list, by its id or where the cursor stands.
    pub fn selected(&self, state: &State, now: Moment) -> Option<RowKey> {
        if let Some(Popup::Detail(detail)) = &self.popup {
            return Some(detail.of.clone());
        }
        if let Some(Popup::Inspect(inspect)) = &self.popup {
            return Some(RowKey::Container(inspect.of.clone()));
        }
        let list = self.focused()?;
        let rows = self.rows(list, state, now);
        self.list(list).position(&rows).map(|position| rows[position].clone())
    }

    /// Gives a command.
    pub fn command(&mut self, command: Command, state: &State, now: Moment) -> Vec<Intent> {
        match command {
            Command::TabGpu
            | Command::TabContainers
            | Command::TabModels
            | Command::TabLogs
            | Command::TabChecklist => self.open_tab(command),
            Command::NextPane | Command::PreviousPane => self.move_pane(command == Command::NextPane),
            Command::Down | Command::Up | Command::PageDown | Command::PageUp | Command::Top | Command::Bottom => {
                self.move_cursor(command, state, now);
            }
            Command::Open => self.open(state, now),
            Command::Inspect => return self.inspect(state, now),
            Command::StartStop => return self.start_or_stop(state, now),
            Command::LoadUnload => return self.load_or_unload(state, now),
            Command::ReviewModels => return self.review_models(state, now),
            Command::Shell => return self.shell(state, now),
            Command::Act(_) | Command::Own(_) => {
                return command.action().map_or_else(Vec::new, |spec| self.act(spec, state, now));
            }
            Command::Views => self.next_view(),
            Command::Back => self.back(now),
            Command::Filter => self.begin_filter(),
            Command::Sort => self.next_sort(),
            Command::SortMenu => self.menu(MenuKind::Sort),
            Command::Columns => self.menu(MenuKind::Columns),
            Command::Palette => self.menu(MenuKind::Palette),
            Command::Theme => self.menu(MenuKind::Theme),
            Command::Mark => self.mark(state, now),
            Command::Findings => self.popup = Some(Popup::Findings),
            Command::Snooze | Command::Accept | Command::Acknowledge => self.silence(command, state, now),
            Command::Help => self.popup = Some(Popup::Help { top: 0 }),
            Command::Journal => self.popup = Some(Popup::Journal),
            Command::Freeze => self.freeze(state, now),
            Command::Copy => return self.copy(state, now),
            Command::Mouse => return self.toggle_mouse(now),
            Command::RangeShorter => self.range = self.range.saturating_sub(1),
            Command::RangeLonger => self.range = (self.range + 1).min(RANGES.len() - 1),
            Command::Note => self.begin_note(now),
            Command::Refresh => {
                self.say("reading everything now", now);
                return vec![Intent::Refresh];
            }
            Command::Redraw => return vec![Intent::Redraw],
            Command::Reload => return vec![Intent::Reload],
            Command::Quit => return vec![Intent::Quit],
            Command::ContainerLogs => self.container_logs(state, now),
            Command::NextError | Command::PreviousError => {
                self.move_to_error(command == Command::NextError, state, now);
            }
            Command::Wrap => self.wrap = !self.wrap,
        }
        Vec::new()
    }

    fn open_tab(&mut self, command: Command) {
        if let Some(entry) = TABS.iter().find(|entry| entry.command() == command) {
            self.tab = entry.id();
            self.popup = None;
        }
    }

    fn move_pane(&mut self, forward: bool) {
        let count = tab(self.tab).panes().len();
        if count > 0 {
            let pane = self.panes.entry(self.tab).or_default();
            *pane = (*pane + if forward { 1 } else { count - 1 }) % count;
        }
    }

    /// The next of the views of the Containers tab, from anywhere.
    fn next_view(&mut self) {
        if self.tab == TabId::Containers && self.popup.is_none() {
            self.move_pane(true);
        } else {
            (self.tab, self.popup) = (TabId::Containers, None);
        }
    }

    /// The rows of a list that were seen in the last drawing.
    fn page(&self, list: ListId) -> usize {
        let area = self.hits.iter().find_map(|(area, hit)| (*hit == Hit::List(list)).then_some(*area));
        area.map_or(10, |area| usize::from(area.height.saturating_sub(1)).max(1))
    }

    fn move_cursor(&mut self, command: Command, state: &State, now: Moment) {
        if let Some(last) = self.popup.as_ref().and_then(|popup| popups::last_top(&self.scene(state, now), popup))
            && let Some(popup) = &mut self.popup
        {
            popup.scroll(command, last);
            return;
        }
        let Some(list) = self.focused() else { return };
        let rows = self.rows(list, state, now);
        let Some(position) = self.list(list).position(&rows) else { return };
        let page = self.page(list);
        let position = if list == ListId::Logs && self.following { rows.len() - 1 } else { position };
        let target = match command {
            Command::Down => position + 1,
            Command::Up => position.saturating_sub(1),
            Command::PageDown => position + page,
            Command::PageUp => position.saturating_sub(page),
            Command::Top => 0,
            _ => rows.len() - 1,
        };
        if list == ListId::Logs {
            self.following = target + 1 >= rows.len();
        }
        self.move_to(list, &rows, target, page);
    }

    fn move_to(&mut self, list: ListId, rows: &[RowKey], target: usize, page: usize) {
        let cursor = self.list_mut(list);
        cursor.select(rows, target);
        cursor.top = cursor.first_shown(cursor.index, rows.len(), page);
    }

    fn move_to_error(&mut self, forward: bool, state: &State, now: Moment) {
        let scene = self.scene(state, now);
        let rows = self.rows(ListId::Logs, state, now);
        let here = if self.following { rows.len() } else { self.list(ListId::Logs).position(&rows).unwrap_or(0) };
        let is_error = |row: &RowKey| match row {
            RowKey::Line(number) => {
                scene.state.logs.get(*number).is_some_and(|line| line.level == crate::domain::LogLevel::Error)
            }
            _ => false,
        };
        let found = if forward {
            rows.iter().enumerate().skip(here + 1).find(|(_, row)| is_error(row))
        } else {
            rows.iter().enumerate().take(here).rev().find(|(_, row)| is_error(row))
        };
        match found.map(|(index, _)| index) {
            Some(index) => {
                self.following = false;
                let page = self.page(ListId::Logs);
                self.move_to(ListId::Logs, &rows, index, page);
            }
            None => self.say(if forward { "no later error" } else { "no earlier error" }, now),
        }
    }

    fn open(&mut self, state: &State, now: Moment) {
        let Some(selected) = self.selected(state, now) else { return };
        // A group opens and closes in place.
        if matches!(selected, RowKey::Project(_) | RowKey::Cadence(_))
            && let Some(list) = self.focused()
        {
            let closed = &mut self.list_mut(list).closed;
            if !closed.remove(&selected) {
                closed.insert(selected);
            }
            return;
        }
        let opened = tab(self.tab).open(&self.scene(state, now), &selected);
        if let Some(popup) = opened {
            self.popup = Some(popup);
        }
    }

    /// Asks the engine about the selected container, or that of the selected finding.
    fn inspect(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        let about = match self.selected(state, now) {
            Some(RowKey::Container(id)) => Some(id),
            Some(RowKey::Finding(id, subject)) => {
                let findings = self.scene(state, now).state.findings.all(now);
                let found =
                    findings.into_iter().find(|finding| finding.seen.id == id && finding.seen.subject == subject);
                found.and_then(|finding| finding.seen.container)
            }
            _ => None,
        };
        let named = about.and_then(|id| Some((self.scene(state, now).container_name(&id)?, id)));
        let Some((name, id)) = named else {
            self.say("select a container first", now);
            return Vec::new();
        };
        self.popup = Some(Popup::Inspect(Inspect::new(id.clone(), name)));
        vec![Intent::Inspect(id)]
    }

    fn back(&mut self, now: Moment) {
        if self.popup.take().is_some() {
            return;
        }
        if self.frozen.take().is_some() {
            self.say("live again", now);
            return;
        }
        if let Some(list) = self.focused() {
            let list_state = self.list_mut(list);
            if !std::mem::take(&mut list_state.marked).is_empty() {
                return;
            }
            if list_state.filter.take().is_some() {
                return;
            }
        }
        if tab(self.tab).has_views() {
            self.panes.remove(&self.tab);
        }
        self.following = true;
    }

    fn begin_filter(&mut self) {
        let Some(list) = self.focused() else { return };
        let typed = self.list(list).filter.as_ref().map(|filter| filter.typed.clone()).unwrap_or_default();
        self.typing = Some(Input::new(typed));
        self.typing_error = None;
    }

    fn type_filter(&mut self, event: KeyEvent, state: &State, now: Moment) {
        let Some(list) = self.focused() else {
            self.typing = None;
            return;
        };
        match event.code {
            KeyCode::Enter => {
                self.typing = None;
                self.typing_error = None;
            }
            KeyCode::Esc => {
                self.typing = None;
                self.typing_error = None;
                self.list_mut(list).filter = None;
            }
            KeyCode::Down | KeyCode::Up => {
                let command = if event.code == KeyCode::Down { Command::Down } else { Command::Up };
                self.move_cursor(command, state, now);
            }
            _ => {
                let Some(input) = &mut self.typing else { return };
                input.handle_event(&TerminalEvent::Key(event));
                match Filter::parse(input.value(), tab(self.tab).fields(list)) {
                    Ok(filter) => {
                        self.typing_error = None;
                        self.list_mut(list).filter = filter;
                    }
                    Err(error) => self.typing_error = Some(error.to_string()),
                }
            }
        }
    }

    fn next_sort(&mut self) {
        let Some(list) = self.focused() else { return };
        let columns = tab(self.tab).columns(list);
        let current = self.list(list).sort.and_then(|id| columns.iter().position(|(column, _)| *column == id));
        let next = current.map_or(0, |index| index + 1);
        let cursor = self.list_mut(list);
        cursor.sort = columns.get(next).map(|(id, _)| *id);
        cursor.reversed = false;
    }

    /// Sorts by a column; a second time, the other way round.
    pub(super) fn sort_by(&mut self, list: ListId, column: &'static str) {
        let cursor = self.list_mut(list);
        cursor.reversed = cursor.sort == Some(column) && !cursor.reversed;
        cursor.sort = Some(column);
    }

    /// Opens a menu about the focused list.
    pub(super) fn menu(&mut self, kind: MenuKind) {
        let list = self.focused();
        if matches!(kind, MenuKind::Sort | MenuKind::Columns)
            && list.is_none_or(|list| tab(self.tab).columns(list).is_empty())
        {
            return;
        }
        *self.list_mut(ListId::Popup) = super::list::ListState::default();
        self.popup = Some(Popup::Menu(Menu { kind, of: list, typed: Input::default() }));
    }

    fn mark(&mut self, state: &State, now: Moment) {
        let Some(selected) = self.selected(state, now) else { return };
        let Some(list) = self.focused() else { return };
        let marked = &mut self.list_mut(list).marked;
        if !marked.remove(&selected) {
            marked.insert(selected);
        }
        self.move_cursor(Command::Down, state, now);
    }

    fn silence(&mut self, command: Command, state: &State, now: Moment) {
        if self.setup.read_only {
            self.say("read-only: nothing is snoozed, accepted or acknowledged", now);
            return;
        }
        let scene = self.scene(state, now);
        let finding = match self.selected(state, now) {
            Some(RowKey::Finding(id, subject)) => Some((id, subject)),
            Some(RowKey::Container(id)) => {
                let findings = scene.state.findings.needing_someone(scene.now);
                findings
                    .into_iter()
                    .find(|finding| finding.seen.container.as_ref() == Some(&id))
                    .map(|finding| (finding.seen.id, finding.seen.subject))
            }
            _ => scene
                .state
                .findings
                .needing_someone(scene.now)
                .into_iter()
                .next()
                .map(|finding| (finding.seen.id, finding.seen.subject)),
        };
        match finding {
            Some((id, subject)) => self.popup = Some(Popup::Form(Form::silence(command, id, subject))),
            None => self.say("nothing to put aside: there is no finding", now),
        }
    }

    fn begin_note(&mut self, now: Moment) {
        if self.setup.read_only {
            self.say("read-only: no note is written", now);
        } else {
            self.popup = Some(Popup::Form(Form::note()));
        }
    }

    /// Signs that what is new of the models that are watched was looked through.
    fn review_models(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        let against = if self.setup.read_only {
            "read-only: nothing is signed"
        } else if self.setup.demo {
            "a demo keeps nothing"
        } else if state.watched_families().is_empty() {
            "no family of models is watched: name some under [models] watch in the config"
        } else {
            return vec![Intent::Record(JournalEntry::ModelsReviewed)];
        };
        self.say(against, now);
        Vec::new()
    }

    fn freeze(&mut self, state: &State, now: Moment) {
        if self.frozen.take().is_none() {
            self.frozen = Some((Box::new(state.clone()), now));
        }
    }

    fn copy(&mut self, state: &State, now: Moment) -> Vec<Intent> {
        let text = self.selected(state, now).and_then(|selected| {
            let scene = self.scene(state, now);
            match &self.popup {
                Some(popup) => popups::copy(&scene, popup, &selected),
                None => tab(self.tab).copy(&scene, &selected),
            }
        });
        let Some(text) = text else {
            self.say("nothing to copy here", now);
            return Vec::new();
        };
        self.say(format!("copied: {}", text.lines().next().unwrap_or_default()), now);
        vec![Intent::Copy(text)]
    }

    fn toggle_mouse(&mut self, now: Moment) -> Vec<Intent> {
        self.setup.mouse = !self.setup.mouse;
        self.say(
            if self.setup.mouse {
                "mouse on: hold Shift to select text"
            } else {
                "mouse off: the terminal selects text"
            },
            now,
        );
        vec![Intent::Mouse(self.setup.mouse)]
    }

    /// Goes to the log of the selected container (or of the finding's).
    fn container_logs(&mut self, state: &State, now: Moment) {
        let scene = self.scene(state, now);
        let container = match self.selected(state, now) {
            Some(RowKey::Container(id)) => scene.state.container(&id),
            Some(RowKey::Finding(_, subject)) => scene
                .state
                .containers()
                .iter()
                .find(|container| container.name == subject)
                .map(|container| &**container),
            _ => None,
        };
        let Some(name) = container.map(|container| container.name.to_string()) else {
            self.say("select a container first", now);
            return;
        };
        self.popup = None;
        self.tab = TabId::Logs;
        self.following = true;
        let typed = format!("source={name}");
        if let Ok(filter) = Filter::parse(&typed, tab(TabId::Logs).fields(ListId::Logs)) {
            self.list_mut(ListId::Logs).filter = filter;
        }
    }
}

/// Every command with its key, for the palette: most used order is that of [`Command`].
pub(super) fn palette_commands(keymap: &Keymap) -> impl Iterator<Item = Command> {
    let left_out =
        |command: &Command| matches!(command, Command::Palette | Command::Back | Command::Up | Command::Down);
    keymap.iter().map(|(command, _)| command).filter(move |command| !left_out(command))
}
