//! The edit that gives a service's image another tag: pure, from the texts of a project's files to one line.

use std::ops::Range;

use super::expression::{self, Part};
use super::{LineEdit, env, line, yaml};
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

/// Where a part of an image's reference comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    /// Where it stands in the reference, bytes.
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

/// A reference with the places that it comes from.
struct Resolved {
    reference: String,
    sources: Vec<Source>,
}

/// The reference with another tag, for a container that `reference` names the image of.
///
/// # Errors
/// Why not, as a clause.
pub(in crate::actions) fn with_tag(reference: &str, tag: &str) -> Result<String, String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let begins = tag.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if !begins || tag.len() > 128 || !tag.chars().all(plain) {
        return Err(format!("`{tag}` is no tag: letters, digits, `.`, `_` and `-`, at most 128 of them"));
    }
    if reference.starts_with("sha256:") || reference.contains('@') {
        return Err(format!("it is pinned to one image ({reference}), which has no tag"));
    }
    let mut new = reference.to_owned();
    match tag_in(reference) {
        Some(at) => new.replace_range(at, tag),
        None => new.extend([":", tag]),
    }
    Ok(new)
}

/// Where the tag of a reference stands in it, bytes.
fn tag_in(reference: &str) -> Option<Range<usize>> {
    let colon = reference.rfind(':')?;
    // A colon before a slash belongs to a port.
    (!reference[colon..].contains('/')).then(|| colon + 1..reference.len())
}

/// The one line to edit so that the image of `service`, now `reference`, has the tag `tag`.
///
/// # Errors
/// Why it must be edited by hand, in a sentence that names the file.
pub(super) fn edit(files: &Files, service: &str, reference: &str, tag: &str) -> Result<Edited, String> {
    let new = with_tag(reference, tag)?;
    let resolved = resolve(files, service)?;
    let by_hand = |why: String| format!("edit {} by hand: {why}", files.named(service));
    if resolved.reference != reference {
        return Err(by_hand(format!(
            "it says {}, and the container was made from {reference}; `docker compose up` brings them together",
            resolved.reference
        )));
    }
    let (source, value) = changed(&resolved, tag).map_err(by_hand)?;
    let (path, text) = if source.env { &files.env[source.file] } else { &files.compose[source.file] };
    let from = line(text, source.line).unwrap_or_default();
    let mut to = from.to_owned();
    to.replace_range(source.start..source.start + source.at.len(), &value);
    for written in [from, &to] {
        if foreign::clean(written, LINE_BYTES) != written {
            let why = "a tab, a sign that is not shown, or its length stands against editing it here";
            return Err(format!("edit {path} by hand, line {}: {why}", source.line));
        }
    }
    let edit = LineEdit { path: path.clone(), line: source.line, from: from.to_owned(), to };
    proved(files, &edit, service, &new).map_err(|why| format!("edit {path} by hand, line {}: {why}", edit.line))?;
    let shared = source.variable.filter(|name| source.env && files.uses(name) > 1);
    Ok(Edited { edit, shared })
}

/// The reference of a service's image, with the places that it comes from.
fn resolve(files: &Files, service: &str) -> Result<Resolved, String> {
    for (file, (path, text)) in files.compose.iter().enumerate().rev() {
        let by_hand = |why: String| format!("edit {path} by hand: {why}");
        let Some(place) = yaml::image_of(text, service).map_err(by_hand)? else { continue };
        let mut resolved = Resolved { reference: String::new(), sources: Vec::new() };
        for part in expression::parts(&place.value).map_err(by_hand)? {
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
                Part::Variable { name, default, unless_empty } => match (files.variable(name), default) {
                    (Some((_, value)), Some(default)) if value.is_empty() && *unless_empty => here(default, Some(name)),
                    (Some(set), _) => set,
                    (None, Some(default)) => here(default, Some(name)),
                    (None, None) => {
                        let why = format!("`{name}` comes from the environment of whoever runs compose");
                        return Err(by_hand(why));
                    }
                },
            };
            let begin = resolved.reference.len();
            resolved.reference.push_str(&text);
            source.at = begin..resolved.reference.len();
            resolved.sources.push(source);
        }
        return Ok(resolved);
    }
    Err(format!("edit {} by hand: it does not name the image of {service}", files.named(service)))
}

/// The place that has to change for another tag, and what must stand there.
fn changed(resolved: &Resolved, tag: &str) -> Result<(Source, String), String> {
    let reference = &resolved.reference;
    let Some(at) = tag_in(reference) else {
        let last = resolved.sources.iter().rfind(|source| !source.at.is_empty());
        let last = last.ok_or("the image is empty")?.clone();
        let value = format!("{}:{tag}", &reference[last.at.clone()]);
        return Ok((last, value));
    };
    let holds = |source: &&Source| source.at.start < at.end && source.at.end > at.start;
    let parts: Vec<&Source> = resolved.sources.iter().filter(holds).collect();
    let source = match parts.as_slice() {
        [only] => *only,
        several => {
            let mut variables = several.iter().filter(|source| source.variable.is_some());
            match (variables.next(), variables.next()) {
                (Some(variable), None) => variable,
                _ => return Err("its tag is made of several variables".to_owned()),
            }
        }
    };
    let (before, after) =
        (&reference[at.start..source.at.start.max(at.start)], &reference[source.at.end.min(at.end)..at.end]);
    let middle = tag.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).filter(|rest| !rest.is_empty());
    let middle = middle.ok_or_else(|| format!("its tag is written as `{before}…{after}`, which {tag} does not fit"))?;
    let head = &reference[source.at.start..source.at.start.max(at.start)];
    Ok((source.clone(), format!("{head}{middle}")))
}

/// Whether the edit does what it should and nothing else, as a parser sees it.
fn proved(files: &Files, edit: &LineEdit, service: &str, new: &str) -> Result<(), String> {
    let mut after = files.clone();
    for (path, text) in after.compose.iter_mut().chain(&mut after.env).filter(|(path, _)| *path == edit.path) {
        *text = edit.applied(text).ok_or_else(|| format!("{path} has no such line"))?;
    }
    for ((_, old), (_, new)) in files.compose.iter().zip(&after.compose).filter(|(old, new)| old != new) {
        let (old, new) = (yaml::meaning(old)?, yaml::meaning(new)?);
        let differ = old.iter().zip(&new).filter(|(old, new)| old != new).count();
        if old.len() != new.len() || differ != 1 {
            return Err("more than the image would change".to_owned());
        }
    }
    let resolved = resolve(&after, service)?.reference;
    if resolved == new { Ok(()) } else { Err(format!("it would say {resolved} rather than {new}")) }
}

impl Files {
    /// The last file that may name a service's image, for words about it.
    fn named(&self, service: &str) -> &str {
        let names = |(_, text): &&(String, String)| matches!(yaml::image_of(text, service), Ok(Some(_)) | Err(_));
        let found = self.compose.iter().rev().find(names).or(self.compose.last());
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
