//! Inference servers: a real llama.cpp server, doubles that replay the answers of real ones, and servers that
//! misbehave, each found among the listening sockets of a made-up `/proc`, so that nobody else's port is asked.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::rc::Rc;
use std::sync::Arc;

use hostler::domain::{
    Counter, Engine, EngineKind, EngineSample, Event, ModelRef, Reading, Residency, Sample, SourceId,
};
use hostler::host::Ports;
use hostler::sources::{SOURCES, Source, SourceContext, SourceSettings, SourceSpec, poller};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::bed;
use double::{Double, Reply, answer, captured};

pub(crate) mod double;
mod faults;
mod http;
mod measured;

/// A host on which only the given sockets listen, and the source that looks at it.
struct Host {
    root: TempDir,
    spec: &'static SourceSpec,
    source: Box<dyn Source>,
    ports: Ports,
    events: mpsc::Receiver<Event>,
    runtime: Runtime,
}

impl Host {
    fn new(listening: &[SocketAddr]) -> Self {
        Self::with_endpoints(listening, &[])
    }

    /// With endpoints in the config.
    fn with_endpoints(listening: &[SocketAddr], endpoints: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        let ports = Ports::new(root.path());
        let engine_endpoints = endpoints.iter().map(|&endpoint| endpoint.to_owned()).collect();
        let settings = SourceSettings { engine_endpoints, ..SourceSettings::default() };
        let (sender, events) = mpsc::channel(64);
        let context = SourceContext::new(ports.clone(), Rc::new(settings), sender);
        let spec = SOURCES.iter().find(|spec| spec.id == SourceId::Engines).unwrap();
        let source = (spec.build)(&context);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let host = Self { root, spec, source, ports, events, runtime };
        host.listen(listening);
        host
    }

    /// From now on these sockets listen, and no other; a port's inode is its own number.
    fn listen(&self, listening: &[SocketAddr]) {
        let mut table = String::from("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n");
        for address in listening {
            let SocketAddr::V4(v4) = address else { panic!("{address}") };
            let (ip, port) = (u32::from_ne_bytes(v4.ip().octets()), address.port());
            let queues = "00000000:00000000 00:00000000 00000000";
            writeln!(table, "   0: {ip:08X}:{port:04X} 00000000:0000 0A {queues}     0        0 {port} 1").unwrap();
        }
        self.file("proc/net/tcp", &table);
    }

    /// A process that runs in this host and holds these sockets.
    fn process(&self, pid: u32, parent: u32, name: &str, arguments: &[&str], holds: &[SocketAddr]) {
        self.file(&format!("proc/{pid}/comm"), &format!("{name}\n"));
        self.file(&format!("proc/{pid}/cmdline"), &arguments.join("\0"));
        self.file(&format!("proc/{pid}/stat"), &format!("{pid} ({name}) S {parent} {}\n", ["0"; 48].join(" ")));
        let folder = self.root.path().join(format!("proc/{pid}/fd"));
        fs::create_dir_all(&folder).unwrap();
        for (number, address) in (3..).zip(holds) {
            symlink(format!("socket:[{}]", address.port()), folder.join(number.to_string())).unwrap();
        }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// One turn: the sample and its detail.
    #[track_caller]
    fn read(&mut self) -> (Arc<EngineSample>, String) {
        let read = poller::read_once(self.spec, self.source.as_mut(), self.ports.clock);
        sampled(self.runtime.block_on(read))
    }

    /// One turn that finds one engine and nothing else.
    #[track_caller]
    fn engine(&mut self) -> Engine {
        let (sample, detail) = self.read();
        assert_eq!((sample.engines.len(), sample.others), (1, 0), "{detail}");
        sample.engines[0].clone()
    }
}

#[track_caller]
fn sampled(event: Event) -> (Arc<EngineSample>, String) {
    match event {
        Event::Sampled { sample: Sample::Engines(sample), detail, .. } => (sample, detail),
        other => panic!("{other:?}"),
    }
}

fn unavailable<T>(why: &'static str) -> Reading<T> {
    Reading::Unavailable(why.into())
}

const LOADED: Residency = Residency::Loaded { vram_bytes: None, until: None };

#[test]
fn a_real_llama_server_is_found_and_read() {
    let Some(server) = bed::llama() else { return };
    let address: SocketAddr = server.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let mut host = Host::new(&[]);
    // The real row of its socket and the real folder of its process.
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{:04X} ", address.port());
    let rows = table.lines().enumerate().filter(|(number, row)| *number == 0 || row.contains(&port));
    host.file("proc/net/tcp", &rows.map(|(_, row)| row).collect::<Vec<_>>().join("\n"));
    symlink(format!("/proc/{}", server.pid()), host.root.path().join(format!("proc/{}", server.pid()))).unwrap();

    let engine = host.engine();
    assert_eq!(engine.kind, EngineKind::LlamaCpp);
    assert_eq!(engine.endpoint.0, server.endpoint());
    assert_eq!((engine.port, engine.pid, &engine.container), (address.port(), Some(server.pid()), &None));
    assert!(engine.version.known().is_some_and(|version| version.starts_with('b')), "{:?}", engine.version);
    let models = engine.models.known().unwrap();
    assert_eq!(models.len(), 1);
    assert!(models[0].name.contains("SmolLM2"), "{models:?}");
    assert_eq!(models[0].parameters.as_deref(), Some("134.5M"));
    assert!(models[0].quantization.as_deref().is_some_and(|text| text.starts_with("Q4_1")), "{models:?}");
    assert!(models[0].size_bytes > Some(90_000_000), "{models:?}");
    assert_eq!((models[0].context_tokens, &models[0].residency), (Some(2048), &LOADED));
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(0), Reading::Known(0)));
    let options = engine.options.known().unwrap();
    let value = |name: &str| options.iter().find(|option| &*option.name == name).map(|option| option.value.clone());
    assert_eq!((value("--ctx-size"), value("--metrics")), (Some(Some("4096".into())), Some(None)), "{options:?}");
    assert_eq!(host.engine().requests_running, Reading::Known(0));
}

#[test]
fn llama_server_b1_is_told_and_counted() {
    let server = Double::llama_server_b1_7e4c0a9();
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!(engine.kind, EngineKind::LlamaCpp);
    assert_eq!(engine.version, Reading::Known("b1-7e4c0a9".to_owned()));
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(2), Reading::Known(2)));
    let model = ModelRef {
        name: "smol.gguf".to_owned(),
        family: None,
        parameters: Some("134.5M".to_owned()),
        quantization: Some("Q4_1".to_owned()),
        size_bytes: Some(96_576_768),
        memory_bytes: None,
        context_tokens: Some(2048),
        residency: LOADED,
    };
    assert_eq!(engine.models, Reading::Known(vec![model]));
    let first = ["GET /v1/models", "GET /props?autoload=false", "GET /metrics?autoload=false"];
    assert_eq!(server.asked(), first);
    // From then on one cheap request a turn.
    host.engine();
    assert_eq!(server.asked()[first.len()..], ["GET /metrics?autoload=false"]);
}

#[test]
fn llama_server_without_metrics_or_key_says_so() {
    let folder = "llama-server-b1-7e4c0a9";
    let server = Double::llama_server_b1_7e4c0a9();
    server.reply("/metrics", captured(folder, "metrics-off"));
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!(engine.requests_running, unavailable("started without --metrics"));
    assert_eq!(engine.requests_waiting, unavailable("started without --metrics"));
    assert_eq!(engine.models.known().unwrap().len(), 1);

    let server = Double::new(captured(folder, "no-key"));
    server.reply("/v1/models", captured(folder, "models"));
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!(engine.version, unavailable("it asks for an API key"));
    assert_eq!(engine.requests_running, unavailable("it asks for an API key"));
    let models = engine.models.known().unwrap();
    assert_eq!((models[0].name.as_str(), models[0].context_tokens), ("smol.gguf", Some(2048)));
}

#[test]
fn llama_server_that_loads_is_listed_and_then_read() {
    let server = Double::new(captured("llama-server-b1-7e4c0a9", "loading"));
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!(engine.kind, EngineKind::LlamaCpp);
    assert_eq!(engine.version, unavailable("it loads its model"));
    assert_eq!(engine.models, unavailable("it loads its model"));
    assert_eq!(engine.requests_waiting, unavailable("it loads its model"));
    assert_eq!(server.asked(), ["GET /v1/models"]);
    for (path, file) in [("/v1/models", "models"), ("/props", "props"), ("/metrics", "metrics")] {
        server.reply(path, captured("llama-server-b1-7e4c0a9", file));
    }
    let engine = host.engine();
    assert_eq!(engine.requests_running, Reading::Known(2));
    assert_eq!(engine.models.known().unwrap()[0].name, "smol.gguf");
}

#[test]
fn a_router_is_not_made_to_load_anything() {
    let server = Double::new(answer("400 Bad Request", r#"{"error":{"message":"model name is missing"}}"#));
    let model = |name: &str, status: &str| {
        format!(r#"{{"id":"{name}","owned_by":"llamacpp","status":{{"value":"{status}","args":[]}}}}"#)
    };
    let list = format!(r#"{{"data":[{},{}],"object":"list"}}"#, model("a", "loaded"), model("b", "unloaded"));
    server.reply("/v1/models", answer("200 OK", &list));
    let props = r#"{"role":"router","model_path":"none","default_generation_settings":{"params":{},"n_ctx":0},"build_info":"b10488-1"}"#;
    server.reply("/props", answer("200 OK", props));
    let engine = Host::new(&[server.address()]).engine();
    let models = engine.models.known().unwrap();
    assert_eq!((&models[0].residency, &models[1].residency), (&LOADED, &Residency::OnDisk));
    assert_eq!(models[0].context_tokens, None);
    let why = "/metrics?autoload=false: status 400";
    assert_eq!(engine.requests_running, unavailable(why), "the loaded one does not say either");
    let named: Vec<String> = server.asked().into_iter().filter(|asked| asked.contains("model=")).collect();
    assert_eq!(
        named,
        ["GET /metrics?autoload=false&model=a"],
        "only what is loaded is named, and nothing is made to load"
    );

    server.reply("/v1/models", answer("200 OK", &format!(r#"{{"data":[{}]}}"#, model("b", "unloaded"))));
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!(engine.requests_running, unavailable("a router says what its models do, and none is loaded"));

    let both = format!(r#"{{"data":[{},{}]}}"#, model("a/x y", "loaded"), model("b", "loaded"));
    let metrics = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\nllamacpp:prompt_tokens_total 7\n";
    server.reply("/v1/models", answer("200 OK", &both));
    server.reply("/metrics?autoload=false&model=a%2Fx+y", answer("200 OK", metrics));
    server.reply("/metrics?autoload=false&model=b", answer("200 OK", metrics));
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(4), Reading::Known(2)));
    assert_eq!(engine.tally.known().unwrap().counter(Counter::PromptTokens), Some(14.0));
}

#[test]
fn vllm_0_32_0_is_told_and_counted() {
    let server = Double::vllm_0_32_0();
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!(engine.kind, EngineKind::Vllm);
    assert_eq!(engine.version, Reading::Known("0.32.0".to_owned()));
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(1), Reading::Known(5)));
    let model =
        ModelRef { name: "tiny".to_owned(), context_tokens: Some(512), residency: LOADED, ..ModelRef::default() };
    assert_eq!(engine.models, Reading::Known(vec![model]));
    assert_eq!(server.asked(), ["GET /v1/models", "GET /version", "GET /metrics"]);
    host.engine();
    assert_eq!(server.asked()[3..], ["GET /metrics"]);
}

#[test]
fn vllm_counts_over_its_engines_and_names_its_models_without_a_key() {
    let server = Double::vllm_0_32_0();
    server.reply("/v1/models", answer("401 Unauthorized", r#"{"error":"Unauthorized"}"#));
    let metrics = "vllm:num_requests_running{engine=\"0\",model_name=\"big\"} 3.0\n\
                   vllm:num_requests_running{engine=\"1\",model_name=\"big\"} 4.0\n\
                   vllm:num_requests_waiting{engine=\"0\",model_name=\"big\"} 0.0\n\
                   vllm:num_requests_waiting{engine=\"1\",model_name=\"big\"} 2.0\n\
                   vllm:engine_sleep_state{engine=\"0\",sleep_state=\"discard_all\"} 0.0\n";
    server.reply("/metrics", answer("200 OK", metrics));
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(7), Reading::Known(2)));
    assert_eq!(engine.models.known().unwrap()[0].name, "big");

    server.reply("/metrics", answer("200 OK", &metrics.replace("discard_all\"} 0", "discard_all\"} 1")));
    assert_eq!(host.engine().models.known().unwrap()[0].residency, Residency::OnDisk);
}

#[test]
fn vllm_without_statistics_has_no_counts() {
    let server = Double::vllm_0_32_0();
    for (metrics, why) in [
        ("http_requests_total 3\n", "started with --disable-log-stats"),
        ("vllm:num_requests_running NaN\n", "it counts no number"),
        (
            "<html>\n",
            "its metrics cannot be read: line 1: a name of other characters than letters, digits, `_` and `:`",
        ),
    ] {
        server.reply("/metrics", answer("200 OK", metrics));
        assert_eq!(Host::new(&[server.address()]).engine().requests_running, unavailable(why));
    }
}

#[test]
fn ollama_0_33_0_is_told_with_what_it_holds_and_has_loaded() {
    let server = Double::ollama_0_33_0();
    let mut host = Host::new(&[server.address()]);
    let engine = host.engine();
    assert_eq!(engine.kind, EngineKind::Ollama);
    assert_eq!(engine.version, Reading::Known("0.33.0".to_owned()));
    assert_eq!(engine.requests_running, unavailable("Ollama does not say"));
    let models = engine.models.known().unwrap();
    let loaded = ModelRef {
        name: "qwen3:8b".to_owned(),
        family: Some("qwen3".to_owned()),
        parameters: Some("8.2B".to_owned()),
        quantization: Some("Q4_K_M".to_owned()),
        size_bytes: Some(5_225_388_164),
        memory_bytes: Some(7_110_467_584),
        context_tokens: Some(8192),
        residency: Residency::Loaded {
            vram_bytes: Some(7_110_467_584),
            until: Some("2026-11-23T18:17:21.907152632Z".parse().unwrap()),
        },
    };
    assert_eq!(models[0], loaded);
    assert_eq!((models[1].size_bytes, &models[1].residency), (None, &Residency::Unknown), "it lies elsewhere");
    assert_eq!((models[2].context_tokens, &models[2].residency), (None, &Residency::OnDisk));

    // It is unloaded; one request a turn tells.
    server.reply("/api/ps", captured("ollama-0.33.0", "ps-empty"));
    let before = server.asked().len();
    let engine = host.engine();
    assert_eq!(engine.models.known().unwrap()[0].residency, Residency::OnDisk);
    assert_eq!(server.asked()[before..], ["GET /api/ps"]);
}

#[test]
fn ollama_without_models_is_ollama() {
    let server = Double::ollama_0_33_0();
    server.reply("/v1/models", captured("ollama-0.33.0", "models-none"));
    server.reply("/api/tags", answer("200 OK", r#"{"models":null}"#));
    server.reply("/api/ps", captured("ollama-0.33.0", "ps-empty"));
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!((engine.kind, engine.models), (EngineKind::Ollama, Reading::Known(Vec::new())));
    // Its interface is often copied, its home page is not.
    server.reply("/", answer("200 OK", "KoboldCpp is running"));
    assert_eq!(Host::new(&[server.address()]).read().0.others, 1);
}

#[test]
fn a_server_that_an_engine_started_for_a_model_is_never_asked() {
    let (ollama, child) = (Double::ollama_0_33_0(), Double::llama_server_b1_7e4c0a9());
    let mut host = Host::new(&[ollama.address(), child.address()]);
    host.process(1, 0, "systemd", &["/sbin/init"], &[]);
    host.process(700, 1, "ollama", &["ollama", "serve"], &[ollama.address()]);
    host.process(701, 700, "llama-server", &["llama-server"], &[child.address()]);
    let engine = host.engine();
    assert_eq!((engine.kind, engine.pid), (EngineKind::Ollama, Some(700)));
    assert_eq!(child.asked(), [""; 0]);

    // Another user's processes: only their arguments can be read.
    let port = child.address().port().to_string();
    let mut host = Host::new(&[ollama.address(), child.address()]);
    host.process(700, 1, "ollama", &["ollama", "serve"], &[]);
    host.process(701, 700, "llama-server", &["llama-server", "--port", &port], &[]);
    assert_eq!(host.engine().pid, None);
    assert_eq!(child.asked(), [""; 0]);
}

#[test]
fn an_engine_in_a_container_is_told_with_it() {
    let server = Double::vllm_0_32_0();
    let mut host = Host::new(&[server.address()]);
    host.process(800, 1, "python3", &["python3"], &[server.address()]);
    let id = "4f".repeat(32);
    host.file("proc/800/cgroup", &format!("0::/system.slice/docker-{id}.scope\n"));
    let engine = host.engine();
    assert_eq!((engine.pid, engine.container.unwrap().0.as_ref()), (Some(800), id.as_str()));
}

#[test]
fn nothing_listening_is_a_normal_answer() {
    let mut host = Host::new(&[]);
    let (sample, detail) = host.read();
    assert_eq!((sample.engines.len(), detail.as_str()), (0, "none listening (0 ports asked)"));
    assert!(!host.ports.http.is_open(), "a client costs memory and is not needed");
}

#[test]
fn other_servers_are_asked_once_and_for_one_path() {
    let others = [
        Double::new(answer("404 Not Found", "<html>")),
        Double::new(answer("200 OK", r#"{"data":[{"id":"gpt","owned_by":"openai"}]}"#)),
        Double::new(answer("301 Moved Permanently\r\nLocation: http://127.0.0.1:1/", "")),
        Double::new(answer("200 OK", "[]")),
        Double::new(Reply::Bytes(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec())),
        Double::new(Reply::Bytes(vec![0xff; 4096])),
        Double::new(Reply::Close),
    ];
    let addresses: Vec<_> = others.iter().map(Double::address).collect();
    let mut host = Host::new(&addresses);
    for _ in 0..2 {
        let (sample, detail) = host.read();
        assert_eq!(sample.others, others.len());
        assert_eq!(detail, "none listening (7 ports asked)");
    }
    // The second speaks as much of an engine's language as to be asked whether it is Ollama or LiteLLM.
    for (number, server) in others.iter().enumerate() {
        let more: &[&str] = if number == 1 { &["GET /", "GET /health/liveliness"] } else { &[] };
        assert_eq!(server.asked(), [&["GET /v1/models"], more].concat(), "{number}");
    }
}

#[test]
fn endpoints_of_the_config_are_asked_and_their_absence_is_told() {
    let server = Double::llama_server_b1_7e4c0a9();
    let free = Double::new(Reply::Close).address();
    let endpoints =
        [format!("http://{}", server.address()), format!("http://{free}"), "http://a:b@10.0.0.7:8000".to_owned()];
    // None of them has a socket here: published without a proxy, for instance.
    let mut host = Host::with_endpoints(&[], &endpoints.each_ref().map(String::as_str));
    let (sample, detail) = host.read();
    assert_eq!(sample.engines.len(), 1);
    assert_eq!(
        detail,
        format!(
            "1 engine, 1 other port asked; 10.0.0.7:8000: not an address of the form http://127.0.0.1:8000; \
             http://{free}: connection refused"
        )
    );
}

/// A list of models in `OpenAI`'s form, as servers that are no others give it.
fn listed(models: &[(&str, &str)]) -> String {
    let model =
        |(id, owner): &(&str, &str)| serde_json::json!({"id": id, "object": "model", "created": 1, "owned_by": owner});
    serde_json::json!({"object": "list", "data": models.iter().map(model).collect::<Vec<_>>()}).to_string()
}

/// A double of a server that cannot run here, after its source: it answers these paths, and no other.
fn after_source(paths: &[(&str, &str, &str)]) -> Double {
    let double = Double::new(answer("404 Not Found", "{}"));
    for (path, status, body) in paths {
        double.reply(path, answer(status, body));
    }
    double
}

fn names(engine: &Engine) -> Vec<&str> {
    engine.models.known().unwrap().iter().map(|model| model.name.as_str()).collect()
}

#[test]
fn sglang_0_5_23_is_told_and_counted() {
    let models =
        r#"{"object":"list","data":[{"id":"qwen3-32b","object":"model","owned_by":"sglang","max_model_len":40960}]}"#;
    let double = after_source(&[
        ("/v1/models", "200 OK", models),
        ("/server_info", "200 OK", r#"{"version":"0.5.23","tp_size":2,"internal_states":[{}]}"#),
        (
            "/metrics",
            "200 OK",
            "sglang:num_running_reqs{model_name=\"qwen3-32b\"} 3.0\nsglang:num_queue_reqs{model_name=\"qwen3-32b\"} 1.0\n",
        ),
    ]);
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, engine.version.known().map(String::as_str)), (EngineKind::Sglang, Some("0.5.23")));
    assert_eq!(names(&engine), ["qwen3-32b"]);
    assert_eq!(engine.models.known().unwrap()[0].context_tokens, Some(40_960));
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(3), Reading::Known(1)));
    assert_eq!(double.asked(), ["GET /v1/models", "GET /server_info", "GET /metrics"]);

    double.reply("/metrics", answer("404 Not Found", "{}"));
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!(engine.requests_running, unavailable("started without --enable-metrics"));
    // With a key, what it counts still tells what it is.
    double.reply("/v1/models", answer("401 Unauthorized", r#"{"error":"Unauthorized"}"#));
    double.reply("/metrics", answer("200 OK", "sglang:num_running_reqs 0.0\nsglang:num_queue_reqs 0.0\n"));
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, engine.models), (EngineKind::Sglang, unavailable("it asks for an API key")));
    assert_eq!(engine.requests_running, Reading::Known(0), "its metrics are open");
}

#[test]
fn tgi_3_3_7_is_told_and_counted() {
    let double = after_source(&[
        ("/v1/models", "200 OK", &listed(&[("mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-v0.3")])),
        (
            "/info",
            "200 OK",
            r#"{"model_id":"mistralai/Mistral-7B-v0.3","router":"text-generation-router","version":"3.3.7","max_total_tokens":8192}"#,
        ),
        (
            "/metrics",
            "200 OK",
            "# TYPE tgi_queue_size gauge\ntgi_queue_size 2\ntgi_batch_current_size 4\ntgi_request_count 9\n",
        ),
    ]);
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, engine.version.known().map(String::as_str)), (EngineKind::Tgi, Some("3.3.7")));
    assert_eq!(names(&engine), ["mistralai/Mistral-7B-v0.3"]);
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(4), Reading::Known(2)));
    // Before its first request it tells none of its gauges.
    double.reply("/metrics", answer("200 OK", ""));
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.requests_running, engine.requests_waiting), (Reading::Known(0), Reading::Known(0)));
}

#[test]
fn litellm_1_109_is_told_and_its_models_are_never_called() {
    let double = after_source(&[
        ("/v1/models", "401 Unauthorized", r#"{"error":{"message":"Authentication Error","type":"auth_error"}}"#),
        ("/health/liveliness", "200 OK", r#""I'm alive!""#),
        ("/health/readiness", "200 OK", r#"{"status":"healthy","db":"connected","litellm_version":"1.109.1"}"#),
        ("/metrics", "401 Unauthorized", "{}"),
    ]);
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, engine.version.known().map(String::as_str)), (EngineKind::LiteLlm, Some("1.109.1")));
    assert_eq!(engine.models, unavailable("it asks for an API key"));
    assert!(!double.asked().contains(&"GET /health".to_owned()), "{:?}", double.asked());

    double.reply("/v1/models", answer("200 OK", &listed(&[("gpt-4o", "openai"), ("claude", "openai")])));
    double.reply("/metrics", answer("200 OK", "litellm_in_flight_requests 5.0\n"));
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, names(&engine)), (EngineKind::LiteLlm, vec!["gpt-4o", "claude"]));
    assert_eq!(engine.requests_running, Reading::Known(5));
}

#[test]
fn another_server_in_the_same_form_is_listed_with_its_models() {
    let double =
        after_source(&[("/v1/models", "200 OK", &listed(&[("phi-4", "organization_owner"), ("bge-m3", "lm")]))]);
    let engine = Host::new(&[double.address()]).engine();
    assert_eq!((engine.kind, names(&engine)), (EngineKind::OpenAi, vec!["phi-4", "bge-m3"]));
    assert!(engine.version.why().is_some() && engine.requests_running.why().is_some());
    assert_eq!(double.asked(), ["GET /v1/models", "GET /"], "nothing else is known to be harmless there");
    // A list without models, or of other things, is no inference server.
    for body in [listed(&[]), r#"{"data":[{"id":"x","object":"thing"}]}"#.to_owned(), "[]".to_owned()] {
        let double = after_source(&[("/v1/models", "200 OK", &body)]);
        let (sample, _) = Host::new(&[double.address()]).read();
        assert_eq!((sample.engines.len(), sample.others), (0, 1), "{body}");
    }
}
