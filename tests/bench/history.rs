//! Measures what the history of a full box costs: about 1,500 series (8 cards, 120 containers, 5 servers, the host), each of which
//! does what its metric does: noise, creep, the day, or nothing. Bytes a day on disk, processor time of writing,
//! the time of reading graphs, and what 400 days come to.
//!
//! `cargo bench --bench history [-- DAYS]` (4 by default). Nothing is asserted; the aims of the design are 5 MB a day, 150 MB for
//! 400 days, 20 ms for any graph.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's result is what it prints")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark reads clocks")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostler::domain::metric::{self, METRICS};
use hostler::domain::{SeriesKey, Sketch};
use hostler::history::{MinuteBatch, SampleReader, SampleWriter, StateDir};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

const ENGINES: usize = 5;
const DAY: i64 = 86_400;
const BEGIN: i64 = 1_760_054_400;

fn main() -> Result<()> {
    let days: i64 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(4);
    let keys = keys();
    println!("| history of {} series | figure | aim |\n|---|---|---|", keys.len());
    whole_days(&keys, days)?;
    long(&keys)
}

/// Some days as they are recorded, minute by minute.
fn whole_days(keys: &[SeriesKey], days: i64) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = StateDir::choose(Some(folder.path()));
    let mut writer = SampleWriter::open(&dir, at(BEGIN))?.context("nobody else writes")?;
    let (mut commits, mut turns) = (Duration::ZERO, Vec::new());
    let mut sizes = vec![0.0];
    for minute in 0..days * 1_440 {
        let begin = BEGIN + minute * 60;
        let batch = batch(keys, begin, 6);
        let spent = processor();
        writer.commit(&batch)?;
        commits += processor().saturating_sub(spent);
        let spent = processor();
        writer.compact(at(begin))?;
        if minute % 120 == 0 && minute > 0 {
            turns.push(processor().saturating_sub(spent));
        }
        if (minute + 1) % 1_440 == 0 {
            sizes.push(bytes(folder.path()) as f64 / 1e6);
            eprintln!("hostler: day {}: {:.1} MB", (minute + 1) / 1_440, sizes.last().unwrap());
        }
    }
    let added: Vec<String> = sizes.windows(2).map(|pair| format!("{:.1}", pair[1] - pair[0])).collect();
    println!("| MB on disk that each day added | {} | 5 |", added.join(", "));
    let minutes = (days * 1_440) as f64;
    println!("| processor time of a minute's commit | {:.2} ms | |", commits.as_secs_f64() * 1e3 / minutes);
    let mean = turns.iter().sum::<Duration>().as_secs_f64() / turns.len().max(1) as f64;
    println!("| processor time of a turn every two hours | {:.0} ms | |", mean * 1e3);
    let share = commits.as_secs_f64() / (minutes * 60.0) + mean / 7_200.0;
    println!("| share of a core for writing | {:.3} % | 0.5 with all else |", share * 100.0);
    reads("graphs right after", &dir, keys, BEGIN + days * DAY, &[1, 24, 24 * 7])
}

/// 400 days in ten-minute steps, and the last two hours in full.
fn long(keys: &[SeriesKey]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = StateDir::choose(Some(folder.path()));
    let mut writer = SampleWriter::open(&dir, at(BEGIN))?.context("nobody else writes")?;
    // Every 25th: what 400 days take is told by them, and what one graph takes does not depend on the others.
    let some: Vec<SeriesKey> = keys.iter().step_by(25).cloned().collect();
    for step in 0..400 * 144 {
        let begin = BEGIN + step * 600;
        let last_days = step >= (400 - 14) * 144;
        for minute in 0..if last_days { 10 } else { 1 } {
            let begin = begin + minute * 60;
            writer.commit(&batch(&some, begin, 6))?;
            writer.compact(at(begin))?;
        }
    }
    let end = BEGIN + 400 * DAY;
    drop(writer);
    let stored = rusqlite::Connection::open(folder.path().join("history.sqlite"))?;
    let sum = |of: &str| -> Result<f64> { Ok(stored.query_row(of, [], |row| row.get::<_, f64>(0))? / 1e6) };
    let scale = keys.len() as f64 / some.len() as f64;
    let mut whole = sum("SELECT total(length(data)) FROM sketch")?;
    println!("| MB of 400 days: latencies | {whole:.0} | |");
    for (tier, what) in [(0, "2 days by 10 s"), (1, "14 days by the minute"), (2, "400 days by 10 minutes")] {
        // With what the database needs to find them.
        let blocks =
            sum(&format!("SELECT total(length(data)) + 24 * count(*) FROM block WHERE tier = {tier}"))? * scale;
        println!("| MB of 400 days: {what}, from {} series | {blocks:.0} | |", some.len());
        whole += blocks;
    }
    println!("| MB of 400 days in all | {whole:.0} | 150 |");
    drop(stored);
    let mut writer = SampleWriter::open(&dir, at(end))?.context("nobody else writes")?;
    for minute in 0..119 {
        writer.commit(&batch(keys, end + minute * 60, 6))?;
    }
    reads("graphs over 400 days", &dir, &some, end + 7_140, &[1, 24, 24 * 7, 24 * 30, 24 * 90, 24 * 400])
}

fn reads(what: &str, dir: &StateDir, keys: &[SeriesKey], now: i64, hours: &[i64]) -> Result<()> {
    let mut reader = SampleReader::open(dir)?.context("something was recorded")?;
    let known = reader.series()?;
    let quantile = known.iter().find(|key| key.label("quantile") == Some("0.95")).cloned();
    for hours in hours {
        let span = hours * 3_600;
        let mut times = Vec::new();
        for key in keys.iter().step_by(keys.len() / 12).chain(&quantile) {
            let began = Instant::now();
            let read = reader.read(key, (at(now - span), at(now)), (span / 600).max(10))?;
            times.push((began.elapsed(), read.len()));
        }
        times.sort();
        let ((median, _), (most, points)) = (times[times.len() / 2], times[times.len() - 1]);
        println!("| {what}: {hours} h, median and most | {median:.1?}, {most:.1?} ({points} points) | 20 ms |");
    }
    Ok(())
}

/// How many series of each kind a full box has, 1,500 in all: by the first word of the metric's name.
const KINDS: [(&str, usize); 7] =
    [("gpu", 8), ("container", 120), ("inference", 5), ("platform", 4), ("disk", 24), ("inodes", 24), ("network", 40)];

fn keys() -> Vec<SeriesKey> {
    let mut keys = Vec::new();
    for metric in METRICS.iter().filter(|metric| !metric.is_spread()) {
        let kind = KINDS.iter().find(|(word, _)| metric.name.starts_with(word));
        for number in 0..kind.map_or(8, |(_, count)| *count) {
            keys.push(SeriesKey::new(metric, [("of", number.to_string().as_str())]));
        }
    }
    keys
}

fn batch(keys: &[SeriesKey], begin: i64, sixths: i64) -> MinuteBatch {
    let mut batch = MinuteBatch::at(at(begin));
    for sixth in 0..sixths {
        let second = begin + sixth * 10;
        let values =
            keys.iter().enumerate().map(|(number, key)| (key.clone(), value(&key.name, number as u64, second)));
        batch.put(at(second), values);
    }
    // By day every minute has requests, by night every tenth.
    let by_day = (begin % DAY) / 3_600 >= 8;
    if by_day || (begin / 60) % 10 == 0 {
        for engine in 0..ENGINES {
            for (index, (_, metric)) in metric::SPREADS.iter().enumerate() {
                let mut sketch = Sketch::default();
                for request in 0..if by_day { 60 } else { 2 } {
                    let noise = noise((index + engine * 7) as u64, begin * 100 + request);
                    sketch.put(0.05 * 4.0_f64.powf(noise * 3.0), 1);
                }
                batch.spread(SeriesKey::new(metric, [("engine", engine.to_string().as_str())]), sketch);
            }
        }
    }
    batch
}

/// What a metric does in the course of time.
#[derive(Clone, Copy)]
enum Course {
    /// Noise around a level that follows the day.
    Noisy,
    /// Whole pages that creep and jump.
    Creeping,
    /// A whole number that follows the day.
    Whole,
    /// Nothing most of the time.
    Idle,
    /// A straight line.
    Straight,
    /// The same as long as nothing happens.
    Still,
}

fn course(metric: &str) -> Course {
    match metric {
        "cpu_used_ratio"
        | "load_average"
        | "gpu_utilization_ratio"
        | "gpu_memory_bandwidth_ratio"
        | "gpu_power_watts"
        | "container_cpu_cores"
        | "inference_kv_cache_used_ratio"
        | "inference_requests_per_second"
        | "inference_prompt_tokens_per_second"
        | "inference_generated_tokens_per_second"
        | "inference_generated_tokens_per_joule"
        | "inference_generation_speed_tokens_per_second"
        | "inference_prefix_cache_hit_ratio"
        | "network_received_bytes_per_second"
        | "network_transmitted_bytes_per_second"
        | "disk_written_bytes_per_second" => Course::Noisy,
        "memory_used_ratio" | "memory_used_bytes" | "gpu_memory_used_bytes" | "container_memory_bytes" => {
            Course::Creeping
        }
        "sensor_temperature_celsius"
        | "gpu_temperature_celsius"
        | "gpu_sm_clock_hertz"
        | "gpu_fan_ratio"
        | "container_pids"
        | "inference_requests_running" => Course::Whole,
        "pressure_cpu_ratio"
        | "pressure_memory_ratio"
        | "pressure_io_ratio"
        | "disk_read_bytes_per_second"
        | "inference_requests_waiting"
        | "inference_faults_per_second"
        | "inference_overloads_per_second"
        | "inference_error_ratio"
        | "inference_preemptions_per_second" => Course::Idle,
        "uptime_seconds" | "disk_free_bytes" | "disk_free_ratio" | "platform_requests_total" => Course::Straight,
        _ => Course::Still,
    }
}

fn value(metric: &str, number: u64, second: i64) -> f64 {
    let day = ((second % DAY) as f64 / DAY as f64 * std::f64::consts::TAU).sin();
    // About normal: the sum of three.
    let wobble = (0..3).map(|part| noise(number * 3 + part, second)).sum::<f64>() / 3.0;
    match course(metric) {
        Course::Noisy => (0.3 + 0.2 * day + 0.4 * wobble).max(0.0),
        Course::Creeping => 4_096.0 * (1e6 + (second / 30 % 9_973) as f64 * 11.0 + (wobble * 40.0).floor()),
        Course::Whole => (55.0 + 15.0 * day + 3.0 * wobble).floor(),
        Course::Idle if noise(number, second / 600) > 0.1 => 0.0,
        Course::Idle => 1e6 * wobble,
        Course::Straight => 1e12 - second as f64 * 4_096.0,
        Course::Still => (number % 7) as f64,
    }
}

/// 0 to 1 by `SplitMix64` (Steele, Lea, Flood 2014): the same for the same arguments.
fn noise(number: u64, second: i64) -> f64 {
    let mut z =
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(second as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Bytes of the database with its log.
fn bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
    files.map(|metadata| metadata.len()).sum()
}

/// Processor time of this process.
fn processor() -> Duration {
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(spent.tv_sec as u64, spent.tv_nsec as u32)
}
