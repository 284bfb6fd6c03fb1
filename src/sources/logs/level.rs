//! How grave a line is, by its own words.
//!
//! What a program *writes as* its level decides: a JSON or logfmt field, klog's first letter, a word in capitals, in
//! brackets or before a colon; the first one wins, so an `INFO` line about an error stays one. Only without any of these
//! do plain words such as *exception* count, and not where the text says that there is none (`errors=0`, `no error`), in
//! names (`error_count`, `/api/error`) or in compounds (`error-free`). Guessing is confined to the head of the line.

use crate::domain::LogLevel;

/// How far into a line a level is looked for, bytes.
const HEAD_BYTES: usize = 120;

/// The level of one line of clean text; [`LogLevel::Info`] where it says nothing.
pub(super) fn level(text: &str) -> LogLevel {
    let line = text.trim_ascii_start().as_bytes();
    if line.first() == Some(&b'{') {
        return json(line).unwrap_or(LogLevel::Info);
    }
    if let Some(level) = klog(line) {
        return level;
    }
    words(&line[..line.len().min(HEAD_BYTES)])
}

/// `E1123 09:02:11.123456       1 file.go:10] …`, as klog and glog write.
fn klog(line: &[u8]) -> Option<LogLevel> {
    let [letter, date @ ..] = line.first_chunk::<6>()?;
    let is_date = date[..4].iter().all(u8::is_ascii_digit) && date[4] == b' ';
    match letter {
        b'I' if is_date => Some(LogLevel::Info),
        b'W' if is_date => Some(LogLevel::Warning),
        b'E' | b'F' if is_date => Some(LogLevel::Error),
        _ => None,
    }
}

/// The field of a JSON line that holds its level: `level`, `log.level`, `levelname`, `severity`, `MongoDB`'s `s`.
fn json(line: &[u8]) -> Option<LogLevel> {
    let mut rest = line;
    while let Some(colon) = rest.iter().position(|byte| *byte == b':') {
        let key = rest[..colon].trim_ascii_end();
        rest = rest[colon + 1..].trim_ascii_start();
        if is_level_key(key) {
            return Some(match rest.first() {
                Some(b'"') => {
                    let value = &rest[1..];
                    let end = value.iter().position(|byte| *byte == b'"')?;
                    Word::of(&value[..end]).level().or_else(|| letter(&value[..end]))?
                }
                _ => number(rest)?,
            });
        }
    }
    None
}

/// Whether the text before a colon ends in the key of a level.
fn is_level_key(before: &[u8]) -> bool {
    let Some(key) = before.strip_suffix(b"\"") else {
        return false;
    };
    [b"level".as_slice(), b"levelname", b"level_name", b"loglevel", b"severity", b"lvl", b"\"s"]
        .iter()
        .any(|known| key.len() >= known.len() && key[key.len() - known.len()..].eq_ignore_ascii_case(known))
}

/// A level in one letter, as `MongoDB` writes.
fn letter(value: &[u8]) -> Option<LogLevel> {
    match value {
        b"E" | b"F" => Some(LogLevel::Error),
        b"W" => Some(LogLevel::Warning),
        b"I" => Some(LogLevel::Info),
        _ => None,
    }
}

/// A level as pino and bunyan number it: 30 info, 40 warning, 50 error, 60 fatal.
fn number(value: &[u8]) -> Option<LogLevel> {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, value.first()?) {
        (2, b'5' | b'6') => Some(LogLevel::Error),
        (2, b'4') => Some(LogLevel::Warning),
        (2, b'1'..=b'3') => Some(LogLevel::Info),
        _ => None,
    }
}

/// The first word that is written as a level; without one, the gravest plain word.
fn words(head: &[u8]) -> LogLevel {
    let mut plain = LogLevel::Info;
    let mut at = 0;
    while let Some(begin) = head[at..].iter().position(|byte| is_word(*byte)) {
        let begin = at + begin;
        let end = head[begin..].iter().position(|byte| !is_word(*byte)).map_or(head.len(), |length| begin + length);
        at = end;
        let word = Word::of(&head[begin..end]);
        let (before, after) = (&head[..begin], &head[end..]);
        if word == Word::Key && after.first() == Some(&b'=') {
            return field(&after[1..]).unwrap_or(plain);
        }
        if word == Word::Other || is_part_of_a_name(before, after) {
            continue;
        }
        if let Some(level) = word.level()
            && is_written_as_level(&head[begin..end], before, after)
        {
            return level;
        }
        if let Some(level) = word.plain()
            && !is_denied(before, after)
        {
            plain = plain.max(level);
        }
    }
    plain
}

/// The value of a logfmt field, quoted or not.
fn field(value: &[u8]) -> Option<LogLevel> {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let end = value.iter().position(|byte| !is_word(*byte)).unwrap_or(value.len());
    Word::of(&value[..end]).level()
}

/// What a word means here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    /// A level below warning.
    Calm,
    Warning,
    Error,
    /// Says error only as a plain word: an exception's class, `Traceback`.
    Thrown,
    /// The key of a field that holds the level.
    Key,
    Other,
}

impl Word {
    fn of(word: &[u8]) -> Self {
        const LONGEST: usize = 9;
        let mut lower = [0; LONGEST];
        let Some(lower) = lower.get_mut(..word.len()) else {
            return Self::class(word);
        };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        match &*lower {
            b"error" | b"err" | b"fatal" | b"panic" | b"crit" | b"critical" | b"emerg" | b"emergency" | b"severe"
            | b"eror" => Self::Error,
            b"warn" | b"warning" | b"wrn" => Self::Warning,
            b"info" | b"debug" | b"trace" | b"notice" | b"log" | b"hint" | b"detail" | b"inf" | b"dbg" | b"verbose"
            | b"statement" => Self::Calm,
            b"exception" | b"traceback" => Self::Thrown,
            b"level" | b"lvl" | b"severity" | b"loglevel" => Self::Key,
            _ => Self::class(word),
        }
    }

    /// The class of an error by its name: `TimeoutError`, `NullPointerException`.
    fn class(word: &[u8]) -> Self {
        let stem = word.strip_suffix(b"Error").or_else(|| word.strip_suffix(b"Exception"));
        match stem.and_then(<[u8]>::last) {
            Some(letter) if letter.is_ascii_alphanumeric() => Self::Thrown,
            _ => Self::Other,
        }
    }

    /// What it says as a level.
    fn level(self) -> Option<LogLevel> {
        match self {
            Self::Calm => Some(LogLevel::Info),
            Self::Warning => Some(LogLevel::Warning),
            Self::Error => Some(LogLevel::Error),
            Self::Thrown | Self::Key | Self::Other => None,
        }
    }

    /// What it says in running text.
    fn plain(self) -> Option<LogLevel> {
        match self {
            Self::Warning => Some(LogLevel::Warning),
            Self::Error | Self::Thrown => Some(LogLevel::Error),
            Self::Calm | Self::Key | Self::Other => None,
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Part of a path, an address, a file's name, an option or a compound.
fn is_part_of_a_name(before: &[u8], after: &[u8]) -> bool {
    let joins = |byte: &u8| is_word(*byte);
    match before.last() {
        Some(b'/' | b'?' | b'&' | b'@' | b'$' | b'#' | b'%' | b'\\') => return true,
        Some(b'-') if before.iter().rev().nth(1).is_some_and(|byte| joins(byte) || *byte == b'-') => return true,
        _ => {}
    }
    match after.first() {
        Some(b'/' | b'\\' | b'@' | b'%') => true,
        Some(b'-' | b'.') => after.get(1).is_some_and(joins),
        _ => false,
    }
}

/// In capitals, in brackets, or at the start of the line before a colon.
fn is_written_as_level(word: &[u8], before: &[u8], after: &[u8]) -> bool {
    let (last, next) = (before.last(), after.first());
    let capitals = word.iter().all(u8::is_ascii_uppercase);
    let bracketed = matches!(
        (last, next),
        (Some(b'['), Some(b']')) | (Some(b'<'), Some(b'>')) | (Some(b'('), Some(b')')) | (Some(b'|'), Some(b'|'))
    );
    let heads = next == Some(&b':') && !is_denied(before, after);
    // Postgres writes its levels in capitals and before a colon; as bare words they are SQL and prose.
    let shared_with_prose = matches!(word, b"LOG" | b"HINT" | b"DETAIL" | b"STATEMENT" | b"TRACE" | b"NOTICE");
    if shared_with_prose && !bracketed {
        return next == Some(&b':');
    }
    capitals || bracketed || (heads && starts_a_clause(before))
}

/// Nothing but what stands before a level in a line: a time, a name in brackets, a name and a colon.
fn starts_a_clause(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    before.is_empty() || matches!(before.last(), Some(b']' | b':' | b'|' | b'>' | b')' | b'0'..=b'9' | b'Z'))
}

/// The words around say that there is none: `no error`, `0 errors`, `err=<nil>`, `error: null`.
fn is_denied(before: &[u8], after: &[u8]) -> bool {
    const DENIALS: &[&[u8]] = &[b"no", b"not", b"0", b"zero", b"without", b"any", b"non", b"on", b"if", b"ignore"];
    let before = before.trim_ascii_end();
    let begin = before.iter().rposition(|byte| !is_word(*byte)).map_or(0, |at| at + 1);
    DENIALS.iter().any(|word| before[begin..].eq_ignore_ascii_case(word)) || has_no_value(after)
}

/// What follows a word makes it the key of a field without a value.
fn has_no_value(after: &[u8]) -> bool {
    const NONE: &[&[u8]] = &[b"0", b"null", b"nil", b"<nil>", b"none", b"false", b"no", b"undefined", b"ok"];
    let after = after.strip_prefix(b"\"").unwrap_or(after).trim_ascii_start();
    let Some((sign @ (b'=' | b':'), value)) = after.split_first() else {
        return false;
    };
    let value = value.trim_ascii_start();
    if value.starts_with(b"\"\"") || value.starts_with(b"''") {
        return true;
    }
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let is_value = |byte: &u8| is_word(*byte) || matches!(byte, b'<' | b'>' | b'.');
    let end = value.iter().position(|byte| !is_value(byte)).unwrap_or(value.len());
    // Behind a colon it is only a value if nothing but the end of the field follows: `error: no space left` is prose.
    let ends =
        *sign == b'=' || value.get(end).is_none_or(|byte| matches!(byte, b',' | b';' | b'"' | b'}' | b']' | b')'));
    ends && NONE.iter().any(|none| value[..end].eq_ignore_ascii_case(none))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_their_own_words() {
        for line in [
            "ERROR: duplicate key value violates unique constraint \"users_pkey\"",
            "2026-11-23 09:01:44.013 UTC [73] FATAL:  password authentication failed for user \"n8n\"",
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "TimeoutError: plugin daemon did not answer within 30 s (plugin langgenius/openai)",
            "ERROR 11-23 09:01:44 [core.py:702] EngineCore failed to start.",
            "(EngineCore_DP0 pid=71) ERROR 11-23 09:01:44 [core.py:702] failed",
            "Traceback (most recent call last):",
            "torch.cuda.OutOfMemoryError: CUDA out of memory.",
            "java.lang.NullPointerException: Cannot invoke \"String.length()\"",
            "2026/11/23 09:01:44 [error] 31#31: *1 open() \"/usr/share/nginx/html/x\" failed",
            "2026/11/23 09:01:44 [crit] 31#31: *1 connect() failed",
            "[Nest] 1  - 11/23/2026, 9:01:44 AM   ERROR [ExceptionsHandler] x",
            "2026-11-23T09:01:44.013Z ERROR qdrant::startup: Panic occurred",
            "2026-11-23 09:01:44,013 ERROR exited: worker (exit status 1; not expected)",
            "2026-11-23T09:01:44Z\terror\tmain/main.go:12\tcannot listen: error: address in use",
            "time=2026-11-23T09:01:44.013Z level=ERROR source=server.go:12 msg=\"llama runner exited\"",
            "ts=1763888504 lvl=eror msg=\"it broke\"",
            "time=\"2026-11-23T09:01:44Z\" level=fatal msg=\"cannot start\"",
            r#"{"level":"error","ts":1763888504,"msg":"connection refused"}"#,
            r#"{"level":50,"time":1763888504013,"pid":1,"msg":"request failed"}"#,
            r#"{"time":1763888504013,"pid":1,"level": 60 ,"msg":"dying"}"#,
            r#"{"@timestamp":"2026-11-23T09:01:44Z", "log.level": "ERROR", "message":"shard failed"}"#,
            r#"{"message":"it is a long way to the level","severity":"CRITICAL"}"#,
            r#"{"asctime":"x","levelname":"ERROR","message":"no"}"#,
            r#"{"t":{"$date":"2026-11-23"},"s":"E",  "c":"NETWORK","msg":"failed"}"#,
            "E1123 09:01:44.013123       1 reflector.go:147] Failed to watch",
            "F1123 09:01:44.013123       1 main.go:10] cannot go on",
            "panic: runtime error: index out of range [3] with length 3",
            "thread 'main' panicked at src/main.rs:4:5: an error occurred",
            "Unhandled exception in worker 3",
            "ERROR:root:nothing works",
            "npm ERR! code ELIFECYCLE",
            "Error: connect ECONNREFUSED 127.0.0.1:5432",
            "could not connect: error: connection refused",
            "request failed err=\"dial tcp: connection refused\"",
            "<error> the disk is gone",
            "worker: error: no space left on device",
            "fatal: not a git repository",
        ] {
            assert_eq!(level(line), LogLevel::Error, "{line}");
        }
    }

    #[test]
    fn warnings_are_told_by_their_own_words() {
        for line in [
            "WARNING:  database \"n8n\" has a collation version mismatch",
            "2026-11-23 09:01:44 WARN  o.a.k.clients.NetworkClient - Connection could not be established. Error: x",
            "[warn] deprecated option",
            "level=warn msg=\"slow request\" error=timeout",
            r#"{"level":"warning","msg":"retrying after error"}"#,
            r#"{"level":40,"msg":"slow"}"#,
            "W1123 09:01:44.013123       1 warnings.go:70] an error is near",
            "WARNING 11-23 09:01:44 [config.py:12] Casting torch.bfloat16 to torch.float16.",
            "(node:1) Warning: Setting the NODE_TLS_REJECT_UNAUTHORIZED",
            "1:C 23 Nov 2026 09:01:44.013 # WARNING Memory overcommit must be enabled!",
            "a warning from the past",
        ] {
            assert_eq!(level(line), LogLevel::Warning, "{line}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_none() {
        for line in [
            "",
            "{",
            "GET /api/error HTTP/1.1 200",
            "GET /console/api/apps?error=access_denied HTTP/1.1 302",
            "see https://docs.example.org/error/404 for help",
            "done: errors=0 warnings=0",
            "0 errors, 0 warnings",
            "finished with 0 error",
            "error_count=3 error_rate=0.1",
            "no error was found",
            "no warning",
            "completed without error",
            "error: null",
            "err=<nil> took=3ms",
            "status=ok error=\"\" took=3ms",
            "\"error\": none",
            "error=0",
            "opened /var/log/nginx/error.log",
            "writing error.log",
            "the error-free build took 3 s",
            "--error-log=/dev/stderr",
            "terrors and mirrors",
            "restart on error is enabled",
            "INFO:     127.0.0.1:5000 - \"GET /error HTTP/1.1\" 200 OK",
            "INFO 11-23 09:01:44 [logger.py:1] Error budget is fine, no exception",
            "2026-11-23 09:01:44 [info] recovered from error: timeout",
            "2026-11-23T09:01:44Z INFO qdrant: fatal is only a word here",
            "level=info msg=\"error while closing, ignored\"",
            "time=x level=DEBUG msg=\"panic mode off\"",
            "2026-11-23 09:01:44.013 UTC [73] LOG:  could not receive data: error",
            "STATEMENT:  SELECT error FROM runs",
            r#"{"level":"info","msg":"error while closing, ignored"}"#,
            r#"{"level":30,"err":null,"msg":"error"}"#,
            r#"{"msg":"no level here, but an error"}"#,
            r#"{"s":"I","msg":"error"}"#,
            "I1123 09:01:44.013123       1 main.go:10] error is a word",
            "E11 is a street",
            "Error404Handler registered",
            "x".repeat(200).as_str(),
            &format!("{} error", "word ".repeat(30)),
            "grüße: kein Fehler",
        ] {
            assert_eq!(level(line), LogLevel::Info, "{line}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_has_a_level(text in proptest::prelude::any::<String>()) {
            level(&text);
        }
    }
}
