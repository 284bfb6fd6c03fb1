//! What the operator wants told to servers of their own choice, wherever they lie: one request over HTTP or HTTPS, bounded in time
//! and size. No redirect is followed: it could lead a token elsewhere.
//!
//! The address itself may be a secret (that of a chat's webhook is), so what goes wrong never tells more of it than
//! [`WebUrl::place`].

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect};
use serde_json::Value;
use tokio::time::timeout;

use super::http::{HttpError, failure};
use super::lane::{Lane, Reader};
use super::secret::{Secret, SecretRef};
use super::{foreign, tls};
use crate::domain::secret::{MASK, mask_text};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read of an answer, bytes: what a server says of a mistake is one line of it.
const ANSWER_BYTES: usize = 16 << 10;
/// The most that is read of an answer to a question, bytes.
const BODY_BYTES: usize = 32 << 20;
/// What is shorter is no secret in an address, bytes.
const LEAST_SECRET: usize = 8;
/// The most that is kept of that line, bytes.
const LINE_BYTES: usize = 200;

/// An address that the operator wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct WebUrl(Url);

/// What is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoUrl {
    /// It is not scheme and host.
    #[error("this is no address; allowed: http://host:port/path, https://host/path")]
    Form,
    /// It holds a name or a password.
    #[error(
        "a name and a password do not belong in an address; allowed: an address without them, and `user` and `password_file`"
    )]
    Password,
}

impl WebUrl {
    /// Scheme, host and port: what may be told of it.
    pub fn place(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The address of `path` below it, whatever slashes there are between them.
    fn below(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}/{path}", self.0.path().trim_end_matches('/')));
        }
        url
    }

    /// The parts of it that may be secrets: what is long in its path and its query.
    fn secrets(&self) -> Vec<Secret> {
        let segments = self.0.path_segments().into_iter().flatten().map(str::to_owned);
        let values = self.0.query_pairs().map(|(_, value)| value.into_owned());
        segments.chain(values).filter(|part| part.len() >= LEAST_SECRET).map(Secret).collect()
    }

    /// Whether it lies on this host: no proxy leads there.
    fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        literal.map_or(host == "localhost", |ip| ip.is_loopback())
    }
}

/// The whole address, for the config: it may be a secret.
impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl fmt::Debug for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebUrl({}/…)", self.place())
    }
}

impl FromStr for WebUrl {
    type Err = NoUrl;

    fn from_str(text: &str) -> Result<Self, NoUrl> {
        let url = Url::parse(text.trim()).map_err(|_| NoUrl::Form)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoUrl::Password);
        }
        let is_web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.fragment().is_none();
        if is_web { Ok(Self(url)) } else { Err(NoUrl::Form) }
    }
}

/// Where something is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// To an address that stands in the config.
    Written(WebUrl),
    /// To one that stands in a file, because it is a secret itself.
    InFile(PathBuf),
}

impl Address {
    fn read(&self) -> Result<WebUrl, String> {
        match self {
            Self::Written(url) => Ok(url.clone()),
            Self::InFile(path) => {
                let reference = SecretRef::File(path.clone());
                let Secret(text) = reference.read()?;
                text.parse().map_err(|error| format!("{reference}: {error}"))
            }
        }
    }
}

/// What may be told of it: `https://ntfy.sh`, or the file.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(url) => f.write_str(&url.place()),
            Self::InFile(path) => write!(f, "the address in {}", path.display()),
        }
    }
}

/// How hostler says who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebLogin {
    /// With a token (RFC 6750).
    Token(SecretRef),
    /// With a name and a password (RFC 7617).
    Password(String, SecretRef),
}

impl WebLogin {
    /// The header, and the secret in it: as it is, and as it is sent.
    fn read(&self) -> Result<(HeaderValue, [Secret; 2]), String> {
        let (word, sent, secret, of) = match self {
            Self::Token(token) => {
                let secret = token.read()?;
                ("Bearer", secret.clone(), secret, token)
            }
            Self::Password(name, password) => {
                let secret = password.read()?;
                ("Basic", Secret(STANDARD.encode(format!("{name}:{}", secret.0))), secret, password)
            }
        };
        let mut header = HeaderValue::from_str(&format!("{word} {}", sent.0))
            .map_err(|_| format!("{of} cannot be sent: it is not ASCII"))?;
        header.set_sensitive(true);
        Ok((header, [sent, secret]))
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where to.
    pub to: Address,
    /// The path below that; empty for the address as it is.
    pub path: &'static str,
    /// Who asks, if that is to be said.
    pub login: Option<WebLogin>,
    /// What is sent as JSON with `POST`; `None` asks with `GET`.
    pub body: Option<Value>,
    /// How long all of it may take.
    pub patience: Duration,
}

/// Why a request did not do what it was for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    /// It could not even be made.
    #[error("{0}")]
    Unmade(String),
    /// There is no answer.
    #[error("{0}: {1}")]
    Unanswered(String, HttpError),
    /// The answer leads elsewhere.
    #[error("{0} leads elsewhere (status {1}), and no redirect is followed; write the address that it leads to")]
    Elsewhere(String, u16),
    /// The answer is no success. The last text is its first line, where it has one that people can read.
    #[error("{0} answers with status {1}{2}")]
    Refused(String, u16, String),
}

/// What came back with a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebAnswer {
    /// The status code, 200 to 299.
    pub status: u16,
    /// The answer is a web page: what answered may be something else than what was meant.
    pub is_page: bool,
}

/// Sends requests. Its clients are opened at the first one; one request at a time.
pub struct Web {
    /// Reads the machine's certificates, and secrets.
    opener: Reader<Option<Clients>>,
}

#[derive(Debug, Clone)]
struct Clients {
    anywhere: Client,
    /// For this host: no proxy leads there, and no certificate is needed.
    here: Client,
}

impl Web {
    /// One that opens nothing yet. What blocks is done on `lane`.
    pub fn new(lane: &Lane) -> Self {
        Self { opener: lane.reader(|| None) }
    }

    /// Sends a request and waits for what comes back.
    ///
    /// # Errors
    /// When it cannot be sent, there is no answer, or the answer is no success.
    pub async fn send(&mut self, request: Request) -> Result<WebAnswer, WebError> {
        let (response, place, hidden) = self.begin(request, &[]).await?;
        answer(response, place, &hidden).await
    }

    /// Asks with these parameters and gives the body of a success.
    ///
    /// # Errors
    /// When it cannot be sent, there is no answer, the answer is no success, or it is larger than 32 MiB.
    pub async fn ask(&mut self, request: Request, parameters: &[(&str, String)]) -> Result<Vec<u8>, WebError> {
        let patience = request.patience;
        let (mut response, place, hidden) = self.begin(request, parameters).await?;
        if !response.status().is_success() {
            return Err(match answer(response, place.clone(), &hidden).await {
                Err(error) => error,
                Ok(_) => WebError::Unmade(place),
            });
        }
        let mut body = Vec::new();
        let failed = |error: reqwest::Error| WebError::Unanswered(place.clone(), failure(&error, CONNECT, patience));
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BODY_BYTES {
                return Err(WebError::Unanswered(place, HttpError::TooLarge(BODY_BYTES)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Sends a request; gives what comes back, from where, and what must not be told.
    async fn begin(
        &mut self,
        request: Request,
        parameters: &[(&str, String)],
    ) -> Result<(Response, String, Vec<Secret>), WebError> {
        let Request { to, path, login, body, patience } = request;
        let opening = self.opener.read(move |clients| -> Result<_, String> {
            let (url, login) = (to.read()?, login.map(|login| login.read()).transpose()?);
            let clients = match clients {
                Some(clients) => clients,
                None => clients.insert(Clients::open()?),
            };
            let client = if url.is_loopback() && url.0.scheme() == "http" { &clients.here } else { &clients.anywhere };
            Ok((client.clone(), url, login))
        });
        let opened = timeout(patience, opening).await.map_err(|_| "the files of this machine do not answer".to_owned());
        let opened = opened.and_then(|opened| opened.unwrap_or_else(|why| Err(why.to_string())));
        let (client, url, login) = opened.map_err(WebError::Unmade)?;
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut target = url.below(path);
        target.query_pairs_mut().extend_pairs(parameters);
        if parameters.is_empty() {
            target.set_query(url.0.query());
        }
        let mut request = client.request(method, target).timeout(patience);
        let mut hidden = url.secrets();
        if let Some((header, secrets)) = login {
            request = request.header(AUTHORIZATION, header);
            hidden.extend(secrets);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let place = url.place();
        let unanswered = |error: reqwest::Error| {
            WebError::Unanswered(place.clone(), failure(&error, CONNECT.min(patience), patience))
        };
        Ok((request.send().await.map_err(unanswered)?, place.clone(), hidden))
    }
}

impl Clients {
    fn open() -> Result<Self, String> {
        let opened = |client: Result<Client, reqwest::Error>| {
            client.map_err(|error| {
                let cause = tls::causes(&error).last().map_or_else(|| error.to_string(), ToString::to_string);
                format!("no TLS can be spoken on this machine: {cause}")
            })
        };
        Ok(Self {
            anywhere: opened(tls::trusting_the_machine(builder()).build())?,
            here: opened(tls::without(builder()).no_proxy().build())?,
        })
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("hostler/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(0)
}

/// What an answer means. Of a success the body is not even read: it could be endless.
async fn answer(mut response: Response, place: String, hidden: &[Secret]) -> Result<WebAnswer, WebError> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_page = kind.trim_start().to_ascii_lowercase().starts_with("text/html");
    if status.is_success() {
        return Ok(WebAnswer { status: status.as_u16(), is_page });
    }
    if status.is_redirection() {
        return Err(WebError::Elsewhere(place, status.as_u16()));
    }
    let said = if is_page { String::new() } else { first_line(&mut response).await };
    // A server may say back what it was sent.
    let said = hidden.iter().fold(said, |said, Secret(secret)| said.replace(secret.as_str(), MASK));
    let said = if said.is_empty() { said } else { format!(": {}", mask_text(&said)) };
    Err(WebError::Refused(place, status.as_u16(), said))
}

/// The first line of a body that says something, as far as it comes.
async fn first_line(response: &mut Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES - body.len())]);
        if body.len() >= ANSWER_BYTES {
            break;
        }
    }
    let line = body.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    foreign::clean_bytes(line, LINE_BYTES).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_of_the_web_and_tells_its_place_alone() {
        for (text, place) in [
            ("https://ntfy.sh", "https://ntfy.sh"),
            ("http://10.0.0.5:9093/alerts", "http://10.0.0.5:9093"),
            ("https://hooks.example/services/T0/B0/s3cret?k=s3cret", "https://hooks.example"),
            ("http://[::1]:9093", "http://[::1]:9093"),
        ] {
            let url: WebUrl = text.parse().unwrap();
            assert_eq!((url.place(), url.0.as_str().trim_end_matches('/')), (place.to_owned(), text));
            assert!(!format!("{url:?} {}", Address::Written(url.clone())).contains("s3cret"));
        }
        for text in ["", "ntfy.sh", "ftp://host/x", "http://", "unix:///run/x", "https://host/x#y"] {
            assert_eq!(text.parse::<WebUrl>(), Err(NoUrl::Form), "{text}");
        }
        assert_eq!("https://jo:s3cret@host/".parse::<WebUrl>(), Err(NoUrl::Password));
    }

    #[test]
    fn a_path_lies_below_an_address() {
        let below = |text: &str, path: &str| text.parse::<WebUrl>().unwrap().below(path).to_string();
        assert_eq!(below("http://a:9093", "api/v2/alerts"), "http://a:9093/api/v2/alerts");
        assert_eq!(below("http://a/am/", "api/v2/alerts"), "http://a/am/api/v2/alerts");
        assert_eq!(below("http://a/x?y=z", ""), "http://a/x?y=z");
    }

    #[test]
    fn only_what_is_on_this_host_is_on_loopback() {
        let here = |text: &str| text.parse::<WebUrl>().unwrap().is_loopback();
        assert!(here("http://127.0.0.1:1") && here("http://localhost") && here("http://[::1]"));
        assert!(!here("http://10.0.0.1") && !here("http://localhost.example"));
    }
}
