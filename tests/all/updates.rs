//! The update check as hostler runs it: containers of the private engine, images in a real registry, and what is said of
//! them as tags move, go, and the registry fails.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hostler::domain::{ImageUpdate, Sample, SourceId, UpdateMemory, UpdatePolicy};
use hostler::host::Ports;
use hostler::sources::Remembered;
use hostler::store::State;

use crate::bed::{self, Asked, Container, Engine, Reply, Share, registry_double};
use crate::docker::watcher::Watcher;

/// Ports without the caller's credentials.
fn ports() -> Ports {
    let mut ports = Ports::new("/");
    ports.registries = ports.registries.docker_config(Path::new("/nonexistent"));
    ports
}

/// The docker source and the update check, which asks at once.
fn watch(share: &Share, memory: UpdateMemory) -> Watcher {
    watch_with(share, &ports(), Remembered { updates: Arc::new(memory), ask_after: Some(Duration::ZERO) })
}

fn watch_with(share: &Share, ports: &Ports, remembered: Remembered) -> Watcher {
    Watcher::of(&[SourceId::Docker, SourceId::Updates], ports, Some(&share.endpoint()), remembered)
}

/// A container of this image, which the engine has.
fn container(engine: &Engine, reference: &str) -> Container {
    engine.run("updates", |spec| spec.with(|body| body.image = Some(reference.to_owned())))
}

fn standing(state: &State, container: &Container) -> Option<ImageUpdate> {
    state.image_update(&container.id().into()).cloned()
}

/// Waits until the container's image stands so.
#[track_caller]
fn until(watcher: &mut Watcher, container: &Container, word: &str) -> ImageUpdate {
    watcher.until(&format!("the image is {word}"), |state| {
        standing(state, container).filter(|standing| standing.word() == word)
    })
}

/// What is remembered, with every answer so old that it is asked for again.
fn aged(watcher: &Watcher) -> UpdateMemory {
    let mut memory = (*watcher.state().updates.get().unwrap().memory).clone();
    for asked in memory.images.values_mut() {
        asked.next = asked.at;
    }
    memory
}

#[test]
fn a_newer_image_is_seen_without_a_pull() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let share = Share::of(&engine);
    let reference = registry.reference("bed/app", "1.0.0");
    let pushed = registry.push(&engine, "bed/app", "1.0.0", "1");
    let container = container(&engine, &reference);
    let mut watcher = watch(&share, UpdateMemory::default());
    until(&mut watcher, &container, "up-to-date");

    // Another image behind the tag that is used: the engine keeps the one that the container has.
    let newer = registry.push(&engine, "bed/app", "1.0.0", "2");
    let memory = aged(&watcher);
    let mut watcher = watch(&share, memory);
    let update = until(&mut watcher, &container, "digest");
    assert_eq!(update.offered().unwrap().digest.as_ref().unwrap().digest, newer);
    assert_ne!(newer, pushed);

    for tag in ["1.0.1", "1.2.0", "1.2.0-rc1", "2.0.0-rc1", "latest"] {
        registry.copy("bed/app", "1.0.0", tag);
    }
    let memory = aged(&watcher);
    let mut watcher = watch(&share, memory);
    let update = until(&mut watcher, &container, "minor");
    let offered = update.offered().unwrap().clone();
    let tags: Vec<&str> = offered.tags.iter().map(|tag| tag.tag.as_str()).collect();
    assert_eq!(tags, ["1.2.0", "1.0.1"]);
    assert!(offered.newest().unwrap().built && offered.digest.is_some());

    let mut policy = UpdatePolicy::default();
    policy.rules.change(container.name(), |rule| rule.pinned = true);
    watcher.apply(hostler::domain::Event::Updates(Arc::new(policy)));
    assert_eq!(standing(watcher.state(), &container), Some(ImageUpdate::Pinned));
    engine.forget_image(&reference);
}

#[test]
fn what_cannot_be_told_is_never_up_to_date() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let share = Share::of(&engine);
    let reference = registry.reference("bed/app", "stable");
    registry.push(&engine, "bed/app", "stable", "1");
    let container = container(&engine, &reference);
    let built_here = engine.run("built-here", |spec| spec);
    let mut watcher = watch(&share, UpdateMemory::default());
    until(&mut watcher, &container, "up-to-date");
    assert_eq!(standing(watcher.state(), &built_here), Some(ImageUpdate::Local));

    registry.delete("bed/app", "stable");
    let memory = aged(&watcher);
    let mut watcher = watch(&share, memory);
    let told = until(&mut watcher, &container, "unknown").sentence(jiff::Timestamp::now());
    assert_eq!(told, format!("unknown, because {} has no {reference} (any more)", registry.host()));

    let host = registry.host();
    drop(registry);
    let memory = aged(&watcher);
    let mut watcher = watch(&share, memory);
    let told = watcher.until("the registry is gone", |state| {
        let told = standing(state, &container)?.sentence(state.now.wall);
        told.contains("refused").then_some(told)
    });
    assert_eq!(told, format!("unknown, because {host} cannot be reached: connection refused"));
    let detail = &watcher.state().sources.get(SourceId::Updates).unwrap().detail;
    assert!(detail.contains("without an answer"), "{detail}");
    engine.forget_image(&reference);
}

#[test]
fn refusals_and_silence_are_unknown_each_in_its_words() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let share = Share::of(&engine);
    let pushed = registry.reference("bed/app", "1");
    registry.push(&engine, "bed/app", "1", "1");
    let double = registry_double(|asked: &Asked| match asked.path.split('/').nth(2).unwrap() {
        "denied" => Reply::new(401, ""),
        "limited" => Reply::new(429, "").with("Retry-After: 7200"),
        "broken" => Reply::new(502, ""),
        _ => Reply::Silence,
    });
    // The engine believes a name; what the image was pulled as tells that it comes from a registry.
    let of = |name: &str| {
        let reference = format!("{}/{name}:1", double.host());
        engine.tag(&pushed, reference.trim_end_matches(":1"), "1");
        (container(&engine, &reference), reference)
    };
    let (denied, broken, hung) = (of("denied"), of("broken"), of("hung"));
    let mut ports = ports();
    ports.registries = ports.registries.patience(Duration::from_secs(1));
    let ask_after = Some(Duration::ZERO);
    let mut watcher = watch_with(&share, &ports, Remembered { ask_after, ..Remembered::default() });
    for ((container, _), words) in [
        (&denied, "wants credentials for"),
        (&broken, "failed (status 502)"),
        (&hung, "cannot be reached: no answer within 1 s"),
    ] {
        watcher.until(words, |state| match standing(state, container)? {
            ImageUpdate::Unknown { why } => why.contains(words).then_some(()),
            other => panic!("{other:?}"),
        });
    }
    let limited = of("limited");
    let why = watcher.until("the limit is told", |state| match standing(state, &limited.0)? {
        ImageUpdate::Unknown { why } => why.contains("limits how much is asked").then_some(why),
        other => panic!("{other:?}"),
    });
    assert!(why.ends_with("for 2 h more"), "{why}");
    let asked = double.asked().len();
    // Whoever wishes: a registry that limits is left alone, and what failed just now is not tried again.
    watcher.refresh();
    let seen = watcher.state().sources.get(SourceId::Updates).unwrap().last_ok;
    watcher.until("it was looked again", |state| (state.sources.get(SourceId::Updates)?.last_ok > seen).then_some(()));
    assert_eq!(double.asked().len(), asked);
    for (_, reference) in [denied, broken, hung, limited] {
        engine.forget_image(&reference);
    }
}

#[test]
fn a_single_look_asks_nobody_and_tells_what_is_remembered() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let share = Share::of(&engine);
    let reference = registry.reference("bed/app", "1");
    registry.push(&engine, "bed/app", "1", "1");
    let container = container(&engine, &reference);
    let mut watcher = watch(&share, UpdateMemory::default());
    until(&mut watcher, &container, "up-to-date");
    let remembered = aged(&watcher);
    drop((watcher, registry));

    let asleep = Remembered { updates: Arc::new(remembered), ask_after: None };
    let mut watcher = watch_with(&share, &ports(), asleep);
    until(&mut watcher, &container, "up-to-date");
    let detail = &watcher.state().sources.get(SourceId::Updates).unwrap().detail;
    assert!(detail.ends_with("by what is remembered"), "{detail}");
    let mut watcher = watch_with(&share, &ports(), Remembered::default());
    let told = until(&mut watcher, &container, "unknown").sentence(jiff::Timestamp::now());
    assert!(told.ends_with("has not been asked yet"), "{told}");
    engine.forget_image(&reference);
}

/// Prints how long fifty images take; asserts that all of them are told, and nothing of the time.
#[test]
fn fifty_images_are_asked_about() {
    const IMAGES: usize = 50;
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let share = Share::of(&engine);
    registry.push(&engine, "bed/app", "1.0.0", "1");
    let pushed = registry.reference("bed/app", "1.0.0");
    for minor in 1..=IMAGES {
        registry.copy("bed/app", "1.0.0", &format!("1.{minor}.0"));
    }
    let repository = pushed.trim_end_matches(":1.0.0");
    let containers: Vec<Container> = (1..=IMAGES)
        .map(|minor| {
            let tag = format!("1.{minor}.0");
            engine.tag(&pushed, repository, &tag);
            let reference = format!("{repository}:{tag}");
            engine.run("fifty", |spec| {
                spec.with(|body| {
                    body.image = Some(reference);
                    body.cmd = Some(vec!["true".to_owned()]);
                })
            })
        })
        .collect();
    let mut watcher = watch(&share, UpdateMemory::default());
    let ours = |state: &State| containers.iter().filter_map(|container| standing(state, container)).collect::<Vec<_>>();
    watcher.until("the images are described", |state| (ours(state).len() == IMAGES).then_some(()));
    let began = Instant::now();
    let all = watcher.until("all of them are told", |state| {
        let told = ours(state);
        told.iter().all(|standing| standing.word() != "unknown").then_some(told)
    });
    println!("{IMAGES} images against a local registry: {} ms", began.elapsed().as_millis());
    assert_eq!(all.iter().filter(|standing| standing.word() == "up-to-date").count(), 1, "the newest");
    assert_eq!(all.iter().filter(|standing| standing.word() == "minor").count(), IMAGES - 1);
    let samples = watcher
        .events()
        .iter()
        .filter(|event| matches!(event, hostler::domain::Event::Sampled { sample: Sample::Updates(_), .. }));
    assert!(samples.count() > 1, "answers are told as they come");
    for minor in 0..=IMAGES {
        engine.forget_image(&format!("{repository}:1.{minor}.0"));
    }
}
