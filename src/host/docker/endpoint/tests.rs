//! Where the engine is sought, on made-up machines.

use std::fs::{create_dir_all, write};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;
use crate::domain::FailureKind;

/// A machine with a home and a runtime folder, and no engine.
struct Machine {
    root: TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["home/me/.docker", "run/user/1000/podman", "run/podman", "var/run", "etc"] {
            create_dir_all(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, text).unwrap();
        self
    }

    fn socket(self, path: &str) -> Self {
        UnixListener::bind(self.root.path().join(path)).unwrap();
        self
    }

    /// A context as the docker command stores it.
    fn context(self, id: &str, name: &str, host: &str) -> Self {
        self.file(
            &format!("home/me/.docker/contexts/meta/{id}/meta.json"),
            &format!(
                r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
            ),
        )
    }

    fn candidates(&self, change: impl FnOnce(&mut Surroundings)) -> Vec<Candidate> {
        let mut around = Surroundings {
            docker_config: Some("/home/me/.docker".into()),
            runtime_dir: Some("/run/user/1000".into()),
            ..Surroundings::default()
        };
        change(&mut around);
        candidates(&around, &RootedFs::new(self.root.path()))
    }

    /// The endpoint that is taken, its path as on the machine, and why.
    fn chosen(&self, change: impl FnOnce(&mut Surroundings)) -> (String, String) {
        let candidates = self.candidates(change);
        let chosen = choose(&candidates).unwrap();
        let root = self.root.path().display().to_string();
        (chosen.endpoint.replace(&root, ""), chosen.because.clone())
    }
}

#[test]
fn without_an_engine_there_is_none_and_all_places_are_named() {
    let failure = choose(&Machine::new().candidates(|_| {})).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.what.starts_with("no container engine"), "{failure}");
    for place in ["/run/user/1000/docker.sock", "/var/run/docker.sock", "/run/podman/podman.sock"] {
        assert!(failure.what.contains(place), "{place} in {failure}");
    }
}

#[test]
fn sockets_are_taken_in_order() {
    let machine = Machine::new().socket("run/podman/podman.sock");
    assert_eq!(machine.chosen(|_| {}).0, "unix:///run/podman/podman.sock");
    let machine = machine.socket("var/run/docker.sock");
    assert_eq!(machine.chosen(|_| {}).0, "unix:///var/run/docker.sock");
    let machine = machine.socket("run/user/1000/podman/podman.sock");
    assert_eq!(
        machine.chosen(|_| {}),
        ("unix:///run/user/1000/podman/podman.sock".to_owned(), "it is rootless Podman's socket".to_owned())
    );
    let machine = machine.socket("run/user/1000/docker.sock");
    assert_eq!(machine.chosen(|_| {}).1, "it is rootless Docker's socket");
    assert!(machine.candidates(|_| {}).len() >= 5, "the others are still listed");
}

#[test]
fn what_is_named_is_taken_even_if_it_is_not_there() {
    let machine = Machine::new()
        .socket("var/run/docker.sock")
        .context("0a", "lab", "unix:///run/lab.sock")
        .file("home/me/.docker/config.json", r#"{"auths":{},"currentContext":"lab"}"#);
    assert_eq!(
        machine.chosen(|_| {}),
        ("unix:///run/lab.sock".to_owned(), "it is the docker context `lab`, chosen by the docker command".to_owned())
    );
    let from_environment =
        |around: &mut Surroundings| around.docker_host = Some("unix:///nowhere/docker.sock".to_owned());
    assert_eq!(
        machine.chosen(from_environment),
        ("unix:///nowhere/docker.sock".to_owned(), "DOCKER_HOST is set".to_owned())
    );
    let from_config = |around: &mut Surroundings| {
        from_environment(around);
        around.configured = Some("tcp://127.0.0.1:2375".to_owned());
    };
    assert_eq!(machine.chosen(from_config), ("tcp://127.0.0.1:2375".to_owned(), "the config names it".to_owned()));
    assert_eq!(machine.candidates(from_environment)[0].standing, Standing::Missing);
}

#[test]
fn contexts_are_found_by_name() {
    let machine = Machine::new()
        .context("0a", "lab", "unix:///run/lab.sock")
        .context("0b", "far", "tcp://10.0.0.7:2376")
        .file("home/me/.docker/contexts/tls/0b/docker/ca.pem", "")
        .file("home/me/.docker/contexts/meta/0c/meta.json", "{ broken");
    let chosen = |name: &str| {
        let candidates = machine.candidates(|around| around.docker_context = Some(name.to_owned()));
        choose(&candidates).unwrap().clone()
    };
    assert!(chosen("lab").endpoint.ends_with("/run/lab.sock"));
    assert!(chosen("default").endpoint.ends_with("/var/run/docker.sock"));
    let tls = chosen("far").address().unwrap_err();
    assert!(tls.what.contains("TLS") && tls.remedy.is_some(), "{tls}");
    let unknown = chosen("\u{1b}[31mgone").address().unwrap_err();
    assert!(unknown.what.contains("`gone`") && unknown.what.contains("not defined"), "{unknown}");
}

#[test]
fn the_docker_command_without_a_context_means_the_sockets() {
    let machine = Machine::new().file("home/me/.docker/config.json", r#"{"auths":{}}"#).socket("run/docker.sock");
    assert_eq!(machine.chosen(|_| {}).0, "unix:///run/docker.sock");
}

#[test]
fn endpoints_are_understood_or_refused_in_words() {
    let address = |endpoint: &str| named(endpoint, "DOCKER_HOST is set".to_owned(), &Surroundings::default()).address();
    assert_eq!(address("unix:///run/x.sock"), Ok(Address::Unix("/run/x.sock".into())));
    assert_eq!(address("tcp://127.0.0.1"), Ok(Address::Tcp("127.0.0.1:2375".into())));
    assert_eq!(address("tcp://[::1]"), Ok(Address::Tcp("[::1]:2375".into())));
    assert_eq!(address("http://[::1]:99/"), Ok(Address::Tcp("[::1]:99".into())));
    for (endpoint, word) in [
        ("ssh://root@box", "SSH"),
        ("https://box:2376", "TLS"),
        ("npipe:////./pipe/docker", "no endpoint"),
        ("unix://relative.sock", "no endpoint"),
        ("box:2375", "no endpoint"),
    ] {
        let failure = address(endpoint).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Failed, "{endpoint}");
        assert!(failure.what.contains(word), "{endpoint}: {failure}");
        assert!(failure.remedy.is_some(), "{endpoint}");
    }
    let tls = Surroundings { tls_verify: true, ..Surroundings::default() };
    let tls = named("tcp://box:2376", "DOCKER_HOST is set".to_owned(), &tls);
    assert!(tls.address().unwrap_err().what.contains("DOCKER_TLS_VERIFY"));
}

#[test]
fn a_password_in_an_endpoint_is_not_shown() {
    let candidate = named("tcp://me:secret@box:2375", "DOCKER_HOST is set".to_owned(), &Surroundings::default());
    assert_eq!(candidate.shown(), "tcp://box:2375");
    let refused = named("ssh://me:secret@box", "DOCKER_HOST is set".to_owned(), &Surroundings::default());
    assert!(!format!("{}", refused.address().unwrap_err()).contains("secret"));
}

#[test]
fn the_group_that_owns_a_socket_is_named() {
    let fs = RootedFs::new(Machine::new().file("etc/group", "root:x:0:\ndocker:x:998:me\n").root.keep());
    let groups = Groups::default();
    assert_eq!(groups.name(&fs, 998).as_deref(), Some("docker"));
    assert_eq!(groups.name(&fs, 0), None, "root's own sockets are for root");
    assert_eq!(groups.name(&fs, 4242), None);
    std::fs::remove_dir_all(fs.path("/")).unwrap();
}
