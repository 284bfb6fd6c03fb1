//! Alerts: what is told of findings to somebody who does not look at the box.
//!
//! [`Board`] is the pure core: it compares what is open now with what each receiver was told, and says what is to be told next.
//! What is still to be told is never kept as a list of messages, but follows from that comparison: a receiver that was down
//! for an hour hears what is true when it comes back, once, and that what it knew of has cleared. [`Sender`] carries a
//! [`Message`] to one kind of receiver; there is a file for each kind. What each receiver knows outlives the process in
//! `alerts.json` ([`Outbox`](crate::domain::Outbox)).

mod alertmanager;
mod board;
mod command;
mod message;
mod ntfy;
mod quiet;
mod sender;
mod settings;
mod webhook;

pub use board::Board;
pub use message::{Message, Noted};
pub use quiet::{Quiet, QuietTime};
pub use sender::{SendError, Sender};
pub use settings::{AlertSettings, Heartbeat, Receiver, ReceiverKind};
