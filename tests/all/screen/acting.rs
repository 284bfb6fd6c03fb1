//! Actions by keys: the plan is seen before anything is done, the run while it is done, the outcome when it is.

use bollard::models::ContainerStateStatusEnum;
use rustix::process::Signal;
use serde_json::Value;

use super::{Desk, Home};
use crate::actions::service::{CONFIG, Service, Version};
use crate::bed::{self, DEADLINE, Share, wait_until};

/// hostler on the Containers tab, beside the containers of this test alone, and the home in which its workers look for
/// their config.
fn open(share: &Share) -> (Home, Desk) {
    let home = Home::new().configured(&format!("{}{CONFIG}", super::QUIET));
    let home = home.engine(share.endpoint()).args(["--tab", "containers"]);
    let desk = home.open();
    (home, desk)
}

#[test]
fn a_bad_update_undoes_itself_and_a_good_one_stays() {
    let Some(service) = Service::start() else { return };
    let share = Share::of(&service.engine);
    let (_home, mut desk) = open(&share);
    let row = desk.place("● app ");
    desk.click(row);

    service.publish("2", Version::Sick);
    let shown = service.shown();
    desk.press_see("u", &format!(" Update {shown} "));
    desk.see("same as docker pull");
    desk.see("[ Cancel ]");
    desk.press("Enter");
    desk.miss("[ Cancel ]");
    assert_eq!(service.version(), "1", "Cancel had the focus");

    desk.press_see("u", "[ Cancel ]");
    desk.press("y");
    desk.see("is unhealthy: migration failed");
    desk.see("▲ taken back: ");
    assert_eq!(service.version(), "1");
    assert_eq!(service.now().id.as_deref(), Some(service.container.id()));
    desk.press("Esc");

    service.publish("3", Version::Good);
    desk.press_see("u", "[ Cancel ]");
    desk.press("y");
    desk.see(&format!("succeeded: Update {shown}"));
    assert_eq!(service.version(), "3");

    desk.press_see("b", &format!(" Roll back {shown} "));
    desk.press("y");
    desk.see(&format!("succeeded: Roll back {shown}"));
    assert_eq!(service.version(), "1");

    desk.press_see("J", "rolled-back");
    desk.see("succeeded");
    desk.press_see("Enter", "take back");
    assert!(service.runs());
}

#[test]
fn marked_containers_are_restarted_together() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let quick = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let [a, b, c] = ["a", "b", "c"].map(|name| engine.run(name, |spec| spec.compose("shop", name).shell(quick)));
    let started = |container: &bed::Container| container.state().started_at;
    let before = [&a, &b, &c].map(started);
    let (_home, mut desk) = open(&share);
    let row = desk.place("● a ");
    desk.click(row);
    desk.press_see("Space", "1 marked");
    desk.press_see("Space", "2 marked");
    desk.press_see("r", " Restart 2 containers ");
    desk.press("y");
    desk.see("succeeded: Restart 2 containers");
    let after = [&a, &b, &c].map(started);
    assert!(before[0] != after[0] && before[1] != after[1] && before[2] == after[2], "{before:?} {after:?}");
    desk.miss("2 marked");
}

#[test]
fn one_key_stops_and_starts() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let it =
        engine.run("it", |spec| spec.compose("shop", "it").shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"));
    let (_home, mut desk) = open(&share);
    let row = desk.place("● it ");
    desk.click(row);
    desk.press_see("o", " Stop shop/it ");
    desk.press("y");
    desk.see("succeeded: Stop shop/it");
    desk.see("○ it ");
    // Starting interrupts nothing, so it does not ask.
    desk.press("o");
    desk.see("succeeded: Start");
    assert_eq!(it.state().status, Some(ContainerStateStatusEnum::RUNNING));
}

#[test]
fn nothing_is_done_read_only() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let it = engine.run("it", |spec| spec.compose("shop", "it"));
    let home = Home::new().engine(share.endpoint()).args(["--tab", "containers", "--read-only"]);
    let mut desk = home.open();
    let row = desk.place("● it ");
    desk.click(row);
    for key in ["r", "K", "D", "u", "b", "o", "x", "P"] {
        desk.press_see(key, "read-only");
    }
    assert_eq!(it.state().status, Some(ContainerStateStatusEnum::RUNNING));
}

/// An update is carried out to its end though its screen goes in this way.
fn a_run_goes_on(leave: impl FnOnce(&mut Desk)) {
    let Some(service) = Service::start() else { return };
    let share = Share::of(&service.engine);
    service.publish("2", Version::Slow);
    let (home, mut desk) = open(&share);
    let row = desk.place("● app ");
    desk.click(row);
    desk.press_see("u", "[ Cancel ]");
    desk.press("y");
    desk.read(r"(step \d+ of)");
    leave(&mut desk);
    let ended = wait_until(DEADLINE, "the run has ended", || {
        let mut files = std::fs::read_dir(home.state().join("runs")).ok()?.map(|file| file.unwrap().path());
        let run = files.find(|file| file.extension().is_some_and(|extension| extension == "jsonl"))?;
        let text = std::fs::read_to_string(run).unwrap();
        let mut records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.find(|record| record["kind"] == "ended")
    });
    assert_eq!(ended["outcome"], "succeeded", "{ended}");
    assert_eq!(service.version(), "2");
    assert!(service.runs());
}

#[test]
fn a_run_goes_on_when_the_terminal_is_gone() {
    a_run_goes_on(|desk| desk.term.hang_up());
}

#[test]
fn a_run_goes_on_when_the_screen_is_killed() {
    a_run_goes_on(|desk| desk.term.signal(Signal::KILL).unwrap());
}

#[test]
fn an_action_of_ones_own_has_its_key_and_its_place_in_the_palette_and_in_help() {
    let Some(engine) = bed::engine() else { return };
    let share = Share::of(&engine);
    let it = engine.run("it", |spec| spec.compose("shop", "it"));
    let action = "[[action]]\nid = \"own.greet\"\ntitle = \"greet\"\non = \"container\"\nkey = \"F\"\n\
        argv = [\"echo\", \"hello\", \"{name}\"]\nconfirm = \"It will be loud.\"\n";
    let home = Home::new().configured(&format!("{}{action}", super::QUIET));
    let home = home.engine(share.endpoint()).args(["--tab", "containers"]);
    let mut desk = home.open();
    let row = desk.place("● it ");
    desk.click(row);
    desk.press_see("F", " Greet shop/it ");
    desk.see("It will be loud.");
    desk.see(&format!("same as echo hello {}", it.name()));
    desk.press("y");
    desk.see("succeeded: Greet shop/it");
    desk.press_see("?", "own.greet");
    desk.press("Esc");
    desk.miss("own.greet");
    desk.press_see(":", "Commands");
    desk.write("greet");
    desk.see("Containers: greet");
    desk.press_see("Enter", " Greet shop/it ");
    desk.press("Esc");
    desk.miss(" Greet shop/it ");

    // What is read again is heeded at once.
    home.write_config(&format!("{}{}", super::QUIET, action.replace("hello", "goodbye")));
    desk.press_see("F5", "the config was read again");
    desk.press_see("F", "same as echo goodbye");
}
