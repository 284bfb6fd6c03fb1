//! Where the image of a service, a word of its command or a variable stands in a compose file: found by a YAML parser, as a
//! place in one line.
//!
//! What could mean more than one service, or stands on more than one line, is refused with its reason rather than guessed.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::words;

/// A value that stands in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The line, counted from 1.
    pub(super) line: usize,
    /// Where the value begins in its line, bytes, behind its quote.
    pub(super) start: usize,
    /// The value as it is written, without its quotes.
    pub(super) value: String,
}

/// The place of a service's image in the text of a compose file; `None` where the file does not name it.
///
/// # Errors
/// Why it cannot be edited, as a clause.
pub(super) fn image_of(text: &str, service: &str) -> Result<Option<Place>, String> {
    const WHAT: &str = "the image";
    let events = events(text)?;
    let Some(image) = of_service(text, &events, service, ("image", WHAT))? else { return Ok(None) };
    place(text, &events[image], WHAT).map(Some)
}

/// The words of a service's command (its `command`, or its `entrypoint`), each where it stands or why it cannot be edited;
/// `None` where the file does not give one.
///
/// # Errors
/// Why none of them can be edited, as a clause.
pub(super) fn words_of(text: &str, service: &str, key: &str) -> Result<Option<Words>, String> {
    let what = format!("its `{key}`");
    let events = events(text)?;
    let Some(at) = of_service(text, &events, service, (key, &what))? else { return Ok(None) };
    match &events[at] {
        (Event::SequenceStart(0, None), _) => Ok(Some(items(text, &events, at, &what))),
        (Event::SequenceStart(0, Some(_)), _) => Err(format!("{what} has a tag (`!`)")),
        (Event::SequenceStart(..), _) => Err(format!("others may use {what} by an anchor (`&`)")),
        scalar => in_lines(text, scalar, &what).map(Some),
    }
}

/// Words of a command, each where it stands, or why it cannot be edited, as a clause.
pub(super) type Words = Vec<Result<Place, String>>;

/// The place of the value that a service's environment gives to a variable; `None` where it gives it none.
///
/// # Errors
/// Why it cannot be edited, as a clause.
pub(super) fn variable_of(text: &str, service: &str, name: &str) -> Result<Option<Place>, String> {
    let what = format!("`{name}`");
    let events = events(text)?;
    let Some(at) = of_service(text, &events, service, ("environment", "its `environment`"))? else { return Ok(None) };
    if let (Event::SequenceStart(0, None), _) = &events[at] {
        let of_it = |place: Place| {
            let value = place.value.strip_prefix(name)?.strip_prefix('=')?.to_owned();
            Some(Place { start: place.start + name.len() + 1, value, ..place })
        };
        return Ok(items(text, &events, at, &what).into_iter().flatten().find_map(of_it));
    }
    block(text, &events[at], "its `environment`")?;
    match value_of(&events, at, name)? {
        Some(value) => place(text, &events[value], &what).map(Some),
        None if value_of(&events, at, "<<")?.is_some() => Err(format!("{what} may come from another part by `<<`")),
        None => Ok(None),
    }
}

/// The index of the value of a key (called so) of a service; `None` where the file does not have it.
fn of_service(
    text: &str,
    events: &[(Event<'_>, Span)],
    service: &str,
    (key, what): (&str, &str),
) -> Result<Option<usize>, String> {
    if events.iter().filter(|(event, _)| matches!(event, Event::DocumentStart(_))).count() > 1 {
        return Err("it holds more than one document".to_owned());
    }
    let Some(root) = events.iter().position(|(event, _)| matches!(event, Event::MappingStart(..))) else {
        return Ok(None);
    };
    let mut at = root;
    for (key, what) in [("services", "the whole file"), (service, "the list of services")] {
        block(text, &events[at], what)?;
        let Some(found) = value_of(events, at, key)? else { return Ok(None) };
        at = found;
    }
    block(text, &events[at], "the service")?;
    if let Some(value) = value_of(events, at, key)? {
        return Ok(Some(value));
    }
    match (value_of(events, at, "<<")?, value_of(events, at, "extends")?) {
        (None, None) => Ok(None),
        (Some(_), _) => Err(format!("{what} comes from another service by `<<`")),
        (None, Some(_)) => Err(format!("{what} comes from another service by `extends`")),
    }
}

/// The items of the list that begins at `list`.
fn items(text: &str, events: &[(Event<'_>, Span)], list: usize, what: &str) -> Words {
    let mut found = Vec::new();
    let mut at = list + 1;
    while let Some(event) = events.get(at).filter(|(event, _)| !matches!(event, Event::SequenceEnd)) {
        found.push(place(text, event, &format!("a word of {what}")));
        at = after(events, at);
    }
    found
}

/// The words of a text, however many lines it has.
fn in_lines(text: &str, (event, span): &(Event<'_>, Span), what: &str) -> Result<Words, String> {
    let (value, style) = plain(event, what)?;
    let range = offset(text, span.start).zip(offset(text, span.end)).ok_or("its lines cannot be told apart")?;
    let mut begin = range.0;
    let mut written = text.get(begin..range.1).unwrap_or_default();
    if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
        let quotes = ['\'', '"'];
        written = written.strip_prefix(quotes).and_then(|inner| inner.strip_suffix(quotes)).unwrap_or_default();
        begin += 1;
    }
    let (meant, found) = (words::split(value)?, words::split(written)?);
    if !meant.iter().map(|word| &word.text).eq(found.iter().map(|word| &word.text)) {
        return Err(format!("{what} is not written plainly"));
    }
    let place = |word: &words::Word| {
        let inner = word.inner(written).ok_or_else(|| format!("`{}` is not written plainly in one line", word.text))?;
        let at = begin + inner.start;
        let line = text[..at].matches('\n').count();
        let start = at - text[..at].rfind('\n').map_or(0, |end| end + 1);
        Ok(Place { line: line + 1, start, value: word.text.clone() })
    };
    Ok(found.iter().map(place).collect())
}

/// What a parser makes of the text, without the places: two texts that differ in one value differ in one of these.
///
/// # Errors
/// Why it is no YAML.
pub(super) fn meaning(text: &str) -> Result<Vec<Event<'_>>, String> {
    Ok(events(text)?.into_iter().map(|(event, _)| event).collect())
}

fn events(text: &str) -> Result<Vec<(Event<'_>, Span)>, String> {
    let events: Result<Vec<_>, _> = Parser::new_from_str(text).collect();
    events.map_err(|error| format!("it cannot be read: {error}"))
}

/// Whether a value is a mapping of its own in lines of its own.
fn block(text: &str, (event, span): &(Event<'_>, Span), what: &str) -> Result<(), String> {
    match event {
        Event::MappingStart(0, None) => {}
        Event::MappingStart(0, Some(_)) => return Err(format!("{what} has a tag (`!`)")),
        Event::MappingStart(..) => return Err(format!("others may use {what} by an anchor (`&`)")),
        Event::Alias(_) => return Err(format!("{what} is an alias (`*`) of another part")),
        _ => return Err(format!("{what} is no mapping")),
    }
    let begins = line_of(text, span).and_then(|(line, start)| line.get(start..)?.chars().next());
    if begins == Some('{') { Err(format!("{what} stands in braces")) } else { Ok(()) }
}

/// The index of the value of a key in the mapping that begins at `mapping`.
fn value_of(events: &[(Event<'_>, Span)], mapping: usize, key: &str) -> Result<Option<usize>, String> {
    let mut found = None;
    let mut at = mapping + 1;
    while let Some((event, _)) = events.get(at) {
        if matches!(event, Event::MappingEnd) {
            break;
        }
        let value = after(events, at);
        if matches!(event, Event::Scalar(name, ..) if name == key) && found.replace(value).is_some() {
            return Err(format!("`{key}` stands there twice"));
        }
        at = after(events, value);
    }
    Ok(found)
}

/// The index behind the value that begins at `at`.
fn after(events: &[(Event<'_>, Span)], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some((event, _)) = events.get(at) {
        at += 1;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn place(text: &str, (event, span): &(Event<'_>, Span), what: &str) -> Result<Place, String> {
    let (value, style) = plain(event, what)?;
    let quote = match style {
        ScalarStyle::Plain => "",
        ScalarStyle::SingleQuoted => "'",
        ScalarStyle::DoubleQuoted => "\"",
        _ => return Err(format!("{what} is a block of lines")),
    };
    let (line, start) = line_of(text, span).ok_or("its lines cannot be told apart")?;
    let written = line.get(start..).unwrap_or_default();
    // With escapes or on several lines, what is written differs from what is meant.
    if value.is_empty() || !written.starts_with(&format!("{quote}{value}{quote}")) {
        return Err(format!("{what} is not written plainly in one line"));
    }
    Ok(Place { line: span.start.line(), start: start + quote.len(), value: value.to_owned() })
}

/// A text that is nobody else's.
fn plain<'a>(event: &'a Event<'_>, what: &str) -> Result<(&'a str, ScalarStyle), String> {
    match event {
        Event::Scalar(value, style, 0, None) => Ok((value, *style)),
        Event::Scalar(_, _, 0, Some(_)) => Err(format!("{what} has a tag (`!`)")),
        Event::Scalar(..) => Err(format!("others may use {what} by an anchor (`&`)")),
        Event::Alias(_) => Err(format!("{what} is an alias (`*`) of another part")),
        _ => Err(format!("{what} is no text")),
    }
}

/// Where a mark of the parser stands, bytes.
fn offset(text: &str, mark: Marker) -> Option<usize> {
    text.char_indices().map(|(index, _)| index).chain([text.len()]).nth(mark.index())
}

/// The line in which something begins, without its end, and the byte where it begins.
fn line_of<'a>(text: &'a str, span: &Span) -> Option<(&'a str, usize)> {
    let line = super::line(text, span.start.line())?;
    let start = line.char_indices().map(|(index, _)| index).nth(span.start.col());
    start.or_else(|| (line.chars().count() == span.start.col()).then_some(line.len())).map(|start| (line, start))
}
