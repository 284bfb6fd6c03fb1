//! The edit that gives a service's image another tag: pure, from the texts of a project's files to one line.

use std::ops::Range;

use super::files::{Edited, Files, Resolved};
use super::yaml;

/// The reference with another tag, for a container that `reference` names the image of.
///
/// # Errors
/// Why not, as a clause.
pub(in crate::actions) fn with_tag(reference: &str, tag: &str) -> Result<String, String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let begins = tag.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_');
    if !begins || tag.len() > 128 || !tag.chars().all(plain) {
        return Err(format!("`{tag}` is no tag: letters, digits, `.`, `_` and `-`, at most 128 of them"));
    }
    if reference.starts_with("sha256:") || reference.contains('@') {
        return Err(format!("it is pinned to one image ({reference}), which has no tag"));
    }
    let mut new = reference.to_owned();
    match tag_in(reference) {
        Some(at) => new.replace_range(at, tag),
        None => new.extend([":", tag]),
    }
    Ok(new)
}

/// Where the tag of a reference stands in it, bytes.
fn tag_in(reference: &str) -> Option<Range<usize>> {
    let colon = reference.rfind(':')?;
    // A colon before a slash belongs to a port.
    (!reference[colon..].contains('/')).then(|| colon + 1..reference.len())
}

/// The one line to edit so that the image of `service`, now `reference`, has the tag `tag`.
///
/// # Errors
/// Why it must be edited by hand, in a sentence that names the file.
pub(super) fn edit(files: &Files, service: &str, reference: &str, tag: &str) -> Result<Edited, String> {
    let new = with_tag(reference, tag)?;
    let resolved = resolve(files, service)?;
    let by_hand = |why: String| format!("edit {} by hand: {why}", named(files, service));
    if resolved.text != reference {
        return Err(by_hand(format!(
            "it says {}, and the container was made from {reference}; `docker compose up` brings them together",
            resolved.text
        )));
    }
    let (source, value) = if let Some(at) = tag_in(reference) {
        resolved.changed(at, tag, "its tag").map_err(by_hand)?
    } else {
        let (last, text) = resolved.last().ok_or_else(|| by_hand("the image is empty".to_owned()))?;
        (last, format!("{text}:{tag}"))
    };
    files.edited(source, &value, |after| {
        let says = resolve(after, service)?.text;
        if says == new { Ok(()) } else { Err(format!("it would say {says} rather than {new}")) }
    })
}

/// The reference of a service's image, with the places that it comes from.
fn resolve(files: &Files, service: &str) -> Result<Resolved, String> {
    for (file, (path, text)) in files.compose.iter().enumerate().rev() {
        let by_hand = |why: String| format!("edit {path} by hand: {why}");
        let Some(place) = yaml::image_of(text, service).map_err(by_hand)? else { continue };
        return files.resolved(file, &place).map_err(by_hand);
    }
    Err(format!("edit {} by hand: it does not name the image of {service}", named(files, service)))
}

/// The last file that may name a service's image, for words about it.
fn named<'a>(files: &'a Files, service: &str) -> &'a str {
    files.named(|text| matches!(yaml::image_of(text, service), Ok(Some(_)) | Err(_)))
}
