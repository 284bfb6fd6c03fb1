use jiff::SignedDuration;

use super::*;

fn hour(hours: i64) -> Timestamp {
    Timestamp::from_second(1_795_424_531).unwrap() + SignedDuration::from_hours(hours)
}

fn origin(text: &str) -> ModelOrigin {
    text.parse().unwrap()
}

fn release(digest: &str, published: Option<i64>, since: i64) -> ModelRelease {
    ModelRelease {
        name: "qwen3:latest".to_owned(),
        digest: Some(digest.to_owned()),
        published: published.map(hour),
        since: hour(since),
        weights_bytes: None,
        parameters: None,
    }
}

fn ledger(origins: &[&str]) -> Ledger {
    let mut ledger = Ledger::new(&UpdateMemory::default());
    ledger.reconcile(origins.iter().map(|text| origin(text)));
    ledger
}

fn due(ledger: &Ledger, now: Timestamp) -> Vec<&str> {
    ledger.due(now).map(|(subject, _)| subject.as_str()).collect()
}

fn failure(kind: FaultKind, until: Option<Timestamp>) -> Result<Vec<ModelRelease>, RegistryFault> {
    Err(RegistryFault { kind, what: "no".to_owned(), until })
}

#[test]
fn each_is_asked_about_once_in_six_hours() {
    let mut ledger = ledger(&["qwen3", "hf:Qwen/Qwen3-32B", "qwen3:latest"]);
    assert_eq!(due(&ledger, hour(0)), ["hf:Qwen/Qwen3-32B", "qwen3:latest"]);
    let (first, known) = ledger.begin(hour(0)).unwrap();
    assert_eq!((first.to_string().as_str(), known), ("hf:Qwen/Qwen3-32B", None));
    assert_eq!(due(&ledger, hour(0)), ["qwen3:latest"], "what is being asked about is not asked about again");
    ledger.settle(&first, Ok(vec![release("1", Some(-9), 0)]), hour(0));
    ledger.settle(&origin("qwen3"), Ok(vec![release("2", None, 0)]), hour(0));
    assert!(due(&ledger, hour(5)).is_empty());
    assert_eq!(due(&ledger, hour(7)).len(), 2);
    assert_eq!(ledger.begin(hour(7)).unwrap().1.as_deref(), Some("1"));
    assert_eq!(ledger.begin(hour(7)).unwrap().1, None, "its time is not known yet");
}

#[test]
fn failures_are_tried_again_sooner_if_they_may_pass() {
    let mut ledger = ledger(&["a", "b", "hf:x/y"]);
    ledger.settle(&origin("a"), failure(FaultKind::Denied, None), hour(0));
    ledger.settle(&origin("hf:x/y"), failure(FaultKind::Server, None), hour(0));
    ledger.settle(&origin("b"), failure(FaultKind::Limited, Some(hour(2))), hour(0));
    assert_eq!(due(&ledger, hour(1)), ["hf:x/y"]);
    ledger.reconcile(["a", "b", "c", "hf:x/y"].map(origin).into_iter());
    assert_eq!(due(&ledger, hour(1)), ["hf:x/y"], "the registry of c wants to be left alone");
    ledger.try_failed_again(hour(1));
    assert_eq!(due(&ledger, hour(1)), ["hf:x/y"]);
    assert_eq!(due(&ledger, hour(2)), ["a:latest", "b:latest", "c:latest", "hf:x/y"]);
    assert!(ledger.told().ends_with("3 without an answer: no"), "{}", ledger.told());
}

#[test]
fn what_was_seen_keeps_its_dates_and_what_went_is_remembered() {
    let first = answer(vec![release("1", Some(-9), 0)], None, hour(0));
    let same = answer(vec![release("1", None, 6)], Some(&first), hour(6));
    assert_eq!(same.releases, first.releases);
    let next = answer(vec![release("2", None, 12)], Some(&same), hour(12));
    assert_eq!((next.before.as_slice(), next.releases[0].since), (&["1".to_owned()][..], hour(12)));
    let mut many = next;
    for number in 3..60 {
        many = answer(vec![release(&number.to_string(), None, 0)], Some(&many), hour(18));
    }
    assert_eq!((many.before.len(), many.before.last().unwrap().as_str()), (ModelAnswer::BEFORE, "58"));
}

#[test]
fn where_nobody_can_be_asked_everything_has_the_same_answer() {
    let mut ledger = ledger(&["a", "b"]);
    let fault = failure(FaultKind::Unreachable, None).unwrap_err();
    ledger.settle_all_due(&fault, hour(0));
    assert!(!ledger.is_due(hour(0)) && ledger.memory.models.values().all(|asked| asked.fault.as_ref() == Some(&fault)));
}
