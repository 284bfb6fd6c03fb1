use std::collections::BTreeSet;

use super::*;
use crate::domain::{
    EngineOption, GpuMemory, GpuProcess, GpuProcessKind, Histogram, LibrarySample, Reading, Tally, Weights,
    WeightsFormat, Why,
};
use crate::make::{GIB, Script, engine, gpu, llama_8b, stored_model};

/// A server on a box, watched for a quarter of an hour.
struct Box {
    kind: EngineKind,
    options: Vec<(&'static str, &'static str)>,
    /// Of each half minute: requests, seconds of each, tokens of its prompt, tokens generated, prompt tokens found in the cache.
    each: [f64; 5],
    overloads: f64,
    context: Option<u64>,
    kv_used: Option<f64>,
    bits: f64,
    cards: u32,
}

impl Default for Box {
    fn default() -> Self {
        Self {
            kind: EngineKind::Vllm,
            options: Vec::new(),
            each: [4.0, 1.0, 300.0, 900.0, 600.0],
            overloads: 0.0,
            context: Some(32_768),
            kv_used: None,
            bits: 4.9,
            cards: 1,
        }
    }
}

impl Box {
    fn tally(&self, step: f64) -> Tally {
        let [requests, seconds, prompt, generated, hits] = self.each;
        let mut tally = Tally::default();
        for (counter, each) in [
            (Counter::Requests, requests),
            (Counter::Overloads, self.overloads),
            (Counter::PromptTokens, requests * prompt),
            (Counter::GeneratedTokens, generated),
            (Counter::PrefixQueries, requests * prompt),
            (Counter::PrefixHits, hits),
        ] {
            tally.add(counter, each * step);
        }
        for (spread, value) in [(Spread::EndToEnd, seconds), (Spread::PromptLength, prompt)] {
            let buckets =
                vec![(value * 0.999, 0.0), (value * 1.001, requests * step), (f64::INFINITY, requests * step)];
            tally.put(spread, Histogram::new(buckets, Some(value * requests * step)).unwrap());
        }
        tally
    }

    fn server(&self, step: f64) -> Engine {
        let option = |(name, value): &(&str, &str)| EngineOption { name: (*name).into(), value: Some((*value).into()) };
        let model = ModelRef {
            name: "llama:8b".to_owned(),
            context_tokens: self.context,
            residency: Residency::Loaded { vram_bytes: None, until: None },
            ..ModelRef::default()
        };
        Engine {
            pid: Some(7),
            models: Reading::Known(vec![model]),
            tally: Reading::Known(self.tally(step).into()),
            options: Reading::Known(self.options.iter().map(option).collect()),
            kv_cache_used_ratio: self.kv_used.map_or(Reading::Unavailable(Why::NOT_SUPPORTED), Reading::Known),
            kv_cache_tokens: Reading::Known(100_000),
            ..engine(self.kind, 8000)
        }
    }

    fn stored(&self) -> StoredModel {
        let store = if self.kind == EngineKind::Ollama {
            crate::domain::ModelStore::Ollama
        } else {
            crate::domain::ModelStore::HuggingFace
        };
        let parameters = 8_030_261_248_u64;
        let weights = Weights {
            format: WeightsFormat::Gguf,
            architecture: None,
            name: None,
            version: None,
            parameters: Reading::Known(parameters),
            quantization: None,
            bits_per_weight: Reading::Known(self.bits),
            tensor_bytes: (parameters as f64 * self.bits / 8.0) as u64,
            shape: Some(llama_8b()),
        };
        StoredModel { store, weights: Reading::Known(weights), ..stored_model("llama:8b") }
    }

    fn advised(&self) -> Vec<(String, String)> {
        let process = GpuProcess {
            pid: 7,
            name: Reading::Unavailable(Why::NOT_SUPPORTED),
            kind: GpuProcessKind::Compute,
            memory_used_bytes: Reading::Known(12 * GIB),
            sm_ratio: Reading::Unavailable(Why::NOT_SUPPORTED),
            container: None,
            parents: Vec::new(),
        };
        let memory = GpuMemory { total_bytes: 24 * GIB, used_bytes: 12 * GIB, reserved_bytes: 0 };
        let cards = (0..self.cards).map(|index| {
            let processes = if index == 0 { vec![process.clone()] } else { Vec::new() };
            crate::domain::Gpu { memory: Reading::Known(memory), processes: Reading::Known(processes), ..gpu(index) }
        });
        let mut script = Script::new();
        script.at(0).gpus(cards.collect::<Vec<_>>());
        script.sample(crate::domain::Sample::Library(
            LibrarySample { models: vec![self.stored()], ..LibrarySample::default() }.into(),
        ));
        for step in 0..=30_u32 {
            script.at(u64::from(step) * 30).engines([self.server(f64::from(step))]);
        }
        let engine = &script.state.engines.get().unwrap().engines[0];
        script.state.tuning(engine).into_iter().map(|advice| (advice.what, advice.change)).collect()
    }
}

#[track_caller]
fn only(advised: &[(String, String)], what: &str, change: &str) {
    let expected = [(what.to_owned(), change.to_owned())];
    assert_eq!(advised, expected);
}

#[test]
fn a_server_that_is_set_well_gets_no_advice() {
    assert_eq!(Box::default().advised(), []);
}

#[test]
fn a_context_longer_than_used_costs_cache_where_all_of_it_is_allocated() {
    let long = Box { kind: EngineKind::LlamaCpp, context: Some(131_072), ..Box::default() };
    let long = Box { options: vec![("--model", "llama:8b")], ..long };
    let what = "llama:8b loads a context of 131072 tokens, prompts use 302 (p99)";
    only(&long.advised(), what, "--ctx-size 2048: 256 MiB instead of 16.0 GiB of KV cache");
    let ollama = Box { kind: EngineKind::Ollama, options: vec![("OLLAMA_NUM_PARALLEL", "4")], ..long };
    only(&ollama.advised(), what, "num_ctx 2048: 1.0 GiB instead of 64.0 GiB of KV cache");
    assert_eq!(Box { context: Some(4_096), ..ollama }.advised().len(), 1);
    assert_eq!(
        Box { context: Some(131_072), ..Box::default() }.advised(),
        [],
        "vLLM allocates by memory, not by context"
    );
}

#[test]
fn whole_weights_are_told_with_what_four_bits_would_take() {
    let advised = Box { bits: 16.0, ..Box::default() }.advised();
    only(
        &advised,
        "llama:8b has 16.0 bits a weight: 15.0 GiB",
        "Q4_K_M: 4.6 GiB (3.3 times smaller), at a few per cent of quality: evaluate it first",
    );
}

#[test]
fn requests_one_by_one_are_told_from_a_batch_and_from_rest() {
    let with = |seconds| Box { each: [20.0, seconds, 300.0, 900.0, 3_000.0], ..Box::default() }.advised();
    let what = "requests come one after the other: 1.0 at once, 30 tokens/s";
    only(&with(1.5), what, "send several at once: its batching gives two to three times the tokens for offline work");
    assert_eq!((with(0.3), with(6.0)), (Vec::new(), Vec::new()));
}

#[test]
fn long_prompts_and_a_cache_that_finds_nothing_are_told() {
    let advised = Box { each: [4.0, 1.0, 9_000.0, 900.0, 100.0], ..Box::default() }.advised();
    let whats: BTreeSet<&str> = advised.iter().map(|(what, _)| what.as_str()).collect();
    assert!(
        whats.iter().any(|what| what.starts_with("prompts of 9") && what.ends_with("40 for each generated")),
        "{whats:?}"
    );
    assert!(whats.contains("the prefix cache finds 0% of prompt tokens"), "{whats:?}");
}

#[test]
fn a_full_cache_is_told_what_would_widen_it() {
    let full = Box { kv_used: Some(0.9), options: vec![("--gpu-memory-utilization", "0.5")], ..Box::default() };
    let expected = [
        (
            "its KV cache of 100000 tokens is 90% full".to_owned(),
            "--kv-cache-dtype fp8: 200000 tokens in the same memory".to_owned(),
        ),
        (
            "--gpu-memory-utilization 0.5 leaves 12.0 GiB of gpu0 unused".to_owned(),
            "0.92: 10.1 GiB more for the KV cache".to_owned(),
        ),
    ];
    assert_eq!(full.advised(), expected);
}

#[test]
fn cards_that_nothing_uses_are_offered() {
    let advised = Box { cards: 2, ..Box::default() }.advised();
    only(
        &advised,
        "it uses 1 of 2 cards, and nothing else uses the rest",
        "tensor parallelism over 2: weights and KV cache are shared by all of them",
    );
    assert_eq!(Box { cards: 2, options: vec![("--tensor-parallel-size", "2")], ..Box::default() }.advised(), []);
}

#[test]
fn ollama_that_turns_requests_away_is_told_the_price_of_more() {
    let busy = Box { kind: EngineKind::Ollama, overloads: 2.0, context: Some(4_096), ..Box::default() };
    let busy = Box { each: [4.0, 1.0, 1_900.0, 900.0, 7_000.0], ..busy };
    only(&busy.advised(), "60 requests were turned away with OLLAMA_NUM_PARALLEL 1", "2: 512 MiB more of KV cache");
}
