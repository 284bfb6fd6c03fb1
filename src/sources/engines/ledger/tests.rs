//! Five minutes of a ledger in no time: who is asked when, and who is left alone.

use super::*;
use crate::engines::{ENGINES, Probe};

fn listener(address: &str, inode: u64) -> Listener {
    Listener { address: address.parse().unwrap(), inode }
}

/// A ledger that has met these listeners, none of whose owners can be told.
fn met(listeners: &[Listener]) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.reconcile(listeners);
    ledger.introduce(&Owners::default());
    ledger
}

fn asked(ledger: &Ledger, seconds: u64) -> Vec<String> {
    let due = ledger.due(Duration::from_secs(seconds));
    due.iter().map(|question| question.origin.address().to_string()).collect()
}

fn settle(ledger: &mut Ledger, finding: Finding, seconds: u64) {
    let origin = ledger.entries.keys().next().copied().unwrap();
    ledger.settle(origin, finding, Duration::from_secs(seconds));
}

fn engine(whole: bool, doubtful: bool) -> Finding {
    let readings = Readings {
        version: Reading::Known("1".to_owned()),
        models: Reading::Known(Vec::new()),
        load: Load { running: Reading::Known(1), waiting: Reading::Known(0), ..Load::unavailable(&Why::NOT_SUPPORTED) },
    };
    let origin = "http://127.0.0.1:8000".parse().unwrap();
    Finding::Engine { origin, spec: &ENGINES[0], readings, whole, doubtful }
}

#[test]
fn loopback_reaches_what_is_bound_to_it_or_to_everything() {
    let ledger = met(&[
        listener("0.0.0.0:8000", 1),
        listener("127.0.0.1:11434", 2),
        listener("192.168.1.5:8001", 3),
        listener("127.0.0.53:8002", 4),
        listener("[::]:8000", 5),
        listener("[::]:8080", 6),
        listener("[::1]:11434", 7),
        listener("[::1]:8003", 8),
        listener("[::ffff:127.0.0.1]:8004", 9),
        listener("[fe80::1]:8005", 10),
    ]);
    assert_eq!(
        asked(&ledger, 0),
        ["127.0.0.1:8000", "127.0.0.1:8004", "127.0.0.1:8080", "127.0.0.1:11434", "127.0.0.53:8002", "[::1]:8003"]
    );
    let both = ledger.due(Duration::ZERO).into_iter().find_map(|question| question.fallback);
    assert_eq!(both.unwrap().to_string(), "http://[::1]:8080");
}

#[test]
fn sensitive_ports_are_spared_also_behind_a_proxy() {
    let ledger = met(&[listener("0.0.0.0:22", 1), listener("127.0.0.1:6379", 2), listener("127.0.0.1:80", 3)]);
    assert_eq!(asked(&ledger, 0), ["127.0.0.1:80"]);
    assert_eq!(ledger.others(), 0);
    let proxy = owner("docker-proxy", "dockerd", Some(5432));
    assert!(matches!(first_standing(15_432, Some(&proxy)), Standing::Spared));
    let proxy = owner("docker-proxy", "dockerd", Some(8000));
    assert!(matches!(first_standing(15_432, Some(&proxy)), Standing::New));
}

fn owner(name: &str, parent: &str, forwards_to: Option<u16>) -> Owner {
    Owner { pid: 7, name: name.to_owned(), parent: parent.to_owned(), container: None, forwards_to }
}

#[test]
fn a_server_of_one_model_belongs_to_its_engine() {
    for (name, parent, child) in [
        ("llama-server", "ollama", true),
        ("llama-server", "llama-server", true),
        ("llama-server", "bash", false),
        ("ollama", "ollama", false),
    ] {
        let standing = first_standing(40_123, Some(&owner(name, parent, None)));
        assert_eq!(matches!(standing, Standing::Child), child, "{name} of {parent}");
    }
}

#[test]
fn another_http_server_is_asked_again_after_five_minutes() {
    let mut ledger = met(&[listener("127.0.0.1:80", 1)]);
    settle(&mut ledger, Finding::Other, 10);
    assert_eq!((asked(&ledger, 15).len(), asked(&ledger, 309).len(), asked(&ledger, 310).len()), (0, 0, 1));
    assert_eq!(ledger.others(), 1);
    // Another socket is another server.
    ledger.reconcile(&[listener("127.0.0.1:80", 2)]);
    assert_eq!(asked(&ledger, 15).len(), 1);
}

#[test]
fn what_does_not_speak_http_is_left_alone() {
    for error in [HttpError::NotHttp, HttpError::Closed] {
        let mut ledger = met(&[listener("127.0.0.1:7000", 1)]);
        settle(&mut ledger, Finding::Failed(error), 0);
        assert!(asked(&ledger, 1_000_000).is_empty());
    }
}

#[test]
fn silence_is_asked_ever_more_rarely() {
    let mut ledger = met(&[listener("127.0.0.1:7000", 1)]);
    for (at, next) in [(0, 300), (300, 900), (900, 2_100)] {
        settle(&mut ledger, Finding::Failed(HttpError::NoAnswer(Probe::TIME)), at);
        assert_eq!((asked(&ledger, next - 1).len(), asked(&ledger, next).len()), (0, 1), "{at}");
    }
}

#[test]
fn a_published_port_whose_server_still_starts_is_asked_soon_again() {
    let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
    let entry = ledger.entries.values_mut().next().unwrap();
    entry.owner = Ownership::Sought(Some(owner("docker-proxy", "dockerd", Some(8000))));
    for (at, next) in [(0, 15), (15, 45), (45, 105), (105, 225), (225, 465), (465, 705)] {
        settle(&mut ledger, Finding::Failed(HttpError::Closed), at);
        assert_eq!((asked(&ledger, next - 1).len(), asked(&ledger, next).len()), (0, 1), "{at}");
    }
    settle(&mut ledger, engine(true, false), 705);
    let engine = &ledger.engines()[0];
    assert_eq!((engine.port, engine.pid), (8000, None), "the proxy is not the server");
}

#[test]
fn an_engine_is_renewed_each_minute_and_when_in_doubt() {
    let renews = |ledger: &Ledger, seconds| matches!(ledger.due(Duration::from_secs(seconds))[0].task, Task::Identify);
    let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
    settle(&mut ledger, engine(true, false), 0);
    settle(&mut ledger, engine(false, false), 5);
    assert_eq!((renews(&ledger, 10), renews(&ledger, 60)), (false, true));
    settle(&mut ledger, engine(false, true), 10);
    assert!(renews(&ledger, 15));
}

#[test]
fn an_engine_stays_while_it_listens() {
    let mut ledger = met(&[listener("127.0.0.1:8000", 1)]);
    settle(&mut ledger, engine(true, false), 0);
    settle(&mut ledger, Finding::Failed(HttpError::NoAnswer(Probe::TIME)), 60);
    let hung = &ledger.engines()[0];
    assert_eq!(hung.version.known().unwrap(), "1");
    assert_eq!(hung.models.why().unwrap().to_string(), "no answer within 2 s");
    assert_eq!(hung.requests_running.why().unwrap().to_string(), "no answer within 2 s");
    ledger.reconcile(&[]);
    assert!(ledger.engines().is_empty());
}

#[test]
fn an_endpoint_of_the_config_is_watched() {
    let mut ledger = Ledger::default();
    ledger.configure(["http://127.0.0.1:6379".parse().unwrap()]);
    ledger.reconcile(&[]);
    assert_eq!(asked(&ledger, 0), ["127.0.0.1:6379"]);
    settle(&mut ledger, Finding::Failed(HttpError::Refused), 0);
    assert_eq!(ledger.disappointing().collect::<Vec<_>>(), ["http://127.0.0.1:6379: connection refused"]);
    assert_eq!(asked(&ledger, 5).len(), 1);
    // It comes up, listening where it can be seen, and goes again.
    ledger.reconcile(&[listener("127.0.0.1:6379", 1)]);
    ledger.introduce(&Owners::default());
    settle(&mut ledger, engine(true, false), 5);
    ledger.reconcile(&[]);
    assert_eq!(ledger.engines().len(), 1);
    settle(&mut ledger, Finding::Failed(HttpError::Refused), 10);
    assert!(ledger.engines()[0].models.why().is_some());
}
