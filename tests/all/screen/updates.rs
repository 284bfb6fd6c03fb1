//! The update check on screen: a newer version in a registry is seen without a key, decisions are heeded at once, and what
//! was learned is there for the next look, registry or not.

use std::process::Command;

use hostler::history::StateDir;
use serde_json::Value;

use super::Home;
use crate::bed::{self, Share};

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
    dir.skip_version(&reference, "1.1.0", true).unwrap();
    desk.see("update   1.1.0 is passed over");
    dir.skip_version(&reference, "1.1.0", false).unwrap();
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
