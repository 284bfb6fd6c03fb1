//! Prune, beside an engine of its own: the preview is what is freed, what is kept stays, what is used meanwhile stays.

use bollard::models::{NetworkCreateRequest, VolumeCreateRequest};
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use serde_json::Value;

use super::interrupted::{journal, worker};
use super::{home, planned, run};
use crate::bed::{self, Container, Engine, Home, Image, OwnEngine, Restart, Spec};

/// What lies about on a box that was never cleaned up.
pub(crate) struct Mess {
    /// Down for eight days; it has written a log and 5000 bytes.
    pub(crate) old: Container,
    young: Container,
    kept: Container,
    of_project: Container,
    running: Container,
    dangling: Image,
    /// It has the name that the dangling one had.
    current: Image,
    pub(crate) tagged: Image,
    labelled: Image,
    for_rollback: Image,
    anonymous: String,
    pub(crate) engine: OwnEngine,
}

/// The image that nothing uses, by name.
pub(crate) const TAGGED: &str = "hostler-test-tagged:1";

fn ended(container: &Container) {
    container.wait_for("has ended", |it| (it.state.as_ref()?.running == Some(false)).then_some(()));
}

/// A container that writes a little and ends.
fn short(engine: &Engine, name: &str, describe: impl FnOnce(Spec) -> Spec) -> Container {
    let script = "echo remember me; head -c 5000 /dev/zero > /tmp/w";
    let container = engine.run(name, |spec| describe(spec.shell(script)));
    ended(&container);
    container
}

fn network(engine: &Engine, name: &str, labels: &[&str]) {
    let labels = labels.iter().map(|label| ((*label).to_owned(), String::new())).collect();
    let request =
        NetworkCreateRequest { name: name.to_owned(), labels: Some(labels), ..NetworkCreateRequest::default() };
    engine.block_on(engine.docker().create_network(request)).unwrap();
}

fn volume(engine: &Engine, name: &str) {
    let request = VolumeCreateRequest { name: Some(name.to_owned()), ..VolumeCreateRequest::default() };
    engine.block_on(engine.docker().create_volume(request)).unwrap();
}

impl Mess {
    pub(crate) fn make() -> Option<Self> {
        let mut engine = bed::own_engine()?;
        let run = "20261112-030400-1a2b";
        let old = short(&engine, "old", |spec| spec);
        let young = short(&engine, "young", |spec| spec);
        let kept = short(&engine, "kept", |spec| spec.label(hostler::domain::KEEP_LABEL, ""));
        network(&engine, "shop_default", &[]);
        let of_project = short(&engine, "web-1", |spec| {
            spec.compose("shop", "web").with(|body| {
                body.host_config.get_or_insert_default().network_mode = Some("shop_default".to_owned());
            })
        });
        let running = engine.run("running", |spec| spec.restart(Restart::Always));
        // A dangling image and one with a name, which share a layer with nothing else.
        let base = engine.image("hostler-test-base:1", b'b', 100_000);
        let maker = |name: &'static str| {
            engine.run(name, |spec| spec.does_not_start().with(|body| body.image = Some(base.id().to_owned())))
        };
        let (first, second) = (maker("first"), maker("second"));
        let dangling = engine.commit(&first, "hostler-test-dangling:1", b'd', 30_000);
        let tagged = engine.commit(&second, TAGGED, b't', 7_000);
        drop((first, second));
        engine.untag("hostler-test-base:1");
        drop(base);
        let current = engine.image("hostler-test-dangling:1", b'n', 1_000);
        let labelled = engine.image_with("hostler-test-labelled:1", b'l', 2_000, &["LABEL hostler.keep=yes"]);
        let for_rollback = engine.image(&format!("{}:{run}", hostler::domain::kept_repository("web")), b'r', 3_000);
        network(&engine, "unused", &[]);
        network(&engine, "kept", &[hostler::domain::KEEP_LABEL]);
        volume(&engine, "named");
        let writer = engine.run("writer", |spec| {
            spec.shell("head -c 4000 /dev/zero > /data/f").with(|body| body.volumes = Some(vec!["/data".to_owned()]))
        });
        ended(&writer);
        let anonymous = writer.inspect().mounts.unwrap()[0].name.clone().unwrap();
        let options = RemoveContainerOptionsBuilder::new().v(false).build();
        engine.block_on(engine.docker().remove_container(writer.id(), Some(options))).unwrap();
        drop(writer);
        engine.build(
            "hostler-test-built:1",
            &[("Dockerfile", b"FROM scratch\nCOPY content /content\n"), ("content", &vec![b'c'; 50_000])],
        );
        engine.age(&[&old, &kept, &of_project], 8);
        Some(Self {
            old,
            young,
            kept,
            of_project,
            running,
            dangling,
            current,
            tagged,
            labelled,
            for_rollback,
            anonymous,
            engine,
        })
    }

    pub(crate) fn has_container(&self, container: &Container) -> bool {
        self.engine.block_on(self.engine.docker().inspect_container(container.id(), None)).is_ok()
    }

    pub(crate) fn has_image(&self, image: &Image) -> bool {
        self.engine.block_on(self.engine.docker().inspect_image(image.id())).is_ok()
    }

    fn has_network(&self, name: &str) -> bool {
        self.engine.block_on(self.engine.docker().inspect_network(name, None)).is_ok()
    }

    pub(crate) fn has_volume(&self, name: &str) -> bool {
        self.engine.block_on(self.engine.docker().inspect_volume(name)).is_ok()
    }
}

/// The words of the steps, those that are chosen first.
fn words(plan: &Value) -> (Vec<&str>, Vec<&str>) {
    let steps = plan["plan"]["steps"].as_array().unwrap();
    let (chosen, others): (Vec<&Value>, Vec<&Value>) = steps.iter().partition(|step| step["chosen"] == true);
    (
        chosen.into_iter().map(|step| step["id"].as_str().unwrap()).collect(),
        others.into_iter().map(|step| step["id"].as_str().unwrap()).collect(),
    )
}

fn items<'a>(plan: &'a Value, step: &str) -> Vec<&'a str> {
    let steps = plan["plan"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|it| it["id"] == step).unwrap_or_else(|| panic!("no {step} in {plan}"));
    step["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn the_preview_is_what_is_freed() {
    let Some(mess) = Mess::make() else { return };
    let home = home(&mess.engine);
    let plan = planned(&home, &["docker.prune"]);
    let (chosen, others) = words(&plan);
    assert_eq!(chosen, ["container-logs", "containers", "build-cache", "networks", "dangling-images"]);
    assert_eq!(others, ["unused-images", "project-logs", "project-containers", "anonymous-volumes"]);
    assert_eq!(plan["risk"], "disruptive");
    assert_eq!(items(&plan, "containers"), [mess.old.name()]);
    assert_eq!(items(&plan, "project-containers"), [mess.of_project.name()]);
    assert_eq!(items(&plan, "networks"), ["unused"]);
    assert_eq!(items(&plan, "dangling-images").len(), 1);
    assert_eq!(items(&plan, "anonymous-volumes"), [mess.anonymous.as_str()]);
    let unused = items(&plan, "unused-images");
    assert_eq!(unused.len(), 3, "{unused:?}");
    for name in [TAGGED, "hostler-test-built:1", "hostler-test-dangling:1"] {
        assert!(unused.contains(&name), "{name} is not in {unused:?}");
    }
    let kept = plan["plan"]["kept"].to_string();
    for stays in [mess.young.name(), mess.kept.name(), "hostler-test-labelled:1", "1 image, for roll back", "named: "] {
        assert!(kept.contains(stays), "{stays} is not in {kept}");
    }

    let (code, done) = home.json(&["run", "docker.prune", "--plan", plan["hash"].as_str().unwrap(), "--json"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(done["freed_bytes"], plan["bytes"], "{done}");
    assert!(done["text"].as_str().unwrap().contains(", as planned"), "{done}");
    assert!(plan["bytes"].as_u64().unwrap() > 80_000, "{plan}");
    assert!(!mess.has_container(&mess.old) && !mess.has_image(&mess.dangling) && !mess.has_network("unused"));
    for container in [&mess.young, &mess.kept, &mess.of_project, &mess.running] {
        assert!(mess.has_container(container), "{}", container.name());
    }
    for image in [&mess.current, &mess.tagged, &mess.labelled, &mess.for_rollback] {
        assert!(mess.has_image(image), "{}", image.id());
    }
    assert!(mess.has_network("kept") && mess.has_network("shop_default"));
    assert!(mess.has_volume("named") && mess.has_volume(&mess.anonymous));
    let log = home.state().join("runs").join(done["run"].as_str().unwrap()).join(format!("{}.log", mess.old.name()));
    assert!(std::fs::read_to_string(&log).unwrap().contains("remember me"));

    // The rest goes when it is asked for, and data only when it is named.
    let all =
        ["docker.prune", "--with", "project-containers", "--with", "unused-images", "--with", "anonymous-volumes"];
    let plan = planned(&home, &all);
    assert_eq!(
        words(&plan),
        (vec!["unused-images", "project-logs", "project-containers", "anonymous-volumes"], vec![])
    );
    assert_eq!(plan["risk"], "destructive");
    let mut args: Vec<&str> = ["run"].into_iter().chain(all).chain(["--yes"]).collect();
    home.run(&args).refused(4, &mess.anonymous);
    args.extend(["--confirm", &mess.anonymous, "--json"]);
    let (code, done) = home.json(&args);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("succeeded")), "{done}");
    assert_eq!(done["freed_bytes"], plan["bytes"], "{done}");
    assert!(
        !mess.has_container(&mess.of_project) && !mess.has_image(&mess.tagged) && !mess.has_volume(&mess.anonymous)
    );
    assert!(mess.has_volume("named") && mess.has_image(&mess.labelled) && mess.has_image(&mess.for_rollback));

    // What the project's container used has no user any more; after that there is nothing left to do.
    assert_eq!(words(&planned(&home, &["docker.prune"])), (vec!["networks"], vec![]));
    run(&home, &["docker.prune"]);
    let (code, done) = run(&home, &["docker.prune"]);
    assert_eq!((code, done["outcome"].as_str()), (0, Some("nothing-to-do")), "{done}");
}

#[test]
fn layers_that_two_steps_share_go_with_both() {
    let Some(mess) = Mess::make() else { return };
    let home = home(&mess.engine);
    let only = ["--without", "containers", "--without", "build-cache", "--without", "networks"];
    let bytes = |more: &[&str]| {
        let plan = planned(&home, &[&["docker.prune"], &only[..], more].concat());
        plan["bytes"].as_u64().unwrap()
    };
    let (dangling, unused) = (bytes(&[]), bytes(&["--with", "unused-images", "--without", "dangling-images"]));
    let both = bytes(&["--with", "unused-images"]);
    assert_eq!((dangling, both), (30_000, dangling + unused + 100_000), "their base is nobody else's");
    let (code, done) = run(&home, &[&["docker.prune", "--with", "unused-images"], &only[..]].concat());
    assert_eq!((code, done["freed_bytes"].as_u64()), (0, Some(both)), "{done}");
}

/// Carries out a plan that is older than what happened since.
pub(super) fn late(home: &Home, plan: &Value) -> Value {
    let (mut worker, _) = worker(home, &plan["plan"]);
    worker.wait().unwrap();
    journal(home)
}

#[test]
fn what_is_used_meanwhile_stays_and_the_rest_goes() {
    let Some(mess) = Mess::make() else { return };
    let home = home(&mess.engine);
    let name_it = |image: &Image, repository: &str, tag: &str| {
        let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        mess.engine.block_on(mess.engine.docker().tag_image(image.id(), Some(options))).unwrap();
    };
    let two = mess.engine.image("hostler-test-two:1", b'2', 4_000);
    name_it(&two, "hostler-test-two", "2");
    let plan = planned(&home, &["docker.prune", "--with", "unused-images", "--with", "anonymous-volumes"]);
    // It runs a moment, and is down again.
    let before = mess.old.state().finished_at;
    mess.old.start();
    mess.old.wait_for("has ended again", |it| (it.state.as_ref()?.finished_at != before).then_some(()));
    let uses = |name: &'static str, image: &str, volume: Option<&str>, network: &str| {
        mess.engine.run(name, |spec| {
            spec.does_not_start().with(|body| {
                body.image = Some(image.to_owned());
                body.cmd = Some(vec!["/no/such/program".to_owned()]);
                let host = body.host_config.get_or_insert_default();
                host.network_mode = Some(network.to_owned());
                host.binds = volume.map(|volume| vec![format!("{volume}:/data")]);
            })
        })
    };
    let user = uses("user", mess.dangling.id(), Some(&mess.anonymous), "unused");
    let other_user = uses("other-user", two.id(), None, "none");
    name_it(&mess.tagged, "hostler-test-wanted", "1");

    let done = late(&home, &plan);
    assert_eq!(done["outcome"], "succeeded", "{done}");
    let text = done["text"].as_str().unwrap();
    assert!(text.contains(" planned; ") && text.contains(" stayed: "), "{text}");
    for why in [
        &format!("which {} uses now", user.name()),
        &format!("{TAGGED}, which is called hostler-test-wanted:1 now"),
        &format!("unused, which {} uses now", user.name()),
        &format!("{}, which was started meanwhile", mess.old.name()),
    ] {
        assert!(text.contains(why), "{why} is not in {text}");
    }
    assert!(mess.has_image(&mess.dangling) && mess.has_image(&mess.tagged) && !mess.has_image(&mess.current));
    assert!(mess.has_volume(&mess.anonymous) && mess.has_network("unused") && mess.has_container(&mess.old));
    let names = mess.engine.block_on(mess.engine.docker().inspect_image(two.id())).unwrap().repo_tags.unwrap();
    assert_eq!(names.len(), 2, "{names:?} of what {} uses", other_user.name());
    let freed = done["freed_bytes"].as_u64().unwrap();
    assert!(0 < freed && freed < done["planned_bytes"].as_u64().unwrap(), "{done}");
}

#[test]
fn what_the_config_names_stays() {
    let Some(mess) = Mess::make() else { return };
    let name = mess.old.name();
    let config = format!("[actions]\nprotect = [\"{name}\", \"hostler-test-tagg*\", \"unus??\"]\n");
    let home = Home::with(&config).docker(mess.engine.endpoint());
    let plan = planned(&home, &["docker.prune"]);
    let (chosen, _) = words(&plan);
    assert_eq!(chosen, ["build-cache", "dangling-images"]);
    assert!(!items(&plan, "unused-images").contains(&TAGGED));
    home.run(&["run", "image.remove", TAGGED, "--yes"]).refused(4, "`protect`");
    home.run(&["run", "docker.prune", "x"]).refused(4, "name no target");
}
