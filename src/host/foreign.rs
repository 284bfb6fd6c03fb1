//! Text that others wrote: stripped of everything that could reach the terminal as anything but text, and bounded.
//!
//! Removed are escape sequences with their payload (CSI, OSC, DCS, APC, PM, SOS, in 7-bit and 8-bit form), control
//! characters, bidirectional controls and invisible format characters (Unicode TR 36 §3; Trojan Source,
//! CVE-2021-42574). A tab becomes a space. Everything else stays as it is.

use std::borrow::Cow;

use vte::{Parser, Perform};

/// The most that is kept of a name, bytes.
pub const NAME_BYTES: usize = 256;

/// `text` as one harmless line of at most `max_bytes`, cut at a character. Clean text is returned as it is.
pub fn clean(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    // Stripping never makes text longer, but sequences may hide any amount of it: look at a bounded part only.
    let looked_at = floor_boundary(text, max_bytes.saturating_mul(4).max(4096));
    let mut kept = Kept { text: String::with_capacity(looked_at.len().min(max_bytes)), max_bytes };
    let mut parser = Parser::new();
    let mut seven_bit = [0_u8; 8];
    for character in looked_at.chars() {
        match u32::from(character) {
            // C1 controls in their 7-bit form, so that the parser also takes away what they introduce.
            code @ 0x80..=0x9f => parser.advance(&mut kept, &[0x1b, (code - 0x40) as u8]),
            _ => parser.advance(&mut kept, character.encode_utf8(&mut seven_bit).as_bytes()),
        }
        if kept.text.len() >= max_bytes {
            break;
        }
    }
    Cow::Owned(kept.text)
}

/// Bytes that should be text, as one harmless line; invalid UTF-8 is replaced.
pub fn clean_bytes(bytes: &[u8], max_bytes: usize) -> Cow<'_, str> {
    let looked_at = &bytes[..bytes.len().min(max_bytes.saturating_mul(4).max(4096))];
    match String::from_utf8_lossy(looked_at) {
        Cow::Borrowed(text) => clean(text, max_bytes),
        Cow::Owned(text) => Cow::Owned(clean(&text, max_bytes).into_owned()),
    }
}

/// A name (container, image, label, model) as one harmless line.
pub fn name(text: &str) -> String {
    clean(text, NAME_BYTES).into_owned()
}

/// The longest start of `text` of at most `bytes`, not cutting a character.
fn floor_boundary(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or_default()
}

/// Collects what the parser calls printable.
struct Kept {
    text: String,
    max_bytes: usize,
}

impl Perform for Kept {
    fn print(&mut self, character: char) {
        if !is_hidden(character) && self.text.len() + character.len_utf8() <= self.max_bytes {
            self.text.push(character);
        }
    }

    fn execute(&mut self, byte: u8) {
        if byte == b'\t' && self.text.len() < self.max_bytes {
            self.text.push(' ');
        }
    }
}

/// Controls, bidirectional controls, and characters that take no place and mean nothing in a line of a table.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("n8n-worker-1", 64), Cow::Borrowed("n8n-worker-1")));
        assert_eq!(clean("grüße 你好 ✔", 64), "grüße 你好 ✔");
    }

    #[test]
    fn sequences_go_with_their_payload() {
        let cases = [
            ("\x1b[31mred\x1b[0m", "red"),
            ("a\x1b]52;c;ZXZpbA==\x07b", "ab"),
            ("a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
            ("a\u{9d}52;c;ZXZpbA==\u{9c}b", "ab"),
            ("a\u{9b}31mb", "ab"),
            ("a\x1bP1$r0m\x1b\\b", "ab"),
            ("a\u{90}q#0\u{9c}b", "ab"),
            ("a\x1b_Gf=100\x1b\\b", "ab"),
            ("a\x08\x00\x7fb", "ab"),
            ("one\ttwo\r\nthree", "one twothree"),
            ("admin\u{202e}gpj.exe", "admingpj.exe"),
            ("a\u{2066}b\u{2069}\u{200b}\u{feff}c", "abc"),
        ];
        for (foreign, kept) in cases {
            assert_eq!(clean(foreign, 256), kept, "{foreign:?}");
        }
    }

    #[test]
    fn length_is_bounded_at_a_character() {
        assert_eq!(clean(&"é".repeat(100), 5), "éé");
        assert!(clean(&format!("{}x", "\x1b[31m".repeat(100_000)), 64).len() <= 64);
        assert_eq!(clean_bytes(b"ok \xff\xfe end", 64), "ok \u{fffd}\u{fffd} end");
    }

    proptest! {
        #[test]
        fn nothing_but_text_comes_out(text in any::<String>(), max in 0_usize..200) {
            let kept = clean(&text, max);
            prop_assert!(kept.len() <= max);
            prop_assert!(!kept.chars().any(is_hidden));
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text in any::<String>()) {
            let once = clean(&text, 4096).into_owned();
            prop_assert_eq!(clean(&once, 4096), once.as_str());
        }
    }
}
