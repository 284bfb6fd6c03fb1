#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use super::*;
use crate::domain::{ContainerId, EngineKind, Histogram, LogSubject, Reading, Why};
use crate::make::{engine, moment};

/// A server that has counted so much.
fn counting(tally: Tally) -> Engine {
    Engine { tally: Reading::Known(tally.into()), ..engine(EngineKind::Vllm, 8000) }
}

fn tally(requests: f64, faults: f64) -> Tally {
    let mut tally = Tally::default();
    tally.add(Counter::Requests, requests);
    tally.add(Counter::Faults, faults);
    tally
}

/// vLLM's bounds of its end-to-end latency, seconds (`vllm/v1/metrics/loggers.py`, 0.33).
const BOUNDS: &[f64] = &[
    0.3,
    0.5,
    0.8,
    1.0,
    1.5,
    2.0,
    2.5,
    5.0,
    10.0,
    15.0,
    20.0,
    30.0,
    40.0,
    50.0,
    60.0,
    120.0,
    240.0,
    480.0,
    960.0,
    1920.0,
    7680.0,
    f64::INFINITY,
];

fn histogram(values: &[f64]) -> Histogram {
    let at_most = |bound: f64| values.iter().filter(|value| **value <= bound).count() as f64;
    let buckets = BOUNDS.iter().map(|bound| (*bound, at_most(*bound))).collect();
    Histogram::new(buckets, Some(values.iter().sum())).unwrap()
}

/// What was measured after looks at these seconds.
fn over(looks: impl IntoIterator<Item = (u64, Tally)>) -> Option<Performance> {
    let mut measures = Measures::default();
    for (second, tally) in looks {
        measures.sampled(&[counting(tally)], moment(second));
    }
    measures.of(&engine(EngineKind::Vllm, 8000).endpoint, Window::Quarter).cloned()
}

#[test]
fn only_differences_count_and_the_time_between_them() {
    assert!(over([(0, tally(1_000.0, 500.0))]).is_none(), "what was before is no measure of now");
    let seen = over([(0, tally(1_000.0, 500.0)), (5, tally(1_010.0, 501.0)), (20, tally(1_040.0, 502.0))]).unwrap();
    assert_eq!(
        (seen.count(Counter::Requests), seen.count(Counter::Faults), seen.seconds),
        (Some(40.0), Some(2.0), 20.0)
    );
    assert_eq!((seen.rate(Counter::Requests), seen.error_ratio()), (Some(2.0), Some(0.05)));
    assert_eq!(seen.count(Counter::PromptTokens), None, "it does not tell");
}

#[test]
fn a_restart_counts_nothing_and_what_follows_does() {
    let seen = over([(0, tally(1_000.0, 9.0)), (5, tally(3.0, 1.0)), (10, tally(5.0, 1.0))]).unwrap();
    assert_eq!((seen.count(Counter::Requests), seen.count(Counter::Faults), seen.seconds), (Some(2.0), Some(0.0), 5.0));
}

#[test]
fn a_gap_belongs_to_no_time() {
    let seen = over([(0, tally(0.0, 0.0)), (61, tally(900.0, 0.0)), (66, tally(905.0, 0.0))]).unwrap();
    assert_eq!((seen.count(Counter::Requests), seen.seconds), (Some(5.0), 5.0));
}

#[test]
fn a_window_forgets() {
    let mut measures = Measures::default();
    for step in 0..=400 {
        let engine = counting(tally(step as f64, 0.0));
        measures.sampled(&[engine], moment(step * 5));
    }
    let endpoint = engine(EngineKind::Vllm, 8000).endpoint;
    let of = |measures: &Measures, window| measures.of(&endpoint, window).cloned();
    let quarter = of(&measures, Window::Quarter).unwrap();
    assert_eq!(quarter.count(Counter::Requests), Some(179.0), "59 slots and the begun one");
    assert!((50.0..=65.0).contains(&of(&measures, Window::Minute).unwrap().seconds));
    let silent = Engine { tally: Reading::Unavailable(Why::NOT_SUPPORTED), ..engine(EngineKind::Vllm, 8000) };
    measures.sampled(&[silent], moment(4_000));
    assert!(of(&measures, Window::Quarter).is_none(), "nothing within the window");
    measures.sampled(&[], moment(4_001));
    assert!(measures.0.is_empty(), "the server is gone");
}

#[test]
fn failures_without_answers_are_requests() {
    let seen = over([(0, tally(5.0, 0.0)), (5, tally(5.0, 30.0))]).unwrap();
    assert_eq!((seen.requests(), seen.error_ratio()), (Some(30.0), Some(1.0)));
}

#[test]
fn other_buckets_begin_anew() {
    let with = |histogram| {
        let mut tally = tally(0.0, 0.0);
        tally.put(Spread::EndToEnd, histogram);
        tally
    };
    let other = Histogram::new(vec![(1.0, 50.0), (f64::INFINITY, 50.0)], Some(9.0)).unwrap();
    let more = Histogram::new(vec![(1.0, 51.0), (f64::INFINITY, 51.0)], Some(9.5)).unwrap();
    let seen = over([(0, with(histogram(&[]))), (5, with(other)), (10, with(more))]).unwrap();
    assert_eq!(seen.values(Spread::EndToEnd), 1);
    assert!((seen.quantile(Spread::EndToEnd, 0.5).unwrap() - 0.5).abs() < 0.01);
}

#[test]
fn a_log_counts_what_no_counter_does() {
    let mut measures = Measures::default();
    let server = LogSubject::Container(ContainerId::from("a"));
    let request = |outcome, seconds: f64| LoggedRequest {
        server: server.clone(),
        outcome,
        first_token_seconds: None,
        end_to_end_seconds: Some(seconds).filter(|seconds| *seconds > 0.0),
        prompt_tokens: None,
        generated_tokens: None,
    };
    let endpoint = engine(EngineKind::Ollama, 11_434).endpoint;
    for (second, outcome, seconds) in [
        (0, RequestOutcome::Answered, 2.0),
        (10, RequestOutcome::Failed, 0.0),
        (20, RequestOutcome::Answered, 4.0),
        (20, RequestOutcome::BrokeOff, 0.0),
        (30, RequestOutcome::Overload, 0.0),
        (40, RequestOutcome::CallersMistake, 0.0),
    ] {
        measures.logged(&endpoint, EngineKind::Ollama, &request(outcome, seconds), moment(second));
    }
    // What it says of itself is a wait, not a reason to forget.
    let silent = Engine { tally: Reading::Unavailable(Why::NOT_SUPPORTED), ..engine(EngineKind::Ollama, 11_434) };
    measures.sampled(&[silent], moment(100));
    let seen = measures.of(&endpoint, Window::Quarter).unwrap();
    let counts = [Counter::Requests, Counter::Faults, Counter::Overloads].map(|counter| seen.count(counter));
    assert_eq!((counts, seen.seconds), ([Some(3.0), Some(2.0), Some(1.0)], 100.0));
    assert!((seen.quantile(Spread::EndToEnd, 0.95).unwrap() / 4.0 - 1.0).abs() <= 0.02);
}

#[test]
fn times_in_a_log_are_requests_unless_ollama_passes_them_on() {
    let timed = LoggedRequest {
        server: LogSubject::Container(ContainerId::from("a")),
        outcome: RequestOutcome::Timed,
        first_token_seconds: Some(0.2),
        end_to_end_seconds: Some(3.0),
        prompt_tokens: Some(38),
        generated_tokens: Some(160),
    };
    let seen = |kind| {
        let (mut measures, server) = (Measures::default(), engine(kind, 8000));
        measures.logged(&server.endpoint, kind, &timed, moment(1));
        measures.sampled(std::slice::from_ref(&server), moment(2));
        measures.of(&server.endpoint, Window::Minute).cloned().unwrap()
    };
    let (llama, ollama) = (seen(EngineKind::LlamaCpp), seen(EngineKind::Ollama));
    assert_eq!(
        (llama.count(Counter::Requests), llama.count(Counter::Faults)),
        (Some(1.0), None),
        "faults are not told"
    );
    assert_eq!((ollama.count(Counter::Requests), ollama.values(Spread::EndToEnd)), (None, 0));
    assert_eq!((llama.values(Spread::EndToEnd), llama.values(Spread::FirstToken)), (1, 1));
    assert_eq!((ollama.values(Spread::FirstToken), ollama.count(Counter::GeneratedTokens)), (1, Some(160.0)));
}

/// The value that a client calls the 95th of 100.
fn exact(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// Numbers between 0 and 1, the same for the same seed (`splitmix64`, Steele, Lea, Flood 2014).
fn uniform(seed: u64) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    })
}

/// How far median and 95th of 100 are from those of the clients, the best first: log-normal latencies of many medians, so many
/// requests between two looks.
fn errors(a_look: usize) -> Vec<f64> {
    let mut errors = Vec::new();
    for case in 0..60_u64 {
        let median = 0.3 * 1.05_f64.powf(case as f64);
        let numbers: Vec<f64> = uniform(case).take(800).collect();
        let normal = |pair: &[f64]| (-2.0 * pair[0].max(1e-9).ln()).sqrt() * (std::f64::consts::TAU * pair[1]).cos();
        let values: Vec<f64> = numbers.chunks(2).map(|pair| median * (0.4 * normal(pair)).exp()).collect();
        let looks = (0..=values.len().div_ceil(a_look)).map(|look| {
            let until = (look * a_look).min(values.len());
            let mut tally = tally(until as f64, 0.0);
            tally.put(Spread::EndToEnd, histogram(&values[..until]));
            (look as u64 * 2, tally)
        });
        let seen = over(looks).unwrap();
        for share in [0.5, 0.95] {
            errors.push((seen.quantile(Spread::EndToEnd, share).unwrap() / exact(&values, share) - 1.0).abs());
        }
    }
    errors.sort_by(f64::total_cmp);
    errors
}

/// vLLM's bounds lie up to 100 % apart.
#[test]
fn percentiles_are_those_that_the_clients_saw() {
    let alone = errors(1);
    assert!(alone[alone.len() - 1] < 0.015, "one request between two looks: {alone:?}");
    for a_look in 2..=5 {
        let errors = errors(a_look);
        let (half, most, worst) = (errors[60], errors[96], errors[119]);
        assert!(half < 0.04 && most < 0.07 && worst < 0.18, "{a_look} between two looks: {half} {most} {worst}");
    }
}
