//! Holds the README to the program: its tables follow from the registries, its examples can be read, its links lead
//! somewhere. What a table should say is told when it does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command as Program;

use hostler::checks::{CHECKS, RULES};
use hostler::cli::Exit;
use hostler::config::{Config, TEMPLATE};
use hostler::domain::Verdict;
use hostler::sources::SOURCES;
use hostler::ui::command::Context;
use hostler::ui::keymap::Keymap;
use hostler::ui::theme::BUILTIN;
use strum::IntoEnumIterator;

use crate::architecture::LAYERS;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README's lines between its `heading` and the next one.
fn section(heading: &str) -> String {
    let readme = read("README.md");
    let mut lines = readme.lines().skip_while(|line| *line != heading);
    assert!(lines.next().is_some(), "the README has no section `{heading}`");
    lines.take_while(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
}

/// The cells of the table rows in `text`, without heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with('|')) {
        // The line below a head takes the head away.
        if line.starts_with("|---") { drop(rows.pop()) } else { rows.push(cells(line)) }
    }
    rows
}

/// The first cells of the rows, without the marks of code.
fn first_cells(text: &str) -> Vec<String> {
    rows(text).iter().map(|cells| cells[0].trim_matches('`').to_owned()).collect()
}

fn code(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    words.into_iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[test]
fn keys_are_those_of_the_keymap() {
    let keymap = Keymap::with([]).unwrap();
    for context in Context::iter() {
        let heading = match context {
            Context::Findings => "On a finding",
            other => other.title(),
        };
        let told = rows(&section(&format!("### {heading}"))).into_iter();
        let told: Vec<(String, String)> = told.map(|cells| (cells[0].clone(), cells[2].clone())).collect();
        let bound = keymap.iter().filter(|(command, _)| command.context() == context);
        let known: Vec<(String, String)> =
            bound.map(|(command, keys)| (code(keys.iter().map(ToString::to_string)), code([command.name()]))).collect();
        assert_eq!(told, known, "{heading}");
    }
}

#[test]
fn findings_are_those_of_the_rules() {
    let mut told = first_cells(&section("## Findings"));
    let mut known: Vec<String> = RULES.iter().map(|rule| rule.id.to_owned()).collect();
    told.sort();
    known.sort();
    assert_eq!(told, known);
}

#[test]
fn duties_that_tick_themselves_are_those_with_a_check() {
    let section = section("## Findings");
    let told: Vec<&str> = section.split('`').filter(|word| CHECKS.iter().any(|check| check.id == *word)).collect();
    assert_eq!(told, CHECKS.iter().map(|check| check.id).collect::<Vec<_>>());
}

#[test]
fn thresholds_have_the_defaults_of_the_config() {
    let thresholds = TEMPLATE.split("[thresholds]").nth(1).unwrap().split("\n[").next().unwrap();
    let settings = thresholds.lines().filter_map(|line| line.strip_prefix("# ")?.split_once(" = "));
    let known: Vec<(String, String)> =
        settings.map(|(name, default)| (code([name]), code([default.trim_matches('"')]))).collect();
    let told = rows(&section("## Configuration")).into_iter();
    let told: Vec<(String, String)> = told.map(|cells| (cells[0].clone(), cells[1].clone())).collect();
    assert_eq!(told, known);
}

#[test]
fn themes_are_those_that_are_built_in() {
    let names = BUILTIN.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    assert!(section("## Configuration").contains(&format!("**Themes**: {names};")), "{names}");
}

#[test]
fn examples_of_the_config_can_be_read() {
    let readme = read("README.md");
    let examples: Vec<&str> = readme.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        Config::parse(Path::new("README.md"), example).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}

#[test]
fn sources_are_those_of_the_registry() {
    let told = first_cells(&section("## What it reads, and what it needs"));
    let mut known: Vec<&str> = SOURCES.iter().map(|spec| spec.id.as_str()).collect();
    known.sort_unstable();
    let mut sorted = told.clone();
    sorted.sort();
    assert_eq!(sorted, known);
}

#[test]
fn commands_are_those_of_the_command_line() {
    let help = Program::new(env!("CARGO_BIN_EXE_hostler")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let known = help.split("\nCommands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    let known: Vec<String> = known.map(|line| format!("hostler {}", line.split_whitespace().next().unwrap())).collect();
    let told = first_cells(&section("## Commands"));
    let told: Vec<&String> = told.iter().filter(|cell| cell.starts_with("hostler ")).collect();
    assert_eq!(told, known.iter().collect::<Vec<_>>());
}

#[test]
fn every_exit_status_is_told() {
    let verdicts = [Verdict::Well, Verdict::Warning, Verdict::Critical, Verdict::Unknown].map(Exit::Verdict);
    let others = [Exit::Success, Exit::Failure, Exit::Refused, Exit::Usage, Exit::Config];
    let known: BTreeSet<u8> = verdicts.into_iter().chain(others).map(Exit::code).collect();
    let told: BTreeSet<u8> = first_cells(&section("## Commands")).iter().filter_map(|cell| cell.parse().ok()).collect();
    assert_eq!(told, known);
}

#[test]
fn layers_are_those_that_are_held() {
    let table = rows(&section("## How it is built"));
    for layer in LAYERS.iter().filter(|layer| layer.name != "main") {
        let name = code([layer.name]);
        let row = table.iter().find(|cells| cells[0] == name).unwrap_or_else(|| panic!("there is no row of {name}"));
        let said: BTreeSet<&str> =
            row[2].split('`').filter(|word| LAYERS.iter().any(|layer| layer.name == *word)).collect();
        let known: BTreeSet<&str> = layer.layers.iter().copied().collect();
        assert!(said == known || (row[2] == "all of them" && known.len() > 9), "{name}: {known:?}");
    }
}

#[test]
fn invariants_are_those_of_the_crate() {
    let invariants = |text: &str| {
        let mut found: Vec<String> = Vec::new();
        for line in text.lines().map(|line| line.trim_start_matches("//!").trim()) {
            match line.split_once(". ") {
                Some((number, rest)) if number.parse::<usize>() == Ok(found.len() + 1) => found.push(rest.to_owned()),
                _ if line.is_empty() || found.is_empty() => {}
                _ => found.last_mut().into_iter().for_each(|last| last.extend([" ", line])),
            }
        }
        found
    };
    let source = read("src/lib.rs");
    let stated = source.split("# Invariants").nth(1).unwrap().split("\n//! `tests").next().unwrap();
    let section = section("## How it is built");
    let told = section.split("What holds everywhere:").nth(1).unwrap().split("\n`tests").next().unwrap();
    assert_eq!(invariants(told), invariants(stated));
    assert_eq!(invariants(told).len(), 9);
}

#[test]
fn links_lead_somewhere() {
    let readme = read("README.md");
    let targets = readme.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
    for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "README.md links to {target}");
    }
}

#[test]
fn what_dashboards_and_rules_speak_of_is_told() {
    let words = |text: &str| -> BTreeSet<String> {
        let name = regex::Regex::new(r"([a-z][a-z0-9_]+)\s*\{").unwrap();
        name.captures_iter(text).map(|found| found[1].to_owned()).collect()
    };
    let dashboard: serde_json::Value = serde_json::from_str(include_str!("../../assets/grafana.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let exprs: String = targets.map(|target| target["expr"].as_str().unwrap()).collect::<Vec<_>>().join("\n");
    let rules = include_str!("../../assets/prometheus-rules.yml");
    let rules: String = rules.lines().filter(|line| line.contains("expr:")).collect();
    let told: BTreeSet<String> = &words(&exprs) | &words(&rules);
    assert!(told.len() > 20, "{told:?}");
    let known = |name: &str| hostler::domain::Metric::named(name).is_some() || ["finding", "up"].contains(&name);
    let unknown: Vec<&String> = told.iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
