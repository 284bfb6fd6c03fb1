//! A container's log as the engine sends it: message by message, in bounded memory.
//!
//! The client's own reader of logs collects what a container with a terminal writes until a line ends, however long that
//! takes. So the body is asked for as raw bytes and taken apart here: a long message loses its middle, never the operator
//! his memory.

use bollard::errors::Error;
use bollard::{BollardRequest, Docker};
use futures_util::stream::{BoxStream, StreamExt};
use jiff::Timestamp;

use super::{Candidate, DockerClient, fault};
use crate::domain::{ContainerId, Failure};
use crate::host::foreign;
use std::sync::Arc;
use std::time::Duration;

/// Where in a log to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogsFrom {
    /// With all that is kept of it.
    Start,
    /// With so many of its last messages.
    Last(u32),
    /// Behind what was written at this time.
    After(Timestamp),
}

/// A log that is being followed.
pub struct LogStream {
    chunks: BoxStream<'static, Result<Vec<u8>, Error>>,
    messages: Messages,
    place: Arc<Candidate>,
}

impl DockerClient {
    /// Follows a container's log. Ends when the container does.
    pub fn follow_logs(&self, id: &ContainerId, tty: bool, from: LogsFrom) -> LogStream {
        self.log(id, tty, from, true)
    }

    /// A container's log as it is kept now; it ends with the last message.
    pub fn kept_log(&self, id: &ContainerId, tty: bool, from: LogsFrom) -> LogStream {
        self.log(id, tty, from, false)
    }

    fn log(&self, id: &ContainerId, tty: bool, from: LogsFrom, follow: bool) -> LogStream {
        let path = format!(
            "/v{}/containers/{}/logs?follow={}&stdout=1&stderr=1&timestamps=1&{}",
            self.docker.client_version(),
            foreign::name(&id.0),
            u8::from(follow),
            from.query()
        );
        let chunks = raw(&self.docker, path).export_container(&id.0);
        LogStream {
            chunks: chunks.map(|chunk| chunk.map(Vec::from)).boxed(),
            messages: Messages::new(tty),
            place: Arc::clone(&self.place),
        }
    }
}

impl LogStream {
    /// Waits for something to be written and hands out each message: whether it was written to standard error, and its
    /// bytes, which begin with the time and a space. False when the log has ended. Nothing is lost when this is given up.
    ///
    /// # Errors
    /// When the engine cannot be reached or does not keep this log in a form that can be read.
    pub async fn next(&mut self, message: impl FnMut(bool, &[u8])) -> Result<bool, Failure> {
        match self.chunks.next().await {
            Some(Ok(chunk)) => {
                self.messages.feed(&chunk, message);
                Ok(true)
            }
            Some(Err(error)) => Err(fault::failure(&self.place, &error)),
            None => Ok(false),
        }
    }
}

impl LogsFrom {
    fn query(self) -> String {
        match self {
            Self::Start => "tail=all".to_owned(),
            Self::Last(messages) => format!("tail={messages}"),
            Self::After(time) => {
                let next = time + Duration::from_nanos(1);
                format!("since={}.{:09}", next.as_second(), next.subsec_nanosecond())
            }
        }
    }
}

/// The client with every request sent to `path`, whatever it asks for, and with all the time that a quiet log needs.
pub(super) fn raw(docker: &Docker, path: String) -> Docker {
    const QUIET: Duration = Duration::from_hours(24 * 365);
    docker.clone().with_timeout(QUIET).with_request_modifier(move |mut request: BollardRequest| {
        let uri = request.uri();
        let asked = match (uri.scheme_str(), uri.authority()) {
            (Some(scheme), Some(authority)) => format!("{scheme}://{authority}{path}").parse(),
            _ => return request,
        };
        if let Ok(uri) = asked {
            *request.uri_mut() = uri;
        }
        request
    })
}

/// Takes the engine's stream apart: frames of eight bytes of head and a payload, or, from a container with a terminal,
/// bare lines.
#[derive(Debug)]
struct Messages {
    framed: bool,
    head: Vec<u8>,
    /// Bytes of the present frame that have not come.
    left: usize,
    is_error: bool,
    message: Vec<u8>,
    /// The present message is longer than is kept of it.
    cut: bool,
}

impl Messages {
    /// What is kept of a message, bytes: the engine splits lines after 16 KiB, and the time stands before them.
    const KEPT_BYTES: usize = (16 << 10) + 64;

    const HEAD_BYTES: usize = 8;

    fn new(tty: bool) -> Self {
        Self {
            framed: !tty,
            head: Vec::with_capacity(Self::HEAD_BYTES),
            left: 0,
            is_error: false,
            message: Vec::new(),
            cut: false,
        }
    }

    fn feed(&mut self, mut bytes: &[u8], mut message: impl FnMut(bool, &[u8])) {
        while let Some(first) = bytes.first() {
            if !self.framed {
                let line = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
                let (part, rest) = bytes.split_at(line.unwrap_or(bytes.len()));
                self.add(part);
                bytes = rest;
                if line.is_some() {
                    self.complete(&mut message);
                }
            } else if self.left > 0 {
                let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
                self.add(part);
                bytes = rest;
                self.left -= part.len();
                if self.left == 0 {
                    self.complete(&mut message);
                }
            } else if self.head.is_empty() && *first > 2 {
                // No head of a frame: an engine that sends bare lines without a terminal too.
                self.framed = false;
            } else {
                self.head.push(*first);
                bytes = &bytes[1..];
                if let Some([kind, _, _, _, length @ ..]) = self.head.first_chunk::<8>() {
                    self.is_error = *kind == 2;
                    self.left = u32::from_be_bytes(*length) as usize;
                    self.head.clear();
                }
            }
        }
    }

    fn add(&mut self, part: &[u8]) {
        let room = Self::KEPT_BYTES.saturating_sub(self.message.len());
        self.message.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            self.cut = true;
            // Whether the line ends is told by the last byte, so that one is kept in place of what was there.
            if let (Some(last), Some(end)) = (self.message.last_mut(), part.last()) {
                *last = *end;
            }
        }
    }

    fn complete(&mut self, message: &mut impl FnMut(bool, &[u8])) {
        message(self.is_error, &self.message);
        self.message.clear();
        if std::mem::take(&mut self.cut) {
            // Long messages are rare: their memory goes back.
            self.message.shrink_to(1 << 10);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0], length.as_slice(), payload].concat()
    }

    fn take_apart(tty: bool, chunks: &[&[u8]]) -> Vec<(bool, String)> {
        let mut messages = Messages::new(tty);
        let mut seen = Vec::new();
        for chunk in chunks {
            messages.feed(chunk, |is_error, bytes| {
                seen.push((is_error, String::from_utf8_lossy(bytes).into_owned()));
            });
        }
        seen
    }

    #[test]
    fn frames_are_taken_apart_wherever_they_are_cut() {
        let stream = [frame(1, b"one\n"), frame(2, b"two\n"), frame(1, b"three")].concat();
        let wanted = [(false, "one\n"), (true, "two\n"), (false, "three")];
        for size in 1..stream.len() {
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            let seen = take_apart(false, &chunks);
            let seen: Vec<_> = seen.iter().map(|(is_error, text)| (*is_error, &**text)).collect();
            assert_eq!(seen, wanted, "in chunks of {size}");
        }
    }

    #[test]
    fn a_terminals_lines_are_told_apart_by_their_ends() {
        let seen = take_apart(true, &[b"one\r\ntw", b"o\r\n", b"never ended"]);
        assert_eq!(seen, [(false, "one\r\n".to_owned()), (false, "two\r\n".to_owned())]);
    }

    #[test]
    fn bare_lines_are_understood_where_frames_were_expected() {
        let seen = take_apart(false, &[b"2026-11-23T09:01:44Z text\n"]);
        assert_eq!(seen, [(false, "2026-11-23T09:01:44Z text\n".to_owned())]);
    }

    #[test]
    fn a_long_message_is_kept_in_part_with_its_end() {
        let long = [vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
        for (tty, bytes) in [(false, frame(1, &long)), (true, long.clone())] {
            let mut messages = Messages::new(tty);
            let mut seen = Vec::new();
            for chunk in bytes.chunks(4096) {
                messages.feed(chunk, |_, bytes| seen.push(bytes.to_vec()));
                assert!(messages.message.capacity() <= 2 * Messages::KEPT_BYTES);
            }
            assert_eq!(seen.len(), 1);
            assert_eq!(seen[0].len(), Messages::KEPT_BYTES);
            assert!(seen[0].ends_with(b"x\n"));
        }
    }

    #[test]
    fn the_beginning_is_asked_for_as_the_engine_reads_it() {
        assert_eq!(LogsFrom::Last(200).query(), "tail=200");
        let time: Timestamp = "2026-11-23T09:01:44.999999999Z".parse().unwrap();
        assert_eq!(LogsFrom::After(time).query(), "since=1795424505.000000000");
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne(bytes in prop::collection::vec(any::<u8>(), 0..400), tty: bool) {
            take_apart(tty, &[&bytes]);
        }
    }
}
