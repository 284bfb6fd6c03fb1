//! A reference to an image, taken apart as the docker command does it (`distribution/reference`, grammar in `reference.go`).

use std::fmt;
use std::str::FromStr;

/// The registry of references that name none.
const DOCKER_HUB: &str = "docker.io";
/// The longest name (registry and repository together), bytes.
const NAME_BYTES: usize = 255;
/// The longest tag, bytes.
const TAG_BYTES: usize = 128;

/// A reference such as `n8nio/n8n:1.118.2`, with everything in it that the docker command adds by itself.
///
/// [`Display`](fmt::Display) writes all of it: `docker.io/n8nio/n8n:1.118.2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    /// The registry with its port, such as `ghcr.io` or `127.0.0.1:5000`; `docker.io` for Docker Hub.
    pub registry: String,
    /// The repository within it, such as `library/postgres`.
    pub repository: String,
    /// The tag; `latest` where neither a tag nor a digest is written.
    pub tag: Option<String>,
    /// The digest, such as `sha256:…`, where it is written.
    pub digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It names one image by its id, so that there is no repository to be asked.
    #[error("it is an image's id, and names no repository")]
    Id,
    /// Registry and repository are longer than any registry takes.
    #[error("its name is longer than {NAME_BYTES} characters")]
    TooLong,
    /// What stands before the first slash is no host.
    #[error("`{0}` is no registry: a host, and a port if it has one of its own")]
    Registry(String),
    /// A repository knows no capitals.
    #[error("`{0}` has capitals, and a repository has none")]
    Capitals(String),
    /// A part of the repository is not written as one can be.
    #[error("`{0}` is no part of a repository: small letters and digits, with . _ __ or - between them")]
    Repository(String),
    /// The tag is not written as one can be.
    #[error("`{0}` is no tag: up to {TAG_BYTES} letters, digits, _ . and -, the first no . or -")]
    Tag(String),
    /// The digest is not written as one can be.
    #[error("`{0}` is no digest: an algorithm, a colon, and hexadecimal digits")]
    Digest(String),
}

impl ImageRef {
    /// As it is written as a rule: without `docker.io/`, `library/` and the tag `latest`.
    pub fn familiar(&self) -> String {
        let official = self.repository.strip_prefix("library/").filter(|name| !name.contains('/'));
        let mut text = match (self.is_docker_hub(), official) {
            (true, Some(official)) => official.to_owned(),
            // Without its registry such a name would be taken for one of another registry.
            (true, None) if !looks_like_host(self.repository.split('/').next().unwrap_or_default()) => {
                self.repository.clone()
            }
            _ => self.name(),
        };
        if let Some(tag) = self.tag.as_ref().filter(|tag| *tag != "latest" || self.digest.is_some()) {
            text.extend([":", tag]);
        }
        if let Some(digest) = &self.digest {
            text.extend(["@", digest]);
        }
        text
    }

    /// Registry and repository, such as `docker.io/library/postgres`: what local digests begin with, once normalised.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Whether it lies at Docker Hub.
    pub fn is_docker_hub(&self) -> bool {
        self.registry == DOCKER_HUB
    }

    /// The same repository with another tag, and without a digest.
    #[must_use]
    pub fn with_tag(&self, tag: &str) -> Self {
        Self { tag: Some(tag.to_owned()), digest: None, ..self.clone() }
    }

    /// The very image with this digest in the same repository, whatever its tags mean.
    #[must_use]
    pub fn with_digest(&self, digest: &str) -> Self {
        Self { tag: None, digest: Some(digest.to_owned()), ..self.clone() }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        if text.is_empty() {
            return Err(ImageRefError::Empty);
        }
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        if hex(bare) && (bare.len() == 64 || bare.len() < text.len()) {
            return Err(ImageRefError::Id);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let (registry, repository) = split_registry(name)?;
        if registry.len() + repository.len() >= NAME_BYTES {
            return Err(ImageRefError::TooLong);
        }
        repository.split('/').try_for_each(check_component)?;
        let tag = tag.map(checked_tag).transpose()?;
        let digest = digest.map(checked_digest).transpose()?;
        let tag = tag.or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { registry, repository, tag, digest })
    }
}

/// Takes the registry off a name: the first part, if it looks like a host; else it is Docker Hub.
fn split_registry(name: &str) -> Result<(String, String), ImageRefError> {
    let hub = |repository: &str| {
        let official = if repository.contains('/') { "" } else { "library/" };
        (DOCKER_HUB.to_owned(), format!("{official}{repository}"))
    };
    let Some((first, rest)) = name.split_once('/') else { return Ok(hub(name)) };
    if !looks_like_host(first) {
        return Ok(hub(name));
    }
    if !is_registry(first) {
        return Err(ImageRefError::Registry(first.to_owned()));
    }
    Ok(match first {
        DOCKER_HUB | "index.docker.io" => hub(rest),
        _ => (first.to_owned(), rest.to_owned()),
    })
}

/// Whether the first part of a name is a registry rather than a user of Docker Hub.
fn looks_like_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A host by name, by IPv4, or by IPv6 in brackets, and a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => (address, Some(port.strip_prefix(':').unwrap_or_default())),
            None => return false,
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let is_host = if text.starts_with('[') {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        host.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+');
    is_host && port.is_none_or(is_port)
}

/// Holds one part of a repository to `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn check_component(part: &str) -> Result<(), ImageRefError> {
    if part.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(ImageRefError::Capitals(part.to_owned()));
    }
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(plain) && part.bytes().last().is_some_and(plain);
    let signs = part.split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit());
    let mut signs = signs.filter(|sign| !sign.is_empty());
    let good = signs.all(|sign| matches!(sign, "." | "_" | "__") || sign.bytes().all(|byte| byte == b'-'));
    if ends && good { Ok(()) } else { Err(ImageRefError::Repository(part.to_owned())) }
}

fn checked_tag(tag: &str) -> Result<String, ImageRefError> {
    let good = (1..=TAG_BYTES).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if good { Ok(tag.to_owned()) } else { Err(ImageRefError::Tag(tag.to_owned())) }
}

fn checked_digest(digest: &str) -> Result<String, ImageRefError> {
    let good = digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let named = algorithm.split(['+', '.', '_', '-']).all(|part| !part.is_empty() && part.bytes().all(word));
        named && (32..=256).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if good { Ok(digest.to_owned()) } else { Err(ImageRefError::Digest(digest.to_owned())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:2c2b5023d1d2b0a1f6d4c1e7a9d0f4b3e8c7a6b5d4c3b2a1908f7e6d5c4b3a29";

    #[test]
    fn what_is_left_out_is_filled_in() {
        let pinned = format!("ghcr.io/a/b@{DIGEST}");
        for (text, whole, familiar) in [
            ("n8nio/n8n:1.2", "docker.io/n8nio/n8n:1.2", "n8nio/n8n:1.2"),
            ("postgres", "docker.io/library/postgres:latest", "postgres"),
            ("docker.io/postgres:16", "docker.io/library/postgres:16", "postgres:16"),
            ("index.docker.io/library/postgres", "docker.io/library/postgres:latest", "postgres"),
            ("127.0.0.1:5000/bed/app:stable", "127.0.0.1:5000/bed/app:stable", "127.0.0.1:5000/bed/app:stable"),
            ("localhost/app", "localhost/app:latest", "localhost/app"),
            ("[::1]:5000/app:1", "[::1]:5000/app:1", "[::1]:5000/app:1"),
            ("library/x", "docker.io/library/x:latest", "x"),
            ("my.lan/library/x", "my.lan/library/x:latest", "my.lan/library/x"),
            ("a/b/c__d-e---f.g:v1", "docker.io/a/b/c__d-e---f.g:v1", "a/b/c__d-e---f.g:v1"),
            (&pinned, &pinned, &pinned),
        ] {
            let parsed: ImageRef = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((parsed.to_string().as_str(), parsed.familiar().as_str()), (whole, familiar), "{text}");
        }
        let both: ImageRef = format!("n8nio/n8n:1.2@{DIGEST}").parse().unwrap();
        assert_eq!((both.tag.as_deref(), both.digest.as_deref()), (Some("1.2"), Some(DIGEST)));
        assert_eq!(both.with_tag("1.3").to_string(), "docker.io/n8nio/n8n:1.3");
    }

    #[test]
    fn what_is_wrong_is_named() {
        use ImageRefError as Error;
        let long = format!("a/{}", "b".repeat(300));
        for (text, error) in [
            ("", Error::Empty),
            (DIGEST, Error::Id),
            (DIGEST.trim_start_matches("sha256:"), Error::Id),
            ("sha256:2c2b5023d1d2", Error::Id),
            (&long, Error::TooLong),
            ("-x.lan/app", Error::Registry("-x.lan".to_owned())),
            ("x.lan:0/app", Error::Registry("x.lan:0".to_owned())),
            ("[::g]:1/app", Error::Registry("[::g]:1".to_owned())),
            ("me/App", Error::Capitals("App".to_owned())),
            ("me/a..b", Error::Repository("a..b".to_owned())),
            ("me//b", Error::Repository(String::new())),
            ("me/app-", Error::Repository("app-".to_owned())),
            ("app:", Error::Tag(String::new())),
            ("app:-1", Error::Tag("-1".to_owned())),
            ("app:a b", Error::Tag("a b".to_owned())),
            ("app@sha256:12", Error::Digest("sha256:12".to_owned())),
        ] {
            assert_eq!(text.parse::<ImageRef>(), Err(error), "{text}");
        }
        let told = "me/App".parse::<ImageRef>().unwrap_err().to_string();
        assert_eq!(told, "`App` has capitals, and a repository has none");
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in ".{0,80}") {
            let _either = text.parse::<ImageRef>();
        }

        #[test]
        fn what_is_written_is_read_again(text in "([a-z0-9]{1,8}(\\.lan|:5000)?/)?[a-z0-9]{1,8}(/[a-z0-9]{1,4}([._-][a-z0-9]{1,4})?)?(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,9})?") {
            if let Ok(parsed) = text.parse::<ImageRef>() {
                prop_assert_eq!(parsed.to_string().parse::<ImageRef>(), Ok(parsed.clone()));
                prop_assert_eq!(parsed.familiar().parse::<ImageRef>(), Ok(parsed));
            }
        }
    }
}
