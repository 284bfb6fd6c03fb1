use std::collections::BTreeMap;

use super::*;
use crate::make;

fn at(minutes: i64) -> Timestamp {
    make::wall(minutes * 60)
}

/// Containers of these images, which the engine pulled.
fn ledger(images: &[&str]) -> Ledger {
    let mut ledger = Ledger::new(Arc::default());
    let containers = containers(images);
    let ids = ledger.strangers(&containers);
    let digests = vec!["a/b@sha256:ours".to_owned()];
    ledger.describe(
        ids.into_iter().map(|id| (id, LocalImage { digests: digests.clone(), ..LocalImage::default() })).collect(),
    );
    ledger.reconcile(&containers);
    ledger
}

fn containers(images: &[&str]) -> Vec<Arc<Container>> {
    images.iter().map(|image| Arc::new(make::container(image).image(image).0)).collect()
}

fn image(reference: &str) -> ImageRef {
    reference.parse().unwrap()
}

fn found(newer: &[&str]) -> Found {
    let newer = newer.iter().map(ToString::to_string).collect();
    Found { digest: "sha256:theirs".to_owned(), newer, ..Found::default() }
}

fn fault(kind: FaultKind, until: Option<Timestamp>) -> RegistryFault {
    RegistryFault { kind, what: "no".to_owned(), until }
}

/// What is begun now, each once.
fn begun(ledger: &mut Ledger, minutes: i64) -> Vec<String> {
    std::iter::from_fn(|| ledger.begin(at(minutes))).map(|(image, ..)| image.familiar()).collect()
}

#[test]
fn an_image_is_asked_about_once_in_six_hours() {
    let mut ledger = ledger(&["a/b:1", "c/d:1"]);
    assert_eq!(begun(&mut ledger, 0), ["a/b:1", "c/d:1"]);
    assert_eq!(begun(&mut ledger, 0), Vec::<String>::new(), "it is being asked");
    ledger.settle(&image("a/b:1"), Ok(found(&[])), at(0));
    ledger.settle(&image("c/d:1"), Ok(found(&[])), at(0));
    assert_eq!(begun(&mut ledger, 359), Vec::<String>::new());
    assert!(ledger.next().is_some_and(|next| next >= at(360) && next < at(391)));
    // What did not fail is left alone, whoever wishes.
    ledger.try_failed_again(at(100));
    assert_eq!(begun(&mut ledger, 100), Vec::<String>::new());
    assert_eq!(begun(&mut ledger, 391).len(), 2);
}

#[test]
fn what_nobody_uses_or_pulled_is_not_asked_about() {
    let mut ledger = ledger(&["a/b:1", "a/b@sha256:1111111111111111111111111111111111111111111111111111111111111111"]);
    assert_eq!(begun(&mut ledger, 0), ["a/b:1"]);
    let local = containers(&["built/here:1"]);
    ledger.describe([(local[0].image_id.clone(), LocalImage::default())].into());
    assert!(ledger.reconcile(&local));
    assert_eq!((begun(&mut ledger, 1), ledger.local.len()), (Vec::new(), 1));
}

#[test]
fn failures_are_tried_again_each_in_its_time() {
    for (kind, again) in [
        (FaultKind::Unreachable, 30),
        (FaultKind::Server, 30),
        (FaultKind::NotUnderstood, 30),
        (FaultKind::Denied, 360),
        (FaultKind::NotFound, 360),
    ] {
        let mut ledger = ledger(&["a/b:1"]);
        begun(&mut ledger, 0);
        ledger.settle(&image("a/b:1"), Err(fault(kind, None)), at(0));
        assert_eq!(ledger.next(), Some(at(again)), "{kind:?}");
        ledger.try_failed_again(at(0));
        assert_eq!(ledger.next(), Some(at(again)), "it was tried just before");
        ledger.try_failed_again(at(2));
        assert_eq!(ledger.next(), Some(at(2)), "somebody wishes");
    }
}

#[test]
fn a_registry_that_limits_is_left_alone_as_a_whole() {
    let mut ledger = ledger(&["a/b:1", "c/d:1", "ghcr.io/e/f:1"]);
    let (first, ..) = ledger.begin(at(0)).unwrap();
    ledger.settle(&first, Err(fault(FaultKind::Limited, Some(at(90)))), at(0));
    assert_eq!(begun(&mut ledger, 1), ["ghcr.io/e/f:1"]);
    let other = &ledger.memory.images["docker.io/c/d:1"];
    assert_eq!((other.fault.as_ref().unwrap().kind, other.next), (FaultKind::Limited, at(90)));
    ledger.try_failed_again(at(10));
    assert_eq!(begun(&mut ledger, 89), Vec::<String>::new());
    assert_eq!(begun(&mut ledger, 90), ["a/b:1", "c/d:1"]);
    assert!(ledger.told().ends_with("2 without an answer: no"), "{}", ledger.told());
}

#[test]
fn what_was_seen_before_keeps_its_date() {
    let mut ledger = ledger(&["a/b:1.0"]);
    let image = image("a/b:1.0");
    let built = BTreeMap::from([("1.1".to_owned(), at(-900)), ("sha256:theirs".to_owned(), at(-800))]);
    ledger.settle(&image, Ok(Found { published: built, ..found(&["1.1"]) }), at(0));
    ledger.settle(&image, Err(fault(FaultKind::Server, None)), at(400));
    ledger.settle(&image, Ok(found(&["1.2", "1.1"])), at(800));
    let answer = ledger.memory.images["docker.io/a/b:1.0"].answer.clone().unwrap();
    assert_eq!((answer.at, answer.since, answer.published), (at(800), at(0), Some(at(-800))));
    let seen: Vec<_> = answer.newer.iter().map(|seen| (seen.tag.as_str(), seen.since, seen.published)).collect();
    assert_eq!(seen, [("1.2", at(800), None), ("1.1", at(0), Some(at(-900)))]);
    // Another image behind the tag has a date of its own.
    ledger.settle(&image, Ok(Found { digest: "sha256:other".to_owned(), ..Found::default() }), at(1200));
    let answer = ledger.memory.images["docker.io/a/b:1.0"].answer.clone().unwrap();
    assert_eq!((answer.since, answer.published), (at(1200), None));
}

#[test]
fn an_image_is_doubted_before_it_is_called_outdated() {
    let mut ledger = ledger(&["a/b:1"]);
    ledger.settle(&image("a/b:1"), Ok(found(&[])), at(0));
    assert_eq!(ledger.doubtful(&image("a/b:1")), ["sha256:a/b:1"]);
    let known = LocalImage { digests: vec!["a/b@sha256:theirs".to_owned()], ..LocalImage::default() };
    ledger.describe([("sha256:a/b:1".to_owned(), known)].into());
    assert!(ledger.doubtful(&image("a/b:1")).is_empty());
}
