//! Requests in the log of llama.cpp's server, which keeps no histogram: the times that it writes when a request has ended
//! (`llama.cpp:tools/server/server-context.cpp`, `slot print_timing`).
//!
//! ```text
//! slot print_timing: id  1 | task 2 | prompt eval time =     184.45 ms /    38 tokens (…)
//! slot print_timing: id  1 | task 2 |        eval time =    3443.91 ms /   160 tokens (…)
//! slot print_timing: id  1 | task 2 |       total time =    3628.36 ms /   198 tokens
//! ```
//!
//! The three lines of two slots may be mixed. Before 2025 only the first of them named its slot. Ollama passes on the same
//! lines of the servers that it starts.

use crate::domain::{LogSubject, LoggedRequest, RequestOutcome};

/// Requests that have not ended; of more, the oldest are forgotten.
const OPEN: usize = 64;

/// Reads one server's log, line by line.
#[derive(Debug, Clone, Default)]
pub struct TimingLog {
    open: Vec<Timing>,
}

/// What was written of one request so far.
#[derive(Debug, Clone, PartialEq)]
struct Timing {
    /// Slot and task as they were written; empty where they were not.
    task: String,
    /// Milliseconds, and tokens.
    prompt: (f64, u64),
    generated: (f64, u64),
}

/// A request that has ended, by its times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedRequest {
    /// Seconds spent on its prompt: the first token comes right after.
    pub prompt_seconds: f64,
    /// Seconds to the end of its answer, without any wait before it was begun.
    pub total_seconds: f64,
    /// Tokens of its prompt that were not in the cache.
    pub prompt_tokens: u64,
    /// Tokens of its answer.
    pub generated_tokens: u64,
}

impl TimedRequest {
    /// As the store takes it, from this server's log.
    pub fn logged(self, server: LogSubject) -> LoggedRequest {
        LoggedRequest {
            server,
            outcome: RequestOutcome::Timed,
            first_token_seconds: Some(self.prompt_seconds),
            end_to_end_seconds: Some(self.total_seconds),
            prompt_tokens: Some(self.prompt_tokens),
            generated_tokens: Some(self.generated_tokens),
        }
    }
}

impl TimingLog {
    /// Whether a line is one of those that tell times.
    pub fn may_tell(line: &str) -> bool {
        line.contains("l time = ")
    }

    /// Takes the next line; gives the request that it ends.
    pub fn read(&mut self, line: &str) -> Option<TimedRequest> {
        let (before, rest) = line.split_once(" time = ")?;
        let (task, what) = before.rsplit_once('|').map_or(("", before), |(task, what)| (task_of(task), what));
        let (milliseconds, tokens) = time(rest)?;
        match what.trim() {
            "prompt eval" => {
                self.open.retain(|timing| timing.task != task);
                if self.open.len() == OPEN {
                    self.open.remove(0);
                }
                self.open.push(Timing { task: task.to_owned(), prompt: (milliseconds, tokens), generated: (0.0, 0) });
                None
            }
            "eval" => {
                self.open.iter_mut().find(|timing| timing.task == task)?.generated = (milliseconds, tokens);
                None
            }
            "total" => {
                let index = self.open.iter().position(|timing| timing.task == task)?;
                let timing = self.open.remove(index);
                Some(TimedRequest {
                    prompt_seconds: timing.prompt.0 / 1e3,
                    total_seconds: milliseconds / 1e3,
                    prompt_tokens: timing.prompt.1,
                    generated_tokens: timing.generated.1,
                })
            }
            _ => None,
        }
    }
}

/// `id  1 | task 2`, without what stands before.
fn task_of(text: &str) -> &str {
    text.find("id ").map_or("", |at| text[at..].trim_end())
}

/// `184.45 ms /    38 tokens (…)`: milliseconds and tokens.
fn time(text: &str) -> Option<(f64, u64)> {
    let (milliseconds, rest) = text.split_once(" ms /")?;
    let milliseconds: f64 =
        milliseconds.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)?;
    Some((milliseconds, rest.trim_start().split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "what is written exactly is read exactly")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<TimedRequest> {
        let mut log = TimingLog::default();
        text.lines().filter(|line| TimingLog::may_tell(line)).filter_map(|line| log.read(line)).collect()
    }

    /// From the log of a server b1-7e4c0a9 with two slots.
    const MIXED: &str = "\
1.07.059.345 I slot print_timing: id  0 | task 164 | prompt eval time =     909.00 ms /    42 tokens (   21.64 ms per token,    46.20 tokens per second)
1.07.059.407 I slot print_timing: id  0 | task 164 |        eval time =   11833.98 ms /   300 tokens (   39.58 ms per token,    25.27 tokens per second)
1.07.059.865 I slot print_timing: id  1 | task 163 | prompt eval time =     909.39 ms /    18 tokens (   50.52 ms per token,    19.79 tokens per second)
1.07.059.421 I slot print_timing: id  0 | task 164 |       total time =   12742.98 ms /   342 tokens
1.07.059.436 I slot print_timing: id  0 | task 164 |    graphs reused =        456
1.07.059.879 I slot print_timing: id  1 | task 163 |        eval time =   11834.10 ms /   300 tokens (   39.58 ms per token,    25.27 tokens per second)
1.07.059.893 I slot print_timing: id  1 | task 163 |       total time =   12743.49 ms /   318 tokens
0.53.849.843 I slot print_timing: id  1 | task 2 | n_gen =    135, tg =  44.55 t/s, tg_3s =  44.88 t/s
";

    #[test]
    fn requests_of_two_slots_are_told_apart() {
        let of = |prompt_seconds, total_seconds, prompt_tokens, generated_tokens| TimedRequest {
            prompt_seconds,
            total_seconds,
            prompt_tokens,
            generated_tokens,
        };
        assert_eq!(read(MIXED), [of(0.909, 12.742_98, 42, 300), of(0.909_39, 12.743_49, 18, 300)]);
    }

    #[test]
    fn older_servers_name_no_slot() {
        let older = "slot print_timing: id  0 | task 0 | \nprompt eval time =      60.00 ms /    10 tokens\n       eval time =     400.00 ms /    20 tokens\n      total time =     460.00 ms /    30 tokens\n";
        let seen = read(older);
        assert_eq!((seen.len(), seen[0].total_seconds, seen[0].generated_tokens), (1, 0.46, 20));
    }

    #[test]
    fn an_end_without_a_beginning_is_nothing_and_what_never_ends_is_forgotten() {
        assert_eq!(read("slot print_timing: id  1 | task 163 |       total time =   12743.49 ms /   318 tokens"), []);
        let mut log = TimingLog::default();
        for task in 0..1_000 {
            log.read(&format!("id  1 | task {task} | prompt eval time = 1.00 ms / 1 tokens"));
        }
        assert_eq!(log.open.len(), OPEN);
        assert_eq!(read("prompt eval time = NaN ms / 1 tokens\ntotal time = -1 ms / 1 tokens\n"), []);
    }

    proptest! {
        #[test]
        fn any_line_is_borne(lines in prop::collection::vec("(id 1 \\| task [0-9]{1,3} \\| )?(prompt eval|eval|total| )? time = ?[ -~]{0,30}", 0..30)) {
            let mut log = TimingLog::default();
            for line in &lines {
                log.read(line);
            }
            prop_assert!(log.open.len() <= OPEN);
        }
    }
}
