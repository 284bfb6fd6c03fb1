//! Tests of the test bed itself: each fault is really the fault that its name promises, as the engine
//! reports it, and nothing outside the bed can be reached from it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::Duration;

use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum};

use crate::bed::{self, Container, DEADLINE, Restart, faults, foreign, wait_until};

/// The reading of the engine's answer that most tests wait for.
fn status(inspected: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    inspected.state.as_ref()?.status
}

fn health(inspected: &ContainerInspectResponse) -> Option<HealthStatusEnum> {
    inspected.state.as_ref()?.health.as_ref()?.status
}

fn wait_for_status(container: &Container, wanted: ContainerStateStatusEnum) {
    container.wait_for(&format!("is {wanted}"), |inspected| (status(inspected) == Some(wanted)).then_some(()));
}

#[test]
fn the_engine_is_the_private_one() {
    let Some(engine) = bed::engine() else { return };
    assert!(engine.socket().exists(), "{}", engine.endpoint());
    for socket in ["/var/run/docker.sock", "/run/podman/podman.sock"] {
        assert!(!Path::new(socket).exists(), "{socket} can be reached");
    }
    let version = engine.block_on(engine.docker().version()).unwrap();
    assert!(version.api_version.is_some());
    assert!(engine.docker().client_version() <= *bollard::API_DEFAULT_VERSION);
}

#[test]
fn a_container_lives_as_long_as_its_value() {
    let Some(engine) = bed::engine() else { return };
    let (first, second) = (faults::steady(&engine), faults::steady(&engine));
    assert_ne!(first.name(), second.name());
    wait_for_status(&first, ContainerStateStatusEnum::RUNNING);

    let id = first.id().to_owned();
    drop(first);
    let gone = engine.block_on(engine.docker().inspect_container(&id, None));
    assert!(matches!(gone, Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })));
    assert_eq!(status(&second.inspect()), Some(ContainerStateStatusEnum::RUNNING));
}

#[test]
fn a_container_is_as_described() {
    let Some(engine) = bed::engine() else { return };
    let container = engine.run("described", |spec| {
        spec.bridge()
            .compose("shop", "web")
            .restart(Restart::UnlessStopped)
            .log_driver("none")
            .with(|body| body.env = Some(vec!["MODE=test".to_owned()]))
    });
    assert!(container.name().ends_with("-described"));
    let inspected = container.inspect();
    let config = inspected.config.unwrap();
    assert!(config.env.unwrap().contains(&"MODE=test".to_owned()));
    let labels = config.labels.unwrap();
    assert_eq!(labels["com.docker.compose.project"], "shop");
    assert_eq!(labels["com.docker.compose.service"], "web");
    let networks = inspected.network_settings.unwrap().networks.unwrap();
    let address = networks["bridge"].ip_address.clone().unwrap();
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "{address:?}");

    container.stop();
    assert_eq!(container.state().running, Some(false));
    container.start();
    wait_for_status(&container, ContainerStateStatusEnum::RUNNING);
}

#[test]
fn a_healthy_container_stays_healthy() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::healthy(&engine);
    container.wait_for("is healthy", |inspected| (health(inspected) == Some(HealthStatusEnum::HEALTHY)).then_some(()));
    assert_eq!(container.inspect().restart_count, Some(0));
}

#[test]
fn a_completed_container_ended_with_0() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::completed(&engine);
    wait_for_status(&container, ContainerStateStatusEnum::EXITED);
    assert_eq!(container.state().exit_code, Some(0));
    assert_eq!(container.logs(), b"migrated\n");
}

#[test]
fn a_crash_loop_restarts_again_and_again() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::crash_loop(&engine);
    let mut seen = 0;
    for _ in 0..3 {
        seen =
            container.wait_for("restarts once more", |inspected| inspected.restart_count.filter(|count| *count > seen));
    }
    // Between two runs the engine says so; in its short lives it is simply running.
    wait_for_status(&container, ContainerStateStatusEnum::RESTARTING);
    assert_eq!(container.state().exit_code, Some(1));
}

#[test]
fn exhausted_retries_leave_the_container_down() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::retries_exhausted(&engine);
    container.wait_for("is down after three restarts", |inspected| {
        (inspected.restart_count == Some(3) && status(inspected) == Some(ContainerStateStatusEnum::EXITED))
            .then_some(())
    });
    assert_eq!(container.state().exit_code, Some(7));
}

#[test]
fn an_unhealthy_container_runs_and_says_why() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::unhealthy(&engine);
    let probes = container.wait_for("is unhealthy", |inspected| {
        let health = inspected.state.as_ref()?.health.clone()?;
        (health.status == Some(HealthStatusEnum::UNHEALTHY)).then_some(health)
    });
    assert!(probes.failing_streak >= Some(1));
    let probe = &probes.log.unwrap()[0];
    assert_eq!(probe.output.as_deref(), Some("connection refused\n"));
    assert_eq!(container.state().running, Some(true));
}

#[test]
fn an_oom_killed_container_is_marked_so() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::oom_killed(&engine);
    wait_for_status(&container, ContainerStateStatusEnum::EXITED);
    let state = container.state();
    assert_eq!(state.oom_killed, Some(true));
    assert_eq!(state.exit_code, Some(137));
    let limit = container.inspect().host_config.unwrap().memory;
    assert_eq!(limit, Some(faults::OOM_LIMIT));
}

#[test]
fn a_container_that_cannot_start_says_why() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::not_startable(&engine);
    let state = container.state();
    assert_eq!(state.status, Some(ContainerStateStatusEnum::CREATED));
    assert_eq!(state.exit_code, Some(127));
    assert!(state.error.unwrap().contains("/no/such/program"));
}

#[test]
fn a_logger_writes_numbered_lines() {
    let Some(engine) = bed::engine() else { return };
    for rate in [2, 400] {
        let container = faults::logger(&engine, rate);
        let wanted = format!("line {rate} of the log\n");
        let log = wait_until(DEADLINE, "the logger has written for a second", || {
            let log = String::from_utf8(container.logs()).unwrap();
            log.contains(&wanted).then_some(log)
        });
        for (number, line) in (1..).zip(log.lines()) {
            assert_eq!(line, format!("line {number} of the log"));
        }
    }
}

#[test]
fn foreign_text_arrives_byte_for_byte() {
    let Some(engine) = bed::engine() else { return };
    let container = faults::foreign_text(&engine);
    let labels = container.inspect().config.unwrap().labels.unwrap();
    for label in ["hostler.test.foreign", "com.docker.compose.service"] {
        assert_eq!(labels[label], foreign::text());
    }

    let end = b"\nend of the foreign text\n";
    let log = wait_until(DEADLINE, "the foreign text is written", || {
        let log = container.logs();
        log.ends_with(end).then_some(log)
    });
    let bytes = foreign::bytes();
    assert!(log.starts_with(&bytes), "the log is not what was written");
    let long_line = log[bytes.len() + 1..log.len() - end.len()].trim_ascii_end();
    assert_eq!(long_line.len(), foreign::LONG_LINE);
    assert!(long_line.iter().all(|byte| *byte == b'x'));
    assert!(String::from_utf8(bytes).is_err(), "some of it is not UTF-8");
}

#[test]
fn harmful_text_is_told_from_harmless() {
    for (what, piece) in foreign::PIECES {
        let harmless = what.starts_with("wide");
        assert_eq!(foreign::first_harmful(piece).is_none(), harmless, "{what}");
    }
    assert_eq!(foreign::first_harmful("two\nlines, 日本, é"), None);
}

#[test]
fn a_hung_unix_socket_accepts_and_never_answers() {
    let hung = bed::hung_unix_socket();
    let path = hung.endpoint().strip_prefix("unix://").unwrap();
    let mut connection = UnixStream::connect(path).unwrap();
    connection.write_all(b"GET /_ping HTTP/1.0\r\n\r\n").unwrap();
    wait_until(DEADLINE, "the connection is accepted", || (hung.accepted() == 1).then_some(()));
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let answer = connection.read(&mut [0]).unwrap_err();
    assert_eq!(answer.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_hung_port_accepts_and_never_answers() {
    let hung = bed::hung_tcp();
    let address = hung.endpoint().strip_prefix("tcp://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    wait_until(DEADLINE, "the connection is accepted", || (hung.accepted() == 1).then_some(()));
    connection.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let answer = connection.read(&mut [0]).unwrap_err();
    assert_eq!(answer.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_real_llama_server_serves_its_model() {
    let Some(server) = bed::llama() else { return };
    assert!(server.endpoint().starts_with("http://127.0.0.1:"));
    assert!(Path::new("/proc").join(server.pid().to_string()).exists());
    let (status, models) = server.get("/v1/models").unwrap();
    assert_eq!(status, 200);
    assert!(models.contains("SmolLM2"), "{models}");

    let request = r#"{"prompt": "One, two,", "n_predict": 4}"#;
    let (status, completion) = server.post("/completion", request).unwrap();
    assert_eq!(status, 200, "{completion}");
    let (status, metrics) = server.get("/metrics").unwrap();
    assert_eq!(status, 200);
    assert!(metrics.contains("llamacpp:tokens_predicted_total 4"), "{metrics}");
}

#[test]
fn the_programs_under_test_are_there() {
    assert!(bed::hostler().is_file());
    let Some(library) = bed::nvml_library() else {
        return;
    };
    assert!(library.is_file(), "{}", library.display());
}

#[test]
fn a_wait_in_vain_says_what_for() {
    let panic = catch_unwind(|| wait_until(Duration::ZERO, "pigs fly", || None::<()>)).unwrap_err();
    let message = panic.downcast_ref::<String>().unwrap();
    assert_eq!(message, "waited 0ns in vain until pigs fly");
}
