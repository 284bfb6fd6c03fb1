//! Lists: which there are, what names a row, and where the cursor of each stands.
//!
//! A selection is an id, not a row number, so a re-sort never moves it onto another victim.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::{ContainerId, Endpoint, FindingId};

use super::filter::Filter;

/// A list that has a cursor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListId {
    /// Processes on the cards.
    GpuProcesses,
    /// Containers by project.
    Containers,
    /// Images of the container engine.
    Images,
    /// Its volumes.
    Volumes,
    /// Its networks.
    Networks,
    /// Inference servers.
    Engines,
    /// Models by server.
    Models,
    /// Log lines.
    Logs,
    /// Duties by cadence.
    Duties,
    /// All findings.
    Findings,
    /// Runs and records of the journal.
    Journal,
    /// Whatever the open popup lists.
    Popup,
}

/// What names a row for as long as it exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RowKey {
    /// A process on a card.
    Process(u32, Arc<str>),
    /// A compose project; `None` for single containers.
    Project(Option<Arc<str>>),
    /// A container.
    Container(ContainerId),
    /// An image, by its id.
    Image(Arc<str>),
    /// A volume of the container engine, by its name.
    Volume(Arc<str>),
    /// A network of the container engine, by its id.
    Network(Arc<str>),
    /// An inference server.
    Engine(Endpoint),
    /// A place that keeps models on disk, by its path.
    Place(Arc<str>),
    /// A model on disk that no server serves, by its path.
    Stored(Arc<str>),
    /// A model of an inference server.
    Model(Endpoint, String),
    /// A log line.
    Line(u64),
    /// The heading of a cadence.
    Cadence(&'static str),
    /// A duty.
    Duty(String),
    /// A finding.
    Finding(FindingId, Arc<str>),
    /// A run of an action.
    Run(String),
    /// An entry of a menu.
    Entry(usize),
}

/// Where the cursor of one list stands, and how the list is shown.
#[derive(Debug, Clone, Default)]
pub struct ListState {
    /// The selected row.
    pub selected: Option<RowKey>,
    /// Where it was, for when it is gone.
    pub index: usize,
    /// The first row shown.
    pub top: usize,
    /// The column that it is sorted by; `None` for its own order.
    pub sort: Option<&'static str>,
    /// Sorted the other way round.
    pub reversed: bool,
    /// Columns that were switched off.
    pub hidden: BTreeSet<&'static str>,
    /// Only rows that pass.
    pub filter: Option<Filter>,
    /// Marked rows.
    pub marked: BTreeSet<RowKey>,
    /// Closed groups.
    pub closed: BTreeSet<RowKey>,
}

impl ListState {
    /// The row number of the selection among `rows`: by its id, else where it was.
    pub fn position(&self, rows: &[RowKey]) -> Option<usize> {
        if rows.is_empty() {
            return None;
        }
        let found = self.selected.as_ref().and_then(|selected| rows.iter().position(|row| row == selected));
        Some(found.unwrap_or(self.index).min(rows.len() - 1))
    }

    /// Selects a row by its number.
    pub fn select(&mut self, rows: &[RowKey], index: usize) {
        if let Some(last) = rows.len().checked_sub(1) {
            self.index = index.min(last);
            self.selected = Some(rows[self.index].clone());
        }
    }

    /// The first row to show so that the selection is seen in `height` rows, moving as little as possible.
    pub fn first_shown(&self, position: usize, count: usize, height: usize) -> usize {
        let highest = position.saturating_sub(height.saturating_sub(1));
        self.top.clamp(highest, position).min(count.saturating_sub(height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(numbers: &[usize]) -> Vec<RowKey> {
        numbers.iter().map(|number| RowKey::Entry(*number)).collect()
    }

    #[test]
    fn a_selection_survives_a_sort() {
        let mut list = ListState::default();
        list.select(&rows(&[1, 2, 3]), 1);
        assert_eq!(list.position(&rows(&[3, 1, 2])), Some(2));
        assert_eq!(list.position(&rows(&[3, 1])), Some(1), "gone: the row that stands there now");
        assert_eq!(list.position(&[]), None);
    }

    #[test]
    fn the_window_moves_as_little_as_possible() {
        let list = ListState { top: 5, ..ListState::default() };
        assert_eq!(list.first_shown(7, 20, 4), 5);
        assert_eq!(list.first_shown(2, 20, 4), 2);
        assert_eq!(list.first_shown(12, 20, 4), 9);
        assert_eq!(list.first_shown(3, 4, 10), 0);
        assert_eq!(list.first_shown(0, 1, 0), 0);
    }
}
