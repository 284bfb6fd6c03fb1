//! Commands and variables as people write them, with what their edit must be.

use super::*;

fn files(compose: &str, env: &str) -> Files {
    let file = |path: &str, text: &str| vec![(path.to_owned(), text.to_owned())];
    Files { compose: file("compose.yaml", compose), env: file(".env", env) }
}

/// A service with these lines.
fn service(lines: &str) -> String {
    format!("# The lab.\nservices:\n  llm:\n    image: vllm/vllm-openai:v0.12.0 # pinned\n{lines}    restart: always\n")
}

/// The part of a command's word that says `value`.
fn command(index: usize, word: &str, value: &str) -> WordPart {
    let at = word.len() - value.len()..word.len();
    assert_eq!(&word[at.clone()], value);
    WordPart { list: WordList::Cmd, index, word: word.to_owned(), at }
}

fn variable(word: &str) -> WordPart {
    let at = word.find('=').unwrap() + 1..word.len();
    WordPart { list: WordList::Env, index: 3, word: word.to_owned(), at }
}

/// File, line, and the line after the edit; everything else stays byte for byte.
#[track_caller]
fn edited(files: &Files, part: &WordPart, new: &str) -> (String, usize, String) {
    let Edited { edit, .. } = super::edit(files, "llm", part, (new, "its model")).unwrap();
    let (_, text) = files.compose.iter().chain(&files.env).find(|(path, _)| *path == edit.path).unwrap();
    let after = edit.applied(text).unwrap();
    let differ = text.split('\n').zip(after.split('\n')).filter(|(before, after)| before != after).count();
    assert_eq!((differ, text.matches('\n').count()), (1, after.matches('\n').count()));
    (edit.path, edit.line, edit.to)
}

#[track_caller]
fn becomes(lines: &str, part: &WordPart, line: usize, to: &str) {
    let told = edited(&files(&service(lines), ""), part, "c/d");
    assert_eq!(told, ("compose.yaml".to_owned(), line, to.to_owned()), "{lines}");
}

#[test]
fn a_word_is_edited_however_the_command_is_written() {
    let model = command(1, "a/b", "a/b");
    becomes("    command: --model a/b --port 8000 # ours\n", &model, 5, "    command: --model c/d --port 8000 # ours");
    becomes("    command: \"--model a/b --port 8000\"\n", &model, 5, "    command: \"--model c/d --port 8000\"");
    becomes(
        "    command: [--model, a/b, \"--port\", \"8000\"]\n",
        &model,
        5,
        "    command: [--model, c/d, \"--port\", \"8000\"]",
    );
    becomes("    command: [\"--model\",\n      \"a/b\"]\n", &model, 6, "      \"c/d\"]");
    becomes("    command:\n      - --model\n      - 'a/b' # small\n", &model, 7, "      - 'c/d' # small");
    becomes("    command: >-\n      --model a/b\n      --port 8000\n", &model, 6, "      --model c/d");
    becomes("    command: |\n      --model\n      a/b\n\n      --port 8000\n", &model, 7, "      c/d");
    becomes("    command: --model\n      a/b\n      --port 8000\n", &model, 6, "      c/d");
}

#[test]
fn a_word_with_its_option_is_edited_behind_the_sign() {
    let model = command(0, "--model=a/b", "a/b");
    becomes("    command: --model=a/b --port 8000\n", &model, 5, "    command: --model=c/d --port 8000");
    becomes("    command: [\"--model=a/b\"]\n", &model, 5, "    command: [\"--model=c/d\"]");
    let positional = command(2, "a/b", "a/b");
    becomes("    command: vllm serve a/b --port 1\n", &positional, 5, "    command: vllm serve c/d --port 1");
    let part = WordPart { list: WordList::Entrypoint, ..positional };
    becomes("    entrypoint: [vllm, serve, a/b]\n", &part, 5, "    entrypoint: [vllm, serve, c/d]");
}

#[test]
fn a_variable_is_edited_where_its_value_stands() {
    let part = variable("MODEL_ID=a/b");
    becomes("    environment:\n      HF_HOME: /data\n      MODEL_ID: a/b\n", &part, 7, "      MODEL_ID: c/d");
    becomes("    environment:\n      - MODEL_ID=a/b # tgi\n", &part, 6, "      - MODEL_ID=c/d # tgi");
    becomes("    environment:\n      MODEL_ID: ${M:-a/b}\n", &part, 6, "      MODEL_ID: ${M:-c/d}");
    let of_env = files(&service("    environment: [\"MODEL_ID=${MODEL}\"]\n"), "# the model\nMODEL=\"a/b\"\n");
    assert_eq!(edited(&of_env, &part, "c/d"), (".env".to_owned(), 2, "MODEL=\"c/d\"".to_owned()));
}

#[test]
fn a_word_of_variables_is_edited_where_they_are_set() {
    let path = command(1, "/models/one.gguf", "/models/one.gguf");
    let lines = service("    command: -m /models/${NAME}.gguf ${MORE:-}\n");
    let of = |new: &str| edited(&files(&lines, "NAME=one\nMORE=\n"), &path, new);
    assert_eq!(of("/models/two.gguf"), (".env".to_owned(), 1, "NAME=two".to_owned()));
    let refused = |lines: &str, env: &str, new: &str, words: &str| {
        let why = super::edit(&files(&service(lines), env), "llm", &path, (new, "its model")).unwrap_err();
        assert!(why.starts_with("edit ") && why.contains(" by hand") && why.contains(words), "{why}");
    };
    refused(
        "    command: -m /models/${NAME}.gguf\n",
        "NAME=one\n",
        "/other/two.gguf",
        "which /other/two.gguf does not fit",
    );
    refused("    command: -m /models/${NAME}.gguf\n", "", "/models/two.gguf", "`NAME` comes from the environment");
    refused("    command: -m /models/two.gguf\n", "", "/models/two.gguf", "does not say so plainly");
    refused("    command: ${ALL}\n", "ALL=-m /models/one.gguf\n", "/models/two.gguf", "does not say so plainly");
    refused("", "", "/models/two.gguf", "an entry script");
    refused("    command: &c [-m, /models/one.gguf]\n", "", "/models/two.gguf", "by an anchor");
    refused("    command: sh -c 'x' && -m /models/one.gguf\n", "", "/models/two.gguf", "more than words");
    refused("    <<: *base\n", "", "/models/two.gguf", "cannot be read");
}

#[test]
fn a_word_behind_an_empty_variable_is_found() {
    let part = command(1, "a/b", "a/b");
    becomes("    command: ${MORE:-} --model a/b\n", &part, 5, "    command: ${MORE:-} --model c/d");
    let twice = files(&service("    command: ${MORE:-} --model a/b --tokenizer a/b\n"), "");
    assert!(super::edit(&twice, "llm", &part, ("c/d", "its model")).unwrap_err().contains("plainly"));
}

#[test]
fn the_last_file_that_gives_the_command_is_edited() {
    let mut files = files(&service("    command: --model x/y\n    environment: [A=1]\n"), "");
    files.compose.push(("over.yaml".to_owned(), "services:\n  llm:\n    command: [--model, a/b]\n".to_owned()));
    files.compose.push(("gpu.yaml".to_owned(), "services:\n  llm:\n    environment:\n      B: 2\n".to_owned()));
    assert_eq!(edited(&files, &command(1, "a/b", "a/b"), "c/d").0, "over.yaml");
    assert_eq!(edited(&files, &variable("A=1"), "2").0, "compose.yaml", "variables of all files hold");
}
