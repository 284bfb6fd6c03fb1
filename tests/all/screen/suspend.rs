//! Ctrl-Z and back: the shell gets its terminal whole, and hostler takes it whole again.

use rustix::process::Signal;

use super::{Desk, demo};
use crate::bed::{DEADLINE, wait_until};
use crate::pty::Screen;

/// The state letter of a process: `T` is stopped.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[track_caller]
fn assert_stopped(desk: &mut Desk) {
    let pid = desk.term.pid();
    wait_until(DEADLINE, "it is stopped", || (state(pid) == Some('T')).then_some(()));
    desk.until("the shell has its screen", |screen| !screen.alternate());
    let screen = desk.term.screen();
    assert!(screen.cursor_visible() && !screen.mouse() && !screen.bracketed_paste());
    assert!(desk.term.is_cooked(), "the line settings are not as they were");
}

#[track_caller]
fn assert_back(desk: &mut Desk) {
    desk.until("the screen is drawn again", |screen| screen.alternate() && screen.contains("── Containers ──"));
    desk.until("all of it", |screen| screen.contains("gpubox-01") && screen.contains("q quit") && screen.contains("n8n-main"));
    desk.until("the terminal is taken again", |screen| {
        screen.mouse() && screen.bracketed_paste() && !screen.cursor_visible()
    });
    assert!(!desk.term.is_cooked(), "keys would wait for Enter");
    // Keys arrive one by one, and nothing is echoed.
    desk.press_see("3", "── Inference servers ──");
    desk.press_see("2", "── Containers ──");
}

#[test]
fn ctrl_z_stops_and_fg_brings_it_back_whole() {
    let mut desk = demo().args(["--tab", "containers"]).open();
    desk.see("n8n-main");
    for stop in ["key", "signal", "key"] {
        match stop {
            "key" => desk.press("C-z"),
            _ => desk.term.signal(Signal::TSTP).unwrap(),
        }
        assert_stopped(&mut desk);
        desk.term.signal(Signal::CONT).unwrap();
        assert_back(&mut desk);
    }
    desk.press("q");
    assert!(desk.end().is_clean());
}

#[test]
fn a_size_that_changed_meanwhile_is_taken() {
    let mut desk = demo().args(["--tab", "containers"]).open();
    desk.see("n8n-main");
    desk.press("C-z");
    assert_stopped(&mut desk);
    desk.term.resize(100, 30).unwrap();
    desk.term.signal(Signal::CONT).unwrap();
    assert_back(&mut desk);
    let last = |screen: &Screen| screen.rows().nth(29).unwrap_or_default();
    desk.until("the last row is the footer", |screen| last(screen).ends_with("q quit"));
}

#[test]
fn what_is_typed_at_the_shell_meanwhile_is_the_shells() {
    let mut desk = demo().open();
    desk.see("n8n-worker");
    desk.press("C-z");
    assert_stopped(&mut desk);
    // The end is asked for while it is stopped, as a closing session does.
    desk.term.signal(Signal::TERM).unwrap();
    desk.term.signal(Signal::CONT).unwrap();
    assert!(desk.end().is_clean());
}
