//! The log lines that are kept, bounded in number and bytes.
//!
//! Lines stand in the order of their own time; they are numbered in the order in which they came, and a number is never
//! given twice. So a number names a line for as long as it is kept, whatever comes in before or behind it and whatever
//! goes: a screen that holds on to a number does not jump.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::domain::{Container, ContainerId, LogBatch, LogLevel, LogLine, LogOrigin};

/// The newest lines of all followed containers, oldest first.
#[derive(Debug, Clone, Default)]
pub struct LogRing {
    lines: VecDeque<Numbered>,
    bytes: usize,
    /// The number that the next line gets.
    end: u64,
    /// Lines that came faster than they could be taken.
    pub dropped: u64,
    /// Containers whose log is being read.
    pub followed: usize,
    stats: HashMap<ContainerId, (Arc<LogOrigin>, LogStats)>,
}

/// A line and its number.
#[derive(Debug, Clone)]
struct Numbered {
    number: u64,
    line: LogLine,
}

/// What one container wrote since hostler began to follow it, without what was there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Lines.
    pub lines: u64,
    /// Lines that say they are errors.
    pub errors: u64,
    /// Lines that say they are warnings.
    pub warnings: u64,
}

impl LogRing {
    /// Lines that are kept.
    pub const LINES: usize = 10_000;
    /// Bytes of text that are kept.
    pub const BYTES: usize = 3 << 20;
    /// A line that is later than this against the newest one stays where it came: then the clock was set back, and by
    /// their time the new lines would hide behind the old ones.
    pub const LATENESS: SignedDuration = SignedDuration::from_secs(5);
    /// Records of containers that exist no more are kept beside those of as many as exist.
    const STATS_OF_GONE: usize = 64;

    /// Adds lines and lets the oldest go.
    pub fn push(&mut self, batch: LogBatch) {
        self.dropped += batch.dropped;
        if self.lines.capacity() == 0 {
            // In one piece, so that growing never holds two copies; what is not written to takes no memory.
            self.lines.reserve_exact(Self::LINES + 1);
        }
        if batch.backlog {
            self.merge(batch.lines);
        } else {
            for line in batch.lines {
                self.count(&line);
                self.insert(line);
                self.evict();
            }
        }
    }

    /// Puts a line that has just been written to its place, which is at or near the end.
    fn insert(&mut self, line: LogLine) {
        let newest = self.lines.back().map_or(line.at, |kept| kept.line.at);
        let late = if line.at >= newest || newest.duration_since(line.at) > Self::LATENESS {
            0
        } else {
            let later = |kept: &&Numbered| kept.line.at > line.at;
            self.lines.iter().rev().take_while(later).count()
        };
        let numbered = self.numbered(line);
        self.lines.insert(self.lines.len() - late, numbered);
    }

    /// Puts lines from before their container was followed to their places, however far back, in one go.
    fn merge(&mut self, mut older: Vec<LogLine>) {
        older.sort_by_key(|line| line.at);
        // What would have to go at once is not taken in the first place, so that the ring does not outgrow its memory.
        let surplus = (self.len() + older.len()).saturating_sub(Self::LINES);
        let mut older = older.into_iter().peekable();
        for _ in 0..surplus {
            let oldest_kept = self.lines.front().map(|kept| kept.line.at);
            if older.peek().is_some_and(|line| oldest_kept.is_none_or(|kept| line.at <= kept)) {
                older.next();
            } else {
                self.pop_oldest();
            }
        }
        let Some(oldest) = older.peek().map(|line| line.at) else {
            return;
        };
        let before = self.lines.partition_point(|kept| kept.line.at <= oldest);
        let mut later = self.lines.split_off(before).into_iter().peekable();
        for line in older {
            while let Some(next) = later.next_if(|next| next.line.at <= line.at) {
                self.lines.push_back(next);
            }
            let numbered = self.numbered(line);
            self.lines.push_back(numbered);
        }
        self.lines.extend(later);
        self.evict();
    }

    fn numbered(&mut self, line: LogLine) -> Numbered {
        self.bytes += line.text.len();
        let number = self.end;
        self.end += 1;
        Numbered { number, line }
    }

    fn evict(&mut self) {
        while self.lines.len() > Self::LINES || self.bytes > Self::BYTES {
            self.pop_oldest();
        }
    }

    fn pop_oldest(&mut self) {
        if let Some(gone) = self.lines.pop_front() {
            self.bytes -= gone.line.text.len();
        }
    }

    fn count(&mut self, line: &LogLine) {
        let (origin, stats) = match self.stats.get_mut(&line.origin.container) {
            Some(known) => known,
            None => self
                .stats
                .entry(line.origin.container.clone())
                .or_insert_with(|| (line.origin.clone(), LogStats::default())),
        };
        if !Arc::ptr_eq(origin, &line.origin) {
            *origin = line.origin.clone();
        }
        stats.lines += 1;
        stats.errors += u64::from(line.level == LogLevel::Error);
        stats.warnings += u64::from(line.level == LogLevel::Warning);
    }

    /// Forgets what containers wrote that exist no more, once there are many of them.
    pub fn forget_gone(&mut self, existing: &[Arc<Container>]) {
        if self.stats.len() > existing.len() + Self::STATS_OF_GONE {
            self.stats.retain(|id, _| existing.iter().any(|container| container.id == *id));
        }
    }

    /// The lines, oldest first, each with its number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &LogLine)> + ExactSizeIterator + Clone {
        self.lines.iter().map(Numbered::pair)
    }

    /// The line with this number, while it is kept.
    pub fn get(&self, number: u64) -> Option<&LogLine> {
        self.position(number).map(|at| &self.lines[at].line)
    }

    /// Where the line with this number stands: near the place that it would have if none had come late, so the search goes
    /// outwards from there.
    fn position(&self, number: u64) -> Option<usize> {
        let behind = usize::try_from(self.end.checked_sub(number)?).ok()?;
        let guess = self.len().saturating_sub(behind);
        let is_it = |at: &usize| self.lines.get(*at).is_some_and(|kept| kept.number == number);
        (0..=self.len()).flat_map(|distance| [guess + distance, guess.wrapping_sub(distance)]).find(is_it)
    }

    /// The number of the oldest line kept; that of the next line if none is.
    pub fn first_number(&self) -> u64 {
        self.lines.front().map_or(self.end, |oldest| oldest.number)
    }

    /// The number that the next line gets: how many have come in all. It changes whenever a line does.
    pub fn end_number(&self) -> u64 {
        self.end
    }

    /// How many lines are kept.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether no line is kept.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Bytes of text that are kept, at most [`Self::BYTES`].
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What each container wrote.
    pub fn stats(&self) -> impl Iterator<Item = (&LogOrigin, LogStats)> {
        self.stats.values().map(|(origin, stats)| (&**origin, *stats))
    }
}

impl Numbered {
    fn pair(&self) -> (u64, &LogLine) {
        (self.number, &self.line)
    }
}

#[cfg(test)]
mod tests;
