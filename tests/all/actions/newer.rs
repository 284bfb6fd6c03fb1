//! What an update does not do: where the registry has the image that the container has, where people decided otherwise; and
//! what it says where nobody can tell.

use std::path::Path;
use std::time::{Duration, Instant};

use hostler::actions::{self, ActionSettings, Desk, Wish};
use hostler::domain::{Answer, Asked, Plan, SeenTag, UpdateMemory};
use hostler::history::StateDir;
use hostler::host::Ports;
use jiff::Timestamp;
use serde_json::Value;

use super::service::{Service, Version};
use super::{planned, run, steps};
use crate::bed::{self, Asked as Request, Home, RegistryDouble, Reply, registry_double};

fn texts(plan: &Value, field: &str) -> String {
    plan["plan"][field].to_string()
}

/// What a screen has learned of newer tags, kept for others.
fn remember(home: &Home, reference: &str, tags: &[&str]) {
    let now = Timestamp::now();
    let newer = tags.iter().map(|tag| SeenTag { tag: (*tag).to_owned(), since: now, published: None }).collect();
    let digest = format!("sha256:{}", "0".repeat(64));
    let answer = Answer { at: now, digest, since: now, published: None, newer, tags_etag: None };
    let asked = Asked { at: now, next: now, answer: Some(answer), fault: None };
    let memory = UpdateMemory { images: [(reference.to_owned(), asked)].into(), ..UpdateMemory::default() };
    StateDir::choose(Some(&home.state())).remember_updates(&memory, now).unwrap();
}

#[test]
fn the_newest_is_left_alone() {
    let Some(service) = Service::start() else { return };
    let (name, before) = (service.container.name(), service.now().id);
    let plan = planned(&service.home, &["container.update", name]);
    assert_eq!(steps(&plan).len(), 0, "{plan}");
    let why = format!(
        "{} is the newest for {}: its registry was asked just now",
        service.reference("stable"),
        service.shown()
    );
    assert_eq!(plan["plan"]["kept"][0], why, "{plan}");
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, done["outcome"].as_str(), done["text"].as_str()), (0, Some("nothing-to-do"), Some(&*why)));
    assert_eq!(service.now().id, before);
}

#[test]
fn what_was_pulled_and_not_made_again_is_updated() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    // The engine has the newest image by the tag; the container does not.
    service.pull("stable");
    let tagged = service.engine.block_on(service.engine.docker().inspect_image(&service.reference("stable"))).unwrap();
    assert_ne!(tagged.id, Some(service.image_id()));
    let (code, done) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(service.version(), "2");
    let (_, again) = run(&service.home, &["container.update", service.container.name()]);
    assert_eq!(again["outcome"], "nothing-to-do", "{again}");
}

#[test]
fn what_cannot_be_told_is_no_reason_to_do_nothing() {
    let Some(service) = Service::start() else { return };
    service.registry.delete_all();
    let plan = planned(&service.home, &["container.update", service.container.name()]);
    assert!(!steps(&plan).is_empty(), "{plan}");
    let warnings = texts(&plan, "warnings");
    assert!(warnings.contains("has changed is unknown, because") && warnings.contains("(any more)"), "{warnings}");
}

#[test]
fn a_registry_that_hangs_does_not_hold_a_plan_back() {
    let Some(service) = Service::start() else { return };
    let double = registry_double(|_: &Request| Reply::Silence);
    // The engine believes a name; what the image was pulled as tells that it comes from a registry.
    let reference = format!("{}/hung:1", double.host());
    service.engine.tag(&service.reference("stable"), reference.trim_end_matches(":1"), "1");
    let hung = service.engine.run("hung", |spec| spec.with(|body| body.image = Some(reference.clone())));
    let began = Instant::now();
    let plan = planned(&service.home, &["container.update", hung.name()]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert!(!steps(&plan).is_empty(), "{plan}");
    let warnings = texts(&plan, "warnings");
    assert!(warnings.contains(&format!("{} did not answer in time: the pull will tell", double.host())), "{warnings}");
    service.engine.forget_image(&reference);
}

#[test]
fn newer_tags_are_told_beside_the_plan() {
    let Some(service) = Service::start() else { return };
    for tag in ["1.0.0", "1.1.0"] {
        service.publish_as(tag, Version::Good);
    }
    service.pull("1.0.0");
    let image = service.reference("1.0.0");
    let app = service.engine.run("tagged", |spec| spec.with(|body| body.image = Some(image.clone())));
    remember(&service.home, &image, &["2.0.0", "1.1.0", "1.0.9"]);
    let plan = planned(&service.home, &["container.update", app.name()]);
    assert_eq!(steps(&plan).len(), 0, "{plan}");
    let choices = |plan: &Value| -> Vec<(String, bool)> {
        let choices = plan["plan"]["choices"].as_array().unwrap().iter();
        choices.map(|choice| (choice["tag"].as_str().unwrap().to_owned(), choice["chosen"] == true)).collect()
    };
    let chosen = |chosen: &str| ["1.0.0", "2.0.0", "1.1.0", "1.0.9"].map(|tag| (tag.to_owned(), tag == chosen));
    assert_eq!(choices(&plan), chosen("1.0.0"));
    let text = service.home.run(&["run", "container.update", app.name(), "--dry-run"]).out;
    assert!(text.contains("--to 1.1.0 (minor, seen"), "{text}");
    let plan = planned(&service.home, &["container.update", app.name(), "--to", "1.1.0"]);
    assert_eq!(choices(&plan), chosen("1.1.0"));
    assert!(!steps(&plan).is_empty());
}

#[test]
fn what_is_pinned_is_left_alone_until_it_is_unpinned() {
    let Some(service) = Service::start() else { return };
    let (home, name, shown) = (&service.home, service.container.name(), service.shown());
    service.publish("2", Version::Good);
    home.run(&["--read-only", "run", "container.pin", name]).refused(4, "--read-only");
    let (code, pinned) = run(home, &["container.pin", name]);
    assert_eq!((code, pinned["outcome"].as_str()), (0, Some("succeeded")), "{pinned}");
    home.run(&["run", "container.update", name, "--yes"]).refused(4, "`container.pin` again unpins it");
    assert!(!steps(&planned(home, &["container.update", name, "--to", "stable"])).is_empty());

    // Among others it is passed over.
    let image = service.reference("stable");
    let other = service.engine.run("other", |spec| spec.with(|body| body.image = Some(image)));
    let plan = planned(home, &["container.update", name, other.name()]);
    assert_eq!(plan["plan"]["title"], format!("Update {}", other.name()), "{plan}");
    assert!(texts(&plan, "kept").contains(&format!("{shown} is pinned: it stays as it is")), "{plan}");

    let (code, back) = home.json(&["undo", pinned["run"].as_str().unwrap(), "--json"]);
    assert_eq!((code, back["outcome"].as_str()), (0, Some("rolled-back")), "{back}");
    assert!(!steps(&planned(home, &["container.update", name])).is_empty());
    for (title, refused) in [(format!("Pin {shown}"), true), (format!("Unpin {shown}"), false)] {
        assert_eq!(planned(home, &["container.pin", name])["plan"]["title"], title);
        run(home, &["container.pin", name]);
        assert_eq!(home.run(&["run", "container.update", name, "--dry-run"]).code, if refused { 4 } else { 0 });
    }
    let journal = home.run(&["journal"]).out;
    assert!(journal.contains(&format!("Pin {shown}")) && journal.contains(&format!("Unpin {shown}")), "{journal}");
}

#[test]
fn versions_are_passed_over_until_a_newer_one_appears() {
    let Some(service) = Service::start() else { return };
    let (home, image) = (&service.home, service.reference("1.0.0"));
    service.publish_as("1.0.0", Version::Good);
    service.pull("1.0.0");
    let app = service.engine.run("tagged", |spec| spec.with(|body| body.image = Some(image.clone())));
    let name = app.name();
    home.run(&["run", "container.skip", name]).refused(4, "has not been asked yet; name the version with --to");
    let tags = |tags: &[&str]| remember(home, &image, tags);
    let offered = || {
        let plan = planned(home, &["container.update", name]);
        let choices = plan["plan"]["choices"].as_array().cloned().unwrap_or_default();
        choices.iter().skip(1).map(|choice| choice["tag"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    tags(&["1.2.0", "1.1.0"]);
    assert_eq!(offered(), ["1.2.0"]);
    let (code, skipped) = run(home, &["container.skip", name]);
    assert_eq!((code, skipped["outcome"].as_str()), (0, Some("succeeded")), "{skipped}");
    assert_eq!(offered(), [""; 0], "neither it nor what lies before it");
    tags(&["1.3.0", "1.2.0", "1.1.0"]);
    assert_eq!(offered(), ["1.3.0"]);

    let again = planned(home, &["container.skip", name, "--to", "1.2.0"]);
    assert_eq!(steps(&again), [format!("offer again 1.2.0 of {name}")]);
    home.run(&["run", "container.skip", name, "--to", "no tag"]).refused(4, "no tag");
    run(home, &["container.skip", name]);
    assert_eq!(offered(), [""; 0]);
    run(home, &["container.skip", name]);
    assert_eq!(offered(), ["1.3.0"], "the same again offers all of them");
    let (_, back) = home.json(&["undo", skipped["run"].as_str().unwrap(), "--json"]);
    assert_eq!(back["outcome"], "rolled-back", "{back}");
}

#[test]
fn a_release_that_is_too_young_is_told() {
    let Some(service) = Service::start() else { return };
    std::fs::write(service.home.config(), "[updates]\nwait_days = 7\n").unwrap();
    service.publish("2", Version::Good);
    let plan = planned(&service.home, &["container.update", service.container.name()]);
    assert!(!steps(&plan).is_empty(), "{plan}");
    assert!(texts(&plan, "warnings").contains("has not been out for as long as a release must have been"), "{plan}");
}

/// The plan of an update of a container whose image leads to `source`, with releases asked for at a double of GitHub.
fn planned_with_notes(source: &str, github: &RegistryDouble) -> Option<Plan> {
    let (engine, registry) = (bed::engine()?, bed::registry()?);
    let label = format!("LABEL org.opencontainers.image.source={source}");
    let reference = registry.reference("bed/noted", "stable");
    registry.push_changed(&engine, "bed/noted", "stable", "1.0.0", &[&label]);
    let app = engine.run("noted", |spec| spec.with(|body| body.image = Some(reference.clone())));
    registry.push_changed(&engine, "bed/noted", "stable", "1.2.0", &[&label]);
    let mut ports = Ports::new("/");
    let registries = ports.registries.docker_config(Path::new("/nonexistent"));
    ports.registries = registries.github(&format!("http://{}", github.host()));
    let folder = tempfile::tempdir().unwrap();
    let state = StateDir::choose(Some(folder.path()));
    let desk = Desk::new(ports, state, ActionSettings::default(), Some(engine.endpoint().to_owned()));
    let targets = vec![app.name().to_owned()];
    let wish = Wish { action: "container.update".to_owned(), targets, ..Wish::default() };
    let plan = engine.block_on(actions::plan(&desk, &wish)).unwrap();
    engine.forget_image(&reference);
    Some(plan)
}

#[test]
fn the_plan_holds_what_the_makers_say_what_breaks_first() {
    let github = registry_double(|asked: &Request| {
        let release = |tag: &str, body: &str| serde_json::json!({"tag_name": tag, "body": body});
        let all = [release("v1.2.0", "- a new node\n- BREAKING the port moved"), release("v1.1.0", "- a fix")];
        assert_eq!(asked.path, "/repos/o/r/releases?per_page=30");
        Reply::new(200, Value::from(all.to_vec()).to_string())
    });
    let Some(plan) = planned_with_notes("https://github.com/o/r", &github) else { return };
    assert_eq!(plan.notes[..2], ["v1.2.0, breaks or migrates:", "  - BREAKING the port moved"]);
    assert_eq!(plan.notes.last().unwrap(), "in full: https://github.com/o/r/releases");
    assert!(plan.notes.iter().any(|note| note == "  - a fix"), "{:?}", plan.notes);
}

#[test]
fn notes_that_do_not_come_are_a_link_and_the_plan_does_not_wait() {
    let github = registry_double(|_: &Request| Reply::Silence);
    let began = Instant::now();
    let Some(plan) = planned_with_notes("https://github.com/o/r", &github) else { return };
    assert_eq!(plan.notes, ["https://github.com/o/r/releases (they were not read in time)"]);
    assert!(!plan.is_empty());
    assert_eq!(github.asked().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let elsewhere = registry_double(|_: &Request| Reply::new(500, ""));
    let Some(plan) = planned_with_notes("https://codeberg.org/o/r", &elsewhere) else { return };
    assert_eq!(plan.notes, ["https://codeberg.org/o/r (its source is not at GitHub)"]);
    assert_eq!(elsewhere.asked().len(), 0);
}
