//! A plan as text: the same that the popup draws.

use std::fmt::Write as _;

use serde::Serialize;

use super::SCHEMA;
use super::look::{Look, Tone};
use crate::domain::{Plan, Risk, Step, units};

/// What `hostler run --dry-run --json` prints.
#[derive(Debug, Serialize)]
pub struct PlanReport<'a> {
    /// The format, 1.
    pub schema: u32,
    /// What `--plan` takes: the same as long as action, targets, steps and ids are.
    pub hash: &'a str,
    /// What it risks.
    pub risk: Risk,
    /// Bytes that it frees, as far as known.
    pub bytes: u64,
    /// The plan.
    pub plan: &'a Plan,
}

impl<'a> PlanReport<'a> {
    /// The report of a plan with this hash.
    pub fn of(plan: &'a Plan, hash: &'a str) -> Self {
        Self { schema: SCHEMA, hash, risk: plan.risk(), bytes: plan.bytes(), plan }
    }
}

/// A plan for people.
pub fn text(plan: &Plan, hash: &str, look: &Look) -> String {
    let mut text = format!("{}\n", look.tone(Tone::Strong, &plan.title));
    if !plan.summary.is_empty() {
        line(&mut text, &plan.summary);
    }
    for warning in &plan.warnings {
        line(&mut text, &look.tone(Tone::Warning, &format!("{} {warning}", look.signs.warning)));
    }
    for step in &plan.steps {
        self::step(&mut text, step, plan.bytes_of(step), look);
    }
    if plan.is_empty() {
        line(&mut text, "nothing is to be done");
    }
    let mut fact =
        |word: &str, said: &str| line(&mut text, &format!("{} {said}", look.tone(Tone::Muted, &format!("{word:<9}"))));
    plan.kept.iter().for_each(|kept| fact("kept", kept));
    plan.downtime.iter().for_each(|downtime| fact("away", downtime));
    fact("undo", &plan.undo);
    plan.commands().for_each(|command| fact("same as", command));
    plan.choices.iter().filter(|choice| !choice.chosen).for_each(|choice| {
        fact("or", &format!("--to {} ({})", choice.tag, choice.about));
    });
    plan.notes.iter().for_each(|note| fact("notes", note));
    fact("risk", plan.risk().word());
    fact("plan", hash);
    text
}

fn line(text: &mut String, said: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {said}");
}

fn step(text: &mut String, step: &Step, bytes: Option<u64>, look: &Look) {
    let mark = match (step.optional, step.chosen) {
        (true, true) => "[x]",
        (true, false) => "[ ]",
        (false, _) => "   ",
    };
    let tone = match (step.chosen, step.risk) {
        (false, _) => Tone::Muted,
        (true, Risk::Destructive) => Tone::Warning,
        (true, _) => Tone::Plain,
    };
    let bytes = bytes.map_or_else(String::new, |bytes| format!("  {}", units::bytes(bytes)));
    let word = if step.optional { format!("  ({})", step.id) } else { String::new() };
    line(text, &look.tone(tone, &format!("{mark} {}{bytes}{word}", step.title)));
    for item in &step.items {
        let bytes = item.bytes.map_or_else(String::new, |bytes| format!("  {}", units::bytes(bytes)));
        let data = if item.data { "  data: look before you go" } else { "" };
        let detail = if item.detail.is_empty() { String::new() } else { format!("  {}", item.detail) };
        line(text, &look.tone(Tone::Muted, &format!("      {}{detail}{bytes}{data}", item.name)));
    }
}
