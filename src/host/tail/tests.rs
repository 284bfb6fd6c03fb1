use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const LIMITS: TailLimits =
    TailLimits { first: FirstLook::Last { lines: 3, bytes: 64 << 10 }, look_bytes: 1 << 20, behind_bytes: 4 << 20 };

/// A folder that is the root, a file in it, and what looks at it; with and without a kept handle.
struct Bed {
    folder: TempDir,
    tailer: Tailer,
    tail: Tail,
}

impl Bed {
    fn new(handles_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { tailer: Tailer::new(RootedFs::new(folder.path()), handles_max), tail: Tail::new("/log"), folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        append(&self.path("log"), text.as_ref());
    }

    fn look(&mut self) -> Vec<String> {
        self.look_within(LIMITS).0
    }

    fn look_within(&mut self, limits: TailLimits) -> (Vec<String>, Grown) {
        let mut lines = Vec::new();
        let grown = self
            .tailer
            .read(&mut self.tail, limits, |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
            })
            .unwrap();
        (lines, grown)
    }
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// Runs a test on a file that stays open and on one that is opened anew at each look.
fn with_and_without_handle(test: impl Fn(Bed)) {
    for handles_max in [1, 0] {
        test(Bed::new(handles_max));
    }
}

#[test]
fn the_first_look_gives_the_last_lines_and_the_next_what_was_added() {
    with_and_without_handle(|mut bed| {
        bed.append("1\n2\n3\n4\n5\n");
        assert_eq!(bed.look(), ["3", "4", "5"]);
        assert_eq!(bed.look(), [""; 0]);
        bed.append("6\n\n8\n");
        assert_eq!(bed.look(), ["6", "", "8"]);
    });
}

#[test]
fn the_first_look_is_bounded_in_bytes_and_begins_at_a_line() {
    with_and_without_handle(|mut bed| {
        bed.append("first\nsecond\nthird\n");
        let few_bytes = TailLimits { first: FirstLook::Last { lines: 3, bytes: 9 }, ..LIMITS };
        assert_eq!(bed.look_within(few_bytes).0, ["third"]);
    });
    // Not a single line end within the bound: the line is passed over as a whole.
    with_and_without_handle(|mut bed| {
        bed.append("a very long line");
        let few_bytes = TailLimits { first: FirstLook::Last { lines: 3, bytes: 4 }, ..LIMITS };
        assert_eq!(bed.look_within(few_bytes).0, [""; 0]);
        bed.append(" ends\nshort\n");
        let (lines, grown) = bed.look_within(LIMITS);
        assert_eq!((lines.as_slice(), grown.skipped), (["short".to_owned()].as_slice(), 1));
    });
}

#[test]
fn all_of_a_new_file_is_news() {
    with_and_without_handle(|mut bed| {
        bed.append("1\n2\n3\n4\n5\n");
        let news = TailLimits { first: FirstLook::News, ..LIMITS };
        assert_eq!(bed.look_within(news).0, ["1", "2", "3", "4", "5"]);
    });
    with_and_without_handle(|mut bed| {
        bed.append("1\n2\n3\n4\n5\n");
        let little_news = TailLimits { first: FirstLook::News, look_bytes: 5, behind_bytes: 5 };
        let (lines, grown) = bed.look_within(little_news);
        assert_eq!((lines.as_slice(), grown.skipped), (["4".to_owned(), "5".to_owned()].as_slice(), 3));
    });
}

#[test]
fn a_line_is_given_when_it_is_complete() {
    with_and_without_handle(|mut bed| {
        bed.append("whole\npar");
        assert_eq!(bed.look(), ["whole"]);
        bed.append("ti");
        assert_eq!(bed.look(), [""; 0]);
        bed.append("al\n");
        assert_eq!(bed.look(), ["partial"]);
    });
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_the_new_one_from_its_start() {
    with_and_without_handle(|mut bed| {
        bed.append("1\n");
        assert_eq!(bed.look(), ["1"]);
        bed.append("2\n");
        fs::rename(bed.path("log"), bed.path("log.1")).unwrap();
        assert_eq!(bed.look().len() + bed.look().len(), usize::from(bed.tailer.handles_max == 1));
        bed.append("3\n");
        // The file kept open is known to be another one as soon as it is quiet.
        let seen: Vec<String> = (0..2).flat_map(|_| bed.look()).collect();
        assert_eq!(seen.last().unwrap(), "3");
        bed.append("4\n");
        assert_eq!(bed.look(), ["4"]);
    });
}

#[test]
fn nothing_is_lost_or_doubled_over_many_rotations() {
    with_and_without_handle(|mut bed| {
        let mut seen = Vec::new();
        for number in 0..200 {
            bed.append(format!("{number}\n"));
            if number % 7 == 3 {
                fs::rename(bed.path("log"), bed.path("log.1")).unwrap();
                bed.append("");
            }
            if number % 3 == 0 {
                seen.extend(bed.look());
            }
        }
        seen.extend((0..4).flat_map(|_| bed.look()));
        let wanted: Vec<String> = (0..200).map(|number| number.to_string()).collect();
        assert_eq!(seen, wanted);
    });
}

#[test]
fn a_truncated_file_is_read_from_its_start() {
    with_and_without_handle(|mut bed| {
        bed.append("1\n2\n3\n");
        assert_eq!(bed.look(), ["1", "2", "3"]);
        fs::write(bed.path("log"), "new\n").unwrap();
        assert_eq!(bed.look(), ["new"]);
        // Written anew beyond the place where it was read before.
        fs::write(bed.path("log"), "another beginning\nand more\n").unwrap();
        assert_eq!(bed.look(), ["another beginning", "and more"]);
        fs::write(bed.path("log"), "").unwrap();
        assert_eq!(bed.look(), [""; 0]);
        bed.append("again\n");
        assert_eq!(bed.look(), ["again"]);
    });
}

#[test]
fn a_file_that_grows_too_fast_is_skipped_ahead_and_the_gap_is_counted() {
    with_and_without_handle(|mut bed| {
        bed.append("0\n");
        bed.look();
        let many: Vec<String> = (1..=100_000).map(|number| format!("line {number}")).collect();
        bed.append(many.join("\n") + "\n");
        let little = TailLimits { look_bytes: 1000, behind_bytes: 1000, ..LIMITS };
        let (lines, grown) = bed.look_within(little);
        assert_eq!(lines.last().unwrap(), "line 100000");
        assert!(lines.iter().map(|line| line.len() + 1).sum::<usize>() <= 1000);
        assert_eq!(lines.len() as u64 + grown.skipped, 100_000);
        bed.append("next\n");
        assert_eq!(bed.look(), ["next"]);
    });
}

#[test]
fn a_burst_is_read_over_several_looks() {
    with_and_without_handle(|mut bed| {
        bed.append("0\n");
        bed.look();
        let lines: Vec<String> = (0..100_000).map(|number| format!("line {number}")).collect();
        bed.append(lines.join("\n") + "\n");
        let little = TailLimits { look_bytes: 1000, behind_bytes: 2 << 20, ..LIMITS };
        let mut seen = Vec::new();
        for look in 0..20 {
            let (lines, grown) = bed.look_within(little);
            // When the file is put aside all that is left of it is read in one look.
            assert!(grown.skipped == 0 && (look > 3 || grown.bytes <= Tailer::LINE_BYTES as u64));
            seen.extend(lines);
            if look == 3 {
                // What is left of a file that is put aside is read before the new one.
                fs::rename(bed.path("log"), bed.path("log.1")).unwrap();
                bed.append("new\n");
            }
        }
        assert_eq!(seen.pop().unwrap(), "new");
        assert_eq!(seen, lines);
    });
}

#[test]
fn a_line_without_end_is_passed_over_in_bounded_memory() {
    with_and_without_handle(|mut bed| {
        bed.append("before\n");
        bed.look();
        bed.append(vec![b'x'; 1 << 20]);
        assert_eq!(bed.look(), [""; 0]);
        bed.append("the end\nafter\n");
        let (lines, grown) = bed.look_within(LIMITS);
        assert_eq!((lines.as_slice(), grown.skipped), (["after".to_owned()].as_slice(), 1));
        let longest = "y".repeat(Tailer::LINE_BYTES - 1);
        bed.append(format!("{longest}\n"));
        assert_eq!(bed.look(), [longest]);
    });
}

#[test]
fn a_gap_too_large_to_count_is_estimated() {
    let mut bed = Bed::new(1);
    bed.append("0\n");
    bed.look();
    let line = format!("{}\n", "z".repeat(1023));
    let lines = 20 << 10;
    bed.append(line.repeat(lines));
    let little = TailLimits { look_bytes: 4096, behind_bytes: 1 << 20, ..LIMITS };
    let (given, grown) = bed.look_within(little);
    let all = given.len() as u64 + grown.skipped;
    assert!(all.abs_diff(lines as u64) <= 1, "{all} of {lines}");
}

#[test]
fn handles_are_kept_up_to_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut tailer = Tailer::new(RootedFs::new(folder.path()), 2);
    let mut tails: Vec<Tail> = (0..3).map(|number| Tail::new(format!("/{number}"))).collect();
    for number in 0..3 {
        append(&folder.path().join(number.to_string()), b"a line\n");
    }
    let open = |tails: &[Tail]| tails.iter().filter(|tail| tail.handle.is_some()).count();
    for tail in &mut tails {
        tailer.read(tail, LIMITS, |_| {}).unwrap();
    }
    assert_eq!(open(&tails), 2);
    tails.remove(0);
    append(&folder.path().join("2"), b"more\n");
    tailer.read(&mut tails[1], LIMITS, |_| {}).unwrap();
    assert_eq!(open(&tails), 2);
}

#[test]
fn a_file_that_is_not_there_or_no_file_is_an_error() {
    let mut bed = Bed::new(1);
    let missing = bed.tailer.read(&mut bed.tail, LIMITS, |_| {});
    assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    fs::create_dir(bed.path("log")).unwrap();
    assert!(bed.tailer.read(&mut bed.tail, LIMITS, |_| {}).is_err());
}

#[test]
fn line_ends_are_counted() {
    for (bytes, lines) in [(0, 0), (254, 1), (255, 1), (256, 1), (100_000, 390)] {
        let mut text = vec![b'x'; bytes];
        text.iter_mut().skip(253).step_by(256).for_each(|byte| *byte = b'\n');
        assert_eq!(count_lines(&text), lines, "{bytes}");
    }
    assert_eq!(count_lines(&[b'\n'; 1000]), 1000);
}
