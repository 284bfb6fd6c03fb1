//! Follows files that others append to, rotate and truncate, by whole lines.
//!
//! A look at a file that did not grow costs one `stat`. A file that grew faster than it may be read is skipped ahead, so
//! that what is handed out is always the newest, and the lines in between are counted. Start with [`Tailer::read`].
#![expect(clippy::disallowed_types, reason = "a port: it keeps the files open that it follows")]

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;

use super::RootedFs;

/// How much of a file is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailLimits {
    /// Of what was there before the first look.
    pub first: FirstLook,
    /// In one look, bytes, rounded up to a few times [`Tailer::LINE_BYTES`]; the rest is left for the next one.
    pub look_bytes: u64,
    /// What may be left, bytes: a file with more than that is skipped ahead.
    pub behind_bytes: u64,
}

impl TailLimits {
    /// For a file that is left for good.
    fn of_the_rest(self) -> Self {
        Self { look_bytes: u64::MAX, ..self }
    }
}

/// How much of a file that was not looked at before is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLook {
    /// All of it is news, as if the look before had found it empty.
    News,
    /// At most so many lines (at least one), found in at most so many bytes at the end.
    Last {
        /// Lines.
        lines: usize,
        /// Bytes, at most [`Tailer::LINE_BYTES`].
        bytes: u64,
    },
}

/// What one look at a file gave, besides its lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grown {
    /// Bytes that were handed out.
    pub bytes: u64,
    /// Lines that were passed over: too many at once, or longer than [`Tailer::LINE_BYTES`].
    pub skipped: u64,
}

/// The place in one growing file up to which its lines were handed out.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// The file that the place belongs to: whatever lies at the path now may be another.
    file: Option<FileId>,
    handle: Option<Handle>,
    /// Where the first line begins that was not handed out.
    position: u64,
    /// The size and the time of the last change, as seen at the look before.
    size: u64,
    changed: (i64, i64),
    /// The last look found it growing.
    growing: bool,
    /// Inside a line that is longer than can be handed out.
    overlong: bool,
    looks: u32,
}

/// Device and inode.
type FileId = (u64, u64);

/// An open file, one of a limited number.
#[derive(Debug)]
struct Handle {
    file: File,
    _counted: Arc<()>,
}

impl Tail {
    /// A file that has not been looked at, by its path as on the machine.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            file: None,
            handle: None,
            position: 0,
            size: 0,
            changed: (0, 0),
            growing: false,
            overlong: false,
            looks: 0,
        }
    }

    /// Its path, as on the machine.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Begins at the start of another file.
    fn begin(&mut self, file: FileId) {
        self.file = Some(file);
        self.position = 0;
        self.size = 0;
        self.overlong = false;
    }
}

/// Looks at [`Tail`]s: what they share.
#[derive(Debug)]
pub struct Tailer {
    fs: RootedFs,
    block: Vec<u8>,
    handles: Arc<()>,
    handles_max: usize,
}

impl Tailer {
    /// The longest line that is handed out, bytes. A json-file record of 16 KiB with each byte escaped fits.
    pub const LINE_BYTES: usize = 128 << 10;

    /// Lines passed over are counted in this much of a file, bytes; in more than that their number is estimated.
    const COUNTED_BYTES: u64 = 16 << 20;

    /// Looks between two checks that a quiet file is still the one at its path.
    const LOOKS_UNCHECKED: u32 = 16;

    /// Reads files below the root of `fs` and keeps at most `handles_max` of them open; the others are opened whenever
    /// they grew.
    pub fn new(fs: RootedFs, handles_max: usize) -> Self {
        Self { fs, block: vec![0; Self::LINE_BYTES], handles: Arc::new(()), handles_max }
    }

    /// Hands out the lines (without their end) that were added since the look before; at the first look, the last of
    /// those that were there. The last line is handed out when it is complete.
    ///
    /// # Errors
    /// When the file cannot be opened or read. One that was seen before may be away for a moment: it is being rotated.
    pub fn read(&mut self, tail: &mut Tail, limits: TailLimits, mut line: impl FnMut(&[u8])) -> io::Result<Grown> {
        tail.looks = tail.looks.wrapping_add(1);
        if tail.file.is_none() {
            return self.first_look(tail, limits, &mut line);
        }
        match tail.handle.take() {
            Some(handle) => self.look_at_handle(tail, handle, limits, &mut line),
            None => self.look_at_path(tail, limits, &mut line),
        }
    }

    fn first_look(&mut self, tail: &mut Tail, limits: TailLimits, line: &mut impl FnMut(&[u8])) -> io::Result<Grown> {
        let file = self.fs.open(&tail.path)?;
        let seen = file.metadata()?;
        if !seen.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        tail.begin(id(&seen));
        if let FirstLook::Last { lines, bytes } = limits.first {
            (tail.position, tail.overlong) = self.start_of_last_lines(&file, seen.size(), lines, bytes)?;
        }
        let grown = self.take(tail, &file, &seen, limits, line)?;
        self.keep(tail, file);
        Ok(grown)
    }

    fn look_at_handle(
        &mut self,
        tail: &mut Tail,
        handle: Handle,
        limits: TailLimits,
        line: &mut impl FnMut(&[u8]),
    ) -> io::Result<Grown> {
        let seen = handle.file.metadata()?;
        if seen.size() != tail.size {
            let grown = self.take(tail, &handle.file, &seen, limits, line)?;
            tail.handle = Some(handle);
            return Ok(grown);
        }
        // A rename changes the time of the last change; where it was too close to the last line to tell, the file has
        // just become quiet; and where neither shows, the path is checked now and then.
        let suspect =
            tail.growing || changed(&seen) != tail.changed || tail.looks.is_multiple_of(Self::LOOKS_UNCHECKED);
        tail.changed = changed(&seen);
        let at_path = suspect.then(|| self.fs.metadata(&tail.path));
        // In the middle of a rotation there is no file at the path: then look again next time.
        tail.growing = matches!(&at_path, Some(Err(_)));
        let replaced = matches!(at_path, Some(Ok(at_path)) if Some(id(&at_path)) != tail.file);
        if !replaced {
            tail.handle = Some(handle);
            return Ok(Grown::default());
        }
        // What was added to the old file just before it was put aside.
        let seen = handle.file.metadata()?;
        let mut grown = self.take(tail, &handle.file, &seen, limits.of_the_rest(), line)?;
        drop(handle);
        grown.add(self.begin_new(tail, limits, line)?);
        Ok(grown)
    }

    fn look_at_path(&mut self, tail: &mut Tail, limits: TailLimits, line: &mut impl FnMut(&[u8])) -> io::Result<Grown> {
        let seen = match self.fs.metadata(&tail.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Grown::default()),
            seen => seen?,
        };
        if Some(id(&seen)) == tail.file && seen.size() == tail.size {
            tail.growing = false;
            return Ok(Grown::default());
        }
        let mut grown = Grown::default();
        if Some(id(&seen)) != tail.file
            && let Some((old, seen)) = self.put_aside(tail)
        {
            grown = self.take(tail, &old, &seen, limits.of_the_rest(), line)?;
        }
        grown.add(self.begin_new(tail, limits, line)?);
        Ok(grown)
    }

    /// Goes on in the file that lies at the path now, from its start if it is another.
    fn begin_new(&mut self, tail: &mut Tail, limits: TailLimits, line: &mut impl FnMut(&[u8])) -> io::Result<Grown> {
        let file = match self.fs.open(&tail.path) {
            // The new file is about to be made; the next look finds it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Grown::default()),
            file => file?,
        };
        let seen = file.metadata()?;
        if Some(id(&seen)) != tail.file {
            tail.begin(id(&seen));
        }
        let grown = self.take(tail, &file, &seen, limits, line)?;
        self.keep(tail, file);
        Ok(grown)
    }

    /// The file that was followed, under the first names that a rotation gives it.
    fn put_aside(&self, tail: &Tail) -> Option<(File, Metadata)> {
        (1..=3).find_map(|generation| {
            let mut path = tail.path.clone().into_os_string();
            path.push(format!(".{generation}"));
            let file = self.fs.open(PathBuf::from(path)).ok()?;
            let seen = file.metadata().ok()?;
            (Some(id(&seen)) == tail.file).then_some((file, seen))
        })
    }

    fn keep(&self, tail: &mut Tail, file: File) {
        if Arc::strong_count(&self.handles) <= self.handles_max {
            tail.handle = Some(Handle { file, _counted: self.handles.clone() });
        }
    }

    /// Hands out the complete lines between the place and the end, as far as the limits go.
    fn take(
        &mut self,
        tail: &mut Tail,
        file: &File,
        seen: &Metadata,
        limits: TailLimits,
        line: &mut impl FnMut(&[u8]),
    ) -> io::Result<Grown> {
        let mut grown = Grown::default();
        tail.growing = true;
        tail.size = seen.size();
        tail.changed = changed(seen);
        if !Self::still_at_a_line(tail, file, seen.size())? {
            tail.position = 0;
            tail.overlong = false;
        }
        if seen.size() - tail.position > limits.behind_bytes {
            let newest = limits.look_bytes.min(limits.behind_bytes);
            grown.skipped = self.skip_to(tail, file, seen.size() - newest)?;
        }
        loop {
            if grown.bytes >= limits.look_bytes {
                // No size at all, so that the next look goes on here.
                tail.size = u64::MAX;
                break;
            }
            let filled = file.read_at(&mut self.block, tail.position)?;
            let filled = &self.block[..filled];
            let Some(end) = filled.iter().rposition(|byte| *byte == b'\n') else {
                if filled.len() == Self::LINE_BYTES {
                    tail.overlong = true;
                    tail.position += filled.len() as u64;
                    continue;
                }
                break;
            };
            for complete in filled[..end].split(|byte| *byte == b'\n') {
                if std::mem::take(&mut tail.overlong) {
                    grown.skipped += 1;
                } else {
                    line(complete);
                }
            }
            grown.bytes += end as u64 + 1;
            tail.position += end as u64 + 1;
            if filled.len() < Self::LINE_BYTES {
                break;
            }
        }
        Ok(grown)
    }

    /// Whether the place still lies behind the end of a line: a file that was truncated and written anew has other bytes
    /// there, or none.
    fn still_at_a_line(tail: &Tail, file: &File, size: u64) -> io::Result<bool> {
        if tail.position == 0 || tail.overlong {
            return Ok(tail.position <= size);
        }
        let mut before = [0];
        Ok(size >= tail.position && file.read_at(&mut before, tail.position - 1)? == 1 && before == *b"\n")
    }

    /// Moves the place to the first line that begins at `goal` or later, and counts the lines that are passed over.
    fn skip_to(&mut self, tail: &mut Tail, file: &File, goal: u64) -> io::Result<u64> {
        let begin = tail.position;
        let counted_to = goal.min(begin + Self::COUNTED_BYTES);
        let mut lines = 0;
        while tail.position < counted_to {
            let wanted = (counted_to - tail.position).min(Self::LINE_BYTES as u64) as usize;
            let filled = file.read_at(&mut self.block[..wanted], tail.position)?;
            if filled == 0 {
                return Ok(lines);
            }
            lines += count_lines(&self.block[..filled]);
            tail.position += filled as u64;
        }
        if counted_to < goal {
            let per_byte = lines as f64 / Self::COUNTED_BYTES as f64;
            lines += (per_byte * (goal - counted_to) as f64) as u64;
            tail.position = goal;
        }
        // The rest of the line that lies across the goal: it counts when its end is found.
        tail.overlong = true;
        Ok(lines)
    }

    /// Where the last lines of a file begin that was not seen before, and whether that is inside a line.
    fn start_of_last_lines(&mut self, file: &File, size: u64, lines: usize, bytes: u64) -> io::Result<(u64, bool)> {
        let from = size.saturating_sub(bytes.min(Self::LINE_BYTES as u64));
        let filled = file.read_at(&mut self.block, from)?;
        let filled = &self.block[..filled];
        let ends = filled.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        // The end of the line before the first one wanted; without it, the first whole line here.
        let mut breaks = (0..ends).rev().filter(|&at| filled[at] == b'\n');
        let before = breaks
            .nth(lines.saturating_sub(1))
            .or_else(|| (from > 0).then(|| filled.iter().position(|byte| *byte == b'\n')).flatten());
        Ok(before.map_or((from, from > 0), |at| (from + at as u64 + 1, false)))
    }
}

impl Grown {
    fn add(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.skipped += more.skipped;
    }
}

fn id(seen: &Metadata) -> FileId {
    (seen.dev(), seen.ino())
}

fn changed(seen: &Metadata) -> (i64, i64) {
    (seen.ctime(), seen.ctime_nsec())
}

/// Line ends in `bytes`, many at a time.
fn count_lines(bytes: &[u8]) -> u64 {
    // No chunk is so long that its count does not fit into a byte, which the compiler then keeps in wide registers.
    bytes
        .chunks(255)
        .map(|chunk| {
            let ends: u8 = chunk.iter().map(|byte| u8::from(*byte == b'\n')).sum();
            u64::from(ends)
        })
        .sum()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests rotate and truncate files of their own")]
mod tests;
