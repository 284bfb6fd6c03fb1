use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Asked, FaultKind, RegistryFault, UpdateMemory};
use super::*;
use crate::make;

const OURS: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const THEIRS: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn days(days: i64) -> Timestamp {
    make::wall(days * 86_400)
}

fn container() -> Container {
    make::container("n8n-1").image("n8nio/n8n:1.118.2").0
}

/// A registry that was asked on day 10 and then said this.
fn sample(digest: &str, newer: &[(&str, i64)], fault: Option<RegistryFault>) -> UpdateSample {
    let newer = newer.iter().map(|(tag, day)| SeenTag { tag: (*tag).to_owned(), since: days(*day), published: None });
    let answer = Answer {
        at: days(10),
        digest: digest.to_owned(),
        since: days(9),
        published: None,
        newer: newer.collect(),
        tags_etag: None,
    };
    let asked = Asked { at: days(10), next: days(11), answer: Some(answer), fault };
    let images = BTreeMap::from([("docker.io/n8nio/n8n:1.118.2".to_owned(), asked)]);
    let local = LocalImage { digests: vec![format!("n8nio/n8n@{OURS}")], labels: BTreeMap::new() };
    UpdateSample {
        memory: Arc::new(UpdateMemory { images, ..UpdateMemory::default() }),
        local: Arc::new([(container().image_id, local)].into()),
        off: false,
    }
}

fn standing(sample: &UpdateSample, policy: &UpdatePolicy) -> ImageUpdate {
    ImageUpdate::of(&container(), sample, policy, days(10) + SignedDuration::from_hours(2)).unwrap()
}

fn rule(change: impl FnOnce(&mut ImageRule)) -> UpdatePolicy {
    let mut policy = UpdatePolicy::default();
    policy.rules.change("n8n-1", change);
    policy
}

fn told(update: &ImageUpdate) -> (&'static str, String) {
    (update.word(), update.sentence(days(10) + SignedDuration::from_hours(2)))
}

#[test]
fn what_the_registry_has_is_told() {
    let policy = UpdatePolicy::default();
    let same = standing(&sample(OURS, &[], None), &policy);
    assert_eq!(told(&same), ("up-to-date", "up to date (asked 2 h ago)".to_owned()));
    let other = standing(&sample(THEIRS, &[], None), &policy);
    assert_eq!(told(&other), ("digest", "same tag (digest, seen 26 h ago)".to_owned()));
    let newer =
        standing(&sample(OURS, &[("2.0.0", 7), ("1.119.0", 3), ("1.118.10", 2), ("1.118.3", 1)], None), &policy);
    assert_eq!(told(&newer), ("major", "2.0.0 (major, seen 3 d ago)".to_owned()));
    let tags = newer.offered().unwrap().tags.iter().map(|tag| (tag.tag.as_str(), tag.step));
    let steps = [("2.0.0", VersionStep::Major), ("1.119.0", VersionStep::Minor), ("1.118.10", VersionStep::Patch)];
    assert_eq!(tags.collect::<Vec<_>>(), steps);
    let later = days(10) + SignedDuration::from_hours(2);
    let others = ["also 1.119.0 (minor, seen 7 d ago)", "also 1.118.10 (patch, seen 8 d ago)"];
    assert_eq!(newer.others(later), others);
    let both = standing(&sample(THEIRS, &[("2.0.0", 7)], None), &policy);
    assert_eq!(both.others(later), ["the same tag is another image now (seen 26 h ago)"]);
}

#[test]
fn a_failure_is_unknown_whatever_was_said_before() {
    for newer in [&[][..], &[("2.0.0", 7)]] {
        let what = "docker.io cannot be reached: no such host".to_owned();
        let fault = RegistryFault { kind: FaultKind::Unreachable, what, until: None };
        let update = standing(&sample(OURS, newer, Some(fault)), &UpdatePolicy::default());
        assert_eq!(told(&update).1, "unknown, because docker.io cannot be reached: no such host");
        assert!(update.offered().is_none());
    }
}

#[test]
fn what_cannot_be_asked_has_its_own_word() {
    let policy = UpdatePolicy::default();
    let whole = sample(OURS, &[], None);
    let of = |image: &str, sample: &UpdateSample| {
        let container = make::container("n8n-1").image(image).0;
        ImageUpdate::of(&container, sample, &policy, days(10)).unwrap().word()
    };
    assert_eq!(of(&format!("n8nio/n8n@{OURS}"), &whole), "pinned");
    assert_eq!(of(OURS, &whole), "unknown");
    assert_eq!(of("n8nio/n8n:other", &whole), "unknown", "never asked");
    let local = |digests: &[&str]| {
        let digests = digests.iter().map(ToString::to_string).collect();
        let image = LocalImage { digests, labels: BTreeMap::new() };
        UpdateSample { local: Arc::new([(container().image_id, image)].into()), ..sample(THEIRS, &[], None) }
    };
    assert_eq!(standing(&local(&[]), &policy), ImageUpdate::Local);
    assert_eq!(standing(&local(&[&format!("other/n8n@{OURS}")]), &policy), ImageUpdate::Local);
    assert_eq!(standing(&local(&[&format!("other/n8n@{THEIRS}")]), &policy).word(), "up-to-date");
    assert_eq!(standing(&UpdateSample { off: true, ..whole.clone() }, &policy).word(), "unchecked");
    let undescribed = UpdateSample { local: Arc::default(), ..whole };
    assert_eq!(ImageUpdate::of(&container(), &undescribed, &policy, days(10)), None);
}

#[test]
fn what_people_decided_is_heeded() {
    let newer = sample(THEIRS, &[("1.119.0", 7), ("1.118.3", 1)], None);
    assert_eq!(standing(&newer, &rule(|rule| rule.pinned = true)), ImageUpdate::Pinned);
    let skipped = standing(&newer, &rule(|rule| rule.skip("1.119.0")));
    assert_eq!(skipped.offered().unwrap().newest().unwrap().tag, "1.118.3");
    let all = ["1.119.0", "1.118.3", THEIRS];
    let skipped = standing(&newer, &rule(|rule| all.into_iter().for_each(|version| rule.skip(version))));
    assert_eq!(told(&skipped), ("skipped", "1.119.0 is passed over".to_owned()));
    // A release that is passed over says nothing about the next one.
    let next = sample(OURS, &[("1.120.0", 10), ("1.119.0", 7)], None);
    assert_eq!(standing(&next, &rule(|rule| rule.skip("1.119.0"))).word(), "minor");
}

#[test]
fn a_release_waits_until_it_is_old_enough() {
    let newer = sample(OURS, &[("1.119.0", 7), ("1.118.3", 1)], None);
    let waiting = |days| UpdatePolicy { wait_days: days, ..UpdatePolicy::default() };
    assert_eq!(standing(&newer, &waiting(3)).offered().unwrap().newest().unwrap().tag, "1.119.0");
    assert_eq!(standing(&newer, &waiting(4)).offered().unwrap().newest().unwrap().tag, "1.118.3");
    let update = standing(&newer, &waiting(12));
    assert!(matches!(update, ImageUpdate::Waiting { until, .. } if until == days(13)), "{update:?}");
    assert_eq!(told(&update), ("waiting", "1.119.0 (minor, seen 3 d ago); waits 2 d".to_owned()));
    let own = UpdatePolicy { wait_days: 12, ..rule(|rule| rule.wait_days = Some(0)) };
    assert_eq!(standing(&newer, &own).word(), "minor");
}
