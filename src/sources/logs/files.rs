//! The log files of the json-file driver, all of them in one turn: what each container wrote since the turn before.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::record::Lines;
use crate::domain::{ContainerId, LogLine, LogOrigin};
use crate::host::{RootedFs, Tail, TailLimits, Tailer};

/// A container whose log file is to be followed.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) origin: Arc<LogOrigin>,
    /// The file, as on the machine.
    pub(super) path: String,
    /// Something may be written to it now.
    pub(super) is_up: bool,
}

/// What one turn gave.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Lines that were there before their container was followed, in order of time.
    pub(super) backlog: Vec<LogLine>,
    /// Lines that were added.
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
    is_new: bool,
    /// Turns in which it is still looked at.
    turns_left: u32,
    /// Turns since it grew.
    quiet: u32,
}

impl Files {
    /// Files that are kept open. The others are looked at by their path, which costs a microsecond more a turn; the usual
    /// limit is 1,024 handles, and a container's control group takes two.
    const HANDLES: usize = 128;

    /// What is read of one file in one turn, bytes; a file that grows faster is skipped ahead.
    const FILE_BYTES: u64 = 256 << 10;

    /// What is read in one turn in all, bytes; files that come too late in it are read in the next one.
    const TURN_BYTES: u64 = 512 << 10;

    /// Turns in which a container that has ended is still looked at, for its last words.
    const LINGER: u32 = 20;

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
        let first = TailLimits {
            look_bytes: Self::FILE_BYTES,
            ..first_limits(self.followed.iter().filter(|file| file.is_new).count())
        };
        let mut bytes_left = Self::TURN_BYTES;
        let count = self.followed.len();
        self.turn = (self.turn + 1) % count.max(1);
        for index in 0..count {
            // Another one comes first in each turn, so that none is always the one for which nothing is left.
            let file = &mut self.followed[(index + self.turn) % count];
            if file.turns_left == 0 || (bytes_left == 0 && !file.is_new) {
                continue;
            }
            match file.read(&mut self.tailer, first, &mut gathered) {
                Ok(bytes) => bytes_left = bytes_left.saturating_sub(bytes),
                Err(error) => gathered.refused.push((file.lines.origin().container.clone(), error.to_string())),
            }
        }
        let refused = &gathered.refused;
        self.followed.retain(|file| !refused.iter().any(|(id, _)| *id == file.lines.origin().container));
        gathered.backlog.sort_by_key(|line| line.at);
        gathered
    }

    /// Follows these files: goes on where one was followed before, and begins with the last lines of a new one.
    fn aim(&mut self, targets: Vec<Target>) {
        let mut before: HashMap<ContainerId, Followed> =
            self.followed.drain(..).map(|file| (file.lines.origin().container.clone(), file)).collect();
        for target in targets {
            let known = before.remove(&target.origin.container);
            let is_same = |file: &Followed| file.tail.path().as_os_str() == &*target.path;
            let mut file = match known.filter(is_same) {
                Some(file) => file,
                None if target.is_up => Followed::new(&target),
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

/// How much of each file is read that is followed for the first time: less where there are many, because what is kept in
/// the end is bounded.
fn first_limits(new_files: usize) -> TailLimits {
    const LINES_IN_ALL: usize = 8_000;
    const LINE_BYTES: u64 = 330;
    let lines = (LINES_IN_ALL / new_files.max(1)).clamp(20, super::FIRST_LINES as usize);
    TailLimits { first_lines: lines, first_bytes: lines as u64 * LINE_BYTES, look_bytes: 0 }
}

impl Followed {
    fn new(target: &Target) -> Self {
        Self {
            tail: Tail::new(&target.path),
            lines: Lines::new(target.origin.clone()),
            is_new: true,
            turns_left: u32::MAX,
            quiet: 0,
        }
    }

    /// Reads what was added, and says how many bytes that were.
    fn read(&mut self, tailer: &mut Tailer, limits: TailLimits, gathered: &mut Gathered) -> io::Result<u64> {
        if self.turns_left != u32::MAX {
            self.turns_left -= 1;
        }
        let is_new = std::mem::take(&mut self.is_new);
        let to = if is_new { &mut gathered.backlog } else { &mut gathered.lines };
        let (mut records, mut strangers) = (0_u64, 0_u64);
        let grown = tailer.read(&mut self.tail, limits, |line| match self.lines.push_json(line) {
            Ok(line) => {
                records += 1;
                to.extend(line);
            }
            Err(()) => strangers += 1,
        })?;
        if is_new && strangers > 0 && records == 0 {
            return Err(io::Error::other("its log file is of an unknown form"));
        }
        gathered.dropped += strangers + grown.skipped;
        self.quiet = if grown.bytes > 0 { 0 } else { self.quiet.saturating_add(1) };
        if self.quiet == Files::UNENDED && self.lines.has_begun() {
            to.extend(self.lines.flush());
        }
        Ok(grown.bytes)
    }
}

#[cfg(test)]
mod tests;
