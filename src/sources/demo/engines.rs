//! The made-up inference servers: what they serve, and what they have counted since they started.

use std::sync::Arc;

use super::{Faults, containers, wave};
use crate::domain::{
    Counter, Endpoint, Engine, EngineKind, EngineOption, EngineSample, Histogram, LogSubject, LoggedRequest, ModelRef,
    Reading, RequestOutcome, Residency, Spread, Tally, Why,
};

const GIB: u64 = 1 << 30;

pub(super) fn sample(second: u64, faults: &Faults) -> EngineSample {
    EngineSample { engines: vec![vllm(second), embedder(second), ollama(faults)], others: 4 }
}

fn vllm(second: u64) -> Engine {
    let running = (wave(second, 47.0, 0.0) * 4.0).round() as u64;
    let model = model("llama-3.3-8b:v4-awq", ["llama", "8.0B", "AWQ"], 4.6, 32_768, loaded(20.8));
    Engine {
        version: Reading::Known("0.33.0".to_owned()),
        pid: Some(21_044),
        container: Some(containers::id("vllm")),
        models: Reading::Known(vec![model]),
        requests_running: Reading::Known(running),
        requests_waiting: Reading::Known(running.saturating_sub(3)),
        kv_cache_used_ratio: Reading::Known(0.38 + 0.4 * wave(second, 61.0, 0.7)),
        kv_cache_tokens: Reading::Known(118_784),
        tally: Reading::Known(vllm_tally(second).into()),
        options: options(&[
            ("--model", "/models/llama-3.3-8b-v4-awq"),
            ("--max-model-len", "32768"),
            ("--gpu-memory-utilization", "0.92"),
            ("--max-num-seqs", "16"),
            ("--tensor-parallel-size", "1"),
            ("--api-key", "***"),
        ]),
        ..engine(EngineKind::Vllm, 8000)
    }
}

fn ollama(faults: &Faults) -> Engine {
    let models = vec![
        model("qwen3-32b:q4_K_M", ["qwen3", "32.8B", "Q4_K_M"], 18.4, 40_960, loaded(16.9)),
        model("deepseek-r1:32b", ["qwen2", "32.8B", "Q4_K_M"], 19.9, 131_072, Residency::OnDisk),
        model("llama3.1:8b", ["llama", "8.0B", "Q4_K_M"], 4.9, 131_072, Residency::OnDisk),
    ];
    let silent = faults.ollama_silent.then(|| Why::from("no answer within 2 s"));
    Engine {
        version: Reading::Known("0.33.0".to_owned()),
        pid: Some(18_210),
        container: Some(containers::id("ollama")),
        models: silent.map_or(Reading::Known(models), Reading::Unavailable),
        options: options(&[("OLLAMA_NUM_PARALLEL", "2"), ("OLLAMA_KEEP_ALIVE", "30m")]),
        ..engine(EngineKind::Ollama, 11_434)
    }
}

fn embedder(second: u64) -> Engine {
    let model = model("bge-m3-f16", ["bert", "0.6B", "F16"], 1.1, 8_192, loaded(0.5));
    let mut tally = Tally::default();
    tally.add(Counter::PromptTokens, (second * 310) as f64);
    tally.add(Counter::PromptSeconds, second as f64 * 0.04);
    Engine {
        version: Reading::Known("b10488".to_owned()),
        pid: Some(21_733),
        container: Some(containers::id("embedder")),
        models: Reading::Known(vec![model]),
        requests_running: Reading::Known(0),
        requests_waiting: Reading::Known(0),
        kv_cache_used_ratio: Reading::Unavailable("llama.cpp does not say it any more".into()),
        tally: Reading::Known(tally.into()),
        options: options(&[("--model", "/models/bge-m3-f16.gguf"), ("--embedding", ""), ("--ctx-size", "8192")]),
        ..engine(EngineKind::LlamaCpp, 8081)
    }
}

/// What Ollama's log tells: a request now and then.
pub(super) fn requests(second: u64) -> Vec<LoggedRequest> {
    let seconds = 6.0 + 9.0 * wave(second, 31.0, 0.3);
    let request = LoggedRequest {
        server: LogSubject::Container(containers::id("ollama")),
        outcome: RequestOutcome::Answered,
        first_token_seconds: None,
        end_to_end_seconds: Some(seconds),
        prompt_tokens: None,
        generated_tokens: None,
    };
    if second.is_multiple_of(20) { vec![request] } else { Vec::new() }
}

/// A server of which nothing is known yet.
fn engine(kind: EngineKind, port: u16) -> Engine {
    let why = || Why::new(format!("{} does not say", kind.title()));
    Engine {
        kind,
        version: Reading::Unavailable(why()),
        endpoint: Endpoint(format!("http://127.0.0.1:{port}")),
        port,
        pid: None,
        container: None,
        models: Reading::Unavailable(why()),
        requests_running: Reading::Unavailable(why()),
        requests_waiting: Reading::Unavailable(why()),
        kv_cache_used_ratio: Reading::Unavailable(why()),
        kv_cache_tokens: Reading::Unavailable(why()),
        tally: Reading::Unavailable(why()),
        options: Reading::Unavailable(why()),
    }
}

/// A made-up histogram: its mean, and which part of all values is at most each bound.
type Made = (Spread, f64, &'static [(f64, f64)]);

/// Half a request a second, of which one in five hundred fails.
fn vllm_tally(second: u64) -> Tally {
    let requests = second as f64 * 0.5;
    let mut tally = Tally::default();
    for (counter, count) in [
        (Counter::Requests, requests.floor()),
        (Counter::Faults, (requests * 0.002).floor()),
        (Counter::Overloads, 0.0),
        (Counter::PromptTokens, second as f64 * 640.0),
        (Counter::GeneratedTokens, second as f64 * 74.0),
        (Counter::PrefixQueries, second as f64 * 640.0),
        (Counter::PrefixHits, second as f64 * 452.0),
        (Counter::Preemptions, 0.0),
    ] {
        tally.add(counter, count);
    }
    let spreads: [Made; 5] = [
        (Spread::FirstToken, 0.21, &[(0.1, 0.1), (0.25, 0.74), (0.5, 0.97), (0.75, 0.99), (1.0, 1.0)]),
        (Spread::InterToken, 0.013, &[(0.01, 0.35), (0.025, 0.95), (0.05, 1.0)]),
        (Spread::EndToEnd, 1.02, &[(0.5, 0.16), (0.8, 0.4), (1.0, 0.6), (1.5, 0.85), (2.0, 0.96), (2.5, 1.0)]),
        (Spread::Queue, 0.02, &[(0.3, 1.0)]),
        (
            Spread::PromptLength,
            1_280.0,
            &[(500.0, 0.3), (1_000.0, 0.5), (2_000.0, 0.85), (5_000.0, 0.97), (10_000.0, 1.0)],
        ),
    ];
    for (spread, mean, shares) in spreads {
        let buckets = shares.iter().map(|(bound, share)| (*bound, (requests * share).floor()));
        let buckets = buckets.chain([(f64::INFINITY, requests.floor())]).collect();
        if let Some(histogram) = Histogram::new(buckets, Some(requests * mean)) {
            tally.put(spread, histogram);
        }
    }
    tally
}

fn options(options: &[(&'static str, &'static str)]) -> Reading<Arc<[EngineOption]>> {
    let one = |(name, value): &(&'static str, &'static str)| EngineOption {
        name: (*name).into(),
        value: Some(*value).filter(|value| !value.is_empty()).map(Arc::from),
    };
    Reading::Known(options.iter().map(one).collect())
}

fn loaded(gib: f64) -> Residency {
    Residency::Loaded { vram_bytes: Some((gib * GIB as f64) as u64), until: None }
}

fn model(
    name: &str,
    [family, parameters, quantization]: [&str; 3],
    gib: f64,
    context: u64,
    residency: Residency,
) -> ModelRef {
    ModelRef {
        name: name.to_owned(),
        family: Some(family.to_owned()),
        parameters: Some(parameters.to_owned()),
        quantization: Some(quantization.to_owned()),
        size_bytes: Some((gib * GIB as f64) as u64),
        memory_bytes: None,
        context_tokens: Some(context),
        residency,
    }
}
