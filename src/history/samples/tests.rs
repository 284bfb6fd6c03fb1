#![expect(clippy::disallowed_methods, reason = "the tests look at and spoil a store of their own")]

use std::path::PathBuf;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::domain::metric::{CPU_USED, DISK_FREE_BYTES, INFERENCE_E2E};
use crate::domain::{Mark, MarkKind, SeriesKey, Sketch};
use crate::history::{HistoryError, StateDir};

/// A whole number of two hours after the epoch.
const BEGIN: i64 = 1_795_392_000;

/// A folder with a history, written as if time went by.
struct Bed {
    folder: TempDir,
    dir: StateDir,
    writer: SampleWriter,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::choose(Some(folder.path()));
        let writer = SampleWriter::open(&dir, timestamp(BEGIN)).unwrap().unwrap();
        Self { folder, dir, writer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    /// One value for every ten seconds of these, with the turns that are due.
    fn write(&mut self, seconds: std::ops::Range<i64>, value: impl Fn(i64) -> f64) {
        for minute in seconds.step_by(60) {
            let mut batch = MinuteBatch::at(timestamp(minute));
            for second in (minute..minute + 60).step_by(10) {
                batch.put(timestamp(second), [(key(), value(second))]);
            }
            self.writer.commit(&batch).unwrap();
            self.writer.compact(timestamp(minute)).unwrap();
        }
    }

    fn read(&self, from: i64, until: i64, step: i64) -> Vec<Bucket> {
        self.read_of(&key(), from, until, step)
    }

    fn read_of(&self, key: &SeriesKey, from: i64, until: i64, step: i64) -> Vec<Bucket> {
        let mut reader = SampleReader::open(&self.dir).unwrap().unwrap();
        reader.read(key, (timestamp(from), timestamp(until)), step).unwrap()
    }
}

fn key() -> SeriesKey {
    SeriesKey::new(&CPU_USED, [])
}

fn hours(hours: i64) -> i64 {
    hours * 3_600
}

#[test]
fn every_value_is_there_once_in_every_bucket_width_while_rows_become_blocks() {
    let mut bed = Bed::new();
    let value = |second: i64| ((second - BEGIN) / 10) as f64;
    for (from, until) in [(0, 30), (30, 121), (121, 240), (240, 301)] {
        bed.write(BEGIN + from * 60..BEGIN + until * 60, value);
        let end = BEGIN + until * 60 - 1;
        for step in [10, 60, 600, 3_600] {
            let read = bed.read(BEGIN, end, step);
            assert_eq!(read.iter().map(|bucket| bucket.count).sum::<u64>(), until as u64 * 6, "{until} {step}");
            for bucket in read {
                let first = value(bucket.at.as_second());
                let last = first + bucket.count as f64 - 1.0;
                let fine = (until * 6) as f64 / 64.0;
                assert!((bucket.min - first).abs() <= fine && (bucket.max - last).abs() <= fine, "{bucket:?}");
                assert!((bucket.mean - f64::midpoint(first, last)).abs() <= fine);
            }
        }
    }
}

#[test]
fn many_series_become_blocks_as_few_do() {
    let mut bed = Bed::new();
    let key = |number: i64| SeriesKey::new(&DISK_FREE_BYTES, [("mount", number.to_string().as_str())]);
    for minute in 0..3 {
        let begin = BEGIN + minute * 60;
        let mut batch = MinuteBatch::at(timestamp(begin));
        batch.put(timestamp(begin), (0..700).map(|number| (key(number), (number * 10 + minute) as f64)));
        bed.writer.commit(&batch).unwrap();
    }
    bed.writer.compact(timestamp(BEGIN + hours(2))).unwrap();
    assert_eq!(bed.writer_count("SELECT count(*) FROM recent WHERE minute > ?1", 0), 0);
    for number in [0, 1, 254, 255, 256, 257, 511, 512, 699] {
        let means: Vec<f64> = bed.read_of(&key(number), BEGIN, BEGIN + 180, 60).iter().map(|it| it.mean).collect();
        let expected = [0, 1, 2].map(|minute| (number * 10 + minute) as f64);
        assert_eq!(means, expected, "{number}");
    }
}

#[test]
fn a_gap_stays_a_gap() {
    let mut bed = Bed::new();
    bed.write(BEGIN..BEGIN + 600, |_| 1.0);
    bed.write(BEGIN + hours(3)..BEGIN + hours(3) + 60, |_| 2.0);
    let read = bed.read(BEGIN, BEGIN + hours(4), 600);
    let told: Vec<(i64, f64)> = read.iter().map(|bucket| (bucket.at.as_second() - BEGIN, bucket.mean)).collect();
    assert_eq!(told, [(0, 1.0), (hours(3), 2.0)]);
    let beginning = || SampleReader::open(&bed.dir).unwrap().unwrap().beginning().unwrap();
    assert_eq!(beginning(), Some(timestamp(BEGIN)));
    assert!(bed.read(BEGIN - hours(5), BEGIN - 1, 60).is_empty());
    assert!(bed.read_of(&SeriesKey::new(&DISK_FREE_BYTES, [("mount", "/")]), BEGIN, BEGIN + 60, 10).is_empty());
}

#[test]
fn fine_samples_go_after_two_days_and_coarse_ones_stay() {
    let mut bed = Bed::new();
    bed.write(BEGIN..BEGIN + hours(1), |_| 0.5);
    let later = BEGIN + hours(5 * 24);
    for day in 0..=5 {
        bed.write(BEGIN + hours(day * 24 + 2)..BEGIN + hours(day * 24 + 2) + 60, |_| 0.25);
    }
    bed.writer.compact(timestamp(later + hours(6))).unwrap();
    let old = bed.read(BEGIN, BEGIN + hours(1) - 1, 10);
    assert_eq!(old.len(), 60, "what is asked for in tens is told in what there is");
    // Seen from later on, minutes are what reaches so far back.
    let read = bed.read(BEGIN, later + hours(6), 10);
    assert_eq!(read.iter().filter(|bucket| bucket.at.as_second() < BEGIN + hours(1)).count(), 60);
    let blocks: i64 = bed.writer_count("SELECT count(*) FROM block WHERE tier = 0 AND start < ?1", BEGIN + hours(2));
    assert_eq!(blocks, 0);
}

impl Bed {
    fn writer_count(&self, sql: &str, value: i64) -> i64 {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.query_row(sql, [value], |row| row.get(0)).unwrap()
    }
}

#[test]
fn a_clock_that_is_set_back_loses_nothing_and_counts_nothing_twice() {
    let mut bed = Bed::new();
    bed.write(BEGIN..BEGIN + hours(5), |_| 1.0);
    // Back by two hours: the same times come once more.
    bed.write(BEGIN + hours(3)..BEGIN + hours(9), |_| 3.0);
    let read = bed.read(BEGIN, BEGIN + hours(9), 3_600);
    let told: Vec<(f64, u64)> = read.iter().map(|bucket| (bucket.mean, bucket.count)).collect();
    let (once, twice) = (360, 720);
    let expected = [
        (1.0, once),
        (1.0, once),
        (1.0, once),
        (2.0, twice),
        (2.0, twice),
        (3.0, once),
        (3.0, once),
        (3.0, once),
        (3.0, once),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_clock_that_is_a_year_ahead_for_an_hour_costs_a_day_of_the_oldest_at_most() {
    let mut bed = Bed::new();
    for day in 0..10 {
        bed.write(BEGIN + hours(day * 24)..BEGIN + hours(day * 24 + 1), |_| 1.0);
    }
    let ahead = BEGIN + hours(365 * 24);
    bed.write(ahead..ahead + hours(1), |_| 9.0);
    bed.writer.compact(timestamp(ahead + hours(2))).unwrap();
    bed.write(BEGIN + hours(240)..BEGIN + hours(243), |_| 1.0);
    let days = bed.read(BEGIN, BEGIN + hours(243), 24 * 3_600);
    assert_eq!(days.len(), 11);
    let minutes = bed.read(BEGIN + hours(24), BEGIN + hours(26), 60);
    assert_eq!(minutes.len(), 60);
}

#[test]
fn percentiles_are_those_of_all_requests_over_any_time() {
    let mut bed = Bed::new();
    let key = SeriesKey::new(&INFERENCE_E2E, [("engine", "vllm:8000")]);
    let asked = |quantile| SeriesKey::new(&INFERENCE_E2E, [("engine", "vllm:8000"), ("quantile", quantile)]);
    let mut all = Sketch::default();
    // Many fast requests by day, few slow ones by night: a mean of p95s would be far off.
    for minute in 0..600 {
        let mut batch = MinuteBatch::at(timestamp(BEGIN + minute * 60));
        let mut sketch = Sketch::default();
        let (count, seconds) = if minute % 10 == 0 { (1, 20.0) } else { (50, 0.2 + minute as f64 / 1_000.0) };
        sketch.put(seconds, count);
        all.put(seconds, count);
        batch.spread(key.clone(), sketch);
        bed.writer.commit(&batch).unwrap();
        bed.writer.compact(timestamp(BEGIN + minute * 60)).unwrap();
    }
    for step in [hours(24), hours(24) * 30] {
        for (quantile, share) in [("0.5", 0.5), ("0.95", 0.95), ("0.99", 0.99)] {
            let read = bed.read_of(&asked(quantile), BEGIN, BEGIN + hours(10), step);
            assert_eq!(read.iter().map(|bucket| bucket.count).sum::<u64>(), 540 * 50 + 60);
            assert_eq!(read.len(), 1);
            let exact = all.quantile(share).unwrap();
            assert!((read[0].mean - exact).abs() <= exact * 0.011, "{quantile}: {} {exact}", read[0].mean);
        }
    }
    let told = SampleReader::open(&bed.dir).unwrap().unwrap().series().unwrap();
    assert_eq!(told, [asked("0.5"), asked("0.95"), asked("0.99")]);
    let by_minute = bed.read_of(&asked("0.95"), BEGIN + 595 * 60, BEGIN + hours(10), 60);
    assert_eq!(by_minute.len(), 5);
}

#[test]
fn late_latencies_are_counted_once() {
    let mut bed = Bed::new();
    let key = SeriesKey::new(&INFERENCE_E2E, [("engine", "e")]);
    for minute in [0, 1, 2, 120, 240, 241, 0, 1, 2, 120, 360] {
        let mut batch = MinuteBatch::at(timestamp(BEGIN + minute * 60));
        let mut sketch = Sketch::default();
        sketch.put(1.0, 1);
        batch.spread(key.clone(), sketch);
        bed.writer.commit(&batch).unwrap();
        bed.writer.compact(timestamp(BEGIN + minute * 60)).unwrap();
    }
    let asked = SeriesKey::new(&INFERENCE_E2E, [("engine", "e"), ("quantile", "0.5")]);
    for step in [60, 600, 3_600, 24 * 3_600] {
        let read = bed.read_of(&asked, BEGIN, BEGIN + hours(7), step);
        assert_eq!(read.iter().map(|bucket| bucket.count).sum::<u64>(), 11, "{step}");
    }
}

#[test]
fn marks_are_read_back_in_order() {
    let mut bed = Bed::new();
    let mark = |second, text: &str| Mark {
        at: timestamp(BEGIN + second),
        kind: MarkKind::Image,
        subject: Some("n8n".to_owned()),
        text: text.to_owned(),
    };
    let mut batch = MinuteBatch::at(timestamp(BEGIN));
    batch.mark(mark(20, "two"));
    batch.mark(mark(10, "one"));
    bed.writer.commit(&batch).unwrap();
    let reader = SampleReader::open(&bed.dir).unwrap().unwrap();
    let all = (timestamp(BEGIN), timestamp(BEGIN + 60));
    assert_eq!(reader.marks(all, 10).unwrap(), [mark(10, "one"), mark(20, "two")]);
    assert_eq!(reader.marks(all, 1).unwrap(), [mark(20, "two")]);
    assert!(reader.marks((timestamp(0), timestamp(BEGIN)), 10).unwrap().is_empty());
}

#[test]
fn one_writes_at_a_time() {
    let bed = Bed::new();
    assert!(SampleWriter::open(&bed.dir, timestamp(BEGIN)).unwrap().is_none());
    let Bed { folder: _folder, dir, writer } = bed;
    drop(writer);
    assert!(SampleWriter::open(&dir, timestamp(BEGIN)).unwrap().is_some());
}

#[test]
fn too_many_series_are_refused_and_said() {
    let mut bed = Bed::new();
    let many = (0..MOST_SERIES + 7).map(|number| {
        let number = number.to_string();
        (SeriesKey::new(&DISK_FREE_BYTES, [("mount", number.as_str())]), 1.0)
    });
    let mut batch = MinuteBatch::at(timestamp(BEGIN));
    batch.put(timestamp(BEGIN), many);
    bed.writer.commit(&batch).unwrap();
    assert_eq!(bed.writer.refused(), 7);
    assert_eq!(SampleReader::open(&bed.dir).unwrap().unwrap().series().unwrap().len(), MOST_SERIES);
}

#[test]
fn a_spoilt_database_is_put_aside_and_a_new_one_begun() {
    for spoil in ["header", "middle"] {
        let mut bed = Bed::new();
        bed.write(BEGIN..BEGIN + hours(5), |second| second as f64);
        let (path, dir) = (bed.path(), bed.dir.clone());
        let Bed { folder: _folder, writer, .. } = bed;
        drop(writer);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = if spoil == "header" { 0..100 } else { 4_096..bytes.len() };
        bytes[place].fill(0x5a);
        std::fs::write(&path, &bytes).unwrap();
        let mut writer = SampleWriter::open(&dir, timestamp(BEGIN + 5)).unwrap().unwrap();
        let aside = writer.spoilt().unwrap().to_owned();
        assert!(aside.to_str().unwrap().ends_with(&format!("history.sqlite.spoilt-{}", BEGIN + 5)), "{aside:?}");
        assert_eq!(std::fs::read(&aside).unwrap(), bytes, "{spoil}");
        let mut batch = MinuteBatch::at(timestamp(BEGIN));
        batch.put(timestamp(BEGIN), [(key(), 1.0)]);
        writer.commit(&batch).unwrap();
        assert_eq!(SampleReader::open(&dir).unwrap().unwrap().series().unwrap(), [key()]);
    }
}

#[test]
fn a_database_of_a_newer_hostler_is_left_alone() {
    let bed = Bed::new();
    let Bed { folder, dir, writer } = bed;
    drop(writer);
    let path = folder.path().join(FILE);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    for error in [SampleWriter::open(&dir, timestamp(BEGIN)).unwrap_err(), SampleReader::open(&dir).unwrap_err()] {
        assert!(matches!(error, HistoryError::Version { version: 99, .. }), "{error}");
        assert!(error.to_string().contains("--state-dir"), "{error}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_database_of_an_older_hostler_is_brought_up_to_date_and_a_copy_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dir = StateDir::choose(Some(folder.path()));
    let path = folder.path().join(FILE);
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(schema::VERSIONS[0]).unwrap();
    old.execute_batch("INSERT INTO series (id, key) VALUES (1, 'cpu_used_ratio'); PRAGMA user_version = 1;").unwrap();
    drop(old);
    assert!(matches!(SampleReader::open(&dir), Err(HistoryError::Version { version: 1, .. })));
    let mut writer = SampleWriter::open(&dir, timestamp(BEGIN)).unwrap().unwrap();
    let mut batch = MinuteBatch::at(timestamp(BEGIN));
    batch.put(timestamp(BEGIN), [(key(), 0.5)]);
    writer.commit(&batch).unwrap();
    assert_eq!(SampleReader::open(&dir).unwrap().unwrap().series().unwrap(), [key()]);
    let copy = rusqlite::Connection::open(folder.path().join("history.sqlite.v1")).unwrap();
    let key: String = copy.query_row("SELECT key FROM series", [], |row| row.get(0)).unwrap();
    assert_eq!(key, "cpu_used_ratio");
}

#[test]
fn the_history_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let bed = Bed::new();
    for file in ["history.sqlite", "history.sqlite-wal", "history.sqlite-shm"] {
        let mode = bed.folder.path().join(file).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

#[test]
fn where_nothing_was_recorded_there_is_nothing_to_read() {
    let folder = tempfile::tempdir().unwrap();
    assert!(SampleReader::open(&StateDir::choose(Some(folder.path()))).unwrap().is_none());
    assert!(SampleReader::open(&StateDir::demo()).unwrap().is_none());
    assert!(matches!(SampleWriter::open(&StateDir::demo(), Timestamp::UNIX_EPOCH), Err(HistoryError::NoFolder)));
}
