//! How an engine was started: the options on its command line, and the variables that its kind reads.
//!
//! The command line of every process may be read; its variables only by its own user and root. Of an engine behind a published
//! port the first process of its container is looked at. Whatever looks like a secret is masked here already.

use std::sync::Arc;

use crate::domain::{EngineOption, Reading, secret};
use crate::host::{RootedFs, foreign};

/// Options that are kept of one engine; the rest is left out.
const MOST: usize = 60;

/// Variables that tell how an engine works begin so, or are one of [`VARIABLES`].
const PREFIXES: &[&str] = &["OLLAMA_", "VLLM_", "LLAMA_ARG_", "SGLANG_", "LITELLM_"];

/// Further variables: those of cards, and of TGI, whose launcher reads each option from one.
const VARIABLES: &[&str] = &[
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "HF_HOME",
    "MODEL_ID",
    "NUM_SHARD",
    "QUANTIZE",
    "MAX_TOTAL_TOKENS",
    "MAX_INPUT_TOKENS",
    "MAX_BATCH_PREFILL_TOKENS",
    "MAX_BATCH_TOTAL_TOKENS",
    "MAX_CONCURRENT_REQUESTS",
    "CUDA_MEMORY_FRACTION",
    "KV_CACHE_DTYPE",
];

/// The options of a process.
pub(super) fn of_process(fs: &RootedFs, pid: u32) -> Reading<Arc<[EngineOption]>> {
    let words = match fs.read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        Err(error) => return Reading::Unavailable(crate::domain::Why::new(format!("its command line: {error}"))),
    };
    let variables = fs.read(format!("/proc/{pid}/environ")).unwrap_or_default();
    Reading::Known(engine_options(words.split_terminator('\0'), variables.split_terminator('\0')).into())
}

/// The options among the words of a command line and among variables (`NAME=value`), secrets masked.
pub fn engine_options<'a>(
    words: impl Iterator<Item = &'a str>,
    variables: impl Iterator<Item = &'a str>,
) -> Vec<EngineOption> {
    let mut options = of_words(words);
    options.extend(of_variables(variables));
    options.truncate(MOST);
    options
}

/// The options among the words of a command line: `--name value`, `--name=value`, `--switch`.
fn of_words<'a>(words: impl Iterator<Item = &'a str>) -> Vec<EngineOption> {
    let masked = secret::mask_words(words.take(MOST * 4));
    let mut options: Vec<EngineOption> = Vec::new();
    let mut open = false;
    for word in &masked {
        if is_option(word) {
            let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
            options.push(EngineOption { name: shown(name), value: value.map(shown) });
            open = value.is_none();
        } else if let Some(last) = options.last_mut().filter(|_| open) {
            // A list goes on: `--served-model-name a b`.
            last.value = Some(match &last.value {
                Some(before) => shown(&format!("{before} {word}")),
                None => shown(word),
            });
        }
    }
    options
}

/// A negative number is a value.
fn is_option(word: &str) -> bool {
    word.starts_with('-') && word.len() > 1 && word.parse::<f64>().is_err()
}

fn of_variables<'a>(variables: impl Iterator<Item = &'a str>) -> Vec<EngineOption> {
    let wanted = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || VARIABLES.contains(&name);
    let mut options: Vec<EngineOption> = variables
        .filter(|text| text.split_once('=').is_some_and(|(name, _)| wanted(name)))
        .map(secret::mask_assignment)
        .filter_map(|text| {
            let (name, value) = text.split_once('=')?;
            Some(EngineOption { name: shown(name), value: Some(shown(value)) })
        })
        .collect();
    options.sort_by(|a, b| a.name.cmp(&b.name));
    options
}

fn shown(text: &str) -> Arc<str> {
    foreign::name(text).into()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the test writes a tree of its own")]
mod tests {
    use super::*;

    fn told(options: &[EngineOption]) -> Vec<String> {
        let one = |option: &EngineOption| match &option.value {
            Some(value) => format!("{} {value}", option.name),
            None => option.name.to_string(),
        };
        options.iter().map(one).collect()
    }

    #[test]
    fn options_are_told_with_their_values_and_secrets_are_not() {
        let line = "vllm serve org/model --api-key sk-1234567890abcdef --max-model-len=8192 --enforce-eager -tp 2 \
                    --served-model-name a b --seed -1 --api-key=geheim";
        let expected = [
            "--api-key ***",
            "--max-model-len 8192",
            "--enforce-eager",
            "-tp 2",
            "--served-model-name a b",
            "--seed -1",
            "--api-key ***",
        ];
        assert_eq!(told(&of_words(line.split_whitespace())), expected);
        assert!(of_words("ollama serve".split_whitespace()).is_empty());
    }

    #[test]
    fn variables_of_engines_are_told_and_no_others() {
        let variables = [
            "OLLAMA_NUM_PARALLEL=4",
            "HOME=/root",
            "VLLM_API_KEY=geheim",
            "LLAMA_ARG_CTX_SIZE=8192",
            "DATABASE_URL=x",
            "OLLAMA_HOST",
        ];
        let expected = ["LLAMA_ARG_CTX_SIZE 8192", "OLLAMA_NUM_PARALLEL 4", "VLLM_API_KEY ***"];
        assert_eq!(told(&of_variables(variables.into_iter())), expected);
    }

    #[test]
    fn a_process_is_read_as_far_as_it_may_be() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/7")).unwrap();
        std::fs::write(root.path().join("proc/7/cmdline"), "llama-server\0--ctx-size\0\u{1b}[31m4096\0x\0").unwrap();
        let fs = RootedFs::new(root.path());
        let options = of_process(&fs, 7);
        assert_eq!(told(options.known().unwrap()), ["--ctx-size 4096 x"]);
        assert!(of_process(&fs, 8).why().unwrap().to_string().starts_with("its command line: "));
    }
}
