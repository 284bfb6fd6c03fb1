//! Shows every check something that it must refuse, and something like it that it must not.

use std::collections::HashSet;

use super::rules::{self, Violation};
use super::tree::Source;
use super::{Exception, LAYERS, except, names};

fn source(module: &[&str], text: &str) -> Source {
    Source::parse("snippet.rs", module, text)
}

fn crates() -> HashSet<String> {
    let names =
        ["std", "core", "jiff", "ratatui", "bollard", "tokio", "rustix", "regex", "crossterm", "serde", "futures_util"];
    names.map(str::to_owned).into()
}

/// The lines at which the layer table is broken.
fn broken(module: &[&str], text: &str) -> Vec<usize> {
    lines(&layers(&source(module, text)))
}

fn layers(source: &Source) -> Vec<Violation> {
    rules::layers(source, &names::of(source, &crates()), LAYERS)
}

fn lines(violations: &[Violation]) -> Vec<usize> {
    violations.iter().map(|violation| violation.line).collect()
}

#[track_caller]
fn refused(module: &[&str], text: &str) {
    assert_eq!(broken(module, text), [1], "{text}");
}

#[track_caller]
fn allowed(module: &[&str], text: &str) {
    assert_eq!(broken(module, text), [0_usize; 0], "{text}");
}

#[test]
fn a_layer_cannot_be_named_from_below() {
    refused(&["domain"], "use crate::store::State;");
    refused(&["store", "logs"], "use crate::{domain::Moment, host::{Clock as Time}};");
    refused(&["checks"], "fn look() { crate::host::Clock::start(); }");
    refused(&["host"], "pub struct Held(Option<crate::store::State>);");
    refused(&["ui"], "impl crate::sources::Source for Ui {}");
    refused(&["report"], "pub(crate) use hostler::runtime::observe;");
    refused(&["sources", "demo"], "fn f() -> impl Iterator<Item = crate::ui::Intent> { None.into_iter() }");
    allowed(&["store"], "use crate::domain::{Moment, units};");
    allowed(&["ui", "tabs"], "use super::theme::Role; use crate::store::State; use crate::ui::list;");
    allowed(&["runtime"], "use crate::{checks, domain, host, sources, store, ui};");
}

#[test]
fn super_is_followed_out_of_the_layer() {
    refused(&["ui"], "use super::sources::SOURCES;");
    refused(&["ui", "tabs", "gpu"], "use super::super::super::host::Clock;");
    refused(&["store"], "mod inner { use super::super::host; }");
    refused(&["domain"], "use self::super::store;");
    allowed(&["ui", "tabs", "gpu"], "use super::super::theme::Role;");
    allowed(&["store"], "mod inner { use super::State; use super::super::domain::Moment; }");
}

#[test]
fn the_root_of_the_crate_cannot_be_named() {
    refused(&["ui"], "use crate as all;");
    refused(&["ui"], "use super::*;");
    refused(&["ui"], "use crate::{self as all};");
    assert_eq!(broken(&["ui"], "use crate as all;\nfn f() { all::host::Clock::start(); }"), [1, 2]);
}

#[test]
fn an_alias_hides_nothing() {
    assert_eq!(broken(&["store"], "use jiff::Timestamp;\nfn now() { Timestamp::now(); }"), [2]);
    assert_eq!(broken(&["store"], "use jiff::Timestamp as Wall;\nfn now() { let f = Wall::now; }"), [2]);
    let text = "use tokio as t;\nuse t::net as n;\nfn f() { n::TcpStream::connect(1); }";
    assert_eq!(broken(&["sources"], text), [2, 3]);
    assert_eq!(broken(&["sources"], "use std::time;\nfn f() { time::Instant::now(); }"), [2]);
}

#[test]
fn other_crates_belong_to_their_layers() {
    refused(&["sources"], "use bollard::Docker;");
    refused(&["engines"], "fn f(_: reqwest::Client, _: bollard::Docker) {}");
    refused(&["store"], "use ratatui::layout::Rect;");
    refused(&["domain"], "use tokio::sync::mpsc;");
    refused(&["checks"], "fn f() { ::regex::Regex::new(\"\"); }");
    refused(&["ui"], "use crossterm::terminal::enable_raw_mode;");
    refused(&["cli"], "use rustix::fs::stat;");
    allowed(&["host"], "use bollard::Docker;");
    allowed(&["ui"], "use crossterm::event::KeyCode;");
    // A variable, a field and a method may be called as a crate is.
    allowed(&["domain"], "fn f(regex: u8) -> u8 { let tokio = S { regex }; tokio.regex.bollard() }");
    // So may a module.
    allowed(&["domain"], "mod regex { pub fn f() {} } fn g() { regex::f(); }");
}

#[test]
fn what_touches_the_machine_must_be_granted_by_name() {
    refused(&["domain"], "use std::fs;");
    refused(&["sources"], "use std::fs::File;");
    refused(&["sources"], "fn f() { std::thread::spawn(|| {}); }");
    refused(&["engines"], "use std::net::{IpAddr, TcpStream};");
    refused(&["engines"], "use std::net::*;");
    refused(&["engines"], "fn f() { std::process::Command::new(\"true\"); }");
    refused(&["history"], "use std::process::Command;");
    refused(&["ui"], "fn f() { std::env::var(\"HOME\").ok(); }");
    refused(&["report"], "fn f() { std::io::stdout(); }");
    refused(&["sources"], "use tokio::net::TcpStream;");
    refused(&["sources"], "use tokio::time::{Instant, sleep}; use std::time::SystemTime;");
    refused(&["runtime"], "use tokio::{process, sync};");
    refused(&["runtime"], "fn f() { jiff::Timestamp::now(); }");
    allowed(&["engines"], "use std::net::{IpAddr, SocketAddr};");
    refused(&["history"], "use std::process::*;");
    assert_eq!(
        broken(&["history"], "use std::process;\nfn f() { process::id(); process::Command::new(\"true\"); }"),
        [2]
    );
    allowed(&["history"], "fn f() { std::process::id(); }");
    allowed(&["sources"], "use tokio::time::{Instant, sleep};");
    allowed(&["host"], "use std::fs::File; fn f() { jiff::Timestamp::now(); }");
    allowed(&["runtime"], "use tokio::{signal, sync};");
}

#[test]
fn macros_and_attributes_are_looked_through() {
    refused(&["store"], "fn f() { vec![crate::host::Clock::start()]; }");
    refused(&["ui"], "fn f() { println!(\"{}\", { std::fs::read(\"x\").len() }); }");
    refused(&["report"], "fn f() { tokio::select! { _ = x => {} } }");
    refused(&["checks"], "#[derive(Debug, ratatui::Thing)] struct A;");
    refused(&["store"], "macro_rules! clock { () => { crate::host::Clock } }");
    allowed(&["store"], "fn f() { matches!(x, crate::domain::Reading::Known(_)); }");
}

#[test]
fn what_only_tests_see_is_left_out() {
    allowed(&["store"], "#[cfg(test)] mod tests { use crate::host::Clock; }");
    allowed(&["store"], "impl State { #[cfg(test)] fn f() { std::fs::read(\"x\"); } }");
    refused(&["store"], "#[cfg(not(test))] mod real { use crate::host::Clock; }");
}

#[test]
fn other_crates_are_not_handed_on() {
    refused(&["host"], "pub use bollard::Docker;");
    allowed(&["host"], "pub(super) use bollard::Docker;");
    allowed(&["host"], "pub use std::net::SocketAddr;");
}

#[test]
fn a_module_without_a_layer_is_told() {
    refused(&["helpers"], "pub fn help() {}");
}

#[test]
fn pure_layers_cannot_await() {
    let found = |module: &[&str], text: &str| lines(&rules::impure(&source(module, text), LAYERS));
    assert_eq!(found(&["store"], "async fn f() {}"), [1]);
    assert_eq!(found(&["domain"], "fn f() {\n  let later = async { 1 };\n}"), [2]);
    assert_eq!(found(&["ui"], "fn f() {\n  let later = async |x: u8| x;\n}"), [2]);
    assert_eq!(found(&["checks"], "fn f() {\n  m!(x.await);\n}"), [2]);
    assert_eq!(found(&["report"], "trait T {\n  async fn f();\n}"), [2]);
    assert_eq!(found(&["sources"], "async fn f() { g().await }"), [0_usize; 0]);
    assert_eq!(found(&["store"], "#[cfg(test)] mod tests { async fn f() {} }"), [0_usize; 0]);
}

#[test]
fn the_state_is_changed_by_the_store_alone() {
    let found = |module: &[&str], text: &str| lines(&rules::impure(&source(module, text), LAYERS));
    assert_eq!(found(&["ui"], "fn draw(state: &mut State) {}"), [1]);
    assert_eq!(found(&["checks"], "struct A<'a> {\n  state: &'a mut crate::store::State,\n}"), [2]);
    assert_eq!(found(&["ui"], "fn draw(state: &State, ui: &mut Ui) {}"), [0_usize; 0]);
    assert_eq!(found(&["store"], "fn apply(state: &mut State) {}"), [0_usize; 0]);
}

#[test]
fn words_are_found_wherever_they_stand() {
    let found = |text: &str, words: &[&str]| {
        let source = source(&["ui"], text);
        lines(&rules::words(&source, &names::of(&source, &crates()), words))
    };
    assert_eq!(found("use ratatui::style::{Color, Style};", &["Color"]), [1]);
    assert_eq!(found("use ratatui::style;\nfn f() { style::Color::Red; }", &["Color"]), [2]);
    assert_eq!(found("use ratatui::style::Color as Paint;\nfn f() { Paint::Red; }", &["Color"]), [1, 2]);
    assert_eq!(found("struct A(std::sync::Arc<std::sync::Mutex<u8>>);", &["Mutex"]), [1]);
    assert_eq!(found("use ratatui::style::Style; enum Look { Colour }", &["Color"]), [0_usize; 0]);
}

#[test]
fn an_exception_that_covers_nothing_is_told() {
    let exception = Exception { path: "snippet.rs", name: "bollard", why: "a test" };
    let check = |text: &str| except(layers(&source(&["sources"], text)), std::slice::from_ref(&exception));
    assert!(check("use bollard::Docker;").is_empty());
    assert_eq!(lines(&check("use bollard::Docker; use ratatui::layout::Rect;")), [1]);
    assert!(check("pub fn f() {}")[0].what.contains("can go"));
}

#[test]
fn lints_are_let_off_with_a_reason() {
    let found = |text: &str| lines(&rules::reasons(&source(&["ui"], text)));
    assert_eq!(found("#[allow(dead_code)] fn f() {}"), [1]);
    assert_eq!(found("fn f() {\n  #[expect(clippy::unwrap_used)]\n  let x = 1;\n}"), [2]);
    assert_eq!(found("#![allow(unused)]"), [1]);
    assert_eq!(found("#[cfg_attr(test, allow(dead_code))] struct A;"), [1]);
    assert_eq!(found("#[allow(dead_code, reason = \"a test\")] fn f() {}"), [0_usize; 0]);
    assert_eq!(found("#[cfg_attr(test, expect(dead_code, reason = \"a test\"))] struct A;"), [0_usize; 0]);
    assert_eq!(found("#[warn(dead_code)] fn f() {}"), [0_usize; 0]);
}

#[test]
fn files_end_and_open_with_their_purpose() {
    let long = source(&["ui"], &"// a line\n".repeat(601));
    assert!(rules::length(&long, 600).is_some());
    assert!(rules::length(&long, 601).is_none());
    assert!(rules::purpose(&long).is_some());
    assert!(rules::purpose(&source(&["ui"], "//! What it is for.\n")).is_none());
}
