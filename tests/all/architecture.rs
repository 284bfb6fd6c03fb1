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
    /// The crates that it may name beside [`PLAIN`], or parts of them. What is [`GUARDED`] must be named itself.
    crates: &'static [&'static str],
    /// Nothing in it awaits, and what it sees of the store it only reads.
    pure: bool,
}

/// Crates of plain values, which every layer may name.
const PLAIN: &[&str] = &["jiff", "serde", "strum", "thiserror"];

/// The layers, the inner ones first.
pub(crate) const LAYERS: &[Layer] = &[
    // Sketches of how values are spread: plain arithmetic.
    Layer { name: "domain", layers: &[], crates: &["sketches_ddsketch"], pure: true },
    Layer { name: "store", layers: &["domain"], crates: &[], pure: true },
    Layer {
        name: "checks",
        layers: &["domain", "store"],
        // The routine is a file that is built in.
        crates: &["toml"],
        pure: true,
    },
    Layer {
        name: "host",
        layers: &["domain"],
        crates: &[
            "base64",
            "bollard",
            "futures_util",
            // What others may ask hostler.
            "http_body_util",
            "hyper",
            "hyper_util",
            "jiff::Timestamp::now",
            "nvml_wrapper",
            "procfs_core",
            "reqwest",
            "rustix",
            "rustls",
            "serde_json",
            "sha2",
            "std::env",
            "std::fs",
            "std::net",
            "std::os",
            // A worker is started, and programs that tell what only they know.
            "std::process::Child",
            "std::process::Command",
            "std::process::ExitStatus",
            "std::process::Stdio",
            "std::process::id",
            "std::thread",
            "std::time::Instant",
            "sysinfo",
            "tokio",
            "tokio::io",
            "tokio::net",
            "tokio::process",
            "tracing",
            "vte",
        ],
        pure: false,
    },
    Layer {
        name: "engines",
        layers: &["domain", "host"],
        crates: &["futures_util", "serde_json", "tokio::time"],
        pure: false,
    },
    Layer {
        name: "platforms",
        layers: &["domain", "host", "engines"],
        crates: &["futures_util", "serde_json"],
        pure: false,
    },
    Layer {
        name: "sources",
        layers: &["domain", "host", "engines", "platforms"],
        crates: &[
            "futures_util",
            "procfs_core",
            // The naming convention of models, and the files beside those that were fine-tuned.
            "regex",
            "serde_json",
            "tokio::join",
            "tokio::select",
            "tokio::sync",
            "tokio::task",
            "tokio::time",
            "toml",
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
            // What is measured over time: columns of numbers in a database.
            "pco",
            "rusqlite",
            "rustix::fs",
            "rustix::io",
            "serde_json",
            "std::fs",
            "std::os::unix::fs",
            "std::process::id",
            "std::thread::sleep",
            "std::time::Instant",
        ],
        pure: false,
    },
    Layer {
        name: "actions",
        layers: &["domain", "store", "host", "engines", "sources", "history"],
        crates: &[
            "futures_util",
            "saphyr_parser",
            "serde_json",
            "sha2",
            // What changes in a file, line by line.
            "similar",
            "strsim",
            "tar",
            "tokio::select",
            "tokio::sync",
            "tokio::time",
            "tracing",
        ],
        pure: false,
    },
    Layer { name: "alerts", layers: &["domain", "store", "host"], crates: &["serde_json"], pure: false },
    Layer {
        name: "ui",
        layers: &["domain", "store"],
        // Of crossterm only what keys and clicks are called.
        crates: &["crossterm::event", "ratatui", "regex", "toml", "tui_input", "unicode_width"],
        pure: true,
    },
    Layer {
        name: "report",
        layers: &["domain", "store"],
        crates: &["regex", "serde_json", "unicode_width"],
        pure: true,
    },
    // The composition root and its parts.
    Layer {
        name: "config",
        layers: &["domain", "checks", "host", "sources", "actions", "alerts", "ui"],
        crates: &["directories", "strsim", "toml", "unicode_width"],
        pure: false,
    },
    Layer {
        name: "terminal",
        layers: &["ui"],
        crates: &[
            "crossterm",
            "ratatui",
            "rustix::event",
            // The terminal is opened once more, to be written to without waiting.
            "rustix::fs",
            "rustix::io",
            "rustix::stdio",
            "rustix::termios",
            "std::env",
            "std::os::fd",
            // A panic of the thread that draws ends the process, after the terminal was given back.
            "std::process::exit",
            "std::thread::current",
            "tracing",
            "unicode_width",
        ],
        pure: false,
    },
    Layer {
        name: "runtime",
        layers: &[
            "domain",
            "store",
            "checks",
            "host",
            "engines",
            "platforms",
            "sources",
            "history",
            "actions",
            "alerts",
            "ui",
            "report",
            "config",
            "terminal",
        ],
        crates: &[
            "anyhow",
            "crossterm::event",
            "futures_util",
            "jiff::tz::TimeZone::system",
            "ratatui::layout",
            // A worker lets go of the terminal that it was started from.
            "rustix::fs",
            "rustix::io::Errno",
            "rustix::process",
            "rustix::stdio",
            "serde_json",
            "std::env",
            "std::io::stdin",
            "std::io::stdout",
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
            "domain",
            "store",
            "checks",
            "host",
            "engines",
            "platforms",
            "sources",
            "history",
            "actions",
            "alerts",
            "ui",
            "report",
            "config",
            "terminal",
            "runtime",
        ],
        crates: &[
            "clap",
            "jiff::tz::TimeZone::system",
            "rustix::process",
            "std::env",
            "std::io::IsTerminal",
            "std::io::stderr",
            "std::io::stdin",
            "std::io::stdout",
            "std::process::ExitCode",
            "tokio::time",
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

/// A file that may name what others may not, and why.
struct Exception {
    path: &'static str,
    /// How what it names ends, or begins: `Mutex`, `sysinfo`.
    name: &'static str,
    /// Why it may.
    why: &'static str,
}

/// What single files name beyond their layer.
const BEYOND: &[Exception] = &[
    Exception {
        path: "src/host/zone.rs",
        name: "jiff::tz::TimeZone::system",
        why: "what one file does not tell of the time zone is asked of the whole system",
    },
    Exception {
        path: "src/sources/host.rs",
        name: "sysinfo",
        why: "it reads the live host's processors, memory and sensors, on the sampler's lane",
    },
    Exception {
        path: "src/sources/host.rs",
        name: "std::thread::available_parallelism",
        why: "it counts processors and starts nothing",
    },
];

/// Widgets name roles; one file knows what a role looks like.
const COLOURS: &[&str] = &["Color", "Colors", "Stylize"];
const COLOURED: &[Exception] = &[
    Exception { path: "src/ui/theme.rs", name: "Color", why: "it is where roles become colours" },
    Exception { path: "src/terminal/cells.rs", name: "Color", why: "it writes colours as the terminal's numbers" },
];

/// Nothing shares state by locking it.
const LOCKS: &[&str] = &["Mutex", "RwLock", "ReentrantLock"];
const LOCKED: &[Exception] = &[Exception {
    path: "src/sources/gpu.rs",
    name: "Mutex",
    why: "the open library stays known while a call hangs in it: locked on its lane alone, never by two at a time",
}];

/// The longest file, lines.
const LONGEST: usize = 600;

/// The names of all other crates, as paths write them.
fn crates() -> HashSet<String> {
    let manifest: toml::Table = std::fs::read_to_string(tree::root().join("Cargo.toml")).unwrap().parse().unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_"));
    dependencies.chain(["std", "core", "alloc"].map(str::to_owned)).collect()
}

/// Everything in `sources` that does not hold to the design.
fn violations(sources: &[Source]) -> Vec<Violation> {
    let crates = crates();
    let (mut beyond, mut coloured, mut locked, mut other) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for source in sources.iter().filter(|source| !source.test) {
        let names = names::of(source, &crates);
        beyond.extend(rules::layers(source, &names, LAYERS));
        coloured.extend(rules::words(source, &names, COLOURS));
        locked.extend(rules::words(source, &names, LOCKS));
        other.extend(rules::impure(source, LAYERS));
        other.extend(rules::purpose(source));
    }
    let excepted = [(beyond, BEYOND), (coloured, COLOURED), (locked, LOCKED)];
    let excepted = excepted.into_iter().flat_map(|(violations, exceptions)| except(violations, exceptions));
    other.into_iter().chain(excepted).chain(of_any_file(sources)).collect()
}

/// What holds for tests too.
fn of_any_file(sources: &[Source]) -> Vec<Violation> {
    sources.iter().flat_map(|source| rules::reasons(source).into_iter().chain(rules::length(source, LONGEST))).collect()
}

/// The violations that no exception covers, and the exceptions that cover none.
fn except(violations: Vec<Violation>, exceptions: &[Exception]) -> Vec<Violation> {
    let covers = |except: &Exception, violation: &Violation| {
        let named = violation.what.strip_prefix('`').and_then(|what| what.split('`').next()).unwrap_or_default();
        except.path == violation.path && named.contains(except.name)
    };
    let unused = exceptions.iter().filter(|except| !violations.iter().any(|violation| covers(except, violation)));
    let unused: Vec<Violation> = unused
        .map(|except| Violation {
            path: except.path.to_owned(),
            line: 1,
            what: format!("`{}` is not named here any more: the exception ({}) can go", except.name, except.why),
        })
        .collect();
    let left = violations.into_iter().filter(|violation| !exceptions.iter().any(|except| covers(except, violation)));
    left.chain(unused).collect()
}

/// Fails with every violation, one a line.
fn hold(violations: &[Violation]) {
    let lines: BTreeSet<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_sources_hold_to_the_design() {
    let sources = tree::of_the_crate();
    hold(&violations(&sources));

    let known: BTreeSet<&str> = sources.iter().map(|source| source.path.as_str()).collect();
    let there = tree::rust_files("src");
    let strangers: Vec<&String> = there.iter().filter(|path| !known.contains(path.as_str())).collect();
    assert!(strangers.is_empty(), "no module declares {strangers:?}");

    let modules: BTreeSet<&str> = sources.iter().filter_map(|source| Some(source.module.first()?.as_str())).collect();
    assert_eq!(
        modules,
        LAYERS.iter().map(|layer| layer.name).collect(),
        "every module is a layer, every layer a module"
    );
}

#[test]
fn the_tests_are_short_and_say_why_a_lint_is_off() {
    hold(&of_any_file(&tree::of_the_tests()));
}

#[test]
fn the_table_has_no_circle() {
    for (index, layer) in LAYERS.iter().enumerate() {
        for named in layer.layers {
            let is_inner = LAYERS[..index].iter().any(|inner| inner.name == *named);
            assert!(is_inner, "{} names {named}, which does not stand above it", layer.name);
        }
    }
}
