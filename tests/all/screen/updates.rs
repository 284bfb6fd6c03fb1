//! The update check on screen: a newer version in a registry is seen without a key, decisions are heeded at once, and what
//! was learned is there for the next look, registry or not.

use std::process::Command;

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use hostler::history::StateDir;
use serde_json::Value;

use super::{Home, QUIET};
use crate::actions::service::CONFIG;
use crate::bed::{self, DEADLINE, Share, wait_until};

/// What a snapshot says of the only container's image.
fn update(mut command: Command) -> Value {
    let output = command.output().unwrap();
    let snapshot: Value = serde_json::from_slice(&output.stdout).unwrap();
    snapshot["containers"][0]["update"].clone()
}

#[test]
fn a_newer_version_is_seen_and_remembered() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let reference = registry.reference("bed/app", "1.0.0");
    registry.push(&engine, "bed/app", "1.0.0", "1");
    registry.copy("bed/app", "1.0.0", "1.1.0");
    let container =
        engine.run("app", |spec| spec.compose("shop", "app").with(|body| body.image = Some(reference.clone())));
    let share = Share::of(&engine);
    let home = Home::new().engine(share.endpoint()).among(&[]).args(["--tab", "containers"]);
    let mut desk = home.open();
    // Long before anybody is asked, the box is judged.
    desk.see("nothing needs you");
    desk.see("? app:1.0.0");
    desk.see("1.0.0 ↑minor");
    desk.see("update   1.1.0 (minor, ");
    desk.press_see("/", "filter");
    desk.write("update=patch");
    desk.press("Enter");
    desk.see("no container passes the filter");
    desk.press("Esc");
    desk.see("1.0.0 ↑minor");

    let dir = StateDir::choose(Some(&home.state()));
    dir.pin_image(container.name(), true).unwrap();
    desk.see("update   pinned");
    dir.pin_image(container.name(), false).unwrap();
    dir.skip_versions(&reference, &["1.1.0"], true).unwrap();
    desk.see("update   1.1.0 is passed over");
    dir.skip_versions(&reference, &["1.1.0"], false).unwrap();
    desk.see("1.0.0 ↑minor");
    desk.press("q");
    desk.end();

    // A single look asks nobody: it knows what the screen learned, although the registry is gone.
    drop(registry);
    let known = update(home.command(&["snapshot", "--json"]));
    assert_eq!(known["standing"], "newer", "{known}");
    assert_eq!((&known["tags"][0]["tag"], &known["tags"][0]["step"]), (&"1.1.0".into(), &"minor".into()));
    home.write_config("[updates]\ncheck = false\n");
    assert_eq!(update(home.command(&["snapshot", "--json"]))["standing"], "unchecked");
    engine.forget_image(&reference);
}

#[test]
fn a_newer_version_is_chosen_by_its_digit_and_a_pin_keeps_it_out() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let reference = registry.reference("bed/app", "1.0.0");
    registry.push(&engine, "bed/app", "1.0.0", "1");
    let container = engine.run("app", |spec| {
        let spec = spec.shell("trap 'exit 0' TERM; while :; do sleep 0.1; done");
        spec.with(|body| body.image = Some(reference.clone()))
    });
    registry.push(&engine, "bed/app", "1.1.0", "2");
    let share = Share::of(&engine);
    let home = Home::new().engine(share.endpoint()).among(&[]).args(["--tab", "containers"]);
    let home = home.configured(&format!("{QUIET}{CONFIG}"));
    let mut desk = home.open();
    desk.see("1.0.0 ↑minor");
    wait_until(DEADLINE, "the answer is kept", || home.state().join("updates.json").exists().then_some(()));
    let row = desk.place("● hostler-test-");
    desk.click(row);

    desk.press("p");
    desk.see("succeeded: Pin ");
    desk.see("app:1.0.0 pinned");
    desk.press_see("u", "`container.pin` again unpins it");
    desk.press("p");
    desk.see("succeeded: Unpin ");
    desk.see("1.0.0 ↑minor");

    desk.press_see("u", "2 1.1.0   minor, ");
    desk.see("is the newest for");
    desk.see("1–2 another version");
    desk.press_see("2", "same as docker pull");
    desk.see(&format!("pull {}", registry.reference("bed/app", "1.1.0")));
    desk.press("y");
    desk.see("succeeded: Update ");
    desk.see("app:1.1.0");
    let image =
        engine.block_on(engine.docker().inspect_container(container.name(), None)).unwrap().config.unwrap().image;
    assert_eq!(image, Some(registry.reference("bed/app", "1.1.0")));
    desk.press("q");
    desk.end();
    // The new one is nobody's; the old one, which was kept, goes with the test.
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    engine.block_on(engine.docker().remove_container(container.name(), Some(force))).unwrap();
    engine.forget_image(&reference);
}
