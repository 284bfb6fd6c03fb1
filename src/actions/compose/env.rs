//! Variables of a project's `.env`, with the line in which each is set.

/// A variable as a line sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// Where the value begins in its line, bytes, behind its quote.
    pub(super) start: usize,
    /// The value, without quotes and remarks.
    pub(super) value: String,
}

/// The variable of this name; the last line that sets it holds. `None` where none does.
pub(super) fn variable(text: &str, name: &str) -> Option<Variable> {
    let lines = text.split('\n').enumerate();
    let found = lines.filter_map(|(index, line)| assigned(line.trim_end_matches('\r'), name).map(|it| (index, it)));
    let (index, (start, value)) = found.last()?;
    Some(Variable { line: index + 1, start, value: value.to_owned() })
}

/// The place and the value that a line gives to a variable.
fn assigned<'a>(line: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let trimmed = line.trim_start_matches('\u{feff}').trim_start();
    let trimmed = trimmed.strip_prefix("export ").map_or(trimmed, str::trim_start);
    let rest = trimmed.strip_prefix(name)?.trim_start();
    let written = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':'))?.trim_start();
    let start = line.len() - written.len();
    for quote in ['"', '\''] {
        if let Some(inner) = written.strip_prefix(quote) {
            let end = inner.find(quote).unwrap_or(inner.len());
            return Some((start + 1, &inner[..end]));
        }
    }
    if written.starts_with('#') {
        return Some((start, ""));
    }
    let end = written.find(" #").or_else(|| written.find("\t#")).unwrap_or(written.len());
    Some((start, written[..end].trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<(usize, usize, String)> {
        variable(text, "TAG").map(|it| (it.line, it.start, it.value))
    }

    #[test]
    fn a_variable_is_found_however_it_is_written() {
        let found = |line, start, value: &str| Some((line, start, value.to_owned()));
        assert_eq!(value("TAG=1.2\n"), found(1, 4, "1.2"));
        assert_eq!(value("# TAG=0\r\nA=b\r\nTAG = 1.2 # pinned\r\n"), found(3, 6, "1.2"));
        assert_eq!(value("export TAG=\"1.2\" # pinned"), found(1, 12, "1.2"));
        assert_eq!(value("TAG='1.2'\nTAG=1.3\n"), found(2, 4, "1.3"));
        assert_eq!(value("TAG=\n"), found(1, 4, ""));
        assert_eq!(value("TAGS=1\nMYTAG=2\nTAG\n"), None);
    }
}
