//! The texts of a project's files, and the one line in them by which a value becomes another one: pure.

use std::ops::Range;

use super::expression::{self, Part};
use super::yaml::{self, Place};
use super::{LineEdit, env, line};
use crate::host::foreign;

/// The longest line that is edited, bytes: a run's file keeps texts up to twice as long.
const LINE_BYTES: usize = 2048;

/// The texts of a project's files, each with its path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Compose files; what a later one says holds.
    pub(super) compose: Vec<(String, String)>,
    /// Files of variables; what a later one says holds.
    pub(super) env: Vec<(String, String)>,
}

/// An edit, and what else it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edited {
    /// The edit.
    pub(super) edit: LineEdit,
    /// The variable that it sets, where other places of the compose files use it, too.
    pub(super) shared: Option<String>,
}

/// Where a part of a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Where it stands in the value, bytes.
    at: Range<usize>,
    /// The index of the file among those of its kind.
    file: usize,
    /// It stands in a file of variables.
    env: bool,
    /// The line, counted from 1.
    line: usize,
    /// Where it begins in its line, bytes.
    start: usize,
    /// The variable.
    variable: Option<String>,
}

/// A value as compose reads it, with the places that it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The value, variables and all.
    pub(super) text: String,
    sources: Vec<Source>,
}

impl Files {
    /// What stands at a place of the compose file with this index.
    ///
    /// # Errors
    /// Why it cannot be told, as a clause.
    pub(super) fn resolved(&self, file: usize, place: &Place) -> Result<Resolved, String> {
        let mut resolved = Resolved::default();
        for part in expression::parts(&place.value)? {
            let here = |at: &Range<usize>, variable: Option<&str>| {
                let source = Source {
                    at: 0..0,
                    file,
                    env: false,
                    line: place.line,
                    start: place.start + at.start,
                    variable: variable.map(str::to_owned),
                };
                (source, place.value[at.clone()].to_owned())
            };
            let (mut source, text) = match &part {
                Part::Text { at } => here(at, None),
                Part::Variable { name, default, unless_empty } => match (self.variable(name), default) {
                    (Some((_, value)), Some(default)) if value.is_empty() && *unless_empty => here(default, Some(name)),
                    (Some(set), _) => set,
                    (None, Some(default)) => here(default, Some(name)),
                    (None, None) => {
                        return Err(format!("`{name}` comes from the environment of whoever runs compose"));
                    }
                },
            };
            let begin = resolved.text.len();
            resolved.text.push_str(&text);
            source.at = begin..resolved.text.len();
            resolved.sources.push(source);
        }
        Ok(resolved)
    }

    /// The edit that lets `value` stand where `source` does, if what it does is `proved`.
    ///
    /// # Errors
    /// Why it must be edited by hand, in a sentence that names file and line.
    pub(super) fn edited(
        &self,
        source: Source,
        value: &str,
        proved: impl FnOnce(&Self) -> Result<(), String>,
    ) -> Result<Edited, String> {
        let (path, text) = if source.env { &self.env[source.file] } else { &self.compose[source.file] };
        let from = line(text, source.line).unwrap_or_default();
        let mut to = from.to_owned();
        to.replace_range(source.start..source.start + source.at.len(), value);
        let by_hand = |why: String| format!("edit {path} by hand, line {}: {why}", source.line);
        for written in [from, &to] {
            if foreign::clean(written, LINE_BYTES) != written {
                let why = "a tab, a sign that is not shown, or its length stands against editing it here";
                return Err(by_hand(why.to_owned()));
            }
        }
        let edit = LineEdit { path: path.clone(), line: source.line, from: from.to_owned(), to };
        self.after(&edit).and_then(|after| proved(&after)).map_err(by_hand)?;
        let shared = source.variable.filter(|name| source.env && self.uses(name) > 1);
        Ok(Edited { edit, shared })
    }

    /// The files after an edit that changes one value and nothing else, as a parser sees it.
    fn after(&self, edit: &LineEdit) -> Result<Self, String> {
        let mut after = self.clone();
        for (path, text) in after.compose.iter_mut().chain(&mut after.env).filter(|(path, _)| *path == edit.path) {
            *text = edit.applied(text).ok_or_else(|| format!("{path} has no such line"))?;
        }
        for ((_, old), (_, new)) in self.compose.iter().zip(&after.compose).filter(|(old, new)| old != new) {
            let (old, new) = (yaml::meaning(old)?, yaml::meaning(new)?);
            let differ = old.iter().zip(&new).filter(|(old, new)| old != new).count();
            if old.len() != new.len() || differ != 1 {
                return Err("more than this one value would change".to_owned());
            }
        }
        Ok(after)
    }

    /// The last compose file of which this is true, else the last one: for words about it.
    pub(super) fn named(&self, names: impl Fn(&str) -> bool) -> &str {
        let found = self.compose.iter().rev().find(|(_, text)| names(text)).or(self.compose.last());
        found.map_or("the compose file", |(path, _)| path)
    }

    /// A variable as the files of variables set it, and its value.
    fn variable(&self, name: &str) -> Option<(Source, String)> {
        let mut files = self.env.iter().enumerate().rev();
        let (file, found) = files.find_map(|(file, (_, text))| Some((file, env::variable(text, name)?)))?;
        let source =
            Source { at: 0..0, file, env: true, line: found.line, start: found.start, variable: Some(name.to_owned()) };
        Some((source, found.value))
    }

    /// How often the compose files use a variable.
    fn uses(&self, name: &str) -> usize {
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
        let uses = |text: &str| {
            let after = |sign: &str| text.split(&format!("{sign}{name}")).skip(1).filter(|rest| ends(rest)).count();
            after("${") + after("$")
        };
        self.compose.iter().map(|(_, text)| uses(text)).sum()
    }
}

impl Resolved {
    /// The place that has to change so that `new` stands at `at` of the value, and what must stand there. `what` is called so
    /// in words about it.
    ///
    /// # Errors
    /// Why no single place can, as a clause.
    pub(super) fn changed(&self, at: Range<usize>, new: &str, what: &str) -> Result<(Source, String), String> {
        let text = &self.text;
        let holds = |source: &&Source| source.at.start < at.end && source.at.end > at.start;
        let parts: Vec<&Source> = self.sources.iter().filter(holds).collect();
        let source = match parts.as_slice() {
            [only] => *only,
            several => {
                let mut variables = several.iter().filter(|source| source.variable.is_some());
                match (variables.next(), variables.next()) {
                    (Some(variable), None) => variable,
                    _ => return Err(format!("{what} is made of several variables")),
                }
            }
        };
        let (from, to) = (source.at.start.max(at.start), source.at.end.min(at.end));
        let (before, after) = (&text[at.start..from], &text[to..at.end]);
        let middle = new.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).filter(|rest| !rest.is_empty());
        let middle =
            middle.ok_or_else(|| format!("{what} is written as `{before}…{after}`, which {new} does not fit"))?;
        let (head, tail) = (&text[source.at.start..from], &text[to..source.at.end]);
        Ok((source.clone(), format!("{head}{middle}{tail}")))
    }

    /// The last place that says something, and what it says; `None` where nothing does.
    pub(super) fn last(&self) -> Option<(Source, &str)> {
        let last = self.sources.iter().rfind(|source| !source.at.is_empty())?;
        Some((last.clone(), &self.text[last.at.clone()]))
    }
}
