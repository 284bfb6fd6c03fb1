//! Ctrl-Z and back: the shell gets its terminal whole, and hostler takes it whole again.

use rustix::process::{Pid, Signal, kill_process};

use super::{Desk, demo, first_row};
use crate::bed::{DEADLINE, wait_until};
use crate::pty::session_members;

/// hostler as a job of a shell with job control, which waits for a key before it brings a stopped job back.
#[track_caller]
fn job() -> Desk {
    let shell = r#"set -m; "$0" "$@"; echo "the shell has it"; read -r key; fg >/dev/null; echo "and ends""#;
    let mut desk = demo().args(["--tab", "containers"]).through(["bash", "-c", shell]).open();
    desk.see("n8n-main");
    desk
}

/// The process of hostler itself, below the shell.
#[track_caller]
fn pid(desk: &Desk) -> Pid {
    let shell = desk.term.pid();
    let found =
        wait_until(DEADLINE, "the shell has a child", || session_members(shell).into_iter().find(|pid| *pid != shell));
    Pid::from_raw(found.try_into().unwrap()).unwrap()
}

#[track_caller]
fn assert_stopped(desk: &mut Desk) {
    desk.see("the shell has it");
    let screen = desk.screen();
    assert!(!screen.alternate() && screen.cursor_visible() && !screen.mouse() && !screen.bracketed_paste());
    assert!(desk.term.is_cooked(), "the line settings are not as they were");
}

/// Has the shell bring it back.
#[track_caller]
fn bring_back(desk: &mut Desk) {
    desk.write("\r");
    desk.until("all of the screen is drawn again", |screen| {
        let title = first_row(screen);
        title.contains("gpubox-01")
            && ["── Containers ──", "n8n-main", "q quit"].iter().all(|text| screen.contains(text))
    });
    let screen = desk.screen();
    assert!(screen.alternate() && screen.mouse() && screen.bracketed_paste() && !screen.cursor_visible());
    assert!(!desk.term.is_cooked(), "keys would wait for Enter");
    desk.press_see("3", "── Engines ──");
    desk.press_see("2", "── Containers ──");
}

#[test]
fn ctrl_z_stops_and_fg_brings_it_back_whole() {
    let mut desk = job();
    desk.press("C-z");
    assert_stopped(&mut desk);
    bring_back(&mut desk);
    desk.press("q");
    desk.see("and ends");
    assert!(desk.end().is_clean());
}

#[test]
fn a_signal_stops_it_as_the_key_does() {
    let mut desk = job();
    kill_process(pid(&desk), Signal::TSTP).unwrap();
    assert_stopped(&mut desk);
    bring_back(&mut desk);
}

#[test]
fn a_size_that_changed_meanwhile_is_taken() {
    let mut desk = job();
    desk.press("C-z");
    assert_stopped(&mut desk);
    desk.term.resize(100, 30).unwrap();
    bring_back(&mut desk);
    desk.until("the last row is the footer", |screen| screen.rows().nth(29).unwrap_or_default().ends_with("q quit"));
}

#[test]
fn an_end_that_is_asked_for_meanwhile_comes_when_it_goes_on() {
    let mut desk = job();
    desk.press("C-z");
    assert_stopped(&mut desk);
    kill_process(pid(&desk), Signal::TERM).unwrap();
    desk.write("\r");
    desk.see("and ends");
    assert!(desk.end().is_clean());
}

#[test]
fn without_a_shell_behind_it_nothing_stops() {
    let mut desk = demo().open();
    desk.see("n8n-worker");
    desk.press_see("C-z", "no shell waits behind this screen");
    desk.press_see("2", "── Containers ──");
    desk.term.signal(Signal::TSTP).unwrap();
    desk.see("no shell waits behind this screen");
    desk.press_see("3", "── Engines ──");
    // `sh -c` waits without job control: it could not bring back anything either.
    let mut desk = demo().through(["sh", "-c", r#""$0" "$@"; exit 0"#]).open();
    desk.see("n8n-worker");
    desk.press_see("C-z", "no shell waits behind this screen");
}
