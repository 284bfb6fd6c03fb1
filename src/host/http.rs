//! One small HTTP client for servers on this host's loopback: plain HTTP, no proxy, no redirect, no name service, and
//! every answer bounded in time and size.
//!
//! The client is opened at its first use, since an opened one costs 0.9 MiB. It keeps no connection: servers with a few
//! threads (llama.cpp's) would spend one of them on waiting for the next reading.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{foreign, tls};
use crate::domain::units;

/// A server on this host's loopback, or in a container on it: the only kinds of place that [`Http`] speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(SocketAddr);

/// Why something is no [`Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is not scheme, host and port.
    #[error("not an address of the form http://127.0.0.1:8000")]
    Form,
    /// It asks for something other than plain HTTP.
    #[error("only http:// is spoken, since nothing leaves this host")]
    Scheme,
    /// It lies elsewhere.
    #[error("not on this host's loopback (127.0.0.1, ::1 or localhost)")]
    NotLoopback,
    /// It lies in no private network, and so is no container's.
    #[error("not the address of a container in a private network")]
    NotPrivate,
}

impl Origin {
    /// The server at `address`.
    ///
    /// # Errors
    /// [`OriginError::NotLoopback`] for an address that is not this host's own loopback.
    pub fn new(address: SocketAddr) -> Result<Self, OriginError> {
        if address.ip().is_loopback() { Ok(Self(address)) } else { Err(OriginError::NotLoopback) }
    }

    /// The server at a port of a container: of its own address in a network of this host's engine.
    ///
    /// # Errors
    /// [`OriginError::NotPrivate`] for an address that is not one of a private network (RFC 1918, RFC 4193 §3).
    pub fn of_container(ip: IpAddr, port: u16) -> Result<Self, OriginError> {
        let private = match ip {
            IpAddr::V4(ip) => ip.is_private(),
            IpAddr::V6(ip) => ip.is_unique_local(),
        };
        if private { Ok(Self((ip, port).into())) } else { Err(OriginError::NotPrivate) }
    }

    /// Its address.
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// Its port.
    pub fn port(self) -> u16 {
        self.0.port()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::Form)?;
        if url.scheme() != "http" {
            return Err(OriginError::Scheme);
        }
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        let host = url.host_str().filter(|_| bare).ok_or(OriginError::Form)?;
        let ip = match host.trim_start_matches('[').trim_end_matches(']') {
            "localhost" => IpAddr::from(Ipv4Addr::LOCALHOST),
            literal => literal.parse().map_err(|_| OriginError::NotLoopback)?,
        };
        Self::new(SocketAddr::new(ip, url.port_or_known_default().unwrap_or(80)))
    }
}

/// Why there is no answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// Nothing listens there.
    #[error("connection refused")]
    Refused,
    /// It accepted the connection, or did not even that, and said nothing in this time.
    #[error("no answer within {}", waited(*.0))]
    NoAnswer(Duration),
    /// It ended the connection without a word.
    #[error("it closed the connection without an answer")]
    Closed,
    /// It answered in another protocol.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// It stopped in the middle of its answer.
    #[error("the answer broke off")]
    BrokeOff,
    /// The answer is larger than this, bytes.
    #[error("the answer is larger than {}", units::bytes(*.0 as u64))]
    TooLarge(usize),
    /// Its name leads nowhere.
    #[error("there is no such host")]
    NoHost,
    /// No name server answers.
    #[error("no name server answers")]
    NoNames,
    /// It cannot prove who it is.
    #[error("it cannot be trusted: {0}")]
    Distrusted(String),
    /// It refused or failed, with this status code.
    #[error("status {0}")]
    Status(u16),
    /// The answer is not the JSON that this endpoint is known for.
    #[error("the answer is not understood: {0}")]
    NotUnderstood(String),
    /// The connection could not even be tried.
    #[error("{0}")]
    Local(String),
}

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// What the server calls itself (`Server`); empty where it does not.
    pub server: String,
    /// The body, at most [`Http::BODY_BYTES`].
    body: Arc<[u8]>,
}

impl Answer {
    /// The body as text; invalid UTF-8 is replaced. It is foreign text: strip what is kept of it.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The answer, if its status is a success.
    ///
    /// # Errors
    /// [`HttpError::Status`] otherwise.
    pub fn success(&self) -> Result<&Self, HttpError> {
        match self.status {
            200..=299 => Ok(self),
            status => Err(HttpError::Status(status)),
        }
    }

    /// The body as JSON of a known shape.
    ///
    /// # Errors
    /// [`HttpError::NotUnderstood`] when it is of another shape.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| HttpError::NotUnderstood(foreign::name(&error.to_string())))
    }
}

/// The client.
#[derive(Debug, Clone, Default)]
pub struct Http {
    client: Arc<OnceLock<Result<Client, String>>>,
}

impl Http {
    /// How long connecting may take: on loopback only a server whose queue is full takes longer.
    pub const CONNECT: Duration = Duration::from_millis(300);
    /// How long a whole exchange may take.
    pub const TOTAL: Duration = Duration::from_secs(2);
    /// The most that is read of a body, bytes.
    pub const BODY_BYTES: usize = 1 << 20;

    /// Asks for `path` (with its query, beginning with `/`).
    ///
    /// # Errors
    /// Why there is no answer. An answer with any status is no error.
    pub async fn get(&self, origin: Origin, path: &str) -> Result<Answer, HttpError> {
        self.exchange(self.client()?.get(format!("{origin}{path}")), Self::TOTAL).await
    }

    /// Sends `body` as JSON to `path`, and waits so long for all of the answer.
    ///
    /// # Errors
    /// Why there is no answer. An answer with any status is no error.
    pub async fn post<B: Serialize + ?Sized>(
        &self,
        origin: Origin,
        path: &str,
        body: &B,
        patience: Duration,
    ) -> Result<Answer, HttpError> {
        self.exchange(self.client()?.post(format!("{origin}{path}")).json(body), patience).await
    }

    /// Asks for the end of what `path` and `body`, sent as JSON, name, and waits so long for all of the answer.
    ///
    /// # Errors
    /// Why there is no answer. An answer with any status is no error.
    pub async fn delete<B: Serialize + ?Sized>(
        &self,
        origin: Origin,
        path: &str,
        body: &B,
        patience: Duration,
    ) -> Result<Answer, HttpError> {
        self.exchange(self.client()?.delete(format!("{origin}{path}")).json(body), patience).await
    }

    /// Sends `body` as JSON to `path`, and reads the answer line by line, however long it takes: between two pieces of it
    /// there may be so much silence.
    ///
    /// # Errors
    /// Why no answer began. An answer with any status is no error.
    pub async fn post_for_lines<B: Serialize + ?Sized>(
        &self,
        origin: Origin,
        path: &str,
        body: &B,
        silence: Duration,
    ) -> Result<Lines, HttpError> {
        let request = self.client()?.post(format!("{origin}{path}")).json(body).send();
        let sent = timeout(silence, request).await.map_err(|_| HttpError::NoAnswer(silence))?;
        let response = sent.map_err(|error| failure(&error, Self::CONNECT, silence))?;
        Ok(Lines { status: response.status().as_u16(), response, silence, pending: Vec::new(), ended: false })
    }

    /// Whether a client was opened yet.
    pub fn is_open(&self) -> bool {
        self.client.get().is_some()
    }

    fn client(&self) -> Result<&Client, HttpError> {
        let opened = self.client.get_or_init(|| builder().build().map_err(|error| error.to_string()));
        opened.as_ref().map_err(|why| HttpError::Local(why.clone()))
    }

    async fn exchange(&self, request: RequestBuilder, patience: Duration) -> Result<Answer, HttpError> {
        let failure = |error| failure(&error, Self::CONNECT, patience);
        let mut response = request.timeout(patience).send().await.map_err(failure)?;
        let body = body(&mut response, failure).await?;
        let server = response.headers().get("server");
        Ok(Answer {
            status: response.status().as_u16(),
            server: server.map_or_else(String::new, |name| {
                foreign::clean_bytes(name.as_bytes(), foreign::NAME_BYTES).into_owned()
            }),
            body: body.into(),
        })
    }
}

/// `path` (which may have a query) with these parameters more, encoded.
pub fn with_parameters(path: &str, parameters: &[(&str, &str)]) -> String {
    let Ok(mut url) = Url::parse(&format!("http://localhost{path}")) else { return path.to_owned() };
    url.query_pairs_mut().extend_pairs(parameters);
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// An answer that comes line by line. Dropping it ends the connection.
#[derive(Debug)]
pub struct Lines {
    /// The status code.
    pub status: u16,
    response: Response,
    silence: Duration,
    /// What came and was not given yet.
    pending: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// The longest line, bytes.
    pub const LINE_BYTES: usize = 64 << 10;

    /// The next line without its end; `None` after the last one. It is foreign text: strip what is kept of it.
    ///
    /// # Errors
    /// [`HttpError::BrokeOff`], [`HttpError::NoAnswer`] after the silence that was allowed, and [`HttpError::TooLarge`] for a
    /// line of more than [`Self::LINE_BYTES`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, HttpError> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let rest = self.pending.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.pending, rest);
                line.truncate(end);
                return Ok(Some(line));
            }
            if self.pending.len() > Self::LINE_BYTES {
                return Err(HttpError::TooLarge(Self::LINE_BYTES));
            }
            if self.ended {
                return Ok((!self.pending.is_empty()).then(|| std::mem::take(&mut self.pending)));
            }
            let chunk = timeout(self.silence, self.response.chunk()).await;
            let chunk = chunk.map_err(|_| HttpError::NoAnswer(self.silence))?;
            match chunk.map_err(|error| failure(&error, Http::CONNECT, self.silence))? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }
}

fn builder() -> ClientBuilder {
    tls::without(Client::builder())
        .user_agent(concat!("hostler/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .connect_timeout(Http::CONNECT)
        .pool_max_idle_per_host(0)
}

/// Reads the body, and gives up as soon as it is too large.
async fn body(response: &mut Response, failure: impl Fn(reqwest::Error) -> HttpError) -> Result<Vec<u8>, HttpError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&failure)? {
        if body.len() + chunk.len() > Http::BODY_BYTES {
            return Err(HttpError::TooLarge(Http::BODY_BYTES));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What went wrong, in the operator's words instead of the library's, where connecting may take so long and all of it
/// `patience`.
pub(super) fn failure(error: &reqwest::Error, connect: Duration, patience: Duration) -> HttpError {
    if error.is_timeout() {
        return HttpError::NoAnswer(if error.is_connect() { connect } else { patience });
    }
    if let Some(why) = tls::distrust(error) {
        return HttpError::Distrusted(why);
    }
    if tls::says(error, "failure in name resolution") {
        return HttpError::NoNames;
    }
    if tls::says(error, "dns error") || tls::says(error, "failed to lookup") {
        return HttpError::NoHost;
    }
    let kind = tls::causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    if error.is_connect() {
        return match kind {
            Some(io::ErrorKind::ConnectionRefused) => HttpError::Refused,
            Some(kind) => HttpError::Local(kind.to_string()),
            None => HttpError::Local("the connection cannot be made".to_owned()),
        };
    }
    if error.is_body() || error.is_decode() {
        return HttpError::BrokeOff;
    }
    // The library says "closed" only in words (a test holds it to them); a reset comes as the system's error.
    let closed = tls::causes(error).any(|cause| cause.to_string().contains("closed before message"));
    if closed || kind.is_some() { HttpError::Closed } else { HttpError::NotHttp }
}

fn waited(time: Duration) -> String {
    if time < Duration::from_secs(1) { format!("{} ms", time.as_millis()) } else { units::span(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_over_plain_http_is_an_origin() {
        for (text, origin) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://localhost:11434/", "http://127.0.0.1:11434"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://127.0.0.53", "http://127.0.0.53:80"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), origin);
        }
        for (text, why) in [
            ("127.0.0.1:8000", OriginError::Form),
            ("http://", OriginError::Form),
            ("http://127.0.0.1:8000/v1", OriginError::Form),
            ("http://key@127.0.0.1:8000", OriginError::Form),
            ("http://127.0.0.1:8000?a", OriginError::Form),
            ("https://127.0.0.1:8000", OriginError::Scheme),
            ("http://10.0.0.7:8000", OriginError::NotLoopback),
            ("http://0.0.0.0:8000", OriginError::NotLoopback),
            ("http://[2001:db8::1]:8000", OriginError::NotLoopback),
            ("http://example.org", OriginError::NotLoopback),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_container_is_asked_in_a_private_network_only() {
        for address in ["10.0.0.7", "172.17.0.2", "192.168.1.1", "fd00::2"] {
            assert!(Origin::of_container(address.parse().unwrap(), 80).is_ok(), "{address}");
        }
        for address in ["8.8.8.8", "127.0.0.1", "169.254.169.254", "0.0.0.0", "2001:db8::1", "fe80::1"] {
            let found = Origin::of_container(address.parse().unwrap(), 80);
            assert_eq!(found.unwrap_err(), OriginError::NotPrivate, "{address}");
        }
    }

    #[test]
    fn the_client_is_opened_at_its_first_use() {
        let http = Http::default();
        assert!(!http.is_open());
        assert!(http.client().is_ok());
        assert!(http.is_open());
    }

    #[test]
    fn a_wait_is_told_in_its_unit() {
        assert_eq!(HttpError::NoAnswer(Http::TOTAL).to_string(), "no answer within 2 s");
        assert_eq!(HttpError::NoAnswer(Http::CONNECT).to_string(), "no answer within 300 ms");
    }
}
