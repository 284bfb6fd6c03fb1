//! Where the image of a service stands in a compose file: found by a YAML parser, as a place in one line.
//!
//! What could mean more than one service, or stands on more than one line, is refused with its reason rather than guessed.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

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
    let events = events(text)?;
    if events.iter().filter(|(event, _)| matches!(event, Event::DocumentStart(_))).count() > 1 {
        return Err("it holds more than one document".to_owned());
    }
    let Some(root) = events.iter().position(|(event, _)| matches!(event, Event::MappingStart(..))) else {
        return Ok(None);
    };
    let mut at = root;
    for (key, what) in [("services", "the whole file"), (service, "the list of services")] {
        block(text, &events[at], what)?;
        let Some(found) = value_of(&events, at, key)? else { return Ok(None) };
        at = found;
    }
    block(text, &events[at], "the service")?;
    let Some(image) = value_of(&events, at, "image")? else {
        return match (value_of(&events, at, "<<")?, value_of(&events, at, "extends")?) {
            (None, None) => Ok(None),
            (Some(_), _) => Err("the image comes from another service by `<<`".to_owned()),
            (None, Some(_)) => Err("the image comes from another service by `extends`".to_owned()),
        };
    };
    place(text, &events[image]).map(Some)
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

fn place(text: &str, (event, span): &(Event<'_>, Span)) -> Result<Place, String> {
    let (value, style) = match event {
        Event::Scalar(value, style, 0, None) => (value, style),
        Event::Scalar(_, _, 0, Some(_)) => return Err("the image has a tag (`!`)".to_owned()),
        Event::Scalar(..) => return Err("others may use the image by an anchor (`&`)".to_owned()),
        Event::Alias(_) => return Err("the image is an alias (`*`) of another part".to_owned()),
        _ => return Err("the image is no text".to_owned()),
    };
    let quote = match style {
        ScalarStyle::Plain => "",
        ScalarStyle::SingleQuoted => "'",
        ScalarStyle::DoubleQuoted => "\"",
        _ => return Err("the image is a block of lines".to_owned()),
    };
    let (line, start) = line_of(text, span).ok_or("its lines cannot be told apart")?;
    let written = line.get(start..).unwrap_or_default();
    // With escapes or on several lines, what is written differs from what is meant.
    if value.is_empty() || !written.starts_with(&format!("{quote}{value}{quote}")) {
        return Err("the image is not written plainly in one line".to_owned());
    }
    Ok(Place { line: span.start.line(), start: start + quote.len(), value: value.clone().into_owned() })
}

/// The line in which something begins, without its end, and the byte where it begins.
fn line_of<'a>(text: &'a str, span: &Span) -> Option<(&'a str, usize)> {
    let line = super::line(text, span.start.line())?;
    let start = line.char_indices().map(|(index, _)| index).nth(span.start.col());
    start.or_else(|| (line.chars().count() == span.start.col()).then_some(line.len())).map(|start| (line, start))
}
