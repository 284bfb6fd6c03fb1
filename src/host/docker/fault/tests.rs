//! What the operator gets to read.

use super::*;
use crate::domain::FailureKind;

fn place(standing: Standing, group: Option<&str>) -> Candidate {
    Candidate {
        endpoint: "unix:///run/docker.sock".to_owned(),
        because: "it is Docker's default socket".to_owned(),
        named: false,
        standing,
        group: group.map(str::to_owned),
    }
}

fn io(kind: io::ErrorKind) -> Error {
    Error::IOError { err: kind.into() }
}

#[test]
fn who_may_not_is_told_how_to_get_the_right() {
    let denied = failure(&place(Standing::Exists, Some("docker")), &io(io::ErrorKind::PermissionDenied));
    assert_eq!(denied.kind, FailureKind::Denied);
    let remedy = denied.remedy.unwrap();
    assert!(remedy.contains("sudo usermod -aG docker $USER"), "{remedy}");
    assert!(remedy.contains("log in again"), "{remedy}");
    let hidden = failure(&place(Standing::Hidden, None), &Error::SocketNotFoundError("/run/docker.sock".to_owned()));
    assert_eq!(hidden.kind, FailureKind::Denied);
    assert!(hidden.remedy.unwrap().contains("sudo hostler"));
}

#[test]
fn an_engine_that_does_not_run_is_told_from_one_that_hangs() {
    let there = place(Standing::Exists, None);
    let cases = [
        (io(io::ErrorKind::ConnectionRefused), "nobody listens"),
        (io(io::ErrorKind::NotFound), "no such socket"),
        (Error::SocketNotFoundError(String::new()), "no such socket"),
        (Error::RequestTimeoutError, "does not answer"),
    ];
    for (error, words) in cases {
        let failure = failure(&there, &error);
        assert_eq!(failure.kind, FailureKind::Failed);
        assert!(failure.what.contains(words), "{failure}");
        assert!(failure.what.contains("unix:///run/docker.sock"), "{failure}");
        assert!(failure.remedy.is_some(), "{failure}");
    }
}

#[test]
fn the_words_of_the_engine_are_stripped_and_bounded() {
    let error = Error::DockerResponseServerError {
        status_code: 500,
        message: format!("\u{1b}]0;x\u{7}broken {}", "y".repeat(1 << 20)),
    };
    let failure = failure(&place(Standing::Exists, None), &error);
    assert!(failure.what.contains("answered 500: broken yyy"), "{failure}");
    assert!(failure.what.len() < 400);
}
