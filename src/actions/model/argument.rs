//! Where the command line of an inference server, or its variables, name the model that it serves.

use serde_json::Value;

use crate::actions::compose::WordPart;
use crate::actions::target::env;
use crate::domain::{EngineKind, WordList};

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A file.
    File,
    /// A repository at Hugging Face.
    Repository,
    /// A repository, or a folder.
    Either,
}

/// What a server was told to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// Where it stands.
    pub(super) part: WordPart,
    /// The option, or the variable, by which it was told: `--model`, `serve`, `MODEL_ID`.
    pub(super) option: &'static str,
    pub(super) takes: Takes,
}

/// The options and the variables by which one kind of server is told what to serve.
struct Names {
    options: &'static [(&'static str, Takes)],
    variables: &'static [(&'static str, Takes)],
    /// A word after which the model stands without an option.
    before: Option<&'static str>,
}

/// Those of every kind that serves one model (each project's own documentation); `None` for those that serve many.
fn names(kind: EngineKind) -> Option<Names> {
    let (options, variables, before): (&[_], &[_], _) = match kind {
        EngineKind::Vllm => (&[("--model", Takes::Either)], &[], Some("serve")),
        EngineKind::Sglang => (&[("--model-path", Takes::Either), ("--model", Takes::Either)], &[], None),
        EngineKind::Tgi => (&[("--model-id", Takes::Either)], &[("MODEL_ID", Takes::Either)], None),
        EngineKind::LlamaCpp => (
            &[
                ("--model", Takes::File),
                ("-m", Takes::File),
                ("--hf-repo", Takes::Repository),
                ("-hf", Takes::Repository),
                ("-hfr", Takes::Repository),
            ],
            &[("LLAMA_ARG_MODEL", Takes::File), ("LLAMA_ARG_HF_REPO", Takes::Repository)],
            None,
        ),
        EngineKind::OpenAi => {
            let options = &[("--model", Takes::Either), ("--model-path", Takes::Either), ("--model-id", Takes::Either)];
            (options, &[], None)
        }
        EngineKind::Ollama | EngineKind::LiteLlm => return None,
    };
    Some(Names { options, variables, before })
}

/// Variables that entry scripts like to hand on. The server says whether this one does: it calls its model so.
const HANDED_ON: &[&str] = &["MODEL_ID", "MODEL", "MODEL_NAME", "MODEL_PATH"];

/// What a server of this kind, in the container of which the engine says `it`, was told to serve. `serves` tells whether it
/// calls a model so.
///
/// # Errors
/// Why that cannot be told, as a clause with the remedy.
pub(super) fn of(kind: EngineKind, it: &Value, serves: impl Fn(&str) -> bool) -> Result<Argument, String> {
    let names = names(kind).ok_or_else(|| format!("{} is not started with one model", kind.title()))?;
    let words = words(it);
    if let Some((_, _, script)) = words.iter().find(|(_, _, word)| is_script(word, &names)) {
        return Err(format!(
            "its model stands in a script (`{}`): give it to the server as words of its own",
            start(script)
        ));
    }
    let mut found: Vec<Argument> = (0..words.len()).filter_map(|at| argument(&words, at, &names)).collect();
    if found.is_empty() {
        found.extend(of_variables(it, &names, serves));
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => {
            let known: Vec<&str> = names.options.iter().chain(names.variables).map(|(name, _)| *name).collect();
            Err(format!(
                "its model is given by none of {}, but by another option, an entry script or the image: change it there",
                known.join(", ")
            ))
        }
        _ => {
            let told: Vec<&str> = found.iter().map(|argument| argument.option).collect();
            Err(format!("its model is given more than once ({}): leave one of them", told.join(", ")))
        }
    }
}

/// The words that a container was made with, each with its list and its place there.
fn words(it: &Value) -> Vec<(WordList, usize, &str)> {
    let list = |list: WordList| {
        let key: &str = list.into();
        let words = it.get("Config").and_then(|config| config.get(key)?.as_array()).into_iter().flatten();
        words.enumerate().filter_map(move |(index, word)| Some((list, index, word.as_str()?)))
    };
    list(WordList::Entrypoint).chain(list(WordList::Cmd)).collect()
}

/// A word that is a whole command line.
fn is_script(word: &str, names: &Names) -> bool {
    let mut words = word.split_whitespace();
    words.clone().count() > 1
        && words.any(|word| {
            let option = word.split('=').next().unwrap_or_default();
            names.options.iter().any(|(known, _)| *known == option) || names.before == Some(word)
        })
}

/// The argument whose option, or whose word before, stands at `at`.
fn argument(words: &[(WordList, usize, &str)], at: usize, names: &Names) -> Option<Argument> {
    let (list, index, word) = words[at];
    let value = |(list, index, word): (WordList, usize, &str)| {
        let part = WordPart { list, index, word: word.to_owned(), at: 0..word.len() };
        (!word.is_empty() && !word.starts_with('-')).then_some(part)
    };
    for (option, takes) in names.options {
        if word == *option {
            return Some(Argument { part: value(*words.get(at + 1)?)?, option, takes: *takes });
        }
        if let Some(given) = word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
            let part = WordPart { list, index, word: word.to_owned(), at: word.len() - given.len()..word.len() };
            return (!given.is_empty()).then_some(Argument { part, option, takes: *takes });
        }
    }
    let before = names.before.filter(|before| *before == word)?;
    Some(Argument { part: value(*words.get(at + 1)?)?, option: before, takes: Takes::Either })
}

fn of_variables<'a>(it: &'a Value, names: &'a Names, serves: impl Fn(&str) -> bool) -> Vec<Argument> {
    let handed_on = HANDED_ON.iter().map(|name| (*name, Takes::Either));
    let sure = names.variables.iter().copied().map(|known| (known, true));
    let known: Vec<_> = sure.chain(handed_on.map(|known| (known, false))).collect();
    let argument = |(index, word): (usize, &str)| {
        let (name, value) = word.split_once('=').filter(|(_, value)| !value.is_empty())?;
        let ((option, takes), _) =
            known.iter().find(|((known, _), is_sure)| *known == name && (*is_sure || serves(value)))?;
        let part = WordPart { list: WordList::Env, index, word: word.to_owned(), at: name.len() + 1..word.len() };
        Some(Argument { part, option, takes: *takes })
    };
    env(it).into_iter().enumerate().filter_map(argument).collect()
}

/// The beginning of a long word.
fn start(text: &str) -> String {
    let text = crate::host::foreign::name(text);
    let start: String = text.chars().take(40).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(kind: EngineKind, entry: &[&str], command: &[&str], env: &[&str]) -> Result<(String, String), String> {
        let it = json!({ "Config": { "Entrypoint": entry, "Cmd": command, "Env": env } });
        of(kind, &it, |name| name == "org/served").map(|it| (it.option.to_owned(), it.part.value().to_owned()))
    }

    #[test]
    fn every_way_to_name_a_model_is_known() {
        let found = |option: &str, value: &str| Ok((option.to_owned(), value.to_owned()));
        let python = ["python3", "-m", "vllm.entrypoints.openai.api_server"];
        let vllm = |entry: &[&str], command: &[&str]| told(EngineKind::Vllm, entry, command, &[]);
        assert_eq!(vllm(&python, &["--model", "a/b", "--port", "1"]), found("--model", "a/b"));
        assert_eq!(vllm(&python, &["--model=a/b"]), found("--model", "a/b"));
        assert_eq!(vllm(&["vllm", "serve"], &["a/b", "--port", "1"]), found("serve", "a/b"));
        assert_eq!(vllm(&[], &["vllm", "serve", "/models/a"]), found("serve", "/models/a"));
        let llama = |command: &[&str], env: &[&str]| told(EngineKind::LlamaCpp, &["/app/llama-server"], command, env);
        assert_eq!(llama(&["-m", "/m/a.gguf"], &[]), found("-m", "/m/a.gguf"));
        assert_eq!(llama(&["-hf", "a/b:Q4_K_M"], &[]), found("-hf", "a/b:Q4_K_M"));
        assert_eq!(llama(&["--port", "1"], &["LLAMA_ARG_MODEL=/m/a.gguf"]), found("LLAMA_ARG_MODEL", "/m/a.gguf"));
        assert_eq!(llama(&["-m", "/m/a.gguf"], &["LLAMA_ARG_MODEL=/m/b"]), found("-m", "/m/a.gguf"));
        assert_eq!(told(EngineKind::Sglang, &[], &["--model-path", "a/b"], &[]), found("--model-path", "a/b"));
        assert_eq!(told(EngineKind::Tgi, &["./entrypoint.sh"], &[], &["MODEL_ID=a/b"]), found("MODEL_ID", "a/b"));
    }

    #[test]
    fn what_cannot_be_told_is_refused_with_the_remedy() {
        let refused = |kind, command: &[&str], env: &[&str], part: &str| {
            let why = told(kind, &[], command, env).unwrap_err();
            assert!(why.contains(part), "{part} is not in {why}");
        };
        refused(EngineKind::Vllm, &["sh", "-c", "exec vllm serve a/b --port 1"], &[], "stands in a script");
        refused(EngineKind::Vllm, &["serve", "a/b", "--model", "c/d"], &[], "more than once (serve, --model)");
        refused(EngineKind::LlamaCpp, &["--models-dir", "/m"], &[], "another option, an entry script");
        refused(EngineKind::Vllm, &["/start.sh"], &["MODEL=org/other"], "an entry script");
        refused(EngineKind::LiteLlm, &["--model", "a"], &[], "not started with one model");
        // One that the server calls its own was handed on.
        let served = told(EngineKind::Vllm, &[], &["/start.sh"], &["MODEL=org/served"]);
        assert_eq!(served, Ok(("MODEL".to_owned(), "org/served".to_owned())));
    }
}
