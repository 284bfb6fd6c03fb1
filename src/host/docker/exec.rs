//! Programs started inside a container, and files fetched out of it and put into it: how data is dumped and put back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, UploadToContainerOptionsBuilder};
use bollard::{body_stream, body_try_stream};
use futures_util::stream::{self, Stream, StreamExt as _};
use tokio::io::AsyncWriteExt as _;

use super::DockerClient;
use super::change::changed;
use super::raw::EngineError;
use crate::domain::{ContainerId, Failure};
use crate::host::foreign;

/// A dump takes as long as it takes; whoever waits gives up by dropping the future.
const PATIENCE: Duration = Duration::from_hours(24);
/// The most that is kept of what a program complains about, bytes: its end, where the reason stands.
const COMPLAINT_BYTES: usize = 600;

/// How a program in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit status.
    pub code: i64,
    /// The end of what it wrote to its standard error, in one line.
    pub complaint: String,
}

impl DockerClient {
    /// Runs a program in a container, as the container's own user; `input` is what it reads, and `output` gets what it
    /// writes, piece by piece. Nothing is read any more once `output` gives an error: that error is returned.
    ///
    /// # Errors
    /// When the engine cannot start it, the connection breaks, or `output` fails. A program that fails is no error.
    pub async fn exec<E: From<EngineError>>(
        &self,
        id: &ContainerId,
        argv: &[&str],
        input: impl Iterator<Item = Vec<u8>>,
        mut output: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Executed, E> {
        let config = ExecConfig {
            cmd: Some(argv.iter().map(ToString::to_string).collect()),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let docker = self.patient(PATIENCE);
        let engine = |error: bollard::errors::Error| E::from(changed(&self.place, &error));
        let made = docker.create_exec(&id.0, config).await.map_err(engine)?;
        let StartExecResults::Attached { output: mut said, input: mut heard } =
            docker.start_exec(&made.id, None).await.map_err(engine)?
        else {
            return Err(E::from(EngineError::from(Failure::failed("the engine gave no stream"))));
        };
        let feed = async {
            for piece in input {
                // A program that reads no more has its reasons: its exit status tells them.
                if heard.write_all(&piece).await.is_err() {
                    break;
                }
            }
            drop(heard.shutdown().await);
        };
        let mut complaint = Vec::new();
        let listen = async {
            while let Some(piece) = said.next().await {
                match piece.map_err(engine)? {
                    LogOutput::StdErr { message } => keep_end(&mut complaint, &message),
                    piece => output(&piece.into_bytes())?,
                }
            }
            Ok::<(), E>(())
        };
        let ((), listened) = tokio::join!(feed, listen);
        listened?;
        let ended = docker.inspect_exec(&made.id).await.map_err(engine)?;
        Ok(Executed { code: ended.exit_code.unwrap_or(-1), complaint: one_line(&complaint) })
    }

    /// The file or folder at `path` of a container as a tar archive, piece by piece. A container that does not run has one,
    /// too, with what is mounted in it.
    pub fn archive(
        &self,
        id: &ContainerId,
        path: &str,
    ) -> impl Stream<Item = Result<impl AsRef<[u8]> + use<>, EngineError>> + use<> {
        let place = self.place.clone();
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let docker = self.patient(PATIENCE);
        let id = id.0.to_string();
        stream::once(async move { docker.download_from_container(&id, Some(options)).boxed() })
            .flatten()
            .map(move |piece| piece.map_err(|error| changed(&place, &error)))
    }

    /// Copies the file or folder at a path of one container into a folder of another one, with owners and rights; `copied`
    /// counts the bytes that are on their way.
    ///
    /// # Errors
    /// When one of them is not there, goes meanwhile, or the disk is full.
    pub async fn copy(
        &self,
        (from, path): (&ContainerId, &str),
        (to, folder): (&ContainerId, &str),
        copied: Arc<AtomicU64>,
    ) -> Result<(), EngineError> {
        let pieces = self.archive(from, path).map(move |piece| {
            let piece = piece.map_err(io::Error::other)?.as_ref().to_vec();
            copied.fetch_add(piece.len() as u64, Ordering::Relaxed);
            Ok(piece.into())
        });
        let options = UploadToContainerOptionsBuilder::default().path(folder).build();
        let body = body_try_stream(pieces);
        self.changed(self.patient(PATIENCE).upload_to_container(&to.0, Some(options), body).await)
    }

    /// Unpacks a tar archive into the folder `path` of a container. What is there and not in the archive stays.
    ///
    /// # Errors
    /// When there is no such folder, the archive ends early, or its disk is full.
    pub async fn unpack(
        &self,
        id: &ContainerId,
        path: &str,
        tar: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let body = body_stream(stream::iter(tar.map(Into::into)));
        self.changed(self.patient(PATIENCE).upload_to_container(&id.0, Some(options), body).await)
    }
}

/// Adds a piece, of which only the end is kept.
fn keep_end(complaint: &mut Vec<u8>, piece: &[u8]) {
    complaint.extend_from_slice(piece);
    let surplus = complaint.len().saturating_sub(COMPLAINT_BYTES);
    complaint.drain(..surplus);
}

fn one_line(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    foreign::clean(&lines.join("; "), COMPLAINT_BYTES).into_owned()
}
