//! Sizes: from a wall to one cell and back, at the start and while it runs.

use super::{demo, first_row};
use crate::bed::DEADLINE;
use crate::pty::{Screen, Term};

#[test]
fn any_size_is_drawn_and_the_way_back_is_whole() {
    let mut desk = demo().args(["--tab", "containers"]).open();
    desk.see("── Containers ──");
    desk.see("n8n-worker");
    // Too small for a tab: the verdict and the worst findings, a line each.
    desk.resize(20, 5);
    desk.until("the verdict is drawn", |screen| first_row(screen) == "✖ critical  DEMO");
    desk.see("✖ agents-n8n-worke");
    desk.resize(1, 1);
    desk.until("its sign is drawn", |screen| screen.text() == "✖");
    for (cols, rows) in [(1, 48), (160, 1), (2, 2), (59, 15), (60, 14), (300, 100)] {
        desk.resize(cols, rows);
        assert!(desk.screen().filled() > 0, "{cols}x{rows}");
    }
    desk.see("── Containers ──");
    desk.resize(60, 15);
    desk.until("the smallest whole screen is drawn", |screen| {
        screen.contains("── Containers ──") && screen.contains("q quit")
    });
    desk.resize(160, 48);
    desk.until("all of it is drawn again", |screen| {
        screen.contains("── agents-embedder-1 ──")
            && screen.contains("ollama  ")
            && first_row(screen).contains("gpubox-01")
    });
    desk.press("q");
    assert!(desk.end().is_clean());
}

#[test]
fn popups_bear_any_size() {
    let mut desk = demo().open();
    desk.see("restarting again and again");
    desk.press_see("f", "FROZEN");
    for (popup, title) in
        [("?", " Keys "), (":", " Commands "), ("a", " Findings "), ("N", " Note "), ("J", " Journal ")]
    {
        desk.press_see(popup, title);
        for (cols, rows) in [(3, 3), (60, 15), (1, 1), (160, 48)] {
            desk.resize(cols, rows);
            assert!(desk.screen().filled() > 0, "{cols}x{rows}");
        }
        desk.see(title);
        desk.press("Esc");
        desk.miss(title);
    }
}

#[test]
fn it_starts_at_any_size() {
    for (cols, rows, sign) in
        [(1, 1, "✖"), (20, 5, "✖ critical  DEMO"), (60, 15, "✖ 2 critical"), (80, 24, "DEMO"), (300, 90, "DEMO")]
    {
        let mut desk = demo().size(cols, rows).open();
        desk.see(sign);
        desk.press("q");
        assert!(desk.end().is_clean(), "{cols}x{rows}");
    }
}

#[test]
fn a_size_that_comes_while_it_starts_counts() {
    for _ in 0..5 {
        let mut term = Term::start(&demo().spec()).unwrap();
        // From here on it knows its size, and perhaps does not hear of another one yet.
        term.wait_for(Screen::alternate, DEADLINE).unwrap();
        term.resize(70, 20).unwrap();
        let last = |screen: &Screen| screen.rows().last().is_some_and(|row| row.contains("q quit"));
        term.wait_for(last, DEADLINE).unwrap();
        term.press("q").unwrap();
        assert!(term.wait_exit(DEADLINE).unwrap().is_clean());
    }
}
