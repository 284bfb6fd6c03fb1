//! What the config says of alerts, checked.

use std::time::Duration;

use super::Quiet;
use crate::domain::Severity;
use crate::host::{Address, WebLogin};

/// Who is told of what, and how soon.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSettings {
    /// How long more of the same project or subject is waited for before it is told.
    pub group_wait: Duration,
    /// The time between two tellings about the same project or subject, unless the later one is graver.
    pub group_interval: Duration,
    /// What is still open is told again after so long.
    pub repeat: Duration,
    /// For so long something must have been gone before it is told to have cleared.
    pub settle: Duration,
    /// Who is told.
    pub to: Vec<Receiver>,
    /// When nobody is told.
    pub quiet: Vec<Quiet>,
    /// Who is told that hostler runs.
    pub heartbeat: Option<Heartbeat>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_mins(5),
            repeat: Duration::from_hours(4),
            settle: Duration::from_mins(2),
            to: Vec::new(),
            quiet: Vec::new(),
            heartbeat: None,
        }
    }
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// What it is called: in `hostler alert`, and in what is remembered of it.
    pub name: String,
    /// How it is told.
    pub kind: ReceiverKind,
    /// Only of what is so grave at least.
    pub severity: Severity,
    /// It is told also that something cleared.
    pub send_resolved: bool,
    /// How hostler says who it is.
    pub login: Option<WebLogin>,
    /// How long telling it may take.
    pub timeout: Duration,
}

/// How a receiver is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverKind {
    /// Prometheus' Alertmanager, below this address, through its API v2.
    Alertmanager(Address),
    /// A server that takes hostler's own JSON at this address.
    Webhook(Address),
    /// A server of ntfy, and the topic.
    Ntfy(Address, String),
    /// A program with its words.
    Command(Vec<String>),
}

impl ReceiverKind {
    /// The word in the config.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::Webhook(_) => "webhook",
            Self::Ntfy(..) => "ntfy",
            Self::Command(_) => "command",
        }
    }

    /// Where it is, as far as that may be told: an address may be a secret.
    pub fn place(&self) -> String {
        match self {
            Self::Alertmanager(to) | Self::Webhook(to) | Self::Ntfy(to, _) => to.to_string(),
            Self::Command(argv) => argv.first().cloned().unwrap_or_default(),
        }
    }

    /// Whether it is Alertmanager, which groups, repeats and resolves by itself.
    pub fn keeps_state(&self) -> bool {
        matches!(self, Self::Alertmanager(_))
    }
}

/// A server that notices when it hears nothing any more: a box that is dead cannot alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// What is asked for with `GET`.
    pub to: Address,
    /// How often.
    pub every: Duration,
}
