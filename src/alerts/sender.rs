//! Carries messages to one receiver, one at a time.

use std::time::Duration;

use super::message::Message;
use super::settings::{Heartbeat, Receiver, ReceiverKind};
use super::{alertmanager, command, ntfy, webhook};
use crate::host::{Address, ExecError, Lane, Request, Web, WebError, give};

/// How long a heartbeat may take.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Why a message did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server does not take it.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Something else answered.
    #[error("{0} answers with a web page; is this the address of {1}?")]
    Page(String, &'static str),
    /// The program does not take it.
    #[error("{program}: {error}")]
    Command {
        /// Which.
        program: String,
        /// Why.
        error: ExecError,
    },
}

/// Carries messages.
pub struct Sender {
    web: Web,
}

impl Sender {
    /// One that opens nothing yet. What blocks is done on `lane`.
    pub fn new(lane: &Lane) -> Self {
        Self { web: Web::new(lane) }
    }

    /// Tells a receiver.
    ///
    /// # Errors
    /// When the message did not arrive, as far as can be told. No error holds a secret.
    pub async fn send(&mut self, receiver: &Receiver, message: &Message) -> Result<(), SendError> {
        let (to, path, body) = match &receiver.kind {
            ReceiverKind::Alertmanager(to) => (to, alertmanager::PATH, alertmanager::body(message)),
            ReceiverKind::Webhook(to) => (to, "", webhook::body(message)),
            ReceiverKind::Ntfy(to, topic) => (to, "", ntfy::body(message, topic)),
            ReceiverKind::Command(argv) => return run(argv, message, receiver).await,
        };
        let (login, patience) = (receiver.login.clone(), receiver.timeout);
        let request = Request { to: to.clone(), path, login, body: Some(body), patience };
        let answer = self.web.send(request).await?;
        // Whoever takes hostler's own JSON may say what it likes; these two never answer with a page.
        match receiver.kind {
            ReceiverKind::Alertmanager(_) if answer.is_page => Err(page(to, "Alertmanager")),
            ReceiverKind::Ntfy(..) if answer.is_page => Err(page(to, "ntfy")),
            _ => Ok(()),
        }
    }

    /// Says that hostler runs.
    ///
    /// # Errors
    /// When nobody heard it.
    pub async fn beat(&mut self, heartbeat: &Heartbeat) -> Result<(), SendError> {
        let patience = HEARTBEAT.min(heartbeat.every);
        let request = Request { to: heartbeat.to.clone(), path: "", login: None, body: None, patience };
        self.web.send(request).await?;
        Ok(())
    }
}

fn page(to: &Address, what: &'static str) -> SendError {
    SendError::Page(to.to_string(), what)
}

async fn run(argv: &[String], message: &Message, receiver: &Receiver) -> Result<(), SendError> {
    let variables = command::variables(message);
    let env = variables.iter().map(|(name, value)| (*name, value.as_str()));
    let input = format!("{}\n", webhook::body(message)).into_bytes();
    let given = give(argv, env, input, receiver.timeout).await;
    given.map_err(|error| SendError::Command { program: argv.first().cloned().unwrap_or_default(), error })
}
