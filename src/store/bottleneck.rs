//! What holds an inference server back, in one sentence with its evidence and what to change: worked out of what the server
//! counts and what its cards say.

use std::time::Duration;

use super::{OnCards, Performance, State, Window};
use crate::domain::{Counter, Engine, EngineKind, Gpu, ModelRef, Residency, Spread, ThrottleReason, Why, units};

/// What a server is held back by, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// It takes requests, and no token comes.
    #[strum(serialize = "hung")]
    Hung,
    /// It does not answer at all.
    #[strum(serialize = "silent")]
    Silent,
    /// It reads its weights.
    #[strum(serialize = "loading")]
    Loading,
    /// A part of its model lies in RAM.
    #[strum(serialize = "spilling to RAM")]
    Spilling,
    /// Its cards slow down.
    #[strum(serialize = "throttled")]
    Throttled,
    /// Its KV cache is full, and requests wait or lose their place for that.
    #[strum(serialize = "KV-starved")]
    KvStarved,
    /// Requests wait though there is room in the KV cache.
    #[strum(serialize = "queue-bound")]
    QueueBound,
    /// Decoding waits for the cards' memory.
    #[strum(serialize = "memory-bandwidth bound")]
    Bandwidth,
    /// The cards compute all the time.
    #[strum(serialize = "compute bound")]
    Compute,
    /// It holds memory, and nobody asks.
    #[strum(serialize = "idle but loaded")]
    IdleLoaded,
    /// Nothing does.
    #[strum(serialize = "has room")]
    Room,
    /// Nobody asks, and it holds nothing.
    #[strum(serialize = "idle")]
    Idle,
    /// Nothing tells what it does.
    #[strum(serialize = "not told")]
    Untold,
}

impl Hold {
    /// In a word or two.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Whether somebody should do something about it.
    pub fn is_trouble(self) -> bool {
        self <= Self::QueueBound && self != Self::Loading
    }
}

/// The sentence, its evidence and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bottleneck {
    /// What it is.
    pub hold: Hold,
    /// What shows it, a clause each.
    pub evidence: Vec<String>,
    /// What to change; `None` where there is nothing to.
    pub change: Option<String>,
}

/// Above this part a KV cache counts as full: vLLM and `SGLang` preempt shortly below the whole.
const FULL: f64 = 0.95;

impl State {
    /// What holds a server back now.
    pub fn bottleneck(&self, engine: &Engine) -> Bottleneck {
        let look = Look {
            engine,
            minute: self.measures.of(&engine.endpoint, Window::Minute),
            quarter: self.measures.of(&engine.endpoint, Window::Quarter),
            on: self.on_cards(engine),
        };
        let verdicts = [
            look.silent(),
            look.hung(),
            look.spilling(),
            look.throttled(),
            look.starved(),
            look.queueing(),
            look.busy(),
            look.idle(),
        ];
        verdicts.into_iter().flatten().next().unwrap_or_else(|| look.room())
    }
}

/// Everything that a verdict looks at.
struct Look<'a> {
    engine: &'a Engine,
    minute: Option<&'a Performance>,
    quarter: Option<&'a Performance>,
    on: OnCards<'a>,
}

fn say(hold: Hold, evidence: impl IntoIterator<Item = String>) -> Bottleneck {
    Bottleneck { hold, evidence: evidence.into_iter().collect(), change: None }
}

impl Bottleneck {
    fn change(self, change: impl Into<String>) -> Self {
        Self { change: Some(change.into()), ..self }
    }
}

impl Look<'_> {
    fn silent(&self) -> Option<Bottleneck> {
        let why = self.engine.models.why().filter(|_| self.engine.requests_running.known().is_none())?;
        Some(if *why == Why::LOADING {
            say(Hold::Loading, [why.to_string()])
        } else {
            say(Hold::Silent, [why.to_string()]).change("look at its log; restart it")
        })
    }

    fn hung(&self) -> Option<Bottleneck> {
        let running = self.running().filter(|running| *running > 0)?;
        let seen = self.minute.filter(|seen| seen.seconds >= Window::Minute.span().as_secs_f64() * 0.7)?;
        let tokens = seen.count(Counter::GeneratedTokens)? + seen.count(Counter::PromptTokens).unwrap_or(0.0);
        (tokens == 0.0 && seen.requests().unwrap_or(0.0) == 0.0).then(|| {
            say(Hold::Hung, [format!("{running} running, no token for {}", units::span(Window::Minute.span()))])
                .change("restart it; its log and the card's Xid say why")
        })
    }

    fn spilling(&self) -> Option<Bottleneck> {
        let spilled = |model: &ModelRef| match (model.memory_bytes, &model.residency) {
            (Some(all), Residency::Loaded { vram_bytes: Some(video), .. }) => all.checked_sub(*video),
            _ => None,
        };
        let (model, bytes) = self
            .models()
            .iter()
            .filter_map(|model| Some((model, spilled(model)?)))
            .max_by_key(|(_, bytes)| *bytes)
            .filter(|(_, bytes)| *bytes > 0)?;
        let all = model.memory_bytes.unwrap_or_default();
        let evidence = format!("{} of {} of {} are in RAM", units::bytes(bytes), units::bytes(all), model.name);
        Some(say(Hold::Spilling, [evidence]).change(if self.engine.kind == EngineKind::Ollama {
            "a smaller quantization or context, or OLLAMA_KV_CACHE_TYPE=q8_0"
        } else {
            "a smaller quantization or context"
        }))
    }

    fn throttled(&self) -> Option<Bottleneck> {
        let (card, reason) = self.on.cards.iter().find_map(|card| {
            let reason = card.throttle.known()?.iter().find(|reason| reason.is_alarm())?;
            Some((card, reason))
        })?;
        let heat = card.temperature_celsius.get().map(|celsius| format!("{celsius} °C"));
        let evidence = [Some(format!("gpu{} slows down: {reason}", card.index)), heat];
        Some(say(Hold::Throttled, evidence.into_iter().flatten()).change("better cooling, or a lower power limit"))
    }

    fn starved(&self) -> Option<Bottleneck> {
        let used = self.engine.kv_cache_used_ratio.get();
        let preempted = self.minute.and_then(|seen| seen.count(Counter::Preemptions)).unwrap_or(0.0);
        let full = used.is_some_and(|used| used >= FULL) && self.waiting() > 0;
        if preempted <= 0.0 && !full {
            return None;
        }
        let mut evidence: Vec<String> =
            used.map(|used| format!("KV cache {} full", units::percent(used))).into_iter().collect();
        if preempted > 0.0 {
            evidence.push(format!("{preempted:.0} preempted within {}", units::span(Window::Minute.span())));
        }
        if self.waiting() > 0 {
            evidence.push(format!("{} wait", self.waiting()));
        }
        Some(say(Hold::KvStarved, evidence).change(match self.engine.kind {
            EngineKind::Vllm => "--kv-cache-dtype fp8, a smaller --max-model-len, or more --gpu-memory-utilization",
            EngineKind::Sglang => "--kv-cache-dtype fp8_e5m2, or more --mem-fraction-static",
            _ => "a smaller context, or a KV cache of 8 bits",
        }))
    }

    fn queueing(&self) -> Option<Bottleneck> {
        let (running, waiting) = (self.running()?, self.waiting());
        if waiting == 0 {
            return None;
        }
        let mut evidence = vec![format!("{waiting} wait while {running} run")];
        let queued = self.minute.and_then(|seen| seen.quantile(Spread::Queue, 0.95));
        evidence.extend(queued.map(|seconds| format!("waits of {} (p95)", units::seconds(seconds))));
        let room = self.engine.kv_cache_used_ratio.get();
        evidence.extend(room.map(|used| format!("KV cache {} full", units::percent(used))));
        Some(say(Hold::QueueBound, evidence).change(match self.engine.kind {
            EngineKind::Ollama => "OLLAMA_NUM_PARALLEL up: each needs KV cache of its own",
            EngineKind::LlamaCpp => "--parallel up, with --ctx-size in proportion",
            EngineKind::Vllm => "--max-num-seqs up, or a second replica",
            EngineKind::Sglang => "--max-running-requests up, or a second replica",
            EngineKind::Tgi => "--max-batch-total-tokens up, or a second replica",
            EngineKind::LiteLlm | EngineKind::OpenAi => "more servers behind it",
        }))
    }

    /// What its cards wait for, while it works.
    fn busy(&self) -> Option<Bottleneck> {
        let works = self.running().is_some_and(|running| running > 0)
            || self.minute.and_then(|seen| seen.rate(Counter::GeneratedTokens)).unwrap_or(0.0) > 0.0;
        if !works {
            return None;
        }
        let most = |of: fn(&Gpu) -> Option<f64>| self.on.cards.iter().filter_map(|card| of(card)).reduce(f64::max);
        let (compute, bandwidth) = (most(|gpu| gpu.compute_ratio.get()), most(|gpu| gpu.bandwidth_ratio.get()));
        let capped = self
            .on
            .cards
            .iter()
            .any(|card| card.throttle.known().is_some_and(|reasons| reasons.contains(&ThrottleReason::PowerCap)));
        let (compute_share, bandwidth_share) = (compute.unwrap_or(0.0), bandwidth.unwrap_or(0.0));
        let mut evidence = Vec::new();
        evidence.extend(bandwidth.map(|ratio| format!("memory {} busy", units::percent(ratio))));
        evidence.extend(compute.map(|ratio| format!("compute {}", units::percent(ratio))));
        evidence.extend(self.rates());
        if bandwidth_share >= 0.75 && bandwidth_share >= compute_share * 0.8 {
            let change = "more requests at once cost it little; a smaller quantization makes each faster";
            return Some(say(Hold::Bandwidth, evidence).change(change));
        }
        (compute_share >= 0.9).then(|| {
            let change =
                if capped { "it is at its power limit" } else { "shorter prompts, prefix caching, or another card" };
            say(Hold::Compute, evidence).change(change)
        })
    }

    fn idle(&self) -> Option<Bottleneck> {
        if self.running().unwrap_or(0) > 0 || self.waiting() > 0 {
            return None;
        }
        let quiet = self.quarter.filter(|seen| {
            let tokens = seen.count(Counter::GeneratedTokens).or(seen.count(Counter::PromptTokens));
            seen.requests().or(tokens).is_some_and(|count| count == 0.0)
        })?;
        let time = Duration::from_secs_f64(quiet.seconds);
        let loaded = self.models().iter().any(|model| matches!(model.residency, Residency::Loaded { .. }));
        let evidence = format!("no request for {}", units::span(time));
        if !loaded || time < Duration::from_mins(5) {
            return Some(say(Hold::Idle, [evidence]));
        }
        let holds = self.on.memory_bytes.map(|bytes| format!("holds {} of video memory", units::bytes(bytes)));
        let change = match self.engine.kind {
            EngineKind::Ollama => "a shorter OLLAMA_KEEP_ALIVE gives it back",
            EngineKind::LlamaCpp => "--sleep-idle-seconds gives it back",
            _ => "stop it, if another could use the card",
        };
        Some(say(Hold::IdleLoaded, [Some(evidence), holds].into_iter().flatten()).change(change))
    }

    /// Nothing holds it back, as far as it tells anything.
    fn room(&self) -> Bottleneck {
        match (self.engine.requests_running.why(), self.minute) {
            (Some(why), None) => say(Hold::Untold, [format!("what it does is unavailable, because {why}")]),
            _ => say(Hold::Room, self.rates()),
        }
    }

    fn rates(&self) -> Vec<String> {
        let rate = |counter| self.minute.and_then(|seen| seen.rate(counter)).filter(|rate| *rate > 0.0);
        let words = [(Counter::GeneratedTokens, "generated"), (Counter::PromptTokens, "of prompts")];
        words.into_iter().filter_map(|(counter, word)| Some(format!("{:.0} tokens/s {word}", rate(counter)?))).collect()
    }

    fn running(&self) -> Option<u64> {
        self.engine.requests_running.get()
    }

    fn waiting(&self) -> u64 {
        self.engine.requests_waiting.get().unwrap_or(0)
    }

    fn models(&self) -> &[ModelRef] {
        self.engine.models.known().map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests;
