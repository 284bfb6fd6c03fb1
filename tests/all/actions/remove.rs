//! One image, one volume: removed when nothing uses or keeps it, else refused with the reason.

use bollard::models::VolumeCreateRequest;

use super::prune::late;
use super::{home, planned, run};
use crate::bed;

#[test]
fn an_image_goes_with_all_its_names_unless_it_is_used_or_kept() {
    let Some(engine) = bed::engine() else { return };
    let home = home(&engine);
    let name = format!("hostler-test-remove-{}", std::process::id());
    let image = engine.image(&format!("{name}:1"), b'i', 40_000);
    let tag = bollard::query_parameters::TagImageOptionsBuilder::new().repo(&name).tag("2").build();
    engine.block_on(engine.docker().tag_image(image.id(), Some(tag))).unwrap();
    let user = engine.run("user", |spec| spec.does_not_start().with(|body| body.image = Some(image.id().to_owned())));

    let reference = format!("{name}:1");
    home.run(&["run", "image.remove", &reference, "--yes"]).refused(4, user.name());
    home.run(&["run", "image.remove", &format!("{name}:3"), "--yes"]).refused(4, "did you mean");
    home.run(&["run", "image.remove"]).refused(4, "name an image");
    drop(user);
    let plan = planned(&home, &["image.remove", &reference]);
    let item = &plan["plan"]["steps"][0]["items"][0];
    assert!(item["detail"].as_str().unwrap().contains(&format!("also {name}:2")), "{plan}");
    assert_eq!((&plan["bytes"], &plan["risk"]), (&40_000.into(), &"disruptive".into()));
    // The beginning of its id means it, too.
    let (code, done) = run(&home, &["image.remove", &image.id()[7..19]]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert!(engine.block_on(engine.docker().inspect_image(image.id())).is_err());

    let labelled = engine.image_with(&format!("{name}:keep"), b'k', 1_000, &["LABEL hostler.keep=1"]);
    home.run(&["run", "image.remove", &format!("{name}:keep"), "--yes"]).refused(4, "docker rmi");
    let kept = format!("{}:20261112-030400-1a2b", hostler::domain::kept_repository("some-container"));
    let for_rollback = engine.image(&kept, b'r', 1_500);
    home.run(&["run", "image.remove", for_rollback.id(), "--yes"]).refused(4, "roll back of some-container");
    drop((labelled, for_rollback));
}

#[test]
fn a_volume_goes_only_by_its_name() {
    let Some(engine) = bed::engine() else { return };
    let home = home(&engine);
    let name = format!("hostler-test-remove-{}", std::process::id());
    let request = VolumeCreateRequest { name: Some(name.clone()), ..VolumeCreateRequest::default() };
    engine.block_on(engine.docker().create_volume(request)).unwrap();
    let user = engine.run("user", |spec| {
        spec.shell("head -c 6000 /dev/zero > /data/f").with(|body| {
            body.host_config.get_or_insert_default().binds = Some(vec![format!("{name}:/data")]);
        })
    });
    user.wait_for("has ended", |it| (it.state.as_ref()?.running == Some(false)).then_some(()));
    home.run(&["run", "volume.remove", &name, "--confirm", &name]).refused(4, user.name());
    let id = user.id().to_owned();
    drop(user);
    let plan = planned(&home, &["volume.remove", &name]);
    assert_eq!((&plan["bytes"], &plan["risk"]), (&6_000.into(), &"destructive".into()));
    home.run(&["run", "volume.remove", &name, "--yes"]).refused(4, &format!("--confirm {name}"));
    home.run(&["run", "volume.remove", &name, "another", "--yes"]).refused(4, "one by one");
    home.run(&["run", "volume.remove", &id]).refused(4, "there is no volume");
    // Somebody mounts it between the look and the step.
    let user = engine.run("user", |spec| {
        spec.with(|body| body.host_config.get_or_insert_default().binds = Some(vec![format!("{name}:/data")]))
    });
    let refused = late(&home, &plan);
    assert_eq!(refused["outcome"], "failed", "{refused}");
    assert!(refused["text"].as_str().unwrap().contains(&format!("{} uses the volume", user.name())), "{refused}");
    drop(user);
    let (code, done) = run(&home, &["volume.remove", &name, "--confirm", &name]);
    assert_eq!((code, done["freed_bytes"].as_u64()), (0, Some(6_000)), "{done}");
    assert!(engine.block_on(engine.docker().inspect_volume(&name)).is_err());
}
