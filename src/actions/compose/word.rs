//! The edit that gives one word of a service's command, or one of its variables, another part: pure, from the texts of a
//! project's files to one line.

use std::ops::Range;

use super::files::{Edited, Files, Resolved};
use super::yaml;
use crate::domain::WordList;

/// A part of a word that a container was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::actions) struct WordPart {
    /// The list in which the word stands.
    pub(in crate::actions) list: WordList,
    /// Its place there, counted from 0.
    pub(in crate::actions) index: usize,
    /// The whole word; of a variable `NAME=value`.
    pub(in crate::actions) word: String,
    /// The part, bytes of the word.
    pub(in crate::actions) at: Range<usize>,
}

impl WordPart {
    /// What the part says.
    pub(in crate::actions) fn value(&self) -> &str {
        &self.word[self.at.clone()]
    }

    /// The whole word with another part.
    pub(in crate::actions) fn with(&self, value: &str) -> String {
        let mut word = self.word.clone();
        word.replace_range(self.at.clone(), value);
        word
    }

    /// The variable's name and what stands before its value in the word; nothing of a word of a command.
    fn variable(&self) -> Option<&str> {
        (self.list == WordList::Env).then(|| self.word.split('=').next().unwrap_or_default())
    }

    fn key(&self) -> &'static str {
        match self.list {
            WordList::Entrypoint => "entrypoint",
            WordList::Cmd => "command",
            WordList::Env => "environment",
        }
    }
}

/// The one line to edit so that `part` of a word of `service` says `new`; `what` is called so in words about it.
///
/// # Errors
/// Why it must be edited by hand, in a sentence that names the file.
pub(super) fn edit(files: &Files, service: &str, part: &WordPart, (new, what): (&str, &str)) -> Result<Edited, String> {
    let (path, resolved) = resolve(files, service, part)?;
    // Of a variable its value alone stands in the file's place.
    let skipped = part.word.len() - resolved.text.len();
    let at = part.at.start - skipped..part.at.end - skipped;
    let (source, value) = resolved.changed(at, new, what).map_err(|why| format!("edit {path} by hand: {why}"))?;
    let after_edit = WordPart { word: part.with(new), ..part.clone() };
    files.edited(source, &value, |after| resolve(after, service, &after_edit).map(drop))
}

/// The word as the files give it, with the places that it comes from, and the file that has the last word.
fn resolve<'a>(files: &'a Files, service: &str, part: &WordPart) -> Result<(&'a str, Resolved), String> {
    for (file, (path, text)) in files.compose.iter().enumerate().rev() {
        let by_hand = |why: String| format!("edit {path} by hand: {why}");
        let found = match part.variable() {
            Some(name) => of_variable(files, (file, text), service, name).map_err(by_hand)?.map(|it| vec![it]),
            None => of_command(files, (file, text), service, part).map_err(by_hand)?,
        };
        let Some(mut found) = found else { continue };
        let meant = part.variable().map_or(&*part.word, |name| &part.word[name.len() + 1..]);
        let Some(index) = place_of(&found, part, meant) else {
            return Err(by_hand(format!(
                "the container was made with `{meant}`, and its `{}` does not say so plainly; `docker compose up` brings \
                 them together where they differ",
                part.key()
            )));
        };
        return Ok((path, found.swap_remove(index)));
    }
    let names = |text: &str| matches!(yaml::words_of(text, service, part.key()), Ok(Some(_)) | Err(_));
    Err(format!(
        "edit {} by hand: its `{}` does not say `{}`, which comes from the image, an entry script or an env_file",
        files.named(names),
        part.key(),
        part.word
    ))
}

/// The place of the word among those of its file. Where a variable is empty, or many words, the places behind it differ.
fn place_of(found: &[Resolved], part: &WordPart, meant: &str) -> Option<usize> {
    let is_it = |index: &usize| found.get(*index).is_some_and(|it| it.text == meant);
    let mut same = (0..found.len()).filter(is_it);
    let only = || same.next().filter(|_| same.next().is_none());
    Some(part.index).filter(|index| part.list != WordList::Env && is_it(index)).or_else(only)
}

fn of_variable(
    files: &Files,
    (file, text): (usize, &str),
    service: &str,
    name: &str,
) -> Result<Option<Resolved>, String> {
    let Some(place) = yaml::variable_of(text, service, name)? else { return Ok(None) };
    files.resolved(file, &place).map(Some)
}

/// All words of a command; of one that cannot be edited nothing is known, which counts only if it is the one that is meant.
fn of_command(
    files: &Files,
    (file, text): (usize, &str),
    service: &str,
    part: &WordPart,
) -> Result<Option<Vec<Resolved>>, String> {
    let Some(words) = yaml::words_of(text, service, part.key())? else { return Ok(None) };
    let mut found = Vec::new();
    for (index, word) in words.into_iter().enumerate() {
        let resolved = word.and_then(|place| files.resolved(file, &place));
        found.push(match resolved {
            Ok(resolved) => resolved,
            Err(why) if index == part.index => return Err(why),
            Err(_) => Resolved::default(),
        });
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests;
