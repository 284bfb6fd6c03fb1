//! The words of a command that stands in one text, as a shell takes it apart, and compose (`mattn/go-shellwords`) and
//! Python's `shlex` do.

use std::ops::Range;

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it stands with its quotes, bytes.
    at: Range<usize>,
    /// What it says.
    pub(super) text: String,
}

impl Word {
    /// Where it stands without its quotes; `None` where what is written is not what it says.
    pub(super) fn inner(&self, whole: &str) -> Option<Range<usize>> {
        let quoted = self.at.start + 1..self.at.end.saturating_sub(1);
        [self.at.clone(), quoted].into_iter().find(|at| whole.get(at.clone()) == Some(&*self.text))
    }
}

/// The words of a text.
///
/// # Errors
/// What in it is more than words, as a clause.
pub(super) fn split(text: &str) -> Result<Vec<Word>, String> {
    let mut words: Vec<Word> = Vec::new();
    let (mut open, mut quote, mut escaped) = (false, None, false);
    for (at, character) in text.char_indices() {
        let end = at + character.len_utf8();
        if quote.is_none() && !escaped {
            if character.is_ascii_whitespace() {
                open = false;
                continue;
            }
            if ";&|<>()`".contains(character) {
                return Err(format!("`{character}` makes its command more than words"));
            }
        }
        if !std::mem::replace(&mut open, true) {
            words.push(Word { at: at..at, text: String::new() });
        }
        let Some(word) = words.last_mut() else { continue };
        word.at.end = end;
        match (character, quote) {
            _ if escaped => {
                escaped = false;
                word.text.push(character);
            }
            ('\\', None | Some('"')) => escaped = true,
            ('\'' | '"', None) => quote = Some(character),
            (other, Some(end)) if other == end => quote = None,
            (other, _) => word.text.push(other),
        }
    }
    match quote {
        Some(quote) => Err(format!("a quote (`{quote}`) in its command has no end")),
        None => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_with_their_places() {
        let text = "serve  'a b' --model=\"c\"\n --x 'd'e";
        let words = split(text).unwrap();
        let told: Vec<&str> = words.iter().map(|word| &*word.text).collect();
        assert_eq!(told, ["serve", "a b", "--model=c", "--x", "de"]);
        let inner = |index: usize| words[index].inner(text).map(|at| &text[at]);
        assert_eq!((inner(0), inner(1), inner(2), inner(4)), (Some("serve"), Some("a b"), None, None));
        for more in ["a && b", "a > b", "$(a)", "'a", "a | b", "`a`"] {
            assert!(split(more).is_err(), "{more}");
        }
        assert_eq!(split(" \n").unwrap(), []);
    }
}
