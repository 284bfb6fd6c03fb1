//! What must not leave the box with a bug report: secrets, and whose box it is.
//!
//! Patterns find what looks like a secret wherever it stands (in the words of a health check, in a command line that an
//! engine quotes); nothing can promise to find all of them, and the bundle says so.

use std::sync::LazyLock;

use regex::{Captures, Regex};

pub use crate::domain::secret::MASK;

/// Whose names to take out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The home folder: becomes `~`.
    pub home: Option<String>,
    /// The login name: becomes `USER`; `root` and names of one or two letters stay.
    pub user: Option<String>,
    /// The name of the box: becomes `HOST`; `None` to keep it.
    pub host: Option<String>,
}

/// `KEY=value`, `"key": "value"`, `key: value` and `--key value` where the key speaks of a secret.
const KEYED: &str = r#"(?ix)
    ( -{0,2} \b [a-z0-9_.-]* (?: api[_-]?key | key | token | secret | passw(?:or)?d | passphrase | pass | pwd | dsn | credentials? | auth ) [a-z0-9_]* ["']? )
    ( \s* [=:] \s* | \s+ )
    ( "[^"]*" | '[^']*' | [^\s"',;&}\])]+ )
"#;

/// `scheme://name:password@host`: everything before the `@` goes.
const USERINFO: &str = r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@]+@";

/// `Authorization: Bearer …`, and tokens that can be told by how they begin.
const TOKENS: &str = r"(?x)
    \b (?i: bearer | basic ) \s+ [A-Za-z0-9._~+/=-]{6,}
    | \b (?: sk | pk | rk ) [-_] [A-Za-z0-9_-]{8,}
    | \b (?: gh[pousr] | glpat | hf | xox[abprs] | npm | dckr_pat ) [-_] [A-Za-z0-9_-]{8,}
    | \b (?: AKIA | ASIA ) [A-Z0-9]{12,}
    | \b eyJ [A-Za-z0-9_-]+ \. [A-Za-z0-9_-]+ (?: \. [A-Za-z0-9_-]+ )?
";

static PATTERNS: LazyLock<Option<[Regex; 3]>> = LazyLock::new(|| {
    let compile = |pattern| Regex::new(pattern).ok();
    Some([compile(USERINFO)?, compile(TOKENS)?, compile(KEYED)?])
});

/// `text` without secrets and names. Where the patterns cannot be had (which a test rules out), nothing is passed on.
pub fn mask(text: &str, names: &Names) -> String {
    let Some([userinfo, tokens, keyed]) = &*PATTERNS else {
        return MASK.to_owned();
    };
    let text = userinfo.replace_all(text, format!("${{1}}{MASK}@"));
    let text = tokens.replace_all(&text, MASK);
    let text = keyed.replace_all(&text, keyed_replacement);
    let mut text = text.into_owned();
    if let Some(home) = names.home.as_deref().filter(|home| home.len() > 1) {
        text = text.replace(home.trim_end_matches('/'), "~");
    }
    // Short names are words of the language too, and the system's own say nothing. The box is hidden on request: always.
    let user = names.user.as_deref().filter(|name| name.len() > 2 && *name != "root");
    for (name, word) in [(user, "USER"), (names.host.as_deref(), "HOST")] {
        if let Some(name) = name {
            text = replace_word(&text, name, word);
        }
    }
    text
}

/// Between words alone (`the key is`) there is a secret only after an option (`--token x`).
fn keyed_replacement(found: &Captures<'_>) -> String {
    let (key, between, value) = (&found[1], &found[2], &found[3]);
    let is_option = key.starts_with('-');
    let is_word = between.trim().is_empty() && !is_option;
    let whole = &found[0];
    if is_word || says_that_there_is_none(value) { whole.to_owned() } else { format!("{key}{between}{MASK}") }
}

/// Values that are no secrets and help whoever reads the report.
fn says_that_there_is_none(value: &str) -> bool {
    matches!(value.trim_matches(['"', '\'']), "" | "true" | "false" | "null" | "none" | "unset" | MASK)
}

fn replace_word(text: &str, name: &str, word: &str) -> String {
    Regex::new(&format!(r"\b{}\b", regex::escape(name)))
        .map_or_else(|_| text.to_owned(), |name| name.replace_all(text, word).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out() {
        for (text, masked) in [
            ("OPENAI_API_KEY=sk-abcdefgh12345678", "OPENAI_API_KEY=***"),
            ("-e POSTGRES_PASSWORD='p q' -e PORT=80", "-e POSTGRES_PASSWORD=*** -e PORT=80"),
            ("{\"api_key\": \"abc\", \"port\": 80}", "{\"api_key\": ***, \"port\": 80}"),
            ("postgres://n8n:hunter2@db:5432/n8n", "postgres://***@db:5432/n8n"),
            ("GET /v1?token=abc&x=1", "GET /v1?token=***&x=1"),
            ("SENTRY_DSN=https://1234@sentry.example/1", "SENTRY_DSN=***"),
            ("Authorization: Bearer abc.def-ghi", "Authorization: ***"),
            ("vllm serve --api-key token-abc --port 8000", "vllm serve --api-key *** --port 8000"),
            ("pulled with hf_abcdefghijklmnop", "pulled with ***"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "jwt ***"),
            ("AWS_SECRET_ACCESS_KEY: wJalrXUtnFEMI", "AWS_SECRET_ACCESS_KEY: ***"),
            ("DB_PASS=x; REDIS_PWD=y", "DB_PASS=***; REDIS_PWD=***"),
        ] {
            assert_eq!(mask(text, &Names::default()), masked, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "1,024 tokens of context, 43 tokens a second",
            "the key is `q`",
            "exit code 137 (OOM-killed)",
            "unix:///run/user/1000/docker.sock",
            "http://127.0.0.1:8000",
            "NO_COLOR=1 TERM=xterm-256color",
            "sha256:0123456789abcdef",
            "token=null",
        ] {
            assert_eq!(mask(text, &Names::default()), text);
        }
    }

    #[test]
    fn names_are_taken_out() {
        let names = Names { home: Some("/home/ada".into()), user: Some("ada".into()), host: Some("gpubox-01".into()) };
        let text = "/home/ada/.config on gpubox-01, by ada, not by adam";
        assert_eq!(mask(text, &names), "~/.config on HOST, by USER, not by adam");
        let names = Names { home: Some("/".into()), user: Some("root".into()), host: None };
        assert_eq!(mask("/var of root on gpubox-01", &names), "/var of root on gpubox-01");
    }
}
