//! The recorder as a process of its own, and its history under what happens to disks and processes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hostler::domain::SeriesKey;
use hostler::domain::metric::CPU_USED;
use hostler::history::{MinuteBatch, SampleReader, SampleWriter, StateDir};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bed::{self, Ended, Home, wait_until};

/// A whole number of two hours after the epoch.
const BEGIN: i64 = 1_795_392_000;

/// A recorder that runs until it is dropped.
struct Recorder(Child);

impl Recorder {
    fn start(home: &Home, more: &[&str]) -> Self {
        let state = home.state();
        let args = [&["record", "--state-dir", state.to_str().unwrap()], more].concat();
        let child = home.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        wait_until(bed::DEADLINE, "the recorder to hold its lock", || {
            StateDir::choose(Some(&state)).has_recorder().then_some(())
        });
        Self(child)
    }

    /// Tells it to end, and gives its exit code.
    fn stop(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn lines(home: &Home, args: &[&str]) -> Vec<Value> {
    let ended = home.run(&[&["history"], args, &["--json"]].concat());
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_recorder_saw_is_told_after_it_ended() {
    let home = Home::new().alone();
    let recorder = Recorder::start(&home, &[]);
    std::thread::sleep(Duration::from_secs(13));
    assert_eq!(recorder.stop(Signal::TERM), Some(0));
    let series = home.run(&["history"]);
    assert!(series.out.lines().any(|line| line == "disk_free_ratio{mount=\"/\"}"), "{}", series.out);
    let lines = lines(&home, &["memory_used_ratio", "--since", "1h", "--step", "10s"]);
    assert!(!lines.is_empty());
    for line in lines {
        let mean = line["mean"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&mean) && line["series"] == "memory_used_ratio", "{line}");
    }
    home.run(&["history", "no_such_series"]).refused(1, "no series `no_such_series` was recorded");
    home.run(&["history", "a{"]).refused(64, "is no series");
    home.run(&["history", "cpu_used_ratio", "--since", "soon"]).refused(64, "is no beginning");
}

#[test]
fn one_recorder_runs_on_a_folder() {
    let home = Home::new().alone();
    let recorder = Recorder::start(&home, &[]);
    let second = home.run(&["record"]);
    second.refused(1, "recorder.lock");
    // Of a kill it leaves nothing that a next one would trip over.
    recorder.stop(Signal::KILL);
    let third = Recorder::start(&home, &[]);
    assert_eq!(third.stop(Signal::INT), Some(0));
    home.run(&["record", "--read-only"]).refused(4, "read-only");
}

#[test]
fn where_nothing_was_recorded_history_says_how_to() {
    Home::new().run(&["history"]).refused(1, "`hostler record` records");
}

#[test]
fn a_recorder_that_may_not_write_says_where() {
    let home = Home::new();
    let state = home.state();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&state, PermissionsExt::from_mode(0o555)).unwrap();
    if !is_root() {
        return;
    }
    let recorder = home.command(&["record", "--state-dir", state.to_str().unwrap()]);
    as_user(&recorder, 65_534).refused(1, state.to_str().unwrap());
}

/// Only root can be somebody else.
fn is_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        bed::left_out("only root can be another user");
    }
    is_root
}

/// Runs a command as nobody in particular, of this group.
fn as_user(command: &Command, group: u32) -> Ended {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", &format!("--regid={group}"), "--clear-groups", "--"]).args(words);
    other.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ended::of(other.stdin(Stdio::null()))
}

#[test]
fn what_is_measured_is_told_to_prometheus() {
    let home = Home::new().alone();
    // Only whoever is in its network can ask it: the recorder itself is looked at from there.
    let recorder = Recorder::start(&home, &["--listen", "127.0.0.1:19709"]);
    let ask = |path: &str| {
        let mut command = Command::new("nsenter");
        let pid = recorder.0.id().to_string();
        let request = format!(
            "exec 3<>/dev/tcp/127.0.0.1/19709; printf 'GET {path} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; cat <&3"
        );
        command.args(["--net", "--target", &pid, "bash", "-c", &request]);
        Ended::of(&mut command).out
    };
    let up = ["--net", "--target", &recorder.0.id().to_string(), "ip", "link", "set", "lo", "up"].map(str::to_owned);
    if !Command::new("nsenter").args(up).status().is_ok_and(|status| status.success()) {
        bed::left_out("the network of another process cannot be entered here");
        return;
    }
    wait_until(bed::DEADLINE, "memory to be told", || ask("/metrics").contains("memory_used_ratio ").then_some(()));
    let text = ask("/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    assert!(text.contains("# TYPE disk_free_ratio gauge\ndisk_free_ratio{mount="), "{text}");
    assert!(ask("/").starts_with("HTTP/1.1 404"));
    assert_eq!(recorder.stop(Signal::TERM), Some(0));
}

/// How often it is killed.
const KILLS: u64 = 200;

/// Names the folder in which this process is the one that is killed.
const VICTIM: &str = "HOSTLER_TEST_VICTIM";

/// Writes minute after minute, says each that is on disk, and goes on where the last one ended.
fn be_victim(folder: &Path) {
    let dir = StateDir::choose(Some(folder));
    let key = SeriesKey::new(&CPU_USED, []);
    let mut writer = SampleWriter::open(&dir, at(BEGIN)).unwrap().unwrap();
    assert_eq!(writer.spoilt(), None);
    let reader = SampleReader::open(&dir).unwrap();
    let read = reader.map(|mut reader| reader.read(&key, (at(BEGIN), at(BEGIN + 400 * 86_400)), 60).unwrap());
    let next = read.and_then(|read| read.last().copied()).map_or(0, |last| (last.at.as_second() - BEGIN) / 60 + 1);
    let mut out = std::io::stdout().lock();
    // A minute on which it was killed may be there or not; what it says is.
    for minute in next.. {
        let begin = BEGIN + minute * 60;
        let mut batch = MinuteBatch::at(at(begin));
        for series in 0..40 {
            let key = if series == 0 { key.clone() } else { key.clone().with("n", &series.to_string()) };
            batch.put(at(begin), [(key, minute as f64)]);
        }
        writer.commit(&batch).unwrap();
        writer.compact(at(begin)).unwrap();
        writeln!(out, "{minute}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_writer_that_is_killed_at_any_moment_loses_nothing_that_was_on_disk() {
    if let Some(folder) = std::env::var_os(VICTIM) {
        be_victim(Path::new(&folder));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut said = -1;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("history::a_writer_that_is_killed_at_any_moment_loses_nothing_that_was_on_disk")
            .env(VICTIM, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        // The harness speaks first; a minute is a line that is a number.
        while out.read_line(&mut line).unwrap() > 0 && line.trim().parse::<i64>().is_err() {
            line.clear();
        }
        // A moment that no other kill had: within a commit, a turn, or between them.
        std::thread::sleep(Duration::from_micros((kill * 7_919) % 40_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = line;
        out.read_to_string(&mut rest).unwrap();
        let last = rest.lines().filter_map(|line| line.trim().parse::<i64>().ok()).next_back();
        said = last.unwrap_or_else(|| panic!("kill {kill}: it said nothing: {rest}")).max(said);
    }
    let dir = StateDir::choose(Some(folder.path()));
    let mut reader = SampleReader::open(&dir).unwrap().unwrap();
    let key = SeriesKey::new(&CPU_USED, []);
    let end = BEGIN + said * 60 + 59;
    // In a width that is kept for as long as this lasted.
    let step = if said < 13 * 1_440 { 60 } else { 600 };
    let read = reader.read(&key, (at(BEGIN), at(end)), step).unwrap();
    let count: u64 = read.iter().map(|bucket| bucket.count).sum();
    assert_eq!(count, said as u64 + 1, "every minute that was said is there once");
    assert!(said as u64 > KILLS, "{said} minutes");
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_when_it_has_room_again() {
    let folder = tempfile::tempdir().unwrap();
    let mount = folder.path().join("small");
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&mount).status();
    if !mounted.is_ok_and(|status| status.success()) {
        bed::left_out("a file system cannot be mounted here");
        return;
    }
    let dir = StateDir::choose(Some(&mount));
    let mut writer = SampleWriter::open(&dir, at(BEGIN)).unwrap().unwrap();
    let batch = |minute: i64| {
        let begin = BEGIN + minute * 60;
        let mut batch = MinuteBatch::at(at(begin));
        for series in 0..200 {
            let key = SeriesKey::new(&CPU_USED, []).with("n", &series.to_string());
            batch.put(at(begin), [(key, (minute * 200 + series) as f64)]);
        }
        batch
    };
    writer.commit(&batch(0)).unwrap();
    let ballast = mount.join("ballast");
    let room = |mount: &Path| rustix::fs::statvfs(mount).unwrap();
    fs::write(&ballast, vec![0; (room(&mount).f_bavail * 4_096) as usize - 8_192]).unwrap();
    let (stuck, error) = (1..100)
        .find_map(|minute| writer.commit(&batch(minute)).err().map(|error| (minute, error.to_string())))
        .expect("the disk becomes full");
    assert!(error.contains("full") && error.contains("history.sqlite"), "{error}");
    assert!(writer.commit(&batch(stuck)).is_err());
    fs::remove_file(&ballast).unwrap();
    for minute in stuck..stuck + 5 {
        writer.commit(&batch(minute)).unwrap();
    }
    let mut reader = SampleReader::open(&dir).unwrap().unwrap();
    let key = SeriesKey::new(&CPU_USED, []).with("n", "7");
    let read = reader.read(&key, (at(BEGIN), at(BEGIN + 100 * 60)), 60).unwrap();
    assert_eq!(i64::try_from(read.len()).unwrap(), stuck + 5);
    drop((reader, writer));
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
}

#[test]
fn others_of_the_group_read_what_a_recorder_writes() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let group = 4_242;
    if !is_root() {
        return;
    }
    std::os::unix::fs::chown(&shared, None, Some(group)).unwrap();
    fs::set_permissions(&shared, PermissionsExt::from_mode(0o2770)).unwrap();
    let dir = StateDir::choose(Some(&shared));
    let mut writer = SampleWriter::open(&dir, at(BEGIN)).unwrap().unwrap();
    let mut batch = MinuteBatch::at(at(BEGIN));
    batch.put(at(BEGIN), [(SeriesKey::new(&CPU_USED, []), 0.25)]);
    writer.commit(&batch).unwrap();
    let home = Home::new();
    let state = shared.to_str().unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let read = |group| as_user(&home.command(&["history", "--state-dir", state]), group);
    // While it is written, and when nobody writes.
    assert_eq!(read(group).out, "cpu_used_ratio\n");
    drop(writer);
    assert_eq!(read(group).out, "cpu_used_ratio\n");
    let stranger = read(65_534);
    assert_eq!(stranger.code, 1, "{}", stranger.err);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    assert!(TcpStream::connect(at).is_ok());
    let home = Home::new();
    home.run(&["record", "--listen", &at.to_string()]).refused(1, &format!("cannot listen at {at}"));
}

#[test]
fn the_recorder_is_installed_after_its_lines_were_shown_and_can_be_taken_back() {
    let home = Home::new();
    let root = home.path().join("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    let rootfs = root.to_str().unwrap();
    let unit = root.join(home.path().strip_prefix("/").unwrap()).join("config/systemd/user/hostler.service");
    let install =
        |more: &[&str]| home.run(&[&["record", "--install", "--whose", "user", "--rootfs", rootfs], more].concat());
    let shown = install(&["--dry-run"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.contains("+ExecStart=/") && shown.out.contains("hostler.service"), "{}", shown.out);
    assert!(shown.out.contains("systemctl --user daemon-reload"), "{}", shown.out);
    assert!(!unit.exists());

    let done = install(&["--yes"]);
    assert_eq!(done.code, 0, "{}{}", done.out, done.err);
    let text = fs::read_to_string(&unit).unwrap();
    let program = bed::hostler();
    assert!(text.contains(&format!("ExecStart={} record\n", program.display())), "{text}");
    assert!(install(&["--yes"]).out.contains("nothing to do"));

    // One that somebody changed is changed back line by line, and put back as they had it.
    fs::write(&unit, text.replace("Nice=5", "Nice=0")).unwrap();
    let shown = install(&["--dry-run"]).out;
    assert!(shown.contains("-Nice=0") && shown.contains("+Nice=5") && !shown.contains("+ExecStart"), "{shown}");
    assert_eq!(install(&["--yes"]).code, 0);
    assert_eq!(fs::read_to_string(&unit).unwrap(), text);
    let journal = home.run(&["journal", "--json"]).out;
    let runs: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = runs.iter().rfind(|run| run["action"] == "recorder.install").unwrap();
    let undone = home.run(&["undo", last["run"].as_str().unwrap(), "--rootfs", rootfs]);
    assert_eq!(undone.code, 0, "{}{}", undone.out, undone.err);
    assert_eq!(fs::read_to_string(&unit).unwrap(), text.replace("Nice=5", "Nice=0"));
    home.run(&["record", "--install", "--yes", "--read-only", "--rootfs", rootfs]).refused(4, "read-only");
}
