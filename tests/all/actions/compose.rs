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
    assert_eq!((code, done["outcome"].as_str()), (1, Some("failed")), "{done}");
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

/// The docker command with its compose plug-in, in a home.
pub(super) struct Plugin {
    engine: Engine,
}

impl Plugin {
    /// `None` where the bed has none. The home's docker command, which hostler asks too, finds it.
    pub(super) fn install(engine: &Engine, home: &Home) -> Option<Self> {
        let program = bed::part("HOSTLER_TEST_COMPOSE_PLUGIN", "the compose plug-in")?;
        let plugins = home.path().join(".docker/cli-plugins");
        fs::create_dir_all(&plugins).unwrap();
        std::os::unix::fs::symlink(program, plugins.join("docker-compose")).unwrap();
        Some(Self { engine: engine.clone() })
    }

    /// `docker compose` in the folder of the project.
    #[track_caller]
    pub(super) fn compose(&self, home: &Home, args: &[&str]) -> String {
        let mut command = Command::new("docker");
        let told = command
            .arg("compose")
            .args(args)
            .current_dir(folder(home))
            .env("HOME", home.path())
            .env_remove("DOCKER_CONFIG");
        let told = told.env("DOCKER_HOST", self.engine.endpoint()).output().unwrap();
        assert!(told.status.success(), "{args:?}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }
}

/// The whole life of a project that is compose's own: it is updated, goes back by itself, is tried out and rolled back, and
/// compose agrees at each step.
#[test]
fn a_project_of_the_compose_plug_in_stays_its_own() {
    let Some(engine) = bed::engine() else { return };
    // The service brings the versions and the registry; its own container is not used.
    let Some(service) = Service::start() else { return };
    let home = Home::with(super::service::CONFIG).docker(engine.endpoint());
    let Some(plugin) = Plugin::install(&engine, &home) else { return };
    let project = Service::project();
    let repository = service.reference("stable");
    let repository = repository.strip_suffix(":stable").unwrap();
    service.publish_as("v2", Version::Sick);
    service.publish_as("v3", Version::Good);
    fs::create_dir(folder(&home)).unwrap();
    let text = format!(
        "name: {project}\n# The shop.\nservices:\n  app:\n    image: {repository}:${{VERSION}}\n    volumes: [\"data:/data\"]\n    \
         network_mode: none\nvolumes:\n  data:\n"
    );
    fs::write(folder(&home).join("compose.yaml"), &text).unwrap();
    fs::write(folder(&home).join(".env"), "VERSION=stable\n").unwrap();
    plugin.compose(&home, &["up", "--detach"]);
    let id = || plugin.compose(&home, &["ps", "--quiet", "app"]).trim().to_owned();
    let env = || fs::read_to_string(folder(&home).join(".env")).unwrap();
    let agrees = |what: &str| {
        let before = id();
        plugin.compose(&home, &["up", "--detach"]);
        assert_eq!(id(), before, "{what}: compose made it again");
    };
    agrees("as it is");
    let (first, app) = (id(), format!("{project}/app"));

    let (code, done) = run(&home, &["container.trial", &app, "--to", "v3"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    let (code, done) = run(&home, &["container.update", &app, "--to", "v2"]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert_eq!((id(), env().as_str()), (first.clone(), "VERSION=stable\n"));
    agrees("taken back");
    let (code, done) = run(&home, &["container.update", &app, "--to", "v3"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_ne!(id(), first);
    assert_eq!(env(), "VERSION=v3\n");
    assert_eq!(plugin.compose(&home, &["ps", "--services", "--all"]).trim(), "app");
    agrees("updated");
    let (code, done) = run(&home, &["container.rollback", &app]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(env(), "VERSION=stable\n");
    agrees("rolled back");
    plugin.compose(&home, &["down", "--volumes"]);
}
