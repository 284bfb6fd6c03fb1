//! Events as engines send them.

use super::*;

fn happenings(lines: &str) -> Vec<Happening> {
    lines.lines().filter_map(|line| happening(&serde_json::from_str(line).unwrap())).collect()
}

fn events(lines: &str) -> Vec<DockerEvent> {
    happenings(lines).into_iter().filter_map(|happening| happening.event).collect()
}

#[test]
fn events_of_containers_are_told_and_others_are_not() {
    let told = events(include_str!("../../../../tests/all/fixtures/docker/events-1.41.ndjson"));
    let kinds: Vec<_> = told.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            DockerEventKind::Changed,
            DockerEventKind::Start,
            DockerEventKind::Die { code: 1 },
            DockerEventKind::Oom,
            DockerEventKind::Unhealthy,
        ],
        "neither networks nor the probes of health checks"
    );
    assert_eq!(told[0].at, Timestamp::from_nanosecond(1_795_458_799_287_626_822).unwrap());
}

#[test]
fn events_of_newer_engines_and_of_podman_are_understood() {
    let told = events(
        r#"{"Type":"container","Action":"health_status: healthy","Actor":{"ID":"aa","Attributes":{"name":"x"}},"scope":"local","time":1795458799,"timeNano":1795458799000000001}
{"Type":"container","Action":"health_status","Actor":{"ID":"aa","Attributes":{"health_status":"unhealthy"}},"time":1795458799}
{"Type":"container","Action":"died","Actor":{"ID":"aa","Attributes":{"containerExitCode":"137"}},"time":1795458799}
{"Type":"container","Action":"remove","Actor":{"ID":"aa","Attributes":{}},"time":1795458799}
{"Type":"container","Action":"attach","Actor":{"ID":"aa","Attributes":{}},"time":1795458799}
{"Type":"container","Action":"start","Actor":{"ID":"../aa","Attributes":{}},"time":1795458799}"#,
    );
    let kinds: Vec<_> = told.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        [
            DockerEventKind::Healthy,
            DockerEventKind::Unhealthy,
            DockerEventKind::Die { code: 137 },
            DockerEventKind::Changed,
        ]
    );
}

#[test]
fn the_engine_filters_the_probes_of_health_checks() {
    let request = request(Timestamp::from_nanosecond(1_795_458_799_000_000_007).unwrap(), None);
    assert_eq!(request.since.as_deref(), Some("1795458799.000000007"));
    assert_eq!(request.until, None);
    let filters = request.filters.unwrap();
    assert!(!filters["type"].iter().any(|kind| kind == "daemon"), "what is not told costs nothing");
    assert!(filters["event"].iter().all(|action| !action.starts_with("exec")));
    // With one of these the engine compares starts of words, so none may be the start of a probe's.
    assert!(!filters["event"].iter().any(|action| "exec_start".starts_with(action.as_str())));
}
