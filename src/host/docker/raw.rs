//! The engine's API as plain JSON: for what must come through whole, whatever version of the API it belongs to.
//!
//! A container is made again from what the engine says of it; a client with types of its own would drop the fields that it
//! does not know. Answers are bounded in time and size, as everywhere.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::endpoint::{Address, Candidate};
use super::fault;
use crate::domain::Failure;
use crate::host::{foreign, tls};

/// The most that is read of an answer, bytes: the inspection of a container with thousands of variables, or the list of
/// many thousand images.
const BODY_BYTES: usize = 32 << 20;
/// The most that is kept of a message, bytes.
const MESSAGE_BYTES: usize = 400;

/// Why a request had no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// There is no such thing (any more).
    #[error("{0}")]
    Gone(String),
    /// Something stands against it: a name that is taken, an image that is in use.
    #[error("{0}")]
    Conflict(String),
    /// The engine refused it, with this status.
    #[error("the engine refused it ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The engine could not be asked.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl EngineError {
    /// An answer with a status that is no success.
    pub(super) fn of_status(status: u16, message: &str) -> Self {
        let message = foreign::clean(message, MESSAGE_BYTES).into_owned();
        match status {
            404 => Self::Gone(message),
            409 => Self::Conflict(message),
            _ => Self::Refused { status, message },
        }
    }
}

/// Speaks JSON with one engine. Its client is opened at the first request: it costs memory, and a screen that is only
/// looked at needs none.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    client: Arc<OnceLock<Result<Client, String>>>,
    socket: Option<PathBuf>,
    /// `http://localhost/v1.41`.
    base: String,
    place: Candidate,
}

impl Raw {
    /// A client for the engine at `place`, in the API version that was agreed on.
    pub(super) fn new(place: &Candidate, version: &str) -> Result<Self, Failure> {
        let (socket, host) = match place.address()? {
            Address::Unix(path) => (Some(path), "localhost".to_owned()),
            Address::Tcp(host) => (None, host),
        };
        Ok(Self { client: Arc::default(), socket, base: format!("http://{host}/v{version}"), place: place.clone() })
    }

    fn client(&self) -> Result<&Client, Failure> {
        let open = || {
            let builder = tls::without(Client::builder()).no_proxy().pool_max_idle_per_host(0);
            let builder = self.socket.clone().into_iter().fold(builder, reqwest::ClientBuilder::unix_socket);
            builder.build().map_err(|error| error.to_string())
        };
        self.client.get_or_init(open).as_ref().map_err(|why| Failure::failed(why.clone()))
    }

    /// What the engine answers to a GET of `path`, which begins with `/` and is encoded.
    pub(super) async fn get(&self, path: &str, patience: Duration) -> Result<Value, EngineError> {
        self.ask(Method::GET, path, None, patience).await
    }

    /// What the engine answers to `body` posted to `path`; null where it answers nothing.
    pub(super) async fn post(&self, path: &str, body: &Value, patience: Duration) -> Result<Value, EngineError> {
        self.ask(Method::POST, path, Some(body), patience).await
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<Value, EngineError> {
        let mut request = self.client()?.request(method, format!("{}{path}", self.base)).timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(|error| self.failure(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if bytes.len() + chunk.len() > BODY_BYTES {
                return Err(Failure::failed(format!("{}: the answer is too large", self.place.shown())).into());
            }
            bytes.extend_from_slice(&chunk);
        }
        let is_empty = bytes.is_empty();
        let (value, bytes) = parsed(bytes).await;
        match (status, value) {
            (status, Ok(value)) if status.is_success() => Ok(value),
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) => Ok(Value::Null),
            (status, Err(_)) if status.is_success() && is_empty => Ok(Value::Null),
            (status, Err(error)) if status.is_success() => {
                let what = format!("{} gave an answer that is no JSON: {error}", self.place.shown());
                Err(Failure::failed(what).into())
            }
            (status, value) => {
                let said = value.ok().and_then(|value| Some(value.get("message")?.as_str()?.to_owned()));
                let said = said.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
                Err(EngineError::of_status(status.as_u16(), &said))
            }
        }
    }

    fn failure(&self, error: &reqwest::Error) -> EngineError {
        EngineError::Failed(if error.is_timeout() {
            fault::silent(&self.place.shown())
        } else {
            fault::transport(&self.place, error)
        })
    }
}

/// Answers from this size on are read on a thread that may be kept busy, bytes.
const LARGE: usize = 64 << 10;

/// The JSON in `bytes`, and the bytes. A list of hundreds of images takes milliseconds to read, in which nobody could draw.
async fn parsed(bytes: Vec<u8>) -> (serde_json::Result<Value>, Vec<u8>) {
    let is_large = bytes.len() >= LARGE;
    let parse = move || (serde_json::from_slice(&bytes), bytes);
    if !is_large {
        return parse();
    }
    tokio::task::spawn_blocking(parse).await.unwrap_or_else(|_| (Ok(Value::Null), Vec::new()))
}

/// `text` as one segment of a path, or one value of a query (RFC 3986, section 2).
pub fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(byte.into());
        } else {
            // Writing to a string cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
