//! One exchange over HTTP with a server that may lie anywhere: bounded in time and size, and what goes wrong in words.
//!
//! Plain HTTP is spoken with registries on this host's loopback alone, as the engine itself does by default
//! (`127.0.0.0/8`); everything else is HTTPS, and no redirect leads out of it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Certificate, Client, ClientBuilder, Method, RequestBuilder, Response, Url, redirect};
use serde::de::DeserializeOwned;

use crate::domain::{FaultKind, RegistryFault, units};
use crate::host::{RootedFs, tls};

/// Redirects that are followed: a registry leads to its storage in one or two.
const REDIRECTS: usize = 5;
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read of a body, bytes: the most that a manifest may have (OCI distribution specification), and far
/// more than a page of tags or releases.
pub(super) const BODY_BYTES: usize = 4 << 20;
/// Where the engine has the certificates of registries of one's own.
const CERTIFICATES: &str = "/etc/docker/certs.d";
/// How long a server is left alone that limits and does not say for how long; and at most, whatever it says.
const LIMITED_FOR: SignedDuration = SignedDuration::from_hours(1);
const LIMITED_AT_MOST: SignedDuration = SignedDuration::from_hours(24);

/// The clients, opened.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    /// For everything that lies beyond this host.
    web: Client,
    /// For loopback.
    plain: Client,
    /// For registries with certificates of their own, by host and port.
    own: HashMap<String, Client>,
    patience: Duration,
}

/// What a server said.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Said {
    /// The body as an object of JSON; `None` for anything else.
    pub(super) fn object<T: DeserializeOwned>(&self) -> Option<T> {
        // A list would be taken for the fields of an object in their order.
        let begins = self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        begins.then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// The body as a list of JSON; `None` for anything else.
    pub(super) fn list<T: DeserializeOwned>(&self) -> Option<Vec<T>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A header as text, if it is one.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(name)?.to_str().ok()
    }
}

impl Wire {
    /// Opens the clients. Reads certificates: not for the async thread.
    pub(super) fn open(fs: &RootedFs, patience: Duration) -> Result<Self, RegistryFault> {
        let unopened = |error: reqwest::Error| {
            let cause = tls::causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string);
            let what = format!("no TLS can be spoken on this machine: {cause}");
            RegistryFault { kind: FaultKind::Unreachable, what, until: None }
        };
        let web = |certificates: Vec<Certificate>| {
            let builder = tls::trusting_the_machine(builder(patience)).tls_certs_merge(certificates);
            builder.build()
        };
        let mut own = HashMap::new();
        for (host, certificates) in certificates(fs) {
            // One that cannot be used is none: the connection will say that nobody vouches for the registry.
            if let Ok(client) = web(certificates) {
                own.insert(host, client);
            }
        }
        Ok(Self {
            web: web(Vec::new()).map_err(unopened)?,
            plain: tls::without(builder(patience)).no_proxy().build().map_err(unopened)?,
            own,
            patience,
        })
    }

    /// A request, to be sent with [`Self::send`].
    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let client = if url.scheme() == "http" { &self.plain } else { self.own.get(&place(&url)).unwrap_or(&self.web) };
        client.request(method, url)
    }

    /// Sends a request to `who` and reads the whole answer.
    pub(super) async fn send(&self, request: RequestBuilder, who: &str) -> Result<Said, RegistryFault> {
        let failed = |error: reqwest::Error| unreachable(who, &error, self.patience);
        let mut response = request.send().await.map_err(failed)?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let body = match body(&mut response).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let most = units::bytes(BODY_BYTES as u64);
                return Err(not_understood(who, &format!("its answer is larger than {most}")));
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Said { status, headers, body })
    }
}

fn builder(patience: Duration) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("hostler/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::custom(|attempt| {
            let from_plain = attempt.previous().last().is_some_and(|from| from.scheme() == "http");
            let leads_out = attempt.url().scheme() == "http" && !(from_plain && is_loopback(attempt.url()));
            if leads_out || attempt.previous().len() > REDIRECTS { attempt.stop() } else { attempt.follow() }
        }))
        .connect_timeout(CONNECT.min(patience))
        .timeout(patience)
        .pool_max_idle_per_host(4)
}

/// The certificates that vouch for registries of one's own: `certs.d/HOST:PORT/*.crt`.
fn certificates(fs: &RootedFs) -> Vec<(String, Vec<Certificate>)> {
    let hosts = fs.list(CERTIFICATES).unwrap_or_default();
    let of_host = |host: String| {
        let folder = format!("{CERTIFICATES}/{host}");
        let files = fs
            .list(&folder)
            .ok()?
            .into_iter()
            .filter(|name| Path::new(name).extension().is_some_and(|end| end == "crt"));
        let texts = files.filter_map(|name| fs.read(format!("{folder}/{name}")).ok());
        let all: Vec<_> =
            texts.filter_map(|text| Certificate::from_pem_bundle(text.as_bytes()).ok()).flatten().collect();
        (!all.is_empty()).then_some((host, all))
    };
    hosts.into_iter().filter_map(of_host).collect()
}

/// Reads the body; `None` where it is too large.
async fn body(response: &mut Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > BODY_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Where the registry of this name is asked: loopback in plain HTTP, the rest in HTTPS.
pub(super) fn base_of(registry: &str) -> Option<Url> {
    let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
    let https = Url::parse(&format!("https://{host}/v2/")).ok()?;
    if is_loopback(&https) { Url::parse(&format!("http://{host}/v2/")).ok() } else { Some(https) }
}

/// Whether the address is this host's own.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    literal.map_or(host == "localhost", |ip| ip.is_loopback())
}

/// Host and port as people write them.
pub(super) fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A failure of this kind.
pub(super) fn fault(kind: FaultKind, what: String) -> RegistryFault {
    RegistryFault { kind, what, until: None }
}

/// An answer that is none of a registry.
pub(super) fn not_understood(who: &str, why: &str) -> RegistryFault {
    fault(FaultKind::NotUnderstood, format!("{who} gave an answer that is not understood: {why}"))
}

/// Too much was asked: until when the server is to be left alone.
pub(super) fn limited(who: &str, said: &Said, now: Timestamp) -> RegistryFault {
    let until = until(said, now);
    let left = units::span(Duration::try_from(until.duration_since(now)).unwrap_or_default());
    let what = format!("{who} limits how much is asked, for {left} more");
    RegistryFault { kind: FaultKind::Limited, what, until: Some(until) }
}

/// The end of a limit: `Retry-After` in seconds or as a date, GitHub's and Docker Hub's own in seconds since 1970.
fn until(said: &Said, now: Timestamp) -> Timestamp {
    let after = |text: &str| {
        let seconds = text.trim().parse::<i64>().ok().filter(|seconds| *seconds >= 0);
        let by_seconds = seconds.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
        by_seconds.or_else(|| Some(jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp()))
    };
    let epoch = |text: &str| Timestamp::from_second(text.trim().parse().ok()?).ok();
    let told = said
        .header("retry-after")
        .and_then(after)
        .or_else(|| said.header("x-ratelimit-reset").or_else(|| said.header("x-retry-after")).and_then(epoch));
    let (least, most) = (now + SignedDuration::from_secs(60), now + LIMITED_AT_MOST);
    told.unwrap_or(now + LIMITED_FOR).clamp(least, most)
}

/// What stands in the way of reaching `who`, in the operator's words instead of the library's.
fn unreachable(who: &str, error: &reqwest::Error, patience: Duration) -> RegistryFault {
    let why = if error.is_timeout() {
        let waited = if error.is_connect() { CONNECT.min(patience) } else { patience };
        format!("no answer within {}", units::span(waited.max(Duration::from_secs(1))))
    } else if error.is_redirect() {
        "it leads elsewhere again and again".to_owned()
    } else if let Some(why) = tls::distrust(error) {
        return fault(FaultKind::Unreachable, format!("{who} cannot be trusted: {why}"));
    } else if tls::says(error, "failure in name resolution") {
        "no name server answers".to_owned()
    } else if tls::says(error, "dns error") || tls::says(error, "failed to lookup") {
        "there is no such host".to_owned()
    } else {
        let kind = tls::causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
            Some(kind) => kind.to_string(),
            None if error.is_connect() => "the connection cannot be made".to_owned(),
            None if error.is_body() || error.is_decode() => "its answer broke off".to_owned(),
            None if tls::says(error, "closed before message") => {
                "it closed the connection without an answer".to_owned()
            }
            None => return not_understood(who, "it is no HTTP"),
        }
    };
    fault(FaultKind::Unreachable, format!("{who} cannot be reached: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_alone() {
        for (registry, base) in [
            ("docker.io", "https://registry-1.docker.io/v2/"),
            ("ghcr.io", "https://ghcr.io/v2/"),
            ("registry.lan:5000", "https://registry.lan:5000/v2/"),
            ("10.0.0.7:5000", "https://10.0.0.7:5000/v2/"),
            ("127.0.0.1:5000", "http://127.0.0.1:5000/v2/"),
            ("127.8.0.1:5000", "http://127.8.0.1:5000/v2/"),
            ("localhost:5000", "http://localhost:5000/v2/"),
            ("localhost.evil.example", "https://localhost.evil.example/v2/"),
            ("[::1]:5000", "http://[::1]:5000/v2/"),
        ] {
            assert_eq!(base_of(registry).unwrap().as_str(), base);
        }
    }

    #[test]
    fn a_limits_end_is_understood_and_bounded() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let until = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            super::until(&Said { status: 429, headers, body: Vec::new() }, now).to_string()
        };
        for (name, value, end) in [
            ("retry-after", "900", "2026-11-23T09:15:00Z"),
            ("retry-after", "Mon, 23 Nov 2026 12:00:00 GMT", "2026-11-23T12:00:00Z"),
            ("retry-after", "0", "2026-11-23T09:01:00Z"),
            ("retry-after", "99999999999", "2026-11-24T09:00:00Z"),
            ("retry-after", "soon", "2026-11-23T10:00:00Z"),
            ("x-ratelimit-reset", "1795427100", "2026-11-23T09:45:00Z"),
            ("server", "x", "2026-11-23T10:00:00Z"),
        ] {
            assert_eq!(until(name, value), end, "{name}: {value}");
        }
    }
}
