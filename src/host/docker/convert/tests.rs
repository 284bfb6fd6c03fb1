//! The conversions on answers of real engines: 1.41 as captured, 1.52 as its specification shapes it.

use super::*;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/all/fixtures/docker/", $name))
    };
}

fn inspect(json: &str) -> Inspected {
    inspected(serde_json::from_str(json).unwrap()).unwrap()
}

fn list(json: &str) -> Vec<Container> {
    let list: Vec<ContainerSummary> = serde_json::from_str(json).unwrap();
    list.into_iter().filter_map(listed).collect()
}

fn timestamp(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_running_container_of_1_41() {
    let Inspected { container: it, finished } = inspect(fixture!("inspect-1.41-running.json"));
    assert_eq!(&*it.name, "bed-app");
    assert_eq!(it.image, "127.0.0.1:5000/bed/app:stable");
    assert_eq!(it.state, ContainerState::Running);
    assert_eq!(it.pid, Some(22478));
    assert_eq!(it.restart_policy, RestartPolicy::UnlessStopped);
    assert_eq!(it.started, Some(timestamp("2026-11-23T18:31:14.646668175Z")));
    assert_eq!((it.last_exit, finished), (None, None), "it never ended");
    assert_eq!((it.health, it.start_error), (None, None));
    assert_eq!((it.memory_limit_bytes, it.cpu_limit), (None, None));
    assert_eq!((&*it.log_driver, it.tty), ("json-file", false));
    assert!(it.log_path.unwrap().ends_with("-json.log"));
    assert!(!it.wants_gpu);
}

#[test]
fn a_failing_health_check_tells_since_when() {
    let it = inspect(fixture!("inspect-1.41-unhealthy.json")).container;
    let health = it.health.unwrap();
    assert_eq!(health.state, HealthState::Unhealthy);
    assert_eq!(health.failing_streak, 17);
    assert_eq!(health.failing_since, Some(timestamp("2026-11-23T18:33:48.033222104Z")));
    assert_eq!(health.last_output, None, "its probes print nothing");
}

#[test]
fn a_streak_begins_after_the_last_success() {
    let probe = |start: &str, exit_code, output: &str| HealthcheckResult {
        start: Some(start.to_owned()),
        exit_code: Some(exit_code),
        output: Some(output.to_owned()),
        ..HealthcheckResult::default()
    };
    let health = health(&EngineHealth {
        status: Some(HealthStatusEnum::UNHEALTHY),
        failing_streak: Some(2),
        log: Some(vec![
            probe("2026-11-23T18:00:00Z", 1, "old"),
            probe("2026-11-23T18:00:10Z", 0, "fine"),
            probe("2026-11-23T18:00:20Z", 7, "refused"),
            probe("2026-11-23T18:00:30Z", 7, "\n \x1b[31mrefused again\x1b[0m\nmore"),
        ]),
    })
    .unwrap();
    assert_eq!(health.failing_since, Some(timestamp("2026-11-23T18:00:20Z")));
    assert_eq!(health.last_output.as_deref(), Some("refused again"));
}

#[test]
fn a_kill_for_memory_is_an_exit() {
    let Inspected { container: it, finished } = inspect(fixture!("inspect-1.41-oom-killed.json"));
    assert_eq!(it.state, ContainerState::Exited);
    let exit = it.last_exit.unwrap();
    assert_eq!((exit.code, exit.oom_killed), (137, true));
    assert_eq!(exit.at, finished);
    assert!(finished.is_some());
    assert_eq!(it.pid, None);
    assert!(it.memory_limit_bytes.is_some());
}

#[test]
fn a_container_between_two_runs_knows_its_exit() {
    let it = inspect(fixture!("inspect-1.41-restarting.json")).container;
    assert_eq!(it.state, ContainerState::Restarting);
    assert_eq!(it.last_exit.unwrap().code, 1);
    assert!(it.restart_count >= 4);
    assert_eq!(it.restart_policy, RestartPolicy::Always);
}

#[test]
fn a_container_that_could_not_start_says_why() {
    let it = inspect(fixture!("inspect-1.41-not-startable.json")).container;
    assert_eq!(it.state, ContainerState::Created);
    assert!(it.start_error.unwrap().contains("/nonexistent"));
    assert_eq!((it.last_exit, it.started), (None, None));
}

#[test]
fn the_shape_of_1_52_is_understood() {
    let Inspected { container: it, finished } = inspect(fixture!("inspect-1.52.json"));
    assert_eq!(it.project.as_deref(), Some("agents"));
    assert_eq!(it.service.as_deref(), Some("vllm"));
    assert_eq!(it.health.unwrap().state, HealthState::Healthy);
    assert_eq!(it.restart_count, 2);
    assert_eq!(it.restart_policy, RestartPolicy::OnFailure(5));
    assert_eq!(it.memory_limit_bytes, Some(64 << 30));
    assert_eq!(it.cpu_limit, Some(6.5));
    assert!(it.wants_gpu && it.tty);
    assert_eq!(it.log_path, None);
    let ports: Vec<_> =
        it.ports.iter().map(|port| (port.host_port, port.container_port, &*port.protocol, port.reach)).collect();
    assert_eq!(ports, [(8000, 8000, "tcp", PortReach::Local), (39090, 9090, "udp", PortReach::Any),]);
    assert_eq!(it.last_exit, None, "a start clears the exit code");
    assert_eq!(finished, Some(timestamp("2026-11-23T06:00:58.25Z")));
}

#[test]
fn lists_of_both_shapes_agree_with_inspections() {
    let new = list(fixture!("list-1.52.json"));
    let inspected = inspect(fixture!("inspect-1.52.json")).container;
    assert_eq!(new[0].ports, inspected.ports);
    assert_eq!(new[0].name, inspected.name);
    assert_eq!(new[0].health.as_ref().map(|health| health.state), Some(HealthState::Healthy));
    assert_eq!((new[1].state, &new[1].health), (ContainerState::Exited, &None));
    let old = list(fixture!("list-1.41.json"));
    let states: Vec<_> =
        old.iter().map(|it| (&*it.name, it.state, it.health.as_ref().map(|health| health.state))).collect();
    assert_eq!(
        states,
        [
            ("bed-nostart", ContainerState::Created, None),
            ("bed-oom", ContainerState::Exited, None),
            ("bed-sick", ContainerState::Running, Some(HealthState::Unhealthy)),
            ("bed-loop", ContainerState::Restarting, None),
            ("bed-app", ContainerState::Running, None),
        ]
    );
}

#[test]
fn podman_leaves_out_what_docker_sends() {
    let list = list(
        r#"[{"Id":"6673de70ba4f","Names":["/bed-pod"],"Image":"localhost/bb:1","ImageID":"sha256:04","Created":1795460026,
            "Ports":[],"Labels":{},"State":"created","Status":"Created","NetworkSettings":{"Networks":null},"Mounts":[],
            "Name":"","Config":null,"NetworkingConfig":null,"Platform":null,"AdjustCPUShares":false}]"#,
    );
    assert_eq!(&*list[0].name, "bed-pod");
    let bare = inspect(r#"{"Id":"6673de70ba4f","Name":"bed-pod","State":{"Running":true,"Pid":7}}"#);
    assert_eq!(bare.container.state, ContainerState::Running);
    assert_eq!(bare.container.pid, Some(7));
}

#[test]
fn foreign_text_is_stripped_everywhere() {
    let json = serde_json::json!({
        "Id": "6673de70ba4f",
        "Name": "/\u{1b}]52;c;ZXZpbA==\u{7}web",
        "Config": {
            "Image": "bb\u{202e}:1",
            "Labels": {
                "com.docker.compose.project": "pro\u{9b}31mject",
                "com.docker.compose.service": "\u{1b}[2J",
            },
        },
        "State": {
            "Status": "created",
            "Error": format!("no\u{1b}[31m such file{}", "x".repeat(1 << 20)),
        },
        "LogPath": "/var/\u{1b}[31mlog",
    });
    let it = inspect(&json.to_string()).container;
    assert_eq!(&*it.name, "web");
    assert_eq!(it.image, "bb:1");
    assert_eq!(it.project.as_deref(), Some("project"));
    assert_eq!(it.service, None, "nothing of it is text");
    let error = it.start_error.unwrap();
    assert!(error.starts_with("no such file") && error.len() <= OUTPUT_BYTES);
    assert_eq!(it.log_path, None);
    assert!(id("../../images").is_none());
}

#[test]
fn bind_addresses_reach_so_far() {
    let cases = [
        ("", PortReach::Any),
        ("0.0.0.0", PortReach::Any),
        ("::", PortReach::Any),
        ("93.184.216.34", PortReach::Any),
        ("127.0.0.1", PortReach::Local),
        ("::1", PortReach::Local),
        ("::ffff:127.0.0.1", PortReach::Local),
        ("192.168.1.7", PortReach::Lan),
        ("100.101.102.103", PortReach::Lan),
        ("fd00::7", PortReach::Lan),
        ("fe80::7", PortReach::Lan),
    ];
    for (address, expected) in cases {
        assert_eq!(reach(address), expected, "{address}");
    }
}

#[test]
fn gpus_are_asked_for_in_several_ways() {
    let wants = |host: serde_json::Value, env: &[&str]| {
        let env: Vec<_> = env.iter().map(ToString::to_string).collect();
        wants_gpu(&serde_json::from_value(host).unwrap(), &env)
    };
    let cdi = serde_json::json!({"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=all"]}]});
    let file = serde_json::json!({"Devices": [{"PathOnHost": "/dev/nvidia0"}]});
    let runtime = serde_json::json!({"Runtime": "nvidia"});
    assert!(wants(cdi, &[]));
    assert!(wants(file, &[]));
    assert!(wants(runtime.clone(), &["NVIDIA_VISIBLE_DEVICES=all"]));
    assert!(!wants(runtime.clone(), &["NVIDIA_VISIBLE_DEVICES=void"]));
    assert!(!wants(runtime, &[]));
    assert!(!wants(serde_json::json!({}), &["NVIDIA_VISIBLE_DEVICES=all"]));
}

#[test]
fn only_mounts_whose_folder_can_be_named_are_kept() {
    let point = |source: Option<&str>, destination: &str| MountPoint {
        source: source.map(str::to_owned),
        destination: Some(destination.to_owned()),
        ..MountPoint::default()
    };
    let kept = mount(&point(Some("/srv/ollama"), "/root/.ollama")).unwrap();
    assert_eq!((kept.source.as_str(), kept.destination.as_str()), ("/srv/ollama", "/root/.ollama"));
    for (source, destination) in [
        (None, "/tmp"),
        (Some(""), "/tmp"),
        (Some("relative"), "/tmp"),
        (Some("/srv/\u{1b}[31mred"), "/data"),
        (Some("/srv"), "/da\u{202e}ta"),
    ] {
        assert_eq!(mount(&point(source, destination)), None, "{source:?} {destination:?}");
    }
}
