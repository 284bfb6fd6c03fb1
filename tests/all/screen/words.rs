//! What people say (snooze, accept, note): from the form to the journal, and back onto the screen.

use serde_json::Value;

use super::{Home, LOUD};

fn text<'a>(record: &'a Value, key: &str) -> &'a str {
    record[key].as_str().unwrap()
}

#[test]
fn a_snoozed_finding_leaves_the_strip_and_stands_in_the_journal() {
    let home = Home::new().configured(LOUD);
    let mut desk = home.open();
    desk.see("▲ 1 warning");
    desk.press_see("z", " Snooze ");
    desk.see("memory.used");
    desk.write("until the new modules come");
    desk.press("Enter");
    desk.see("nothing needs you");
    desk.miss("1 warning");

    let journal = home.journal();
    assert_eq!(journal.len(), 1, "{journal:?}");
    assert_eq!((text(&journal[0], "kind"), text(&journal[0], "finding")), ("snooze", "memory.used"));
    assert_eq!((text(&journal[0], "subject"), text(&journal[0], "by")), ("host", "ada"));
    assert_eq!(text(&journal[0], "why"), "until the new modules come");
    desk.press_see("a", "snoozed by ada until");
    desk.press("Esc");
    desk.miss("snoozed by ada until");
    desk.press_see("J", " Journal ");
    desk.see("until the new modules come");
    // It holds at the next start too.
    desk.press("Esc");
    desk.miss(" Journal ");
    desk.press("q");
    assert!(desk.end().is_clean());
    let mut desk = home.open();
    desk.see("nothing needs you");
}

#[test]
fn accepting_needs_a_reason() {
    let home = Home::new().configured(LOUD);
    let mut desk = home.open();
    desk.see("▲ 1 warning");
    desk.press_see("A", " Accept ");
    desk.press_see("Enter", "say why it is accepted");
    assert_eq!(home.journal(), Vec::<Value>::new());
    desk.press("S-Tab");
    desk.write("x");
    desk.see("until  30dx_");
    desk.press("Tab");
    desk.write("models are kept in memory");
    desk.press_see("Enter", "`30dx` is no end");
    desk.press("S-Tab");
    desk.press("Backspace");
    desk.see("until  30d_");
    desk.press("Enter");
    desk.see("why    models are kept in memory_");
    desk.press("Enter");
    desk.see("nothing needs you");
    let journal = home.journal();
    assert_eq!((journal.len(), text(&journal[0], "kind")), (1, "accept"));
}

#[test]
fn a_note_is_recorded_and_shown() {
    let home = Home::new();
    let mut desk = home.open();
    desk.see("nothing needs you");
    desk.press_see("N", " Note ");
    desk.press_see("Enter", "an empty note says nothing");
    desk.write("changed the fan q:?");
    desk.see("changed the fan q:?_");
    desk.press_see("Enter", "recorded in the journal");
    let journal = home.journal();
    assert_eq!((text(&journal[0], "kind"), text(&journal[0], "text")), ("note", "changed the fan q:?"));
    desk.press_see("J", "changed the fan q:?");
    desk.press("Esc");
    desk.miss(" Journal ");
    desk.press_see("N", " Note ");
    desk.write("never mind");
    desk.press("Esc");
    desk.miss(" Note ");
    assert_eq!(home.journal().len(), 1);
}

#[test]
fn what_was_said_last_is_not_lost_by_leaving() {
    for leave in ["q", "\x03"] {
        let home = Home::new();
        let mut desk = home.open();
        desk.press_see("N", " Note ");
        desk.write(&format!("last words\r{leave}"));
        assert!(desk.end().is_clean());
        assert_eq!(home.journal().len(), 1, "{leave:?}");
    }
}

#[test]
fn read_only_records_nothing() {
    let home = Home::new().configured(LOUD).args(["--read-only"]);
    let mut desk = home.open();
    desk.see("▲ 1 warning");
    desk.see("read-only");
    for key in ["z", "A", "Z"] {
        desk.press_see(key, "read-only: nothing is snoozed, accepted or acknowledged");
        desk.press_see("1", "shorter");
    }
    desk.press_see("N", "read-only: no note is written");
    desk.press("q");
    assert!(desk.end().is_clean());
    let text = std::fs::read_to_string(home.state().join("journal.jsonl")).unwrap_or_default();
    assert_eq!(text, "", "not even the visit");
}

#[test]
fn a_made_up_box_leaves_nothing_behind() {
    let home = super::demo();
    let mut desk = home.open();
    desk.see("n8n-worker  restarting again and again");
    desk.press_see("N", " Note ");
    desk.write("as if");
    desk.see("as if_");
    desk.press_see("Enter", "recorded in the journal");
    desk.press("q");
    assert!(desk.end().is_clean());
    assert!(!home.state().exists() && !home.path().join("xdg-state").exists());
}
