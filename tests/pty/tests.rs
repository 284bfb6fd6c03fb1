//! The harness itself, on small shell programs: what it sees, how it types, and how it tells a clean end from a dirty one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::time::Duration;

use rustix::process::Signal;

use super::*;

/// A full-screen program in a shell: draws, then runs `body`.
fn full_screen(body: &str) -> Term {
    let script = format!(
        "saved=$(stty -g); stty raw -echo; \
         enter() {{ printf '\\033[?1049h\\033[?25l\\033[?1002h\\033[?2004hready'; }}; \
         leave() {{ printf '\\033[?2004l\\033[?1002l\\033[?25h\\033[?1049l'; stty \"$saved\"; }}; \
         enter; {body}"
    );
    let mut term = Term::start(&Spec::new("sh").args(["-c", &script])).unwrap();
    term.wait_text("ready").unwrap();
    term
}

fn ended(mut term: Term) -> ExitReport {
    term.wait_exit(PATIENCE).unwrap()
}

#[test]
fn a_restored_terminal_is_clean() {
    let mut term = full_screen("dd bs=1 count=1 2>/dev/null >/dev/null; leave; exit 3");
    let screen = term.screen();
    assert!(screen.alternate() && screen.mouse() && !screen.cursor_visible());
    term.press("q").unwrap();
    let report = ended(term);
    assert_eq!(report.status, Ending::Code(3));
    assert!(report.is_clean(), "{report:?}");
}

#[test]
fn each_thing_left_on_is_named() {
    let mut term = full_screen("exec cat");
    term.signal(Signal::TERM).unwrap();
    let report = ended(term);
    assert_eq!(report.status, Ending::Signal(15));
    let left = report.restored.unwrap().left_on();
    let all = ["alternate screen", "mouse", "cursor hidden", "bracketed paste", "raw tty"];
    assert_eq!(left, all);
}

#[test]
fn last_words_are_on_the_screen_of_the_end() {
    let mut term = Term::start(&Spec::new("sh").args(["-c", "printf goodbye; exit 0"])).unwrap();
    term.wait_exit(PATIENCE).unwrap();
    assert!(term.screen().contains("goodbye"));
    assert_eq!(term.raw(), b"goodbye");
    assert_eq!(term.bytes_written(), 7);
}

#[test]
fn a_wait_ends_with_the_program_and_shows_the_screen() {
    let mut term = Term::start(&Spec::new("sh").args(["-c", "echo no luck; exit 1"])).unwrap();
    let why = term.wait_text("luck at last").unwrap_err();
    assert!(why.to_string().contains("no luck"), "{why}");
    assert!(why.to_string().contains("exit status: 1"), "{why}");
}

#[test]
fn a_closed_terminal_reaches_the_program_and_nothing_is_typed_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note");
    let script = "trap 'printf hangup >>\"$NOTE\"; exit 0' HUP; stty raw -echo; printf ready; \
                  while :; do k=$(dd bs=1 count=1 2>/dev/null); printf \"key%s\" \"$k\" >>\"$NOTE\"; done";
    let spec = Spec::new("sh").args(["-c", script]).env("NOTE", &note);
    let mut term = Term::start(&spec).unwrap();
    term.wait_text("ready").unwrap();
    term.hang_up();
    let report = term.wait_exit(PATIENCE).unwrap();
    assert_eq!(report.restored, None);
    let note = std::fs::read_to_string(note).unwrap();
    assert!(note.ends_with("hangup"), "{note:?}");
    assert!(!note.contains('\u{4}'), "end-of-file was typed: {note:?}");
}

#[test]
fn a_process_left_behind_is_an_orphan() {
    let mut term = full_screen("trap '' HUP; sleep 60 & dd bs=1 count=1 2>/dev/null >/dev/null; leave; exit 0");
    term.press("q").unwrap();
    let report = ended(term);
    assert!(!report.is_clean());
    assert!(!report.orphans.is_empty());
}

#[test]
fn a_resize_reaches_the_program_and_the_screen() {
    let script = "trap 'stty size' WINCH; echo ready; while :; do read -r line; done";
    let mut term = Term::start(&Spec::new("sh").args(["-c", script]).size(80, 24)).unwrap();
    term.wait_text("ready").unwrap();
    term.resize(100, 30).unwrap();
    term.keys(b"\r").unwrap();
    term.wait_text("30 100").unwrap();
    assert_eq!(term.screen().rows().count(), 30);
}

#[test]
fn a_key_is_answered_by_the_first_changed_cell() {
    let mut term = full_screen("exec cat");
    let time = term.answer("x", PATIENCE).unwrap();
    assert!(time > Duration::ZERO && term.screen().contains("readyx"));
}

#[test]
fn arrows_follow_the_mode_of_the_cursor_keys() {
    let script = "stty raw -echo; printf '\\033[?1hready'; exec cat -v";
    let mut term = Term::start(&Spec::new("sh").args(["-c", script])).unwrap();
    term.wait_text("ready").unwrap();
    term.press("Up").unwrap();
    term.wait_text("^[OA").unwrap();
}

#[test]
fn questions_of_a_program_are_answered() {
    let script = "stty raw -echo; printf '\\033[6n'; exec cat -v";
    let mut term = Term::start(&Spec::new("sh").args(["-c", script])).unwrap();
    term.wait_text("^[[1;1R").unwrap();
}

#[test]
fn a_write_that_changes_nothing_is_counted_as_waste() {
    let mut term = full_screen("exec cat");
    let from = term.mark();
    term.keys(b"\x1b[1;1Hr").unwrap();
    let until = Instant::now() + PATIENCE;
    let mut written = term.traffic(from, term.mark());
    while written.bytes < 7 {
        assert!(term.await_entry(until), "cat did not answer");
        term.screen();
        written = term.traffic(from, term.mark());
    }
    assert_eq!((written.bytes, written.changed_cells), (7, 0));
    assert_eq!((written.bursts, written.empty_bursts), (1, 1));
    assert_eq!(written.wasted_seconds, 1);
}

#[test]
fn a_hostile_sequence_is_seen_in_the_raw_output() {
    let script = "printf '\\033]52;c;aGk=\\007\\033]2;title\\007done'";
    let mut term = Term::start(&Spec::new("sh").args(["-c", script])).unwrap();
    term.wait_text("done").unwrap();
    assert!(term.has_written(b"\x1b]52;"));
    assert_eq!(term.screen().clipboard(), [b"aGk=".to_vec()]);
    assert_eq!(term.screen().titles(), [b"title".to_vec()]);
}
