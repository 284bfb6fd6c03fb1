//! Whether another model has room where a server runs: on the cards that it uses, or within its container's memory.

use std::time::Duration;

use tokio::time::timeout;

use crate::actions::Desk;
use crate::actions::target::{Target, env};
use crate::domain::{
    EngineKind, EngineOption, MemoryNeed, OVERHEAD_BYTES, StoredModel, bits_by_name, kv_bits, parameters_by_name,
    units, weights_bytes,
};
use crate::host::{NvmlLibrary, card_memories};
use crate::sources::engine_options;

/// How long the driver may take to tell of its cards.
const PATIENCE: Duration = Duration::from_secs(2);

/// Options that say how many tokens a server keeps at once.
const TOKENS: &[&str] = &[
    "--ctx-size",
    "-c",
    "LLAMA_ARG_CTX_SIZE",
    "--max-model-len",
    "--context-length",
    "--max-total-tokens",
    "MAX_TOTAL_TOKENS",
];

/// Options that say of what type its cache is.
const KV: &[&str] = &["--cache-type-k", "-ctk", "LLAMA_ARG_CACHE_TYPE_K", "--kv-cache-dtype", "KV_CACHE_DTYPE"];

/// Options that say over how many cards it divides a model; llama.cpp takes all that it sees.
const SHARDS: &[&str] = &["--tensor-parallel-size", "-tp", "--tp-size", "--tp", "--num-shard", "NUM_SHARD"];

/// The options with which a server in a container was started.
pub(super) fn options(target: &Target) -> Vec<EngineOption> {
    let list = |key: &str| {
        let words = target.raw.get("Config").and_then(|config| config.get(key)?.as_array());
        words.into_iter().flatten().filter_map(|word| word.as_str())
    };
    engine_options(list("Entrypoint").chain(list("Cmd")), env(&target.raw).into_iter())
}

/// The value of the first of these options.
pub(super) fn value<'a>(options: &'a [EngineOption], names: &[&str]) -> Option<&'a str> {
    options.iter().find(|option| names.contains(&&*option.name))?.value.as_deref()
}

/// What is to be said where a model does not fit, as a sentence with its arithmetic; `None` where it fits, or nothing is known.
pub(super) async fn lacking(
    desk: &Desk,
    (kind, target): (EngineKind, &Target),
    (name, stored): (&str, Option<&StoredModel>),
) -> Option<String> {
    let options = options(target);
    let number = |names: &[&str]| value(&options, names)?.parse::<u64>().ok();
    let weights = stored.and_then(|stored| stored.weights.known());
    let published = || Some(weights_bytes(parameters_by_name(name)?, bits_by_name(name)?));
    let bytes = weights.map(|weights| weights.tensor_bytes).or_else(published)?;
    let shape = weights.and_then(|weights| weights.shape.as_ref()).zip(number(TOKENS).filter(|tokens| *tokens > 0));
    let cache =
        shape.map(|(shape, tokens)| (MemoryNeed::of(bytes, shape, tokens, 1, kv_bits(value(&options, KV))), tokens));
    let kv = cache.map_or(0, |(need, _)| need.kv_bytes);
    // What a driver and its buffers take, they take on a card.
    let other = match cache {
        _ if !target.container.wants_gpu => 0,
        Some((need, _)) => need.other_bytes,
        None => OVERHEAD_BYTES,
    };
    let needed = bytes.saturating_add(kv).saturating_add(other);
    let (room, place) = if target.container.wants_gpu {
        let mut cards = cards(desk).await?;
        cards.sort_unstable_by(|a, b| b.cmp(a));
        let shards = match kind {
            EngineKind::LlamaCpp => cards.len(),
            _ => number(SHARDS).map_or(1, |shards| shards.clamp(1, 64) as usize),
        };
        let used = &cards[..shards.min(cards.len())];
        let place =
            if used.len() == 1 { "the largest card has".to_owned() } else { format!("{} cards have", used.len()) };
        (used.iter().sum(), place)
    } else {
        (target.container.memory_limit_bytes?, "its container may use".to_owned())
    };
    (needed > room).then(|| {
        let mut parts = vec![format!("{} of weights", units::bytes(bytes))];
        parts.extend(cache.map(|(_, tokens)| format!("{} of KV cache for {tokens} tokens", units::bytes(kv))));
        parts.extend((other > 0).then(|| format!("{} beside", units::bytes(other))));
        let (needed, parts, room) = (units::bytes(needed), parts.join(", "), units::bytes(room));
        format!("{name} does not fit: it needs about {needed} ({parts}), and {place} {room}")
    })
}

/// Bytes of memory of each card; `None` where the driver does not tell.
async fn cards(desk: &Desk) -> Option<Vec<u64>> {
    let library = NvmlLibrary::choose(desk.nvml_library.as_deref());
    let fs = desk.ports.fs.clone();
    let mut reader = desk.ports.nvml.reader(|| ());
    let read = timeout(PATIENCE, reader.read(move |()| card_memories(&library, &fs))).await;
    read.ok()?.ok()?.ok().filter(|cards| !cards.is_empty())
}
