//! Mouse and clipboard: clicks, the wheel, giving the mouse back, and OSC 52 through whatever lies between.

use super::{Home, demo, demo_containers};
use crate::pty::Screen;

/// Base64 (RFC 4648), as OSC 52 wants it.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, index| bits << 8 | u32::from(chunk.get(index).copied().unwrap_or(0)));
        for digit in 0..4 {
            let shown = digit <= chunk.len();
            encoded.push(if shown { DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char } else { '=' });
        }
    }
    encoded
}

#[test]
fn base64_is_as_the_standard_has_it() {
    for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
        assert_eq!(base64(plain), encoded);
    }
}

#[test]
fn a_click_goes_where_it_points() {
    let mut desk = demo().open();
    let tab = desk.place("Containers");
    desk.click(tab);
    desk.see("── Containers ──");
    let row = desk.place("● weaviate ");
    desk.click(row);
    desk.see("── dify-weaviate-1 ──");
    // A second click opens what is selected.
    desk.click(row);
    desk.see(" dify-weaviate-1 ");
    desk.see("image id");
    desk.click((0, 47));
    desk.miss("image id");
    desk.wheel(true, row);
    desk.see("── dify-web-1 ──");
    desk.wheel(false, row);
    desk.see("── dify-weaviate-1 ──");
    let column = desk.place(" mem ");
    desk.click((column.0 + 1, column.1));
    desk.see("mem↓");
    desk.click((column.0 + 1, column.1));
    desk.see("mem↑");
    // A finding in the strip opens the findings.
    let finding = desk.place("n8n-worker  restarting");
    desk.click(finding);
    desk.see("container.restart-loop   since");
    desk.press("Esc");
    desk.miss("container.restart-loop   since");
    let help = desk.place("? help");
    desk.click(help);
    desk.see(" Keys ");
}

#[test]
fn the_mouse_can_be_given_back() {
    let mut desk = demo().open();
    desk.until("the mouse is taken", Screen::mouse);
    desk.press_see("m", "mouse off: the terminal selects text");
    desk.until("the mouse is given back", |screen| !screen.mouse());
    desk.press_see("m", "mouse on: hold Shift to select text");
    desk.until("the mouse is taken", Screen::mouse);

    let mut without = Home::new().configured("[ui]\nmouse = false\n").args(["--demo"]).open();
    without.see("n8n-worker");
    assert!(!without.screen().mouse());
    assert!(!without.written().contains("\x1b[?1000h"));
}

#[test]
fn y_puts_the_selected_name_on_the_clipboard() {
    let mut desk = demo_containers();
    let row = desk.place("● qdrant ");
    desk.click(row);
    desk.see("── agents-qdrant-1 ──");
    desk.press_see("y", "copied: agents-qdrant-1");
    let sequence = format!("\x1b]52;c;{}\x1b\\", base64("agents-qdrant-1"));
    assert!(desk.written().contains(&sequence));
    assert_eq!(desk.screen().clipboard(), [base64("agents-qdrant-1").into_bytes()]);
    assert!(!desk.written().contains("\x1bP"), "nothing is wrapped where nothing lies between");
    desk.press("1");
    desk.press_see("/", "enter keeps");
    desk.write("no such process");
    desk.see("process_");
    desk.press("Enter");
    desk.press_see("y", "nothing to copy here");
    assert_eq!(desk.screen().clipboard().len(), 1);
}

#[test]
fn in_tmux_the_clipboard_is_reached_through_it() {
    let mut desk = demo().args(["--tab", "containers"]).env("TMUX", "/tmp/tmux-0/default,1,0").open();
    let row = desk.place("● qdrant ");
    desk.click(row);
    desk.see("── agents-qdrant-1 ──");
    desk.press_see("y", "copied: agents-qdrant-1");
    let bare = format!("\x1b]52;c;{}\x1b\\", base64("agents-qdrant-1"));
    let wrapped = format!("\x1bPtmux;{}\x1b\\", bare.replace('\x1b', "\x1b\x1b"));
    assert!(desk.written().contains(&format!("{wrapped}{bare}")));
}

#[test]
fn a_popup_is_copied_whole() {
    let mut desk = demo().open();
    desk.press_see("?", " Keys ");
    desk.press("y");
    desk.until("the keys are copied", |screen| screen.clipboard().len() == 1);
    let copied = desk.screen().clipboard()[0].clone();
    assert!(copied.len() > 1000, "{} bytes", copied.len());
}
