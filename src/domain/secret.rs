//! What looks like a secret, and how it is shown: names that speak of one, addresses with a password, words that begin as
//! tokens do. Nothing can promise to find all of them; where there is doubt, too much is masked rather than too little.

/// What stands in the place of a secret.
pub const MASK: &str = "***";

/// Whether a name (of a variable, a label, an option) speaks of a secret.
pub fn names_secret(name: &str) -> bool {
    const WITHIN: &[&str] = &["TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL"];
    const AT_END: &[&str] = &["KEY", "KEYS", "PASS", "PWD", "AUTH", "DSN"];
    let name = name.to_ascii_uppercase();
    let is_secret = |word: &str| {
        WITHIN.iter().any(|part| word.contains(part))
            || AT_END.iter().any(|end| word.ends_with(end))
            || word.starts_with("AUTHORIZATION")
    };
    name.split(|character: char| !character.is_ascii_alphanumeric()).any(is_secret)
}

/// `NAME=value`, as in an environment: all of the value goes where the name speaks of a secret; else what looks like one
/// within it.
pub fn mask_assignment(text: &str) -> String {
    match text.split_once('=') {
        Some((name, value)) if !name.contains(char::is_whitespace) && names_secret(name) => {
            format!("{name}={}", masked_value(name, value))
        }
        Some((name, value)) if !name.contains(char::is_whitespace) => format!("{name}={}", mask_text(value)),
        _ => mask_text(text),
    }
}

/// A value whose name speaks of a secret. What says that there is none, and a path to a file that holds it, stay.
pub fn masked_value<'a>(name: &str, value: &'a str) -> &'a str {
    let is_reference = name.to_ascii_uppercase().ends_with("FILE") && value.starts_with('/');
    let says_none = matches!(value.trim_matches(['"', '\'']), "" | "true" | "false" | "null" | "none" | "unset" | MASK);
    if is_reference || says_none { value } else { MASK }
}

/// The words of a command line, each by itself: `--password x`, `--api-key=x`, `-e TOKEN=x`.
pub fn mask_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut before = Awaits::Nothing;
    words.into_iter().map(|word| mask_word(word, &mut before)).collect()
}

/// A text that may be a command line, a message or anything else: its words as [`mask_words`] has them.
pub fn mask_text(text: &str) -> String {
    if text.contains("PRIVATE KEY-----") {
        return MASK.to_owned();
    }
    let mut masked = String::with_capacity(text.len());
    let mut before = Awaits::Nothing;
    let mut rest = text;
    while !rest.is_empty() {
        let gap = rest.find(|character: char| !character.is_whitespace()).unwrap_or(rest.len());
        masked.push_str(&rest[..gap]);
        rest = &rest[gap..];
        let end = word_end(rest);
        if end > 0 {
            masked.push_str(&mask_word(&rest[..end], &mut before));
        }
        rest = &rest[end..];
    }
    masked
}

/// What the word before announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Nothing,
    /// A secret.
    Secret,
}

/// Where the first word ends: at a space that no quotes enclose.
fn word_end(text: &str) -> usize {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            None if character.is_whitespace() => return at,
            _ => {}
        }
    }
    // A quote that is never closed encloses nothing.
    if quote.is_some() { text.find(char::is_whitespace).unwrap_or(text.len()) } else { text.len() }
}

fn mask_word(word: &str, before: &mut Awaits) -> String {
    if std::mem::replace(before, Awaits::Nothing) == Awaits::Secret {
        if matches!(word.to_ascii_lowercase().as_str(), "bearer" | "basic" | "=" | ":") {
            *before = Awaits::Secret;
            return word.to_owned();
        }
        return masked_value("", word).to_owned();
    }
    let bare = word.trim_matches(['"', '\'']);
    if bare.contains(char::is_whitespace) {
        return mask_quoted(word, bare);
    }
    let names = bare.trim_end_matches([':', '"', '\'']);
    let announces = word.starts_with('-') || bare.ends_with(':');
    if announces && !names.contains(['=', ':']) && names_secret(names) || bare.eq_ignore_ascii_case("bearer") {
        *before = Awaits::Secret;
        return word.to_owned();
    }
    let word = without_userinfo(word);
    word.split_inclusive([',', ';', '&', '?', '{', '}', '[', ']']).map(mask_pair).collect()
}

/// A word with spaces in it, which quotes hold together; `bare` is without those around it.
fn mask_quoted(word: &str, bare: &str) -> String {
    match word.split_once('=') {
        Some((name, value)) if !name.contains(char::is_whitespace) && names_secret(name) => {
            format!("{name}={}", masked_value(name, value))
        }
        // A script in one word (`sh -c '…'`) has words of its own.
        _ if bare.len() < word.len() => word.replacen(bare, &mask_text(bare), 1),
        // Apostrophes, not quotes.
        _ => {
            let mut before = Awaits::Nothing;
            let parts = word.split_inclusive(char::is_whitespace).map(|part| {
                let text = part.trim_end();
                if text.is_empty() {
                    return part.to_owned();
                }
                format!("{}{}", mask_word(text, &mut before), &part[text.len()..])
            });
            parts.collect()
        }
    }
}

/// `scheme://name:password@host`: everything before the last `@` goes.
fn without_userinfo(word: &str) -> String {
    let ends = word.find("://").zip(word.rfind('@'));
    match ends.filter(|(scheme, at)| scheme + 3 < *at) {
        Some((scheme, at)) => format!("{}{MASK}{}", &word[..scheme + 3], &word[at..]),
        None => word.to_owned(),
    }
}

/// A part of a word, such as `name=value` or `"name":"value"`, with the sign that ended it.
fn mask_pair(part: &str) -> String {
    let end = part.trim_end_matches([',', ';', '&', '?', '{', '}', '[', ']']).len();
    let (pair, tail) = part.split_at(end);
    if let Some(at) = pair.find(['=', ':']) {
        let (name, value) = (&pair[..at], &pair[at + 1..]);
        if names_secret(name) && !value.is_empty() && !value.starts_with("//") {
            return format!("{}{}{tail}", &pair[..=at], masked_value(name, value));
        }
        if is_token(value) {
            return format!("{}{MASK}{tail}", &pair[..=at]);
        }
    }
    if is_token(pair) { format!("{MASK}{tail}") } else { part.to_owned() }
}

/// Whether a word begins as the tokens of well-known services do.
fn is_token(word: &str) -> bool {
    const BEGINNINGS: &[&str] = &[
        "sk-",
        "sk_",
        "pk_",
        "rk_",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "hf_",
        "xoxa-",
        "xoxb-",
        "xoxp-",
        "xoxr-",
        "xoxs-",
        "npm_",
        "dckr_pat_",
        "AKIA",
        "ASIA",
        "eyJ",
    ];
    let word = word.trim_matches(['"', '\'']);
    word.len() >= 12 && BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_speak_of_secrets_are_known() {
        for name in [
            "OPENAI_API_KEY",
            "HF_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "POSTGRES_PASSWORD",
            "MYSQL_PASSWD",
            "REDIS_PWD",
            "GOOGLE_CREDENTIALS",
            "BASIC_AUTH",
            "SENTRY_DSN",
            "DB_PASS",
            "--api-key",
            "apikey",
            "Authorization",
            "traefik.http.middlewares.a.basicauth.users",
            "n8n_encryption_key",
        ] {
            assert!(names_secret(name), "{name}");
        }
        for name in ["PATH", "HOME", "Author", "PORT", "AuthorName", "Image", "KEYBOARD", "com.docker.compose.project"]
        {
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn assignments_lose_their_secrets_whole() {
        for (text, masked) in [
            ("OPENAI_API_KEY=sk-abcdefgh12345678", "OPENAI_API_KEY=***"),
            ("DB_PASSWORD=p q = r@s", "DB_PASSWORD=***"),
            ("DB_PASSWORD_FILE=/run/secrets/db", "DB_PASSWORD_FILE=/run/secrets/db"),
            ("REQUIRE_TOKEN=false", "REQUIRE_TOKEN=false"),
            ("DATABASE_URL=postgres://n8n:hunter2@db:5432/n8n", "DATABASE_URL=postgres://***@db:5432/n8n"),
            ("REDIS=redis://:p/w@ss@cache:6379/0", "REDIS=redis://***@cache:6379/0"),
            ("PATH=/usr/bin:/bin", "PATH=/usr/bin:/bin"),
            ("OPTS=--token abc --port 80", "OPTS=--token *** --port 80"),
            ("CA=-----BEGIN RSA PRIVATE KEY-----MIIE", "CA=***"),
            ("MODE=ghp_0123456789abcdef", "MODE=***"),
        ] {
            assert_eq!(mask_assignment(text), masked, "{text}");
        }
    }

    #[test]
    fn command_lines_keep_what_is_no_secret() {
        let masked =
            mask_words(["vllm", "serve", "--api-key", "abc", "--port", "8000", "--hf-token=xyz", "-e", "A_KEY=b"]);
        assert_eq!(
            masked,
            ["vllm", "serve", "--api-key", "***", "--port", "8000", "--hf-token=***", "-e", "A_KEY=***"]
        );
        for (text, masked) in [
            ("sh -c 'server --password x --port 80'", "sh -c 'server --password *** --port 80'"),
            ("server --password 'p q' --port 80", "server --password *** --port 80"),
            ("curl -H 'Authorization: Bearer abc.def' http://x/", "curl -H 'Authorization: Bearer ***' http://x/"),
            ("GET /v1?token=abc&x=1 200", "GET /v1?token=***&x=1 200"),
            ("{\"password\":\"abc\",\"port\":80}", "{\"password\":***,\"port\":80}"),
            ("the key is wrong", "the key is wrong"),
            ("it's 5 o'clock", "it's 5 o'clock"),
            ("it's --token abc, isn't it", "it's --token *** isn't it"),
            ("db --password='p q' -v", "db --password=*** -v"),
            ("java -Ddb.password=abc -jar x", "java -Ddb.password=*** -jar x"),
            ("{\"auths\": {\"x\": {\"auth\": \"abc\"}}}", "{\"auths\": {\"x\": {\"auth\": ***"),
            ("redis-server --requirepass abc", "redis-server --requirepass ***"),
            ("127.0.0.1:8000 ok", "127.0.0.1:8000 ok"),
        ] {
            assert_eq!(mask_text(text), masked, "{text}");
        }
    }
}
