//! Keys: help, palette, filter, sort, columns, marks, findings, freeze; keys of one's own; pasted text.

use std::time::Duration;

use super::{Desk, Home, demo, demo_containers, without_sequences};
use crate::bed::{DEADLINE, wait_until};

/// The heading of the pane beside the list, which names the selected container.
fn selected(name: &str) -> String {
    format!("── {name} ──")
}

/// Selects a container by a click on its row, where it stands with this sign and name.
#[track_caller]
fn select(desk: &mut Desk, row: &str, name: &str) {
    let place = desk.place(row);
    desk.click(place);
    desk.see(&selected(name));
}

/// The row of column headings, without the pane beside the list.
fn headings(desk: &mut Desk) -> String {
    let mut rows = desk.screen().rows();
    let row = rows.find(|row| row.contains(" name") && row.contains(" state")).unwrap();
    row.chars().take(110).collect()
}

#[test]
fn help_lists_the_keys_and_esc_closes_it() {
    let mut desk = demo_containers();
    desk.press_see("?", " Keys ");
    for (key, what, name) in
        [("l", "logs", "container-logs"), ("r", "restart", "container.restart"), ("/", "filter", "filter")]
    {
        desk.see(&format!("  {key:<14}{what:<26}{name}"));
    }
    desk.press_see("G", "hold Shift to select text");
    // Back by one line, and not by as many as were pressed beyond the end.
    desk.press("PgDn");
    desk.press("k");
    desk.miss("hold Shift to select text");
    desk.press_see("g", "container-logs");
    desk.press("Esc");
    desk.miss(" Keys ");
    desk.see(super::TABS[1].1);
}

#[test]
fn the_palette_gives_any_command_by_its_words() {
    let mut desk = demo().open();
    desk.command("checkl");
    desk.see("── Routine ──");
    desk.command("freeze");
    desk.see("FROZEN");
    desk.press_see(":", "Commands");
    desk.write("no such command");
    desk.see("> no such command_");
    desk.press("Enter");
    desk.see("Commands");
    desk.press("Esc");
    desk.miss("Commands");
}

#[test]
fn a_filter_narrows_and_a_bad_one_keeps_the_old() {
    let mut desk = demo_containers();
    desk.press_see("/", "enter keeps   esc clears");
    desk.write("re:dify-db");
    desk.see("/re:dify-db  1 of 15");
    desk.miss("● qdrant");
    desk.press("Enter");
    desk.miss("enter keeps");

    desk.press("/");
    desk.write("(");
    desk.see("`dify-db(` is no regular expression");
    desk.see("/re:dify-db  1 of 15");
    desk.press("Enter");
    desk.miss("is no regular expression");
    desk.see("/re:dify-db  1 of 15");

    desk.press("Esc");
    desk.miss("1 of 15");
    desk.press("/");
    desk.write("mem>1g");
    desk.see("/mem>1g");
    desk.miss("nginx  ");
    desk.write("igs");
    desk.see("`1gigs` is no number");
    desk.press("Esc");
    desk.miss("/mem>1g");
    desk.see("nginx  ");
    desk.press("/");
    desk.write("colour>2");
    desk.see("there is no field `colour` here; there are name, state");
}

#[test]
fn views_of_what_the_engine_holds_follow_each_other() {
    let mut desk = demo_containers();
    desk.see("15 · images 31 · volumes 12 · build cache 4.1 GiB");
    desk.see("── Disk held by Docker ──");
    desk.press_see("v", "── Images ──");
    desk.press("/");
    desk.write("state=dangling own>1g");
    desk.see("/state=dangling own>1g  2 of ");
    desk.press("Enter");
    desk.press_see("Enter", "╭── ollama/ollama ──");
    desk.see("Its name went to a newer image");
    desk.press("Esc");
    desk.miss("╭──");
    desk.press_see("y", "copied: sha256:");
    desk.press("Esc");
    desk.miss("state=dangling");
    desk.press_see("s", "image↓");
    desk.press_see("v", "── Volumes ──");
    desk.read(r"○ 3f9a27c1d08b… +unused +4.9G +(no name · data)");
    desk.press_see("y", "copied: ollama_models");
    desk.press_see("v", "── Networks ──");
    desk.see("── Build cache ──");
    desk.press_see("v", "── Containers ──");
    // From a view Esc leads back; from another tab the key leads to the last view.
    desk.press_see("v", "── Images ──");
    desk.press_see("3", "── Engines ──");
    desk.press_see("2", "── Images ──");
    desk.press_see("Esc", "── Containers ──");
}

#[test]
fn a_sort_leaves_the_selection_on_its_container() {
    let mut desk = demo_containers();
    select(&mut desk, "● postgres ", "agents-postgres-1");
    for column in ["name", "state", "health", "rst", "cpu", "mem"] {
        desk.press("s");
        desk.until("the column is marked", |screen| screen.contains(&format!("{column}↓")));
        assert!(desk.screen().contains(&selected("agents-postgres-1")), "by {column}: {}", desk.screen());
    }
    // Sorted by memory, the order is another one than by name, and the rows are flat.
    let (_, api) = desk.place("dify/api");
    let (_, vllm) = desk.place("agents/vllm");
    assert!(vllm < api);
    desk.press_see("S", "Sort by");
    desk.write("name");
    desk.see("> name_");
    desk.press("Enter");
    desk.see("name↓");
    let (_, embedder) = desk.place("agents/embedder");
    let (_, api) = desk.place("dify/api");
    assert!(embedder < api);
    assert!(desk.screen().contains(&selected("agents-postgres-1")));
}

#[test]
fn a_column_is_hidden_and_shown_again() {
    let mut desk = demo_containers();
    assert!(headings(&mut desk).contains(" image"));
    for _ in 0..2 {
        let shown = headings(&mut desk).contains(" image");
        desk.press_see("C", "Columns");
        desk.write("image");
        desk.see("> image_");
        desk.press("Space");
        desk.until("the column is switched", |screen| screen.rows().any(|row| row.contains("✔ image")) != shown);
        desk.press("Esc");
        desk.miss("> image_");
        assert_eq!(headings(&mut desk).contains(" image"), !shown);
    }
}

#[test]
fn space_marks_and_esc_takes_the_marks_away() {
    let mut desk = demo_containers();
    select(&mut desk, "● postgres ", "agents-postgres-1");
    desk.press_see("Space", "· 1 marked");
    desk.see("✱");
    desk.see(&selected("agents-qdrant-1"));
    desk.press_see("Space", "· 2 marked");
    desk.press("Esc");
    desk.miss("marked");
}

#[test]
fn findings_open_into_their_details() {
    let mut desk = demo().open();
    desk.see("n8n-worker  restarting again and again");
    desk.press_see("a", "container.restart-loop   since");
    desk.press_see("Enter", " container.restart-loop  agents-n8n-worker-1 ");
    desk.see("exit code 137");
    desk.press("Esc");
    desk.miss(" container.restart-loop  agents-n8n-worker-1 ");
}

#[test]
fn keys_in_the_findings_act_on_their_subject() {
    let mut desk = demo().open();
    desk.see("l logs   r restart   b roll back");
    desk.press_see("a", "container.restart-loop   since");
    desk.press_see("i", " inspect agents-n8n-worker-1 ");
    desk.see("a made-up box has no engine that could be asked");
    desk.press_see("l", "/source=agents-n8n-worker-1");
    desk.see("── Stream ──");
    // The second one, from its details.
    desk.press_see("a", "container.oom   since");
    desk.press("j");
    desk.press_see("Enter", " container.oom  agents-n8n-worker-1 ");
    desk.press_see("z", " Snooze ");
    desk.see("container.oom  agents-n8n-worker-1");
    desk.press("Esc");
    desk.miss(" Snooze ");
    // Whoever sees to it says so: it is silent until it clears.
    desk.press_see("a", "container.oom   since");
    desk.press_see("Z", " Acknowledge ");
    desk.see("agents-n8n-worker-1  is silent until it clears");
    desk.press_see("Enter", "recorded in the journal");
    desk.press_see("a", "acknowledged by ");
}

#[test]
fn a_frozen_screen_stands_still_until_it_is_live_again() {
    let mut desk = demo().open();
    desk.see("n8n-worker  restarting again and again");
    for thaw in ["f", "Esc"] {
        desk.press_see("f", "FROZEN at ");
        let frozen = desk.term.mark();
        assert!(desk.term.wait_quiet(Duration::from_millis(2500), DEADLINE), "something is still written");
        assert_eq!(desk.term.traffic(frozen, desk.term.mark()).changed_cells, 0);
        desk.press(thaw);
        desk.miss("FROZEN");
        let before = desk.screen().frame();
        desk.until("numbers move again", |screen| screen.visibly_differs(&before));
    }
}

#[test]
fn keys_of_ones_own_replace_the_usual_ones() {
    let config = "[keys]\nfreeze = [\"F\", \"ctrl-f\"]\ntab-models = \"f\"\nquit = \"Q\"\n";
    let mut desk = Home::new().configured(config).args(["--demo"]).open();
    desk.see("F freeze");
    desk.see(" f Models");
    desk.press_see("f", "── Engines ──");
    desk.press_see("F", "FROZEN");
    desk.press("C-f");
    desk.miss("FROZEN");
    desk.press_see("?", "F ctrl-f");
    desk.press("Esc");
    desk.miss(" Keys ");
    // The usual key means nothing any more.
    desk.press("q");
    desk.press_see("1", "── Disks ──");
    desk.press("Q");
    assert!(desk.end().is_clean());
}

#[test]
fn a_screen_that_something_wrote_on_is_drawn_anew() {
    let mut desk = demo_containers();
    desk.press_see("f", "FROZEN at ");
    for popup in [None, Some(("?", " Keys ")), Some(("/", "enter keeps"))] {
        if let Some((key, text)) = popup {
            desk.press_see(key, text);
        }
        let (before, sent) = (desk.screen().text(), desk.written().len());
        desk.press("C-l");
        wait_until(DEADLINE, "all of it is drawn anew", || {
            let written = desk.written();
            let (_, frame) = written[sent..].rsplit_once("\x1b[2J")?;
            without_sequences(frame).contains("n8n-worker").then_some(())
        });
        desk.until("it looks as before", |screen| screen.text() == before);
        if let Some((_, text)) = popup {
            desk.press("Esc");
            desk.miss(text);
        }
    }
}

#[test]
fn pasted_text_presses_no_key() {
    let mut desk = demo_containers();
    desk.paste("q:quit\r2\x03");
    desk.see("pasted text is only taken where text is typed");
    desk.press_see("/", "enter keeps");
    desk.paste("quit\rq\n:\t\u{202e}post\x1b[31mgres");
    desk.see("filter quit");
    desk.see("postgres_");
    desk.press("Esc");
    desk.miss("filter quit");
    desk.press_see("N", " Note ");
    desk.paste("first line\nsecond line\r");
    desk.see("note   first line");
    desk.press("Esc");
    desk.miss(" Note ");
    assert!(desk.term.is_running());
}
