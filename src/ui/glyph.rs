//! The signs beside colours, in Unicode and in ASCII. State is never told by colour alone.

use crate::domain::{CheckResult, Severity, Verdict};

/// One set of signs. Every sign is one cell wide.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Runs, passes.
    pub up: &'static str,
    /// Wants somebody now; failed.
    pub critical: &'static str,
    /// Wants somebody soon.
    pub warning: &'static str,
    /// Worth knowing.
    pub info: &'static str,
    /// Not running, not due.
    pub down: &'static str,
    /// Passed.
    pub pass: &'static str,
    /// Could not be told.
    pub unknown: &'static str,
    /// An absent value.
    pub none: &'static str,
    /// A horizontal rule.
    pub rule: &'static str,
    /// The filled part of a meter.
    pub meter: &'static str,
    /// The unfilled part of a meter.
    pub track: &'static str,
    /// An open group.
    pub open: &'static str,
    /// A closed group.
    pub closed: &'static str,
    /// Between facts on one line.
    pub dot: &'static str,
    /// Sorted ascending.
    pub ascending: &'static str,
    /// Sorted descending.
    pub descending: &'static str,
    /// Marked.
    pub mark: &'static str,
    /// Something changed, on a graph.
    pub change: &'static str,
    /// Received, sent.
    pub receive: &'static str,
    /// Sent.
    pub send: &'static str,
    /// Cut text goes on.
    pub more: &'static str,
    /// What follows from something.
    pub then: &'static str,
    /// Degrees Celsius.
    pub celsius: &'static str,
    /// Eight heights of a bar, low to high.
    pub bars: [&'static str; 8],
    /// Graphs may use braille.
    pub braille: bool,
    /// Corners and sides of a popup: top left, top right, bottom left, bottom right, horizontal, vertical.
    pub frame: [&'static str; 6],
}

/// For terminals that show Unicode.
pub const UNICODE: Glyphs = Glyphs {
    up: "●",
    critical: "✖",
    warning: "▲",
    info: "·",
    down: "○",
    pass: "✔",
    unknown: "?",
    none: "–",
    rule: "─",
    meter: "━",
    track: "━",
    open: "▾",
    closed: "▸",
    dot: "·",
    ascending: "↑",
    descending: "↓",
    mark: "✱",
    change: "▾",
    receive: "↓",
    send: "↑",
    more: "…",
    then: "→",
    celsius: "°C",
    bars: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    braille: true,
    frame: ["╭", "╮", "╰", "╯", "─", "│"],
};

/// For everything else.
pub const ASCII: Glyphs = Glyphs {
    up: "*",
    critical: "X",
    warning: "!",
    info: "i",
    down: "o",
    pass: "+",
    unknown: "?",
    none: "-",
    rule: "-",
    meter: "=",
    track: ".",
    open: "v",
    closed: ">",
    dot: "|",
    ascending: "^",
    descending: "v",
    mark: "#",
    change: "v",
    receive: "in",
    send: "out",
    more: "~",
    then: "->",
    celsius: "C",
    bars: [".", ".", ":", ":", "-", "=", "+", "#"],
    braille: false,
    frame: ["+", "+", "+", "+", "-", "|"],
};

impl Glyphs {
    /// The set that the locale promises to show.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> &'static Self {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let unicode = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if unicode { &UNICODE } else { &ASCII }
    }

    /// The sign of a severity.
    pub fn severity(&self, severity: Severity) -> &'static str {
        match severity {
            Severity::Critical => self.critical,
            Severity::Warning => self.warning,
            Severity::Info => self.info,
        }
    }

    /// The sign of a verdict.
    pub fn verdict(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Well => self.pass,
            Verdict::Unknown => self.unknown,
            Verdict::Warning => self.warning,
            Verdict::Critical => self.critical,
        }
    }

    /// The sign of a check's result.
    pub fn result(&self, result: CheckResult) -> &'static str {
        match result {
            CheckResult::Pass => self.pass,
            CheckResult::Fail => self.critical,
            CheckResult::Unknown => self.down,
            CheckResult::NotApplicable => self.none,
        }
    }
}
