//! Whether a model fits a card: the arithmetic, all of it an estimate.

use super::{Gpu, Reading, Why};

/// What a server takes beside weights and context: buffers and the driver's context, bytes. It takes 0.3 to 1.5 GiB.
pub const OVERHEAD_BYTES: u64 = 3 << 29;

/// Bytes of the weights of a model of so many parameters at so many bits each.
pub fn weights_bytes(parameters: u64, bits_per_weight: f64) -> u64 {
    (parameters as f64 * bits_per_weight / 8.0) as u64
}

/// Whether weights of so many bytes fit the largest of `cards`, with [`OVERHEAD_BYTES`] beside them. Room for a context is
/// not counted.
pub fn fits(weights_bytes: u64, cards: &[Gpu]) -> Reading<bool> {
    match largest_memory(cards) {
        Some(largest) => Reading::Known(weights_bytes.saturating_add(OVERHEAD_BYTES) <= largest),
        None if cards.is_empty() => Reading::Unavailable(Why::from("there is no card")),
        None => Reading::Unavailable(Why::from("no card tells how much memory it has")),
    }
}

/// Bytes of video memory of the largest of `cards`; `None` where none tells.
pub fn largest_memory(cards: &[Gpu]) -> Option<u64> {
    cards.iter().filter_map(|card| card.memory.known()).map(|memory| memory.total_bytes).max()
}

/// Parameters as the name of a model says them: 32 milliards of `Qwen3-32B`, all eight parts of `Mixtral-8x7B`; `None` where
/// it does not.
pub fn parameters_by_name(name: &str) -> Option<u64> {
    name.split(['-', '_', '/', ':', ' ']).find_map(|part| {
        let part = part.to_ascii_lowercase();
        let (number, unit) =
            if let Some(number) = part.strip_suffix('b') { (number, 1e9) } else { (part.strip_suffix('m')?, 1e6) };
        let (times, number) = number.split_once('x').unwrap_or(("1", number));
        let plain = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        let count = times.parse::<u32>().ok().filter(|_| plain(number)).map(f64::from)? * number.parse::<f64>().ok()?;
        // No model has more: what says so means something else.
        (count > 0.0 && count * unit < 1e14).then_some((count * unit) as u64)
    })
}

/// Bits per weight as the name of a repository of safetensors says them: 16 where it says nothing; `None` of GGUF, where
/// one repository holds many.
pub fn bits_by_name(name: &str) -> Option<f64> {
    let name = name.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["gguf"]) {
        None
    } else if says(&["awq", "gptq", "4bit", "4-bit", "int4", "nvfp4", "mxfp4", "w4a16"]) {
        Some(4.25)
    } else if says(&["fp8", "8bit", "8-bit", "int8", "w8a8", "w8a16"]) {
        Some(8.0)
    } else {
        Some(16.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::gpu;

    fn card(gib: u64) -> Gpu {
        let mut card = gpu(0);
        if let Reading::Known(memory) = &mut card.memory {
            memory.total_bytes = gib << 30;
        }
        card
    }

    #[test]
    fn weights_and_overhead_must_fit_one_card() {
        let cards = [card(8), card(24)];
        let gib = |gib: f64| (gib * f64::from(1 << 30)) as u64;
        assert_eq!(fits(gib(22.5), &cards), Reading::Known(true));
        assert_eq!(fits(gib(22.5) + 1, &cards), Reading::Known(false));
        assert_eq!(fits(u64::MAX, &cards), Reading::Known(false));
        assert_eq!(fits(1, &[]).why().unwrap().to_string(), "there is no card");
        let dumb = Gpu { memory: Reading::Unavailable(Why::NOT_SUPPORTED), ..card(24) };
        assert!(fits(1, &[dumb]).why().is_some());
    }

    #[test]
    fn a_name_says_how_large_a_model_is() {
        for (name, parameters) in [
            ("Qwen/Qwen3-32B", Some(32_000_000_000)),
            ("meta-llama/Llama-3.2-1B-Instruct", Some(1_000_000_000)),
            ("Qwen/Qwen3-0.6B", Some(600_000_000)),
            ("mistralai/Mixtral-8x7B-v0.1", Some(56_000_000_000)),
            ("Qwen/Qwen3-30B-A3B", Some(30_000_000_000)),
            ("HuggingFaceTB/SmolLM2-135M", Some(135_000_000)),
            ("gpt2", None),
            ("mistralai/Devstral-web", None),
            ("a/infb-nanb", None),
            ("a/99999999999999999999b", None),
        ] {
            assert_eq!(parameters_by_name(name), parameters, "{name}");
        }
    }

    #[test]
    fn a_name_says_how_many_bits_a_weight_has() {
        assert_eq!(bits_by_name("Qwen/Qwen3-32B"), Some(16.0));
        assert_eq!(bits_by_name("Qwen/Qwen3-32B-FP8"), Some(8.0));
        assert_eq!(bits_by_name("Qwen/Qwen3-32B-AWQ"), Some(4.25));
        assert_eq!(bits_by_name("Qwen/Qwen3-32B-GGUF"), None);
        assert_eq!(weights_bytes(32_000_000_000, 4.25), 17_000_000_000);
    }
}
