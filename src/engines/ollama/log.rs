//! Requests in Ollama's log, which is all that it tells of them: the access lines of Gin on standard output, and errors of
//! Go's `slog` on standard error (`gin:logger.go`, 1.10; `ollama:server/routes.go`, `llm/llama_server.go`, 0.33).
//!
//! An access line is written when a request has ended. Its time is that of the whole answer, with the loading of the model
//! where that was needed. An answer that breaks off after it has begun is a success there; the error stands in a line of its
//! own, before it. Where the error came before the answer had begun, the access line says so itself.

use crate::domain::{LogSubject, LoggedRequest, RequestOutcome};

/// Requests for a model's work. Everything else, hostler's own questions too, is left out.
const WORK: [&str; 9] = [
    "/api/generate",
    "/api/chat",
    "/api/embed",
    "/api/embeddings",
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
];

/// What is said when a model's server breaks off.
const BREAKS: [&str; 2] = ["msg=\"llama-server completion error\"", "msg=\"llama-server chat error\""];

/// Errors that wait for their access line. One whose line never comes must not be taken for one of much later.
const WAITING: u32 = 64;

/// Reads one server's log, line by line.
#[derive(Debug, Clone, Default)]
pub struct RequestLog {
    /// Errors whose access line has not come.
    broken: u32,
}

/// A request that has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EndedRequest {
    /// What became of it; one that broke off after its answer had begun is an answered one here.
    pub outcome: RequestOutcome,
    /// It broke off after its answer had begun.
    pub broke_off: bool,
    /// Seconds to the end of its answer, where it was answered to the end.
    pub seconds: Option<f64>,
}

impl EndedRequest {
    /// As the store takes it, from this server's log. One that broke off is told in two.
    pub fn logged(self, server: &LogSubject) -> impl Iterator<Item = LoggedRequest> {
        let broke_off = self.broke_off.then_some((RequestOutcome::BrokeOff, None));
        [(self.outcome, self.seconds)].into_iter().chain(broke_off).map(move |(outcome, seconds)| LoggedRequest {
            server: server.clone(),
            outcome,
            first_token_seconds: None,
            end_to_end_seconds: seconds,
            prompt_tokens: None,
            generated_tokens: None,
        })
    }
}

impl RequestLog {
    /// Takes the next line; gives the request that it ends.
    pub fn read(&mut self, line: &str) -> Option<EndedRequest> {
        if is_break(line) {
            self.broken = (self.broken + 1).min(WAITING);
            return None;
        }
        let (status, seconds) = access(line)?;
        let outcome = outcome(status);
        let explained = matches!(outcome, RequestOutcome::Answered | RequestOutcome::Failed) && self.broken > 0;
        self.broken -= u32::from(explained);
        let broke_off = explained && outcome == RequestOutcome::Answered;
        let seconds = seconds.filter(|_| outcome == RequestOutcome::Answered && !broke_off);
        Some(EndedRequest { outcome, broke_off, seconds })
    }
}

/// `[GIN] 2026/11/23 - 18:12:21 | 200 |  1.234567891s |       127.0.0.1 | POST     "/api/chat"`: the status of a request for
/// work, and its time in seconds. The widths differ between versions of Gin, so only the strokes count.
fn access(line: &str) -> Option<(u16, Option<f64>)> {
    let mut fields = line.strip_prefix("[GIN] ")?.splitn(5, '|').map(str::trim);
    let (_at, status, time, _client, request) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let path = request.strip_prefix("POST")?.trim_start().strip_prefix('"')?;
    let path = path.split(['"', '?']).next()?;
    WORK.contains(&path).then_some((status.parse().ok()?, seconds(time)))
}

/// Whose fault a status is (499: the caller left).
fn outcome(status: u16) -> RequestOutcome {
    match status {
        429 | 503 => RequestOutcome::Overload,
        500.. => RequestOutcome::Failed,
        400.. => RequestOutcome::CallersMistake,
        _ => RequestOutcome::Answered,
    }
}

/// `time=2026-11-23T18:12:21.104Z level=ERROR source=llama_server.go:812 msg="llama-server chat error" error="…"`
fn is_break(line: &str) -> bool {
    line.starts_with("time=") && line.contains(" level=ERROR ") && BREAKS.iter().any(|said| line.contains(said))
}

/// A duration as Go writes it, such as `312.4µs`, `1.2s` or `2m3s`, in seconds (`time.Duration.String`).
fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let number = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
        let (value, tail) = rest.split_at(number);
        let end = tail.find(|sign: char| sign.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "µs" | "μs" | "us" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += value.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(status: u16, time: &str, request: &str) -> String {
        format!("[GIN] 2026/11/23 - 18:12:21 | {status:>3} | {time:>13} |       127.0.0.1 | {request}")
    }

    fn read(status: u16) -> Option<EndedRequest> {
        RequestLog::default().read(&line(status, "1.5s", "POST     \"/api/chat\""))
    }

    const BREAK: &str = "time=2026-11-23T18:12:21.104Z level=ERROR source=llama_server.go:812 \
         msg=\"llama-server chat error\" error=\"unexpected EOF\"";

    fn ended(outcome: RequestOutcome, broke_off: bool, seconds: Option<f64>) -> EndedRequest {
        EndedRequest { outcome, broke_off, seconds }
    }

    #[test]
    fn requests_for_work_are_counted_and_no_others() {
        let answered = Some(ended(RequestOutcome::Answered, false, Some(1.5)));
        for request in ["POST     \"/api/chat\"", "POST     \"/v1/chat/completions\"", "POST \"/api/embed?x=a|b\""] {
            assert_eq!(RequestLog::default().read(&line(200, "1.5s", request)), answered, "{request}");
        }
        for request in [
            "GET      \"/api/ps\"",
            "GET      \"/api/chat\"",
            "POST     \"/api/show\"",
            "POST     \"/api/chats\"",
            "HEAD     \"/\"",
            "",
        ] {
            assert_eq!(RequestLog::default().read(&line(200, "1.5s", request)), None, "{request}");
        }
        // As newer versions of Gin write it, and older ones of Ollama.
        let narrow = "[GIN] 2026/11/23 - 18:12:21 | 200 |    1.5s | ::1 | POST    \"/api/generate\"";
        assert_eq!(RequestLog::default().read(narrow), answered);
        assert_eq!(
            RequestLog::default().read("[GIN-debug] POST   /api/chat --> server.ChatHandler (5 handlers)"),
            None
        );
    }

    #[test]
    fn a_status_says_whose_fault_it_is() {
        assert_eq!(read(500), Some(ended(RequestOutcome::Failed, false, None)));
        assert_eq!(read(503), Some(ended(RequestOutcome::Overload, false, None)));
        assert_eq!(read(404), Some(ended(RequestOutcome::CallersMistake, false, None)));
        assert_eq!(read(499), Some(ended(RequestOutcome::CallersMistake, false, None)));
    }

    #[test]
    fn an_answer_that_broke_off_is_told_by_the_line_before() {
        let mut log = RequestLog::default();
        assert_eq!(log.read(BREAK), None);
        let (success, failure) = (line(200, "9s", "POST     \"/api/chat\""), line(500, "9s", "POST     \"/api/chat\""));
        assert_eq!(log.read(&success), Some(ended(RequestOutcome::Answered, true, None)));
        assert_eq!(log.read(&success), Some(ended(RequestOutcome::Answered, false, Some(9.0))));
        // One that had not begun is a failure by itself, and not a second one.
        assert_eq!(log.read(BREAK), None);
        assert_eq!(log.read(&failure), Some(ended(RequestOutcome::Failed, false, None)));
        assert_eq!(log.read(&success), Some(ended(RequestOutcome::Answered, false, Some(9.0))));
    }

    #[test]
    fn other_errors_break_nothing_off() {
        let success = line(200, "9s", "POST     \"/api/chat\"");
        for other in [
            "time=2026-11-23T18:12:21.104Z level=INFO source=a.go:1 msg=\"llama-server chat error\"",
            "time=2026-11-23T18:12:21.104Z level=ERROR source=sched.go:455 msg=\"error loading llama server\"",
            "somebody wrote level=ERROR msg=\"llama-server chat error\"",
        ] {
            let mut log = RequestLog::default();
            log.read(other);
            assert_eq!(log.read(&success), Some(ended(RequestOutcome::Answered, false, Some(9.0))), "{other}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in [
            ("0s", 0.0),
            ("250ns", 250e-9),
            ("312.4µs", 312.4e-6),
            ("12.3ms", 0.0123),
            ("1.234567891s", 1.234_567_891),
            ("29m59s", 1_799.0),
            ("2m3.5s", 123.5),
            ("1h0m0s", 3_600.0),
        ] {
            let read = seconds(text).unwrap();
            assert!((read - expected).abs() <= 1e-12 * expected.max(1.0), "{text}: {read}");
        }
        for text in ["", "s", "1", "1.2.3s", "-1s", "1 s", "1x", "NaN", "1e3s"] {
            assert_eq!(seconds(text), None, "{text}");
        }
        // A request whose time is not understood is counted all the same.
        let odd = RequestLog::default().read(&line(200, "soon", "POST     \"/api/chat\""));
        assert_eq!(odd, Some(ended(RequestOutcome::Answered, false, None)));
    }

    proptest! {
        #[test]
        fn any_line_is_borne(lines in prop::collection::vec("(\\[GIN\\] |time=)?.{0,80}", 0..8)) {
            let mut log = RequestLog::default();
            for line in lines {
                log.read(&line);
            }
        }

        #[test]
        fn any_duration_is_borne(text in "[0-9.hmsnuµμ-]{0,24}") {
            prop_assert!(seconds(&text).is_none_or(|seconds| seconds >= 0.0));
        }

        #[test]
        fn durations_add_up(hours in 0_u32..100, minutes in 0_u32..60, millis in 0_u32..60_000) {
            let text = format!("{hours}h{minutes}m{}s", f64::from(millis) / 1e3);
            let expected = f64::from(hours * 3_600 + minutes * 60) + f64::from(millis) / 1e3;
            prop_assert!((seconds(&text).unwrap() - expected).abs() < 1e-6, "{}", text);
        }
    }
}
