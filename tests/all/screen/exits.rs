//! Ends: whatever ends it, the terminal is as it was and no process is left, whether or not something hangs.

use std::env;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::json;

use super::{Desk, Home, demo};
use crate::bed::{self, DEADLINE};
use crate::gpu::Double;
use crate::pty::{Ending, Spec, Term};

/// What can end a program on a terminal.
#[derive(Clone, Copy, Debug)]
enum By {
    Key(&'static str),
    Signal(Signal),
    HangUp,
}

const WAYS: [By; 6] = [
    By::Key("q"),
    By::Key("C-c"),
    By::Signal(Signal::TERM),
    By::Signal(Signal::HUP),
    By::Signal(Signal::INT),
    By::HangUp,
];

/// Ends it so, and looks at what is left.
#[track_caller]
fn assert_ends(desk: &mut Desk, by: By) {
    match by {
        By::Key(key) => desk.press(key),
        By::Signal(signal) => desk.term.signal(signal).unwrap(),
        By::HangUp => desk.term.hang_up(),
    }
    let report = desk.term.wait_exit(DEADLINE).unwrap_or_else(|why| panic!("{by:?}: {why}"));
    assert!(report.is_clean(), "{by:?}: {report:?}");
    assert_eq!(report.status, Ending::Code(0), "{by:?}: {report:?}");
}

#[test]
fn every_way_out_leaves_the_terminal_as_it_was() {
    for by in WAYS {
        let mut desk = Home::new().open();
        desk.see("nothing needs you");
        assert_ends(&mut desk, by);
    }
}

#[test]
fn a_popup_or_a_filter_holds_nothing_back() {
    for by in [By::Key("C-c"), By::Signal(Signal::TERM), By::HangUp] {
        for (key, text) in [("?", " Keys "), (":", " Commands "), ("/", "enter keeps"), ("N", " Note ")] {
            let mut desk = demo().open();
            desk.see("n8n-worker");
            desk.press_see(key, text);
            assert_ends(&mut desk, by);
        }
    }
}

#[test]
fn it_ends_before_anything_was_read() {
    for by in WAYS {
        let mut desk = Home::new().open();
        assert_ends(&mut desk, by);
    }
}

#[test]
fn it_ends_while_the_engine_hangs() {
    for by in WAYS {
        let hung = bed::hung_unix_socket();
        let mut desk = Home::new().engine(hung.endpoint()).open();
        bed::wait_until(DEADLINE, "the engine is asked", || (hung.accepted() > 0).then_some(()));
        desk.press_see("2", "asking the container engine");
        assert_ends(&mut desk, by);
    }
}

#[test]
fn it_ends_while_the_driver_hangs() {
    for by in WAYS {
        let Some(double) = Double::new(&json!({"init": "hang"})) else { return };
        let mut desk = Home::new().env("HOSTLER_NVML_LIBRARY", double.library()).open();
        desk.see("no answer within");
        assert_ends(&mut desk, by);
    }
}

/// A file that never answers whoever opens it to read or to write.
fn hung_file(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn it_ends_while_the_state_folder_hangs() {
    for by in WAYS {
        let home = Home::new();
        hung_file(&home.state().join("images-seen.json"));
        // Midnight may come meanwhile.
        let today = Timestamp::now();
        for day in [today, today + SignedDuration::from_hours(24)] {
            hung_file(&home.state().join(format!("log/hostler.{}.log", day.strftime("%F"))));
        }
        let mut desk = home.open();
        // That much goes to the diagnostics too.
        desk.press_see("2", "there is no such socket");
        assert_ends(&mut desk, by);
    }
}

/// Types a key at a terminal that takes nothing, and waits until it is read: from then on a frame waits.
#[track_caller]
fn stall(desk: &mut Desk, key: &str) {
    desk.term.stall().unwrap();
    desk.press(key);
    bed::wait_until(DEADLINE, "the key is read", || desk.term.has_read_all().then_some(()));
}

#[test]
fn it_ends_while_nobody_takes_what_it_writes() {
    for by in WAYS {
        let mut desk = demo().open();
        desk.see("n8n-worker");
        stall(&mut desk, "2");
        match by {
            By::Key(key) => desk.press(key),
            By::Signal(signal) => desk.term.signal(signal).unwrap(),
            By::HangUp => desk.term.hang_up(),
        }
        let report = desk.term.wait_exit(DEADLINE).unwrap_or_else(|why| panic!("{by:?}: {why}"));
        assert_eq!((report.status, report.orphans.len()), (Ending::Code(0), 0), "{by:?}: {report:?}");
        // The screen cannot be given back, the line can.
        assert!(report.restored.is_none_or(|restored| restored.cooked), "{by:?}");
    }
}

#[test]
fn a_terminal_that_was_behind_catches_up() {
    let mut desk = demo().open();
    desk.see("n8n-worker");
    stall(&mut desk, "2");
    for key in ["3", "?", "4", "f", "2"] {
        desk.press(key);
        bed::wait_until(DEADLINE, "the key is read", || desk.term.has_read_all().then_some(()));
    }
    desk.term.go_on().unwrap();
    // Both in one frame: an older one may come first.
    desk.until("the newest frame is seen", |screen| screen.contains("── Containers ──") && screen.contains("FROZEN"));
    // Frames that nobody could see were not sent, and what is seen is whole.
    let caught_up = desk.screen().text();
    desk.resize(159, 48);
    desk.resize(160, 48);
    assert_eq!(desk.screen().text(), caught_up);
    desk.press("q");
    assert!(desk.end().is_clean());
}

/// Names the part of [`ends_of_a_panic`] that a child of it plays.
const PART: &str = "HOSTLER_TEST_PANIC";

/// This very test in a terminal of its own, in a part.
fn played(part: &str) -> Term {
    let spec = Spec::new(env::current_exe().unwrap())
        .args(["--exact", "screen::exits::ends_of_a_panic", "--nocapture", "--test-threads=1"])
        .env(PART, part)
        .env("RUST_BACKTRACE", "0");
    Term::start(&spec).unwrap()
}

#[test]
fn ends_of_a_panic() {
    match env::var(PART).as_deref() {
        Ok("face") => panic_at_the_face(),
        Ok("task") => panic_in_a_task(),
        Ok("thread") => panic_beside_the_face(),
        _ => {
            for part in ["face", "task"] {
                let mut term = played(part);
                let report = term.wait_exit(DEADLINE).unwrap();
                assert!(report.is_clean(), "{part}: {report:?}");
                assert_eq!(report.status, Ending::Code(101), "{part}: {report:?}");
                assert!(term.has_written(b"\x1b[?1049h"), "{part}: it had the terminal");
                let screen = term.screen();
                assert!(screen.contains("the floor gave way") && screen.contains("exits.rs"), "{part}: {screen}");
            }
            // A reader that breaks takes its own panel with it, and nothing else.
            let mut term = played("thread");
            term.wait_for(|screen| screen.alternate() && screen.contains("restarting again"), DEADLINE).unwrap();
            term.press("5").unwrap();
            term.wait_for(|screen| screen.alternate() && screen.contains("── Routine ──"), DEADLINE).unwrap();
            assert!(!term.has_written(b"the floor gave way"));
            term.press("q").unwrap();
            let report = term.wait_exit(DEADLINE).unwrap();
            assert!(report.is_clean(), "{report:?}");
        }
    }
}

/// A panic of whoever draws.
fn panic_at_the_face() {
    hostler::terminal::restore_on_panic();
    let _terminal = hostler::terminal::Terminal::enter(true).unwrap();
    panic!("the floor gave way");
}

/// A panic of a task beside the one that draws, on the same thread.
fn panic_in_a_task() {
    hostler::terminal::restore_on_panic();
    let _terminal = hostler::terminal::Terminal::enter(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.spawn_local(async { panic!("the floor gave way") });
    tasks.block_on(&runtime, std::future::pending::<()>());
}

/// A panic of a thread that reads something, while the whole screen runs.
fn panic_beside_the_face() {
    let beside = std::thread::spawn(|| {
        bed::wait_until(DEADLINE, "the screen is taken", || {
            let settings = rustix::termios::tcgetattr(rustix::stdio::stdin()).unwrap();
            (!settings.local_modes.contains(rustix::termios::LocalModes::ICANON)).then_some(())
        });
        panic!("the floor gave way");
    });
    let exit = hostler::cli::main(["hostler", "--demo"].map(Into::into));
    assert!(beside.join().is_err());
    assert_eq!(ExitCode::from(exit), ExitCode::SUCCESS);
}
