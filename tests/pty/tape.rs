//! Everything a program writes to its pty, with the instant each piece arrived.
//!
//! One thread reads and stamps, and does no more than that, so the program under measurement has the machine to itself;
//! the tape is put through a screen model later, by whoever asks. The reader answers the questions on which programs
//! wait (where is the cursor, what terminal is this), because those answers cannot come later.

use std::io::{Read, Write};
use std::process::ExitStatus;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::screen::{Screen, Size};

/// The keyboard's end of the pty, shared by the tests' keys and the reader's answers.
pub(super) type Keyboard = Arc<Mutex<Box<dyn Write + Send>>>;

/// One thing that happened at the terminal.
pub(super) enum Entry {
    /// The program wrote.
    Output { at: Instant, bytes: Vec<u8> },
    /// The terminal got another size.
    Resized(Size),
}

/// What has been recorded so far.
#[derive(Default)]
pub(super) struct Tape {
    /// Output and resizes, in order.
    pub(super) entries: Vec<Entry>,
    /// When and how the program ended.
    pub(super) ended: Option<(Instant, std::io::Result<ExitStatus>)>,
    /// No further output can come.
    pub(super) closed: bool,
    /// The reader is to leave at the next byte, which is nobody's output.
    pub(super) stop: bool,
}

/// The tape with its bell: `changed` rings at every entry, at the end, and at the close.
#[derive(Default)]
pub(super) struct Recorder {
    tape: Mutex<Tape>,
    changed: Condvar,
}

impl Recorder {
    /// The tape; a reader that panicked leaves it readable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tape> {
        lock(&self.tape)
    }

    /// Waits until `found` finds what it looks for; `None` when the time is up.
    pub(super) fn wait<T>(&self, until: Instant, mut found: impl FnMut(&Tape) -> Option<T>) -> Option<T> {
        let mut tape = self.lock();
        loop {
            if let Some(found) = found(&tape) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            tape = match self.changed.wait_timeout(tape, left) {
                Ok((tape, _)) => tape,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// Records something and rings the bell.
    pub(super) fn update(&self, change: impl FnOnce(&mut Tape)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// Locks, whatever became of the thread that held it last.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the last holder of the terminal has closed it, or until told to stop.
pub(super) fn record(mut source: impl Read, keyboard: &Keyboard, recorder: &Recorder) {
    let mut buffer = vec![0; 65_536];
    let mut tail = Vec::new();
    loop {
        let read = source.read(&mut buffer);
        let at = Instant::now();
        let bytes = match read {
            Ok(0) => break,
            Ok(n) => &buffer[..n],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if recorder.lock().stop {
            break;
        }
        recorder.update(|tape| {
            let bytes = bytes.to_vec();
            tape.entries.push(Entry::Output { at, bytes });
        });
        let answer = answers(&mut tail, bytes);
        if !answer.is_empty() {
            // A program that ended before its answer came is no fault of the recording.
            let _ = lock(keyboard).write_all(&answer);
        }
    }
    recorder.update(|tape| tape.closed = true);
}

/// Questions with a fixed answer, as a plain xterm gives it.
const QUESTIONS: [(&[u8], &[u8]); 11] = [
    (b"\x1b[6n", b"\x1b[1;1R"),
    (b"\x1b[?6n", b"\x1b[?1;1R"),
    (b"\x1b[5n", b"\x1b[0n"),
    (b"\x1b[c", b"\x1b[?62;22c"),
    (b"\x1b[0c", b"\x1b[?62;22c"),
    (b"\x1b[>c", b"\x1b[>41;380;0c"),
    (b"\x1b[>0c", b"\x1b[>41;380;0c"),
    (b"\x1b[>0q", b"\x1bP>|XTerm(380)\x1b\\"),
    (b"\x1b[?u", b"\x1b[?0u"),
    (b"\x1b]10;?", b"\x1b]10;rgb:dddd/dddd/dddd\x1b\\"),
    (b"\x1b]11;?", b"\x1b]11;rgb:1111/1111/1111\x1b\\"),
];

/// Bytes of one chunk that may begin a question which the next chunk completes.
const TAIL: usize = 16;

/// What a terminal would answer to the questions that end in this chunk.
fn answers(tail: &mut Vec<u8>, chunk: &[u8]) -> Vec<u8> {
    let old = tail.len();
    let mut seen = std::mem::take(tail);
    seen.extend_from_slice(chunk);
    let mut reply = Vec::new();
    for start in (0..seen.len()).filter(|&i| seen[i] == 0x1b) {
        let rest = &seen[start..];
        for (question, answer) in QUESTIONS {
            if rest.starts_with(question) && start + question.len() > old {
                reply.extend_from_slice(answer);
            }
        }
        // "Do you know mode n?" is answered with "no", which is the truth for all but the common ones.
        if let Some(mode) = rest.strip_prefix(b"\x1b[?") {
            let digits = mode.iter().take_while(|b| b.is_ascii_digit()).count();
            if mode[digits..].starts_with(b"$p") && start + 3 + digits + 2 > old {
                reply.extend_from_slice(b"\x1b[?");
                reply.extend_from_slice(&mode[..digits]);
                reply.extend_from_slice(b";0$y");
            }
        }
    }
    seen.drain(..seen.len().saturating_sub(TAIL));
    *tail = seen;
    reply
}

/// What went to the terminal between two points of a tape.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes written.
    pub(crate) bytes: usize,
    /// Groups of output with less than 15 ms between the pieces: a frame, as a rule.
    pub(crate) bursts: usize,
    /// Bursts after which the screen looked as before.
    pub(crate) empty_bursts: usize,
    /// Cells that differed after a burst, summed over all bursts.
    pub(crate) changed_cells: usize,
    /// Whole seconds in which something was written though nothing visible changed.
    pub(crate) wasted_seconds: usize,
}

/// Pieces that follow each other faster than this are one burst.
const BURST_GAP_MS: u128 = 15;

/// Plays the tape from its beginning and weighs the entries in `range`, second by second from `from` on.
pub(super) fn weigh(entries: &[Entry], size: Size, range: std::ops::Range<usize>, from: Instant) -> Traffic {
    let mut screen = Screen::new(size);
    for entry in &entries[..range.start] {
        play(&mut screen, entry);
    }
    let mut traffic = Traffic::default();
    let mut seconds: Vec<(usize, bool)> = Vec::new();
    let mut index = range.start;
    while index < range.end {
        let before = screen.frame();
        let (mut written, mut began, mut last) = (0, None, None);
        while index < range.end {
            if let Entry::Output { at, bytes } = &entries[index] {
                let gap = last.map_or(0, |last| at.duration_since(last).as_millis());
                if gap >= BURST_GAP_MS {
                    break;
                }
                written += bytes.len();
                began = began.or(Some(*at));
                last = Some(*at);
            }
            play(&mut screen, &entries[index]);
            index += 1;
        }
        let Some(began) = began else { continue };
        let visible = screen.visibly_differs(&before);
        traffic.bytes += written;
        traffic.bursts += 1;
        traffic.empty_bursts += usize::from(!visible);
        traffic.changed_cells += screen.changed_cells(&before);
        let second = began.saturating_duration_since(from).as_secs() as usize;
        if seconds.len() <= second {
            seconds.resize(second + 1, (0, false));
        }
        seconds[second].0 += written;
        seconds[second].1 |= visible;
    }
    traffic.wasted_seconds = seconds.iter().filter(|(bytes, visible)| *bytes > 0 && !visible).count();
    traffic
}

/// Puts one entry on the screen.
pub(super) fn play(screen: &mut Screen, entry: &Entry) {
    match entry {
        Entry::Output { bytes, .. } => screen.feed(bytes),
        Entry::Resized(size) => screen.resize(*size),
    }
}
