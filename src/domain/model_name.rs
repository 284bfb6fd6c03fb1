//! The name of a model as Ollama writes it, `[[HOST/]NAMESPACE/]MODEL[:TAG]` (`types/model/name.go`), and the names under
//! which hostler keeps what a name meant before.

use std::fmt;
use std::str::FromStr;

/// Where names without a host belong.
const HOST: &str = "registry.ollama.ai";
/// Where names without a namespace belong.
const NAMESPACE: &str = "library";
/// The tag of a name without one.
const TAG: &str = "latest";

/// What the tag of an earlier version has at its end, before its number.
const PREVIOUS: &str = "-hostler-previous-";
/// The same for a version that was left by a roll back.
const ASIDE: &str = "-hostler-aside-";

/// A name that Ollama accepts, with its tag. Written as short as Ollama's own lists do.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName {
    host: String,
    namespace: String,
    model: String,
    tag: String,
}

/// It is no name of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a model: write [[HOST/]NAMESPACE/]MODEL[:TAG] with letters, digits, `_`, `-` and `.`")]
pub struct NoModelName(String);

/// Why an earlier version cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tag of {0} is so long that none with `{PREVIOUS}N` behind it is possible (at most 80 characters)")]
pub struct TagTooLong(String);

impl ModelName {
    /// The longest tag, and the longest name of a namespace or a model.
    const PART_BYTES: usize = 80;
    const HOST_BYTES: usize = 350;

    /// The name of the earlier version with this number.
    ///
    /// # Errors
    /// When the tag would be too long.
    pub fn previous(&self, number: u32) -> Result<Self, TagTooLong> {
        self.with(PREVIOUS, number)
    }

    /// The name of a version that was left by a roll back.
    ///
    /// # Errors
    /// When the tag would be too long.
    pub fn aside(&self, number: u32) -> Result<Self, TagTooLong> {
        self.with(ASIDE, number)
    }

    /// Of an earlier version: the name that had it, and its number.
    pub fn previous_of(&self) -> Option<(Self, u32)> {
        self.without(PREVIOUS)
    }

    /// Of a version that was left by a roll back: the name that had it, and its number.
    pub fn aside_of(&self) -> Option<(Self, u32)> {
        self.without(ASIDE)
    }

    fn with(&self, mark: &str, number: u32) -> Result<Self, TagTooLong> {
        let tag = format!("{}{mark}{number}", self.tag);
        if tag.len() > Self::PART_BYTES {
            return Err(TagTooLong(self.to_string()));
        }
        Ok(Self { tag, ..self.clone() })
    }

    fn without(&self, mark: &str) -> Option<(Self, u32)> {
        let (tag, number) = self.tag.rsplit_once(mark)?;
        Some((Self { tag: tag.to_owned(), ..self.clone() }, number.parse().ok()?))
    }
}

impl FromStr for ModelName {
    type Err = NoModelName;

    fn from_str(text: &str) -> Result<Self, NoModelName> {
        let no = || NoModelName(text.chars().filter(|it| !it.is_control()).take(100).collect());
        let (path, last) = text.rsplit_once('/').map_or((None, text), |(path, last)| (Some(path), last));
        let (model, tag) = last.split_once(':').unwrap_or((last, TAG));
        let (host, namespace) = match path.map(|path| path.split_once('/').unwrap_or((HOST, path))) {
            None => (HOST, NAMESPACE),
            Some(both) => both,
        };
        let dotted = |byte: u8| b"_-.".contains(&byte);
        let is_valid = is_part(host, Self::HOST_BYTES, |byte| dotted(byte) || byte == b':')
            && is_part(namespace, Self::PART_BYTES, |byte| b"_-".contains(&byte))
            && is_part(model, Self::PART_BYTES, dotted)
            && is_part(tag, Self::PART_BYTES, dotted);
        if !is_valid {
            return Err(no());
        }
        let [host, namespace, model, tag] = [host, namespace, model, tag].map(str::to_owned);
        Ok(Self { host, namespace, model, tag })
    }
}

/// Whether a part has an allowed length and characters, the first of them a letter, a digit or `_`.
fn is_part(part: &str, most: usize, also: impl Fn(u8) -> bool) -> bool {
    let begins = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    part.len() <= most && part.bytes().next().is_some_and(begins) && part.bytes().all(|byte| begins(byte) || also(byte))
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, namespace, model, tag } = self;
        if host != HOST {
            write!(f, "{host}/{namespace}/")?;
        } else if namespace != NAMESPACE {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{model}:{tag}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ModelName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_written_as_ollama_lists_them() {
        for (text, written) in [
            ("qwen3", "qwen3:latest"),
            ("qwen3:32b-q4_K_M", "qwen3:32b-q4_K_M"),
            ("library/qwen3", "qwen3:latest"),
            ("me/fine_tuned:1.2", "me/fine_tuned:1.2"),
            ("registry.ollama.ai/library/qwen3:4b", "qwen3:4b"),
            ("hf.co/unsloth/Qwen3-GGUF:Q4_K_M", "hf.co/unsloth/Qwen3-GGUF:Q4_K_M"),
            ("box:5000/me/m", "box:5000/me/m:latest"),
        ] {
            assert_eq!(name(text).to_string(), written);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(81);
        for text in [
            "",
            ":",
            "a:",
            ":a",
            "a:b:c",
            "a/b/c/d",
            "../../etc/passwd",
            "a/../b",
            "/etc/passwd",
            "a b",
            "a\u{1b}[2J",
            "ä",
            "-a",
            ".a",
            "a:-b",
            "n.s/a",
            "http://h/n/a",
            "a@sha256:0",
            "a\0",
            "a\n",
            "a\\b",
            &long,
        ] {
            let refused = text.parse::<ModelName>().unwrap_err().to_string();
            assert!(!refused.contains('\u{1b}') && refused.len() < 300, "{text}");
        }
    }

    #[test]
    fn an_earlier_version_has_a_name_of_its_own() {
        let alias = name("me/chat");
        let kept = alias.previous(3).unwrap();
        assert_eq!(kept.to_string(), "me/chat:latest-hostler-previous-3");
        assert_eq!(name(&kept.to_string()).previous_of(), Some((alias.clone(), 3)));
        assert_eq!(kept.aside_of(), None);
        assert_eq!(alias.previous_of(), None);
        assert_eq!(alias.aside(1).unwrap().aside_of(), Some((alias, 1)));
        assert!(name(&format!("a:{}", "b".repeat(70))).previous(1).is_err());
    }
}
