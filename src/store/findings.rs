//! From what rules see to what needs someone: hold-for, first look, silence, and what has cleared.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

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

/// An open finding, as it stands in the store.
#[derive(Debug, Clone, Copy)]
pub struct OpenFinding<'a> {
    /// What was seen last.
    pub seen: &'a Observation,
    /// The earliest evidence.
    pub since: Timestamp,
    /// Set while it is silenced.
    pub silence: Option<&'a Silence>,
}

/// Everything that needs someone, and what is being held back.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    seen: HashMap<FindingId, HashMap<Arc<str>, Seen>>,
    silences: HashMap<String, HashMap<String, Silence>>,
    /// Findings and subjects that were acknowledged and have cleared, which the journal does not say yet.
    ended: BTreeSet<(String, String)>,
    /// When rules looked for the first time.
    first_look: Option<Moment>,
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

    /// An acknowledged finding that is not seen for so long after the start has cleared while nobody looked.
    const UNSEEN_ENDS: Duration = Duration::from_mins(15);

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
        for seen in &gone {
            self.end_acknowledgement(seen.observation.id, &seen.observation.subject);
        }
        if at.since(*self.first_look.get_or_insert(at)) >= Self::UNSEEN_ENDS {
            self.end_unseen();
        }
        self.cleared.extend(gone.into_iter().map(|seen| (at.wall, seen.observation.id, seen.observation.subject)));
        let surplus = self.cleared.len().saturating_sub(Self::CLEARED_KEPT);
        self.cleared.drain(..surplus);
        self.looked.extend(sources.iter().filter(|(_, source)| source.last_ok.is_some()).map(|(id, _)| id));
    }

    /// An acknowledgement ends with what it was about.
    fn end_acknowledgement(&mut self, id: &str, subject: &str) {
        let Some(subjects) = self.silences.get_mut(id) else { return };
        if subjects.get(subject).is_some_and(|silence| silence.until.is_none()) {
            subjects.remove(subject);
            self.ended.insert((id.to_owned(), subject.to_owned()));
        }
    }

    /// Ends the acknowledgements of what no rule sees, or waits to see.
    fn end_unseen(&mut self) {
        let is_seen = |id: &str, subject: &str| {
            self.seen.get(id).is_some_and(|subjects| subjects.contains_key(subject))
                || self.unassessed.iter().any(|waiting| waiting.id == id && *waiting.subject == *subject)
        };
        let all = self.silences.iter().flat_map(|(id, subjects)| {
            subjects.iter().filter(|(_, silence)| silence.until.is_none()).map(move |(subject, _)| (id, subject))
        });
        let unseen = all.filter(|(id, subject)| !is_seen(id, subject));
        let unseen: Vec<_> = unseen.map(|(id, subject)| (id.clone(), subject.clone())).collect();
        for (id, subject) in unseen {
            self.end_acknowledgement(&id, &subject);
        }
    }

    /// Findings and subjects that were acknowledged and have cleared, which the journal does not say yet.
    pub fn ended_acknowledgements(&self) -> &BTreeSet<(String, String)> {
        &self.ended
    }

    /// Takes in that somebody silenced a finding; a later record replaces an earlier one.
    pub(super) fn silence(&mut self, record: &JournalRecord) {
        let (finding, subject, accepted, why, until) = match &record.entry {
            JournalEntry::Accept { finding, subject, until, why } => (finding, subject, true, why, Some(*until)),
            JournalEntry::Snooze { finding, subject, until, why } => (finding, subject, false, why, Some(*until)),
            JournalEntry::Acknowledge { finding, subject, why } => (finding, subject, false, why, None),
            JournalEntry::Cleared { finding, subject } => {
                self.end_acknowledgement(finding, subject);
                self.ended.remove(&(finding.clone(), subject.clone()));
                return;
            }
            JournalEntry::Note { .. }
            | JournalEntry::ScheduleSigned { .. }
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

    /// Every open finding in no order, silenced ones included: for who looks each second.
    pub fn open(&self, now: Moment) -> impl Iterator<Item = OpenFinding<'_>> {
        let open = self.seen.values().flat_map(HashMap::values).filter(|seen| seen.open);
        open.map(move |seen| OpenFinding {
            seen: &seen.observation,
            since: seen.earliest,
            silence: self.silence_of(&seen.observation, now),
        })
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
        let silence = self.silence_of(&seen.observation, now).cloned();
        Finding { seen: seen.observation.clone(), since: seen.earliest, silence }
    }

    /// What silences it now.
    fn silence_of(&self, seen: &Observation, now: Moment) -> Option<&Silence> {
        let silence = self.silences.get(seen.id)?.get(&*seen.subject)?;
        silence.until.is_none_or(|until| until > now.wall).then_some(silence)
    }
}
