//! What a key can mean. Names are the config's names; texts are what help, palette and footer show.

use std::str::FromStr;

use strum::IntoEnumIterator;

use crate::domain::{ACTIONS, ActionId, ActionSpec, Subject};

/// Where a command can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::EnumIter)]
pub enum Context {
    /// Everywhere.
    Global,
    /// In the list of findings.
    Findings,
    /// On the Containers tab.
    Containers,
    /// In its list of images.
    Images,
    /// In its list of volumes.
    Volumes,
    /// On the Models tab.
    Models,
    /// On the Logs tab.
    Logs,
}

impl Context {
    /// The heading in help.
    pub fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Findings => "Findings",
            Self::Containers => "Containers",
            Self::Images => "Images",
            Self::Volumes => "Volumes",
            Self::Models => "Models",
            Self::Logs => "Logs",
        }
    }
}

/// Something that the person at the keyboard wants.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::EnumIter, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Command {
    /// The GPU tab.
    TabGpu,
    /// The Containers tab.
    TabContainers,
    /// The Models tab.
    TabModels,
    /// The Logs tab.
    TabLogs,
    /// The Checklist tab.
    TabChecklist,
    /// The next pane of the tab.
    NextPane,
    /// The pane before.
    PreviousPane,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// The first row.
    Top,
    /// The last row.
    Bottom,
    /// Open what is selected.
    Open,
    /// Back by one level.
    Back,
    /// Filter the list.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Choose the column to sort by.
    SortMenu,
    /// Choose the columns to show.
    Columns,
    /// Mark the row.
    Mark,
    /// All findings.
    Findings,
    /// Put a finding aside for a while.
    Snooze,
    /// Accept a finding, with a reason and an end.
    Accept,
    /// Say that one knows of a finding: it is silent until it clears.
    Acknowledge,
    /// The palette of all commands.
    Palette,
    /// Keys valid here.
    Help,
    /// Freeze the screen; reading goes on.
    Freeze,
    /// Copy what is selected.
    Copy,
    /// Give the mouse back to the terminal.
    Mouse,
    /// A shorter range of the graphs.
    RangeShorter,
    /// A longer range of the graphs.
    RangeLonger,
    /// Write a note.
    Note,
    /// What was accepted, snoozed, acknowledged and noted.
    Journal,
    /// Choose a theme.
    Theme,
    /// Read every source now.
    Refresh,
    /// Draw the whole screen anew: something else wrote on it.
    Redraw,
    /// Read the config again.
    Reload,
    /// Leave.
    Quit,
    /// The logs of the selected container.
    ContainerLogs,
    /// All that the engine says of the selected container.
    Inspect,
    /// Start the selected container, or stop it.
    StartStop,
    /// A shell in the selected container.
    Shell,
    /// Images, volumes, networks and build cache, one after the other.
    Views,
    /// Load the selected model, or unload it.
    LoadUnload,
    /// Sign that one looked through what is new of the models that are watched.
    ReviewModels,
    /// The next error.
    NextError,
    /// The error before.
    PreviousError,
    /// Wrap long lines, or cut them.
    Wrap,
    /// A maintenance action.
    #[strum(disabled)]
    Act(ActionId),
    /// One of the operator's own.
    #[strum(disabled)]
    Own(&'static ActionSpec),
}

impl Command {
    /// Every command that hostler has, the actions last.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::iter().chain(ACTIONS.iter().map(|spec| Self::Act(spec.id)))
    }

    /// Whether it is one of the operator's own actions.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Its name in the config, such as `next-error`; an action's is its id.
    pub fn name(self) -> &'static str {
        match self {
            Self::Act(id) => id,
            Self::Own(spec) => spec.id,
            other => other.into(),
        }
    }

    /// The command with this name.
    pub fn named(name: &str) -> Option<Self> {
        let action = || ActionSpec::named(name).map(|spec| Self::Act(spec.id));
        Self::from_str(name).ok().or_else(action)
    }

    /// The action that it is.
    pub fn action(self) -> Option<&'static ActionSpec> {
        match self {
            Self::Act(id) => ActionSpec::named(id),
            Self::Own(spec) => Some(spec),
            _ => None,
        }
    }

    /// Where it can be given.
    pub fn context(self) -> Context {
        match self {
            Self::Act(_) | Self::Own(_) => match self.action().map(|spec| spec.on) {
                Some(Subject::Box) | None => Context::Global,
                Some(Subject::Container) => Context::Containers,
                Some(Subject::Image) => Context::Images,
                Some(Subject::Volume) => Context::Volumes,
                Some(Subject::Model) => Context::Models,
            },
            Self::ContainerLogs | Self::Inspect | Self::Views | Self::StartStop | Self::Shell => Context::Containers,
            Self::LoadUnload | Self::ReviewModels => Context::Models,
            Self::NextError | Self::PreviousError | Self::Wrap => Context::Logs,
            Self::Snooze | Self::Accept | Self::Acknowledge => Context::Findings,
            _ => Context::Global,
        }
    }

    /// What it does, in a word, for the footer.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Sort => "sort",
            Self::RangeShorter => "shorter",
            Self::RangeLonger => "longer",
            Self::NextError => "next error",
            Self::PreviousError => "previous",
            Self::Wrap => "wrap",
            Self::Bottom => "newest",
            Self::StartStop => "start/stop",
            Self::LoadUnload => "load/unload",
            other => other.title(),
        }
    }

    /// What it does, in two to five words.
    pub fn title(self) -> &'static str {
        match self {
            Self::TabGpu => "GPU",
            Self::TabContainers => "Containers",
            Self::TabModels => "Models",
            Self::TabLogs => "Logs",
            Self::TabChecklist => "Checklist",
            Self::NextPane => "next pane",
            Self::PreviousPane => "previous pane",
            Self::Down => "down",
            Self::Up => "up",
            Self::PageDown => "page down",
            Self::PageUp => "page up",
            Self::Top => "first row",
            Self::Bottom => "last row",
            Self::Open => "detail",
            Self::Back => "back",
            Self::Filter => "filter",
            Self::Sort => "sort by the next column",
            Self::SortMenu => "sort by …",
            Self::Columns => "columns",
            Self::Mark => "mark",
            Self::Findings => "all findings",
            Self::Snooze => "snooze",
            Self::Accept => "accept",
            Self::Acknowledge => "acknowledge",
            Self::Palette => "command",
            Self::Help => "help",
            Self::Freeze => "freeze",
            Self::Copy => "copy",
            Self::Mouse => "mouse on or off",
            Self::RangeShorter => "shorter range",
            Self::RangeLonger => "longer range",
            Self::Note => "note",
            Self::Journal => "journal",
            Self::StartStop => "start or stop",
            Self::LoadUnload => "load or unload",
            Self::ReviewModels => "models reviewed",
            Self::Shell => "shell",
            Self::Act(_) | Self::Own(_) => self.action().map_or("", |spec| spec.title),
            Self::Theme => "theme",
            Self::Refresh => "read everything now",
            Self::Redraw => "draw the screen anew",
            Self::Reload => "read the config again",
            Self::Quit => "quit",
            Self::ContainerLogs => "logs",
            Self::Inspect => "inspect",
            Self::Views => "images, volumes, cache",
            Self::NextError => "next error",
            Self::PreviousError => "previous error",
            Self::Wrap => "wrap long lines",
        }
    }
}
