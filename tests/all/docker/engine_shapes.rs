//! An engine of the newest kind, by the shapes of its answers: version 29 does not run everywhere, what it sends is known.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;

use hostler::domain::{HealthState, SourceId};
use tempfile::TempDir;

use super::container;
use super::watcher::Watcher;

const LIST: &str = include_str!("../fixtures/docker/list-1.52.json");
const INSPECT: &str = include_str!("../fixtures/docker/inspect-1.52.json");
const ID: &str = "5d1c0e7b9a3f4e2d8c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d9c8b7a6f5e4d";

/// Answers each request from what was written down, and remembers what was asked.
struct Scripted {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
    _folder: TempDir,
}

impl Scripted {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let log = Arc::clone(&log);
                thread::spawn(move || serve(&client, &log));
            }
        });
        Self { endpoint: format!("unix://{}", socket.display()), asked, _folder: folder }
    }
}

fn serve(mut client: &UnixStream, log: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(client).lines();
    let Some(Ok(request)) = lines.next() else {
        return;
    };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = request.split(' ').nth(1).unwrap().to_owned();
    log.lock().unwrap().push(path.clone());
    let unversioned = path.trim_start_matches("/v1.53");
    let body = match unversioned.split('?').next().unwrap() {
        "/version" => r#"{"Version":"29.7.2","ApiVersion":"1.56","MinAPIVersion":"1.40"}"#,
        "/containers/json" => LIST,
        "/events" if !path.contains("until=") => {
            // What happens from now on: nothing, until the client goes.
            client.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
            let _ = lines.next();
            return;
        }
        "/events" => "",
        path if path == format!("/containers/{ID}/json") => INSPECT,
        // The other one cannot be described.
        path if path.ends_with("/json") => r#"{"Id":"77aa","State":{"Status":"unheard-of"}}"#,
        _ => "OK",
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(body.as_bytes()).unwrap();
}

#[test]
fn an_engine_of_version_29_is_understood() {
    let engine = Scripted::listen();
    let mut watcher = Watcher::start(&engine.endpoint);
    let it = watcher.until("the container is listed", |state| container(state, ID));
    assert_eq!((&*it.name, it.restart_count, it.ports.len()), ("agents-vllm-1", 2, 2));
    assert_eq!(it.health.as_ref().map(|health| health.state), Some(HealthState::Healthy));
    assert!(it.wants_gpu);
    let info = &watcher.state().docker.get().unwrap().engine;
    assert_eq!((&*info.version, &*info.api_version), ("29.7.2", "1.53"));
    // One that the client does not understand is shown as the list has it, and spoils no other.
    let odd = container(watcher.state(), "77aa").unwrap();
    assert_eq!(&*odd.name, "once");
    assert!(watcher.state().sources.get(SourceId::Docker).unwrap().failure.is_none());

    let asked = engine.asked.lock().unwrap();
    let versioned = asked.iter().filter(|path| !path.starts_with("/version"));
    for path in versioned {
        assert!(path.starts_with("/v1.53/"), "{path} asks for the agreed version");
    }
    let events = asked.iter().filter(|path| path.contains("/events?"));
    for path in events {
        assert!(path.contains("since=") && path.contains("health_status"), "{path}");
        assert!(!path.contains("exec_"), "{path}");
    }
}
