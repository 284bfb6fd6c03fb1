//! A value of a compose file as compose reads it: text with variables in it.

use std::ops::Range;

/// A part of a value's expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// As it stands.
    Text {
        /// Where it stands in the expression, bytes.
        at: Range<usize>,
    },
    /// `$NAME`, `${NAME}`, `${NAME:-default}`, `${NAME-default}`.
    Variable {
        /// Its name.
        name: &'a str,
        /// Where its default stands in the expression, bytes.
        default: Option<Range<usize>>,
        /// The default also stands for an empty value.
        unless_empty: bool,
    },
}

/// The parts of an expression.
///
/// # Errors
/// What in it is not understood, as a clause.
pub(super) fn parts(expression: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < expression.len() {
        let rest = &expression[at..];
        let Some(dollar) = rest.find('$') else {
            parts.push(Part::Text { at: at..expression.len() });
            break;
        };
        if dollar > 0 {
            parts.push(Part::Text { at: at..at + dollar });
        }
        let (part, length) = variable(&rest[dollar + 1..], at + dollar + 1)
            .ok_or_else(|| format!("hostler does not understand `{}`", &rest[dollar..]))?;
        parts.push(part);
        at += dollar + 1 + length;
    }
    Ok(parts)
}

/// The variable behind a `$`, which stands at `at` in the expression, and how many bytes it takes.
fn variable(text: &str, at: usize) -> Option<(Part<'_>, usize)> {
    let (inner, braces) = text.strip_prefix('{').map_or((text, 0), |inner| (inner, 1));
    let letter = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let length = inner.find(|character| !letter(character)).unwrap_or(inner.len());
    let name = &inner[..length];
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if braces == 0 {
        return Some((Part::Variable { name, default: None, unless_empty: false }, length));
    }
    let end = inner.find('}')?;
    let operator = &inner[length..end];
    let (skip, unless_empty, has_default) = match operator {
        "" => (0, false, false),
        _ if operator.starts_with(":-") => (2, true, true),
        _ if operator.starts_with('-') => (1, false, true),
        // With these, the variable must be set.
        _ if operator.starts_with(":?") || operator.starts_with('?') => (operator.len(), false, false),
        _ => return None,
    };
    // A default of variables, or with braces, means more than it says.
    if has_default && operator.contains('$') {
        return None;
    }
    let default = has_default.then(|| at + 1 + length + skip..at + 1 + end);
    Some((Part::Variable { name, default, unless_empty }, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_comes_apart() {
        let expression = "$REG/app:${TAG:-1.2}-${KIND-slim}";
        let variable = |name, default, unless_empty| Part::Variable { name, default, unless_empty };
        let expected = [
            variable("REG", None, false),
            Part::Text { at: 4..9 },
            variable("TAG", Some(16..19), true),
            Part::Text { at: 20..21 },
            variable("KIND", Some(28..32), false),
        ];
        assert_eq!(parts(expression).unwrap(), expected);
        assert_eq!((&expression[16..19], &expression[28..32]), ("1.2", "slim"));
        for refused in ["app:$$", "app:${A:-${B}}", "app:${A:+x}", "app:${A", "app:$1", "app:$"] {
            assert!(parts(refused).is_err(), "{refused}");
        }
    }
}
