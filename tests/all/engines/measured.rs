//! What servers did: differences between real pages of metrics, and the log of a real server against the watch of its client.

use std::time::Instant;

use hostler::domain::{ContainerId, Counter, Engine, EngineKind, Event, LogSubject, ModelRef, Reading, Spread};
use hostler::engines::TimingLog;
use hostler::store::{Hold, Performance, Window};

use super::Host;
use super::double::{Double, captured};
use crate::bed::{self, DEADLINE};
use crate::make::{Script, engine, moment};

/// What the store makes of these looks, five seconds apart.
fn seen(looks: impl IntoIterator<Item = Engine>) -> (Script, Engine) {
    let mut script = Script::new();
    let mut last = None;
    for (look, engine) in looks.into_iter().enumerate() {
        script.at(look as u64 * 5).engines([engine.clone()]);
        last = Some(engine);
    }
    (script, last.unwrap())
}

#[test]
fn a_replay_of_vllm_0_32_0_before_and_after_load_tells_what_came_between() {
    let server = Double::vllm_0_32_0();
    server.reply("/metrics", captured("vllm-0.32.0", "metrics-idle"));
    let mut host = Host::new(&[server.address()]);
    let idle = host.engine();
    server.reply("/metrics", captured("vllm-0.32.0", "metrics-after-load"));
    let (script, engine) = seen([idle, host.engine()]);
    let seen = script.state.measures.of(&engine.endpoint, Window::Recent).unwrap();
    let counts = [Counter::Requests, Counter::Faults, Counter::PromptTokens, Counter::GeneratedTokens]
        .map(|counter| seen.count(counter));
    assert_eq!(counts, [Some(9.0), Some(0.0), Some(42.0), Some(3_620.0)]);
    assert_eq!((seen.rate(Counter::GeneratedTokens), seen.prefix_hit_ratio()), (Some(724.0), Some(0.0)));
    assert_eq!((seen.values(Spread::EndToEnd), seen.values(Spread::FirstToken)), (9, 9));
    // Eight of nine between 0.5 and 0.8 s; the sum of all says where.
    let end_to_end = seen.quantile(Spread::EndToEnd, 0.95).unwrap();
    assert!((0.5..=0.8).contains(&end_to_end), "{end_to_end}");
    let mean = seen.mean(Spread::EndToEnd).unwrap();
    assert!((mean - 4.904_318_571 / 9.0).abs() < 0.01, "{mean}");
    assert_eq!(engine.kv_cache_tokens, Reading::Known(1_048_576));
    assert_eq!(engine.kv_cache_used_ratio, Reading::Known(0.0));
}

#[test]
fn a_replay_of_vllm_0_32_0_that_starts_again_counts_nothing_of_before() {
    let server = Double::vllm_0_32_0();
    let mut host = Host::new(&[server.address()]);
    let mut look = |page: &str| {
        server.reply("/metrics", captured("vllm-0.32.0", page));
        host.engine()
    };
    let looks = [look("metrics-after-load"), look("metrics-idle"), look("metrics-after-load")];
    let (script, engine) = seen(looks);
    let seen = script.state.measures.of(&engine.endpoint, Window::Recent).unwrap();
    assert_eq!((seen.count(Counter::Requests), seen.seconds), (Some(9.0), 5.0));
}

#[test]
fn a_replay_of_vllm_0_32_0_with_a_queue_is_queue_bound() {
    let server = Double::vllm_0_32_0();
    let (script, engine) = seen([Host::new(&[server.address()]).engine()]);
    let found = script.state.bottleneck(&engine);
    assert_eq!(found.hold, Hold::QueueBound);
    assert_eq!(found.evidence[0], "5 wait while 1 run");
}

/// The value that so many of a hundred do not exceed.
fn quantile(seconds: &mut [f64], share: f64) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[((seconds.len() as f64 * share).ceil() as usize).max(1) - 1]
}

fn close(told: &Performance, spread: Spread, clients: &mut [f64]) {
    for share in [0.5, 0.95] {
        let (told, clients) = (told.quantile(spread, share).unwrap(), quantile(clients, share));
        assert!((told / clients - 1.0).abs() <= 0.05, "{share}: {told} s told, {clients} s measured by its client");
    }
}

#[test]
fn the_log_of_a_real_llama_server_has_the_latencies_that_its_client_measured() {
    let Some(server) = bed::llama() else { return };
    let mut measured = Vec::new();
    for number in 0..20 {
        let body = format!(
            r#"{{"prompt":"Number {number} of the tales about a hostler begins so:","n_predict":{},"cache_prompt":false}}"#,
            24 + 4 * (number % 7)
        );
        let begun = Instant::now();
        let (status, text) = server.post("/completion", &body).unwrap();
        assert_eq!(status, 200, "{text}");
        measured.push(begun.elapsed().as_secs_f64());
    }
    let mut log = TimingLog::default();
    let logged = bed::wait_until(DEADLINE, "the times of all requests are written", || {
        log = TimingLog::default();
        let lines: Vec<_> = server.output().lines().filter_map(|line| log.read(line)).collect();
        (lines.len() >= measured.len()).then_some(lines)
    });
    let container = ContainerId::from("llama");
    let llama = Engine {
        container: Some(container.clone()),
        models: Reading::Known(vec![ModelRef::default()]),
        ..engine(EngineKind::LlamaCpp, 8080)
    };
    let mut script = Script::new();
    script.at(0).engines([llama.clone()]);
    let requests = logged.into_iter().map(|timed| timed.logged(LogSubject::Container(container.clone())));
    script.apply(Event::Requests { requests: requests.collect(), at: moment(1) });
    script.at(2).engines([llama.clone()]);
    let told = script.state.measures.of(&llama.endpoint, Window::Recent).unwrap();
    assert_eq!(told.requests(), Some(measured.len() as f64));
    close(told, Spread::EndToEnd, &mut measured);
    assert!(told.quantile(Spread::FirstToken, 0.95) < told.quantile(Spread::EndToEnd, 0.5));
    assert!(told.count(Counter::GeneratedTokens) >= Some(20.0 * 10.0));
}
