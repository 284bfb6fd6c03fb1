use super::*;
use crate::domain::{GpuProcess, GpuProcessKind, Reading, Tally, Why};
use crate::make::{GIB, Script, engine, gpu};

/// vLLM that has counted so many requests, tokens and preemptions by each half minute of five minutes, as it is in the end.
fn after(step: [f64; 3], end: impl Fn(&mut Engine), cards: &[Gpu]) -> Bottleneck {
    let mut script = Script::new();
    for half_minute in 0..=10_u32 {
        let mut tally = Tally::default();
        let counters = [Counter::Requests, Counter::GeneratedTokens, Counter::Preemptions];
        for (counter, each) in counters.into_iter().zip(step) {
            tally.add(counter, each * f64::from(half_minute));
        }
        let mut server = Engine {
            tally: Reading::Known(tally.into()),
            pid: Some(7),
            models: Reading::Known(vec![loaded(None, None)]),
            ..engine(EngineKind::Vllm, 8000)
        };
        end(&mut server);
        script.at(u64::from(half_minute) * 30).gpus(cards.to_vec()).engines([server]);
    }
    let engine = &script.state.engines.get().unwrap().engines[0];
    script.state.bottleneck(engine)
}

fn loaded(memory_bytes: Option<u64>, vram_bytes: Option<u64>) -> ModelRef {
    let residency = Residency::Loaded { vram_bytes, until: None };
    ModelRef { name: "qwen3:32b".to_owned(), memory_bytes, residency, ..ModelRef::default() }
}

/// A card with the server's process on it.
fn card(compute: f64, bandwidth: f64) -> Gpu {
    let process = GpuProcess {
        pid: 7,
        name: Reading::Unavailable(Why::NOT_SUPPORTED),
        kind: GpuProcessKind::Compute,
        memory_used_bytes: Reading::Known(20 * GIB),
        sm_ratio: Reading::Unavailable(Why::NOT_SUPPORTED),
        container: None,
        parents: Vec::new(),
    };
    Gpu {
        compute_ratio: Reading::Known(compute),
        bandwidth_ratio: Reading::Known(bandwidth),
        processes: Reading::Known(vec![process]),
        ..gpu(0)
    }
}

fn requests(running: u64, waiting: u64) -> impl Fn(&mut Engine) {
    move |engine| {
        engine.requests_running = Reading::Known(running);
        engine.requests_waiting = Reading::Known(waiting);
    }
}

#[test]
fn a_server_that_runs_requests_and_tells_no_token_hangs() {
    let hung = after([0.0, 0.0, 0.0], requests(3, 0), &[card(1.0, 0.0)]);
    assert_eq!((hung.hold, hung.evidence), (Hold::Hung, vec!["3 running, no token for 60 s".to_owned()]));
    assert_ne!(after([0.0, 900.0, 0.0], requests(3, 0), &[]).hold, Hold::Hung);
}

#[test]
fn a_full_cache_starves_and_an_empty_one_makes_no_queue_its_own() {
    let with = |used: f64| {
        move |engine: &mut Engine| {
            requests(4, 5)(engine);
            engine.kv_cache_used_ratio = Reading::Known(used);
        }
    };
    let starved = after([9.0, 900.0, 0.0], with(0.97), &[]);
    assert_eq!(
        (starved.hold, starved.evidence),
        (Hold::KvStarved, vec!["KV cache 97% full".to_owned(), "5 wait".to_owned()])
    );
    let queue = after([9.0, 900.0, 0.0], with(0.4), &[]);
    assert_eq!(queue.hold, Hold::QueueBound);
    assert_eq!(queue.evidence[0], "5 wait while 4 run");
    assert_eq!(after([9.0, 900.0, 2.0], with(0.4), &[]).hold, Hold::KvStarved, "it preempts");
}

#[test]
fn a_model_partly_in_ram_spills() {
    let spilling = after(
        [9.0, 900.0, 0.0],
        |engine| {
            engine.kind = EngineKind::Ollama;
            engine.models = Reading::Known(vec![loaded(Some(20 * GIB), Some(17 * GIB))]);
        },
        &[],
    );
    assert_eq!(spilling.evidence, ["3.0 GiB of 20.0 GiB of qwen3:32b are in RAM"]);
    assert!(spilling.hold == Hold::Spilling && spilling.change.unwrap().contains("OLLAMA_KV_CACHE_TYPE"));
}

#[test]
fn the_cards_tell_what_a_busy_server_waits_for() {
    assert_eq!(after([9.0, 900.0, 0.0], requests(2, 0), &[card(0.9, 0.88)]).hold, Hold::Bandwidth);
    assert_eq!(after([9.0, 900.0, 0.0], requests(2, 0), &[card(0.97, 0.3)]).hold, Hold::Compute);
    let room = after([9.0, 900.0, 0.0], requests(1, 0), &[card(0.4, 0.3)]);
    assert_eq!((room.hold, room.evidence), (Hold::Room, vec!["30 tokens/s generated".to_owned()]));
    let hot = Gpu { throttle: Reading::Known(vec![ThrottleReason::HardwareThermal]), ..card(0.9, 0.88) };
    assert_eq!(after([9.0, 900.0, 0.0], requests(2, 0), &[hot]).hold, Hold::Throttled);
}

#[test]
fn a_server_that_nobody_asks_holds_memory() {
    let idle = after([0.0, 0.0, 0.0], requests(0, 0), &[card(0.0, 0.0)]);
    let expected = ["no request for 5 min", "holds 20.0 GiB of video memory"];
    assert_eq!((idle.hold, idle.evidence), (Hold::IdleLoaded, expected.map(str::to_owned).to_vec()));
    let empty = after([0.0, 0.0, 0.0], |engine| engine.models = Reading::Known(Vec::new()), &[]);
    assert_eq!(empty.hold, Hold::Idle);
}

#[test]
fn of_a_server_that_tells_nothing_nothing_is_told() {
    let mut script = Script::new();
    let silent =
        Engine { requests_running: Reading::Unavailable("it does not say".into()), ..engine(EngineKind::OpenAi, 1234) };
    script.at(0).engines([silent]);
    let found = script.state.bottleneck(&script.state.engines.get().unwrap().engines[0]);
    let why = "what it does is unavailable, because it does not say";
    assert_eq!((found.hold, found.evidence), (Hold::Untold, vec![why.to_owned()]));
}

#[test]
fn a_server_that_does_not_answer_or_loads_says_so() {
    let silent = |why: &'static str| {
        after(
            [0.0, 0.0, 0.0],
            move |engine| {
                engine.models = Reading::Unavailable(why.into());
                engine.requests_running = Reading::Unavailable(why.into());
            },
            &[],
        )
        .hold
    };
    assert_eq!((silent("no answer within 2 s"), silent("it loads its model")), (Hold::Silent, Hold::Loading));
}
