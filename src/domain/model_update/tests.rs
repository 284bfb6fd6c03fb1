use super::*;
use crate::domain::{Asked, RegistryFault};
use crate::make::{gpu, stored_model, wall};

const DAY: i64 = 86_400;

fn qwen(digest: &str) -> StoredModel {
    StoredModel {
        path: "/m/manifests/registry.ollama.ai/library/qwen3/8b".to_owned(),
        digest: Some(digest.to_owned()),
        ..stored_model("qwen3:8b")
    }
}

fn release(digest: &str, published: Option<i64>) -> ModelRelease {
    ModelRelease {
        name: "qwen3:8b".to_owned(),
        digest: Some(digest.to_owned()),
        published: published.map(|days| wall(days * DAY)),
        since: wall(0),
        weights_bytes: None,
        parameters: None,
    }
}

fn answered(releases: Vec<ModelRelease>, before: &[&str]) -> Asked<ModelAnswer> {
    let before = before.iter().map(ToString::to_string).collect();
    let answer = ModelAnswer { at: wall(0), releases, before };
    Asked { at: wall(0), next: wall(DAY), answer: Some(answer), fault: None }
}

fn failed(kind: FaultKind, before: Asked<ModelAnswer>) -> Asked<ModelAnswer> {
    Asked { fault: Some(RegistryFault { kind, what: "x failed".to_owned(), until: None }), ..before }
}

fn sample(subject: &str, asked: Asked<ModelAnswer>) -> ModelUpdateSample {
    let models = [(subject.to_owned(), asked)].into();
    let memory = Arc::new(UpdateMemory { models, ..UpdateMemory::default() });
    ModelUpdateSample { memory, families: Arc::from([]), off: false }
}

fn standing_of(model: &StoredModel, asked: Asked<ModelAnswer>) -> Reading<Standing> {
    ModelUpdate::of(model, &sample("qwen3:8b", asked)).standing
}

fn newer(digest: &str, published: Option<i64>) -> Reading<Standing> {
    let published = published.map(|days| wall(days * DAY));
    Reading::Known(Standing::Newer { digest: digest.to_owned(), published })
}

/// [`stored_model`] was written 30 days before the script begins.
#[test]
fn another_digest_is_newer_unless_ours_was_written_after_it() {
    let ours = qwen("ours");
    let of = |release, before: &[&str]| standing_of(&ours, answered(vec![release], before));
    assert_eq!(of(release("ours", None), &[]), Reading::Known(Standing::Current));
    assert_eq!(of(release("theirs", None), &[]), newer("theirs", None));
    assert_eq!(of(release("theirs", Some(-10)), &[]), newer("theirs", Some(-10)));
    assert_eq!(of(release("theirs", Some(-60)), &[]), Reading::Known(Standing::MadeHere));
    // It was seen at the registry: the file was only copied later.
    assert_eq!(of(release("theirs", Some(-60)), &["ours"]), newer("theirs", Some(-60)));
}

#[test]
fn what_the_registry_never_had_was_made_here() {
    let ours = qwen("ours");
    let nothing = Asked { answer: None, ..answered(Vec::new(), &[]) };
    assert_eq!(standing_of(&ours, failed(FaultKind::NotFound, nothing.clone())), Reading::Known(Standing::MadeHere));
    let gone = failed(FaultKind::NotFound, answered(vec![release("ours", None)], &[]));
    assert_eq!(standing_of(&ours, gone), Reading::Unavailable(Why::from("x failed")), "it was there");
    let path = "/h/models--Qwen--Qwen3-8B/snapshots/abc".to_owned();
    let cached = StoredModel { store: ModelStore::HuggingFace, path, ..qwen("ours") };
    let gone = sample("hf:Qwen/Qwen3-8B", failed(FaultKind::NotFound, nothing));
    assert_eq!(ModelUpdate::of(&cached, &gone).standing, Reading::Unavailable(Why::from("x failed")));
}

#[test]
fn what_cannot_be_told_is_never_current() {
    let ours = qwen("ours");
    let good = || answered(vec![release("ours", None)], &[]);
    for kind in [FaultKind::Denied, FaultKind::Limited, FaultKind::Server, FaultKind::Unreachable] {
        assert_eq!(standing_of(&ours, failed(kind, good())), Reading::Unavailable(Why::from("x failed")), "{kind:?}");
    }
    let off = ModelUpdateSample { off: true, ..sample("qwen3:8b", good()) };
    assert!(ModelUpdate::of(&ours, &off).standing.why().unwrap().0.contains("config"));
    assert_eq!(ModelUpdate::of(&ours, &sample("other:1", good())).standing, Reading::Unavailable(Why::WAITING));
    assert!(standing_of(&StoredModel { digest: None, ..qwen("") }, good()).why().is_some());
    let folder = StoredModel { store: ModelStore::Folder, ..qwen("ours") };
    assert!(standing_of(&folder, good()).why().unwrap().0.contains("folder"));
}

#[test]
fn of_a_family_is_new_what_appeared_since_the_review_and_it_fits_or_not() {
    let family: ModelOrigin = "hf-author:Qwen".parse().unwrap();
    let of = |name: &str, days| ModelRelease { name: name.to_owned(), digest: None, ..release("", Some(days)) };
    let releases = vec![of("Qwen/Qwen4-72B", -1), of("Qwen/Qwen4-8B", -9), of("Qwen/Qwen-Web", -20)];
    let sample = sample("hf-author:Qwen", answered(releases, &[]));
    let cards = [gpu(0)];
    let watched = |reviewed| WatchedFamily::of(&family, &sample, reviewed, &Reading::Known(&cards[..]));
    let told = |reviewed| -> Vec<(bool, Option<bool>)> {
        let family = watched(reviewed);
        family.releases.known().unwrap().iter().map(|it| (it.new, it.fits.get())).collect()
    };
    assert_eq!(told(None), [(true, Some(false)), (true, Some(true)), (true, None)]);
    assert_eq!(told(Some(wall(-5 * DAY))), [(true, Some(false)), (false, Some(true)), (false, None)]);
    let family = watched(None);
    assert_eq!(family.page.as_deref(), Some("https://huggingface.co/Qwen"));
    let first = &family.releases.known().unwrap()[0];
    assert_eq!(first.page.as_deref(), Some("https://huggingface.co/Qwen/Qwen4-72B"));
    assert_eq!(first.needs_bytes, Reading::Known(144_000_000_000));
}

#[test]
fn a_family_whose_publisher_does_not_answer_is_unavailable() {
    let family: ModelOrigin = "qwen3".parse().unwrap();
    let cards = Reading::Unavailable(Why::from("no cards"));
    let good = answered(vec![ModelRelease { weights_bytes: Some(5 << 30), ..release("a", None) }], &[]);
    let watched = |sample: &ModelUpdateSample| WatchedFamily::of(&family, sample, None, &cards).releases;
    let told = watched(&sample("qwen3:latest", good.clone()));
    let first = &told.known().unwrap()[0];
    assert_eq!((first.needs_bytes.get(), &first.fits), (Some(5 << 30), &Reading::Unavailable(Why::from("no cards"))));
    assert!(watched(&sample("qwen3:latest", failed(FaultKind::Denied, good))).why().is_some());
    assert!(watched(&sample("other", answered(Vec::new(), &[]))).why().is_some());
}
