//! Updates to another tag of a container that compose made: its project's files agree afterwards, and are as they were when
//! the update is taken back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::service::{Service, Version};
use super::{planned, run, steps};
use crate::bed::{self, Engine, Home};

/// The image's label of compose, and that of the hash.
const IMAGE: &str = "com.docker.compose.image";
const HASH: &str = "com.docker.compose.config-hash";

fn folder(home: &Home) -> PathBuf {
    home.path().join("stack")
}

/// A service whose labels lead to this compose file and this `.env`; `IMAGE` in them is its image, without its tag. A hash
/// label as `hash` tells it from the home.
fn service(compose: &str, env: &str, hash: impl FnOnce(&Home) -> String) -> Option<Service> {
    Service::start_as(|spec, home, image| {
        let repository = image.strip_suffix(":stable").unwrap();
        let folder = folder(home);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("compose.yaml"), compose.replace("IMAGE", repository)).unwrap();
        fs::write(folder.join(".env"), env).unwrap();
        let label = |key: &str| format!("com.docker.compose.project.{key}");
        spec.compose("stack", "app")
            .label(&label("working_dir"), folder.to_str().unwrap())
            .label(&label("config_files"), folder.join("compose.yaml").to_str().unwrap())
            .label(IMAGE, "sha256:old")
            .label(HASH, &hash(home))
    })
}

fn read(service: &Service, file: &str) -> String {
    fs::read_to_string(folder(&service.home).join(file)).unwrap()
}

fn label(service: &Service, key: &str) -> String {
    service.now().config.unwrap().labels.unwrap()[key].clone()
}

const PINNED: &str = "# The office.\r\nservices:\r\n  app:\r\n    image: 'IMAGE:stable' # pinned\r\n";

#[test]
fn the_compose_file_agrees_with_an_update_and_with_its_roll_back() {
    let Some(service) = service(PINNED, "", |_| "0".repeat(64)) else { return };
    let (name, before) = (service.container.name(), read(&service, "compose.yaml"));
    service.publish_as("v2", Version::Good);

    let plan = planned(&service.home, &["container.update", name, "--to", "v2"]);
    assert_eq!(steps(&plan).len(), 9, "{plan}");
    let step = &plan["plan"]["steps"][3];
    let shown = |sign: &str, tag: &str| format!("{sign}     image: '{}' # pinned", service.reference(tag));
    assert_eq!(step["items"][0]["name"], shown("-", "stable"));
    assert_eq!(step["items"][1]["name"], shown("+", "v2"));
    assert!(plan["plan"]["warnings"].to_string().contains("docker compose up"), "{plan}");
    assert_eq!(read(&service, "compose.yaml"), before, "a dry run does nothing");

    let (code, done) = run(&service.home, &["container.update", name, "--to", "v2"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(service.version(), "v2");
    assert_eq!(read(&service, "compose.yaml"), before.replace(":stable", ":v2"));
    assert_eq!(label(&service, IMAGE), service.image_id());
    assert_eq!(label(&service, HASH), "0".repeat(64));
    let kept = service.home.state().join("runs").join(done["run"].as_str().unwrap());
    let kept: Vec<_> = fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mut copies = kept.iter().filter(|file| file.to_str().unwrap().contains("compose.yaml"));
    let copy = fs::read_to_string(copies.next().expect("the old file is kept with the run")).unwrap();
    assert_eq!((copy, copies.next()), (before.clone(), None), "it is the file as it was before");

    for (version, tag) in [("1", "stable"), ("v2", "v2")] {
        let (code, done) = run(&service.home, &["container.rollback", name]);
        assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
        assert_eq!(service.version(), version);
        assert_eq!(service.now().config.unwrap().image, Some(service.reference(tag)));
        assert_eq!(read(&service, "compose.yaml"), before.replace(":stable", &format!(":{tag}")));
    }
}

#[test]
fn a_bad_tag_leaves_the_files_as_they_were() {
    let compose = "services: {}\n".replace("{}", "\n  app:\n    image: IMAGE:${VERSION:-latest}");
    let env = "# of the office\nVERSION=stable\n";
    let Some(service) = service(&compose, env, |_| String::new()) else { return };
    service.publish_as("v2", Version::Exits);
    let plan = planned(&service.home, &["container.update", service.container.name(), "--to", "v2"]);
    assert_eq!(plan["plan"]["steps"][3]["items"][1]["name"], "+ VERSION=v2", "{plan}");
    let (code, done) = run(&service.home, &["container.update", service.container.name(), "--to", "v2"]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(service.runs());
    assert_eq!(read(&service, ".env"), env);

    // A tag that is nowhere costs nothing, not even the edit.
    let (code, done) = run(&service.home, &["container.update", service.container.name(), "--to", "v3"]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert_eq!((read(&service, ".env").as_str(), service.version().as_str()), (env, "1"));
}

#[test]
fn what_must_be_edited_by_hand_is_refused_before_anything() {
    let compose = "x-app: &app\n  image: IMAGE:stable\nservices:\n  app:\n    <<: *app\n";
    let Some(service) = service(compose, "", |_| String::new()) else { return };
    let name = service.container.name();
    let update = |tag: &str| service.home.run(&["run", "container.update", name, "--yes", "--to", tag]);
    update("v2").refused(4, "by hand: the image comes from another service by `<<`");
    update("a/b").refused(4, "no tag");
    service.home.run(&["run", "container.restart", name, "--to", "v2"]).refused(4, "--to belongs to container.update");
    // The files of another host, seen from here.
    fs::remove_dir_all(folder(&service.home)).unwrap();
    let plan = planned(&service.home, &["container.update", name, "--to", "v2"]);
    assert!(plan["plan"]["warnings"].to_string().contains("is not here"), "{plan}");
    assert_eq!(steps(&plan).len(), 8, "{plan}");
}

#[test]
fn a_container_that_compose_did_not_make_goes_to_the_tag() {
    let Some(service) = Service::start() else { return };
    service.publish_as("v2", Version::Good);
    let (code, done) = run(&service.home, &["container.update", service.container.name(), "--to", "v2"]);
    assert_eq!((code, service.version().as_str()), (0, "v2"), "{done}");
    assert_eq!(service.now().config.unwrap().image, Some(service.reference("v2")));
}

/// What compose itself says of the service.
fn hash_of(program: &Path, engine: &Engine, home: &Home) -> String {
    let folder = folder(home);
    let told = Command::new(program)
        .args(["--host", engine.endpoint(), "--project-name", "stack", "--project-directory"])
        .arg(&folder)
        .arg("--file")
        .arg(folder.join("compose.yaml"))
        .args(["config", "--hash=app"])
        .output()
        .unwrap();
    let text = String::from_utf8(told.stdout).unwrap();
    let hash = text.trim().strip_prefix("app ");
    hash.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&told.stderr))).to_owned()
}

#[test]
fn compose_finds_the_updated_container_up_to_date() {
    let Some(program) = bed::part("HOSTLER_TEST_COMPOSE", "docker-compose") else { return };
    let Some(engine) = bed::engine() else { return };
    let compose = "version: '3.8'\nservices:\n  app:\n    image: IMAGE:${VERSION}\n";
    let Some(service) = service(compose, "VERSION=stable\n", |home| hash_of(&program, &engine, home)) else { return };
    let before = label(&service, HASH);
    service.publish_as("v2", Version::Good);
    let plan = planned(&service.home, &["container.update", service.container.name(), "--to", "v2"]);
    assert_eq!(plan["plan"]["warnings"], serde_json::json!([]), "{plan}");
    let (code, done) = run(&service.home, &["container.update", service.container.name(), "--to", "v2"]);
    assert_eq!((code, service.version().as_str()), (0, "v2"), "{done}");
    assert_eq!(label(&service, HASH), hash_of(&program, &engine, &service.home));
    assert_ne!(label(&service, HASH), before);
}
