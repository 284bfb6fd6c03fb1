use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;

use tempfile::TempDir;

use super::*;

fn target(name: &str) -> Target {
    Target {
        origin: Arc::new(LogOrigin { container: ContainerId::from(name), name: name.into() }),
        path: format!("/{name}-json.log"),
        is_up: true,
        is_new: false,
    }
}

fn append(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(format!("{name}-json.log"));
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn records(range: std::ops::Range<u64>) -> String {
    range.fold(String::new(), |mut text, number| {
        let (minute, second) = (number / 60 % 60, number % 60);
        writeln!(
            text,
            r#"{{"log":"line {number}\n","stream":"stdout","time":"2026-11-23T09:{minute:02}:{second:02}Z"}}"#
        )
        .unwrap();
        text
    })
}

fn texts(lines: &[LogLine]) -> Vec<&str> {
    lines.iter().map(|line| &*line.text).collect()
}

#[test]
fn a_file_gives_its_last_lines_and_then_what_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..500));
    let gathered = files.turn(Some(vec![target("web")]));
    assert_eq!(gathered.lines.len(), usize::try_from(super::super::FIRST_LINES).unwrap());
    assert_eq!(&*gathered.lines.last().unwrap().text, "line 499");

    append(&folder, "web", &records(500..502));
    let gathered = files.turn(None);
    assert_eq!(texts(&gathered.lines), ["line 500", "line 501"]);
    assert_eq!(gathered.dropped, 0);
}

#[test]
fn of_many_files_fewer_lines_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    let names: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    for name in &names {
        append(&folder, name, &records(0..300));
    }
    let gathered = files.turn(Some(names.iter().map(|name| target(name)).collect()));
    assert_eq!(gathered.lines.len(), 200 * 40);
}

#[test]
fn all_of_a_new_containers_log_is_news() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1000));
    let new = Target { is_new: true, ..target("web") };
    assert_eq!(files.turn(Some(vec![new])).lines.len(), 1000);
    // Even if it had ended before it was seen.
    append(&folder, "job", &records(0..1));
    let ended = Target { is_new: true, is_up: false, ..target("job") };
    assert_eq!(files.turn(Some(vec![ended])).lines.len(), 1);
}

#[test]
fn the_last_words_of_a_container_are_read_and_a_restart_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1));
    assert_eq!(files.turn(Some(vec![target("web")])).lines.len(), 1);

    let down = Target { is_up: false, ..target("web") };
    append(&folder, "web", &records(1..2));
    assert_eq!(texts(&files.turn(Some(vec![down.clone()])).lines), ["line 1"]);
    for _ in 0..Files::LINGER {
        assert!(files.turn(Some(vec![down.clone()])).lines.is_empty());
    }
    append(&folder, "web", &records(2..3));
    assert!(files.turn(None).lines.is_empty());
    let again = files.turn(Some(vec![target("web")]));
    assert_eq!(texts(&again.lines), ["line 2"]);
}

#[test]
fn a_container_that_is_gone_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1));
    files.turn(Some(vec![target("web")]));
    files.turn(Some(Vec::new()));
    assert!(files.followed.is_empty());
}

#[test]
fn a_renamed_container_goes_on_under_its_new_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1));
    files.turn(Some(vec![target("web")]));
    let mut renamed = target("web");
    renamed.origin = Arc::new(LogOrigin { name: "shop".into(), ..(*renamed.origin).clone() });
    append(&folder, "web", &records(1..2));
    let gathered = files.turn(Some(vec![renamed]));
    assert_eq!(&*gathered.lines[0].origin.name, "shop");
}

#[test]
fn a_file_that_cannot_be_followed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "other", "2026-11-23T09:01:44Z stdout F text\n");
    fs::create_dir(folder.path().join("folder-json.log")).unwrap();
    let targets = ["other", "folder", "missing"].map(target);
    let gathered = files.turn(Some(targets.to_vec()));
    let mut refused: Vec<&str> = gathered.refused.iter().map(|(id, _)| &*id.0).collect();
    refused.sort_unstable();
    assert_eq!(refused, ["folder", "missing", "other"]);
    assert!(files.followed.is_empty());
}

#[test]
fn a_flood_is_cut_and_counted_and_starves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    let names: Vec<String> = (0..6).map(|number| format!("flood{number}")).collect();
    let mut targets: Vec<Target> = names.iter().map(|name| target(name)).collect();
    targets.push(target("calm"));
    for target in &targets {
        append(&folder, &target.origin.name, "");
    }
    files.turn(Some(targets));
    let lines = 40_000;
    let many = records(0..lines);
    let (mut given, mut dropped, mut calm) = (0, 0, 0);
    for name in &names {
        append(&folder, name, &many);
    }
    append(&folder, "calm", &records(0..1));
    let turns = 12;
    for _ in 0..turns {
        let gathered = files.turn(None);
        let bytes = gathered.lines.len() as u64 * (many.len() as u64 / lines);
        assert!(bytes <= Files::TURN_BYTES + Files::FILE_BYTES);
        given += gathered.lines.len() as u64;
        dropped += gathered.dropped;
        calm += gathered.lines.iter().filter(|line| &*line.origin.name == "calm").count();
    }
    assert_eq!(calm, 1);
    assert_eq!(given + dropped, 6 * lines + 1);
}

#[test]
fn damaged_records_are_counted_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1));
    files.turn(Some(vec![target("web")]));
    append(&folder, "web", &format!("\0\0\0\0\n{}", records(1..2)));
    let gathered = files.turn(None);
    assert_eq!(texts(&gathered.lines), ["line 1"]);
    assert_eq!(gathered.dropped, 1);
}

#[test]
fn a_line_that_never_ends_is_shown_after_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Files::new(RootedFs::new(folder.path()));
    append(&folder, "web", &records(0..1));
    files.turn(Some(vec![target("web")]));
    let part = "x".repeat(16 << 10);
    append(
        &folder,
        "web",
        &format!("{{\"log\":\"{part}\",\"stream\":\"stdout\",\"time\":\"2026-11-23T09:01:44Z\"}}\n"),
    );
    let seen: usize = (0..=Files::UNENDED).map(|_| files.turn(None).lines.len()).sum();
    assert_eq!(seen, 1);
}
