//! The gate: what is asked before a new version may stay, and how long it may take.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::interrupted::{journal, worker};
use super::service::{CONFIG, Service, Version};
use super::{planned, run};
use crate::bed::{self, Spec, free_port, part, wait_until};

/// A script of a version, which lives as long as the test.
fn script(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// On the bed's own network, at this port.
fn on_host(spec: Spec, port: u16) -> Spec {
    spec.with(|body| {
        body.host_config.get_or_insert_default().network_mode = Some("host".to_owned());
        body.exposed_ports = Some(vec![format!("{port}/tcp")]);
    })
}

/// The same with all that a llama-server is made of.
pub(super) fn with_llama(spec: Spec, port: u16, llama: &Path) -> Spec {
    let folder = |file: &Path| file.parent().unwrap().parent().unwrap().to_owned();
    // The server's own folder, and that of the Python which it is made of.
    let python = fs::canonicalize(llama.with_file_name("python")).unwrap();
    let folders = [folder(llama), folder(&python)];
    on_host(spec, port).with_programs("/usr/bin").with(|body| {
        let binds = body.host_config.get_or_insert_default().binds.get_or_insert_default();
        let missing = folders.iter().filter(|folder| !folder.starts_with("/usr"));
        binds.extend(missing.map(|folder| format!("{0}:{0}:ro", folder.display())));
    })
}

/// The step of a plan whose operation has this name.
#[track_caller]
fn step<'a>(plan: &'a Value, op: &str) -> &'a Value {
    let steps = plan["plan"]["steps"].as_array().unwrap();
    steps.iter().find(|step| step["op"]["op"] == op).unwrap_or_else(|| panic!("no {op} in {plan}"))
}

#[test]
fn the_operator_says_what_is_asked() {
    let port = free_port();
    let Some(service) = Service::start_as(|spec, _, _| on_host(spec, port)) else { return };
    let name = service.container.name();
    let config = format!("{CONFIG}\n[actions.probes]\n\"{name}\" = \":{port}/healthz\"\n");
    fs::write(service.home.config(), config).unwrap();
    let serve = |files: &str| script(format!("mkdir /www; {files}; exec httpd -f -p 127.0.0.1:{port} -h /www"));

    service.publish("2", Version::Runs(serve("true")));
    let plan = planned(&service.home, &["container.update", name]);
    assert_eq!(step(&plan, "gate")["op"]["probe"], json!({ "by": "http", "port": port, "path": "/healthz" }));
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(done["text"].as_str().unwrap().contains("its answer over HTTP"), "{done}");

    service.publish("3", Version::Runs(serve("touch /www/healthz")));
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, service.version().as_str()), (0, "3"), "{done}");
}

#[test]
fn a_gate_waits_longer_where_it_was_needed_before() {
    let Some(service) = Service::start() else { return };
    let name = service.container.name();
    let seconds = |service: &Service| {
        let plan = planned(&service.home, &["container.update", name]);
        step(&plan, "gate")["op"]["seconds"].as_u64().unwrap()
    };
    service.publish("2", Version::Slow);
    assert_eq!(seconds(&service), 8);
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!(code, 0, "{done}");
    service.publish("3", Version::Good);
    assert!(seconds(&service) > 8, "three times what the slow version took");
}

/// Lists a model as llama.cpp does, and fails to generate: an engine whose GPU hangs cannot be had here.
const DOUBLE: &str = r#"import http.server
class Engine(http.server.BaseHTTPRequestHandler):
    server_version, sys_version = "llama.cpp", ""
    def do_GET(self):
        known = self.path == "/v1/models"
        self.send_response(200 if known else 404); self.end_headers()
        self.wfile.write(b'{"data":[{"id":"double","owned_by":"llamacpp"}]}' if known else b"{}")
    def do_POST(self):
        self.send_response(500); self.end_headers(); self.wfile.write(b"CUDA error: an illegal memory access")
http.server.HTTPServer(("127.0.0.1", PORT), Engine).serve_forever()"#;

#[test]
fn an_inference_server_must_generate() {
    let (Some(llama), Some(model)) =
        (part("HOSTLER_TEST_LLAMA", "llama-server"), part("HOSTLER_TEST_MODEL", "the model of llama-server"))
    else {
        return;
    };
    let port = free_port();
    let Some(service) = Service::start_as(|spec, _, _| with_llama(spec, port, &llama)) else { return };
    let name = service.container.name();
    let serve = format!(
        "exec {} --host 127.0.0.1 --port {port} --model {} --ctx-size 512 --parallel 1",
        llama.display(),
        model.display()
    );
    let serve = script(serve);
    service.publish("2", Version::Runs(serve));
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!(code, 0, "{done}");
    service.publish("3", Version::Runs(serve));
    wait_until(bed::DEADLINE, "the server has loaded its model", || {
        let plan = planned(&service.home, &["container.update", name]);
        plan.to_string().contains("generate a few tokens").then_some(())
    });
    let plan = planned(&service.home, &["container.update", name]);
    assert_eq!(step(&plan, "generate")["op"]["port"], port);
    assert_eq!(step(&plan, "gate")["op"]["seconds"], 15 * 60, "weights take their time");

    // The same server again: it generates.
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!(code, 0, "{done}");
    assert!(done["lines"].to_string().contains("generated in"), "{done}");

    let double = DOUBLE.replace("PORT", &port.to_string());
    service.publish("4", Version::Runs(script(format!("exec python3 -c '{}'", double.replace('\'', "'\\''")))));
    wait_until(bed::DEADLINE, "the server has loaded its model", || {
        let plan = planned(&service.home, &["container.update", name]);
        plan.to_string().contains("generate a few tokens").then_some(())
    });
    let (code, done) = run(&service.home, &["container.update", name]);
    assert_eq!((code, done["outcome"].as_str()), (1, Some("rolled-back")), "{done}");
    assert!(done["text"].as_str().unwrap().contains("serves nothing: double generated nothing: status 500"), "{done}");
    assert_eq!(service.version(), "3");
}

#[test]
fn a_container_that_lost_a_gpu_is_taken_back() {
    // Any device will do: what is counted are the files of the cards.
    let Some(service) = Service::start_as(|spec, _, _| {
        spec.with(|body| {
            let binds = body.host_config.get_or_insert_default().binds.get_or_insert_default();
            binds.push("/dev/null:/dev/nvidia0".to_owned());
        })
    }) else {
        return;
    };
    service.publish("2", Version::Good);
    let update = |count: usize| {
        let mut plan = service.plan();
        let name = service.container.name();
        let op = json!({ "op": "see-gpus", "name": name, "count": count });
        let steps = plan["steps"].as_array_mut().unwrap();
        let mut step = steps.last().unwrap().clone();
        step["op"] = op;
        steps.push(step);
        let (mut worker, _) = worker(&service.home, &plan);
        worker.wait().unwrap();
        journal(&service.home)
    };
    let lost = update(2);
    assert_eq!(lost["outcome"], "rolled-back", "{lost}");
    assert!(lost["text"].as_str().unwrap().contains("sees 1 GPUs; the one before saw 2"), "{lost}");
    assert_eq!(service.version(), "1");
    let kept = update(1);
    assert_eq!((kept["outcome"].as_str(), service.version().as_str()), (Some("succeeded"), "2"), "{kept}");
}
