//! What is typed after `/`: words, `!word`, `re:pattern`, and typed fields such as `mem>2g` or `state!=running`.
//!
//! Terms stand side by side and all must hold. A filter that cannot be read is told with its place, and the old one stays.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

/// A value of a row, for typed fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number in base units; `None` when it is unavailable, which passes no comparison.
    Number(Option<f64>),
}

/// Something that can be filtered.
pub trait Fields {
    /// Everything that a plain word is looked for in.
    fn text(&self) -> Cow<'_, str>;
    /// The value of a typed field.
    fn field(&self, name: &str) -> Option<Value<'_>>;
}

/// Why a filter cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The pattern after `re:` is wrong.
    #[error("`{0}` is no regular expression")]
    Pattern(String),
    /// The list has no such field.
    #[error("there is no field `{name}` here; there are {known}")]
    NoField {
        /// What was written.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number was expected.
    #[error("`{0}` is no number; write 2g, 512m, 80% or 3")]
    NoNumber(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

/// In the order in which they are looked for: two characters before one.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("!=", Comparison::Unequal),
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

#[derive(Debug, Clone)]
enum Test {
    Word(String),
    Pattern(Regex),
    /// The last is the number as it was typed, in lower case: a field may hold a text after all.
    Number(String, Comparison, f64, String),
    Text(String, bool, String),
}

/// A filter that was understood.
#[derive(Debug, Clone)]
pub struct Filter {
    /// As it was typed.
    pub typed: String,
    tests: Vec<(bool, Test)>,
}

impl Filter {
    /// Reads a filter; `None` for an empty one. `fields` are the typed fields that the list has.
    ///
    /// # Errors
    /// When a pattern, a field or a number cannot be read.
    pub fn parse(typed: &str, fields: &[&str]) -> Result<Option<Self>, FilterError> {
        let typed = typed.trim();
        if typed.is_empty() {
            return Ok(None);
        }
        // A pattern may contain spaces, so it takes the rest of the line.
        if let Some(pattern) = typed.strip_prefix("re:").or_else(|| typed.strip_prefix("!re:")) {
            let built = RegexBuilder::new(pattern).case_insensitive(true).size_limit(1 << 20).build();
            let regex = built.map_err(|_| FilterError::Pattern(pattern.to_owned()))?;
            return Ok(Some(Self {
                typed: typed.to_owned(),
                tests: vec![(typed.starts_with('!'), Test::Pattern(regex))],
            }));
        }
        let tests = typed.split_whitespace().map(|term| parse_term(term, fields)).collect::<Result<_, _>>()?;
        Ok(Some(Self { typed: typed.to_owned(), tests }))
    }

    /// Whether a row passes.
    pub fn passes(&self, row: &impl Fields) -> bool {
        let text = row.text();
        self.tests.iter().all(|(inverted, test)| test.holds(row, &text) != *inverted)
    }
}

impl Test {
    fn holds(&self, row: &impl Fields, text: &str) -> bool {
        match self {
            Self::Word(word) => contains_folded(text, word),
            Self::Pattern(regex) => regex.is_match(text),
            Self::Number(name, comparison, wanted, typed) => match row.field(name) {
                Some(Value::Number(Some(value))) => match comparison {
                    Comparison::Less => value < *wanted,
                    Comparison::LessOrEqual => value <= *wanted,
                    Comparison::Greater => value > *wanted,
                    Comparison::GreaterOrEqual => value >= *wanted,
                    Comparison::Equal => (value - wanted).abs() < f64::EPSILON,
                    Comparison::Unequal => (value - wanted).abs() >= f64::EPSILON,
                },
                Some(Value::Text(value)) => match comparison {
                    Comparison::Equal => contains_folded(&value, typed),
                    Comparison::Unequal => !contains_folded(&value, typed),
                    _ => false,
                },
                _ => false,
            },
            Self::Text(name, equal, wanted) => match row.field(name) {
                Some(Value::Text(value)) => contains_folded(&value, wanted) == *equal,
                _ => false,
            },
        }
    }
}

fn parse_term(term: &str, fields: &[&str]) -> Result<(bool, Test), FilterError> {
    let (inverted, bare) = match term.strip_prefix('!') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, term),
    };
    let split = COMPARISONS.iter().filter_map(|(sign, comparison)| Some((bare.find(sign)?, *sign, *comparison)));
    let first = split.min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
    let Some((at, sign, comparison)) = first.filter(|(at, ..)| *at > 0) else {
        return Ok((inverted, Test::Word(bare.to_lowercase())));
    };
    let (name, value) = (&bare[..at], &bare[at + sign.len()..]);
    let Some(field) = fields.iter().find(|field| **field == name) else {
        // `a=b` in a log line is a word, unless it compares.
        if comparison == Comparison::Equal {
            return Ok((inverted, Test::Word(bare.to_lowercase())));
        }
        return Err(FilterError::NoField { name: name.to_owned(), known: fields.join(", ") });
    };
    let test = match (number(value), comparison) {
        (Some(number), _) => Test::Number((*field).to_owned(), comparison, number, value.to_lowercase()),
        (None, Comparison::Equal | Comparison::Unequal) => {
            Test::Text((*field).to_owned(), comparison == Comparison::Equal, value.to_lowercase())
        }
        (None, _) => return Err(FilterError::NoNumber(value.to_owned())),
    };
    Ok((inverted, test))
}

/// `2g` is 2 GiB, `80%` is 0.8, `3` is 3.
fn number(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic() || unit == '%');
    let value: f64 = digits.parse().ok()?;
    let scale = match text[digits.len()..].to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1.0,
        "%" => 0.01,
        "k" => 1024.0,
        "m" => 1024.0 * 1024.0,
        "g" => 1024.0 * 1024.0 * 1024.0,
        "t" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(value * scale)
}

/// Whether `text` contains `word` (already in lower case), whatever the case of `text`.
fn contains_folded(text: &str, word: &str) -> bool {
    if text.is_ascii() && word.is_ascii() {
        let (text, word) = (text.as_bytes(), word.as_bytes());
        return word.is_empty() || text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    }
    text.to_lowercase().contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row;

    impl Fields for Row {
        fn text(&self) -> Cow<'_, str> {
            "agents n8n-worker running".into()
        }

        fn field(&self, name: &str) -> Option<Value<'_>> {
            match name {
                "mem" => Some(Value::Number(Some(3.0 * 1024.0 * 1024.0 * 1024.0))),
                "vram" => Some(Value::Number(None)),
                "state" => Some(Value::Text("running".into())),
                _ => None,
            }
        }
    }

    const FIELDS: &[&str] = &["mem", "vram", "state"];

    #[test]
    fn terms_hold_side_by_side() {
        for (typed, passes) in [
            ("worker", true),
            ("WORKER n8n", true),
            ("worker dify", false),
            ("!dify", true),
            ("!worker", false),
            ("re:n8n-(main|worker)", true),
            ("!re:worker$", true),
            ("mem>2g", true),
            ("mem<2g", false),
            ("mem>=3g state=run", true),
            ("state!=running", false),
            ("!state=exited", true),
            ("vram>0", false),
            ("vram<1g", false),
            // A number may be looked for in a text.
            ("state=8", false),
            ("state!=8", true),
            ("state>8", false),
        ] {
            let filter = Filter::parse(typed, FIELDS).unwrap().unwrap();
            assert_eq!(filter.passes(&Row), passes, "{typed}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert!(matches!(Filter::parse("re:(", FIELDS), Err(FilterError::Pattern(_))));
        assert!(matches!(Filter::parse("size>2g", FIELDS), Err(FilterError::NoField { .. })));
        assert!(matches!(Filter::parse("mem>much", FIELDS), Err(FilterError::NoNumber(_))));
        assert!(Filter::parse("  ", FIELDS).unwrap().is_none());
        assert!(Filter::parse("a=b", &[]).unwrap().is_some(), "a word in a log line");
    }
}
