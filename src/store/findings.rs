//! From what rules see to what needs someone: hold-for, first look, silence, and what has cleared.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::Sources;
use crate::domain::{
    Finding, FindingId, JournalEntry, JournalRecord, Moment, Observation, Severity, Silence, SourceId, Unassessed,
};

/// Something that rules see, held back until it has lasted.
#[derive(Debug, Clone)]
struct Seen {
    observation: Observation,
    first: Moment,
    /// The earliest evidence that was ever given: a window that slides on does not make the finding younger.
    earliest: Timestamp,
    open: bool,
    /// Counted in the order of first sight, so that equals keep their place on screen.
    number: u64,
}

/// Everything that needs someone, and what is being held back.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    seen: HashMap<FindingId, HashMap<Arc<str>, Seen>>,
    silences: HashMap<String, HashMap<String, Silence>>,
    unassessed: Vec<Unassessed>,
    /// Findings that cleared while they were watched, newest last.
    cleared: Vec<(Timestamp, FindingId, Arc<str>)>,
    /// Sources that had been read when rules last looked.
    looked: BTreeSet<SourceId>,
    numbered: u64,
}

impl Findings {
    /// Cleared findings that are remembered.
    pub const CLEARED_KEPT: usize = 32;

    /// Takes in what all rules see at `at`, when `sources` stood as they do. What rules no longer see is cleared: a rule
    /// that knows a clear level keeps seeing its own open finding until that is reached (see [`Findings::is_open`]).
    pub(super) fn assessed(
        &mut self,
        observations: Vec<Observation>,
        unassessed: Vec<Unassessed>,
        sources: &Sources,
        at: Moment,
    ) {
        self.unassessed = unassessed;
        let mut before = std::mem::take(&mut self.seen);
        for observation in observations {
            let mut seen = before
                .get_mut(observation.id)
                .and_then(|rule| rule.remove(&observation.subject))
                .unwrap_or_else(|| {
                    self.numbered += 1;
                    Seen {
                        observation: observation.clone(),
                        first: at,
                        earliest: at.wall,
                        open: false,
                        number: self.numbered,
                    }
                });
            seen.open |= observation.level || at.since(seen.first) >= observation.hold_for;
            seen.earliest = observation.since.map_or(seen.earliest, |since| since.min(seen.earliest));
            seen.observation = observation;
            self.seen.entry(seen.observation.id).or_default().insert(seen.observation.subject.clone(), seen);
        }
        let mut gone: Vec<Seen> =
            before.into_values().flat_map(HashMap::into_values).filter(|seen| seen.open).collect();
        gone.sort_by_key(|seen| seen.number);
        self.cleared.extend(gone.into_iter().map(|seen| (at.wall, seen.observation.id, seen.observation.subject)));
        let surplus = self.cleared.len().saturating_sub(Self::CLEARED_KEPT);
        self.cleared.drain(..surplus);
        self.looked.extend(sources.iter().filter(|(_, source)| source.last_ok.is_some()).map(|(id, _)| id));
    }

    /// Takes in that somebody silenced a finding; a later record replaces an earlier one.
    pub(super) fn silence(&mut self, record: &JournalRecord) {
        let (finding, subject, accepted, why, until) = match &record.entry {
            JournalEntry::Accept { finding, subject, until, why } => (finding, subject, true, why, *until),
            JournalEntry::Snooze { finding, subject, until, why } => (finding, subject, false, why, *until),
            JournalEntry::Note { .. }
            | JournalEntry::Visit
            | JournalEntry::ModelsReviewed
            | JournalEntry::Served(_) => return,
        };
        let silence = Silence { accepted, why: why.clone(), until, by: record.by.clone() };
        self.silences.entry(finding.clone()).or_default().insert(subject.clone(), silence);
    }

    /// Whether no rule has looked since this source was read for the first time: how long a level (disk, memory,
    /// temperature) has been where it is cannot be told then, and its hold-for counts as met.
    pub fn is_first_look(&self, source: SourceId) -> bool {
        !self.looked.contains(&source)
    }

    /// Whether this finding is open: its rule then applies its clear level instead of its limit.
    pub fn is_open(&self, id: FindingId, subject: &str) -> bool {
        self.open_severity(id, subject).is_some()
    }

    /// The severity that an open finding has now, for rules with two levels.
    pub fn open_severity(&self, id: FindingId, subject: &str) -> Option<Severity> {
        self.seen.get(id)?.get(subject).filter(|seen| seen.open).map(|seen| seen.observation.severity)
    }

    /// What was last seen of each open finding of one rule, in the order of first sight.
    pub fn open_of(&self, id: FindingId) -> Vec<&Observation> {
        let mut open: Vec<&Seen> =
            self.seen.get(id).into_iter().flat_map(HashMap::values).filter(|seen| seen.open).collect();
        open.sort_by_key(|seen| seen.number);
        open.into_iter().map(|seen| &seen.observation).collect()
    }

    /// Every open finding, worst first, then in the order in which they were first seen; silenced ones included and marked.
    pub fn all(&self, now: Moment) -> Vec<Finding> {
        let mut open: Vec<&Seen> = self.seen.values().flat_map(HashMap::values).filter(|seen| seen.open).collect();
        open.sort_by_key(|seen| (Reverse(seen.observation.severity), seen.number));
        open.into_iter().map(|seen| self.finding(seen, now)).collect()
    }

    /// The open findings that are not silenced and are worse than information.
    pub fn needing_someone(&self, now: Moment) -> Vec<Finding> {
        self.all(now)
            .into_iter()
            .filter(|finding| finding.silence.is_none() && finding.seen.severity > Severity::Info)
            .collect()
    }

    /// Rules that cannot speak yet.
    pub fn unassessed(&self) -> &[Unassessed] {
        &self.unassessed
    }

    /// Findings that cleared while they were watched, oldest first.
    pub fn cleared(&self) -> &[(Timestamp, FindingId, Arc<str>)] {
        &self.cleared
    }

    fn finding(&self, seen: &Seen, now: Moment) -> Finding {
        let silence = self
            .silences
            .get(seen.observation.id)
            .and_then(|subjects| subjects.get(&*seen.observation.subject))
            .filter(|silence| silence.until > now.wall)
            .cloned();
        Finding { seen: seen.observation.clone(), since: seen.earliest, silence }
    }
}
