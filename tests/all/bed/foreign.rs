//! Text as somebody else might have written it: everything that could reach through a name, a label, a
//! log line or an HTTP body to the operator's terminal. And the opposite: whether a text is harmless.

use std::fmt::Write as _;

/// The length of the long line in the log of [`super::faults::foreign_text`], in bytes.
pub(crate) const LONG_LINE: usize = 1 << 20;

/// Pieces of valid UTF-8, each with what it is. The words between the sequences are what an honest
/// reader may keep.
pub(crate) const PIECES: &[(&str, &str)] = &[
    ("CSI: clears the screen, moves, colours", "\x1b[2J\x1b[1;1Hcsi\x1b[31;5mred\x1b[0m"),
    ("OSC 52: writes the clipboard", "\x1b]52;c;aG9zdGxlcg==\x07osc52"),
    ("OSC 0: sets the title", "\x1b]0;title\x1b\\osc0"),
    ("OSC 8: a link", "\x1b]8;;http://127.0.0.1/\x1b\\link\x1b]8;;\x1b\\"),
    ("DCS: asks for a setting", "\x1bP$q\"p\x1b\\dcs"),
    ("APC, PM, SOS", "\x1b_a\x1b\\\x1b^p\x1b\\\x1bXs\x1b\\strings"),
    ("ESC c: resets the terminal", "\x1bcris"),
    ("C1: the same sequences in one character", "\u{9b}2J\u{9d}0;t\u{9c}\u{90}q\u{9c}c1"),
    ("C0: bell, backspaces, return, shift out", "\x07bell\x08\x08\x08\rreturn\x0eshift\x0f\x7f"),
    ("bidi controls", "\u{202e}txt.exe\u{202c}\u{2066}bidi\u{2069}\u{200f}\u{61c}"),
    ("line and paragraph separators", "one\u{2028}two\u{2029}three\u{85}four"),
    ("wide, combining and joined", "日本e\u{301}👩\u{200d}🔬\u{feff}wide"),
    ("begun and never ended", "open\x1b]52;c;"),
];

/// All of [`PIECES`] in one line, for names, labels and bodies.
pub(crate) fn text() -> String {
    let pieces: Vec<_> = PIECES.iter().map(|(_, piece)| *piece).collect();
    pieces.join("|")
}

/// All of [`PIECES`], each on a line of its own, and lines that are not UTF-8: for logs.
pub(crate) fn bytes() -> Vec<u8> {
    let mut lines: Vec<&[u8]> = PIECES.iter().map(|(_, piece)| piece.as_bytes()).collect();
    lines.extend([
        // Never part of UTF-8; C1 controls as single bytes; a sequence cut short; a surrogate.
        b"\xff\xfeinvalid".as_slice(),
        b"\x9b2Jraw\x9d0;t\x9c",
        b"cut\xe2\x82",
        b"\xed\xa0\x80half",
        b"nul\x00nul",
    ]);
    lines.join(&b'\n')
}

/// The bytes as the format of a shell's `printf`, in single quotes.
pub(crate) fn for_printf(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut format, byte| {
        write!(format, "\\{byte:03o}").expect("a string takes any text");
        format
    })
}

/// The first character that must never reach a terminal from outside: a control other than the end of a
/// line, a bidi control, a line or paragraph separator. `None` for a harmless text.
pub(crate) fn first_harmful(text: &str) -> Option<char> {
    text.chars().find(|&character| {
        (character.is_control() && character != '\n')
            || matches!(
                character,
                '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                    | '\u{2028}' | '\u{2029}'
            )
    })
}
