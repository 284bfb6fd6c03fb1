//! The screen from end to end: the built program on a real pseudo-terminal, keys in, cells out.
//!
//! What a view draws and what an event does to the state is tested without a terminal (`views`, `reducer`). Here are the
//! whole ways: from a key to the clipboard, the journal, the end of the process; from a container's start to its row.

mod acting;
mod desk;
mod engine;
mod exits;
mod keys;
mod looks;
mod mouse;
mod prune;
mod sizes;
mod suspend;
mod updates;
mod words;

pub(crate) use desk::{Desk, Home, LOUD, PROMPT, QUIET, looks as looks_in, without_sequences};

use std::fs;

use crate::pty::Screen;

/// The tabs with their keys, and what stands on each of them at 160 columns, and on no other.
pub(crate) const TABS: [(&str, &str); 5] = [
    ("1", "── Disks ──"),
    ("2", "── Containers ──"),
    ("3", "── Engines ──"),
    ("4", "── Stream ──"),
    ("5", "── Routine ──"),
];

fn first_row(screen: &Screen) -> String {
    screen.rows().next().unwrap_or_default()
}

/// hostler on a made-up box.
fn demo() -> Home {
    Home::new().args(["--demo"])
}

/// hostler on a made-up box, on the Containers tab.
#[track_caller]
fn demo_containers() -> Desk {
    let mut desk = demo().args(["--tab", "containers"]).open();
    desk.see("n8n-worker");
    desk
}

#[test]
fn it_opens_with_the_real_host() {
    let home = Home::new();
    let mut desk = home.open();
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    desk.see(&format!("hostler  {}", name.trim()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    desk.see(kernel.trim().split('-').next().unwrap());
    desk.read(r"  cpu (\d+%)");
    desk.read(r"  ram (\d+%)");
    let table = fs::read_to_string("/proc/meminfo").unwrap();
    let total: f64 = table.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let shown: f64 = desk.read(r"/([0-9.]+) GiB").parse().unwrap();
    assert!((shown - total / f64::from(1 << 20)).abs() < 1.0, "{shown} GiB of {total} kB");
    // What is not there says so instead of showing 0.
    desk.press_see("2", "there is no such socket");
    desk.see("`hostler doctor` lists every place that was tried.");
}

#[test]
fn each_tab_has_its_key() {
    let mut desk = demo().open();
    for (key, heading) in TABS {
        desk.press_see(key, heading);
        let screen = desk.screen();
        let others = TABS.iter().filter(|(other, heading)| *other != key && screen.contains(heading));
        assert_eq!(others.count(), 0, "{screen}");
    }
}

#[test]
fn the_first_tab_is_chosen_at_the_start() {
    for (name, (_, heading)) in ["gpu", "containers", "models", "logs", "checklist"].into_iter().zip(TABS) {
        demo().args(["--tab", name]).open().see(heading);
    }
}

#[test]
fn a_made_up_box_is_always_marked() {
    let marked = |desk: &mut Desk| {
        let title = first_row(desk.screen());
        assert!(title.contains("DEMO"), "{title}");
    };
    let mut desk = demo().open();
    desk.see("restarting again and again");
    for (key, heading) in TABS {
        desk.press_see(key, heading);
        marked(&mut desk);
    }
    desk.press_see("f", "FROZEN");
    for key in ["?", "Esc", ":", "Esc", "a", "Esc", "T", "Esc", "/", "Esc"] {
        desk.tap(key);
        marked(&mut desk);
    }
    for (cols, rows) in [(120, 40), (80, 24), (60, 15)] {
        desk.resize(cols, rows);
        marked(&mut desk);
    }
}
