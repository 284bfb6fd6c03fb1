//! The log files of the json-file driver, all of them in one turn: what each container wrote since the turn before.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::record::Lines;
use crate::domain::{ContainerId, LogLine, LogOrigin};
use crate::host::{FirstLook, RootedFs, Tail, TailLimits, Tailer};

/// A container whose log file is to be followed.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) origin: Arc<LogOrigin>,
    /// The file, as on the machine.
    pub(super) path: String,
    /// Something may be written to it now.
    pub(super) is_up: bool,
    /// It was made since logs are followed, so that all of its log is news.
    pub(super) is_new: bool,
}

/// What one turn gave.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Lines that were written since the turn before, and the last ones of logs that were not followed before.
    pub(super) lines: Vec<LogLine>,
    /// Lines that were passed over, because too many came at once, and records that nobody understands.
    pub(super) dropped: u64,
    /// Containers whose file cannot be followed, and why.
    pub(super) refused: Vec<(ContainerId, String)>,
}

/// All files that are followed.
#[derive(Debug)]
pub(super) struct Files {
    tailer: Tailer,
    followed: Vec<Followed>,
    turn: usize,
}

#[derive(Debug)]
struct Followed {
    tail: Tail,
    lines: Lines,
    /// How much of it is read when it is looked at for the first time; `None` from then on.
    first: Option<FirstLook>,
    /// Turns in which it is still looked at.
    turns_left: u32,
    /// Looks since it grew.
    quiet: u32,
    /// Turns since the last look.
    waited: u32,
}

impl Files {
    /// Files that are kept open. The others are looked at by their path, which costs a microsecond more a turn; the usual
    /// limit is 1,024 handles, and a container's control group takes two.
    const HANDLES: usize = 128;

    /// What is read of one file in one turn, bytes.
    const FILE_BYTES: u64 = 256 << 10;

    /// What one file may be behind, bytes, so that a burst is read over a second or two; one that grows faster for longer is
    /// skipped ahead.
    const BEHIND_BYTES: u64 = 2 << 20;

    /// What is read in one turn in all, bytes; files that come too late in it are read in the next one.
    const TURN_BYTES: u64 = 512 << 10;

    /// Turns in which a container that has ended is still looked at, for its last words.
    const LINGER: u32 = 20;

    /// Turns after which a quiet file is looked at in every fourth one only.
    const QUIET: u32 = 40;

    /// Turns after which a line that was never ended is shown all the same.
    const UNENDED: u32 = 4;

    pub(super) fn new(fs: RootedFs) -> Self {
        Self { tailer: Tailer::new(fs, Self::HANDLES), followed: Vec::new(), turn: 0 }
    }

    /// Reads what was added to each file, after taking up the files that are to be followed from now on, if they changed.
    pub(super) fn turn(&mut self, targets: Option<Vec<Target>>) -> Gathered {
        if let Some(targets) = targets {
            self.aim(targets);
        }
        let mut gathered = Gathered::default();
        let mut bytes_left = Self::TURN_BYTES;
        let count = self.followed.len();
        self.turn = (self.turn + 1) % count.max(1);
        for index in 0..count {
            // Another one comes first in each turn, so that none is always the one for which nothing is left.
            let file = &mut self.followed[(index + self.turn) % count];
            file.waited += 1;
            let is_due = file.quiet < Self::QUIET || file.waited >= 4;
            let has_room = bytes_left > 0 || file.first.is_some();
            if file.turns_left == 0 || !is_due || !has_room {
                continue;
            }
            match file.read(&mut self.tailer, &mut gathered) {
                Ok(bytes) => bytes_left = bytes_left.saturating_sub(bytes),
                Err(error) => gathered.refused.push((file.lines.origin().container.clone(), error.to_string())),
            }
        }
        let refused = &gathered.refused;
        self.followed.retain(|file| !refused.iter().any(|(id, _)| *id == file.lines.origin().container));
        gathered
    }

    /// Follows these files: goes on where one was followed before, and begins with the last lines of a new one.
    fn aim(&mut self, targets: Vec<Target>) {
        let mut before: HashMap<ContainerId, Followed> =
            self.followed.drain(..).map(|file| (file.lines.origin().container.clone(), file)).collect();
        let first = last_lines(targets.iter().filter(|target| target.is_up).count());
        for target in targets {
            let known = before.remove(&target.origin.container);
            let is_same = |file: &Followed| file.tail.path().as_os_str() == &*target.path;
            let mut file = match known.filter(is_same) {
                Some(file) => file,
                // A new one may have ended before it was ever seen to run.
                None if target.is_up || target.is_new => Followed::new(&target, first),
                None => continue,
            };
            file.lines.rename(target.origin);
            file.turns_left = match (target.is_up, file.turns_left) {
                (true, _) => u32::MAX,
                (false, left) => left.min(Self::LINGER),
            };
            self.followed.push(file);
        }
    }
}

/// How much of each file is read that was there before: less where there are many, because what is kept in the end is
/// bounded.
fn last_lines(files: usize) -> FirstLook {
    const LINES_IN_ALL: usize = 8_000;
    const LINE_BYTES: u64 = 330;
    let lines = (LINES_IN_ALL / files.max(1)).clamp(20, super::FIRST_LINES as usize);
    FirstLook::Last { lines, bytes: lines as u64 * LINE_BYTES }
}

impl Followed {
    fn new(target: &Target, before: FirstLook) -> Self {
        Self {
            tail: Tail::new(&target.path),
            lines: Lines::new(target.origin.clone()),
            first: Some(if target.is_new { FirstLook::News } else { before }),
            turns_left: u32::MAX,
            quiet: 0,
            waited: 0,
        }
    }

    /// Reads what was added, and says how many bytes that were.
    fn read(&mut self, tailer: &mut Tailer, gathered: &mut Gathered) -> io::Result<u64> {
        if self.turns_left != u32::MAX {
            self.turns_left -= 1;
        }
        self.waited = 0;
        let first = self.first.take();
        let limits = TailLimits {
            first: first.unwrap_or(FirstLook::News),
            look_bytes: Files::FILE_BYTES,
            behind_bytes: Files::BEHIND_BYTES,
        };
        let (mut records, mut strangers) = (0_u64, 0_u64);
        let grown = tailer.read(&mut self.tail, limits, |line| match self.lines.push_json(line) {
            Ok(line) => {
                records += 1;
                gathered.lines.extend(line);
            }
            Err(()) => strangers += 1,
        })?;
        if first.is_some() && strangers > 0 && records == 0 {
            return Err(io::Error::other("its log file is of an unknown form"));
        }
        gathered.dropped += strangers + grown.skipped;
        self.quiet = if grown.bytes > 0 { 0 } else { self.quiet.saturating_add(1) };
        if self.quiet == Files::UNENDED && self.lines.has_begun() {
            gathered.lines.extend(self.lines.flush());
        }
        Ok(grown.bytes)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests write log files of their own")]
mod tests;
