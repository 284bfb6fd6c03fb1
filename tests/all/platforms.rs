//! Orchestration platforms: a replay of a real n8n, doubles of the others written after their sources, and platforms that
//! misbehave, each published by a made-up container; and doubles inside real containers of the private engine.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use hostler::domain::{
    Endpoint, Event, FailureKind, Platform, PlatformHealth, PlatformKind, PlatformSample, PortReach, PublishedPort,
    Reading, RequestCounts, Sample, SourceId,
};
use hostler::host::{Candidate, DockerClient, Http, Ports, Standing};
use hostler::sources::{Known, Remembered, Roster, SOURCES, Source, SourceContext, SourceSettings, SourceSpec, poller};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::bed::{self, Engine, foreign};
use crate::docker::Watcher;
use crate::engines::double::{Double, Reply, answer};
use crate::make::{Maker, container, docker};

/// The source, and what it is told of containers.
struct Host {
    spec: &'static SourceSpec,
    source: Box<dyn Source>,
    ports: Ports,
    client: DockerClient,
    roster: watch::Sender<Roster>,
    events: mpsc::Receiver<Event>,
    runtime: Runtime,
}

impl Host {
    /// On which these containers run; what is asked of the engine reaches the private one.
    fn new(engine: &Engine, containers: impl IntoIterator<Item = Maker>) -> Self {
        let place = Candidate {
            endpoint: engine.endpoint().to_owned(),
            because: "a test".to_owned(),
            named: true,
            standing: Standing::Exists,
            group: None,
        };
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(DockerClient::connect(&place)).unwrap();
        let ports = Ports::new("/");
        let (sender, events) = mpsc::channel(64);
        let context = SourceContext::new(ports.clone(), Rc::new(SourceSettings::default()), sender);
        let spec = SOURCES.iter().find(|spec| spec.id == SourceId::Platforms).unwrap();
        let source = (spec.build)(&context);
        let host = Self { spec, source, ports, client, roster: context.roster.clone(), events, runtime };
        host.run(containers);
        host
    }

    /// From now on these containers run.
    fn run(&self, containers: impl IntoIterator<Item = Maker>) {
        let Sample::Docker(sample) = docker(containers) else { unreachable!() };
        let known = Some(Known { client: self.client.clone(), sample });
        self.roster.send_replace(Roster { known, failure: None });
    }

    #[track_caller]
    fn read(&mut self) -> (Arc<PlatformSample>, String) {
        let read = poller::read_once(self.spec, self.source.as_mut(), self.ports.clock);
        sampled(self.runtime.block_on(read))
    }

    /// One turn that finds one platform.
    #[track_caller]
    fn platform(&mut self) -> Platform {
        let (sample, detail) = self.read();
        assert_eq!((sample.platforms.len(), detail.as_str()), (1, "1 platform"));
        sample.platforms[0].clone()
    }
}

#[track_caller]
fn sampled(event: Event) -> (Arc<PlatformSample>, String) {
    match event {
        Event::Sampled { sample: Sample::Platforms(sample), detail, .. } => (sample, detail),
        other => panic!("{other:?}"),
    }
}

/// A container of this image whose port is published where the double listens.
fn published(double: &Double, name: &str, image: &str, port: u16) -> Maker {
    let host_port = double.address().port();
    let published =
        PublishedPort { host_port, container_port: port, protocol: "tcp".to_owned(), reach: PortReach::Local };
    container(name).image(image).with(|container| container.ports = vec![published])
}

fn n8n(double: &Double) -> Maker {
    published(double, "n8n", "n8nio/n8n:latest", 5678)
}

/// A captured answer of n8n 2.8.4.
fn captured(name: &str) -> Reply {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/fixtures/platforms/n8n-2.8.4");
    Reply::Bytes(std::fs::read(format!("{folder}/{name}.txt")).unwrap())
}

/// n8n 2.8.4, with metrics.
fn n8n_2_8_4() -> Double {
    let double = Double::new(answer("404 Not Found", ""));
    double.reply("/healthz/readiness", captured("readiness"));
    double.reply("/metrics", captured("metrics"));
    double
}

fn unavailable<T>(why: &str) -> Reading<T> {
    Reading::Unavailable(hostler::domain::Why::new(why))
}

fn known(text: &str) -> Reading<String> {
    Reading::Known(text.to_owned())
}

fn not_ready(says: &str) -> Reading<PlatformHealth> {
    Reading::Known(PlatformHealth::NotReady { says: says.to_owned() })
}

const SCREEN: &str = "<!DOCTYPE html><html><body>the application's own screen</body></html>";

#[test]
fn a_replay_of_n8n_2_8_4_is_read() {
    let Some(engine) = bed::engine() else { return };
    let double = n8n_2_8_4();
    let platform = Host::new(&engine, [n8n(&double)]).platform();
    assert_eq!((platform.kind, platform.version), (PlatformKind::N8n, known("2.8.4")));
    assert_eq!(platform.endpoint, Reading::Known(Endpoint(format!("http://{}", double.address()))));
    assert_eq!(platform.health, Reading::Known(PlatformHealth::Ready));
    let why = platform.requests.why().unwrap().to_string();
    assert!(why.ends_with("without N8N_METRICS_INCLUDE_MESSAGE_EVENT_BUS_METRICS=true"), "{why}");
    assert_eq!(double.asked(), ["GET /healthz/readiness", "GET /metrics"]);
}

#[test]
fn a_double_of_n8n_says_what_it_lacks() {
    let Some(engine) = bed::engine() else { return };
    let double = n8n_2_8_4();
    let mut host = Host::new(&engine, [n8n(&double)]);
    host.platform();
    for off in [answer("404 Not Found", "Cannot GET /metrics"), answer("200 OK", SCREEN)] {
        double.reply("/metrics", off);
        let platform = host.platform();
        assert_eq!(platform.requests, unavailable("started without N8N_METRICS=true"));
        assert_eq!(platform.version, known("2.8.4"), "it cannot have changed");
    }
    let counters = "n8n_workflow_success_total 97\nn8n_workflow_failed_total 3\n";
    double.reply("/metrics", answer("200 OK", counters));
    assert_eq!(host.platform().requests, Reading::Known(RequestCounts { total: 100, failed: 3 }));
    double.reply("/metrics", answer("200 OK", "n8n_workflow_failed_total NaN\n"));
    assert_eq!(host.platform().requests, unavailable("it counts no number"));
    double.reply("/metrics", answer("401 Unauthorized", "{}"));
    assert_eq!(host.platform().requests, unavailable("it asks for an API key"));
    double.reply("/metrics", Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\nn8n_x 1\n".to_vec()));
    assert_eq!(host.platform().requests, unavailable("/metrics: the answer is larger than 1.0 MiB"));

    double.reply("/healthz/readiness", answer("503 Service Unavailable", r#"{"status":"error"}"#));
    assert_eq!(host.platform().health, not_ready("status 503: error"));
    // Versions that do not know the path serve their screen there.
    double.reply("/healthz/readiness", answer("200 OK", SCREEN));
    double.reply("/healthz", answer("200 OK", r#"{"status":"ok"}"#));
    assert_eq!(host.platform().health, Reading::Known(PlatformHealth::Answering));
    double.reply_to_all(answer("200 OK", SCREEN));
    let why = host.platform().health.why().unwrap().to_string();
    assert!(why.starts_with("/healthz/readiness: the answer is not understood"), "{why}");
}

#[test]
fn a_double_of_langfuse_asks_its_database() {
    let Some(engine) = bed::engine() else { return };
    let double = Double::new(answer("404 Not Found", ""));
    let mut host = Host::new(&engine, [published(&double, "lf", "ghcr.io/langfuse/langfuse:4", 3000)]);
    double.reply("/api/public/health", answer("200 OK", r#"{"status":"OK","version":"4.16.0"}"#));
    let platform = host.platform();
    assert_eq!((platform.kind, platform.version), (PlatformKind::Langfuse, known("4.16.0")));
    assert_eq!(platform.health, Reading::Known(PlatformHealth::Ready));
    assert_eq!(platform.requests, unavailable("it has no metrics that can be asked for"));
    assert_eq!(double.asked(), ["GET /api/public/health?failIfDatabaseUnavailable=true"]);
    let down = r#"{"status":"Database not available","version":"4.16.0"}"#;
    double.reply("/api/public/health", answer("503 Service Unavailable", down));
    assert_eq!(host.platform().health, not_ready("status 503: Database not available"));
}

#[test]
fn a_double_of_open_webui_is_asked_as_its_version_allows() {
    let Some(engine) = bed::engine() else { return };
    let double = Double::new(answer("200 OK", SCREEN));
    let mut host = Host::new(&engine, [published(&double, "ui", "ghcr.io/open-webui/open-webui:main", 8080)]);
    double.reply("/api/version", answer("200 OK", r#"{"version":"0.12.4"}"#));
    double.reply("/ready", answer("200 OK", r#"{"status":true}"#));
    let platform = host.platform();
    assert_eq!((platform.kind, platform.version), (PlatformKind::OpenWebui, known("0.12.4")));
    assert_eq!(platform.health, Reading::Known(PlatformHealth::Ready));
    double.reply("/ready", answer("503 Service Unavailable", r#"{"status":false}"#));
    assert_eq!(host.platform().health, not_ready("status 503"));

    double.reply("/ready", answer("200 OK", SCREEN));
    double.reply("/health/db", answer("200 OK", r#"{"status":true}"#));
    assert_eq!(host.platform().health, Reading::Known(PlatformHealth::Ready));
    double.reply("/health/db", answer("500 Internal Server Error", "Internal Server Error"));
    assert_eq!(host.platform().health, not_ready("status 500"));
}

#[test]
fn a_double_of_dify_only_lives() {
    let Some(engine) = bed::engine() else { return };
    let double = Double::new(answer("404 Not Found", ""));
    let mut host = Host::new(&engine, [published(&double, "docker-api-1", "langgenius/dify-api:1.13.3", 5001)]);
    double.reply("/health", answer("200 OK", r#"{"pid":17,"status":"ok","version":"1.13.3"}"#));
    let platform = host.platform();
    assert_eq!((platform.kind, platform.version), (PlatformKind::Dify, known("1.13.3")));
    assert_eq!(platform.health, Reading::Known(PlatformHealth::Answering));
    assert_eq!(platform.requests, unavailable("it has no metrics that can be asked for"));
    assert_eq!(double.asked(), ["GET /health"]);
}

#[test]
fn a_double_of_flowise_counts_its_requests() {
    let Some(engine) = bed::engine() else { return };
    let double = Double::new(answer("404 Not Found", "{}"));
    let mut host = Host::new(&engine, [published(&double, "flows", "flowiseai/flowise", 3000)]);
    double.reply("/api/v1/ping", answer("200 OK", "pong"));
    double.reply("/api/v1/version", answer("200 OK", r#"{"version":"3.1.3"}"#));
    let platform = host.platform();
    assert_eq!((platform.kind, platform.version), (PlatformKind::Flowise, known("3.1.3")));
    assert_eq!(platform.health, Reading::Known(PlatformHealth::Answering));
    assert_eq!(platform.requests, unavailable("started without ENABLE_METRICS=true"));
    let page = "# TYPE http_request_duration_ms histogram\n\
        http_request_duration_ms_bucket{le=\"+Inf\",code=\"200\"} 9\n\
        http_request_duration_ms_count{method=\"POST\",route=\"/api/v1/prediction\",code=\"200\"} 9\n\
        http_request_duration_ms_count{method=\"POST\",route=\"/api/v1/prediction\",code=\"500\"} 1\n\
        http_request_duration_ms_count{method=\"GET\",route=\"/api/v1/ping\",code=\"200\"} 1000\n";
    double.reply("/api/v1/metrics", answer("200 OK", page));
    assert_eq!(host.platform().requests, Reading::Known(RequestCounts { total: 10, failed: 1 }));
    double.reply("/api/v1/metrics", answer("401 Unauthorized", r#"{"error":"Unauthorized Access"}"#));
    assert_eq!(host.platform().requests, unavailable("it asks for an API key"));
    double.reply("/api/v1/ping", answer("200 OK", SCREEN));
    assert_eq!(host.platform().health, unavailable("/api/v1/ping: the answer is not understood"));
}

#[test]
fn two_hung_doubles_delay_nobody() {
    let Some(engine) = bed::engine() else { return };
    let well = n8n_2_8_4();
    let hung = [Double::new(Reply::Silence), Double::new(Reply::Silence)];
    let containers = || {
        let a = published(&hung[0], "a-webui", "open-webui/open-webui", 8080);
        [a, published(&hung[1], "b-lf", "langfuse/langfuse", 3000), n8n(&well)]
    };
    let mut host = Host::new(&engine, containers());
    let began = Instant::now();
    let (sample, detail) = host.read();
    assert!(began.elapsed() < Http::TOTAL * 3 / 2, "they are asked at the same time: {:?}", began.elapsed());
    assert_eq!((sample.platforms.len(), detail.as_str()), (3, "3 platforms"));
    assert!(host.events.try_recv().is_err(), "a single look would take a part for the whole");
    for platform in &sample.platforms[..2] {
        assert_eq!(platform.health, unavailable("no answer within 2 s"));
        assert_eq!(platform.version, unavailable("no answer within 2 s"));
    }
    well.reply("/healthz/readiness", answer("503 Service Unavailable", "{}"));
    host.read();
    // What was there at once was told while the others were waited for.
    let (early, detail) = sampled(host.events.try_recv().unwrap());
    assert_eq!(detail, "3 platforms; 2 not answered yet");
    assert_eq!(early.platforms[2].health, not_ready("status 503"));
}

#[test]
fn a_platform_is_listed_from_its_first_answer_on() {
    let Some(engine) = bed::engine() else { return };
    // A worker has the image of the platform and listens nowhere.
    let gone = Double::new(Reply::Close);
    let double = n8n_2_8_4();
    let worker = || published(&gone, "n8n-worker", "n8nio/n8n:latest", 5678);
    let mut host = Host::new(&engine, [n8n(&double), worker(), container("postgres")]);
    let (sample, detail) = host.read();
    assert_eq!(sample.platforms.len(), 1);
    assert_eq!(detail, "1 platform; 1 more container of their images, in which nothing listens");

    drop((double, gone));
    let (sample, _) = host.read();
    assert_eq!(sample.platforms.len(), 1);
    assert_eq!(sample.platforms[0].health, unavailable("connection refused"));
    assert_eq!(sample.platforms[0].version, known("2.8.4"));
    // Started again, it is a stranger until it answers.
    let again = n8n_2_8_4();
    host.run([n8n(&again).running(7)]);
    assert_eq!(host.platform().health, Reading::Known(PlatformHealth::Ready));
    host.run([n8n(&again).running(7).exited(1, 9)]);
    let (sample, detail) = host.read();
    assert_eq!((sample.platforms.len(), detail.as_str()), (0, "no platform in a container"));
}

#[test]
fn trials_and_old_containers_are_no_platforms_in_use() {
    let Some(engine) = bed::engine() else { return };
    let double = n8n_2_8_4();
    let names = ["n8n.hostler-20261111-061530-7c2e".to_owned(), hostler::domain::trial_name("n8n")];
    let containers = names.map(|name| published(&double, &name, "n8nio/n8n:latest", 5678));
    let (sample, _) = Host::new(&engine, containers).read();
    assert_eq!((sample.platforms.len(), double.asked().len()), (0, 0));
}

#[test]
fn nothing_harmful_gets_in_through_what_a_double_says() {
    let Some(engine) = bed::engine() else { return };
    let double = Double::new(answer("404 Not Found", ""));
    let quoted = serde_json::to_string(&foreign::text().repeat(20)).unwrap();
    let body = format!(r#"{{"status":{quoted},"version":{quoted}}}"#);
    double.reply("/api/public/health", answer("503 Service Unavailable", &body));
    let platform = Host::new(&engine, [published(&double, "lf", "langfuse/langfuse:4", 3000)]).platform();
    let Reading::Known(PlatformHealth::NotReady { says }) = platform.health else { panic!("{:?}", platform.health) };
    for text in [&says, platform.version.known().unwrap()] {
        assert_eq!(foreign::first_harmful(text), None, "{text:?}");
        assert!((20..=256).contains(&text.len()), "{} bytes", text.len());
    }
}

#[test]
fn no_engine_is_no_platform() {
    let Some(engine) = bed::engine() else { return };
    let mut host = Host::new(&engine, []);
    let failure = Some(hostler::domain::Failure::unsupported("no such socket"));
    host.roster.send_replace(Roster { known: None, failure });
    let read = poller::read_once(host.spec, host.source.as_mut(), host.ports.clock);
    let Event::SourceFailed { failure, .. } = host.runtime.block_on(read) else { panic!("it was read") };
    assert_eq!((failure.kind, failure.what.as_str()), (FailureKind::Unsupported, "no container engine"));
}

/// A container of an image of this name, in which a web server plays the part of the platform.
fn inside(engine: &Engine, image: &str, file: &str, text: &str, port: u16, host_port: Option<u16>) -> bed::Container {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let script = format!("mkdir -p /www/{folder} && echo '{text}' >/www/{file} && exec httpd -f -p {port} -h /www");
    engine.run("double", |spec| {
        let spec = spec.shell(&script);
        let spec = match host_port {
            Some(host_port) => spec.publish(host_port, port),
            None => spec.bridge(),
        };
        spec.with(|body| body.image = Some(image.to_owned()))
    })
}

/// Gives the tests' image another name, as long as it lives.
struct Name<'a>(&'a Engine, String);

impl<'a> Name<'a> {
    fn new(engine: &'a Engine, repository: &str) -> Self {
        let options = bollard::query_parameters::TagImageOptionsBuilder::new().repo(repository).tag("double").build();
        let image = engine.import_busybox();
        engine.block_on(engine.docker().tag_image(&image, Some(options))).unwrap();
        Self(engine, format!("{repository}:double"))
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        self.0.untag(&self.1);
    }
}

#[test]
fn doubles_in_real_containers_are_reached_by_port_and_by_address() {
    let Some(engine) = bed::engine() else { return };
    let (n8n, dify) = (Name::new(&engine, "n8nio/n8n"), Name::new(&engine, "mirror.lan/langgenius/dify-api"));
    let published = inside(&engine, &n8n.1, "healthz/readiness", r#"{"status":"ok"}"#, 5678, Some(18_678));
    let health = r#"{"pid":1,"status":"ok","version":"1.13.3"}"#;
    let unpublished = inside(&engine, &dify.1, "health", health, 5001, None);
    let worker = engine.run("worker", |spec| spec.bridge().with(|body| body.image = Some(dify.1.clone())));
    let ports = Ports::new("/");
    let watched = [SourceId::Docker, SourceId::Platforms];
    let mut watcher = Watcher::of(&watched, &ports, Some(engine.endpoint()), Remembered::default());
    let find = |id: &str, watcher: &mut Watcher| {
        watcher.until("the platform is read", |state| {
            let platforms = &state.platforms.get()?.platforms;
            platforms.iter().find(|it| &*it.container.0 == id && it.health.known().is_some()).cloned()
        })
    };
    let by_port = find(published.id(), &mut watcher);
    assert_eq!((by_port.kind, by_port.health), (PlatformKind::N8n, Reading::Known(PlatformHealth::Ready)));
    assert_eq!(by_port.endpoint, Reading::Known(Endpoint("http://127.0.0.1:18678".to_owned())));
    assert_eq!(by_port.requests, unavailable("started without N8N_METRICS=true"));
    let by_address = find(unpublished.id(), &mut watcher);
    assert_eq!((by_address.kind, by_address.version), (PlatformKind::Dify, known("1.13.3")));
    assert_eq!(by_address.endpoint, unavailable("no port of it is published"));
    let platforms = &watcher.state().platforms.get().unwrap().platforms;
    assert!(platforms.iter().all(|it| &*it.container.0 != worker.id()), "a worker is no platform");
    drop((published, unpublished, worker));
}
