//! Advice about inference servers and models, each with its arithmetic: what a setting costs, and what another one would.
//!
//! Nothing here is a fault. It is said only where the numbers are there: from counters, from the options a server was started
//! with, and from the shape of its model on disk.

use super::{OnCards, Performance, State, Window};
use crate::domain::{
    Counter, Endpoint, Engine, EngineKind, MemoryNeed, ModelRef, Residency, Spread, StoredModel, kv_bits, units,
    weights_bytes,
};

/// One piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Advice {
    /// The server that it is about.
    pub endpoint: Endpoint,
    /// What is so.
    pub what: String,
    /// What to change, with the arithmetic.
    pub change: String,
}

/// Of fewer requests nothing is advised.
const REQUESTS: u64 = 20;

/// Weights of more bits than this were not quantized.
const UNQUANTIZED: f64 = 15.0;

/// Bits a weight of `Q4_K_M`, measured over whole files (llama.cpp: `tools/quantize/README.md`).
const Q4_K_M: f64 = 4.89;

impl State {
    /// All advice about one server.
    pub fn tuning(&self, engine: &Engine) -> Vec<Advice> {
        let case = Case::of(self, engine);
        let of_models = case
            .loaded()
            .into_iter()
            .flat_map(|(model, stored)| [case.context(model, stored), Case::quantization(stored)]);
        let of_server = [
            case.one_by_one(),
            case.long_prompts(),
            case.prefix_cache(),
            case.kv_type(),
            case.utilization(),
            case.cards(),
            case.parallel(),
        ];
        let texts = of_models.chain(of_server).flatten();
        texts.map(|(what, change)| Advice { endpoint: engine.endpoint.clone(), what, change }).collect()
    }
}

/// Where the memory of a server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MemorySplit {
    /// The weights of what it has loaded.
    pub weights_bytes: u64,
    /// The cache of keys and values, where it can be worked out.
    pub kv_bytes: Option<u64>,
    /// The rest: buffers, graphs, the driver's context.
    pub other_bytes: u64,
    /// So many conversations of so many tokens have room in the cache.
    pub conversations: Option<(u64, u64)>,
}

impl MemorySplit {
    /// All of it.
    pub fn total_bytes(&self) -> u64 {
        self.weights_bytes + self.kv_bytes.unwrap_or(0) + self.other_bytes
    }
}

impl State {
    /// Where the video memory of a server's processes goes; `None` where neither that nor its models' size is known.
    pub fn memory_split(&self, engine: &Engine) -> Option<MemorySplit> {
        let case = Case::of(self, engine);
        let models = engine.models.known()?;
        let loaded: Vec<&ModelRef> =
            models.iter().filter(|model| matches!(model.residency, Residency::Loaded { .. })).collect();
        let weights = |model: &&ModelRef| {
            let stored = self.stored_of(engine, model).and_then(|stored| stored.weights.known());
            stored.map(|weights| weights.tensor_bytes).or(model.size_bytes)
        };
        let weights_bytes = loaded.iter().map(weights).sum::<Option<u64>>().filter(|bytes| *bytes > 0)?;
        let all = case.on.memory_bytes?;
        let kv_bytes = case.kv_bytes(&loaded).filter(|bytes| *bytes <= all.saturating_sub(weights_bytes));
        Some(MemorySplit {
            weights_bytes,
            kv_bytes,
            other_bytes: all.saturating_sub(weights_bytes).saturating_sub(kv_bytes.unwrap_or(0)),
            conversations: case.conversations(),
        })
    }
}

type Said = Option<(String, String)>;

/// One server and what is known of it.
struct Case<'a> {
    state: &'a State,
    engine: &'a Engine,
    seen: Option<&'a Performance>,
    on: OnCards<'a>,
}

impl<'a> Case<'a> {
    fn of(state: &'a State, engine: &'a Engine) -> Self {
        let seen = state.measures.of(&engine.endpoint, Window::Quarter);
        Self { state, engine, seen, on: state.on_cards(engine) }
    }

    /// Bytes of its cache: by what it says that it holds, else by the contexts of what it has loaded.
    fn kv_bytes(&self, loaded: &[&ModelRef]) -> Option<u64> {
        let shape = |model: &ModelRef| self.state.stored_of(self.engine, model)?.weights.known()?.shape.as_ref();
        let kv = kv_bits(self.kv_word());
        if let (Some(tokens), [only]) = (self.engine.kv_cache_tokens.get(), loaded) {
            return Some((shape(only)?.kv_bytes_per_token(kv.bits) * tokens as f64) as u64);
        }
        let of = |model: &&ModelRef| {
            let need = MemoryNeed::of(0, shape(model)?, model.context_tokens?, self.parallel_slots(), kv);
            Some(need.kv_bytes)
        };
        loaded.iter().map(of).sum()
    }

    /// How many conversations as long as most have room in its cache.
    fn conversations(&self) -> Option<(u64, u64)> {
        let tokens = self.engine.kv_cache_tokens.get()?;
        let long = self.quantile(Spread::PromptLength, 0.95)?.max(1.0) as u64;
        Some((tokens / long, long)).filter(|(count, _)| *count > 0)
    }

    /// Its models in memory whose files are known.
    fn loaded(&self) -> Vec<(&'a ModelRef, &'a StoredModel)> {
        let models = self.engine.models.known().map_or(&[][..], Vec::as_slice);
        let loaded = models.iter().filter(|model| matches!(model.residency, Residency::Loaded { .. }));
        loaded.filter_map(|model| Some((model, self.state.stored_of(self.engine, model)?))).collect()
    }

    fn option(&self, names: &[&str]) -> Option<&str> {
        let options = self.engine.options.known()?;
        options.iter().find(|option| names.contains(&&*option.name))?.value.as_deref()
    }

    fn number(&self, names: &[&str]) -> Option<f64> {
        self.option(names)?.parse().ok()
    }

    /// A quantile, if there were enough requests to tell.
    fn quantile(&self, spread: Spread, share: f64) -> Option<f64> {
        let seen = self.seen.filter(|seen| seen.values(spread) >= REQUESTS)?;
        seen.quantile(spread, share)
    }

    fn parallel_slots(&self) -> u64 {
        let names = ["OLLAMA_NUM_PARALLEL", "--parallel", "-np", "LLAMA_ARG_N_PARALLEL"];
        self.number(&names).map_or(1, |slots| slots.clamp(1.0, 1024.0) as u64)
    }

    fn kv_word(&self) -> Option<&str> {
        self.option(&["OLLAMA_KV_CACHE_TYPE", "--cache-type-k", "-ctk", "LLAMA_ARG_CACHE_TYPE_K", "--kv-cache-dtype"])
    }

    /// A context that is much longer than what is sent, where the cache is allocated for all of it.
    fn context(&self, model: &ModelRef, stored: &StoredModel) -> Said {
        let allocates = matches!(self.engine.kind, EngineKind::Ollama | EngineKind::LlamaCpp);
        let (tokens, used) = (model.context_tokens.filter(|_| allocates)?, self.quantile(Spread::PromptLength, 0.99)?);
        // Room for an answer of the same length, rounded up.
        let enough = ((used * 2.0) as u64).max(2_048).next_power_of_two();
        if enough * 2 > tokens {
            return None;
        }
        let (kv, parallel, shape) =
            (kv_bits(self.kv_word()), self.parallel_slots(), stored.weights.known()?.shape.as_ref()?);
        let need = |tokens| MemoryNeed::of(0, shape, tokens, parallel, kv).kv_bytes;
        let option = if self.engine.kind == EngineKind::Ollama { "num_ctx" } else { "--ctx-size" };
        Some((
            format!("{} loads a context of {tokens} tokens, prompts use {used:.0} (p99)", model.name),
            format!(
                "{option} {enough}: {} instead of {} of KV cache",
                units::bytes(need(enough)),
                units::bytes(need(tokens))
            ),
        ))
    }

    /// Weights as they were trained, where a quarter of the bits would do.
    fn quantization(stored: &StoredModel) -> Said {
        let weights = stored.weights.known()?;
        let (bits, parameters) = (weights.bits_per_weight.get()?, weights.parameters.get()?);
        // Small models lose more, and give little.
        if bits < UNQUANTIZED || parameters < 3_000_000_000 {
            return None;
        }
        let quantized = weights_bytes(parameters, Q4_K_M);
        Some((
            format!("{} has {bits:.1} bits a weight: {}", stored.name, units::bytes(weights.tensor_bytes)),
            format!(
                "Q4_K_M: {} ({:.1} times smaller), at a few per cent of quality: evaluate it first",
                units::bytes(quantized),
                weights.tensor_bytes as f64 / quantized.max(1) as f64
            ),
        ))
    }

    /// How many requests it works on at once, on average: arrivals times duration (Little's law).
    fn concurrency(&self) -> Option<f64> {
        let seen = self.seen.filter(|seen| seen.seconds > 60.0 && seen.values(Spread::EndToEnd) >= REQUESTS)?;
        Some(seen.mean(Spread::EndToEnd)? * seen.values(Spread::EndToEnd) as f64 / seen.seconds)
    }

    /// Requests that follow each other without pause where a batch would cost little more.
    fn one_by_one(&self) -> Said {
        let batches = matches!(self.engine.kind, EngineKind::Vllm | EngineKind::Tgi | EngineKind::Sglang);
        let concurrency = self.concurrency().filter(|_| batches)?;
        let rate = self.seen?.rate(Counter::GeneratedTokens)?;
        (0.8..=1.15).contains(&concurrency).then(|| {
            (
                format!("requests come one after the other: {concurrency:.1} at once, {rate:.0} tokens/s"),
                "send several at once: its batching gives two to three times the tokens for offline work".to_owned(),
            )
        })
    }

    /// Whole conversations that are sent again with every turn.
    fn long_prompts(&self) -> Said {
        let (long, seen) = (self.quantile(Spread::PromptLength, 0.95)?, self.seen?);
        let (prompts, generated) = (seen.count(Counter::PromptTokens)?, seen.count(Counter::GeneratedTokens)?);
        let ratio = prompts / generated.max(1.0);
        (long >= 4_000.0 && ratio >= 20.0).then(|| {
            (
                format!("prompts of {long:.0} tokens (p95), {ratio:.0} for each generated"),
                "summarise or truncate the history instead of sending all of it at every turn".to_owned(),
            )
        })
    }

    fn prefix_cache(&self) -> Said {
        let (ratio, long) = (self.seen?.prefix_hit_ratio()?, self.quantile(Spread::PromptLength, 0.5)?);
        (ratio < 0.1 && long >= 500.0).then(|| {
            (
                format!("the prefix cache finds {} of prompt tokens", units::percent(ratio)),
                "what is the same in every prompt first, what changes (time, names) last".to_owned(),
            )
        })
    }

    fn kv_type(&self) -> Said {
        let (used, tokens) = (self.engine.kv_cache_used_ratio.get()?, self.engine.kv_cache_tokens.get()?);
        (used >= 0.8 && kv_bits(self.kv_word()).bits > 8.5).then(|| {
            (
                format!("its KV cache of {tokens} tokens is {} full", units::percent(used)),
                format!("--kv-cache-dtype fp8: {} tokens in the same memory", tokens * 2),
            )
        })
    }

    /// Memory of the card that vLLM was told to leave alone.
    fn utilization(&self) -> Said {
        let share = self.number(&["--gpu-memory-utilization"]).filter(|_| self.engine.kind == EngineKind::Vllm)?;
        let [card] = self.on.cards.as_slice() else { return None };
        let memory = card.memory.get()?;
        let free = memory.total_bytes.saturating_sub(memory.used_bytes);
        let more = (0.92 - share) * memory.total_bytes as f64;
        let used = self.engine.kv_cache_used_ratio.get()?;
        (used >= 0.8 && more > 0.03 * memory.total_bytes as f64 && free as f64 > more).then(|| {
            (
                format!("--gpu-memory-utilization {share} leaves {} of gpu{} unused", units::bytes(free), card.index),
                format!("0.92: {} more for the KV cache", units::bytes(more as u64)),
            )
        })
    }

    fn cards(&self) -> Said {
        let option = ["--tensor-parallel-size", "-tp", "--tp-size", "--tp", "--num-shard", "NUM_SHARD"];
        let shards = self.number(&option).unwrap_or(1.0) as usize;
        let batches = matches!(self.engine.kind, EngineKind::Vllm | EngineKind::Tgi | EngineKind::Sglang);
        let all = self.state.gpus.get()?.gpus.len();
        let rows = self.state.gpu_rows();
        let idle = self.state.gpus.get()?.gpus.iter().filter(|gpu| rows.iter().all(|row| row.gpu.index != gpu.index));
        let idle = idle.count();
        (batches && shards + idle == all && idle > 0 && !self.on.cards.is_empty()).then(|| {
            (
                format!("it uses {shards} of {all} cards, and nothing else uses the rest"),
                format!("tensor parallelism over {all}: weights and KV cache are shared by all of them"),
            )
        })
    }

    /// Requests that were turned away while one slot worked.
    fn parallel(&self) -> Said {
        let overloads = self.seen?.count(Counter::Overloads).filter(|count| *count > 0.0)?;
        let slots = self.parallel_slots();
        let (model, stored) = self.loaded().into_iter().next().filter(|_| self.engine.kind == EngineKind::Ollama)?;
        let need = MemoryNeed::of(
            0,
            stored.weights.known()?.shape.as_ref()?,
            model.context_tokens?,
            1,
            kv_bits(self.kv_word()),
        );
        Some((
            format!("{overloads:.0} requests were turned away with OLLAMA_NUM_PARALLEL {slots}"),
            format!("{}: {} more of KV cache", slots * 2, units::bytes(need.kv_bytes * slots)),
        ))
    }
}

#[cfg(test)]
mod tests;
