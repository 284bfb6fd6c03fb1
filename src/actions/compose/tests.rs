//! Compose files with what their edit must be. Each fixture is a folder with a `compose.yaml` and, where it needs one, the
//! `.env` of the project (as `env`).

use proptest::prelude::*;

use super::tag::edit;
use super::*;

macro_rules! fixture {
    ($name:literal) => {
        fixture!($name, "")
    };
    ($name:literal, env) => {
        fixture!($name, include_str!(concat!("../../../tests/all/fixtures/compose/", $name, "/env")))
    };
    ($name:literal, $env:expr) => {
        files(include_str!(concat!("../../../tests/all/fixtures/compose/", $name, "/compose.yaml")), $env)
    };
}

fn files(compose: &str, env: &str) -> Files {
    let file = |path: &str, text: &str| vec![(path.to_owned(), text.to_owned())];
    Files { compose: file("compose.yaml", compose), env: file(".env", env) }
}

/// File, line, the line before and after.
fn edited(files: &Files, reference: &str, tag: &str) -> (String, usize, String, String) {
    let Edited { edit, .. } = edit(files, "app", reference, tag).unwrap();
    (edit.path, edit.line, edit.from, edit.to)
}

fn expected(path: &str, line: usize, from: &str, to: &str) -> (String, usize, String, String) {
    (path.to_owned(), line, from.to_owned(), to.to_owned())
}

const OLD: &str = "n8nio/n8n:1.100.0";

#[test]
fn an_image_that_stands_plainly_is_edited_where_it_stands() {
    let of = |files: &Files, reference: &str| edited(files, reference, "1.119.0");
    assert_eq!(
        of(&fixture!("plain"), OLD),
        expected(
            "compose.yaml",
            6,
            "    image: n8nio/n8n:1.100.0   # pinned, see the wiki",
            "    image: n8nio/n8n:1.119.0   # pinned, see the wiki"
        )
    );
    assert_eq!(
        of(&fixture!("quoted"), OLD),
        expected(
            "compose.yaml",
            4,
            "        \"image\":   \"n8nio/n8n:1.100.0\"",
            "        \"image\":   \"n8nio/n8n:1.119.0\""
        )
    );
    assert_eq!(
        of(&fixture!("single-quoted"), OLD),
        expected(
            "compose.yaml",
            3,
            "    image: 'n8nio/n8n:1.100.0' # a remark",
            "    image: 'n8nio/n8n:1.119.0' # a remark"
        )
    );
    assert_eq!(
        of(&fixture!("crlf"), OLD),
        expected("compose.yaml", 3, "    image: n8nio/n8n:1.100.0 # Größe", "    image: n8nio/n8n:1.119.0 # Größe")
    );
    assert_eq!(
        of(&fixture!("untagged"), "registry.example:5000/n8n"),
        expected(
            "compose.yaml",
            3,
            "    image: registry.example:5000/n8n",
            "    image: registry.example:5000/n8n:1.119.0"
        )
    );
    assert_eq!(of(&fixture!("port"), "registry.example:5000/n8n:1.100.0").1, 3);
    // Its own image holds, whatever it has from another part.
    assert_eq!(of(&fixture!("merge-with-own"), OLD).1, 7);
}

#[test]
fn a_variable_is_edited_where_it_is_set() {
    let of = |files: &Files, tag: &str| edited(files, OLD, tag);
    let compose =
        |from: &str, to: &str| expected("compose.yaml", 3, &format!("    image: {from}"), &format!("    image: {to}"));
    assert_eq!(
        of(&fixture!("default"), "1.119.0"),
        compose("n8nio/n8n:${N8N_VERSION:-1.100.0}", "n8nio/n8n:${N8N_VERSION:-1.119.0}")
    );
    assert_eq!(
        of(&fixture!("default-dash"), "1.119.0"),
        compose("\"${N8N_IMAGE-n8nio/n8n:1.100.0}\"", "\"${N8N_IMAGE-n8nio/n8n:1.119.0}\"")
    );
    assert_eq!(
        of(&fixture!("env-empty", env), "1.119.0"),
        compose("n8nio/n8n:${N8N_VERSION:-1.100.0}", "n8nio/n8n:${N8N_VERSION:-1.119.0}")
    );
    assert_eq!(
        of(&fixture!("env", env), "1.119.0"),
        expected(".env", 2, "N8N_VERSION=\"1.100.0\" # pinned", "N8N_VERSION=\"1.119.0\" # pinned")
    );
    assert_eq!(
        of(&fixture!("env-whole", env), "1.119.0"),
        expected(".env", 1, "export N8N_IMAGE=n8nio/n8n:1.100.0", "export N8N_IMAGE=n8nio/n8n:1.119.0")
    );
    assert_eq!(
        edited(&fixture!("tag-with-variable", env), "ghcr.io/n8n:v1.100.0-slim", "v1.119.0-slim"),
        expected(".env", 2, "N8N_VERSION=1.100.0", "N8N_VERSION=1.119.0")
    );
}

#[track_caller]
fn refused(files: &Files, reference: &str, words: &str) {
    let why = edit(files, "app", reference, "1.119.0").unwrap_err();
    assert!(why.contains(words) && why.starts_with("edit ") && why.contains(" by hand"), "{why}");
}

#[test]
fn what_others_may_use_is_left_to_a_person() {
    refused(&fixture!("merge"), OLD, "by `<<`");
    refused(&fixture!("extends"), OLD, "by `extends`");
    refused(&fixture!("anchor"), OLD, "the service by an anchor");
    refused(&fixture!("image-anchor"), OLD, "the image by an anchor");
    refused(&fixture!("image-alias"), OLD, "an alias");
    refused(&fixture!("flow"), OLD, "braces");
    refused(&fixture!("block-text"), OLD, "a block of lines");
    refused(&fixture!("two-documents"), OLD, "more than one document");
    refused(&fixture!("twice"), OLD, "twice");
    refused(&fixture!("broken"), OLD, "cannot be read");
}

#[test]
fn what_does_not_fit_is_left_to_a_person() {
    refused(&fixture!("other-image"), OLD, "it says n8nio/n8n:1.99.0");
    refused(&fixture!("from-shell"), OLD, "`N8N_VERSION` comes from the environment");
    refused(&fixture!("built"), OLD, "does not name the image");
    refused(&fixture!("tab"), OLD, "a tab");
    refused(&fixture!("env-part", env), "n8nio/n8n:1.100.0-slim", "several variables");
    refused(&fixture!("tag-with-variable", env), "ghcr.io/n8n:v1.100.0-slim", "`v…-slim`");
}

#[test]
fn the_last_file_that_names_the_image_is_edited() {
    let mut files = fixture!("plain");
    files.compose.push(("override.yaml".to_owned(), "services:\n  app:\n    image: n8nio/n8n:1.100.0\n".to_owned()));
    files.compose.push(("gpu.yaml".to_owned(), "services:\n  app:\n    gpus: all\n".to_owned()));
    let (path, line, ..) = edited(&files, OLD, "1.119.0");
    assert_eq!((&*path, line), ("override.yaml", 3));
}

#[test]
fn a_variable_of_several_services_is_told() {
    let compose = "services:\n  app:\n    image: a:${V}\n  worker:\n    image: b:$V\n  x:\n    image: c:${VX}\n";
    let shared = |compose: &str| edit(&files(compose, "V=1\n"), "app", "a:1", "2").unwrap().shared;
    assert_eq!(shared(compose), Some("V".to_owned()));
    assert_eq!(shared(&compose.replace("$V\n", "1\n")), None);
}

#[test]
fn a_tag_is_a_tag() {
    assert_eq!(with_tag("a/b:1", "2").unwrap(), "a/b:2");
    assert_eq!(with_tag("host:5000/b", "2").unwrap(), "host:5000/b:2");
    for tag in ["", "-x", ".x", "a:b", "a/b", "a b", "ü"] {
        assert!(with_tag("a", tag).unwrap_err().contains("no tag"), "{tag}");
    }
    assert!(with_tag("a@sha256:00", "2").unwrap_err().contains("pinned"));
}

proptest! {
    #[test]
    fn an_edit_changes_one_line_and_nothing_of_another_service(
        services in prop::collection::vec(("[a-z]{1,6}", "[a-z]{1,6}(/[a-z]{1,4})?", "[0-9.]{0,3}[0-9]", 0..4_usize, "( *#[ -~]{0,9})?"), 1..6),
        chosen in any::<prop::sample::Index>(),
        tag in "[a-z0-9_][a-zA-Z0-9_.-]{0,12}",
        crlf in any::<bool>(),
    ) {
        let mut text = String::from("# a project\nservices:\n");
        for (index, (name, image, version, style, remark)) in services.iter().enumerate() {
            let image = format!("{image}:{version}");
            let written = match style {
                0 => image,
                1 => format!("'{image}'"),
                2 => format!("\"{image}\""),
                _ => format!("${{TAG{index}:-{image}}}"),
            };
            let remark = if remark.is_empty() { String::new() } else { format!(" {remark}") };
            let service = format!("  {name}{index}:\n    restart: always\n    image: {written}{remark}\n\n");
            text += &service;
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let place = chosen.index(services.len());
        let (name, image, version, ..) = &services[place];
        let files = files(&text, "");
        let edit = edit(&files, &format!("{name}{place}"), &format!("{image}:{version}"), &tag).unwrap().edit;
        let after = edit.applied(&text).unwrap();
        let differ: Vec<usize> =
            text.split('\n').zip(after.split('\n')).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        let same = tag == *version;
        prop_assert_eq!(differ, if same { vec![] } else { vec![4 + 4 * place] });
        prop_assert_eq!(text.split('\n').count(), after.split('\n').count());
        prop_assert_eq!(text.matches('\r').count(), after.matches('\r').count());
        let back = LineEdit { from: edit.to.clone(), to: edit.from.clone(), ..edit };
        prop_assert_eq!(back.applied(&after).unwrap(), text);
    }
}
