//! What others may ask hostler over HTTP: one text at one path. Nothing is taken in but the request itself.
#![expect(clippy::disallowed_types, reason = "the one place that listens")]

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::secret::{Secret, SecretRef};

/// Connections that are served at once; who comes on top is turned away.
const CONNECTIONS: usize = 16;
/// How long a request may take to come in, and an answer to be made and taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that a request's head may hold, bytes.
const HEAD_BYTES: usize = 16 << 10;

/// Someone asks for the text; it is sent back here.
pub type Asked = oneshot::Sender<String>;

/// What is served, where, and to whom.
#[derive(Debug, Clone)]
pub struct Offer {
    /// The path, such as `/metrics`.
    pub path: &'static str,
    /// What the text is.
    pub content_type: &'static str,
    /// Who asks must show this (`Authorization: Bearer …`); anybody may where there is none.
    pub token: Option<SecretRef>,
}

/// Listens at an address, and hands on whatever is asked. Must be called within a [`LocalSet`](tokio::task::LocalSet); it ends
/// with what it hands to. Gives the address back, with the port that it got.
///
/// # Errors
/// When the address is taken or is none of this machine's, or the token cannot be read.
pub async fn listen(at: SocketAddr, offer: Offer) -> io::Result<(SocketAddr, mpsc::Receiver<Asked>)> {
    let listener = TcpListener::bind(at).await?;
    let at = listener.local_addr()?;
    let (ask, asked) = mpsc::channel(1);
    let secret = offer.token.as_ref().map(SecretRef::read).transpose().map_err(io::Error::other)?;
    let door = Door { offer, secret };
    tokio::task::spawn_local(accept(listener, Rc::new(door), ask));
    Ok((at, asked))
}

/// What is served, and the token that must be shown.
struct Door {
    offer: Offer,
    secret: Option<Secret>,
}

async fn accept(listener: TcpListener, door: Rc<Door>, ask: mpsc::Sender<Asked>) {
    let open = Rc::new(Cell::new(0));
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ask.closed() => return,
        };
        // Of one that could not be taken (too many open files) the next may be.
        let Ok((stream, _)) = stream else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        if open.get() >= CONNECTIONS {
            continue;
        }
        open.set(open.get() + 1);
        let (door, ask, open) = (Rc::clone(&door), ask.clone(), Rc::clone(&open));
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| answer(request, &door, &ask));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(HEAD_BYTES)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Who hangs up, or takes nothing, is nobody's trouble.
            let _left = timeout(PATIENCE * 2, served).await;
            open.set(open.get() - 1);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    Door { offer, secret }: &Door,
    ask: &mpsc::Sender<Asked>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    Ok(match secret {
        Some(Secret(token)) if !shows(request.headers().get(AUTHORIZATION), token) => {
            let mut refused = told(StatusCode::UNAUTHORIZED, "a token is needed\n");
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            refused
        }
        _ if request.uri().path() != offer.path => {
            told(StatusCode::NOT_FOUND, format!("there is only {}\n", offer.path))
        }
        _ if !is_get => told(StatusCode::METHOD_NOT_ALLOWED, "it can only be read\n"),
        _ => match text(ask).await {
            Some(text) => {
                let mut answer = told(StatusCode::OK, text);
                answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(offer.content_type));
                answer
            }
            None => told(StatusCode::SERVICE_UNAVAILABLE, "it ends, or is too busy\n"),
        },
    })
}

fn told(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    response
}

async fn text(ask: &mpsc::Sender<Asked>) -> Option<String> {
    let (answer, answered) = oneshot::channel();
    let asked = async {
        ask.send(answer).await.ok()?;
        answered.await.ok()
    };
    timeout(PATIENCE, asked).await.ok()?
}

/// Whether the header shows this token. Every byte is looked at, so that the time tells nothing.
fn shows(header: Option<&HeaderValue>, token: &str) -> bool {
    let shown = header.and_then(|value| value.as_bytes().strip_prefix(b"Bearer ")).unwrap_or_default();
    let differing = shown.iter().zip(token.as_bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == token.len() && differing == 0 && !token.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_must_be_shown_whole() {
        let header = |text: &str| HeaderValue::from_str(text).unwrap();
        assert!(shows(Some(&header("Bearer abc")), "abc"));
        for wrong in ["Bearer ab", "Bearer abcd", "Bearer abd", "abc", "Basic abc", "bearer abc", ""] {
            assert!(!shows(Some(&header(wrong)), "abc"), "{wrong}");
        }
        assert!(!shows(None, "abc") && !shows(Some(&header("Bearer ")), ""));
    }
}
