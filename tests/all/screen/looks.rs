//! Colours and signs: what the terminal is said to show is all that is sent.

use super::{Desk, TABS, demo, looks_in};

/// Goes through all tabs and popups. Frozen, so that nothing but a key changes a cell.
#[track_caller]
fn look_around(desk: &mut Desk) {
    desk.see("restarting again and again");
    desk.press_see("f", "FROZEN");
    for (key, _) in TABS {
        if key != "1" {
            desk.tap(key);
        }
        for popup in ["?", "a", "J", "T", ":", "N", "z"] {
            desk.tap(popup);
            desk.tap("Esc");
        }
    }
    desk.tap("2");
    for key in ["Enter", "Esc", "Space", "s", "C", "Esc", "/"] {
        desk.tap(key);
    }
}

/// Whether the parameters of a look name a colour.
fn is_colour(look: &str) -> bool {
    look.split(';').any(|part| matches!(part.parse::<u8>(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107)))
}

#[test]
fn a_terminal_of_many_colours_gets_them() {
    let mut desk = demo().open();
    look_around(&mut desk);
    let looks = looks_in(&desk.written());
    assert!(looks.iter().any(|look| look.contains("38;2;")));
    assert!(looks.iter().all(|look| !look.contains("38;5;")));
}

#[test]
fn no_color_means_none() {
    let mut desk = demo().env("NO_COLOR", "1").open();
    look_around(&mut desk);
    let looks = looks_in(&desk.written());
    let coloured: Vec<_> = looks.iter().filter(|look| is_colour(look)).collect();
    assert!(coloured.is_empty(), "{coloured:?}");
    // What is selected or critical can be told all the same.
    assert!(looks.iter().any(|look| look == "7") && looks.iter().any(|look| look == "1"), "{looks:?}");
}

#[test]
fn a_linux_console_gets_its_sixteen_colours() {
    let mut desk = demo().env("TERM", "linux").without("COLORTERM").open();
    look_around(&mut desk);
    let looks = looks_in(&desk.written());
    let plain = |part: &str| matches!(part.parse::<u8>(), Ok(0..=29 | 30..=37 | 39..=47 | 49 | 90..=97 | 100..=107));
    let other: Vec<_> = looks.iter().filter(|look| !look.is_empty() && !look.split(';').all(plain)).collect();
    assert!(other.is_empty(), "{other:?}");
    assert!(looks.iter().any(|look| is_colour(look)), "{looks:?}");
}

#[test]
fn without_utf_8_nothing_but_ascii_is_sent() {
    let mut desk = demo().without("LC_ALL").without("LC_CTYPE").env("LANG", "C").open();
    look_around(&mut desk);
    let written = desk.written();
    let strange: String = written.chars().filter(|character| !character.is_ascii()).collect();
    assert_eq!(strange, "");
    assert!(written.contains("X 2 critical"));
}

#[test]
fn another_theme_has_other_colours() {
    let mut desk = demo().open();
    let name = "gpubox-01";
    let dark = desk.look(name);
    desk.press_see("T", " Theme ");
    desk.write("light");
    desk.see("> light_");
    desk.press("Enter");
    desk.see("theme light; `theme = \"light\"` in the config keeps it");
    desk.miss(" Theme ");
    let light = desk.look(name);
    assert_ne!((dark.fg, dark.bg), (light.fg, light.bg));
    // As if it had been chosen at the start.
    let mut other = demo().args(["--theme", "light"]).open();
    assert_eq!(other.look(name), light);
}

#[test]
fn the_mono_theme_has_no_colour_of_its_own() {
    let mut desk = demo().args(["--theme", "mono"]).open();
    look_around(&mut desk);
    let looks = looks_in(&desk.written());
    let coloured: Vec<_> = looks.iter().filter(|look| is_colour(look)).collect();
    assert!(coloured.is_empty(), "{coloured:?}");
}
