//! What the private engine holds, as the source tells it: layers counted once, who uses what, what nobody needs.

use std::collections::HashMap;

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptions};
use hostler::domain::{DockerDisk, DockerVolume, Image, Reading, SourceId};
use hostler::store::{ImageUse, State};

use super::watcher::Watcher;
use crate::bed::{self, Container, Engine, Home};

/// What is held, once the engine has measured it.
fn measured(state: &State) -> Option<&DockerDisk> {
    state.disk.get().filter(|disk| disk.measured.is_some())
}

fn image<'a>(state: &'a State, image: &bed::Image) -> Option<&'a Image> {
    measured(state)?.image(image.id())
}

fn own(state: &State, image: &bed::Image) -> Option<u64> {
    measured(state)?.with_own_bytes().find(|(it, _)| *it.id == *image.id()).map(|(_, own)| own)
}

/// A container of this image that was made and cannot be started.
fn made(engine: &Engine, image: &str, change: impl FnOnce(&mut bollard::models::ContainerCreateBody)) -> Container {
    engine.run("made", |spec| {
        spec.does_not_start().with(|body| {
            body.image = Some(image.to_owned());
            change(body);
        })
    })
}

#[test]
fn an_image_that_lost_its_name_is_dangling() {
    let Some(engine) = bed::engine() else { return };
    let reference = "hostler-test-dangling:1";
    let old = engine.image(reference, b'o', 40_000);
    let mut watcher = Watcher::with_disk(engine.endpoint());
    let it = watcher.until("the image is listed", |state| image(state, &old).cloned());
    assert_eq!((&it.references[..], it.size_bytes), (&[reference.to_owned()][..], 40_000));
    assert!(!it.is_dangling() && it.is_reclaimable());
    assert!(matches!(watcher.state().image_use(&it), Some(ImageUse::NotSince(_))));

    // Events tell that the name went to another one; the next measurement lies minutes ahead.
    let new = engine.image(reference, b'n', 50_000);
    let it = watcher.until("it has lost its name", |state| image(state, &old).filter(|it| it.is_dangling()).cloned());
    assert!(it.is_reclaimable());
    assert_eq!(image(watcher.state(), &new).map(|it| it.name().to_owned()).as_deref(), Some(reference));
    assert_eq!(own(watcher.state(), &old), Some(40_000));
    let id = old.id().to_owned();
    drop(old);
    watcher.until("it is gone", |state| measured(state)?.image(&id).is_none().then_some(()));
}

#[test]
fn layers_are_counted_once_though_their_base_has_no_name() {
    let Some(engine) = bed::engine() else { return };
    let base = engine.image("hostler-test-layers:base", b'b', 100_000);
    let container = |_: &str| made(&engine, base.id(), |_| {});
    let (first, second) = (container("first"), container("second"));
    let a = engine.commit(&first, "hostler-test-layers:a", b'a', 30_000);
    let b = engine.commit(&second, "hostler-test-layers:b", b'b', 7_000);
    let mut watcher = Watcher::with_disk(engine.endpoint());
    watcher.until("all three are listed", |state| {
        image(state, &base).and(image(state, &a)).and(image(state, &b)).map(drop)
    });
    let sizes = |state: &State, it: &bed::Image| (image(state, it).unwrap().size_bytes, own(state, it).unwrap());
    assert_eq!(sizes(watcher.state(), &base), (100_000, 0));
    assert_eq!(sizes(watcher.state(), &a), (130_000, 30_000));
    assert_eq!(image(watcher.state(), &base).unwrap().users.len(), 2, "the containers that were made from it");

    // Without a name of its own it is listed no more, and still lies below both.
    drop((first, second));
    engine.untag("hostler-test-layers:base");
    watcher.until("the base is not listed", |state| image(state, &base).is_none().then_some(()));
    let disk = measured(watcher.state()).unwrap();
    let freed = |of: &[&bed::Image]| disk.freed_by(|image| of.iter().any(|it| *image.id == *it.id()));
    assert_eq!((freed(&[&a]), freed(&[&b]), freed(&[&a, &b])), (30_000, 7_000, 137_000));
}

#[test]
fn volumes_are_told_with_size_users_and_whether_they_have_a_name() {
    let Some(engine) = bed::engine() else { return };
    let name = format!("hostler-test-{}", std::process::id());
    let labels = HashMap::from([("hostler.keep".to_owned(), String::new())]);
    let request =
        VolumeCreateRequest { name: Some(name.clone()), labels: Some(labels), ..VolumeCreateRequest::default() };
    engine.block_on(engine.docker().create_volume(request)).unwrap();
    let writer = engine.run("writer", |spec| {
        spec.shell("head -c 5000 /dev/zero > /data/f; head -c 300 /dev/zero > /named/f; head -c 70 /dev/zero > /tmp/w")
            .with(|body| {
                body.volumes = Some(vec!["/data".to_owned()]);
                body.host_config.get_or_insert_default().binds = Some(vec![format!("{name}:/named")]);
            })
    });
    writer.wait_for("has written", |inspected| {
        inspected.state.as_ref()?.finished_at.as_deref().filter(|at| !at.starts_with("0001")).map(drop)
    });
    let mut watcher = Watcher::with_disk(engine.endpoint());
    let mine = |state: &State, anonymous: bool| {
        let volumes = measured(state)?.volumes.iter();
        let mut mine = volumes.filter(|volume| volume.users.iter().any(|user| **user == *writer.name()));
        mine.find(|volume| volume.anonymous == anonymous).cloned()
    };
    let anonymous: DockerVolume = watcher.until("the volume without a name is measured", |state| mine(state, true));
    assert_eq!(anonymous.size_bytes, Reading::Known(5000));
    assert!(!anonymous.is_reclaimable() && anonymous.created.is_some());
    let named = mine(watcher.state(), false).unwrap();
    assert_eq!((&*named.name, &named.size_bytes, named.keep), (name.as_str(), &Reading::Known(300), true));
    let space = |state: &State| measured(state)?.containers.iter().find(|it| *it.id.0 == *writer.id()).cloned();
    let space = space(watcher.state()).unwrap();
    assert_eq!((space.written_bytes.get(), space.up, space.is_reclaimable()), (Some(70), false, true));

    // The container goes, and leaves its volume behind.
    let options = RemoveContainerOptionsBuilder::new().v(false).build();
    engine.block_on(engine.docker().remove_container(writer.id(), Some(options))).unwrap();
    let left = watcher.until("nothing uses it any more", |state| {
        measured(state)?.volume(&anonymous.name).filter(|volume| volume.users.is_empty()).cloned()
    });
    assert!(left.is_reclaimable(), "{left:?}");
    assert!(!measured(watcher.state()).unwrap().volume(&name).unwrap().is_reclaimable());
    for volume in [&*anonymous.name, name.as_str()] {
        engine.block_on(engine.docker().remove_volume(volume, None::<RemoveVolumeOptions>)).unwrap();
    }
}

#[test]
fn networks_are_in_use_by_what_is_down_too() {
    let Some(engine) = bed::engine() else { return };
    let name = format!("hostler-test-net-{}", std::process::id());
    let request = NetworkCreateRequest { name: name.clone(), ..NetworkCreateRequest::default() };
    engine.block_on(engine.docker().create_network(request)).unwrap();
    let image = engine.import_busybox();
    let mut watcher = Watcher::with_disk(engine.endpoint());
    let network = |state: &State| {
        let networks = &measured(state)?.networks;
        networks.iter().find(|network| *network.name == *name).cloned()
    };
    let it = watcher.until("the network is listed", network);
    assert!(it.is_reclaimable() && !it.builtin && it.driver == "bridge");
    let member = made(&engine, &image, |body| {
        body.cmd = Some(vec!["/no/such/program".to_owned()]);
        body.host_config.get_or_insert_default().network_mode = Some(name.clone());
    });
    let users = watcher.until("it is in use", |state| network(state).map(|it| it.users).filter(|it| !it.is_empty()));
    assert_eq!(users, [member.name().into()]);
    let builtin = &measured(watcher.state()).unwrap().networks;
    assert_eq!(builtin.iter().filter(|network| network.builtin).count(), 3);
    drop(member);
    watcher.until("it is free again", |state| {
        network(state).filter(hostler::domain::DockerNetwork::is_reclaimable).map(drop)
    });
    engine.block_on(engine.docker().remove_network(&name)).unwrap();
}

#[test]
fn what_is_kept_for_roll_back_is_told_and_hidden() {
    let Some(engine) = bed::engine() else { return };
    let run = "20261112-030400-1a2b";
    let current = engine.run("kept", |spec| spec);
    let kept = engine.image(&format!("{}:{run}", hostler::domain::kept_repository(current.name())), b'k', 9_000);
    let mut watcher = Watcher::with_disk(engine.endpoint());
    let it = watcher.until("the kept image is listed", |state| image(state, &kept).cloned());
    assert!(it.references.is_empty() && it.is_protected() && !it.is_dangling() && !it.is_reclaimable());
    let versions = |state: &State| {
        let container = state.current_containers().find(|it| *it.id.0 == *current.id())?;
        Some(state.kept_versions(container))
    };
    let told = watcher.until("it is a version of the container", |state| versions(state).filter(|it| !it.is_empty()));
    assert_eq!((told.len(), told[0].run.as_str(), &told[0].version), (1, run, &None));
}

#[test]
fn an_engine_that_is_gone_is_told_and_found_again() {
    let Some(engine) = bed::engine() else { return };
    let mut share = bed::Share::of(&engine);
    let mut watcher = Watcher::with_disk(&share.endpoint());
    watcher.until("the engine has measured", |state| measured(state).map(drop));
    assert_eq!(watcher.state().sources.get(SourceId::DockerDisk).unwrap().failure, None);
    share.go();
    watcher.refresh_disk();
    let failed = |state: &State| state.sources.get(SourceId::DockerDisk)?.failure.as_ref().map(|_| ());
    watcher.until("the disk cannot be read", failed);
    assert!(measured(watcher.state()).is_some(), "what was known stays");
    share.come_back();
    watcher.until("it is read again", |state| {
        state.sources.get(SourceId::DockerDisk).filter(|source| source.failure.is_none()).map(drop)
    });
}

#[test]
fn a_snapshot_tells_what_is_held_and_a_check_does_not_ask() {
    let Some(engine) = bed::engine() else { return };
    let held = engine.image("hostler-test-snapshot:1", b's', 12_345);
    let home = Home::new().docker(engine.endpoint()).alone();
    let printed = |command| home.json(&[command, "--json"]).1;
    let snapshot = printed("snapshot");
    let disk = &snapshot["docker_disk"];
    let images = disk["images"].as_array().unwrap_or_else(|| panic!("{disk}"));
    let image = images.iter().find(|image| image["id"] == held.id()).unwrap();
    assert_eq!((&image["own_bytes"], &image["used_by"]), (&12_345.into(), &serde_json::json!([])));
    assert!(disk["totals"]["images"]["size_bytes"].is_u64() && disk["totals"]["volumes"]["size_bytes"].is_u64());
    assert!(disk["measured"].is_string() && disk["networks"].as_array().unwrap().len() >= 3);

    // What was seen is remembered, and told the next time.
    let first = image["first_seen"].as_str().unwrap().to_owned();
    let remembered = std::fs::read_to_string(home.state().join("images-seen.json")).unwrap();
    assert!(remembered.contains(held.id()) && remembered.contains(&first), "{remembered}");
    let again = printed("snapshot");
    let images = again["docker_disk"]["images"].as_array().unwrap();
    let image = images.iter().find(|image| image["id"] == held.id()).unwrap();
    assert_eq!(image["first_seen"], first);

    let check = printed("check");
    let sources = check["sources"].as_array().unwrap();
    assert!(sources.iter().any(|source| source["id"] == "docker" && source["status"] == "fresh"), "{check}");
    assert!(!sources.iter().any(|source| source["id"] == "docker.disk"), "{check}");
}
