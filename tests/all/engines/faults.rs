//! Servers that hang, never end or write what must not reach a terminal.

use std::fs;

use hostler::domain::{Event, Reading};
use hostler::sources::poller;

use super::double::{Double, Reply, answer, captured};
use super::{Host, sampled, unavailable};
use crate::bed::{self, foreign};

#[test]
fn a_hung_server_delays_nobody() {
    let (hung, server) = (bed::hung_tcp(), Double::vllm_0_32_0());
    let address = hung.endpoint().strip_prefix("tcp://").unwrap().parse().unwrap();
    let mut host = Host::new(&[server.address()]);
    host.read();
    host.listen(&[address, server.address()]);
    let (sample, detail) = host.read();
    assert_eq!((sample.engines.len(), sample.others), (1, 1));
    assert_eq!(detail, "1 engine, 1 other port asked");
    // What was there at once was told while the other was waited for.
    let (early, detail) = sampled(host.events.try_recv().unwrap());
    assert_eq!(early.engines, sample.engines);
    assert_eq!(detail, "1 engine, 0 other ports asked; 1 not answered yet");
    host.read();
    assert_eq!(hung.accepted(), 1, "it is not disturbed at the next turn");
}

#[test]
fn the_first_turn_waits_for_all() {
    let (hung, server) = (bed::hung_tcp(), Double::vllm_0_32_0());
    let address = hung.endpoint().strip_prefix("tcp://").unwrap().parse().unwrap();
    let mut host = Host::new(&[address, server.address()]);
    let (sample, _) = host.read();
    assert_eq!((sample.engines.len(), sample.others), (1, 1));
    assert!(host.events.try_recv().is_err(), "a single look would take a part for the whole");
}

#[test]
fn an_engine_that_hangs_stays_listed_until_it_listens_no_more() {
    let server = Double::vllm_0_32_0();
    let mut host = Host::new(&[server.address()]);
    host.engine();
    server.reply_to_all(Reply::Silence);
    let engine = host.engine();
    assert_eq!(engine.requests_running, unavailable("no answer within 2 s"));
    // Now that it is in doubt, all of it is asked anew.
    let engine = host.engine();
    assert_eq!(engine.version, Reading::Known("0.32.0".to_owned()));
    assert_eq!(engine.models, unavailable("no answer within 2 s"));
    assert_eq!(engine.requests_waiting, unavailable("no answer within 2 s"));

    for (path, file) in [("/v1/models", "models"), ("/version", "version"), ("/metrics", "metrics")] {
        server.reply(path, captured("vllm-0.32.0", file));
    }
    assert_eq!(host.engine().requests_waiting, Reading::Known(5));
    host.listen(&[]);
    assert_eq!(host.read().0.engines, []);
}

#[test]
fn an_engine_whose_metrics_hang_is_listed_with_its_models() {
    let server = Double::vllm_0_32_0();
    server.reply("/metrics", Reply::Silence);
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!(engine.requests_running, unavailable("no answer within 2 s"));
    assert_eq!(engine.models.known().unwrap()[0].name, "tiny");
}

#[test]
fn an_answer_without_end_is_cut() {
    let body = "x".repeat(64 << 10);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99999999999\r\n\r\n";
    let server = Double::vllm_0_32_0();
    server.reply("/metrics", Reply::Endless(format!("{head}{body}").into_bytes()));
    let engine = Host::new(&[server.address()]).engine();
    assert_eq!(engine.requests_running, unavailable("/metrics: the answer is larger than 1.0 MiB"));

    let server = Double::new(Reply::Endless(format!("{head}{body}").into_bytes()));
    assert_eq!(Host::new(&[server.address()]).read().0.others, 1);
}

#[test]
fn nothing_harmful_gets_in_through_names() {
    let text = foreign::text();
    let quoted = serde_json::to_string(&text).unwrap();
    let server = Double::vllm_0_32_0();
    server.reply("/version", answer("200 OK", &format!(r#"{{"version":{quoted}}}"#)));
    let list = format!(
        r#"{{"data":[{{"id":{quoted},"owned_by":"vllm"}},{{"id":"{}","owned_by":"vllm"}}]}}"#,
        "x".repeat(9999)
    );
    server.reply("/v1/models", answer("200 OK", &list));
    let ollama = Double::ollama_0_33_0();
    let details = format!(r#"{{"family":{quoted},"parameter_size":{quoted},"quantization_level":{quoted}}}"#);
    ollama.reply("/api/tags", answer("200 OK", &format!(r#"{{"models":[{{"name":{quoted},"details":{details}}}]}}"#)));
    let (sample, _) = Host::new(&[server.address(), ollama.address()]).read();
    assert_eq!(sample.engines.len(), 2);
    let shown = serde_json::to_value(&*sample).unwrap();
    let mut texts = vec![&shown];
    let mut seen = 0;
    while let Some(value) = texts.pop() {
        match value {
            serde_json::Value::Array(items) => texts.extend(items),
            serde_json::Value::Object(fields) => texts.extend(fields.values()),
            serde_json::Value::String(text) => {
                assert_eq!(foreign::first_harmful(text), None, "{text:?}");
                assert!(text.len() <= 256, "{} bytes", text.len());
                seen += 1;
            }
            _ => {}
        }
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn no_table_of_sockets_is_a_failure_that_names_it() {
    let mut host = Host::new(&[]);
    fs::remove_file(host.root.path().join("proc/net/tcp")).unwrap();
    let read = poller::read_once(host.spec, host.source.as_mut(), host.ports.clock);
    let Event::SourceFailed { failure, .. } = host.runtime.block_on(read) else { panic!("it was read") };
    assert!(failure.what.starts_with("/proc/net/tcp: "), "{}", failure.what);
}
