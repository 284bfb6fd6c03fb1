//! Holds the sources to the design: who may name whom, and what no file may do.
//!
//! [`LAYERS`] is the design's table as data: a layer is a top-level module, and what it may name stands in its line. A
//! file that needs something else is either in the wrong layer, or the design has changed; then this table and the README's
//! change with it. The checks are in `rules`, what a file names is found in `names`, and `snippets` shows each check
//! something that it must refuse.

mod names;
mod rules;
mod snippets;
mod tree;

use std::collections::{BTreeSet, HashSet};

use rules::Violation;
use tree::Source;

/// One layer: a top-level module, and everything that it may name beside itself and the harmless part of `std`.
pub(crate) struct Layer {
    /// The module.
    pub(crate) name: &'static str,
    /// The layers that it may name.
    pub(crate) layers: &'static [&'static str],
    /// The crates that it may name, or parts of them. What is [`GUARDED`] must be named itself.
    crates: &'static [&'static str],
    /// Nothing in it awaits, and what it sees of the store it only reads.
    pure: bool,
}

/// The layers, the inner ones first.
pub(crate) const LAYERS: &[Layer] = &[
    Layer { name: "domain", layers: &[], crates: &["jiff", "serde", "strum", "thiserror"], pure: true },
    Layer { name: "store", layers: &["domain"], crates: &["jiff"], pure: true },
    Layer {
        name: "checks",
        layers: &["domain", "store"],
        // The routine is a file that is built in: `toml` and `serde` read it.
        crates: &["jiff", "serde", "toml"],
        pure: true,
    },
    Layer {
        name: "host",
        layers: &["domain"],
        crates: &[
            "bollard",
            "futures_util",
            "jiff",
            "jiff::Timestamp::now",
            "nvml_wrapper",
            "procfs_core",
            "reqwest",
            "rustix",
            "serde",
            "serde_json",
            "std::env",
            "std::fs",
            "std::net",
            "std::os",
            "std::thread",
            "std::time::Instant",
            "sysinfo",
            "thiserror",
            "tokio",
            "tokio::net",
            "tracing",
            "vte",
        ],
        pure: false,
    },
    Layer {
        name: "engines",
        layers: &["domain", "host"],
        crates: &["futures_util", "jiff", "serde", "serde_json", "thiserror", "tokio::time"],
        pure: false,
    },
    Layer {
        name: "sources",
        layers: &["domain", "host", "engines"],
        crates: &[
            "futures_util",
            "jiff",
            "procfs_core",
            "serde",
            "serde_json",
            "tokio::join",
            "tokio::select",
            "tokio::sync",
            "tokio::task",
            "tokio::time",
            "tracing",
        ],
        pure: false,
    },
    Layer {
        name: "history",
        layers: &["domain", "host"],
        // hostler's own store: made and locked here, and never below a moved root.
        crates: &[
            "directories",
            "jiff",
            "rustix::fs",
            "rustix::io",
            "serde",
            "serde_json",
            "std::fs",
            "std::os::unix::fs",
            "std::process::id",
            "std::thread::sleep",
            "std::time::Instant",
            "thiserror",
        ],
        pure: false,
    },
    Layer {
        name: "ui",
        layers: &["domain", "store"],
        // Of crossterm only what keys and clicks are called.
        crates: &[
            "crossterm::event",
            "jiff",
            "ratatui",
            "regex",
            "serde",
            "strum",
            "thiserror",
            "toml",
            "tui_input",
            "unicode_width",
        ],
        pure: true,
    },
    Layer {
        name: "report",
        layers: &["domain", "store"],
        crates: &["jiff", "regex", "serde", "serde_json", "unicode_width"],
        pure: true,
    },
    // The composition root and its parts.
    Layer {
        name: "config",
        layers: &["domain", "host", "sources", "ui"],
        crates: &["directories", "jiff", "serde", "strsim", "strum", "toml", "unicode_width"],
        pure: false,
    },
    Layer {
        name: "terminal",
        layers: &["ui"],
        crates: &["crossterm", "ratatui", "rustix::event", "rustix::io", "rustix::stdio", "rustix::termios", "std::env"],
        pure: false,
    },
    Layer {
        name: "runtime",
        layers: &[
            "domain", "store", "checks", "host", "engines", "sources", "history", "ui", "report", "config", "terminal",
        ],
        crates: &[
            "anyhow",
            "crossterm::event",
            "futures_util",
            "jiff",
            "jiff::tz::TimeZone::system",
            "ratatui::layout",
            "rustix::process",
            "std::env",
            "strum",
            "tokio",
            "tokio::signal",
            "tracing",
            "tracing_appender",
            "tracing_subscriber",
        ],
        pure: false,
    },
    Layer {
        name: "cli",
        layers: &[
            "domain", "store", "checks", "host", "engines", "sources", "history", "ui", "report", "config", "terminal",
            "runtime",
        ],
        crates: &[
            "clap",
            "jiff",
            "jiff::tz::TimeZone::system",
            "rustix::process",
            "std::env",
            "std::io::IsTerminal",
            "std::io::stderr",
            "std::io::stdout",
            "std::process::ExitCode",
            "strum",
        ],
        pure: false,
    },
    // The program itself: hands the command line over.
    Layer { name: "main", layers: &["cli"], crates: &["std::env::args_os", "std::process::ExitCode"], pure: false },
];

/// Parts of crates that do something to the machine or ask it something: a layer may name them only by name, whatever
/// else of the crate it may.
const GUARDED: &[&str] = &[
    "jiff::Timestamp::now",
    "jiff::ZonedDateTime::now",
    "jiff::tz::TimeZone::system",
    "std::env",
    "std::fs",
    "std::io::IsTerminal",
    "std::io::stderr",
    "std::io::stdin",
    "std::io::stdout",
    "std::net::TcpListener",
    "std::net::TcpStream",
    "std::net::ToSocketAddrs",
    "std::net::UdpSocket",
    "std::os",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::fs",
    "tokio::io",
    "tokio::net",
    "tokio::process",
    "tokio::signal",
];

/// A file that may do what others may not, and why.
struct Exception {
    path: &'static str,
    /// What it names: a path, or a word.
    name: &'static str,
    /// Why it may.
    why: &'static str,
}

/// What single files name beyond their layer.
const EXCEPTIONS: &[Exception] = &[
    Exception {
        path: "src/sources/host.rs",
        name: "sysinfo",
        why: "it reads the live host's processors, memory and sensors, on the sampler's lane; no other file may",
    },
    Exception {
        path: "src/sources/host.rs",
        name: "std::thread::available_parallelism",
        why: "it counts processors and starts nothing",
    },
];

/// Colours are chosen by role: one file knows what a role looks like.
const COLOURS: &[Exception] =
    &[Exception { path: "src/ui/theme.rs", name: "Color", why: "it is where roles become colours" }];

/// Nothing shares state by locking it.
const LOCKS: &[Exception] = &[Exception {
    path: "src/sources/gpu.rs",
    name: "Mutex",
    why: "the open library stays known while a call hangs in it: locked on its lane alone, never by two at a time",
}];

/// The longest file.
const LONGEST: usize = 600;

/// The names of all other crates, as paths write them.
fn crates() -> HashSet<String> {
    let manifest: toml::Table = std::fs::read_to_string(tree::root().join("Cargo.toml")).unwrap().parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_"));
    dependencies.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}

/// Fails with every violation, one a line.
fn hold(violations: Vec<Violation>) {
    let lines: BTreeSet<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.into_iter().collect::<Vec<_>>().join("\n"));
}

/// The violations that no exception covers, and the exceptions that cover none.
fn except(violations: Vec<Violation>, exceptions: &[Exception]) -> Vec<Violation> {
    let covers = |except: &Exception, violation: &Violation| {
        let named = violation.what.strip_prefix('`').is_some_and(|what| what.starts_with(except.name));
        except.path == violation.path && named
    };
    let unused = exceptions.iter().filter(|except| !violations.iter().any(|violation| covers(except, violation)));
    let unused = unused.map(|except| Violation {
        path: except.path.to_owned(),
        line: 1,
        what: format!("`{}` is not named here any more: the exception ({}) can go", except.name, except.why),
    });
    let unused: Vec<Violation> = unused.collect();
    let left = violations.into_iter().filter(|violation| !exceptions.iter().any(|except| covers(except, violation)));
    left.chain(unused).collect()
}

fn of_every_file(check: impl Fn(&Source) -> Vec<Violation>) -> Vec<Violation> {
    tree::of_the_crate().iter().filter(|source| !source.test).flat_map(check).collect()
}

#[test]
fn every_layer_names_only_what_it_may() {
    let crates = crates();
    hold(except(of_every_file(|source| rules::layers(source, LAYERS, GUARDED, &crates)), EXCEPTIONS));
}

#[test]
fn pure_layers_never_await_and_never_change_the_state() {
    hold(of_every_file(|source| rules::impure(source, LAYERS)));
}

#[test]
fn only_the_theme_knows_colours() {
    let crates = crates();
    let words = ["Color", "Colors", "Stylize"];
    hold(except_words(&words, COLOURS, &crates));
}

#[test]
fn nothing_is_shared_under_a_lock() {
    let crates = crates();
    let words = ["Mutex", "RwLock", "ReentrantLock"];
    hold(except_words(&words, LOCKS, &crates));
}

/// Where `words` are named, apart from the files that may; and files that may and do not.
fn except_words(words: &[&str], exceptions: &[Exception], crates: &HashSet<String>) -> Vec<Violation> {
    let mut found = of_every_file(|source| rules::words(source, words, exceptions, crates));
    for source in tree::of_the_crate() {
        for except in exceptions.iter().filter(|except| except.path == source.path) {
            if rules::words(&source, &[except.name], &[], crates).is_empty() {
                let what = format!("`{}` is not named here any more: the exception ({}) can go", except.name, except.why);
                found.push(Violation { path: source.path.clone(), line: 1, what });
            }
        }
    }
    found
}

#[test]
fn files_are_short_and_say_why_a_lint_is_off() {
    let sources: Vec<Source> = tree::of_the_crate().into_iter().chain(tree::of_the_tests()).collect();
    let lengths = sources.iter().filter_map(|source| rules::length(source, LONGEST));
    let reasons = sources.iter().flat_map(rules::reasons);
    hold(lengths.chain(reasons).collect());
}

#[test]
fn every_module_opens_with_its_purpose() {
    hold(of_every_file(|source| rules::purpose(source).into_iter().collect()));
}

#[test]
fn every_file_belongs_to_the_crate() {
    let known: BTreeSet<String> = tree::of_the_crate().into_iter().map(|source| source.path).collect();
    let there: BTreeSet<String> = tree::rust_files("src").into_iter().collect();
    assert_eq!(there.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new(), "no module declares these");
}

#[test]
fn every_layer_of_the_table_is_there() {
    let modules: BTreeSet<String> =
        tree::of_the_crate().into_iter().filter_map(|source| source.module.into_iter().next()).collect();
    let layers: BTreeSet<String> = LAYERS.iter().map(|layer| layer.name.to_owned()).collect();
    assert_eq!(modules, layers);
    // Inner layers come first, so that the table has no circle.
    for (index, layer) in LAYERS.iter().enumerate() {
        for named in layer.layers {
            assert!(LAYERS[..index].iter().any(|inner| inner.name == *named), "{} names {named}, which stands below it", layer.name);
        }
    }
}
