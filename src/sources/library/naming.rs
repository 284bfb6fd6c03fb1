//! The naming convention of the config.

use std::fmt;
use std::str::FromStr;

use regex::{Regex, RegexBuilder};

use crate::domain::Naming;
use crate::host::foreign;

/// What names are to look like: a regular expression, whose named groups say what stands where.
#[derive(Debug, Clone)]
pub struct NamingConvention(Regex);

/// Why a text is no convention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConvention {
    /// There is nothing in it.
    #[error("this is empty; leave the key out to go without a convention")]
    Empty,
    /// It is no regular expression.
    #[error("this is no regular expression: {0}")]
    Expression(String),
}

/// The most memory that a convention may take, bytes.
const MOST_BYTES: usize = 1 << 20;

impl FromStr for NamingConvention {
    type Err = NoConvention;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(NoConvention::Empty);
        }
        // The last line says what is wrong, those before draw where.
        let last = |error: &regex::Error| {
            let text = error.to_string();
            text.lines().next_back().unwrap_or_default().trim_start_matches("error: ").to_owned()
        };
        let built = RegexBuilder::new(text).size_limit(MOST_BYTES).build();
        built.map(Self).map_err(|error| NoConvention::Expression(last(&error)))
    }
}

impl fmt::Display for NamingConvention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl PartialEq for NamingConvention {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for NamingConvention {}

impl NamingConvention {
    /// What a name says by it.
    pub fn read(&self, name: &str) -> Naming {
        let Some(captures) = self.0.captures(name) else {
            return Naming::Breaks;
        };
        let groups = self.0.capture_names().flatten();
        let told = |group: &str| Some((group.to_owned(), foreign::name(captures.name(group)?.as_str())));
        Naming::Follows(groups.filter_map(told).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_say_what_stands_where() {
        let convention: NamingConvention =
            "^(?<family>[a-z0-9.]+)-(?<size>[0-9.]+b)-(?<version>v[0-9]+)$".parse().unwrap();
        let Naming::Follows(groups) = convention.read("qwen3-32b-v2") else { panic!("it follows") };
        let told = |group: &str| groups.get(group).map(String::as_str);
        assert_eq!((told("family"), told("size"), told("version")), (Some("qwen3"), Some("32b"), Some("v2")));
        assert_eq!(convention.read("final_final2"), Naming::Breaks);
    }

    #[test]
    fn what_is_no_expression_is_told_in_a_line() {
        let told = |text: &str| text.parse::<NamingConvention>().unwrap_err().to_string();
        assert_eq!(told("^(a"), "this is no regular expression: unclosed group");
        assert!(told("").starts_with("this is empty"));
        assert!(told("a{1000}{1000}{1000}").starts_with("this is no regular expression"));
    }
}
