//! Prune and removal by key: the plan is seen, chosen from, carried out; and what was freed is what was shown.

use super::{Home, demo};
use crate::actions::prune::{Mess, TAGGED};

#[test]
fn what_is_shown_is_what_is_freed() {
    let Some(mess) = Mess::make() else { return };
    let home = Home::new().engine(mess.engine.endpoint());
    let mut desk = home.open();
    desk.press_see("P", " Prune ");
    desk.see("[x] 2  remove 1 container down for more than 7 days");
    desk.see(mess.old.name());
    let shown = desk.read(r"frees (\S+ \S+)");
    desk.press("Enter");
    desk.miss("[ Cancel ]");
    assert!(mess.has_container(&mess.old), "Cancel had the focus");

    // What follows a step goes and comes with it.
    desk.press_see("P", "in 5 steps");
    desk.press("Down");
    desk.press_see("Space", "in 3 steps");
    desk.press_see("Space", "in 5 steps");
    desk.see(&format!("frees {shown} "));
    desk.press("y");
    desk.see(&format!("freed {shown}, as planned"));
    assert!(!mess.has_container(&mess.old));
    desk.press_see("J", &format!("Prune, freed {shown}"));
}

#[test]
fn an_image_and_a_volume_go_by_key() {
    let Some(mess) = Mess::make() else { return };
    let home = Home::new().engine(mess.engine.endpoint()).args(["--tab", "containers"]);
    let mut desk = home.open();
    desk.press_see("v", "── Images ──");
    let row = desk.place(TAGGED);
    desk.click(row);
    desk.press_see("D", &format!(" Remove {TAGGED} "));
    desk.press("y");
    desk.see(&format!("succeeded: Remove {TAGGED}"));
    assert!(!mess.has_image(&mess.tagged));

    desk.press_see("v", "── Volumes ──");
    let row = desk.place("○ named ");
    desk.click(row);
    desk.press_see("D", " Remove volume named ");
    desk.see("type named to let it go");
    desk.press("Tab");
    desk.press_see("Enter", "data goes: type named first");
    desk.write("named");
    desk.see("let it go: named");
    desk.press("Enter");
    desk.see("succeeded: Remove volume named");
    assert!(!mess.has_volume("named"));
}

#[test]
fn a_demo_prunes_nothing() {
    let mut desk = demo().open();
    desk.press_see("P", "a demo changes nothing (prune)");
    desk.miss("[ Cancel ]");
}
