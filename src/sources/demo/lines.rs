//! The made-up log: what such containers write on an ordinary morning.

use std::sync::Arc;

use jiff::Timestamp;

use super::{CYCLE, Faults, containers, wave};
use crate::domain::{LogBatch, LogLevel, LogLine, LogOrigin};

/// A line that comes every so many seconds, and its offset.
struct Habit {
    service: &'static str,
    every: u64,
    offset: u64,
    level: LogLevel,
    text: &'static str,
}

const fn habit(service: &'static str, every: u64, offset: u64, text: &'static str) -> Habit {
    Habit { service, every, offset, level: LogLevel::Info, text }
}

const HABITS: &[Habit] = &[
    habit("nginx", 3, 0, "GET /console/api/apps 200 0.041 s"),
    habit("api", 4, 1, "POST /v1/workflows/run 200 in 1.92 s"),
    habit("n8n-main", 7, 2, "execution finished: success in 0.8 s"),
    habit("ollama", 5, 3, "GET /api/ps 200 in 41 µs"),
    habit("qdrant", 11, 4, "search on docs: 5 points in 3.2 ms"),
    habit("weaviate", 17, 5, "compaction of segment finished"),
    Habit {
        level: LogLevel::Warning,
        ..habit("postgres", 26, 6, "checkpoints are occurring too frequently (21 seconds apart)")
    },
    habit("postgres", 26, 6, "HINT: Consider increasing the configuration parameter max_wal_size."),
    Habit {
        level: LogLevel::Error,
        ..habit("api", 43, 7, "TimeoutError: plugin daemon did not answer within 30 s (plugin langgenius/openai)")
    },
];

pub(super) fn batch(second: u64, faults: &Faults, now: Timestamp) -> LogBatch {
    let mut lines: Vec<LogLine> = HABITS
        .iter()
        .filter(|habit| second % habit.every == habit.offset % habit.every)
        .map(|habit| line(habit.service, habit.level, habit.text.to_owned(), now))
        .collect();
    let rate = 40.0 + 60.0 * wave(second, 47.0, 0.0);
    if second.is_multiple_of(2) {
        lines.push(line("vllm", LogLevel::Info, format!("POST /v1/chat/completions 200  {rate:.0} tokens/s"), now));
    }
    if faults.worker_dies {
        match (second % CYCLE) % 20 {
            2 => lines.push(line("n8n-worker", LogLevel::Info, "Worker started, concurrency 10".to_owned(), now)),
            9 => lines.push(line("n8n-worker", LogLevel::Info, "execution 88231 loaded (412 MB)".to_owned(), now)),
            19 => {
                let text = "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory";
                lines.push(line("n8n-worker", LogLevel::Error, text.to_owned(), now));
            }
            _ => {}
        }
    }
    LogBatch { lines, ..LogBatch::default() }
}

fn line(service: &str, level: LogLevel, text: String, at: Timestamp) -> LogLine {
    let origin = LogOrigin { container: containers::id(service), name: service.into() };
    LogLine { origin: Arc::new(origin), at, level, text: text.into() }
}
