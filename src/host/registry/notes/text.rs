//! Markdown as other people write it, as harmless lines; and which of them tell of what breaks.

use crate::host::foreign;

/// The most that is looked at of one release's notes, bytes.
const BODY_BYTES: usize = 64 << 10;
/// The longest line, bytes.
const LINE_BYTES: usize = 160;

/// What makes a line, or everything below a heading, one that must be read before an update.
const GRAVE: &[&str] = &[
    "breaking",
    "migrat",
    "deprecat",
    "incompatib",
    "upgrade note",
    "upgrading",
    "upgrade guide",
    "action required",
    "manual step",
    "no longer support",
    "removed support",
    "dropped support",
    "drop support",
    "backup",
    "back up",
    "💥",
];

/// The lines of release notes: those that must be read before an update, and the others. Headings of the first stay out:
/// what stands below them says enough.
pub(super) fn notes(body: &str) -> (Vec<String>, Vec<String>) {
    let (mut grave, mut others) = (Vec::new(), Vec::new());
    let body = body.get(..body.floor_char_boundary(BODY_BYTES)).unwrap_or_default();
    let mut below_grave = false;
    for written in without_comments(body).lines() {
        let Some((line, is_heading)) = plain(written) else { continue };
        let is_grave = is_grave(&line);
        if is_heading {
            below_grave = is_grave;
            if !is_grave {
                others.push(line);
            }
        } else if is_grave || below_grave {
            grave.push(line);
        } else {
            others.push(line);
        }
    }
    (grave, others)
}

fn is_grave(line: &str) -> bool {
    let line = line.to_lowercase();
    GRAVE.iter().any(|word| line.contains(word))
}

/// The text without `<!-- … -->`.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    kept
}

/// One line as plain text, and whether it is a heading; `None` for one that says nothing.
fn plain(written: &str) -> Option<(String, bool)> {
    let cleaned = foreign::clean(written.trim(), 4 * LINE_BYTES);
    let line = cleaned.trim();
    let heading = line.trim_start_matches('#');
    let is_heading = heading.len() < line.len() && heading.starts_with(' ');
    let line = if is_heading { heading } else { line };
    let (bullet, line) = match line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
        Some(item) => ("- ", item),
        None => ("", line),
    };
    let line = without_tags(&without_links(line)).replace("**", "").replace("__", "").replace('`', "");
    let line = foreign::clean(line.trim(), LINE_BYTES);
    let says = line.chars().any(char::is_alphanumeric);
    says.then(|| (format!("{bullet}{line}"), is_heading))
}

/// `[text](address)` as its text, pictures as nothing.
fn without_links(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(text, tail)| {
            let (_, tail) = tail.split_once(')')?;
            (!text.contains('[')).then_some((text, tail))
        });
        if let Some((text, tail)) = link {
            let picture = before.strip_suffix('!');
            kept.push_str(picture.unwrap_or(before));
            kept.push_str(if picture.is_some() { "" } else { text });
            rest = tail;
        } else {
            kept.extend([before, "["]);
            rest = after;
        }
    }
    kept.push_str(rest);
    kept
}

/// The line without `<…>` that look like tags.
fn without_tags(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        kept.push_str(before);
        let is_tag = after.starts_with(|character: char| character.is_ascii_alphabetic() || character == '/');
        if let Some((_, tail)) = after.split_once('>').filter(|_| is_tag) {
            rest = tail;
        } else {
            kept.push('<');
            rest = after;
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markdown_becomes_plain_lines() {
        for (written, line) in [
            (
                "* **core:** Fix [a thing](https://x.example/1) ([#12](https://x.example/12))",
                "- core: Fix a thing (#12)",
            ),
            ("- `a` <b>bold</b> ![logo](x.png)", "- a bold"),
            ("## What's Changed", "What's Changed"),
            ("#12 is fixed", "#12 is fixed"),
            ("if a < b and c > d", "if a < b and c > d"),
            ("[x] done", "[x] done"),
        ] {
            assert_eq!(plain(written).unwrap().0, line, "{written}");
        }
        for empty in ["", "---", "***", "<br/>", "![x](y)"] {
            assert_eq!(plain(empty), None, "{empty}");
        }
    }

    #[test]
    fn what_must_be_read_is_told_by_its_words_or_its_heading() {
        let body = "## Features\n- new node\n- BREAKING: the port moved\n<!-- migrate nothing -->\n\
            ## Upgrade notes\n- run the script first\n## Fixes\n- a fix";
        let (grave, others) = notes(body);
        assert_eq!(grave, ["- BREAKING: the port moved", "- run the script first"]);
        assert_eq!(others, ["Features", "- new node", "Fixes", "- a fix"]);
    }

    proptest! {
        #[test]
        fn any_notes_are_borne(body in "(?s).{0,300}") {
            let (grave, others) = notes(&body);
            prop_assert!(grave.iter().chain(&others).all(|line| line.len() <= LINE_BYTES + 2));
        }
    }
}
