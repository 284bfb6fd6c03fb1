//! The figures as Markdown tables, and as JSON for a script.

use std::fmt::Write;

use serde::Serialize;

use crate::docker::{Fleet, ServersCpu};
use crate::measure::{Floor, Measured, Times};

/// All that one run has found out.
#[derive(Serialize)]
pub(crate) struct Report {
    /// The scenario in words.
    pub(crate) scenario: String,
    /// The containers of the scenario.
    pub(crate) fleet: Fleet,
    /// The engine and what it uses with the containers running and nobody looking.
    pub(crate) engine: Option<(String, ServersCpu)>,
    /// What the harness adds to every time.
    pub(crate) floor: Floor,
    /// The programs, hostler first.
    pub(crate) programs: Vec<Measured>,
    /// What could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// Tells the user of something that does not end the run.
#[expect(clippy::print_stderr, reason = "a benchmark talks to whoever started it")]
pub(crate) fn warn(text: &str) {
    eprintln!("{text}");
}

impl Report {
    /// The report as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("\n## Whole process over a pty, 160x48\n\n{}\n\n", self.scenario);
        if let Some((version, idle)) = &self.engine {
            line(
                &mut text,
                format_args!(
                    "{version}; idle with these containers: dockerd {:.2} %, containerd {:.2} %, shims {:.2} % of a core.",
                    idle.dockerd, idle.containerd, idle.shims
                ),
            );
        }
        line(
            &mut text,
            format_args!(
                "Floor of the harness: start {} ms, echo by the kernel {} ms, by `cat` on a raw line {} ms (p50/p95).\n",
                pair(self.floor.start.as_ref()),
                pair(self.floor.kernel_echo.as_ref()),
                pair(self.floor.cat_echo.as_ref())
            ),
        );
        self.costs(&mut text);
        self.exits(&mut text);
        let of_programs = self
            .programs
            .iter()
            .flat_map(|program| program.left_out.iter().map(|why| format!("{}: {why}", program.name)));
        let left_out: Vec<String> = self.left_out.iter().cloned().chain(of_programs).collect();
        if !left_out.is_empty() {
            line(&mut text, format_args!("\nNot measured:\n"));
            for why in left_out {
                line(&mut text, format_args!("- {why}"));
            }
        }
        text
    }

    fn costs(&self, text: &mut String) {
        let heads = [
            "program",
            "first frame ms",
            "containers ms",
            "own CPU %",
            "engine CPU % (dockerd + containerd + shims)",
            "tty B/s",
            "B/cell",
            "cells/s",
            "wasted s",
            "key p50/p95 ms",
            "answered (control)",
            "RSS (peak) MiB",
            "threads/fds",
            "machine busy %",
        ];
        row(text, &heads.map(str::to_owned));
        row(text, &heads.map(|_| "---".to_owned()));
        for program in &self.programs {
            let window = program.window.as_ref();
            let keys = program.keys.as_ref();
            let held = window.map(|window| &window.holdings);
            row(
                text,
                &[
                    program.name.clone(),
                    or_dash(program.first_frame.as_ref().map(|times| format!("{:.1}", times.p50_ms))),
                    or_dash(program.containers.as_ref().map(|times| format!("{:.1}", times.p50_ms))),
                    or_dash(window.map(|window| format!("{:.2}", window.cpu_percent))),
                    or_dash(window.and_then(|window| window.engine_percent).map(|cpu| {
                        format!("{:+.2} ({:+.2} {:+.2} {:+.2})", cpu.total(), cpu.dockerd, cpu.containerd, cpu.shims)
                    })),
                    or_dash(window.map(|window| format!("{:.0}", window.bytes_per_second))),
                    or_dash(window.and_then(|window| window.bytes_per_cell).map(|bytes| format!("{bytes:.1}"))),
                    or_dash(window.map(|window| format!("{:.0}", window.cells_per_second))),
                    or_dash(window.map(|window| window.wasted_seconds.to_string())),
                    pair(keys.and_then(|keys| keys.answers.as_ref())),
                    or_dash(keys.map(|keys| {
                        let answered = keys.answers.as_ref().map_or(0, |times| times.count);
                        format!("{answered}/{} ({})", answered + keys.unanswered, keys.control_changed)
                    })),
                    or_dash(held.map(|held| format!("{:.1} ({:.1})", held.rss_mib, held.peak_rss_mib))),
                    or_dash(held.map(|held| format!("{}/{}", held.threads, held.fds))),
                    or_dash(window.map(|window| format!("{:.0}", window.machine_percent))),
                ],
            );
        }
        for program in &self.programs {
            for (pid, percent) in program.window.iter().flat_map(|window| &window.also_percent) {
                line(text, format_args!("\n{}: process {pid} {percent:+.2} % of a core", program.name));
            }
        }
    }

    fn exits(&self, text: &mut String) {
        let ways: Vec<String> = match self.programs.iter().find(|program| !program.exits.is_empty()) {
            Some(program) => program.exits.iter().map(|exit| exit.way.clone()).collect(),
            None => return,
        };
        text.push('\n');
        row(text, &[vec!["exits".to_owned()], ways.clone()].concat());
        row(text, &vec!["---".to_owned(); ways.len() + 1]);
        for program in &self.programs {
            let cells = program.exits.iter().map(|exit| {
                let verdict = if exit.clean { "clean" } else { "NOT clean" };
                let ms = exit.ms.map_or_else(String::new, |ms| format!(", {ms:.1} ms"));
                format!("{verdict}{ms} ({})", exit.detail)
            });
            row(text, &std::iter::once(program.name.clone()).chain(cells).collect::<Vec<_>>());
        }
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{what}");
}

fn row(text: &mut String, cells: &[String]) {
    line(text, format_args!("| {} |", cells.join(" | ")));
}

fn or_dash(cell: Option<String>) -> String {
    cell.unwrap_or_else(|| "-".to_owned())
}

fn pair(times: Option<&Times>) -> String {
    or_dash(times.map(|times| format!("{:.2}/{:.2}", times.p50_ms, times.p95_ms)))
}
